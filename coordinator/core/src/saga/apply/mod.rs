//! What is now true: the only place where a saga's state changes, live and in replay alike.
//!
//! Released arms are frozen: golden journals replay for ever. What is not listed is an [`IllegalEvent`]: a bug when live, corruption
//! when replaying. It reads no definition, evaluates nothing, and knows no clock but the record's.

mod children;
mod early;
mod leaf;
mod parking;
mod pausing;
mod scope;
mod values;
mod waits;

use std::sync::Arc;

use ringmaster_schemas::journal::{Failure, FailureKind, Head, Opens, Order, Place, SagaEvent};
use ringmaster_schemas::state::{
    Course, Detail, End, Entry, EntryMore, PRIORITY_MAX, PRIORITY_USUAL, Saga, Status, Turns, Waits, Work,
};
use ringmaster_schemas::{Millis, names};

use crate::faults::mutated;

/// An event that cannot happen to a saga in this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to {saga} ({state})")]
pub struct IllegalEvent {
    /// The saga's id.
    pub saga: Arc<str>,
    /// Where it stands.
    pub state: String,
    /// What was to happen.
    pub event: String,
}

/// Makes an event of the saga of this id true. `at` is the time of the event's turn. A row that others hold is copied once.
pub fn apply(id: &Arc<str>, row: &mut Option<Arc<Saga>>, event: &SagaEvent, at: Millis) -> Result<(), IllegalEvent> {
    match (row.as_mut(), event) {
        (None, SagaEvent::Started { head, deadline_at }) => {
            *row = Some(Arc::new(begin(id, head, *deadline_at)));
            Ok(())
        }
        (
            None,
            SagaEvent::EventKept { .. }
            | SagaEvent::ValueGiven { .. }
            | SagaEvent::ValueDenied { .. }
            | SagaEvent::ValueFreed { .. },
        ) if names::is_value(id) => {
            *row = Some(Arc::new(first_of_value(id, event, at)?));
            Ok(())
        }
        (None, SagaEvent::EventKept { event }) => {
            let mut saga = Saga::expected(id);
            early::kept(&mut saga, event);
            *row = Some(Arc::new(saga));
            Ok(())
        }
        // What came before it moves in by events of its own.
        (Some(saga), SagaEvent::Started { head, deadline_at }) if !saga.began() || saga.status == Status::Swept => {
            *saga = Arc::new(begin(id, head, *deadline_at));
            Ok(())
        }
        // An id whose finished row has expired may start again; the partition takes the old row away before.
        (None, event) => Err(IllegalEvent { saga: id.clone(), state: "not started".into(), event: format!("{event:?}") }),
        (Some(saga), event) => {
            let saga = owned(saga);
            if !change(saga, event, at) {
                return Err(illegal(saga, event));
            }
            settle_clock(saga, at);
            Ok(())
        }
    }
}

/// The row of a value, of which something is known for the first time.
#[inline(never)]
fn first_of_value(id: &Arc<str>, event: &SagaEvent, at: Millis) -> Result<Saga, IllegalEvent> {
    let mut saga = values::begin(id);
    if change(&mut saga, event, at) { Ok(saga) } else { Err(illegal(&saga, event)) }
}

/// The saga, copied first if others hold it.
fn owned(saga: &mut Arc<Saga>) -> &mut Saga {
    if Arc::get_mut(saga).is_none() {
        *saga = Arc::new(saga.copy_with_room());
    }
    Arc::get_mut(saga).expect("nobody else holds it now")
}

fn begin(id: &Arc<str>, head: &Head, deadline_at: Option<Millis>) -> Saga {
    Saga {
        id: id.clone(),
        head: head.clone(),
        bare: false,
        status: Status::Running,
        passed: false,
        late: false,
        priority: PRIORITY_USUAL,
        deadline_at,
        held_since: None,
        // One step at work and those before it: what most sagas have most of the time.
        entries: Vec::with_capacity(1),
        failure: None,
        ended: None,
        more: None,
        turns: Turns::default(),
    }
}

