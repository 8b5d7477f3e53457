//! What can happen in which state: all pairs are tried, those that are legal are listed, everything else is refused and changes nothing.

mod given;

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::expect;
use ringmaster_core::saga::apply;
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::{Saga, Status, Waits, Work};

use given::{events, saga};

const AT: i64 = 1_000;
const ID: &str = "order/o-1";

fn is_legal(saga: &Saga, event: &SagaEvent) -> bool {
    let before = Arc::new(saga.clone());
    let mut row = Some(before.clone());
    let legal = apply(&saga.id, &mut row, event, AT).is_ok();
    assert!(legal || row.as_ref() == Some(&before), "{event:?} is illegal and has changed something");
    legal
}

/// The pairs that there are.
fn exists(work: Work, waits: Waits) -> bool {
    match work {
        Work::Nothing => {
            matches!(waits, Waits::Stuck | Waits::Time | Waits::Approval | Waits::Event | Waits::Parked | Waits::Paused)
        }
        Work::Asked => !matches!(waits, Waits::No | Waits::Children),
        Work::UndoAsked => !matches!(waits, Waits::No | Waits::Paused | Waits::Children),
        Work::Done | Work::Failed => matches!(waits, Waits::No | Waits::Stuck | Waits::Parked),
        Work::Refused | Work::Undone => matches!(waits, Waits::No | Waits::Stuck),
        Work::Open | Work::Undoing => matches!(waits, Waits::No | Waits::Children),
        Work::Closed => waits == Waits::No,
    }
}

fn table(status: Status, stray: bool) -> String {
    let mut out = String::new();
    for &work in Work::ALL {
        for &waits in Waits::ALL.iter().filter(|waits| exists(work, **waits)) {
            let saga = saga(status, work, waits, stray);
            let legal: Vec<&str> =
                events(0).into_iter().filter(|(_, event)| is_legal(&saga, event)).map(|(name, _)| name).collect();
            if !legal.is_empty() {
                let _ = writeln!(out, "{work}, waits: {waits}: {}", legal.join(", "));
            }
        }
    }
    out
}

