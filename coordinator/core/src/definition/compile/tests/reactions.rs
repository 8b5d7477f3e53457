//! Reactions and parallels: what they may be, where they may stand, and what is certain behind them.

use expect_test::expect;

use super::errors::{check, errors};
use super::*;

/// A step that asks, with more keys.
fn ask(name: &str, rest: &str) -> String {
    format!("{{ step: {name}, do: fraud.Score, with: {{ order_id: key }}, {rest} }}")
}

/// A definition of these steps.
fn steps(steps: &[String]) -> String {
    saga(&format!("steps:\n{}", steps.iter().map(|step| format!("  - {step}\n")).collect::<String>()))
}

fn reads(name: &str, expression: &str) -> String {
    format!("{{ step: {name}, if: \"{expression}\", do: fraud.Forget, undo: nothing, with: {{ order_id: key }} }}")
}

#[test]
fn what_is_right_is_without_a_word() {
    let other = ask("other", "as: a, undo: nothing");
    let again = ask("again", "undo: nothing");
    let reacting = ask(
        "a",
        &format!(
            "undo: nothing, on_refused: {{ NO: {{ steps: [ {other} ], next: go_on }}, else: {{ steps: [ {again} ], next: retry, at_most: 3 }} }}"
        ),
    );
    let parallel = format!(
        "{{ step: p, within: 1h, on_failed: undo, parallel: {{ one: [ {} ], two: [ {} ] }} }}",
        ask("b", "undo: nothing"),
        ask("c", "undo: nothing, on_failed: undo")
    );
    let pivot = ask("d", "pivot: true, on_refused: { STUCK: stuck, GO: go_on }");
    let behind = ask("e", &format!("on_refused: {{ steps: [ {} ], next: go_on }}", ask("f", "timeout: 1s")));
    let certain = reads("r", "steps.a.score > 1 && steps.b.score > steps.c.score");
    let told = "{ step: t, emit: OrderFulfilled, to: t, with: { order_id: key, tracking: failure.code + string(round) } }";
    let round = ask("g", &format!("undo: nothing, on_refused: {{ steps: [ {told} ], next: retry, at_most: 1 }}"));
    assert_eq!(errors(&steps(&[reacting, parallel, round, certain, pivot, behind])), "");
}

#[test]
fn what_is_not_certain_behind_reactions_and_beside_branches() {
    check(
        &steps(&[
            ask("a", "undo: nothing, on_refused: go_on"),
            reads("ra", "steps.a.score > 1"),
            format!(
                "{{ step: p, parallel: {{ one: [ {} ], two: [ {} ] }} }}",
                ask("b", "undo: nothing"),
                reads("rb", "has(steps.b)")
            ),
            format!("{{ step: g, on_failed: go_on, steps: [ {} ] }}", ask("c", "undo: nothing")),
            reads("rc", "steps.c.score > 1"),
            reads("rf", "failure.code == 'X' && round > 1"),
        ]),
        expect![[r#"
            sagas/x.yaml:5:28: error: step 'a' may have been skipped: it, or what is around it, stands under a condition
             5 |   - { step: ra, if: "steps.a.score > 1", do: fraud.Forget, undo: nothing, with: { order_id: key } }
               |                            ^ write steps.?a.?FIELD.orValue(...), or ask has(steps.a) first
            sagas/x.yaml:6:134: error: step 'b' has not run here
             6 | ...do: nothing } ], two: [ { step: rb, if: "has(steps.b)", do: fraud.Forget, undo: nothing, with: { order_id: key } } ] } }
               |                                                ^ only steps that stand before can be read
            sagas/x.yaml:8:28: error: step 'c' may have been skipped: it, or what is around it, stands under a condition
             8 |   - { step: rc, if: "steps.c.score > 1", do: fraud.Forget, undo: nothing, with: { order_id: key } }
               |                            ^ write steps.?c.?FIELD.orValue(...), or ask has(steps.c) first
            sagas/x.yaml:9:22: error: nothing has failed here
             9 |   - { step: rf, if: "failure.code == 'X' && round > 1", do: fraud.Forget, undo: nothing, with: { order_id: key } }
               |                      ^^^^^^^ failure can be read in an undo's with, in the steps of a reaction, in on_compensated and in on_stuck
            sagas/x.yaml:9:45: error: nothing is tried again here
             9 |   - { step: rf, if: "failure.code == 'X' && round > 1", do: fraud.Forget, undo: nothing, with: { order_id: key } }
               |                                             ^^^^^ round can be read where a reaction has next: retry
        "#]],
    );
}

