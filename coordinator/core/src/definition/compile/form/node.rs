//! A node: its name, what all nodes may have, and its verb.

use super::super::fields::{Fields, Word, duration, is_called, without_split};
use super::super::keys::{VERBS, verbs_with};
use super::super::report::{Report, suggest};
use super::approval::ApprovalForm;
use super::do_::{DoForm, UndoForm};
use super::emit::EmitForm;
use super::for_each::ForEachForm;
use super::group::{self, GroupForm, SwitchForm};
use super::parallel::ParallelForm;
use super::react::{self, OnForm};
use super::refuse::RefuseForm;
use super::run::RunForm;
use super::sleep::SleepForm;
use super::wait::WaitForm;
use super::{Length, expression, name_of, within};
use crate::definition::Role;
use crate::definition::expression::scope::RESERVED;
use crate::definition::expression::{Form, Parsed};
use crate::definition::yaml::{Kind, Node};

/// Steps of one definition: a row holds them all.
pub(crate) const STEPS_MAX: usize = 200;

pub(in crate::definition::compile) struct NodeForm {
    pub(in crate::definition::compile) name: Word,
    pub(in crate::definition::compile) condition: Option<Parsed>,
    pub(in crate::definition::compile) within: Option<Length>,
    /// The name that it stands for, in a reaction.
    pub(in crate::definition::compile) stands_for: Option<Word>,
    pub(in crate::definition::compile) on_refused: Vec<OnForm>,
    pub(in crate::definition::compile) on_failed: Vec<OnForm>,
    pub(in crate::definition::compile) verb: VerbForm,
}

/// What a node does, as it is written.
pub(in crate::definition::compile) enum VerbForm {
    Do(DoForm),
    Emit(EmitForm),
    Refuse(RefuseForm),
    Group(GroupForm),
    Switch(SwitchForm),
    Parallel(ParallelForm),
    ForEach(ForEachForm),
    Run(RunForm),
    Sleep(SleepForm),
    Approval(ApprovalForm),
    Wait(WaitForm),
    Unreadable(UnreadableForm),
}

/// What stands where a verb cannot be read, which is told: it may be any.
pub(in crate::definition::compile) struct UnreadableForm {
    /// Its body, of which the expressions can be checked all the same.
    pub(in crate::definition::compile) with: Option<Form>,
    /// It may hold the pivot.
    pub(in crate::definition::compile) may_be_pivot: bool,
    /// The steps in it.
    pub(in crate::definition::compile) lists: Vec<Vec<NodeForm>>,
}

impl UnreadableForm {
    fn of(node: &Node, report: &mut Report<'_>) -> VerbForm {
        let with = node.named("with").filter(|with| !with.is_empty()).map(|with| Form::new(with, report));
        let values: &[(Node, Node)] = if let Kind::Map(entries) = &node.kind { entries } else { &[] };
        let lists = values.iter().filter(|(key, _)| key.scalar() != Some("step"));
        let lists = lists.filter(|(key, _)| key.scalar().is_none_or(|key| !within::OTHERS.contains(&key)));
        let lists = lists.flat_map(|(_, value)| within::lists(value, report)).collect();
        // What runs a saga may run one with a pivot.
        let may_be_pivot = ["pivot", "run"].iter().any(|key| node.named(key).is_some());
        VerbForm::Unreadable(UnreadableForm { with, may_be_pivot, lists })
    }
}

/// All steps of a definition: what is inside others counts, and names are unique. `None` where there are too many.
pub(super) fn read_all(node: &Node, report: &mut Report<'_>) -> Option<Vec<NodeForm>> {
    let steps = read_steps(node, report);
    let mut names = Vec::new();
    group::names(&steps, &mut names);
    if names.len() > STEPS_MAX {
        let hint = "put what belongs together into a saga of its own, and run it: run: NAME";
        report.error(&node.span, format!("a definition has at most {STEPS_MAX} steps, not {}", names.len()), hint);
        return None;
    }
    for (index, (name, span)) in names.iter().enumerate() {
        if let Some((_, first)) = names[..index].iter().find(|(other, first)| other == name && first != span) {
            let hint = format!("it is first on line {}: give one of them another name", report.line(first.start));
            report.error(span, format!("step '{name}' is defined twice"), hint);
        }
    }
    Some(steps)
}

/// A list of nodes; nothing where it is none, which is told.
pub(super) fn read_steps(node: &Node, report: &mut Report<'_>) -> Vec<NodeForm> {
    let Kind::List(items) = &node.kind else {
        report.error(
            &node.span,
            format!("steps are a list, not {}", node.describe()),
            "each step begins with a dash: - step: NAME",
        );
        // One step without its dash is one all the same.
        return within::steps(node, report);
    };
    if items.is_empty() || items.len() > STEPS_MAX {
        let hint = match items.is_empty() {
            true => "write what is done, each step behind a dash: - step: NAME; or remove what has no steps",
            false => "put what belongs together into a saga of its own, and run it: run: NAME",
        };
        report.error(&node.span, format!("a list has 1 to {STEPS_MAX} steps, not {}", items.len()), hint);
        return Vec::new();
    }
    items.iter().map(|item| NodeForm::read(item, None, report)).collect()
}

