//! `match: FIELD == EXPRESSION`: by which value an event is known that is not known by a key.

use std::ops::Range;

use super::super::report::Report;
use crate::definition::expression::Parsed;
use crate::definition::yaml::{Kind, Node, Style};

const FORM: &str = "match: FIELD == EXPRESSION, the event's field first, for example match: parcel_id == steps.ship.parcel_id";

pub(in crate::definition::compile) struct MatchForm {
    /// The event's field; empty where it cannot be read, which is told.
    pub(in crate::definition::compile) field: String,
    /// The same as an expression.
    pub(in crate::definition::compile) own: Parsed,
    /// What the saga waits for.
    pub(in crate::definition::compile) value: Parsed,
    pub(in crate::definition::compile) span: Range<usize>,
}

impl MatchForm {
    pub(super) fn read(node: &Node, report: &mut Report<'_>) -> MatchForm {
        let unreadable = || Parsed::unreadable(node.span.clone(), "");
        let nothing = || MatchForm { field: String::new(), own: unreadable(), value: unreadable(), span: node.span.clone() };
        let Some(_) = node.scalar() else {
            report.error(&node.span, format!("a match is one expression, not {}", node.describe()), FORM);
            return nothing();
        };
        let (text, base) = node.expression(report.text());
        let (text, before) = (text.trim_start(), text.len() - text.trim_start().len());
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let field = &text[..text.find(|letter| !is_word(letter)).unwrap_or(text.len())];
        let rest = text[field.len()..].trim_start();
        let Some(value) = rest.strip_prefix("==").filter(|_| !field.is_empty()) else {
            let hint = match text.strip_prefix("event.") {
                Some(rest) => format!("the field stands alone: match: {}", rest.trim_end()),
                None => FORM.to_owned(),
            };
            report.error(&node.span, "this does not say which field of the event is which value", hint);
            return nothing();
        };
        let value = value.trim();
        let part = |from: usize, length: usize| base.map_or_else(|| node.span.clone(), |base| base + from..base + from + length);
        let own_span = part(before, field.len());
        // What is left of the text begins with it.
        let value_from = before + text.rfind(value).unwrap_or(0);
        let value_span = part(value_from, value.len());
        // A part of the file's own text is read as it stands there; what has escapes is read from the text that they make.
        let style = if base.is_some() { Style::Plain } else { Style::Quoted };
        let value = Node { kind: Kind::Scalar(value.to_owned(), style), span: value_span };
        let (field, span) = (field.to_owned(), node.span.clone());
        let mut value = Parsed::new(&value, report);
        if value.names("event") {
            let hint = "what the saga knows when it begins to wait, for example steps.ship.parcel_id";
            report.error(&value.span, "behind == stands the saga's value: no event has come yet", hint);
            value = Parsed::unreadable(value.span, "");
        }
        MatchForm { own: Parsed::of_field(&field, own_span), field, value, span }
    }
}
