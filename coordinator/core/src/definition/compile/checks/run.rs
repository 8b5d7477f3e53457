//! What a saga that is run cannot have, and how deep rows may lie below one another.

use super::super::contracts::Contracts;
use super::super::form::SagaForm;
use super::super::report::Report;
use super::super::tree::{PlannedVerb, Tree};
use crate::definition::ROWS_DEEP_MAX;

const NOBODY_KNOWS: &str =
    "an event is for a saga by its key, and what is run has the key of the saga above it: nobody knows for which of them it is";

pub(in crate::definition::compile) fn check(form: &SagaForm, tree: &Tree<'_>, contracts: &Contracts, report: &mut Report<'_>) {
    if form.input.is_some() {
        for planned in &tree.nodes {
            match planned.verb {
                PlannedVerb::Wait(wait) => {
                    report.error(&wait.listens.event.span, NOBODY_KNOWS, "let the saga above wait, and give what comes as input");
                }
                PlannedVerb::Approval(approval) => {
                    if let Some(answer) = &approval.answer {
                        let hint = "leave the answer out: people answer by the sub-saga's id";
                        report.error(&answer.listens.event.span, NOBODY_KNOWS, hint);
                    }
                }
                _ => {}
            }
        }
    }
    if let Some((rows, number)) = tree.rows_deep(contracts).filter(|(rows, _)| *rows > ROWS_DEEP_MAX)
        && let Some(node) = tree.node(number).form
    {
        let message = format!("rows would stand {rows} deep below one another here; the limit is {ROWS_DEEP_MAX}");
        report.error(&node.name.span, message, "each for_each and each run is one: take one of them out of another");
    }
}
