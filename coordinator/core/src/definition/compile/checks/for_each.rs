//! What stands in the items of a for_each, and what is read of them.

use super::super::form::ListenForm;
use super::super::report::Report;
use super::super::tree::{PlannedVerb, Tree};
use crate::definition::expression::Root;
use crate::definition::expression::scope::Uses;

/// For_eaches inside one another: each is a level of rows.
pub(in crate::definition::compile) const NESTED_MAX: usize = 3;

const NOBODY_KNOWS: &str = "an event is for a saga by its key, which all items share: nobody knows for which item it is";

pub(in crate::definition::compile) fn check(tree: &Tree<'_>, report: &mut Report<'_>) {
    for (planned, number) in tree.nodes.iter().zip(0..) {
        let (Some(form), Some(each)) = (planned.form, tree.items(number).next()) else { continue };
        match planned.verb {
            PlannedVerb::Wait(wait) => by_key(&wait.listens, tree, each, report),
            PlannedVerb::Approval(approval) => {
                if let Some(answer) = &approval.answer {
                    by_key(&answer.listens, tree, each, report);
                }
            }
            PlannedVerb::ForEach(inner) => {
                let outer: Vec<_> = tree.items(number).map(|each| tree.node(each).verb).collect();
                let name = &inner.item;
                let is_outer = |verb: &PlannedVerb<'_>| matches!(verb, PlannedVerb::ForEach(form) if form.item.text == name.text);
                if !name.text.is_empty() && outer.iter().any(is_outer) {
                    let message = format!("'{}' is the item of the for_each around it", name.text);
                    report.error(&name.span, message, "give this item another name");
                }
                if outer.len() == NESTED_MAX {
                    let message = format!("more than {NESTED_MAX} for_eaches inside one another");
                    report.error(&form.name.span, message, "give the innermost list as a whole to a participant");
                }
            }
            _ => {}
        }
    }
}

fn by_key(listens: &ListenForm, tree: &Tree<'_>, each: u16, report: &mut Report<'_>) {
    if listens.matches.is_some() {
        return;
    }
    let PlannedVerb::ForEach(form) = tree.node(each).verb else { return };
    let hint = format!("let it be known by a value of the item: match: FIELD == {}.FIELD", form.item.text);
    report.error(&listens.event.span, NOBODY_KNOWS, hint);
}

/// What the items give and nobody reads would be kept for nothing.
pub(in crate::definition::compile) fn unread(tree: &Tree<'_>, uses: &Uses, report: &mut Report<'_>) {
    for (planned, number) in tree.nodes.iter().zip(0..) {
        let (PlannedVerb::ForEach(form), Some(node)) = (planned.verb, planned.form) else { continue };
        if let Some(result) = &form.result
            && uses.of(Root::Result(number)).is_none()
        {
            let hint = format!("remove it, or read steps.{}", node.name.text);
            report.warning(&result.span(), "nobody reads what the items give", hint);
        }
    }
}
