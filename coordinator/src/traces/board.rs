//! What is to be told in traces, as workers said: bounded, since nobody waits for whoever takes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringmaster_core::partition::{Partition, Traced, TracedWhat};

/// Spans that wait to be sent, about: of what is more the oldest are dropped.
pub const WAITING_MAX: u64 = 16_384;

/// What waits, by partition.
#[derive(Debug, Default)]
pub struct TraceBoard(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    partitions: BTreeMap<i32, OfPartition>,
    spans: u64,
    /// Since it was asked last.
    dropped: u64,
}

#[derive(Debug, Default)]
struct OfPartition {
    worker: usize,
    owned: Owned,
    traced: VecDeque<Traced>,
    /// So many of the first are on their way: they are not dropped.
    out: usize,
}

/// A partition that is owned here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Owned {
    /// Where its owner's claim stands in the journal.
    pub(super) term: i64,
    /// Everything below this offset that is to be told was said.
    pub(super) said: i64,
}

/// What a worker says of a partition.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) partition: i32,
    pub(super) owned: Owned,
    pub(super) traced: Vec<Traced>,
}

/// How many spans tell of it, about.
fn spans_of(traced: &Traced) -> u64 {
    match traced.what {
        TracedWhat::Began(_) => 1,
        TracedWhat::Ended { spans, .. } => spans.into(),
    }
}

