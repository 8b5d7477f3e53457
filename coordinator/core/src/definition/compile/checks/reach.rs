//! What can never happen: steps behind a refusal without a condition, refusals behind the pivot.

use ringmaster_schemas::journal::Phase;

use super::super::report::Report;
use super::super::tree::{PlannedVerb, Tree};

pub(in crate::definition::compile) fn check(tree: &Tree<'_>, report: &mut Report<'_>) {
    let mut always = None;
    for planned in &tree.nodes {
        let Some(form) = planned.form else { continue };
        if let Some(first) = always {
            let hint = format!("'{first}' refuses always: give it an if, or remove what stands behind it");
            report.error(&form.name.span, "this is never reached", hint);
            return;
        }
        let PlannedVerb::Refuse(refuse) = planned.verb else { continue };
        if planned.phase == Phase::Retriable {
            let hint = "behind the pivot there is only forward: refuse before it";
            report.error(&refuse.code.span, "nothing can be refused behind the pivot", hint);
        }
        if form.condition.is_none() {
            always = Some(&form.name.text);
        }
    }
}
