//! Operators: which types they take and give.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators as op};

use super::lower::{Lowerer, Typed, fit};
use super::scope::{facts, text_of};
use super::signatures::FUNCTIONS;
use super::tree::{Arithmetic, Const, Node, Order};
use super::types::Type;
use crate::definition::compile::{Unit, parse_duration};

impl<'a> Lowerer<'a, '_, '_> {
    pub(super) fn call(&mut self, e: &'a IdedExpr, call: &'a CallExpr) -> Option<Typed> {
        match (call.func_name.as_str(), &call.args[..]) {
            (op::LOGICAL_AND, [a, b]) => self.logic(a, b, true),
            (op::LOGICAL_OR, [a, b]) => self.logic(a, b, false),
            (op::LOGICAL_NOT, [a]) => {
                let inner = self.expression(a)?;
                let inner = self.truth(a, inner)?;
                Some(Typed::new(Node::Not(Box::new(inner)), Type::Bool))
            }
            (op::CONDITIONAL, [test, a, b]) => self.conditional(e, test, a, b),
            (op::EQUALS, [a, b]) => self.equality(e, a, b),
            (op::NOT_EQUALS, [a, b]) => {
                let equal = self.equality(e, a, b)?;
                Some(Typed::new(Node::Not(Box::new(equal.node)), Type::Bool))
            }
            (op::LESS, [a, b]) => self.comparison(e, Order::Less, a, b),
            (op::LESS_EQUALS, [a, b]) => self.comparison(e, Order::LessOrEqual, a, b),
            (op::GREATER, [a, b]) => self.comparison(e, Order::Greater, a, b),
            (op::GREATER_EQUALS, [a, b]) => self.comparison(e, Order::GreaterOrEqual, a, b),
            (op::ADD, [a, b]) => self.arithmetic(e, Arithmetic::Add, a, b),
            (op::SUBSTRACT, [a, b]) => self.arithmetic(e, Arithmetic::Subtract, a, b),
            (op::MULTIPLY, [a, b]) => self.arithmetic(e, Arithmetic::Multiply, a, b),
            (op::DIVIDE, [a, b]) => self.arithmetic(e, Arithmetic::Divide, a, b),
            (op::MODULO, [a, b]) => self.arithmetic(e, Arithmetic::Remainder, a, b),
            (op::NEGATE, [a]) => self.negation(e, a),
            (op::IN, [item, list]) => self.membership(e, item, list),
            (op::INDEX, [of, index]) => self.index(e, of, index, false),
            (op::OPT_INDEX, [of, index]) => self.index(e, of, index, true),
            (op::OPT_SELECT, [of, name]) => match text_of(name) {
                Some(name) => self.select(e, of, name, true),
                None => self.fail(e.id, "a field's name is needed behind .?", "start.?FIELD"),
            },
            (name, _) => self.function(e, name, call),
        }
    }

    fn logic(&mut self, a: &'a IdedExpr, b: &'a IdedExpr, and: bool) -> Option<Typed> {
        let left = self.expression(a).and_then(|left| self.truth(a, left));
        let outside = self.spot.facts.len();
        facts(a, and, self.names.rules, &mut self.spot.facts);
        let right = self.expression(b).and_then(|right| self.truth(b, right));
        self.spot.facts.truncate(outside);
        let (left, right) = (Box::new(left?), Box::new(right?));
        Some(Typed::new(if and { Node::And(left, right) } else { Node::Or(left, right) }, Type::Bool))
    }

    fn conditional(&mut self, e: &'a IdedExpr, test: &'a IdedExpr, a: &'a IdedExpr, b: &'a IdedExpr) -> Option<Typed> {
        let lowered = self.expression(test).and_then(|lowered| self.truth(test, lowered));
        let outside = self.spot.facts.len();
        facts(test, true, self.names.rules, &mut self.spot.facts);
        let then = self.expression(a);
        self.spot.facts.truncate(outside);
        facts(test, false, self.names.rules, &mut self.spot.facts);
        let otherwise = self.expression(b);
        self.spot.facts.truncate(outside);
        let mut sides = [then?, otherwise?];
        self.settle(e, &mut sides)?;
        let [then, otherwise] = sides;
        let Some(ty) = then.ty.join(&otherwise.ty) else {
            let hint = mixed(&then.ty, &otherwise.ty);
            return self.fail(e.id, format!("both sides must be of one type: {} and {}", then.ty, otherwise.ty), hint);
        };
        let branches = (lowered?, fit(then.node, &then.ty, &ty), fit(otherwise.node, &otherwise.ty, &ty));
        Some(Typed::new(Node::If(Box::new(branches)), ty))
    }

