//! From cel's syntax tree to the typed tree: names, types and certainty are checked here, with positions.

use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr};
use rust_decimal::Decimal;

use super::number;
use super::parse::Parsed;
use super::place::Place;
use super::scope::{Names, RuleBody, Spot, Uses};
use super::tree::{Const, FailureField, Node, Root};
use super::types::{ObjectField, Type};
use crate::definition::compile::Report;

/// Depth of an expression's tree.
pub(crate) const DEPTH_MAX: usize = 32;
/// Loops inside one another.
pub(crate) const LOOPS_MAX: usize = 3;
/// Nodes of one expression with the rules it names: rules that name rules twice would double without end.
pub(crate) const NODES_MAX: usize = 20_000;
/// Digits of a number literal that stands for a decimal: what the parser's doubles keep exactly.
pub(crate) const LITERAL_DIGITS_MAX: usize = 15;

/// A lowered expression and its type.
pub(crate) struct Typed {
    pub(crate) node: Node,
    pub(crate) ty: Type,
    /// It is reached by `.?`, so what follows may be absent with it.
    pub(crate) chained: bool,
    /// Of a literal with a point: the decimal that was written, if it has few enough digits.
    pub(crate) exact: Option<Decimal>,
    /// Of an expression: it is made of a field that its schema calls secret.
    pub(crate) secret: bool,
    /// It is made of something of which only at run time is known whether it is secret.
    pub(crate) may_be_secret: bool,
}

impl Typed {
    pub(crate) fn new(node: Node, ty: Type) -> Typed {
        Typed { node, ty, chained: false, exact: None, secret: false, may_be_secret: false }
    }

    /// The same, reached by `.?`.
    pub(super) fn chained(node: Node, ty: Type, chained: bool) -> Typed {
        Typed { chained, ..Typed::new(node, ty) }
    }

    /// A literal with a point as the decimal that was written. An error if it has too many digits.
    pub(crate) fn settled(self) -> Result<Typed, Typed> {
        match (&self.node, self.exact) {
            (Node::Const(Const::Double(_)), Some(exact)) => {
                Ok(Typed::new(Node::Const(Const::Decimal(exact)), Type::Decimal(Some(exact.scale()))))
            }
            (Node::Const(Const::Double(_)), None) => Err(self),
            _ => Ok(self),
        }
    }
}

/// Lowers the expressions of one definition.
pub(crate) struct Lowerer<'a, 'r, 't> {
    pub(crate) names: &'a Names<'a>,
    pub(crate) report: &'r mut Report<'t>,
    pub(crate) uses: &'r mut Uses,
    pub(crate) spot: Spot,
    pub(super) parsed: &'a Parsed,
    pub(super) locals: Vec<(String, Type)>,
    pub(super) depth: usize,
    node_count: usize,
    /// That is told once.
    is_too_deep: bool,
    pub(super) rules_open: Vec<usize>,
    /// Something secret was read, other than for a condition or for a field of a record that is made.
    pub(super) secret: bool,
    /// The same of what may be secret: a union in which something is.
    pub(super) may_be_secret: bool,
}

impl<'a, 'r, 't> Lowerer<'a, 'r, 't> {
    fn new(
        names: &'a Names<'a>,
        report: &'r mut Report<'t>,
        uses: &'r mut Uses,
        spot: Spot,
        parsed: &'a Parsed,
        rules_open: Vec<usize>,
    ) -> Self {
        let (locals, depth, node_count, is_too_deep, secret, may_be_secret) = (Vec::new(), 0, 0, false, false, false);
        Lowerer { names, report, uses, spot, parsed, locals, depth, node_count, is_too_deep, rules_open, secret, may_be_secret }
    }

    /// Lowers an expression where it stands. `None` if anything is wrong, which is then reported.
    pub(crate) fn lower(
        names: &'a Names<'a>,
        report: &'r mut Report<'t>,
        uses: &'r mut Uses,
        spot: Spot,
        parsed: &'a Parsed,
    ) -> Option<Typed> {
        let errors = report.error_count();
        let mut lowerer = Lowerer::new(names, report, uses, spot, parsed, Vec::new());
        let typed = lowerer.expression(&parsed.root)?;
        let (secret, may_be_secret) = (lowerer.secret, lowerer.may_be_secret);
        (report.error_count() == errors).then_some(Typed { secret, may_be_secret, ..typed })
    }

