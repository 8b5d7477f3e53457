//! Fields, steps and `has`: what a path of names means, and whether it is certainly there.

use cel::common::ast::{Expr, IdedExpr, SelectExpr};
use ringmaster_schemas::avro::Node as Avro;

use super::lower::{Lowerer, Typed};
use super::place::Place;
use super::scope::{NodeName, StartGap, path_of};
use super::tree::{Node, Root};
use super::types::Type;
use crate::definition::ROOT;
use crate::definition::compile::{as_name, did_you_mean_or, suggest};

impl<'a> Lowerer<'a, '_, '_> {
    /// `operand.field`, or `operand.?field`.
    pub(super) fn select(&mut self, e: &'a IdedExpr, operand: &'a IdedExpr, field: &str, optional: bool) -> Option<Typed> {
        match &operand.expr {
            Expr::Ident(name) if name == "steps" && !self.is_local(name) => return self.step(e, field, optional),
            Expr::Ident(name) if name == "rules" && !self.is_local(name) => return self.rule(e, field),
            _ => {}
        }
        let of = self.place(operand)?;
        let (inner, absent) = of.ty.required();
        if absent && !of.chained && !optional {
            let path = path_of(operand).unwrap_or_else(|| "it".into());
            return self.fail(
                e.id,
                format!("{path} may be absent"),
                format!("write {path}.?{field}.orValue(...), or ask has({path}) first"),
            );
        }
        let known = path_of(operand).is_some_and(|path| self.spot.facts.contains(&format!("{path}.{field}")));
        if let Some(StartGap::Lacking(event)) = self.gap(&of.node, field).filter(|_| !known && !optional) {
            return self.fail(
                e.id,
                format!("{event}, which starts the saga too, has no field '{field}'"),
                format!("write start.?{field}.orValue(...), or ask has(start.{field}) first"),
            );
        }
        let (node, ty) = self.field(e, of.node, &inner.clone(), field, optional || absent)?;
        let (required, may_be_absent) = ty.required();
        let ty = if known { required.clone() } else { ty.clone() };
        let stays_absent = absent || (optional && matches!(inner, Type::Map(_) | Type::Dynamic)) && !known;
        let ty = if stays_absent { ty.optional() } else { ty };
        let chained = optional || (of.chained && absent) || (may_be_absent && of.chained);
        Some(Typed::chained(node, ty, chained))
    }

    fn field(&mut self, e: &IdedExpr, of: Node, ty: &Type, field: &str, optional: bool) -> Option<(Node, Type)> {
        match ty {
            Type::Record(schema, id) => {
                let Some((index, found)) = schema.field_named(*id, field) else {
                    if let Some(StartGap::Differing(types)) = self.gap(&of, field) {
                        let hint = "what every start reads is of one type; the key and the if of a start read their own event's";
                        return self.fail(e.id, format!("'{field}' is {types}"), hint);
                    }
                    let name = schema.name_of(*id).unwrap_or("the record").to_owned();
                    let fields: Vec<&str> = schema.fields(*id).iter().map(|field| &*field.name).collect();
                    return self.fail(
                        e.id,
                        format!("{name} has no field '{field}'"),
                        did_you_mean_or(field, fields, "it has no fields"),
                    );
                };
                self.secret |= found.secret;
                let ty = Type::of(schema, found.ty);
                self.may_be_secret |= ty.is_dynamic_within() && schema.holds_secret(found.ty);
                let index = u16::try_from(index).expect("a schema has fewer nodes than 65,536");
                let node = match of {
                    Node::Path(place) => {
                        if place.path.is_empty() {
                            self.uses.field(place.root, field);
                        }
                        Node::Path(Box::new(place.field(index)))
                    }
                    other => Node::Field(Box::new(other), index),
                };
                Some((node, ty))
            }
            Type::Object(fields) => match fields.iter().position(|known| *known.name == *field) {
                None => self.fail(
                    e.id,
                    format!("the record has no field '{field}'"),
                    did_you_mean_or(field, fields.iter().map(|known| &*known.name), "it has no fields"),
                ),
                Some(at) => {
                    self.secret |= fields[at].secret;
                    let ty = fields[at].ty.clone();
                    Some(match of {
                        Node::Object(mut entries) => (entries.swap_remove(at).1, ty),
                        other => (Node::Member { of: Box::new(other), name: field.into(), optional }, ty),
                    })
                }
            },
            Type::Map(value) => Some((self.member(of, field, optional), (**value).clone())),
            Type::Dynamic => Some((self.member(of, field, optional), Type::Dynamic)),
            Type::List(_) => self.fail(
                e.id,
                format!("{ty} has no fields"),
                "size(x) counts it, x[0] is its first, x.map(y, y.FIELD) all of a field",
            ),
            other => self.fail(e.id, format!("a {other} has no fields"), "it is a single value: name it as it is"),
        }
    }

