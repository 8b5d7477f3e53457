//! A result that nobody has written: what a schema needs, filled with as little as it allows.

use ringmaster_schemas::avro::{Node, NodeId, Schema};
use ringmaster_schemas::json::{base64, put_string};

/// The value as JSON: a text is the name of its field, so that it can be recognised; numbers are 0, lists empty, what may be missing is
/// missing. Where a record would stand directly in itself another branch is taken; deeper, or where
/// there is none, null stands there, which the schema refuses.
pub(super) fn placeholder(schema: &Schema) -> String {
    let mut out = String::new();
    put(schema, schema.root(), schema.name(), &mut Vec::new(), &mut out);
    out
}

/// `open` are the records that the value stands in.
fn put(schema: &Schema, id: NodeId, name: &str, open: &mut Vec<NodeId>, out: &mut String) {
    match schema.node(id) {
        Node::Record(_) if open.contains(&id) => out.push_str("null"),
        Node::Null | Node::Dynamic => out.push_str("null"),
        Node::Bool => out.push_str("false"),
        Node::Int | Node::Long | Node::Float | Node::Double | Node::Decimal { .. } | Node::FixedDecimal { .. } => out.push('0'),
        Node::Millis | Node::Micros | Node::Nanos => out.push_str("\"1970-01-01T00:00:00Z\""),
        Node::Date => out.push_str("\"1970-01-01\""),
        Node::Bytes => out.push_str("\"\""),
        Node::Str => put_string(name, out),
        Node::Enum(symbols) => put_string(symbols.first().map_or("", |symbol| symbol), out),
        Node::Fixed(size) => {
            out.push('"');
            base64::encode(&vec![0; *size], out);
            out.push('"');
        }
        Node::Array(_) => out.push_str("[]"),
        Node::Map(_) => out.push_str("{}"),
        Node::Union(branches) => {
            let null = branches.iter().find(|branch| *schema.node(**branch) == Node::Null);
            let ends = branches.iter().find(|branch| !open.contains(branch));
            if let Some(branch) = null.or(ends).or(branches.first()) {
                put(schema, *branch, name, open, out);
            }
        }
        Node::Record(fields) => {
            open.push(id);
            out.push('{');
            for (index, field) in fields.iter().filter(|field| field.default.is_none()).enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                put_string(&field.name, out);
                out.push(':');
                put(schema, field.ty, &field.name, open, out);
            }
            out.push('}');
            open.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use ringmaster_schemas::json;

    use super::*;

    #[test]
    fn every_type_has_a_value_that_its_schema_takes() {
        let text = r#"{"type": "record", "name": "R", "fields": [
            {"name": "text", "type": "string"}, {"name": "flag", "type": "boolean"}, {"name": "int", "type": "int"},
            {"name": "double", "type": "double"}, {"name": "bytes", "type": "bytes"},
            {"name": "money", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 3}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "word", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
            {"name": "list", "type": {"type": "array", "items": "string"}}, {"name": "map", "type": {"type": "map", "values": "int"}},
            {"name": "either", "type": ["string", "null"]}, {"name": "one", "type": ["int", "string"]},
            {"name": "inner", "type": {"type": "record", "name": "I", "fields": [{"name": "id", "type": "string"}]}},
            {"name": "given", "type": "int", "default": 7}]}"#;
        let schema = Schema::parse(text).expect("a schema");
        let (mut avro, mut back) = (Vec::new(), String::new());
        json::transcode(&schema, placeholder(&schema).as_bytes(), &mut avro).expect("the schema takes it");
        json::render(&schema, schema.root(), &avro, &mut back).expect("it is valid");
        assert_eq!(
            back,
            r#"{"text":"text","flag":false,"int":0,"double":0.0,"bytes":"","money":"0.00","fixed":"AAAA","at":"1970-01-01T00:00:00Z","day":"1970-01-01","word":"A","list":[],"map":{},"either":null,"one":0,"inner":{"id":"id"},"given":7}"#
        );
    }

    #[test]
    fn what_may_hold_another_of_its_kind_ends() {
        let field = |ty: &str| format!(r#"{{"type": "record", "name": "Tree", "fields": [{{"name": "left", "type": {ty}}}]}}"#);
        for (ty, expected) in [(r#"["Tree", "string"]"#, r#"{"left":"left"}"#), (r#"["Tree", "null"]"#, "{}")] {
            let schema = Schema::parse(&field(ty)).expect("a schema");
            let (value, mut avro) = (placeholder(&schema), Vec::new());
            let is_taken = json::transcode(&schema, value.as_bytes(), &mut avro).is_ok();
            assert_eq!((value.as_str(), is_taken), (expected, true));
        }
    }
}
