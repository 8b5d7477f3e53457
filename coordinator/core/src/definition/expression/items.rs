//! The list of a for_each, its items as expressions see them, and what they give.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::avro::{Kind, Schema};
use ringmaster_schemas::codec::put_long;

use super::evaluate::Machine;
use super::lower::{Lowerer, Typed};
use super::parse::Parsed;
use super::place::Place;
use super::regexes::Regexes;
use super::scope::{Names, Spot, Uses};
use super::shaped::{Shape, Unkept};
use super::template::{Compiler, Form};
use super::tree::{Node, Root};
use super::types::{ObjectField, Type};
use super::value::{Fault, Value};
use super::{Environment, Expression, ExpressionError, SiteId};
use crate::definition::compile::Report;

/// The item of a for_each, as expressions see it.
pub(crate) struct ItemName<'a> {
    pub(crate) name: &'a str,
    /// The number of the for_each, and its name.
    pub(crate) each: u16,
    pub(crate) step: &'a str,
}

/// Schemas that follow from expressions, by the for_each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Derived {
    /// Regular expressions, compiled.
    pub(crate) regexes: Regexes,
    /// Of an item.
    pub(crate) items: BTreeMap<u16, Arc<Schema>>,
    /// Of what an item gives.
    pub(crate) gives: BTreeMap<u16, Arc<Schema>>,
    /// Of what all of them give: a list.
    pub(crate) lists: BTreeMap<u16, Arc<Schema>>,
}

impl<'a> Lowerer<'a, '_, '_> {
    /// The for_each whose item a name is here.
    pub(super) fn item_named(&self, name: &str) -> Option<u16> {
        let named = |each: &u16| self.names.items.iter().any(|item| item.each == *each && item.name == name);
        self.spot.items.iter().copied().find(named)
    }

    /// An item; nothing where its list is wrong, which is told there.
    pub(super) fn item(&mut self, each: u16) -> Option<Typed> {
        let schema = self.names.derived.borrow().items.get(&each).cloned()?;
        self.uses.touch(Root::Item(each));
        let ty = Type::of(&schema, schema.root());
        Some(Typed::new(Node::Path(Box::new(Place::whole(Root::Item(each), schema))), ty))
    }
}

/// A list that is gone over, before it is known how its items are kept.
pub(crate) struct List {
    node: Node,
    item: Type,
}

impl List {
    /// The list of a for_each. `None` if anything is wrong, which is then reported.
    pub(crate) fn compile<'a>(
        names: &'a Names<'a>,
        report: &mut Report<'_>,
        uses: &mut Uses,
        spot: Spot,
        parsed: &'a Parsed,
    ) -> Option<List> {
        let Typed { node, ty, secret, .. } = Lowerer::lower(names, report, uses, spot, parsed)?;
        if secret {
            let hint = "make a record of each: x.map(y, { 'field': y })";
            report.error(&parsed.span, "the items are secret, and only a field can be kept as that", hint);
            return None;
        }
        let (message, hint) = match ty {
            Type::List(_) if matches!(&node, Node::List(items) if items.is_empty()) => {
                ("the list is always empty".to_owned(), "remove the step, or name a list")
            }
            Type::List(item) => return Some(List { node, item: *item }),
            Type::Dynamic => return Some(List { node, item: Type::Dynamic }),
            Type::Optional(inner) if matches!(*inner, Type::List(_) | Type::Dynamic) => {
                ("the list may be absent".to_owned(), "write .orValue([]) behind it")
            }
            Type::Map(_) => (format!("a for_each goes over a list, not a {ty}"), "for its keys write x.map(key, key)"),
            Type::Int => {
                (format!("a for_each goes over a list, not {ty}"), "it does its steps for each item of a list: name the list")
            }
            Type::Record(..) => (format!("a for_each goes over a list, not {ty}"), "name a field of it that is a list"),
            Type::Text => (format!("a for_each goes over a list, not {ty}"), "x.split(',') makes a list of a text"),
            _ => (format!("a for_each goes over a list, not {ty}"), "name a list, for example start.lines"),
        };
        report.error(&parsed.span, message, hint);
        None
    }

    /// The schema by which its items can be kept. `base` begins the names of records that have none.
    pub(crate) fn schema(&self, json: &Schema, base: &str) -> Result<Arc<Schema>, Unkept> {
        Shape::new(json, base).schema(&self.item)
    }

    /// The list, with items that are kept by this schema.
    pub(crate) fn of(self, item: Arc<Schema>, site: SiteId, place: Box<str>) -> Expression {
        Expression { node: self.node, site, place, item: Some(item) }
    }
}

