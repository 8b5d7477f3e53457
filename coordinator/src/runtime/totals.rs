//! The counts of several partitions, added up: how many sagas stand where, and what participants were asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::state::{AgeCount, Counts, ParticipantCounts, Standing, Waits};

/// The counts of these partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// What happened is counted since this time in all of them; 0: since the beginning of their journals.
    pub since: Millis,
    /// Sagas that began.
    pub started: i64,
    /// Sagas that did everything.
    pub completed: i64,
    /// Sagas that undid everything.
    pub compensated: i64,
    /// By version.
    pub versions: BTreeMap<DefinitionHash, VersionTotals>,
    /// By name.
    pub participants: BTreeMap<Arc<str>, ParticipantTotals>,
}

/// The rows that run by a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionTotals {
    /// By standing, node and reason: sagas, and open entries.
    pub cells: BTreeMap<(Standing, u16, Waits), (i64, i64)>,
    /// Those that did everything, and are remembered.
    pub completed: i64,
    /// Those that undid everything, and are remembered.
    pub compensated: i64,
}

/// What a participant was asked, and what has become of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantTotals {
    /// What happened, and what is to be repeated; its lists are empty.
    pub sums: ParticipantCounts,
    /// Attempts that are not answered.
    pub unanswered: Waiting,
    /// Commands that are parked.
    pub parked: Waiting,
    /// Commands that need a person.
    pub stuck: Waiting,
}

/// So many wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub count: i64,
    /// Since when the oldest does, in seconds since 1970, or the beginning of that hour; none if none waits.
    pub oldest: Option<i64>,
}

impl Waiting {
    fn add(&mut self, ages: &[AgeCount]) {
        self.count += ages.iter().map(|age| age.count).sum::<i64>();
        let oldest = ages.iter().find(|age| age.count > 0).map(|age| age.from);
        self.oldest = self.oldest.into_iter().chain(oldest).min();
    }

    /// For how many seconds the oldest waits by now; 0 if none does.
    pub fn age_s(&self, now: Millis) -> i64 {
        self.oldest.map_or(0, |oldest| (now.div_euclid(1_000) - oldest).max(0))
    }
}

impl ParticipantTotals {
    /// Of one that was asked nothing yet.
    pub fn new(name: Arc<str>) -> ParticipantTotals {
        let [unanswered, parked, stuck] = [Waiting::default(); 3];
        ParticipantTotals { sums: ParticipantCounts::new(name), unanswered, parked, stuck }
    }

    fn add(&mut self, of: &ParticipantCounts) {
        self.sums.add_sums(of);
        self.unanswered.add(&of.unanswered);
        self.parked.add(&of.parked);
        self.stuck.add(&of.stuck);
    }
}

impl VersionTotals {
    /// How many sagas stand in each way, those that are remembered too.
    pub fn sagas(&self) -> BTreeMap<Standing, i64> {
        let mut sagas = BTreeMap::new();
        let ended = [(Standing::Completed, self.completed), (Standing::Compensated, self.compensated)];
        let cells = self.cells.iter().map(|(&(standing, ..), (sagas, _))| (standing, *sagas));
        for (standing, count) in cells.chain(ended) {
            *sagas.entry(standing).or_insert(0) += count;
        }
        sagas.retain(|_, count| *count != 0);
        sagas
    }
}

impl Totals {
    /// Of these counts.
    pub fn of<'a>(counts: impl IntoIterator<Item = &'a Counts>) -> Totals {
        let mut totals = Totals::default();
        counts.into_iter().for_each(|counts| totals.add(counts));
        totals
    }

    fn add(&mut self, counts: &Counts) {
        self.since = self.since.max(counts.since);
        self.started += counts.started;
        self.completed += counts.completed;
        self.compensated += counts.compensated;
        for of in &counts.versions {
            let version = self.versions.entry(of.version).or_default();
            for cell in &of.cells {
                let sum = version.cells.entry((cell.standing, cell.node, cell.waits)).or_default();
                *sum = (sum.0 + cell.sagas, sum.1 + cell.open);
            }
            version.completed += of.ended.iter().map(|ended| ended.completed).sum::<i64>();
            version.compensated += of.ended.iter().map(|ended| ended.compensated).sum::<i64>();
        }
        for of in &counts.participants {
            let name = || ParticipantTotals::new(of.name.clone());
            self.participants.entry(of.name.clone()).or_insert_with(name).add(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use ringmaster_schemas::state::{CellCount, EndedCount, VersionCounts};

    use super::*;

    fn counts(since: Millis, from: i64, count: i64) -> Counts {
        let cell = CellCount { standing: Standing::Parked, node: 2, waits: Waits::Parked, sagas: count, open: count + 1 };
        let ended =
            vec![EndedCount { bucket: 5, completed: 3, compensated: 1 }, EndedCount { bucket: 6, completed: 1, compensated: 0 }];
        let payment = ParticipantCounts {
            asked: 10,
            parkings: count,
            parked: vec![AgeCount { from, count }],
            ..ParticipantCounts::new("payment".into())
        };
        Counts {
            since,
            started: 20,
            completed: 9,
            versions: vec![VersionCounts { version: [7; 16], cells: vec![cell], ended }],
            participants: vec![payment],
            ..Counts::default()
        }
    }

    #[test]
    fn what_partitions_count_adds_up() {
        let totals = Totals::of([&counts(0, 100, 4), &counts(50, 90, 2), &Counts::default()]);
        assert_eq!((totals.since, totals.started, totals.completed), (50, 40, 18));
        let version = &totals.versions[&[7; 16]];
        assert_eq!(version.cells[&(Standing::Parked, 2, Waits::Parked)], (6, 8));
        let sagas = [(Standing::Parked, 6), (Standing::Completed, 8), (Standing::Compensated, 2)];
        assert_eq!(version.sagas(), sagas.into());
        let payment = &totals.participants["payment"];
        assert_eq!((payment.sums.asked, payment.sums.parkings, payment.parked), (20, 6, Waiting { count: 6, oldest: Some(90) }));
        assert_eq!((payment.parked.age_s(100_500), payment.unanswered.age_s(100_500)), (10, 0));
    }
}
