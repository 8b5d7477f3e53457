//! What holds for every saga, whatever happens to it, as far as the language without branches side by side goes. Stories and the simulator
//! check each event by them.

use ringmaster_core::definition::{Definition, Step, Undo};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Opens, Phase, Place, SagaEvent};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Entry, Saga, Status, Waits, Work};

/// The laws that an event breaks: `before` is the state that it met, `behind` what it left, `at` the time of its turn.
pub fn event(definition: &Definition, before: Option<&Saga>, event: &SagaEvent, behind: &Saga, at: Millis) -> Vec<String> {
    let mut faults = Vec::new();
    let mut broken = |law: &str, what: &str| faults.push(format!("{law}: {what} ({event:?} of {})", behind.id));
    let undoing = before.is_some_and(|saga| saga.status != Status::Running);
    match event {
        event if undoing && goes_forward(event) => broken("L3", "something goes forward while it undoes"),
        SagaEvent::UndoIssued { place, .. } => {
            let stray = before.and_then(|saga| saga.entry(*place)).is_some_and(|entry| entry.stray().is_some());
            if !stray && before.is_some_and(|saga| !later_is_clean(definition, saga, *place)) {
                broken("L4", "something later is not clean");
            }
            if step_at(definition, behind, *place).is_none_or(|step| step.node.phase != Phase::Compensatable) {
                broken("L5", "something on or behind the pivot is undone");
            }
        }
        SagaEvent::Failed { place, .. }
            if step_at(definition, behind, *place).is_none_or(|step| step.node.phase != Phase::Compensatable) =>
        {
            broken("L9", "a pivot, or what comes behind, is given up");
        }
        SagaEvent::ContradictionFound { place, .. } => {
            let known = before.and_then(|saga| saga.entry(*place)).is_some_and(|entry| entry.work == Work::Refused);
            if !known {
                broken("L16", "only what was refused can be contradicted");
            }
        }
        _ => {}
    }
    if let Some(fault) = attempts(before, event, behind) {
        broken("L7", &fault);
    }
    if let SagaEvent::Completed { emissions, .. } | SagaEvent::Compensated { emissions, .. } = event {
        let again = emissions.iter().enumerate().any(|(at, one)| emissions[..at].iter().any(|other| other.id == one.id));
        if again || before.is_none_or(Saga::ended) {
            broken("L22", "an end is told twice");
        }
    }
    if let Some(before) = before {
        let forward = |status: Status| (status == Status::Compensating) as u8 + 2 * u8::from(status as u8 > 1);
        if forward(behind.status) < forward(before.status) || (before.ended() && behind.status != before.status) {
            broken("L14", "the status goes back");
        }
        if before.passed && !behind.passed {
            broken("L14", "the pivot is in front again");
        }
        if let Some(fault) = clock(before, behind, at) {
            broken("L15", &fault);
        }
        if before.entries.len() > behind.entries.len() {
            broken("L12", "an entry is gone");
        }
    }
    for entry in &behind.entries {
        if !legal(entry) {
            broken("L2", &format!("{} is {} and waits: {}", entry.name(), entry.work, entry.waits));
        }
        if matches!(entry.waits, Waits::Reply | Waits::Retry) && entry.due_at < entry.since {
            broken("L15", &format!("{} is due before it began to wait", entry.name()));
        }
    }
    if behind.ended() && behind.open_stray().is_some() != behind.expiry_bucket().is_none() {
        broken("L1", "an ended row goes when nothing of it is open, not before");
    }
    faults
}

fn goes_forward(event: &SagaEvent) -> bool {
    matches!(
        event,
        SagaEvent::CommandIssued { .. }
            | SagaEvent::CommandRepeated { direction: Direction::Do, .. }
            | SagaEvent::Emitted { .. }
            | SagaEvent::Entered { opens: Opens::Refused { .. }, .. }
    )
}

