//! A definition as a picture shows it: its steps as a tree, with the texts that stand in the file. Nothing is looked up, so that a
//! definition whose schemas are still to come has a picture too.

use super::form::{EmitForm, EscalationForm, NodeForm, OnForm, RoleForm, SagaForm, SleepForm, StartForm, VerbForm};
use super::report::{CompileError, Report};
use super::write_duration;
use crate::definition::expression::Parsed;
use crate::definition::{Next, Reaction, yaml};

/// A definition, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its name.
    pub saga: String,
    /// What starts it, in the order of the file.
    pub starts: Vec<Begin>,
    /// The type of the event that cancels it.
    pub cancel: Option<String>,
    /// Its steps, in order.
    pub steps: Vec<Part>,
    /// What is told when it is completed.
    pub completed: Vec<Emission>,
    /// What is told when it was undone.
    pub compensated: Vec<Emission>,
}

/// The event that starts a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The event's type.
    pub event: String,
    /// The topic it comes on.
    pub topic: String,
    /// Only if this is true.
    pub condition: Option<String>,
}

/// An event for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// The event's type.
    pub event: String,
    /// The topic it goes to.
    pub topic: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Only if this is true.
    pub condition: Option<String>,
    /// What it does.
    pub does: Does,
    /// What follows when it is refused or fails, where that is said.
    pub reactions: Vec<Answer>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// Asks a participant.
    Ask {
        /// What is asked.
        command: String,
        /// The command that undoes it, or `nothing`; none where it is never undone.
        undo: Option<String>,
        /// The last step that may refuse.
        pivot: bool,
    },
    /// Tells others.
    Emit(Emission),
    /// Ends as if refused, with this code.
    Refuse(String),
    /// Its steps, in order.
    Group(Vec<Part>),
    /// The first of these arms whose condition is true.
    Switch(Vec<Arm>),
    /// Branches side by side, by name.
    Parallel(Vec<(String, Vec<Part>)>),
    /// Its steps, in order, for each item of a list.
    ForEach {
        /// The name of an item.
        item: String,
        /// The list.
        list: String,
        /// So many items at once, at most.
        at_once: u16,
        /// What is done for each.
        steps: Vec<Part>,
    },
    /// Runs a saga.
    Run(String),
    /// Waits for an event.
    Wait {
        /// The event's type.
        event: String,
        /// The topic it comes on, where that is not the start's.
        topic: Option<String>,
        /// Only one for which this is true.
        condition: Option<String>,
    },
    /// Nothing, for so long or until then.
    Sleep(String),
    /// Asks people.
    Approval {
        /// Who may answer: a role, or the expression that gives it.
        role: String,
        /// Who may answer too, and after how long.
        escalations: Vec<(String, String)>,
    },
}

/// An arm of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    /// None for the last: whatever comes to it.
    pub condition: Option<String>,
    /// What is done on it.
    pub steps: Vec<Part>,
}

/// What follows when a step was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// To what: `refused`, `failed: NO_ANSWER`.
    pub to: String,
    /// What is done then; none without steps of its own.
    pub steps: Vec<Part>,
    /// What follows on that: `undo`, `go_on`, `stuck`, `retry, at most 2`.
    pub next: String,
    /// It goes on behind the step.
    pub goes_on: bool,
}

/// The outlines of all definitions of a file, which need only be written right: names and types are not looked up.
pub fn outline(file: &str, text: &str) -> Result<Vec<Outline>, Vec<CompileError>> {
    super::on_large_stack(|| {
        let mut report = Report::new(file, text, 1);
        let mut outlines = Vec::new();
        match yaml::load(text) {
            Err(errors) => errors.into_iter().for_each(|error| report.error(&error.span, error.message, error.hint)),
            Ok(documents) if documents.is_empty() => report.error(&(0..0), super::NO_DEFINITION, "saga: NAME"),
            Ok(documents) => {
                for document in documents {
                    let form = SagaForm::read(&document.root, &mut report);
                    outlines.extend(form.filter(|_| report.error_count() == 0).as_ref().map(Outline::of));
                }
            }
        }
        let (errors, _) = report.finish();
        if errors.is_empty() { Ok(outlines) } else { Err(errors) }
    })
}

