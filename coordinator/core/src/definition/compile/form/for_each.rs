//! `for_each`: a list of nodes for each item of a list.

use super::super::fields::{Fields, Word};
use super::super::report::Report;
use super::name_of;
use super::node::{NodeForm, read_steps};
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::scope::RESERVED;
use crate::definition::expression::{Form, Parsed};
use crate::definition::yaml::Kind;

/// Items of one for_each at once: their numbers stand in its row.
pub(in crate::definition::compile) const AT_ONCE_MAX: u16 = 100;

pub(in crate::definition::compile) struct ForEachForm {
    pub(in crate::definition::compile) list: Parsed,
    /// The item's name in expressions; empty where it has none, which is told.
    pub(in crate::definition::compile) item: Word,
    pub(in crate::definition::compile) at_once: u16,
    pub(in crate::definition::compile) steps: Vec<NodeForm>,
    /// What each item gives.
    pub(in crate::definition::compile) result: Option<Form>,
}

impl ForEachForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<ForEachForm> {
        const FORM: &str = "for_each: a list, for example start.lines";
        let mut list = fields.needed("for_each", FORM, report).map(|node| match &node.kind {
            // A list of YAML is no expression, and what is meant is clear.
            Kind::List(_) => {
                report.error(&node.span, "the list of a for_each is an expression", "put it in quotes: for_each: \"['eu', 'us']\"");
                Parsed::unreadable(node.span.clone(), "")
            }
            _ if node.is_empty() => {
                report.error(&node.span, "the list is needed here", FORM);
                Parsed::unreadable(node.span.clone(), "")
            }
            _ => Parsed::new(node, report),
        });
        if let Some(list) = &mut list
            && let Some((item, of)) = list.text().split_once(" in ").filter(|_| list.is_in())
        {
            let hint = format!("write for_each: {}, and as: {}", of.trim(), item.trim());
            report.error(&list.span, "a for_each names its list alone", hint);
            *list = Parsed::unreadable(list.span.clone(), "");
        }
        let item = fields.needed("as", "as: NAME, by which the steps read their item: as: line, then line.sku", report);
        let item = item.and_then(|node| item_name(node, report));
        let at_once = at_once(fields, report);
        let steps = fields.needed("steps", "steps: a list of steps, done for each item", report);
        let steps = steps.map(|node| read_steps(node, report));
        let result = match fields.node("result") {
            None => None,
            Some(node) if node.is_empty() || matches!(&node.kind, Kind::Map(fields) if fields.is_empty()) => {
                report.error(&node.span, "'result' is empty", "result: EXPRESSION, or fields below it, further to the right");
                Some(Form::unreadable(node.span.clone()))
            }
            Some(node) => Some(Form::new(node, report)),
        };
        // What an item is called that has no name nobody knows: then any name may be it.
        let item = item.unwrap_or_else(|| Word::unreadable(fields.span));
        let list = list.unwrap_or_else(|| Parsed::unreadable(fields.span.clone(), ""));
        Some(ForEachForm { list, item, at_once, steps: steps.unwrap_or_default(), result })
    }
}

/// A name that CEL keeps for itself could never be read.
fn item_name(node: &crate::definition::yaml::Node, report: &mut Report<'_>) -> Option<Word> {
    let name = name_of(node, "an item's name", &RESERVED, report)?;
    if !Parsed::is_identifier(&name.text) {
        report.error(&name.span, format!("'{}' is a word of expressions", name.text), "give the item another name");
        return None;
    }
    Some(name)
}

fn at_once(fields: &Fields<'_>, report: &mut Report<'_>) -> u16 {
    let Some(node) = fields.node("at_once") else { return DEFAULTS.at_once };
    let number = node.scalar().and_then(|text| text.parse::<u16>().ok()).filter(|number| (1..=AT_ONCE_MAX).contains(number));
    if number.is_none() {
        let given = node.scalar().map_or_else(|| node.describe().to_owned(), |text| format!("'{text}'"));
        let message = format!("at_once is a whole number from 1 to {AT_ONCE_MAX}, not {given}");
        report.error(&node.span, message, "so many items are under way at the same time, at most");
    }
    number.unwrap_or(DEFAULTS.at_once)
}
