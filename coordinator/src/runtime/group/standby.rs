//! Who keeps a warm copy of which partition: computed by every instance alike, from what the broker says of the group.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringmaster_core::partition::row_hash;

/// The group is asked this often. Warm copies are for what happens now and then: nothing waits for it.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// And it is looked this often whether the instance ends.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A member of the group, and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// Asks the broker who is in the group; an error says why that is not known.
pub type AskWho = Arc<dyn Fn() -> Result<Vec<Holding>, String> + Send + Sync>;

/// How an instance keeps warm copies.
#[derive(Clone)]
pub struct Standby {
    /// So many instances keep a copy of each partition beside its owner.
    pub copies: usize,
    /// This instance's name.
    pub name: String,
    /// How it is known who has what.
    pub ask: AskWho,
}

/// What the instance of this name is to follow: of each partition that another member has, the copies are the first of the others by a
/// hash of partition and name (rendezvous hashing: who comes or goes moves no copy but its own). What nobody has is about to be
/// somebody's: it is followed by all of whom it was, so that it stays warm.
pub fn to_follow(members: &[Holding], name: &str, copies: usize, partitions: i32, followed: &BTreeSet<i32>) -> BTreeSet<i32> {
    let is_to_follow = |partition: &i32| {
        let Some(owner) = members.iter().find(|member| member.partitions.contains(partition)) else {
            return followed.contains(partition);
        };
        let weight = |member: &Holding| row_hash(&member.name, &partition.to_be_bytes());
        let mut others: Vec<&Holding> = members.iter().filter(|member| member.name != owner.name).collect();
        others.sort_by_key(|member| (weight(member), &member.name));
        others.iter().take(copies).any(|member| member.name == name)
    };
    (0..partitions).filter(is_to_follow).collect()
}

/// What is to be followed, as it was found last.
pub(in crate::runtime) type Wanted = Arc<Mutex<Option<BTreeSet<i32>>>>;

impl Standby {
    /// Asks now and then, until the instance ends. While the broker does not answer, what is followed stays so.
    pub(in crate::runtime) fn run(&self, partitions: i32, wanted: &Wanted, stopping: &AtomicBool) {
        let mut followed = BTreeSet::new();
        let mut asked: Option<Instant> = None;
        while !stopping.load(Ordering::SeqCst) {
            if asked.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
                match (self.ask)() {
                    Ok(members) => {
                        followed = to_follow(&members, &self.name, self.copies, partitions, &followed);
                        *wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(followed.clone());
                    }
                    Err(why) => tracing::debug!(why, "who is in the group is not known now: what is followed stays"),
                }
                asked = Some(Instant::now());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(shares: &[(&str, &[i32])]) -> Vec<Holding> {
        shares.iter().map(|(name, partitions)| Holding { name: (*name).to_owned(), partitions: partitions.to_vec() }).collect()
    }

    /// Each partition has as many copies as are asked for, none of them its owner's.
    #[test]
    fn each_partition_has_its_copies() {
        let members = group(&[("blue", &[0, 1, 2]), ("green", &[3, 4]), ("red", &[5, 6, 7])]);
        for copies in 0..4 {
            let of = |name: &str| to_follow(&members, name, copies, 8, &BTreeSet::new());
            for partition in 0..8 {
                let who: Vec<&Holding> = members.iter().filter(|member| of(&member.name).contains(&partition)).collect();
                assert_eq!(who.len(), copies.min(2), "{copies} copies of {partition}: {who:?}");
                assert!(who.iter().all(|member| !member.partitions.contains(&partition)), "its owner has it anyway");
            }
        }
        assert_eq!(to_follow(&members, "green", 2, 8, &BTreeSet::new()), BTreeSet::from([0, 1, 2, 5, 6, 7]));
        assert_eq!(to_follow(&members, "white", 2, 8, &BTreeSet::new()), BTreeSet::new(), "it is no member");
    }

    /// Who comes takes copies over from others; between those that stay none moves.
    #[test]
    fn who_comes_moves_no_copies_of_others() {
        let before = group(&[("blue", &[0, 1]), ("green", &[2, 3]), ("red", &[4, 5, 6, 7])]);
        let mut after = before.clone();
        after.extend(group(&[("white", &[])]));
        for name in ["blue", "green", "red"] {
            let (was, is) = (to_follow(&before, name, 1, 8, &BTreeSet::new()), to_follow(&after, name, 1, 8, &BTreeSet::new()));
            assert!(is.is_subset(&was), "{name}: {was:?}, then {is:?}");
        }
    }

    /// While a partition moves, what was warm stays warm.
    #[test]
    fn what_is_nobodys_stays_followed() {
        let members = group(&[("blue", &[0])]);
        assert_eq!(to_follow(&members, "blue", 1, 3, &BTreeSet::from([2])), BTreeSet::from([2]));
    }
}
