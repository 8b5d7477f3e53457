//! Spans by the events that they are made of.

use expect_test::expect;
use ringmaster_core::saga::attempt_span;
use ringmaster_schemas::journal::{Encoding, FailureKind, HeadFields, Opens, Order, OrderFields, Place};
use ringmaster_schemas::names::Direction;

use super::*;

const ID: &str = "order/ord-1";
const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn started_by(traceparent: Option<&str>, started_at: Millis) -> SagaEvent {
    let fields = HeadFields { started_at, traceparent, source: "shop/1", ..HeadFields::default() };
    SagaEvent::Started { head: Head::new(&fields, &mut Vec::new()), deadline_at: None }
}

fn order(step: &str, command: &str) -> Order {
    let encoding = Encoding::Json;
    let fields =
        OrderFields { step, command, encoding, envelope: 0, first_time: 0, until: 0, keep: false, body: b"{\"card\":4242}" };
    Order::new(&fields, &mut Vec::new())
}

fn failure(kind: FailureKind, code: &str) -> Arc<Failure> {
    Arc::new(Failure { code: code.into(), step: "charge".into(), kind, message: "card 4242 said no".into() })
}

fn asks(place: Place, step: &str, command: &str) -> SagaEvent {
    SagaEvent::CommandIssued { place, node: place + 1, round: 1, order: order(step, command), due_at: 0 }
}

fn succeeded(place: Place) -> SagaEvent {
    SagaEvent::Succeeded { place, result: None, passes: false }
}

fn again(place: Place, direction: Direction, attempt: u16) -> SagaEvent {
    SagaEvent::CommandRepeated { place, direction, attempt, due_at: 0 }
}

fn retry(place: Place, direction: Direction, code: &str) -> SagaEvent {
    SagaEvent::RetryScheduled { place, direction, due_at: 0, failure: failure(FailureKind::Failed, code) }
}

/// Retries, arms at the same time, a refusal, an undo that takes two attempts.
fn refused() -> Vec<(i64, Millis, Vec<SagaEvent>)> {
    let no = || failure(FailureKind::Refused, "CARD_DECLINED");
    let scope = SagaEvent::Entered { place: 1, node: 2, round: 1, opens: Opens::Scope { until: None } };
    let undo = |place, step, command| SagaEvent::UndoIssued { place, order: order(step, command), due_at: 0 };
    let compensated = SagaEvent::Compensated { emissions: Vec::new(), expires_at: 9_999 };
    vec![
        (10, 1_000, vec![started_by(Some(GIVEN), 1_000), asks(0, "reserve", "inventory.Reserve")]),
        (14, 1_010, vec![succeeded(0), scope, asks(2, "charge", "payment.Charge"), asks(3, "pack", "shipping.Pack")]),
        (15, 1_020, vec![retry(2, Direction::Do, "TIMEOUT")]),
        (20, 1_100, vec![again(2, Direction::Do, 2)]),
        (21, 1_110, vec![SagaEvent::Refused { place: 2, failure: no() }]),
        (22, 1_120, vec![succeeded(3), SagaEvent::CompensationBegan { failure: no() }, undo(3, "pack", "shipping.Unpack")]),
        (30, 1_130, vec![SagaEvent::Undone { place: 3 }, undo(0, "reserve", "inventory.Release")]),
        (31, 1_140, vec![retry(0, Direction::Undo, "BUSY")]),
        (40, 1_200, vec![again(0, Direction::Undo, 2)]),
        (41, 1_210, vec![SagaEvent::Undone { place: 0 }, compensated]),
    ]
}

fn told(id: &str, records: &[(i64, Millis, Vec<SagaEvent>)], is_told: impl Fn(i64) -> bool) -> Vec<Span> {
    let (tracing, catalog) = (Tracing::new("ringmaster", 1.0), Catalog::default());
    let mut story = Story::new(id.into(), &tracing, &catalog);
    records.iter().for_each(|(offset, at, events)| story.record(*offset, *at, events));
    story.told(is_told)
}

fn shown(spans: &[Span]) -> String {
    let name = |id: &SpanId| spans.iter().find(|span| span.id == *id).map_or_else(|| hex(id), |span| format!("{:?}", span.name));
    let mut lines = String::new();
    for span in spans {
        let Span { kind, from, to, .. } = span;
        let parent = span.parent.as_ref().map_or_else(|| "nothing".to_owned(), name);
        let rest = [span.text("ringmaster.outcome"), span.text("ringmaster.waits"), span.error.as_deref()];
        let rest: Vec<&str> = rest.into_iter().flatten().collect();
        let of = span.of.as_ref().map_or_else(String::new, |of| format!(" of {}", name(of)));
        lines += &format!("{} {:?} {from}..{to} under {parent}{of}: {}\n", kind.as_str(), span.name, rest.join(" "));
    }
    lines
}

