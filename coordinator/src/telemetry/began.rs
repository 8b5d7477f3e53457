//! How many steps began of late: counts of a few seconds each, as many as a minute has.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ringmaster_schemas::journal::DefinitionHash;

/// What is counted together.
const SLOT: Duration = Duration::from_secs(5);
/// So many are kept, the one that is still counted among them.
const SLOTS: u64 = 12;
/// Nothing is said of less.
const KNOWN_FROM: Duration = Duration::from_secs(1);

/// A version, and its node.
type Key = (DefinitionHash, u16);

/// What began, the newest last; each with the number of its slot since the start.
pub(super) struct Began {
    since: Instant,
    slots: VecDeque<(u64, BTreeMap<Key, u64>)>,
}

impl Default for Began {
    fn default() -> Began {
        Began { since: Instant::now(), slots: VecDeque::new() }
    }
}

fn slot(age: Duration) -> u64 {
    age.as_secs() / SLOT.as_secs()
}

impl Began {
    /// How long this counts.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// So many began, at this age.
    pub(super) fn add(&mut self, began: &BTreeMap<Key, u64>, age: Duration) {
        let now = slot(age);
        self.slots.retain(|(slot, _)| slot + SLOTS > now);
        if began.is_empty() {
            return;
        }
        if self.slots.back().is_none_or(|(slot, _)| *slot < now) {
            self.slots.push_back((now, BTreeMap::new()));
        }
        let (_, newest) = self.slots.back_mut().expect("there is one now");
        began.iter().for_each(|(key, count)| *newest.entry(*key).or_default() += count);
    }

    /// How many of a version began lately, by node, and in how many seconds; none if that is too short.
    pub(super) fn lately(&self, version: &DefinitionHash, age: Duration) -> (BTreeMap<u16, u64>, Option<f64>) {
        let now = slot(age);
        let mut all = BTreeMap::new();
        for (_, began) in self.slots.iter().filter(|(slot, _)| slot + SLOTS > now) {
            for ((_, node), count) in began.range((*version, 0)..=(*version, u16::MAX)) {
                *all.entry(*node).or_default() += count;
            }
        }
        let from = SLOT * u32::try_from((now + 1).saturating_sub(SLOTS)).unwrap_or(u32::MAX);
        (all, (age >= KNOWN_FROM).then(|| age.saturating_sub(from).as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_is_known_for_a_minute() {
        let (mut began, key) = (Began::default(), ([7; 16], 3));
        let age = Duration::from_millis;
        let lately = |began: &Began, ms| {
            let (all, window) = began.lately(&[7; 16], age(ms));
            (all.get(&3).copied(), window)
        };
        assert_eq!(lately(&began, 999), (None, None), "too short to say anything");
        began.add(&[(key, 3), (([8; 16], 3), 5)].into(), age(500));
        began.add(&[(key, 1)].into(), age(4_999));
        assert_eq!(lately(&began, 8_000), (Some(4), Some(8.0)), "another version is another's");
        began.add(&[(key, 2)].into(), age(31_000));
        assert_eq!(lately(&began, 59_999), (Some(6), Some(59.999)));
        assert_eq!(lately(&began, 62_000), (Some(2), Some(57.0)), "from second 5 on");
        assert_eq!(lately(&began, 200_000), (None, Some(55.0)));
        began.add(&BTreeMap::new(), age(90_000));
        assert!(began.slots.is_empty(), "what is older takes no room");
    }
}
