//! What can happen to a for_each and the rows of its items, or to a run and its sub-saga, and to such a row when its saga has ended.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{ItemEvent, Items, Place};
use ringmaster_schemas::state::{Child, ChildWork, Children, Detail, Entry, Saga, Status, Waits, Work};

use super::leaf::{more, remember, since};
use crate::faults::mutated;

/// The entry of a for_each, or of a run, whose rows follow.
pub(super) fn begin(entry: Entry, items: &Items) -> Entry {
    let rows = Children {
        count: items.count,
        at_once: items.at_once,
        undoes: items.undoes,
        begun: 0,
        at: 0,
        open: Vec::new(),
        to_recall: 0,
        was_done: false,
        recalls: false,
        swept: 0,
        list: Some(items.list.clone()),
    };
    let mut entry = Entry { work: Work::Open, waits: Waits::Children, ..entry };
    more(&mut entry).course.get_or_insert_default().detail = Detail::Children { rows: Arc::new(rows) };
    entry
}

/// The rows below an entry, to be changed.
pub(super) fn rows(entry: &mut Entry) -> Option<&mut Children> {
    match &mut entry.more.as_mut()?.course.as_mut()?.detail {
        Detail::Children { rows } => Some(Arc::make_mut(rows)),
        _ => None,
    }
}

/// It is done after all: of what is known beside that only the rows below are still of use, and the event that had refused it, which may
/// come again. What rows below have undone is not undone again.
pub(super) fn keep_only(entry: &mut Entry) {
    let kept = match entry.detail() {
        Some(Detail::Children { rows }) if !mutated("rows_forgotten_where_done") => {
            let mut rows = rows.clone();
            let undone = rows.recalls;
            Arc::make_mut(&mut rows).undoes &= !undone;
            Some(Detail::Children { rows })
        }
        Some(Detail::Taken { source }) if !mutated("taken_forgotten_where_done") => Some(Detail::Taken { source: source.clone() }),
        _ => None,
    };
    entry.more = None;
    if let Some(detail) = kept {
        more(entry).course.get_or_insert_default().detail = detail;
    }
}

/// True if it could happen; else nothing has changed.
pub(super) fn change(saga: &mut Saga, place: Place, event: &ItemEvent, at: Millis) -> bool {
    if let ItemEvent::Passed { index } = event {
        return passed(saga, place, *index);
    }
    let (is_remembered, is_paused) = (saga.remembered_stop().is_some(), saga.paused().is_some());
    let (status, to_sweep) = (saga.status, saga.to_sweep());
    let Some(entry) = saga.entries.get_mut(usize::from(place)) else { return false };
    match (event, status) {
        (ItemEvent::Swept { index }, Status::Completed | Status::Compensated) => {
            let legal = to_sweep == Some((place, *index));
            if let (true, Some(rows)) = (legal, rows(entry)) {
                rows.swept = *index + 1;
            }
            legal
        }
        (ItemEvent::Lingers { index }, Status::Completed | Status::Compensated) => {
            rows(entry).is_some_and(|rows| lingers(rows, *index))
        }
        (ItemEvent::Ended { .. }, Status::Completed | Status::Compensated) => {
            rows(entry).is_some_and(|rows| child(rows, event, is_paused))
        }
        (ItemEvent::UndoBegan { failure }, Status::Running | Status::Compensating) => {
            let legal = entry.work == Work::Done && entry.children().is_some();
            if legal {
                (entry.work, entry.waits, entry.due_at) = (Work::Undoing, Waits::Children, 0);
                remember(entry, failure);
                if let Some(rows) = rows(entry) {
                    rows.was_done = true;
                    recall(rows);
                }
                since(entry, at);
            }
            legal
        }
        (ItemEvent::StopAsked { index }, Status::Running) if is_remembered && entry.waits == Waits::Children => {
            let child = rows(entry).and_then(|rows| rows.open.iter_mut().find(|child| child.index == *index && !child.recalled));
            child.map(|child| child.recalled = true).is_some()
        }
        (_, Status::Running | Status::Compensating) if entry.waits == Waits::Children => {
            rows(entry).is_some_and(|rows| child(rows, event, is_paused))
        }
        _ => false,
    }
}

/// A sub-saga that is under way is behind its pivot: so is this one.
fn passed(saga: &mut Saga, place: Place, index: u16) -> bool {
    let rows = saga.entry(place).filter(|entry| entry.work == Work::Open).and_then(Entry::children);
    let legal = saga.status == Status::Running && !saga.passed && rows.is_some_and(|rows| rows.child(index).is_some());
    legal && super::pass(saga, true)
}

/// It is needed no more, and stays all the same.
fn lingers(rows: &mut Children, index: u16) -> bool {
    let legal = index < rows.swept && rows.child(index).is_none();
    if legal {
        rows.open.push(Child::new(index, true));
    }
    legal
}

/// Something that was open is undone now.
pub(super) fn recall(rows: &mut Children) {
    let done = if rows.undoes { rows.begun } else { 0 };
    (rows.recalls, rows.to_recall, rows.list) = (true, done, None);
    if mutated("undo_ignores_at_once") {
        rows.at_once = rows.count;
    }
    // One that was told to stop if it can is told now that it must.
    rows.open.iter_mut().for_each(|child| child.recalled = false);
}

fn child(rows: &mut Children, event: &ItemEvent, is_paused: bool) -> bool {
    match (event, rows.work(is_paused)) {
        // One that looks before it is told says so.
        (ItemEvent::Told { index, paused }, _) if *paused == is_paused => {
            let child = rows.open.iter_mut().find(|child| child.index == *index && child.paused != is_paused);
            child.map(|child| child.paused = is_paused).is_some()
        }
        (ItemEvent::Began { index, next_at, .. }, Some(ChildWork::Begin(next))) if *index == next => {
            (rows.begun, rows.at) = (next + u16::from(!mutated("item_started_twice")), *next_at);
            rows.open.push(Child::new(next, false));
            if rows.begun == rows.count {
                rows.list = None;
            }
            true
        }
        (ItemEvent::Recalled { index, .. }, Some(ChildWork::Recall(next))) if *index == next => {
            match rows.open.iter_mut().find(|child| child.index == next) {
                Some(child) if !child.recalled => child.recalled = true,
                // It was under way, and was told before those that are done.
                Some(_) => rows.to_recall = next,
                None => {
                    rows.to_recall = next;
                    rows.open.push(Child::new(next, true));
                }
            }
            true
        }
        (ItemEvent::Ended { index, .. }, _) => {
            let at = rows.open.iter().position(|child| child.index == *index);
            at.map(|at| rows.open.remove(at)).is_some()
        }
        (ItemEvent::Held { index, held, .. }, _) => {
            let child = rows.open.iter_mut().find(|child| child.index == *index && child.held != *held);
            child.map(|child| child.held = *held).is_some()
        }
        _ => false,
    }
}

/// The row of an item whose saga has ended: it goes, now or when those below it have gone.
pub(super) fn sweep(saga: &mut Saga, lingers: bool) -> bool {
    let is_below = saga.is_below();
    let Some(end) = saga.ended.as_mut().filter(|_| is_below && saga.status != Status::Swept) else { return false };
    if lingers {
        let legal = end.expires_at == Millis::MAX;
        end.expires_at = 0;
        return legal;
    }
    (saga.status, saga.entries, saga.failure, saga.bare) = (Status::Swept, Vec::new(), None, true);
    true
}
