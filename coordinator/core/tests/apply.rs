//! What can happen in which state: all pairs are tried, those that are legal are listed, everything else is refused and changes nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::expect;
use ringmaster_core::saga::apply;
use ringmaster_schemas::Data;
use ringmaster_schemas::journal::{
    ActKind, Asked, Emission, Encoding, Failure, FailureKind, Head, HeadFields, KeptEvent, Opens, Order, OrderFields, Place,
    SagaEvent, TakenEvent,
};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Course, Detail, Early, End, Entry, EntryMore, Saga, Status, Waits, Work};

const AT: i64 = 1_000;
const ID: &str = "order/o-1";

fn failure() -> Arc<Failure> {
    Arc::new(Failure { code: "NO".into(), step: "charge".into(), kind: FailureKind::Refused, message: "".into() })
}

fn emission() -> Emission {
    let text = |text: &str| Arc::from(text);
    let (topic, key, kind, id) = (text("told"), text("o-1"), text("Told"), text("tell"));
    Emission { topic, key, kind, id, body: "{}".into(), encoding: Encoding::Json, headers: true }
}

fn order() -> Order {
    Order::new(
        &OrderFields {
            step: "charge",
            command: "payment.Charge",
            encoding: Encoding::Json,
            envelope: 0,
            first_time: 10,
            until: 5_000,
            keep: true,
            body: b"{}",
        },
        &mut Vec::new(),
    )
}

/// An event that came early, and is kept for a while.
fn kept() -> Arc<KeptEvent> {
    let text = |text: &str| Arc::from(text);
    let (topic, kind, source) = (text("cames"), text("Came"), text("cames/1"));
    Arc::new(KeptEvent { topic, kind, source, until: 900, schema: 0, data: Data::new(b"") })
}

fn saga(status: Status, work: Work, waits: Waits, stray: bool) -> Saga {
    let ended = matches!(status, Status::Completed | Status::Compensated).then_some(End { at: 500, expires_at: 9_000_000 });
    let detail = Detail::Asked { roles: vec!["clerk".into()], show: None };
    let asked = (waits == Waits::Approval).then(|| Course { detail, ..Course::default() });
    let more = (stray || asked.is_some())
        .then(|| Box::new(EntryMore { stray: stray.then_some(600), course: asked, ..EntryMore::default() }));
    let entry = Entry {
        node: 1,
        attempt: 1,
        round: 1,
        work,
        waits,
        bare: false,
        since: 10,
        due_at: 900,
        order: Some(order()),
        result: None,
        more,
    };
    Saga {
        id: ID.into(),
        head: Head::new(
            &HeadFields { version: [1; 16], started_at: 1, source: "orders/0/1", ..Default::default() },
            &mut Vec::new(),
        ),
        bare: false,
        status,
        passed: false,
        late: false,
        deadline_at: Some(60_000),
        held_since: (waits == Waits::Stuck).then_some(20),
        entries: vec![entry],
        failure: None,
        ended,
        early: (waits == Waits::Event).then(|| Box::new(Early { events: vec![kept()] })),
    }
}

