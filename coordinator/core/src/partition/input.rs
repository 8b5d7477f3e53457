//! Inputs become turns: decoded, decided, staged; or a rejection, or quarantine. Nothing stops the partition, nothing is lost.

use std::sync::Arc;

use bytes::Bytes;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    Cause, Change, InputCause, QUARANTINE_RAW_BYTES_MAX, QuarantineReason, Quarantined, Rejected, RejectionReason, SagaChange,
    SagaEvent, TimerCause,
};
use ringmaster_schemas::names;
use ringmaster_schemas::state::{RowKey, Saga};
use sha2::{Digest as _, Sha256};

use super::checkpoint::{Loaded, load_row};
use super::overlay::Slot;
use super::{Context, Do, Note, Partition, Phase, Role, StartAt, Why};
use crate::definition::Definition;
use crate::faults::reached;
use crate::intake::{Answer, Event, InputRecord, Refused, Typing};
use crate::saga::{Decided, Evaluated, Input, Rejection, decide};

/// Bytes of a quarantined record's detail: it may quote the record, which may be as large as a topic allows.
const QUARANTINE_DETAIL_BYTES_MAX: usize = 4 * 1024;

/// Why the partition cannot go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The journal and the definitions contradict each other.
    Corrupt(String),
    /// The store cannot be read.
    Store(String),
}

/// Why a record makes no turn of its own.
enum NoTurn {
    /// It goes to quarantine.
    Refused(Refused),
    Halt(Halt),
}

impl From<Refused> for NoTurn {
    fn from(refused: Refused) -> Self {
        NoTurn::Refused(refused)
    }
}

impl From<Halt> for NoTurn {
    fn from(halt: Halt) -> Self {
        NoTurn::Halt(halt)
    }
}

/// A turn in the making, from one input.
pub(super) struct Draft {
    pub(super) changes: Vec<Change>,
    pub(super) staged: Vec<(Slot, Arc<str>, Arc<Saga>)>,
    /// The writer's schema if the input's bytes are worth keeping (0: JSON).
    pub(super) copy: Option<i64>,
}

impl Partition {
    /// Takes a record of input `index`.
    pub fn input(&mut self, index: usize, record: InputRecord<'_>, cx: &mut Context<'_>) {
        if self.phase != Phase::Owning {
            return;
        }
        let Some(position) = self.inputs[index].position else { return };
        if record.offset < position {
            return;
        }
        reached("input_fetched");
        cx.counters.inputs += 1;
        let taken = match self.settings.inputs[index].role {
            Role::Replies => self.take_reply(&record, cx),
            Role::Events { .. } => self.take_event(index, &record, cx),
        };
        match taken {
            Ok(Some(draft)) => {
                self.push_input(index, &record, draft, cx);
                self.inputs[index].journaled = Some(record.offset + 1);
            }
            Ok(None) => {
                cx.counters.skipped += 1;
                self.skipped_run += 1;
            }
            Err(NoTurn::Refused(refused)) => {
                self.quarantine(index, &record, &refused, cx);
                self.inputs[index].journaled = Some(record.offset + 1);
            }
            Err(NoTurn::Halt(halt)) => return self.halt(halt, cx),
        }
        let input = &mut self.inputs[index];
        input.position = Some(record.offset + 1);
        input.clear_to = input.clear_to.max(record.timestamp);
        input.read(record.offset + 1);
    }

    /// Stops for good: whatever met the trouble, it ends alike.
    pub(super) fn halt(&mut self, halt: Halt, cx: &mut Context<'_>) {
        let partition = self.settings.number;
        let why = match halt {
            Halt::Corrupt(detail) => Why::Corrupt { partition, offset: self.standing.next_offset, detail },
            Halt::Store(detail) => Why::Store { partition, detail },
        };
        self.step_down(why, cx);
    }

    /// Puts a decided turn into the open record. What fits into no record fails loudly: a start goes to quarantine, a running saga
    /// is failed before anything is sent (PROTOCOL.md rule 10).
    fn push_input(&mut self, index: usize, record: &InputRecord<'_>, draft: Draft, cx: &mut Context<'_>) {
        let cause = Cause::Input(InputCause { topic: index as i32, next: record.offset + 1 });
        let raw = draft.copy.map(|schema| (schema, record.value.unwrap_or_default()));
        if self.push_turn(&cause, raw, &draft.changes, cx) {
            return self.stage_draft(draft, cx);
        }
        let is_start = draft
            .changes
            .iter()
            .any(|change| matches!(change, Change::Saga(saga) if matches!(saga.events[0], SagaEvent::Started(_))));
        let bytes = record.value.map_or(0, <[u8]>::len);
        if is_start || draft.staged.is_empty() {
            let detail = format!(
                "the record of {bytes} bytes and what it causes do not fit into a journal record of {} bytes",
                self.settings.limits.record_bytes_max
            );
            return self.quarantine(index, record, &Refused::new(QuarantineReason::TooBig, detail, None), cx);
        }
        for (slot, id, _) in draft.staged {
            let Ok(Some(smaller)) = self.decide_at(slot, &id, &Input::TooBig { bytes }, cx) else { continue };
            let fits = self.push_turn(&cause, None, &smaller.changes, cx);
            assert!(fits, "the failure of a saga fits into a record");
            self.stage_draft(smaller, cx);
        }
    }