#[test]
fn what_can_happen_while_it_goes_forward() {
    expect![[r#"
        nothing, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, stuck, late, emitted, stuck told, went on, remembered, acted, sleeps, asks for approval, waits, event, kept, enters parked, paused, items, gave
        nothing, waits: time: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        nothing, waits: approval: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, answered, kept, enters parked, paused, escalated, items, gave
        nothing, waits: event: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, event, early event, kept, early forgotten, enters parked, paused, items, gave
        nothing, waits: parked: skipped, entered, end entered, refuses, scope, issued, issued from where it was parked, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, withheld, items, gave
        nothing, waits: paused: skipped, entered, end entered, refuses, scope, issued, issued from where it was parked, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, parked, postponed, resumed, items, gave
        asked, waits: reply: skipped, entered, end entered, refuses, scope, issued, retry, succeeded, refused, failed, undoing, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, parked, paused, withheld, withheld as it failed, items, gave
        asked, waits: retry: skipped, entered, end entered, refuses, scope, issued, repeated, succeeded, refused, failed, undoing, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, parked, paused, withheld, withheld as it failed, items, gave
        asked, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, failed, undoing, closed, stuck, late, emitted, stuck told, remembered, acted, retried, sleeps, asks for approval, waits, kept, enters parked, parked, paused, withheld, withheld as it failed, items, gave
        asked, waits: time: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        asked, waits: approval: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, answered, kept, enters parked, paused, escalated, items, gave
        asked, waits: event: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, event, early event, kept, early forgotten, enters parked, paused, items, gave
        asked, waits: parked: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, failed, undoing, stuck, late, emitted, remembered, acted, retried, sleeps, asks for approval, waits, kept, enters parked, paused, withheld, items, gave
        asked, waits: paused: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, failed, undoing, stuck, late, emitted, remembered, acted, retried, sleeps, asks for approval, waits, kept, enters parked, parked, postponed, resumed, items, gave
        done, waits: no: skipped, entered, end entered, refuses, scope, issued, undo issued, undoing, stuck, late, completed, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, undo parked, paused, items, gave
        done, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, undone, closed, stuck, late, emitted, stuck told, went on, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        done, waits: parked: skipped, entered, end entered, refuses, scope, issued, undo issued, undoing, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        refused, waits: no: skipped, entered, end entered, refuses, scope, issued, undoing, stuck, contradiction, stray, late, completed, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        refused, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, stuck, late, emitted, stuck told, reaction, went on, remembered, acted, sleeps, asks for approval, waits, event, kept, enters parked, paused, items, gave
        failed, waits: no: skipped, entered, end entered, refuses, scope, issued, undo issued, undoing, stuck, late, completed, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, undo parked, paused, items, gave
        failed, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, undone, closed, stuck, late, emitted, stuck told, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        failed, waits: parked: skipped, entered, end entered, refuses, scope, issued, undo issued, undoing, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        undo asked, waits: reply: skipped, entered, end entered, refuses, scope, issued, undo's retry, undoing, undone, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, undo parked, paused, items, gave
        undo asked, waits: retry: skipped, entered, end entered, refuses, scope, issued, undo repeated, undoing, undone, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, undo parked, paused, items, gave
        undo asked, waits: stuck: skipped, entered, end entered, refuses, scope, issued, undoing, undone, stuck, late, emitted, stuck told, remembered, acted, undo retried, sleeps, asks for approval, waits, kept, enters parked, undo parked, paused, items, gave
        undo asked, waits: time: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        undo asked, waits: approval: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, answered, kept, enters parked, paused, escalated, items, gave
        undo asked, waits: event: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, event, early event, kept, early forgotten, enters parked, paused, items, gave
        undo asked, waits: parked: skipped, entered, end entered, refuses, scope, issued, undoing, undone, stuck, late, emitted, remembered, acted, undo retried, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        undone, waits: no: skipped, entered, end entered, refuses, scope, issued, undoing, stuck, late, completed, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        undone, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, stuck, late, emitted, stuck told, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        closed, waits: no: skipped, entered, end entered, refuses, scope, issued, undoing, late, completed, emitted, went on, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        open, waits: no: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, late, emitted, scope stopped, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        open, waits: items: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, late, emitted, scope stopped, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave, item began, item ended, item held
        undoing, waits: no: skipped, entered, end entered, refuses, scope, issued, refused, failed, undoing, closed, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave
        undoing, waits: items: skipped, entered, end entered, refuses, scope, issued, refused, failed, undoing, undone, closed, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, enters parked, paused, items, gave, item ended, item recalled, item held
    "#]]
    .assert_eq(&table(Status::Running, false));
}

#[test]
fn what_can_happen_while_it_undoes() {
    expect![[r#"
        nothing, waits: stuck: end entered, succeeded, closed, stuck, stuck told, acted
        nothing, waits: time: end entered, closed, acted
        nothing, waits: approval: end entered, closed, acted
        nothing, waits: event: end entered, closed, acted
        nothing, waits: parked: end entered, closed, stuck, acted
        nothing, waits: paused: end entered, closed, stuck, acted
        asked, waits: reply: end entered, succeeded, refused, failed, stuck, acted
        asked, waits: retry: end entered, succeeded, refused, failed, stuck, acted
        asked, waits: stuck: end entered, succeeded, refused, failed, closed, stuck, stuck told, acted
        asked, waits: time: end entered, closed, acted
        asked, waits: approval: end entered, closed, acted
        asked, waits: event: end entered, closed, acted
        asked, waits: parked: end entered, succeeded, refused, failed, stuck, acted
        asked, waits: paused: end entered, succeeded, refused, failed, stuck, acted
        done, waits: no: end entered, undo issued, stuck, compensated, acted, undo parked
        done, waits: stuck: end entered, succeeded, undone, closed, stuck, stuck told, acted
        done, waits: parked: end entered, undo issued, stuck, acted
        refused, waits: no: end entered, stuck, contradiction, compensated, acted
        refused, waits: stuck: end entered, succeeded, closed, stuck, stuck told, acted
        failed, waits: no: end entered, undo issued, stuck, compensated, acted, undo parked
        failed, waits: stuck: end entered, succeeded, undone, closed, stuck, stuck told, acted
        failed, waits: parked: end entered, undo issued, stuck, acted
        undo asked, waits: reply: end entered, undo's retry, undone, stuck, acted, undo parked
        undo asked, waits: retry: end entered, undo repeated, undone, stuck, acted, undo parked
        undo asked, waits: stuck: end entered, undone, stuck, stuck told, acted, undo retried, undo parked
        undo asked, waits: time: end entered, closed, acted
        undo asked, waits: approval: end entered, closed, acted
        undo asked, waits: event: end entered, closed, acted
        undo asked, waits: parked: end entered, undone, stuck, acted, undo retried
        undone, waits: no: end entered, stuck, compensated, acted
        undone, waits: stuck: end entered, succeeded, closed, stuck, stuck told, acted
        closed, waits: no: end entered, compensated, acted
        open, waits: no: end entered, closed, acted
        open, waits: items: end entered, closed, scope stopped, acted, item began, item ended, item held
        undoing, waits: no: end entered, refused, failed, closed, acted
        undoing, waits: items: end entered, refused, failed, undone, closed, acted, item ended, item recalled, item held
    "#]]
    .assert_eq(&table(Status::Compensating, false));
}

#[test]
fn what_can_happen_behind_the_end() {
    expect![[r#"
        nothing, waits: stuck: stuck told, acted
        nothing, waits: time: acted
        nothing, waits: approval: acted
        nothing, waits: event: acted
        nothing, waits: parked: acted
        nothing, waits: paused: acted
        asked, waits: reply: acted
        asked, waits: retry: acted
        asked, waits: stuck: stuck told, acted
        asked, waits: time: acted
        asked, waits: approval: acted
        asked, waits: event: acted
        asked, waits: parked: acted
        asked, waits: paused: acted
        done, waits: no: acted
        done, waits: stuck: stuck told, acted
        done, waits: parked: acted
        refused, waits: no: stray, acted
        refused, waits: stuck: stuck told, acted
        failed, waits: no: acted
        failed, waits: stuck: stuck told, acted
        failed, waits: parked: acted
        undo asked, waits: reply: acted
        undo asked, waits: retry: acted
        undo asked, waits: stuck: stuck told, acted
        undo asked, waits: time: acted
        undo asked, waits: approval: acted
        undo asked, waits: event: acted
        undo asked, waits: parked: acted
        undone, waits: no: acted
        undone, waits: stuck: stuck told, acted
        closed, waits: no: acted
        open, waits: no: acted
        open, waits: items: acted, item ended, item swept
        undoing, waits: no: acted
        undoing, waits: items: acted, item ended, item swept
    "#]]
    .assert_eq(&table(Status::Compensated, false));
}

#[test]
fn what_can_happen_to_a_stray_behind_the_end() {
    expect![[r#"
        nothing, waits: stuck: succeeded, closed, stuck, stuck told, acted
        nothing, waits: time: closed, acted
        nothing, waits: approval: closed, acted
        nothing, waits: event: closed, acted
        nothing, waits: parked: closed, stuck, acted
        nothing, waits: paused: closed, stuck, acted, parked
        asked, waits: reply: retry, succeeded, refused, failed, stuck, acted, parked
        asked, waits: retry: repeated, succeeded, refused, failed, stuck, acted, parked
        asked, waits: stuck: succeeded, refused, failed, closed, stuck, stuck told, acted, retried, parked
        asked, waits: time: closed, acted
        asked, waits: approval: closed, acted
        asked, waits: event: closed, acted
        asked, waits: parked: succeeded, refused, failed, stuck, acted, retried
        asked, waits: paused: succeeded, refused, failed, stuck, acted, retried, parked
        done, waits: no: undo issued, stuck, acted, undo parked
        done, waits: stuck: succeeded, undone, closed, stuck, stuck told, acted
        done, waits: parked: undo issued, stuck, acted
        refused, waits: no: stuck, stray, acted
        refused, waits: stuck: succeeded, closed, stuck, stuck told, acted
        failed, waits: no: undo issued, stuck, acted, undo parked
        failed, waits: stuck: succeeded, undone, closed, stuck, stuck told, acted
        failed, waits: parked: undo issued, stuck, acted
        undo asked, waits: reply: undo's retry, undone, stuck, acted, undo parked
        undo asked, waits: retry: undo repeated, undone, stuck, acted, undo parked
        undo asked, waits: stuck: undone, stuck, stuck told, acted, undo retried, undo parked
        undo asked, waits: time: closed, acted
        undo asked, waits: approval: closed, acted
        undo asked, waits: event: closed, acted
        undo asked, waits: parked: undone, stuck, acted, undo retried
        undone, waits: no: stuck, acted
        undone, waits: stuck: succeeded, closed, stuck, stuck told, acted
        closed, waits: no: acted
        open, waits: no: closed, acted
        open, waits: items: closed, acted, item ended, item swept
        undoing, waits: no: refused, failed, closed, acted
        undoing, waits: items: refused, failed, undone, closed, acted, item ended, item swept
    "#]]
    .assert_eq(&table(Status::Compensated, true));
}

/// What is told of an undo that is stuck behind the end reads the start and all results: a row forgets them only where no stray is open.
#[test]
fn a_row_that_ends_keeps_what_a_stray_may_need() {
    let ended = |work: Work, waits: Waits, stray: bool| {
        let mut row = Some(Arc::new(saga(Status::Running, work, waits, stray)));
        let ends = SagaEvent::Completed { emissions: Vec::new(), expires_at: 9_000_000 };
        apply(&ID.into(), &mut row, &ends, 700).expect("it may end");
        row.expect("a row").bare
    };
    for waits in [Waits::Reply, Waits::Retry, Waits::Parked, Waits::Stuck] {
        assert!(!ended(Work::UndoAsked, waits, true), "its undo waits: {waits}");
    }
    assert!(!ended(Work::Done, Waits::Parked, true), "its undo is to be made");
    assert!(ended(Work::Undone, Waits::No, true) && ended(Work::Done, Waits::No, false), "nothing is left to be undone");
}

/// A corrupt journal names a place that there is none of: it is refused, never taken for something else.
#[test]
fn an_unknown_place_is_illegal() {
    let about_an_entry = |name: &str| {
        ![
            "skipped",
            "emitted",
            "undoing",
            "late",
            "completed",
            "compensated",
            "remembered",
            "forgotten",
            "acted",
            "kept",
            "early forgotten",
            "two forgotten",
            "paused",
            "postponed",
            "resumed",
            "prioritised",
        ]
        .contains(&name)
    };
    for status in [Status::Running, Status::Compensating, Status::Completed, Status::Compensated] {
        for (name, event) in events(7).into_iter().filter(|(name, _)| about_an_entry(name)) {
            assert!(!is_legal(&saga(status, Work::Asked, Waits::Reply, false), &event), "{name} while {status}");
        }
    }
    // What comes before it is kept.
    for (name, event) in events(0).into_iter().filter(|(name, _)| *name != "kept") {
        assert!(apply(&ID.into(), &mut None, &event, AT).is_err(), "{name} without a saga");
    }
}

/// Stored checkpoints hold sums of these: another sum would take every store for a damaged one.
#[test]
fn a_rows_sum_is_the_one_that_stores_hold() {
    assert_eq!(ringmaster_core::partition::row_hash("order/o-1", b"row"), 18_355_207_281_769_218_615_961_614_973_637_202_462);
}
