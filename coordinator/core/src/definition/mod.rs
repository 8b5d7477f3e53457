//! Saga definitions: YAML with CEL in, checked and typed definitions out (LANGUAGE.md).
//!
//! ```text
//! text -> yaml (spanned tree) -> compile (form, tree of nodes) with expression (typed, bounded) -> Definition
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::{DefinitionHash, Encoding};
use ringmaster_schemas::names::{below, command_topic, item_id, run_id};

pub mod catalog;
pub mod compile;
mod contract;
pub mod defaults;
mod do_;
pub mod expression;
mod heard;
pub mod language;
pub mod limits;
mod node;
mod record;
mod search;
pub mod yaml;

pub use catalog::Catalog;
pub(crate) use compile::ROUNDS_MAX;
pub use compile::{CompileError, Mode, Participant, RecordError, Settings, Topic, compile, parse_millis, without_what_follows};
pub use contract::{Contract, ROWS_DEEP_MAX};
pub use defaults::{DEFAULTS, Defaults};
pub use do_::{Call, Do, Retry, Undo};
pub use expression::{Budget, Environment, Expression, ExpressionError, SearchKind, SiteId, Template};
pub use heard::{Listening, Matching, Starting};
pub use node::{
    Approval, Arm, CLAIM_WITHIN_MS, Escalation, EventAnswer, ForEach, Gives, ITEMS_MAX, ItemResult, Next, Node, NodeByName, On,
    ROOT, Reaction, Role, RoleName, Run, Sleep, Step, Verb, Wait,
};
pub use record::{DefinitionRecord, defined_twice};
pub use search::Search;

/// One version of a saga definition, checked and ready to run.
#[derive(Debug)]
pub struct Definition {
    /// Its name, the first part of its sagas' ids.
    pub name: Arc<str>,
    /// Its content hash: over its text and the keys of the schemas it was compiled against.
    pub hash: DefinitionHash,
    /// What starts a saga of it, each by another event, or by one of another topic.
    pub starts: Vec<Start>,
    /// The part of the start events that expressions of this version can read: what state keeps, and what `start` evaluates on. One
    /// layout for all starts.
    pub start_kept: Arc<Schema>,
    /// What its sagas listen to beside that.
    pub listeners: Vec<Listener>,
    /// How long a saga may take before it is undone; none for ever.
    pub deadline_ms: Option<Millis>,
    /// Which sagas go first where not all can; none: all are usual.
    pub priority: Option<Expression>,
    /// What its sagas are searched by.
    pub search: Vec<Search>,
    /// How long the row of a finished saga stays: as long, a repeated start is recognised.
    pub retain_ms: Millis,
    /// The nodes in preorder, the root first: all that belongs to a node is the range from itself to its `end`.
    pub nodes: Vec<Node>,
    /// The nodes by their names.
    pub names: NodeByName,
    /// Whether there is a step that cannot be undone.
    pub has_pivot: bool,
    /// Something of it claims values: what waits for an event that is known by one, or the saga itself.
    pub has_claims: bool,
    /// Something of it is done for each item of a list.
    pub has_items: bool,
    /// Its sagas have rows below them, or may stand below others.
    pub has_rows: bool,
    /// Of a saga without a start event: what it begins with.
    pub input: Option<SagaInput>,
    /// What the saga that runs it can read.
    pub result: Option<ItemResult>,
    /// What it promises to those that run it.
    pub contract: Option<Arc<Contract>>,
    /// Events for others when everything is done.
    pub on_completed: Vec<Emit>,
    /// Events for others when everything is undone.
    pub on_compensated: Vec<Emit>,
    /// Events for others each time that something begins to need a person.
    pub on_stuck: Vec<Emit>,
}

/// What a saga without a start event begins with.
#[derive(Debug)]
pub struct SagaInput {
    /// Its schema.
    pub reader: Arc<Schema>,
    /// The part of it that expressions of this version can read: what state keeps, and what `start` evaluates on.
    pub kept: Arc<Schema>,
}

/// What starts a saga.
#[derive(Debug)]
pub struct Start {
    /// The event's type.
    pub event: Arc<str>,
    /// The topic it comes on.
    pub topic: Arc<str>,
    /// The saga's key; none: the record's key.
    pub key: Option<Expression>,
    /// The same as it is written; empty for the record's.
    pub key_text: String,
    /// Only if this is true.
    pub condition: Option<Expression>,
    /// The event's schema as this version knows it (`ringmaster.Json` where there is none).
    pub reader: Arc<Schema>,
    /// The part of it that expressions of this version can read: what `event` evaluates on. Of one start that is what state keeps.
    pub kept: Arc<Schema>,
}

