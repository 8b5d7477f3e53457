//! Checks of expressions and bodies by their texts.

use expect_test::expect;

use super::errors::check;
use super::*;

#[test]
fn bodies() {
    check(
        &step("    undo: nothing\n"),
        expect![[r#"
        sagas/x.yaml:4:11: error: fraud.Score needs the field 'order_id' (string)
         4 |   - step: one
           |           ^^^ write order_id: and what it is
    "#]],
    );
    check(
        &step("    with: { order_id: start.totl, levl: LOW }\n    undo: nothing\n"),
        expect![[r#"
            sagas/x.yaml:6:29: error: OrderPlaced has no field 'totl'
             6 |     with: { order_id: start.totl, levl: LOW }
               |                             ^^^^ did you mean 'total'?
            sagas/x.yaml:6:35: error: fraud.Score has no field 'levl'
             6 |     with: { order_id: start.totl, levl: LOW }
               |                                   ^^^^ did you mean 'level'?
            sagas/x.yaml:6:41: error: unknown name 'LOW'
             6 |     with: { order_id: start.totl, levl: LOW }
               |                                         ^^^ a text is written "'LOW'"
        "#]],
    );
    check(
        &step("    with: { order_id: start.total, level: \"'MIDDLE'\" }\n    undo: nothing\n"),
        expect![[r#"
            sagas/x.yaml:6:23: error: order_id: decimal where string is wanted
             6 |     with: { order_id: start.total, level: "'MIDDLE'" }
               |                       ^^^^^^^^^^^ make it a text: string(x)
            sagas/x.yaml:6:43: error: level: 'MIDDLE' is none of LOW, HIGH
             6 |     with: { order_id: start.total, level: "'MIDDLE'" }
               |                                           ^^^^^^^^^^ write one of them, in quotes of its own
        "#]],
    );
    check(
        &step("    with: { order_id: 'express' }\n    undo: nothing\n"),
        expect![[r#"
        sagas/x.yaml:6:23: error: unknown name 'express'
         6 |     with: { order_id: 'express' }
           |                       ^^^^^^^^^ a text is written "'express'"
    "#]],
    );
}

#[test]
fn shapes_of_bodies() {
    check(
        &step("    with: { order_id: start.order_id.replace('a', 'b'), level: key }\n    undo: nothing\n"),
        expect![[r#"
            sagas/x.yaml:6:54: error: this is not YAML: something stands behind the closing quote
             6 |     with: { order_id: start.order_id.replace('a', 'b'), level: key }
               |                                                      ^ put the whole value in quotes of the other kind; a quote that is part of it is not closed before
        "#]],
    );
    check(
        &step("    with: { order_id: string(div(start.total, 3, 2)), level: key }\n    undo: nothing\n"),
        expect![[r#"
        sagas/x.yaml:6:23: error: YAML splits this expression at its commas
         6 |     with: { order_id: string(div(start.total, 3, 2)), level: key }
           |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ put the whole expression in quotes: { b: "f(1, 2)" }
    "#]],
    );
    check(
        &step("    with: { order_id: key, level: { a: key } }\n    undo: nothing\n"),
        expect![[r#"
            sagas/x.yaml:6:35: error: level is string, and fields stand here
             6 |     with: { order_id: key, level: { a: key } }
               |                                   ^^^^^^^^^^ write one expression
        "#]],
    );
    check(
        &step("    with: [ key ]\n    undo: nothing\n"),
        expect![[r#"
            sagas/x.yaml:6:11: error: the body is fraud.Score, and a list stands here
             6 |     with: [ key ]
               |           ^^^^^^^ write its fields without a dash, or an expression that gives all of it
        "#]],
    );
    check(
        &saga(
            "steps:\n  - step: pay\n    do: payment.Charge\n    with: { order_id: key, amount: 0.1 + 0.2, currency: start.region }\n    undo: payment.Refund\n",
        ),
        expect![[r#"
        sagas/x.yaml:6:36: error: amount: double where decimal is wanted
         6 |     with: { order_id: key, amount: 0.1 + 0.2, currency: start.region }
           |                                    ^^^^^^^^^ money is never a double: write decimal('...') or decimal(x)
    "#]],
    );
    check(
        &saga(
            "steps:\n  - step: pay\n    do: payment.Charge\n    with: { order_id: key, amount: 0.125, currency: start.placed_at }\n    undo: payment.Refund\n",
        ),
        expect![[r#"
            sagas/x.yaml:6:36: error: amount: 0.125 does not fit decimal(18,2) without losing digits: round it
             6 |     with: { order_id: key, amount: 0.125, currency: start.placed_at }
               |                                    ^^^^^ give what the schema takes; round(x, 2) leaves two digits behind the point
            sagas/x.yaml:6:53: error: currency: this may be absent, and the field needs a value
             6 |     with: { order_id: key, amount: 0.125, currency: start.placed_at }
               |                                                     ^^^^^^^^^^^^^^^ write .orValue(...) behind it, or ask has(...) first
        "#]],
    );
    check(
        &saga(
            "steps:\n  - step: a\n    do: inventory.ReserveStock\n    with: { order_id: key, items: \"start.items.map(i, {'sku': i.sku, 'qty': i.sku})\" }\n    undo: nothing\n",
        ),
        expect![[r#"
            sagas/x.yaml:6:35: error: items: items: qty: string where int is wanted
             6 |     with: { order_id: key, items: "start.items.map(i, {'sku': i.sku, 'qty': i.sku})" }
               |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ make each item what is wanted: x.map(y, { 'FIELD': y.FIELD })
        "#]],
    );
}

#[test]
fn expressions_and_certainty() {
    let two = |second: &str| {
        saga(&format!(
            "steps:\n  - {{ step: one, if: start.total > 5, do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}\n  - {{ step: two, do: fraud.Score, undo: nothing, {second} }}\n"
        ))
    };
    check(
        &two("with: { order_id: string(steps.one.score) }"),
        expect![[r#"
            sagas/x.yaml:5:81: error: step 'one' may have been skipped: it, or what is around it, stands under a condition
             5 |   - { step: two, do: fraud.Score, undo: nothing, with: { order_id: string(steps.one.score) } }
               |                                                                                 ^^^ write steps.?one.?FIELD.orValue(...), or ask has(steps.one) first
        "#]],
    );
    check(&two("if: has(steps.one), with: { order_id: string(steps.one.score) }"), expect![""]);
    check(
        &two("with: { order_id: string(steps.two.score) }"),
        expect![[r#"
        sagas/x.yaml:5:81: error: step 'two' has not run here
         5 |   - { step: two, do: fraud.Score, undo: nothing, with: { order_id: string(steps.two.score) } }
           |                                                                                 ^^^ only steps that stand before can be read
    "#]],
    );
    check(
        &two("if: size(start.items), with: { order_id: key }"),
        expect![[r#"
            sagas/x.yaml:5:54: error: a condition is a bool, not int
             5 |   - { step: two, do: fraud.Score, undo: nothing, if: size(start.items), with: { order_id: key } }
               |                                                      ^^^^^^^^^^^^^^^^^ compare it, for example with > 5
        "#]],
    );
    check(
        &two("if: start.total >> 3, with: { order_id: key }"),
        expect![[r#"
            sagas/x.yaml:5:68: error: this is not an expression: '>' cannot stand here
             5 |   - { step: two, do: fraud.Score, undo: nothing, if: start.total >> 3, with: { order_id: key } }
               |                                                                    ^ write values and operators: start.total > 10 && start.region == 'EU'; a text has quotes of its own
        "#]],
    );
    check(
        &saga("rules:\n  d: start.total > 1 ? 1 : 2\nsteps: []\n"),
        expect![[r#"
            sagas/x.yaml:4:26: error: this is not YAML: a colon with a space behind it makes a key of what stands before it
             4 |   d: start.total > 1 ? 1 : 2
               |                          ^ an expression or a text with `, : { } [ ] # & * !` must be quoted
        "#]],
    );
    check(
        &two("if: min(start.total, 2) > 3, with: { order_id: key }"),
        expect![[r#"
            sagas/x.yaml:5:54: error: YAML splits this expression at its commas
             5 |   - { step: two, do: fraud.Score, undo: nothing, if: min(start.total, 2) > 3, with: { order_id: key } }
               |                                                      ^^^^^^^^^^^^^^^^^^^^^^^ put the whole expression in quotes: { b: "f(1, 2)" }
        "#]],
    );
}

#[test]
fn rules() {
    let one = "steps:\n  - { step: one, if: rules.a, do: fraud.Score, with: { order_id: string(rules.c) }, undo: nothing }\n";
    check(
        &saga(&format!(
            "rules:\n  c:\n    - {{ if: start.total > 5 }}\n    - {{ if: true, then: 1 }}\n  Big: 1\n  key: 2\n  e: []\n  f:\n    - {{ else: 1, then: 2 }}\n  g:\n    - {{ then: 1 }}\n{one}"
        )),
        expect![[r#"
            sagas/x.yaml:5:9: error: 'then' is missing
             5 |     - { if: start.total > 5 }
               |         ^^ - { if: condition, then: value }
            sagas/x.yaml:6:7: error: a table ends with else
             6 |     - { if: true, then: 1 }
               |       ^^^^^^^^^^^^^^^^^^^^^ - { else: value }
            sagas/x.yaml:7:3: error: 'Big' is not a rule's name
             7 |   Big: 1
               |   ^^^ small letters, digits and _, at most 64, a letter first: 'big'
            sagas/x.yaml:8:3: error: 'key' is reserved
             8 |   key: 2
               |   ^^^ reserved are: start, steps, rules, key, event, failure, now, started, index, round, saga
            sagas/x.yaml:9:6: error: a table ends with else
             9 |   e: []
               |      ^^ - { else: expression }
            sagas/x.yaml:11:9: error: else is followed by its value, and has nothing beside it
             11 |     - { else: 1, then: 2 }
                |         ^^^^ - { else: value }
            sagas/x.yaml:13:7: error: a table ends with else
             13 |     - { then: 1 }
                |       ^^^^^^^^^^^ - { else: value }
            sagas/x.yaml:15:28: error: there is no rule 'a'
             15 |   - { step: one, if: rules.a, do: fraud.Score, with: { order_id: string(rules.c) }, undo: nothing }
                |                            ^ did you mean 'c'?
        "#]],
    );
    check(
        &saga(&format!(
            "rules:\n  a: rules.b\n  b: rules.a\n  c:\n    - {{ if: start.total > 5, then: 1 }}\n    - {{ else: \"'x'\" }}\n  e: start.nope\n{one}"
        )),
        expect![[r#"
            sagas/x.yaml:5:12: error: rule 'a' needs itself
             5 |   b: rules.a
               |            ^ a rule may name others, of which none may name it, directly or by a third
            sagas/x.yaml:8:15: error: this is string, the values above are int
             8 |     - { else: "'x'" }
               |               ^^^^^ all values of a table have one type
            sagas/x.yaml:9:12: error: OrderPlaced has no field 'nope'
             9 |   e: start.nope
               |            ^^^^ there are: order_id, customer_id, region, total, currency, items, placed_at
        "#]],
    );
    check(
        &saga(&format!(
            "rules:\n  a: start.region == express\n  c:\n    - {{ if: has(start.placed_at), then: start.placed_at }}\n    - {{ else: now }}\n  d: \"has(start.placed_at) ? start.placed_at.getHours() : 'x'\"\n{one}"
        )),
        expect![[r#"
            sagas/x.yaml:4:22: error: unknown name 'express'
             4 |   a: start.region == express
               |                      ^^^^^^^ a text is written 'express'; names are start, steps, rules, key, now, started, failure, round
            sagas/x.yaml:8:30: error: both sides must be of one type: int and string
             8 |   d: "has(start.placed_at) ? start.placed_at.getHours() : 'x'"
               |                              ^^^^^ a text is made of a number by string(x), a number of a text by int(x) or decimal(x)
        "#]],
    );
}

#[test]
fn what_is_certain_at_the_ends() {
    check(
        &saga(
            "rules:\n  big: start.total > 5\nsteps:\n  - { step: one, do: fraud.Score, with: { order_id: key }, undo: nothing }\non_compensated: { emit: OrderCancelled, to: out, with: { order_id: key, reason: string(steps.one.score) } }\n",
        ),
        expect![[r#"
        sagas/x.yaml:7:94: error: step 'one' may not have succeeded here
         7 | on_compensated: { emit: OrderCancelled, to: out, with: { order_id: key, reason: string(steps.one.score) } }
           |                                                                                              ^^^ write steps.?one.?FIELD.orValue(...), or ask has(steps.one) first
    "#]],
    );
    check(
        "saga: x\nstart: { on: OrderPlaced, from: orders, key: event.total, if: steps.one.x == 1 }\nsteps:\n  - { step: one, do: fraud.Score, with: { order_id: key }, undo: nothing }\non_completed: { emit: OrderCancelled, to: out, with: { order_id: key, reason: failure.code } }\n",
        expect![[r#"
            sagas/x.yaml:2:46: error: a key is a string or an int, not decimal
             2 | start: { on: OrderPlaced, from: orders, key: event.total, if: steps.one.x == 1 }
               |                                              ^^^^^^^^^^^ write string(x)
            sagas/x.yaml:2:69: error: no step has run when a saga starts
             2 | start: { on: OrderPlaced, from: orders, key: event.total, if: steps.one.x == 1 }
               |                                                                     ^^^ what is read here is the event that starts it
            sagas/x.yaml:5:79: error: nothing has failed here
             5 | on_completed: { emit: OrderCancelled, to: out, with: { order_id: key, reason: failure.code } }
               |                                                                               ^^^^^^^ failure can be read in an undo's with, in the steps of a reaction, in on_compensated and in on_stuck
        "#]],
    );
}

#[test]
fn under_the_same_rule_a_step_is_certain() {
    let two = |rule: &str, second: &str| {
        saga(&format!(
            "rules:\n  big: {rule}\nsteps:\n  - {{ step: one, if: rules.big, do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}\n  - {{ step: two, if: {second}, do: fraud.Score, with: {{ order_id: string(steps.one.score) }}, undo: nothing }}\n"
        ))
    };
    check(&two("start.total > 5", "rules.big && start.region == 'EU'"), expect![""]);
    let uncertain = |text: String| super::errors::errors(&text).contains("step 'one' may have been skipped");
    assert!(uncertain(two("start.total > 5", "'!rules.big'")));
    assert!(uncertain(two("now > started + duration('1h')", "rules.big")), "it may have been false before");
}

#[test]
fn rules_that_double_do_not_hang() {
    let doubling = |count: usize| {
        let more = (1..count).map(|n| format!("  r{n}: rules.r{} && rules.r{}\n", n - 1, n - 1)).collect::<String>();
        let last = count - 1;
        let step = format!("{{ step: one, if: rules.r{last}, do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}");
        saga(&format!("rules:\n  r0: has(start.placed_at) && has(start.placed_at)\n{more}steps: [ {step} ]\n"))
    };
    assert_eq!(super::errors::errors(&doubling(8)), "");
    assert!(super::errors::errors(&doubling(60)).contains("more than 8 rules stand on one another"));
}
