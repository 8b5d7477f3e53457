//! Counts, so that nobody need look at rows: how many sagas stand where, and what participants were asked (OPERATE.md section 0).
//!
//! ```text
//! events of a record that counts -> tally -> what happened: sums that only grow
//! a row that is stored           -> facets, before and now -> how rows stand: sums that move by the difference
//! both -> one row of the store, in the batch of the checkpoint
//! ```

mod facets;
mod lately;
mod names;
mod so_far;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{
    AgeCount, CellCount, Counts as Shown, EndedCount, ParticipantCounts, RowChange, RowKey, Saga, Standing, VersionCounts, Waits,
};

pub(super) use facets::Facets;
pub(super) use lately::Lately;
pub(super) use names::Names;
pub use so_far::AskedSoFar;
pub(super) use tally::{Tallied, tally};

use self::facets::Open;
use self::names::Number;
use super::Rows;
use super::replica::Replica;
use super::times::{End, Times};

/// Ages are told by the second for so long, at least.
const SECONDS_FOR_S: i64 = 3_600;
const HOUR_S: i64 = 3_600;

/// All that a partition counts of what counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) names: Names,
    /// What is not told apart by version or participant, as it was shown last.
    sums: Shown,
    /// By the number of the version.
    versions: Vec<OfVersion>,
    /// By the number of the participant.
    participants: Vec<OfParticipant>,
    /// What an owner has counted since it was asked last.
    pub(super) lately: Lately,
}

#[derive(Debug, Default)]
struct OfVersion {
    /// Sagas, and open entries.
    cells: BTreeMap<(Standing, u16, Waits), (i64, i64)>,
    /// By bucket: those that did all, and those that undid it.
    ended: BTreeMap<i64, (i64, i64)>,
}

#[derive(Debug)]
struct OfParticipant {
    /// What happened; its lists are empty.
    sums: ParticipantCounts,
    unanswered: Ages,
    parked: Ages,
    stuck: Ages,
    /// How long answers took together, since these counts are in memory.
    response_ms: u64,
}

/// How many began in which second, or hour.
#[derive(Debug, Default)]
struct Ages {
    by: BTreeMap<i64, i64>,
    /// All of them.
    all: i64,
}

impl Ages {
    fn add(&mut self, second: i64, horizon: i64, count: i64) {
        let from = if second >= horizon { second } else { second - second.rem_euclid(HOUR_S) };
        self.all += count;
        let so_many = self.by.entry(from).or_insert(0);
        *so_many += count;
        if *so_many == 0 {
            self.by.remove(&from);
        }
    }

    /// What is before this second is told by the hour from now on.
    fn fold(&mut self, horizon: i64) {
        let behind = self.by.split_off(&horizon);
        for (second, count) in std::mem::replace(&mut self.by, behind) {
            self.all -= count;
            self.add(second, horizon, count);
        }
    }

    fn shown(&self) -> Vec<AgeCount> {
        self.by.iter().map(|(from, count)| AgeCount { from: *from, count: *count }).collect()
    }

    /// Since when the oldest is; none if there is none.
    fn oldest(&self) -> Option<i64> {
        self.by.keys().next().copied()
    }

    fn of(shown: &[AgeCount]) -> Ages {
        Ages { by: shown.iter().map(|age| (age.from, age.count)).collect(), all: shown.iter().map(|age| age.count).sum() }
    }
}

impl OfParticipant {
    fn new(name: Arc<str>) -> OfParticipant {
        let [unanswered, parked, stuck] = [(); 3].map(|()| Ages::default());
        OfParticipant { sums: ParticipantCounts::new(name), unanswered, parked, stuck, response_ms: 0 }
    }

    /// An attempt ended, so long after it was sent.
    fn ended(&mut self, end: End, ms: u32) -> &mut i64 {
        let sums = &mut self.sums;
        if matches!(end, End::Succeeded | End::Refused | End::Failed) {
            self.response_ms += u64::from(ms);
        }
        match end {
            End::Succeeded => &mut sums.succeeded,
            End::Refused => &mut sums.refused,
            End::Failed => &mut sums.failed,
            End::TimedOut => &mut sums.timed_out,
            End::Dropped => &mut sums.dropped,
        }
    }

    fn fold(&mut self, horizon: i64) {
        [&mut self.unanswered, &mut self.parked, &mut self.stuck].into_iter().for_each(|ages| ages.fold(horizon));
    }

    fn shown(&self) -> ParticipantCounts {
        let (unanswered, parked, stuck) = (self.unanswered.shown(), self.parked.shown(), self.stuck.shown());
        ParticipantCounts { unanswered, parked, stuck, ..self.sums.clone() }
    }
}

