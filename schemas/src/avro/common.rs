//! One record that several others can be read as: what they have in common, and what some of them have.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::fit::type_word;
use super::source::{Document, inline};
use super::{Field, Node, NodeId, Schema};
use crate::avro::canonical::identity;

/// A record that several others can be read as.
#[derive(Debug, Clone)]
pub struct Common {
    /// It has each field of any of them whose types agree; where one of them lacks it, or may have null, it may be null.
    pub schema: Arc<Schema>,
    /// Fields that are not plainly in all of them, by name.
    pub gaps: BTreeMap<String, Gap>,
}

/// Two records by their numbers, and their types of one field in words.
pub type Differing = [(usize, String); 2];

/// Why a field is not plainly in all of several records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// This one, by its number, does not have it.
    Lacking(usize),
    /// Its types differ, so that the common record does not have it: the two numbers, and their types in words.
    Differing(Differing),
}

/// A field of one of the records.
struct Found<'s> {
    number: usize,
    schema: &'s Schema,
    field: &'s Field,
}

impl Schema {
    /// The record of this name that all of these can be read as; an error if two of them have different types under one name.
    ///
    /// # Panics
    /// If one of them is not a record.
    pub fn common(name: &str, records: &[Arc<Schema>]) -> Result<Common, String> {
        let mut definitions: BTreeMap<String, Json> = BTreeMap::new();
        for record in records {
            let document = Document::read(record.text()).expect("a compiled schema's text is a schema");
            for (name, definition) in document.definitions {
                let known = definitions.entry(name).or_insert_with(|| definition.clone());
                if identity(known) != identity(&definition) {
                    return Err(format!("{} has another type {} than one before it", record.name(), definition["name"]));
                }
            }
        }
        if definitions.contains_key(name) {
            return Err(format!("one of them has a type {name}, as what they have in common is to be called"));
        }
        let (mut fields, mut gaps) = (Vec::new(), BTreeMap::new());
        for (at, record) in records.iter().enumerate() {
            for field in record.fields(record.root()) {
                if records[..at].iter().any(|before| before.field_named(before.root(), &field.name).is_some()) {
                    continue;
                }
                match merged(&field.name, records, &definitions) {
                    Ok((merged, lacking)) => {
                        fields.push(merged);
                        gaps.extend(lacking.map(|number| (field.name.to_string(), Gap::Lacking(number))));
                    }
                    Err(differing) => drop(gaps.insert(field.name.to_string(), Gap::Differing(differing))),
                }
            }
        }
        let root = json!({ "type": "record", "name": name, "fields": fields });
        let lookup = |other: &str| if other == name { Some(&root) } else { definitions.get(other) };
        let schema = inline(&Json::String(name.to_owned()), &lookup).and_then(|inlined| Schema::compile(&inlined))?;
        Ok(Common { schema: Arc::new(schema), gaps })
    }
}

/// A field as all of the records that have it can be read, and the first that does not; or two of them whose types differ.
fn merged(name: &str, records: &[Arc<Schema>], definitions: &BTreeMap<String, Json>) -> Result<(Json, Option<usize>), Differing> {
    let found = |(number, schema): (usize, &Arc<Schema>)| {
        let (_, field) = schema.field_named(schema.root(), name)?;
        Some(number).zip(Some(field.clone()))
    };
    let all: Vec<(usize, Field)> = records.iter().enumerate().filter_map(found).collect();
    let all: Vec<Found<'_>> =
        all.iter().map(|(number, field)| Found { number: *number, schema: &records[*number], field }).collect();
    let mut widest = &all[0];
    for other in &all[1..] {
        widest = wider(widest, other).ok_or_else(|| [widest.said(), other.said()])?;
    }
    let lacking = (0..records.len()).find(|number| all.iter().all(|found| found.number != *number));
    let may_be_null = lacking.is_some() || all.iter().any(|found| found.schema.is_optional(found.field.ty));
    let written = definitions[widest.schema.name()]["fields"].as_array().expect("a record has fields");
    let written = written.iter().find(|field| field["name"] == name).expect("it has this one");
    let mut ty = written["type"].clone();
    if may_be_null && !widest.schema.is_optional(widest.field.ty) {
        ty = match ty {
            Json::Array(branches) => Json::Array(std::iter::once(json!("null")).chain(branches).collect()),
            plain => json!(["null", plain]),
        };
    }
    let mut merged = json!({ "name": name, "type": ty });
    if all.iter().any(|found| found.field.secret) {
        merged["secret"] = json!(true);
    }
    Ok((merged, lacking))
}

impl Found<'_> {
    fn said(&self) -> (usize, String) {
        (self.number, type_word(self.schema, self.schema.unwrap_optional(self.field.ty)))
    }

    fn node(&self) -> NodeId {
        self.schema.unwrap_optional(self.field.ty)
    }
}

