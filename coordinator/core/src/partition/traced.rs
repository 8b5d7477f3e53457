//! What is told of sagas that are traced, once it counts: that one began, and that a row has changed behind its end or by it.
//!
//! No more than that: a trace is derived from the records of the journal that the row names, by whoever is told here.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Head;
use ringmaster_schemas::state::{Entry, Saga, Status, Turns};

use super::{Partition, Stage};
use crate::saga::Tracing;

/// Something to be told in a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// The id of the row.
    pub saga: Arc<str>,
    /// The record of the journal by which it is so.
    pub offset: i64,
    /// What.
    pub what: TracedWhat,
}

/// What there is to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum TracedWhat {
    /// It began.
    Began(Head),
    /// It has ended, by this record or before it.
    Ended {
        /// The records that changed it.
        turns: Turns,
        /// So many spans tell of it, at least.
        spans: u32,
    },
}

impl Partition {
    /// What is to be told of sagas that are traced, since this was asked last.
    pub fn take_traced(&mut self) -> Vec<Traced> {
        match &mut self.stage {
            Stage::Owning(owner) => std::mem::take(&mut owner.replica.traced),
            _ => Vec::new(),
        }
    }
}

/// True if the trace of such a row is kept although its saga was not chosen: what was undone is looked for.
fn is_kept(saga: &Saga) -> bool {
    saga.status == Status::Compensated
}

/// Tells of a row that the counting record at this offset and time leaves behind.
pub(super) fn note(tracing: &Tracing, saga: &Saga, (offset, now): (i64, Millis), out: &mut Vec<Traced>) {
    let traced = |what| Traced { saga: saga.id.clone(), offset, what };
    let has_begun = || saga.began() && saga.head.started_at() == now && saga.turns.told().0.first() == Some(&offset);
    if saga.mailbox().is_none() && has_begun() && tracing.samples(&saga.id) {
        out.push(traced(TracedWhat::Began(saga.head.clone())));
    }
    if saga.ended() && saga.status != Status::Swept && (is_kept(saga) || tracing.samples(&saga.id)) {
        let of_entry = |entry: &Entry| 1 + u32::from(entry.attempt);
        let spans = 1 + saga.entries.iter().map(of_entry).sum::<u32>();
        out.push(traced(TracedWhat::Ended { turns: saga.turns.clone(), spans }));
    }
}