/// True if it could happen; else nothing has changed.
fn change(saga: &mut Saga, event: &SagaEvent, at: Millis) -> bool {
    use SagaEvent::{Answered, EventKept, EventPassed, EventTaken, EventsExpired};
    use SagaEvent::{ValueClaimed, ValueDenied, ValueFreed, ValueGiven, ValueGranted, ValueReleased};
    use Status::{Compensated, Compensating, Completed, Expected, Running};
    match (saga.status, event) {
        (_, EventKept { .. } | EventTaken { .. } | EventsExpired { .. } | Answered { .. }) => early::change(saga, event, at),
        (_, ValueClaimed { .. } | ValueGranted { .. } | EventPassed { .. } | ValueReleased { .. }) => {
            values::change(saga, event, at)
        }
        (_, ValueGiven { .. } | ValueDenied { .. } | ValueFreed { .. }) => values::change(saga, event, at),
        (_, SagaEvent::Item { place, event }) => children::change(saga, *place, event, at),
        (_, SagaEvent::Swept { lingers }) => children::sweep(saga, *lingers),
        (Running, SagaEvent::Skipped { passes, .. }) => pass(saga, *passes),
        (_, SagaEvent::Entered { place, node, round, opens }) => enter(saga, *place, entry(*node, *round, at), opens),
        (Running, SagaEvent::Emitted { node, .. }) => *node > 0,
        (Running, SagaEvent::Prioritised { priority }) => prioritise(saga, *priority),
        (Running, SagaEvent::CommandIssued { place, node, round, order, due_at }) => {
            issue(saga, *place, entry(*node, *round, at), (order, *due_at))
        }
        (
            _,
            SagaEvent::CommandRepeated { place, .. }
            | SagaEvent::UndoIssued { place, .. }
            | SagaEvent::RetryScheduled { place, .. }
            | SagaEvent::Succeeded { place, .. }
            | SagaEvent::Refused { place, .. }
            | SagaEvent::Failed { place, .. }
            | SagaEvent::Undone { place }
            | SagaEvent::Closed { place }
            | SagaEvent::Stuck { place, .. }
            | SagaEvent::ScopeStopped { place, .. }
            | SagaEvent::ReactionBegan { place, .. }
            | SagaEvent::WentOn { place, .. }
            | SagaEvent::Retried { place, .. }
            | SagaEvent::Escalated { place, .. }
            | SagaEvent::Parked { place, .. }
            | SagaEvent::Withheld { place, .. }
            | SagaEvent::ContradictionFound { place, .. },
        ) => at_place(saga, *place, event, at),
        // Its consequences follow.
        (_, SagaEvent::Acted { .. }) => true,
        (_, SagaEvent::StuckTold { place, .. }) => told_stuck(saga, *place),
        (_, SagaEvent::Paused { .. } | SagaEvent::Postponed { .. } | SagaEvent::Resumed {}) => pausing::change(saga, event, at),
        (Running | Completed, SagaEvent::CompensationBegan { failure }) => undo_begins(saga, failure),
        (Running, SagaEvent::StopRemembered { failure }) => remember_stop(saga, failure),
        (Running, SagaEvent::StopForgotten {}) => forget_stop(saga),
        (Running, SagaEvent::MarkedLate { .. }) if !saga.late => {
            saga.late = true;
            true
        }
        (Running, SagaEvent::Completed { expires_at, .. }) => end(saga, Completed, *expires_at, at),
        (Compensating, SagaEvent::Compensated { expires_at, .. }) => end(saga, Compensated, *expires_at, at),
        (
            Running | Compensating | Completed | Compensated | Expected | Status::Swept,
            SagaEvent::Started { .. }
            | SagaEvent::Skipped { .. }
            | SagaEvent::CommandIssued { .. }
            | SagaEvent::Prioritised { .. }
            | SagaEvent::CompensationBegan { .. }
            | SagaEvent::MarkedLate { .. }
            | SagaEvent::Completed { .. }
            | SagaEvent::Compensated { .. }
            | SagaEvent::Emitted { .. }
            | SagaEvent::StopRemembered { .. }
            | SagaEvent::StopForgotten {},
        ) => false,
    }
}

/// What an item has done is undone when its saga says so, although it has ended.
fn undo_begins(saga: &mut Saga, failure: &Arc<Failure>) -> bool {
    let legal = saga.status == Status::Running || saga.is_below();
    if legal {
        (saga.status, saga.ended, saga.failure) = (Status::Compensating, None, Some(failure.clone()));
        pausing::waits_no_more(saga);
    }
    legal
}

/// An entry of which nothing is known yet.
fn entry(node: u16, round: u8, at: Millis) -> Entry {
    let (work, waits) = (Work::Nothing, Waits::No);
    Entry { node, attempt: 0, round, work, waits, bare: false, since: at, due_at: 0, order: None, result: None, more: None }
}

/// True if it needs a person. How often that was told counts over the saga's life.
fn told_stuck(saga: &mut Saga, place: Place) -> bool {
    let is_stuck = saga.entry(place).is_some_and(|entry| entry.waits == Waits::Stuck);
    if is_stuck {
        let more = saga.more.get_or_insert_default();
        more.stuck_told = more.stuck_told.saturating_add(1);
    }
    is_stuck
}

/// True if none is remembered, and it can still go back.
fn remember_stop(saga: &mut Saga, failure: &Arc<Failure>) -> bool {
    let legal = saga.failure.is_none() && !saga.passed;
    if legal {
        saga.failure = Some(failure.clone());
    }
    legal
}

