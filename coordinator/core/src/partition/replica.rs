//! What counts: all that the journal's counting records make true, and nothing that is ahead of them.
//!
//! ```text
//! restore(checkpoint) -> take(record) -> take(record) -> ... -> stage() -> a batch for the store
//! ```
//!
//! An owner's own records come by `adopt`, once they are confirmed: what they do is known already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    BreakerChange, Change, Decision, DefinitionHash, Head, JournalRecord, Position, Quarantined, SagaEvent, Stamp, TopicId,
    ValueRelease,
};
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Checkpoint, Digest, Index, Saga};

use super::ahead::{Move, Pending};
use super::counts::{Counts, Tallied, tally};
use super::fence::{Fence, Verdict, identity_of};
use super::late::{Changed, LateEffects, LookedAt, Unmade};
use super::marks::{self, Marks};
use super::outbox::Outbox;
use super::table::Table;
use super::traced::{self, Traced};
use super::turns::{Taker, remember};
use super::{Rows, Settings, digest, law};
use crate::faults::mutated;
use crate::saga::{Breakers, Effect, IllegalEvent, Sender, apply, brought, effects, order_of, returned};

/// Why something could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untaken {
    /// The store could not be read, or says what cannot be: made anew it is sound.
    #[error("{0}")]
    Store(String),
    /// What was to be taken cannot be: corruption of the journal, or a snapshot that does not fit.
    #[error("{0}")]
    Wrong(String),
}

/// The state of one partition at an offset of its journal.
pub struct Replica {
    pub(super) settings: Arc<Settings>,
    pub(super) fence: Fence,
    /// The newest journaled time.
    pub(super) now: Millis,
    /// Where inputs go on, also those that are not configured now: they may come back.
    pub(super) positions: Vec<Position>,
    /// How far what routers hand on was taken.
    pub(super) marks: Marks,
    pub(super) table: Table,
    pub(super) outbox: Outbox,
    /// What belongs behind it, of records that were replayed.
    pub(super) late: LateEffects,
    /// The highest `released` of a counting record.
    pub(super) released: i64,
    /// Buckets up to this one are expired.
    pub(super) expired: i64,
    /// Who is not asked now.
    pub(super) breakers: Breakers,
    /// Breakers that differ from the stored ones.
    pub(super) touched_breakers: BTreeSet<Arc<str>>,
    /// What stored breakers take part in the digest with.
    pub(super) stored_breakers: BTreeMap<Arc<str>, u128>,
    /// Over all rows, as of the last batch.
    pub(super) digest: Digest,
    /// How many sagas stand where, and what participants were asked: rows as of the last batch, all else as of now.
    pub(super) counts: Counts,
    /// A buffer for what a record tells of.
    tallied: Vec<Tallied>,
    /// What is to be told of sagas that are traced, of an owner's own records.
    pub(super) traced: Vec<Traced>,
    /// The journal offset of the stored checkpoint; -1 if there is none.
    pub(super) stored: i64,
    /// Versions that sagas were started by in records that were replayed, with their offsets in the topic of definitions.
    pub(super) versions: BTreeMap<DefinitionHash, i64>,
    command_topics: HashMap<Arc<str>, Arc<str>>,
    scratch: String,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("fence", &self.fence).field("rows", &self.table.len()).finish_non_exhaustive()
    }
}

impl Replica {
    /// The state before the journal's first record.
    pub fn new(settings: Arc<Settings>) -> Replica {
        Replica {
            settings,
            fence: Fence::default(),
            now: 0,
            positions: Vec::new(),
            marks: Marks::default(),
            table: Table::default(),
            outbox: Outbox::default(),
            late: LateEffects::default(),
            released: 0,
            expired: -1,
            breakers: Breakers::default(),
            touched_breakers: BTreeSet::new(),
            stored_breakers: BTreeMap::new(),
            digest: digest::empty(),
            counts: Counts::default(),
            tallied: Vec::new(),
            traced: Vec::new(),
            stored: -1,
            versions: BTreeMap::new(),
            command_topics: HashMap::new(),
            scratch: String::new(),
        }
    }