impl Expression {
    /// The items of a list: appends for each its length, as an Avro `long`, and its bytes by the schema of the for_each's item; gives
    /// how many there are. On an error `out` is as it was.
    ///
    /// # Panics
    /// If it is not the list of a for_each.
    pub fn items(&self, environment: &Environment<'_>, out: &mut Vec<u8>) -> Result<u32, ExpressionError> {
        let schema = self.item.as_ref().expect("the list of a for_each knows how its items are kept");
        let (start, mut machine) = (out.len(), Machine::new(environment));
        let written = self.put_items(schema, &mut machine, out);
        machine.settle();
        written.map_err(|fault| {
            out.truncate(start);
            fault.at(&self.place)
        })
    }

    fn put_items<'s>(&'s self, schema: &Schema, machine: &mut Machine<'s, '_>, out: &mut Vec<u8>) -> Result<u32, Fault> {
        let list = machine.range(&self.node)?;
        if let Value::Raw(raw) = &list
            && raw.kind() != Kind::List
        {
            return Err(Fault::types("a for_each goes over a list, and this", &list));
        }
        let (mut count, mut bytes) = (0, Vec::new());
        list.each(&mut |item| {
            machine.spend(1 + item.weight())?;
            bytes.clear();
            schema.encode_at(schema.root(), &item, &mut bytes).map_err(|error| {
                let path = if error.path.is_empty() { String::new() } else { format!(", {}", error.path) };
                Fault::new("TYPE", format!("item {count}{path}: {}", error.why))
            })?;
            put_long(out, bytes.len() as i64);
            out.extend_from_slice(&bytes);
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }
}

impl<'a> Compiler<'a, '_, '_> {
    /// The schema of what a body gives that has none of its own. What is wrong is reported, and hides nothing of what whoever reads it
    /// does with the rest.
    pub(crate) fn schema(&mut self, form: &'a Form, json: &Schema, base: &str) -> Given {
        let errors = self.report.error_count();
        let (ty, secret) = self.type_of(form, json);
        if secret {
            let hint = "write fields: result: { NAME: ... }";
            self.report.error(&form.span(), "this is secret, and only a field can be kept as that", hint);
            return Given { schema: None, is_whole: false };
        }
        let schema = match Shape::new(json, base).schema(&ty) {
            Ok(schema) => Some(schema),
            Err(Unkept { why, hint }) => {
                self.report.error(&form.span(), why, hint);
                None
            }
        };
        Given { schema, is_whole: self.report.error_count() == errors && !matches!(ty, Type::Unknown) }
    }

    /// Its type, and whether it is secret. What is wrong of it is unknown.
    fn type_of(&mut self, form: &'a Form, json: &Schema) -> (Type, bool) {
        match form {
            Form::Leaf(parsed) => {
                let typed = Lowerer::lower(self.names, self.report, self.uses, self.spot.clone(), parsed);
                typed.map_or((Type::Unknown, false), |typed| (typed.ty, typed.secret))
            }
            Form::Record(fields, _) => {
                let field = |(name, _, form): &'a (String, _, Form)| {
                    let (ty, secret) = self.type_of(form, json);
                    // Said where it stands, and not of the whole.
                    let kept = Shape::new(json, "x").schema(&ty);
                    let ty = match kept {
                        Ok(_) => ty,
                        Err(Unkept { why, hint }) => {
                            self.report.error(&form.span(), format!("{name}: {why}"), hint);
                            Type::Unknown
                        }
                    };
                    ObjectField { name: name.as_str().into(), ty, secret }
                };
                (Type::Object(fields.iter().map(field).collect()), false)
            }
            Form::List(items, _) => {
                // All errors of a body are told, not only the first.
                let items: Vec<_> = items.iter().map(|item| (self.type_of(item, json), item)).collect();
                let (mut all, mut is_secret) = (Type::Never, false);
                for ((ty, secret), item) in items {
                    is_secret |= secret;
                    all = all.join(&ty).unwrap_or_else(|| {
                        let message = format!("this is {ty}, the items before are {all}");
                        self.report.error(&item.span(), message, "all items of a list have one type");
                        Type::Unknown
                    });
                }
                (Type::List(Box::new(all)), is_secret)
            }
        }
    }
}

/// What a body gives.
pub(crate) struct Given {
    /// As far as it is known; none where nothing of it can be kept.
    pub(crate) schema: Option<Arc<Schema>>,
    is_whole: bool,
}

impl Given {
    /// The schema, if nothing is wrong with it.
    pub(crate) fn whole(self) -> Option<Arc<Schema>> {
        self.schema.filter(|_| self.is_whole)
    }
}
