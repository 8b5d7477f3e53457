//! The examples of docs/SAGAS.md compile.

use ringmaster_schemas::journal::Encoding;

use super::*;
use crate::definition::{Participant, Settings, Verb, compile};

const START: &str = "start: { on: TripBooked, from: trips, key: event.trip_id }\n";

/// An example with what it leaves out. None if it is no definition.
fn whole(example: &str) -> Option<String> {
    let has = |key: &str| example.lines().any(|line| line.starts_with(key));
    let saga = if has("saga:") { "" } else { "saga: trip\n" };
    let start = if has("start:") { "" } else { START };
    match example {
        _ if has("  - ") && !has("steps:") && !has("start:") => Some(format!("{saga}{start}steps:\n{example}")),
        _ if has("steps:") => Some(format!("{saga}{start}{example}")),
        _ if has("saga:") => Some(format!("{example}{start}steps: [ {{ step: no, refuse: NO }} ]\n")),
        _ => None,
    }
}

#[test]
fn the_examples_of_the_page_compile() {
    let page = std::fs::read_to_string(folder().join("../docs/SAGAS.md")).unwrap();
    let examples: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    let definitions: Vec<String> = examples.iter().filter_map(|example| whole(example)).collect();
    let mut for_eaches = 0;
    for text in &definitions {
        let mut schemas = schemas();
        let mut settings = Settings::new(&mut schemas);
        for name in ["hotel", "bank", "shop", "taxi", "desk", "store"] {
            settings.participants.insert(name.into(), Participant { encoding: Encoding::Json, ..Participant::default() });
        }
        let compiled = compile("docs/SAGAS.md", text, &mut settings);
        let definition = compiled.unwrap_or_else(|errors| panic!("{}\n{text}", errors[0])).remove(0);
        if let Some(Verb::ForEach(each)) = definition.names.find("lines").map(|lines| &definition.nodes[usize::from(lines)].verb) {
            assert_eq!((each.at_once, each.result.is_some()), (20, true), "what the page says of it");
            for_eaches += 1;
        }
        // What has no schema is told; an example must not show what is a slip.
        let slips: Vec<_> = settings.warnings.iter().filter(|warning| !warning.message.contains("schema")).collect();
        assert!(slips.is_empty(), "{}\n{text}", slips[0]);
    }
    let others = examples.len() - definitions.len();
    assert!(definitions.len() >= 9 && others <= 3, "{} examples, and {others} that are no definition", definitions.len());
    assert_eq!(for_eaches, 1);
}