/// True if one was remembered: if it was the deadline, it is late now.
fn forget_stop(saga: &mut Saga) -> bool {
    let forgotten = saga.failure.take();
    saga.late |= forgotten.as_ref().is_some_and(|failure| failure.kind == FailureKind::Deadline);
    forgotten.is_some()
}

/// It is known before anything begins.
fn prioritise(saga: &mut Saga, priority: u8) -> bool {
    let legal = saga.entries.is_empty() && priority <= PRIORITY_MAX;
    if legal {
        saga.priority = priority;
    }
    legal
}

/// The first attempt of a command, of what begins now or was parked before it was made.
fn issue(saga: &mut Saga, place: Place, entry: Entry, (order, due_at): (&Order, Millis)) -> bool {
    if let Some(parked) = saga.entries.get_mut(usize::from(place)) {
        return parking::issued(parked, &entry, (order, due_at));
    }
    let (work, waits, order) = (Work::Asked, Waits::Reply, Some(order.clone()));
    entry.node > 0 && append(saga, place, Entry { work, waits, attempt: 1, due_at, order, ..entry })
}

/// Something begins that asks nobody. While the saga undoes nothing does but its own end.
fn enter(saga: &mut Saga, place: Place, entry: Entry, opens: &Opens) -> bool {
    let is_end = entry.node == 0;
    match (saga.status, opens) {
        (Status::Running, Opens::Stuck { failure }) => append(saga, place, failed(Entry { waits: Waits::Stuck, ..entry }, failure)),
        (Status::Compensating, Opens::Stuck { failure }) if is_end => {
            append(saga, place, failed(Entry { waits: Waits::Stuck, ..entry }, failure))
        }
        (Status::Running, Opens::Refused { failure }) if !is_end => {
            append(saga, place, failed(Entry { work: Work::Refused, ..entry }, failure))
        }
        (Status::Running, Opens::Scope { until }) if !is_end => {
            append(saga, place, Entry { work: Work::Open, due_at: until.unwrap_or(0), ..entry })
        }
        (Status::Running, Opens::Sleep { due_at, expires }) if !is_end => {
            let detail = if *expires { Detail::Expires {} } else { Detail::Nothing {} };
            append(saga, place, detailed(Entry { waits: Waits::Time, due_at: *due_at, ..entry }, detail))
        }
        (Status::Running, Opens::Approval { asked, due_at }) if !is_end => {
            let detail = Detail::Asked { roles: vec![asked.role.clone()], show: asked.show.clone() };
            append(saga, place, detailed(Entry { waits: Waits::Approval, due_at: *due_at, ..entry }, detail))
        }
        (Status::Running, Opens::Wait { until }) if !is_end => {
            append(saga, place, Entry { waits: Waits::Event, due_at: *until, ..entry })
        }
        (Status::Running, Opens::Items { items, until }) if !is_end => {
            append(saga, place, children::begin(Entry { due_at: until.unwrap_or(0), ..entry }, items))
        }
        (Status::Running, Opens::Gave { result }) if is_end => {
            append(saga, place, Entry { work: Work::Done, result: Some(result.clone()), ..entry })
        }
        (Status::Running, Opens::Parked { participant }) if !is_end => {
            let detail = Detail::Parked { participant: participant.clone() };
            append(saga, place, detailed(Entry { waits: Waits::Parked, ..entry }, detail))
        }
        (
            Status::Running | Status::Compensating | Status::Completed | Status::Compensated | Status::Expected | Status::Swept,
            _,
        ) => false,
    }
}

fn failed(entry: Entry, failure: &Arc<Failure>) -> Entry {
    Entry { more: Some(Box::new(EntryMore { failure: Some(failure.clone()), ..EntryMore::default() })), ..entry }
}

fn detailed(entry: Entry, detail: Detail) -> Entry {
    let course = (detail != Detail::Nothing {}).then(|| Course { detail, ..Course::default() });
    Entry { more: course.map(|course| Box::new(EntryMore { course: Some(course), ..EntryMore::default() })), ..entry }
}

/// Entries are only appended, and their place is their number.
fn append(saga: &mut Saga, place: Place, entry: Entry) -> bool {
    let before = saga.entries.iter().filter(|other| other.node == entry.node).count();
    let legal = usize::from(place) == saga.entries.len() && usize::from(entry.round) == before + 1;
    if legal {
        saga.entries.reserve_exact(1);
        saga.entries.push(entry);
    }
    legal
}