#[test]
fn what_reactions_are_made_of() {
    check(
        &steps(&[
            ask("a", "undo: nothing, on_refused: goon"),
            ask("b", "undo: nothing, on_refused: { steps: [ { step: x, refuse: NO } ], next: retry }"),
            ask("c", "undo: nothing, on_refused: { steps: [ { step: y, refuse: NO } ], next: undo, at_most: 2 }"),
            ask("d", "undo: nothing, on_refused: { steps: [ { step: z, refuse: NO } ], next: again }"),
            ask("e", "undo: nothing, on_refused: { else: undo, NO: go_on }"),
            ask("f", "undo: nothing, on_failed: { not_a_code: undo }"),
            ask("g", "undo: nothing, on_failed: [ undo ]"),
            ask("h", "undo: nothing, on_refused: { steps: [ { step: w, refuse: NO } ], next: retry, at_most: 20 }"),
            "{ step: p, parallel: [ { step: i, refuse: NO } ] }".to_owned(),
            "{ step: q, parallel: { One: [ { step: j, refuse: NO } ], two: [] } }".to_owned(),
            "{ step: r, parallel: { one: [ { step: k, refuse: NO } ] } }".to_owned(),
        ]),
        expect![[r#"
            sagas/x.yaml:4:85: error: 'goon' is no reaction
             4 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, on_refused: goon }
               |                                                                                     ^^^^ did you mean 'go_on'?
            sagas/x.yaml:5:85: error: at_most is missing: a retry without end is none
             5 | ...: fraud.Score, with: { order_id: key }, undo: nothing, on_refused: { steps: [ { step: x, refuse: NO } ], next: retry } }
               |                                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ at_most: 2, for example, asks two more times
            sagas/x.yaml:6:144: error: at_most belongs to next: retry
             6 | ...re, with: { order_id: key }, undo: nothing, on_refused: { steps: [ { step: y, refuse: NO } ], next: undo, at_most: 2 } }
               |                                                                                                                       ^ remove it
            sagas/x.yaml:7:129: error: next is go_on, retry or undo
             7 | ...: fraud.Score, with: { order_id: key }, undo: nothing, on_refused: { steps: [ { step: z, refuse: NO } ], next: again } }
               |                                                                                                                   ^^^^^ next: go_on (goes on behind the step), retry (asks it again), or undo
            sagas/x.yaml:8:87: error: else comes last
             8 |   - { step: e, do: fraud.Score, with: { order_id: key }, undo: nothing, on_refused: { else: undo, NO: go_on } }
               |                                                                                       ^^^^ it is for all codes that are not named before it
            sagas/x.yaml:9:86: error: 'not_a_code' is not a code
             9 |   - { step: f, do: fraud.Score, with: { order_id: key }, undo: nothing, on_failed: { not_a_code: undo } }
               |                                                                                      ^^^^^^^^^^ capital letters, digits and _, for example OUT_OF_STOCK; or else
            sagas/x.yaml:10:84: error: a reaction is needed here, not a list
             10 |   - { step: g, do: fraud.Score, with: { order_id: key }, undo: nothing, on_failed: [ undo ] }
                |                                                                                    ^^^^^^^^ undo, go_on, stuck, { steps: [ ... ], next: go_on | retry | undo }, or one of these for each code: { CODE: ..., else: ... }
            sagas/x.yaml:11:145: error: at_most is a number from 1 to 19
             11 | ..., with: { order_id: key }, undo: nothing, on_refused: { steps: [ { step: w, refuse: NO } ], next: retry, at_most: 20 } }
                |                                                                                                                      ^^ at_most: 2, for example, asks two more times; what needs many attempts is tried again by retry
            sagas/x.yaml:12:26: error: parallel is a map of branches, not a list
             12 |   - { step: p, parallel: [ { step: i, refuse: NO } ] }
                |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^ parallel: { one: [ ...steps... ], other: [ ...steps... ] }
            sagas/x.yaml:13:13: error: this is never reached
             13 |   - { step: q, parallel: { One: [ { step: j, refuse: NO } ], two: [] } }
                |             ^ 'p' refuses always: give it an if, or remove what stands behind it
            sagas/x.yaml:13:28: error: 'One' is not a branch's name
             13 |   - { step: q, parallel: { One: [ { step: j, refuse: NO } ], two: [] } }
                |                            ^^^ small letters, digits and _, at most 64, a letter first
            sagas/x.yaml:13:67: error: a list has 1 to 200 steps, not 0
             13 |   - { step: q, parallel: { One: [ { step: j, refuse: NO } ], two: [] } }
                |                                                                   ^^ write what is done, each step behind a dash: - step: NAME; or remove what has no steps
            sagas/x.yaml:14:26: error: a parallel has 2 to 50 branches, not 1
             14 |   - { step: r, parallel: { one: [ { step: k, refuse: NO } ] } }
                |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ parallel: { one: [ ...steps... ], other: [ ...steps... ] }
        "#]],
    );
}

