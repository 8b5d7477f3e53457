//! What is compiled is what was written.

use ringmaster_core::definition::{DEFAULTS, Definition, Next, Node, On, Reaction, Sleep, Undo, Verb};
use ringmaster_schemas::journal::Phase;

use crate::random::generate::EVENTS;
use crate::random::plan::{self, Do, Plan, What};
use crate::random::write;

/// Each node stands where it was written, to the pivot too, and asks as it was written.
pub(in crate::random) fn written(plan: &Plan, definition: &Definition) -> Vec<String> {
    let mut faults = Vec::new();
    let compiled: Vec<&Node> = definition.nodes.iter().filter(|node| !node.name.is_empty()).collect();
    let planned = plan.nodes();
    if compiled.len() != planned.len() {
        faults.push(format!("written: {} nodes became {}", planned.len(), compiled.len()));
    }
    for (planned, compiled) in planned.into_iter().zip(compiled) {
        let same = *planned.name == *compiled.name
            && planned.phase == compiled.phase
            && compiled.passes == (planned.phase == Phase::Pivot)
            && planned.condition.is_some() == compiled.condition.is_some()
            && planned.is_scope() == compiled.is_scope
            && (matches!(planned.what, What::Do(_)) || within_ms(planned) == compiled.within_ms)
            && same_reactions(&planned.on_refused, &compiled.on_refused)
            && same_reactions(&planned.on_failed, &compiled.on_failed)
            && match (&planned.what, &compiled.verb) {
                (What::Do(planned), Verb::Do(_)) => same_command(planned, compiled),
                (What::Emit(_), Verb::Emit(_)) | (What::Refuse, Verb::Refuse(_)) | (What::Group(_), Verb::Group) => true,
                (What::Switch(arms), Verb::Choice(compiled)) => arms.len() == compiled.len(),
                (What::Sleep(plan::Sleep::For(planned)), Verb::Sleep(Sleep::For(compiled))) => planned == compiled,
                (What::Sleep(plan::Sleep::FromStart(_)), Verb::Sleep(Sleep::Computed(_))) => true,
                (What::Wait(planned), Verb::Wait(compiled)) => {
                    let listener = &definition.listeners[usize::from(compiled.listener)];
                    *listener.event == *EVENTS[planned.event] && planned.fits.is_some() == compiled.condition.is_some()
                }
                (What::Approval(planned), Verb::Approval(compiled)) => {
                    compiled.show.is_some()
                        && planned.answer.is_some() == compiled.answer.is_some()
                        && compiled.escalations.iter().map(|escalation| escalation.after_ms).eq(planned.escalations.iter().copied())
                }
                (What::Parallel(branches), Verb::Parallel(count)) => branches.len() == usize::from(*count),
                _ => false,
            };
        if !same {
            faults.push(format!("written: {planned:?} became {compiled:?}"));
        }
    }
    let whole = (definition.deadline_ms, definition.retain_ms, definition.has_pivot);
    if whole != (plan.deadline_ms, write::RETAIN_MS, plan.has_pivot()) {
        faults.push(format!("written: deadline, retain and pivot became {whole:?}"));
    }
    faults
}

/// An approval and a wait have a time by default, like a command.
fn within_ms(planned: &plan::Node) -> Option<i64> {
    let by_default = matches!(planned.what, What::Approval(_) | What::Wait(_)).then(|| DEFAULTS.within_ms(planned.phase));
    planned.within_ms.or(by_default)
}

fn same_reactions(planned: &[plan::On], compiled: &[On]) -> bool {
    planned.len() == compiled.len()
        && planned.iter().zip(compiled).all(|(planned, compiled)| {
            planned.code == compiled.code.as_deref()
                && match (&planned.reaction, compiled.reaction) {
                    (plan::Reaction::Undo, Reaction::Undo)
                    | (plan::Reaction::GoOn, Reaction::GoOn)
                    | (plan::Reaction::Stuck, Reaction::Stuck) => true,
                    (plan::Reaction::Steps { next, .. }, Reaction::Steps { next: compiled, at_most, .. }) => {
                        match (*next, compiled) {
                            (plan::Next::GoOn, Next::GoOn) | (plan::Next::Undo, Next::Undo) => true,
                            (plan::Next::Retry(planned), Next::Retry) => planned == at_most,
                            _ => false,
                        }
                    }
                    _ => false,
                }
        })
}

fn same_command(planned: &Do, compiled: &Node) -> bool {
    let Verb::Do(asks) = &compiled.verb else { return false };
    let undo = match (&planned.undo, &asks.undo) {
        (None, Undo::Never) | (Some(plan::Undo::Nothing), Undo::Nothing) => true,
        (Some(plan::Undo::Same), Undo::Command { call, .. }) => call.body.is_none(),
        (Some(plan::Undo::Own(_)), Undo::Command { call, .. }) => call.body.is_some(),
        _ => false,
    };
    let within = planned.within_ms.unwrap_or(DEFAULTS.within_ms(compiled.phase));
    let retry = (asks.retry.attempts, asks.retry.first_ms, asks.retry.max_ms);
    undo && asks.timeout_ms == planned.timeout_ms
        && compiled.within_ms == Some(within)
        && retry == (planned.retry.attempts, planned.retry.first_ms, planned.retry.max_ms)
        && asks.retry.not_on.iter().map(|code| &**code).eq(planned.retry.not_on)
}
