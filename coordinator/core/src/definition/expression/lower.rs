//! From cel's syntax tree to the typed tree: names, types and certainty are checked here, with positions.

use std::sync::Arc;

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, SelectExpr, operators as op};
use rust_decimal::Decimal;

use super::parse::Parsed;
use super::scope::{Names, RESERVED, RuleBody, Spot, Uses, facts, path_of};
use super::tree::{Const, FailureField, Loop, LoopKind, Node, Root};
use super::types::Type;
use super::number;
use crate::definition::compile::{Report, did_you_mean};

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
}

impl Typed {
    pub(crate) fn new(node: Node, ty: Type) -> Typed {
        Typed { node, ty, chained: false, exact: None }
    }

    /// The same, reached by `.?`.
    pub(super) fn chained(node: Node, ty: Type, chained: bool) -> Typed {
        Typed { chained, ..Typed::new(node, ty) }
    }

    /// A literal with a point as the decimal that was written. An error if it has too many digits.
    pub(crate) fn settled(self) -> Result<Typed, Typed> {
        match (&self.node, self.exact) {
            (Node::Const(Const::Double(_)), Some(exact)) => Ok(Typed::new(Node::Const(Const::Decimal(exact)), Type::Decimal)),
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
    depth: usize,
    node_count: usize,
    rules_open: Vec<usize>,
}

impl<'a, 'r, 't> Lowerer<'a, 'r, 't> {
    /// Lowers an expression where it stands. `None` if anything is wrong, which is then reported.
    pub(crate) fn lower(names: &'a Names<'a>, report: &'r mut Report<'t>, uses: &'r mut Uses, spot: Spot, parsed: &'a Parsed) -> Option<Typed> {
        let errors = report.error_count();
        let mut lowerer = Lowerer { names, report, uses, spot, parsed, locals: Vec::new(), depth: 0, node_count: 0, rules_open: Vec::new() };
        let typed = lowerer.expression(&parsed.root)?;
        (lowerer.report.error_count() == errors).then_some(typed)
    }

    /// Checks a rule by itself.
    pub(crate) fn rule_alone(names: &'a Names<'a>, report: &'r mut Report<'t>, uses: &'r mut Uses, spot: Spot, index: usize) {
        let body = &names.rules[index].body;
        let parsed = match body {
            RuleBody::One(parsed) | RuleBody::Table(_, parsed) => parsed,
        };
        let mut lowerer = Lowerer { names, report, uses, spot, parsed, locals: Vec::new(), depth: 0, node_count: 0, rules_open: vec![index] };
        let _ = lowerer.rule_body(body);
    }

    pub(super) fn fail<T>(&mut self, id: u64, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.report.error(&self.parsed.place(id), message, hint);
        None
    }

    /// An expression whose value is used.
    pub(super) fn expression(&mut self, e: &'a IdedExpr) -> Option<Typed> {
        let typed = self.place(e)?;
        if let Node::Path { root, path, .. } = &typed.node
            && path.is_empty()
        {
            self.uses.all(*root);
        }
        Some(typed)
    }

    /// An expression that a field may be taken of.
    fn place(&mut self, e: &'a IdedExpr) -> Option<Typed> {
        self.node_count += 1;
        if self.node_count > NODES_MAX {
            return self.fail(e.id, format!("with its rules this has more than {NODES_MAX} nodes"), "divide it");
        }
        if self.depth >= DEPTH_MAX {
            return self.fail(e.id, format!("the expression is deeper than {DEPTH_MAX}"), "divide it into rules");
        }
        self.depth += 1;
        let typed = match &e.expr {
            Expr::Literal(literal) => self.literal(e, literal),
            Expr::Ident(name) => self.name(e, name),
            Expr::Select(select) if select.test => self.has(e, select),
            Expr::Select(select) => self.select(e, &select.operand, &select.field, false),
            Expr::Call(call) => self.call(e, call),
            Expr::List(list) => self.list(e, &list.elements, list.optional_indices.is_empty()),
            Expr::Map(map) => self.object(e, map),
            Expr::Comprehension(comprehension) => self.comprehension(e, comprehension),
            Expr::Struct(message) => self.fail(e.id, format!("there is no type '{}' to make", message.type_name), "a record is { 'field': value }"),
            Expr::Unspecified => self.fail(e.id, "this is not an expression", ""),
        };
        self.depth -= 1;
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
                let exact = literal_decimal(text).map(|exact| if value < 0.0 { -exact } else { exact });
                return Some(Typed { exact, ..Typed::new(Node::Const(Const::Double(value)), Type::Double) });
            }
            LiteralValue::String(x) => (Const::Text(x.inner().into()), Type::Text),
            LiteralValue::Bytes(x) => (Const::Bytes(x.inner().into()), Type::Bytes),
            LiteralValue::UInt(_) => return self.fail(e.id, "there are no unsigned integers", "leave the u away"),
        };
        Some(Typed::new(Node::Const(value), ty))
    }

