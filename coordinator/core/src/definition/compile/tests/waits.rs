//! Steps that wait by themselves: sleeps and approvals.

use expect_test::expect;

use super::errors::{check, errors};
use super::*;

const ONE: &str = "{ step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }";
const PIVOT: &str = "{ step: pay, do: fraud.Score, pivot: true, with: { order_id: key } }";

/// A definition of these steps.
fn steps(steps: &[&str]) -> String {
    saga(&format!("steps:\n{}", steps.iter().map(|step| format!("  - {step}\n")).collect::<String>()))
}

#[test]
fn what_is_right_is_without_a_word() {
    let told = "{ step: told, if: steps.ask.approved && steps.ask.at > started, emit: OrderFulfilled, to: ends, with: { order_id: steps.ask.by, tracking: steps.ask.note } }";
    let ask = "{ step: ask, approval: manager, within: 24h, show: { total: start.total, why: \"'big'\" }, escalate: [ { after: 4h, to: head }, { after: 8h, to: board.all-2 } ], on_refused: { EXPIRED: undo, else: undo } }";
    let computed = "{ step: again, approval: { role: start.region + '-desk' }, within: 1h, on_refused: { REFUSED: go_on, EXPIRED: { steps: [ { step: other, as: again, approval: boss, within: 1h } ], next: go_on } } }";
    let sleeps = [
        "{ step: a, sleep: 14d }",
        "{ step: b, if: start.total > 5, sleep: 1h30m, within: 1h, on_refused: go_on }",
        "{ step: c, sleep: started + duration('2h') }",
        "{ step: d, sleep: \"start.total > 5 ? duration('2h') : duration('5m')\" }",
    ];
    assert_eq!(errors(&steps(&[ONE, ask, told, computed])), "");
    assert_eq!(errors(&steps(&sleeps)), "");
    let behind = "{ step: sign, within: 2d, approval: clerk, on_refused: { REFUSED: { steps: [ { step: rest, sleep: 1d } ], next: retry, at_most: 2 } } }";
    assert_eq!(errors(&steps(&[PIVOT, behind, "{ step: z, sleep: 2s }"])), "");
}

