//! Defaults as bytes, made once: a missing field is a copy.

use serde_json::Value as Json;

use super::compile::FieldDefaults;
use super::{Node, NodeId, RECORD_DEPTH_MAX, Schema, decimal};
use crate::codec::{put_blob, put_long, put_text};

/// Gives every field its [`default`](super::Field::default).
pub(super) fn fill(schema: &mut Schema, defaults: &FieldDefaults) -> Result<(), String> {
    let mut filled = Vec::new();
    for i in 0..schema.nodes.len() {
        let id = NodeId(i as u32);
        for (index, field) in schema.fields(id).iter().enumerate() {
            let mut out = Vec::new();
            let found = match defaults.get(&(id, index)) {
                Some(json) => Defaults { schema, defaults }
                    .put(field.ty, json, RECORD_DEPTH_MAX, &mut out)
                    .map(|()| true)
                    .map_err(|why| format!("{}.{}: its default {json} does not fit: {why}", schema.names[i], field.name))?,
                None => put_null(schema, field.ty, &mut out),
            };
            if found {
                filled.push((i, index, out));
            }
        }
    }
    for (node, index, bytes) in filled {
        if let Node::Record(fields) = &mut schema.nodes[node] {
            fields[index].default = Some(bytes.into());
        }
    }
    Ok(())
}

/// Appends null where the type allows it.
fn put_null(schema: &Schema, ty: NodeId, out: &mut Vec<u8>) -> bool {
    match schema.node(ty) {
        Node::Null => true,
        Node::Dynamic => {
            out.push(0);
            true
        }
        Node::Union(branches) => match branches.iter().position(|branch| *schema.node(*branch) == Node::Null) {
            Some(index) => {
                put_long(out, index as i64);
                true
            }
            None => false,
        },
        _ => false,
    }
}

struct Defaults<'s> {
    schema: &'s Schema,
    defaults: &'s FieldDefaults,
}

impl Defaults<'_> {
    /// Avro's own JSON for defaults: bytes are text of the characters 0 to 255, a union's default is one of its first branch (or,
    /// since 1.12, of any).
    fn put(&self, id: NodeId, json: &Json, depth: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let depth = depth.checked_sub(1).ok_or("it contains itself")?;
        let wrong = |what: &str| format!("it is not {what}");
        match self.schema.node(id) {
            Node::Null => json.as_null().ok_or_else(|| wrong("null"))?,
            Node::Bool => out.push(u8::from(json.as_bool().ok_or_else(|| wrong("a boolean"))?)),
            Node::Int | Node::Date => {
                let value = json.as_i64().and_then(|value| i32::try_from(value).ok()).ok_or_else(|| wrong("an int"))?;
                put_long(out, i64::from(value));
            }
            Node::Long | Node::Millis | Node::Micros | Node::Nanos => put_long(out, json.as_i64().ok_or_else(|| wrong("a long"))?),
            Node::Float => out.extend_from_slice(&(json.as_f64().ok_or_else(|| wrong("a number"))? as f32).to_le_bytes()),
            Node::Double => out.extend_from_slice(&json.as_f64().ok_or_else(|| wrong("a number"))?.to_le_bytes()),
            Node::Str => put_text(out, json.as_str().ok_or_else(|| wrong("text"))?),
            Node::Bytes => put_blob(out, &latin1(json)?),
            Node::Decimal { precision, .. } => {
                let bytes = latin1(json)?;
                decimal::unscaled(&bytes, *precision).map_err(|error| error.0)?;
                put_blob(out, &bytes);
            }
            Node::Fixed(size) | Node::FixedDecimal { size, .. } => {
                let bytes = latin1(json)?;
                if bytes.len() != *size {
                    return Err(format!("it is not of {size} bytes"));
                }
                out.extend_from_slice(&bytes);
            }
            Node::Enum(symbols) => {
                let index = symbols.iter().position(|symbol| json == &**symbol).ok_or_else(|| wrong("one of the symbols"))?;
                put_long(out, index as i64);
            }
            Node::Array(item) => {
                let items = json.as_array().ok_or_else(|| wrong("a list"))?;
                put_count(out, items.len());
                items.iter().try_for_each(|json| self.put(*item, json, depth, out))?;
                out.push(0);
            }
            Node::Map(item) => {
                let entries = json.as_object().ok_or_else(|| wrong("an object"))?;
                put_count(out, entries.len());
                for (key, json) in entries {
                    put_text(out, key);
                    self.put(*item, json, depth, out)?;
                }
                out.push(0);
            }
            Node::Union(branches) => return self.union(branches, json, depth, out),
            Node::Record(_) => return self.record(id, json, depth, out),
            Node::Dynamic => crate::json::dynamic(json.to_string().as_bytes(), out).map_err(|error| error.to_string())?,
        }
        Ok(())
    }

    fn union(&self, branches: &[NodeId], json: &Json, depth: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        let mut first_error = None;
        for (index, branch) in branches.iter().enumerate() {
            put_long(out, index as i64);
            match self.put(*branch, json, depth, out) {
                Ok(()) => return Ok(()),
                Err(why) => first_error = first_error.or(Some(why)),
            }
            out.truncate(start);
        }
        Err(first_error.unwrap_or_default())
    }

    fn record(&self, id: NodeId, json: &Json, depth: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let object = json.as_object().ok_or("it is not an object")?;
        for (index, field) in self.schema.fields(id).iter().enumerate() {
            if let Some(json) = object.get(&*field.name).or_else(|| self.defaults.get(&(id, index))) {
                self.put(field.ty, json, depth, out).map_err(|why| format!("{}: {why}", field.name))?;
            } else if !put_null(self.schema, field.ty, out) {
                return Err(format!("field {} is missing", field.name));
            }
        }
        Ok(())
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    if count > 0 {
        put_long(out, count as i64);
    }
}

fn latin1(json: &Json) -> Result<Vec<u8>, String> {
    let text = json.as_str().ok_or("it is not text")?;
    text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| format!("character {c:?} is not a byte"))).collect()
}
