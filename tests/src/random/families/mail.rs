//! L11: rows answer to each other in the turn in which one of them writes, and none leaves work of its own while there is room for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::saga::{Moved, Room};
use ringmaster_schemas::journal::{ItemEvent, SagaEvent};
use ringmaster_schemas::state::{Saga, Status};

/// What a turn has left unanswered, or undone. `rows`: as it has left them.
pub(in crate::random) fn left(rows: &BTreeMap<Arc<str>, Arc<Saga>>, moved: &[Moved<'_>], room: Room) -> Vec<String> {
    let mut faults = Vec::new();
    for one in moved {
        for event in &one.events {
            let SagaEvent::Item { place, event } = event else { continue };
            let (Some(entry), Some(index)) = (one.saga.entry(*place), told(event)) else { continue };
            let id = one.definition.row_below(&one.id, (entry.node, entry.round), index);
            let above = rows.get(&one.id).and_then(|above| above.entry(*place)?.children()?.child(index));
            if !is_answered(event, rows.get(&*id).map(|row| &**row), above.is_some()) {
                faults.push(format!("L11: {id} does not answer to {event:?}"));
            }
        }
    }
    // Bodies are small here: rows are what a turn runs out of.
    let has_room = moved.len() < room.rows;
    let mut idle = moved.iter().filter(|one| has_room && rows.get(&one.id).is_some_and(|row| row.has_work()));
    faults.extend(idle.next().map(|one| format!("L11: {} leaves work of its own, and there is room for it", one.id)));
    faults
}

/// The row below that is told something.
fn told(event: &ItemEvent) -> Option<u16> {
    match event {
        ItemEvent::Began { index, .. }
        | ItemEvent::Recalled { index }
        | ItemEvent::StopAsked { index }
        | ItemEvent::Told { index, .. }
        | ItemEvent::Swept { index } => Some(*index),
        ItemEvent::Ended { .. }
        | ItemEvent::Held { .. }
        | ItemEvent::Passed { .. }
        | ItemEvent::UndoBegan { .. }
        | ItemEvent::Lingers { .. } => None,
    }
}

/// True if the row below is as it was told to be. `is_open`: the row above counts it among those that are under way.
fn is_answered(event: &ItemEvent, row: Option<&Saga>, is_open: bool) -> bool {
    let Some(row) = row else {
        // One that never began has ended.
        return !is_open;
    };
    match event {
        ItemEvent::Recalled { .. } => !matches!(row.status, Status::Running | Status::Completed),
        ItemEvent::StopAsked { .. } => row.status != Status::Running || row.passed || row.remembered_stop().is_some(),
        ItemEvent::Told { paused, .. } => {
            let is_own = row.paused().is_some_and(|paused| !paused.is_with_above());
            row.status != Status::Running || is_own || row.paused().is_some() == *paused
        }
        ItemEvent::Swept { .. } => is_open,
        _ => true,
    }
}