#[test]
fn sleeps_that_are_none() {
    check(
        &steps(&[
            "{ step: a, sleep: }",
            "{ step: b, sleep: 0s }",
            "{ step: d, sleep: 1s1h }",
            "{ step: f, sleep: 2h, undo: nothing, on_failed: go_on, timeout: 5s }",
            "{ step: g, sleep: [ 2h ] }",
            "{ step: i, delay: 2h }",
        ]),
        expect![[r#"
            sagas/x.yaml:4:21: error: how long it sleeps is needed here
             4 |   - { step: a, sleep: }
               |                     ^ sleep: 14d, or an expression that gives a duration or a timestamp
            sagas/x.yaml:5:23: error: sleep of no time
             5 |   - { step: b, sleep: 0s }
               |                       ^^ remove it, or write for example 10s
            sagas/x.yaml:6:23: error: '1s1h' is not a duration
             6 |   - { step: d, sleep: 1s1h }
               |                       ^^^^ a duration is written as 200ms, 10s, 5m, 1h30m, 14d
            sagas/x.yaml:7:27: error: a sleep has no 'undo'
             7 |   - { step: f, sleep: 2h, undo: nothing, on_failed: go_on, timeout: 5s }
               |                           ^^^^ undo stands at the do that it undoes
            sagas/x.yaml:7:42: error: a sleep has no 'on_failed'
             7 |   - { step: f, sleep: 2h, undo: nothing, on_failed: go_on, timeout: 5s }
               |                                          ^^^^^^^^^ there are: step, sleep, if, within, on_refused, description
            sagas/x.yaml:7:60: error: a sleep has no 'timeout'
             7 |   - { step: f, sleep: 2h, undo: nothing, on_failed: go_on, timeout: 5s }
               |                                                            ^^^^^^^ here it is called 'within'
            sagas/x.yaml:8:23: error: an expression is needed here, not a list
             8 |   - { step: g, sleep: [ 2h ] }
               |                       ^^^^^^ write it in one line, in quotes if it holds { } or [ ]
            sagas/x.yaml:9:16: error: a step has no 'delay'
             9 |   - { step: i, delay: 2h }
               |                ^^^^^ here it is called 'sleep'
        "#]],
    );
    check(
        &steps(&[
            "{ step: c, sleep: 5 }",
            "{ step: e, sleep: start.region }",
            "{ step: h, sleep: 2h, within: 1h, on_refused: { REFUSED: go_on } }",
            "{ step: j, sleep: steps.c.at }",
            "{ step: k, sleep: 2h, on_refused: go_on }",
        ]),
        expect![[r#"
            sagas/x.yaml:4:23: error: '5' is not a duration
             4 |   - { step: c, sleep: 5 }
               |                       ^ write its unit: 5s, 5ms
            sagas/x.yaml:5:23: error: a sleep is a duration or a timestamp, not string
             5 |   - { step: e, sleep: start.region }
               |                       ^^^^^^^^^^^^ sleep: 14d, sleep: duration('14d') or sleep: timestamp(x)
            sagas/x.yaml:6:53: error: 'h' is never refused with REFUSED
             6 |   - { step: h, sleep: 2h, within: 1h, on_refused: { REFUSED: go_on } }
               |                                                     ^^^^^^^ there are: EXPIRED
            sagas/x.yaml:7:29: error: step 'c' gives no result
             7 |   - { step: j, sleep: steps.c.at }
               |                             ^ what gives a result is a do, an approval, a wait, or a for_each with a result
            sagas/x.yaml:8:39: error: a sleep without within is never refused
             8 |   - { step: k, sleep: 2h, on_refused: go_on }
               |                                       ^^^^^ a sleep is refused when its within is over before it: give it one, or remove on_refused
        "#]],
    );
}

#[test]
fn approvals_that_are_none() {
    check(
        &steps(&[
            "{ step: a, approval: }",
            "{ step: b, approval: the boss, within: 1h }",
            "{ step: c, approval: { rolle: start.region }, within: 1h }",
            "{ step: e, approval: boss, within: 1h, show: , escalate: { after: 1h, to: head } }",
            "{ step: f, approval: boss, within: 1h, escalate: [] }",
            "{ step: g, approval: boss, within: 4h, escalate: [ { after: 2h, to: head }, { after: 1h, to: board }, { after: 5h, to: all } ] }",
            "{ step: i, approval: boss, within: 1h, undo: nothing, on_failed: go_on }",
            "{ step: j, approval: boss, within: 1h, escalate: [ { to: head }, { after: 1m }, { after: 2m, to: '?', why: x } ] }",
        ]),
        expect![[r#"
            sagas/x.yaml:4:24: error: a role is needed here
             4 |   - { step: a, approval: }
               |                        ^ letters, digits, . _ -, a letter first; or computed: { role: EXPRESSION }
            sagas/x.yaml:5:26: error: 'the boss' is not a role
             5 |   - { step: b, approval: the boss, within: 1h }
               |                          ^^^^^^^^ letters, digits, . _ -, a letter first; or computed: { role: EXPRESSION }
            sagas/x.yaml:6:28: error: a role has no 'rolle'
             6 |   - { step: c, approval: { rolle: start.region }, within: 1h }
               |                            ^^^^^ did you mean 'role'?
            sagas/x.yaml:7:48: error: 'show' is empty
             7 |   - { step: e, approval: boss, within: 1h, show: , escalate: { after: 1h, to: head } }
               |                                                ^ its fields stand below it, further to the right; without any, remove it
            sagas/x.yaml:7:62: error: escalate is a list, not a map
             7 |   - { step: e, approval: boss, within: 1h, show: , escalate: { after: 1h, to: head } }
               |                                                              ^^^^^^^^^^^^^^^^^^^^^^^ escalate: [ { after: 4h, to: ROLE } ]
            sagas/x.yaml:8:54: error: escalate has 1 to 10 entries, not 0
             8 |   - { step: f, approval: boss, within: 1h, escalate: [] }
               |                                                      ^^ escalate: [ { after: 4h, to: ROLE } ]
            sagas/x.yaml:9:90: error: each escalation comes later than the one before it
             9 | ...g, approval: boss, within: 4h, escalate: [ { after: 2h, to: head }, { after: 1h, to: board }, { after: 5h, to: all } ] }
               |                                                                                 ^^ after counts from when it was asked
            sagas/x.yaml:9:116: error: nobody is asked then: the approval's within (4h) is over
             9 | ...g, approval: boss, within: 4h, escalate: [ { after: 2h, to: head }, { after: 1h, to: board }, { after: 5h, to: all } ] }
               |                                                                                                           ^^ give it a longer within
            sagas/x.yaml:10:44: error: an approval has no 'undo'
             10 |   - { step: i, approval: boss, within: 1h, undo: nothing, on_failed: go_on }
                |                                            ^^^^ undo stands at the do that it undoes
            sagas/x.yaml:10:59: error: an approval has no 'on_failed'
             10 |   - { step: i, approval: boss, within: 1h, undo: nothing, on_failed: go_on }
                |                                                           ^^^^^^^^^ there are: step, approval, if, within, show, answer, escalate, on_refused, as, description
            sagas/x.yaml:11:58: error: 'after' is missing
             11 |   - { step: j, approval: boss, within: 1h, escalate: [ { to: head }, { after: 1m }, { after: 2m, to: '?', why: x } ] }
                |                                                          ^^ escalate: [ { after: 4h, to: ROLE } ]
            sagas/x.yaml:11:72: error: 'to' is missing
             11 |   - { step: j, approval: boss, within: 1h, escalate: [ { to: head }, { after: 1m }, { after: 2m, to: '?', why: x } ] }
                |                                                                        ^^^^^ escalate: [ { after: 4h, to: ROLE } ]
            sagas/x.yaml:11:102: error: '?' is not a role
             11 |   - { step: j, approval: boss, within: 1h, escalate: [ { to: head }, { after: 1m }, { after: 2m, to: '?', why: x } ] }
                |                                                                                                      ^^^ letters, digits, . _ -, a letter first; or computed: { role: EXPRESSION }
            sagas/x.yaml:11:107: error: an escalation has no 'why'
             11 |   - { step: j, approval: boss, within: 1h, escalate: [ { to: head }, { after: 1m }, { after: 2m, to: '?', why: x } ] }
                |                                                                                                           ^^^ there are: after, to
        "#]],
    );
}

#[test]
fn what_approvals_mean() {
    check(
        &steps(&[
            "{ step: d, approval: { role: start.total }, within: 1h, show: { total: start.totel } }",
            "{ step: g, approval: boss, within: 4h, escalate: [ { after: 5h, to: all } ] }",
            "{ step: h, approval: boss, within: 1h, on_refused: { NO: go_on } }",
            "{ step: k, if: steps.d.reason == '', approval: boss, within: 1h }",
        ]),
        expect![[r#"
            sagas/x.yaml:4:34: error: a role is a string, not decimal
             4 |   - { step: d, approval: { role: start.total }, within: 1h, show: { total: start.totel } }
               |                                  ^^^^^^^^^^^ write string(x)
            sagas/x.yaml:4:82: error: OrderPlaced has no field 'totel'
             4 |   - { step: d, approval: { role: start.total }, within: 1h, show: { total: start.totel } }
               |                                                                                  ^^^^^ did you mean 'total'?
            sagas/x.yaml:5:65: error: nobody is asked then: the approval's within (4h) is over
             5 |   - { step: g, approval: boss, within: 4h, escalate: [ { after: 5h, to: all } ] }
               |                                                                 ^^ give it a longer within
            sagas/x.yaml:6:58: error: 'h' is never refused with NO
             6 |   - { step: h, approval: boss, within: 1h, on_refused: { NO: go_on } }
               |                                                          ^^ there are: EXPIRED, REFUSED
            sagas/x.yaml:7:28: error: ringmaster.Approval has no field 'reason'
             7 |   - { step: k, if: steps.d.reason == '', approval: boss, within: 1h }
               |                            ^^^^^^ there are: approved, by, at, note
        "#]],
    );
}

#[test]
fn where_they_stand_to_the_pivot() {
    check(
        &steps(&[
            "{ step: a, approval: boss, escalate: [ { after: 10m, to: head } ] }",
            PIVOT,
            "{ step: b, approval: boss, within: 1h, on_refused: go_on }",
            "{ step: c, sleep: 2h, within: 1h, on_refused: undo }",
            "{ step: e, approval: boss, escalate: [ { after: 23h, to: head } ] }",
            "{ step: d, approval: boss, escalate: [ { after: 25h, to: head } ] }",
        ]),
        expect![[r#"
            sagas/x.yaml:4:53: error: nobody is asked then: the approval's within (5m) is over
             4 |   - { step: a, approval: boss, escalate: [ { after: 10m, to: head } ] }
               |                                                     ^^^ give it a longer within
            sagas/x.yaml:6:56: error: behind the pivot there is only forward
             6 |   - { step: b, approval: boss, within: 1h, on_refused: go_on }
               |                                                        ^^^^^ stuck, or { steps: [ ... ], next: go_on | retry }
            sagas/x.yaml:7:51: error: behind the pivot there is only forward
             7 |   - { step: c, sleep: 2h, within: 1h, on_refused: undo }
               |                                                   ^^^^ stuck, or { steps: [ ... ], next: go_on | retry }
            sagas/x.yaml:9:53: error: nobody is asked then: the approval's within (24h) is over
             9 |   - { step: d, approval: boss, escalate: [ { after: 25h, to: head } ] }
               |                                                     ^^^ give it a longer within
        "#]],
    );
}