#[test]
fn a_saga_that_was_undone_is_one_trace() {
    let spans = told(ID, &refused(), |_| true);
    expect![[r#"
        attempt "inventory.Reserve" 1000..1010 under "reserve": succeeded
        step "reserve" 1000..1010 under "order": succeeded
        attempt "payment.Charge" 1010..1020 under "charge": timed_out TIMEOUT
        wait "charge: retry" 1020..1100 under "charge": retry
        attempt "payment.Charge" 1100..1110 under "charge": refused CARD_DECLINED
        step "charge" 1010..1110 under "order": refused CARD_DECLINED
        attempt "shipping.Pack" 1010..1120 under "pack": succeeded
        step "pack" 1010..1120 under "order": succeeded
        attempt "shipping.Unpack" 1120..1130 under "pack: undo": undone
        undo "pack: undo" 1120..1130 under "order" of "pack": undone
        attempt "inventory.Release" 1130..1140 under "reserve: undo": failed BUSY
        wait "reserve: retry" 1140..1200 under "reserve: undo": retry
        attempt "inventory.Release" 1200..1210 under "reserve: undo": undone
        undo "reserve: undo" 1130..1210 under "order" of "reserve": undone
        step "node 2" 1010..1210 under "order": left
        saga "order" 1000..1210 under 00f067aa0ba902b7: compensated CARD_DECLINED
    "#]]
    .assert_eq(&shown(&spans));
    let ids: std::collections::BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len(), "each has a number of its own");
    let trace = given(GIVEN).expect("it is one").0;
    assert!(spans.iter().all(|span| span.trace == trace));
    // A participant continues the span that its command names.
    let key = names_of_attempt(&spans, "payment.Charge", 1_100);
    assert_eq!(key, attempt_span(&trace, "order/ord-1/charge/do", 2));
    let everything = format!("{spans:?}");
    assert!(!everything.contains("4242"), "no body, and nothing that a participant says in words: {everything}");
}

fn names_of_attempt(spans: &[Span], name: &str, from: Millis) -> SpanId {
    spans.iter().find(|span| span.name == name && span.from == from).expect("it was asked").id
}

/// What was read twice, or by another, is the same; and what is told behind one record is not told behind another.
#[test]
fn the_same_records_give_the_same_spans_each_behind_one_record() {
    let all = told(ID, &refused(), |_| true);
    assert_eq!(all, told(ID, &refused(), |_| true));
    assert_eq!(told(ID, &refused(), |offset| offset == 41), all);
    assert_eq!(told(ID, &refused(), |offset| offset < 41), []);
    assert_eq!(told(ID, &refused()[..9], |_| true), [], "it runs: nothing of it is told yet");
    // Undone once more, behind its end.
    let mut late = refused();
    late.push((50, 2_000, vec![SagaEvent::UndoIssued { place: 2, order: order("charge", "payment.Refund"), due_at: 0 }]));
    late.push((51, 2_010, vec![SagaEvent::Undone { place: 2 }]));
    assert_eq!(told(ID, &late, |offset| offset <= 41), all);
    expect![[r#"
        attempt "payment.Refund" 2000..2010 under "charge: undo": undone
        undo "charge: undo" 2000..2010 under fe3b3d3bfa3d3ecb of fe3b3d3bfa3d3ecb: undone
    "#]]
    .assert_eq(&numbers_hidden(&shown(&told(ID, &late, |offset| offset > 41))));
}

/// Numbers of spans that are told elsewhere differ with the hash, and are no matter here.
fn numbers_hidden(text: &str) -> String {
    let hidden = |word: &str| word.trim_end_matches(':').len() == 16 && word.bytes().take(16).all(|byte| byte.is_ascii_hexdigit());
    let word = |word: &str| if hidden(word) { word.replace(&word[..16], "fe3b3d3bfa3d3ecb") } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_waits_by_itself_and_for_people_is_told() {
    let stuck = |code| SagaEvent::Stuck { place: 1, failure: failure(FailureKind::Failed, code) };
    let enters = |place, opens| SagaEvent::Entered { place, node: place + 1, round: 1, opens };
    let parked = Opens::Parked { participant: "payment".into() };
    let anew =
        SagaEvent::Retried { place: 1, direction: Direction::Do, attempt: 2, order: order("charge", "payment.Charge"), due_at: 0 };
    let records = vec![
        (1, 100, vec![started_by(None, 100), enters(0, Opens::Sleep { due_at: 200, expires: false })]),
        (2, 200, vec![succeeded(0), enters(1, parked)]),
        (3, 300, vec![asks(1, "charge", "payment.Charge")]),
        (4, 400, vec![stuck("BROKEN")]),
        (5, 500, vec![SagaEvent::Paused { by: "ann".into(), why: "look".into() }]),
        (6, 600, vec![SagaEvent::Resumed {}, anew]),
        (7, 700, vec![succeeded(1), SagaEvent::Completed { emissions: Vec::new(), expires_at: 9_999 }]),
    ];
    expect![[r#"
        wait "node 1: sleep" 100..200 under "node 1": sleep
        step "node 1" 100..200 under "order": succeeded
        wait "node 2: parked" 200..300 under "node 2": parked
        attempt "payment.Charge" 300..400 under "node 2": failed BROKEN
        wait "paused" 500..600 under "order": paused
        wait "node 2: stuck" 400..600 under "node 2": stuck
        attempt "payment.Charge" 600..700 under "node 2": succeeded
        step "node 2" 200..700 under "order": succeeded
        saga "order" 100..700 under nothing: completed
    "#]]
    .assert_eq(&shown(&told(ID, &records, |_| true)));
}

/// Each lies within the span that it is under.
fn check_within(spans: &[Span]) {
    for span in spans {
        let Some(around) = spans.iter().find(|around| Some(around.id) == span.parent) else { continue };
        assert!(around.from <= span.from && span.to <= around.to, "{span:?} is not within {around:?}");
    }
}

/// An undo that cannot be made begins when it was to be made, also where a person has it asked later, or says that it is undone.
#[test]
fn an_undo_that_cannot_be_made_waits_under_itself() {
    let stuck = |place| SagaEvent::Stuck { place, failure: failure(FailureKind::Error, "OVERFLOW") };
    let (no, lost) = (failure(FailureKind::Refused, "NO"), failure(FailureKind::Failed, "TIMEOUT"));
    let undo = |place, step, command| SagaEvent::UndoIssued { place, order: order(step, command), due_at: 0 };
    let scope = SagaEvent::Entered { place: 1, node: 2, round: 1, opens: Opens::Scope { until: None } };
    let stops = SagaEvent::ScopeStopped { place: 1, refused: true, failure: no.clone() };
    let refused = |place| SagaEvent::Refused { place, failure: no.clone() };
    let records = vec![
        (1, 100, vec![started_by(None, 100), asks(0, "reserve", "inventory.Reserve")]),
        (2, 200, vec![succeeded(0), scope, asks(2, "seat", "air.Seat"), asks(3, "wash", "cars.Wash")]),
        (3, 300, vec![succeeded(2)]),
        (4, 400, vec![refused(3), stops, stuck(2)]),
        // A person says that it is undone.
        (5, 500, vec![SagaEvent::Undone { place: 2 }, refused(1), asks(4, "pack", "shipping.Pack")]),
        // It may have been done, and its undo cannot be made either.
        (6, 600, vec![SagaEvent::Failed { place: 4, failure: lost.clone() }, stuck(4)]),
        (7, 700, vec![SagaEvent::Undone { place: 4 }, SagaEvent::CompensationBegan { failure: lost }, stuck(0)]),
        // A person has it asked once more.
        (8, 800, vec![SagaEvent::Closed { place: 0 }, undo(0, "reserve", "inventory.Release")]),
        (9, 900, vec![SagaEvent::Undone { place: 0 }, SagaEvent::Compensated { emissions: Vec::new(), expires_at: 9_999 }]),
    ];
    let spans = told(ID, &records, |_| true);
    check_within(&spans);
    let of_undos = |span: &&Span| span.kind == Kind::Undo || span.kind == Kind::Wait;
    let of_undos: Vec<Span> = spans.iter().filter(of_undos).cloned().collect();
    expect![[r#"
        wait "seat: stuck" 400..500 under "seat: undo": stuck
        undo "seat: undo" 400..500 under fe3b3d3bfa3d3ecb of fe3b3d3bfa3d3ecb: undone
        wait "pack: stuck" 600..700 under "pack: undo": stuck
        undo "pack: undo" 600..700 under fe3b3d3bfa3d3ecb of fe3b3d3bfa3d3ecb: undone
        wait "reserve: stuck" 700..800 under "reserve: undo": stuck
        undo "reserve: undo" 700..900 under fe3b3d3bfa3d3ecb of fe3b3d3bfa3d3ecb: undone
    "#]]
    .assert_eq(&numbers_hidden(&shown(&of_undos)));
}

/// A refusal that needs a person, and a result that is too big: nothing is undone, and the step has ended.
#[test]
fn what_needs_a_person_behind_a_step_waits_under_its_row() {
    let (no, too_big) = (failure(FailureKind::Refused, "ASK_US"), failure(FailureKind::Error, "DATA_TOO_BIG"));
    let stuck = |place, failure: &Arc<Failure>| SagaEvent::Stuck { place, failure: failure.clone() };
    let records = vec![
        (1, 100, vec![started_by(None, 100), asks(0, "pay", "billing.Charge")]),
        (2, 200, vec![SagaEvent::Refused { place: 0, failure: no.clone() }, stuck(0, &no)]),
        (3, 300, vec![SagaEvent::Closed { place: 0 }, asks(1, "pay~2", "billing.Charge")]),
        (4, 400, vec![succeeded(1), stuck(1, &too_big)]),
        (5, 500, vec![succeeded(1), SagaEvent::Completed { emissions: Vec::new(), expires_at: 9_999 }]),
    ];
    let spans = told(ID, &records, |_| true);
    check_within(&spans);
    expect![[r#"
        attempt "billing.Charge" 100..200 under "pay": refused ASK_US
        step "pay" 100..200 under "order": refused ASK_US
        wait "pay: stuck" 200..300 under "order": stuck
        attempt "billing.Charge" 300..400 under "pay~2": succeeded
        step "pay~2" 300..400 under "order": succeeded
        wait "pay~2: stuck" 400..500 under "order": stuck
        saga "order" 100..500 under nothing: completed
    "#]]
    .assert_eq(&shown(&spans));
}

/// An item goes on under its step where its saga's start event names a trace. One that was undone behind its end is told twice, each time
/// by a span of its own.
#[test]
fn an_item_has_a_story_of_its_own() {
    let records = vec![
        (1, 100, vec![started_by(Some(GIVEN), 100), asks(0, "pay", "payment.Charge")]),
        (2, 200, vec![succeeded(0), SagaEvent::Completed { emissions: Vec::new(), expires_at: 9_999 }]),
        (
            3,
            300,
            vec![
                SagaEvent::CompensationBegan { failure: failure(FailureKind::Refused, "NO") },
                SagaEvent::UndoIssued { place: 0, order: order("pay", "payment.Refund"), due_at: 0 },
            ],
        ),
        (4, 400, vec![SagaEvent::Undone { place: 0 }, SagaEvent::Compensated { emissions: Vec::new(), expires_at: 9_999 }]),
    ];
    let spans = told("order/ord-1/lines.7", &records, |_| true);
    let trace = given(GIVEN).expect("it is one").0;
    let of_saga = |name: &str| steps::step_span(&trace, "order/ord-1", name);
    let rows: Vec<&Span> = spans.iter().filter(|span| span.kind == Kind::Saga).collect();
    let parents: Vec<_> = rows.iter().map(|span| span.parent).collect();
    assert_eq!(parents, [Some(of_saga("lines")); 2]);
    assert_eq!([(rows[0].from, rows[0].to), (rows[1].from, rows[1].to)], [(100, 200), (300, 400)]);
    assert_ne!(rows[0].id, rows[1].id);
    assert_eq!(told("order/ord-1/lines.7", &records, |offset| offset == 2), spans[..3]);
    assert_eq!(told("order/ord-1/lines.7", &records, |offset| offset == 4), spans[3..]);
}

#[test]
fn a_saga_that_runs_shows_by_a_span_of_no_length() {
    let (tracing, catalog) = (Tracing::new("ringmaster", 1.0), Catalog::default());
    let SagaEvent::Started { head, .. } = started_by(None, 1_000) else { unreachable!("it was made so") };
    let span = started(&tracing, &catalog, (&ID.into(), &head));
    let records = vec![(1, 1_000, vec![started_by(None, 1_000), SagaEvent::Completed { emissions: Vec::new(), expires_at: 9 }])];
    let whole = told(ID, &records, |_| true);
    assert_eq!((span.from, span.to, span.kind), (1_000, 1_000, Kind::Started));
    assert_eq!((span.parent, span.trace), (Some(whole[0].id), whole[0].trace), "its parent comes at the end");
    assert_ne!(span.id, whole[0].id);
}

/// What came before is another story; without a beginning there is none.
#[test]
fn an_id_that_begins_again_begins_a_story() {
    let mut records = refused();
    records.push((60, 5_000, vec![started_by(None, 5_000), SagaEvent::Completed { emissions: Vec::new(), expires_at: 9 }]));
    assert_eq!(told(ID, &records, |_| true).len(), 1);
    assert_eq!(told(ID, &refused()[1..], |_| true), []);
}
