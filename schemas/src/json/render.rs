//! Avro bytes as JSON.

use std::fmt::Write as _;

use super::{base64, time};
use crate::avro::{EMPTY_ITEMS_MAX, Node, NodeId, RECORD_DEPTH_MAX, Schema, Value, block, dynamic};
use crate::codec::{Cursor, Malformed};

/// Appends one value, which is all of the bytes.
pub(super) fn run(schema: &Schema, node: NodeId, bytes: &[u8], masked: bool, out: &mut String) -> Result<(), Malformed> {
    let mut renderer =
        Renderer { schema, masked, cursor: Cursor::new(bytes), out, depth: RECORD_DEPTH_MAX, empties: EMPTY_ITEMS_MAX };
    renderer.put(node)?;
    renderer.cursor.end()
}

struct Renderer<'r> {
    schema: &'r Schema,
    masked: bool,
    cursor: Cursor<'r>,
    out: &'r mut String,
    depth: u32,
    empties: u64,
}

impl Renderer<'_> {
    fn put(&mut self, id: NodeId) -> Result<(), Malformed> {
        let schema = self.schema;
        match schema.node(id) {
            Node::Union(branches) => {
                let index = usize::try_from(self.cursor.long()?).ok();
                let branch = index.and_then(|index| branches.get(index)).ok_or(Malformed("union has no such branch"))?;
                self.put(*branch)
            }
            Node::Record(fields) => self.deeper(|this| {
                this.out.push('{');
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        this.out.push(',');
                    }
                    put_string(&field.name, this.out);
                    this.out.push(':');
                    if this.masked && field.secret {
                        schema.skip(field.ty, &mut this.cursor)?;
                        this.out.push_str("\"***\"");
                    } else {
                        this.put(field.ty)?;
                    }
                }
                this.out.push('}');
                Ok(())
            }),
            Node::Array(item) => self.items(|this| this.put(*item), '[', ']', schema.least_bytes(*item)),
            Node::Map(item) => self.items(|this| this.entry(*item), '{', '}', 1 + schema.least_bytes(*item)),
            Node::Dynamic => self.deeper(|this| this.dynamic(id)),
            _ => {
                let value = schema.read(id, &mut self.cursor)?;
                self.scalar(&value);
                Ok(())
            }
        }
    }

    fn deeper(&mut self, run: impl FnOnce(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.depth = self.depth.checked_sub(1).ok_or(Malformed("records are nested too deeply"))?;
        let result = run(self);
        self.depth += 1;
        result
    }

    fn entry(&mut self, item: NodeId) -> Result<(), Malformed> {
        put_string(self.cursor.text()?, self.out);
        self.out.push(':');
        self.put(item)
    }

    fn items(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Malformed>,
        open: char,
        close: char,
        least: u32,
    ) -> Result<(), Malformed> {
        self.out.push(open);
        let mut first = true;
        loop {
            let count = block(&mut self.cursor, least, &mut self.empties)?;
            if count == 0 {
                self.out.push(close);
                return Ok(());
            }
            for _ in 0..count {
                if !std::mem::take(&mut first) {
                    self.out.push(',');
                }
                item(self)?;
            }
        }
    }

    /// Numbers with all their digits: not through a decimal.
    fn dynamic(&mut self, id: NodeId) -> Result<(), Malformed> {
        match self.cursor.long()? {
            dynamic::NULL => self.out.push_str("null"),
            dynamic::BOOL => self.out.push_str(if self.cursor.boolean()? { "true" } else { "false" }),
            dynamic::LONG => {
                let _ = write!(self.out, "{}", self.cursor.long()?);
            }
            dynamic::NUMBER => {
                let text = self.cursor.text()?;
                if !crate::avro::is_number(text) {
                    return Err(Malformed("text that is not a JSON number"));
                }
                self.out.push_str(text);
            }
            dynamic::TEXT => put_string(self.cursor.text()?, self.out),
            dynamic::LIST => return self.items(|this| this.put(id), '[', ']', 1),
            dynamic::MAP => return self.items(|this| this.entry(id), '{', '}', 2),
            _ => return Err(Malformed("union has no such branch")),
        }
        Ok(())
    }

    fn scalar(&mut self, value: &Value<'_>) {
        let out = &mut *self.out;
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Double(value) if value.is_finite() => {
                let _ = write!(out, "{value:?}");
            }
            Value::Double(value) if value.is_nan() => out.push_str("\"NaN\""),
            Value::Double(value) => out.push_str(if *value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
            Value::Decimal(value) => {
                let _ = write!(out, "\"{value}\"");
            }
            Value::Text(value) => put_string(value, out),
            Value::Bytes(value) => {
                out.push('"');
                base64::encode(value, out);
                out.push('"');
            }
            Value::Timestamp(micros) => {
                out.push('"');
                time::put_timestamp(*micros, out);
                out.push('"');
            }
            Value::Date(days) => {
                out.push('"');
                time::put_date(*days, out);
                out.push('"');
            }
            Value::Raw(_) => unreachable!("lists, maps and records are walked by their nodes"),
        }
    }
}

/// Appends text as a JSON string, quotes included.
pub fn put_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !matches!(byte, b'"' | b'\\' | 0..0x20) {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}
