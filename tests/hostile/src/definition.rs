//! The text of a definition, or of one expression, as people deploy it.
//!
//! ```text
//! bits (the library; an expression and its place) | text
//! ```

use ringmaster_core::definition::compile::Report;
use ringmaster_core::definition::expression::condition_over;
use ringmaster_core::definition::{Budget, DefinitionRecord, Environment, Settings, yaml};
use ringmaster_schemas::names::hex;

use crate::world::world;
use crate::{Written, same_again};

impl Written for DefinitionRecord {
    fn written(&self) -> Vec<u8> {
        self.encode()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        DefinitionRecord::decode(bytes).ok()
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((&[how], text)) = input.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if how & 2 == 0 {
        definition(text, how & 1 != 0);
    } else {
        expression(text, how & 1 != 0);
    }
}

/// What compiles is a record that compiles to the same, from what was written of it.
fn definition(text: &str, library: bool) {
    let mut schemas = world(library).schemas.clone();
    let mut settings = Settings::new(&mut schemas);
    let records = match DefinitionRecord::of_file("sagas/hostile.yaml", text, 0, &mut settings) {
        Ok(records) => records,
        Err(errors) => {
            assert!(!errors.is_empty(), "it does not compile and nobody says why");
            errors.iter().for_each(|error| drop(error.to_string()));
            return;
        }
    };
    for record in records {
        let record = same_again::<DefinitionRecord>(&record.encode()).expect("a record of our own");
        // What it runs may be a saga of the same file, which a record alone does not know.
        if record.runs().next().is_none() {
            let again = record.compile(&mut settings).expect("what compiled compiles again");
            assert_eq!(hex(&again.hash), record.hash, "it is another version when it is compiled again");
        }
    }
}

/// A condition over an event of the order, and over one that is dynamic.
fn expression(text: &str, dynamic: bool) {
    let world = world(false);
    let start = &world.definitions[0].starts[0];
    let schema = if dynamic { world.schemas.json() } else { &start.reader };
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    let Ok(documents) = yaml::load(&quoted) else { return };
    let Some(document) = documents.first() else { return };
    let mut report = Report::new("sagas/hostile.yaml", &quoted, 1);
    let Some(condition) = condition_over(schema, &document.root, &mut report) else {
        let (errors, _) = report.finish();
        assert!(!errors.is_empty(), "it does not compile and nobody says why");
        errors.iter().for_each(|error| drop(error.to_string()));
        return;
    };
    let mut body = Vec::new();
    let json = br#"{"order_id":"o-1","customer":"c","amount":"12.50","currency":"EUR","items":[{"sku":"a","qty":2}]}"#;
    if ringmaster_schemas::json::transcode(schema, json, &mut body).is_err() {
        return;
    }
    let budget = Budget::new();
    let environment = Environment { start: &body, ..Environment::without_saga("o-1", 1_790_000_000_000, &budget) };
    let first = condition.truth(&environment).map_err(|error| error.to_string());
    budget.refill();
    let second = condition.truth(&environment).map_err(|error| error.to_string());
    assert_eq!(first, second, "the same expression has another value");
}
