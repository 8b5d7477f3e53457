//! Which worker hosts which partition, by what the group says and what workers meet.
//!
//! ```text
//! group: Given, Taken, Lost -> Shares -> workers: Host, HandOver, Drop -> Gone -> Shares -> group: give back
//! ```
//!
//! The group is a hint: that a partition is another's is known by its claim, and then it is claimed again only while the group still says
//! that it is ours, after a pause that grows, so that two instances never duel (PROTOCOL.md rule 4).

pub(super) mod member;
mod standby;

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_bus::Granted;
use ringmaster_schemas::Millis;

pub use self::standby::{AskWho, Holding, Standby, to_follow};
use crate::runtime::worker::Gone;

/// Pauses before a partition is claimed again that another instance claimed, each twice as long as the one before.
const AGAIN_FIRST_MS: Millis = 500;
const AGAIN_MAX_MS: Millis = 15_000;
/// Behind so long a time without it, earlier ones are forgotten.
const CALM_MS: Millis = 60_000;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A worker hosts a partition from now on.
    Host {
        /// Which worker.
        worker: usize,
        /// Which partition.
        partition: i32,
        /// Tells this hosting from earlier ones of the same partition, of which word may still be on its way.
        hosting: u64,
    },
    /// A worker finishes a partition and lets it go.
    HandOver {
        /// Which worker.
        worker: usize,
        /// Which partition.
        partition: i32,
    },
    /// A worker lets a partition go as it is: it may be another's already.
    Drop {
        /// Which worker.
        worker: usize,
        /// Which partition.
        partition: i32,
    },
    /// A worker keeps a warm copy of a partition that another instance owns.
    Follow {
        /// Which worker.
        worker: usize,
        /// Which partition.
        partition: i32,
    },
    /// A worker follows a partition no more.
    Unfollow {
        /// Which worker.
        worker: usize,
        /// Which partition.
        partition: i32,
    },
    /// The group may give these to others.
    GiveBack(Vec<i32>),
}

/// How often a partition was found to be another's, lately.
#[derive(Debug, Clone, Copy)]
struct Met {
    at: Millis,
    pause: Millis,
    /// It is claimed again then.
    again_at: Option<Millis>,
}

/// What an instance is to host, and who hosts it.
#[derive(Debug)]
pub struct Shares {
    workers: usize,
    /// What the group says is ours; none before it has said anything.
    given: Option<BTreeSet<i32>>,
    /// The worker and the number of the hosting.
    hosted: BTreeMap<i32, (usize, u64)>,
    /// What is followed, and by which worker.
    followed: BTreeMap<i32, usize>,
    hostings: u64,
    /// What the group takes, until no worker has any of it.
    owed: Vec<i32>,
    met: BTreeMap<i32, Met>,
}

