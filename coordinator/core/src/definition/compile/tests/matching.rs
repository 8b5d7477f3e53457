//! Events that are known by a value.

use expect_test::expect;

use super::errors::{check, errors};
use super::for_each::{compiled, shown_fields};
use super::*;
use crate::definition::Catalog;
use crate::intake::{Event, InputRecord, Projections, Typing};
use ringmaster_schemas::journal::QuarantineReason;
use std::sync::Arc;

const ONE: &str = "{ step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }";

fn of(steps: &[&str]) -> String {
    let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
    saga(&format!("steps:\n{steps}"))
}

#[test]
fn what_is_right_is_without_a_word() {
    let steps = [
        ONE,
        "{ step: a, wait: OrderFulfilled, match: tracking == steps.one.big, if: event.order_id == key, within: 3d, on_refused: { VALUE_TAKEN: go_on } }",
        "{ step: b, wait: OrderFulfilled, match: \"tracking == steps.one.big + 'x'\", within: 3d }",
        "{ step: c, wait: fraud.ScoreResult, from: others, match: score == steps.one.score, within: 3d }",
        "{ step: d, wait: fraud.ScoreResult, from: scores, match: score == steps.one.score, within: 3d }",
        "{ step: f, wait: fraud.ScoreResult, from: notes, match: note == start.region, within: 3d }",
        "{ step: e, approval: boss, answer: { on: OrderCancelled, match: order_id == steps.one.big, approved: event.reason == '' }, within: 1d, on_refused: { VALUE_TAKEN: undo } }",
        "{ step: lines, for_each: start.items, as: line, steps: [ { step: seen, wait: OrderPlaced, from: seen, match: order_id == line.sku, within: 1h } ] }",
    ];
    assert_eq!(errors(&of(&steps)), "");
    let (definition, _) = compiled(&of(&steps));
    assert!(definition.has_claims);
    let known: Vec<_> = definition
        .listeners
        .iter()
        .map(|listener| (&*listener.event, listener.matches.as_ref().map(|field| &*field.name)))
        .collect();
    let some = |event, field| (event, Some(field));
    assert_eq!(
        known,
        [
            some("OrderFulfilled", "tracking"),
            some("fraud.ScoreResult", "score"),
            some("fraud.ScoreResult", "score"),
            some("fraud.ScoreResult", "note"),
            some("OrderCancelled", "order_id"),
            some("OrderPlaced", "order_id"),
        ]
    );
    let kept = shown_fields(&definition.listeners[0].kept);
    assert_eq!(kept, ["order_id", "tracking"], "what the if reads, and the field itself");
    assert_eq!(shown_fields(&definition.listeners[2].kept), ["score"]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    check(
        &of(&[
            ONE,
            "{ step: a, wait: OrderFulfilled, match: tracking, within: 1h }",
            "{ step: b, wait: OrderFulfilled, match: event.tracking == key, within: 1h }",
            "{ step: c, wait: OrderFulfilled, match: [ tracking ], within: 1h }",
            "{ step: f, wait: OrderFulfilled, from: z, key: event.order_id, match: tracking == key, within: 1h }",
            "{ step: i, wait: OrderFulfilled, from: u, match: tracking == event.order_id, within: 1h }",
            "{ step: k, wait: OrderFulfilled, from: s, match: tracking == , within: 1h }",
        ]),
        expect![[r#"
            sagas/x.yaml:5:45: error: this does not say which field of the event is which value
             5 |   - { step: a, wait: OrderFulfilled, match: tracking, within: 1h }
               |                                             ^^^^^^^^ match: FIELD == EXPRESSION, the event's field first, for example match: parcel_id == steps.ship.parcel_id
            sagas/x.yaml:6:45: error: this does not say which field of the event is which value
             6 |   - { step: b, wait: OrderFulfilled, match: event.tracking == key, within: 1h }
               |                                             ^^^^^^^^^^^^^^^^^^^^^ the field stands alone: match: tracking == key
            sagas/x.yaml:7:45: error: a match is one expression, not a list
             7 |   - { step: c, wait: OrderFulfilled, match: [ tracking ], within: 1h }
               |                                             ^^^^^^^^^^^^ match: FIELD == EXPRESSION, the event's field first, for example match: parcel_id == steps.ship.parcel_id
            sagas/x.yaml:8:75: error: this has a key already, on line 8
             8 |   - { step: f, wait: OrderFulfilled, from: z, key: event.order_id, match: tracking == key, within: 1h }
               |                                                                           ^^^^^^^^^^^^^^^ a key says for which saga the event is; match finds that by a value: keep one of them
            sagas/x.yaml:9:66: error: behind == stands the saga's value: no event has come yet
             9 |   - { step: i, wait: OrderFulfilled, from: u, match: tracking == event.order_id, within: 1h }
               |                                                                  ^^^^^^^^^^^^^^ what the saga knows when it begins to wait, for example steps.ship.parcel_id
            sagas/x.yaml:10:65: error: an expression is needed here
             10 |   - { step: k, wait: OrderFulfilled, from: s, match: tracking == , within: 1h }
                |                                                                 ^ an empty text is "''"
        "#]],
    );
}

#[test]
fn events_of_one_type_are_known_by_one_thing() {
    check(
        &of(&[
            ONE,
            "{ step: a, wait: OrderFulfilled, match: tracking == key, within: 1h }",
            "{ step: b, wait: OrderFulfilled, match: order_id == key, within: 1h }",
            "{ step: c, wait: OrderFulfilled, key: event.order_id, within: 1h }",
            "{ step: d, wait: fraud.Card, from: cards, match: number == key, within: 1h }",
            "{ step: lines, for_each: start.items, as: line, steps: [ { step: seen, wait: OrderCancelled, within: 1h } ] }",
        ]),
        expect![[r#"
            sagas/x.yaml:6:45: error: events of one type are known by one thing, and this is its order_id, by match
             6 |   - { step: b, wait: OrderFulfilled, match: order_id == key, within: 1h }
               |                                             ^^^^^^^^^^^^^^^ on line 5 it is its tracking, by match
            sagas/x.yaml:7:22: error: events of one type are known by one thing, and this is event.order_id
             7 |   - { step: c, wait: OrderFulfilled, key: event.order_id, within: 1h }
               |                      ^^^^^^^^^^^^^^ on line 5 it is its tracking, by match
            sagas/x.yaml:9:82: error: an event is for a saga by its key, which all items share: nobody knows for which item it is
             9 |   - { step: lines, for_each: start.items, as: line, steps: [ { step: seen, wait: OrderCancelled, within: 1h } ] }
               |                                                                                  ^^^^^^^^^^^^^^ let it be known by a value of the item: match: FIELD == line.FIELD
        "#]],
    );
}

#[test]
fn both_sides_can_be_the_same() {
    check(
        &parcel(&of(&[
            "{ step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }",
            "{ step: a, wait: OrderFulfilled, from: x, match: \"tracking == start.cards[0].number\", within: 1h }",
            "{ step: d, wait: OrderFulfilled, from: w, match: trackin == key, within: 1h }",
            "{ step: e, wait: OrderFulfilled, from: y, match: tracking == steps.one.score, within: 1h }",
            "{ step: g, wait: OrderFulfilled, from: v, match: tracking == steps.one.note, within: 1h }",
            "{ step: h, wait: OrderFulfilled, from: u, match: tracking == start.boxes, within: 1h }",
            "{ step: j, wait: OrderFulfilled, from: t, match: tracking == steps.later.big, within: 1h }",
            "{ step: l, wait: Parcel, from: r, match: boxes == key, within: 1h }",
            "{ step: n, wait: Parcel, from: p, match: codes == key, within: 1h }",
            "{ step: m, wait: OrderFulfilled, from: q, key: event.order_id, within: 1h, on_refused: { VALUE_TAKEN: go_on } }",
        ])),
        expect![[r#"
            sagas/x.yaml:5:67: error: this is secret, and a match is not
             5 |   - { step: a, wait: OrderFulfilled, from: x, match: "tracking == start.cards[0].number", within: 1h }
               |                                                                   ^^^^^^^^^^^^^^^^^^^^^ the value is part of ids and logs: let events be known by something that is not secret
            sagas/x.yaml:6:54: error: OrderFulfilled has no field 'trackin'
             6 |   - { step: d, wait: OrderFulfilled, from: w, match: trackin == key, within: 1h }
               |                                                      ^^^^^^^ did you mean 'tracking'?
            sagas/x.yaml:7:54: error: the field and the value are string and int: they are never equal
             7 |   - { step: e, wait: OrderFulfilled, from: y, match: tracking == steps.one.score, within: 1h }
               |                                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^ write string(x) or int(x), or name another field
            sagas/x.yaml:8:66: error: this may be absent, and then there is nothing to wait for
             8 |   - { step: g, wait: OrderFulfilled, from: v, match: tracking == steps.one.note, within: 1h }
               |                                                                  ^^^^^^^^^^^^^^ write .orValue(...) behind it
            sagas/x.yaml:9:66: error: a match compares strings or ints, and this is list of Box
             9 |   - { step: h, wait: OrderFulfilled, from: u, match: tracking == start.boxes, within: 1h }
               |                                                                  ^^^^^^^^^^^ write string(x), or int(x)
            sagas/x.yaml:10:72: error: there is no step 'later'
             10 |   - { step: j, wait: OrderFulfilled, from: t, match: tracking == steps.later.big, within: 1h }
                |                                                                        ^^^^^ there are: one, a, d, e, g, h, j, l, n, m
            sagas/x.yaml:11:46: error: a match compares strings or ints, and this is list of Box
             11 |   - { step: l, wait: Parcel, from: r, match: boxes == key, within: 1h }
                |                                              ^^^^^ name another field
            sagas/x.yaml:12:46: error: this is secret, and a match is not
             12 |   - { step: n, wait: Parcel, from: p, match: codes == key, within: 1h }
                |                                              ^^^^^ the value is part of ids and logs: let events be known by something that is not secret
            sagas/x.yaml:13:94: error: 'm' is never refused with VALUE_TAKEN
             13 |   - { step: m, wait: OrderFulfilled, from: q, key: event.order_id, within: 1h, on_refused: { VALUE_TAKEN: go_on } }
                |                                                                                              ^^^^^^^^^^^ there are: EXPIRED
        "#]],
    );
}

/// What an event has beside its field keeps it from nobody: that is read where it is looked at.
#[test]
fn a_value_is_read_by_its_field_alone() {
    let steps = [ONE, "{ step: a, wait: OrderFulfilled, match: tracking == steps.one.big, if: event.order_id == key, within: 3d }"];
    let (definition, schemas) = compiled(&of(&steps));
    let body = br#"{"type":"OrderFulfilled","tracking":"t-1","order_id":[7]}"#;
    let record = InputRecord { offset: 0, timestamp: 0, key: None, value: Some(body), headers: None };
    let typing = Typing { field: "type", default: None };
    let (_, event) = Event::recognise(&record, typing, &schemas).unwrap();
    let mut projections = Projections::default();
    let refused = projections.event(&definition, 0, &event.body).unwrap_err();
    assert_eq!(refused.reason, QuarantineReason::Undecodable, "as a whole it fits nothing");
    let value = projections.matched(&definition, 0, &event, 0).map_err(|refused| refused.detail);
    assert_eq!(value, Ok(Some("t-1".into())));
}

/// Versions that read a field differently each find what they can read; those that read it alike are one.
#[test]
fn versions_that_read_a_field_differently_are_all_asked() {
    let steps = |more: &str| {
        let wait = "{ step: a, wait: OrderFulfilled, match: tracking == steps.one.big, within: 3d }";
        of(&[ONE, wait, more])
    };
    let mut catalog = Catalog::default();
    let sleeps = ["{ step: b, sleep: 1h }", "{ step: b, sleep: 2h }"];
    for (sleep, offset) in sleeps.iter().zip(0..) {
        catalog.insert(Arc::new(compiled(&steps(sleep)).0), offset);
    }
    assert_eq!(catalog.matching_on("orders", "OrderFulfilled").len(), 1);
    let mut other = compiled(&steps("{ step: b, sleep: 3h }")).0;
    let whole = other.listeners[0].reader.clone();
    other.listeners[0].matches.as_mut().unwrap().read = whole;
    catalog.insert(Arc::new(other), 2);
    assert_eq!(catalog.matching_on("orders", "OrderFulfilled").len(), 2);
}
