//! What is parked goes out again: one by one as probes while a breaker is open, and then little by little, the lowest rank first.
//!
//! ```text
//! rows in memory + the store's index of what is parked -> the lowest ranks -> one Unpark each -> answers let more go
//! ```
//!
//! How many are out at once begins with one, and grows by one with each good answer: it doubles from round trip to round trip, up to a
//! bound. A bad answer halves it, but not that of one that was out already when it was halved last: they are of one time, and say one
//! thing. Else a participant that loses one in three would be asked two or three at a time, however well it answers the others. What is
//! out and is never heard of again counts no longer than its attempt's time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{BreakerEvent, Cause, Place, SagaEvent};
use ringmaster_schemas::state::{Breaker, BreakerState, Entry, Index, RowKey, Saga, Waits, parked_places, rank_of};

use super::owner::Owner;
use super::turn::Turn;
use super::{Context, Why};
use crate::faults::mutated;
use crate::saga::Input;

/// Ids that are held in memory for a participant: the lowest ranks of what is parked for it.
const QUEUE_MAX: usize = 4096;
/// Probes whose answers are still awaited.
const PROBES_MAX: usize = 16;
/// While it drains it is looked this often whether more may go, and no probe goes out sooner than that.
const LOOK_EVERY_MS: Millis = 100;

/// What is known of participants whose breakers are not closed, beside the journal. Lost with the process, it is found again.
#[derive(Debug, Default)]
pub(super) struct Drains(BTreeMap<Arc<str>, Drain>);

/// One participant's.
#[derive(Debug)]
struct Drain {
    /// The lowest ranks, with their sagas; some may be parked no more.
    queue: BTreeSet<(i64, Arc<str>)>,
    /// Nothing is parked that is not in the queue.
    is_all: bool,
    /// Where the store's index is read on, in the ranges of the participant alone and of several; none: from the beginning.
    read_on: Option<[i64; 2]>,
    /// In this pass through the index something was parked, or was left for the next pass.
    found: bool,
    /// When the next probe goes out, by the steady clock.
    probe_at: Millis,
    probes: VecDeque<(Arc<str>, Place)>,
    /// A probe was answered.
    answered: bool,
    /// How many may be out at once.
    window: usize,
    /// When that was halved last, or began with one, by the partition's time.
    halved_at: Millis,
    /// When each that is out counts no longer, by the partition's time.
    out: VecDeque<Millis>,
}

impl Drain {
    fn new(is_all: bool, probe_at: Millis) -> Drain {
        Drain {
            queue: BTreeSet::new(),
            is_all,
            read_on: None,
            found: false,
            probe_at,
            probes: VecDeque::new(),
            answered: false,
            window: 1,
            halved_at: Millis::MIN,
            out: VecDeque::new(),
        }
    }

    /// Something is parked now.
    fn insert(&mut self, rank: i64, id: &Arc<str>) {
        if !self.is_all && self.queue.last().is_none_or(|(highest, _)| rank > *highest) {
            self.found = true;
            return;
        }
        self.queue.insert((rank, id.clone()));
        if self.queue.len() > QUEUE_MAX {
            self.queue.pop_last();
            (self.is_all, self.found) = (false, true);
        }
    }
}

impl Drains {
    /// A breaker opened, or begins to let go. What was parked before is in the store, or in memory, if it was open already.
    /// `probe_at`: when a first probe would go out.
    pub(super) fn begin(&mut self, participant: &Arc<str>, breaker: &Breaker, was_closed: bool, probe_at: Millis) {
        let is_probed = breaker.state == BreakerState::Open || mutated("paused_participant_probed");
        let probe_at = if is_probed { probe_at } else { Millis::MAX };
        let is_all = was_closed || mutated("parked_forgotten_at_restart");
        let drain = self.0.entry(participant.clone()).or_insert_with(|| Drain::new(is_all, probe_at));
        (drain.probe_at, drain.window, drain.answered) = (probe_at, 1, false);
        drain.halved_at = breaker.since;
        drain.probes.clear();
    }

    /// A breaker is closed.
    pub(super) fn end(&mut self, participant: &str) {
        self.0.remove(participant);
    }

