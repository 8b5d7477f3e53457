//! Records of inputs become turns: recognised, decided; or a rejection, or quarantine. Nothing stops the partition, nothing is lost.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Change, QUARANTINE_RAW_BYTES_MAX, QuarantineReason, Quarantined, Rejected, RejectionReason};
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Entry, Waits, Work};
use sha2::{Digest as _, Sha256};

use super::owner::Owner;
use super::turn::Turn;
use super::{Context, EXPIRY_BUCKET_MS, Role, Settings, Why};
use crate::definition::Definition;
use crate::faults::reached;
use crate::intake::{Answer, ControlAct, ControlRecord, Event, InputRecord, Origin, ParticipantRecord, Refused, Typing};
use crate::saga::{Basis, ByHand, Evaluated, Input, Rejection, decide, name_of};

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
        cx.counters.inputs += 1;
        let next = record.offset + 1;
        let taken = match &self.settings.inputs[index].role {
            Role::Replies => self.take_reply(index, record, cx),
            Role::Events { .. } => self.take_event(index, record, cx),
            Role::Control => self.take_act(index, record, cx),
        };
        cx.counters.unexpected += std::mem::take(&mut self.unexpected);
        match taken {
            Ok(None) => {
                cx.counters.skipped += 1;
                self.ahead.skipped += 1;
            }
            Ok(Some(turn)) => {
                self.push_or_fail(turn, Some((index, record)), cx)?;
                self.ahead.reads[index].journaled = Some(next);
            }
            Err(NoTurn::Refused(refused)) => {
                self.quarantine(index, record, &refused, cx);
                self.ahead.reads[index].journaled = Some(next);
            }
            Err(NoTurn::Stop(why)) => return Err(why),
        }
        self.ahead.reads[index].position = Some(next);
        self.inputs[index].read(next);
        Ok(())
    }

    fn take_reply<'a>(&mut self, index: usize, record: &InputRecord<'a>, cx: &Context<'_>) -> Result<Option<Turn<'a>>, NoTurn> {
        let value = record.value.unwrap_or_default();
        let answer = Answer::read(value, cx.schemas)?;
        let turn = Turn::by_input(index, record);
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

    fn take_event<'a>(&mut self, index: usize, record: &InputRecord<'a>, cx: &Context<'_>) -> Result<Option<Turn<'a>>, NoTurn> {
        let settings = self.settings.clone();
        let (topic, number) = (&settings.inputs[index].name, settings.number);
        let Role::Events { type_field, default_type } = &settings.inputs[index].role else {
            unreachable!("only topics of events carry them");
        };
        let default = default_type.as_deref().or(cx.catalog.default_type(topic));
        let origin = Origin { topic, partition: number };
        let (kind, event) = Event::recognise(record, Typing { field: type_field, default }, cx.schemas)?;
        let mut turn = Turn::by_input(index, record);
        for definition in cx.catalog.starting_on(topic, &kind) {
            turn = match self.start_one(definition, &event, None, (origin, record.timestamp), cx) {
                Ok(Some(Started::Saga(slot, id, decided))) => {
                    turn.saga(slot, id, decided.events, decided.saga);
                    turn.keeping(Some((event.schema_key(), record.value.unwrap_or_default())))
                }
                Ok(Some(Started::Not(change))) => turn.with(change),
                Ok(None) => turn,
                Err(NoTurn::Refused(refused)) => {
                    let quarantined = self.quarantined(index, record, &refused, cx);
                    turn.with(Change::Quarantined(quarantined))
                }
                Err(stop) => return Err(stop),
            };
        }
        let listening = cx.catalog.listening_on(topic, &kind);
        turn = self.take_listened(listening, (index, record), (&kind, &event), origin, turn, cx)?;
        Ok((!turn.changes.is_empty()).then_some(turn))
    }

    /// What a start event means for one definition; nothing if its `if` is false. `by_hand`: which saga a person wants to start, and who.
    pub(super) fn start_one(
        &mut self,
        definition: &Definition,
        event: &Event<'_>,
        by_hand: Option<(&str, ByHand)>,
        (origin, timestamp): (Origin<'_>, Millis),
        cx: &Context<'_>,
    ) -> Result<Option<Started>, NoTurn> {
        let now = self.turn_time(cx);
        let offset = cx.catalog.offset_of(&definition.hash).expect("what starts on an event is in the catalog");
        let Some(mut start) = self.projections.start(definition, offset, event, origin, now)? else { return Ok(None) };
        let id = self.replica.saga_id(&definition.name, &start.key);
        if let Some((meant, by_hand)) = by_hand {
            if *meant != *id {
                let detail = format!("this event starts {id}, not {meant}");
                return Err(Refused::new(QuarantineReason::KeyInvalid, detail, None).into());
            }
            start.by_hand = Some(by_hand);
        }
        let home = names::partition_of(start.key.as_bytes(), self.settings.partitions);
        if home != self.settings.number {
            return Err(elsewhere(&start.key, home, &self.settings, event).into());
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

    pub(super) fn quarantined(&self, index: usize, record: &InputRecord<'_>, refused: &Refused, cx: &Context<'_>) -> Quarantined {
        let raw = record.value.unwrap_or_default();
        let mut end = refused.detail.len().min(QUARANTINE_DETAIL_BYTES_MAX);
        while !refused.detail.is_char_boundary(end) {
            end -= 1;
        }
        let detail = &refused.detail[..end];
        Quarantined {
            reason: refused.reason,
            detail: detail.into(),
            topic: self.settings.inputs[index].name.clone(),
            partition: self.settings.number,
            offset: record.offset,
            schema: refused.schema.map(|fingerprint| fingerprint as i64),
            key: record.key.map(|key| Bytes::copy_from_slice(&key[..key.len().min(QUARANTINE_RAW_BYTES_MAX)])),
            raw: Bytes::copy_from_slice(&raw[..raw.len().min(QUARANTINE_RAW_BYTES_MAX)]),
            length: raw.len() as i64,
            sha256: Bytes::copy_from_slice(&Sha256::digest(raw)),
            at: self.turn_time(cx),
        }
    }

    pub(super) fn quarantine(&mut self, index: usize, record: &InputRecord<'_>, refused: &Refused, cx: &mut Context<'_>) {
        let quarantined = self.quarantined(index, record, refused, cx);
        self.push_small(Turn::by_input(index, record).with(Change::Quarantined(quarantined)), cx);
    }
}

/// An event for a saga that lives in another partition.
pub(super) fn elsewhere(key: &str, home: i32, settings: &Settings, event: &Event<'_>) -> Refused {
    let (number, partitions) = (settings.number, settings.partitions);
    let detail = format!(
        "saga key '{key}' belongs to partition {home} of {partitions}, the record was in {number}: the producer's partitioner must hash the record's key by murmur2 (Java clients do; for librdkafka set partitioner=murmur2_random), the record's key must be the saga's key, and the topic must have {partitions} partitions"
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
