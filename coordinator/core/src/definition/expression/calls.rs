//! Operators and functions: which types they take and give.

use cel::common::ast::{CallExpr, IdedExpr, operators as op};

use super::lower::{Lowerer, Typed, fit};
use super::scope::{facts, text_of};
use super::tree::{Arithmetic, Const, Function, Node, Order, Part};
use super::types::Type;
use super::time;
use crate::definition::compile::{Unit, did_you_mean, parse_duration};

/// All functions, for hints.
const FUNCTIONS: [&str; 37] = [
    "size", "contains", "startsWith", "endsWith", "decimal", "string", "int", "double", "timestamp", "duration", "round", "div", "sum",
    "min", "max", "bucket", "lowerAscii", "upperAscii", "trim", "replace", "substring", "split", "join", "indexOf", "getFullYear",
    "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
    "orValue", "hasValue", "has",
];

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
                None => self.fail(e.id, "a field's name is needed behind .?", ""),
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
            return self.fail(e.id, format!("both sides must be of one type: {} and {}", then.ty, otherwise.ty), "");
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
            (Divide, Type::Decimal, y) if y.is_number() => {
                return self.fail(e.id, "a quotient of decimals is rarely exact", "say how many digits: div(a, b, 2)");
            }
            (Divide, x, Type::Decimal) if x.is_number() => {
                return self.fail(e.id, "a quotient of decimals is rarely exact", "say how many digits: div(a, b, 2)");
            }
            (Remainder, Type::Int, Type::Int) => Type::Int,
            (Remainder, ..) => return self.fail(e.id, format!("% needs two ints, not {} and {}", a.ty, b.ty), ""),
            (_, x, y) if x.is_number() && y.is_number() => match x.join(y) {
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
            (Node::Const(Const::Int(x)), ty) => Typed::new(Node::Const(Const::Int(x.checked_neg()?)), ty),
            (Node::Const(Const::Double(x)), ty) => Typed { exact, ..Typed::new(Node::Const(Const::Double(-x)), ty) },
            (node, ty) if ty.is_number() || matches!(ty, Type::Duration) => Typed::new(Node::Negate(Box::new(node)), ty),
            (_, ty) => return self.fail(e.id, format!("- needs a number, not {ty}"), ""),
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
            other => return self.fail(e.id, format!("in needs a list or a map, not {other}"), ""),
        };
        if !fits {
            return self.fail(e.id, format!("a {} is never in a {}", item.ty, list.ty), "");
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
            (inner, at) => return self.fail(e.id, format!("a {inner} has no [{at}]"), "a list takes an int, a map a text, a record .name"),
        };
        let optional = optional || absent;
        let ty = if optional { ty.optional() } else { ty };
        let node = Node::Index { of: Box::new(of.node), index: Box::new(at.node), optional };
        Some(Typed::chained(node, ty, optional))
    }

    fn function(&mut self, e: &'a IdedExpr, name: &str, call: &'a CallExpr) -> Option<Typed> {
        if name == "duration" {
            return self.duration(e, call);
        }
        let target = match &call.target {
            None => None,
            Some(target) => Some(self.expression(target)?),
        };
        match (name, target, &call.args[..]) {
            ("orValue", Some(target), [otherwise]) => self.or_value(e, target, otherwise),
            ("hasValue", Some(target), []) => Some(Typed::new(Node::Present(Box::new(target.node)), Type::Bool)),
            ("matches", ..) => self.fail(e.id, "there are no regular expressions", "there are startsWith, endsWith, contains"),
            (name, target, args) => {
                let args: Option<Vec<Typed>> = args.iter().map(|arg| self.expression(arg)).collect();
                let mut args: Vec<Typed> = target.into_iter().chain(args?).collect();
                self.settle(e, &mut args)?;
                if args.iter().any(|arg| matches!(arg.ty, Type::Optional(_) | Type::Null)) {
                    return self.fail(e.id, format!("what {name}() gets may be absent"), "write .orValue(...) behind it, or ask has(...) first");
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
            return self.fail(e.id, format!("orValue gives {}, and what it stands for is {inner}", otherwise.ty), "");
        };
        // An int that may be absent must stay absent while it is widened.
        let first = match (inner, &ty) {
            (Type::Int, Type::Decimal) => Node::Widen(Box::new(target.node)),
            _ => target.node,
        };
        let second = fit(otherwise.node, &otherwise.ty, &ty);
        Some(Typed::new(Node::OrValue(Box::new(first), Box::new(second)), ty))
    }

    fn duration(&mut self, e: &IdedExpr, call: &CallExpr) -> Option<Typed> {
        let text = match (&call.target, &call.args[..]) {
            (None, [text]) => text_of(text),
            _ => None,
        };
        match text.map(|text| parse_duration(text, Unit::Micros)) {
            Some(Ok(micros)) => Some(Typed::new(Node::Const(Const::Duration(micros)), Type::Duration)),
            Some(Err(why)) => self.fail(e.id, why, "write for example duration('14d')"),
            None => self.fail(e.id, "duration() needs a literal", "write for example duration('14d')"),
        }
    }

    fn known_function(&mut self, e: &'a IdedExpr, name: &str, args: Vec<Typed>) -> Option<Typed> {
        let types: Vec<&Type> = args.iter().map(|arg| &arg.ty).collect();
        let text = |ty: &Type| matches!(ty, Type::Text | Type::Dynamic);
        let int = |ty: &Type| matches!(ty, Type::Int | Type::Dynamic);
        let (function, ty) = match (name, &types[..]) {
            ("size", [Type::Text | Type::Bytes | Type::List(_) | Type::Map(_) | Type::Dynamic]) => (Function::Size, Type::Int),
            ("contains", [a, b]) if text(a) && text(b) => (Function::Contains, Type::Bool),
            ("startsWith", [a, b]) if text(a) && text(b) => (Function::StartsWith, Type::Bool),
            ("endsWith", [a, b]) if text(a) && text(b) => (Function::EndsWith, Type::Bool),
            ("decimal", [Type::Text | Type::Int | Type::Double | Type::Decimal | Type::Dynamic]) => (Function::ToDecimal, Type::Decimal),
            ("string", [ty]) if !matches!(ty, Type::List(_) | Type::Map(_) | Type::Record(..) | Type::Object(_)) => {
                (Function::ToText, Type::Text)
            }
            ("int", [Type::Text | Type::Int | Type::Double | Type::Decimal | Type::Timestamp | Type::Dynamic]) => (Function::ToInt, Type::Int),
            ("double", [Type::Text | Type::Int | Type::Double | Type::Dynamic]) => (Function::ToDouble, Type::Double),
            ("timestamp", [Type::Text | Type::Timestamp | Type::Dynamic]) => return self.timestamp(e, args),
            ("round", [a, b]) if a.is_number() && !matches!(a, Type::Double) && int(b) => (Function::Round, Type::Decimal),
            ("div", [a, b, c]) if [a, b].iter().all(|x| x.is_number() && !matches!(x, Type::Double)) && int(c) => (Function::Div, Type::Decimal),
            ("sum", [Type::List(item)]) if item.is_number() => (Function::Sum, (**item).clone()),
            ("sum", [Type::Dynamic]) => (Function::Sum, Type::Dynamic),
            ("min" | "max", _) => return self.extreme(e, name, args),
            ("bucket", [a, b]) if text(a) && int(b) => (Function::Bucket, Type::Int),
            ("lowerAscii", [a]) if text(a) => (Function::LowerAscii, Type::Text),
            ("upperAscii", [a]) if text(a) => (Function::UpperAscii, Type::Text),
            ("trim", [a]) if text(a) => (Function::Trim, Type::Text),
            ("replace", [a, b, c]) if text(a) && text(b) && text(c) => (Function::Replace, Type::Text),
            ("substring", [a, b]) if text(a) && int(b) => (Function::Substring, Type::Text),
            ("substring", [a, b, c]) if text(a) && int(b) && int(c) => (Function::Substring, Type::Text),
            ("split", [a, b]) if text(a) && text(b) => (Function::Split, Type::List(Box::new(Type::Text))),
            ("join", [Type::List(item)]) if text(item) => (Function::Join, Type::Text),
            ("join", [Type::List(item), b]) if text(item) && text(b) => (Function::Join, Type::Text),
            ("indexOf", [a, b]) if text(a) && text(b) => (Function::IndexOf, Type::Int),
            (name, [Type::Timestamp | Type::Dynamic, ..]) if part(name).is_some() && types.len() <= 2 => {
                return self.date_part(e, name, args);
            }
            (name, _) if FUNCTIONS.contains(&name) => {
                let got: Vec<String> = types.iter().map(ToString::to_string).collect();
                return self.fail(e.id, format!("{name}() does not take ({})", got.join(", ")), "");
            }
            (name, _) => return self.fail(e.id, format!("there is no function '{name}'"), did_you_mean(name, FUNCTIONS)),
        };
        if matches!(function, Function::Sum) && matches!(ty, Type::Never) {
            return self.fail(e.id, "the sum of nothing has no type", "");
        }
        Some(Typed::new(Node::Call(function, args.into_iter().map(|arg| arg.node).collect()), ty))
    }

    fn timestamp(&mut self, e: &IdedExpr, args: Vec<Typed>) -> Option<Typed> {
        let [arg] = <[Typed; 1]>::try_from(args).ok()?;
        if let Node::Const(Const::Text(text)) = &arg.node {
            return match time::parse(text) {
                Some(micros) => Some(Typed::new(Node::Const(Const::Timestamp(micros)), Type::Timestamp)),
                None => self.fail(e.id, format!("'{text}' is not a timestamp"), "write for example timestamp('2030-01-31T12:00:00Z')"),
            };
        }
        Some(Typed::new(Node::Call(Function::ToTimestamp, vec![arg.node]), Type::Timestamp))
    }

    /// `min(list)` or `min(a, b, ...)`.
    fn extreme(&mut self, e: &IdedExpr, name: &str, args: Vec<Typed>) -> Option<Typed> {
        let function = if name == "min" { Function::Min } else { Function::Max };
        let orders = |ty: &Type| ty.is_number() || matches!(ty, Type::Text | Type::Timestamp | Type::Date | Type::Duration);
        if let [Typed { ty: Type::List(item), .. }] = &args[..]
            && orders(item)
        {
            let ty = (**item).clone();
            return Some(Typed::new(Node::Call(function, args.into_iter().map(|arg| arg.node).collect()), ty));
        }
        let joined = args.iter().try_fold(Type::Never, |ty, arg| ty.join(&arg.ty));
        match joined {
            Some(ty) if args.len() > 1 && orders(&ty) => {
                let items = args.into_iter().map(|arg| fit(arg.node, &arg.ty, &ty)).collect();
                Some(Typed::new(Node::Call(function, vec![Node::List(items)]), ty))
            }
            _ => self.fail(e.id, format!("{name}() needs a list of numbers, or numbers"), ""),
        }
    }

    fn date_part(&mut self, e: &IdedExpr, name: &str, mut args: Vec<Typed>) -> Option<Typed> {
        let kind = part(name)?;
        let zone = match args.get(1).map(|arg| &arg.node) {
            None => Node::Const(Const::Int(0)),
            Some(Node::Const(Const::Text(text))) => match time::offset_seconds(text) {
                Some(seconds) => Node::Const(Const::Int(seconds)),
                None => return self.fail(e.id, format!("'{text}' is not a zone here"), "UTC and fixed offsets are known, for example '+02:00'"),
            },
            Some(_) => return self.fail(e.id, "the zone must be a literal", "for example '+02:00'"),
        };
        args.truncate(1);
        let nodes = args.into_iter().map(|arg| arg.node).chain([zone]).collect();
        Some(Typed::new(Node::Call(Function::Part(kind), nodes), Type::Int))
    }
}

fn part(name: &str) -> Option<Part> {
    Some(match name {
        "getFullYear" => Part::FullYear,
        "getMonth" => Part::Month,
        "getDate" => Part::Date,
        "getDayOfMonth" => Part::DayOfMonth,
        "getDayOfWeek" => Part::DayOfWeek,
        "getDayOfYear" => Part::DayOfYear,
        "getHours" => Part::Hours,
        "getMinutes" => Part::Minutes,
        "getSeconds" => Part::Seconds,
        "getMilliseconds" => Part::Milliseconds,
        _ => return None,
    })
}

/// What to do where two types do not meet.
fn mixed(a: &Type, b: &Type) -> &'static str {
    match (a, b) {
        (Type::Decimal, Type::Double) | (Type::Double, Type::Decimal) => "money is never a double: write decimal('...') or decimal(x)",
        (Type::Text, other) | (other, Type::Text) if other.is_number() => "a text is made of a number by string(x), a number of a text by int(x) or decimal(x)",
        (Type::Timestamp, Type::Text) | (Type::Text, Type::Timestamp) => "write timestamp('...')",
        _ => "",
    }
}
