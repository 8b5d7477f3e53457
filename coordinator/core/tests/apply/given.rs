//! States, and every kind of event that may happen to them.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::journal::{
    ActKind, Asked, Emission, Encoding, EventAnswer, Failure, FailureKind, Head, HeadFields, ItemEvent, Items, KeptEvent, Next,
    Opens, Order, OrderFields, Place, SagaEvent, TakenEvent,
};
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{
    Child, Children, Course, Detail, End, Entry, EntryMore, PRIORITY_USUAL, Paused, Saga, SagaMore, Status, Waits, Work,
};

use crate::ID;

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

/// A for_each of three items, of which the first is under way.
fn rows(undoes: bool) -> Children {
    Children {
        count: 3,
        at_once: 2,
        begun: 1,
        at: 3,
        open: vec![Child::new(0, false)],
        undoes: true,
        to_recall: u16::from(undoes),
        was_done: undoes,
        recalls: undoes,
        swept: 0,
        list: (!undoes).then(|| Data::new(&[4, 4, 0, 4, 4, 2, 4, 4, 4])),
    }
}

/// Of the items of a for_each.
fn of_items(place: Place) -> Vec<(&'static str, SagaEvent)> {
    let of = |event| SagaEvent::Item { place, event };
    let items = Arc::new(Items { count: 1, at_once: 1, undoes: true, list: Data::new(&[2, 2]) });
    let opens = |node, opens| SagaEvent::Entered { place: place + 1, node, round: 1, opens };
    vec![
        ("items", opens(2, Opens::Items { items: items.clone(), until: None })),
        ("end's items", opens(0, Opens::Items { items, until: None })),
        ("gave", opens(0, Opens::Gave { result: Data::new(b"") })),
        ("a step gave", opens(2, Opens::Gave { result: Data::new(b"") })),
        ("item began", of(ItemEvent::Began { index: 1, next_at: 6 })),
        ("an item began before its time", of(ItemEvent::Began { index: 2, next_at: 9 })),
        ("item ended", of(ItemEvent::Ended { index: 0, well: true })),
        ("an item ended that is not under way", of(ItemEvent::Ended { index: 1, well: true })),
        ("item recalled", of(ItemEvent::Recalled { index: 0 })),
        ("an item recalled out of turn", of(ItemEvent::Recalled { index: 1 })),
        ("item held", of(ItemEvent::Held { index: 0, held: true })),
        ("item held no more", of(ItemEvent::Held { index: 0, held: false })),
        ("item told", of(ItemEvent::Told { index: 0, paused: true })),
        ("item told what is not so", of(ItemEvent::Told { index: 0, paused: false })),
        ("undo of items began", of(ItemEvent::UndoBegan { failure: failure() })),
        ("item swept", of(ItemEvent::Swept { index: 0 })),
        ("item lingers", of(ItemEvent::Lingers { index: 0 })),
        ("swept", SagaEvent::Swept { lingers: false }),
        ("lingers", SagaEvent::Swept { lingers: true }),
    ]
}

pub(crate) fn saga(status: Status, work: Work, waits: Waits, stray: bool) -> Saga {
    let ended = matches!(status, Status::Completed | Status::Compensated).then_some(End { at: 500, expires_at: 9_000_000 });
    let detail = Detail::Asked { roles: vec!["clerk".into()], show: None };
    let parked = Detail::Parked { participant: "office".into() };
    let detail = match waits {
        Waits::Approval => Some(detail),
        Waits::Parked => Some(parked),
        Waits::Children => Some(Detail::Children { rows: Arc::new(rows(work == Work::Undoing)) }),
        _ => None,
    };
    let paused = Paused { since: 20, by: "ann".into(), why: "why".into(), postponed: Vec::new() };
    let asked = detail.map(|detail| Course { detail, ..Course::default() });
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
        priority: PRIORITY_USUAL,
        deadline_at: Some(60_000),
        held_since: matches!(waits, Waits::Stuck | Waits::Parked | Waits::Paused).then_some(20),
        entries: vec![entry],
        failure: None,
        ended,
        more: match waits {
            Waits::Event => Some(Box::new(SagaMore { early: vec![kept()], ..SagaMore::default() })),
            Waits::Paused => Some(Box::new(SagaMore { paused: Some(paused), ..SagaMore::default() })),
            _ => None,
        },
        turns: ringmaster_schemas::state::Turns::default(),
    }
}

