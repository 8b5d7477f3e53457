//! A random definition as a tree, before it is written: what the language allows, and what follows from where a node stands.

use std::collections::BTreeSet;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Phase;

use super::value::{Condition, Value};

/// A definition.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) deadline_ms: Option<Millis>,
    pub(super) steps: Vec<Node>,
    /// What the events of its ends tell; none without events.
    pub(super) completed: Option<Value>,
    pub(super) compensated: Option<Value>,
}

/// A node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) condition: Option<Condition>,
    /// By [`Plan::mend`].
    pub(super) phase: Phase,
    pub(super) what: What,
}

/// What a node does.
#[derive(Debug, Clone)]
pub(super) enum What {
    Do(Do),
    Emit(Value),
    Refuse,
    Group(Vec<Node>),
    Switch(Vec<Arm>),
}

/// A way through a switch; only the last one has no condition.
#[derive(Debug, Clone)]
pub(super) struct Arm {
    pub(super) condition: Option<Condition>,
    pub(super) steps: Vec<Node>,
}

/// A command, and how it is asked.
#[derive(Debug, Clone)]
pub(super) struct Do {
    pub(super) tells: Value,
    /// None on the pivot and behind it.
    pub(super) undo: Option<Undo>,
    pub(super) timeout_ms: Millis,
    pub(super) within_ms: Option<Millis>,
    pub(super) retry: Retry,
    pub(super) pivot: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Undo {
    Nothing,
    /// With the body of the do.
    Same,
    /// With a body of its own.
    Own(Value),
}

#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub(super) attempts: Option<u32>,
    pub(super) first_ms: Millis,
    pub(super) max_ms: Millis,
    /// A failure that is not tried again.
    pub(super) not_on: Option<&'static str>,
}

/// What is known where a node stands.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The pivot is behind.
    passed: bool,
    /// A pivot was met.
    pivot: bool,
    readable: BTreeSet<String>,
    certain: BTreeSet<String>,
}

impl Plan {
    /// Makes a tree that somebody drew, or cut something out of, one that the language allows.
    pub(super) fn mend(&mut self) {
        let mut known = Known::default();
        mend_list(&mut self.steps, &mut known, true);
        if self.steps.is_empty() {
            let tells = Value::Const(0);
            let (name, what) = ("told".to_owned(), What::Emit(tells));
            self.steps.push(Node { name, condition: None, phase: Phase::Compensatable, what });
        }
        if let Some(value) = &mut self.completed {
            known.mend(value);
        }
        if let Some(value) = &mut self.compensated {
            known.certain.clear();
            known.mend(value);
        }
    }

    /// All nodes in preorder.
    pub(super) fn nodes(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        self.steps.iter().for_each(|node| node.push(&mut out));
        out
    }

    /// The node of a name.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes().into_iter().find(|node| node.name == name)
    }

    /// Whether something cannot be undone.
    pub(super) fn has_pivot(&self) -> bool {
        self.nodes().iter().any(|node| matches!(&node.what, What::Do(asks) if asks.pivot))
    }
}

impl Node {
    fn push<'n>(&'n self, out: &mut Vec<&'n Node>) {
        out.push(self);
        self.lists().into_iter().flatten().for_each(|node| node.push(out));
    }

    /// The lists of nodes inside it.
    pub(super) fn lists(&self) -> Vec<&Vec<Node>> {
        match &self.what {
            What::Group(steps) => vec![steps],
            What::Switch(arms) => arms.iter().map(|arm| &arm.steps).collect(),
            What::Do(_) | What::Emit(_) | What::Refuse => Vec::new(),
        }
    }

    /// The same, to change them.
    pub(super) fn lists_mut(&mut self) -> Vec<&mut Vec<Node>> {
        match &mut self.what {
            What::Group(steps) => vec![steps],
            What::Switch(arms) => arms.iter_mut().map(|arm| &mut arm.steps).collect(),
            What::Do(_) | What::Emit(_) | What::Refuse => Vec::new(),
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
    if let Some(condition) = &mut node.condition {
        known.mend_condition(condition);
    }
    let before = known.clone();
    match &mut node.what {
        What::Do(asks) => {
            known.mend(&mut asks.tells);
            asks.pivot &= !known.pivot;
            node.phase = known.phase(asks.pivot);
            known.pivot |= asks.pivot;
            known.passed |= asks.pivot;
            known.readable.insert(node.name.clone());
            if node.condition.is_none() {
                known.certain.insert(node.name.clone());
            }
            mend_undo(&node.name, node.phase, asks, known);
        }
        What::Emit(tells) => known.mend(tells),
        What::Refuse if known.passed => node.what = What::Emit(Value::Const(1)),
        What::Refuse => {}
        What::Group(steps) => {
            mend_list(steps, known, true);
            if steps.is_empty() {
                return false;
            }
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
    }
    if !matches!(node.what, What::Do(_)) {
        node.phase = if known.passed && !before.passed { Phase::Pivot } else { before.phase(false) };
    }
    if node.condition.is_some() {
        known.certain = before.certain;
    }
    true
}

fn mend_arms(arms: &mut Vec<Arm>, known: &mut Known) {
    let before = known.clone();
    let (mut passed, mut readable) = (before.passed, before.readable.clone());
    for arm in arms.iter_mut() {
        let mut inside = Known { pivot: known.pivot, ..before.clone() };
        if let Some(condition) = &mut arm.condition {
            inside.mend_condition(condition);
        }
        mend_list(&mut arm.steps, &mut inside, arm.condition.is_none());
        passed |= inside.passed;
        known.pivot = inside.pivot;
        readable.append(&mut inside.readable);
    }
    (known.passed, known.readable) = (passed, readable);
    arms.retain(|arm| arm.condition.is_none() || !arm.steps.is_empty());
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

impl Known {
    fn phase(&self, pivot: bool) -> Phase {
        match (pivot, self.passed) {
            (true, _) => Phase::Pivot,
            (false, true) => Phase::Retriable,
            (false, false) => Phase::Compensatable,
        }
    }

    fn mend(&self, value: &mut Value) {
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
