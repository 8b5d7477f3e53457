//! Functions: which types they take and give.

use cel::common::ast::{Expr, IdedExpr};

use super::lower::{Lowerer, Typed, fit};
use super::number;
use super::time;
use super::tree::{Const, Function, Node, Part};
use super::types::Type;
use crate::definition::compile::did_you_mean;

/// All functions, for hints; docs/SAGAS.md names each.
pub(super) const FUNCTIONS: [&str; 42] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "decimal",
    "string",
    "int",
    "double",
    "timestamp",
    "duration",
    "round",
    "div",
    "sum",
    "min",
    "max",
    "bucket",
    "lowerAscii",
    "upperAscii",
    "trim",
    "replace",
    "substring",
    "split",
    "join",
    "indexOf",
    "lastIndexOf",
    "charAt",
    "reverse",
    "matches",
    "bytes",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "orValue",
    "hasValue",
    "has",
];

/// What others call a function of this language, or how this language says it.
const ELSEWHERE: [(&[&str], &str); 10] = [
    (&["len", "length", "count", "size_of"], "size(x)"),
    (&["equals", "eq"], "equality is written =="),
    (&["str", "toString", "to_string", "text"], "string(x)"),
    (&["toInt", "parseInt", "integer", "to_int", "number", "floor"], "int(x)"),
    (&["lower", "toLowerCase", "to_lower", "lowercase"], "x.lowerAscii()"),
    (&["upper", "toUpperCase", "to_upper", "uppercase"], "x.upperAscii()"),
    (&["concat", "append", "format"], "texts are joined by +"),
    (&["includes", "include", "has_item"], "x in list; of a text: text.contains(x)"),
    (&["isEmpty", "is_empty", "empty"], "size(x) == 0"),
    (&["any", "some", "find"], "list.exists(x, x.FIELD > 1)"),
];

/// Those that go over the items of a list, which the parser knows: what is called nearly so reaches the functions.
const LOOPS: [&str; 5] = ["exists", "exists_one", "all", "map", "filter"];

/// What somebody probably means who calls a function that is none.
fn called_elsewhere(name: &str) -> String {
    let found = ELSEWHERE.iter().find(|(others, _)| others.contains(&name));
    found.map_or_else(|| did_you_mean(name, FUNCTIONS.into_iter().chain(LOOPS)), |(_, here)| (*here).to_owned())
}

impl<'a> Lowerer<'a, '_, '_> {
    /// What is called as a function and is none. What is wrong with its arguments is told too, unless they are those of a loop.
    pub(super) fn no_function(&mut self, e: &'a IdedExpr, name: &str, args: &'a [IdedExpr]) -> Option<Typed> {
        let is_loop = args.len() > 1 && matches!(&args[0].expr, Expr::Ident(_));
        if !is_loop {
            args.iter().for_each(|arg| drop(self.expression(arg)));
        }
        self.fail(e.id, format!("there is no function '{name}'"), called_elsewhere(name))
    }