/// Every kind of event, with the right numbers for an entry at `place`.
fn events(place: Place) -> Vec<(&'static str, SagaEvent)> {
    let next = place + 1;
    let (failure, due_at) = (failure(), 2_000);
    let repeated = |direction, attempt| SagaEvent::CommandRepeated { place, direction, attempt, due_at };
    let retry = |direction| SagaEvent::RetryScheduled { place, direction, due_at, failure: failure.clone() };
    let retried = |direction| SagaEvent::Retried { place, direction, attempt: 2, order: order(), due_at };
    let entered = |node| SagaEvent::Entered { place: next, node, round: 1, opens: Opens::Stuck { failure: failure.clone() } };
    let refuses = |node| SagaEvent::Entered { place: next, node, round: 1, opens: Opens::Refused { failure: failure.clone() } };
    let scope = |node| SagaEvent::Entered { place: next, node, round: 1, opens: Opens::Scope { until: Some(due_at) } };
    let taken = |early| {
        let source = if early { "cames/1" } else { "cames/2" };
        SagaEvent::EventTaken { place, event: Arc::new(TakenEvent { source: source.into(), early, result: None }), passes: false }
    };
    let opens = |node, opens| SagaEvent::Entered { place: next, node, round: 1, opens };
    let asked = Arc::new(Asked { role: "clerk".into(), show: None });
    let emitted = |node| SagaEvent::Emitted { node, emission: Arc::new(emission()) };
    let issued = |place, round| SagaEvent::CommandIssued { place, node: 2, round, order: order(), due_at };
    vec![
        ("skipped", SagaEvent::Skipped { node: 2, passes: false }),
        ("entered", entered(2)),
        ("end entered", entered(0)),
        ("refuses", refuses(2)),
        ("end refuses", refuses(0)),
        ("scope", scope(2)),
        ("end's scope", scope(0)),
        ("issued", issued(next, 1)),
        ("issued at a place that is taken", issued(place, 1)),
        ("issued in a round that is too high", issued(next, 2)),
        ("repeated", repeated(Direction::Do, 2)),
        ("repeated twice at once", repeated(Direction::Do, 3)),
        ("undo repeated", repeated(Direction::Undo, 2)),
        ("undo issued", SagaEvent::UndoIssued { place, order: order(), due_at }),
        ("retry", retry(Direction::Do)),
        ("undo's retry", retry(Direction::Undo)),
        ("succeeded", SagaEvent::Succeeded { place, result: None, passes: false }),
        ("refused", SagaEvent::Refused { place, failure: failure.clone() }),
        ("failed", SagaEvent::Failed { place, failure: failure.clone() }),
        ("undoing", SagaEvent::CompensationBegan { failure: failure.clone() }),
        ("undone", SagaEvent::Undone { place }),
        ("closed", SagaEvent::Closed { place }),
        ("stuck", SagaEvent::Stuck { place, failure: failure.clone() }),
        ("contradiction", SagaEvent::ContradictionFound { place, stray: false }),
        ("stray", SagaEvent::ContradictionFound { place, stray: true }),
        ("late", SagaEvent::MarkedLate { due_at: 900 }),
        ("completed", SagaEvent::Completed { emissions: Vec::new(), expires_at: 9_000_000 }),
        ("compensated", SagaEvent::Compensated { emissions: Vec::new(), expires_at: 9_000_000 }),
        ("emitted", emitted(2)),
        ("end emitted", emitted(0)),
        ("scope stopped", SagaEvent::ScopeStopped { place, refused: true, failure: failure.clone() }),
        ("reaction", SagaEvent::ReactionBegan { place, list: 3 }),
        ("went on", SagaEvent::WentOn { place, passes: false }),
        ("remembered", SagaEvent::StopRemembered { failure: failure.clone() }),
        ("forgotten", SagaEvent::StopForgotten {}),
        ("acted", SagaEvent::Acted { act: ActKind::Retry, by: "ann".into(), why: "why".into() }),
        ("retried", retried(Direction::Do)),
        ("undo retried", retried(Direction::Undo)),
        ("sleeps", opens(2, Opens::Sleep { due_at, expires: false })),
        ("end sleeps", opens(0, Opens::Sleep { due_at, expires: false })),
        ("asks for approval", opens(2, Opens::Approval { asked: asked.clone(), due_at })),
        ("end asks for approval", opens(0, Opens::Approval { asked, due_at })),
        ("waits", opens(2, Opens::Wait { until: due_at })),
        ("end waits", opens(0, Opens::Wait { until: due_at })),
        ("event", taken(false)),
        ("early event", taken(true)),
        ("kept", SagaEvent::EventKept { event: kept() }),
        ("early forgotten", SagaEvent::EventsExpired { count: 1 }),
        ("two forgotten", SagaEvent::EventsExpired { count: 2 }),
        ("escalated", SagaEvent::Escalated { place, role: "boss".into(), due_at }),
    ]
}

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
        Work::Nothing => matches!(waits, Waits::Stuck | Waits::Time | Waits::Approval | Waits::Event),
        Work::Asked | Work::UndoAsked => waits != Waits::No,
        Work::Done | Work::Refused | Work::Failed | Work::Undone => matches!(waits, Waits::No | Waits::Stuck),
        Work::Closed | Work::Open | Work::Undoing => waits == Waits::No,
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
        nothing, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, stuck, late, emitted, went on, remembered, acted, sleeps, asks for approval, waits, event, kept
        nothing, waits: time: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        nothing, waits: approval: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, escalated
        nothing, waits: event: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, event, early event, kept, early forgotten
        asked, waits: reply: skipped, entered, end entered, refuses, scope, issued, retry, succeeded, refused, failed, undoing, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        asked, waits: retry: skipped, entered, end entered, refuses, scope, issued, repeated, succeeded, refused, failed, undoing, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        asked, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, failed, undoing, closed, stuck, late, emitted, remembered, acted, retried, sleeps, asks for approval, waits, kept
        asked, waits: time: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        asked, waits: approval: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, escalated
        asked, waits: event: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, event, early event, kept, early forgotten
        done, waits: no: skipped, entered, end entered, refuses, scope, issued, undo issued, undoing, stuck, late, completed, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        done, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, undone, closed, stuck, late, emitted, went on, remembered, acted, sleeps, asks for approval, waits, kept
        refused, waits: no: skipped, entered, end entered, refuses, scope, issued, undoing, stuck, contradiction, stray, late, completed, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept
        refused, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, stuck, late, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, event, kept
        failed, waits: no: skipped, entered, end entered, refuses, scope, issued, undo issued, undoing, stuck, late, completed, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept
        failed, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, undone, closed, stuck, late, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept
        undo asked, waits: reply: skipped, entered, end entered, refuses, scope, issued, undo's retry, undoing, undone, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        undo asked, waits: retry: skipped, entered, end entered, refuses, scope, issued, undo repeated, undoing, undone, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        undo asked, waits: stuck: skipped, entered, end entered, refuses, scope, issued, undoing, undone, stuck, late, emitted, remembered, acted, undo retried, sleeps, asks for approval, waits, kept
        undo asked, waits: time: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
        undo asked, waits: approval: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept, escalated
        undo asked, waits: event: skipped, entered, end entered, refuses, scope, issued, succeeded, refused, undoing, closed, stuck, late, emitted, remembered, acted, sleeps, asks for approval, waits, event, early event, kept, early forgotten
        undone, waits: no: skipped, entered, end entered, refuses, scope, issued, undoing, stuck, late, completed, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept
        undone, waits: stuck: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, stuck, late, emitted, reaction, went on, remembered, acted, sleeps, asks for approval, waits, kept
        closed, waits: no: skipped, entered, end entered, refuses, scope, issued, undoing, late, completed, emitted, went on, remembered, acted, sleeps, asks for approval, waits, kept
        open, waits: no: skipped, entered, end entered, refuses, scope, issued, succeeded, undoing, closed, late, emitted, scope stopped, remembered, acted, sleeps, asks for approval, waits, kept
        undoing, waits: no: skipped, entered, end entered, refuses, scope, issued, refused, failed, undoing, closed, late, emitted, remembered, acted, sleeps, asks for approval, waits, kept
    "#]]
    .assert_eq(&table(Status::Running, false));
}

