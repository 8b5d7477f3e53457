//! Several events that start a saga: what of them can be read, and what each reads for itself.

use expect_test::expect;

use super::errors::{check, errors};
use super::*;
use crate::definition::{Definition, Settings, compile};

const STEPS: &str = "steps:\n  - { step: one, do: fraud.Score, undo: nothing, with: { order_id: key } }\n";

/// A definition that two events start, of these steps.
fn two(steps: &str) -> String {
    format!(
        "saga: x\nstart:\n  - {{ on: OrderPlaced, from: orders, key: event.order_id, if: event.total > 0 }}\n  - {{ on: OrderFulfilled, from: ends, key: event.order_id + event.tracking }}\n{steps}"
    )
}

fn compiled(text: &str) -> Definition {
    let mut schemas = schemas();
    compile(FILE, text, &mut Settings::new(&mut schemas)).unwrap_or_else(|errors| panic!("{errors:?}")).remove(0)
}

fn names(schema: &ringmaster_schemas::avro::Schema) -> Vec<&str> {
    schema.fields(schema.root()).iter().map(|field| &*field.name).collect()
}

/// State keeps one layout; each start keeps what its own expressions read beside it.
#[test]
fn each_start_reads_its_own_event_and_all_else_what_they_have_in_common() {
    let steps = "steps:\n  - { step: one, if: start.?region.orValue('') == 'EU', do: fraud.Score, undo: nothing, with: { order_id: start.order_id } }\n";
    let definition = compiled(&two(steps));
    assert_eq!(names(&definition.start_kept), ["order_id", "region"]);
    let kept: Vec<_> = definition.starts.iter().map(|start| names(&start.kept)).collect();
    assert_eq!(kept, [vec!["order_id", "region", "total"], vec!["order_id", "tracking"]]);
    assert_eq!(definition.inputs().iter().map(|topic| &***topic).collect::<Vec<_>>(), ["ends", "orders"]);
    assert_eq!(definition.started_on("ends", "OrderFulfilled").map(|(number, _)| number), Some(1));
    assert!(definition.started_on("orders", "OrderFulfilled").is_none());
    assert_eq!(definition.start_names(), ["OrderPlaced", "OrderFulfilled"]);
    // Where it is one, it is as if it were no list.
    let alone = "saga: x\nstart: [ { on: OrderPlaced, from: orders, if: event.total > 0 } ]\n".to_owned() + STEPS;
    let alone = compiled(&alone);
    assert_eq!(alone.start_kept.key(), alone.starts[0].kept.key());
    let unknown =
        "saga: x\nstart: [ { on: A, from: a, key: event.id }, { on: B, from: a, key: event.number } ]\n".to_owned() + STEPS;
    assert_eq!(compiled(&unknown).start_names(), ["A", "B"], "where nobody knows a schema, all is known at run time");
    let twice = "saga: x\nstart: [ { on: OrderPlaced, from: orders }, { on: OrderPlaced, from: shops } ]\n".to_owned() + STEPS;
    let twice = compiled(&twice);
    assert_eq!(twice.start_names(), ["OrderPlaced from orders", "OrderPlaced from shops"]);
    assert_eq!(twice.start_named("OrderPlaced from shops").map(|(number, _)| number), Some(1));
}