    /// A function by its name and the types of its arguments, which are all there.
    pub(super) fn known_function(&mut self, e: &'a IdedExpr, name: &str, args: Vec<Typed>) -> Option<Typed> {
        let types: Vec<&Type> = args.iter().map(|arg| &arg.ty).collect();
        let text = |ty: &Type| matches!(ty, Type::Text | Type::Dynamic);
        let int = |ty: &Type| matches!(ty, Type::Int | Type::Dynamic);
        let (function, ty) = match (name, &types[..]) {
            ("size", [Type::Text | Type::Bytes | Type::List(_) | Type::Map(_) | Type::Dynamic]) => (Function::Size, Type::Int),
            ("contains", [a, b]) if text(a) && text(b) => (Function::Contains, Type::Bool),
            ("startsWith", [a, b]) if text(a) && text(b) => (Function::StartsWith, Type::Bool),
            ("endsWith", [a, b]) if text(a) && text(b) => (Function::EndsWith, Type::Bool),
            ("decimal", [ty @ (Type::Text | Type::Int | Type::Double | Type::Decimal(_) | Type::Dynamic)]) => {
                (Function::ToDecimal, Type::Decimal(digits(&args[0].node, ty)))
            }
            ("string", [ty]) if !matches!(ty, Type::List(_) | Type::Map(_) | Type::Record(..) | Type::Object(_)) => {
                (Function::ToText, Type::Text)
            }
            ("int", [Type::Text | Type::Int | Type::Double | Type::Decimal(_) | Type::Timestamp | Type::Dynamic]) => {
                (Function::ToInt, Type::Int)
            }
            ("double", [Type::Text | Type::Int | Type::Double | Type::Dynamic]) => (Function::ToDouble, Type::Double),
            ("timestamp", [Type::Text | Type::Timestamp | Type::Dynamic]) => return self.timestamp(e, args),
            ("round", [a, b]) if a.is_number() && !matches!(a, Type::Double) && int(b) => {
                (Function::Round, Type::Decimal(places(&args[1].node)))
            }
            ("div", [a, b, c]) if [a, b].iter().all(|x| x.is_number() && !matches!(x, Type::Double)) && int(c) => {
                (Function::Div, Type::Decimal(places(&args[2].node)))
            }
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
            ("join", [Type::Dynamic]) => (Function::Join, Type::Text),
            ("join", [Type::Dynamic, b]) if text(b) => (Function::Join, Type::Text),
            ("join", [Type::List(item)]) if text(item) => (Function::Join, Type::Text),
            ("join", [Type::List(item), b]) if text(item) && text(b) => (Function::Join, Type::Text),
            ("indexOf", [a, b]) if text(a) && text(b) => (Function::IndexOf, Type::Int),
            ("lastIndexOf", [a, b]) if text(a) && text(b) => (Function::LastIndexOf, Type::Int),
            ("charAt", [a, b]) if text(a) && int(b) => (Function::CharAt, Type::Text),
            ("reverse", [a]) if text(a) => (Function::Reverse, Type::Text),
            ("bytes", [Type::Text | Type::Bytes | Type::Dynamic]) => (Function::ToBytes, Type::Bytes),
            ("duration", [Type::Text | Type::Duration | Type::Dynamic]) => (Function::ToDuration, Type::Duration),
            (name, [Type::Timestamp | Type::Dynamic, ..]) if part(name).is_some() && types.len() <= 2 => {
                return self.date_part(e, name, args);
            }
            (name, _) if FUNCTIONS.contains(&name) => {
                let got: Vec<String> = types.iter().map(ToString::to_string).collect();
                return self.fail(e.id, format!("{name}() does not take ({})", got.join(", ")), form(name));
            }
            (name, _) => return self.no_function(e, name, &[]),
        };
        if matches!(function, Function::Sum) && matches!(ty, Type::Never) {
            return self.fail(e.id, "the sum of nothing has no type", "name a list of numbers");
        }
        Some(Typed::new(Node::Call(function, args.into_iter().map(|arg| arg.node).collect()), ty))
    }

    fn timestamp(&mut self, e: &IdedExpr, args: Vec<Typed>) -> Option<Typed> {
        let [arg] = <[Typed; 1]>::try_from(args).ok()?;
        if let Node::Const(Const::Text(text)) = &arg.node {
            return match time::parse(text) {
                Some(micros) => Some(Typed::new(Node::Const(Const::Timestamp(micros)), Type::Timestamp)),
                None => {
                    self.fail(e.id, format!("'{text}' is not a timestamp"), "write for example timestamp('2030-01-31T12:00:00Z')")
                }
            };
        }
        Some(Typed::new(Node::Call(Function::ToTimestamp, vec![arg.node]), Type::Timestamp))
    }

    /// `min(list)` or `min(a, b, ...)`.
    fn extreme(&mut self, e: &IdedExpr, name: &str, args: Vec<Typed>) -> Option<Typed> {
        let function = if name == "min" { Function::Min } else { Function::Max };
        let orders = |ty: &Type| ty.is_number() || matches!(ty, Type::Text | Type::Timestamp | Type::Date | Type::Duration);
        let of_list = match &args[..] {
            [Typed { ty: Type::List(item), .. }] if orders(item) => Some((**item).clone()),
            // Whether it is a list shows when it is looked at.
            [Typed { ty: Type::Dynamic, .. }] => Some(Type::Dynamic),
            _ => None,
        };
        if let Some(ty) = of_list {
            return Some(Typed::new(Node::Call(function, args.into_iter().map(|arg| arg.node).collect()), ty));
        }
        let joined = args.iter().try_fold(Type::Never, |ty, arg| ty.join(&arg.ty));
        match joined {
            Some(ty) if args.len() > 1 && orders(&ty) => {
                let items = args.into_iter().map(|arg| fit(arg.node, &arg.ty, &ty)).collect();
                Some(Typed::new(Node::Call(function, vec![Node::List(items)]), ty))
            }
            _ => self.fail(e.id, format!("{name}() needs a list of numbers, or numbers"), form(name)),
        }
    }

