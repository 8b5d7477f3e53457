//! Whether an expression's values can be written by a schema, told before the first saga.

use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, NodeId, Schema};

use super::lower::Typed;
use super::tree::{Const, Node};
use super::types::Type;

/// An error says what does not fit.
pub(super) fn fits(typed: &Typed, schema: &Arc<Schema>, target: NodeId) -> Result<(), String> {
    if let (Node::Const(Const::Text(text)), Avro::Enum(symbols)) = (&typed.node, schema.node(schema.unwrap_optional(target)))
        && !symbols.contains(text)
    {
        return Err(format!("'{text}' is none of {}", symbols.join(", ")));
    }
    Fit { schema, open: Vec::new() }.ty(&typed.ty, target)
}

/// A check; two records that hold themselves fit if nothing in them says otherwise.
struct Fit<'s> {
    schema: &'s Arc<Schema>,
    /// Records that are compared further out: whose, its node, and the wanted one's.
    open: Vec<(i64, NodeId, NodeId)>,
}

impl Fit<'_> {
    fn ty(&mut self, ty: &Type, target: NodeId) -> Result<(), String> {
        let schema = self.schema;
        let node = schema.node(target);
        let mismatch = || Err(format!("{ty} where {} is wanted", Type::of(schema, target)));
        match (ty, node) {
            (Type::Optional(inner), _) if schema.is_optional(target) => self.ty(inner, schema.unwrap_optional(target)),
            (Type::Optional(_), _) => Err("this may be absent, and the field needs a value".into()),
            (Type::Null, _) if schema.is_optional(target) => Ok(()),
            (Type::Duration, _) => Err("a duration has no form in Avro or JSON".into()),
            (Type::Never | Type::Dynamic | Type::Unknown, _) | (_, Avro::Dynamic) => Ok(()),
            (ty, Avro::Union(branches)) => {
                if branches.iter().any(|branch| self.ty(ty, *branch).is_ok()) {
                    return Ok(());
                }
                match schema.unwrap_optional(target) {
                    only if only != target => self.ty(ty, only),
                    _ => mismatch(),
                }
            }
            (Type::Bool, Avro::Bool)
            | (Type::Int, Avro::Int | Avro::Long | Avro::Float | Avro::Double | Avro::Decimal { .. } | Avro::FixedDecimal { .. })
            | (Type::Double, Avro::Float | Avro::Double)
            | (Type::Decimal(_), Avro::Decimal { .. } | Avro::FixedDecimal { .. })
            | (Type::Text, Avro::Str | Avro::Enum(_))
            | (Type::Bytes, Avro::Bytes | Avro::Fixed(_))
            | (Type::Timestamp, Avro::Millis | Avro::Micros | Avro::Nanos)
            | (Type::Date, Avro::Date) => Ok(()),
            (Type::List(item), Avro::Array(of)) => self.ty(item, *of).map_err(|why| format!("items: {why}")),
            (Type::Map(value), Avro::Map(of)) => self.ty(value, *of).map_err(|why| format!("values: {why}")),
            (Type::Object(fields), Avro::Map(of)) => {
                fields.iter().try_for_each(|given| self.ty(&given.ty, *of).map_err(|why| format!("{}: {why}", given.name)))
            }
            (Type::Record(from, id), Avro::Record(_)) if from.same_shape(*id, schema, target) => Ok(()),
            (Type::Record(from, id), Avro::Record(_)) => {
                let pair = (from.key(), *id, target);
                if self.open.contains(&pair) {
                    return Ok(());
                }
                self.open.push(pair);
                let fits = self.record(target, &|name| from.field_named(*id, name).map(|(_, field)| Type::of(from, field.ty)));
                self.open.pop();
                fits
            }
            (Type::Object(fields), Avro::Record(wanted)) => {
                if let Some(more) = fields.iter().find(|given| wanted.iter().all(|field| *field.name != *given.name)) {
                    return Err(format!("{} has no field '{}'", schema.name_of(target).unwrap_or("the record"), more.name));
                }
                self.record(target, &|name| fields.iter().find(|given| *given.name == *name).map(|given| given.ty.clone()))
            }
            _ => mismatch(),
        }
    }

    fn record(&mut self, target: NodeId, given: &dyn Fn(&str) -> Option<Type>) -> Result<(), String> {
        let schema = self.schema;
        for field in schema.fields(target) {
            match given(&field.name) {
                Some(ty) => self.ty(&ty, field.ty).map_err(|why| format!("{}: {why}", field.name))?,
                None if field.default.is_some() => {}
                None => return Err(format!("{} needs the field '{}'", schema.name_of(target).unwrap_or("the record"), field.name)),
            }
        }
        Ok(())
    }
}

/// What to do about it.
pub(super) fn hint(typed: &Typed, schema: &Arc<Schema>, target: NodeId) -> &'static str {
    match (&typed.ty, schema.node(schema.unwrap_optional(target))) {
        (Type::Optional(_), _) if !schema.is_optional(target) => "write .orValue(...) behind it, or ask has(...) first",
        (Type::Double, Avro::Decimal { .. } | Avro::FixedDecimal { .. }) => {
            "money is never a double: write decimal('...') or decimal(x)"
        }
        (Type::Int | Type::Double | Type::Decimal(_) | Type::Bool | Type::Timestamp, Avro::Str) => "make it a text: string(x)",
        (Type::Text, Avro::Int | Avro::Long) => "make it a number: int(x)",
        (Type::Text, Avro::Decimal { .. } | Avro::FixedDecimal { .. }) => "make it a number: decimal(x)",
        (Type::Text, Avro::Millis | Avro::Micros | Avro::Nanos) => "write timestamp(x)",
        (Type::Duration, _) => "write string(x)",
        (Type::Null, _) => "the field needs a value: its schema does not allow null",
        (Type::Text, Avro::Enum(_)) => "write one of them, in quotes of its own",
        (Type::Int | Type::Double | Type::Decimal(_) | Type::Text, Avro::Bool) => "compare it: x > 0, x == 'yes'",
        (Type::Double | Type::Decimal(_), Avro::Int | Avro::Long) => "make it a whole number: int(x)",
        (Type::Text, Avro::Float | Avro::Double) => "make it a number: double(x)",
        (Type::List(_), Avro::Array(_)) => "make each item what is wanted: x.map(y, { 'FIELD': y.FIELD })",
        (Type::Record(..) | Type::Object(_), Avro::Record(_)) => "write its fields one by one: { NAME: expression }",
        (_, Avro::Array(_)) => "write a list: [ x ]; of a list of records x.map(y, y.FIELD) takes one field",
        (_, Avro::Record(_)) => "write its fields: { NAME: expression }",
        (_, Avro::Map(_)) => "write its entries: { KEY: expression }",
        (Type::List(_), Avro::Str) => "name one of its items, or write x.join(', ')",
        (Type::Record(..) | Type::Object(_) | Type::Map(_), _) => "name one of its fields",
        _ => "give what the schema says",
    }
}