/// Of two fields of one name the one whose type takes all values of both; none if their types differ. Which of them may be null does not
/// matter.
fn wider<'f, 's>(one: &'f Found<'s>, other: &'f Found<'s>) -> Option<&'f Found<'s>> {
    if one.schema.same_shape(one.node(), other.schema, other.node()) {
        return Some(one);
    }
    match (one.schema.node(one.node()), other.schema.node(other.node())) {
        (Node::Long, Node::Int) => Some(one),
        (Node::Int, Node::Long) => Some(other),
        (Node::Decimal { precision, scale }, Node::Decimal { precision: p, scale: s }) if scale == s => {
            Some(if precision >= p { one } else { other })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avro::Resolver;

    fn record(name: &str, fields: &str) -> Arc<Schema> {
        Schema::parse(&format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)).expect("a schema")
    }

    const KEY: &str = r#"{"name":"key","type":"string"}"#;

    #[test]
    fn a_field_that_one_lacks_may_be_null_and_one_whose_types_differ_is_not_there() {
        let one = record("One", &format!(r#"{KEY},{{"name":"amount","type":"int"}},{{"name":"tier","type":"string"}}"#));
        let two = record("Two", &format!(r#"{{"name":"amount","type":"double"}},{KEY},{{"name":"why","type":["string","null"]}}"#));
        let Common { schema, gaps } = Schema::common("start", &[one.clone(), two.clone()]).expect("they agree");
        let fields = schema.fields(schema.root()).iter();
        let fields: Vec<(&str, bool)> = fields.map(|field| (&*field.name, schema.is_optional(field.ty))).collect();
        assert_eq!(fields, [("key", false), ("tier", true), ("why", true)]);
        assert_eq!((gaps["tier"].clone(), gaps["why"].clone()), (Gap::Lacking(1), Gap::Lacking(0)));
        assert_eq!(gaps["amount"], Gap::Differing([(0, "an int".to_owned()), (1, "a double".to_owned())]));
        // Both can be read as it.
        let mut out = Vec::new();
        let resolve = |from: &Arc<Schema>, bytes: &[u8], out: &mut Vec<u8>| {
            Resolver::new(from.clone(), schema.clone()).expect("a way").resolve(bytes, out).expect("it fits");
        };
        resolve(&one, &[2, b'k', 8, 2, b't'], &mut out);
        assert_eq!(out, [2, b'k', 2, 2, b't', 2], "why is null, the second branch of its own union");
        out.clear();
        resolve(&two, &[0, 0, 0, 0, 0, 0, 0, 0, 2, b'k', 0, 2, b'w'], &mut out);
        assert_eq!(out, [2, b'k', 0, 0, 2, b'w']);
    }

    #[test]
    fn the_wider_type_is_taken_and_what_one_calls_secret_is_secret() {
        let decimal = |precision: u32| {
            format!(r#"{{"name":"d","type":{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":2}}}}"#)
        };
        let one = record("One", &format!(r#"{{"name":"n","type":"int","secret":true}},{}"#, decimal(9)));
        let two = record("Two", &format!(r#"{{"name":"n","type":["null","long"]}},{}"#, decimal(12)));
        let Common { schema, gaps } = Schema::common("start", &[one, two]).expect("they agree");
        let fields = schema.fields(schema.root());
        assert!(gaps.is_empty() && fields[0].secret && schema.is_optional(fields[0].ty));
        assert_eq!(*schema.node(schema.unwrap_optional(fields[0].ty)), Node::Long);
        assert_eq!(*schema.node(fields[1].ty), Node::Decimal { precision: 12, scale: 2 });
    }

    #[test]
    fn types_inside_are_taken_along_and_one_name_is_one_type() {
        let item =
            |field: &str| format!(r#"{{"type":"record","name":"shop.Item","fields":[{{"name":"{field}","type":"string"}}]}}"#);
        let one = record("One", &format!(r#"{{"name":"a","type":{}}},{{"name":"b","type":"shop.Item"}}"#, item("sku")));
        let same = record("Two", &format!(r#"{{"name":"b","type":{{"type":"array","items":{}}}}}"#, item("sku")));
        let Common { schema, gaps } = Schema::common("start", &[one.clone(), same]).expect("they agree");
        assert_eq!(schema.fields(schema.root()).len(), 1);
        assert_eq!(gaps["b"], Gap::Differing([(0, "a record shop.Item".to_owned()), (1, "a list".to_owned())]));
        let other = record("Two", &format!(r#"{{"name":"b","type":{}}}"#, item("name")));
        assert_eq!(Schema::common("start", &[one, other]).unwrap_err(), "Two has another type \"shop.Item\" than one before it");
        let root = record("start", r#"{"name":"a","type":"int"}"#);
        assert!(Schema::common("start", &[root]).unwrap_err().contains("has a type start"));
    }
}
