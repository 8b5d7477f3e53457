//! Times that a participant could forget an idempotency key within, or that can never be reached.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Phase;
use ringmaster_schemas::names::participant_of;

use super::super::form::SagaForm;
use super::super::report::Report;
use super::super::targets::Options;
use super::super::tree::{PlannedVerb, Tree};
use super::super::write_duration;
use crate::definition::ROOT;
use crate::definition::defaults::DEFAULTS;

pub(in crate::definition::compile) fn check(form: &SagaForm, tree: &Tree<'_>, options: &Options<'_>, report: &mut Report<'_>) {
    for step in tree.dos().filter(|step| !step.form.command.text.is_empty()) {
        let participant = participant_of(&step.form.command.text);
        let remembers = options.participant(participant).remembers_ms;
        let by_default = (DEFAULTS.within_ms(step.planned.phase), step.node.name.span.clone());
        let within = step.node.within.as_ref();
        for (what, limit) in [("within", Some(within.unwrap_or(&by_default))), ("deadline", form.deadline.as_ref())] {
            if let Some((millis, span)) = limit
                && *millis > remembers
            {
                let (asked, known) = (write_duration(*millis), write_duration(remembers));
                let message = format!("{what} ({asked}) is longer than {participant} remembers what it did ({known})");
                report.error(span, message, format!("shorten it, or raise participants.\"{participant}\".remembers"));
            }
        }
        // What is written, or what a reaction waits for: a default that is cut short is no mistake.
        let span = within.map(|(_, span)| span).or_else(|| step.node.on_failed.first().map(|on| &on.span));
        if let (Some(span), Some((around, most))) = (span, shortest_around(tree, step.number))
            && within.unwrap_or(&by_default).0 > most
        {
            let own = write_duration(within.unwrap_or(&by_default).0);
            let message = format!("the step's within ({own}) is never reached: all of '{around}' has {}", write_duration(most));
            report.warning(span, message, format!("give the step a shorter within, or '{around}' a longer one"));
        }
    }
    deadline(form, tree, report);
    approvals(tree, report);
    waits(tree, report);
}

/// What is cut short by the saga's deadline: on the pivot and behind it that is only noted.
fn deadline(form: &SagaForm, tree: &Tree<'_>, report: &mut Report<'_>) {
    let Some((deadline, _)) = &form.deadline else { return };
    for planned in tree.nodes.iter().filter(|planned| planned.phase == Phase::Compensatable) {
        if let Some((within, span)) = planned.form.and_then(|form| form.within.as_ref())
            && within > deadline
        {
            report.warning(
                span,
                "this is never reached: the saga's deadline is earlier",
                "give it less time, or the saga a longer deadline",
            );
        }
    }
}

/// What others send takes its time.
fn waits(tree: &Tree<'_>, report: &mut Report<'_>) {
    for planned in tree.nodes.iter().filter(|planned| matches!(planned.verb, PlannedVerb::Wait(_))) {
        if let Some(form) = planned.form.filter(|form| form.within.is_none()) {
            let message = format!(
                "the event must come within {}: that is the default here",
                write_duration(DEFAULTS.within_ms(planned.phase))
            );
            report.warning(&form.name.span, message, "say how long it waits: within: 24h");
        }
    }
}

/// Nobody is asked behind an approval's end, and people are slower than participants.
fn approvals(tree: &Tree<'_>, report: &mut Report<'_>) {
    for planned in &tree.nodes {
        let (PlannedVerb::Approval(approval), Some(form)) = (planned.verb, planned.form) else { continue };
        let by_default = DEFAULTS.within_ms(planned.phase);
        let within = form.within.as_ref().map_or(by_default, |(millis, _)| *millis);
        for escalation in approval.escalations.iter().filter(|escalation| escalation.after_ms >= within) {
            let message = format!("nobody is asked then: the approval's within ({}) is over", write_duration(within));
            report.error(&escalation.span, message, "give it a longer within");
        }
        if form.within.is_none() {
            let message = format!("people have {} to answer: that is the default here", write_duration(within));
            report.warning(&form.name.span, message, "say how long it waits: within: 24h");
        }
    }
}

/// The shortest time of what a node stands in, with its name. A reaction stands beside its node.
fn shortest_around<'t>(tree: &'t Tree<'_>, number: u16) -> Option<(&'t str, Millis)> {
    let scope_of = |node: u16| Some(tree.node(node).scope).filter(|scope| *scope != ROOT);
    let scopes = std::iter::successors(scope_of(number), |scope| scope_of(*scope));
    let times = scopes.filter_map(|scope| {
        let form = tree.node(scope).form?;
        Some((form.name.text.as_str(), form.within.as_ref()?.0))
    });
    times.min_by_key(|(_, millis)| *millis)
}
