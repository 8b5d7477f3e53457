//! The scenarios of sagas/: they all go as they are written, and pass through every step, arm, condition, refusal and undo of every
//! definition there.

use std::path::Path;

use ringmaster::config::Config;
use ringmaster::runtime::{SchemasOfSagas, compile_files, definition_files};
use ringmaster::scenarios::{Coverage, Known, play, read};
use ringmaster_core::definition::Catalog;
use ringmaster_schemas::registry::Schemas;
use ringmaster_tests::stories::top;

#[test]
fn the_order_does_what_its_scenarios_say_and_they_leave_nothing_out() {
    check(&top().join("sagas"));
}

#[test]
fn the_sagas_of_the_library_do_what_their_scenarios_say_and_they_leave_nothing_out() {
    check(&top().join("sagas/library"));
}

fn check(folder: &Path) {
    let mut schemas = Schemas::load_folder(&folder.join("schemas")).expect("the example schemas are right");
    let config = Config::parse("test", "").expect("the defaults are right");
    let files = definition_files(folder).expect("there is a folder of definitions");
    let compiled = compile_files(&mut schemas, &files, &config.compile_options(), &SchemasOfSagas::new(), 0);
    let (records, _) = compiled.unwrap_or_else(|error| panic!("{error}"));
    let mut catalog = Catalog::default();
    for record in &records {
        catalog.add(record, catalog.loaded_to(), &mut config.compile_options().settings(&mut schemas)).expect("it compiles again");
    }
    let known = Known { catalog: &catalog, schemas: &schemas };
    let mut coverage = Coverage::default();
    let mut wrong = Vec::new();
    for path in definition_files(&folder.join("scenarios")).expect("there is a folder of scenarios") {
        let text = std::fs::read_to_string(&path).expect("a file of scenarios can be read");
        let scenarios = read(&path.display().to_string(), &text, known);
        for scenario in scenarios.unwrap_or_else(|errors| panic!("{errors:#?}")) {
            let verdict = play(&scenario, known, &mut coverage);
            wrong.extend(verdict.misses.iter().map(|miss| format!("{}:{}: {}", scenario.file, miss.line, miss.message)));
        }
    }
    let tallies = coverage.tallies();
    for record in &records {
        match tallies.iter().find(|tally| *tally.saga == *record.name) {
            None => wrong.push(format!("{}: it has no scenario", record.name)),
            Some(tally) => wrong.extend(tally.missed.iter().map(|missed| format!("{}: {}", record.name, missed.what))),
        }
    }
    assert!(!records.is_empty() && wrong.is_empty(), "`ringmaster test --coverage` tells more:\n  {}", wrong.join("\n  "));
}