    pub(super) fn stage_draft(&mut self, draft: Draft, cx: &mut Context<'_>) {
        let mut effects = std::mem::take(&mut self.open.as_mut().expect("a turn was pushed").effects);
        for change in &draft.changes {
            match change {
                Change::Saga(change) => {
                    count(&change.saga, &change.events, cx);
                    let staged = draft.staged.iter().find(|(_, id, _)| *id == change.saga);
                    let (_, _, saga) = staged.expect("a changed saga is staged");
                    self.react(&change.saga, saga, &change.events, &mut effects);
                }
                Change::Quarantined(quarantined) => {
                    cx.counters.quarantined += 1;
                    cx.out.push(Do::Tell(Note::Quarantined {
                        reason: quarantined.reason,
                        detail: quarantined.detail.clone(),
                        topic: quarantined.topic.clone(),
                        offset: quarantined.offset,
                    }));
                    effects.push(self.quarantine_effect(quarantined));
                }
                Change::Rejected(rejected) => {
                    cx.counters.rejected += 1;
                    let (saga, detail) = (rejected.saga.clone(), rejected.detail.clone());
                    cx.out.push(Do::Tell(Note::Rejected { saga, reason: rejected.reason, detail }));
                }
                Change::Expired(_) | Change::Undeliverable(_) | Change::Delivered(_) => {}
            }
        }
        self.open.as_mut().expect("a turn was pushed").effects = effects;
        for (slot, _, saga) in draft.staged {
            self.stage(slot, saga);
        }
    }

    /// Decides an input for the saga at `slot`; nothing if it means nothing.
    pub(super) fn decide_at(
        &mut self,
        slot: Slot,
        id: &Arc<str>,
        input: &Input,
        cx: &mut Context<'_>,
    ) -> Result<Option<Draft>, Halt> {
        let now = self.turn_time(cx);
        let saga = self.visible(slot).cloned();
        let Some(saga) = saga else {
            return Ok(Some(rejected(
                id,
                Rejection { reason: RejectionReason::UnknownSaga, detail: "no saga of this id lives, or is remembered".into() },
            )));
        };
        let definition = cx.catalog.by_hash(&saga.version).ok_or_else(|| {
            Halt::Corrupt(format!(
                "saga {id} runs a version of '{}' that the topic of definitions (offset {}) does not have",
                saga.definition, saga.version_offset
            ))
        })?;
        let decided = decide(definition, &Evaluated::new(definition), Some(&saga), input, now);
        Ok(self.draft_of(slot, id.clone(), decided))
    }

    fn draft_of(&mut self, slot: Slot, id: Arc<str>, decided: Result<Decided, Rejection>) -> Option<Draft> {
        match decided {
            Ok(decided) if decided.events.is_empty() => None,
            Ok(Decided { events, saga }) => Some(Draft {
                changes: vec![Change::Saga(SagaChange { saga: id.clone(), events })],
                staged: vec![(slot, id, Arc::new(saga))],
                copy: None,
            }),
            Err(rejection) => Some(rejected(&id, rejection)),
        }
    }

    /// A timer of the saga at `slot` is due.
    pub(super) fn take_due(&mut self, slot: Slot, due: Millis, cx: &mut Context<'_>) -> Result<(), Halt> {
        let id = self.overlay.entry(slot).id.clone();
        let Some(draft) = self.decide_at(slot, &id, &Input::Due, cx)? else { return Ok(()) };
        cx.counters.timers += 1;
        let cause = Cause::Timer(TimerCause { due_at: due });
        if self.push_turn(&cause, None, &draft.changes, cx) {
            self.stage_draft(draft, cx);
            return Ok(());
        }
        let bytes = self.settings.limits.record_bytes_max;
        if let Ok(Some(smaller)) = self.decide_at(slot, &id, &Input::TooBig { bytes }, cx) {
            let fits = self.push_turn(&cause, None, &smaller.changes, cx);
            assert!(fits, "the failure of a saga fits into a record");
            self.stage_draft(smaller, cx);
        }
        Ok(())
    }