/// What holds between turns: L1, and at the ends L17 and L18.
pub fn at_rest(definition: &Definition, saga: &Saga) -> Vec<String> {
    let mut faults = Vec::new();
    let mut broken = |law: &str, what: String| faults.push(format!("{law}: {what} ({})", saga.id));
    let open = saga.entries.iter().filter(|entry| entry.open()).count();
    let strays = saga.entries.iter().filter(|entry| entry.open() && entry.stray().is_some()).count();
    let live = matches!(saga.status, Status::Running | Status::Compensating);
    if live != saga.ended.is_none() {
        broken("L14", format!("it is {} and says {:?}", saga.status, saga.ended));
    }
    if live && open == 0 {
        broken("L1", "a live saga waits for nothing".to_owned());
    }
    if saga.status == Status::Running && open != 1 {
        broken("L1", format!("a saga that goes forward waits for one thing, this one for {open}"));
    }
    if !live && open != strays {
        broken("L1", "an ended saga waits".to_owned());
    }
    if live && !saga.stuck() && saga.due_at() == Millis::MAX {
        broken("L2", "an open leaf has no due time, and nobody is needed".to_owned());
    }
    let undoes = |entry: &Entry| definition.step(entry.node).is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }));
    match saga.status {
        Status::Completed => {
            if let Some(entry) = saga.entries.iter().find(|entry| entry.work != Work::Done) {
                broken("L18", format!("it is completed and {} is {}", entry.name(), entry.work));
            }
        }
        Status::Compensated => {
            let left = |entry: &&Entry| matches!(entry.work, Work::Done | Work::Failed) && undoes(entry) && !entry.open();
            if let Some(entry) = saga.entries.iter().find(left) {
                broken("L17", format!("it is compensated and {} is {}", entry.name(), entry.work));
            }
            if saga.passed {
                broken("L17", "it is compensated behind its pivot".to_owned());
            }
        }
        Status::Running | Status::Compensating => {}
    }
    if saga.ended() {
        let kept = |entry: &&Entry| !entry.body().is_empty() && entry.work != Work::Refused && !entry.open();
        if let Some(entry) = saga.entries.iter().find(kept) {
            broken("L12", format!("an ended saga keeps the body of {}", entry.name()));
        }
    }
    faults
}

/// Attempts of a key are 1, 2, 3 with one order, and no key is used by two entries.
fn attempts(before: Option<&Saga>, event: &SagaEvent, behind: &Saga) -> Option<String> {
    let behind_at = |place: &Place| behind.entry(*place).map(|entry| (entry.attempt, entry.order.as_ref()));
    match event {
        SagaEvent::CommandIssued { place, order, .. } => {
            let known = |entry: &Entry| entry.order.as_ref().is_some_and(|known| known.step() == order.step());
            let used = before.is_some_and(|saga| saga.entries.iter().any(known));
            (used || behind_at(place) != Some((1, Some(order)))).then(|| format!("{} is not asked first", order.step()))
        }
        SagaEvent::UndoIssued { place, order, .. } => {
            (behind_at(place) != Some((1, Some(order)))).then(|| format!("the undo of {} is not asked first", order.step()))
        }
        SagaEvent::CommandRepeated { place, attempt, .. } => {
            let known = before.and_then(|saga| saga.entry(*place)).map(|entry| (entry.attempt + 1, entry.order.as_ref()));
            (known != behind_at(place) || known.is_none_or(|(next, _)| next != *attempt))
                .then(|| format!("attempt {attempt} is not the next, or asks something else"))
        }
        _ => None,
    }
}

/// The pairs of work and waits that there are.
fn legal(entry: &Entry) -> bool {
    match entry.work {
        Work::Nothing => entry.waits == Waits::Stuck,
        Work::Asked | Work::UndoAsked => entry.waits != Waits::No,
        Work::Done | Work::Refused | Work::Failed => matches!(entry.waits, Waits::No | Waits::Stuck),
        Work::Undone | Work::Closed => entry.waits == Waits::No,
    }
}

/// The deadline moves by exactly the time for which the saga was held, when that is over.
fn clock(before: &Saga, behind: &Saga, at: Millis) -> Option<String> {
    if behind.stuck() != behind.held_since.is_some() {
        return Some("the clock stands when a person is needed, else it runs".to_owned());
    }
    let held = match (before.held_since, behind.held_since) {
        (Some(since), None) => at - since,
        _ => 0,
    };
    let expected = before.deadline_at.map(|deadline| deadline.saturating_add(held));
    (behind.deadline_at != expected).then(|| format!("the deadline is {:?} instead of {expected:?}", behind.deadline_at))
}

/// True if nothing behind this place is open or still to be undone.
fn later_is_clean(definition: &Definition, saga: &Saga, place: Place) -> bool {
    saga.entries.iter().skip(usize::from(place) + 1).all(|entry| {
        let undo = definition.step(entry.node).is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }));
        let done = matches!(entry.work, Work::Done | Work::Failed) && undo;
        !done && !entry.open()
    })
}

fn step_at<'d>(definition: &'d Definition, saga: &Saga, place: Place) -> Option<Step<'d>> {
    definition.step(saga.entry(place)?.node)
}