/// Events of one type on one topic that sagas of a definition listen to.
#[derive(Debug)]
pub struct Listener {
    /// The event's type.
    pub event: Arc<str>,
    /// The topic it comes on.
    pub topic: Arc<str>,
    /// The key of the saga that it is for; none: the record's key, or it is known by a value.
    pub key: Option<Expression>,
    /// The key as it is written; empty for the record's, and where it is known by a value.
    pub key_text: String,
    /// Not by a key, but by a value of this field.
    pub matches: Option<MatchedField>,
    /// How long one that comes early is kept.
    pub keep_ms: Millis,
    /// It cancels the saga.
    pub cancels: bool,
    /// The event's schema as this version knows it (`ringmaster.Json` where there is none).
    pub reader: Arc<Schema>,
    /// The part of it that expressions of this version can read: what state keeps, and what `event` evaluates on.
    pub kept: Arc<Schema>,
}

/// A field of an event by whose values the event is known.
#[derive(Debug)]
pub struct MatchedField {
    /// Which.
    pub name: Arc<str>,
    /// Its value, of `read`.
    pub expression: Expression,
    /// The event's schema with this field alone.
    pub read: Arc<Schema>,
}

impl Definition {
    /// What listens to this, by its number.
    pub fn listener(&self, topic: &str, event: &str) -> Option<(u16, &Listener)> {
        let mut all = (0..).zip(&self.listeners);
        all.find(|(_, listener)| *listener.topic == *topic && *listener.event == *event)
    }

    /// The start by this, by its number.
    pub fn started_on(&self, topic: &str, event: &str) -> Option<(u16, &Start)> {
        let mut all = (0..).zip(&self.starts);
        all.find(|(_, start)| *start.topic == *topic && *start.event == *event)
    }

    /// The start that people name so, as [`Definition::start_names`] says.
    pub fn start_named(&self, name: &str) -> Option<(u16, &Start)> {
        let at = self.start_names().iter().position(|known| known == name)?;
        Some((at as u16, &self.starts[at]))
    }

    /// The events that start it, as people name them.
    pub fn start_names(&self) -> Vec<String> {
        let is_alone = |start: &Start| self.starts.iter().filter(|other| other.event == start.event).count() == 1;
        let named = |start: &Start| match is_alone(start) {
            true => start.event.to_string(),
            false => format!("{} from {}", start.event, start.topic),
        };
        self.starts.iter().map(named).collect()
    }

    /// The topics that its sagas listen to: those of the starts, and those of other events.
    pub fn inputs(&self) -> BTreeSet<&Arc<str>> {
        self.listeners.iter().map(|listener| &listener.topic).chain(self.starts.iter().map(|start| &start.topic)).collect()
    }

    /// A node by its number; none if this definition has no such node.
    pub fn node(&self, node: u16) -> Option<&Node> {
        self.nodes.get(usize::from(node))
    }

