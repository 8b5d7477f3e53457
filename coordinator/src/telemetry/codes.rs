//! Codes of failures, which participants choose: so many have a series of their own, about the most frequent ones, whatever comes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// So many have a series of their own.
const TOLD_MAX: usize = 50;
/// So many others are counted, to see which of them are frequent.
const COUNTED_MAX: usize = 1_000;
/// Another one takes the place of the rarest when it was so many times as often, and so many times more: else two would change places
/// for ever.
const OFTENER: u64 = 2;
const MORE: u64 = 10;

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Codes {
    told: BTreeMap<Arc<str>, u64>,
    others: HashMap<Arc<str>, u64>,
}

/// How a code is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// By its name; else with all others.
    pub(super) by_name: bool,
    /// This one is with all others from now on, with all that was told of it.
    pub(super) gives_way: Option<Arc<str>>,
}

impl Codes {
    /// So many more ended by this code.
    pub(super) fn add(&mut self, code: &Arc<str>, count: u64) -> Told {
        if let Some(known) = self.told.get_mut(code) {
            *known += count;
            return Told { by_name: true, gives_way: None };
        }
        let all = self.others.remove(code).unwrap_or(0) + count;
        let rarest = self.told.iter().min_by_key(|(_, known)| **known).filter(|_| self.told.len() >= TOLD_MAX);
        let rarest = rarest.map(|(code, known)| (code.clone(), *known));
        if let Some((_, known)) = &rarest
            && all < known * OFTENER + MORE
        {
            self.others.insert(code.clone(), all);
            self.forget_rare();
            return Told { by_name: false, gives_way: None };
        }
        self.told.insert(code.clone(), all);
        let gives_way = rarest.map(|(rarest, known)| {
            self.told.remove(&rarest);
            self.others.insert(rarest.clone(), known);
            rarest
        });
        Told { by_name: true, gives_way }
    }

    /// Beyond so many each is half as often as it was, until enough are nothing.
    fn forget_rare(&mut self) {
        while self.others.len() > COUNTED_MAX {
            self.others.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(codes: &mut Codes, code: &str, count: u64) -> (bool, Option<String>) {
        let told = codes.add(&code.into(), count);
        (told.by_name, told.gives_way.map(|code| code.to_string()))
    }

    #[test]
    fn what_becomes_frequent_takes_the_place_of_the_rarest() {
        let mut codes = Codes::default();
        for code in 0..TOLD_MAX as u64 {
            assert_eq!(add(&mut codes, &format!("C{code:02}"), 100 - code), (true, None));
        }
        assert_eq!(add(&mut codes, "NEW", 111), (false, None), "C49 was 51 times");
        assert_eq!(add(&mut codes, "C49", 1), (true, None));
        assert_eq!(add(&mut codes, "NEW", 2), (false, None));
        assert_eq!(add(&mut codes, "NEW", 1), (true, Some("C48".to_owned())), "52 times, as C49 is now");
        assert_eq!(
            add(&mut codes, "C48", 1),
            (false, None),
            "it is no rarer than the rarest, and waits until it is twice as often"
        );
    }

    /// Whatever participants say, and frequent ones are found behind any number of rare ones.
    #[test]
    fn codes_without_end_take_no_more_room() {
        let mut codes = Codes::default();
        for code in 0..10 * COUNTED_MAX {
            add(&mut codes, &format!("order-{code}"), 1);
        }
        assert!(codes.told.len() == TOLD_MAX && codes.others.len() <= COUNTED_MAX, "{}", codes.others.len());
        let told = (0..20).filter(|_| add(&mut codes, "DOWN", 1).0).count();
        assert_eq!(told, 9, "from the twelfth on: all others came once");
    }
}
