//! The tree of a definition as a table: numbers and ranges, parents and scopes, phases, what passes the pivot, what can be undone.

use ringmaster_schemas::journal::Phase;

use super::form::{DoForm, EmitForm, NodeForm, RefuseForm, SagaForm, SwitchForm, VerbForm};
use crate::definition::{ROOT, Role};

/// The nodes of a definition in preorder, as they are planned.
pub(super) struct Tree<'f> {
    pub(super) nodes: Vec<Planned<'f>>,
}

/// A node before anything of it is looked up or compiled.
pub(super) struct Planned<'f> {
    /// As it is written; none for a list of nodes.
    pub(super) form: Option<&'f NodeForm>,
    pub(super) verb: PlannedVerb<'f>,
    pub(super) end: u16,
    pub(super) parent: u16,
    pub(super) scope: u16,
    pub(super) phase: Phase,
    pub(super) passes: bool,
    pub(super) undoes: bool,
}

/// What a node does.
#[derive(Clone, Copy)]
pub(super) enum PlannedVerb<'f> {
    Sequence(Role),
    Do(&'f DoForm),
    Emit(&'f EmitForm),
    Refuse(&'f RefuseForm),
    Group,
    Switch(&'f SwitchForm),
}

impl<'f> Tree<'f> {
    pub(super) fn of(form: &'f SagaForm) -> Tree<'f> {
        let mut tree = Tree { nodes: Vec::new() };
        let root = tree.push(None, PlannedVerb::Sequence(Role::Root), ROOT, ROOT);
        tree.steps(&form.steps, root, root);
        tree.close(root);
        tree.place_to_the_pivot();
        tree
    }

    /// A list that belongs to a node.
    fn list(&mut self, role: Role, forms: &'f [NodeForm], owner: u16) {
        let list = self.push(None, PlannedVerb::Sequence(role), owner, owner);
        self.steps(forms, list, owner);
        self.close(list);
    }

    /// The nodes of a list, below the node that it is.
    fn steps(&mut self, forms: &'f [NodeForm], list: u16, scope: u16) {
        for form in forms {
            let verb = match &form.verb {
                VerbForm::Do(form) => PlannedVerb::Do(form),
                VerbForm::Emit(form) => PlannedVerb::Emit(form),
                VerbForm::Refuse(form) => PlannedVerb::Refuse(form),
                VerbForm::Group(_) => PlannedVerb::Group,
                VerbForm::Switch(form) => PlannedVerb::Switch(form),
            };
            let node = self.push(Some(form), verb, list, scope);
            match &form.verb {
                VerbForm::Group(group) => self.list(Role::Body, &group.steps, node),
                VerbForm::Switch(switch) => switch.arms.iter().for_each(|arm| self.list(Role::Arm, &arm.steps, node)),
                VerbForm::Do(_) | VerbForm::Emit(_) | VerbForm::Refuse(_) => {}
            }
            self.close(node);
        }
    }

    fn push(&mut self, form: Option<&'f NodeForm>, verb: PlannedVerb<'f>, parent: u16, scope: u16) -> u16 {
        let node = u16::try_from(self.nodes.len()).expect("a file has fewer nodes than 65,536");
        let undoes = matches!(verb, PlannedVerb::Do(form) if form.undo.as_ref().is_some_and(|undo| undo.command.is_some()));
        self.nodes.push(Planned { form, verb, end: node, parent, scope, phase: Phase::Compensatable, passes: false, undoes });
        node
    }

    /// All that belongs to the node stands behind it now.
    fn close(&mut self, node: u16) {
        let end = self.nodes.len();
        let undoes = self.nodes[usize::from(node)..].iter().any(|inner| inner.undoes);
        let closed = &mut self.nodes[usize::from(node)];
        (closed.end, closed.undoes) = (end as u16, undoes);
    }

    /// Without a pivot every step can be undone: the saga is done when its last step is.
    fn place_to_the_pivot(&mut self) {
        let Some(pivot) = self.pivots().next() else { return };
        let phases: Vec<Phase> = (0..self.nodes.len() as u16)
            .map(|number| match number {
                _ if self.holds(number, pivot) => Phase::Pivot,
                number if number > pivot && !self.is_another_way(number, pivot) => Phase::Retriable,
                _ => Phase::Compensatable,
            })
            .collect();
        for (node, phase) in self.nodes.iter_mut().zip(phases) {
            node.phase = phase;
            node.passes = phase == Phase::Pivot && !matches!(node.verb, PlannedVerb::Sequence(_));
        }
    }

    /// True if a node is this one, or belongs to it.
    fn holds(&self, node: u16, inner: u16) -> bool {
        (node..self.node(node).end).contains(&inner)
    }

    /// True if a node is in an arm of a choice that is left for the other's (the pivot's).
    pub(super) fn is_another_way(&self, node: u16, pivot: u16) -> bool {
        self.around(pivot).any(|list| {
            let is_arm = matches!(self.node(list).verb, PlannedVerb::Sequence(Role::Arm));
            is_arm && self.holds(self.node(list).parent, node) && !self.holds(list, node)
        })
    }

    /// The nodes that a node belongs to, from the nearest on, the root last.
    pub(super) fn around(&self, node: u16) -> impl Iterator<Item = u16> {
        let parent = |node: u16| (node != ROOT).then(|| self.node(node).parent);
        std::iter::successors(parent(node), move |node| parent(*node))
    }

    /// What belongs to a node itself: the nodes of a list, the lists of a group or choice.
    pub(super) fn children(&self, owner: u16) -> impl Iterator<Item = u16> {
        let end = self.node(owner).end;
        let within = move |list: u16| (list < end).then_some(list);
        std::iter::successors(within(owner + 1), move |list| within(self.node(*list).end))
    }

    /// True if nothing around a node may pass it by.
    pub(super) fn is_on_every_way(&self, node: u16) -> bool {
        self.around(node).all(|around| {
            let around = self.node(around);
            let is_arm = matches!(around.verb, PlannedVerb::Sequence(Role::Arm));
            !is_arm && around.form.is_none_or(|form| form.condition.is_none())
        })
    }

    /// The steps that say that they are the pivot: one, if the definition is right.
    pub(super) fn pivots(&self) -> impl Iterator<Item = u16> {
        self.dos().filter(|step| step.form.pivot).map(|step| step.number)
    }

    /// The steps that ask participants.
    pub(super) fn dos(&self) -> impl Iterator<Item = Step<'_, 'f>> {
        self.nodes.iter().zip(0..).filter_map(|(planned, number)| match (planned.form, planned.verb) {
            (Some(node), PlannedVerb::Do(form)) => Some(Step { number, planned, node, form }),
            _ => None,
        })
    }

    pub(super) fn node(&self, number: u16) -> &Planned<'f> {
        &self.nodes[usize::from(number)]
    }
}

/// A step that asks a participant.
pub(super) struct Step<'t, 'f> {
    pub(super) number: u16,
    pub(super) planned: &'t Planned<'f>,
    pub(super) node: &'f NodeForm,
    pub(super) form: &'f DoForm,
}