impl OfVersion {
    fn shown(&self, version: [u8; 16]) -> VersionCounts {
        let cell = |(&(standing, node, waits), &(sagas, open)): (&_, &_)| CellCount { standing, node, waits, sagas, open };
        let ended = |(&bucket, &(completed, compensated)): (&_, &_)| EndedCount { bucket, completed, compensated };
        VersionCounts { version, cells: self.cells.iter().map(cell).collect(), ended: self.ended.iter().map(ended).collect() }
    }
}

impl Counts {
    /// As they were stored.
    fn restore(stored: &Shown) -> Counts {
        let mut counts = Counts::default();
        for of in &stored.versions {
            let version = counts.version(of.version);
            version.cells.extend(of.cells.iter().map(|cell| ((cell.standing, cell.node, cell.waits), (cell.sagas, cell.open))));
            version.ended.extend(of.ended.iter().map(|ended| (ended.bucket, (ended.completed, ended.compensated))));
        }
        for of in &stored.participants {
            let (unanswered, parked, stuck) = (Ages::of(&of.unanswered), Ages::of(&of.parked), Ages::of(&of.stuck));
            let sums = ParticipantCounts { unanswered: Vec::new(), parked: Vec::new(), stuck: Vec::new(), ..of.clone() };
            let number = counts.names.participant(&of.name);
            *counts.participant(number) = OfParticipant { sums, unanswered, parked, stuck, response_ms: 0 };
        }
        counts.sums = Shown { versions: Vec::new(), participants: Vec::new(), ..stored.clone() };
        counts
    }

    /// Of rows that were counted before they were stored by a build which did not, or made of a snapshot: from this time on.
    fn begin(&mut self, since: Millis) {
        self.sums.since = since;
        for of in &mut self.participants {
            // So that what was asked is what ended and what did not, as ever.
            of.sums.asked = of.unanswered.all;
        }
    }

    fn version(&mut self, version: [u8; 16]) -> &mut OfVersion {
        let number = self.names.version(version);
        self.numbered(number)
    }

    fn numbered(&mut self, number: Number) -> &mut OfVersion {
        let place = usize::from(number);
        if self.versions.len() <= place {
            self.versions.resize_with(place + 1, OfVersion::default);
        }
        &mut self.versions[place]
    }

    fn participant(&mut self, number: Number) -> &mut OfParticipant {
        let place = usize::from(number);
        while self.participants.len() <= place {
            self.participants.push(OfParticipant::new(self.names.participants[self.participants.len()].clone()));
        }
        &mut self.participants[place]
    }

    /// A row is counted, or no more. `bucket`: where it expires.
    pub(super) fn add(&mut self, facets: &Facets, bucket: Option<i64>, count: i64) {
        let Some(standing) = facets.standing else { return };
        let (sagas, version) = (if facets.is_saga { count } else { 0 }, self.numbered(facets.version));
        if let Some(bucket) = bucket {
            let ended = version.ended.entry(bucket).or_default();
            let of = if standing == Standing::Completed { &mut ended.0 } else { &mut ended.1 };
            *of += sagas;
            return;
        }
        let mut cell = |node, waits, (sagas, open): (i64, i64)| {
            let key = (standing, node, waits);
            let cell = version.cells.entry(key).or_default();
            *cell = (cell.0 + sagas, cell.1 + open);
            if *cell == (0, 0) {
                version.cells.remove(&key);
            }
        };
        if sagas != 0 {
            cell(facets.most.0, facets.most.1, (sagas, 0));
        }
        facets.open.iter().for_each(|open| cell(open.node, open.waits, (0, count)));
        facets.open.iter().for_each(|open| self.add_open(open, count));
    }

    fn add_open(&mut self, open: &Open, count: i64) {
        let (Some(number), horizon) = (open.participant, self.sums.horizon) else { return };
        let of = self.participant(number);
        match open.waits {
            Waits::Reply => of.unanswered.add(i64::from(open.since), horizon, count),
            Waits::Parked => of.parked.add(i64::from(open.since), horizon, count),
            Waits::Stuck => of.stuck.add(i64::from(open.since), horizon, count),
            Waits::Retry => of.sums.retrying += count,
            _ => {}
        }
    }

