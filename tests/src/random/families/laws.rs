//! What holds for a row and the rows below it, beside what holds for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::definition::{Definition, ROOT, Verb};
use ringmaster_core::saga::{Moved, Room};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{FailureKind, ItemEvent, Opens, Place, SagaEvent, SearchValues, ValueName};
use ringmaster_schemas::names::{Direction, below, parse_saga_id};
use ringmaster_schemas::state::{Entry, Paused, Saga, Status, Waits, Work};

use super::known::Known;

type Rows = BTreeMap<Arc<str>, Arc<Saga>>;

/// What holds for an event of any row.
pub(in crate::random) fn event(
    definition: &Definition,
    before: Option<&Saga>,
    event: &SagaEvent,
    behind: &Saga,
    at: Millis,
) -> Vec<String> {
    crate::laws::event(definition, before, event, behind, at)
}

/// L3: nothing goes forward in a row whose for_each, or what is around that, is undone. L20: nothing begins before the row has the
/// values that it has alone.
pub(in crate::random) fn before(known: &Known, rows: &Rows, id: &str, before: Option<&Saga>, event: &SagaEvent) -> Vec<String> {
    let goes = match event {
        SagaEvent::CommandIssued { .. } | SagaEvent::Emitted { .. } | SagaEvent::Escalated { .. } => true,
        SagaEvent::CommandRepeated { direction, .. } | SagaEvent::Retried { direction, .. } => *direction == Direction::Do,
        SagaEvent::Entered { opens, .. } => !matches!(opens, Opens::Stuck { .. }),
        SagaEvent::ReactionBegan { .. } | SagaEvent::WentOn { .. } | SagaEvent::Item { event: ItemEvent::Began { .. }, .. } => true,
        SagaEvent::Completed { .. } => true,
        _ => false,
    };
    let runs = before.is_none_or(|row| row.status == Status::Running);
    let wrong = goes && runs && is_undone_above(known, rows, id);
    // A person may go on without something: what stands behind it does not begin.
    let goes_on = matches!(event, SagaEvent::WentOn { .. } | SagaEvent::ReactionBegan { .. });
    let held = goes && !goes_on && runs && is_paused_above(rows, id);
    let early = goes && before.is_some_and(|row| row.claims().iter().any(|claim| is_alone(&claim.name) && !claim.granted));
    let faults = [
        wrong.then(|| format!("L3: {id} goes forward below what is undone ({event:?})")),
        held.then(|| format!("L23: {id} goes forward below what is paused ({event:?})")),
        early.then(|| format!("L20: {id} begins before it has its value ({event:?})")),
    ];
    faults.into_iter().flatten().collect()
}

fn is_own(paused: &Paused) -> bool {
    !paused.is_with_above()
}

/// A person paused a saga above it.
fn is_paused_above(rows: &Rows, id: &str) -> bool {
    let above = below(id).and_then(|below| rows.get(below.above));
    above.is_some_and(|above| above.paused().is_some_and(is_own) || is_paused_above(rows, &above.id))
}

/// A value that one saga has alone, not one that an event is known by.
pub(super) fn is_alone(name: &ValueName) -> bool {
    name.topic.is_empty()
}

/// A saga is found by what its definition says, from its first event on.
pub(in crate::random) fn search(definition: &Definition, event: &SagaEvent, behind: &Saga) -> Option<String> {
    let SagaEvent::Started { head, .. } = event else { return None };
    let is_item = below(&behind.id).is_some_and(|below| below.item.is_some());
    if is_item {
        return None;
    }
    let (said, _) = definition.searched_by(&parse_saga_id(&behind.id).1, head.start(), head.started_at());
    let said = said.expect("it can be searched by its start");
    let all = |values: SearchValues<'_>| values.keys().map(|key| (key.name.to_owned(), key.value.to_owned())).collect::<Vec<_>>();
    let (said, found) = (all(SearchValues::of(&said)), all(head.search()));
    (said != found).then(|| format!("search: {} is found by {found:?}, and says {said:?}", behind.id))
}

fn is_undone_above(known: &Known, rows: &Rows, id: &str) -> bool {
    let Some(below) = below(id) else { return false };
    let Some(above) = rows.get(below.above) else { return false };
    let definition = known.of_row(above);
    let node = definition.names.find(below.step);
    let of = |entry: &Entry| Some(entry.node) == node && entry.round == below.round;
    let Some(place) = above.entries.iter().position(of) else { return false };
    if above.status == Status::Compensating || above.entries[place].work == Work::Undoing {
        return true;
    }
    let mut scope = definition.nodes[usize::from(above.entries[place].node)].scope;
    while scope != ROOT {
        let around = above.entries[..place].iter().rfind(|entry| entry.node == scope);
        if around.is_some_and(|entry| entry.work == Work::Undoing) {
            return true;
        }
        scope = definition.nodes[usize::from(scope)].scope;
    }
    is_undone_above(known, rows, &above.id)
}

