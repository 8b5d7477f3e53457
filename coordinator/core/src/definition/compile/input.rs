//! The schema of what a saga without a start event begins with.

use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};

use super::fields::Word;
use super::form::run::{is_type_but_for_capitals, meant};
use super::form::{FieldForm, InputForm, InputKind, SagaForm, TypeForm};
use super::targets::Finder;
use crate::definition::expression::schema_of;
use crate::definition::expression::types::{ObjectField, Type};

/// What is wrong is reported.
pub(super) fn schema(form: &SagaForm, input: &InputForm, finder: &mut Finder<'_, '_, '_>) -> Option<Arc<Schema>> {
    let fields = match &input.kind {
        InputKind::Record(name) => return record(name, finder),
        InputKind::Fields(fields) => object(fields, finder),
        InputKind::Unreadable => return None,
    };
    let base = format!("{}_input", form.name.text.replace('-', "_"));
    match schema_of(&fields, &finder.lookup.json(), &base) {
        Ok(schema) => Some(schema),
        Err(unkept) => {
            finder.report.error(&input.span, format!("the input: {}", unkept.why), unkept.hint);
            None
        }
    }
}

fn record(name: &Word, finder: &mut Finder<'_, '_, '_>) -> Option<Arc<Schema>> {
    let found = named(name, finder)?;
    if !matches!(found.node(found.root()), Avro::Record(_)) {
        finder.report.error(&name.span, format!("{} is not a record", name.text), "an input has fields");
        return None;
    }
    Some(found)
}

fn named(name: &Word, finder: &mut Finder<'_, '_, '_>) -> Option<Arc<Schema>> {
    match finder.lookup.named(&name.text) {
        Ok(Some(schema)) => Some(schema),
        Ok(None) => {
            let hint = match is_type_but_for_capitals(&name.text) {
                true => meant(&name.text),
                false => finder.meant_by(&name.text).unwrap_or_else(|| "add its record to the schemas, or name a type".to_owned()),
            };
            finder.report.error(&name.span, format!("{} has no schema", name.text), hint);
            None
        }
        Err(why) => {
            finder.report.error(&name.span, why, "it stands in the topic of schemas");
            None
        }
    }
}

/// All that is wrong is told; the fields beside it are what they are.
fn object(fields: &[FieldForm], finder: &mut Finder<'_, '_, '_>) -> Type {
    let field = |field: &FieldForm| ObjectField { name: field.name.as_str().into(), ty: ty(&field.ty, finder), secret: false };
    Type::Object(fields.iter().map(field).collect())
}

fn ty(form: &TypeForm, finder: &mut Finder<'_, '_, '_>) -> Type {
    match form {
        TypeForm::Plain(ty) => ty.clone(),
        TypeForm::Named(name) => named(name, finder).map_or(Type::Unknown, |schema| Type::of(&schema, schema.root())),
        TypeForm::List(of) => Type::List(Box::new(ty(of, finder))),
        TypeForm::Map(of) => Type::Map(Box::new(ty(of, finder))),
        TypeForm::Optional(of) => ty(of, finder).optional(),
        TypeForm::Fields(fields) => object(fields, finder),
        TypeForm::Unreadable => Type::Unknown,
    }
}
