//! The language for others than the compiler: a JSON Schema for editors, and a reference for people. Both are made of the tables
//! that the reader takes its keys from.

use serde_json::{Map, Value, json};

use super::compile::keys::{Holds, Key, MAPS, SAGA, Shape, VERBS, verbs_with};
use super::compile::{CODE_BYTES_MAX, NAME_BYTES_MAX, ROLE_BYTES_MAX, STEPS_MAX, TOPIC_BYTES_MAX, TYPE_BYTES_MAX};
use super::expression::RESERVED;

/// The dialect that the schema is written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of a definition. It knows what may stand where; what names mean is known to `ringmaster check` alone.
pub fn json_schema() -> Value {
    let mut defs: Map<String, Value> = MAPS.iter().map(|shape| (shape.name.to_owned(), map(shape))).collect();
    defs.extend(VERBS.iter().map(|(_, shape)| (named_step(shape), map(shape))));
    defs.insert("step".to_owned(), step());
    defs.insert("steps".to_owned(), json!({ "type": "array", "items": to("step"), "minItems": 1, "maxItems": STEPS_MAX }));
    defs.insert("value".to_owned(), value());
    json!({
        "$schema": DIALECT,
        "title": "Ringmaster saga definition",
        "description": "Made by `ringmaster schema`. What names and types mean is checked by `ringmaster check`.",
        "$ref": format!("#/$defs/{}", SAGA.name),
        "$defs": defs,
    })
}

/// A row for each key: what has it, the key (in bold if it must be there), what stands below it, what it says.
pub fn reference() -> Vec<[String; 4]> {
    let (definition, others) = MAPS.split_first().expect("a definition is a map");
    let steps = || VERBS.iter().map(|(_, shape)| *shape);
    let is_common = |key: &Key| steps().all(|shape| shape.keys.iter().any(|own| own.name == key.name && own.says == key.says));
    let of = |shape: &'static Shape| shape.keys.iter().map(move |key| (shape.what, key));
    let (_, first) = VERBS[0];
    let common = first.keys.iter().filter(|key| is_common(key)).map(|key| ("every step", key));
    let own = steps().flat_map(of).filter(|(_, key)| !is_common(key));
    let rows = of(definition).chain(common).chain(own).chain(others.iter().flat_map(|shape| of(shape)));
    rows.map(|(what, key)| {
        let name = if key.needed { format!("**`{}`**", key.name) } else { format!("`{}`", key.name) };
        [what.to_owned(), name, in_words(key.holds), key.says.to_owned()]
    })
    .collect()
}

/// Any step: it has a verb, and what that verb's steps have.
fn step() -> Value {
    let keys: Map<String, Value> = VERBS
        .iter()
        .flat_map(|(_, shape)| shape.keys)
        .map(|key| (key.name.to_owned(), json!({ "description": key.says })))
        .collect();
    let has = |verb: &str| json!({ "required": [verb] });
    let verbs: Vec<Value> = VERBS.iter().map(|(verb, _)| has(verb)).collect();
    let does = |verb: &str| {
        let mut does = has(verb);
        let others: Vec<Value> = verbs_with(verb).map(has).collect();
        if !others.is_empty() {
            does["not"] = json!({ "anyOf": others });
        }
        does
    };
    let each: Vec<Value> = VERBS.iter().map(|(verb, shape)| json!({ "if": does(verb), "then": to(&named_step(shape)) })).collect();
    json!({ "type": "object", "required": ["step"], "properties": keys, "anyOf": verbs, "allOf": each })
}

fn named_step(shape: &Shape) -> String {
    format!("step-{}", shape.name)
}

/// What stands in a body: an expression, or more of them below names or in a list.
fn value() -> Value {
    json!({ "anyOf": [
        { "type": ["string", "number", "boolean", "null"] },
        { "type": "object", "additionalProperties": to("value") },
        { "type": "array", "items": to("value") },
    ] })
}

fn map(shape: &Shape) -> Value {
    let property = |key: &Key| {
        let mut holds = holds(key.holds);
        holds["description"] = key.says.into();
        (key.name.to_owned(), holds)
    };
    let properties: Map<String, Value> = shape.keys.iter().map(property).collect();
    let required: Vec<&str> = shape.keys.iter().filter(|key| key.needed).map(|key| key.name).collect();
    let mut map = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    if shape.name == SAGA.name {
        // An event starts it, or it has input.
        map["anyOf"] = json!([{ "required": ["start"] }, { "required": ["input"] }]);
    }
    map
}

