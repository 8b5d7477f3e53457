//! What an input means for a saga: events, or a rejection. Reads state, changes nothing.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    ActKind, Failure, FailureKind, Head, HeadFields, KeptEvent, Phase, Place, RejectionReason, SagaEvent, SearchValues,
};
use ringmaster_schemas::state::{ChildWork, Entry, PRIORITY_USUAL, Saga, Status, Waits, Work};

use super::flow::{Branch, Way};
use super::parking::Breakers;
use super::scope::Scope;
use super::values::Values;
use super::{ByHand, EarlyInput, Input, Rejection, Scratch, StartInput, apply, code};
use crate::definition::{Definition, Step};
use crate::faults::mutated;

/// What was decided, and what it makes true: `saga` is the state before with the events applied by [`apply`], nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What happened, in order. Empty if the input means nothing (nothing of the saga is due).
    pub events: Vec<SagaEvent>,
    /// What is true then.
    pub saga: Arc<Saga>,
}

/// What a decision goes by, beside the saga.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// The version that the saga runs by.
    pub definition: &'a Definition,
    /// Where the values of its expressions come from.
    pub values: &'a dyn Values,
    /// Who is not asked now.
    pub breakers: &'a Breakers,
    /// Of an item, or of a sub-saga: the rows above it, the nearest first.
    pub above: &'a [Above<'a>],
}

/// A row above another one.
#[derive(Debug, Clone)]
pub struct Above<'a> {
    /// The row.
    pub saga: Arc<Saga>,
    /// The version that it runs by.
    pub definition: &'a Definition,
}

/// Decides what `input` means for the saga `id` (`row`: none if it does not exist) at `now`.
pub fn decide(
    basis: Basis<'_>,
    id: &Arc<str>,
    row: Option<&Arc<Saga>>,
    input: &Input,
    now: Millis,
    scratch: &mut Scratch,
) -> Result<Decided, Rejection> {
    if let (Input::Act(act), Some(row)) = (input, row) {
        act.is_for(row)?;
    }
    let events = Vec::with_capacity(2);
    let branches = Vec::new();
    let Basis { definition, values, breakers, above } = basis;
    let mut draft = Draft {
        above,
        root: definition.list_of(id),
        definition,
        values,
        breakers,
        now,
        id,
        row: row.cloned(),
        events,
        branches,
        emitted_bytes: 0,
        undo_bytes: 0,
        put_off: false,
        scratch,
    };
    draft.stop_with_above();
    draft.pause_with_above(!matches!(input, Input::TooBig { .. }));
    draft.take(row, input)?;
    if definition.has_claims {
        draft.release_values();
    }
    let Draft { events, row, .. } = draft;
    Ok(Decided { events, saga: row.expect("a decided saga exists") })
}

fn duplicate(saga: &Saga, start: &StartInput) -> Rejection {
    let head = saga.head.fields();
    let same = if *head.source == *start.source {
        "the same event"
    } else if saga.ended() {
        "another event; the saga has ended"
    } else if head.start_schema == start.start_schema && head.start == start.start {
        "another event with the same content"
    } else {
        "another event with different content"
    };
    Rejection::new(RejectionReason::Duplicate, format!("{same}; the saga was started by {}", head.source))
}

/// A decision in the making: every event is applied at once, so that what follows sees what is true.
pub(super) struct Draft<'a> {
    pub(super) definition: &'a Definition,
    pub(super) values: &'a dyn Values,
    pub(super) breakers: &'a Breakers,
    /// Of an item, or of a sub-saga: the rows above it, the nearest first.
    pub(super) above: &'a [Above<'a>],
    /// The list that this row goes through: all steps, or the body of the for_each whose item it is.
    pub(super) root: u16,
    pub(super) now: Millis,
    pub(super) id: &'a Arc<str>,
    pub(super) row: Option<Arc<Saga>>,
    pub(super) events: Vec<SagaEvent>,
    /// Branches that are still to be entered, the next one last.
    pub(super) branches: Vec<Branch>,
    /// Bytes that were emitted on the way in this turn.
    pub(super) emitted_bytes: usize,
    /// Bytes of the undos that were issued in this turn.
    pub(super) undo_bytes: usize,
    /// An undo did not fit beside them.
    pub(super) put_off: bool,
    pub(super) scratch: &'a mut Scratch,
}

impl<'a> Draft<'a> {
    pub(super) fn happen(&mut self, event: SagaEvent) {
        let stuck = if self.definition.on_stuck.is_empty() { None } else { self.becomes_stuck(&event) };
        if let Err(illegal) = apply(self.id, &mut self.row, &event, self.now) {
            panic!("decide made an illegal event: {illegal}");
        }
        self.events.push(event);
        if let Some(place) = stuck.filter(|_| !mutated("stuck_not_told")) {
            self.tell_stuck(place);
        }
    }

    pub(super) fn saga(&self) -> &Saga {
        self.row.as_ref().expect("the saga has started")
    }