    fn take_reply(&mut self, record: &InputRecord<'_>, cx: &mut Context<'_>) -> Result<Option<Draft>, NoTurn> {
        let answer = Answer::read(record.value.unwrap_or_default(), cx.schemas)?;
        let Some(slot) = self.find(answer.saga(), cx).map_err(Halt::Store)? else {
            let detail = format!("a reply to {} for a saga that is not known or remembered", answer.key());
            return Ok(Some(rejected(&answer.saga().into(), Rejection { reason: RejectionReason::UnknownSaga, detail })));
        };
        let id = self.overlay.entry(slot).id.clone();
        let version = self.overlay.entry(slot).current.as_ref().map(|saga| saga.version);
        let definition = version.and_then(|version| cx.catalog.by_hash(&version)).map(|definition| &**definition);
        let (input, schema) = self.projections.reply(&answer, definition)?;
        let mut draft = self.decide_at(slot, &id, &Input::Reply(input), cx)?;
        if answer.succeeded()
            && let Some(draft) = &mut draft
        {
            draft.copy = Some(schema);
        }
        Ok(draft)
    }

    fn take_event(&mut self, index: usize, record: &InputRecord<'_>, cx: &mut Context<'_>) -> Result<Option<Draft>, NoTurn> {
        let settings = &self.settings.inputs[index];
        let topic = settings.name.clone();
        let Role::Events { type_field, default_type } = &settings.role else {
            unreachable!("only topics of events carry them");
        };
        let default = default_type.as_deref().or(cx.catalog.default_type(&topic));
        let typing = Typing { field: type_field, default };
        let (kind, event) = Event::recognise(record, &topic, self.settings.number, typing, cx.schemas)?;
        let starting = cx.catalog.starting_on(&topic, &kind);
        if starting.is_empty() {
            return Ok(None);
        }
        let mut draft = Draft { changes: Vec::new(), staged: Vec::new(), copy: None };
        for definition in starting {
            match self.start_one(definition, &event, cx) {
                Ok(Some(one)) => {
                    draft.copy = draft.copy.or(one.copy);
                    draft.changes.extend(one.changes);
                    draft.staged.extend(one.staged);
                }
                Ok(None) => {}
                Err(NoTurn::Refused(refused)) => {
                    draft.changes.push(Change::Quarantined(self.quarantined(index, record, &refused, cx)));
                }
                Err(halt) => return Err(halt),
            }
        }
        Ok((!draft.changes.is_empty()).then_some(draft))
    }

    /// What a start event means for one definition; nothing if its `if` is false.
    fn start_one(&mut self, definition: &Definition, event: &Event<'_>, cx: &mut Context<'_>) -> Result<Option<Draft>, NoTurn> {
        let now = self.turn_time(cx);
        let offset = cx.catalog.offset_of(&definition.hash).expect("what starts on an event is in the catalog");
        let Some(start) = self.projections.start(definition, offset, event, now)? else { return Ok(None) };
        let home = names::partition_of(start.key.as_bytes(), self.settings.partitions);
        if home != self.settings.number {
            let detail = format!(
                "saga key '{}' belongs to partition {home} of {}, the record was in {}: the producer's partitioner must hash the record's key by murmur2 (Java clients do; for librdkafka set partitioner=murmur2_random), the record's key must be the saga's key, and the topic must have {} partitions",
                start.key, self.settings.partitions, self.settings.number, self.settings.partitions
            );
            return Err(Refused::new(QuarantineReason::WrongPartition, detail, event.fingerprint()).into());
        }
        let id: Arc<str> = names::saga_id(&definition.name, &start.key).into();
        let found = self.find(&id, cx).map_err(Halt::Store)?;
        let saga = found.and_then(|slot| self.visible(slot)).cloned();
        let decided = decide(definition, &Evaluated::new(definition), saga.as_deref(), &Input::Start(start), now);
        let slot = match (found, &decided) {
            (Some(slot), _) => slot,
            (None, Ok(_)) => self.overlay.insert(id.clone(), None),
            (None, Err(rejection)) => return Ok(Some(rejected(&id, rejection.clone()))),
        };
        let mut draft = self.draft_of(slot, id, decided);
        if let Some(draft) = &mut draft {
            draft.copy = draft.changes.iter().any(|change| matches!(change, Change::Saga(_))).then_some(event.schema_key());
        }
        Ok(draft)
    }