    /// The state of the store.
    pub fn restore(settings: Arc<Settings>, mut checkpoint: Checkpoint, rows: &dyn Rows) -> Result<Replica, String> {
        let outbox = Outbox::restore(rows)?;
        let count = |index| {
            let mut count = 0;
            let visit = &mut |_, _| {
                count += 1;
                true
            };
            rows.scan(index, Millis::MIN, Millis::MAX, visit).map(|()| count)
        };
        let (stuck, parked) = (count(Index::Stuck)?, count(Index::Parked)?);
        let (breakers, stored_breakers) = digest::stored_breakers(rows)?;
        let (positions, marks) = marks::told_apart(std::mem::take(&mut checkpoint.positions));
        let mut replica = Replica {
            breakers,
            stored_breakers,
            fence: law::fence_of(&checkpoint),
            now: checkpoint.now,
            positions,
            marks,
            table: Table::over(stuck, parked),
            outbox,
            released: checkpoint.released,
            expired: checkpoint.expired_bucket,
            digest: checkpoint.digest,
            stored: checkpoint.journal_offset,
            ..Replica::new(settings)
        };
        replica.restore_counts(rows)?;
        Ok(replica)
    }

    /// The next offset of the journal that it takes.
    pub fn next_offset(&self) -> i64 {
        self.fence.next_offset
    }

    /// True if what stands there in the journal is the record that it took last: the proof that this is its log (PROTOCOL.md rule 9).
    pub fn ends_with(&self, value: &[u8]) -> bool {
        identity_of(value).is_ok_and(|found| found == self.fence.identity)
    }

    /// Rows that the next batch will hold.
    pub fn dirty_count(&self) -> usize {
        self.table.dirty_count()
    }

    /// Takes what stands at an offset of the journal, as [`Replica::take`] does; what is not of this project is passed.
    pub fn read(&mut self, offset: i64, value: &[u8], rows: &dyn Rows) -> Result<Verdict, Untaken> {
        match JournalRecord::read(value).map_err(|error| Untaken::Wrong(error.to_string()))? {
            Some(record) => self.take(offset, record, rows),
            None => {
                self.fence.pass(offset);
                Ok(Verdict::Void)
            }
        }
    }

    /// Takes one record of the journal in the log's order: the counting rule, then `apply` alone.
    pub fn take(&mut self, offset: i64, record: JournalRecord, rows: &dyn Rows) -> Result<Verdict, Untaken> {
        let verdict = self.fence.judge(offset, &record);
        if law::moves_positions(verdict) {
            self.take_positions(&record);
        }
        if let (Verdict::Counts, Some(stamp)) = (verdict, record.stamp()) {
            self.take_stamp(stamp);
            if let JournalRecord::Decision(decision) = record {
                self.take_changes(offset, decision, rows)?;
            }
        }
        Ok(verdict)
    }

    fn take_stamp(&mut self, stamp: &Stamp) {
        self.now = self.now.max(stamp.now);
        self.released = self.released.max(stamp.released);
        self.release();
    }

    fn release(&mut self) {
        self.outbox.release_below(self.released);
        self.late.release_below(self.released);
    }

    fn take_positions(&mut self, record: &JournalRecord) {
        match record {
            JournalRecord::Decision(decision) => {
                for (input, next) in decision.turns.iter().filter_map(|turn| law::position_of(&turn.cause)) {
                    let topic = decision.topics.get(input);
                    let is_it = |position: &&mut Position| Some(&position.topic) == topic && !position.name.contains('/');
                    if let Some(position) = self.positions.iter_mut().find(is_it) {
                        position.next = next;
                    }
                }
                for (source, partition, next) in decision.turns.iter().filter_map(|turn| law::mark_of(&turn.cause)) {
                    self.marks.pass(source, partition, next);
                }
            }
            JournalRecord::Positions(positions) => positions.positions.iter().for_each(|position| self.set_position(position)),
            JournalRecord::Claim(_) | JournalRecord::Bare(_) => {}
        }
    }