impl NodeForm {
    /// `named` is its name where that stands elsewhere.
    pub(super) fn read(node: &Node, named: Option<&Node>, report: &mut Report<'_>) -> NodeForm {
        let verbs = verbs_of(node);
        let (verb, shape) = VERBS[verbs.first().map_or(0, |(verb, _)| *verb)];
        // Whose verb is not known may mean any.
        let all: Vec<&str> = if verbs.is_empty() { keys().collect() } else { shape.names().collect() };
        if let [_, (other, key), ..] = verbs[..] {
            let other = VERBS[other].0;
            let hint = match (verb, other) {
                ("for_each", _) => format!("what is done for each item stands in steps: - {{ step: NAME, {other}: ... }}"),
                _ => "make two steps of it".to_owned(),
            };
            let each = verbs[0].1;
            if verb == "for_each" && each.scalar() != Some(verb) {
                let message = format!("a step has no '{}'", each.scalar().unwrap_or_default());
                report.error(&each.span, message, "here it is called 'for_each'");
            }
            report.error(&key.span, format!("a step does one thing: '{verb}' or '{other}'"), hint);
            let is_each = verb == "for_each" && node.named("do").is_some_and(|command| command.scalar().is_some());
            return if is_each { within::for_each(node, each, report) } else { NodeForm::unreadable(node, report) };
        }
        let Some(fields) = Fields::new(node, shape.what, &all, &[], report) else {
            return NodeForm::beside_split(node, named, (verb, &all), report);
        };
        let name = named.or_else(|| fields.needed("step", "step: NAME", report));
        let name = name.map(|node| name_of(node, "a step's name", &RESERVED, report).unwrap_or_else(|| as_written(node)));
        let misspelt = VERBS.iter().any(|(verb, _)| fields.means(verb));
        // A verb that is misspelt is told already.
        let unknown = verbs.is_empty() && misspelt;
        let mut condition = expression(fields.node("if"), report);
        if condition.is_none() && fields.means("if") {
            condition = Some(Parsed::unreadable(node.span.clone(), ""));
        }
        let has = |key: &str| shape.names().any(|known| known == key);
        let within = if has("within") { fields.duration("within", report) } else { None };
        let stands_for = fields.node("as").filter(|_| has("as") && verb != "for_each");
        let stands_for = stands_for
            .map(|node| name_of(node, "a step's name", &RESERVED, report).unwrap_or_else(|| Word::unreadable(&node.span)));
        let mut reactions = |key: &str| if has(key) { react::read(fields.node(key), key, report) } else { Vec::new() };
        let (on_refused, on_failed) = (reactions("on_refused"), reactions("on_failed"));
        let verb = match verb {
            _ if unknown => None,
            "wait" => {
                let of_event = condition.take();
                Some(VerbForm::Wait(WaitForm::read(&fields, of_event, report)))
            }
            "sleep" => SleepForm::read(&fields, report).map(VerbForm::Sleep),
            "approval" => Some(VerbForm::Approval(ApprovalForm::read(&fields, report))),
            "emit" => Some(VerbForm::Emit(EmitForm::of(&fields, report))),
            "refuse" => RefuseForm::read(&fields, report).map(VerbForm::Refuse),
            "steps" => GroupForm::read(&fields, report).map(VerbForm::Group),
            "switch" => SwitchForm::read(&fields, report).map(VerbForm::Switch),
            "for_each" => ForEachForm::read(&fields, report).map(VerbForm::ForEach),
            "run" => Some(VerbForm::Run(RunForm::read(&fields, report))),
            "parallel" => ParallelForm::read(&fields, report).map(VerbForm::Parallel),
            _ => DoForm::read(&fields, within.as_ref(), report).map(VerbForm::Do),
        };
        NodeForm {
            name: name.unwrap_or_else(|| unnamed(node, report)),
            condition,
            within,
            stands_for,
            on_refused,
            on_failed,
            verb: verb.unwrap_or_else(|| UnreadableForm::of(node, report)),
        }
    }

    /// What YAML splits at a comma, which is told, hides nothing of what stands beside it.
    fn beside_split(node: &Node, named: Option<&Node>, (verb, all): (&str, &[&str]), report: &mut Report<'_>) -> NodeForm {
        let is_lost = |whole: &Node, key: &str| node.named(key).is_some() && whole.named(key).is_none();
        let whole = without_split(node).filter(|whole| !all.iter().any(|key| *key != "if" && is_lost(whole, key)));
        let Some(whole) = whole else { return NodeForm::unreadable(node, report) };
        let form = NodeForm::read(&whole, named, report);
        let is_asked = is_lost(&whole, "if") && verb != "wait";
        let condition = if is_asked { Some(Parsed::unreadable(node.span.clone(), "")) } else { form.condition };
        NodeForm { condition, ..form }
    }

