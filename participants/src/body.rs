//! Bodies as Rust types: Avro bytes read by serde without a step between, results written by their schema.
//!
//! A value looks to serde as its JSON does on the wire: a decimal is text, an instant text (RFC 3339) or milliseconds, a date text,
//! bytes are bytes or base64. Texts borrow from the record.

use ringmaster_schemas::avro::{Entries, Field, Items, Kind, Raw, Schema, Value};
use ringmaster_schemas::codec::{Cursor, Malformed};
use ringmaster_schemas::json;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};

type Error = serde::de::value::Error;

/// Reads validated bytes of a schema.
pub(crate) fn read<'a, T: Deserialize<'a>>(schema: &'a Schema, bytes: &'a [u8]) -> Result<T, String> {
    let mut cursor = Cursor::new(bytes);
    let value = schema.read(schema.root(), &mut cursor).map_err(|error| error.to_string())?;
    T::deserialize(Reader(value)).map_err(|error| error.to_string())
}

/// Appends a value as one of the schema; `text` is for its use.
pub(crate) fn write(schema: &Schema, value: &impl Serialize, text: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), String> {
    text.clear();
    serde_json::to_writer(&mut *text, value).map_err(|error| error.to_string())?;
    json::transcode(schema, text, out).map_err(|error| error.to_string())
}

fn malformed(error: Malformed) -> Error {
    Error::custom(error)
}

/// One value.
struct Reader<'a>(Value<'a>);

impl Reader<'_> {
    /// What is text in JSON and not in Avro.
    fn as_text(&self) -> Option<String> {
        let mut text = String::new();
        match self.0 {
            Value::Decimal(value) => text = value.to_string(),
            Value::Timestamp(micros) => json::time::put_timestamp(micros, &mut text),
            Value::Date(days) => json::time::put_date(days, &mut text),
            Value::Bytes(bytes) => json::base64::encode(bytes, &mut text),
            _ => return None,
        }
        Some(text)
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error>
    where
        Self: Deserializer<'de, Error = Error>,
    {
        match self.as_text() {
            Some(text) => visitor.visit_string(text),
            None => self.deserialize_any(visitor),
        }
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error>
    where
        Self: Deserializer<'de, Error = Error>,
    {
        match self.0 {
            Value::Timestamp(micros) => visitor.visit_i64(micros.div_euclid(1000)),
            _ => self.deserialize_any(visitor),
        }
    }
}

/// Methods that read in the same way.
macro_rules! forward {
    ($to:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$to(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            Value::Double(value) => visitor.visit_f64(value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Decimal(_) | Value::Timestamp(_) | Value::Date(_) => self.text(visitor),
            Value::Raw(raw) => match raw.kind() {
                Kind::List => visitor.visit_seq(List(raw.items())),
                Kind::Map => visitor.visit_map(Map { entries: raw.entries(), value: None }),
                Kind::Record => visitor.visit_map(Record::new(raw)),
            },
        }
    }

    forward!(text: deserialize_str deserialize_string deserialize_char);
    forward!(integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0 == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Text(symbol) => visitor.visit_enum(BorrowedStrDeserializer::new(symbol)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool f32 f64 bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// Items of a list.
struct List<'a>(Items<'a>);

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|item| seed.deserialize(Reader(item.map_err(malformed)?))).transpose()
    }
}

/// Entries of a map.
struct Map<'a> {
    entries: Entries<'a>,
    value: Option<Value<'a>>,
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        let (key, value) = entry.map_err(malformed)?;
        self.value = Some(value);
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Reader(self.value.take().expect("serde asks for a key first")))
    }
}

/// Fields of a record, in their order.
struct Record<'a> {
    schema: &'a Schema,
    fields: std::slice::Iter<'a, Field>,
    field: Option<&'a Field>,
    cursor: Cursor<'a>,
}

impl<'a> Record<'a> {
    fn new(raw: Raw<'a>) -> Self {
        let fields = raw.schema().fields(raw.node()).iter();
        Record { schema: raw.schema(), fields, field: None, cursor: Cursor::new(raw.bytes()) }
    }
}