/// Every kind of event, with the right numbers for an entry at `place`.
pub(crate) fn events(place: Place) -> Vec<(&'static str, SagaEvent)> {
    let mut events = of_commands(place);
    events.extend(of_others(place));
    events.extend(of_items(place));
    events
}

/// Of commands, of their ends, and of the saga's.
fn of_commands(place: Place) -> Vec<(&'static str, SagaEvent)> {
    let next = place + 1;
    let (failure, due_at) = (failure(), 2_000);
    let repeated = |direction, attempt| SagaEvent::CommandRepeated { place, direction, attempt, due_at };
    let retry = |direction| SagaEvent::RetryScheduled { place, direction, due_at, failure: failure.clone() };
    let entered = |node| SagaEvent::Entered { place: next, node, round: 1, opens: Opens::Stuck { failure: failure.clone() } };
    let refuses = |node| SagaEvent::Entered { place: next, node, round: 1, opens: Opens::Refused { failure: failure.clone() } };
    let scope = |node| SagaEvent::Entered { place: next, node, round: 1, opens: Opens::Scope { until: Some(due_at) } };
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
        ("issued from where it was parked", SagaEvent::CommandIssued { place, node: 1, round: 1, order: order(), due_at }),
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
    ]
}

/// Of what waits by itself, of scopes and reactions, of people.
fn of_others(place: Place) -> Vec<(&'static str, SagaEvent)> {
    let (next, failure, due_at) = (place + 1, failure(), 2_000);
    let retried = |direction| SagaEvent::Retried { place, direction, attempt: 2, order: order(), due_at };
    let taken = |early| {
        let source = if early { "cames/1" } else { "cames/2" };
        SagaEvent::EventTaken { place, event: Arc::new(TakenEvent { source: source.into(), early, result: None }), passes: false }
    };
    let answered = |early| {
        let source = if early { "cames/1" } else { "cames/2" };
        let answer = EventAnswer { source: source.into(), early, result: None, failure: None };
        SagaEvent::Answered { place, answer: Arc::new(answer), passes: false }
    };
    let opens = |node, opens| SagaEvent::Entered { place: next, node, round: 1, opens };
    let asked = Arc::new(Asked { role: "clerk".into(), show: None });
    let emitted = |node| SagaEvent::Emitted { node, emission: Arc::new(emission()) };
    let parked = |direction| SagaEvent::Parked { place, direction, participant: "office".into(), failure: None };
    vec![
        ("emitted", emitted(2)),
        ("end emitted", emitted(0)),
        ("stuck told", SagaEvent::StuckTold { place, emission: Some(Arc::new(emission())), failure: None }),
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
        ("answered", answered(false)),
        ("answered early", answered(true)),
        ("kept", SagaEvent::EventKept { event: kept() }),
        ("early forgotten", SagaEvent::EventsExpired { count: 1 }),
        ("two forgotten", SagaEvent::EventsExpired { count: 2 }),
        ("enters parked", opens(2, Opens::Parked { participant: "office".into() })),
        ("end enters parked", opens(0, Opens::Parked { participant: "office".into() })),
        ("parked", parked(Direction::Do)),
        ("undo parked", parked(Direction::Undo)),
        ("paused", SagaEvent::Paused { by: "ann".into(), why: "why".into() }),
        ("postponed", SagaEvent::Postponed { next: Next { node: 2, again: false } }),
        ("withheld", SagaEvent::Withheld { place, failure: None }),
        ("withheld as it failed", SagaEvent::Withheld { place, failure: Some(failure.clone()) }),
        ("resumed", SagaEvent::Resumed {}),
        ("prioritised", SagaEvent::Prioritised { priority: 9 }),
        ("escalated", SagaEvent::Escalated { place, role: "boss".into(), due_at }),
    ]
}
