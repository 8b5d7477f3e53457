//! What a saga that is run cannot have, and how deep rows may lie below one another.

use super::super::contracts::Contracts;
use super::super::form::SagaForm;
use super::super::report::Report;
use super::super::tree::{PlannedVerb, Tree};
use crate::definition::ROWS_DEEP_MAX;

const NOBODY_KNOWS: &str =
    "an event is for a saga by its key, and what is run has the key of the saga above it: nobody knows for which of them it is";

pub(in crate::definition::compile) fn check(form: &SagaForm, tree: &Tree<'_>, contracts: &Contracts, report: &mut Report<'_>) {
    for planned in tree.nodes.iter().filter(|_| form.input.is_some()) {
        let listens = match planned.verb {
            PlannedVerb::Wait(wait) => Some(&wait.listens),
            PlannedVerb::Approval(approval) => approval.answer.as_ref().map(|answer| &answer.listens),
            _ => None,
        };
        if let Some(listens) = listens.filter(|listens| listens.matches.is_none()) {
            report.error(&listens.event.span, NOBODY_KNOWS, "let it be known by a value of its own: match: FIELD == start.FIELD");
        }
    }
    if let Some((rows, number)) = tree.rows_deep(contracts).filter(|(rows, _)| *rows > ROWS_DEEP_MAX)
        && let Some(node) = tree.node(number).form
    {
        let message = format!("rows would stand {rows} deep below one another here; the limit is {ROWS_DEEP_MAX}");
        report.error(&node.name.span, message, "each for_each and each run is one: take one of them out of another");
    }
}
