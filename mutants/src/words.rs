//! What could stand for what: operators, methods, returned values.

use syn::parse::{Parse, ParseStream};
use syn::{BinOp, Expr, GenericArgument, Pat, PathArguments, ReturnType, Token, Type};

/// Macros whose arguments are for a reader, or hold whenever the code is right.
pub(crate) const TEXTS: [&str; 25] = [
    "anyhow",
    "assert",
    "assert_eq",
    "assert_ne",
    "bail",
    "concat",
    "debug",
    "debug_assert",
    "debug_assert_eq",
    "ensure",
    "eprint",
    "eprintln",
    "error",
    "format",
    "format_args",
    "info",
    "panic",
    "print",
    "println",
    "trace",
    "unreachable",
    "warn",
    "write",
    "writeln",
    "include_str",
];

/// Methods that are taken for each other; both ways.
const METHODS: [(&str, &str); 14] = [
    ("min", "max"),
    ("saturating_add", "wrapping_add"),
    ("saturating_sub", "wrapping_sub"),
    ("saturating_mul", "wrapping_mul"),
    ("any", "all"),
    ("first", "last"),
    ("first_key_value", "last_key_value"),
    ("pop_first", "pop_last"),
    ("pop_front", "pop_back"),
    ("push_front", "push_back"),
    ("starts_with", "ends_with"),
    ("is_some_and", "is_none_or"),
    ("min_by_key", "max_by_key"),
    ("div_euclid", "rem_euclid"),
];

/// The method that this one is taken for.
pub(crate) fn other_method(name: &str) -> Option<&'static str> {
    METHODS.iter().find_map(|&(one, other)| match name {
        name if name == one => Some(other),
        name if name == other => Some(one),
        _ => None,
    })
}

/// The operator beside this one: off by one, or another operation.
pub(crate) fn neighbour(operator: &BinOp) -> Option<&'static str> {
    Some(match operator {
        BinOp::Lt(_) => "<=",
        BinOp::Le(_) => "<",
        BinOp::Gt(_) => ">=",
        BinOp::Ge(_) => ">",
        BinOp::Add(_) => "-",
        BinOp::Sub(_) => "+",
        BinOp::Mul(_) => "/",
        BinOp::Div(_) | BinOp::Rem(_) => "*",
        BinOp::BitAnd(_) => "|",
        BinOp::BitOr(_) | BinOp::BitXor(_) => "&",
        BinOp::Shl(_) => ">>",
        BinOp::Shr(_) => "<<",
        BinOp::AddAssign(_) => "-=",
        BinOp::SubAssign(_) => "+=",
        BinOp::MulAssign(_) => "/=",
        BinOp::DivAssign(_) | BinOp::RemAssign(_) => "*=",
        BinOp::BitAndAssign(_) => "|=",
        BinOp::BitOrAssign(_) | BinOp::BitXorAssign(_) => "&=",
        BinOp::ShlAssign(_) => ">>=",
        BinOp::ShrAssign(_) => "<<=",
        _ => return None,
    })
}

/// The comparison that is true where this one is not.
pub(crate) fn opposite(expression: &Expr) -> Option<&'static str> {
    let Expr::Binary(binary) = expression else { return None };
    Some(match binary.op {
        BinOp::Lt(_) => ">=",
        BinOp::Le(_) => ">",
        BinOp::Gt(_) => "<=",
        BinOp::Ge(_) => "<",
        BinOp::Eq(_) => "!=",
        BinOp::Ne(_) => "==",
        _ => return None,
    })
}

/// Values that a function of this type could return at once.
pub(crate) fn returned(output: &ReturnType) -> Vec<String> {
    match output {
        ReturnType::Default => vec!["()".to_owned()],
        ReturnType::Type(_, kind) => values(kind),
    }
}

fn values(kind: &Type) -> Vec<String> {
    let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    match kind {
        Type::Tuple(tuple) if tuple.elems.is_empty() => of(&["()"]),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            match last.ident.to_string().as_str() {
                "bool" => of(&["true", "false"]),
                "Option" => of(&["None"]),
                "usize" | "u64" | "i64" | "u32" | "i32" | "u16" | "u8" | "Millis" => of(&["0"]),
                "Vec" => of(&["Vec::new()"]),
                "Result" => match first_argument(&last.arguments) {
                    Some(kind) => values(kind).into_iter().map(|value| format!("Ok({value})")).collect(),
                    None => Vec::new(),
                },
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn first_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(list) = arguments else { return None };
    list.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(kind) => Some(kind),
        _ => None,
    })
}

/// A name, a field, or a reference to one: what is easily written in another's place.
pub(crate) fn is_simple(expression: &Expr) -> bool {
    match expression {
        Expr::Path(_) => true,
        Expr::Field(field) => is_simple(&field.base),
        Expr::Reference(reference) => is_simple(&reference.expr),
        _ => false,
    }
}

/// The last name of a path.
pub(crate) fn last_name(expression: &Expr) -> Option<String> {
    let Expr::Path(path) = expression else { return None };
    path.path.segments.last().map(|segment| segment.ident.to_string())
}

/// What `matches!` is given.
pub(crate) struct Matches {
    pub(crate) value: Expr,
    pub(crate) guard: Option<Expr>,
}

impl Parse for Matches {
    fn parse(input: ParseStream<'_>) -> syn::Result<Matches> {
        let value = input.parse()?;
        input.parse::<Token![,]>()?;
        Pat::parse_multi_with_leading_vert(input)?;
        let guard = if input.peek(Token![if]) {
            input.parse::<Token![if]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        input.parse::<Option<Token![,]>>()?;
        Ok(Matches { value, guard })
    }
}
