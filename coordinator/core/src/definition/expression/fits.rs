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
    ty_fits(&typed.ty, schema, target)
}

fn ty_fits(ty: &Type, schema: &Arc<Schema>, target: NodeId) -> Result<(), String> {
    let node = schema.node(target);
    let mismatch = || Err(format!("{ty} where {} is wanted", Type::of(schema, target)));
    match (ty, node) {
        (Type::Optional(inner), _) if schema.is_optional(target) => ty_fits(inner, schema, schema.unwrap_optional(target)),
        (Type::Optional(_), _) => Err("this may be absent, and the field needs a value".into()),
        (Type::Null, _) if schema.is_optional(target) => Ok(()),
        (Type::Duration, _) => Err("a duration has no form in Avro or JSON".into()),
        (Type::Never | Type::Dynamic, _) | (_, Avro::Dynamic) => Ok(()),
        (ty, Avro::Union(branches)) => {
            if branches.iter().any(|branch| ty_fits(ty, schema, *branch).is_ok()) {
                return Ok(());
            }
            match schema.unwrap_optional(target) {
                only if only != target => ty_fits(ty, schema, only),
                _ => mismatch(),
            }
        }
        (Type::Bool, Avro::Bool)
        | (Type::Int, Avro::Int | Avro::Long | Avro::Float | Avro::Double | Avro::Decimal { .. } | Avro::FixedDecimal { .. })
        | (Type::Double, Avro::Float | Avro::Double)
        | (Type::Decimal, Avro::Decimal { .. } | Avro::FixedDecimal { .. })
        | (Type::Text, Avro::Str | Avro::Enum(_))
        | (Type::Bytes, Avro::Bytes | Avro::Fixed(_))
        | (Type::Timestamp, Avro::Millis | Avro::Micros | Avro::Nanos)
        | (Type::Date, Avro::Date) => Ok(()),
        (Type::List(item), Avro::Array(of)) => ty_fits(item, schema, *of).map_err(|why| format!("items: {why}")),
        (Type::Map(value), Avro::Map(of)) => ty_fits(value, schema, *of).map_err(|why| format!("values: {why}")),
        (Type::Object(fields), Avro::Map(of)) => {
            fields.iter().try_for_each(|(name, ty)| ty_fits(ty, schema, *of).map_err(|why| format!("{name}: {why}")))
        }
        (Type::Record(from, id), Avro::Record(_)) if from.same_shape(*id, schema, target) => Ok(()),
        (Type::Record(from, id), Avro::Record(_)) => {
            record_fits(schema, target, &|name| from.field_named(*id, name).map(|(_, field)| Type::of(from, field.ty)))
        }
        (Type::Object(fields), Avro::Record(wanted)) => {
            if let Some((name, _)) = fields.iter().find(|(name, _)| wanted.iter().all(|field| *field.name != **name)) {
                return Err(format!("{} has no field '{name}'", schema.name_of(target).unwrap_or("the record")));
            }
            record_fits(schema, target, &|name| fields.iter().find(|(field, _)| **field == *name).map(|(_, ty)| ty.clone()))
        }
        _ => mismatch(),
    }
}

fn record_fits(schema: &Arc<Schema>, target: NodeId, given: &dyn Fn(&str) -> Option<Type>) -> Result<(), String> {
    for field in schema.fields(target) {
        match given(&field.name) {
            Some(ty) => ty_fits(&ty, schema, field.ty).map_err(|why| format!("{}: {why}", field.name))?,
            None if field.default.is_some() => {}
            None => return Err(format!("{} needs the field '{}'", schema.name_of(target).unwrap_or("the record"), field.name)),
        }
    }
    Ok(())
}

/// What to do about it.
pub(super) fn hint(typed: &Typed, schema: &Arc<Schema>, target: NodeId) -> &'static str {
    match (&typed.ty, schema.node(schema.unwrap_optional(target))) {
        (Type::Optional(_), _) if !schema.is_optional(target) => "write .orValue(...) behind it, or ask has(...) first",
        (Type::Double, Avro::Decimal { .. } | Avro::FixedDecimal { .. }) => {
            "money is never a double: write decimal('...') or decimal(x)"
        }
        (Type::Int | Type::Double | Type::Decimal | Type::Bool | Type::Timestamp, Avro::Str) => "make it a text: string(x)",
        (Type::Text, Avro::Int | Avro::Long) => "make it a number: int(x)",
        (Type::Text, Avro::Decimal { .. } | Avro::FixedDecimal { .. }) => "make it a number: decimal(x)",
        (Type::Text, Avro::Millis | Avro::Micros | Avro::Nanos) => "write timestamp(x)",
        (Type::Duration, _) => "write string(x)",
        (Type::Null, _) => "the field needs a value: its schema does not allow null",
        _ => "",
    }
}