    /// Both sides, number literals settled.
    fn sides(&mut self, e: &IdedExpr, a: &'a IdedExpr, b: &'a IdedExpr) -> Option<[Typed; 2]> {
        let (left, right) = (self.expression(a), self.expression(b));
        let mut sides = [left?, right?];
        self.settle(e, &mut sides)?;
        Some(sides)
    }

    fn equality(&mut self, e: &IdedExpr, a: &'a IdedExpr, b: &'a IdedExpr) -> Option<Typed> {
        // Null is absent: a path beside it asks as `has` does, whether anything on its way is there.
        let is_null = |side: &IdedExpr| matches!(side.expr, Expr::Literal(LiteralValue::Null));
        let path = if is_null(a) { b } else { a };
        if is_null(a) != is_null(b) && matches!(&path.expr, Expr::Select(select) if !select.test) {
            let path = self.chain(path)?;
            return Some(Typed::new(Node::Not(Box::new(Node::Present(Box::new(path.node)))), Type::Bool));
        }
        let [a, b] = self.sides(e, a, b)?;
        let yes = |node| Some(Typed::new(node, Type::Bool));
        match (&a.ty, &b.ty) {
            (Type::Null, _) => return yes(Node::Not(Box::new(Node::Present(Box::new(b.node))))),
            (_, Type::Null) => return yes(Node::Not(Box::new(Node::Present(Box::new(a.node))))),
            _ => {}
        }
        // What is absent equals nothing that is there, so both sides may be.
        let (x, y) = (a.ty.required().0, b.ty.required().0);
        if x.join(y).is_none() {
            return self.fail(e.id, format!("cannot compare {} with {}", a.ty, b.ty), mixed(x, y));
        }
        yes(Node::Equal(Box::new(a.node), Box::new(b.node)))
    }

    fn comparison(&mut self, e: &IdedExpr, order: Order, a: &'a IdedExpr, b: &'a IdedExpr) -> Option<Typed> {
        let [a, b] = self.sides(e, a, b)?;
        let ordered = |ty: &Type| {
            ty.is_number() || matches!(ty, Type::Text | Type::Timestamp | Type::Date | Type::Duration | Type::Bool | Type::Bytes)
        };
        for side in [&a, &b] {
            if side.ty.required().1 {
                return self.fail(e.id, "one side may be absent", "write .orValue(...) behind it, or ask has(...) first");
            }
        }
        if !ordered(&a.ty) || !ordered(&b.ty) || a.ty.join(&b.ty).is_none() {
            return self.fail(e.id, format!("cannot compare {} with {}", a.ty, b.ty), mixed(&a.ty, &b.ty));
        }
        Some(Typed::new(Node::Compare(order, Box::new(a.node), Box::new(b.node)), Type::Bool))
    }

    fn arithmetic(&mut self, e: &IdedExpr, kind: Arithmetic, a: &'a IdedExpr, b: &'a IdedExpr) -> Option<Typed> {
        use Arithmetic::{Add, Divide, Remainder, Subtract};
        let [a, b] = self.sides(e, a, b)?;
        let ty = match (kind, &a.ty, &b.ty) {
            (_, x, y) if x.required().1 || y.required().1 => {
                return self.fail(e.id, "one side may be absent", "write .orValue(...) behind it, or ask has(...) first");
            }
            (_, Type::Dynamic, y) if y.is_number() => Type::Dynamic,
            (_, x, Type::Dynamic) if x.is_number() => Type::Dynamic,
            (Add, Type::Dynamic, Type::Text) | (Add, Type::Text, Type::Dynamic) => Type::Text,
            (Divide, Type::Decimal(_), y) if y.is_number() => {
                return self.fail(e.id, "a quotient of decimals is rarely exact", "say how many digits: div(a, b, 2)");
            }
            (Divide, x, Type::Decimal(_)) if x.is_number() => {
                return self.fail(e.id, "a quotient of decimals is rarely exact", "say how many digits: div(a, b, 2)");
            }
            (Remainder, Type::Int, Type::Int) => Type::Int,
            (Remainder, ..) => return self.fail(e.id, format!("% needs two ints, not {} and {}", a.ty, b.ty), "write int(x)"),
            (_, x, y) if x.is_number() && y.is_number() => match x.join(y) {
                Some(ty) if kind == Arithmetic::Multiply => ty.product(x, y),
                Some(ty) => ty,
                None => return self.fail(e.id, format!("cannot calculate with {x} and {y}"), mixed(x, y)),
            },
            (Add, Type::Text, Type::Text) => Type::Text,
            (Add, Type::List(x), Type::List(y)) if x.join(y).is_some() => Type::List(Box::new(x.join(y)?)),
            (Add | Subtract, Type::Timestamp, Type::Duration) | (Add, Type::Duration, Type::Timestamp) => Type::Timestamp,
            (Subtract, Type::Timestamp, Type::Timestamp) => Type::Duration,
            (Add | Subtract, Type::Duration, Type::Duration) => Type::Duration,
            (Add, Type::Text, _) | (Add, _, Type::Text) => {
                return self.fail(e.id, format!("cannot add {} and {}", a.ty, b.ty), "make it a text: string(x)");
            }
            (_, x, y) => return self.fail(e.id, format!("cannot calculate with {x} and {y}"), mixed(x, y)),
        };
        let (x, y) = (fit(a.node, &a.ty, &ty), fit(b.node, &b.ty, &ty));
        Some(Typed::new(Node::Calculate(kind, Box::new(x), Box::new(y)), ty))
    }

