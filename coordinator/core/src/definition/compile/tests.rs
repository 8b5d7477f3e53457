//! Every check by its text, mutated files, projections, versions from history.

use std::path::Path;

use expect_test::{Expect, expect};
use ringmaster_schemas::avro::{Resolver, Schema};
use ringmaster_schemas::journal::{Failure, FailureKind, Phase};
use ringmaster_schemas::json::{render, transcode};

use super::*;
use crate::definition::{Budget, Catalog, Environment, Template, Undo};

const FILE: &str = "sagas/x.yaml";

fn order() -> String {
    std::fs::read_to_string(folder().join("order-fulfilment.yaml")).unwrap()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas")
}

/// The order's schemas, and a few more.
fn schemas() -> Schemas {
    let mut schemas = Schemas::load_folder(&folder().join("schemas")).unwrap();
    for more in [
        r#"{"type":"record","name":"Score","namespace":"fraud","fields":[{"name":"order_id","type":"string"},{"name":"level","type":{"type":"enum","name":"Level","symbols":["LOW","HIGH"]},"default":"LOW"}]}"#,
        r#"{"type":"record","name":"ScoreResult","namespace":"fraud","fields":[{"name":"score","type":"int"},{"name":"note","type":["null","string"],"default":null},{"name":"big","type":"string"}]}"#,
        r#"{"type":"record","name":"Forget","namespace":"fraud","fields":[{"name":"order_id","type":"string"}]}"#,
        r#"{"type":"record","name":"Unscore","namespace":"fraud","fields":[{"name":"order_id","type":"string"},{"name":"why","type":"string"}]}"#,
        r#"{"type":"enum","name":"Colour","symbols":["RED"]}"#,
    ] {
        schemas.add(more).unwrap();
    }
    schemas
}

fn errors(text: &str) -> String {
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    settings.participants.insert("legacy".into(), Participant { encoding: Encoding::Json, ..Participant::default() });
    let found = match compile(FILE, text, &mut settings) {
        Ok(_) => settings.warnings,
        Err(errors) => errors,
    };
    found.iter().map(|error| format!("{error}\n")).collect()
}

/// A definition around steps and whatever else stands at its end.
fn saga(rest: &str) -> String {
    format!("saga: x\nstart: {{ on: OrderPlaced, from: orders, key: event.order_id }}\n{rest}")
}

/// One step before the pivot and one behind.
fn step(first: &str) -> String {
    saga(&format!("steps:\n  - step: one\n    do: fraud.Score\n{first}"))
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&errors(text));
}

#[test]
fn the_order_saga_is_without_a_word() {
    check(&order(), expect![""]);
}

