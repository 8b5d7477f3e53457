//! A value's own row, in the value's partition: who has the value, and events with it that nobody has looked at yet.
//!
//! ```text
//! claim -> given, or denied;   event -> kept, and brought to whoever has the value;   release -> free, what was looked at goes
//! ```
//!
//! All that comes may come again, late, and in another order (ARCHITECTURE.md decision 51): a claim is known by its row, its place and
//! the time at which it began to wait, and one that is over is remembered.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{KeptEvent, Place, RejectionReason as Reason, SagaEvent, ValueClaim, ValueRelease};
use ringmaster_schemas::state::{Detail, Saga};

use super::decide::Decided;
use super::{EARLY_MAX, ROW_DATA_BYTES_MAX, Rejection, apply};
use crate::faults::mutated;

/// How long it is remembered that a claim is over: what is sent again so late is followed by its release.
pub const LEFT_KEPT_MS: Millis = 7 * 86_400_000;
/// Claims of one value that are remembered.
pub const LEFT_MAX: usize = 100;
/// Events that a wait remembers to have looked at and not taken.
pub const PASSED_MAX: usize = 32;
/// Events with one value that were looked at, and are recognised when they come again.
pub const SEEN_MAX: usize = 100;

/// What comes to a value's row.
#[derive(Debug, Clone)]
pub enum ValueInput {
    /// A wait claims it.
    Claim(Arc<ValueClaim>),
    /// A wait is over.
    Release(Arc<ValueRelease>),
    /// An event with it came.
    Event(Arc<KeptEvent>),
    /// Something of it is due.
    Due,
}

/// Decides what an input means for the row of a value (`row`: none if it does not exist) at `now`.
pub fn decide_value(id: &Arc<str>, row: Option<&Arc<Saga>>, input: &ValueInput, now: Millis) -> Result<Decided, Rejection> {
    let events: Vec<SagaEvent> = match input {
        ValueInput::Claim(claim) => claimed(row, claim).into_iter().collect(),
        ValueInput::Release(release) => released(row, release).into_iter().collect(),
        ValueInput::Event(event) => came(row, event, now)?,
        ValueInput::Due => {
            let over = row.map_or(0, |row| row.early().iter().filter(|event| event.until <= now).count());
            (over > 0).then_some(SagaEvent::EventsExpired { count: over as u16 }).into_iter().collect()
        }
    };
    let mut saga = row.cloned();
    for event in &events {
        apply(id, &mut saga, event, now).expect("what is decided of a value can happen");
    }
    let nothing = || Arc::new(Saga::expected(id));
    Ok(Decided { events, saga: saga.unwrap_or_else(nothing) })
}

/// The release by which a value goes back that was given to a wait which claims it no more; `row` is that wait's, if it is still there. The
/// wait's own release may come behind this one: both say what it has taken, else the next would take that too.
pub fn goes_back(claim: ValueClaim, row: Option<&Saga>) -> ValueRelease {
    let ValueClaim { name, row: id, place, at, .. } = claim;
    let taken = match row.and_then(|row| row.entry(place)?.detail()) {
        Some(Detail::Taken { source }) if !mutated("returned_without_what_was_taken") => Some(source.clone()),
        _ => None,
    };
    ValueRelease { name, row: id, place, at, seen: taken.into_iter().collect() }
}

/// True if both are one claim.
pub(super) fn is_same(one: (&Arc<str>, Place, Millis), other: (&Arc<str>, Place, Millis)) -> bool {
    one == other
}

/// True if an event can be kept beside others.
pub(super) fn has_room(early: &[Arc<KeptEvent>], event: &KeptEvent) -> bool {
    let held: usize = early.iter().map(|event| event.data.bytes().len()).sum();
    early.len() < EARLY_MAX && held + event.data.bytes().len() <= ROW_DATA_BYTES_MAX
}

fn claimed(row: Option<&Arc<Saga>>, claim: &Arc<ValueClaim>) -> Option<SagaEvent> {
    let give = Some(SagaEvent::ValueGiven { claim: claim.clone() });
    let Some(mailbox) = row.and_then(|row| row.mailbox()) else { return give };
    // A row of this id that waits since later is another one.
    let is_over = mailbox.left.iter().any(|left| left.row == claim.row && left.place == claim.place && left.at >= claim.at);
    if is_over && !mutated("claim_resurrects") {
        return None;
    }
    match &mailbox.holder {
        None => give,
        Some(holder) if holder.row == claim.row && holder.place == claim.place && holder.at >= claim.at => None,
        // Of the same row: it says itself what of it waits no more. Its release may come later than this.
        Some(holder) if holder.row == claim.row && !claim.waiting.contains(&holder.place) && !is_newer(holder, claim) => give,
        Some(_) if mutated("value_given_to_two") => give,
        Some(_) => Some(SagaEvent::ValueDenied { claim: claim.clone() }),
    }
}

/// True if a row's claim that is there was made behind the one that comes.
fn is_newer(holder: &ValueClaim, claim: &ValueClaim) -> bool {
    (holder.at, holder.place) > (claim.at, claim.place)
}

fn released(row: Option<&Arc<Saga>>, release: &Arc<ValueRelease>) -> Option<SagaEvent> {
    let mailbox = row.and_then(|row| row.mailbox());
    let is_known = mailbox.is_some_and(|mailbox| {
        let is_it = |row: &Arc<str>, place, at| is_same((row, place, at), (&release.row, release.place, release.at));
        mailbox.left.iter().any(|left| is_it(&left.row, left.place, left.at))
            && !mailbox.holder.as_ref().is_some_and(|holder| is_it(&holder.row, holder.place, holder.at))
    });
    let has_seen = row.is_some_and(|row| row.early().iter().any(|event| release.seen.contains(&event.source)));
    if (is_known && !has_seen) || mutated("value_not_released") {
        return None;
    }
    Some(SagaEvent::ValueFreed { release: release.clone() })
}

fn came(row: Option<&Arc<Saga>>, event: &Arc<KeptEvent>, now: Millis) -> Result<Vec<SagaEvent>, Rejection> {
    let early = row.map_or(&[][..], |row| row.early());
    let mut seen = row.map_or(&[][..], |row| row.seen()).iter().filter(|seen| seen.until > now);
    let was_seen = seen.any(|seen| seen.source == event.source) && !mutated("seen_event_forgotten");
    if was_seen || early.iter().any(|known| known.source == event.source) {
        return Err(Rejection::new(Reason::Duplicate, format!("the same event came before: {}", event.source)));
    }
    let keeps = SagaEvent::EventKept { event: event.clone() };
    if has_room(early, event) {
        return Ok(vec![keeps]);
    }
    let has_holder = row.and_then(|row| row.mailbox()).is_some_and(|mailbox| mailbox.holder.is_some());
    let over = early.iter().filter(|event| event.until <= now).count();
    let left: Vec<Arc<KeptEvent>> = early.iter().filter(|event| event.until > now).cloned().collect();
    // While somebody has the value, the oldest gives way: it was brought long ago.
    let may_give_way = if has_holder { left.len() } else { 0 };
    match (0..=may_give_way).find(|gone| has_room(&left[*gone..], event)) {
        Some(gone) => Ok(vec![SagaEvent::EventsExpired { count: (over + gone) as u16 }, keeps]),
        None => {
            let bytes = event.data.bytes().len();
            let detail = format!(
                "an event of {bytes} bytes, and {} events with this value wait already: at most {EARLY_MAX} events, and as many bytes as a row may hold",
                left.len()
            );
            Err(Rejection::new(Reason::TooManyEarly, detail))
        }
    }
}
