//! The partitions that a worker hosts now: by number, and in order.

use ringmaster_core::partition::{Partition, Wish};
use ringmaster_schemas::Millis;

use super::leaving::Leaving;
use crate::runtime::effects::EPOCHS;

/// A partition, and what the worker knows of it.
pub(super) struct Hosted {
    pub(super) partition: Partition,
    /// What it wishes and was not done yet.
    pub(super) wishes: Vec<Wish>,
    /// It can be claimed.
    pub(super) ready: bool,
    /// It is being handed over: what was begun is finished, nothing new begins.
    pub(super) leaving: Option<Leaving>,
    /// Tells this hosting from earlier ones of the same partition: their acknowledgements may still come.
    pub(super) epoch: u8,
    /// When its state is written next, by the steady clock.
    pub(super) checkpoint_at: Millis,
    /// And was written last.
    pub(super) checkpointed_at: Millis,
}

/// All of them. They come and go.
#[derive(Default)]
pub(super) struct Hosts {
    by_number: Vec<Option<Box<Hosted>>>,
    /// In order.
    numbers: Vec<i32>,
    /// Of the next one.
    epoch: u8,
}

impl Hosts {
    /// Takes one in. It claims at the worker's next turn.
    pub(super) fn insert(&mut self, partition: Partition) {
        let number = partition.number();
        let index = usize::try_from(number).expect("partitions are numbered from 0");
        if self.by_number.len() <= index {
            self.by_number.resize_with(index + 1, || None);
        }
        self.epoch = (self.epoch + 1) % EPOCHS;
        let (epoch, wishes, ready) = (self.epoch, Vec::new(), true);
        let hosted = Hosted { partition, wishes, ready, leaving: None, epoch, checkpoint_at: Millis::MIN, checkpointed_at: 0 };
        let before = self.by_number[index].replace(Box::new(hosted));
        assert!(before.is_none(), "partition {number} is hosted already");
        let place = self.numbers.partition_point(|known| *known < number);
        self.numbers.insert(place, number);
    }

    /// Lets one go, if it is here.
    pub(super) fn remove(&mut self, number: i32) -> Option<Box<Hosted>> {
        let hosted = self.by_number.get_mut(usize::try_from(number).ok()?)?.take();
        self.numbers.retain(|known| *known != number);
        hosted
    }

    pub(super) fn get(&self, number: i32) -> Option<&Hosted> {
        self.by_number.get(usize::try_from(number).ok()?)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, number: i32) -> Option<&mut Hosted> {
        self.by_number.get_mut(usize::try_from(number).ok()?)?.as_deref_mut()
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The numbers as they are now, for whoever removes some meanwhile.
    pub(super) fn numbers(&self) -> Vec<i32> {
        self.numbers.clone()
    }

    /// The number at a place, in the order of numbers.
    pub(super) fn number_at(&self, place: usize) -> i32 {
        self.numbers[place]
    }

    /// When something that each of them does `every` so many milliseconds is next this one's turn: evenly spread, so that not all of
    /// them do it in one turn of the worker.
    pub(super) fn next_share(&self, number: i32, every: Millis, now: Millis) -> Millis {
        let (place, count) = (self.numbers.partition_point(|known| *known < number), self.numbers.len().max(1));
        let share = every * place as Millis / count as Millis;
        now + every - (now - share).rem_euclid(every)
    }

    /// In the order of numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Hosted> {
        self.by_number.iter().filter_map(Option::as_deref)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Hosted> {
        self.by_number.iter_mut().filter_map(Option::as_deref_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ringmaster_core::partition::{BreakerSettings, Limits, Settings};

    #[test]
    fn what_all_do_is_spread_evenly() {
        let hosts = Hosts { by_number: Vec::new(), numbers: vec![1, 4, 5, 9], epoch: 0 };
        for now in [0, 1, 999, 1_000, 12_345] {
            let mut turns: Vec<Millis> = hosts.numbers.iter().map(|number| hosts.next_share(*number, 1_000, now) - now).collect();
            assert!(turns.iter().all(|wait| (1..=1_000).contains(wait)), "within one period: {turns:?}");
            turns.sort_unstable();
            assert!(turns.windows(2).all(|two| two[1] - two[0] == 250), "at {now}: {turns:?}");
        }
        // Whoever took its turn has the next one a whole period later.
        let turn = hosts.next_share(5, 1_000, 77);
        assert_eq!(hosts.next_share(5, 1_000, turn), turn + 1_000);
    }

    /// A partition that is bounded in everything, and reads nothing.
    fn partition(number: i32) -> Partition {
        let limits = Limits {
            record_bytes_max: Limits::RECORD_BYTES_MIN,
            record_turns_max: 1,
            in_flight_records_max: 1,
            in_flight_max: 1,
            memory_bytes_max: Limits::MEMORY_BYTES_MIN,
            unreleased_effects_max: 1,
            timers_per_poll_max: 1,
        };
        let name = || "test".into();
        Partition::new(Settings {
            number,
            partitions: 8,
            owner: name(),
            address: name(),
            journal: [1; 16],
            reply_topic: name(),
            quarantine_topic: name(),
            inputs: Vec::new(),
            limits,
            breaker: BreakerSettings::default(),
            tracing: None,
        })
    }

    /// What comes late for an earlier hosting is told from what is meant for this one, however soon it came back.
    #[test]
    fn each_hosting_of_a_partition_has_a_mark_of_its_own() {
        let mut hosts = Hosts { by_number: Vec::new(), numbers: Vec::new(), epoch: 0 };
        let mut marks = Vec::new();
        for _ in 0..EPOCHS {
            hosts.insert(partition(3));
            hosts.insert(partition(5));
            marks.extend(hosts.remove(3).map(|hosted| hosted.epoch));
            hosts.remove(5);
        }
        assert_eq!(marks.len(), usize::from(EPOCHS));
        assert!(marks.windows(2).all(|two| two[0] != two[1]), "{marks:?}");
    }
}