impl<'de> MapAccess<'de> for Record<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.field = self.fields.next();
        self.field.map(|field| seed.deserialize(BorrowedStrDeserializer::new(&field.name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let field = self.field.expect("serde asks for a key first");
        seed.deserialize(Reader(self.schema.read(field.ty, &mut self.cursor).map_err(malformed)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rust_decimal::Decimal;

    use super::*;

    const SCHEMA: &str = r#"{"type":"record","name":"All","fields":[
        {"name":"text","type":"string"},
        {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"fine","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"small","type":"int"},
        {"name":"rate","type":"double"},
        {"name":"yes","type":"boolean"},
        {"name":"note","type":["null","string"]},
        {"name":"none","type":["null","long"]},
        {"name":"colour","type":{"type":"enum","name":"Colour","symbols":["RED","GREEN"]}},
        {"name":"raw","type":"bytes"},
        {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
            {"name":"sku","type":"string"},{"name":"unread","type":{"type":"array","items":"long"}},{"name":"qty","type":"long"}]}}},
        {"name":"tags","type":{"type":"map","values":"long"}},
        {"name":"any","type":"ringmaster.Json"}]}"#;

    #[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Line<'a> {
        sku: &'a str,
        #[serde(default, skip_deserializing)]
        unread: [i64; 0],
        qty: i64,
    }

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Whole<'a> {
        text: &'a str,
        #[serde(with = "rust_decimal::serde::str")]
        amount: Decimal,
        at: i64,
        fine: String,
        day: String,
        small: u8,
        rate: f64,
        yes: bool,
        note: Option<&'a str>,
        none: Option<i64>,
        colour: Colour,
        raw: String,
        #[serde(borrow)]
        lines: Vec<Line<'a>>,
        #[serde(borrow)]
        tags: BTreeMap<&'a str, i64>,
        any: serde_json::Value,
    }

    fn schema() -> ringmaster_schemas::registry::Schemas {
        let mut schemas = ringmaster_schemas::registry::Schemas::builtin();
        schemas.add(SCHEMA).expect("a schema");
        schemas
    }

    fn whole() -> Whole<'static> {
        Whole {
            text: "Grüße 🎪 \"x\"",
            amount: "-120.50".parse().expect("a number"),
            at: 1_795_771_800_250,
            fine: "2026-11-27T09:30:00.250001Z".into(),
            day: "2026-11-27".into(),
            small: 200,
            rate: 0.5,
            yes: true,
            note: Some("here"),
            none: None,
            colour: Colour::Green,
            raw: "AP8=".into(),
            lines: vec![Line { sku: "a", unread: [], qty: 2 }, Line { sku: "", unread: [], qty: -1 }],
            tags: [("k", 1), ("l", i64::MIN)].into(),
            any: serde_json::json!({"a": [1, null, "x", {"b": false}]}),
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let schemas = schema();
        let schema = schemas.named("All").expect("added");
        let (mut text, mut out) = (Vec::new(), Vec::new());
        write(schema, &whole(), &mut text, &mut out).expect("it fits");
        schema.validate(&out).expect("valid");
        let read: Whole<'_> = read(schema, &out).expect("it is read");
        assert_eq!(read, whole());
        assert!(out.as_ptr_range().contains(&read.text.as_ptr()), "texts borrow from the record");
    }

    #[test]
    fn parts_wrappers_and_other_types_of_numbers() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Wrapped<T>(T);
        #[derive(Debug, PartialEq, Deserialize)]
        struct Part<'a> {
            yes: Wrapped<bool>,
            small: f64,
            at: String,
            #[serde(borrow)]
            raw: &'a [u8],
            note: String,
        }
        let schemas = schema();
        let schema = schemas.named("All").expect("added");
        let (mut text, mut out) = (Vec::new(), Vec::new());
        write(schema, &whole(), &mut text, &mut out).expect("it fits");
        let part: Part<'_> = read(schema, &out).expect("it is read");
        let at = "2026-11-27T09:30:00.250Z".to_owned();
        assert_eq!(part, Part { yes: Wrapped(true), small: 200.0, at, raw: &[0, 255], note: "here".into() });
    }

    #[test]
    fn what_does_not_fit_is_said() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its type is asked")]
        struct Wrong {
            text: i64,
        }
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its type is asked")]
        struct Missing {
            absent: i64,
        }
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its type is asked")]
        struct TooSmall {
            at: i32,
        }
        let schemas = schema();
        let schema = schemas.named("All").expect("added");
        let (mut text, mut out) = (Vec::new(), Vec::new());
        write(schema, &whole(), &mut text, &mut out).expect("it fits");
        assert!(read::<Wrong>(schema, &out).expect_err("text").contains("invalid type: string"));
        assert!(read::<Missing>(schema, &out).expect_err("absent").contains("missing field `absent`"));
        assert!(read::<TooSmall>(schema, &out).expect_err("too large").contains("invalid value"));
        let mut bad = whole();
        bad.amount = "0.001".parse().expect("a number");
        let error = write(schema, &bad, &mut text, &mut out).expect_err("a digit too many");
        assert!(error.contains("amount"), "{error}");
    }
}
