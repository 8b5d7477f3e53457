//! `run`: another saga as a step; and what such a saga begins with.

use std::ops::Range;

use super::super::fields::{Fields, Word, is_saga_name, is_type, split_by_comma, word};
use super::super::report::{Report, did_you_mean};
use super::{as_name, do_, name_of};
use crate::definition::expression::Form;
use crate::definition::expression::types::Type;
use crate::definition::yaml::{Kind, Node};

/// Digits that a decimal has behind its point where that is not said: money has two.
const DECIMAL_DIGITS: u32 = 2;
/// The most that can be said.
pub(in crate::definition::compile) const DECIMAL_DIGITS_MAX: u32 = 18;
/// Maps inside one another.
pub(in crate::definition::compile) const NESTED_MAX: usize = 8;

const TYPES: [&str; 12] = [
    "string",
    "int",
    "bool",
    "decimal",
    "double",
    "timestamp",
    "date",
    "bytes",
    "list(string)",
    "map(string)",
    "a record of the schemas",
    "fields below it",
];

pub(in crate::definition::compile) struct RunForm {
    pub(in crate::definition::compile) saga: Word,
    pub(in crate::definition::compile) with: Form,
}

impl RunForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> RunForm {
        let saga = fields.needed("run", "run: NAME, of a saga that has input in place of a start", report);
        let saga = saga.and_then(|node| word(node, "a saga's name", is_saga_name, "the name of the saga that is run", report));
        let with = do_::body(fields, report);
        RunForm { saga: saga.unwrap_or_else(|| Word::unreadable(fields.span)), with }
    }
}

/// What a saga without a start event begins with.
pub(in crate::definition::compile) struct InputForm {
    pub(in crate::definition::compile) span: Range<usize>,
    pub(in crate::definition::compile) kind: InputKind,
}

pub(in crate::definition::compile) enum InputKind {
    /// A record of the schemas, as a whole.
    Record(Word),
    /// These fields.
    Fields(Vec<FieldForm>),
    /// What cannot be read, which is told.
    Unreadable,
}

pub(in crate::definition::compile) struct FieldForm {
    pub(in crate::definition::compile) name: String,
    pub(in crate::definition::compile) ty: TypeForm,
}

/// A type as it is written.
pub(in crate::definition::compile) enum TypeForm {
    Plain(Type),
    /// A record, or an enum, of the schemas.
    Named(Word),
    List(Box<TypeForm>),
    Map(Box<TypeForm>),
    Optional(Box<TypeForm>),
    Fields(Vec<FieldForm>),
    /// What cannot be read, which is told.
    Unreadable,
}

impl InputForm {
    pub(super) fn read(node: &Node, report: &mut Report<'_>) -> InputForm {
        const FORM: &str = "fields and their types, or a record of the schemas";
        let kind = match &node.kind {
            Kind::Map(entries) => fields(entries, 0, report).map(InputKind::Fields),
            Kind::Scalar(text, _) if text.is_empty() => {
                report.error(&node.span, "'input' is empty", "input: { FIELD: TYPE, ... }, or {} for none");
                None
            }
            _ => word(node, "a record's name", is_type, FORM, report).map(InputKind::Record),
        };
        InputForm { span: node.span.clone(), kind: kind.unwrap_or(InputKind::Unreadable) }
    }
}

/// All that is wrong is told.
fn fields(entries: &[(Node, Node)], depth: usize, report: &mut Report<'_>) -> Option<Vec<FieldForm>> {
    if split_by_comma(entries, report) {
        return None;
    }
    let all: Vec<Option<FieldForm>> = entries.iter().map(|(key, value)| field(key, value, depth, report)).collect();
    all.into_iter().collect()
}