    fn set_position(&mut self, new: &Position) {
        match self.positions.iter_mut().find(|position| position.topic == new.topic && position.name == new.name) {
            Some(position) => position.next = new.next,
            None => self.positions.push(new.clone()),
        }
    }

    /// Where reading goes on of what has this name in the journal.
    pub(super) fn position(&self, topic: TopicId, place: &str) -> Option<i64> {
        self.positions.iter().find(|position| position.topic == topic && *position.name == *place).map(|position| position.next)
    }

    /// True if the journal says this of what is routed.
    pub(super) fn says(&self, position: &Position) -> bool {
        self.position(position.topic, &position.name) == Some(position.next)
    }

    fn take_changes(&mut self, offset: i64, decision: Decision, rows: &dyn Rows) -> Result<(), Untaken> {
        let (at, mut unmade, mut tallied) = (decision.stamp.now, Vec::new(), std::mem::take(&mut self.tallied));
        for change in decision.turns.into_iter().flat_map(|turn| turn.changes) {
            match change {
                Change::Saga(change) => {
                    let slot = self.load_or_insert(&change.saga, rows)?;
                    for event in &change.events {
                        if let SagaEvent::Started { head, .. } = event {
                            self.note_version(head);
                        }
                    }
                    let (expired, names) = (self.expired, &mut self.counts.names);
                    let saga = self.table.change(slot, |row| {
                        // It starts anew where nobody remembers it.
                        row.take_if(|saga| !is_remembered(saga, expired));
                        tally((&change.saga, row.as_deref(), at), &change.events, names, &mut tallied);
                        change.events.iter().try_for_each(|event| apply(&change.saga, row, event, at))?;
                        row.iter_mut().for_each(|saga| remember(saga, offset, Taker::Replay));
                        Ok(())
                    });
                    let saga = saga.map_err(|illegal: IllegalEvent| Untaken::Wrong(illegal.to_string()))?;
                    let empty = || Untaken::Wrong(format!("a change of {} holds no event", change.saga));
                    unmade.push(Unmade::Saga(Changed::new(saga.ok_or_else(empty)?, change.events)));
                }
                Change::Quarantined(quarantined) => unmade.push(Unmade::Quarantined(quarantined)),
                Change::ValueReturned(release) => unmade.push(Unmade::Returned(release)),
                Change::Rejected(_) => {}
                Change::Expired(expired) => self.expired = self.expired.max(expired.bucket),
                Change::Undeliverable(place) => {
                    self.make_late_effects(LookedAt::SetApart);
                    self.outbox.set_apart((place.offset, place.index));
                }
                Change::Delivered(place) => self.outbox.delivered((place.offset, place.index)),
                Change::Breaker(change) => self.set_breaker(&change, at),
            }
        }
        if !mutated("replay_not_tallied") {
            self.counts.happened(&tallied);
        }
        tallied.clear();
        self.tallied = tallied;
        self.late.push(offset, at, unmade);
        self.release();
        Ok(())
    }

    /// The place of a row, loaded if it is in the store, made if there is none.
    pub(super) fn load_or_insert(&mut self, id: &Arc<str>, rows: &dyn Rows) -> Result<super::table::Slot, Untaken> {
        self.table.find_or_insert(id, rows, &mut self.counts.names).map_err(Untaken::Store)
    }

    /// A saga runs by the version that its head names.
    pub(super) fn note_version(&mut self, head: &Head) {
        self.versions.entry(head.version()).or_insert_with(|| head.fields().version_offset);
    }

    fn set_breaker(&mut self, change: &BreakerChange, at: Millis) {
        self.breakers.apply(&change.participant, &change.event, at);
        self.touched_breakers.insert(change.participant.clone());
    }