    /// A participant answered one of its commands well, so that more may be out, up to so many; or not, or not at all. `sent`: when the
    /// open attempt of this leaf was sent, if there is one.
    pub(super) fn note(
        &mut self,
        participant: &str,
        well: Option<usize>,
        (saga, place): (&str, Place),
        (sent, now): (Option<Millis>, Millis),
    ) {
        let Some(drain) = self.0.get_mut(participant) else { return };
        drain.out.pop_front();
        if let Some(most) = well {
            drain.window = (drain.window + 1).min(most);
        } else if sent.is_some_and(|sent| sent >= drain.halved_at) || mutated("halved_by_each_failure") {
            (drain.window, drain.halved_at) = ((drain.window / 2).max(1), now);
        }
        // One that ran out of time may still be answered: late is not never.
        drain.answered |= well.is_some() && drain.probes.iter().any(|probe| (&*probe.0, probe.1) == (saga, place));
    }

    /// Notes what these events of a saga parked.
    pub(super) fn note_parked(&mut self, saga: &Saga, events: &[SagaEvent]) {
        let parks = |event: &SagaEvent| matches!(event, SagaEvent::Parked { .. } | SagaEvent::Entered { .. });
        if !events.iter().any(parks) {
            return;
        }
        for entry in &saga.entries {
            if let Some(drain) = entry.parked_for().and_then(|participant| self.0.get_mut(participant)) {
                drain.insert(rank(saga, entry), &saga.id);
            }
        }
    }

    /// How long until something may go out without anything happening.
    pub(super) fn idle_ms(&self, steady: Millis) -> Millis {
        let next = |drain: &Drain| if drain.out.is_empty() { drain.probe_at.saturating_sub(steady) } else { LOOK_EVERY_MS };
        self.0.values().map(next).min().map_or(Millis::MAX, |next| next.max(LOOK_EVERY_MS))
    }
}

