//! Effects that a replay has not made yet: mostly the journal says a little later that the broker has them, and they are never needed.
//!
//! ```text
//! take(record) -> what causes effects, in the journal's order -> released: forgotten
//!                                                             -> a batch, a claim, one set apart: made, and put into the outbox
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Head, Quarantined, SagaEvent, ValueRelease};
use ringmaster_schemas::state::Saga;

use super::law;
use super::replica::Replica;
use crate::saga::takes_row;

/// Effects, by what causes them.
#[derive(Debug)]
pub(super) enum Unmade {
    /// A change of a saga.
    Saga(Changed),
    /// A record that was put aside.
    Quarantined(Quarantined),
    /// A value that was given to nobody.
    Returned(ValueRelease),
}

/// Events of a saga, with what their effects are made of beside them.
#[derive(Debug)]
pub(super) struct Changed {
    id: Arc<str>,
    head: Head,
    /// The row that they led to, if an effect is made of more than its head. Whoever holds a row makes its next change copy it.
    row: Option<Arc<Saga>>,
    events: Vec<SagaEvent>,
}

impl Changed {
    /// Of events that led to this row.
    pub(super) fn new(row: &Arc<Saga>, events: Vec<SagaEvent>) -> Changed {
        Changed { id: row.id.clone(), head: row.head.clone(), row: takes_row(row, &events).then(|| row.clone()), events }
    }
}

/// What the outbox is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookedAt {
    /// Its rows, which go into a batch.
    Stored,
    /// What an owner sends when it begins.
    Sent,
    /// One of them, which its topic refuses, as the journal says.
    SetApart,
}

/// Those of a counting record.
#[derive(Debug)]
struct Late {
    offset: i64,
    at: Millis,
    unmade: Vec<Unmade>,
}

/// Those of all that were taken and are not released, behind what is in the outbox.
#[derive(Debug, Default)]
pub(super) struct LateEffects(VecDeque<Late>);

impl LateEffects {
    /// Takes what a counting record at this offset causes, in a turn at this time.
    pub(super) fn push(&mut self, offset: i64, at: Millis, unmade: Vec<Unmade>) {
        if !unmade.is_empty() {
            self.0.push_back(Late { offset, at, unmade });
        }
    }

    /// The journal says that everything below is delivered.
    pub(super) fn release_below(&mut self, released: i64) {
        while self.0.front().is_some_and(|late| late.offset < released) {
            self.0.pop_front();
        }
    }
}

impl Replica {
    /// Makes what is left of them: the outbox is then whole, and may be looked at.
    pub(super) fn make_late_effects(&mut self, looked_at: LookedAt) {
        if !law::makes_late_effects(looked_at) {
            return;
        }
        for Late { offset, at, unmade } in std::mem::take(&mut self.late.0) {
            let mut effects = Vec::new();
            for one in &unmade {
                match one {
                    Unmade::Saga(Changed { id, head, row, events }) => {
                        self.effects_of((id, head, row.as_deref()), events, at, &mut effects);
                    }
                    Unmade::Quarantined(quarantined) => effects.push(self.quarantine_effect(quarantined)),
                    Unmade::Returned(release) => effects.push(self.return_effect(release)),
                }
            }
            let _numbers = self.outbox.push(offset, effects);
        }
    }
}
