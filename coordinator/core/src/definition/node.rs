//! A node of a definition: where it stands in the table, and what it does.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::Phase;

use crate::definition::expression::{Expression, Template};
use crate::definition::{Contract, Do, Emit};

/// Items of one for_each: each is a row of its own.
pub const ITEMS_MAX: usize = 10_000;
/// The number of the root: the sequence of all steps.
pub const ROOT: u16 = 0;

/// One node. Its number is its place in the table.
#[derive(Debug)]
pub struct Node {
    /// Its name, unique in the definition; empty for a list of nodes.
    pub name: Arc<str>,
    /// The first node that does not belong to it.
    pub end: u16,
    /// The node that it belongs to; its own number for the root.
    pub parent: u16,
    /// The nearest node around it that is undone as a whole; its own number for the root.
    pub scope: u16,
    /// Where it stands to the pivot.
    pub phase: Phase,
    /// When it is left well, the saga is behind its pivot.
    pub passes: bool,
    /// Something of it has an undo.
    pub undoes: bool,
    /// The nodes whose results are read under its name, in preorder.
    pub given_by: Box<[u16]>,
    /// Only if this is true; else it is skipped.
    pub condition: Option<Expression>,
    /// Its whole time, retries included; none for ever.
    pub within_ms: Option<Millis>,
    /// It leaves an entry that holds what was entered in it: it is undone as a whole before its reaction is asked.
    pub is_scope: bool,
    /// What follows when it was refused, by code; the last may be for all others.
    pub on_refused: Box<[On]>,
    /// What follows when it failed.
    pub on_failed: Box<[On]>,
    /// What it gives, where it gives a result.
    pub gives: Option<Gives>,
    /// What it does.
    pub verb: Verb,
}

/// A result that expressions can read.
#[derive(Debug, Clone)]
pub struct Gives {
    /// The part of it that expressions can read; none if none is read.
    pub kept: Option<Arc<Schema>>,
    /// Its schema as this version knows it, if there is one.
    pub whole: Option<Arc<Schema>>,
}

/// What follows upon a code.
#[derive(Debug)]
pub struct On {
    /// None: whatever comes to it.
    pub code: Option<Arc<str>>,
    /// What follows.
    pub reaction: Reaction,
}

/// What follows when a node was refused or failed. It left nothing behind by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The scope around it is undone, and refused or failed in turn.
    Undo,
    /// It goes on behind it, as if it were not there.
    GoOn,
    /// A person must look.
    Stuck,
    /// These steps come first.
    Steps {
        /// The number of their list.
        list: u16,
        /// What follows them.
        next: Next,
        /// How often, in one entry of the scope around.
        at_most: u16,
    },
}

/// What follows the steps of a reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It goes on behind the node.
    GoOn,
    /// The node is entered again: a new round.
    Retry,
    /// The scope around it is undone.
    Undo,
}

impl Node {
    /// The part of its result that expressions can read; none if none is read.
    pub fn kept(&self) -> Option<&Arc<Schema>> {
        self.gives.as_ref()?.kept.as_ref()
    }

    /// When its time is over, if it begins now.
    pub fn until(&self, now: Millis) -> Millis {
        self.within_ms.map_or(Millis::MAX, |within| now.saturating_add(within))
    }

    /// All its reactions.
    pub fn reactions(&self) -> impl Iterator<Item = &Reaction> {
        self.on_refused.iter().chain(&self.on_failed).map(|on| &on.reaction)
    }

    /// True if one of its reactions enters it again.
    pub fn is_retried(&self) -> bool {
        self.reactions().any(|reaction| matches!(reaction, Reaction::Steps { next: Next::Retry, .. }))
    }

    /// What follows the steps of this list; none if it is no reaction of this node.
    pub fn next_of(&self, list: u16) -> Option<Next> {
        self.reactions().find_map(|reaction| match reaction {
            Reaction::Steps { list: known, next, .. } if *known == list => Some(*next),
            _ => None,
        })
    }
}

/// What a node does.
#[allow(clippy::large_enum_variant, reason = "nearly all nodes are steps, and a box would be one more hop for each")]
#[derive(Debug)]
pub enum Verb {
    /// Its nodes, one after the other.
    Sequence(Role),
    /// A command to a participant.
    Do(Do),
    /// An event for others. A fact is not undone, and nothing waits for it: it leaves no entry.
    Emit(Emit),
    /// Ends as if refused, with this code.
    Refuse(Arc<str>),
    /// The nodes of its body, its first list.
    Group,
    /// The first of its arms whose condition is true: a list each, in order.
    Choice(Box<[Arm]>),
    /// Its branches, so many lists, side by side.
    Parallel(u16),
    /// Nothing, for a time.
    Sleep(Sleep),
    /// Somebody is asked, and answers yes or no.
    Approval(Approval),
    /// An event of others.
    Wait(Wait),
    /// Its body, its first list, for each item of a list: each a row of its own.
    ForEach(ForEach),
    /// Another saga, in a row of its own.
    Run(Run),
    /// A value that the saga is searched by and has alone, by its name: nothing begins before it has it.
    Claim(Arc<str>),
}

