//! Schemas of types: by them values that an expression makes are kept.

use std::sync::Arc;

use ringmaster_schemas::avro::Schema;

use super::types::{ObjectField, Type, UNKNOWN};

/// Digits of a decimal that is kept.
const PRECISION: u32 = super::number::DIGITS_MAX;

/// Why values of a type cannot be kept, and what to do.
pub(crate) struct Unkept {
    pub(crate) why: String,
    pub(crate) hint: &'static str,
}

/// The schema of a type. `base` begins the names of records that have none.
pub(crate) fn schema_of(ty: &Type, json: &Schema, base: &str) -> Result<Arc<Schema>, Unkept> {
    Shape::new(json, base).schema(ty)
}

/// A schema in the making.
pub(super) struct Shape<'s> {
    /// The schema of what is known only at run time.
    json: &'s Schema,
    /// What names of records begin with that an expression makes.
    base: &'s str,
    /// How many of them there are.
    records: usize,
}

impl<'s> Shape<'s> {
    pub(super) fn new(json: &'s Schema, base: &'s str) -> Shape<'s> {
        Shape { json, base, records: 0 }
    }

    /// The schema of a type.
    pub(super) fn schema(mut self, ty: &Type) -> Result<Arc<Schema>, Unkept> {
        let text = self.text(ty)?;
        Schema::parse(&text)
            .map_err(|error| Unkept { why: format!("this cannot be kept: {}", error.why), hint: "keep its fields one by one" })
    }

    /// A named type may be defined more than once in it: the same is the same.
    fn text(&mut self, ty: &Type) -> Result<String, Unkept> {
        Ok(match ty {
            Type::Never | Type::Null => r#""null""#.into(),
            Type::Bool => r#""boolean""#.into(),
            Type::Int => r#""long""#.into(),
            Type::Double => r#""double""#.into(),
            Type::Text => r#""string""#.into(),
            Type::Bytes => r#""bytes""#.into(),
            Type::Timestamp => r#"{"type":"long","logicalType":"timestamp-micros"}"#.into(),
            Type::Date => r#"{"type":"int","logicalType":"date"}"#.into(),
            Type::Decimal(Some(scale)) => {
                format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{PRECISION},"scale":{scale}}}"#)
            }
            Type::Decimal(None) => {
                let why = "how many digits this decimal has behind its point is not known, so it cannot be kept".into();
                return Err(Unkept { why, hint: "write round(x, 2)" });
            }
            Type::Duration => {
                return Err(Unkept { why: "a duration has no form in Avro, so it cannot be kept".into(), hint: "write string(x)" });
            }
            Type::List(item) => format!(r#"{{"type":"array","items":{}}}"#, self.text(item)?),
            Type::Map(value) => format!(r#"{{"type":"map","values":{}}}"#, self.text(value)?),
            Type::Record(schema, node) => schema.text_of(*node).expect("a record has a name"),
            Type::Object(fields) => self.object(fields)?,
            Type::Unknown => {
                let (namespace, name) = UNKNOWN.split_once('.').expect("it has a namespace");
                format!(r#"{{"type":"fixed","namespace":"{namespace}","name":"{name}","size":1}}"#)
            }
            Type::Dynamic => self.json.text().to_owned(),
            // Of itself it may be null.
            Type::Optional(inner) if matches!(**inner, Type::Dynamic) => self.text(inner)?,
            Type::Optional(inner) => format!(r#"["null",{}]"#, self.text(inner)?),
        })
    }

    fn object(&mut self, fields: &[ObjectField]) -> Result<String, Unkept> {
        self.records += 1;
        let name = if self.records == 1 { self.base.to_owned() } else { format!("{}_{}", self.base, self.records) };
        let mut texts = Vec::with_capacity(fields.len());
        for ObjectField { name: field, ty, secret } in fields {
            if !is_name(field) {
                let why = format!("'{field}' is no name of a field that is kept");
                return Err(Unkept { why, hint: "letters, digits and _ are, not beginning with a digit" });
            }
            let inner = self.text(ty).map_err(|unkept| Unkept { why: format!("{field}: {}", unkept.why), ..unkept })?;
            let default = if matches!(ty, Type::Optional(_)) && inner.starts_with('[') { r#","default":null"# } else { "" };
            let secret = if *secret { r#","secret":true"# } else { "" };
            texts.push(format!(r#"{{"name":"{field}","type":{inner}{default}{secret}}}"#));
        }
        Ok(format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, texts.join(",")))
    }
}

/// What Avro allows as a field's name.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