    fn negation(&mut self, e: &IdedExpr, a: &'a IdedExpr) -> Option<Typed> {
        let inner = self.expression(a)?;
        let exact = inner.exact.map(|exact| -exact);
        Some(match (inner.node, inner.ty) {
            (Node::Const(Const::Int(x)), ty) => match x.checked_neg() {
                Some(x) => Typed::new(Node::Const(Const::Int(x)), ty),
                None => return self.fail(e.id, "the number does not fit 64 bits", "write decimal('...')"),
            },
            (Node::Const(Const::Double(x)), ty) => Typed { exact, ..Typed::new(Node::Const(Const::Double(-x)), ty) },
            (node, ty) if ty.is_number() || matches!(ty, Type::Duration) => Typed::new(Node::Negate(Box::new(node)), ty),
            (_, ty) => {
                return self.fail(
                    e.id,
                    format!("- needs a number, not {ty}"),
                    "a number is made of a text by int(x) or decimal(x)",
                );
            }
        })
    }

    fn membership(&mut self, e: &IdedExpr, item: &'a IdedExpr, list: &'a IdedExpr) -> Option<Typed> {
        let (item, list) = (self.expression(item), self.expression(list));
        let (item, list) = (item?, list?);
        let fits = match &list.ty {
            Type::List(of) => item.ty.required().0.join(of.required().0).is_some(),
            Type::Map(_) => matches!(item.ty.required().0, Type::Text | Type::Dynamic),
            Type::Dynamic => true,
            Type::Optional(_) => return self.fail(e.id, "the list may be absent", "write .orValue([]) behind it"),
            other => {
                return self.fail(
                    e.id,
                    format!("in needs a list or a map, not {other}"),
                    "x in [ 'a', 'b' ]; whether a text is part of another: text.contains(x)",
                );
            }
        };
        if !fits {
            let hint = match &list.ty {
                Type::List(of) if !matches!(**of, Type::Record(..) | Type::Object(_)) => mixed(&item.ty, of),
                Type::List(_) => "ask for a field of the items: list.exists(y, y.FIELD == x)",
                _ => "the keys of a map are texts",
            };
            return self.fail(e.id, format!("a {} is never in a {}", item.ty, list.ty), hint);
        }
        Some(Typed::new(Node::In(Box::new(item.node), Box::new(list.node)), Type::Bool))
    }

    fn index(&mut self, e: &'a IdedExpr, of: &'a IdedExpr, index: &'a IdedExpr, optional: bool) -> Option<Typed> {
        let (of, at) = (self.expression(of), self.expression(index));
        let (of, at) = (of?, at?);
        let (inner, absent) = of.ty.required();
        if absent && !of.chained && !optional {
            return self.fail(e.id, "this may be absent", "write [?...] or ask has(...) first");
        }
        let ty = match (inner, &at.ty) {
            (Type::List(item), Type::Int | Type::Dynamic) => (**item).clone(),
            (Type::Map(value), Type::Text | Type::Dynamic) => (**value).clone(),
            (Type::Dynamic, Type::Int | Type::Text | Type::Dynamic) => Type::Dynamic,
            (inner, at) => {
                return self.fail(e.id, format!("a {inner} has no [{at}]"), "a list takes an int, a map a text, a record .name");
            }
        };
        let optional = optional || absent;
        let ty = if optional { ty.optional() } else { ty };
        let node = Node::Index { of: Box::new(of.node), index: Box::new(at.node), optional };
        Some(Typed::chained(node, ty, optional))
    }

