//! A turn: one decision with all that it does, journaled as a whole.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    BreakerChange, BreakerEvent, Cause, Change, EffectPlace, Expired, Failure, FailureKind, Opens, Place, QuarantineReason,
    RejectionReason, SagaChange, SagaEvent,
};
use ringmaster_schemas::names::{is_below, is_value};
use ringmaster_schemas::state::Saga;
use smallvec::{SmallVec, smallvec};

use super::ahead::Move;
use super::counts::tally;
use super::input::{NOBODY, rejected, unknown};
use super::owner::Owner;
use super::rows::is_there;
use super::table::Slot;
use super::taken::Taken;
use super::turns::{Taker, remember};
use super::{Context, Note, Role, Why, Wish, law};
use crate::definition::Definition;
use crate::faults::mutated;
use crate::intake::{Answer, InputRecord, Refused};
use crate::saga::{Basis, Evaluated, Input, ROW_BYTES_MAX, Rejection, Room, decide};

/// What caused it, what happened, and what is true then.
pub(super) struct Turn<'a> {
    pub(super) cause: Cause,
    /// The writer's schema (0: JSON) and the input's bytes, where they are worth keeping.
    pub(super) raw: Option<(i64, &'a [u8])>,
    /// Nearly always one.
    pub(super) changes: SmallVec<[Change; 1]>,
    /// The sagas it changes.
    rows: SmallVec<[(Slot, Arc<Saga>); 1]>,
    /// What it does beside sagas.
    moved: Option<Move>,
    /// What it lets go, where that was parked.
    unparks: Option<Place>,
}

impl<'a> Turn<'a> {
    /// A turn that does nothing yet.
    pub(super) fn of(cause: Cause) -> Turn<'a> {
        Turn { cause, raw: None, changes: SmallVec::new(), rows: SmallVec::new(), moved: None, unparks: None }
    }

    /// A turn by a record of input `index`.
    pub(super) fn by_input(index: usize, record: &InputRecord<'a>) -> Turn<'a> {
        Turn::of(Cause::Input { topic: index as i32, next: record.offset + 1 })
    }

    /// A turn by time.
    pub(super) fn by_time(due_at: Millis) -> Turn<'a> {
        Turn::of(Cause::Due { due_at })
    }

    /// A turn of the partition itself.
    pub(super) fn upkeep(moved: Move) -> Turn<'a> {
        let place = |(offset, index)| EffectPlace { offset, index };
        let change = match &moved {
            Move::Expired(bucket) => Change::Expired(Expired { bucket: *bucket }),
            Move::Undeliverable(effect) => Change::Undeliverable(place(*effect)),
            Move::Delivered(effect) => Change::Delivered(place(*effect)),
            Move::Breaker(change) => Change::Breaker(change.clone()),
            Move::Mark(..) | Move::Pin(_) => unreachable!("no turn of its own says so"),
        };
        Turn { changes: smallvec![change], moved: Some(moved), ..Turn::of(Cause::Upkeep {}) }
    }

    /// With the input's bytes, under their writer's schema.
    pub(super) fn keeping(self, raw: Option<(i64, &'a [u8])>) -> Turn<'a> {
        Turn { raw, ..self }
    }

    /// With what becomes of a participant's breaker.
    pub(super) fn breaker(self, participant: &Arc<str>, event: BreakerEvent) -> Turn<'a> {
        let change = BreakerChange { participant: participant.clone(), event };
        let moved = Some(Move::Breaker(change.clone()));
        Turn { moved, ..self }.with(Change::Breaker(change))
    }

    /// Which lets go what is parked at this place of its saga.
    pub(super) fn unparking(self, place: Place) -> Turn<'a> {
        Turn { unparks: Some(place), ..self }
    }

    /// With what happened to a saga.
    pub(super) fn saga(&mut self, slot: Slot, id: Arc<str>, events: Vec<SagaEvent>, saga: Arc<Saga>) {
        self.changes.push(Change::Saga(SagaChange { saga: id, events }));
        self.rows.push((slot, saga));
    }

    /// With a change that is about no saga that lives.
    pub(super) fn with(mut self, change: Change) -> Turn<'a> {
        self.changes.push(change);
        self
    }
}

