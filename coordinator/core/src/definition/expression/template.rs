//! Bodies: a tree of `with` becomes ready bytes with expressions between them, in the order of the schema's fields.
//!
//! Defaults, literals and the frames of records, lists and maps are encoded when the definition is compiled; at run time each
//! expression is evaluated and written once, and what has the schema's shape already is copied as a slice.

use std::ops::Range;
use std::sync::Arc;

use ringmaster_schemas::avro::{Field, Node as Avro, NodeId, Schema};
use ringmaster_schemas::codec::{put_long, put_text};

use super::lower::{Lowerer, Typed};
use super::parse::Parsed;
use super::scope::{Names, Spot, Uses};
use super::tree::{Const, Function, Node};
use super::types::Type;
use super::value::Value;
use super::{SiteId, Template, fits};
use crate::definition::compile::{Report, did_you_mean_or, split_by_comma, suggest};
use crate::definition::yaml;

/// A `with` as it is written.
pub(crate) enum Form {
    Leaf(Parsed),
    Record(Vec<(String, Range<usize>, Form)>, Range<usize>),
    List(Vec<Form>, Range<usize>),
}

/// A part of a body.
#[derive(Debug)]
pub(super) enum Piece {
    /// Ready bytes.
    Bytes(Vec<u8>),
    /// A value, written at a node of the schema.
    Value { node: Node, target: NodeId, field: Box<str>, place: Box<str> },
}

/// How the pieces become the body.
#[derive(Debug)]
pub(super) enum Output {
    /// They are the body.
    Avro,
    /// They are rendered as JSON.
    Json,
}

impl Form {
    /// Reads a `with`; what is wrong is reported.
    pub(crate) fn new(node: &yaml::Node, report: &mut Report<'_>) -> Form {
        match &node.kind {
            yaml::Kind::Scalar(..) => Form::Leaf(Parsed::new(node, report)),
            yaml::Kind::List(items) => Form::List(items.iter().map(|item| Form::new(item, report)).collect(), node.span.clone()),
            yaml::Kind::Map(entries) if split_by_comma(entries, report) => Form::unreadable(node.span.clone()),
            yaml::Kind::Map(entries) => {
                let field = |(key, value): &(yaml::Node, yaml::Node)| {
                    (key.scalar().unwrap_or_default().to_owned(), key.span.clone(), Form::new(value, report))
                };
                Form::Record(entries.iter().map(field).collect(), node.span.clone())
            }
        }
    }

    /// What cannot be read, which is told already: it fits everything.
    pub(crate) fn unreadable(span: Range<usize>) -> Form {
        Form::Leaf(Parsed::unreadable(span, ""))
    }

    /// The same without fields that a record does not have: an undo's body made of its do's.
    pub(crate) fn fields(&self) -> Option<Vec<&str>> {
        match self {
            Form::Record(fields, _) => Some(fields.iter().map(|(name, ..)| name.as_str()).collect()),
            Form::Leaf(_) | Form::List(..) => None,
        }
    }

    /// True for what stands for anything, as what is wrong with it is told.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Form::Leaf(parsed) if parsed.is_unreadable())
    }

    /// Where it stands.
    pub(crate) fn span(&self) -> Range<usize> {
        match self {
            Form::Leaf(parsed) => parsed.span.clone(),
            Form::Record(_, span) | Form::List(_, span) => span.clone(),
        }
    }
}

/// What stands for something secret.
const MASK: &str = "***";

/// Compiles bodies.
pub(crate) struct Compiler<'a, 'r, 't> {
    pub(crate) names: &'a Names<'a>,
    pub(crate) report: &'r mut Report<'t>,
    pub(crate) uses: &'r mut Uses,
    pub(crate) spot: Spot,
    /// Only fields that the target has: others of the form are left out.
    pub(crate) lenient: bool,
    /// What is secret, or holds something that is, shows as `***`: the body is for people.
    pub(crate) masks: bool,
    /// The number of the body in its definition.
    pub(crate) site: SiteId,
}

struct Writer<'s> {
    schema: &'s Arc<Schema>,
    pieces: Vec<Piece>,
}

impl Writer<'_> {
    fn bytes(&mut self) -> &mut Vec<u8> {
        if !matches!(self.pieces.last(), Some(Piece::Bytes(_))) {
            self.pieces.push(Piece::Bytes(Vec::new()));
        }
        match self.pieces.last_mut() {
            Some(Piece::Bytes(bytes)) => bytes,
            _ => unreachable!("bytes were pushed a moment ago"),
        }
    }
}