    /// Checks a rule by itself.
    pub(crate) fn rule_alone(names: &'a Names<'a>, report: &'r mut Report<'t>, uses: &'r mut Uses, spot: Spot, index: usize) {
        let body = &names.rules[index].body;
        let parsed = match body {
            RuleBody::One(parsed) | RuleBody::Table(_, parsed) => parsed,
        };
        let mut lowerer = Lowerer::new(names, report, uses, spot, parsed, vec![index]);
        let _ = lowerer.rule_body(body);
    }

    pub(super) fn fail<T>(&mut self, id: u64, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.report.error(&self.parsed.place(id), message, hint);
        None
    }

    /// An expression whose value is used.
    pub(super) fn expression(&mut self, e: &'a IdedExpr) -> Option<Typed> {
        let typed = self.place(e)?;
        if let Node::Path(place) = &typed.node
            && place.path.is_empty()
        {
            self.uses.all(place.root);
        }
        Some(typed)
    }

    /// An expression that a field may be taken of.
    pub(super) fn place(&mut self, e: &'a IdedExpr) -> Option<Typed> {
        self.node_count += 1;
        if self.node_count > NODES_MAX {
            return self.fail(e.id, format!("with its rules this has more than {NODES_MAX} nodes"), "divide it");
        }
        if self.depth >= DEPTH_MAX {
            if std::mem::replace(&mut self.is_too_deep, true) {
                return None;
            }
            return self.fail(e.id, format!("the expression is deeper than {DEPTH_MAX}"), "divide it into rules");
        }
        self.depth += 1;
        let outside = (self.secret, self.may_be_secret);
        let typed = match &e.expr {
            Expr::Literal(literal) => self.literal(e, literal),
            Expr::Ident(name) => self.name(e, name),
            Expr::Select(select) if select.test => self.has(e, select),
            Expr::Select(select) => self.select(e, &select.operand, &select.field, false),
            Expr::Call(call) => self.call(e, call),
            Expr::List(list) => self.list(e, &list.elements, list.optional_indices.is_empty()),
            Expr::Map(map) => self.object(e, map),
            Expr::Comprehension(comprehension) => self.comprehension(e, comprehension),
            Expr::Struct(message) => {
                self.fail(e.id, format!("there is no type '{}' to make", message.type_name), "a record is { 'field': value }")
            }
            Expr::Unspecified if self.parsed.is_unreadable() => None,
            Expr::Unspecified => self.fail(e.id, "this is not an expression", ""),
        };
        self.depth -= 1;
        // What is wrong with it is told where it comes from.
        let typed = typed.filter(|typed| !matches!(typed.ty.required().0, Type::Unknown));
        // That something secret is so, or is not, tells little of it.
        if typed.as_ref().is_some_and(|typed| typed.node.is_condition()) {
            (self.secret, self.may_be_secret) = outside;
        }
        typed
    }

    fn literal(&mut self, e: &IdedExpr, literal: &LiteralValue) -> Option<Typed> {
        let (value, ty) = match literal {
            LiteralValue::Null => (Const::Null, Type::Null),
            LiteralValue::Boolean(x) => (Const::Bool(*x.inner()), Type::Bool),
            LiteralValue::Int(x) => (Const::Int(*x.inner()), Type::Int),
            LiteralValue::Double(x) => {
                // The sign may belong to the literal or stand before it.
                let (value, text) = (*x.inner(), self.parsed.number(e.id).trim_start_matches('-'));
                if !value.is_finite() {
                    return self.fail(e.id, "the number does not fit a double", "write decimal('...')");
                }
                let exact = literal_decimal(text).map(|exact| if value < 0.0 { -exact } else { exact });
                return Some(Typed { exact, ..Typed::new(Node::Const(Const::Double(value)), Type::Double) });
            }
            LiteralValue::String(x) => (Const::Text(x.inner().into()), Type::Text),
            LiteralValue::Bytes(x) => (Const::Bytes(x.inner().into()), Type::Bytes),
            LiteralValue::UInt(_) => return self.fail(e.id, "there are no unsigned integers", "remove the u"),
        };
        Some(Typed::new(Node::Const(value), ty))
    }

