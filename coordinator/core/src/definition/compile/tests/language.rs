//! The JSON Schema for editors takes what the reader takes, and refuses what it refuses wherever it can know.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use super::*;
use crate::definition::compile::fields::{is_code, is_command, is_name, is_saga_name, is_topic, is_type};
use crate::definition::compile::form::SagaForm;
use crate::definition::compile::{Report, parse_duration};
use crate::definition::expression::RESERVED;
use crate::definition::language::json_schema;
use crate::definition::yaml::{self, Kind, Node, Style};

/// What is wrong with a value by a schema, by the words of JSON Schema that ours is made of; any other word is an error of the test.
fn wrong(schema: &Value, whole: &Value, value: &Value) -> Option<String> {
    let schema = schema.as_object()?;
    let below = |schema: &Value, value: &Value| wrong(schema, whole, value);
    schema.iter().find_map(|(word, rule)| {
        let each = |schemas: &Value| schemas.as_array().unwrap().iter().filter_map(|one| below(one, value)).collect::<Vec<_>>();
        let (object, list) = (value.as_object(), value.as_array());
        let text = value.as_str();
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "then" => None,
            "$ref" => below(whole.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap(), value),
            "type" if rule.is_array() => {
                let types = rule.as_array().unwrap();
                (!types.iter().any(|one| is_type_of(one, value))).then(|| format!("{value} is none of {rule}"))
            }
            "type" => (!is_type_of(rule, value)).then(|| format!("{value} is no {rule}")),
            "const" => (rule != value).then(|| format!("{value} is not {rule}")),
            "enum" => (!rule.as_array().unwrap().contains(value)).then(|| format!("{value} is not in {rule}")),
            "pattern" => text.filter(|text| !matches(rule.as_str().unwrap(), text)).map(|text| format!("{text} is not {rule}")),
            "maxLength" => text.filter(|text| text.chars().count() as u64 > rule.as_u64().unwrap()).map(str::to_owned),
            "minimum" => value.as_f64().filter(|number| *number < rule.as_f64().unwrap()).map(|number| format!("{number}")),
            "maximum" => value.as_f64().filter(|number| *number > rule.as_f64().unwrap()).map(|number| format!("{number}")),
            "minItems" => list.filter(|list| (list.len() as u64) < rule.as_u64().unwrap()).map(|_| "too few".to_owned()),
            "maxItems" => list.filter(|list| list.len() as u64 > rule.as_u64().unwrap()).map(|_| "too many".to_owned()),
            "minProperties" => object.filter(|map| (map.len() as u64) < rule.as_u64().unwrap()).map(|_| "too few".to_owned()),
            "items" => list.and_then(|list| list.iter().find_map(|item| below(rule, item))),
            "required" => object.and_then(|object| {
                let missing = rule.as_array().unwrap().iter().find(|key| !object.contains_key(key.as_str().unwrap()))?;
                Some(format!("{missing} is missing"))
            }),
            "properties" => object.and_then(|object| object.iter().find_map(|(key, value)| below(rule.get(key)?, value))),
            "additionalProperties" => object.and_then(|object| {
                let others = object.iter().filter(|(key, _)| schema.get("properties").is_none_or(|known| known.get(key).is_none()));
                others.into_iter().find_map(|(key, value)| match rule {
                    Value::Bool(false) => Some(format!("there is no {key}")),
                    rule => below(rule, value),
                })
            }),
            "propertyNames" => object.and_then(|object| object.keys().find_map(|key| below(rule, &key.as_str().into()))),
            "not" => below(rule, value).is_none().then(|| format!("{value} is {rule}")),
            "allOf" => each(rule).into_iter().next(),
            "anyOf" => {
                let faults = each(rule);
                (faults.len() == rule.as_array().unwrap().len()).then(|| faults.join("; "))
            }
            "if" => below(rule, value).is_none().then(|| below(&schema["then"], value)).flatten(),
            other => panic!("what does {other} mean?"),
        }
    })
}

fn is_type_of(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64(),
        other => panic!("{other} is no type"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(text))
}

/// A document as an editor's validator sees it: YAML 1.2, in which plain words and numbers have types.
fn as_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(text, Style::Plain) => match text.as_str() {
            "" | "null" | "~" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            text => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(whole), _) => whole.into(),
                (_, Ok(number)) if number.is_finite() => number.into(),
                _ => text.into(),
            },
        },
        Kind::Scalar(text, _) => text.as_str().into(),
        Kind::List(items) => items.iter().map(as_json).collect(),
        Kind::Map(entries) => {
            entries.iter().map(|(key, value)| (key.scalar().unwrap_or_default().to_owned(), as_json(value))).collect()
        }
    }
}