impl<'a> Compiler<'a, '_, '_> {
    /// A body by its schema.
    pub(crate) fn compile(&mut self, form: &'a Form, schema: &Arc<Schema>, json: bool) -> Option<Template> {
        let span = form.span();
        let errors = self.report.error_count();
        if *schema.node(schema.root()) == Avro::Dynamic && !matches!(form, Form::Record(..) | Form::Leaf(_)) {
            self.report.error(&span, "a body is a record", "write fields: { name: expression }");
            return None;
        }
        let mut writer = Writer { schema, pieces: Vec::new() };
        let done = self.put(form, schema.root(), "", &mut writer);
        let output = if json { Output::Json } else { Output::Avro };
        (done.is_some() && self.report.error_count() == errors).then(|| Template {
            schema: schema.clone(),
            pieces: writer.pieces,
            output,
            site: self.site,
            place: self.report.place(&span),
        })
    }

    /// Checks the expressions of what goes nowhere that is known; that is told elsewhere.
    pub(crate) fn look(&mut self, form: &'a Form) {
        match form {
            Form::Leaf(parsed) => drop(self.lower(parsed)),
            Form::Record(fields, _) => fields.iter().for_each(|(_, _, form)| self.look(form)),
            Form::List(items, _) => items.iter().for_each(|form| self.look(form)),
        }
    }

    fn put(&mut self, form: &'a Form, target: NodeId, field: &str, out: &mut Writer<'_>) -> Option<()> {
        let schema = out.schema.clone();
        match (form, schema.node(target)) {
            (Form::Leaf(parsed), _) => self.leaf(parsed, target, field, out),
            (_, Avro::Dynamic) => {
                let typed = self.dynamic(form)?;
                let place = self.report.place(&form.span());
                out.pieces.push(Piece::Value { node: typed.node, target, field: field.into(), place });
                Some(())
            }
            (_, Avro::Union(branches)) => {
                let wanted = |node: &Avro| match form {
                    Form::List(..) => matches!(node, Avro::Array(_) | Avro::Dynamic),
                    _ => matches!(node, Avro::Record(_) | Avro::Map(_) | Avro::Dynamic),
                };
                let Some(branch) = branches.iter().position(|branch| wanted(schema.node(*branch))) else {
                    return self.shape(form, &schema, target, field);
                };
                put_long(out.bytes(), branch as i64);
                self.put(form, branches[branch], field, out)
            }
            (Form::Record(given, span), Avro::Record(fields)) => self.record(given, span, fields, target, field, out),
            (Form::Record(given, _), Avro::Map(value)) => {
                if !given.is_empty() {
                    put_long(out.bytes(), given.len() as i64);
                }
                let mut complete = Some(());
                for (name, _, form) in given {
                    put_text(out.bytes(), name);
                    complete = self.put(form, *value, &inside(field, name), out).and(complete);
                }
                out.bytes().push(0);
                complete
            }
            (Form::List(items, _), Avro::Array(item)) => {
                if !items.is_empty() {
                    put_long(out.bytes(), items.len() as i64);
                }
                let mut complete = Some(());
                for (index, form) in items.iter().enumerate() {
                    complete = self.put(form, *item, &format!("{field}[{index}]"), out).and(complete);
                }
                out.bytes().push(0);
                complete
            }
            _ => self.shape(form, &schema, target, field),
        }
    }

    fn shape(&mut self, form: &'a Form, schema: &Arc<Schema>, target: NodeId, field: &str) -> Option<()> {
        // What is wrong in it is so wherever it stands.
        self.look(form);
        let ty = Type::of(schema, target);
        let what = if matches!(form, Form::List(..)) { "a list stands" } else { "fields stand" };
        let hint = match schema.node(schema.unwrap_optional(target)) {
            Avro::Array(_) => "write its items: [ a, b ], each behind a dash, or an expression that gives a list",
            Avro::Record(_) | Avro::Map(_) => "write its fields without a dash, or an expression that gives all of it",
            _ => "write one expression",
        };
        self.report.error(&form.span(), format!("{} is {ty}, and {what} here", name_of(field)), hint);
        None
    }

    fn record(
        &mut self,
        given: &'a [(String, Range<usize>, Form)],
        span: &Range<usize>,
        fields: &[Field],
        target: NodeId,
        field: &str,
        out: &mut Writer<'_>,
    ) -> Option<()> {
        let schema = out.schema.clone();
        let record = schema.name_of(target).unwrap_or("the record").to_owned();
        let mut meant = Vec::new();
        for (name, key, form) in given {
            if !self.lenient && !fields.iter().any(|known| *known.name == **name) {
                self.look(form);
                let known: Vec<&str> = fields.iter().map(|known| &*known.name).collect();
                self.report.error(
                    key,
                    format!("{record} has no field '{name}'"),
                    did_you_mean_or(name, known.clone(), "it has no fields"),
                );
                meant.extend(suggest(name, known));
            }
        }
        let mut complete = Some(());
        for known in fields {
            match given.iter().find(|(name, ..)| **name == *known.name) {
                // All errors of a body are told, not only the first.
                Some((_, _, form)) => {
                    if self.put(form, known.ty, &inside(field, &known.name), out).is_none() {
                        complete = None;
                    }
                }
                None => match &known.default {
                    Some(default) => out.bytes().extend_from_slice(default),
                    // It is misspelt, which is told already.
                    None if meant.contains(&&*known.name) => complete = None,
                    None => {
                        let ty = Type::of(&schema, known.ty);
                        self.report.error(
                            span,
                            format!("{record} needs the field '{}' ({ty})", known.name),
                            format!("write {}: and what it is", known.name),
                        );
                        complete = None;
                    }
                },
            }
        }
        complete
    }

