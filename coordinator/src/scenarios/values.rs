//! Values as they are written in YAML: to JSON, checked for names that nobody has, compared with what happened.

use std::fmt::Write as _;

use ringmaster_core::definition::compile::{Report, did_you_mean};
use ringmaster_core::definition::yaml::{Kind, Node, Style};
use ringmaster_schemas::avro::{Node as Avro, NodeId, Schema, parse_number, rescale};
use ringmaster_schemas::json::put_string;
use serde_json::Value;

/// Characters of a body that are shown.
const SHOWN_MAX: usize = 160;

/// What a scalar says: only what is written without quotes can be something else than a text.
enum Scalar<'n> {
    Null,
    Bool(bool),
    /// A number, as JSON writes it: with all digits that it has.
    Number(&'n str),
    Text(&'n str),
}

fn scalar(text: &str, style: Style) -> Scalar<'_> {
    match (style, text) {
        (Style::Quoted | Style::Block, _) => Scalar::Text(text),
        (Style::Plain, "" | "~" | "null") => Scalar::Null,
        (Style::Plain, "true") => Scalar::Bool(true),
        (Style::Plain, "false") => Scalar::Bool(false),
        (Style::Plain, text) if serde_json::from_str::<serde_json::Number>(text).is_ok() => Scalar::Number(text),
        (Style::Plain, _) => Scalar::Text(text),
    }
}

/// The JSON of a value.
pub(super) fn json(node: &Node) -> String {
    let mut out = String::new();
    put(node, &mut out);
    out
}

fn put(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Scalar(text, style) => match scalar(text, *style) {
            Scalar::Null => out.push_str("null"),
            Scalar::Bool(value) => write!(out, "{value}").expect("writing to memory"),
            Scalar::Number(text) => out.push_str(text),
            Scalar::Text(text) => put_string(text, out),
        },
        Kind::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                put(item, out);
            }
            out.push(']');
        }
        Kind::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                put_string(key.scalar().unwrap_or_default(), out);
                out.push(':');
                put(value, out);
            }
            out.push('}');
        }
    }
}

/// Reports fields that the schema does not have: on the wire they are passed over, in a scenario they are a slip.
pub(super) fn check_names(node: &Node, schema: &Schema, id: NodeId, report: &mut Report<'_>) {
    let id = schema.unwrap_optional(id);
    match (&node.kind, schema.node(id)) {
        (Kind::Map(entries), Avro::Record(_)) => {
            for (key, value) in entries {
                let name = key.scalar().unwrap_or_default();
                match schema.field_named(id, name) {
                    Some((_, field)) => check_names(value, schema, field.ty, report),
                    None => {
                        let record = schema.name_of(id).unwrap_or("the record");
                        let fields: Vec<&str> = schema.fields(id).iter().map(|field| &*field.name).collect();
                        report.error(&key.span, format!("{record} has no field '{name}'"), did_you_mean(name, fields));
                    }
                }
            }
        }
        (Kind::Map(entries), Avro::Map(of)) => entries.iter().for_each(|(_, value)| check_names(value, schema, *of, report)),
        (Kind::List(items), Avro::Array(of)) => items.iter().for_each(|item| check_names(item, schema, *of, report)),
        _ => {}
    }
}

/// True if what happened has all that is named. A number is equal to one that is written otherwise, in a text too: decimals are texts
/// in JSON.
pub(super) fn matches(wanted: &Node, found: &Value) -> bool {
    match (&wanted.kind, found) {
        (Kind::Scalar(text, style), found) => match (scalar(text, *style), found) {
            (Scalar::Null, found) => found.is_null(),
            (Scalar::Bool(wanted), found) => found.as_bool() == Some(wanted),
            (Scalar::Number(wanted), Value::Number(found)) => same_number(wanted, &found.to_string()),
            (Scalar::Number(wanted), Value::String(found)) => same_number(wanted, found),
            (Scalar::Text(wanted), Value::String(found)) => wanted == found,
            (Scalar::Number(_) | Scalar::Text(_), _) => false,
        },
        (Kind::List(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| matches(wanted, found))
        }
        (Kind::Map(wanted), Value::Object(found)) => wanted.iter().all(|(key, wanted)| {
            let found = found.get(key.scalar().unwrap_or_default()).unwrap_or(&Value::Null);
            matches(wanted, found)
        }),
        (Kind::List(_) | Kind::Map(_), _) => false,
    }
}