/// What the schema says of each document of a file.
fn by_schema(schema: &Value, text: &str) -> Vec<Option<String>> {
    yaml::load(text).map_or_else(
        |_| vec![Some("no YAML".into())],
        |documents| documents.iter().map(|document| wrong(schema, schema, &as_json(&document.root))).collect(),
    )
}

/// Whether the reader takes each document of a file.
fn by_reader(text: &str) -> Vec<bool> {
    let documents = yaml::load(text).unwrap_or_default();
    let read = |root: &Node| {
        let mut report = Report::new(FILE, text, 1);
        SagaForm::read(root, &mut report).is_some() && report.error_count() == 0
    };
    documents.iter().map(|document| read(&document.root)).collect()
}

/// All definitions of the repository.
fn examples() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["sagas", "tests/stories/definitions"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 5, "{files:?}");
    // As a folder gives them is another order on each machine.
    files.sort();
    files
}

/// No expression reads a branch's name, so that one may be called as what expressions read.
#[test]
fn a_branch_may_have_any_name() {
    let branches = |first| {
        let (name, text) = examples().into_iter().find(|(name, _)| name.ends_with("parcel.yaml")).expect("it is there");
        (name, text.replacen("      papers:", &format!("      {first}:"), 1))
    };
    for first in super::super::super::expression::RESERVED {
        let (name, text) = branches(first);
        assert!(text.contains(&format!("      {first}:")), "{name} has its branch");
        assert!(by_reader(&text).iter().all(|is_right| *is_right), "a branch called {first}");
        by_schema(&json_schema(), &text).into_iter().for_each(|fault| assert_eq!(fault, None, "a branch called {first}"));
    }
}

#[test]
fn every_definition_of_the_repository_is_right() {
    let schema = json_schema();
    for (name, text) in examples() {
        assert!(by_reader(&text).iter().all(|is_right| *is_right), "{name}");
        by_schema(&schema, &text).into_iter().for_each(|fault| assert_eq!(fault, None, "{name}"));
    }
}

/// Examples with a line, a word or some letters changed: what the reader takes the schema takes, and it refuses most of the others.
#[test]
fn it_refuses_nothing_that_is_right() {
    let schema = json_schema();
    let mut random = fastrand::Rng::with_seed(7);
    let examples = examples();
    let (mut right, mut refused, mut passed) = (0, 0, 0);
    for _ in 0..4_000 {
        let (name, text) = random.choice(&examples).unwrap();
        let text = changed(text, &mut random);
        for (by_schema, by_reader) in by_schema(&schema, &text).into_iter().zip(by_reader(&text)) {
            match (by_schema, by_reader) {
                (None, true) => right += 1,
                (Some(_), false) => refused += 1,
                (None, false) => passed += 1,
                (Some(fault), true) => panic!("{name}: {fault}\n{text}"),
            }
        }
    }
    assert!(right > 300 && refused > 1_000 && passed < refused / 2, "{right} right, {refused} refused, {passed} passed by");
}

/// A line left out, put elsewhere, or with another key or value.
fn changed(text: &str, random: &mut fastrand::Rng) -> String {
    const KEYS: [&str; 8] = ["step", "do", "undo", "emit", "steps", "if", "retries", "within"];
    // Not `true`, `null` or a number: the reader takes them for names where YAML says that they are none.
    const VALUES: [&str; 8] = ["5s", "start.x", "nothing", "a.B", "{}", "{ a: b }", "NO", "4,2"];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.usize(..lines.len());
    match random.u8(..4) {
        0 => drop(lines.remove(at)),
        1 => {
            let to = random.usize(..lines.len());
            lines.swap(at, to);
        }
        kind => {
            if let Some((key, value)) = lines[at].split_once(": ") {
                let indent = key.len() - key.trim_start_matches([' ', '-']).len();
                lines[at] = match kind {
                    2 => format!("{}{}: {value}", &key[..indent], random.choice(KEYS).unwrap()),
                    _ => format!("{key}: {}", random.choice(VALUES).unwrap()),
                };
            }
        }
    }
    lines.join("\n") + "\n"
}

