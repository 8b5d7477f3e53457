//! Records of inputs become turns: recognised, decided; or a rejection, or quarantine. Nothing stops the partition, nothing is lost.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    Change, Letter, QUARANTINE_RAW_BYTES_MAX, QuarantineReason, Quarantined, Rejected, RejectionReason,
};
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Entry, Waits, Work};
use sha2::{Digest as _, Sha256};

use super::inbox::{both_reasons, start_again};
use super::owner::Owner;
use super::taken::{Came, StartedBy, Taken};
use super::turn::Turn;
use super::{Context, EXPIRY_BUCKET_MS, Role, Settings, Why};
use crate::definition::{Definition, Starting};
use crate::faults::reached;
use crate::intake::{Answer, ControlAct, ControlRecord, Event, InputRecord, Origin, ParticipantRecord, Refused, Typing, beginning};
use crate::saga::{Basis, Evaluated, Input, Rejection, decide, name_of};

/// Bytes of a quarantined record's detail: it may quote the record, which may be as large as a topic allows.
const QUARANTINE_DETAIL_BYTES_MAX: usize = 4 * 1024;

/// What is said of a saga that is not there.
pub(super) const NOBODY: &str = "no saga of this id lives, or is remembered";

/// Why a record makes no turn of its own.
pub(super) enum NoTurn {
    /// It goes to quarantine.
    Refused(Refused),
    /// The partition cannot go on.
    Stop(Why),
}

impl From<Refused> for NoTurn {
    fn from(refused: Refused) -> Self {
        NoTurn::Refused(refused)
    }
}

impl From<Why> for NoTurn {
    fn from(why: Why) -> Self {
        NoTurn::Stop(why)
    }
}

impl Owner {
    /// Takes a record of input `index`.
    pub(super) fn input(&mut self, index: usize, record: &InputRecord<'_>, cx: &mut Context<'_>) -> Result<(), Why> {
        let Some(position) = self.ahead.reads[index].position else { return Ok(()) };
        if record.offset < position {
            return Ok(());
        }
        reached("input_fetched");
        let next = record.offset + 1;
        let taken = match &self.settings.inputs[index].role {
            Role::Replies => self.take_reply(Taken::read(index, record), cx),
            Role::Events { .. } => self.take_event(Taken::read(index, record), cx),
            Role::Control => self.take_act(index, record, cx),
            Role::Source { .. } => {
                self.route(index, record, cx);
                return Ok(());
            }
            Role::Inbox { .. } => {
                self.take_inbox(index, record, cx)?;
                cx.counters.inputs += 1;
                self.ahead.reads[index].position = Some(next);
                self.inputs[index].read(next);
                return Ok(());
            }
        };
        cx.counters.inputs += 1;
        cx.counters.unexpected += std::mem::take(&mut self.unexpected);
        match taken {
            Ok(None) => {
                cx.counters.skipped += 1;
                self.ahead.skipped += 1;
            }
            Ok(Some(turn)) => {
                self.push_or_fail(turn, Some(Taken::read(index, record)), cx)?;
                self.ahead.reads[index].journaled = Some(next);
            }
            Err(NoTurn::Refused(refused)) => {
                self.quarantine(Taken::read(index, record), &refused, cx);
                self.ahead.reads[index].journaled = Some(next);
            }
            Err(NoTurn::Stop(why)) => return Err(why),
        }
        self.ahead.reads[index].position = Some(next);
        self.inputs[index].read(next);
        Ok(())
    }