impl Verb {
    /// What listens for it to events, and for which of them: it waits for one, or one answers to it.
    pub fn listens(&self) -> Option<(u16, Option<&Expression>)> {
        match self {
            Verb::Wait(wait) => Some((wait.listener, wait.condition.as_ref())),
            Verb::Approval(Approval { answer: Some(answer), .. }) => Some((answer.listener, answer.condition.as_ref())),
            _ => None,
        }
    }

    /// The value that it claims when it begins, where its event is known by one.
    pub fn claims(&self) -> Option<&Expression> {
        match self {
            Verb::Wait(wait) => wait.value.as_ref(),
            Verb::Approval(Approval { answer: Some(answer), .. }) => answer.value.as_ref(),
            _ => None,
        }
    }

    /// True if it consists of lists of nodes.
    pub fn is_composite(&self) -> bool {
        match self {
            Verb::Sequence(_) | Verb::Group | Verb::Choice(_) | Verb::Parallel(_) | Verb::ForEach(_) => true,
            Verb::Do(_) | Verb::Emit(_) | Verb::Refuse(_) | Verb::Sleep(_) | Verb::Approval(_) | Verb::Wait(_) => false,
            Verb::Run(_) | Verb::Claim(_) => false,
        }
    }
}

/// How long a saga waits for the answer to its claim of a value; that comes at once, unless its partition is down.
pub const CLAIM_WITHIN_MS: Millis = 86_400_000;

/// How long something sleeps.
#[derive(Debug)]
pub enum Sleep {
    /// So long.
    For(Millis),
    /// A duration, from when it begins; or an instant.
    Computed(Expression),
}

/// An event that is waited for.
#[derive(Debug)]
pub struct Wait {
    /// What listens to it: a number of the definition's listeners.
    pub listener: u16,
    /// Where it is known by a value: the saga's.
    pub value: Option<Expression>,
    /// Only one for which this is true.
    pub condition: Option<Expression>,
}

/// The same steps for each item of a list.
#[derive(Debug)]
pub struct ForEach {
    /// The items.
    pub list: Expression,
    /// So many at once at most, also while they are undone.
    pub at_once: u16,
    /// The schema by which an item is kept.
    pub item: Arc<Schema>,
    /// What each item gives when it has ended well; none if nothing is kept.
    pub result: Option<ItemResult>,
}

/// What an item gives, or a saga that is run.
#[derive(Debug)]
pub struct ItemResult {
    /// Its value, rendered by the schema.
    pub value: Template,
    /// Its schema: a for_each gives a list of these, in the order of the items.
    pub schema: Arc<Schema>,
}

/// Another saga, as a step.
#[derive(Debug)]
pub struct Run {
    /// Its name.
    pub saga: Arc<str>,
    /// What it begins with, rendered by the schema of its input as this version knows it.
    pub input: Template,
    /// What this version counts on.
    pub contract: Arc<Contract>,
}

/// A question to a person.
#[derive(Debug)]
pub struct Approval {
    /// Who may answer.
    pub role: RoleName,
    /// What they are shown.
    pub show: Option<Template>,
    /// Who may answer too when nobody did, the earliest first.
    pub escalations: Box<[Escalation]>,
    /// An event that answers too.
    pub answer: Option<EventAnswer>,
}

/// An event that answers to an approval.
#[derive(Debug)]
pub struct EventAnswer {
    /// What listens to it: a number of the definition's listeners.
    pub listener: u16,
    /// Where it is known by a value: the saga's.
    pub value: Option<Expression>,
    /// Only one for which this is true.
    pub condition: Option<Expression>,
    /// Whether it says yes.
    pub approved: Expression,
}

/// Who may answer.
#[derive(Debug)]
pub enum RoleName {
    /// As it is written.
    Fixed(Arc<str>),
    /// Computed when it is asked.
    Computed(Expression),
}

/// More who may answer, after a time.
#[derive(Debug)]
pub struct Escalation {
    /// From when it was asked.
    pub after_ms: Millis,
    /// Who.
    pub to: Arc<str>,
}

/// One way through a choice.
#[derive(Debug)]
pub struct Arm {
    /// None for the last: whatever comes to it.
    pub condition: Option<Expression>,
    /// The number of its list.
    pub list: u16,
}

/// A step that asks a participant: its node, and what it asks.
#[derive(Debug, Clone, Copy)]
pub struct Step<'d> {
    /// The number of its node.
    pub number: u16,
    /// Its node.
    pub node: &'d Node,
    /// What it asks.
    pub asks: &'d Do,
}

/// What a list of nodes is to the node around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All steps of the saga.
    Root,
    /// What a group does.
    Body,
    /// One way through a choice.
    Arm,
    /// One of several ways side by side.
    Branch,
    /// What is done when the node was refused or failed.
    Reaction,
    /// What is done for each item of a list.
    Item,
}

/// Nodes by name. Looking one up allocates nothing.
#[derive(Debug, Default)]
pub struct NodeByName(Vec<(Arc<str>, u16)>);

impl NodeByName {
    /// The names of a table.
    pub fn of(nodes: &[Node]) -> NodeByName {
        let mut names: Vec<_> = nodes
            .iter()
            .zip(0..)
            .filter(|(node, _)| !node.name.is_empty())
            .map(|(node, number)| (node.name.clone(), number))
            .collect();
        names.sort();
        NodeByName(names)
    }

    /// The node of a name.
    pub fn find(&self, name: &str) -> Option<u16> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok().map(|at| self.0[at].1)
    }
}