/// L13: of what rows have to do by themselves a turn does no more than it has room for, so that no list makes it large.
pub(in crate::random) fn room(moved: &[Moved<'_>], room: Room) -> Option<String> {
    let events = moved.iter().flat_map(|one| &one.events);
    let does = |event: &&SagaEvent| {
        use ItemEvent::{Began, Recalled, Swept};
        matches!(event, SagaEvent::Item { event: Began { .. } | Recalled { .. } | Swept { .. }, .. })
    };
    let done = events.filter(does).count();
    (done > room.rows).then(|| format!("L13: a turn with room for {} rows begins, recalls and sweeps {done}", room.rows))
}

/// What holds between turns.
pub(in crate::random) fn family(known: &Known, rows: &Rows) -> Vec<String> {
    let mut faults = Vec::new();
    for saga in rows.values() {
        let definition = known.of_row(saga);
        faults.extend(crate::laws::at_rest(definition, saga));
        if let Some(below) = below(&saga.id)
            && !rows.contains_key(below.above)
        {
            faults.push(format!("L1: {} has no row above it", saga.id));
        }
        for (entry, place) in saga.entries.iter().zip(0..) {
            if entry.children().is_some() {
                faults.extend(children(definition, rows, saga, entry, place));
            }
        }
    }
    faults
}

/// What holds for a run and its sub-saga: both are behind the pivot, or neither, and a refusal has its code.
fn run(saga: &Saga, entry: &Entry, child: &Saga) -> Option<String> {
    if child.passed && !saga.passed {
        return Some("L14: its sub-saga is behind the pivot, and the row above is not".to_owned());
    }
    let (refused, cause) = (entry.work == Work::Refused, child.failure.as_ref());
    let said = entry.failure().filter(|failure| refused && failure.kind == FailureKind::Refused);
    let is_other = said.is_some_and(|said| cause.is_some_and(|cause| cause.code != said.code));
    is_other.then(|| "L18: it is refused with another code than its sub-saga was undone for".to_owned())
}

fn children(definition: &Definition, rows: &Rows, saga: &Saga, entry: &Entry, place: Place) -> Vec<String> {
    let mut faults = Vec::new();
    let children = entry.children().expect("it was looked at");
    let name = &definition.nodes[usize::from(entry.node)].name;
    let row = |index: u16| rows.get(&*definition.row_below(&saga.id, (entry.node, entry.round), index));
    let mut wrong = |what: String| faults.push(format!("{what} ({} of {}, at {place})", name, saga.id));
    // As it is written, whatever the row says.
    let at_once = match &definition.nodes[usize::from(entry.node)].verb {
        Verb::ForEach(each) => each.at_once,
        _ => 1,
    };
    if entry.waits == Waits::Children && children.open.len() > usize::from(at_once) {
        wrong(format!("L8: {} items are under way, and {at_once} may be", children.open.len()));
    }
    for index in children.swept..children.begun {
        let Some(child) = row(index) else {
            wrong(format!("L1: item {index} has begun, and its row is not there"));
            continue;
        };
        let known = children.child(index);
        if let Verb::Run(_) = definition.nodes[usize::from(entry.node)].verb {
            run(saga, entry, child).into_iter().for_each(&mut wrong);
        }
        let lives = matches!(child.status, Status::Running | Status::Compensating);
        if lives != known.is_some() && !saga.ended() {
            wrong(format!("L1: item {index} is {}, and the row above thinks otherwise", child.status));
        }
        // While the row above has itself to be told, those below it may have looked before.
        let is_current = saga.paused().is_some() == (saga.paused().is_some_and(is_own) || is_paused_above(rows, &saga.id));
        let is_told = saga.status == Status::Running && entry.work == Work::Open && !saga.has_work() && is_current;
        let is_alike = match child.paused() {
            None => saga.paused().is_none(),
            Some(paused) => is_own(paused) || saga.paused().is_some(),
        };
        if is_told && child.status == Status::Running && !is_alike {
            wrong(format!("L23: item {index} is paused: {}, and the row above is or is not", child.paused().is_some()));
        }
        if known.is_some_and(|known| known.held != child.held_since.is_some()) {
            wrong(format!("L15: item {index} is held or not, and the row above thinks otherwise"));
        }
        match (entry.work, child.status) {
            (Work::Done, Status::Completed) | (Work::Open | Work::Undoing, _) => {}
            // They were undone, and a person gave a value in their stead.
            (Work::Done, Status::Compensated) if children.recalls => {}
            (Work::Done, status) => wrong(format!("L18: it is done, and item {index} is {status}")),
            (_, Status::Completed) if children.undoes => wrong(format!("L17: it is {}, and item {index} is done", entry.work)),
            (_, Status::Completed | Status::Compensated) => {}
            (work, status) => wrong(format!("L1: it is {work}, and item {index} is {status}")),
        }
    }
    let over = matches!(entry.work, Work::Open | Work::Undoing) != (entry.waits == Waits::Children);
    if over {
        wrong(format!("L2: it is {} and waits for {}", entry.work, entry.waits));
    }
    faults
}