    /// Why a field of the start is not plainly there, where several events start the saga.
    fn gap(&self, of: &Node, field: &str) -> Option<&'a StartGap> {
        match of {
            Node::Path(place) if place.root == Root::Start && place.path.is_empty() => self.names.gaps.get(field),
            _ => None,
        }
    }

    fn member(&mut self, of: Node, field: &str, optional: bool) -> Node {
        if let Node::Path(place) = &of
            && place.path.is_empty()
        {
            self.uses.all(place.root);
        }
        Node::Member { of: Box::new(of), name: field.into(), optional }
    }

    /// What somebody probably means who names what is not there.
    pub(super) fn meant_by(&self, name: &str) -> String {
        const KNOWN: [&str; 8] = ["start", "steps", "rules", "key", "now", "started", "failure", "round"];
        let names = self.names;
        let start = if self.spot.starting { "event" } else { "start" };
        let is_record = matches!(names.start.node(names.start.root()), Avro::Record(_));
        let is_field = is_record && names.start.fields(names.start.root()).iter().any(|field| *field.name == *name);
        let items = names.items.iter().filter(|item| self.spot.items.contains(&item.each)).map(|item| item.name);
        let locals = self.locals.iter().map(|(local, _)| local.as_str()).chain(items);
        if let Some(item) = names.items.iter().find(|item| item.name == name) {
            format!("it is the item of '{}': only its steps and its result can read it", item.step)
        } else if is_field {
            format!("did you mean {start}.{name}?")
        } else if names.nodes.iter().any(|step| step.name == name) {
            format!("did you mean steps.{name}?")
        } else if names.rules.iter().any(|rule| rule.name == name) {
            format!("did you mean rules.{name}?")
        } else if let Some(near) =
            suggest(name, locals.chain(KNOWN)).filter(|_| name.contains(|letter: char| letter.is_lowercase()))
        {
            format!("did you mean '{near}'?")
        } else if matches!(self.parsed.root.expr, Expr::Ident(_)) {
            format!("a text is written \"'{name}'\"")
        } else {
            format!("a text is written '{name}'; names are {}", KNOWN.join(", "))
        }
    }

    pub(super) fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|(local, _)| local == name)
    }

    /// Which step a name means, if it can be read here.
    fn step_named(&mut self, e: &IdedExpr, name: &str) -> Option<&'a NodeName<'a>> {
        let names = self.names;
        // A name that is none, which is told with the right one, may stand here as it should.
        let named = |other: &str| other == name || as_name(other) == name;
        let Some(step) = names.nodes.iter().find(|step| named(step.name)) else {
            if let Some((_, Some(meant))) = names.silent.iter().find(|(silent, _)| *silent == name) {
                let message = format!("what step '{name}' gives has another name");
                return self.fail(e.id, message, format!("it stands for '{meant}': steps.{meant}"));
            }
            if names.silent.iter().any(|(silent, _)| named(silent)) {
                return self.fail(
                    e.id,
                    format!("step '{name}' gives no result"),
                    "what gives a result is a do, an approval, a wait, or a for_each with a result",
                );
            }
            let known: Vec<&str> = names.nodes.iter().map(|step| step.name).collect();
            return self.fail(
                e.id,
                format!("there is no step '{name}'"),
                did_you_mean_or(name, known, "no step here gives a result"),
            );
        };
        if self.spot.starting {
            return self.fail(e.id, "no step has run when a saga starts", "what is read here is the event that starts it");
        }
        if !self.spot.known.is_readable(step.node) && self.spot.own != Some(step.node) {
            let hidden_in = (names.hidden_in)(step.node, self.spot.at.unwrap_or(ROOT));
            if let Some(item) = names.items.iter().find(|item| Some(item.each) == hidden_in) {
                let each = item.step;
                let hint = format!("give it by the result of '{each}', and read steps.{each}: a list, in the order of the items");
                return self.fail(
                    e.id,
                    format!("step '{name}' is done for each item of '{each}': outside nobody knows which"),
                    hint,
                );
            }
            if self.spot.at.is_some_and(|at| (names.is_another_way)(step.node, at)) {
                let hint = format!("one arm is taken, never two; behind the switch it is read as steps.?{name}");
                return self.fail(e.id, format!("step '{name}' is in another arm"), hint);
            }
            return self.fail(e.id, format!("step '{name}' has not run here"), "only steps that stand before can be read");
        }
        Some(step)
    }

    fn step(&mut self, e: &'a IdedExpr, name: &str, optional: bool) -> Option<Typed> {
        let step = self.step_named(e, name)?;
        let known = |fact: String| self.spot.facts.contains(&fact);
        // That its condition was true says that a step was asked; that it succeeded is certain only behind it.
        let behind = !self.spot.undone && self.spot.own != Some(step.node);
        let entered = self.spot.known.is_certain(step.node) || step.rule.is_some_and(|rule| known(format!("rules.{rule}")));
        let certain = known(format!("steps.{name}")) || (behind && entered);
        if !certain && !optional {
            let why = if self.spot.undone || self.spot.own == Some(step.node) {
                "may not have succeeded here"
            } else {
                "may have been skipped: it, or what is around it, stands under a condition"
            };
            return self.fail(
                e.id,
                format!("step '{name}' {why}"),
                format!("write steps.?{name}.?FIELD.orValue(...), or ask has(steps.{name}) first"),
            );
        }
        let derived = || self.names.derived.borrow().lists.get(&step.node).cloned();
        // What is wrong with the expressions that it follows from is told there.
        let schema = step.result.clone().or_else(derived)?;
        self.uses.touch(Root::Result(step.node));
        let ty = Type::of(&schema, schema.root());
        let ty = if certain { ty } else { ty.optional() };
        Some(Typed::chained(Node::Path(Box::new(Place::whole(Root::Result(step.node), schema))), ty, optional && !certain))
    }

    pub(super) fn has(&mut self, e: &'a IdedExpr, select: &'a SelectExpr) -> Option<Typed> {
        let yes = |node| Some(Typed::new(node, Type::Bool));
        if let Expr::Ident(name) = &select.operand.expr
            && name == "steps"
            && !self.is_local(name)
        {
            let step = self.step_named(e, &select.field)?;
            self.uses.touch(Root::Result(step.node));
            return yes(Node::Succeeded(step.node));
        }
        let of = self.chain(&select.operand)?;
        let (inner, _) = of.ty.required();
        let (node, _) = self.field(e, of.node, &inner.clone(), &select.field, true)?;
        yes(Node::Present(Box::new(node)))
    }

    /// The operand of `has`: everything on the way may be absent.
    pub(super) fn chain(&mut self, e: &'a IdedExpr) -> Option<Typed> {
        match &e.expr {
            Expr::Select(select) if !select.test => match &select.operand.expr {
                Expr::Ident(name) if name == "rules" && !self.is_local(name) => self.rule(e, &select.field),
                Expr::Ident(name) if name == "steps" && !self.is_local(name) => self.step(e, &select.field, true),
                _ => {
                    let of = self.chain(&select.operand)?;
                    let (inner, _) = of.ty.required();
                    let (node, ty) = self.field(e, of.node, &inner.clone(), &select.field, true)?;
                    Some(Typed::chained(node, ty, true))
                }
            },
            _ => self.place(e),
        }
    }
}