impl Owner {
    /// Puts a turn into the open record, and makes true what it says, ahead of its confirmation; gives it back if it fits into no
    /// record.
    #[allow(clippy::result_large_err, reason = "it is no error: a turn that fits into no record is decided otherwise")]
    pub(super) fn push<'a>(&mut self, turn: Turn<'a>, cx: &mut Context<'_>) -> Result<(), Turn<'a>> {
        let Some(open) = self.write(&turn, cx) else { return Err(turn) };
        let (number, at) = (open.number, open.now);
        let (mut effects, mut tallied) = (std::mem::take(&mut open.effects), std::mem::take(&mut open.tallied));
        open.moves.extend(turn.moved);
        if let Cause::Routed { from, .. } = &turn.cause {
            open.moves.push(Move::Mark(from.source, from.partition, from.offset + 1));
            self.ahead.marks.pass(from.source, from.partition, from.offset + 1);
        }
        let offset = law::offset_of_number(&self.replica.fence, number);
        let (mut rows, is_alone) = (turn.rows.into_iter(), turn.changes.len() == 1);
        for change in &turn.changes {
            match change {
                Change::Saga(change) => {
                    let (slot, mut saga) = rows.next().expect("a turn has a row for each change of a saga");
                    remember(&mut saga, offset, Taker::Owner);
                    count(&change.saga, &change.events, is_alone, cx);
                    let before = effects.len();
                    self.replica.effects_of((&saga.id, &saga.head, Some(&saga)), &change.events, at, &mut effects);
                    self.note_asked(&effects[before..], at, cx);
                    if !self.ahead.breakers.is_empty() {
                        self.drains.note_parked(&saga, &change.events);
                    }
                    let before = self.set_current(slot, saga, number, cx);
                    let before = before.as_ref().filter(|saga| is_there(saga, self.ahead.expired));
                    let names = &mut self.replica.counts.names;
                    tally((&change.saga, before.map(|saga| &**saga), at), &change.events, names, &mut tallied);
                }
                Change::Breaker(change) => self.set_breaker(change, at, cx),
                Change::ValueReturned(release) => effects.push(self.replica.return_effect(release)),
                Change::Quarantined(quarantined) => {
                    cx.counters.quarantined += 1;
                    cx.out.push(Wish::Tell(Note::Quarantined {
                        reason: quarantined.reason,
                        detail: quarantined.detail.clone(),
                        topic: quarantined.topic.clone(),
                        offset: quarantined.offset,
                    }));
                    effects.push(self.replica.quarantine_effect(quarantined));
                }
                Change::Rejected(rejected) => {
                    cx.counters.rejected += 1;
                    let (saga, detail) = (rejected.saga.clone(), rejected.detail.clone());
                    cx.out.push(Wish::Tell(Note::Rejected { saga, reason: rejected.reason, detail }));
                }
                Change::Expired(expired) => self.ahead.expired = expired.bucket,
                Change::Undeliverable(_) | Change::Delivered(_) => {}
            }
        }
        if let Some(open) = &mut self.ahead.open {
            (open.effects, open.tallied) = (effects, tallied);
        }
        Ok(())
    }

    /// Makes a row what a turn of the open record leaves; what it was before.
    fn set_current(&mut self, slot: Slot, saga: Arc<Saga>, number: i64, cx: &Context<'_>) -> Option<Arc<Saga>> {
        let (row, asks) = (self.replica.table.row(slot), usize::from(saga.asks()));
        let (before, touched) = match self.ahead.set(slot, &row.id, saga, number) {
            Some(current) => (Some(current.saga), current.record == number),
            None => (row.saga.clone(), false),
        };
        if let (false, Some(open)) = (touched, &mut self.ahead.open) {
            open.touched.push(slot);
        }
        self.asking = self.asking + asks - before.as_ref().map_or(0, |saga| usize::from(saga.asks()));
        self.schedule(slot, cx.catalog);
        before
    }

    /// Pushes a turn that fits into any record: a few bytes, one undo's command, or a quarantined record, whose bytes are bounded.
    pub(super) fn push_small(&mut self, turn: Turn<'_>, cx: &mut Context<'_>) {
        let fits = self.push(turn, cx).is_ok();
        assert!(fits, "the smallest record_bytes_max has room for it");
    }

