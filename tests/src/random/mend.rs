//! Makes a tree that somebody drew, or cut something out of, one that the language allows.

use std::collections::BTreeSet;

use ringmaster_core::definition::DEFAULTS;
use ringmaster_schemas::journal::Phase;

use super::plan::{Arm, Do, Fits, Next, Node, On, Plan, Reaction, Undo, What};
use super::value::{Condition, Value};

/// How often a node may be entered.
const TRIES_MAX: u16 = 20;

/// What is known where a node stands.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The pivot is behind.
    passed: bool,
    /// A pivot was met, or none may be here.
    pivot: bool,
    /// How often what is here may be entered.
    tries: u16,
    /// Something around is tried again.
    retried: bool,
    readable: BTreeSet<String>,
    certain: BTreeSet<String>,
    /// For what a step may stand here.
    stands: BTreeSet<String>,
}

impl Plan {
    /// Mends it, and notes where each node stands to the pivot. What reads something that had to go is mended by a second look.
    pub(super) fn mend(&mut self) {
        self.mend_once();
        self.mend_once();
    }

    fn mend_once(&mut self) {
        let mut known = Known { tries: 1, ..Known::default() };
        mend_list(&mut self.steps, &mut known, true);
        if self.steps.is_empty() {
            self.steps.push(Node::plain("told".to_owned(), What::Emit(Value::Const(0))));
        }
        if let Some(value) = &mut self.completed {
            known.mend(value);
        }
        known.certain.clear();
        for value in [&mut self.compensated, &mut self.stuck].into_iter().flatten() {
            known.mend(value);
        }
    }
}

/// `open`: something may stand behind the list's end, so that not every way through it may be a refusal.
fn mend_list(list: &mut Vec<Node>, known: &mut Known, open: bool) {
    list.retain_mut(|node| mend_node(node, known));
    let last = list.len().saturating_sub(1);
    for (at, node) in list.iter_mut().enumerate() {
        if matches!(node.what, What::Refuse) && node.condition.is_none() && (open || at < last) {
            node.condition = Some(Condition::AtLeast(Value::Start(0), 2));
        }
    }
}

/// False if nothing is left of it.
fn mend_node(node: &mut Node, known: &mut Known) -> bool {
    // The if of a wait is its event's.
    node.condition.take_if(|_| matches!(node.what, What::Wait(_)));
    if let Some(condition) = &mut node.condition {
        known.mend_condition(condition);
    }
    let before = known.clone();
    mend_tries(node, known);
    known.retried |= node.reactions().any(|on| matches!(on.reaction, Reaction::Steps { next: Next::Retry(_), .. }));
    // What its reactions do before it is entered again.
    let mut inside = Known { readable: earlier_rounds(node, known), ..known.clone() };
    if !mend_what(node, &mut inside) {
        return false;
    }
    (known.passed, known.pivot) = (inside.passed, inside.pivot);
    known.readable.append(&mut inside.readable);
    known.certain = inside.certain;
    if !matches!(node.what, What::Do(_)) {
        node.phase = if known.passed && !before.passed { Phase::Pivot } else { before.phase(false) };
    }
    let goes_on = mend_reactions(node, &before, known);
    if node.condition.is_some() || goes_on {
        known.certain = before.certain;
    }
    (known.tries, known.retried) = (before.tries, before.retried);
    true
}

fn mend_what(node: &mut Node, known: &mut Known) -> bool {
    let stands = std::mem::take(&mut known.stands);
    match &mut node.what {
        What::Do(asks) => {
            asks.stands_for.take_if(|name| !stands.contains(name));
            known.mend(&mut asks.tells);
            asks.pivot &= !known.pivot;
            node.phase = known.phase(asks.pivot);
            known.pivot |= asks.pivot;
            known.passed |= asks.pivot;
            let name = asks.stands_for.as_ref().unwrap_or(&node.name);
            known.readable.insert(name.clone());
            known.certain.insert(name.clone());
            let name = name.clone();
            mend_undo(&name, node.phase, asks, known);
        }
        What::Emit(tells) => known.mend(tells),
        What::Sleep(_) => {}
        What::Wait(wait) => {
            if let Some(Fits::AtMost(most)) = &mut wait.fits {
                known.mend(most);
            }
        }
        What::Approval(approval) => known.mend(&mut approval.shown),
        What::Refuse if known.passed => node.what = What::Emit(Value::Const(1)),
        What::Refuse => {}
        What::Group(steps) => {
            mend_list(steps, known, true);
            return !steps.is_empty();
        }
        What::Switch(arms) => {
            mend_arms(arms, known);
            if arms.len() == 1 {
                let steps = arms.remove(0).steps;
                let empty = steps.is_empty();
                node.what = What::Group(steps);
                return !empty;
            }
        }
        What::Parallel(branches) => {
            mend_branches(branches, known);
            if branches.len() < 2 {
                let steps = branches.pop().unwrap_or_default();
                let empty = steps.is_empty();
                node.what = What::Group(steps);
                return !empty;
            }
        }
    }
    true
}

fn mend_arms(arms: &mut Vec<Arm>, known: &mut Known) {
    let before = known.clone();
    for arm in arms.iter_mut() {
        // Each way has its own pivot.
        let mut inside = before.clone();
        if let Some(condition) = &mut arm.condition {
            inside.mend_condition(condition);
        }
        mend_list(&mut arm.steps, &mut inside, arm.condition.is_none());
        known.passed |= inside.passed;
        known.pivot |= inside.pivot;
        known.readable.append(&mut inside.readable);
    }
    arms.retain(|arm| arm.condition.is_none() || !arm.steps.is_empty());
}

