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
               |                                                                                           ^^^^ undo stands at the do that it undoes
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
               |       ^^^^ do: participant.Command, or another verb: emit, wait, sleep, approval, refuse, steps, switch, parallel, for_each, run
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
            sagas/x.yaml:4:47: error: OrderFulfilled needs the field 'tracking' (string)
             4 |   - { step: told, emit: OrderFulfilled, with: { order_id: key } }
               |                                               ^^^^^^^^^^^^^^^^^ write tracking: and what it is
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
               |                         ^ what gives a result is a do, an approval, a wait, or a for_each with a result
            sagas/x.yaml:5:95: error: step 'told' gives no result
             5 |   - { step: one, if: has(steps.told), do: fraud.Score, undo: nothing, with: { order_id: steps.told.order_id } }
               |                                                                                               ^^^^ what gives a result is a do, an approval, a wait, or a for_each with a result
        "#]],
    );
}

/// What a group or an arm is under is known inside it; behind it nothing of it is certain, and arms do not see each other.
#[test]
fn what_is_certain_around_groups_and_choices() {
    let two = |with: &str| format!("{{ step: two, do: fraud.Unscore, undo: nothing, with: {{ order_id: key, why: {with} }} }}");
    let group = |condition: &str, inner: &str| format!("{{ step: g, {condition} steps: [ {inner} ] }}");
    let switch = |arms: &str| format!("{{ step: s, switch: [ {arms} ] }}");
    let has = "if: has(start.placed_at),";
    let late = "\"start.placed_at.getHours() > 3 ? 'x' : 'y'\"";
    for right in [
        steps(&[&group("", ONE), &two("steps.one.big")]),
        steps(&[&group(has, &two(late))]),
        steps(&[&switch(&format!("{{ {has} steps: [ {} ] }}, {{ else: [ {ONE} ] }}", two(late)))]),
        steps(&[&switch(&format!("{{ if: \"!has(start.placed_at)\", steps: [ {ONE} ] }}, {{ else: [ {} ] }}", two(late)))]),
        steps(&[&switch(&format!(
            "{{ if: start.total > 1, steps: [ {ONE}, {} ] }}, {{ else: [ {} ] }}",
            two("steps.one.big"),
            NO
        ))]),
        steps(&[ONE, &group("if: start.total > 1,", &two("steps.one.big"))]),
    ] {
        assert_eq!(errors(&right), "", "{right}");
    }
    for (wrong, says) in [
        (steps(&[&group("if: start.total > 1,", ONE), &two("steps.one.big")]), "step 'one' may"),
        (
            steps(&[&switch(&format!("{{ if: start.total > 1, steps: [ {ONE} ] }}, {{ else: [ {} ] }}", two("steps.one.big")))]),
            "step 'one' is in another arm",
        ),
        (
            steps(&[&switch(&format!("{{ if: start.total > 1, steps: [ {ONE} ] }}, {{ else: [ {NO} ] }}")), &two("steps.one.big")]),
            "step 'one' may",
        ),
        (steps(&[&switch(&format!("{{ {has} steps: [ {ONE} ] }}, {{ else: [ {} ] }}", two(late)))]), "may be absent"),
        (steps(&[&group(has, ONE), &two(late)]), "may be absent"),
    ] {
        let found = errors(&wrong);
        assert!(found.contains(says), "{wrong}\n{found}");
    }
}

const NO: &str = "{ step: no, if: start.total > 7, refuse: NO }";

#[test]
fn a_rule_says_nothing_of_a_step_that_may_be_passed_by() {
    let under = |around: &str| {
        saga(&format!(
            "rules:\n  big: start.total > 5\nsteps:\n  - {{ step: g, {around} steps: [ {{ step: one, if: rules.big, do: fraud.Score, undo: nothing, with: {{ order_id: key }} }} ] }}\n  - {{ step: two, if: rules.big, do: fraud.Unscore, undo: nothing, with: {{ order_id: key, why: steps.one.big }} }}\n"
        ))
    };
    assert_eq!(errors(&under("")), "");
    assert!(errors(&under("if: start.total > 9,")).contains("step 'one' may have been skipped"));
}