    fn quarantined(&self, index: usize, record: &InputRecord<'_>, refused: &Refused, cx: &Context<'_>) -> Quarantined {
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

    fn quarantine(&mut self, index: usize, record: &InputRecord<'_>, refused: &Refused, cx: &mut Context<'_>) {
        let quarantined = self.quarantined(index, record, refused, cx);
        let draft = Draft { changes: vec![Change::Quarantined(quarantined)], staged: Vec::new(), copy: None };
        let cause = Cause::Input(InputCause { topic: index as i32, next: record.offset + 1 });
        let fits = self.push_turn(&cause, None, &draft.changes, cx);
        assert!(fits, "a quarantined record keeps at most {QUARANTINE_RAW_BYTES_MAX} bytes of key and value each");
        self.stage_draft(draft, cx);
    }

    /// The row's place in memory, loaded if it is in the store; none if there is no such row.
    pub(super) fn find(&mut self, id: &str, cx: &Context<'_>) -> Result<Option<Slot>, String> {
        if let Some(slot) = self.overlay.find(id) {
            return Ok(Some(slot));
        }
        Ok(self.load(id, cx)?.map(|row| self.overlay.insert(id.into(), Some(row))))
    }

    pub(super) fn load(&self, id: &str, cx: &Context<'_>) -> Result<Option<Loaded>, String> {
        cx.rows.row(&RowKey::saga(id))?.map(|row| load_row(id, &row)).transpose()
    }

    /// The answer to a question for an input's bounds: where it begins, or how far it reached when it was asked.
    pub fn input_bounds(&mut self, index: usize, start: i64, end: i64, cx: &mut Context<'_>) {
        if self.phase != Phase::Owning {
            return;
        }
        if self.inputs[index].position.is_none() {
            let first = if self.settings.inputs[index].start_at == StartAt::Latest { end } else { start };
            return self.resolve(index, first, cx);
        }
        let input = &mut self.inputs[index];
        if let Some(asked_at) = input.asked_at.take() {
            input.target = Some((end, asked_at));
            input.read(input.read_to);
        }
    }

    /// Where an input that is new to the journal begins: journaled before anything of it is read (PROTOCOL.md rule 7).
    pub fn resolve(&mut self, index: usize, first: i64, cx: &mut Context<'_>) {
        if self.phase != Phase::Owning || self.inputs[index].position.is_some() {
            return;
        }
        self.close_record(cx);
        self.inputs[index].position = Some(first);
        self.inputs[index].read_to = first;
        self.append_positions(cx);
    }

    /// The reader has been given everything of this input below `offset`, and there was no more.
    pub fn caught_up(&mut self, index: usize, offset: i64) {
        if self.phase == Phase::Owning && self.inputs[index].reading {
            self.inputs[index].read(offset);
        }
    }

    /// The position of an input is not in its log.
    pub fn out_of_range(&mut self, index: usize, position: i64, cx: &mut Context<'_>) {
        let settings = &self.settings.inputs[index];
        if self.phase != Phase::Owning {
            return;
        }
        if settings.accept_new {
            self.inputs[index] = super::Input::default();
            cx.out.push(Do::AskInput(index));
            return;
        }
        let why = Why::InputLost { partition: self.settings.number, topic: settings.name.to_string(), position };
        self.step_down(why, cx);
    }
}

impl super::Input {
    /// The reader has been given everything below `offset`.
    fn read(&mut self, offset: i64) {
        self.read_to = self.read_to.max(offset);
        if let Some((end, asked_at)) = self.target
            && self.read_to >= end
        {
            self.clear_to = self.clear_to.max(asked_at);
            self.target = None;
        }
    }
}

fn rejected(id: &Arc<str>, rejection: Rejection) -> Draft {
    let change = Rejected { saga: id.clone(), reason: rejection.reason, detail: rejection.detail.into() };
    Draft { changes: vec![Change::Rejected(change)], staged: Vec::new(), copy: None }
}

/// Counts what happened, and tells what people want to find in the log.
fn count(saga: &Arc<str>, events: &[SagaEvent], cx: &mut Context<'_>) {
    for event in events {
        match event {
            SagaEvent::Started(_) => cx.counters.started += 1,
            SagaEvent::CommandIssued(issued) => {
                cx.counters.commands += 1;
                cx.counters.retries += u64::from(issued.attempt > 1);
            }
            SagaEvent::Completed(_) => cx.counters.completed += 1,
            SagaEvent::Compensated(_) => cx.counters.compensated += 1,
            SagaEvent::StepStuck(stuck) => {
                cx.counters.stuck += 1;
                let (step, code, message) = (stuck.name.clone(), stuck.code.clone(), stuck.message.clone());
                cx.out.push(Do::Tell(Note::Stuck { saga: saga.clone(), step, code, message }));
            }
            SagaEvent::CompensationBegan(failure) => {
                let (step, code) = (failure.step.clone(), failure.code.clone());
                cx.out.push(Do::Tell(Note::Compensating { saga: saga.clone(), step, code }));
            }
            SagaEvent::StepSkipped(_)
            | SagaEvent::RetryScheduled(_)
            | SagaEvent::StepSucceeded(_)
            | SagaEvent::StepRefused(_)
            | SagaEvent::StepFailed(_)
            | SagaEvent::StepUndone(_)
            | SagaEvent::MarkedLate(_)
            | SagaEvent::ContradictionFound(_) => {}
        }
    }
}