/// `None` where its name cannot even be the name of a field that expressions find.
fn field(key: &Node, value: &Node, depth: usize, report: &mut Report<'_>) -> Option<FieldForm> {
    let name = name_of(key, "a field's name", &[], report).map(|name| name.text);
    let name = name.or_else(|| {
        let given = key.scalar()?;
        let is_found = is_type(given) && !given.contains('.');
        Some(if is_found { given.to_owned() } else { as_name(given) }).filter(|name| is_type(name) && !name.contains('.'))
    });
    let ty = match &value.kind {
        Kind::Map(_) if depth == NESTED_MAX => {
            report.error(&value.span, format!("more than {NESTED_MAX} levels of fields"), "give it a record of the schemas");
            None
        }
        Kind::Map(entries) => fields(entries, depth + 1, report).map(TypeForm::Fields),
        Kind::Scalar(text, _) => match ty(text.trim(), &value.span) {
            Ok(ty) => Some(ty),
            Err((message, hint)) => {
                report.error(&value.span, message, hint);
                None
            }
        },
        Kind::List(_) => {
            report.error(&value.span, "a type is a word, not a list", "list(string) is a list of texts");
            None
        }
    };
    Some(FieldForm { name: name?, ty: ty.unwrap_or(TypeForm::Unreadable) })
}

/// What others call a type.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (&["str", "text", "uuid", "char", "varchar", "enum"], "string"),
    (&["integer", "long", "int32", "int64", "short", "bigint"], "int"),
    (&["boolean"], "bool"),
    (&["number", "numeric", "money", "float"], "decimal; a whole one is int, an inexact one double"),
    (&["datetime", "instant", "time", "date-time"], "timestamp"),
    (&["array", "set", "sequence"], "list(string)"),
    (&["object", "dict", "struct", "record"], "fields below it, or a record of the schemas"),
    (&["binary", "blob"], "bytes"),
];

/// What is probably meant by what is no type.
pub(in crate::definition::compile) fn meant(text: &str) -> String {
    let lower = text.to_lowercase();
    if let Some((_, here)) = ELSEWHERE.iter().find(|(others, _)| others.contains(&&*lower)) {
        return format!("here it is called {here}");
    }
    let or_null = lower.split('|').map(str::trim).collect::<Vec<_>>();
    match (&or_null[..], lower.strip_suffix("[]")) {
        ([one, "null"] | ["null", one], _) => format!("what may be absent is {one}?"),
        (_, Some(item)) => format!("a list is list({item})"),
        _ => did_you_mean(&lower, TYPES),
    }
}

/// The type that a name is but for its capitals.
pub(in crate::definition::compile) fn is_type_but_for_capitals(name: &str) -> bool {
    let lower = name.to_lowercase();
    TYPES.contains(&&*lower) || ELSEWHERE.iter().any(|(others, _)| others.contains(&&*lower))
}

/// A type's text; an error says what is wrong, and what to do.
fn ty(text: &str, span: &Range<usize>) -> Result<TypeForm, (String, String)> {
    if let Some(inner) = text.strip_suffix('?') {
        return Ok(TypeForm::Optional(Box::new(ty(inner.trim_end(), span)?)));
    }
    if let Some((of, inner)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        return match of.trim_end() {
            "list" => Ok(TypeForm::List(Box::new(ty(inner.trim(), span)?))),
            "map" => Ok(TypeForm::Map(Box::new(ty(inner.trim(), span)?))),
            "decimal" => match inner.trim().parse::<u32>() {
                Ok(digits) if digits <= DECIMAL_DIGITS_MAX => Ok(TypeForm::Plain(Type::Decimal(Some(digits)))),
                _ => Err((
                    format!("a decimal has 0 to {DECIMAL_DIGITS_MAX} digits behind its point, not '{}'", inner.trim()),
                    format!("decimal alone has {DECIMAL_DIGITS}"),
                )),
            },
            other => Err((format!("'{other}' holds nothing: list and map do"), format!("types are: {}", TYPES.join(", ")))),
        };
    }
    let plain = match text {
        "string" => Type::Text,
        "int" => Type::Int,
        "bool" => Type::Bool,
        "double" => Type::Double,
        "decimal" => Type::Decimal(Some(DECIMAL_DIGITS)),
        "timestamp" => Type::Timestamp,
        "date" => Type::Date,
        "bytes" => Type::Bytes,
        "any" => Type::Dynamic,
        "list" | "map" => return Err((format!("a {text} of what?"), format!("{text}(string)"))),
        "duration" => return Err(("a duration has no form in Avro".into(), "give it in seconds, as int".into())),
        named if is_type(named) && named.contains(|letter: char| letter.is_ascii_uppercase()) => {
            return Ok(TypeForm::Named(Word { text: named.to_owned(), span: span.clone() }));
        }
        other => return Err((format!("'{other}' is no type"), meant(other))),
    };
    Ok(TypeForm::Plain(plain))
}
