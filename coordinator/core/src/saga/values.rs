//! Where `decide` gets the values of expressions: one interface, so that a checker can choose them instead.

use bytes::Bytes;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Emission, Failure};
use ringmaster_schemas::names::below;
use ringmaster_schemas::state::{Entry, Saga, Status, Work};
use smallvec::SmallVec;

use super::decide::Above;

use crate::definition::expression::{Budget, NODES_PER_TURN_MAX};
use crate::definition::{Definition, Emit, Environment, Expression, ExpressionError, ROOT, Template};
use crate::faults::mutated;

/// What an expression may see.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The saga, or the row of an item or of a sub-saga.
    pub saga: &'a Saga,
    /// Of an item or of a sub-saga: the rows above it, the nearest first.
    pub above: &'a [Above<'a>],
    /// What failed, where something did.
    pub failure: Option<&'a Failure>,
    /// The event that came, by what is kept of it; none where it is about none.
    pub event: Option<&'a [u8]>,
    /// Which try it is, where something is tried again; from 1.
    pub round: i64,
    /// What is undone stays readable: in an undo, and behind the saga's end.
    pub undone: bool,
    /// The turn's time.
    pub now: Millis,
}

/// The values of a definition's expressions for a saga. Which one is asked for, its [`site`](Expression::site) tells.
pub trait Values {
    /// A node's `if`.
    fn condition(&self, view: View<'_>, condition: &Expression) -> Result<bool, ExpressionError>;
    /// The items of a list, appended each with its length in front; how many there are.
    fn items(&self, view: View<'_>, list: &Expression, out: &mut Vec<u8>) -> Result<u32, ExpressionError>;
    /// When a sleep that begins now is over.
    fn wakes_at(&self, view: View<'_>, sleep: &Expression) -> Result<Millis, ExpressionError>;
    /// A text: who is asked for an approval.
    fn text(&self, view: View<'_>, text: &Expression) -> Result<String, ExpressionError>;
    /// Appends a command's body, encoded; or what is shown to people.
    fn body(&self, view: View<'_>, body: &Template, out: &mut Vec<u8>) -> Result<(), ExpressionError>;
    /// What they have cost so far, in nodes that were evaluated.
    fn cost(&self) -> u32 {
        0
    }
    /// An emission, rendered. `id` makes it unique within the saga; `scratch` is any buffer, used again and again.
    fn emission(&self, view: View<'_>, emit: &Emit, id: &str, scratch: &mut Vec<u8>) -> Result<Emission, ExpressionError>;
}

/// The values as the definition's expressions give them.
#[derive(Debug)]
pub struct Evaluated<'d> {
    definition: &'d Definition,
    /// All expressions of a turn together have one.
    budget: Budget,
}

impl<'d> Evaluated<'d> {
    /// The values for one turn.
    pub fn new(definition: &'d Definition) -> Self {
        Evaluated { definition, budget: Budget::new() }
    }

    fn with<T>(&self, view: View<'_>, run: impl FnOnce(&Environment<'_>) -> T) -> T {
        let saga = view.saga;
        let rows = Rows::new(&view, self.definition);
        let result = |node: u16| {
            let saga = rows.of(node);
            // What is undone is absent, but while it is undone: what certainly succeeded must never be absent then.
            let undone = view.undone || saga.status != Status::Running || mutated("undone_result_read");
            let names = &self.definition.nodes[usize::from(node)].given_by;
            let names = if mutated("as_read_under_own_name") { &names[..1] } else { names };
            let is_there = |entry: &Entry| entry.work == Work::Done && entry.stray().is_none();
            let given = |entry: &&Entry| names.contains(&entry.node) && (is_there(entry) || (undone && entry.result.is_some()));
            let entry = saga.entries.iter().rev().find(given)?;
            match &entry.result {
                Some(result) => Some(result.bytes()),
                // Something reads it, and it was too big to be kept.
                None if self.definition.nodes[usize::from(entry.node)].kept().is_some() => None,
                None => Some(&[][..]),
            }
        };
        let root = rows.root();
        let item = |each: u16| rows.item(each);
        let key = saga.key();
        let environment = Environment {
            key: &key,
            start: root.start(),
            item: &item,
            index: if view.above.is_empty() { 0 } else { below(&saga.id).map_or(0, |below| i64::from(below.index())) },
            event: view.event.unwrap_or_default(),
            results: &result,
            failure: view.failure,
            round: view.round,
            now: view.now,
            started: root.head.started_at(),
            budget: &self.budget,
        };
        run(&environment)
    }
}

/// A row and those above it, as expressions see them: what is above a sub-saga is no matter of its own.
struct Rows<'a> {
    /// The nearest first, each with the list that it goes through.
    all: SmallVec<[(&'a Saga, u16); ROWS_USUAL]>,
    definition: &'a Definition,
}

/// Rows for which there is room without an allocation: a saga, an item and an item of that.
const ROWS_USUAL: usize = 3;

impl<'a> Rows<'a> {
    fn new(view: &View<'a>, definition: &'a Definition) -> Self {
        let mut all = SmallVec::new();
        if !definition.has_items {
            all.push((view.saga, ROOT));
            return Rows { all, definition };
        }
        for row in std::iter::once(view.saga).chain(view.above.iter().map(|above| &*above.saga)) {
            let list = definition.list_of(&row.id);
            all.push((row, list));
            if list == ROOT {
                break;
            }
        }
        Rows { all, definition }
    }

    /// The row that has the entries of a node.
    fn of(&self, node: u16) -> &'a Saga {
        let goes_through = |list: u16| list == ROOT || (list..self.definition.nodes[usize::from(list)].end).contains(&node);
        self.all.iter().find(|(_, list)| goes_through(*list)).map_or(self.all[0].0, |(row, _)| row)
    }

    /// The saga itself, or the sub-saga.
    fn root(&self) -> &'a Saga {
        self.all[self.all.len() - 1].0
    }

    /// The item of a for_each.
    fn item(&self, each: u16) -> Option<&'a [u8]> {
        self.all.iter().find(|(_, list)| *list == each + 1).map(|(row, _)| row.start())
    }
}

impl Values for Evaluated<'_> {
    fn cost(&self) -> u32 {
        NODES_PER_TURN_MAX - self.budget.left()
    }

    fn items(&self, view: View<'_>, list: &Expression, out: &mut Vec<u8>) -> Result<u32, ExpressionError> {
        self.with(view, |environment| list.items(environment, out))
    }

    fn condition(&self, view: View<'_>, condition: &Expression) -> Result<bool, ExpressionError> {
        self.with(view, |environment| condition.truth(environment))
    }

    fn wakes_at(&self, view: View<'_>, sleep: &Expression) -> Result<Millis, ExpressionError> {
        self.with(view, |environment| sleep.instant(environment))
    }

    fn text(&self, view: View<'_>, text: &Expression) -> Result<String, ExpressionError> {
        self.with(view, |environment| text.text(environment))
    }

    fn body(&self, view: View<'_>, body: &Template, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        self.with(view, |environment| body.render(environment, out))
    }

    fn emission(&self, view: View<'_>, emit: &Emit, id: &str, scratch: &mut Vec<u8>) -> Result<Emission, ExpressionError> {
        self.with(view, |environment| {
            let key = match &emit.key {
                None => view.saga.key().into(),
                Some(expression) => expression.text(environment)?.into(),
            };
            scratch.clear();
            if emit.fingerprint != 0 {
                scratch.extend_from_slice(&[0xc3, 0x01]);
                scratch.extend_from_slice(&emit.fingerprint.to_le_bytes());
            }
            emit.body.render(environment, scratch)?;
            Ok(Emission {
                topic: emit.topic.clone(),
                key,
                kind: emit.event.clone(),
                id: id.into(),
                body: Bytes::copy_from_slice(scratch),
                encoding: emit.encoding,
                headers: emit.headers,
            })
        })
    }
}
