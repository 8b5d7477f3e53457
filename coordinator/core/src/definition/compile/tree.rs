//! The tree of a definition as a table: numbers and ranges, parents and scopes, phases, what passes the pivot, what can be undone.

use ringmaster_schemas::journal::Phase;

use super::contracts::Contracts;
use super::form::{
    ApprovalForm, DoForm, EmitForm, ForEachForm, NodeForm, OnForm, RefuseForm, RunForm, SagaForm, SearchForm, SleepForm,
    SwitchForm, UnreadableForm, VerbForm, WaitForm,
};
use crate::definition::{Next, ROOT, Reaction, Role};

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
    /// It leaves an entry that holds what was entered in it.
    pub(super) is_scope: bool,
    /// It says that it is the pivot, or runs a saga that holds one.
    pub(super) says_pivot: bool,
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
    Parallel,
    Sleep(&'f SleepForm),
    Approval(&'f ApprovalForm),
    Wait(&'f WaitForm),
    ForEach(&'f ForEachForm),
    Run(&'f RunForm, Promised),
    Claim(&'f SearchForm),
    Unreadable(&'f UnreadableForm),
}

/// What a saga promises that is run.
#[derive(Clone, Copy, Default)]
pub(super) struct Promised {
    pub(super) result: bool,
    pub(super) pivot: bool,
}

impl PlannedVerb<'_> {
    /// True if it consists of lists of nodes.
    pub(super) fn is_composite(&self) -> bool {
        match self {
            PlannedVerb::Group | PlannedVerb::Switch(_) | PlannedVerb::Parallel | PlannedVerb::ForEach(_) => true,
            PlannedVerb::Sequence(_) | PlannedVerb::Do(_) | PlannedVerb::Emit(_) | PlannedVerb::Refuse(_) => false,
            PlannedVerb::Sleep(_) | PlannedVerb::Approval(_) | PlannedVerb::Wait(_) | PlannedVerb::Run(..) => false,
            PlannedVerb::Claim(_) | PlannedVerb::Unreadable(_) => false,
        }
    }

    /// True if it gives a result that expressions can read.
    pub(super) fn gives(&self) -> bool {
        match self {
            PlannedVerb::Do(_) | PlannedVerb::Approval(_) | PlannedVerb::Wait(_) | PlannedVerb::Unreadable(_) => true,
            PlannedVerb::ForEach(form) => form.result.is_some(),
            PlannedVerb::Run(_, promised) => promised.result,
            PlannedVerb::Sequence(_) | PlannedVerb::Emit(_) | PlannedVerb::Refuse(_) | PlannedVerb::Sleep(_) => false,
            PlannedVerb::Group | PlannedVerb::Switch(_) | PlannedVerb::Parallel | PlannedVerb::Claim(_) => false,
        }
    }
}

impl<'f> Tree<'f> {
    pub(super) fn of(form: &'f SagaForm, contracts: &Contracts) -> Tree<'f> {
        let mut tree = Tree { nodes: Vec::new() };
        let root = tree.push(None, PlannedVerb::Sequence(Role::Root), ROOT, ROOT);
        for search in form.search.iter().filter(|search| search.unique) {
            let claim = tree.push(None, PlannedVerb::Claim(search), root, root);
            tree.close(claim);
        }
        tree.steps(&form.steps, (root, root), contracts);
        tree.close(root);
        tree.place_to_the_pivot();
        tree
    }

    /// The nodes of a list, below the node that it is.
    fn steps(&mut self, forms: &'f [NodeForm], (list, scope): (u16, u16), contracts: &Contracts) {
        for form in forms {
            let verb = match &form.verb {
                VerbForm::Do(form) => PlannedVerb::Do(form),
                VerbForm::Emit(form) => PlannedVerb::Emit(form),
                VerbForm::Refuse(form) => PlannedVerb::Refuse(form),
                VerbForm::Group(_) => PlannedVerb::Group,
                VerbForm::Switch(form) => PlannedVerb::Switch(form),
                VerbForm::Parallel(_) => PlannedVerb::Parallel,
                VerbForm::Sleep(form) => PlannedVerb::Sleep(form),
                VerbForm::Approval(form) => PlannedVerb::Approval(form),
                VerbForm::Wait(form) => PlannedVerb::Wait(form),
                VerbForm::Unreadable(form) => PlannedVerb::Unreadable(form),
                VerbForm::ForEach(form) => PlannedVerb::ForEach(form),
                VerbForm::Run(form) => {
                    let promised = contracts.get(&form.saga.text);
                    let of = |contract: &_| promised_by(contract);
                    PlannedVerb::Run(form, promised.map(of).unwrap_or_default())
                }
            };
            let node = self.push(Some(form), verb, list, scope);
            // A group without time or reactions of its own is only a way: what fails in it passes on at once.
            let asks = form.within.is_some() || form.reactions().next().is_some();
            let is_items = matches!(verb, PlannedVerb::ForEach(_));
            let is_scope = verb.is_composite() && !is_items && (asks || matches!(verb, PlannedVerb::Parallel));
            self.nodes[usize::from(node)].is_scope = is_scope;
            // What is in an item stands in the item's own row, which is undone as a whole.
            let inside = if is_scope || is_items { node } else { scope };
            for (role, steps) in form.lists() {
                // A reaction stands where its node does: when it fails, what is around the node fails.
                let scope = if role == Role::Reaction { scope } else { inside };
                let list = self.push(None, PlannedVerb::Sequence(role), node, scope);
                self.steps(steps, (list, scope), contracts);
                self.close(list);
            }
            self.close(node);
        }
    }

    fn push(&mut self, form: Option<&'f NodeForm>, verb: PlannedVerb<'f>, parent: u16, scope: u16) -> u16 {
        let node = u16::try_from(self.nodes.len()).expect("a file has fewer nodes than 65,536");
        // Whether a sub-saga has something to undo its own version knows.
        let (undoes, says_pivot) = match verb {
            PlannedVerb::Do(form) => (form.undo.as_ref().is_some_and(|undo| undo.command.is_some()), form.pivot),
            PlannedVerb::Run(_, promised) => (true, promised.pivot),
            _ => (false, false),
        };
        let phase = Phase::Compensatable;
        self.nodes.push(Planned {
            form,
            verb,
            end: node,
            parent,
            scope,
            phase,
            passes: false,
            undoes,
            is_scope: false,
            says_pivot,
        });
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
        let pivots: Vec<u16> = self.pivots().collect();
        let any = |is: &dyn Fn(u16) -> bool| pivots.iter().any(|pivot| is(*pivot));
        let phases: Vec<Phase> = (0..self.nodes.len() as u16)
            .map(|number| match number {
                _ if any(&|pivot| self.holds(number, pivot)) => Phase::Pivot,
                _ if any(&|pivot| self.is_in_its_stead(number, pivot)) => Phase::Pivot,
                // The steps of its reactions belong to it: it has been refused by then.
                _ if any(&|pivot| self.holds(pivot, number)) => Phase::Compensatable,
                _ if any(&|pivot| self.is_behind(number, pivot)) => Phase::Retriable,
                _ => Phase::Compensatable,
            })
            .collect();
        for (node, phase) in self.nodes.iter_mut().zip(phases) {
            node.phase = phase;
            node.passes = phase == Phase::Pivot && !matches!(node.verb, PlannedVerb::Sequence(_));
        }
    }

    /// True if a node comes behind the pivot on every way that leads through both.
    pub(super) fn is_behind(&self, number: u16, pivot: u16) -> bool {
        number > pivot && !self.is_another_way(number, pivot)
    }

    /// True for the last step of the pivot's reaction behind which it goes on, if it asks somebody: it is the pivot then, and so is what
    /// stands in its own stead.
    fn is_in_its_stead(&self, number: u16, pivot: u16) -> bool {
        let Some(owner) = self.reaction_around(number) else { return false };
        if owner != pivot && !self.is_in_its_stead(owner, pivot) {
            return false;
        }
        let planned = self.node(number);
        let list = self.node(planned.parent);
        let is_last = planned.end == list.end;
        let goes_on = |on: &OnForm| matches!(on.reaction, Reaction::Steps { next: Next::GoOn, .. });
        is_last && matches!(planned.verb, PlannedVerb::Do(_)) && self.reaction_of(planned.parent).is_some_and(goes_on)
    }

    /// The reaction whose steps this list is.
    pub(super) fn reaction_of(&self, list: u16) -> Option<&'f OnForm> {
        let owner = self.node(list).parent;
        let at = self.reaction_lists(owner).position(|known| known == list)?;
        self.node(owner).form?.reactions().filter(|on| on.steps.is_some()).nth(at)
    }

    /// What follows the steps of a reaction.
    pub(super) fn next_of(&self, list: u16) -> Option<Next> {
        match self.reaction_of(list)?.reaction {
            Reaction::Steps { next, .. } => Some(next),
            Reaction::Undo | Reaction::GoOn | Reaction::Stuck => None,
        }
    }

    /// The step under whose name the result of this one is read: this one stands in a reaction of that step, or of what is around that.
    pub(super) fn stands_for(&self, number: u16) -> Option<u16> {
        let name = self.node(number).form?.stands_for.as_ref()?;
        self.could_stand_for(number).find(|(_, node)| node.name.text == name.text).map(|(other, _)| other)
    }

    /// All steps under whose names the result of this one could be read.
    pub(super) fn could_stand_for(&self, number: u16) -> impl Iterator<Item = (u16, &'f NodeForm)> {
        let reacts = move |other: u16| self.reactions_around(number).any(|owner| self.holds(owner, other));
        self.givers()
            .filter(move |(other, node)| *other != number && node.stands_for.is_none() && reacts(*other))
            // Nothing stands for a list of what items gave.
            .filter(|(other, _)| !matches!(self.node(*other).verb, PlannedVerb::ForEach(_)))
            .filter(move |(other, _)| self.each_that_hides(*other, number).is_none())
    }

    /// The nodes in whose reactions this one stands, from the nearest on.
    pub(super) fn reactions_around(&self, number: u16) -> impl Iterator<Item = u16> {
        let lists = self.around(number).filter(|list| matches!(self.node(*list).verb, PlannedVerb::Sequence(Role::Reaction)));
        lists.map(|list| self.node(list).parent)
    }

    /// The node in one of whose reactions this one stands, directly.
    pub(super) fn reaction_around(&self, number: u16) -> Option<u16> {
        let list = self.node(self.node(number).parent);
        matches!(list.verb, PlannedVerb::Sequence(Role::Reaction)).then_some(list.parent)
    }

    /// True if a node, or something around it, may be refused or failed, and something follows all the same.
    pub(super) fn may_be_left_out(&self, node: u16) -> bool {
        let goes_on = |on: &OnForm| matches!(on.reaction, Reaction::GoOn | Reaction::Steps { .. });
        std::iter::once(node)
            .chain(self.around(node))
            .any(|node| self.node(node).form.is_some_and(|form| form.reactions().any(goes_on)))
    }

    /// The lists of a node's reactions, in order.
    pub(super) fn reaction_lists(&self, owner: u16) -> impl Iterator<Item = u16> {
        self.children(owner).filter(|list| matches!(self.node(*list).verb, PlannedVerb::Sequence(Role::Reaction)))
    }

    /// The lists of a node that are no reactions, in order.
    pub(super) fn bodies(&self, owner: u16) -> impl Iterator<Item = u16> {
        self.children(owner).filter(|list| !matches!(self.node(*list).verb, PlannedVerb::Sequence(Role::Reaction)))
    }

    /// True if a node is this one, or belongs to it.
    pub(super) fn holds(&self, node: u16, inner: u16) -> bool {
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

    /// The for_eaches in whose items a node stands, from the nearest on.
    pub(super) fn items(&self, node: u16) -> impl Iterator<Item = u16> {
        let lists = self.around(node).filter(|list| matches!(self.node(*list).verb, PlannedVerb::Sequence(Role::Item)));
        lists.map(|list| self.node(list).parent)
    }

    /// The for_each that has a node in its items, where another node, who might read it, does not stand in the same.
    pub(super) fn each_that_hides(&self, node: u16, from: u16) -> Option<u16> {
        let known: Vec<u16> = self.items(from).collect();
        // The outermost of them is the one whose result could be read there.
        self.items(node).filter(|each| !known.contains(each)).last()
    }

    /// How many rows may lie below one another, the saga's own counted, and where most do.
    pub(super) fn rows_deep(&self, contracts: &Contracts) -> Option<(usize, u16)> {
        let deep = |(planned, number): (&Planned<'f>, u16)| {
            let below = match planned.verb {
                PlannedVerb::ForEach(_) => 1,
                PlannedVerb::Run(form, _) => usize::from(contracts.get(&form.saga.text)?.rows_deep),
                _ => return None,
            };
            Some((1 + self.items(number).count() + below, number))
        };
        self.nodes.iter().zip(0..).filter_map(deep).max_by_key(|(rows, _)| *rows)
    }

    /// True if nothing around a node may pass it by.
    pub(super) fn is_on_every_way(&self, node: u16) -> bool {
        self.around(node).all(|around| {
            let around = self.node(around);
            let is_way = matches!(around.verb, PlannedVerb::Sequence(Role::Arm | Role::Reaction));
            !is_way && around.form.is_none_or(|form| form.condition.is_none())
        })
    }

    /// The steps that say that they are the pivot, or that run what holds it: one on each way, if the definition is right.
    pub(super) fn pivots(&self) -> impl Iterator<Item = u16> {
        self.say_pivot().filter(|number| self.misplaces_pivot(*number).is_none())
    }

    /// The same, wherever they stand.
    pub(super) fn say_pivot(&self) -> impl Iterator<Item = u16> {
        self.nodes.iter().zip(0..).filter(|(planned, _)| planned.says_pivot).map(|(_, number)| number)
    }

    /// The list around a step in which no pivot may stand: a branch, an item, or a reaction.
    pub(super) fn misplaces_pivot(&self, number: u16) -> Option<Role> {
        let roles = self.around(number).filter_map(|list| match self.node(list).verb {
            PlannedVerb::Sequence(role) => Some(role),
            _ => None,
        });
        roles.into_iter().find(|role| matches!(role, Role::Branch | Role::Item | Role::Reaction))
    }

    /// The steps that ask participants.
    pub(super) fn dos(&self) -> impl Iterator<Item = Step<'_, 'f>> {
        self.nodes.iter().zip(0..).filter_map(|(planned, number)| match (planned.form, planned.verb) {
            (Some(node), PlannedVerb::Do(form)) => Some(Step { number, planned, node, form }),
            _ => None,
        })
    }

    /// The nodes that give results.
    pub(super) fn givers(&self) -> impl Iterator<Item = (u16, &'f NodeForm)> {
        let giver = |(planned, number): (&Planned<'f>, u16)| Some((number, planned.form.filter(|_| planned.verb.gives())?));
        self.nodes.iter().zip(0..).filter_map(giver)
    }

    pub(super) fn node(&self, number: u16) -> &Planned<'f> {
        &self.nodes[usize::from(number)]
    }
}

fn promised_by(contract: &std::sync::Arc<crate::definition::Contract>) -> Promised {
    Promised { result: contract.result.is_some(), pivot: contract.has_pivot }
}

/// A step that asks a participant.
pub(super) struct Step<'t, 'f> {
    pub(super) number: u16,
    pub(super) planned: &'t Planned<'f>,
    pub(super) node: &'f NodeForm,
    pub(super) form: &'f DoForm,
}