fn mend_branches(branches: &mut Vec<Vec<Node>>, known: &mut Known) {
    let before = known.clone();
    for branch in branches.iter_mut() {
        let mut inside = Known { pivot: true, ..before.clone() };
        mend_list(branch, &mut inside, true);
        known.readable.append(&mut inside.readable);
        known.certain.append(&mut inside.certain);
    }
    branches.retain(|branch| !branch.is_empty());
}

/// An undo reads its own step as one that may have given nothing.
fn mend_undo(name: &str, phase: Phase, asks: &mut Do, known: &Known) {
    if phase != Phase::Compensatable {
        asks.undo = None;
        return;
    }
    if let Undo::Own(value) = asks.undo.get_or_insert(Undo::Same) {
        let mut before = known.clone();
        before.certain.remove(name);
        before.mend(value);
    }
}

/// The rounds of a node and of all around it have a limit together.
fn mend_tries(node: &mut Node, known: &mut Known) {
    let mut tries = 1;
    for on in node.on_refused.iter_mut().chain(&mut node.on_failed) {
        let Reaction::Steps { next, .. } = &mut on.reaction else { continue };
        if let Next::Retry(at_most) = *next {
            if known.tries * (tries + at_most) > TRIES_MAX {
                *next = Next::Undo;
            } else {
                tries += at_most;
            }
        }
    }
    known.tries *= tries;
}

/// What can be read in a node that is entered again: what its reactions gave before.
fn earlier_rounds(node: &Node, known: &Known) -> BTreeSet<String> {
    let retried = node.reactions().filter_map(|on| match &on.reaction {
        Reaction::Steps { steps, next: Next::Retry(_) } => Some(steps),
        _ => None,
    });
    let mut readable = known.readable.clone();
    for node in retried.flatten().flat_map(Node::all) {
        if node.gives_its_name() {
            readable.insert(node.name.clone());
        }
    }
    readable
}

/// What means nothing where the node stands goes. True if it may go on behind the node although that did not end well.
fn mend_reactions(node: &mut Node, before: &Known, known: &mut Known) -> bool {
    let is_step = matches!(node.what, What::Do(_));
    if node.waits_by_itself() {
        node.on_failed.clear();
        if matches!(node.what, What::Sleep(_)) && node.within_ms.is_none() {
            node.on_refused.clear();
        }
        let within_ms = node.within_ms.unwrap_or(DEFAULTS.within_ms(node.phase));
        if let What::Approval(approval) = &mut node.what {
            approval.escalations.retain(|after| *after < within_ms);
        }
    } else if !is_step {
        if node.phase != Phase::Compensatable || !matches!(node.what, What::Group(_) | What::Switch(_) | What::Parallel(_)) {
            (node.within_ms, node.on_refused, node.on_failed) = (None, Vec::new(), Vec::new());
        }
    } else if node.phase != Phase::Compensatable {
        node.on_failed.clear();
    }
    let phase = node.phase;
    let stands: BTreeSet<String> =
        node.all().into_iter().filter(|node| node.gives_its_name()).map(|node| node.name.clone()).collect();
    let behind = known.clone();
    for on in node.on_refused.iter_mut().chain(&mut node.on_failed) {
        if phase == Phase::Retriable {
            on.reaction = forward(std::mem::replace(&mut on.reaction, Reaction::Stuck));
        }
        let inside = Known { pivot: true, passed: phase == Phase::Retriable, stands: stands.clone(), ..behind.clone() };
        known.readable.append(&mut mend_steps(on, phase, Known { certain: before.certain.clone(), ..inside }).readable);
    }
    node.reactions().any(|on| matches!(on.reaction, Reaction::GoOn | Reaction::Steps { next: Next::GoOn, .. }))
}

/// Behind the pivot there is only forward.
fn forward(reaction: Reaction) -> Reaction {
    match reaction {
        Reaction::Undo | Reaction::GoOn | Reaction::Stuck => Reaction::Stuck,
        Reaction::Steps { steps, next: Next::Undo } => Reaction::Steps { steps, next: Next::GoOn },
        Reaction::Steps { steps, next } => Reaction::Steps { steps, next },
    }
}

/// What is known behind the steps of a reaction, if it has some.
fn mend_steps(on: &mut On, phase: Phase, mut known: Known) -> Known {
    let Reaction::Steps { steps, next } = &mut on.reaction else { return known };
    mend_list(steps, &mut known, true);
    if let (Phase::Pivot, Next::GoOn, Some(last)) = (phase, *next, steps.last_mut())
        && let What::Do(asks) = &mut last.what
    {
        // The pivot in its stead.
        (last.phase, asks.undo) = (Phase::Pivot, None);
        let before = known.clone();
        mend_reactions(last, &before, &mut known);
    }
    if steps.is_empty() {
        on.reaction = if phase == Phase::Retriable { Reaction::Stuck } else { Reaction::Undo };
    }
    known
}

impl Known {
    fn phase(&self, pivot: bool) -> Phase {
        match (pivot, self.passed) {
            (true, _) => Phase::Pivot,
            (false, true) => Phase::Retriable,
            (false, false) => Phase::Compensatable,
        }
    }

    fn mend(&self, value: &mut Value) {
        if *value == Value::Round && !self.retried {
            *value = Value::Const(1);
        }
        let Some(step) = value.step().map(str::to_owned) else { return };
        if !self.readable.contains(&step) {
            *value = Value::Const(2);
        } else if !self.certain.contains(&step) {
            *value = Value::Result(step);
        }
    }

    fn mend_condition(&self, condition: &mut Condition) {
        match condition {
            Condition::AtLeast(value, _) | Condition::Below(value, _) => self.mend(value),
            Condition::Has(step, _) if !self.readable.contains(step) => *condition = Condition::AtLeast(Value::Start(1), 1),
            Condition::Has(..) => {}
        }
    }
}
