//! What holds for every saga, whatever happens to it. Stories, random definitions and the simulator check each event by them.

pub(crate) mod scopes;

use ringmaster_core::definition::{Definition, Node, Undo};
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
        event if goes_forward(event) && (undoing || before.is_some_and(|saga| scopes::is_halted(definition, saga, event))) => {
            broken("L3", "something goes forward in what is undone");
        }
        SagaEvent::UndoIssued { place, .. } => {
            let stray = before.and_then(|saga| saga.entry(*place)).is_some_and(|entry| entry.stray().is_some());
            if !stray && before.is_some_and(|saga| !scopes::later_is_clean(definition, saga, *place)) {
                broken("L4", "something later is not clean");
            }
            if node_at(definition, behind, *place).is_none_or(|node| node.phase != Phase::Compensatable) {
                broken("L5", "something on or behind the pivot is undone");
            }
        }
        SagaEvent::Failed { place, .. }
            if node_at(definition, behind, *place).is_none_or(|node| node.phase != Phase::Compensatable) =>
        {
            broken("L9", "a pivot, or what comes behind, is given up");
        }
        SagaEvent::ReactionBegan { place, .. } | SagaEvent::WentOn { place, .. } => {
            if !before.is_some_and(|saga| scopes::is_clean(definition, saga, *place)) {
                broken("L6", "it goes on where something is left behind");
            }
            if matches!(event, SagaEvent::ReactionBegan { list, .. } if !scopes::may_react(definition, behind, *place, *list)) {
                broken("L10", "a reaction begins once more than it may");
            }
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
        faults.extend(states(before, behind, at).into_iter().map(|fault| format!("{fault} ({event:?} of {})", behind.id)));
    }
    let mut broken = |law: &str, what: &str| faults.push(format!("{law}: {what} ({event:?} of {})", behind.id));
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

/// What holds between the states before and behind an event, whatever it is.
fn states(before: &Saga, behind: &Saga, at: Millis) -> Vec<String> {
    let mut faults = Vec::new();
    let forward = |status: Status| (status == Status::Compensating) as u8 + 2 * u8::from(status as u8 > 1);
    if forward(behind.status) < forward(before.status) || (before.ended() && behind.status != before.status) {
        faults.push("L14: the status goes back".to_owned());
    }
    if before.passed && !behind.passed {
        faults.push("L14: the pivot is in front again".to_owned());
    }
    if let Some(fault) = clock(before, behind, at) {
        faults.push(format!("L15: {fault}"));
    }
    if before.entries.len() > behind.entries.len() {
        faults.push("L12: an entry is gone".to_owned());
    }
    faults
}

fn goes_forward(event: &SagaEvent) -> bool {
    matches!(
        event,
        SagaEvent::CommandIssued { .. }
            | SagaEvent::CommandRepeated { direction: Direction::Do, .. }
            | SagaEvent::Emitted { .. }
            | SagaEvent::Entered { opens: Opens::Refused { .. } | Opens::Scope { .. }, .. }
            | SagaEvent::Skipped { .. }
            | SagaEvent::ReactionBegan { .. }
            | SagaEvent::WentOn { .. }
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
    // What is found done in a scope that is undone joins its walk, and a scope waits for a stray in it.
    let forward = saga.entries.iter().filter(|entry| entry.open() && !matches!(entry.work, Work::UndoAsked | Work::Done)).count();
    let waits_for_stray = saga.entries.iter().any(|entry| entry.work == Work::Undoing);
    if saga.status == Status::Running && (forward > 1 && !scopes::has_branches(definition) || open == strays && !waits_for_stray) {
        broken("L1", format!("a saga that goes forward waits, and without branches for one thing: this one for {forward}"));
    }
    if let Some(scope) = saga.entries.iter().zip(0..).find(|(entry, place)| scopes::is_orphan(definition, saga, entry, *place)) {
        broken("L1", format!("the scope at {} waits for nothing", scope.1));
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
            let mut entries = saga.entries.iter().zip(0..);
            if let Some((entry, _)) = entries.find(|(_, place)| !scopes::ended_well(definition, saga, *place)) {
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
        Work::Done | Work::Refused | Work::Failed | Work::Undone => matches!(entry.waits, Waits::No | Waits::Stuck),
        Work::Closed | Work::Open | Work::Undoing => entry.waits == Waits::No,
    }
}

/// The deadline, and the time of open scopes, moves by exactly the time for which the saga was held, when that is over.
fn clock(before: &Saga, behind: &Saga, at: Millis) -> Option<String> {
    if behind.stuck() != behind.held_since.is_some() {
        return Some("the clock stands when a person is needed, else it runs".to_owned());
    }
    let held = match (before.held_since, behind.held_since) {
        (Some(since), None) => at - since,
        _ => 0,
    };
    let expected = before.deadline_at.map(|deadline| deadline.saturating_add(held));
    if behind.deadline_at != expected {
        return Some(format!("the deadline is {:?} instead of {expected:?}", behind.deadline_at));
    }
    let moved = |(before, behind): (&Entry, &Entry)| match (before.scope_until(), behind.scope_until()) {
        (Some(before), Some(behind)) => behind != before + held,
        _ => false,
    };
    before.entries.iter().zip(&behind.entries).any(moved).then(|| "the time of a scope moves otherwise".to_owned())
}

fn node_at<'d>(definition: &'d Definition, saga: &Saga, place: Place) -> Option<&'d Node> {
    definition.node(saga.entry(place)?.node)
}