    /// A saga's id.
    pub(super) fn saga_id(&mut self, definition: &str, key: &str) -> Arc<str> {
        self.scratch.clear();
        names::put_saga_id(definition, key, &mut self.scratch);
        self.scratch.as_str().into()
    }

    /// The saga at a place: none if it never was, or its retention is over.
    pub(super) fn living(&self, slot: super::table::Slot) -> Option<&Arc<Saga>> {
        self.table.row(slot).saga.as_ref().filter(|saga| is_remembered(saga, self.expired))
    }

    /// Takes an own record that was confirmed at `offset`; the numbers of its effects.
    pub(super) fn adopt(&mut self, offset: i64, pending: &mut Pending) -> std::ops::Range<u64> {
        self.fence.confirmed(offset, pending.number);
        self.now = self.now.max(pending.now);
        self.released = self.released.max(pending.released);
        for (slot, saga) in pending.rows.drain(..) {
            if let Some(tracing) = &self.settings.tracing {
                traced::note(tracing, &saga, (offset, pending.now), &mut self.traced);
            }
            self.table.set(slot, saga);
        }
        self.counts.happened(&pending.tallied);
        self.counts.lately.happened(&pending.tallied);
        for position in &pending.positions {
            self.set_position(position);
        }
        for moved in pending.moves.drain(..) {
            match moved {
                Move::Expired(bucket) => self.expired = bucket,
                Move::Undeliverable(place) => self.outbox.set_apart(place),
                Move::Delivered(place) => self.outbox.delivered(place),
                Move::Breaker(change) => self.set_breaker(&change, pending.now),
                Move::Mark(source, partition, next) => {
                    if law::mark_goes_with_its_turn() {
                        self.marks.pass(source, partition, next);
                    }
                }
                Move::Pin(position) => self.set_position(&position),
            }
        }
        self.outbox.push(offset, std::mem::take(&mut pending.effects))
    }

    /// Appends what these events of a saga cause to be sent, in a turn at this time. Its row is needed where [`takes_row`] says so.
    pub(super) fn effects_of(
        &mut self,
        (id, head, row): (&str, &Head, Option<&Saga>),
        events: &[SagaEvent],
        at: Millis,
        out: &mut Vec<Effect>,
    ) {
        let topics = &mut self.command_topics;
        let mut topic_of = |command: &str| -> Arc<str> {
            if let Some(topic) = topics.get(command) {
                return topic.clone();
            }
            let topic: Arc<str> = names::command_topic(names::participant_of(command)).into();
            topics.insert(command.into(), topic.clone());
            topic
        };
        let (reply_topic, partition) = (&*self.settings.reply_topic, self.settings.number);
        let tracing = self.settings.tracing.as_ref();
        let sender = Sender { id, head, at, reply_topic, partition, tracing };
        for event in events {
            let order = row.and_then(|row| order_of(row, event));
            effects(sender, event, order, &mut topic_of, &mut self.scratch, out);
        }
        if let Some(value) = row.filter(|row| row.mailbox().is_some()) {
            events.iter().for_each(|event| brought(sender, value, event, out));
        }
    }

    /// The letter by which a value goes back that was given to nobody.
    pub(super) fn return_effect(&self, release: &ValueRelease) -> Effect {
        returned(release, &self.settings.reply_topic)
    }

    pub(super) fn quarantine_effect(&self, quarantined: &Quarantined) -> Effect {
        let (topic, value) = (self.settings.quarantine_topic.clone(), quarantined.encode());
        Effect::new(topic, quarantined.key.as_deref().unwrap_or_default(), value.len(), |out| out.extend_from_slice(&value))
    }
}

/// True until the bucket expires in which a finished saga's retention ends.
pub(super) fn is_remembered(saga: &Saga, expired: i64) -> bool {
    saga.expiry_bucket().is_none_or(|bucket| bucket > expired)
}
