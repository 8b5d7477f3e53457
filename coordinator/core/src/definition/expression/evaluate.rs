//! Evaluating the tree: values are borrowed from the saga's bytes, every node costs from the turn's budget.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::Kind;
use rust_decimal::Decimal;

use super::arithmetic::{calculate, concatenate, negate};
use super::regexes::Finder;
use super::tree::{Arithmetic, Const, FailureField, Loop, LoopKind, Node, Order, Root};
use super::value::{Fault, Value, nodes_of};
use super::{Environment, functions};

/// One evaluation.
pub(crate) struct Machine<'s, 'e> {
    pub(super) environment: &'s Environment<'e>,
    /// Items of the loops that are open.
    pub(super) locals: Vec<Value<'s>>,
    left: u32,
}

type Evaluated<'s> = Result<Value<'s>, Fault>;

impl<'s, 'e> Machine<'s, 'e> {
    pub(crate) fn new(environment: &'s Environment<'e>) -> Self {
        Machine { environment, locals: Vec::new(), left: environment.budget.left() }
    }

    /// Gives back what is left of the budget.
    pub(crate) fn settle(self) {
        self.environment.budget.leave(self.left);
    }

    #[inline]
    pub(super) fn spend(&mut self, nodes: u32) -> Result<(), Fault> {
        match self.left.checked_sub(nodes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Fault::new(
                    "TOO_EXPENSIVE",
                    format!("the expressions of this turn cost more than {} nodes", super::NODES_PER_TURN_MAX),
                ))
            }
        }
    }

    /// The value of a condition.
    pub(crate) fn truth(&mut self, node: &'s Node) -> Result<bool, Fault> {
        self.spend(1)?;
        match node {
            Node::And(a, b) => match self.truth(a) {
                Ok(true) => self.truth(b),
                Ok(false) => Ok(false),
                // As in CEL: what decides alone decides, even beside an error.
                Err(fault) => self.absorbed(fault, b, false),
            },
            Node::Or(a, b) => match self.truth(a) {
                Ok(false) => self.truth(b),
                Ok(true) => Ok(true),
                Err(fault) => self.absorbed(fault, b, true),
            },
            Node::Not(inner) => Ok(!self.truth(inner)?),
            Node::Compare(order, a, b) => {
                let ordering = self.ordered(a, b)?;
                Ok(match order {
                    Order::Less => ordering == Ordering::Less,
                    Order::LessOrEqual => ordering != Ordering::Greater,
                    Order::Greater => ordering == Ordering::Greater,
                    Order::GreaterOrEqual => ordering != Ordering::Less,
                })
            }
            Node::Equal(a, b) => self.equal(a, b),
            Node::Present(inner) => Ok(!matches!(self.eval(inner)?, Value::Null)),
            Node::Succeeded(node) => Ok(self.bytes_of(Root::Result(*node)).is_some()),
            Node::In(item, list) => self.contains(item, list),
            Node::Matches(parts) => self.finds(&parts.0, &parts.1),
            other => match self.eval_inner(other)? {
                Value::Bool(truth) => Ok(truth),
                value => Err(Fault::types("a bool is needed here and it", &value)),
            },
        }
    }

    #[cold]
    fn absorbed(&mut self, fault: Fault, other: &'s Node, decides: bool) -> Result<bool, Fault> {
        if fault.code() != "TOO_EXPENSIVE" && self.truth(other)? == decides { Ok(decides) } else { Err(fault) }
    }

    /// The value of a node. What is long costs its length, since whoever asks for it reads it.
    #[inline]
    pub(crate) fn eval(&mut self, node: &'s Node) -> Evaluated<'s> {
        self.spend(1)?;
        let value = self.eval_inner(node)?;
        if let Value::Text(_) | Value::Bytes(_) | Value::Raw(_) = &value {
            self.spend(value.weight())?;
        }
        Ok(value)
    }

    fn eval_inner(&mut self, node: &'s Node) -> Evaluated<'s> {
        match node {
            Node::Const(value) => Ok(constant(value)),
            Node::Path(place) => Ok(self.read(place)?.into()),
            Node::Key => Ok(Value::Text(Cow::Borrowed(self.environment.key))),
            Node::Round => Ok(Value::Int(self.environment.round)),
            Node::Position => Ok(Value::Int(self.environment.index)),
            Node::Now => Ok(instant(self.environment.now)),
            Node::Started => Ok(instant(self.environment.started)),
            Node::Failure(field) => self.failure(*field),
            Node::Local(slot) => {
                if let made @ (Value::List(_) | Value::Object(_)) = &self.locals[*slot] {
                    self.spend(made.weight())?;
                }
                Ok(self.locals[*slot].clone())
            }
            Node::Field(of, index) => self.field(of, usize::from(*index)),
            Node::Member { of, name, optional } => self.member(of, name, *optional),
            Node::Index { of, index, optional } => self.index(of, index, *optional),
            Node::Object(fields) => self.object(fields),
            Node::List(items) => Ok(Value::List(items.iter().map(|item| self.eval(item)).collect::<Result<_, Fault>>()?)),
            Node::If(branches) => {
                let (test, then, otherwise) = &**branches;
                if self.truth(test)? { self.eval(then) } else { self.eval(otherwise) }
            }
            Node::Table(rows, otherwise) => {
                for (test, then) in rows {
                    if self.truth(test)? {
                        return self.eval(then);
                    }
                }
                self.eval(otherwise)
            }
            Node::Calculate(kind, a, b) => {
                let (a, b) = (self.eval(a)?, self.eval(b)?);
                self.calculate(*kind, a, b)
            }
            Node::Negate(inner) => negate(self.eval(inner)?),
            Node::OrValue(first, second) => match self.eval(first)? {
                Value::Null => self.eval(second),
                value => Ok(value),
            },
            Node::Loop(inner) => self.looped(inner),
            Node::Call(function, args) => {
                let values = args.iter().map(|arg| self.eval(arg)).collect::<Result<Vec<_>, Fault>>()?;
                functions::call(*function, values, &mut |nodes| self.spend(nodes))
            }
            Node::Widen(inner) => Ok(match self.eval(inner)? {
                Value::Int(x) => Value::Decimal(Decimal::from(x)),
                other => other,
            }),
            Node::And(..)
            | Node::Or(..)
            | Node::Not(_)
            | Node::Equal(..)
            | Node::Compare(..)
            | Node::In(..)
            | Node::Matches(_)
            | Node::Present(_)
            | Node::Succeeded(_) => Ok(Value::Bool(self.truth(node)?)),
        }
    }

    fn object(&mut self, fields: &'s [(Arc<str>, Node)]) -> Evaluated<'s> {
        let values = fields.iter().map(|(name, value)| Ok((name.clone(), self.eval(value)?)));
        Ok(Value::Object(values.collect::<Result<_, Fault>>()?))
    }

    /// The kept bytes of the start event or of a result.
    #[inline]
    pub(super) fn bytes_of(&self, root: Root) -> Option<&'s [u8]> {
        match root {
            Root::Start => Some(self.environment.start),
            Root::Event(_) => Some(self.environment.event),
            Root::Result(node) => (self.environment.results)(node),
            Root::Item(each) => (self.environment.item)(each),
        }
    }

    fn failure(&self, field: FailureField) -> Evaluated<'s> {
        let Some(failure) = self.environment.failure else { return Err(Fault::new("ABSENT", "nothing has failed")) };
        Ok(Value::Text(Cow::Borrowed(match field {
            FailureField::Code => &failure.code,
            FailureField::Step => &failure.step,
            FailureField::Kind => failure.kind.as_str(),
            FailureField::Message => &failure.message,
        })))
    }

    fn field(&mut self, of: &'s Node, index: usize) -> Evaluated<'s> {
        if let Node::Local(slot) = of
            && let Some(value) = self.field_of_local(*slot, index)?
        {
            return Ok(value.into());
        }
        match self.eval(of)? {
            Value::Raw(raw) => Ok(raw.field(index)?.into()),
            Value::Null => Ok(Value::Null),
            other => Err(Fault::types("a record is needed here and it", &other)),
        }
    }

    fn member(&mut self, of: &'s Node, name: &str, optional: bool) -> Evaluated<'s> {
        let of = self.eval(of)?;
        match of.named(name)? {
            Some(Value::Null) | None if optional => Ok(Value::Null),
            Some(Value::Null) => Err(Fault::new("ABSENT", format!("'{name}' is null"))),
            Some(value) => Ok(value),
            None => match of {
                Value::Raw(_) | Value::Object(_) => Err(Fault::new("ABSENT", format!("there is no '{name}'"))),
                other => Err(Fault::new("TYPE", format!("'{name}' is asked of something that {}", other.describe()))),
            },
        }
    }

    fn index(&mut self, of: &'s Node, index: &'s Node, optional: bool) -> Evaluated<'s> {
        let at = index;
        let (of, index) = (self.eval(of)?, self.eval(index)?);
        let found = match (&of, &index) {
            (Value::Null, _) => None,
            (_, Value::Text(name)) => of.named(name)?,
            (Value::List(items), Value::Int(at)) => usize::try_from(*at).ok().and_then(|at| items.get(at).cloned()),
            (Value::Raw(raw), Value::Int(at)) if raw.kind() == Kind::List => match usize::try_from(*at) {
                Ok(at) => {
                    self.spend(u32::try_from(at).unwrap_or(u32::MAX))?;
                    raw.items().nth(at).transpose()?.map(Value::from)
                }
                Err(_) => None,
            },
            (_, index) => return Err(Fault::types("an index", index)),
        };
        match found {
            None | Some(Value::Null) if optional => Ok(Value::Null),
            None | Some(Value::Null) => Err(Fault::new(
                "OUT_OF_RANGE",
                match at {
                    // What is data may be secret.
                    Node::Const(_) => Cow::Owned(format!("there is no item {}", functions::text(&index)?)),
                    _ => Cow::Borrowed("there is no item at this index"),
                },
            )),
            Some(value) => Ok(value),
        }
    }

    fn finds(&mut self, text: &'s Node, finder: &'s Finder) -> Result<bool, Fault> {
        match self.eval(text)? {
            Value::Text(text) => {
                self.spend(finder.cost(&text))?;
                Ok(finder.finds(&text))
            }
            other => Err(Fault::types("a string is needed here and it", &other)),
        }
    }

    fn contains(&mut self, item: &'s Node, list: &'s Node) -> Result<bool, Fault> {
        let (item, list) = (self.eval(item)?, self.eval(list)?);
        if let (Value::Text(name), Value::Object(_)) = (&item, &list) {
            return Ok(list.named(name)?.is_some());
        }
        let mut found = false;
        list.each(&mut |other| {
            self.spend(1 + other.weight())?;
            found = other.equals(&item)?;
            Ok(!found)
        })?;
        Ok(found)
    }

    fn calculate(&mut self, kind: Arithmetic, a: Value<'s>, b: Value<'s>) -> Evaluated<'s> {
        if kind == Arithmetic::Add {
            match (a, b) {
                (Value::Text(a), Value::Text(b)) => return concatenate(&a, &b),
                (a @ (Value::List(_) | Value::Raw(_)), b @ (Value::List(_) | Value::Raw(_))) => {
                    let mut items = Vec::new();
                    for side in [a, b] {
                        side.each(&mut |item| {
                            self.spend(1 + item.weight())?;
                            items.push(item);
                            Ok(true)
                        })?;
                    }
                    return Ok(Value::List(items));
                }
                (a, b) => return calculate(kind, &a, &b),
            }
        }
        calculate(kind, &a, &b)
    }

    /// A list to walk over.
    pub(super) fn range(&mut self, node: &'s Node) -> Evaluated<'s> {
        if let Node::Path(place) = node
            && let Some(bytes) = self.bytes_of(place.root)
        {
            let mut passed = 0;
            let list = place.list(bytes, &mut passed)?;
            self.spend(nodes_of(passed))?;
            if let Some(list) = list {
                return Ok(Value::Raw(list));
            }
        }
        self.eval(node)
    }

    fn looped(&mut self, inner: &'s Loop) -> Evaluated<'s> {
        let range = self.range(&inner.range)?;
        let slot = self.locals.len();
        self.locals.push(Value::Null);
        let mut found = 0;
        let mut all = true;
        let mut fault = None;
        let mut list = Vec::new();
        let ended = range.each(&mut |item| {
            self.spend(1 + item.weight())?;
            match inner.kind {
                LoopKind::Exists | LoopKind::All => {
                    self.locals[slot] = item;
                    // As in CEL: one item that decides is enough, even where another fails.
                    match self.truth(&inner.body) {
                        Ok(truth) => {
                            found += i64::from(truth);
                            all &= truth;
                            return Ok(if inner.kind == LoopKind::Exists { !truth } else { truth });
                        }
                        Err(error) if error.code() == "TOO_EXPENSIVE" => return Err(error),
                        Err(error) => fault = fault.take().or(Some(error)),
                    }
                }
                LoopKind::ExistsOne => {
                    self.locals[slot] = item;
                    found += i64::from(self.truth(&inner.body)?);
                }
                LoopKind::Filter => {
                    self.locals[slot] = item;
                    if self.truth(&inner.body)? {
                        list.push(std::mem::replace(&mut self.locals[slot], Value::Null));
                    }
                }
                LoopKind::Map => {
                    self.locals[slot] = item;
                    let taken = match &inner.filter {
                        Some(filter) => self.truth(filter)?,
                        None => true,
                    };
                    if taken {
                        list.push(self.eval(&inner.body)?);
                    }
                }
            }
            Ok(true)
        });
        self.locals.truncate(slot);
        ended?;
        match (inner.kind, fault) {
            (LoopKind::Exists, Some(fault)) if found == 0 => Err(fault),
            (LoopKind::All, Some(fault)) if all => Err(fault),
            (LoopKind::Exists, _) => Ok(Value::Bool(found > 0)),
            (LoopKind::All, _) => Ok(Value::Bool(all)),
            (LoopKind::ExistsOne, _) => Ok(Value::Bool(found == 1)),
            (LoopKind::Map | LoopKind::Filter, _) => Ok(Value::List(list)),
        }
    }
}

#[inline]
pub(super) fn constant(value: &Const) -> Value<'_> {
    match value {
        Const::Null => Value::Null,
        Const::Bool(x) => Value::Bool(*x),
        Const::Int(x) => Value::Int(*x),
        Const::Double(x) => Value::Double(*x),
        Const::Decimal(x) => Value::Decimal(*x),
        Const::Text(x) => Value::Text(Cow::Borrowed(x)),
        Const::Bytes(x) => Value::Bytes(Cow::Borrowed(x)),
        Const::Timestamp(x) => Value::Timestamp(*x),
        Const::Duration(x) => Value::Duration(*x),
    }
}

fn instant<'s>(at: Millis) -> Value<'s> {
    Value::Timestamp(at.saturating_mul(1000))
}