    /// Pushes a turn. What fits into no record fails loudly, before anything is sent: a start goes to quarantine, a saga that lives is
    /// failed (PROTOCOL.md rule 10). `record` is the input that caused it; none for a timer.
    pub(super) fn push_or_fail(&mut self, turn: Turn<'_>, record: Option<Taken<'_, '_>>, cx: &mut Context<'_>) -> Result<(), Why> {
        let Err(turn) = self.push(turn, cx) else { return Ok(()) };
        let limit = self.settings.limits.record_bytes_max;
        let bytes = record.map_or(limit, |taken| taken.record.value.map_or(0, <[u8]>::len));
        let answer = |taken: Taken<'_, '_>| match self.settings.inputs[taken.index].role {
            Role::Replies => Answer::read(taken.record.value?, cx.schemas).ok().map(|answer| answer.step().into()),
            Role::Events { .. } | Role::Control | Role::Source { .. } | Role::Inbox { .. } => None,
        };
        let is_act = record.is_some_and(|taken| matches!(self.settings.inputs[taken.index].role, Role::Control));
        if let (true, Some((slot, _))) = (is_act, turn.rows.first()) {
            self.turn_down(*slot, turn.cause, turn.raw, cx);
            return Ok(());
        }
        let step: Option<Arc<str>> = record.and_then(answer);
        // An event that starts a saga, or that one waits for: the record is what does not fit.
        let letter = record.and_then(|taken| Self::letter_answers(&taken));
        let brings_events = |role: &Role| matches!(role, Role::Events { .. } | Role::Inbox { .. });
        let is_event = letter.map_or_else(
            || record.is_some_and(|taken| brings_events(&self.settings.inputs[taken.index].role)),
            |claim| claim.is_none(),
        );
        if let (false, Some((slot, _))) = (is_event, turn.rows.first())
            && let Some(smaller) = {
                let too_big = Input::TooBig { bytes: record.map(|_| bytes), step, place: turn.unparks.or(letter.flatten()) };
                self.decide_at(*slot, &too_big, Turn::of(turn.cause), cx)?
            }
        {
            self.push_small(smaller, cx);
            return Ok(());
        }
        let detail = format!("the record of {bytes} bytes and what it causes do not fit into a journal record of {limit} bytes");
        let Some(taken) = record else { return Err(self.corrupt(detail)) };
        self.quarantine(taken, &Refused::new(QuarantineReason::TooBig, detail, None), cx);
        Ok(())
    }

    /// Nothing has come of an act whose turn fits into no record: who acted is told, if the act itself fits.
    fn turn_down(&mut self, slot: Slot, cause: Cause, act: Option<(i64, &[u8])>, cx: &mut Context<'_>) {
        let limit = self.settings.limits.record_bytes_max;
        let detail = format!(
            "what it causes does not fit into a journal record: limits.record_bytes_max, which is {limit} bytes, may be raised"
        );
        let change = rejected(&self.replica.table.row(slot).id, Rejection { reason: RejectionReason::NotPossible, detail });
        let act = act.filter(|(_, bytes)| bytes.len() <= ROW_BYTES_MAX);
        self.push_small(Turn::of(cause).keeping(act).with(change), cx);
    }