    fn name(&mut self, e: &'a IdedExpr, name: &str) -> Option<Typed> {
        if let Some(slot) = self.locals.iter().rposition(|(local, _)| local == name) {
            return Some(Typed::new(Node::Local(slot), self.locals[slot].1.clone()));
        }
        if self.spot.alone {
            return self.name_alone(e, name);
        }
        if let Some(each) = self.item_named(name) {
            return self.item(each);
        }
        match name {
            "event" if let Some(listener) = self.spot.event => {
                let schema = self.names.events[usize::from(listener)].clone();
                self.uses.touch(Root::Event(listener));
                let ty = Type::of(&schema, schema.root());
                Some(Typed::new(Node::Path(Box::new(Place::whole(Root::Event(listener), schema))), ty))
            }
            "start" | "started" if self.spot.starting && self.spot.event.is_some() => {
                self.fail(e.id, "which saga it is for is not known yet", "a key is made of event alone")
            }
            "event" if !self.spot.starting => {
                self.fail(e.id, "event is only there in the key and the if of a start or a wait", "the start event is start")
            }
            // What is wrong with what starts it is told there.
            "start" | "event" if !self.names.start_is_known => None,
            "start" | "event" => {
                let schema = self.names.start.clone();
                self.uses.touch(Root::Start);
                let ty = Type::of(&schema, schema.root());
                Some(Typed::new(Node::Path(Box::new(Place::whole(Root::Start, schema))), ty))
            }
            "index" if !self.spot.items.is_empty() => Some(Typed::new(Node::Position, Type::Int)),
            "index" => {
                self.fail(e.id, "there is no item here", "index, from 0, can be read in the steps and the result of a for_each")
            }
            "key" => Some(Typed::new(Node::Key, Type::Text)),
            "now" => Some(Typed::new(Node::Now, Type::Timestamp)),
            "started" => Some(Typed::new(Node::Started, Type::Timestamp)),
            "failure" if self.spot.failure => Some(failure()),
            "failure" => {
                let hint = "failure can be read in an undo's with, in the steps of a reaction, in on_compensated and in on_stuck";
                self.fail(e.id, "nothing has failed here", hint)
            }
            "round" if self.spot.round => Some(Typed::new(Node::Round, Type::Int)),
            "round" => self.fail(e.id, "nothing is tried again here", "round can be read where a reaction has next: retry"),
            "steps" => self.fail(e.id, "steps is not a value", "name a step: steps.NAME"),
            "rules" => self.fail(e.id, "rules is not a value", "name a rule: rules.NAME"),
            _ if self.names.items.iter().any(|item| item.name.is_empty() && self.spot.items.contains(&item.each)) => None,
            _ => {
                let hint = self.meant_by(name);
                self.fail(e.id, format!("unknown name '{name}'"), hint)
            }
        }
    }

    pub(super) fn within(&mut self, parsed: &'a Parsed) -> Option<Typed> {
        self.parsed = parsed;
        self.expression(&parsed.root)
    }

    fn list(&mut self, e: &IdedExpr, elements: &'a [IdedExpr], plain: bool) -> Option<Typed> {
        if !plain {
            return self.fail(e.id, "optional items are not part of the language", "write the item without ?, as x.orValue(...)");
        }
        let items: Option<Vec<Typed>> = elements.iter().map(|element| self.expression(element)).collect();
        let mut items = items?;
        self.settle(e, &mut items)?;
        let mut ty = Type::Never;
        for (item, element) in items.iter().zip(elements) {
            match ty.join(&item.ty) {
                Some(joined) => ty = joined,
                None => {
                    return self.fail(
                        element.id,
                        format!("this is {}, the items before are {ty}", item.ty),
                        "all items of a list have one type",
                    );
                }
            }
        }
        let nodes = items.into_iter().map(|item| fit(item.node, &item.ty, &ty)).collect();
        Some(Typed::new(Node::List(nodes), Type::List(Box::new(ty))))
    }