impl TraceBoard {
    /// A worker says what is to be told of its partitions.
    pub fn report<'p>(&self, worker: usize, partitions: impl Iterator<Item = &'p mut Partition>) {
        let report = |partition: &mut Partition| {
            let (term, _) = partition.term()?;
            let (traced, said) = (partition.take_traced(), partition.journal_offset());
            Some(Report { partition: partition.number(), owned: Owned { term, said }, traced })
        };
        self.put(worker, partitions.filter_map(report).collect());
    }

    /// The same, of what is known already: all partitions that this worker owns. What was said of others is the next owner's to tell.
    pub(super) fn put(&self, worker: usize, reports: Vec<Report>) {
        let mut waiting = self.lock();
        let is_owned = |partition: &i32| reports.iter().any(|report| report.partition == *partition);
        let left: Vec<i32> = waiting
            .partitions
            .iter()
            .filter(|(number, of)| of.worker == worker && !is_owned(number))
            .map(|(number, _)| *number)
            .collect();
        left.iter().for_each(|partition| waiting.forget(*partition));
        for Report { partition, owned, traced } in reports {
            if waiting.partitions.get(&partition).is_some_and(|of| of.owned.term != owned.term) {
                waiting.forget(partition);
            }
            waiting.spans += traced.iter().map(spans_of).sum::<u64>();
            let of = waiting.partitions.entry(partition).or_default();
            (of.worker, of.owned) = (worker, owned);
            of.traced.extend(traced);
        }
        waiting.drop_what_is_too_much();
    }

    /// The partitions that are owned here.
    pub(super) fn owned(&self) -> Vec<(i32, Owned)> {
        self.lock().partitions.iter().map(|(number, of)| (*number, of.owned)).collect()
    }

    /// The oldest that wait of a partition in this term, so many, and what else their last record tells of; they stay until
    /// [`TraceBoard::done`].
    pub(super) fn first(&self, partition: i32, term: i64, count: usize) -> Vec<Traced> {
        let mut waiting = self.lock();
        let Some(of) = waiting.partitions.get_mut(&partition).filter(|of| of.owned.term == term) else { return Vec::new() };
        let last = of.traced.iter().take(count).next_back().map(|traced| traced.offset);
        let first: Vec<Traced> = of.traced.iter().take_while(|traced| Some(traced.offset) <= last).cloned().collect();
        of.out = first.len();
        first
    }

    /// What is to be told by records below this offset was told.
    pub(super) fn done(&self, partition: i32, term: i64, below: i64) {
        let mut waiting = self.lock();
        let Some(of) = waiting.partitions.get_mut(&partition).filter(|of| of.owned.term == term) else { return };
        let mut gone = 0;
        of.out = 0;
        while let Some(traced) = of.traced.front().filter(|traced| traced.offset < below) {
            gone += spans_of(traced);
            of.traced.pop_front();
        }
        waiting.spans = waiting.spans.saturating_sub(gone);
    }

    /// How many spans were dropped since this was asked last.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn forget(&mut self, partition: i32) {
        let gone = self.partitions.remove(&partition);
        let spans: u64 = gone.iter().flat_map(|of| &of.traced).map(spans_of).sum();
        self.spans = self.spans.saturating_sub(spans);
    }

    /// Of the partition that has most; what is on its way stays.
    fn drop_what_is_too_much(&mut self) {
        while self.spans > WAITING_MAX {
            let Some(most) = self.partitions.values_mut().max_by_key(|of| of.traced.len() - of.out) else { return };
            let Some(oldest) = most.traced.remove(most.out) else { return };
            self.spans = self.spans.saturating_sub(spans_of(&oldest));
            self.dropped += spans_of(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(offset: i64, spans: u32) -> Traced {
        let what = TracedWhat::Ended { turns: Default::default(), spans };
        Traced { saga: format!("s/{offset}").into(), offset, what }
    }

    fn report(partition: i32, term: i64, said: i64, traced: Vec<Traced>) -> Report {
        Report { partition, owned: Owned { term, said }, traced }
    }

    fn offsets(board: &TraceBoard, partition: i32, term: i64) -> Vec<i64> {
        board.first(partition, term, usize::MAX).iter().map(|traced| traced.offset).collect()
    }

    #[test]
    fn what_waits_stays_until_it_is_told() {
        let board = TraceBoard::default();
        board.put(0, vec![report(3, 7, 12, vec![ended(9, 5), ended(11, 5)])]);
        board.put(0, vec![report(3, 7, 20, vec![ended(15, 5)])]);
        assert_eq!(board.owned(), [(3, Owned { term: 7, said: 20 })]);
        assert_eq!((offsets(&board, 3, 7), offsets(&board, 3, 6), offsets(&board, 4, 7)), (vec![9, 11, 15], vec![], vec![]));
        board.done(3, 6, 100);
        board.done(3, 7, 11);
        assert_eq!(offsets(&board, 3, 7), [11, 15]);
    }

    /// Another term, or another owner, tells it anew from the journal.
    #[test]
    fn what_belongs_to_another_term_is_forgotten() {
        let board = TraceBoard::default();
        board.put(0, vec![report(3, 7, 12, vec![ended(9, 5)]), report(4, 7, 12, vec![ended(10, 5)])]);
        board.put(1, vec![report(5, 7, 12, vec![ended(9, 5)])]);
        board.put(0, vec![report(3, 13, 14, vec![])]);
        assert_eq!(board.owned(), [(3, Owned { term: 13, said: 14 }), (5, Owned { term: 7, said: 12 })]);
        assert_eq!((offsets(&board, 3, 13), offsets(&board, 5, 7), board.take_dropped()), (vec![], vec![9], 0));
    }

    #[test]
    fn of_what_is_too_much_the_oldest_goes_and_is_counted() {
        let board = TraceBoard::default();
        let many = |from: i64| (from..from + 1_000).map(|offset| ended(offset, 16)).collect();
        board.put(0, vec![report(0, 1, 1_000, many(0))]);
        assert_eq!(board.take_dropped(), 0);
        board.put(0, vec![report(0, 1, 2_000, many(1_000))]);
        assert_eq!((board.take_dropped(), board.take_dropped()), (2_000 * 16 - WAITING_MAX, 0));
        assert_eq!(offsets(&board, 0, 1).first(), Some(&(2_000 - WAITING_MAX as i64 / 16)));
        board.done(0, 1, i64::MAX);
        board.put(0, vec![report(0, 1, 3_000, many(2_000))]);
        assert_eq!((board.take_dropped(), offsets(&board, 0, 1).len()), (0, 1_000));
    }

    /// It is exported, and must not be counted as dropped besides.
    #[test]
    fn what_is_on_its_way_is_not_dropped() {
        let board = TraceBoard::default();
        let many = |from: i64| (from..from + 1_000).map(|offset| ended(offset, 16)).collect();
        board.put(0, vec![report(0, 1, 1_000, many(0))]);
        assert_eq!(board.first(0, 1, 2).len(), 2);
        board.put(0, vec![report(0, 1, 2_000, many(1_000))]);
        assert_eq!(board.take_dropped(), 2_000 * 16 - WAITING_MAX);
        let left = 2_000 - WAITING_MAX as i64 / 16;
        assert_eq!(offsets(&board, 0, 1)[..3], [0, 1, left + 2]);
        board.done(0, 1, 2);
        assert_eq!((board.take_dropped(), offsets(&board, 0, 1)[0]), (0, left + 2));
    }
}