fn to(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn text(pattern: &str, length: usize) -> Value {
    json!({ "type": "string", "pattern": format!("^{pattern}$"), "maxLength": length })
}

/// What may stand there, as JSON Schema.
fn holds(holds: Holds) -> Value {
    const PARTICIPANT: &str = r"[A-Za-z][A-Za-z0-9_-]*";
    const WORD: &str = "[A-Za-z_][A-Za-z0-9_]*";
    const ROLE: &str = "[A-Za-z][A-Za-z0-9._-]*";
    match holds {
        Holds::Name => {
            let mut name = text("[a-z][a-z0-9_]*", NAME_BYTES_MAX);
            name["not"] = json!({ "enum": RESERVED });
            name
        }
        Holds::SagaName => text("[a-z][a-z0-9_-]*", NAME_BYTES_MAX),
        Holds::Type => text(&format!(r"{WORD}(\.{WORD})*"), TYPE_BYTES_MAX),
        Holds::Topic => text("[A-Za-z0-9._-]+", TOPIC_BYTES_MAX),
        Holds::Command => json!({ "type": "string", "pattern": format!(r"^{PARTICIPANT}(\.{PARTICIPANT})*\.{WORD}$") }),
        Holds::Code => {
            // 404 is one too, and a number to YAML.
            let mut code = text("[A-Z0-9_]+", CODE_BYTES_MAX);
            code["type"] = json!(["string", "integer"]);
            code
        }
        Holds::Role => text(ROLE, ROLE_BYTES_MAX),
        Holds::Word(word) => json!({ "const": word }),
        Holds::Text => json!({ "type": ["string", "number", "boolean", "null"] }),
        Holds::Flag => json!({ "type": "boolean" }),
        Holds::Count(most) => json!({ "type": "integer", "minimum": 1, "maximum": most }),
        Holds::Factor(most) => json!({ "type": "number", "minimum": 1, "maximum": most }),
        Holds::Duration => json!({ "type": "string", "pattern": "^ *([0-9]+(d|h|ms|m|s))+ *$" }),
        Holds::Time => json!({ "type": "string" }),
        Holds::Expression => json!({ "type": ["string", "number", "boolean"] }),
        Holds::Value => json!({ "type": ["string", "number", "boolean", "null"] }),
        Holds::Body => {
            json!({ "anyOf": [{ "type": "object", "additionalProperties": to("value") }, self::holds(Holds::Expression)] })
        }
        Holds::Steps => to("steps"),
        Holds::PerhapsSteps => json!({ "anyOf": [to("steps"), { "type": "array", "maxItems": 0 }] }),
        Holds::List(of, least) => json!({ "type": "array", "items": self::holds(*of), "minItems": least }),
        Holds::Named(of, least) => {
            let names = self::holds(Holds::Name);
            json!({ "type": "object", "propertyNames": names, "additionalProperties": self::holds(*of), "minProperties": least })
        }
        Holds::Branches(of, least) => {
            // No expression reads them, so that none is taken.
            let names = text("[a-z][a-z0-9_]*", NAME_BYTES_MAX);
            json!({ "type": "object", "propertyNames": names, "additionalProperties": self::holds(*of), "minProperties": least })
        }
        Holds::ByCode(of) => {
            let names = json!({ "pattern": "^([A-Z0-9_]+|else)$" });
            json!({ "type": "object", "propertyNames": names, "additionalProperties": self::holds(*of), "minProperties": 1 })
        }
        Holds::Fields => {
            let names = json!({ "pattern": "^[a-z][a-z0-9_]*$", "maxLength": NAME_BYTES_MAX });
            json!({ "type": "object", "propertyNames": names, "additionalProperties": { "type": ["string", "object"] } })
        }
        Holds::Map(shape) => to(shape.name),
        Holds::Either(all) => json!({ "anyOf": all.iter().map(|one| self::holds(*one)).collect::<Vec<_>>() }),
    }
}

/// What may stand there, in words.
fn in_words(holds: Holds) -> String {
    match holds {
        Holds::Name | Holds::SagaName => "a name".to_owned(),
        Holds::Type => "an event's type".to_owned(),
        Holds::Topic => "a topic".to_owned(),
        Holds::Command => "a command".to_owned(),
        Holds::Code => "a code".to_owned(),
        Holds::Role => "a role".to_owned(),
        Holds::Word(word) => format!("`{word}`"),
        Holds::Text => "a text".to_owned(),
        Holds::Flag => "true or false".to_owned(),
        Holds::Count(most) => format!("1 to {most}"),
        Holds::Factor(most) => format!("a number from 1 to {most}"),
        Holds::Duration => "a duration".to_owned(),
        Holds::Time => "a duration, or an expression".to_owned(),
        Holds::Expression | Holds::Value => "an expression".to_owned(),
        Holds::Body => "fields".to_owned(),
        Holds::Steps => "a list of steps".to_owned(),
        Holds::PerhapsSteps => "a list of steps, or []".to_owned(),
        Holds::List(of, _) => format!("a list: {}", in_words(*of)),
        Holds::Named(of, _) | Holds::Branches(of, _) => format!("by name: {}", in_words(*of)),
        Holds::ByCode(of) => format!("by code: {}", in_words(*of)),
        Holds::Fields => "fields and their types".to_owned(),
        Holds::Map(shape) => format!("{{ {} }}", shape.names().collect::<Vec<_>>().join(", ")),
        Holds::Either(all) => all.iter().map(|one| in_words(*one)).collect::<Vec<_>>().join(", or "),
    }
}