    fn date_part(&mut self, e: &IdedExpr, name: &str, mut args: Vec<Typed>) -> Option<Typed> {
        let kind = part(name)?;
        let zone = match args.get(1).map(|arg| &arg.node) {
            None => Node::Const(Const::Int(0)),
            Some(Node::Const(Const::Text(text))) => match time::offset_seconds(text) {
                Some(seconds) => Node::Const(Const::Int(seconds)),
                None => {
                    return self.fail(
                        e.id,
                        format!("'{text}' is not a zone here"),
                        "UTC and fixed offsets are known, for example '+02:00'",
                    );
                }
            },
            Some(_) => return self.fail(e.id, "the zone must be a literal", "for example '+02:00'"),
        };
        args.truncate(1);
        let nodes = args.into_iter().map(|arg| arg.node).chain([zone]).collect();
        Some(Typed::new(Node::Call(Function::Part(kind), nodes), Type::Int))
    }
}

/// How a function is written, of [`FUNCTIONS`].
pub(super) fn form(name: &str) -> &'static str {
    match name {
        "size" => "size(x) counts the letters of a string, the bytes of bytes, the items of a list, the entries of a map",
        "contains" => "string.contains(string); for lists, item in list",
        "startsWith" => "string.startsWith(string)",
        "endsWith" => "string.endsWith(string)",
        "decimal" => "decimal(x), of a string, an int, a double or a decimal",
        "string" => "string(x), of one value: a list is joined by list.join(', ')",
        "int" => "int(x), of a string, an int, a double, a decimal or a timestamp",
        "double" => "double(x), of a string, an int or a double",
        "timestamp" => "timestamp('2030-01-31T12:00:00Z'), or of a field that holds such a text",
        "duration" => "duration('14d'), or duration(string)",
        "round" => "round(x, n): x is a decimal or an int, n the digits behind the point",
        "div" => "div(a, b, n): a and b are decimals or ints, n the digits behind the point",
        "sum" => "sum(list), of a list of numbers: sum(start.lines.map(l, l.price))",
        "min" | "max" => "min(list) or min(a, b), max(list) or max(a, b), of what has an order",
        "bucket" => "bucket(string, n) gives the same number from 0 to n - 1 for the same text",
        "lowerAscii" => "string.lowerAscii()",
        "upperAscii" => "string.upperAscii()",
        "trim" => "string.trim()",
        "replace" => "string.replace(old, new)",
        "substring" => "string.substring(from) or string.substring(from, to), from 0",
        "split" => "string.split(separator)",
        "join" => "list.join(separator), of a list of strings",
        "indexOf" => "string.indexOf(string), -1 where it is not in it",
        "lastIndexOf" => "string.lastIndexOf(string), -1 where it is not in it",
        "charAt" => "string.charAt(int), from 0",
        "reverse" => "string.reverse()",
        "matches" => "string.matches('^[A-Z]{2}-'): the regular expression is written here",
        "bytes" => "bytes(string)",
        "orValue" => "x.orValue(y), where x may be absent",
        "hasValue" => "x.hasValue(), where x may be absent",
        "has" => "has(start.FIELD), or has(steps.NAME)",
        _ => "timestamp.getHours(), or with a fixed offset timestamp.getHours('+02:00')",
    }
}

/// How many digits behind the point a decimal made of this has, if that is known.
fn digits(node: &Node, ty: &Type) -> Option<u32> {
    match (ty, node) {
        (Type::Int, _) => Some(0),
        (Type::Decimal(digits), _) => *digits,
        (_, Node::Const(Const::Text(text))) => number::parse(text).map(|value| value.scale()),
        _ => None,
    }
}

/// How many digits it is rounded to, if that is written.
fn places(node: &Node) -> Option<u32> {
    match node {
        Node::Const(Const::Int(places)) => u32::try_from((*places).max(0)).ok().filter(|places| *places <= number::DIGITS_MAX),
        _ => None,
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