    /// What is no step of one verb, which is told.
    pub(super) fn unreadable(node: &Node, report: &mut Report<'_>) -> NodeForm {
        let name = node.named("step").filter(|name| name.scalar().is_some()).map(as_written);
        // What these are means the same beside any verb.
        for key in ["within", "timeout", "keep"] {
            node.named(key).and_then(|node| duration(key, node, report));
        }
        if let Some(undo) = node.named("undo") {
            UndoForm::read(undo, report);
        }
        NodeForm {
            name: name.unwrap_or_else(|| unnamed(node, report)),
            // That of a wait is about its event.
            condition: expression(node.named("if").filter(|_| node.named("wait").is_none()), report),
            within: None,
            stands_for: None,
            on_refused: react::read(node.named("on_refused"), "on_refused", report),
            on_failed: react::read(node.named("on_failed"), "on_failed", report),
            verb: UnreadableForm::of(node, report),
        }
    }

    /// The lists of nodes inside it, in the order of the table: bodies, then reactions.
    pub(in crate::definition::compile) fn lists(&self) -> impl Iterator<Item = (Role, &[NodeForm])> {
        let bodies: Vec<(Role, &[NodeForm])> = match &self.verb {
            VerbForm::Group(group) => vec![(Role::Body, &group.steps)],
            VerbForm::Switch(switch) => switch.arms.iter().map(|arm| (Role::Arm, &arm.steps[..])).collect(),
            VerbForm::Parallel(parallel) => parallel.branches.iter().map(|steps| (Role::Branch, &steps[..])).collect(),
            VerbForm::ForEach(each) => vec![(Role::Item, &each.steps)],
            VerbForm::Do(_) | VerbForm::Emit(_) | VerbForm::Refuse(_) | VerbForm::Sleep(_) => Vec::new(),
            VerbForm::Approval(_) | VerbForm::Wait(_) | VerbForm::Run(_) => Vec::new(),
            VerbForm::Unreadable(form) => form.lists.iter().map(|steps| (Role::Body, &steps[..])).collect(),
        };
        bodies.into_iter().chain(self.reactions().filter_map(|on| on.steps.as_ref().map(|steps| (Role::Reaction, &steps[..]))))
    }

    /// It, and all that is in it.
    pub(in crate::definition::compile) fn each<'f>(&'f self, visit: &mut dyn FnMut(&'f NodeForm)) {
        visit(self);
        self.lists().for_each(|(_, steps)| steps.iter().for_each(|step| step.each(visit)));
    }

    /// All its reactions, in order.
    pub(in crate::definition::compile) fn reactions(&self) -> impl Iterator<Item = &OnForm> {
        self.on_refused.iter().chain(&self.on_failed)
    }
}

/// A name that is none, which is told: others find the step by it all the same.
fn as_written(node: &Node) -> Word {
    Word { text: node.scalar().unwrap_or_default().to_owned(), span: node.span.clone() }
}

/// Each step has a name of its own, also one that has none.
fn unnamed(node: &Node, report: &Report<'_>) -> Word {
    Word { text: format!("on line {}", report.line(node.span.start)), span: node.span.clone() }
}

/// What nodes may have, whatever their verb.
fn keys() -> impl Iterator<Item = &'static str> {
    let all = VERBS.iter().flat_map(|(_, shape)| shape.names());
    let mut seen = Vec::new();
    all.filter(move |key| {
        let is_new = !seen.contains(key);
        seen.push(*key);
        is_new
    })
}

/// The verbs of a node, by their place in [`VERBS`], with their keys. What belongs to another verb (the steps of a for_each) is none.
fn verbs_of(node: &Node) -> Vec<(usize, &Node)> {
    let Kind::Map(entries) = &node.kind else { return Vec::new() };
    let verb = |key: &Node| VERBS.iter().position(|(verb, ..)| key.scalar() == Some(verb));
    let found: Vec<(usize, &Node)> = entries.iter().filter_map(|(key, _)| Some((verb(key)?, key))).collect();
    let is_there = |verb: &str| found.iter().any(|(at, _)| VERBS[*at].0 == verb);
    let is_part = |(at, _): &(usize, &Node)| verbs_with(VERBS[*at].0).any(is_there);
    let mut verbs: Vec<(usize, &Node)> = found.iter().filter(|one| !is_part(one)).copied().collect();
    // Steps beside a for_each that is misspelt are no group, and what else is done there is done for each item.
    let is_each = |key: &Node| key.scalar().is_some_and(|key| is_called(key, "for_each") || suggest(key, ["for_each"]).is_some());
    if let [(at, _)] = verbs[..]
        && ["steps", "do"].contains(&VERBS[at].0)
        && let Some((key, _)) = entries.iter().find(|(key, _)| is_each(key))
        && let Some(each) = VERBS.iter().position(|(verb, _)| *verb == "for_each")
    {
        let others = if VERBS[at].0 == "do" { verbs } else { Vec::new() };
        verbs = [(each, key)].into_iter().chain(others).collect();
    }
    verbs
}