#[test]
fn what_can_happen_while_it_undoes() {
    expect![[r#"
        nothing, waits: stuck: end entered, succeeded, closed, stuck, acted
        nothing, waits: time: end entered, closed, acted
        nothing, waits: approval: end entered, closed, acted
        nothing, waits: event: end entered, closed, acted
        asked, waits: reply: end entered, succeeded, refused, failed, stuck, acted
        asked, waits: retry: end entered, succeeded, refused, failed, stuck, acted
        asked, waits: stuck: end entered, succeeded, refused, failed, closed, stuck, acted
        asked, waits: time: end entered, closed, acted
        asked, waits: approval: end entered, closed, acted
        asked, waits: event: end entered, closed, acted
        done, waits: no: end entered, undo issued, stuck, compensated, acted
        done, waits: stuck: end entered, succeeded, undone, closed, stuck, acted
        refused, waits: no: end entered, stuck, contradiction, compensated, acted
        refused, waits: stuck: end entered, succeeded, closed, stuck, acted
        failed, waits: no: end entered, undo issued, stuck, compensated, acted
        failed, waits: stuck: end entered, succeeded, undone, closed, stuck, acted
        undo asked, waits: reply: end entered, undo's retry, undone, stuck, acted
        undo asked, waits: retry: end entered, undo repeated, undone, stuck, acted
        undo asked, waits: stuck: end entered, undone, stuck, acted, undo retried
        undo asked, waits: time: end entered, closed, acted
        undo asked, waits: approval: end entered, closed, acted
        undo asked, waits: event: end entered, closed, acted
        undone, waits: no: end entered, stuck, compensated, acted
        undone, waits: stuck: end entered, succeeded, closed, stuck, acted
        closed, waits: no: end entered, compensated, acted
        open, waits: no: end entered, closed, acted
        undoing, waits: no: end entered, refused, failed, closed, acted
    "#]]
    .assert_eq(&table(Status::Compensating, false));
}

#[test]
fn what_can_happen_behind_the_end() {
    expect![[r#"
        nothing, waits: stuck: acted
        nothing, waits: time: acted
        nothing, waits: approval: acted
        nothing, waits: event: acted
        asked, waits: reply: acted
        asked, waits: retry: acted
        asked, waits: stuck: acted
        asked, waits: time: acted
        asked, waits: approval: acted
        asked, waits: event: acted
        done, waits: no: acted
        done, waits: stuck: acted
        refused, waits: no: stray, acted
        refused, waits: stuck: acted
        failed, waits: no: acted
        failed, waits: stuck: acted
        undo asked, waits: reply: acted
        undo asked, waits: retry: acted
        undo asked, waits: stuck: acted
        undo asked, waits: time: acted
        undo asked, waits: approval: acted
        undo asked, waits: event: acted
        undone, waits: no: acted
        undone, waits: stuck: acted
        closed, waits: no: acted
        open, waits: no: acted
        undoing, waits: no: acted
    "#]]
    .assert_eq(&table(Status::Compensated, false));
}

#[test]
fn what_can_happen_to_a_stray_behind_the_end() {
    expect![[r#"
        nothing, waits: stuck: succeeded, closed, stuck, acted
        nothing, waits: time: closed, acted
        nothing, waits: approval: closed, acted
        nothing, waits: event: closed, acted
        asked, waits: reply: retry, succeeded, refused, failed, stuck, acted
        asked, waits: retry: repeated, succeeded, refused, failed, stuck, acted
        asked, waits: stuck: succeeded, refused, failed, closed, stuck, acted, retried
        asked, waits: time: closed, acted
        asked, waits: approval: closed, acted
        asked, waits: event: closed, acted
        done, waits: no: undo issued, stuck, acted
        done, waits: stuck: succeeded, undone, closed, stuck, acted
        refused, waits: no: stuck, stray, acted
        refused, waits: stuck: succeeded, closed, stuck, acted
        failed, waits: no: undo issued, stuck, acted
        failed, waits: stuck: succeeded, undone, closed, stuck, acted
        undo asked, waits: reply: undo's retry, undone, stuck, acted
        undo asked, waits: retry: undo repeated, undone, stuck, acted
        undo asked, waits: stuck: undone, stuck, acted, undo retried
        undo asked, waits: time: closed, acted
        undo asked, waits: approval: closed, acted
        undo asked, waits: event: closed, acted
        undone, waits: no: stuck, acted
        undone, waits: stuck: succeeded, closed, stuck, acted
        closed, waits: no: acted
        open, waits: no: closed, acted
        undoing, waits: no: refused, failed, closed, acted
    "#]]
    .assert_eq(&table(Status::Compensated, true));
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