fn at_place(saga: &mut Saga, place: Place, event: &SagaEvent, at: Millis) -> bool {
    let status = saga.status;
    let Some(entry) = saga.entries.get_mut(usize::from(place)) else { return false };
    if !leaf::may(status, entry, event) || !leaf::change(entry, event, at, status == Status::Running) {
        return false;
    }
    parking::forget(entry);
    match event {
        SagaEvent::Succeeded { passes, .. } | SagaEvent::WentOn { passes, .. } => pass(saga, *passes),
        SagaEvent::Undone { .. } => put_off_expiry(saga, place, at),
        _ => true,
    }
}

/// Behind the pivot nothing is undone but strays, whose undo may be parked: no body of what else was done is needed any more.
fn pass(saga: &mut Saga, passes: bool) -> bool {
    saga.passed |= passes;
    if passes {
        let is_done = |entry: &&mut Entry| entry.work == Work::Done && (!entry.open() || mutated("stray_forgets_body_at_pivot"));
        saga.entries.iter_mut().filter(is_done).for_each(|entry| entry.bare = true);
    }
    true
}

/// A stray that is undone: the row of its ended saga stays for as long as the stray took longer.
fn put_off_expiry(saga: &mut Saga, place: Place, at: Millis) -> bool {
    let found_at = saga.entry(place).and_then(Entry::stray);
    if let (Some(end), Some(found_at)) = (&mut saga.ended, found_at)
        && !mutated("row_of_a_stray_expires")
    {
        end.expires_at = end.expires_at.saturating_add(at.saturating_sub(found_at)).max(at);
    }
    true
}

/// A finished saga's row stays small: it is the duplicate guard. An entry that a participant refused keeps what its undo is made of,
/// since a contradicting answer may still have to be undone; so does a stray whose undo is still to be made. While one is open, its undo may
/// need a person, and what is told then may read the start and all results.
fn end(saga: &mut Saga, status: Status, expires_at: Millis, at: Millis) -> bool {
    if saga.entries.iter().any(Entry::is_under_way) || saga.paused().is_some() {
        return false;
    }
    saga.status = status;
    saga.ended = Some(End { at, expires_at });
    pausing::waits_no_more(saga);
    // What an item did may still have to be undone.
    if saga.is_below() && status == Status::Completed {
        return true;
    }
    let contradictable =
        |entry: &Entry| entry.work == Work::Refused && entry.order.is_some() && !mutated("ended_row_forgets_refused_body");
    let is_to_be_undone = |entry: &Entry| entry.open() && !mutated("ended_row_forgets_parked_stray");
    saga.bare = !saga.entries.iter().any(|entry| contradictable(entry) || is_to_be_undone(entry));
    for entry in &mut saga.entries {
        if saga.bare {
            entry.result = None;
        }
        let kept = contradictable(entry) && entry.order.as_ref().is_some_and(Order::keep);
        // The undo of a stray that is out may be asked again.
        entry.bare |= !kept && !entry.open();
    }
    true
}

/// While a person is needed, something is parked, or the saga is paused, the clocks of the deadline, of scopes and of approvals stand; then they go on where
/// they stood.
fn settle_clock(saga: &mut Saga, at: Millis) {
    let is_parked = |entry: &Entry| entry.waits == Waits::Parked && !mutated("parked_saga_clock_runs");
    let holds = |entry: &Entry| entry.children().is_some_and(|rows| rows.open.iter().any(|child| child.held));
    let is_below = |entry: &Entry| entry.waits == Waits::Children && holds(entry) && !mutated("clock_runs_over_held_item");
    let waits = |entry: &Entry| matches!(entry.waits, Waits::Stuck | Waits::Paused);
    let is_held = |entry: &Entry| waits(entry) || is_parked(entry) || is_below(entry);
    let is_paused = saga.paused().is_some() && !mutated("paused_clock_runs");
    let held = (is_paused || saga.entries.iter().any(is_held)) && !mutated("held_clock_runs");
    match saga.held_since {
        None if held => saga.held_since = Some(at),
        Some(since) if !held => {
            saga.held_since = None;
            saga.deadline_at = saga.deadline_at.map(|deadline| deadline.saturating_add(at.saturating_sub(since)));
            let clocks = saga.entries.iter_mut().filter(|entry| entry.clock().is_some() && !mutated("scope_clock_runs"));
            // One that began meanwhile has stood for less.
            clocks.for_each(|entry| entry.due_at = entry.due_at.saturating_add(at.saturating_sub(since.max(entry.since))));
        }
        _ => {}
    }
}

fn illegal(saga: &Saga, event: &SagaEvent) -> IllegalEvent {
    let entries: Vec<String> =
        saga.entries.iter().map(|entry| format!("{} {} ({})", entry.name(), entry.work, entry.waits)).collect();
    IllegalEvent { saga: saga.id.clone(), state: format!("{}; {}", saga.status, entries.join(", ")), event: format!("{event:?}") }
}