    fn leaf(&mut self, parsed: &'a Parsed, target: NodeId, field: &str, out: &mut Writer<'_>) -> Option<()> {
        let typed = self.lower(parsed)?;
        let typed = for_target(typed, out.schema, target);
        if let Err(why) = fits::fits(&typed, out.schema, target) {
            let hint = fits::hint(&typed, out.schema, target);
            self.report.error(&parsed.span, format!("{}: {why}", name_of(field)), hint);
            return None;
        }
        if let Node::Const(value) = &typed.node {
            let start = out.bytes().len();
            let (schema, value) = (out.schema.clone(), super::evaluate::constant(value));
            if let Err(error) = schema.encode_at(target, &value, out.bytes()) {
                out.bytes().truncate(start);
                let value = error.value.as_ref().map_or_else(String::new, |value| format!("{value} "));
                self.report.error(
                    &parsed.span,
                    format!("{}: {value}{}", name_of(field), error.why),
                    "give what the schema takes; round(x, 2) leaves two digits behind the point",
                );
                return None;
            }
            return Some(());
        }
        let place = self.report.place(&parsed.span);
        out.pieces.push(Piece::Value { node: typed.node, target, field: field.into(), place });
        Some(())
    }

    fn lower(&mut self, parsed: &'a Parsed) -> Option<Typed> {
        let typed = Lowerer::lower(self.names, self.report, self.uses, self.spot.clone(), parsed)?;
        let is_masked = self.masks && (typed.secret || typed.may_be_secret || typed.ty.holds_secret());
        Some(if is_masked { Typed::new(Node::Const(Const::Text(MASK.into())), Type::Text) } else { typed })
    }

    /// A body without a schema: one value.
    fn dynamic(&mut self, form: &'a Form) -> Option<Typed> {
        Some(match form {
            Form::Leaf(parsed) => {
                let typed = self.lower(parsed)?;
                if matches!(typed.ty.required().0, Type::Duration) {
                    self.report.error(&parsed.span, "a duration has no form in JSON", "write string(x)");
                    return None;
                }
                as_json(typed)
            }
            Form::List(items, _) => {
                let items: Vec<Option<Typed>> = items.iter().map(|item| self.dynamic(item)).collect();
                let nodes = items.into_iter().map(|item| item.map(|item| item.node)).collect::<Option<_>>()?;
                Typed::new(Node::List(nodes), Type::Dynamic)
            }
            Form::Record(fields, _) => {
                let fields: Vec<Option<_>> = fields
                    .iter()
                    .map(|(name, _, form)| self.dynamic(form).map(|typed| (Arc::from(name.as_str()), typed.node)))
                    .collect();
                Typed::new(Node::Object(fields.into_iter().collect::<Option<_>>()?), Type::Dynamic)
            }
        })
    }
}

/// Decimals are strings in JSON: a reader that takes numbers for doubles must not touch money.
fn as_json(typed: Typed) -> Typed {
    match &typed.ty {
        Type::Decimal(_) => Typed::new(Node::Call(Function::ToText, vec![typed.node]), Type::Text),
        Type::Optional(inner) if matches!(**inner, Type::Decimal(_)) => {
            // The value is there or null: text of what is there.
            Typed::new(Node::Call(Function::ToText, vec![typed.node]), Type::Text.optional())
        }
        _ => typed,
    }
}

fn for_target(typed: Typed, schema: &Arc<Schema>, target: NodeId) -> Typed {
    match schema.node(schema.unwrap_optional(target)) {
        Avro::Dynamic => as_json(typed),
        // With too many digits it stays a double, which does not fit.
        Avro::Decimal { .. } | Avro::FixedDecimal { .. } => typed.settled().unwrap_or_else(|typed| typed),
        _ => typed,
    }
}

fn inside(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

fn name_of(field: &str) -> &str {
    if field.is_empty() { "the body" } else { field }
}

impl Template {
    pub(super) fn write<'s>(
        &'s self,
        machine: &mut super::evaluate::Machine<'s, '_>,
        out: &mut Vec<u8>,
    ) -> Result<(), super::ExpressionError> {
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Value { node, target, field, place } => {
                    let value: Value<'s> = machine.eval(node).map_err(|fault| fault.at(place))?;
                    self.schema.encode_at(*target, &value, out).map_err(|error| super::ExpressionError {
                        code: "TYPE",
                        message: match error.path.as_str() {
                            "" => format!("{}: {}", name_of(field), error.without_value()),
                            path => format!("{}: {}", inside(field, path), error.without_value()),
                        },
                        place: place.to_string(),
                    })?;
                }
            }
        }
        Ok(())
    }
}
