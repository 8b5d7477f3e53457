//! Which reactions can mean something where they stand, and that rounds have an end.

use ringmaster_schemas::journal::Phase;

use super::super::fields::Word;
use super::super::form::{ApprovalForm, NodeForm, OnForm, ROUNDS_MAX};
use super::super::report::{Report, did_you_mean};
use super::super::tree::{PlannedVerb, Tree};
use crate::definition::{Next, Reaction};
use crate::saga::code;

pub(in crate::definition::compile) fn check(tree: &Tree<'_>, report: &mut Report<'_>) {
    for number in 0..tree.nodes.len() as u16 {
        let planned = tree.node(number);
        let Some(form) = planned.form else { continue };
        match (planned.phase, planned.verb.is_composite()) {
            (Phase::Compensatable, _) => {}
            (phase, true) => composite(phase, form, report),
            (phase, false) => step(phase, (form, planned.verb), report),
        }
        rounds(tree, number, report);
        codes(planned.verb, form, report);
    }
}

/// The codes that what waits by itself is refused with: few, and known. None for what others refuse.
pub(in crate::definition::compile) fn codes_of_waits(verb: PlannedVerb<'_>) -> Option<&'static [&'static str]> {
    Some(match verb {
        PlannedVerb::Wait(wait) if wait.listens.matches.is_some() => &[code::EXPIRED, code::VALUE_TAKEN],
        PlannedVerb::Claim(_) => &[code::EXPIRED, code::VALUE_TAKEN],
        PlannedVerb::Sleep(_) | PlannedVerb::Wait(_) => &[code::EXPIRED],
        PlannedVerb::Approval(ApprovalForm { answer: Some(answer), .. }) if answer.listens.matches.is_some() => {
            &[code::EXPIRED, code::REFUSED, code::VALUE_TAKEN]
        }
        PlannedVerb::Approval(_) => &[code::EXPIRED, code::REFUSED],
        _ => return None,
    })
}

/// One that cannot be read is told already.
fn is_wrong(code: &Word, known: &[&str]) -> bool {
    !code.text.is_empty() && !known.contains(&&*code.text)
}

fn codes(verb: PlannedVerb<'_>, form: &NodeForm, report: &mut Report<'_>) {
    let Some(known) = codes_of_waits(verb) else { return };
    for code in form.on_refused.iter().filter_map(|on| on.code.as_ref()).filter(|code| is_wrong(code, known)) {
        let message = format!("'{}' is never refused with {}", form.name.text, code.text);
        report.error(&code.span, message, did_you_mean(&code.text, known.iter().copied()));
    }
    if let (PlannedVerb::Sleep(_), None, Some(on)) = (verb, &form.within, form.on_refused.first()) {
        let hint = "a sleep is refused when its within is over before it: give it one, or remove on_refused";
        report.error(&on.span, "a sleep without within is never refused", hint);
    }
}

/// What holds the pivot or stands behind it is never undone, so that it is never refused or failed as a whole.
fn composite(phase: Phase, form: &NodeForm, report: &mut Report<'_>) {
    let place = if phase == Phase::Pivot { "with the pivot in it" } else { "behind the pivot" };
    let hint = "give it to the steps in it";
    if let Some((_, span)) = &form.within {
        report.error(span, format!("{place} nothing is undone: a within of the whole could never be kept"), hint);
    }
    for on in form.reactions() {
        report.error(&on.span, format!("{place} nothing is undone: the whole is never refused or failed"), hint);
    }
}

/// On the pivot an unknown outcome cannot be cleaned, and behind it nothing can be undone.
fn step(phase: Phase, (form, verb): (&NodeForm, PlannedVerb<'_>), report: &mut Report<'_>) {
    let place = if phase == Phase::Pivot { "on" } else { "behind" };
    if let (PlannedVerb::Run(..), Some((_, span))) = (verb, &form.within) {
        let message = format!("{place} the pivot a sub-saga is not given up: its within could never be kept");
        report.error(span, message, "give the sub-saga a deadline, or its steps a within");
    }
    for on in form.on_failed.iter().filter(|on| on.reaction != Reaction::Stuck) {
        let message = format!("{place} the pivot what failed is asked again, and then a person must look");
        report.error(&on.span, message, "nobody knows whether it was done: remove on_failed");
    }
    let is_backward = |on: &&OnForm| match on.reaction {
        Reaction::Undo | Reaction::GoOn | Reaction::Steps { next: Next::Undo, .. } => phase == Phase::Retriable,
        Reaction::Stuck | Reaction::Steps { next: Next::GoOn | Next::Retry, .. } => false,
    };
    for on in form.on_refused.iter().filter(is_backward) {
        let hint = "stuck, or { steps: [ ... ], next: go_on | retry }";
        report.error(&on.span, "behind the pivot there is only forward", hint);
    }
}

/// Entries stay in the saga's row, and each has a number.
fn rounds(tree: &Tree<'_>, number: u16, report: &mut Report<'_>) {
    let tries = |node: u16| {
        let retries = tree.node(node).form.into_iter().flat_map(|form| form.reactions()).filter_map(|on| match on.reaction {
            Reaction::Steps { next: Next::Retry, at_most, .. } => Some(u32::from(at_most)),
            Reaction::Undo | Reaction::GoOn | Reaction::Stuck | Reaction::Steps { .. } => None,
        });
        1 + retries.sum::<u32>()
    };
    let own = tries(number);
    let all = tree.around(number).map(tries).fold(own, u32::saturating_mul);
    let is_first_beyond = own > 1 && all > u32::from(ROUNDS_MAX);
    if let Some(form) = tree.node(number).form.filter(|_| is_first_beyond) {
        let message = format!("this may be entered {all} times; the limit is {ROUNDS_MAX}");
        report.error(&form.name.span, message, "lower at_most, here or in what is around it");
    }
}