    fn object(&mut self, e: &IdedExpr, map: &'a MapExpr) -> Option<Typed> {
        let mut fields: Vec<(Arc<str>, Typed, bool)> = Vec::new();
        // All errors of a record are told, not only the first.
        let mut is_whole = true;
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return self.fail(e.id, "this is no record", "a record is { 'field': value }");
            };
            let Some(name) = super::scope::text_of(&entry.key) else {
                return self.fail(entry.key.id, "a field's name is a literal text", "write { 'name': value }");
            };
            if fields.iter().any(|(other, ..)| **other == *name) {
                let hint = "a field stands once: remove one of them, or give it another name";
                return self.fail(entry.key.id, format!("'{name}' is defined twice"), hint);
            }
            let outside = std::mem::take(&mut self.secret);
            let value = self.expression(&entry.value);
            is_whole &= value.is_some();
            let value = value.unwrap_or_else(|| Typed::new(Node::Const(Const::Null), Type::Unknown));
            fields.push((name.into(), value, std::mem::replace(&mut self.secret, outside)));
        }
        if !is_whole {
            return None;
        }
        let field = |(name, value, secret): &(Arc<str>, Typed, bool)| ObjectField {
            name: name.clone(),
            ty: value.ty.clone(),
            secret: *secret,
        };
        let types = fields.iter().map(field).collect();
        let nodes = fields.into_iter().map(|(name, value, _)| (name, value.node)).collect();
        Some(Typed::new(Node::Object(nodes), Type::Object(types)))
    }

    /// What must be true or false.
    pub(super) fn truth(&mut self, e: &IdedExpr, typed: Typed) -> Option<Node> {
        match &typed.ty {
            Type::Bool | Type::Dynamic => Some(typed.node),
            Type::Optional(inner) if matches!(**inner, Type::Bool | Type::Dynamic) => {
                self.fail(e.id, "this may be absent", "write .orValue(false) behind it")
            }
            other => {
                let message = format!("this is {other}, and a bool is needed");
                self.fail(e.id, message, other.compared())
            }
        }
    }

    /// Number literals beside a decimal, or beside something of unknown type, are the decimals that were written.
    pub(super) fn settle(&mut self, e: &IdedExpr, values: &mut [Typed]) -> Option<()> {
        if !values.iter().any(|value| matches!(value.ty.required().0, Type::Decimal(_) | Type::Dynamic)) {
            return Some(());
        }
        for value in values {
            let typed = std::mem::replace(value, Typed::new(Node::Const(Const::Null), Type::Null));
            match typed.settled() {
                Ok(settled) => *value = settled,
                Err(_) => {
                    let message = format!("a number beside a decimal has at most {LITERAL_DIGITS_MAX} digits");
                    return self.fail(e.id, message, "write decimal('...')");
                }
            }
        }
        Some(())
    }
}

/// A value as one of a type that it was joined to: ints become decimals or doubles where those are meant.
pub(crate) fn fit(node: Node, from: &Type, to: &Type) -> Node {
    match (from.required().0, to.required().0, node) {
        (Type::Int, Type::Decimal(_), Node::Const(Const::Int(x))) => Node::Const(Const::Decimal(Decimal::from(x))),
        (Type::Int, Type::Double, Node::Const(Const::Int(x))) => Node::Const(Const::Double(x as f64)),
        (Type::Int, Type::Decimal(_), node) => Node::Widen(Box::new(node)),
        (Type::Int, Type::Double, node) => Node::Call(super::tree::Function::ToDouble, vec![node]),
        (_, _, node) => node,
    }
}

/// The decimal that a literal with a point is, if it has few enough digits.
fn literal_decimal(text: &str) -> Option<Decimal> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if digits.trim_start_matches('0').len() > LITERAL_DIGITS_MAX {
        return None;
    }
    // JSON's numbers, which the reader knows, have a digit before the point.
    let text = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
    number::parse(&text)
}

fn failure() -> Typed {
    let fields = [
        ("code", FailureField::Code),
        ("step", FailureField::Step),
        ("kind", FailureField::Kind),
        ("message", FailureField::Message),
    ];
    let types = fields.iter().map(|(name, _)| ObjectField { name: (*name).into(), ty: Type::Text, secret: false }).collect();
    let nodes = fields.iter().map(|(name, field)| ((*name).into(), Node::Failure(*field))).collect();
    Typed::new(Node::Object(nodes), Type::Object(types))
}