impl Owner {
    /// Lets go what may go now.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        if self.ahead.breakers.is_empty() {
            return Ok(());
        }
        let all: Vec<_> = self.ahead.breakers.iter().map(|(name, breaker)| (name.clone(), breaker.state)).collect();
        for (participant, state) in all {
            match state {
                BreakerState::Paused if mutated("paused_participant_probed") => self.probe(&participant, cx)?,
                BreakerState::Paused => {}
                BreakerState::Open => self.probe(&participant, cx)?,
                BreakerState::Draining => self.let_go(&participant, cx)?,
            }
        }
        Ok(())
    }

    fn drain_of(&mut self, participant: &Arc<str>) -> &mut Drain {
        self.drains.0.get_mut(participant).expect("a breaker that is not closed has one")
    }

    /// While it is open one command goes out now and then: its answer tells.
    fn probe(&mut self, participant: &Arc<str>, cx: &mut Context<'_>) -> Result<(), Why> {
        let (steady, every) = (cx.steady, self.settings.breaker.probe_ms);
        let drain = self.drain_of(participant);
        if std::mem::take(&mut drain.answered) {
            let why = "it answered a probe: what is parked goes out little by little".into();
            self.breaker(participant, BreakerEvent::Draining { by: None, why }, cx);
            return self.let_go(participant, cx);
        }
        if steady < drain.probe_at || self.overloaded() {
            return Ok(());
        }
        self.drain_of(participant).probe_at = steady.saturating_add(every);
        match self.unpark_next(participant, cx)? {
            Some(probe) => {
                let drain = self.drain_of(participant);
                drain.probes.truncate(PROBES_MAX - 1);
                drain.probes.push_front(probe);
            }
            None => self.close(participant, "nothing waits for it: the next command will tell", cx),
        }
        Ok(())
    }

    fn let_go(&mut self, participant: &Arc<str>, cx: &mut Context<'_>) -> Result<(), Why> {
        let now = self.turn_time(cx);
        self.drain_of(participant).out.retain(|until| *until > now);
        while !self.overloaded() {
            let drain = self.drain_of(participant);
            if drain.is_all && drain.queue.is_empty() {
                self.close(participant, "nothing is parked for it any more", cx);
                return Ok(());
            }
            if drain.out.len() >= drain.window && !mutated("drained_at_once") {
                return Ok(());
            }
            let Some((id, place)) = self.unpark_next(participant, cx)? else {
                self.close(participant, "nothing is parked for it any more", cx);
                return Ok(());
            };
            let entry = self.replica.table.place(&id).and_then(|slot| self.current(slot)).and_then(|saga| saga.entry(place));
            let until = entry.map_or(now, |entry| if entry.waits == Waits::Reply { entry.due_at() } else { now });
            self.drain_of(participant).out.push_back(until);
        }
        Ok(())
    }

    fn close(&mut self, participant: &Arc<str>, why: &str, cx: &mut Context<'_>) {
        self.breaker(participant, BreakerEvent::Closed { why: why.into() }, cx);
    }

    /// What has the lowest rank goes out: which saga's, and which leaf; none if nothing is parked for this participant.
    fn unpark_next(&mut self, participant: &Arc<str>, cx: &mut Context<'_>) -> Result<Option<(Arc<str>, Place)>, Why> {
        loop {
            let drain = self.drain_of(participant);
            let next = if mutated("drained_youngest_first") { drain.queue.pop_last() } else { drain.queue.pop_first() };
            let Some((rank, id)) = next else {
                if drain.is_all {
                    return Ok(None);
                }
                self.refill(participant, cx)?;
                continue;
            };
            let is_loaded = self.replica.table.place(&id).is_none();
            let Some(slot) = self.find(&id, || id.clone(), cx)? else { continue };
            let parked: Vec<_> = self.visible(slot).map_or_else(Vec::new, |saga| parked_in(saga, participant));
            let Some(&(lowest, place)) = parked.first() else {
                if is_loaded {
                    // Only looked at.
                    self.evict(slot);
                }
                continue;
            };
            let drain = self.drain_of(participant);
            drain.found = true;
            if lowest > rank {
                // It has been out meanwhile, or another leaf of it was counted: its turn comes later.
                drain.queue.insert((lowest, id));
                continue;
            }
            drain.queue.extend(parked.get(1).map(|(rank, _)| (*rank, id.clone())));
            let turn = Turn::of(Cause::Upkeep {}).unparking(place);
            if let Some(turn) = self.decide_at(slot, &Input::Unpark(place), turn, cx)? {
                self.push_or_fail(turn, None, cx)?;
            }
            return Ok(Some((id, place)));
        }
    }

    /// Reads on: the lowest ranks of what is parked in memory, and in the store behind where it was read to.
    fn refill(&mut self, participant: &Arc<str>, cx: &Context<'_>) -> Result<(), Why> {
        let ranges = [parked_places(Some(participant)), parked_places(None)];
        let read_on = self.drain_of(participant).read_on;
        let mut from = read_on.unwrap_or([ranges[0].start, ranges[1].start]);
        let mut queue = BTreeSet::new();
        for slot in self.replica.table.slots() {
            let Some(saga) = self.visible(slot) else { continue };
            queue.extend(parked_in(saga, participant).first().map(|(rank, _)| (*rank, saga.id.clone())));
        }
        let (table, mut unread) = (&self.replica.table, i64::MAX);
        for (from, range) in from.iter_mut().zip(&ranges) {
            let (mut taken, mut last, mut is_cut) = (0, *from, false);
            let visit = &mut |at: i64, key: RowKey| {
                // Those of one number are taken together: the next time it is read behind it.
                is_cut = taken >= QUEUE_MAX && at > last;
                if let (false, RowKey::Saga(id)) = (is_cut, key)
                    && table.place(&id).is_none()
                {
                    taken += 1;
                    queue.insert((at - range.start, id));
                }
                last = if is_cut { last } else { at };
                !is_cut
            };
            let scanned = cx.rows.scan(Index::Parked, *from, range.end, visit);
            scanned.map_err(|detail| self.unreadable(detail))?;
            if is_cut {
                *from = last + 1;
                unread = unread.min(last + 1 - range.start);
            }
        }
        let (ended, count) = (unread == i64::MAX, queue.len());
        // What is not read yet may come before these.
        queue.retain(|(rank, _)| *rank < unread);
        while queue.len() > 2 * QUEUE_MAX {
            queue.pop_last();
        }
        let left = queue.len() < count;
        let drain = self.drain_of(participant);
        let found = drain.found && read_on.is_some();
        // A whole pass, in one go or with nothing found, has seen all.
        drain.is_all = ended && !left && (read_on.is_none() || !found);
        drain.found = found || left;
        drain.read_on = (!ended).then_some(from);
        drain.queue = queue;
        Ok(())
    }
}

/// In which order what is parked goes out.
fn rank(saga: &Saga, entry: &Entry) -> i64 {
    if mutated("drain_by_age_only") { entry.since } else { rank_of(saga, entry) }
}

/// What of a saga is parked for this participant, the lowest rank first.
fn parked_in(saga: &Saga, participant: &str) -> Vec<(i64, Place)> {
    let entries = saga.entries.iter().zip(0..);
    let mut all: Vec<_> = entries
        .filter(|(entry, _)| entry.parked_for().is_some_and(|name| **name == *participant))
        .map(|(entry, place)| (rank(saga, entry), place))
        .collect();
    all.sort_unstable();
    all
}
