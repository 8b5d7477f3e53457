//! What the tests of definitions share.

mod all_errors;
mod bodies;
mod errors;
mod errors_in_expressions;
mod for_each;
mod for_each_certainty;
mod language;
mod listeners;
mod matching;
mod mutations;
mod newcomer;
mod pages;
mod reactions;
mod refused;
mod run;
mod search;
mod starts;
mod table;
mod topics;
mod verbs;
mod versions;
mod waits;

use std::path::Path;

use ringmaster_schemas::registry::Schemas;

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
        r#"{"type":"record","name":"Bundle","namespace":"fraud","fields":[{"name":"crates","type":{"type":"array","items":{"type":"record","name":"Crate","fields":[{"name":"label","type":"string"},{"name":"note","type":"string","default":""},{"name":"inside","type":{"type":"array","items":"Crate"}}]}}}]}"#,
        r#"{"type":"record","name":"OrderLeft","fields":[{"name":"order_id","type":"string"},{"name":"tracking","type":"string"}]}"#,
        r#"{"type":"record","name":"Ask","namespace":"fraud","fields":[{"name":"order_id","type":"string"}]}"#,
        r#"{"type":"record","name":"AskResult","namespace":"fraud","fields":[{"name":"order_id","type":"string"},{"name":"tracking","type":"string"}]}"#,
        r#"{"type":"enum","name":"Colour","symbols":["RED"]}"#,
        r#"{"type":"record","name":"Parcel","fields":[{"name":"id","type":"string"},{"name":"places","type":{"type":"map","values":"int"}},{"name":"codes","type":{"type":"array","items":"string"},"secret":true},{"name":"cards","type":{"type":"array","items":{"type":"record","name":"Card","fields":[{"name":"number","type":"string","secret":true},{"name":"kind","type":"string"}]}}},{"name":"boxes","type":{"type":"array","items":{"type":"record","name":"Box","fields":[{"name":"label","type":"string"},{"name":"inside","type":{"type":"array","items":"Box"}}]}}},{"name":"lid","type":["null","Box"],"default":null},{"name":"bags","type":{"type":"array","items":{"type":"record","name":"Bag","fields":[{"name":"label","type":"string"},{"name":"inside","type":["null",{"type":"array","items":"Bag"}],"default":null}]}},"default":[]}]}"#,
    ] {
        schemas.add(more).unwrap();
    }
    schemas
}

/// A definition around steps and whatever else stands at its end.
fn saga(rest: &str) -> String {
    format!("saga: x\nstart: {{ on: OrderPlaced, from: orders, key: event.order_id }}\n{rest}")
}

/// The same, started by a `Parcel`: cards with a number that is secret, boxes in boxes.
fn parcel(text: &str) -> String {
    text.replace("on: OrderPlaced, from: orders, key: event.order_id", "on: Parcel, from: parcels, key: event.id")
}

/// One step before the pivot and one behind.
fn step(first: &str) -> String {
    saga(&format!("steps:\n  - step: one\n    do: fraud.Score\n{first}"))
}
