//! Pictures of definitions: Mermaid text, which others lay out, and SVG, which is laid out here.
//!
//! A saga is a tree: a sequence goes down, arms of a switch stand side by side, a group is a frame.

mod layout;
pub mod mermaid;
mod shown;
pub mod svg;

use ringmaster_core::definition::compile::outline::{Answer, Does, Emission, Outline, Part};

pub use shown::{Graph, GraphBox, GraphLine};

/// What a box is, for its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The start, or an end.
    End,
    /// A step.
    Step,
    /// The last step that may refuse.
    Pivot,
    /// A step that refuses.
    Refusal,
    /// Where one of several arms is taken.
    Choice,
    /// The condition of an arm.
    Arm,
}

/// A box: what it is, and the lines that it says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    kind: Kind,
    /// The step that it is, if it is one.
    step: Option<String>,
    lines: Vec<String>,
}

impl Label {
    fn start(outline: &Outline) -> Label {
        let mut lines = Vec::new();
        if outline.starts.is_empty() {
            lines.extend(["start: by a run, or by hand".to_owned(), "with input".to_owned()]);
        }
        for start in &outline.starts {
            lines.extend([format!("start: {}", start.event), format!("from {}", start.topic)]);
            lines.extend(condition(start.condition.as_deref()));
        }
        lines.extend(outline.cancel.as_ref().map(|event| format!("cancel: {event}")));
        Label { kind: Kind::End, step: None, lines }
    }

    /// How a saga ends, and what is told then.
    fn end(name: &str, told: &[Emission]) -> Label {
        let mut lines = vec![name.to_owned()];
        lines.extend(told.iter().flat_map(emits));
        Label { kind: Kind::End, step: None, lines }
    }

    fn ends(outline: &Outline) -> [Label; 2] {
        [Label::end("completed", &outline.completed), Label::end("compensated", &outline.compensated)]
    }

    /// A step: what stands inside it is not its label's.
    fn step(part: &Part) -> Label {
        let mut lines = vec![part.name.clone()];
        lines.extend(condition(part.condition.as_deref()));
        let kind = match &part.does {
            Does::Ask { command, undo, pivot } => {
                lines.push(format!("do {command}"));
                lines.extend(undo.as_ref().map(|undo| format!("undo {undo}")));
                lines.extend(pivot.then(|| "pivot".to_owned()));
                if *pivot { Kind::Pivot } else { Kind::Step }
            }
            Does::Emit(told) => {
                lines.extend(emits(told));
                Kind::Step
            }
            Does::Refuse(code) => {
                lines.push(format!("refuse {code}"));
                Kind::Refusal
            }
            Does::Wait { event, topic, condition: only } => {
                lines.push(format!("wait {event}"));
                lines.extend(topic.as_ref().map(|topic| format!("from {topic}")));
                lines.extend(condition(only.as_deref()));
                Kind::Step
            }
            Does::Sleep(time) => {
                lines.push(format!("sleep {time}"));
                Kind::Step
            }
            Does::Approval { role, escalations } => {
                lines.push(format!("approval {role}"));
                lines.extend(escalations.iter().map(|(after, to)| format!("after {after}: {to}")));
                Kind::Step
            }
            Does::ForEach { item, list, at_once, .. } => {
                lines.push(format!("for each {item} of {list}"));
                lines.push(format!("at most {at_once} at once"));
                Kind::Step
            }
            Does::Run(saga) => {
                lines.push(format!("run {saga}"));
                Kind::Step
            }
            Does::Group(_) => Kind::Step,
            Does::Switch(_) => Kind::Choice,
            Does::Parallel(_) => {
                lines.push("all at once".to_owned());
                Kind::Choice
            }
        };
        // What has steps of its own stands beside it.
        let plain = part.reactions.iter().filter(|answer| answer.steps.is_empty());
        lines.extend(plain.map(|answer| format!("on {}: {}", answer.to, answer.next)));
        Label { kind, step: Some(part.name.clone()), lines }
    }

    /// What begins one of several lists: a branch, or a reaction.
    fn head(line: String) -> Label {
        Label { kind: Kind::Arm, step: None, lines: vec![line] }
    }

    fn arm(condition: Option<&str>) -> Label {
        let line = condition.map_or_else(|| "else".to_owned(), |condition| format!("if {condition}"));
        Label { kind: Kind::Arm, step: None, lines: vec![line] }
    }
}

/// The reactions of a step that have steps of their own.
fn with_steps(part: &Part) -> impl Iterator<Item = &Answer> {
    part.reactions.iter().filter(|answer| !answer.steps.is_empty())
}

fn emits(told: &Emission) -> [String; 2] {
    [format!("emit {}", told.event), format!("to {}", told.topic)]
}

fn condition(condition: Option<&str>) -> Option<String> {
    condition.map(|condition| format!("if {condition}"))
}

/// True if nothing goes on behind a step.
fn is_last(part: &Part) -> bool {
    part.condition.is_none()
        && !part.reactions.iter().any(|answer| answer.goes_on)
        && match &part.does {
            Does::Refuse(_) => true,
            Does::Ask { .. } | Does::Emit(_) | Does::Sleep(_) | Does::Approval { .. } | Does::Wait { .. } | Does::Run(_) => false,
            Does::Group(steps) => steps.iter().any(is_last),
            // Its list may be empty.
            Does::ForEach { .. } => false,
            Does::Switch(arms) => arms.iter().all(|arm| arm.steps.iter().any(is_last)),
            Does::Parallel(branches) => branches.iter().any(|(_, steps)| steps.iter().any(is_last)),
        }
}

#[cfg(test)]
mod tests;
