//! What is listened to: waits, and the event that cancels.

use expect_test::expect;

use super::errors::{check, errors};
use super::*;
use crate::definition::{Settings, compile};

const ONE: &str = "{ step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }";

/// A definition that is cancelled by `cancel`, of these steps.
fn of(cancel: &str, steps: &[&str]) -> String {
    let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
    saga(&format!("{cancel}steps:\n{steps}"))
}

#[test]
fn what_is_right_is_without_a_word() {
    let cancel = "cancel: { on: OrderCancelled, from: cancels, key: event.order_id }\n";
    let waits = [
        ONE,
        "{ step: paid, wait: OrderFulfilled, from: payments, key: event.order_id, if: event.tracking != start.region && steps.one.score > 3, within: 3d, keep: 1d, on_refused: { EXPIRED: go_on } }",
        "{ step: again, wait: OrderFulfilled, from: payments, key: event.order_id, within: 1d }",
        "{ step: other, wait: OrderFulfilled, within: 1d }",
        "{ step: told, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: \"steps.?paid.?tracking.orValue('') + steps.again.tracking\" } }",
    ];
    assert_eq!(errors(&of(cancel, &waits)), "");
}

/// State keeps of an event what all that waits for it reads, and the key.
#[test]
fn what_is_kept_of_an_event() {
    let text = of(
        "",
        &[
            "{ step: paid, wait: OrderFulfilled, from: payments, key: event.order_id, within: 3d }",
            "{ step: other, wait: OrderFulfilled, within: 1d }",
            "{ step: unread, wait: OrderFulfilled, within: 1d }",
            "{ step: told, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: steps.other.tracking } }",
        ],
    );
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    let definition = compile(FILE, &text, &mut settings).expect("it compiles").remove(0);
    let fields = |listener: usize| {
        let kept = &definition.listeners[listener].kept;
        kept.fields(kept.root()).iter().map(|field| field.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((fields(0), fields(1)), (vec!["order_id".to_owned()], vec!["tracking".to_owned()]));
    let is_kept = [1, 2, 3].map(|node| definition.nodes[node].kept().is_some());
    assert_eq!(is_kept, [false, true, false], "what nobody reads is not kept, also where another waits for the same");
    assert_eq!(definition.inputs().iter().map(|topic| &***topic).collect::<Vec<_>>(), ["orders", "payments"]);
}

/// What stands in a wait's stead is read as the event would be: the same of it is kept, whatever each reads of its own.
#[test]
fn what_stands_in_the_stead_of_an_event() {
    let left = "{ step: left, as: w, wait: OrderLeft, from: neighbours, key: event.order_id, within: 1d, on_refused: { steps: [ { step: ask, as: w, do: fraud.Ask, undo: nothing, with: { order_id: key } } ], next: go_on } }";
    let text = of(
        "",
        &[
            &format!(
                "{{ step: w, wait: OrderFulfilled, from: payments, within: 1d, on_refused: {{ steps: [ {left} ], next: go_on }} }}"
            ),
            "{ step: told, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: steps.w.tracking } }",
        ],
    );
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    let definition = compile(FILE, &text, &mut settings).expect("it compiles").remove(0);
    let number = |name: &str| definition.names.find(name).expect("it is there");
    let kept = |name: &str| {
        let kept = definition.nodes[usize::from(number(name))].kept().expect("it is read");
        kept.fields(kept.root()).iter().map(|field| field.name.to_string()).collect::<Vec<_>>()
    };
    for name in ["w", "left", "ask"] {
        assert_eq!(kept(name), ["order_id", "tracking"], "{name}: the key of the second is read of it too");
    }
    assert_eq!(definition.nodes[usize::from(number("w"))].given_by[..], [number("w"), number("left"), number("ask")]);
    let other =
        text.replace("wait: OrderLeft, from: neighbours, key: event.order_id", "wait: Parcel, from: neighbours, key: event.id");
    assert!(errors(&other).contains("steps.w would be OrderFulfilled or Parcel"), "{}", errors(&other));
}

#[test]
fn what_contradicts_itself() {
    check(
        &of(
            "cancel: { on: OrderCancelled, key: event.order_id }\n",
            &[
                "{ step: a, wait: OrderFulfilled, from: payments, key: event.order_id, within: 1h }",
                "{ step: b, wait: OrderFulfilled, from: payments, key: event.tracking, within: 1h }",
                "{ step: c, wait: OrderFulfilled, from: payments, within: 1h }",
                "{ step: d, wait: OrderCancelled, key: event.order_id, within: 1h }",
                "{ step: e, wait: OrderPlaced, key: event.order_id, within: 1h }",
            ],
        ),
        expect![[r#"
            sagas/x.yaml:6:59: error: events of one type have one key, and this is event.tracking
             6 |   - { step: b, wait: OrderFulfilled, from: payments, key: event.tracking, within: 1h }
               |                                                           ^^^^^^^^^^^^^^ on line 5 it is event.order_id
            sagas/x.yaml:7:22: error: events of one type have one key, and this is the record's key
             7 |   - { step: c, wait: OrderFulfilled, from: payments, within: 1h }
               |                      ^^^^^^^^^^^^^^ on line 5 it is event.order_id
            sagas/x.yaml:8:22: error: OrderCancelled cancels the saga
             8 |   - { step: d, wait: OrderCancelled, key: event.order_id, within: 1h }
               |                      ^^^^^^^^^^^^^^ an event that cancels the saga is never waited for, and answers to nothing
            sagas/x.yaml:9:22: error: OrderPlaced on orders starts the saga
             9 |   - { step: e, wait: OrderPlaced, key: event.order_id, within: 1h }
               |                      ^^^^^^^^^^^ it cannot be told whether it starts a saga, or is for one that lives: let it be another type, or another topic
        "#]],
    );
}

#[test]
fn what_may_not_stand_there() {
    check(
        &of(
            "cancel: { on: OrderCancelled, if: event.order_id != '' }\n",
            &[
                "{ step: a, wait: OrderFulfilled, if: start.total > 5, within: 1h }",
                "{ step: b, wait: order fulfilled, timeout: 5s, undo: nothing }",
            ],
        ),
        expect![[r#"
            sagas/x.yaml:3:31: error: cancel has no 'if'
             3 | cancel: { on: OrderCancelled, if: event.order_id != '' }
               |                               ^^ there are: on, from, key
            sagas/x.yaml:5:42: error: the if of a wait is about the event
             5 |   - { step: a, wait: OrderFulfilled, if: start.total > 5, within: 1h }
               |                                          ^^^^^^^^^^^^^^^ it is asked when an event has come; to wait only sometimes, put the wait into a group with an if: steps: [ ... ]
            sagas/x.yaml:6:22: error: 'order fulfilled' is not an event's type
             6 |   - { step: b, wait: order fulfilled, timeout: 5s, undo: nothing }
               |                      ^^^^^^^^^^^^^^^ the name of its record, for example OrderPlaced
            sagas/x.yaml:6:39: error: a wait has no 'timeout'
             6 |   - { step: b, wait: order fulfilled, timeout: 5s, undo: nothing }
               |                                       ^^^^^^^ here it is called 'within'
            sagas/x.yaml:6:52: error: a wait has no 'undo'
             6 |   - { step: b, wait: order fulfilled, timeout: 5s, undo: nothing }
               |                                                    ^^^^ undo stands at the do that it undoes
        "#]],
    );
}

#[test]
fn what_cannot_be_read() {
    check(
        &of(
            "",
            &[
                "{ step: a, wait: OrderFulfilled, from: payments, key: event.order_id + start.region, within: 1h }",
                "{ step: b, wait: OrderCancelled, from: payments, key: event.order_id, if: event.when > 5, within: 1h, on_refused: { NO: go_on } }",
                "{ step: c, if: event.tracking == '', do: fraud.Score, undo: nothing, with: { order_id: key } }",
                "{ step: d, wait: Unknown, key: event.id, within: 1h, on_refused: { EXPIRED: { steps: [ { step: e, as: d, do: fraud.Score, undo: nothing, with: { order_id: key } } ], next: go_on } } }",
            ],
        ),
        expect![[r#"
            sagas/x.yaml:4:76: error: which saga it is for is not known yet
             4 |   - { step: a, wait: OrderFulfilled, from: payments, key: event.order_id + start.region, within: 1h }
               |                                                                            ^^^^^ a key is made of event alone
            sagas/x.yaml:5:85: error: OrderCancelled has no field 'when'
             5 | ..., wait: OrderCancelled, from: payments, key: event.order_id, if: event.when > 5, within: 1h, on_refused: { NO: go_on } }
               |                                                                           ^^^^ there are: order_id, reason
            sagas/x.yaml:5:121: error: 'b' is never refused with NO
             5 | ..., wait: OrderCancelled, from: payments, key: event.order_id, if: event.when > 5, within: 1h, on_refused: { NO: go_on } }
               |                                                                                                               ^^ there are: EXPIRED
            sagas/x.yaml:6:20: error: event is only there in the key and the if of a start or a wait
             6 |   - { step: c, if: event.tracking == '', do: fraud.Score, undo: nothing, with: { order_id: key } }
               |                    ^^^^^ the start event is start
            sagas/x.yaml:7:107: error: steps.d would be ringmaster.Json or fraud.ScoreResult
             7 | ...d: { EXPIRED: { steps: [ { step: e, as: d, do: fraud.Score, undo: nothing, with: { order_id: key } } ], next: go_on } } ...
               |                                            ^ both results need the same fields, in the same order
        "#]],
    );
}

#[test]
fn answers_that_are_right_are_without_a_word() {
    let steps = [
        ONE,
        "{ step: ask, approval: boss, within: 1d, answer: { on: OrderFulfilled, from: decisions, key: event.order_id, if: steps.one.score > 3 && event.tracking != '', approved: event.tracking == 'yes', keep: 1d } }",
        "{ step: again, approval: boss, within: 1d, answer: { on: OrderFulfilled, from: decisions, key: event.order_id, approved: event.tracking != 'no' } }",
        "{ step: other, wait: OrderFulfilled, from: decisions, key: event.order_id, within: 1d }",
        "{ step: told, emit: OrderFulfilled, to: ends, with: { order_id: steps.ask.by, tracking: steps.other.tracking } }",
    ];
    assert_eq!(errors(&of("", &steps)), "");
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    let definition = compile(FILE, &of("", &steps), &mut settings).expect("it compiles").remove(0);
    assert_eq!(definition.listeners.len(), 1, "all that comes of one type is looked at once");
    assert!(definition.nodes[1..5].iter().filter_map(|node| node.verb.listens()).all(|(listener, _)| listener == 0));
    assert_eq!(definition.inputs().iter().map(|topic| &***topic).collect::<Vec<_>>(), ["decisions", "orders"]);
}

#[test]
fn answers_that_are_none() {
    check(
        &of(
            "cancel: { on: OrderCancelled, key: event.order_id }\n",
            &[
                "{ step: a, approval: boss, within: 1h, answer: OrderFulfilled }",
                "{ step: b, approval: boss, within: 1h, answer: { on: OrderFulfilled } }",
                "{ step: c, approval: boss, within: 1h, answer: { approved: event.ok, says: event.ok } }",
                "{ step: d, approval: boss, within: 1h, answer: { on: OrderFulfilled, if: start.total > 5, approved: true, keep: 0s } }",
                "{ step: e, wait: OrderFulfilled, within: 1h, answer: { on: OrderFulfilled, approved: event.ok } }",
            ],
        ),
        expect![[r#"
            sagas/x.yaml:5:52: error: an answer is a map, not a single value
             5 |   - { step: a, approval: boss, within: 1h, answer: OrderFulfilled }
               |                                                    ^^^^^^^^^^^^^^ it has: on, from, key, match, if, approved, keep
            sagas/x.yaml:6:54: error: 'approved' is missing
             6 |   - { step: b, approval: boss, within: 1h, answer: { on: OrderFulfilled } }
               |                                                      ^^ answer: { on: EVENT, from: TOPIC, key: event.FIELD, approved: event.FIELD }
            sagas/x.yaml:7:54: error: 'on' is missing
             7 |   - { step: c, approval: boss, within: 1h, answer: { approved: event.ok, says: event.ok } }
               |                                                      ^^^^^^^^ answer: { on: EVENT, from: TOPIC, key: event.FIELD, approved: event.FIELD }
            sagas/x.yaml:7:74: error: an answer has no 'says'
             7 |   - { step: c, approval: boss, within: 1h, answer: { approved: event.ok, says: event.ok } }
               |                                                                          ^^^^ there are: on, from, key, match, if, approved, keep
            sagas/x.yaml:8:78: error: 'if' of an answer is about the event
             8 | ...- { step: d, approval: boss, within: 1h, answer: { on: OrderFulfilled, if: start.total > 5, approved: true, keep: 0s } }
               |                                                                               ^^^^^^^^^^^^^^^ the event's fields stand behind it: event.approved
            sagas/x.yaml:8:105: error: 'approved' of an answer is about the event
             8 | ...- { step: d, approval: boss, within: 1h, answer: { on: OrderFulfilled, if: start.total > 5, approved: true, keep: 0s } }
               |                                                                                                          ^^^^ the event's fields stand behind it: event.approved
            sagas/x.yaml:8:117: error: keep of no time
             8 | ...- { step: d, approval: boss, within: 1h, answer: { on: OrderFulfilled, if: start.total > 5, approved: true, keep: 0s } }
               |                                                                                                                      ^^ remove it, or write for example 10s
            sagas/x.yaml:9:50: error: a wait has no 'answer'
             9 |   - { step: e, wait: OrderFulfilled, within: 1h, answer: { on: OrderFulfilled, approved: event.ok } }
               |                                                  ^^^^^^ there are: step, wait, from, key, match, if, within, keep, on_refused, as, description
        "#]],
    );
    check(
        &of(
            "cancel: { on: OrderCancelled, key: event.order_id }\n",
            &[
                "{ step: f, approval: boss, within: 1h, answer: { on: OrderCancelled, key: event.order_id, approved: event.order_id == '' } }",
                "{ step: g, approval: boss, within: 1h, answer: { on: OrderPlaced, approved: event.order_id != '' } }",
                "{ step: h, approval: boss, within: 1h, answer: { on: OrderFulfilled, key: event.order_id, approved: event.tracking } }",
                "{ step: i, wait: OrderFulfilled, key: event.tracking, within: 1h }",
                "{ step: j, approval: boss, within: 1h, answer: { on: OrderFulfilled, key: event.order_id, approved: event.traking == '' } }",
            ],
        ),
        expect![[r#"
            sagas/x.yaml:5:58: error: OrderCancelled cancels the saga
             5 | ...ep: f, approval: boss, within: 1h, answer: { on: OrderCancelled, key: event.order_id, approved: event.order_id == '' } }
               |                                                     ^^^^^^^^^^^^^^ an event that cancels the saga is never waited for, and answers to nothing
            sagas/x.yaml:6:58: error: OrderPlaced on orders starts the saga
             6 |   - { step: g, approval: boss, within: 1h, answer: { on: OrderPlaced, approved: event.order_id != '' } }
               |                                                          ^^^^^^^^^^^ it cannot be told whether it starts a saga, or is for one that lives: let it be another type, or another topic
            sagas/x.yaml:7:105: error: a condition is a bool, not string
             7 | ...- { step: h, approval: boss, within: 1h, answer: { on: OrderFulfilled, key: event.order_id, approved: event.tracking } }
               |                                                                                                          ^^^^^^^^^^^^^^ compare it, for example with == 'EU'
            sagas/x.yaml:8:43: error: events of one type have one key, and this is event.tracking
             8 |   - { step: i, wait: OrderFulfilled, key: event.tracking, within: 1h }
               |                                           ^^^^^^^^^^^^^^ on line 7 it is event.order_id
            sagas/x.yaml:9:111: error: OrderFulfilled has no field 'traking'
             9 | ...tep: j, approval: boss, within: 1h, answer: { on: OrderFulfilled, key: event.order_id, approved: event.traking == '' } }
               |                                                                                                           ^^^^^^^ did you mean 'tracking'?
        "#]],
    );
}