    /// Decides an input for the saga at `slot`, and adds what happened to a turn; none if it means nothing.
    pub(super) fn decide_at<'a>(
        &mut self,
        slot: Slot,
        input: &Input,
        mut turn: Turn<'a>,
        cx: &Context<'_>,
    ) -> Result<Option<Turn<'a>>, Why> {
        let id = self.replica.table.row(slot).id.clone();
        if is_value(&id) {
            return self.value_due(slot, turn, cx);
        }
        let Some(saga) = self.visible(slot) else {
            return Ok(Some(turn.with(unknown(&id, NOBODY))));
        };
        let definition = self.definition_of(saga, cx)?;
        if definition.has_rows && saga.is_below() {
            let room = if matches!(input, Input::TooBig { .. }) { Room::NONE } else { Room::USUAL };
            return self.decide_family(slot, (input.clone(), room), turn, cx);
        }
        let (saga, now) = (saga.clone(), self.turn_time(cx));
        let basis = Basis { definition, values: &Evaluated::new(definition), breakers: &self.ahead.breakers, above: &[] };
        match decide(basis, &id, Some(&saga), input, now, &mut self.scratch) {
            Ok(decided) if decided.events.is_empty() => Ok(None),
            Ok(decided) => {
                self.note_answers(definition, &saga, &decided.events, cx);
                turn.saga(slot, id, decided.events, decided.saga);
                Ok(Some(turn))
            }
            Err(rejection) => Ok(Some(turn.with(rejected(&id, rejection)))),
        }
    }

    /// The version that a saga runs by.
    pub(super) fn definition_of<'c>(&self, saga: &Saga, cx: &Context<'c>) -> Result<&'c Definition, Why> {
        let found = cx.catalog.by_hash(&saga.head.version()).map(|definition| &**definition);
        found.ok_or_else(|| {
            self.corrupt(format!(
                "saga {} runs a version of '{}' that the topic of definitions (offset {}) does not have",
                saga.id,
                saga.definition(),
                saga.head.fields().version_offset
            ))
        })
    }

    /// What the journal and the definitions say contradicts each other.
    pub(super) fn corrupt(&self, detail: String) -> Why {
        Why::Corrupt { partition: self.settings.number, offset: self.replica.fence.next_offset, detail }
    }

    /// The store cannot be read.
    pub(super) fn unreadable(&self, detail: String) -> Why {
        Why::Store { partition: self.settings.number, detail }
    }
}

/// Tells of a failure: whose, at which step, with which code and message.
fn tell(
    saga: &Arc<str>,
    failure: &Failure,
    note: impl FnOnce(Arc<str>, Arc<str>, Arc<str>, Arc<str>) -> Note,
    cx: &mut Context<'_>,
) {
    cx.out.push(Wish::Tell(note(saga.clone(), failure.step.clone(), failure.code.clone(), failure.message.clone())));
}

/// True if this is about an item: its saga's own row says it too. Where an item begins or ends, that row changes in the same turn, so
/// that a row which changes alone, as most do, need not be looked at.
fn is_told_above(saga: &str, event: &SagaEvent, is_alone: bool) -> bool {
    let may_be = !is_alone || matches!(event, SagaEvent::CompensationBegan { .. });
    may_be && is_below(saga) && !mutated("item_counts_as_saga")
}

/// Counts what happened, and tells what people want to find in the log. An item is no saga: what becomes of it its saga's own row says,
/// once.
fn count(saga: &Arc<str>, events: &[SagaEvent], is_alone: bool, cx: &mut Context<'_>) {
    for event in events {
        match event {
            SagaEvent::Started { .. }
            | SagaEvent::Completed { .. }
            | SagaEvent::Compensated { .. }
            | SagaEvent::CompensationBegan { .. }
                if is_told_above(saga, event, is_alone) => {}
            SagaEvent::Started { .. } => cx.counters.started += 1,
            SagaEvent::EventsExpired { count } => cx.counters.events_expired += u64::from(*count),
            SagaEvent::CommandIssued { .. } | SagaEvent::UndoIssued { .. } => cx.counters.commands += 1,
            SagaEvent::CommandRepeated { .. } | SagaEvent::Retried { .. } => {
                cx.counters.commands += 1;
                cx.counters.retries += 1;
            }
            SagaEvent::Completed { .. } => cx.counters.completed += 1,
            SagaEvent::Compensated { .. } => cx.counters.compensated += 1,
            SagaEvent::Stuck { failure, .. } | SagaEvent::Entered { opens: Opens::Stuck { failure }, .. } => {
                cx.counters.stuck += 1;
                cx.counters.errors += u64::from(failure.kind == FailureKind::Error);
                tell(saga, failure, |saga, step, code, message| Note::Stuck { saga, step, code, message }, cx);
            }
            SagaEvent::CompensationBegan { failure } | SagaEvent::StuckTold { failure: Some(failure), .. }
                if failure.kind == FailureKind::Error =>
            {
                cx.counters.errors += 1;
                tell(saga, failure, |saga, step, code, message| Note::Mistaken { saga, step, code, message }, cx);
            }
            SagaEvent::CompensationBegan { failure } | SagaEvent::StuckTold { failure: Some(failure), .. } => {
                tell(saga, failure, |saga, step, code, _| Note::Compensating { saga, step, code }, cx);
            }
            // Nobody looks for it in a log, and it is no matter of numbers.
            _ => {}
        }
    }
}