    pub(super) fn take_reply<'a>(&mut self, taken: Taken<'_, 'a>, cx: &Context<'_>) -> Result<Option<Turn<'a>>, NoTurn> {
        let value = taken.record.value.unwrap_or_default();
        if Letter::is_one(value) {
            return self.take_letter_record(taken, cx);
        }
        let answer = Answer::read(value, cx.schemas)?;
        let turn = taken.turn();
        let Some(slot) = self.find(answer.saga(), || answer.saga().into(), cx)? else {
            let detail = format!("a reply to {} for a saga that is not known or remembered", answer.key());
            return Ok(Some(turn.with(unknown(&answer.saga().into(), detail))));
        };
        let version = self.current(slot).map(|saga| saga.head.version());
        let definition = version.and_then(|version| cx.catalog.by_hash(&version)).map(|definition| &**definition);
        let input = self.projections.reply(&answer, definition)?;
        let decided = self.decide_at(slot, &Input::Reply(input), turn, cx)?;
        Ok(decided.map(|turn| turn.keeping(answer.kept(value))))
    }

    fn take_act<'a>(&mut self, index: usize, record: &InputRecord<'a>, cx: &Context<'_>) -> Result<Option<Turn<'a>>, NoTurn> {
        let value = record.value.unwrap_or_default();
        let turn = Turn::by_input(index, record).keeping(Some((0, value)));
        if let Some(act) = ParticipantRecord::read(value)? {
            return Ok(Some(self.act_on_participant(&act, turn, cx)));
        }
        let act = ControlRecord::read(value)?;
        if act.act == ControlAct::Start {
            return Ok(Some(self.start_by_hand(&act, (index, record), turn, cx)?));
        }
        let Some(slot) = self.find(&act.saga, || (&*act.saga).into(), cx)? else {
            return Ok(Some(turn.with(unknown(&(&*act.saga).into(), NOBODY))));
        };
        let Some(saga) = self.visible(slot).cloned() else {
            return Ok(Some(turn.with(unknown(&(&*act.saga).into(), NOBODY))));
        };
        let definition = self.definition_of(&saga, cx)?;
        // One that is named is meant by its name; else a value is for what is not an undo, which takes none.
        let is_meant = |entry: &&Entry| {
            let by_name = |step: &str| name_of(definition, entry) == step;
            entry.waits == Waits::Stuck && act.step.as_deref().map_or(entry.work != Work::UndoAsked, by_name)
        };
        let stuck = saga.entries.iter().find(is_meant);
        let input = match act.input(&mut self.projections, definition, stuck) {
            Ok(input) => input,
            Err(rejection) => return Ok(Some(turn.with(rejected(&(&*act.saga).into(), rejection)))),
        };
        Ok(self.decide_at(slot, &Input::Act(input), turn, cx)?)
    }

    pub(super) fn take_event<'a>(&mut self, taken: Taken<'_, 'a>, cx: &Context<'_>) -> Result<Option<Turn<'a>>, NoTurn> {
        let (settings, record) = (self.settings.clone(), taken.record);
        let typing = taken.typing(&settings);
        let origin = taken.origin(&settings);
        let default = typing.default.or(cx.catalog.default_type(origin.topic));
        let (kind, event) = Event::recognise(record, Typing { default, ..typing }, cx.schemas)?;
        let mut turn = taken.turn();
        for Starting { definition, start } in cx.catalog.starting_on(origin.topic, &kind) {
            let Some(by) = taken.starts(&definition.name) else { continue };
            turn = match self.start_one((definition, *start), &event, by, (origin, record.timestamp), cx) {
                Ok(Some(Started::Saga(slot, id, decided))) => {
                    turn.saga(slot, id, decided.events, decided.saga);
                    turn.keeping(Some((event.schema_key(), record.value.unwrap_or_default())))
                }
                Ok(Some(Started::Not(change))) => turn.with(change),
                Ok(None) => turn,
                Err(NoTurn::Refused(refused)) => {
                    let quarantined = self.quarantined(&taken, &refused, cx);
                    turn.with(Change::Quarantined(quarantined))
                }
                Err(stop) => return Err(stop),
            };
        }
        let listening = cx.catalog.listening_on(origin.topic, &kind);
        turn = self.take_listened(listening, taken, (&kind, &event), origin, turn, cx)?;
        if cx.catalog.has_matches() {
            turn = self.take_matched(taken, (&kind, &event), origin, turn, cx)?;
        }
        Ok((!turn.changes.is_empty()).then_some(turn))
    }

    /// What a start event means for one definition; nothing if its `if` is false.
    pub(super) fn start_one(
        &mut self,
        (definition, number): (&Definition, u16),
        event: &Event<'_>,
        by: StartedBy<'_>,
        (origin, timestamp): (Origin<'_>, Millis),
        cx: &Context<'_>,
    ) -> Result<Option<Started>, NoTurn> {
        let now = self.turn_time(cx);
        let offset = cx.catalog.offset_of(&definition.hash).expect("what starts on an event is in the catalog");
        let mut start = match self.projections.start((definition, number), offset, event, origin, now) {
            Ok(Some(start)) => start,
            Ok(None) => return Ok(None),
            Err(_) if !by.tells() => return Ok(None),
            Err(refused) => return Err(refused.into()),
        };
        if let StartedBy::Router(key) = by {
            key.clone_into(&mut start.key);
        }
        let id = self.replica.saga_id(&definition.name, &start.key);
        let home = names::partition_of(start.key.as_bytes(), self.settings.partitions);
        match by {
            StartedBy::Record | StartedBy::Router(_) => {}
            StartedBy::Hand(meant, _) if *meant != *id => {
                let detail = format!("this event starts {id}, not {meant}");
                return Err(Refused::new(QuarantineReason::KeyInvalid, detail, None).into());
            }
            StartedBy::Hand(_, by_hand) => start.by_hand = Some(by_hand),
            // It is there, too.
            StartedBy::Again(_) if home != self.settings.number => return Ok(None),
            StartedBy::Again(redriven) => start_again(redriven, &mut start),
        }
        if home != self.settings.number {
            return Err(elsewhere(&start.key, home, &self.settings, origin.topic, event).into());
        }
        // By the partition's time, which may be ahead of what can be trusted: an order is too old only if it may be forgotten.
        let ahead = now - self.remembered_from(cx);
        start.event_time = start.event_time.map(|time| time.saturating_add(ahead));
        let found = self.find(&id, || id.clone(), cx)?;
        let saga = found.and_then(|slot| self.remembered(slot)).cloned();
        if let Some(expected) = saga.as_ref().filter(|saga| !saga.began()) {
            start.early = self.moves_in(expected, definition, now, cx);
        }
        let input = Input::Start(start);
        let basis = Basis { definition, values: &Evaluated::new(definition), breakers: &self.ahead.breakers, above: &[] };
        let decided = decide(basis, &id, saga.as_ref(), &input, now, &mut self.scratch);
        if let Input::Start(start) = input {
            self.projections.give_back(start);
        }
        match decided {
            Ok(decided) => {
                let slot = found.unwrap_or_else(|| self.replica.table.insert(id.clone()));
                Ok(Some(Started::Saga(slot, id, decided)))
            }
            Err(rejection) if rejection.reason == RejectionReason::TooOld => {
                let detail = format!("{}{}", rejection.detail, unit_hint(timestamp, now));
                Err(Refused::new(QuarantineReason::TooOld, detail, event.fingerprint()).into())
            }
            Err(rejection) => Ok(Some(Started::Not(rejected(&id, rejection)))),
        }
    }

    /// The time up to which finished sagas may be forgotten: what began before it may have run already.
    fn remembered_from(&self, cx: &Context<'_>) -> Millis {
        self.clock.trusted(cx.clocks()).max((self.ahead.expired + 1) * EXPIRY_BUCKET_MS)
    }

    pub(super) fn quarantined(&self, taken: &Taken<'_, '_>, refused: &Refused, cx: &Context<'_>) -> Quarantined {
        let (record, origin) = (taken.record, taken.origin(&self.settings));
        let raw = record.value.unwrap_or_default();
        let both = if let Came::Redriven(redriven, ..) = taken.came { Some(both_reasons(redriven, &refused.detail)) } else { None };
        let detail = both.as_deref().unwrap_or(&refused.detail);
        Quarantined {
            reason: refused.reason,
            detail: beginning(detail, QUARANTINE_DETAIL_BYTES_MAX).into(),
            topic: origin.topic.into(),
            partition: origin.partition,
            offset: record.offset,
            schema: refused.schema.map(|fingerprint| fingerprint as i64),
            key: record.key.map(|key| Bytes::copy_from_slice(&key[..key.len().min(QUARANTINE_RAW_BYTES_MAX)])),
            raw: Bytes::copy_from_slice(&raw[..raw.len().min(QUARANTINE_RAW_BYTES_MAX)]),
            length: raw.len() as i64,
            sha256: Bytes::copy_from_slice(&Sha256::digest(raw)),
            at: self.turn_time(cx),
        }
    }

    pub(super) fn quarantine(&mut self, taken: Taken<'_, '_>, refused: &Refused, cx: &mut Context<'_>) {
        let quarantined = self.quarantined(&taken, refused, cx);
        self.push_small(taken.turn().with(Change::Quarantined(quarantined)), cx);
    }
}