impl Outline {
    fn of(form: &SagaForm) -> Outline {
        let begin = |StartForm { event, topic, key: _, condition }: &StartForm| Begin {
            event: event.text.clone(),
            topic: topic.text.clone(),
            condition: condition.as_ref().map(text_of),
        };
        Outline {
            saga: form.name.text.clone(),
            starts: form.starts.iter().map(begin).collect(),
            cancel: form.cancel.as_ref().map(|cancel| cancel.event.text.clone()),
            steps: form.steps.iter().map(Part::of).collect(),
            completed: form.on_completed.iter().map(Emission::of).collect(),
            compensated: form.on_compensated.iter().map(Emission::of).collect(),
        }
    }
}

impl Emission {
    fn of(form: &EmitForm) -> Emission {
        Emission { event: form.event.text.clone(), topic: form.topic.text.clone() }
    }
}

impl Part {
    fn of(form: &NodeForm) -> Part {
        let parts = |steps: &[NodeForm]| steps.iter().map(Part::of).collect();
        let does = match &form.verb {
            VerbForm::Do(asks) => {
                let undo = asks.undo.as_ref().map(|undo| undo.command.as_ref().map_or("nothing", |command| &command.text));
                Does::Ask { command: asks.command.text.clone(), undo: undo.map(str::to_owned), pivot: asks.pivot }
            }
            VerbForm::Emit(emits) => Does::Emit(Emission::of(emits)),
            VerbForm::Refuse(refuses) => Does::Refuse(refuses.code.text.clone()),
            VerbForm::Group(group) => Does::Group(parts(&group.steps)),
            VerbForm::Switch(switch) => {
                let arm = |condition: &Option<Parsed>, steps| Arm { condition: condition.as_ref().map(text_of), steps };
                Does::Switch(switch.arms.iter().map(|form| arm(&form.condition, parts(&form.steps))).collect())
            }
            VerbForm::Parallel(parallel) => {
                let steps = parallel.branches.iter().map(|steps| parts(steps));
                Does::Parallel(parallel.names.iter().cloned().zip(steps).collect())
            }
            VerbForm::ForEach(each) => Does::ForEach {
                item: each.item.text.clone(),
                list: text_of(&each.list),
                at_once: each.at_once,
                steps: parts(&each.steps),
            },
            VerbForm::Run(run) => Does::Run(run.saga.text.clone()),
            VerbForm::Wait(wait) => Does::Wait {
                event: wait.listens.event.text.clone(),
                topic: wait.listens.topic.as_ref().map(|topic| topic.text.clone()),
                condition: wait.condition.as_ref().map(text_of),
            },
            VerbForm::Unreadable(_) => unreachable!("what cannot be read has no outline"),
            VerbForm::Sleep(SleepForm::For(millis)) => Does::Sleep(write_duration(*millis)),
            VerbForm::Sleep(SleepForm::Computed(parsed)) => Does::Sleep(text_of(parsed)),
            VerbForm::Approval(asks) => {
                let role = match &asks.role {
                    RoleForm::Fixed(role) => role.text.clone(),
                    RoleForm::Computed(parsed) => text_of(parsed),
                };
                let escalation = |form: &EscalationForm| (write_duration(form.after_ms), form.to.text.clone());
                Does::Approval { role, escalations: asks.escalations.iter().map(escalation).collect() }
            }
        };
        Part { name: form.name.text.clone(), condition: form.condition.as_ref().map(text_of), does, reactions: Answer::all(form) }
    }
}

impl Answer {
    fn all(form: &NodeForm) -> Vec<Answer> {
        let refused = form.on_refused.iter().map(|on| Answer::of("refused", on));
        refused.chain(form.on_failed.iter().map(|on| Answer::of("failed", on))).collect()
    }

    fn of(what: &str, form: &OnForm) -> Answer {
        let to = form.code.as_ref().map_or_else(|| what.to_owned(), |code| format!("{what}: {}", code.text));
        let (next, goes_on) = match form.reaction {
            Reaction::Undo | Reaction::Steps { next: Next::Undo, .. } => ("undo".to_owned(), false),
            Reaction::GoOn | Reaction::Steps { next: Next::GoOn, .. } => ("go_on".to_owned(), true),
            Reaction::Stuck => ("stuck".to_owned(), false),
            Reaction::Steps { next: Next::Retry, at_most, .. } => (format!("retry, at most {at_most}"), false),
        };
        let steps = form.steps.iter().flatten().map(Part::of).collect();
        Answer { to, steps, next, goes_on }
    }
}

/// An expression's text, on one line.
fn text_of(parsed: &Parsed) -> String {
    parsed.text().split_whitespace().collect::<Vec<_>>().join(" ")
}