#[test]
fn what_one_event_lacks_may_be_absent() {
    let reads = |what: &str| two(&STEPS.replace("step: one", &format!("step: one, if: \"{what}\"")));
    assert_eq!(errors(&reads("has(start.region) && start.region == 'EU'")), "");
    assert_eq!(errors(&reads("start.?region.orValue('') == 'EU' && start.order_id != ''")), "");
    check(
        &reads("start.region == 'EU'"),
        expect![[r#"
        sagas/x.yaml:6:29: error: OrderFulfilled, which starts the saga too, has no field 'region'
         6 |   - { step: one, if: "start.region == 'EU'", do: fraud.Score, undo: nothing, with: { order_id: key } }
           |                             ^^^^^^ write start.?region.orValue(...), or ask has(start.region) first
    "#]],
    );
    check(
        &reads("start.reason == ''"),
        expect![[r#"
        sagas/x.yaml:6:29: error: start has no field 'reason'
         6 |   - { step: one, if: "start.reason == ''", do: fraud.Score, undo: nothing, with: { order_id: key } }
           |                             ^^^^^^ did you mean 'region'?
    "#]],
    );
}

#[test]
fn types_that_differ_are_nobodys() {
    let mut schemas = schemas();
    for (name, ty) in [("First", "int"), ("Second", "string")] {
        let text = format!(
            r#"{{"type":"record","name":"{name}","fields":[{{"name":"n","type":"{ty}"}},{{"name":"id","type":"string"}}]}}"#
        );
        schemas.add(&text).expect("a schema");
    }
    let text = |reads: &str| {
        format!(
            "saga: x\nstart:\n  - {{ on: First, from: a, key: string(event.n), if: event.n > 1 }}\n  - {{ on: Second, from: a, key: event.n }}\nsteps:\n  - {{ step: one, if: \"{reads}\", do: fraud.Score, undo: nothing, with: {{ order_id: key }} }}\n"
        )
    };
    let mut told = |reads: &str| match compile(FILE, &text(reads), &mut Settings::new(&mut schemas)) {
        Ok(_) => String::new(),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    };
    assert_eq!(told("start.id == 'x'"), "", "each reads its own");
    expect![[r#"
        sagas/x.yaml:6:29: error: 'n' is an int in First, and a string in Second
         6 |   - { step: one, if: "start.n == 1", do: fraud.Score, undo: nothing, with: { order_id: key } }
           |                             ^ what every start reads is of one type; the key and the if of a start read their own event's
    "#]].assert_eq(&told("start.n == 1"));
    expect![[r#"
        sagas/x.yaml:6:26: error: 'n' is an int in First, and a string in Second
         6 |   - { step: one, if: "has(start.n)", do: fraud.Score, undo: nothing, with: { order_id: key } }
           |                          ^ what every start reads is of one type; the key and the if of a start read their own event's
    "#]]
    .assert_eq(&told("has(start.n)"));
}

#[test]
fn starts_that_cannot_be_told_apart_and_what_is_on_no_single_topic() {
    check(
        &("saga: x\nstart:\n  - { on: OrderPlaced, from: orders }\n  - { on: OrderPlaced, from: orders, key: event.region }\n"
            .to_owned()
            + STEPS),
        expect![[r#"
            sagas/x.yaml:4:11: error: OrderPlaced on orders starts the saga already
             4 |   - { on: OrderPlaced, from: orders, key: event.region }
               |           ^^^^^^^^^^^ on line 3: each start is another event, or the same on another topic
        "#]],
    );
    check(
        &("saga: x\nstart: []\n".to_owned() + STEPS),
        expect![[r#"
        sagas/x.yaml:2:8: error: start is one event or several, not none
         2 | start: []
           |        ^^ start: { on: EVENT, from: TOPIC, key: event.FIELD }
    "#]],
    );
    check(
        &two(
            "cancel: { on: OrderCancelled }\nsteps:\n  - { step: a, wait: OrderFulfilled, from: ends, within: 1h }\n  - { step: b, wait: OrderCancelled, within: 1h }\n",
        ),
        expect![[r#"
            sagas/x.yaml:5:15: error: it is not clear which topic OrderCancelled comes on
             5 | cancel: { on: OrderCancelled }
               |               ^^^^^^^^^^^^^^ say from: TOPIC; only where all starts have one topic, it is that one
            sagas/x.yaml:7:22: error: OrderFulfilled on ends starts the saga
             7 |   - { step: a, wait: OrderFulfilled, from: ends, within: 1h }
               |                      ^^^^^^^^^^^^^^ it cannot be told whether it starts a saga, or is for one that lives: let it be another type, or another topic
            sagas/x.yaml:8:22: error: it is not clear which topic OrderCancelled comes on
             8 |   - { step: b, wait: OrderCancelled, within: 1h }
               |                      ^^^^^^^^^^^^^^ say from: TOPIC; only where all starts have one topic, it is that one
        "#]],
    );
    check(
        &("saga: x\nstart:\n  - { on: OrderPlaced, from: orders }\n  - { on: Unheard, from: orders }\n".to_owned() + STEPS),
        expect![[r#"
            sagas/x.yaml:4:11: error: Unheard has no schema, and another event that starts the saga has one
             4 |   - { on: Unheard, from: orders }
               |           ^^^^^^^ add the record Unheard to the schemas
        "#]],
    );
}
