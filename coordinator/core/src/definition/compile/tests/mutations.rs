//! Mutated definition files, and the examples that they are made of.

use ringmaster_schemas::journal::Encoding;

use super::*;
use crate::definition::{Participant, Settings, compile, yaml};

/// What is put in anywhere.
const PIECES: [&str; 35] = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "- ",
    "\n",
    "'",
    "\"",
    "#",
    "&",
    "*",
    "|\n  ",
    "start.",
    "steps.ship.",
    ".?",
    "has(",
    ")",
    "1",
    "0.1",
    "rules.",
    "pivot: true",
    "undo: nothing",
    "\t",
    "ü",
    "\u{0}",
    "if: ",
    "999999999999999999999",
    "for_each: ",
    "as: line",
    "at_once: ",
    "result: ",
    "line.",
    "index",
];

#[test]
fn mutated_files_are_answered_and_never_panic() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions");
    let mut texts = vec![order()];
    for entry in std::fs::read_dir(examples).unwrap() {
        texts.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let mut random = fastrand::Rng::with_seed(17);
    let (mut good, mut bad) = (0, 0);
    let mut schemas = schemas();
    for round in 0..1500 {
        let mut text: Vec<char> = texts[round % texts.len()].chars().collect();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..text.len());
            match random.u32(0..4) {
                0 => drop(text.splice(at..(at + random.usize(1..20)).min(text.len()), [])),
                1 => drop(text.splice(at..at, PIECES[random.usize(..PIECES.len())].chars())),
                2 => {
                    let from = random.usize(..text.len());
                    let copy: Vec<char> = text[from..(from + random.usize(1..40)).min(text.len())].to_vec();
                    drop(text.splice(at..at, copy));
                }
                _ => text[at] = PIECES[random.usize(..PIECES.len())].chars().next().unwrap(),
            }
        }
        let text: String = text.into_iter().collect();
        match compile(FILE, &text, &mut Settings::new(&mut schemas)) {
            Ok(definitions) => {
                assert_eq!(definitions.len(), yaml::load(&text).unwrap().len(), "a document was lost:\n{text}");
                good += 1;
            }
            Err(errors) => {
                assert!(!errors.is_empty() && errors.iter().all(|error| error.line >= 1 && !error.to_string().is_empty()));
                assert!(errors.iter().all(|error| !error.message.contains("no check says why")), "{}:\n{text}", errors[0]);
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
