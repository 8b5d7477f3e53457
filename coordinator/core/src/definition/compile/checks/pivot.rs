//! Every step before the pivot says how it is undone, none on it or behind it does, and there is one pivot at most on each way.

use std::collections::BTreeSet;

use ringmaster_schemas::journal::Phase;

use super::super::report::Report;
use super::super::tree::{PlannedVerb, Tree};
use crate::definition::Role;

pub(in crate::definition::compile) fn check(tree: &Tree<'_>, unknown: &BTreeSet<String>, report: &mut Report<'_>) {
    // A saga that is not known may hold the pivot, as may a step that cannot be read: what stands behind it may need no undo.
    let may_be_pivot = |number: &u16| match tree.node(*number).verb {
        PlannedVerb::Run(run, _) => unknown.contains(&run.saga.text),
        PlannedVerb::Unreadable(form) => form.may_be_pivot,
        _ => false,
    };
    let doubtful = (0..tree.nodes.len() as u16).find(|number| may_be_pivot(number) && tree.misplaces_pivot(*number).is_none());
    // The pivot that a step is behind: of one that says that it is the pivot, too.
    let before = |number: u16| tree.pivots().find(|pivot| tree.is_behind(number, *pivot));
    let first = tree.pivots().find(|pivot| tree.pivots().any(|other| tree.is_behind(other, *pivot)));
    for step in tree.dos() {
        let name = &step.node.name;
        match (step.planned.phase, &step.form.undo) {
            // With two pivots nobody knows what stands behind one.
            (Phase::Compensatable, None) if first.is_some_and(|first| step.number > first) => {}
            (Phase::Compensatable, None) if doubtful.is_some_and(|doubtful| step.number > doubtful) => {}
            // Where it stands it cannot be the pivot, which is told; it needs no undo where it can.
            (Phase::Compensatable, None) if step.form.pivot && tree.misplaces_pivot(step.number).is_some() => {}
            (Phase::Compensatable, None) => {
                let message = format!("step '{}' does not say how it is undone", name.text);
                report.error(&name.span, message, "write undo: participant.Command, or undo: nothing");
            }
            (phase @ (Phase::Pivot | Phase::Retriable), Some(undo)) => {
                let place = if phase == Phase::Pivot { "on" } else { "behind" };
                report.error(&undo.span, format!("an undo {place} the pivot could never run"), "remove it");
            }
            _ => {}
        }
    }
    for number in tree.say_pivot() {
        let planned = tree.node(number);
        let Some(name) = planned.form.map(|form| &form.name) else { continue };
        let runs = match planned.verb {
            PlannedVerb::Run(run, _) => format!("{} holds a pivot: ", run.saga.text),
            _ => String::new(),
        };
        if let Some(role) = tree.misplaces_pivot(number) {
            let (message, hint) = misplaced(role);
            report.error(&name.span, format!("{runs}{message}"), hint);
            continue;
        }
        if let Some(first) = before(number) {
            let first = tree.node(first).form.map_or("", |form| form.name.text.as_str());
            let hint = format!("the first is '{first}'; behind it steps cannot be refused any more");
            report.error(&name.span, format!("{runs}there is one pivot at most on each way"), hint);
        }
    }
}

/// What is beside the pivot could still fail when it has succeeded; and what is done when something was refused is no way of the saga.
fn misplaced(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Branch => ("the pivot is in no branch of a parallel", "put it behind the parallel"),
        Role::Item => ("the pivot is in no item of a for_each", "put it behind the for_each"),
        Role::Root | Role::Body | Role::Arm | Role::Reaction => (
            "a reaction has no pivot of its own",
            "the last step of a pivot's reaction with next: go_on is the pivot in its stead, without saying so",
        ),
    }
}