#[test]
fn keys_of_groups_and_choices() {
    check(
        &steps(&[
            "{ step: a, steps: [] }",
            "{ step: b, switch: { if: true } }",
            "{ step: c, switch: [ { else: [ { step: c1, refuse: NO } ] } ] }",
            "{ step: d, switch: [ { if: start.total > 1, steps: [ { step: d1, refuse: NO } ] }, { if: start.total > 2, steps: [ { step: d2, refuse: NO } ] } ] }",
            "{ step: e, switch: [ { if: start.total > 1, then: 1 }, { else: [ { step: e1, refuse: NO } ] } ], undo: nothing }",
        ]),
        expect![[r#"
            sagas/x.yaml:4:23: error: a list has 1 to 200 steps, not 0
             4 |   - { step: a, steps: [] }
               |                       ^^ write what is done, each step behind a dash: - step: NAME; or remove what has no steps
            sagas/x.yaml:5:24: error: switch is a list of arms, not a map
             5 |   - { step: b, switch: { if: true } }
               |                        ^^^^^^^^^^^^ switch: [ { if: condition, steps: [ ... ] }, { else: [ ... ] } ]
            sagas/x.yaml:6:24: error: a switch has an arm with a condition, and ends with else
             6 |   - { step: c, switch: [ { else: [ { step: c1, refuse: NO } ] } ] }
               |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ switch: [ { if: condition, steps: [ ... ] }, { else: [ ... ] } ]
            sagas/x.yaml:7:13: error: this is never reached
             7 |   - { step: d, switch: [ { if: start.total > 1, steps: [ { step: d1, refuse: NO } ] }, { if: start.total > 2, steps: [ {...
               |             ^ 'c' refuses always: give it an if, or remove what stands behind it
            sagas/x.yaml:7:88: error: a switch ends with else
             7 | ...start.total > 1, steps: [ { step: d1, refuse: NO } ] }, { if: start.total > 2, steps: [ { step: d2, refuse: NO } ] } ] }
               |                                                            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ - else: [ ... ], an arm of its own; where nothing else is to be done, - else: []
            sagas/x.yaml:8:28: error: 'steps' is missing
             8 |   - { step: e, switch: [ { if: start.total > 1, then: 1 }, { else: [ { step: e1, refuse: NO } ] } ], undo: nothing }
               |                            ^^ - { if: condition, steps: [ ... ] }; only the last arm is - else: [ ... ]
            sagas/x.yaml:8:49: error: an arm has no 'then'
             8 |   - { step: e, switch: [ { if: start.total > 1, then: 1 }, { else: [ { step: e1, refuse: NO } ] } ], undo: nothing }
               |                                                 ^^^^ there are: if, steps
            sagas/x.yaml:8:102: error: a switch has no 'undo'
             8 |   - { step: e, switch: [ { if: start.total > 1, then: 1 }, { else: [ { step: e1, refuse: NO } ] } ], undo: nothing }
               |                                                                                                      ^^^^ undo stands at the do that it undoes
        "#]],
    );
    check(
        &steps(&["{ step: g, steps: [ { step: one, refuse: NO } ] }", ONE]),
        expect![[r#"
            sagas/x.yaml:5:13: error: step 'one' is defined twice
             5 |   - { step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }
               |             ^^^ it is first on line 4: give one of them another name
            sagas/x.yaml:5:13: error: this is never reached
             5 |   - { step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }
               |             ^^^ 'g' refuses always: give it an if, or remove what stands behind it
        "#]],
    );
}

/// A rule that is there need not be true.
#[test]
fn a_rule_beside_null_says_nothing_of_a_step() {
    for condition in ["rules.big != null", "rules.big.hasValue()", "!(rules.big == null)"] {
        let text = saga(&format!(
            "rules:\n  big: start.total > 5\nsteps:\n  - {{ step: one, if: rules.big, do: fraud.Score, undo: nothing, with: {{ order_id: key }} }}\n  - {{ step: two, if: \"{condition}\", do: fraud.Unscore, undo: nothing, with: {{ order_id: key, why: steps.one.big }} }}\n"
        ));
        let found = errors(&text);
        assert!(found.contains("step 'one' may have been skipped"), "{condition}: {found}");
    }
}

/// Where nothing else is to be done the last arm is empty; other lists are not.
#[test]
fn the_last_arm_may_be_empty() {
    let switch = |last: &str| steps(&[&format!("{{ step: s, switch: [ {{ if: start.total > 1, steps: [ {ONE} ] }}, {last} ] }}")]);
    assert_eq!(errors(&switch("{ else: [] }")), "");
    assert!(errors(&switch("{ if: start.total > 2, steps: [] }, { else: [] }")).contains("a list has 1 to 200 steps"));
}

/// What is known grows with neither arms nor rules: a small file must not take minutes.
#[test]
fn what_is_known_is_bounded() {
    let field = "f".repeat(60);
    let path = format!("start.{}", vec![field.as_str(); 28].join("."));
    let rules = format!("rules:\n  a: {path} == null\n  b: {}\n", vec!["rules.a"; 180].join(" || "));
    let arms: String = (0..150).map(|n| format!("      - {{ if: rules.b, steps: [ {{ step: s{n}, refuse: NO }} ] }}\n")).collect();
    let text = format!(
        "saga: x\nstart: {{ on: Unknown, from: orders, key: event.order_id }}\n{rules}steps:\n  - step: s\n    switch:\n{arms}      - else: []\n"
    );
    // Without a bound this is hours.
    assert!(errors(&text).contains("Unknown has no schema"));
}