/// Wrong ones, each by what the schema must see.
#[test]
fn what_it_refuses() {
    let schema = json_schema();
    let one = "steps:\n  - { step: one, do: fraud.Score, undo: nothing }\n";
    let step = |text: &str| saga(&format!("steps:\n  - {text}\n"));
    for right in [saga(one), step("{ step: s, switch: [ { if: true, steps: [ { step: t, refuse: NO } ] }, { else: [] } ] }")] {
        assert_eq!(by_schema(&schema, &right), [None], "{right}");
    }
    for (text, says) in [
        (format!("start: {{ on: A, from: b }}\n{one}"), "\"saga\" is missing"),
        (format!("saga: x\n{one}"), "\"start\" is missing"),
        (format!("{}stepps: []\n", saga(one)), "there is no stepps"),
        (saga("steps: []\n"), "too few"),
        (saga("steps: {}\n"), "{} is no \"array\""),
        (step("{ step: one }"), "\"do\" is missing"),
        (step("{ step: One, refuse: NO }"), "One is not"),
        (step("{ step: start, refuse: NO }"), "\"start\" is {\"enum\""),
        (step("{ step: one, refuze: NO }"), "\"refuse\" is missing"),
        (step("{ step: one, refuse: no }"), "no is not"),
        (step("{ step: one, do: Score, undo: nothing }"), "Score is not"),
        (step("{ step: one, do: a.B, emit: C, to: d }"), "there is no"),
        (step("{ step: one, do: a.B, timeout: 5 }"), "5 is no \"string\""),
        (step("{ step: one, do: a.B, retry: 3 }"), "3 is no \"object\""),
        (step("{ step: one, do: a.B, retry: { attempts: 0 } }"), "0"),
        (step("{ step: one, do: a.B, pivot: yes }"), "\"yes\" is no \"boolean\""),
        (step("{ step: one, switch: [ { else: [] } ] }"), "too few"),
        (step("{ step: one, steps: [ { step: two } ] }"), "\"do\" is missing"),
        (format!("{}on_completed: {{ emit: A }}\n", saga(one)), "\"to\" is missing"),
        (format!("{}rules: {{ a: [ {{ if: b }} ] }}\n", saga(one)), "\"then\" is missing"),
    ] {
        let found = by_schema(&schema, &text).into_iter().flatten().collect::<String>();
        assert!(found.contains(says), "{text}: {found}");
    }
}

type Reads<'r> = &'r dyn Fn(&str) -> bool;

/// Words of all kinds: the schema's patterns are the reader's.
#[test]
fn words_are_those_of_the_reader() {
    let schema = json_schema();
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).clone();
    let name = |text: &str| is_name(text) && !RESERVED.contains(&text);
    let duration = |text: &str| parse_duration(text, crate::definition::compile::Unit::Millis).is_ok();
    let kinds: [(Value, Reads<'_>, bool); 7] = [
        (at("/$defs/step-do/properties/step"), &name, true),
        (at("/$defs/saga/properties/saga"), &is_saga_name, true),
        (at("/$defs/start/properties/on"), &is_type, true),
        (at("/$defs/step-do/properties/do"), &is_command, true),
        (at("/$defs/step-refuse/properties/refuse"), &is_code, true),
        // `.` and `..` are no topics, and a duration has each unit once: the schema does not know.
        (at("/$defs/start/properties/from"), &|text| is_topic(text) || text == "." || text == "..", true),
        (at("/$defs/step-do/properties/timeout"), &duration, false),
    ];
    let mut random = fastrand::Rng::with_seed(3);
    let letters = ["a", "b", "A", "B", "_", "-", ".", "1", "5", "s", "m", "h", "d", "ä", " ", "start", "key"];
    for _ in 0..20_000 {
        let text: String = (0..random.usize(1..7)).map(|_| *random.choice(&letters).unwrap()).collect();
        for (number, (schema, reader, both)) in kinds.iter().enumerate() {
            let (by_schema, by_reader) = (wrong(schema, schema, &text.as_str().into()).is_none(), reader(&text));
            assert!(by_schema == by_reader || (!both && by_schema), "{text} of kind {number}: {by_schema}, and {by_reader}");
        }
    }
    for (length, kind) in [(64, 0), (64, 1), (200, 2), (64, 4), (249, 5)] {
        let text = if kind == 4 { "A" } else { "a" };
        for (length, is_right) in [(length, true), (length + 1, false)] {
            let text: Value = text.repeat(length).into();
            assert_eq!(wrong(&kinds[kind].0, &kinds[kind].0, &text).is_none(), is_right, "{length} letters of kind {kind}");
        }
    }
}