/// An event for a saga that lives in another partition.
pub(super) fn elsewhere(key: &str, home: i32, settings: &Settings, topic: &str, event: &Event<'_>) -> Refused {
    let (number, partitions) = (settings.number, settings.partitions);
    let detail = format!(
        "saga key '{key}' belongs to partition {home} of {partitions}, the record was in {number}. Set `topics.\"{topic}\".routed = true` and start again, and send the record again; or mend the producer: the record's key must be the saga's key, hashed by murmur2 (Java clients do; for librdkafka set partitioner=murmur2_random)"
    );
    Refused::new(QuarantineReason::WrongPartition, detail, event.fingerprint())
}

/// What came of a start event.
pub(super) enum Started {
    /// A saga began.
    Saga(super::table::Slot, Arc<str>, crate::saga::Decided),
    /// It was rejected.
    Not(Change),
}

/// An input that was understood and not taken.
pub(super) fn rejected(saga: &Arc<str>, rejection: Rejection) -> Change {
    Change::Rejected(Rejected { saga: saga.clone(), reason: rejection.reason, detail: rejection.detail.into() })
}

/// An input for a saga that is not there.
pub(super) fn unknown(saga: &Arc<str>, detail: impl Into<String>) -> Change {
    rejected(saga, Rejection { reason: RejectionReason::UnknownSaga, detail: detail.into() })
}

/// What to do about a stamp that is today's time in seconds, as some producers write it.
fn unit_hint(timestamp: Millis, now: Millis) -> String {
    const YEARS_S: i64 = 10 * 365 * 86_400;
    let is_seconds = (now / 1000 - timestamp).abs() < YEARS_S;
    let hint = format!(
        "; its timestamp {timestamp} looks like seconds, and records are stamped in milliseconds: mend the producer, and send the record again"
    );
    if is_seconds { hint } else { String::new() }
}
