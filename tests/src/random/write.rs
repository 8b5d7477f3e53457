//! A random definition as the YAML that a person would write.

use std::fmt::Write as _;

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::PRIORITY_USUAL;

use super::generate::{EVENTS, REFUSAL, STOP};
use super::plan::{Do, Next, Node, On, Plan, Reaction, Sleep, Undo, What};
use super::value::FIELDS;

/// The event that starts it.
pub(super) const START: &str = "Wanted";
/// Its name.
pub(super) const SAGA: &str = "random";
/// Who is asked: they speak JSON and have no schemas. The last one only undoes: while it is paused, all else goes on.
pub(super) const PARTICIPANTS: [&str; 3] = ["bank", "shop", "court"];
/// How long a finished saga is remembered.
pub(super) const RETAIN_MS: Millis = 3_600_000;

/// The text of a definition.
pub(super) fn text(plan: &Plan) -> String {
    text_as(SAGA, plan)
}

/// The same, by this name.
pub(super) fn text_as(name: &str, plan: &Plan) -> String {
    let mut out = format!("saga: {name}\nstart: {{ on: {START}, from: wanted, key: event.id }}\nretain: {RETAIN_MS}ms\n");
    if let Some(deadline) = plan.deadline_ms {
        line(&mut out, 0, &format!("deadline: {deadline}ms"));
    }
    if let Some(field) = plan.priority {
        line(&mut out, 0, &format!("priority: {}", priority(field)));
    }
    if plan.cancel {
        line(&mut out, 0, &format!("cancel: {{ on: {STOP}, from: stops, key: event.id }}"));
    }
    out.push_str("steps:\n");
    list(&mut out, 2, &plan.steps);
    let ends = [
        ("on_completed", "Got", &plan.completed),
        ("on_compensated", "GotNothing", &plan.compensated),
        ("on_stuck", "Stood", &plan.stuck),
    ];
    for (end, event, value) in ends {
        if let Some(value) = value {
            line(&mut out, 0, &format!("{end}: {{ emit: {event}, to: ends, with: {{ id: key, n: \"{}\" }} }}", value.text()));
        }
    }
    out
}

/// A priority that is a field of the start event, and the usual one for the smallest.
fn priority(field: usize) -> String {
    format!("start.{} + {PRIORITY_USUAL}", FIELDS[field])
}

fn line(out: &mut String, indent: usize, text: &str) {
    writeln!(out, "{:indent$}{text}", "").expect("writing to memory");
}

fn list(out: &mut String, indent: usize, nodes: &[Node]) {
    for node in nodes {
        line(out, indent, &format!("- step: {}", node.name));
        if let Some(condition) = &node.condition {
            line(out, indent + 2, &format!("if: {}", condition.text()));
        }
        what(out, indent + 2, node);
        if let Some(within) = node.within_ms {
            line(out, indent + 2, &format!("within: {within}ms"));
        }
        reactions(out, indent + 2, "on_refused", &node.on_refused);
        reactions(out, indent + 2, "on_failed", &node.on_failed);
    }
}

fn reactions(out: &mut String, indent: usize, key: &str, all: &[On]) {
    match all {
        [] => {}
        [On { code: None, reaction: one }] => reaction(out, indent, key, one),
        _ => {
            line(out, indent, &format!("{key}:"));
            all.iter().for_each(|on| reaction(out, indent + 2, on.code.unwrap_or("else"), &on.reaction));
        }
    }
}

fn reaction(out: &mut String, indent: usize, key: &str, reaction: &Reaction) {
    let word = match reaction {
        Reaction::Undo => "undo",
        Reaction::GoOn => "go_on",
        Reaction::Stuck => "stuck",
        Reaction::Steps { steps, next } => {
            line(out, indent, &format!("{key}:"));
            line(out, indent + 2, "steps:");
            list(out, indent + 4, steps);
            let next = match next {
                Next::GoOn => "go_on".to_owned(),
                Next::Undo => "undo".to_owned(),
                Next::Retry(at_most) => format!("retry\n{:width$}at_most: {at_most}", "", width = indent + 2),
            };
            return line(out, indent + 2, &format!("next: {next}"));
        }
    };
    line(out, indent, &format!("{key}: {word}"));
}

