//! Every check by its text.

use expect_test::{Expect, expect};
use ringmaster_schemas::journal::Encoding;

use super::*;
use crate::definition::{Participant, Settings, compile};

pub(super) fn errors(text: &str) -> String {
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    settings.participants.insert("legacy".into(), Participant { encoding: Encoding::Json, ..Participant::default() });
    let found = match compile(FILE, text, &mut settings) {
        Ok(_) => settings.warnings,
        Err(errors) => errors,
    };
    found.iter().map(|error| format!("{error}\n")).collect()
}

pub(super) fn check(text: &str, expected: Expect) {
    expected.assert_eq(&errors(text));
}

#[test]
fn the_order_saga_is_without_a_word() {
    check(&order(), expect![""]);
}

#[test]
fn keys_and_names() {
    check(
        &step("    timout: 5s\n    undo: nothing\n"),
        expect![[r#"
        sagas/x.yaml:4:11: error: fraud.Score needs the field 'order_id' (string)
         4 |   - step: one
           |           ^^^ write order_id: and what it is
        sagas/x.yaml:6:5: error: a step has no 'timout'
         6 |     timout: 5s
           |     ^^^^^^ did you mean 'timeout'?
    "#]],
    );
    check(
        &step("    undo: nothing\n    parallel: { a: [] }\n"),
        expect![[r#"
            sagas/x.yaml:7:5: error: a step does one thing: 'do' or 'parallel'
             7 |     parallel: { a: [] }
               |     ^^^^^^^^ make two steps of it
        "#]],
    );
    check(
        "saga: Order!\nstart: { on: 'Order Placed', from: 'or ders' }\nsteps: [ { step: One, do: Charge, undo: nothing } ]\n",
        expect![[r#"
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
               |                  ^^^ small letters, digits and _, at most 64, a letter first: 'one'
            sagas/x.yaml:3:27: error: 'Charge' is not a command
             3 | steps: [ { step: One, do: Charge, undo: nothing } ]
               |                           ^^^^^^ participant.Command, for example payment.Charge
        "#]],
    );
    check(
        "saga: x\nsteps: []\n",
        expect![[r#"
            sagas/x.yaml:1:1: error: 'start' is missing
             1 | saga: x
               | ^^^^ start: { on: EVENT, from: TOPIC, key: event.FIELD }
            sagas/x.yaml:2:8: error: a list has 1 to 200 steps, not 0
             2 | steps: []
               |        ^^ write what is done, each step behind a dash: - step: NAME; or remove what has no steps
        "#]],
    );
}

#[test]
fn structure() {
    check(
        "- a\n",
        expect![[r#"
            sagas/x.yaml:1:1: error: a definition is a map, not a list
             1 | - a
               | ^^^ it has: saga, description, start, input, cancel, deadline, priority, search, retain, rules, steps, result, on_completed, on_compensated, on_stuck
        "#]],
    );
    check(
        "",
        expect![[r#"
        sagas/x.yaml:1:1: error: there is no definition in this file
         1 | 
           | ^ saga: NAME
    "#]],
    );
    check(
        &saga("steps:\n  - { step: start, do: fraud.Score, undo: nothing }\n"),
        expect![[r#"
            sagas/x.yaml:4:13: error: 'start' is reserved
             4 |   - { step: start, do: fraud.Score, undo: nothing }
               |             ^^^^^ reserved are: start, steps, rules, key, event, failure, now, started, index, round, saga
            sagas/x.yaml:4:13: error: fraud.Score needs the field 'order_id' (string)
             4 |   - { step: start, do: fraud.Score, undo: nothing }
               |             ^^^^^ write order_id: and what it is
        "#]],
    );
    check(
        &saga(
            "steps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n",
        ),
        expect![[r#"
            sagas/x.yaml:5:13: error: step 'a' is defined twice
             5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }
               |             ^ it is first on line 4: give one of them another name
        "#]],
    );
}

#[test]
fn later_words_and_duplicates() {
    check(
        &saga("cancel: { on: X }\nsearch: { a: key }\npriority: 30\nsteps:\n  - { step: a, wait: CardChanged }\n"),
        expect![[r#"
            sagas/x.yaml:5:11: error: a priority is from 0 to 9, not 30
             5 | priority: 30
               |           ^^ priority: 8 goes before 5, which is the usual one
        "#]],
    );
    check(
        "saga: x\nsaga: y\n",
        expect![[r#"
            sagas/x.yaml:1:1: error: 'start' is missing
             1 | saga: x
               | ^^^^ start: { on: EVENT, from: TOPIC, key: event.FIELD }
            sagas/x.yaml:1:1: error: 'steps' is missing
             1 | saga: x
               | ^^^^ steps: a list of steps
            sagas/x.yaml:2:1: error: another definition begins here
             2 | saga: y
               | ^^^^ each definition of a file begins with a line ---: write one above
            sagas/x.yaml:2:1: error: 'start' is missing
             2 | saga: y
               | ^^^^ start: { on: EVENT, from: TOPIC, key: event.FIELD }
            sagas/x.yaml:2:1: error: 'steps' is missing
             2 | saga: y
               | ^^^^ steps: a list of steps
        "#]],
    );
    check(
        "saga: x\nstart: { on: [OrderPlaced, from: orders }\n",
        expect![[r#"
            sagas/x.yaml:2:14: error: this is not YAML: this [ is not closed
             2 | start: { on: [OrderPlaced, from: orders }
               |              ^ write ] at its end
        "#]],
    );
    check(
        &format!("{}---\n{}", order(), order()),
        expect![[r#"
            sagas/x.yaml:33:7: error: saga 'order-fulfilment' is defined twice
             33 | saga: order-fulfilment
                |       ^^^^^^^^^^^^^^^^ it is first on line 3: give one of them another name
        "#]],
    );
}

#[test]
fn undo_and_pivot() {
    check(
        &step("    with: { order_id: key }\n"),
        expect![[r#"
        sagas/x.yaml:4:11: error: step 'one' does not say how it is undone
         4 |   - step: one
           |           ^^^ write undo: participant.Command, or undo: nothing
    "#]],
    );
    check(
        &step(
            "    with: { order_id: key }\n    undo: nothing\n    pivot: true\n  - { step: two, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget, pivot: true }\n",
        ),
        expect![[r#"
            sagas/x.yaml:7:11: error: an undo on the pivot could never run
             7 |     undo: nothing
               |           ^^^^^^^ remove it
            sagas/x.yaml:9:13: error: there is one pivot at most on each way
             9 |   - { step: two, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget, pivot: true }
               |             ^^^ the first is 'one'; behind it steps cannot be refused any more
            sagas/x.yaml:9:66: error: an undo on the pivot could never run
             9 |   - { step: two, do: fraud.Score, with: { order_id: key }, undo: fraud.Forget, pivot: true }
               |                                                                  ^^^^^^^^^^^^ remove it
        "#]],
    );
    check(
        &step("    with: { order_id: key }\n    undo: fraud.Unscore\n"),
        expect![[r#"
        sagas/x.yaml:7:11: error: fraud.Unscore needs the field 'why', which the do's body does not have
         7 |     undo: fraud.Unscore
           |           ^^^^^^^^^^^^^ say what it gets: undo: { do: ..., with: { ... } }
    "#]],
    );
    check(
        &step("    with: { order_id: key }\n    undo: { do: fraud.Unscore, with: { order_id: key, why: steps.one.note } }\n"),
        expect![[r#"
        sagas/x.yaml:7:66: error: step 'one' may not have succeeded here
         7 |     undo: { do: fraud.Unscore, with: { order_id: key, why: steps.one.note } }
           |                                                                  ^^^ write steps.?one.?FIELD.orValue(...), or ask has(steps.one) first
    "#]],
    );
    check(
        &step("    with: { order_id: key }\n    undo: { do: fraud.Unscore, with: { order_id: key, why: failure.cod } }\n"),
        expect![[r#"
        sagas/x.yaml:7:68: error: the record has no field 'cod'
         7 |     undo: { do: fraud.Unscore, with: { order_id: key, why: failure.cod } }
           |                                                                    ^^^ did you mean 'code'?
    "#]],
    );
    check(
        &step("    with: { order_id: key }\n    undo: later\n    pivot: maybe\n"),
        expect![[r#"
            sagas/x.yaml:7:11: error: 'later' is not a command
             7 |     undo: later
               |           ^^^^^ undo: participant.Command, or { do: ..., with: ... }; where nothing is to be undone, undo: nothing
            sagas/x.yaml:8:12: error: pivot is true or false
             8 |     pivot: maybe
               |            ^^^^^ pivot: true
        "#]],
    );
}

#[test]
fn durations_and_retries() {
    check(
        &saga(
            "deadline: soon\nretain: 0s\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, timeout: 5, within: start.total }\n",
        ),
        expect![[r#"
            sagas/x.yaml:3:11: error: 'soon' is not a duration
             3 | deadline: soon
               |           ^^^^ a duration is written as 200ms, 10s, 5m, 1h30m, 14d
            sagas/x.yaml:4:9: error: retain of no time
             4 | retain: 0s
               |         ^^ remove it, or write for example 10s
            sagas/x.yaml:6:82: error: '5' is not a duration
             6 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, timeout: 5, within: start.total }
               |                                                                                  ^ write its unit: 5s, 5ms
            sagas/x.yaml:6:93: error: 'start.total' is not a duration
             6 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, timeout: 5, within: start.total }
               |                                                                                             ^^^^^^^^^^^ a duration is written as 200ms, 10s, 5m, 1h30m, 14d
        "#]],
    );
    check(
        &step(
            "    with: { order_id: key }\n    undo: nothing\n    retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }\n",
        ),
        expect![[r#"
            sagas/x.yaml:8:24: error: attempts is a number from 1 to 65535
             8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
               |                        ^ remove it for as many as within allows
            sagas/x.yaml:8:34: error: 'x' is not a duration
             8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
               |                                  ^ a duration is written as 200ms, 10s, 5m, 1h30m, 14d
            sagas/x.yaml:8:45: error: factor is a number from 1 to 100
             8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
               |                                             ^^^ factor: 2, for example, doubles the wait each time
            sagas/x.yaml:8:67: error: not_on is a list of codes, not a single value
             8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
               |                                                                   ^^^^ not_on: [ CODE ]
            sagas/x.yaml:8:73: error: retry has no 'often'
             8 |     retry: { attempts: 0, first: x, factor: 0.5, max: 1s, not_on: CODE, often: 3 }
               |                                                                         ^^^^^ there are: attempts, first, factor, max, not_on
        "#]],
    );
    check(
        &saga(
            "deadline: 31d\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 40d, timeout: 41d }\n",
        ),
        expect![[r#"
            sagas/x.yaml:3:11: error: deadline (31d) is longer than fraud remembers what it did (30d)
             3 | deadline: 31d
               |           ^^^ shorten it, or raise participants."fraud".remembers
            sagas/x.yaml:5:81: error: within (40d) is longer than fraud remembers what it did (30d)
             5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 40d, timeout: 41d }
               |                                                                                 ^^^ shorten it, or raise participants."fraud".remembers
        "#]],
    );
    check(
        &saga(
            "deadline: 1h\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 2h, retry: { first: 5s, max: 1s } }\n",
        ),
        expect![[r#"
            sagas/x.yaml:5:81: warning: this is never reached: the saga's deadline is earlier
             5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 2h, retry: { first: 5s, max: 1s } }
               |                                                                                 ^^ give it less time, or the saga a longer deadline
            sagas/x.yaml:5:110: warning: the longest wait is shorter than the first
             5 |   - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing, within: 2h, retry: { first: 5s, max: 1s } }
               |                                                                                                              ^^ raise max, or lower first
        "#]],
    );
}

#[test]
fn participants_that_forget_too_soon() {
    let mut schemas = schemas();
    let mut settings = Settings::new(&mut schemas);
    settings.participants.insert("shipping".into(), Participant { remembers_ms: 3_600_000, ..Participant::default() });
    let errors = compile(FILE, &order().replace("deadline: 3d\n", ""), &mut settings).unwrap_err();
    let found: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(found, ["within (24h) is longer than shipping remembers what it did (1h)"], "also a default counts");
}

#[test]
fn schemas_that_are_missing_or_wrong() {
    check(
        &saga(
            "steps:\n  - { step: a, do: legacy.Call, with: { order_id: key }, undo: nothing }\n  - { step: b, if: steps.a.ok, do: fraud.Score, with: { order_id: key }, undo: nothing }\n",
        ),
        expect![[r#"
            sagas/x.yaml:4:20: warning: legacy.Call has no schema: its body is not checked
             4 |   - { step: a, do: legacy.Call, with: { order_id: key }, undo: nothing }
               |                    ^^^^^^^^^^^ add its record to the schemas
            sagas/x.yaml:4:20: warning: legacy.CallResult has no schema: steps.a is known only at run time
             4 |   - { step: a, do: legacy.Call, with: { order_id: key }, undo: nothing }
               |                    ^^^^^^^^^^^ add its record to the schemas
        "#]],
    );
    check(
        &saga("steps:\n  - { step: a, do: fraud.Scan, with: { order_id: key }, undo: fraud.Nope }\n"),
        expect![[r#"
            sagas/x.yaml:4:20: error: fraud.Scan has no schema, and fraud takes Avro
             4 |   - { step: a, do: fraud.Scan, with: { order_id: key }, undo: fraud.Nope }
               |                    ^^^^^^^^^^ add the record fraud.Scan to the schemas, or set participants."fraud".encoding to json
            sagas/x.yaml:4:63: error: fraud.Nope has no schema, and fraud takes Avro
             4 |   - { step: a, do: fraud.Scan, with: { order_id: key }, undo: fraud.Nope }
               |                                                               ^^^^^^^^^^ add the record fraud.Nope to the schemas, or set participants."fraud".encoding to json
        "#]],
    );
    check(
        &saga("steps:\n  - { step: a, do: legacy.Call, with: { order_id: key, total: start.total }, undo: nothing }\n"),
        expect![[r#"
        sagas/x.yaml:4:20: warning: legacy.Call has no schema: its body is not checked
         4 |   - { step: a, do: legacy.Call, with: { order_id: key, total: start.total }, undo: nothing }
           |                    ^^^^^^^^^^^ add its record to the schemas
    "#]],
    );
    check(
        "saga: x\nstart: { on: Colour, from: orders }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\n",
        expect![[r#"
        sagas/x.yaml:2:14: error: Colour is not a record
         2 | start: { on: Colour, from: orders }
           |              ^^^^^^ commands, results and events are records
    "#]],
    );
    check(
        "saga: x\nstart: { on: Unheard, from: orders, key: event.id }\nsteps:\n  - { step: a, do: fraud.Score, with: { order_id: key }, undo: nothing }\non_completed: { emit: Unheard2, to: out, with: { a: start.x } }\n",
        expect![[r#"
        sagas/x.yaml:2:14: warning: Unheard has no schema: its fields are known only at run time
         2 | start: { on: Unheard, from: orders, key: event.id }
           |              ^^^^^^^ add its record to the schemas
        sagas/x.yaml:5:23: warning: Unheard2 has no schema: its body is not checked, and it is JSON
         5 | on_completed: { emit: Unheard2, to: out, with: { a: start.x } }
           |                       ^^^^^^^^ add its record to the schemas
    "#]],
    );
}
