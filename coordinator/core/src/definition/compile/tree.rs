//! The tree of a definition as a table: numbers and ranges, parents and scopes, phases, what passes the pivot, what can be undone.

use ringmaster_schemas::journal::Phase;

use super::form::{DoForm, EmitForm, NodeForm, RefuseForm, SagaForm, VerbForm};
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

    /// The nodes of a list, below the node that it is.
    fn steps(&mut self, forms: &'f [NodeForm], list: u16, scope: u16) {
        for form in forms {
            let verb = match &form.verb {
                VerbForm::Do(form) => PlannedVerb::Do(form),
                VerbForm::Emit(form) => PlannedVerb::Emit(form),
                VerbForm::Refuse(form) => PlannedVerb::Refuse(form),
            };
            let node = self.push(Some(form), verb, list, scope);
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
        for (node, number) in self.nodes.iter_mut().zip(0..) {
            let holds = (number..node.end).contains(&pivot);
            node.phase = match number {
                _ if holds => Phase::Pivot,
                number if number > pivot => Phase::Retriable,
                _ => Phase::Compensatable,
            };
            node.passes = holds && number != ROOT && node.parent == ROOT;
        }
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