fn what(out: &mut String, indent: usize, node: &Node) {
    match &node.what {
        What::Do(asks) => command(out, indent, &node.name, asks),
        What::Emit(value) => {
            line(out, indent, "emit: Told");
            line(out, indent, "to: told");
            line(out, indent, &format!("with: {{ id: key, n: \"{}\" }}", value.text()));
        }
        What::Wait(wait) => {
            line(out, indent, &format!("wait: {}", EVENTS[wait.event]));
            line(out, indent, "from: cames");
            line(out, indent, "key: event.id");
            if let Some(fits) = &wait.fits {
                line(out, indent, &format!("if: {}", fits.text()));
            }
            if let Some(keep) = wait.keep_ms {
                line(out, indent, &format!("keep: {keep}ms"));
            }
        }
        What::Sleep(Sleep::For(millis)) => line(out, indent, &format!("sleep: {millis}ms")),
        What::Sleep(Sleep::FromStart(millis)) => line(out, indent, &format!("sleep: started + duration('{millis}ms')")),
        What::Approval(approval) => {
            line(out, indent, "approval: boss0");
            line(out, indent, &format!("show: {{ n: \"{}\" }}", approval.shown.text()));
            if let Some((event, least)) = approval.answer {
                let event = EVENTS[event];
                line(out, indent, &format!("answer: {{ on: {event}, from: cames, key: event.id, approved: event.n >= {least} }}"));
            }
            if !approval.escalations.is_empty() {
                line(out, indent, "escalate:");
            }
            for (number, after) in approval.escalations.iter().enumerate() {
                line(out, indent + 2, &format!("- {{ after: {after}ms, to: boss{} }}", number + 1));
            }
        }
        What::Refuse => line(out, indent, &format!("refuse: {REFUSAL}")),
        What::Group(steps) => {
            line(out, indent, "steps:");
            list(out, indent + 2, steps);
        }
        What::Switch(arms) => {
            line(out, indent, "switch:");
            for arm in arms {
                match &arm.condition {
                    Some(condition) => {
                        line(out, indent + 2, &format!("- if: {}", condition.text()));
                        line(out, indent + 4, "steps:");
                    }
                    None if arm.steps.is_empty() => line(out, indent + 2, "- else: []"),
                    None => line(out, indent + 2, "- else:"),
                }
                list(out, indent + 6, &arm.steps);
            }
        }
        What::Parallel(branches) => {
            line(out, indent, "parallel:");
            for (number, branch) in branches.iter().enumerate() {
                line(out, indent + 2, &format!("b{number}:"));
                list(out, indent + 4, branch);
            }
        }
    }
}

/// Who is asked to do a step, and who to undo it: that follows from its name.
pub(super) fn participants(name: &str) -> (&'static str, &'static str) {
    let number: usize = name.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or_default();
    (PARTICIPANTS[number % 2], PARTICIPANTS[number / 2 % 3])
}

fn command(out: &mut String, indent: usize, name: &str, asks: &Do) {
    let body = |value: &str| format!("{{ id: key, n: \"{value}\" }}");
    let (does, undoes) = participants(name);
    line(out, indent, &format!("do: {does}.Do_{name}"));
    line(out, indent, &format!("with: {}", body(&asks.tells.text())));
    match &asks.undo {
        None => {}
        Some(Undo::Nothing) => line(out, indent, "undo: nothing"),
        Some(Undo::Same) => line(out, indent, &format!("undo: {undoes}.Undo_{name}")),
        Some(Undo::Own(value)) => {
            line(out, indent, &format!("undo: {{ do: {undoes}.Undo_{name}, with: {} }}", body(&value.text())));
        }
    }
    line(out, indent, &format!("timeout: {}ms", asks.timeout_ms));
    if let Some(within) = asks.within_ms {
        line(out, indent, &format!("within: {within}ms"));
    }
    let attempts = asks.retry.attempts.map(|attempts| format!("attempts: {attempts}, ")).unwrap_or_default();
    let not_on = asks.retry.not_on.map(|code| format!(", not_on: [ {code} ]")).unwrap_or_default();
    let (first, max) = (asks.retry.first_ms, asks.retry.max_ms);
    line(out, indent, &format!("retry: {{ {attempts}first: {first}ms, max: {max}ms{not_on} }}"));
    if let Some(name) = &asks.stands_for {
        line(out, indent, &format!("as: {name}"));
    }
    if asks.pivot {
        line(out, indent, "pivot: true");
    }
}
