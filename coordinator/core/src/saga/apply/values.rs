//! What becomes of the values that a saga claims, and of a value's own row.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{KeptEvent, Place, SagaEvent, ValueClaim, ValueRelease};
use ringmaster_schemas::state::{ClaimedValue, LeftClaim, Mailbox, Saga, SagaMore, SeenEvent, Waits};

use super::super::mailbox::{LEFT_KEPT_MS, LEFT_MAX, PASSED_MAX, SEEN_MAX, has_room, is_same};
use super::pausing::forget_nothing;
use crate::faults::mutated;

/// The row of a value of which nothing is known yet.
pub(super) fn begin(id: &Arc<str>) -> Saga {
    let mailbox = Some(Box::new(Mailbox { until: 0, holder: None, left: Vec::new() }));
    Saga { more: Some(Box::new(SagaMore { mailbox, ..SagaMore::default() })), ..Saga::expected(id) }
}

/// True if it could happen; else nothing has changed.
#[inline(never)]
pub(super) fn change(saga: &mut Saga, event: &SagaEvent, at: Millis) -> bool {
    match event {
        SagaEvent::ValueClaimed { place, claim } => claimed(saga, *place, claim),
        SagaEvent::ValueGranted { place } => of(saga, *place).is_some_and(|claim| !std::mem::replace(&mut claim.granted, true)),
        SagaEvent::EventPassed { place, source } => of(saga, *place).is_some_and(|claim| passed(claim, source)),
        SagaEvent::ValueReleased { place, .. } => released(saga, *place),
        SagaEvent::ValueGiven { claim } => mailbox(saga).is_some_and(|mailbox| given(mailbox, claim, at)),
        SagaEvent::ValueDenied { claim } => {
            mailbox(saga).is_some_and(|mailbox| left(mailbox, (&claim.row, claim.place, claim.at), at))
        }
        SagaEvent::ValueFreed { release } => freed(saga, release, at),
        other => unreachable!("{other:?} is about no value"),
    }
}

fn of(saga: &mut Saga, place: Place) -> Option<&mut ClaimedValue> {
    saga.more.as_mut()?.claims.iter_mut().find(|claim| claim.place == place)
}

fn mailbox(saga: &mut Saga) -> Option<&mut Mailbox> {
    saga.more.as_mut()?.mailbox.as_deref_mut()
}

/// Who begins to wait claims at once.
fn claimed(saga: &mut Saga, place: Place, claim: &ValueClaim) -> bool {
    let waits = saga.entry(place).is_some_and(|entry| matches!(entry.waits, Waits::Event | Waits::Approval));
    let legal = waits && saga.claim_at(place).is_none();
    if legal {
        let claim = ClaimedValue { place, name: claim.name.clone(), at: claim.at, granted: false, passed: Vec::new() };
        saga.more.get_or_insert_default().claims.push(claim);
    }
    legal
}

fn passed(claim: &mut ClaimedValue, source: &Arc<str>) -> bool {
    if claim.passed.len() >= PASSED_MAX {
        claim.passed.remove(0);
    }
    claim.passed.push(source.clone());
    true
}

/// True if it was claimed.
fn released(saga: &mut Saga, place: Place) -> bool {
    let Some(more) = &mut saga.more else { return false };
    let before = more.claims.len();
    more.claims.retain(|claim| claim.place != place);
    let legal = more.claims.len() < before;
    forget_nothing(saga);
    legal
}

/// Whoever had it before waits no more, or it would not be given.
fn given(mailbox: &mut Mailbox, claim: &Arc<ValueClaim>, at: Millis) -> bool {
    if let Some(before) = mailbox.holder.replace(claim.clone()) {
        left(mailbox, (&before.row, before.place, before.at), at);
    }
    true
}

/// That a claim is over is remembered for longer than it can come again.
fn left(mailbox: &mut Mailbox, (row, place, since): (&Arc<str>, Place, Millis), at: Millis) -> bool {
    mailbox.left.retain(|left| left.until > at && !(left.row == *row && left.place == place));
    if mailbox.left.len() >= LEFT_MAX {
        mailbox.left.remove(0);
    }
    let until = at.saturating_add(LEFT_KEPT_MS);
    mailbox.left.push(LeftClaim { row: row.clone(), place, at: since, until });
    mailbox.until = mailbox.until.max(until);
    true
}

fn freed(saga: &mut Saga, release: &ValueRelease, at: Millis) -> bool {
    let Some(more) = &mut saga.more else { return false };
    let Some(mailbox) = more.mailbox.as_deref_mut() else { return false };
    mailbox.holder.take_if(|holder| is_same((&holder.row, holder.place, holder.at), (&release.row, release.place, release.at)));
    if !mutated("seen_event_kept") {
        more.early.retain(|event| !release.seen.contains(&event.source));
    }
    looked_at(&mut more.seen, &release.seen, at);
    left(mailbox, (&release.row, release.place, release.at), at)
}

/// What was looked at is remembered as long as that a claim is over: the same event may come again, by another record.
fn looked_at(known: &mut Vec<SeenEvent>, seen: &[Arc<str>], at: Millis) {
    known.retain(|known| known.until > at && !seen.contains(&known.source));
    let until = at.saturating_add(LEFT_KEPT_MS);
    known.extend(seen.iter().map(|source| SeenEvent { source: source.clone(), until }));
    let spare = known.len().saturating_sub(SEEN_MAX);
    known.drain(..spare);
}

/// Events of a value are forgotten: those whose time is over, and the oldest that give way to a newer one. The row stays until it would
/// have been forgotten anyway.
pub(super) fn expired(saga: &mut Saga, count: u16, at: Millis) -> bool {
    let is_over = |event: &Arc<KeptEvent>| event.until <= at;
    let over = saga.early().iter().filter(|event| is_over(event)).count();
    let legal = count > 0 && (over..=saga.early().len()).contains(&usize::from(count));
    if let (true, Some(more)) = (legal, &mut saga.more) {
        more.early.retain(|event| !is_over(event));
        more.early.drain(..usize::from(count) - over);
        if let Some(mailbox) = &mut more.mailbox {
            mailbox.until = mailbox.until.max(at);
        }
    }
    legal
}

/// An event stays with its value until somebody has it. Journals of earlier versions do not say what gave way to it.
pub(super) fn kept(saga: &mut Saga, event: &Arc<KeptEvent>) -> bool {
    let Some(more) = &mut saga.more else { return false };
    let has_holder = more.mailbox.as_ref().is_some_and(|mailbox| mailbox.holder.is_some());
    while has_holder && !more.early.is_empty() && !has_room(&more.early, event) {
        more.early.remove(0);
    }
    let legal = has_room(&more.early, event) || has_holder;
    if has_room(&more.early, event) {
        more.early.push(event.clone());
    }
    legal
}