    pub(super) fn entry(&self, place: Place) -> &Entry {
        self.saga().entry(place).expect("a place is the number of an entry")
    }

    /// Where the next entry stands.
    pub(super) fn next_place(&self) -> Place {
        self.saga().entries.len() as Place
    }

    /// Which entry of this node the next one is.
    pub(super) fn round(&self, node: u16) -> u8 {
        1 + self.saga().entries.iter().filter(|entry| entry.node == node).count() as u8
    }

    /// The step of an entry that asked somebody.
    pub(super) fn step_at(&self, place: Place) -> Step<'a> {
        self.definition.step(self.entry(place).node).expect("only steps ask somebody")
    }

    /// True while it undoes: nothing forward begins, nothing is tried again.
    pub(super) fn undoing(&self) -> bool {
        self.saga().status == Status::Compensating
    }

    /// The first open entry.
    pub(super) fn open_place(&self) -> Option<Place> {
        self.saga().entries.iter().position(Entry::open).map(|place| place as Place)
    }

    fn take(&mut self, row: Option<&Arc<Saga>>, input: &Input) -> Result<(), Rejection> {
        match (input, row) {
            (Input::Begin(item), _) => self.begin_below(item),
            (Input::Start(start), Some(saga)) if saga.began() => return Err(duplicate(saga, start)),
            (Input::Start(start), _) => self.start(start)?,
            (Input::Early(event), None) => self.expect(event)?,
            (Input::Early(event), Some(saga)) if !saga.began() => self.expect(event)?,
            (Input::Early(_), Some(_)) => unreachable!("an event for a saga that lives is taken as one"),
            (_, None) => {
                return Err(Rejection::new(RejectionReason::UnknownSaga, "no saga of this id lives, or is remembered"));
            }
            (Input::Reply(reply), Some(_)) => self.reply(reply)?,
            (Input::Due, Some(_)) => self.due(),
            (Input::Cancel { why }, Some(_)) => self.cancel(why)?,
            (Input::Act(act), Some(_)) => self.act(act)?,
            (Input::Event(event), Some(_)) => self.event(event)?,
            (Input::Claim(news), Some(_)) => self.claim_news(news)?,
            // What is to begin is read from the row as it came: one that has gone on, or stopped, works in another step.
            (Input::Work, Some(_)) if !self.events.is_empty() => {}
            (Input::Work, Some(_)) => self.work(),
            (Input::News(news), Some(_)) => self.news(news),
            (Input::Gathered(place, result), Some(_)) => self.gathered(*place, result),
            (Input::Recall(failure), Some(_)) => self.recall(failure),
            (Input::Stop(failure), Some(_)) => self.stop_asked(failure),
            (Input::Sweep, Some(_)) => self.sweep(),
            // It looks before anything comes.
            (Input::LookAbove, Some(_)) => {}
            (Input::Unpark(place), Some(_)) => self.unpark(*place),
            (Input::TooBig { bytes, step, place }, Some(_)) => self.too_big(*bytes, step.as_deref(), *place)?,
        }
        Ok(())
    }

    fn start(&mut self, start: &StartInput) -> Result<(), Rejection> {
        let definition = self.definition;
        if let Some(time) = start.event_time
            && time < self.now - definition.retain_ms
            && !mutated("old_start_taken")
        {
            let detail = format!(
                "the event is {} s old and finished sagas are remembered for {} s: it may have run already",
                (self.now - time) / 1000,
                definition.retain_ms / 1000
            );
            return Err(Rejection::new(RejectionReason::TooOld, detail));
        }
        let fields = HeadFields {
            version: definition.hash,
            version_offset: start.version_offset,
            started_at: self.now,
            start_schema: start.start_schema,
            source: &start.source,
            traceparent: start.traceparent.as_deref(),
            search: if mutated("search_lost_at_start") { SearchValues::default() } else { SearchValues::of(&start.search) },
            start: &start.start,
        };
        let head = Head::new(&fields, &mut self.scratch.record);
        let deadline_at = definition.deadline_ms.map(|deadline| self.now.saturating_add(deadline));
        self.happen(SagaEvent::Started { head, deadline_at });
        if start.priority != PRIORITY_USUAL {
            self.happen(SagaEvent::Prioritised { priority: start.priority });
        }
        if let Some(ByHand { by, why }) = &start.by_hand {
            self.happen(SagaEvent::Acted { act: ActKind::Start, by: by.clone(), why: why.clone() });
        }
        let cancel = self.move_in(&start.early);
        match cancel.filter(|_| !mutated("cancel_before_start_lost")) {
            Some(source) => {
                let why = format!("cancelled by {source}, which came before the saga began");
                self.stop_all(failure(FailureKind::Cancelled, code::CANCELLED, &"".into(), &why));
            }
            None => self.go(Way::Into(self.root)),
        }
        Ok(())
    }

    /// What came before the saga is its own now; which event cancels it, if one does.
    fn move_in(&mut self, early: &[EarlyInput]) -> Option<Arc<str>> {
        let mut cancel = None;
        for EarlyInput { event, until } in early {
            let listener = &self.definition.listeners[usize::from(event.listener)];
            if listener.cancels {
                cancel = cancel.or_else(|| Some(event.source.clone()));
            } else if !mutated("early_event_lost_at_start") {
                let (topic, kind) = (listener.topic.clone(), listener.event.clone());
                let (source, data) = (event.source.clone(), event.data.clone());
                let event = Arc::new(KeptEvent { topic, kind, source, until: *until, schema: 0, data });
                self.happen(SagaEvent::EventKept { event });
            }
        }
        cancel
    }

    /// The turn that was decided does not fit into a journal record: the leaf that waits fails before anything is sent. An undo, and
    /// what was stuck already, needs a person. An ended saga changes only by a contradicting answer, which is then not taken, and by the
    /// undo of a stray, which was parked.
    fn too_big(&mut self, bytes: Option<usize>, step: Option<&str>, place: Option<Place>) -> Result<(), Rejection> {
        let message = match bytes {
            Some(bytes) => format!(
                "the reply takes {bytes} bytes: with what it causes it does not fit into a journal record (limits.record_bytes_max)"
            ),
            None => "what follows does not fit into a journal record (limits.record_bytes_max)".to_owned(),
        };
        let waits = self.open_place();
        // Of a saga that is paused nothing may be open.
        if (self.saga().ended() || waits.is_none()) && place.is_none() {
            return Err(Rejection::new(RejectionReason::ContradictingReply, format!("{message}: it is not taken")));
        }
        let answered = |entry: &Entry| entry.open() && step.is_some() && entry.order.as_ref().map(|order| order.step()) == step;
        let due = |entry: &Entry| {
            bytes.is_none() && self.saga().entry_due_at(entry).min(entry.clock().unwrap_or(Millis::MAX)) <= self.now
        };
        let found = self.saga().entries.iter().position(|entry| answered(entry) || due(entry)).map(|place| place as Place);
        let place = place.or(found).or(waits).expect("a live saga that is not paused has an open leaf");
        let (work, waits) = (self.entry(place).work, self.entry(place).waits);
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        let (may_end, may_go_back) = (node.phase == Phase::Compensatable, node.phase != Phase::Retriable);
        // Whether a sub-saga with the pivot can go back is its own to say.
        let may_recall = may_end || matches!(waits, Waits::Parked | Waits::Paused);
        if work == Work::Asked && waits != Waits::Stuck {
            self.give_up(place, FailureKind::Error, code::DATA_TOO_BIG, &message);
        } else if may_go_back
            && may_recall
            && matches!((work, waits), (Work::Nothing, Waits::Parked | Waits::Paused) | (Work::Open, Waits::Children))
        {
            let failure = self.failure_at(place, FailureKind::Error, code::DATA_TOO_BIG, &message);
            let way = self.stop(Scope::Root, failure, false);
            self.go(way);
        } else if waits == Waits::Children
            && !self.entry(place).children().is_some_and(|rows| rows.work(self.is_paused()) == Some(ChildWork::Gather))
        {
            // What items do is journaled by their own turns.
            return Err(Rejection::new(RejectionReason::NotPossible, format!("{message}, and rows below it are under way")));
        } else if (work, waits) == (Work::Open, Waits::Children) {
            // All have ended well: what they gave cannot be taken on.
            self.happen(SagaEvent::Succeeded { place, result: None, passes: false });
            self.stuck(place, FailureKind::Error, code::DATA_TOO_BIG, &message);
        } else if matches!(waits, Waits::Time | Waits::Approval | Waits::Event) && may_end {
            let failure = self.failure_at(place, FailureKind::Error, code::DATA_TOO_BIG, &message);
            self.happen(SagaEvent::Refused { place, failure });
            self.go(Way::Settled(place));
        } else {
            self.stuck(place, FailureKind::Error, code::DATA_TOO_BIG, &message);
        }
        Ok(())
    }

    /// Why something of the entry at `place` failed.
    pub(super) fn failure_at(&self, place: Place, kind: FailureKind, code: &str, message: &str) -> Arc<Failure> {
        let step = match self.definition.node(self.entry(place).node) {
            Some(node) if !node.name.is_empty() => node.name.clone(),
            _ => self.entry(place).name().into(),
        };
        failure(kind, code, &step, message)
    }

    pub(super) fn stuck(&mut self, place: Place, kind: FailureKind, code: &str, message: &str) {
        let failure = self.failure_at(place, kind, code, message);
        self.happen(SagaEvent::Stuck { place, failure });
    }
}

pub(super) fn failure(kind: FailureKind, code: &str, step: &Arc<str>, message: &str) -> Arc<Failure> {
    Arc::new(Failure { code: code.into(), step: step.clone(), kind, message: message.into() })
}