    fn name(&mut self, e: &'a IdedExpr, name: &str) -> Option<Typed> {
        if let Some(slot) = self.locals.iter().rposition(|(local, _)| local == name) {
            return Some(Typed::new(Node::Local(slot), self.locals[slot].1.clone()));
        }
        match name {
            "event" if !self.spot.starting => self.fail(e.id, "event is only there in the start's own key and if", "here it is start"),
            "start" | "event" => {
                let schema = self.names.start.clone();
                self.uses.touch(Root::Start);
                let ty = Type::of(&schema, schema.root());
                Some(Typed::new(Node::Path { root: Root::Start, schema, path: [].into() }, ty))
            }
            "key" => Some(Typed::new(Node::Key, Type::Text)),
            "now" => Some(Typed::new(Node::Now, Type::Timestamp)),
            "started" => Some(Typed::new(Node::Started, Type::Timestamp)),
            "failure" if self.spot.failure => Some(failure()),
            "failure" => self.fail(e.id, "nothing has failed here", "failure can be read in an undo's with and in on_compensated"),
            "steps" => self.fail(e.id, "steps is not a value", "name a step: steps.NAME"),
            "rules" => self.fail(e.id, "rules is not a value", "name a rule: rules.NAME"),
            _ => {
                let hint = if self.parsed.quoted || !matches!(self.parsed.root.expr, Expr::Ident(_)) {
                    let locals = self.locals.iter().map(|(name, _)| name.as_str());
                    did_you_mean(name, locals.chain(["start", "steps", "rules", "key", "now", "started", "failure"]).collect::<Vec<_>>())
                } else {
                    String::new()
                };
                let hint = if matches!(self.parsed.root.expr, Expr::Ident(_)) { format!("a text is written \"'{name}'\"") } else { hint };
                self.fail(e.id, format!("unknown name '{name}'"), hint)
            }
        }
    }

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
            return self.fail(e.id, format!("{path} may be absent"), format!("write {path}.?{field}.orValue(...), or ask has({path}) first"));
        }
        let (node, ty) = self.field(e, of.node, &inner.clone(), field, optional || absent)?;
        let known = path_of(operand).is_some_and(|path| self.spot.facts.contains(&format!("{path}.{field}")));
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
                    let name = schema.name_of(*id).unwrap_or("the record").to_owned();
                    let fields: Vec<&str> = schema.fields(*id).iter().map(|field| &*field.name).collect();
                    return self.fail(e.id, format!("{name} has no field '{field}'"), did_you_mean(field, fields));
                };
                let ty = Type::of(schema, found.ty);
                let index = u16::try_from(index).expect("a schema has fewer nodes than 65,536");
                let node = match of {
                    Node::Path { root, schema, path } => {
                        if path.is_empty() {
                            self.uses.field(root, field);
                        }
                        Node::Path { root, schema, path: path.iter().copied().chain([index]).collect() }
                    }
                    other => Node::Field(Box::new(other), index),
                };
                Some((node, ty))
            }
            Type::Object(fields) => match fields.iter().position(|(name, _)| **name == *field) {
                None => self.fail(e.id, format!("the record has no field '{field}'"), did_you_mean(field, fields.iter().map(|(name, _)| &**name))),
                Some(at) => {
                    let ty = fields[at].1.clone();
                    Some(match of {
                        Node::Object(mut entries) => (entries.swap_remove(at).1, ty),
                        other => (Node::Member { of: Box::new(other), name: field.into(), optional }, ty),
                    })
                }
            },
            Type::Map(value) => Some((self.member(of, field, optional), (**value).clone())),
            Type::Dynamic => Some((self.member(of, field, optional), Type::Dynamic)),
            other => self.fail(e.id, format!("a {other} has no fields"), ""),
        }
    }

    fn member(&mut self, of: Node, field: &str, optional: bool) -> Node {
        if let Node::Path { root, path, .. } = &of
            && path.is_empty()
        {
            self.uses.all(*root);
        }
        Node::Member { of: Box::new(of), name: field.into(), optional }
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|(local, _)| local == name)
    }

    /// Which step a name means, if it can be read here.
    fn step_named(&mut self, e: &IdedExpr, name: &str) -> Option<usize> {
        let names = self.names;
        let Some(index) = names.steps.iter().position(|step| step.name == name) else {
            let known: Vec<&str> = names.steps.iter().map(|step| step.name).collect();
            return self.fail(e.id, format!("there is no step '{name}'"), did_you_mean(name, known));
        };
        if self.spot.starting {
            return self.fail(e.id, "no step has run when a saga starts", "");
        }
        if index >= self.spot.before && self.spot.own != Some(index) {
            return self.fail(e.id, format!("step '{name}' has not run here"), "only steps that stand before can be read");
        }
        Some(index)
    }

    fn step(&mut self, e: &'a IdedExpr, name: &str, optional: bool) -> Option<Typed> {
        let index = self.step_named(e, name)?;
        let step = &self.names.steps[index];
        let certain = self.spot.facts.contains(&format!("steps.{name}"))
            || (!self.spot.undone && self.spot.own != Some(index) && !step.conditional);
        if !certain && !optional {
            let why = if self.spot.undone || self.spot.own == Some(index) {
                "may not have succeeded here"
            } else {
                "may have been skipped: it has an if"
            };
            return self.fail(e.id, format!("step '{name}' {why}"), format!("write steps.?{name}.?FIELD.orValue(...), or ask has(steps.{name}) first"));
        }
        let schema = step.result.clone();
        self.uses.touch(Root::Result(index));
        let ty = Type::of(&schema, schema.root());
        let ty = if certain { ty } else { ty.optional() };
        Some(Typed::chained(Node::Path { root: Root::Result(index), schema, path: [].into() }, ty, optional && !certain))
    }

    /// A rule stands for its expression, checked where it is used.
    fn rule(&mut self, e: &'a IdedExpr, name: &str) -> Option<Typed> {
        let names = self.names;
        let Some(index) = names.rules.iter().position(|rule| rule.name == name) else {
            return self.fail(e.id, format!("there is no rule '{name}'"), did_you_mean(name, names.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>()));
        };
        if self.rules_open.contains(&index) {
            return self.fail(e.id, format!("rule '{name}' needs itself"), "");
        }
        self.uses.rule(name);
        self.rules_open.push(index);
        let (parsed, depth) = (self.parsed, std::mem::take(&mut self.depth));
        let locals = std::mem::take(&mut self.locals);
        let typed = self.rule_body(&names.rules[index].body);
        self.locals = locals;
        (self.parsed, self.depth) = (parsed, depth);
        self.rules_open.pop();
        typed
    }

    pub(super) fn rule_body(&mut self, body: &'a RuleBody) -> Option<Typed> {
        match body {
            RuleBody::One(parsed) => self.within(parsed),
            RuleBody::Table(rows, otherwise) => {
                let outside = self.spot.facts.len();
                let (mut tests, mut values) = (Vec::new(), Vec::new());
                for (condition, then) in rows {
                    let test = self.within(condition).and_then(|test| self.truth(&condition.root, test));
                    let before = self.spot.facts.len();
                    facts(&condition.root, true, self.names.rules, &mut self.spot.facts);
                    let value = self.within(then);
                    self.spot.facts.truncate(before);
                    facts(&condition.root, false, self.names.rules, &mut self.spot.facts);
                    if let (Some(test), Some(value)) = (test, value) {
                        tests.push(test);
                        values.push(value);
                    }
                }
                let last = self.within(otherwise);
                self.spot.facts.truncate(outside);
                values.push(last?);
                if values.len() <= rows.len() {
                    return None;
                }
                self.table(tests, values, rows, otherwise)
            }
        }
    }

    fn table(&mut self, tests: Vec<Node>, mut values: Vec<Typed>, rows: &'a [(Parsed, Parsed)], otherwise: &'a Parsed) -> Option<Typed> {
        self.settle(&otherwise.root, &mut values)?;
        let mut ty = Type::Never;
        for (value, parsed) in values.iter().zip(rows.iter().map(|(_, then)| then).chain([otherwise])) {
            let Some(joined) = ty.join(&value.ty) else {
                self.report.error(&parsed.span, format!("this is {}, the values above are {ty}", value.ty), "all values of a table have one type");
                return None;
            };
            ty = joined;
        }
        let mut nodes: Vec<Node> = values.into_iter().map(|value| fit(value.node, &value.ty, &ty)).collect();
        let last = nodes.pop().expect("a table has an else");
        Some(Typed::new(Node::Table(tests.into_iter().zip(nodes).collect(), Box::new(last)), ty))
    }

    fn within(&mut self, parsed: &'a Parsed) -> Option<Typed> {
        self.parsed = parsed;
        self.expression(&parsed.root)
    }

    fn has(&mut self, e: &'a IdedExpr, select: &'a SelectExpr) -> Option<Typed> {
        let yes = |node| Some(Typed::new(node, Type::Bool));
        if let Expr::Ident(name) = &select.operand.expr
            && name == "steps"
            && !self.is_local(name)
        {
            let index = self.step_named(e, &select.field)?;
            self.uses.touch(Root::Result(index));
            return yes(Node::Succeeded(index));
        }
        let of = self.chain(&select.operand)?;
        let (inner, _) = of.ty.required();
        let (node, _) = self.field(e, of.node, &inner.clone(), &select.field, true)?;
        yes(Node::Present(Box::new(node)))
    }

    /// The operand of `has`: everything on the way may be absent.
    fn chain(&mut self, e: &'a IdedExpr) -> Option<Typed> {
        match &e.expr {
            Expr::Select(select) if !select.test => {
                match &select.operand.expr {
                    Expr::Ident(name) if name == "rules" && !self.is_local(name) => self.rule(e, &select.field),
                    Expr::Ident(name) if name == "steps" && !self.is_local(name) => self.step(e, &select.field, true),
                    _ => {
                        let of = self.chain(&select.operand)?;
                        let (inner, _) = of.ty.required();
                        let (node, ty) = self.field(e, of.node, &inner.clone(), &select.field, true)?;
                        Some(Typed::chained(node, ty, true))
                    }
                }
            }
            _ => self.place(e),
        }
    }

    fn list(&mut self, e: &IdedExpr, elements: &'a [IdedExpr], plain: bool) -> Option<Typed> {
        if !plain {
            return self.fail(e.id, "optional items are not part of the language", "");
        }
        let items: Option<Vec<Typed>> = elements.iter().map(|element| self.expression(element)).collect();
        let mut items = items?;
        self.settle(e, &mut items)?;
        let mut ty = Type::Never;
        for (item, element) in items.iter().zip(elements) {
            match ty.join(&item.ty) {
                Some(joined) => ty = joined,
                None => return self.fail(element.id, format!("this is {}, the items before are {ty}", item.ty), "all items of a list have one type"),
            }
        }
        let nodes = items.into_iter().map(|item| fit(item.node, &item.ty, &ty)).collect();
        Some(Typed::new(Node::List(nodes), Type::List(Box::new(ty))))
    }

    fn object(&mut self, e: &IdedExpr, map: &'a MapExpr) -> Option<Typed> {
        let mut fields: Vec<(Arc<str>, Typed)> = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { return self.fail(e.id, "a record is { 'field': value }", "") };
            let Some(name) = super::scope::text_of(&entry.key) else {
                return self.fail(entry.key.id, "a field's name is a literal text", "write { 'name': value }");
            };
            if fields.iter().any(|(other, _)| **other == *name) {
                return self.fail(entry.key.id, format!("'{name}' stands here twice"), "");
            }
            fields.push((name.into(), self.expression(&entry.value)?));
        }
        let types = fields.iter().map(|(name, value)| (name.clone(), value.ty.clone())).collect();
        let nodes = fields.into_iter().map(|(name, value)| (name, value.node)).collect();
        Some(Typed::new(Node::Object(nodes), Type::Object(types)))
    }

    /// cel expands `exists`, `all`, `exists_one`, `map`, `filter` into one general loop; its parts tell which it was.
    fn comprehension(&mut self, e: &'a IdedExpr, c: &'a ComprehensionExpr) -> Option<Typed> {
        let range = self.expression(&c.iter_range)?;
        let item = match range.ty.required() {
            (Type::List(item), false) => (**item).clone(),
            (Type::Map(_), false) => Type::Text,
            (Type::Dynamic, false) => Type::Dynamic,
            (_, true) => return self.fail(c.iter_range.id, "the list may be absent", "write .orValue([]) behind it"),
            (other, _) => return self.fail(e.id, format!("a {other} is not a list"), ""),
        };
        if self.locals.len() >= LOOPS_MAX {
            return self.fail(e.id, format!("more than {LOOPS_MAX} loops inside one another"), "");
        }
        if RESERVED.contains(&c.iter_var.as_str()) {
            return self.fail(e.id, format!("'{}' is reserved", c.iter_var), "name the item otherwise");
        }
        let Some((kind, filter, body)) = loop_of(c) else { return self.fail(e.id, "this loop is not part of the language", "") };
        // The item hides what has its name outside.
        let hidden = format!("{}.", c.iter_var);
        let facts = self.spot.facts.clone();
        self.spot.facts.retain(|fact| *fact != c.iter_var && !fact.starts_with(&hidden));
        self.locals.push((c.iter_var.clone(), item.clone()));
        let filter = match filter {
            None => Some(None),
            Some(filter) => self.expression(filter).and_then(|test| self.truth(filter, test)).map(Some),
        };
        let lowered = self.expression(body);
        self.locals.pop();
        self.spot.facts = facts;
        let (filter, lowered) = (filter?, lowered?);
        let (body, ty) = match kind {
            LoopKind::Map => (lowered.node, Type::List(Box::new(lowered.ty))),
            LoopKind::Filter => (self.truth(body, lowered)?, Type::List(Box::new(item))),
            LoopKind::Exists | LoopKind::All | LoopKind::ExistsOne => (self.truth(body, lowered)?, Type::Bool),
        };
        Some(Typed::new(Node::Loop(Box::new(Loop { kind, range: range.node, filter, body })), ty))
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
                self.fail(e.id, message, "")
            }
        }
    }

    /// Number literals beside a decimal, or beside something of unknown type, are the decimals that were written.
    pub(super) fn settle(&mut self, e: &IdedExpr, values: &mut [Typed]) -> Option<()> {
        if !values.iter().any(|value| matches!(value.ty.required().0, Type::Decimal | Type::Dynamic)) {
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
        (Type::Int, Type::Decimal, Node::Const(Const::Int(x))) => Node::Const(Const::Decimal(Decimal::from(x))),
        (Type::Int, Type::Double, Node::Const(Const::Int(x))) => Node::Const(Const::Double(x as f64)),
        (Type::Int, Type::Decimal, node) => Node::Widen(Box::new(node)),
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
    let fields = [("code", FailureField::Code), ("step", FailureField::Step), ("kind", FailureField::Kind), ("message", FailureField::Message)];
    let types = fields.iter().map(|(name, _)| ((*name).into(), Type::Text)).collect();
    let nodes = fields.iter().map(|(name, field)| ((*name).into(), Node::Failure(*field))).collect();
    Typed::new(Node::Object(nodes), Type::Object(types))
}

/// The kind, the filter of a map, and the body of an expanded macro.
fn loop_of(c: &ComprehensionExpr) -> Option<(LoopKind, Option<&IdedExpr>, &IdedExpr)> {
    let Expr::Call(step) = &c.loop_step.expr else { return None };
    Some(match (&c.accu_init.expr, step.func_name.as_str()) {
        (Expr::Literal(LiteralValue::Boolean(_)), op::LOGICAL_OR) => (LoopKind::Exists, None, step.args.get(1)?),
        (Expr::Literal(LiteralValue::Boolean(_)), op::LOGICAL_AND) => (LoopKind::All, None, step.args.get(1)?),
        (Expr::Literal(LiteralValue::Int(_)), op::CONDITIONAL) => (LoopKind::ExistsOne, None, step.args.first()?),
        (Expr::List(_), op::ADD) => (LoopKind::Map, None, appended(&c.loop_step)?),
        (Expr::List(_), op::CONDITIONAL) => {
            let (condition, item) = (step.args.first()?, appended(step.args.get(1)?)?);
            if matches!(&item.expr, Expr::Ident(name) if *name == c.iter_var) {
                (LoopKind::Filter, None, condition)
            } else {
                (LoopKind::Map, Some(condition), item)
            }
        }
        _ => return None,
    })
}

/// `x` of `@result + [x]`.
fn appended(sum: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &sum.expr else { return None };
    match &call.args.get(1)?.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}
