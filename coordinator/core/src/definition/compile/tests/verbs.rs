//! Steps that ask nobody: what they may have, and where they may stand.

use expect_test::expect;

use super::errors::{check, errors};
use super::*;

const ONE: &str = "{ step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }";
const PIVOT: &str = "{ step: one, do: fraud.Score, pivot: true, with: { order_id: key } }";

/// A definition of these steps.
fn steps(steps: &[&str]) -> String {
    saga(&format!("steps:\n{}", steps.iter().map(|step| format!("  - {step}\n")).collect::<String>()))
}

#[test]
fn what_is_right_is_without_a_word() {
    let told = "{ step: told, if: steps.one.score > 3, emit: OrderFulfilled, to: ends, key: start.region, with: { order_id: key, tracking: start.region } }";
    assert_eq!(errors(&steps(&[ONE, told, "{ step: no, if: start.total > 5, refuse: TOO_LARGE }", PIVOT_TWO, told_twice()])), "");
    assert_eq!(errors(&steps(&["{ step: no, refuse: NO }"])), "", "a definition may be all of one refusal");
}

const PIVOT_TWO: &str = "{ step: two, do: fraud.Score, pivot: true, with: { order_id: key } }";

fn told_twice() -> &'static str {
    "{ step: told_again, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: \"'x'\" }, description: behind the pivot }"
}

#[test]
fn keys_of_verbs() {
    check(
        &steps(&[
            "{ step: told, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: key }, undo: nothing, within: 5s }",
            "{ step: no, if: start.total > 5, refuse: too large, with: { a: 1 } }",
            "{ step: both, emit: OrderFulfilled, to: ends, refuse: NO }",
            "{ step: none, if: start.total > 5 }",
        ]),
        expect![[r#"
            sagas/x.yaml:4:91: error: a step that emits has no 'undo'
             4 |   - { step: told, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: key }, undo: nothing, within: 5s }
               |                                                                                           ^^^^ there are: step, emit, to, key, with, if, description
            sagas/x.yaml:4:106: error: a step that emits has no 'within'
             4 |   - { step: told, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: key }, undo: nothing, within: 5s }
               |                                                                                                          ^^^^^^ did you mean 'with'?
            sagas/x.yaml:5:46: error: 'too large' is not a refusal's code
             5 |   - { step: no, if: start.total > 5, refuse: too large, with: { a: 1 } }
               |                                              ^^^^^^^^^ capital letters, digits and _, for example TOO_LARGE
            sagas/x.yaml:5:57: error: a step that refuses has no 'with'
             5 |   - { step: no, if: start.total > 5, refuse: too large, with: { a: 1 } }
               |                                                         ^^^^ there are: step, refuse, if, description
            sagas/x.yaml:6:51: error: a step does one thing: 'emit' or 'refuse'
             6 |   - { step: both, emit: OrderFulfilled, to: ends, refuse: NO }
               |                                                   ^^^^^^ make two steps of it
            sagas/x.yaml:7:7: error: 'do' is missing
             7 |   - { step: none, if: start.total > 5 }
               |       ^^^^ do: participant.Command, or emit: EVENT, or refuse: CODE
        "#]],
    );
}

#[test]
fn what_an_event_needs() {
    check(
        &steps(&["{ step: told, emit: OrderFulfilled, with: { order_id: key } }"]),
        expect![[r#"
        sagas/x.yaml:4:7: error: 'to' is missing
         4 |   - { step: told, emit: OrderFulfilled, with: { order_id: key } }
           |       ^^^^ to: the topic that it goes to
    "#]],
    );
    check(
        &steps(&["{ step: told, emit: OrderFulfilled, to: ringmaster.x, with: { order_id: key } }"]),
        expect![[r#"
        sagas/x.yaml:4:45: error: ringmaster.x is no topic for events
         4 |   - { step: told, emit: OrderFulfilled, to: ringmaster.x, with: { order_id: key } }
           |                                             ^^^^^^^^^^^^ topics that begin with ringmaster. are the coordinator's own: take another name
        sagas/x.yaml:4:65: error: OrderFulfilled needs the field 'tracking' (string)
         4 |   - { step: told, emit: OrderFulfilled, to: ringmaster.x, with: { order_id: key } }
           |                                                                 ^^^^^^^^^^^^^^^^^ write tracking: and what it is
    "#]],
    );
}

#[test]
fn what_can_never_happen() {
    check(
        &steps(&["{ step: no, refuse: NO }", ONE]),
        expect![[r#"
        sagas/x.yaml:5:13: error: this is never reached
         5 |   - { step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }
           |             ^^^ 'no' refuses always: give it an if, or remove what stands behind it
    "#]],
    );
    check(
        &steps(&[PIVOT, "{ step: no, if: start.total > 5, refuse: NO }"]),
        expect![[r#"
        sagas/x.yaml:5:46: error: nothing can be refused behind the pivot
         5 |   - { step: no, if: start.total > 5, refuse: NO }
           |                                              ^^ behind the pivot there is only forward: refuse before it
    "#]],
    );
}

#[test]
fn what_gives_no_result_is_not_read() {
    check(
        &steps(&[
            "{ step: told, emit: OrderFulfilled, to: ends, with: { order_id: key, tracking: key } }",
            "{ step: one, if: has(steps.told), do: fraud.Score, undo: nothing, with: { order_id: steps.told.order_id } }",
        ]),
        expect![[r#"
            sagas/x.yaml:5:25: error: step 'told' gives no result
             5 |   - { step: one, if: has(steps.told), do: fraud.Score, undo: nothing, with: { order_id: steps.told.order_id } }
               |                         ^ only what a participant answers can be read
            sagas/x.yaml:5:95: error: step 'told' gives no result
             5 |   - { step: one, if: has(steps.told), do: fraud.Score, undo: nothing, with: { order_id: steps.told.order_id } }
               |                                                                                               ^^^^ only what a participant answers can be read
        "#]],
    );
}
