//! Definitions as somebody writes them who has not read all of it: each is told what is wrong and what to do, and nothing beside.

use expect_test::{ExpectFile, expect, expect_file};

use super::errors::check;
use super::*;

const ONE: &str = "{ step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }";

/// A definition of these steps.
fn steps(steps: &[&str]) -> String {
    saga(&format!("steps:\n{}", steps.iter().map(|step| format!("  - {step}\n")).collect::<String>()))
}

#[test]
fn else_of_a_switch() {
    let arms = |last: &str| {
        saga(&format!("steps:\n  - step: s\n    switch:\n      - if: start.total > 1\n        steps:\n          - {ONE}\n{last}"))
    };
    check(
        &arms("      - else:\n        steps:\n          - { step: no, refuse: NO }\n"),
        expect![[r#"
            sagas/x.yaml:9:9: error: else is followed by a list of steps, and has nothing beside it
             9 |       - else:
               |         ^^^^ its steps stand below else itself, each with a dash; where nothing else is to be done, - else: []
        "#]],
    );
    check(
        &arms("      - else:\n          steps:\n            - { step: no, refuse: NO }\n"),
        expect![[r#"
            sagas/x.yaml:9:9: error: else is followed by a list of steps, and has nothing beside it
             9 |       - else:
               |         ^^^^ its steps stand below else itself, each with a dash; where nothing else is to be done, - else: []
        "#]],
    );
    check(
        &arms("      - else:\n"),
        expect![[r#"
            sagas/x.yaml:9:9: error: else is followed by a list of steps, and has nothing beside it
             9 |       - else:
               |         ^^^^ its steps stand below else itself, each with a dash; where nothing else is to be done, - else: []
        "#]],
    );
    check(
        &arms("      - else: { step: no, refuse: NO }\n"),
        expect![[r#"
            sagas/x.yaml:9:9: error: else is followed by a list of steps, and has nothing beside it
             9 |       - else: { step: no, refuse: NO }
               |         ^^^^ its steps stand below else itself, each with a dash; where nothing else is to be done, - else: []
        "#]],
    );
    check(
        &arms("      - else: []\n      - if: start.total > 2\n        steps:\n          - { step: no, refuse: NO }\n"),
        expect![[r#"
            sagas/x.yaml:9:9: error: else is the last arm
             9 |       - else: []
               |         ^^^^ move it behind the arms with a condition
            sagas/x.yaml:10:9: error: a switch ends with else
             10 |       - if: start.total > 2
                |         ^^^^^^^^^^^^^^^^^^^ - else: [ ... ], an arm of its own; where nothing else is to be done, - else: []
        "#]],
    );
    check(
        &arms("      - else if: start.total > 2\n        steps:\n          - { step: no, refuse: NO }\n      - else: []\n"),
        expect![[r#"
            sagas/x.yaml:9:9: error: an arm has no 'else if'
             9 |       - else if: start.total > 2
               |         ^^^^^^^ here it is called 'if'
        "#]],
    );
}

#[test]
fn else_of_a_rule() {
    let rule = |rows: &str| saga(&format!("rules:\n  size:\n{rows}steps:\n  - {{ step: no, if: rules.size == 1, refuse: NO }}\n"));
    check(
        &rule("    - if: start.total > 1\n      then: 1\n    - else:\n      then: 2\n"),
        expect![[r#"
        sagas/x.yaml:7:7: error: else is followed by its value, and has nothing beside it
         7 |     - else:
           |       ^^^^ - { else: value }
    "#]],
    );
    check(
        &rule("    - else: 2\n    - if: start.total > 1\n      then: 1\n"),
        expect![[r#"
            sagas/x.yaml:5:7: error: else is the last row
             5 |     - else: 2
               |       ^^^^ move it behind the rows with a condition
        "#]],
    );
}

#[test]
fn two_pivots_in_two_arms() {
    let pay = |name: &str, more: &str| format!("{{ step: {name}, do: fraud.Score, with: {{ order_id: key }}, pivot: true }}{more}");
    let ship = ", { step: ship, do: fraud.Score, with: { order_id: key } }";
    let switch = format!(
        "{{ step: s, switch: [ {{ if: start.total > 1, steps: [ {} ] }}, {{ else: [ {} ] }} ] }}",
        pay("by_card", ""),
        pay("by_bill", ship)
    );
    check(&steps(&[&switch]), expect![""]);
    check(
        &steps(&["{ step: before, do: fraud.Score, with: { order_id: key } }", &switch]),
        expect![[r#"
            sagas/x.yaml:4:13: error: step 'before' does not say how it is undone
             4 |   - { step: before, do: fraud.Score, with: { order_id: key } }
               |             ^^^^^^ write undo: participant.Command, or undo: nothing
        "#]],
    );
}

#[test]
fn verbs_that_are_misspelt() {
    check(
        &steps(&["{ step: no, refuze: NO }"]),
        expect![[r#"
        sagas/x.yaml:4:17: error: a step has no 'refuze'
         4 |   - { step: no, refuze: NO }
           |                 ^^^^^^ did you mean 'refuse'?
    "#]],
    );
    check(
        &steps(&["{ step: no, swich: [] }", "{ step: a, emmit: OrderFulfilled, to: ends }"]),
        expect![[r#"
        sagas/x.yaml:4:17: error: a step has no 'swich'
         4 |   - { step: no, swich: [] }
           |                 ^^^^^ did you mean 'switch'?
        sagas/x.yaml:5:16: error: a step has no 'emmit'
         5 |   - { step: a, emmit: OrderFulfilled, to: ends }
           |                ^^^^^ did you mean 'emit'?
    "#]],
    );
    check(
        &steps(&["{ step: no, call: fraud.Score }"]),
        expect![[r#"
            sagas/x.yaml:4:17: error: a step has no 'call'
             4 |   - { step: no, call: fraud.Score }
               |                 ^^^^ here it is called 'do'
        "#]],
    );
    check(
        &steps(&["{ name: one, do: fraud.Score, undo: nothing, with: { order_id: key } }"]),
        expect![[r#"
            sagas/x.yaml:4:7: error: a step has no 'name'
             4 |   - { name: one, do: fraud.Score, undo: nothing, with: { order_id: key } }
               |       ^^^^ here it is called 'step'
        "#]],
    );
}

#[test]
fn conditions_that_are_the_same_for_every_saga() {
    let then = |condition: &str| format!("{{ step: no, if: {condition}, refuse: NO }}");
    for same in ["true", "1 < 2", "\"'a' in ['a', 'b']\"", "\"[1, 2].exists(x, x > 1)\"", "rules.on", "size('abc') == 3"] {
        let text = saga(&format!(
            "rules:\n  on: 2 > 1\nsteps:\n  - {}\n  - {{ step: no2, if: rules.on || start.total > 2, refuse: NO }}\n",
            then(same)
        ));
        let found = super::errors::errors(&text);
        assert!(found.contains("this is always true\n") && found.matches("warning").count() == 1, "{same}: {found}");
    }
    for other in ["start.total > 1", "key == 'a'", "now > started", "\"[1, 2].exists(x, start.total > x)\"", "has(start.placed_at)"]
    {
        assert_eq!(super::errors::errors(&steps(&[&then(other)])), "", "{other}");
    }
    check(
        &steps(&[&then("false"), &then("1 / 0 > 1").replace("step: no", "step: nought")]),
        expect![[r#"
        sagas/x.yaml:4:21: warning: this is never true: the step is always skipped
         4 |   - { step: no, if: false, refuse: NO }
           |                     ^^^^^ remove the step
        sagas/x.yaml:5:25: warning: this fails in every saga: divided by zero
         5 |   - { step: nought, if: 1 / 0 > 1, refuse: NO }
           |                         ^^^^^^^^^ correct it
    "#]],
    );
    check(
        &steps(&[&format!(
            "{{ step: s, switch: [ {{ if: 1 > 2, steps: [ {} ] }}, {{ if: true, steps: [ {ONE} ] }}, {{ else: [] }} ] }}",
            ONE.replace("one", "two")
        )]),
        expect![[r#"
            sagas/x.yaml:4:32: warning: this is never true: the arm is never taken
             4 |   - { step: s, switch: [ { if: 1 > 2, steps: [ { step: two, do: fraud.Score, undo: nothing, with: { order_id: key } } ] ...
               |                                ^^^^^ remove the arm
            sagas/x.yaml:4:130: warning: this is always true: no arm behind it is ever taken
             4 | ...g, with: { order_id: key } } ] }, { if: true, steps: [ { step: one, do: fraud.Score, undo: nothing, with: { order_id: ke...
               |                                            ^^^^ remove the switch, or the arm
        "#]],
    );
    check(
        &saga(&format!(
            "rules:\n  size: [ {{ if: true, then: 1 }}, {{ if: 1 > 2, then: 2 }}, {{ else: 3 }} ]\nsteps:\n  - {ONE}\n  - {{ step: no, if: rules.size == start.total, refuse: NO }}\n"
        )),
        expect![[r#"
            sagas/x.yaml:4:17: warning: this is always true: no row behind it is ever taken
             4 |   size: [ { if: true, then: 1 }, { if: 1 > 2, then: 2 }, { else: 3 } ]
               |                 ^^^^ remove the rows behind it
            sagas/x.yaml:4:40: warning: this is never true: the row is never taken
             4 |   size: [ { if: true, then: 1 }, { if: 1 > 2, then: 2 }, { else: 3 } ]
               |                                        ^^^^^ remove the row
        "#]],
    );
    // A definition is ended by this one.
    let ended = steps(&[ONE]).replace("key: event.order_id }", "key: event.order_id, if: false }");
    check(&ended, expect![[""]]);
}

#[test]
fn what_another_arm_gave() {
    let two = "{ step: two, do: fraud.Unscore, undo: nothing, with: { order_id: key, why: steps.one.big } }";
    let inner = format!("{{ step: g, steps: [ {two} ] }}");
    for step in [two, &inner] {
        let switch = format!("{{ step: s, switch: [ {{ if: start.total > 1, steps: [ {ONE} ] }}, {{ else: [ {step} ] }} ] }}");
        let found = super::errors::errors(&steps(&[&switch]));
        assert!(
            found.contains("step 'one' is in another arm") && found.contains("behind the switch it is read as steps.?one"),
            "{found}"
        );
    }
    check(
        &steps(&[two, ONE]),
        expect![[r#"
        sagas/x.yaml:4:86: error: step 'one' has not run here
         4 |   - { step: two, do: fraud.Unscore, undo: nothing, with: { order_id: key, why: steps.one.big } }
           |                                                                                      ^^^ only steps that stand before can be read
    "#]],
    );
}

#[test]
fn what_a_newcomer_writes() {
    told(&expect_file!["newcomer.txt"]);
}

/// All of a file of definitions: they stay, what they are told is written behind each.
pub(super) fn told(golden: &ExpectFile) {
    let (head, cases) = golden.data().split_once("=== ").map(|(head, cases)| (head.to_owned(), cases.to_owned())).unwrap();
    let mut told = head;
    for case in cases.split("\n=== ") {
        let (name, rest) = case.split_once('\n').unwrap();
        // A file of several definitions has such lines itself.
        let end = rest.find("\n---\nsagas/").or_else(|| rest.rfind("\n---"));
        let text = &rest[..end.unwrap_or_else(|| panic!("{name}: no --- behind the definition"))];
        let whole = if text.starts_with("saga:") { format!("{text}\n") } else { saga(&format!("{text}\n")) };
        let found = super::errors::errors(&whole);
        assert!(!found.is_empty(), "{name}: nothing is told");
        told += &format!("=== {name}\n{text}\n---\n{found}\n");
    }
    golden.assert_eq(&told);
}

/// Whatever waits is told of; what stands on the pivot or behind it has its time all the same, since the saga is only late then.
#[test]
fn times_that_the_deadline_cuts_short() {
    let text = steps(&[
        "{ step: w, sleep: 1m, within: 2h }",
        "{ step: g, within: 3h, steps: [ { step: ask, approval: boss, within: 2h } ] }",
        "{ step: pay, do: fraud.Score, with: { order_id: key }, pivot: true, within: 4h }",
        "{ step: tell, do: fraud.Score, with: { order_id: key }, within: 5h }",
    ]);
    check(
        &text.replace("steps:\n  - { step: w", "deadline: 1h\nsteps:\n  - { step: w"),
        expect![[r#"
            sagas/x.yaml:5:35: warning: this is never reached: the saga's deadline is earlier
             5 |   - { step: w, sleep: 1m, within: 2h }
               |                                   ^^ give it less time, or the saga a longer deadline
            sagas/x.yaml:6:24: warning: this is never reached: the saga's deadline is earlier
             6 |   - { step: g, within: 3h, steps: [ { step: ask, approval: boss, within: 2h } ] }
               |                        ^^ give it less time, or the saga a longer deadline
            sagas/x.yaml:6:74: warning: this is never reached: the saga's deadline is earlier
             6 |   - { step: g, within: 3h, steps: [ { step: ask, approval: boss, within: 2h } ] }
               |                                                                          ^^ give it less time, or the saga a longer deadline
        "#]],
    );
}