impl Shares {
    /// Of so many workers, which host nothing.
    pub fn new(workers: usize) -> Self {
        Shares {
            workers,
            given: None,
            hosted: BTreeMap::new(),
            followed: BTreeMap::new(),
            hostings: 0,
            owed: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    /// What the group says is ours; none before it has said anything.
    pub fn given(&self) -> Option<&BTreeSet<i32>> {
        self.given.as_ref()
    }

    /// Takes what the group says.
    pub fn granted(&mut self, granted: &Granted) -> Vec<Order> {
        match granted {
            Granted::Given(partitions) => {
                self.given.get_or_insert_default().extend(partitions);
                partitions.iter().filter_map(|partition| self.host(*partition)).collect()
            }
            Granted::Taken(partitions) => {
                self.forget(partitions);
                let mut orders: Vec<Order> = partitions
                    .iter()
                    .filter_map(|&partition| {
                        let (worker, _) = *self.hosted.get(&partition)?;
                        Some(Order::HandOver { worker, partition })
                    })
                    .collect();
                self.owed.extend(partitions);
                // That nothing is taken is to be answered too.
                orders.extend(self.give_back(partitions.is_empty()));
                orders
            }
            Granted::Lost(partitions) => {
                self.forget(partitions);
                self.owed.retain(|owed| !partitions.contains(owed));
                let dropped = partitions.iter().filter_map(|&partition| {
                    let (worker, _) = self.hosted.remove(&partition)?;
                    Some(Order::Drop { worker, partition })
                });
                let mut orders: Vec<Order> = dropped.collect();
                orders.push(Order::GiveBack(partitions.clone()));
                orders.extend(self.give_back(false));
                orders
            }
            Granted::Refused(_) => Vec::new(),
        }
    }

    /// A partition left its worker, of this hosting.
    pub fn gone(&mut self, gone: &Gone, hosting: u64, now: Millis) -> Vec<Order> {
        let (Gone::HandedOver(partition) | Gone::Fenced { partition, .. }) = gone;
        if self.hosted.get(partition).is_none_or(|(_, present)| *present != hosting) {
            return Vec::new();
        }
        match gone {
            Gone::HandedOver(partition) => drop(self.hosted.remove(partition)),
            Gone::Fenced { partition, .. } => {
                self.hosted.remove(partition);
                if self.is_given(*partition) {
                    let before = self.met.get(partition).filter(|met| now - met.at < CALM_MS);
                    let pause = before.map_or(AGAIN_FIRST_MS, |met| (met.pause * 2).min(AGAIN_MAX_MS));
                    self.met.insert(*partition, Met { at: now, pause, again_at: Some(now + pause) });
                }
            }
        }
        self.give_back(false).into_iter().collect()
    }

    /// Claims again what is due.
    pub fn due(&mut self, now: Millis) -> Vec<Order> {
        let is_due = |met: &Met| met.again_at.is_some_and(|at| at <= now);
        let due: Vec<i32> = self.met.iter().filter(|(_, met)| is_due(met)).map(|(partition, _)| *partition).collect();
        for partition in &due {
            self.met.entry(*partition).and_modify(|met| met.again_at = None);
        }
        due.into_iter().filter_map(|partition| self.host(partition)).collect()
    }

    /// What of others' partitions is to be followed from now on. What is hosted here, or about to be, is not.
    pub fn follow(&mut self, partitions: &BTreeSet<i32>) -> Vec<Order> {
        let is_free = |shares: &Self, partition: i32| !shares.hosted.contains_key(&partition) && !shares.is_given(partition);
        let dropped = self.followed.iter().filter(|(partition, _)| !partitions.contains(partition));
        let mut orders: Vec<Order> = dropped.map(|(&partition, &worker)| Order::Unfollow { worker, partition }).collect();
        self.followed.retain(|partition, _| partitions.contains(partition));
        for &partition in partitions {
            if is_free(self, partition) && !self.followed.contains_key(&partition) {
                let Some(worker) = self.least_busy() else { break };
                self.followed.insert(partition, worker);
                orders.push(Order::Follow { worker, partition });
            }
        }
        orders
    }

    /// What is followed here.
    pub fn followed(&self) -> BTreeSet<i32> {
        self.followed.keys().copied().collect()
    }

    /// The worker that has the fewest partitions, of its own or of others.
    fn least_busy(&self) -> Option<usize> {
        let mut loads = vec![(0, 0); self.workers];
        self.hosted.values().for_each(|(worker, _)| loads[*worker].0 += 1);
        self.followed.values().for_each(|worker| loads[*worker].1 += 1);
        (0..self.workers).min_by_key(|worker| loads[*worker])
    }

    fn is_given(&self, partition: i32) -> bool {
        self.given.as_ref().is_some_and(|given| given.contains(&partition))
    }

    /// Whoever follows it is to host it, else who hosts the fewest; nobody if it is hosted, or not ours.
    fn host(&mut self, partition: i32) -> Option<Order> {
        if self.hosted.contains_key(&partition) || !self.is_given(partition) {
            return None;
        }
        let worker = self.followed.remove(&partition).or_else(|| self.least_busy())?;
        self.hostings += 1;
        self.hosted.insert(partition, (worker, self.hostings));
        Some(Order::Host { worker, partition, hosting: self.hostings })
    }

    fn forget(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.given.get_or_insert_default().remove(partition);
            self.met.remove(partition);
        }
    }

    /// What the group takes, once no worker has any of it.
    fn give_back(&mut self, even_nothing: bool) -> Option<Order> {
        let is_owed = even_nothing || !self.owed.is_empty();
        let is_done = self.owed.iter().all(|partition| !self.hosted.contains_key(partition));
        (is_owed && is_done).then(|| Order::GiveBack(std::mem::take(&mut self.owed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fenced(partition: i32) -> Gone {
        Gone::Fenced { partition, owner: "green".into(), address: String::new() }
    }

    fn owner(given: &[i32]) -> Shares {
        let mut shares = Shares::new(1);
        shares.granted(&Granted::Given(given.to_vec()));
        shares
    }

    #[test]
    fn partitions_are_spread_over_workers() {
        let mut shares = Shares::new(3);
        assert_eq!(shares.given(), None, "nothing is known before the group says it");
        let orders = shares.granted(&Granted::Given(vec![0, 1, 2, 3]));
        let workers: Vec<usize> =
            orders.iter().map(|order| if let Order::Host { worker, .. } = order { *worker } else { 9 }).collect();
        assert_eq!(workers, [0, 1, 2, 0]);
        assert_eq!(shares.granted(&Granted::Given(vec![3])), [], "it is hosted");
        shares.granted(&Granted::Lost(vec![1, 2]));
        assert_eq!(shares.granted(&Granted::Given(vec![7])), [Order::Host { worker: 1, partition: 7, hosting: 5 }]);
    }

    #[test]
    fn what_is_followed_is_hosted_where_it_is_warm() {
        let mut shares = Shares::new(2);
        let set = |numbers: &[i32]| numbers.iter().copied().collect::<BTreeSet<i32>>();
        shares.granted(&Granted::Given(vec![0, 1]));
        let follow = |worker, partition| Order::Follow { worker, partition };
        assert_eq!(shares.follow(&set(&[0, 4, 5])), [follow(0, 4), follow(1, 5)], "0 is hosted here");
        assert_eq!(shares.follow(&set(&[4, 5])), []);
        let orders = shares.granted(&Granted::Given(vec![5]));
        assert_eq!(orders, [Order::Host { worker: 1, partition: 5, hosting: 3 }], "where it is warm");
        assert_eq!(shares.follow(&set(&[4, 5])), [], "it is hosted");
        assert_eq!(shares.follow(&set(&[])), [Order::Unfollow { worker: 0, partition: 4 }]);
        // One that another has claimed is ours all the same while the group says so, and is claimed again.
        shares.gone(&fenced(5), 3, 0);
        assert_eq!(shares.follow(&set(&[5])), []);
        // What is taken is followed when it has left.
        shares.granted(&Granted::Taken(vec![0]));
        assert_eq!(shares.follow(&set(&[0])), [], "it is being handed over");
        shares.gone(&Gone::HandedOver(0), 1, 0);
        assert_eq!(shares.follow(&set(&[0])), [follow(0, 0)]);
    }

    #[test]
    fn what_is_taken_is_given_back_when_all_of_it_is_finished() {
        let mut shares = owner(&[0, 1, 2]);
        let orders = shares.granted(&Granted::Taken(vec![0, 2]));
        assert_eq!(orders, [0, 2].map(|partition| Order::HandOver { worker: 0, partition }));
        assert_eq!(shares.gone(&Gone::HandedOver(2), 3, 0), []);
        // One that is found to be another's meanwhile is finished too.
        assert_eq!(shares.gone(&fenced(0), 1, 0), [Order::GiveBack(vec![0, 2])]);
        assert_eq!(shares.due(Millis::MAX), [], "it is not ours any more");
        assert_eq!(shares.granted(&Granted::Taken(vec![])), [Order::GiveBack(vec![])]);
        assert_eq!(shares.granted(&Granted::Taken(vec![9])), [Order::GiveBack(vec![9])], "nobody hosts it");
    }

    #[test]
    fn what_is_lost_is_dropped_at_once() {
        let mut shares = owner(&[0, 1]);
        shares.granted(&Granted::Taken(vec![0]));
        let orders = shares.granted(&Granted::Lost(vec![0, 1]));
        assert_eq!(orders[..2], [0, 1].map(|partition| Order::Drop { worker: 0, partition }));
        assert_eq!(orders[2..], [Order::GiveBack(vec![0, 1])]);
        assert_eq!(shares.gone(&Gone::HandedOver(0), 1, 0), [], "what it owed is answered");
        assert_eq!(shares.given().map(BTreeSet::len), Some(0));
    }

    #[test]
    fn what_another_claimed_is_claimed_again_with_growing_pauses_while_it_is_ours() {
        let mut shares = owner(&[3]);
        let (mut now, mut pauses) = (0, Vec::new());
        for hosting in 1..=8 {
            assert_eq!(shares.gone(&fenced(3), hosting, now), []);
            let begun = now;
            while shares.due(now).is_empty() {
                now += 100;
            }
            pauses.push(now - begun);
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
        assert_eq!(shares.gone(&fenced(3), 8, now), [], "of an earlier hosting");
        shares.gone(&fenced(3), 9, now + CALM_MS);
        let again = [Order::Host { worker: 0, partition: 3, hosting: 10 }];
        assert_eq!(shares.due(now + CALM_MS + 500), again, "what is long ago is forgotten");
        shares.granted(&Granted::Lost(vec![3]));
        assert_eq!(shares.gone(&fenced(3), 10, now), []);
        assert_eq!(shares.due(Millis::MAX), [], "the group says that it is another's");
    }
}