    fn function(&mut self, e: &'a IdedExpr, name: &str, call: &'a CallExpr) -> Option<Typed> {
        if let ("duration", None, [text]) = (name, &call.target, &call.args[..])
            && let Some(text) = text_of(text)
        {
            return self.duration(e, text);
        }
        let target = match &call.target {
            None => None,
            Some(target) => match self.expression(target) {
                Some(target) => Some(target),
                None => {
                    // What is wrong with the arguments is told all the same.
                    call.args.iter().for_each(|arg| drop(self.expression(arg)));
                    return None;
                }
            },
        };
        match (name, target, &call.args[..]) {
            ("orValue", Some(target), [otherwise]) => self.or_value(e, target, otherwise),
            ("hasValue", Some(target), []) => Some(Typed::new(Node::Present(Box::new(target.node)), Type::Bool)),
            ("matches", Some(target), [regex]) => self.matches(e, target, regex),
            (name, _, args) if !FUNCTIONS.contains(&name) => self.no_function(e, name, args),
            (name, target, args) => {
                let args: Vec<Option<Typed>> = args.iter().map(|arg| self.expression(arg)).collect();
                let args: Option<Vec<Typed>> = args.into_iter().collect();
                let mut args: Vec<Typed> = target.into_iter().chain(args?).collect();
                self.settle(e, &mut args)?;
                if args.iter().any(|arg| matches!(arg.ty, Type::Optional(_) | Type::Null)) {
                    return self.fail(
                        e.id,
                        format!("what {name}() gets may be absent"),
                        "write .orValue(...) behind it, or ask has(...) first",
                    );
                }
                self.known_function(e, name, args)
            }
        }
    }

    fn or_value(&mut self, e: &IdedExpr, target: Typed, otherwise: &'a IdedExpr) -> Option<Typed> {
        let otherwise = self.expression(otherwise)?;
        let mut sides = [target, otherwise];
        self.settle(e, &mut sides)?;
        let [target, otherwise] = sides;
        let (inner, _) = target.ty.required();
        let Some(ty) = inner.join(&otherwise.ty) else {
            return self.fail(
                e.id,
                format!("orValue gives {}, and what it stands for is {inner}", otherwise.ty),
                "give a value of the same type",
            );
        };
        // An int that may be absent must stay absent while it is widened.
        let first = match (inner, &ty) {
            (Type::Int, Type::Decimal(_)) => Node::Widen(Box::new(target.node)),
            _ => target.node,
        };
        let second = fit(otherwise.node, &otherwise.ty, &ty);
        Some(Typed::new(Node::OrValue(Box::new(first), Box::new(second)), ty))
    }

    /// A regular expression is compiled once, with the definition: one that is data could be of any size.
    fn matches(&mut self, e: &IdedExpr, text: Typed, regex: &IdedExpr) -> Option<Typed> {
        let hint = "write it in quotes, for example x.matches('^[A-Z]{2}-[0-9]+$')";
        let Some(written) = text_of(regex) else {
            return self.fail(e.id, "a regular expression is written in the definition, not computed", hint);
        };
        if text.ty.required().1 {
            return self.fail(e.id, "what matches() gets may be absent", "write .orValue(...) behind it, or ask has(...) first");
        }
        if !matches!(text.ty, Type::Text | Type::Dynamic) {
            return self.fail(e.id, format!("matches() looks at a string, not {}", text.ty), "write string(x).matches('...')");
        }
        match self.names.derived.borrow().regexes.get(written) {
            Ok(finder) => Some(Typed::new(Node::Matches(Box::new((text.node, finder))), Type::Bool)),
            Err(why) => self.fail(e.id, why, hint),
        }
    }

    fn duration(&mut self, e: &IdedExpr, text: &str) -> Option<Typed> {
        match parse_duration(text, Unit::Micros) {
            Ok(micros) => Some(Typed::new(Node::Const(Const::Duration(micros)), Type::Duration)),
            Err(why) => self.fail(e.id, why, "write for example duration('14d')"),
        }
    }
}

/// What to do where two types do not meet.
fn mixed(a: &Type, b: &Type) -> &'static str {
    match (a.required().0, b.required().0) {
        (Type::Decimal(_), Type::Double) | (Type::Double, Type::Decimal(_)) => {
            "money is never a double: write decimal('...') or decimal(x)"
        }
        (Type::Text, other) | (other, Type::Text) if other.is_number() => {
            "a text is made of a number by string(x), a number of a text by int(x) or decimal(x)"
        }
        (Type::Timestamp, Type::Text) | (Type::Text, Type::Timestamp) => "write timestamp('...')",
        (Type::Timestamp, Type::Duration) | (Type::Duration, Type::Timestamp) => {
            "a duration lies between two instants: now - x > duration('1h')"
        }
        (Type::Timestamp | Type::Duration, other) | (other, Type::Timestamp | Type::Duration) if other.is_number() => {
            "a length of time is written duration('1h'), an instant timestamp('...')"
        }
        (Type::Bool, Type::Text) | (Type::Text, Type::Bool) => "true and false are written without quotes",
        (Type::Bool, _) | (_, Type::Bool) => "compare first, then join what is true by && or ||",
        (Type::List(_), _) | (_, Type::List(_)) => "of a list take one item, x[0], or count it, size(x)",
        (Type::Record(..) | Type::Object(_) | Type::Map(_), _) | (_, Type::Record(..) | Type::Object(_) | Type::Map(_)) => {
            "name one of its fields"
        }
        _ => "both need one type: name another field, or make one of them what the other is",
    }
}
