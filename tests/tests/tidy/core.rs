//! The pure core stays pure, and its places for faults are known.

use std::collections::BTreeSet;

use crate::{File, has_word, none, rust};

/// All that core may depend on: none of them does IO.
const DEPENDENCIES: [&str; 13] = [
    "ringmaster-schemas",
    "bytes",
    "cel",
    "hashbrown",
    "regex",
    "rust_decimal",
    "saphyr-parser",
    "serde",
    "serde_json",
    "sha2",
    "smallvec",
    "thiserror",
    "twox-hash",
];

/// What schemas, core's only crate of ours, may depend on.
const DEPENDENCIES_OF_SCHEMAS: [&str; 9] =
    ["bytes", "memchr", "serde", "serde_json", "sha2", "smallvec", "rust_decimal", "thiserror", "triomphe"];

/// Where the world would come in through the standard library. A thread compiles definitions on a stack of its own: no IO.
const OUTSIDE: [&str; 8] =
    ["std::fs", "std::net", "std::process", "std::env", "std::io", "SystemTime", "Instant::now", "RandomState"];

/// Files that are not the running core.
const BESIDE: [&str; 3] =
    ["coordinator/core/tests/", "coordinator/core/src/definition/compile/tests/", "coordinator/core/src/faults.rs"];

/// Places for faults that no test uses yet, and why.
const UNATTACKED: [(&str, &str); 2] = [
    ("no_commit", "positions are committed for lag tools alone: without it nothing may change"),
    ("size_refused", "the simulator's records are small: attacked by tests/tests/bad_input"),
];

#[test]
fn core_depends_on_nothing_that_does_io() {
    let allowed = [("coordinator/core/Cargo.toml", &DEPENDENCIES[..]), ("schemas/Cargo.toml", &DEPENDENCIES_OF_SCHEMAS[..])];
    let mut found = Vec::new();
    for (path, known) in allowed {
        let listed = dependencies(&File::read(path));
        assert!(!listed.is_empty(), "{path} lists no dependencies");
        found.extend(listed.into_iter().filter(|name| !known.contains(&name.as_str())).map(|name| format!("{path}: {name}")));
    }
    none("core's dependency list is the proof that it does no IO", found);
}

#[test]
fn what_is_shipped_links_no_sample_service() {
    let mut found = Vec::new();
    for path in ["coordinator/Cargo.toml", "coordinator/bus/Cargo.toml", "coordinator/store/Cargo.toml"] {
        let listed = dependencies(&File::read(path));
        assert!(!listed.is_empty(), "{path} lists no dependencies");
        let demo = listed.into_iter().filter(|name| ["ringmaster-participants", "ringmaster-demo"].contains(&name.as_str()));
        found.extend(demo.map(|name| format!("{path}: {name}")));
    }
    none("the coordinator holds neither the services nor the demo", found);
}

#[test]
fn core_reads_no_clock_and_touches_no_world() {
    let mut found = Vec::new();
    for file in rust().filter(|file| file.is_in(&["coordinator/core/src/"]) && !file.is_in(&BESIDE)) {
        for (line, text) in file.lines().filter(|(_, text)| !text.trim_start().starts_with("//")) {
            found.extend(OUTSIDE.iter().filter(|word| has_word(text, word)).map(|word| format!("{}:{line}: {word}", file.path)));
        }
    }
    none("time, randomness and the world are inputs of the core", found);
}

/// Names of a manifest's `[dependencies]`.
fn dependencies(manifest: &File) -> Vec<String> {
    let lines =
        manifest.text.lines().skip_while(|line| *line != "[dependencies]").skip(1).take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_place_for_a_fault_is_attacked() {
    let attackers = [
        "tests/tests/simulator.rs",
        "tests/src/sim/points.rs",
        "tests/tests/stories.rs",
        "tests/tests/random/",
        "tests/tests/worker/",
        "coordinator/core/tests/partition/",
    ];
    let tests: String = rust().filter(|file| file.is_in(&attackers)).map(|file| file.text).collect();
    let (mut placed, mut found) = (BTreeSet::new(), Vec::new());
    for file in rust().filter(|file| file.is_in(&["coordinator/", "participants/"])) {
        for call in ["mutated", "reached"] {
            for name in arguments(&file.text, call) {
                if !tests.contains(&format!("\"{name}\"")) && !UNATTACKED.iter().any(|(known, _)| *known == name) {
                    found.push(format!("{}: {call}({name:?}) is in no test", file.path));
                }
                placed.insert(name);
            }
        }
    }
    assert!(placed.len() > 40, "only {} places were found", placed.len());
    found.extend(
        UNATTACKED
            .iter()
            .filter(|(name, why)| !placed.contains(*name) || why.is_empty())
            .map(|(name, _)| format!("{name} is listed and not in the code, or without a reason")),
    );
    found.extend(
        UNATTACKED
            .iter()
            .filter(|(name, _)| tests.contains(&format!("\"{name}\"")))
            .map(|(name, _)| format!("{name}: take it off the list")),
    );
    none("a mutant or crash point in the code is used by the simulator, the stories or the partition's own tests", found);
}

/// String literals that a function is called with.
fn arguments(text: &str, function: &str) -> Vec<String> {
    let call = format!("{function}(\"");
    text.split(&call).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}