    /// What happened.
    pub(super) fn happened(&mut self, tallied: &[Tallied]) {
        for one in tallied {
            *match *one {
                Tallied::Started => &mut self.sums.started,
                Tallied::Completed(..) => &mut self.sums.completed,
                Tallied::Compensated(..) => &mut self.sums.compensated,
                Tallied::Step(..) | Tallied::StepBegan(..) | Tallied::StepRefused(..) | Tallied::StepFailed(..) => continue,
                Tallied::Asked(number) => &mut self.participant(number).sums.asked,
                Tallied::Repeated(number) => &mut self.participant(number).sums.repeated,
                Tallied::Ended(number, end, ms) => self.participant(number).ended(end, ms),
                Tallied::Late(number) => &mut self.participant(number).sums.late,
                Tallied::Parked(number) => &mut self.participant(number).sums.parkings,
            } += 1;
        }
    }

    /// What an owner has counted since this was asked last.
    pub(super) fn take_times(&mut self) -> Times {
        self.lately.take(&self.names)
    }

    /// Ages are told as of this time, and what expired is gone.
    fn settle(&mut self, now: Millis, expired: i64) {
        let horizon = now.div_euclid(1_000) - SECONDS_FOR_S;
        let horizon = horizon - horizon.rem_euclid(HOUR_S);
        if horizon > self.sums.horizon {
            self.sums.horizon = horizon;
            for of in &mut self.participants {
                of.fold(horizon);
            }
        }
        for version in &mut self.versions {
            version.ended.retain(|bucket, ended| *bucket > expired && *ended != (0, 0));
        }
    }

    /// As they are stored, in an order that does not depend on who was counted first.
    fn shown(&self) -> Shown {
        let each = self.versions.iter().zip(&self.names.versions);
        let mut versions: Vec<_> = each.map(|(of, version)| of.shown(*version)).collect();
        versions.retain(|of| !(of.cells.is_empty() && of.ended.is_empty()));
        versions.sort_unstable_by_key(|of| of.version);
        let mut participants: Vec<_> = self.participants.iter().map(OfParticipant::shown).collect();
        participants.retain(|of| *of != ParticipantCounts::new(of.name.clone()));
        participants.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Shown { versions, participants, ..self.sums.clone() }
    }
}

impl Replica {
    /// The counts of a store whose checkpoint is at this offset; counted anew if it has none that are of its rows.
    pub(super) fn restore_counts(&mut self, rows: &dyn Rows) -> Result<(), String> {
        let stored = rows.row(&RowKey::Counts)?.map(|row| Shown::decode(&row)).transpose();
        let stored = stored.map_err(|error| rows.damaged(format!("the row of the counts: {error}")))?;
        match stored.filter(|stored| stored.journal_offset == self.stored) {
            Some(stored) => self.counts = Counts::restore(&stored),
            None => {
                self.counts = of_rows(rows, self.expired)?;
                self.counts.settle(self.now, self.expired);
                self.counts.begin(self.now);
            }
        }
        Ok(())
    }

    /// The row of the counts, of a batch whose checkpoint is at this offset; the other rows are staged.
    pub(super) fn stage_counts(&mut self, journal_offset: i64) -> RowChange {
        self.counts.settle(self.now, self.expired);
        let counts = Shown { journal_offset, ..self.counts.shown() };
        RowChange::plain(RowKey::Counts, Some(counts.encode()))
    }

    /// What happened before is not known: the rows are of a snapshot.
    pub(super) fn begin_counts(&mut self, since: Millis) {
        self.counts.settle(since, self.expired);
        self.counts.begin(since);
    }
}

/// What stored rows add up to; expired ones are invisible.
fn of_rows(rows: &dyn Rows, expired: i64) -> Result<Counts, String> {
    let (mut counts, mut failed) = (Counts::default(), None);
    rows.rows(ringmaster_schemas::state::RowKind::Saga, &mut |key, row| {
        let RowKey::Saga(id) = &key else { return };
        match Saga::decode(id, row) {
            Ok(saga) if super::replica::is_remembered(&saga, expired) => {
                let facets = Facets::of(&saga, &mut counts.names);
                counts.add(&facets, saga.expiry_bucket(), 1);
            }
            Ok(_) => {}
            Err(error) => failed = Some(format!("the row of {key}: {error}")),
        }
    })?;
    failed.map_or(Ok(counts), |why| Err(rows.damaged(why)))
}

/// The counts of stored rows as they stand, counted anew, told by ages as these are: what [`Shown::of_rows`] of them must be.
pub fn recount_standing(rows: &dyn Rows, expired_bucket: i64, stored: &Shown) -> Result<Shown, String> {
    let mut counts = of_rows(rows, expired_bucket)?;
    counts.sums.horizon = stored.horizon;
    for of in &mut counts.participants {
        of.fold(stored.horizon);
    }
    Ok(counts.shown().of_rows())
}