#[test]
fn reactions_around_the_pivot() {
    let group = format!("{{ step: g, within: 5m, on_refused: undo, steps: [ {} ] }}", ask("a", "pivot: true, on_failed: go_on"));
    check(
        &steps(&[
            group,
            ask("b", "on_refused: go_on, on_failed: { steps: [ { step: x, emit: Told, to: t } ], next: go_on }"),
            ask("c", "on_refused: { steps: [ { step: y, emit: Told, to: t } ], next: undo }"),
            format!("{{ step: h, within: 5m, on_failed: stuck, steps: [ {} ] }}", ask("d", "timeout: 1s")),
        ]),
        expect![[r#"
            sagas/x.yaml:4:24: error: with the pivot in it nothing is undone: a within of the whole could never be kept
             4 |   - { step: g, within: 5m, on_refused: undo, steps: [ { step: a, do: fraud.Score, with: { order_id: key }, pivot: true, ...
               |                        ^^ give it to the steps in it
            sagas/x.yaml:4:40: error: with the pivot in it nothing is undone: the whole is never refused or failed
             4 |   - { step: g, within: 5m, on_refused: undo, steps: [ { step: a, do: fraud.Score, with: { order_id: key }, pivot: true, ...
               |                                        ^^^^ give it to the steps in it
            sagas/x.yaml:4:132: error: on the pivot what failed is asked again, and then a person must look
             4 | ... 5m, on_refused: undo, steps: [ { step: a, do: fraud.Score, with: { order_id: key }, pivot: true, on_failed: go_on } ] }
               |                                                                                                                 ^^^^^ nobody knows whether it was done: remove on_failed
            sagas/x.yaml:5:70: error: behind the pivot there is only forward
             5 | ...ore, with: { order_id: key }, on_refused: go_on, on_failed: { steps: [ { step: x, emit: Told, to: t } ], next: go_on } }
               |                                              ^^^^^ stuck, or { steps: [ ... ], next: go_on | retry }
            sagas/x.yaml:5:88: error: behind the pivot what failed is asked again, and then a person must look
             5 | ...ore, with: { order_id: key }, on_refused: go_on, on_failed: { steps: [ { step: x, emit: Told, to: t } ], next: go_on } }
               |                                                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ nobody knows whether it was done: remove on_failed
            sagas/x.yaml:6:70: error: behind the pivot there is only forward
             6 | ...ep: c, do: fraud.Score, with: { order_id: key }, on_refused: { steps: [ { step: y, emit: Told, to: t } ], next: undo } }
               |                                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ stuck, or { steps: [ ... ], next: go_on | retry }
            sagas/x.yaml:7:24: error: behind the pivot nothing is undone: a within of the whole could never be kept
             7 |   - { step: h, within: 5m, on_failed: stuck, steps: [ { step: d, do: fraud.Score, with: { order_id: key }, timeout: 1s }...
               |                        ^^ give it to the steps in it
            sagas/x.yaml:7:39: error: behind the pivot nothing is undone: the whole is never refused or failed
             7 |   - { step: h, within: 5m, on_failed: stuck, steps: [ { step: d, do: fraud.Score, with: { order_id: key }, timeout: 1s }...
               |                                       ^^^^^ give it to the steps in it
        "#]],
    );
    check(
        &steps(&[format!(
            "{{ step: p, parallel: {{ one: [ {} ], two: [ {{ step: no, refuse: NO }} ] }} }}",
            ask("a", "pivot: true")
        )]),
        expect![[r#"
            sagas/x.yaml:4:43: error: the pivot is in no branch of a parallel
             4 | ...- { step: p, parallel: { one: [ { step: a, do: fraud.Score, with: { order_id: key }, pivot: true } ], two: [ { step: no,...
               |                                            ^ put it behind the parallel
        "#]],
    );
    let inner = ask("b", "pivot: true");
    check(
        &steps(&[ask("a", &format!("undo: nothing, on_refused: {{ steps: [ {inner} ], next: go_on }}"))]),
        expect![[r#"
            sagas/x.yaml:4:104: error: a reaction has no pivot of its own
             4 | ...o: nothing, on_refused: { steps: [ { step: b, do: fraud.Score, with: { order_id: key }, pivot: true } ], next: go_on } }
               |                                               ^ the last step of a pivot's reaction with next: go_on is the pivot in its stead, without saying so
        "#]],
    );
}

#[test]
fn names_that_stand_for_others() {
    let in_reaction = |inner: String| ask("a", &format!("undo: nothing, on_refused: {{ steps: [ {inner} ], next: go_on }}"));
    check(
        &steps(&[
            ask("x", "as: a, undo: nothing"),
            in_reaction(ask("b", "as: nobody, undo: nothing")),
            ask(
                "c",
                "undo: nothing, on_refused: { steps: [ { step: d, as: c, do: fraud.Forget, undo: nothing, with: { order_id: key } } ], next: go_on }",
            ),
            reads("r", "steps.?d.hasValue()"),
        ]),
        expect![[r#"
            sagas/x.yaml:4:62: error: as has no meaning here
             4 |   - { step: x, do: fraud.Score, with: { order_id: key }, as: a, undo: nothing }
               |                                                              ^ it is for a step of on_refused or on_failed that gives what the refused step would have given
            sagas/x.yaml:5:153: error: 'nobody' is no step whose result this one could stand for
             5 | ..._refused: { steps: [ { step: b, do: fraud.Score, with: { order_id: key }, as: nobody, undo: nothing } ], next: go_on } }
               |                                                                                  ^^^^^^ there are: a
            sagas/x.yaml:6:111: error: steps.c would be fraud.ScoreResult or ringmaster.Json
             6 | ..., on_refused: { steps: [ { step: d, as: c, do: fraud.Forget, undo: nothing, with: { order_id: key } } ], next: go_on } }
               |                                            ^ both results need the same fields, in the same order
            sagas/x.yaml:7:28: error: what step 'd' gives has another name
             7 |   - { step: r, if: "steps.?d.hasValue()", do: fraud.Forget, undo: nothing, with: { order_id: key } }
               |                            ^ it stands for 'c': steps.c
        "#]],
    );
}

#[test]
fn rounds_have_an_end() {
    let inner = ask("a", "undo: nothing, on_refused: { steps: [ { step: x, emit: Told, to: t } ], next: retry, at_most: 5 }");
    let outer = format!(
        "{{ step: g, on_refused: {{ steps: [ {{ step: y, emit: Told, to: t }} ], next: retry, at_most: 3 }}, steps: [ {inner} ] }}"
    );
    check(
        &steps(&[outer]),
        expect![[r#"
            sagas/x.yaml:4:117: error: this may be entered 24 times; the limit is 20
             4 | ...: retry, at_most: 3 }, steps: [ { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, on_refused: { steps:...
               |                                            ^ lower at_most, here or in what is around it
        "#]],
    );
}

#[test]
fn codes_that_a_command_has() {
    let charge = "{ step: a, do: payment.Charge, undo: nothing, with: { order_id: key, amount: start.total, currency: start.currency }, on_refused: { CARD_DECLINDED: go_on } }";
    check(
        &steps(&[charge.to_owned()]),
        expect![[r#"
            sagas/x.yaml:4:137: error: payment.Charge is never refused with CARD_DECLINDED
             4 | ...nothing, with: { order_id: key, amount: start.total, currency: start.currency }, on_refused: { CARD_DECLINDED: go_on } }
               |                                                                                                   ^^^^^^^^^^^^^^ did you mean 'CARD_DECLINED'?
        "#]],
    );
}

/// Under the same rule a step has succeeded; not so in its own reaction, nor in that of what is around it.
#[test]
fn a_rule_says_nothing_where_something_was_refused() {
    let reader = "{ step: y, if: rules.r, do: fraud.Forget, undo: nothing, with: { order_id: steps.x.note.orValue('') + string(steps.x.score) } }";
    let text = saga(&format!(
        "rules: {{ r: start.total > 5 }}\nsteps:\n  - {}\n",
        ask("x", &format!("if: rules.r, undo: nothing, on_refused: {{ steps: [ {reader} ], next: retry, at_most: 1 }}"))
    ));
    assert!(errors(&text).contains("step 'x' may have been skipped"), "{}", errors(&text));
}

/// Neither what is written, nor a default that a reaction waits for, can be reached beyond the time of the whole.
#[test]
fn times_beyond_that_of_the_whole_are_told() {
    let parallel = format!(
        "{{ step: p, within: 2m, on_failed: {{ steps: [ {} ], next: retry, at_most: 1 }}, parallel: {{ one: [ {} ], two: [ {}, {} ] }} }}",
        ask("beside", "undo: nothing, within: 1h"),
        ask("a", "undo: nothing, within: 3m"),
        ask("b", "undo: nothing, on_failed: go_on"),
        ask("c", "undo: nothing")
    );
    check(
        &steps(&[parallel]),
        expect![[r#"
        sagas/x.yaml:4:261: warning: the step's within (3m) is never reached: all of 'p' has 2m
         4 | ...order_id: key }, undo: nothing, within: 3m } ], two: [ { step: b, do: fraud.Score, with: { order_id: key }, undo: nothin...
           |                                            ^^ give the step a shorter within, or 'p' a longer one
        sagas/x.yaml:4:355: warning: the step's within (5m) is never reached: all of 'p' has 2m
         4 | ...er_id: key }, undo: nothing, on_failed: go_on }, { step: c, do: fraud.Score, with: { order_id: key }, undo: nothing } ] ...
           |                                            ^^^^^ give the step a shorter within, or 'p' a longer one
    "#]],
    );
}