#[test]
fn keys_and_names() {
    check(&step("    timout: 5s\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:4:11: error: fraud.Score needs the field 'order_id' (string)
         4 |   - step: one
           |           ^^^ write order_id: and what it is
        sagas/x.yaml:6:5: error: a step has no 'timout'
         6 |     timout: 5s
           |     ^^^^^^ did you mean 'timeout'?
    "#]]);
    check(&step("    undo: nothing\n    parallel: { a: [] }\n"), expect![[r#"
        sagas/x.yaml:4:11: error: fraud.Score needs the field 'order_id' (string)
         4 |   - step: one
           |           ^^^ write order_id: and what it is
        sagas/x.yaml:7:5: error: this version does not know 'parallel' yet
         7 |     parallel: { a: [] }
           |     ^^^^^^^^ a step has: step, do, if, with, undo, timeout, within, retry, pivot, description
    "#]]);
    check("saga: Order!\nstart: { on: 'Order Placed', from: 'or ders' }\nsteps: [ { step: One, do: Charge, undo: nothing } ]\n", expect![[r#"
        sagas/x.yaml:1:7: error: 'Order!' is not a saga's name
         1 | saga: Order!
           |       ^^^^^^ small letters, digits, - and _, at most 64, a letter first
        sagas/x.yaml:2:14: error: 'Order Placed' is not an event's type
         2 | start: { on: 'Order Placed', from: 'or ders' }
           |              ^^^^^^^^^^^^^^ the name of its record, for example OrderPlaced
        sagas/x.yaml:2:36: error: 'or ders' is not a topic
         2 | start: { on: 'Order Placed', from: 'or ders' }
           |                                    ^^^^^^^^^ letters, digits, . _ -
        sagas/x.yaml:3:18: error: 'One' is not a step's name
         3 | steps: [ { step: One, do: Charge, undo: nothing } ]
           |                  ^^^ small letters, digits and _, at most 64, a letter first
        sagas/x.yaml:3:27: error: 'Charge' is not a command
         3 | steps: [ { step: One, do: Charge, undo: nothing } ]
           |                           ^^^^^^ participant.Command, for example payment.Charge
    "#]]);
    check("saga: x\nsteps: []\n", expect![[r#"
        sagas/x.yaml:1:1: error: 'start' is missing
         1 | saga: x
           | ^^^^ start: { on: EVENT, from: TOPIC, key: event.FIELD }
        sagas/x.yaml:2:8: error: a definition has 1 to 200 steps, not 0
         2 | steps: []
           |        ^^
    "#]]);
    check("- a\n", expect![[r#"
        sagas/x.yaml:1:1: error: a definition is a map, not a list
         1 | - a
           | ^^^ it has: saga, description, start, deadline, retain, rules, steps, on_completed, on_compensated
    "#]]);
    check("", expect![[r#"
        sagas/x.yaml:1:1: error: there is no definition in this file
         1 | 
           | ^ saga: NAME
    "#]]);
    check(&saga("steps:\n  - { step: start, do: fraud.Score, undo: nothing }\n"), expect![[r#"
        sagas/x.yaml:4:13: error: 'start' is reserved
         4 |   - { step: start, do: fraud.Score, undo: nothing }
           |             ^^^^^ reserved are: start, steps, rules, key, event, failure, now, started, index, round, saga
    "#]]);
    check(&saga("steps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n"), expect![[r#"
        sagas/x.yaml:5:13: error: step 'a' is there twice
         5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }
           |             ^ it is first on line 4
    "#]]);
    check(&saga("cancel: { on: X }\npriority: 3\nsteps:\n  - { step: a, wait: CardChanged }\n"), expect![[r#"
        sagas/x.yaml:3:1: error: this version does not know 'cancel' yet
         3 | cancel: { on: X }
           | ^^^^^^ a definition has: saga, description, start, deadline, retain, rules, steps, on_completed, on_compensated
        sagas/x.yaml:4:1: error: this version does not know 'priority' yet
         4 | priority: 3
           | ^^^^^^^^ a definition has: saga, description, start, deadline, retain, rules, steps, on_completed, on_compensated
        sagas/x.yaml:6:16: error: this version does not know 'wait' yet
         6 |   - { step: a, wait: CardChanged }
           |                ^^^^ a step has: step, do, if, with, undo, timeout, within, retry, pivot, description
    "#]]);
    check("saga: x\nstart: [ { on: OrderPlaced, from: orders } ]\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n", expect![[r#"
        sagas/x.yaml:2:8: error: this version knows one start only
         2 | start: [ { on: OrderPlaced, from: orders } ]
           |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ start: { on: EVENT, from: TOPIC, key: event.FIELD }
    "#]]);
    check("saga: x\nsaga: y\n", expect![[r#"
        sagas/x.yaml:2:1: error: 'saga' stands here twice
         2 | saga: y
           | ^^^^ it is first on line 1
    "#]]);
    check("saga: x\nstart: { on: [OrderPlaced, from: orders }\n", expect![[r#"
        sagas/x.yaml:3:1: error: this is not YAML: while parsing a flow sequence, expected ',' or ']'
         3 | 
           | ^
    "#]]);
    check(&format!("{}---\n{}", order(), order()), expect![[r#"
        sagas/x.yaml:33:7: error: saga 'order-fulfilment' is there twice
         33 | saga: order-fulfilment
            |       ^^^^^^^^^^^^^^^^
    "#]]);
}

#[test]
fn undo_and_pivot() {
    check(&step("    with: { order_id: key }\n"), expect![[r#"
        sagas/x.yaml:4:11: error: step 'one' does not say how it is undone
         4 |   - step: one
           |           ^^^ write undo: participant.Command, or undo: nothing
    "#]]);
    check(&step("    with: { order_id: key }\n    undo: nothing\n    pivot: true\n  - { step: two, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget, pivot: true }\n"), expect![[r#"
        sagas/x.yaml:7:11: error: an undo on the pivot could never run
         7 |     undo: nothing
           |           ^^^^^^^ leave it away
        sagas/x.yaml:9:13: error: there is one pivot at most
         9 |   - { step: two, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget, pivot: true }
           |             ^^^ the first is 'one'; behind it steps cannot be refused any more
        sagas/x.yaml:9:66: error: an undo behind the pivot could never run
         9 |   - { step: two, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget, pivot: true }
           |                                                                  ^^^^^^^^^^^^ leave it away
    "#]]);
    check(&step("    with: { order_id: key }\n    undo: fraud.Unscore\n"), expect![[r#"
        sagas/x.yaml:7:11: error: fraud.Unscore needs the field 'why', which the do's body does not have
         7 |     undo: fraud.Unscore
           |           ^^^^^^^^^^^^^ say what it gets: undo: { do: ..., with: { ... } }
    "#]]);
    check(&step("    with: { order_id: key }\n    undo: { do: fraud.Unscore, with: { order_id: key, why: steps.one.note } }\n"), expect![[r#"
        sagas/x.yaml:7:66: error: step 'one' may not have succeeded here
         7 |     undo: { do: fraud.Unscore, with: { order_id: key, why: steps.one.note } }
           |                                                                  ^^^ write steps.?one.?FIELD.orValue(...), or ask has(steps.one) first
    "#]]);
    check(&step("    with: { order_id: key }\n    undo: { do: fraud.Unscore, with: { order_id: key, why: failure.cod } }\n"), expect![[r#"
        sagas/x.yaml:7:68: error: the record has no field 'cod'
         7 |     undo: { do: fraud.Unscore, with: { order_id: key, why: failure.cod } }
           |                                                                    ^^^ did you mean 'code'?
    "#]]);
    check(&step("    with: { order_id: key }\n    undo: later\n    pivot: maybe\n"), expect![[r#"
        sagas/x.yaml:7:11: error: 'later' is not a command
         7 |     undo: later
           |           ^^^^^ participant.Command, or nothing, or { do: ..., with: ... }
        sagas/x.yaml:8:12: error: pivot is true or false
         8 |     pivot: maybe
           |            ^^^^^
    "#]]);
}

#[test]
fn durations_and_retries() {
    check(&saga("deadline: soon\nretain: 0s\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, timeout: 5, within: start.total }\n"), expect![[r#"
        sagas/x.yaml:3:11: error: 'soon' is not a duration
         3 | deadline: soon
           |           ^^^^ this version knows durations as 200ms, 10s, 5m, 1h30m, 14d
        sagas/x.yaml:4:9: error: retain of no time
         4 | retain: 0s
           |         ^^ leave it away, or write for example 10s
        sagas/x.yaml:6:82: error: '5' is not a duration
         6 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, timeout: 5, within: start.total }
           |                                                                                  ^ this version knows durations as 200ms, 10s, 5m, 1h30m, 14d
        sagas/x.yaml:6:93: error: 'start.total' is not a duration
         6 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, timeout: 5, within: start.total }
           |                                                                                             ^^^^^^^^^^^ this version knows durations as 200ms, 10s, 5m, 1h30m, 14d
    "#]]);
    check(&step("    with: { order_id: key }\n    undo: nothing\n    retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }\n"), expect![[r#"
        sagas/x.yaml:8:24: error: attempts is a number from 1 to 1000000
         8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
           |                        ^ leave it away for as many as within allows
        sagas/x.yaml:8:34: error: 'x' is not a duration
         8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
           |                                  ^ this version knows durations as 200ms, 10s, 5m, 1h30m, 14d
        sagas/x.yaml:8:45: error: factor is a number from 1 to 100
         8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
           |                                             ^^^
        sagas/x.yaml:8:67: error: not_on is a list of codes, not a scalar
         8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
           |                                                                   ^^^^ not_on: [ CODE ]
        sagas/x.yaml:8:73: error: retry has no 'often'
         8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
           |                                                                         ^^^^^ there are: attempts, first, factor, max, not_on
    "#]]);
    check(&saga("deadline: 31d\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 40d, timeout: 41d }\n"), expect![[r#"
        sagas/x.yaml:3:11: error: deadline is longer than fraud remembers what it did (30d)
         3 | deadline: 31d
           |           ^^^ shorten it, or raise participants.fraud.remembers
        sagas/x.yaml:5:81: error: within is longer than fraud remembers what it did (30d)
         5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 40d, timeout: 41d }
           |                                                                                 ^^^ shorten it, or raise participants.fraud.remembers
    "#]]);
    check(&saga("deadline: 1h\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 2h, retry: { first: 5s, max: 1s } }\n"), expect![[r#"
        sagas/x.yaml:5:81: warning: this is never reached: the saga's deadline is earlier
         5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 2h, retry: { first: 5s, max: 1s } }
           |                                                                                 ^^
        sagas/x.yaml:5:110: warning: the longest wait is shorter than the first
         5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 2h, retry: { first: 5s, max: 1s } }
           |                                                                                                              ^^
    "#]]);
}

#[test]
fn schemas_that_are_missing_or_wrong() {
    check(&saga("steps:\n  - { step: a, do: fraud.Scan, with: { order_id: key }, undo: fraud.Nope }\n"), expect![[r#"
        sagas/x.yaml:4:20: error: fraud.Scan has no schema, and fraud takes Avro
         4 |   - { step: a, do: fraud.Scan, with: { order_id: key }, undo: fraud.Nope }
           |                    ^^^^^^^^^^ add the record fraud.Scan to the schemas, or set participants.fraud.encoding to json
        sagas/x.yaml:4:63: error: fraud.Nope has no schema, and fraud takes Avro
         4 |   - { step: a, do: fraud.Scan, with: { order_id: key }, undo: fraud.Nope }
           |                                                               ^^^^^^^^^^ add the record fraud.Nope to the schemas, or set participants.fraud.encoding to json
    "#]]);
    check(&saga("steps:\n  - { step: a, do: legacy.Call, with: { order_id: key, total: start.total }, undo: nothing }\n"), expect![[r#"
        sagas/x.yaml:4:20: warning: legacy.Call has no schema: its body is not checked
         4 |   - { step: a, do: legacy.Call, with: { order_id: key, total: start.total }, undo: nothing }
           |                    ^^^^^^^^^^^ add its record to the schemas
    "#]]);
    check("saga: x\nstart: { on: Colour, from: orders }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n", expect![[r#"
        sagas/x.yaml:2:14: error: Colour is not a record
         2 | start: { on: Colour, from: orders }
           |              ^^^^^^ commands, results and events are records
    "#]]);
    check("saga: x\nstart: { on: Unheard, from: orders, key: event.id }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\non_completed: { emit: Unheard2, to: out, with: { a: start.x } }\n", expect![[r#"
        sagas/x.yaml:2:14: warning: Unheard has no schema: its fields are known only at run time
         2 | start: { on: Unheard, from: orders, key: event.id }
           |              ^^^^^^^ add its record to the schemas
        sagas/x.yaml:5:23: warning: Unheard2 has no schema: its body is not checked, and it is JSON
         5 | on_completed: { emit: Unheard2, to: out, with: { a: start.x } }
           |                       ^^^^^^^^ add its record to the schemas
    "#]]);
}

#[test]
fn bodies() {
    check(&step("    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:4:11: error: fraud.Score needs the field 'order_id' (string)
         4 |   - step: one
           |           ^^^ write order_id: and what it is
    "#]]);
    check(&step("    with: { order_id: start.totl, levl: LOW }\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:29: error: OrderPlaced has no field 'totl'
         6 |     with: { order_id: start.totl, levl: LOW }
           |                             ^^^^ did you mean 'total'?
        sagas/x.yaml:6:35: error: fraud.Score has no field 'levl'
         6 |     with: { order_id: start.totl, levl: LOW }
           |                                   ^^^^ did you mean 'level'?
    "#]]);
    check(&step("    with: { order_id: start.total, level: \"'MIDDLE'\" }\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:23: error: order_id: decimal where string is wanted
         6 |     with: { order_id: start.total, level: "'MIDDLE'" }
           |                       ^^^^^^^^^^^ make it a text: string(x)
        sagas/x.yaml:6:43: error: level: 'MIDDLE' is none of LOW, HIGH
         6 |     with: { order_id: start.total, level: "'MIDDLE'" }
           |                                           ^^^^^^^^^^
    "#]]);
    check(&step("    with: { order_id: 'express' }\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:23: error: unknown name 'express'
         6 |     with: { order_id: 'express' }
           |                       ^^^^^^^^^ a text is written "'express'"
    "#]]);
    check(&step("    with: { order_id: start.order_id.replace('a', 'b'), level: key }\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:54: error: this is not YAML: invalid trailing content after double-quoted scalar
         6 |     with: { order_id: start.order_id.replace('a', 'b'), level: key }
           |                                                      ^ an expression with `, : { } [ ] # & * !` must be quoted
    "#]]);
    check(&step("    with: { order_id: string(div(start.total, 3, 2)), level: key }\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:23: error: YAML splits this expression at its commas
         6 |     with: { order_id: string(div(start.total, 3, 2)), level: key }
           |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ put the whole expression in quotes: { b: "f(1, 2)" }
    "#]]);
    check(&step("    with: { order_id: key, level: { a: key } }\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:35: error: level is string, and fields stand here
         6 |     with: { order_id: key, level: { a: key } }
           |                                   ^^^^^^^^^^
    "#]]);
    check(&step("    with: [ key ]\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:11: error: the body is fraud.Score, and a list stands here
         6 |     with: [ key ]
           |           ^^^^^^^
    "#]]);
    check(&saga("steps:\n  - step: pay\n    do: payment.Charge\n    with: { order_id: key, amount: 0.1 + 0.2, currency: start.region }\n    undo: payment.Refund\n"), expect![[r#"
        sagas/x.yaml:6:36: error: amount: double where decimal is wanted
         6 |     with: { order_id: key, amount: 0.1 + 0.2, currency: start.region }
           |                                    ^^^^^^^^^ money is never a double: write decimal('...') or decimal(x)
    "#]]);
    check(&saga("steps:\n  - step: pay\n    do: payment.Charge\n    with: { order_id: key, amount: 0.125, currency: start.placed_at }\n    undo: payment.Refund\n"), expect![[r#"
        sagas/x.yaml:6:36: error: amount: 0.125 does not fit decimal(18,2) without losing digits: round it
         6 |     with: { order_id: key, amount: 0.125, currency: start.placed_at }
           |                                    ^^^^^
        sagas/x.yaml:6:53: error: currency: this may be absent, and the field needs a value
         6 |     with: { order_id: key, amount: 0.125, currency: start.placed_at }
           |                                                     ^^^^^^^^^^^^^^^ write .orValue(...) behind it, or ask has(...) first
    "#]]);
    check(&saga("steps:\n  - step: a\n    do: inventory.ReserveStock\n    with: { order_id: key, items: \"start.items.map(i, {'sku': i.sku, 'qty': i.sku})\" }\n    undo: nothing\n"), expect![[r#"
        sagas/x.yaml:6:35: error: items: items: qty: string where int is wanted
         6 |     with: { order_id: key, items: "start.items.map(i, {'sku': i.sku, 'qty': i.sku})" }
           |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]]);
}

#[test]
fn expressions_and_certainty() {
    let two = |second: &str| saga(&format!("steps:\n  - {{ step: one, if: start.total > 5, do: fraud.Score, with: {{ order_id: key }}, undo: nothing }}\n  - {{ step: two, do: fraud.Score, undo: nothing, {second} }}\n"));
    check(&two("with: { order_id: string(steps.one.score) }"), expect![[r#"
        sagas/x.yaml:5:81: error: step 'one' may have been skipped: it has an if
         5 |   - { step: two, do: fraud.Score, undo: nothing, with: { order_id: string(steps.one.score) } }
           |                                                                                 ^^^ write steps.?one.?FIELD.orValue(...), or ask has(steps.one) first
    "#]]);
    check(&two("if: has(steps.one), with: { order_id: string(steps.one.score) }"), expect![""]);
    check(&two("with: { order_id: string(steps.two.score) }"), expect![[r#"
        sagas/x.yaml:5:81: error: step 'two' has not run here
         5 |   - { step: two, do: fraud.Score, undo: nothing, with: { order_id: string(steps.two.score) } }
           |                                                                                 ^^^ only steps that stand before can be read
    "#]]);
    check(&two("if: size(start.items), with: { order_id: key }"), expect![[r#"
        sagas/x.yaml:5:54: error: a condition is a bool, not int
         5 |   - { step: two, do: fraud.Score, undo: nothing, if: size(start.items), with: { order_id: key } }
           |                                                      ^^^^^^^^^^^^^^^^^
    "#]]);
    check(&two("if: start.total >> 3, with: { order_id: key }"), expect![[r#"
        sagas/x.yaml:5:68: error: this is not an expression: extraneous input '>'
         5 |   - { step: two, do: fraud.Score, undo: nothing, if: start.total >> 3, with: { order_id: key } }
           |                                                                    ^
    "#]]);
    check(&saga("rules:\n  d: start.total > 1 ? 1 : 2\nsteps: []\n"), expect![[r#"
        sagas/x.yaml:4:26: error: this is not YAML: mapping values are not allowed in this context
         4 |   d: start.total > 1 ? 1 : 2
           |                          ^ an expression with `, : { } [ ] # & * !` must be quoted
    "#]]);
    check(&two("if: min(start.total, 2) > 3, with: { order_id: key }"), expect![[r#"
        sagas/x.yaml:5:54: error: YAML splits this expression at its commas
         5 |   - { step: two, do: fraud.Score, undo: nothing, if: min(start.total, 2) > 3, with: { order_id: key } }
           |                                                      ^^^^^^^^^^^^^^^^^^^^^^^ put the whole expression in quotes: { b: "f(1, 2)" }
    "#]]);
    let one = "steps:\n  - { step: one, if: rules.a, do: fraud.Score, with: { order_id: string(rules.c) }, undo: nothing }\n";
    check(&saga(&format!("rules:\n  c:\n    - {{ if: start.total > 5 }}\n    - {{ if: true, then: 1 }}\n  Big: 1\n  key: 2\n  e: []\n{one}")), expect![[r#"
        sagas/x.yaml:5:9: error: 'then' is missing
         5 |     - { if: start.total > 5 }
           |         ^^ - { if: condition, then: value }
        sagas/x.yaml:6:7: error: a table ends with else
         6 |     - { if: true, then: 1 }
           |       ^^^^^^^^^^^^^^^^^^^^^ - { else: value }
        sagas/x.yaml:7:3: error: 'Big' is not a rule's name
         7 |   Big: 1
           |   ^^^ small letters, digits and _, at most 64, a letter first
        sagas/x.yaml:8:3: error: 'key' is reserved
         8 |   key: 2
           |   ^^^ reserved are: start, steps, rules, key, event, failure, now, started, index, round, saga
        sagas/x.yaml:9:6: error: a table ends with else
         9 |   e: []
           |      ^^ - { else: expression }
    "#]]);
    check(&saga(&format!("rules:\n  a: rules.b\n  b: rules.a\n  c:\n    - {{ if: start.total > 5, then: 1 }}\n    - {{ else: \"'x'\" }}\n  e: start.nope\n{one}")), expect![[r#"
        sagas/x.yaml:5:12: error: rule 'a' needs itself
         5 |   b: rules.a
           |            ^
        sagas/x.yaml:8:15: error: this is string, the values above are int
         8 |     - { else: "'x'" }
           |               ^^^^^ all values of a table have one type
        sagas/x.yaml:9:12: error: OrderPlaced has no field 'nope'
         9 |   e: start.nope
           |            ^^^^ there are: order_id, customer_id, region, total, currency, items, placed_at
    "#]]);
    check(&saga(&format!("rules:\n  a: start.region == express\n  c:\n    - {{ if: has(start.placed_at), then: start.placed_at }}\n    - {{ else: now }}\n  d: \"has(start.placed_at) ? start.placed_at.getHours() : 'x'\"\n{one}")), expect![[r#"
        sagas/x.yaml:4:22: error: unknown name 'express'
         4 |   a: start.region == express
           |                      ^^^^^^^ there are: start, steps, rules, key, now, started, failure
        sagas/x.yaml:8:30: error: both sides must be of one type: int and string
         8 |   d: "has(start.placed_at) ? start.placed_at.getHours() : 'x'"
           |                              ^^^^^
    "#]]);
    check(&saga("rules:\n  big: start.total > 5\nsteps:\n  - { step: one, do: fraud.Score, with: { order_id: key }, undo: nothing }\non_compensated: { emit: OrderCancelled, to: out, with: { order_id: key, reason: string(steps.one.score) } }\n"), expect![[r#"
        sagas/x.yaml:7:94: error: step 'one' may not have succeeded here
         7 | on_compensated: { emit: OrderCancelled, to: out, with: { order_id: key, reason: string(steps.one.score) } }
           |                                                                                              ^^^ write steps.?one.?FIELD.orValue(...), or ask has(steps.one) first
    "#]]);
    check("saga: x\nstart: { on: OrderPlaced, from: orders, key: event.total, if: steps.one.x == 1 }\nsteps:\n  - { step: one, do: fraud.Score, with: { order_id: key }, undo: nothing }\non_completed: { emit: OrderCancelled, to: out, with: { order_id: key, reason: failure.code } }\n", expect![[r#"
        sagas/x.yaml:2:46: error: a key is a string or an int, not decimal
         2 | start: { on: OrderPlaced, from: orders, key: event.total, if: steps.one.x == 1 }
           |                                              ^^^^^^^^^^^
        sagas/x.yaml:2:69: error: no step has run when a saga starts
         2 | start: { on: OrderPlaced, from: orders, key: event.total, if: steps.one.x == 1 }
           |                                                                     ^^^
        sagas/x.yaml:5:79: error: nothing has failed here
         5 | on_completed: { emit: OrderCancelled, to: out, with: { order_id: key, reason: failure.code } }
           |                                                                               ^^^^^^^ failure can be read in an undo's with and in on_compensated
    "#]]);
}

fn environment_of<'a>(start: &'a [u8], results: &'a dyn Fn(usize) -> Option<&'a [u8]>, failure: Option<&'a Failure>, budget: &'a Budget) -> Environment<'a> {
    Environment { key: "ord-1", start, results, failure, now: 1_900_000_000_000, started: 1_800_000_000_000, budget }
}

fn avro(schema: &Schema, json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    transcode(schema, json.as_bytes(), &mut out).unwrap();
    out
}

fn shown(schema: &Schema, bytes: &[u8]) -> String {
    schema.validate(bytes).unwrap();
    let mut json = String::new();
    render(schema, schema.root(), bytes, &mut json).unwrap();
    json
}

/// The start event's bytes as the state keeps them.
fn kept(definition: &Definition, json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let resolver = Resolver::new(definition.start.reader.clone(), definition.start.kept.clone()).unwrap();
    resolver.resolve(&avro(&definition.start.reader, json), &mut out).unwrap();
    out
}

const PLACED: &str = r#"{"order_id":"ord-1","customer_id":"c1","region":"EU","total":"120.50","currency":"EUR","items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#;

#[test]
fn a_saga_keeps_only_what_its_expressions_read() {
    let mut schemas = schemas();
    let definition = compile(FILE, &order(), &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let start = &definition.start;
    let names: Vec<&str> = start.kept.fields(start.kept.root()).iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["order_id", "region", "total", "currency", "items"], "customer_id and placed_at are read by nothing");
    assert!(definition.steps[0].kept.is_none() && definition.steps[1].kept.is_none() && definition.steps[2].kept.is_some());
    assert_eq!(schemas.by_key(start.kept.key()).map(|known| known.name()), Some("OrderPlaced"), "stored bytes name their schema");

    let text = step("    with: { order_id: key }\n    undo: nothing\n  - { step: two, if: steps.one.score > 3, do: fraud.Score, with: { order_id: key }, undo: nothing }\n");
    let mut schemas = self::schemas();
    let definition = compile(FILE, &text, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let result = definition.steps[0].kept.as_ref().unwrap();
    let bytes = avro(result, r#"{"score":4}"#);
    assert_eq!(bytes, [8], "one int and nothing else");
    let start = kept(&definition, PLACED);
    let budget = Budget::new();
    let results = |step: usize| (step == 0).then_some(&bytes[..]);
    let condition = definition.steps[1].condition.as_ref().unwrap();
    assert_eq!(condition.truth(&environment_of(&start, &results, None, &budget)), Ok(true));
    let nothing = |_| None;
    let error = condition.truth(&environment_of(&start, &nothing, None, &budget)).unwrap_err();
    assert_eq!((error.code, error.place.as_str()), ("TYPE", "sagas/x.yaml:8:22"));
}

fn rendered(template: &Template, environment: &Environment<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    template.render(environment, &mut out).unwrap();
    out.split_off(6)
}

#[test]
fn bodies_are_rendered_in_their_final_encoding() {
    let mut schemas = schemas();
    let definition = compile(FILE, &order(), &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let start = kept(&definition, PLACED);
    let ship = avro(definition.steps[2].kept.as_ref().unwrap(), r#"{"tracking":"T1"}"#);
    let results = |step: usize| (step == 2).then_some(&ship[..]);
    let failure = Failure { code: "NO_SLOT".into(), step: "ship".into(), kind: FailureKind::Refused, message: "".into() };
    let budget = Budget::new();
    let environment = environment_of(&start, &results, Some(&failure), &budget);
    let body = |name: &str, template: &Template| shown(schemas.named(name).unwrap(), &rendered(template, &environment));
    let step = |index: usize| definition.steps[index].call.body.as_ref().unwrap();
    assert_eq!(body("inventory.ReserveStock", step(0)), r#"{"order_id":"ord-1","items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#);
    assert_eq!(body("payment.Charge", step(1)), r#"{"order_id":"ord-1","amount":"120.50","currency":"EUR"}"#);
    assert_eq!(body("shipping.Ship", step(2)), r#"{"order_id":"ord-1","region":"EU","items":[{"sku":"a","qty":2},{"sku":"b","qty":1}]}"#);
    assert_eq!(body("OrderFulfilled", &definition.on_completed[0].body), r#"{"order_id":"ord-1","tracking":"T1"}"#);
    assert_eq!(body("OrderCancelled", &definition.on_compensated[0].body), r#"{"order_id":"ord-1","reason":"NO_SLOT"}"#);
    assert!(matches!(&definition.steps[0].undo, Undo::Command { call, .. } if call.body.is_none()), "the do's body, byte for byte");
    assert_eq!(definition.steps.iter().map(|step| step.phase).collect::<Vec<_>>(), [Phase::Compensatable, Phase::Compensatable, Phase::Pivot]);
    assert!(budget.left() < 1_000_000 && budget.left() > 999_900, "a turn's expressions share one budget");
}

#[test]
fn json_participants_get_json_and_money_stays_text() {
    let text = saga(
        "steps:\n  - step: typed\n    do: payment.Charge\n    with: { order_id: key, amount: start.total, currency: start.currency }\n    undo: fraud.Forget\n  - step: free\n    do: legacy.Call\n    with: { id: key, total: start.total, twice: start.total * 2, first: \"start.items[0]\", tags: [ key, 1 ], none: start.placed_at, deep: { n: 3 }, got: steps.typed.charge_id }\n    undo: nothing\n",
    );
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    for name in ["payment", "legacy"] {
        settings.participants.insert(name.into(), Participant { encoding: Encoding::Json, ..Participant::default() });
    }
    let definition = compile(FILE, &text, &mut settings).unwrap().remove(0);
    let start = kept(&definition, PLACED);
    let charged = avro(definition.steps[0].kept.as_ref().unwrap(), r#"{"charge_id":"c-7"}"#);
    let results = |step: usize| (step == 0).then_some(&charged[..]);
    let budget = Budget::new();
    let environment = environment_of(&start, &results, None, &budget);
    let body = |index: usize| String::from_utf8(rendered(definition.steps[index].call.body.as_ref().unwrap(), &environment)).unwrap();
    assert_eq!(body(0), r#"{"order_id":"ord-1","amount":"120.50","currency":"EUR"}"#);
    assert_eq!(
        body(1),
        r#"{"id":"ord-1","total":"120.50","twice":"241.00","first":{"sku":"a","qty":2},"tags":["ord-1",1],"none":null,"deep":{"n":3},"got":"c-7"}"#
    );
    // The undo's participant takes Avro and has fewer fields: its body is made of the do's.
    let Undo::Command { call, .. } = &definition.steps[0].undo else { panic!() };
    assert_eq!(shown(schemas.named("fraud.Forget").unwrap(), &rendered(call.body.as_ref().unwrap(), &environment)), r#"{"order_id":"ord-1"}"#);
}

#[test]
fn an_event_without_a_schema_is_read_as_it_comes() {
    let text = "saga: x\nstart: { on: Unheard, from: in, key: event.id, if: event.total > 99.5 }\nsteps:\n  - { step: pay, do: payment.Charge, with: { order_id: string(start.id), amount: start.total, currency: start.?currency.orValue('EUR') }, undo: payment.Refund }\n";
    let mut schemas = schemas();
    let definition = compile(FILE, text, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let event = |json: &str| avro(&definition.start.reader, json);
    let nothing = |_| None;
    let budget = Budget::new();
    let good = event(r#"{"id":17,"total":100.25,"more":[1]}"#);
    let environment = environment_of(&good, &nothing, None, &budget);
    assert_eq!(definition.start.key.as_ref().unwrap().text(&environment).unwrap(), "17");
    assert!(definition.start.condition.as_ref().unwrap().truth(&environment).unwrap());
    let body = rendered(definition.steps[0].call.body.as_ref().unwrap(), &environment);
    assert_eq!(shown(schemas.named("payment.Charge").unwrap(), &body), r#"{"order_id":"17","amount":"100.25","currency":"EUR"}"#);
    for (bad, code) in [(r#"{"id":1,"total":"x"}"#, "TYPE"), (r#"{"id":1}"#, "ABSENT"), (r#"{"id":1,"total":1.005}"#, "TYPE")] {
        let (bad, nothing) = (event(bad), |_| None);
        let environment = environment_of(&bad, &nothing, None, &budget);
        let mut out = vec![1, 2, 3];
        let error = definition.steps[0].call.body.as_ref().unwrap().render(&environment, &mut out).unwrap_err();
        assert_eq!((error.code, &out[..]), (code, &[1, 2, 3][..]), "{error}");
    }
}

#[test]
fn an_edited_schema_never_changes_a_version() {
    let mut schemas = schemas();
    let record = DefinitionRecord::of_file(FILE, &order(), 7, &mut Settings::new(&mut schemas)).unwrap().remove(0);
    let record = DefinitionRecord::decode(&record.encode()).unwrap();
    assert!(record.schemas.contains_key("OrderPlaced") && record.schemas.contains_key("payment.ChargeCommand"), "{:?}", record.schemas);
    let first = record.compile(&mut Settings::new(&mut schemas)).unwrap();

    // A new process, where the file of payment.Charge has changed: history brings the old schemas by their keys.
    let changed = r#"{"type":"record","name":"Charge","namespace":"payment","fields":[{"name":"order","type":"string"}]}"#;
    let mut edited = Schemas::builtin();
    for schema in schemas.iter() {
        if record.schemas.values().any(|key| *key == format!("{:016x}", schema.key())) {
            edited.add_version(schema.text()).unwrap();
        }
    }
    edited.add(changed).unwrap();
    let again = record.compile(&mut Settings::new(&mut edited)).unwrap();
    assert_eq!((again.hash, again.start.kept.key()), (first.hash, first.start.kept.key()));
    assert_eq!(again.steps[1].call.envelope, first.steps[1].call.envelope);
    assert_ne!(edited.named("payment.Charge").unwrap().key(), schemas.named("payment.Charge").unwrap().key());

    let mut catalog = Catalog::default();
    catalog.add(&record, 0, &mut Settings::new(&mut edited)).unwrap();
    assert!(catalog.is_newest(&record));
    let mut unknown = Schemas::builtin();
    let errors = record.compile(&mut Settings::new(&mut unknown)).unwrap_err();
    assert!(errors[0].message.starts_with("this version needs OrderPlaced with key"), "{}", errors[0]);
    let damaged = DefinitionRecord { text: record.text.replace("3d", "4d"), ..record };
    assert!(damaged.compile(&mut Settings::new(&mut schemas)).unwrap_err()[0].hint.contains("damaged"));
}

#[test]
fn the_catalog_knows_every_version() {
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    let mut record = |text: &str| DefinitionRecord::of_file(FILE, text, 0, &mut settings).unwrap();
    let first = record(&order()).remove(0);
    let second = record(&order().replace("deadline: 3d", "deadline: 2d")).remove(0);
    let other = record("saga: other\nstart: { on: OrderPlaced, from: orders }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget }\n---\nsaga: third\nstart: { on: OrderCancelled, from: outcomes }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n");
    let mut catalog = Catalog::default();
    let mut add = |record: &DefinitionRecord, offset| catalog.add(record, offset, &mut settings).unwrap();
    let (one, two) = (add(&first, 0), add(&second, 1));
    let (others, back) = (add(&other[0], 2), add(&first, 3));
    add(&other[1], 4);
    assert_eq!(other[1].line, 5);
    assert!(std::sync::Arc::ptr_eq(&one, &back));
    assert_eq!((catalog.number_of(&one.hash), catalog.number_of(&two.hash), catalog.number_of(&others.hash)), (Some(1), Some(2), Some(1)));
    assert_eq!((catalog.offset_of(&one.hash), catalog.offset_of(&two.hash), catalog.loaded_to()), (Some(0), Some(1), 5));
    assert_eq!(catalog.newest("order-fulfilment").unwrap().hash, one.hash, "the edit was taken back");
    let starting: Vec<&str> = catalog.starting_on("orders", "OrderPlaced").iter().map(|definition| &*definition.name).collect();
    assert_eq!(starting, ["order-fulfilment", "other"]);
    assert!(catalog.starting_on("orders", "OrderCancelled").is_empty() && catalog.starting_on("x", "OrderPlaced").is_empty());
    assert_eq!((catalog.default_type("orders"), catalog.default_type("nope")), (Some("OrderPlaced"), None));
    assert_eq!(catalog.start_topics().iter().map(|topic| &**topic).collect::<Vec<_>>(), ["orders", "outcomes"]);
    assert_eq!(catalog.emit_topics().iter().map(|topic| &**topic).collect::<Vec<_>>(), ["order-outcomes"]);
    assert_eq!(catalog.participants().iter().map(|name| &**name).collect::<Vec<_>>(), ["fraud", "inventory", "payment", "shipping"]);
    assert_eq!(catalog.by_hash(&two.hash).unwrap().deadline_ms, Some(2 * 86_400_000));
    assert_eq!(catalog.versions().len(), 4);
}

#[test]
fn mutated_files_are_answered_and_never_panic() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions");
    let mut texts = vec![order()];
    for entry in std::fs::read_dir(examples).unwrap() {
        texts.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let pieces = ["{", "}", "[", "]", ": ", ", ", "- ", "\n", "'", "\"", "#", "&", "*", "|\n  ", "start.", "steps.ship.", ".?", "has(", ")", "1", "0.1", "rules.", "pivot: true", "undo: nothing", "\t", "ü", "\u{0}", "if: ", "999999999999999999999"];
    let mut random = fastrand::Rng::with_seed(17);
    let (mut good, mut bad) = (0, 0);
    let mut schemas = schemas();
    for round in 0..1500 {
        let mut text: Vec<char> = texts[round % texts.len()].chars().collect();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..text.len());
            match random.u32(0..4) {
                0 => drop(text.splice(at..(at + random.usize(1..20)).min(text.len()), [])),
                1 => drop(text.splice(at..at, pieces[random.usize(..pieces.len())].chars())),
                2 => {
                    let from = random.usize(..text.len());
                    let copy: Vec<char> = text[from..(from + random.usize(1..40)).min(text.len())].to_vec();
                    drop(text.splice(at..at, copy));
                }
                _ => text[at] = pieces[random.usize(..pieces.len())].chars().next().unwrap(),
            }
        }
        let text: String = text.into_iter().collect();
        match compile(FILE, &text, &mut Settings::new(&mut schemas)) {
            Ok(_) => good += 1,
            Err(errors) => {
                assert!(!errors.is_empty() && errors.iter().all(|error| error.line >= 1 && !error.to_string().is_empty()));
                bad += 1;
            }
        }
    }
    assert!(good > 50 && bad > 500, "{good} good, {bad} bad: the mutations mean nothing");
}

#[test]
fn the_example_definitions_compile() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let mut schemas = schemas();
        let mut settings = Settings::new(&mut schemas);
        settings.participants.insert("legacy".into(), Participant { encoding: Encoding::Json, ..Participant::default() });
        if let Err(errors) = compile(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap(), &mut settings) {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        count += 1;
    }
    assert!(count >= 3);
}