    /// The step that a node is; none where it asks nobody.
    pub fn step(&self, node: u16) -> Option<Step<'_>> {
        let number = node;
        let node = self.node(node)?;
        match &node.verb {
            Verb::Do(asks) => Some(Step { number, node, asks }),
            Verb::Sequence(_) | Verb::Emit(_) | Verb::Refuse(_) | Verb::Group | Verb::Choice(_) | Verb::Parallel(_) => None,
            Verb::Sleep(_) | Verb::Approval(_) | Verb::Wait(_) | Verb::ForEach(_) | Verb::Run(_) | Verb::Claim(_) => None,
        }
    }

    /// The list that the row of this id goes through: all steps, also of a sub-saga; of an item the body of its for_each.
    pub fn list_of(&self, id: &str) -> u16 {
        if !self.has_items {
            return ROOT;
        }
        let Some(below) = below(id).filter(|below| below.item.is_some()) else { return ROOT };
        self.names.find(below.step).map_or(ROOT, |step| step + 1)
    }

    /// True if something reads the result of a node, or of a step in it: it is not gone on without.
    pub(crate) fn is_result_read(&self, number: u16) -> bool {
        let node = &self.nodes[usize::from(number)];
        // What an item did is read by nobody but that item.
        let is_read_around = node.verb.is_composite() && !matches!(node.verb, Verb::ForEach(_));
        let end = if is_read_around { node.end } else { number + 1 };
        self.nodes[usize::from(number)..usize::from(end)].iter().any(|node| node.kept().is_some())
    }

    /// The sub-saga that a step runs; none where it runs none.
    pub fn run_named(&self, step: &str) -> Option<&Run> {
        match &self.node(self.names.find(step)?)?.verb {
            Verb::Run(run) => Some(run),
            _ => None,
        }
    }

    /// What it runs, in preorder; some more than once.
    pub fn runs(&self) -> impl Iterator<Item = (&Node, &Run)> {
        self.nodes.iter().filter_map(|node| match &node.verb {
            Verb::Run(run) => Some((node, run)),
            _ => None,
        })
    }

    /// The id of the row below this one that an entry of a node has, of this number.
    pub fn row_below(&self, above: &str, (node, round): (u16, u8), index: u16) -> String {
        let node = &self.nodes[usize::from(node)];
        match node.verb {
            Verb::Run(_) => run_id(above, &node.name, round),
            _ => item_id(above, &node.name, round, index),
        }
    }

    /// The list of the row that a node is done in: all steps, or the body of the nearest for_each around it.
    pub fn list_around(&self, node: u16) -> u16 {
        let is_body = |list: u16| {
            let owner = self.nodes[usize::from(list)].parent;
            list == owner + 1 && matches!(self.nodes[usize::from(owner)].verb, Verb::ForEach(_))
        };
        self.around(node).find(|list| *list != ROOT && is_body(*list)).unwrap_or(ROOT)
    }

    /// The nodes around one, from the nearest on, the root last; none around the root.
    pub fn around(&self, node: u16) -> impl Iterator<Item = u16> {
        let parent = |node: u16| (node != ROOT).then(|| self.nodes[usize::from(node)].parent);
        std::iter::successors(parent(node), move |node| parent(*node))
    }

    /// The lists of nodes that belong to a node, in order.
    pub fn lists(&self, owner: u16) -> impl Iterator<Item = u16> {
        let end = self.nodes[usize::from(owner)].end;
        let within = move |list: u16| (list < end).then_some(list);
        std::iter::successors(within(owner + 1), move |list| within(self.nodes[usize::from(*list)].end))
    }

    /// Everything that it emits, on the way, at its ends and where it is stuck.
    pub fn emits(&self) -> impl Iterator<Item = &Emit> {
        let on_the_way = self.nodes.iter().filter_map(|node| match &node.verb {
            Verb::Emit(emit) => Some(emit),
            Verb::Sequence(_) | Verb::Do(_) | Verb::Refuse(_) | Verb::Group | Verb::Choice(_) | Verb::Parallel(_) => None,
            Verb::Sleep(_) | Verb::Approval(_) | Verb::Wait(_) | Verb::ForEach(_) | Verb::Run(_) | Verb::Claim(_) => None,
        });
        on_the_way.chain(&self.on_completed).chain(&self.on_compensated).chain(&self.on_stuck)
    }

    /// The steps that ask participants, in preorder.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        (0..self.nodes.len()).filter_map(|node| self.step(node as u16))
    }

    /// The participants that it asks, by do and by undo; some more than once.
    pub fn participants(&self) -> impl Iterator<Item = &str> {
        let calls = self.steps().flat_map(|step| {
            let undo = match &step.asks.undo {
                Undo::Command { call, .. } => Some(call),
                Undo::Nothing | Undo::Never => None,
            };
            [Some(&step.asks.call), undo]
        });
        calls.flatten().map(|call| &*call.participant)
    }

    /// The topics that it sends to: of commands and of events.
    pub fn outputs(&self) -> BTreeSet<String> {
        let commands = self.participants().map(command_topic);
        commands.chain(self.emits().map(|emit| emit.topic.to_string())).collect()
    }

    /// What a name means, if it is a step's.
    pub fn step_named(&self, name: &str) -> Option<Step<'_>> {
        self.step(self.names.find(name)?)
    }
}

/// A domain event for others.
#[derive(Debug)]
pub struct Emit {
    /// Its type.
    pub event: Arc<str>,
    /// Where to.
    pub topic: Arc<str>,
    /// The record's key; none: the saga's key.
    pub key: Option<Expression>,
    /// Its body.
    pub body: Template,
    /// How.
    pub encoding: Encoding,
    /// Fingerprint for the single-object header; 0 for JSON.
    pub fingerprint: i64,
    /// With CloudEvents headers (binary mode), or plain.
    pub headers: bool,
}