fn same_number(wanted: &str, found: &str) -> bool {
    let (Some((a, a_scale)), Some((b, b_scale))) = (parse_number(wanted), parse_number(found)) else { return wanted == found };
    let scale = a_scale.max(b_scale);
    match (rescale(a, a_scale, scale), rescale(b, b_scale, scale)) {
        (Some(a), Some(b)) => a == b,
        _ => wanted == found,
    }
}

/// What happened, as far as it is named.
pub(super) fn named(wanted: &Node, found: &Value) -> String {
    match (&wanted.kind, found) {
        (Kind::Map(wanted), Value::Object(found)) => {
            let mut out = String::from("{");
            for (index, (key, wanted)) in wanted.iter().enumerate() {
                let name = key.scalar().unwrap_or_default();
                out.push_str(if index > 0 { "," } else { "" });
                put_string(name, &mut out);
                out.push(':');
                out.push_str(&named(wanted, found.get(name).unwrap_or(&Value::Null)));
            }
            out + "}"
        }
        (_, found) if matches(wanted, found) => json(wanted),
        (_, found) => found.to_string(),
    }
}

/// A body in a line.
pub(super) fn brief(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ringmaster_core::definition::yaml;

    use super::*;

    fn node(text: &str) -> Node {
        yaml::load(text).expect("it is YAML").remove(0).root
    }

    #[test]
    fn what_is_written_without_quotes_may_be_something_else_than_a_text() {
        let text = "{a: 1.50, b: '1.50', c: ord-1, d: true, e: null, f: ~, g: , h: [007, 2026-11-27, 1e3, -2], i: {}}";
        assert_eq!(
            json(&node(text)),
            r#"{"a":1.50,"b":"1.50","c":"ord-1","d":true,"e":null,"f":null,"g":null,"h":["007","2026-11-27",1e3,-2],"i":{}}"#
        );
    }

    #[test]
    fn only_what_is_named_is_compared() {
        let found =
            serde_json::json!({"a": "120.00", "b": 7, "c": {"d": "x", "e": 1}, "f": [1, 2], "g": null, "h": "7", "i": true});
        for (wanted, is_so) in [
            ("{}", true),
            ("{a: '120.00', b: 7}", true),
            ("{a: 120}", true),
            ("{a: 120.01}", false),
            ("{a: '120'}", false),
            ("{b: 7.0}", true),
            ("{b: '7'}", false),
            ("{c: {d: x}}", true),
            ("{c: {d: y}}", false),
            ("{c: [d]}", false),
            ("{f: [1, 2]}", true),
            ("{f: [1]}", false),
            ("{f: [2, 1]}", false),
            ("{g: null}", true),
            ("{missing: null}", true),
            ("{missing: 1}", false),
            ("{a: null}", false),
            ("{h: 7}", true),
            ("{i: true}", true),
            ("{i: false}", false),
            ("{i: 'true'}", false),
        ] {
            assert_eq!(matches(&node(wanted), &found), is_so, "{wanted}");
        }
    }

    #[test]
    fn what_is_equal_is_shown_as_it_is_wanted() {
        let found = serde_json::json!({"a": "120.00", "b": 7, "z": 1});
        assert_eq!(named(&node("{b: 8, a: 120}"), &found), r#"{"b":7,"a":120}"#);
        assert_eq!(brief(&"ä".repeat(SHOWN_MAX + 1)), "ä".repeat(SHOWN_MAX) + "...");
        assert_eq!(brief("short"), "short");
    }
}
