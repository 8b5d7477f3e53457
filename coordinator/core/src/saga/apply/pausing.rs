//! That a saga is paused, and what waits until it is resumed.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Next, SagaEvent};
use ringmaster_schemas::state::{Entry, Paused, Saga, SagaMore, Status, Waits, Work};

use super::leaf::{remember, since};
use super::parking;

/// True if it could happen; else nothing has changed.
pub(super) fn change(saga: &mut Saga, event: &SagaEvent, at: Millis) -> bool {
    match (saga.status, event) {
        (Status::Running, SagaEvent::Paused { by, why }) => paused(saga, by, why, at),
        (Status::Running, SagaEvent::Postponed { next }) => postponed(saga, next),
        (Status::Running, SagaEvent::Resumed {}) => resumed(saga),
        _ => false,
    }
}

fn paused(saga: &mut Saga, by: &Arc<str>, why: &Arc<str>, at: Millis) -> bool {
    let legal = saga.paused().is_none();
    if legal {
        let paused = Paused { since: at, by: by.clone(), why: why.clone(), postponed: Vec::new() };
        saga.more.get_or_insert_default().paused = Some(paused);
    }
    legal
}

fn postponed(saga: &mut Saga, next: &Next) -> bool {
    let paused = saga.more.as_mut().and_then(|more| more.paused.as_mut());
    paused.map(|paused| paused.postponed.push(next.clone())).is_some()
}

/// True if it was paused.
fn resumed(saga: &mut Saga) -> bool {
    let was_paused = saga.more.as_mut().and_then(|more| more.paused.take()).is_some();
    forget_nothing(saga);
    was_paused
}

/// What undoes, or has ended, waits for no event, and is not paused.
pub(super) fn waits_no_more(saga: &mut Saga) {
    if let Some(more) = &mut saga.more {
        (more.early, more.paused) = (Vec::new(), None);
    }
    forget_nothing(saga);
}

/// What has nothing is as if it were not there.
pub(super) fn forget_nothing(saga: &mut Saga) {
    saga.more.take_if(|more| **more == SagaMore::default());
}

/// It waits as what is parked does. What was parked already has waited since then.
pub(super) fn withheld(entry: &mut Entry, failure: Option<&Arc<Failure>>, at: Millis) -> bool {
    let legal = match (entry.work, entry.waits) {
        (Work::Asked, Waits::Reply | Waits::Retry | Waits::Stuck) => true,
        (Work::Nothing | Work::Asked, Waits::Parked) => failure.is_none(),
        _ => false,
    };
    if !legal {
        return false;
    }
    let was_parked = entry.waits == Waits::Parked;
    if !was_parked {
        parking::count_from(entry, failure.is_some());
    }
    entry.waits = Waits::Paused;
    parking::forget_all(entry);
    if let Some(failure) = failure {
        remember(entry, failure);
    }
    was_parked || since(entry, at)
}
