//! Short numbers for what counts are told apart by: a row in memory remembers them, not names.

use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::journal::{DefinitionHash, Order};
use ringmaster_schemas::names::participant_of;
use ringmaster_schemas::state::{Entry, Work};

/// The number of a version, or of a participant, in one partition's memory.
pub(in crate::partition) type Number = u16;

/// All that have a number. Beyond 65,535 of a kind, which no fleet has, the last one stands for all others.
#[derive(Debug, Default)]
pub(in crate::partition) struct Names {
    pub(super) versions: Vec<DefinitionHash>,
    by_version: HashMap<DefinitionHash, Number>,
    pub(super) participants: Vec<Arc<str>>,
    by_participant: HashMap<Arc<str>, Number>,
    by_command: HashMap<Box<str>, Number>,
    /// Who is asked, by version, node, and whether it is the undo: a definition says it once for all.
    by_node: Vec<Vec<[Option<Number>; 2]>>,
    /// The version that was asked for last: mostly it is the next, too.
    last: Option<(DefinitionHash, Number)>,
}

/// The number of the next of so many.
fn next(count: usize) -> Number {
    Number::try_from(count).unwrap_or(Number::MAX)
}

impl Names {
    /// The number of a version.
    pub(super) fn version(&mut self, version: DefinitionHash) -> Number {
        if let Some((last, number)) = self.last
            && last == version
        {
            return number;
        }
        let number = *self.by_version.entry(version).or_insert_with(|| {
            self.versions.push(version);
            next(self.versions.len() - 1)
        });
        self.last = Some((version, number));
        number
    }

    /// The number of a participant.
    pub(super) fn participant(&mut self, name: &str) -> Number {
        if let Some(number) = self.by_participant.get(name) {
            return *number;
        }
        let (number, name): (_, Arc<str>) = (next(self.participants.len()), name.into());
        self.participants.push(name.clone());
        self.by_participant.insert(name, number);
        number
    }

    /// The number of the participant that a node of a version asks, by this order of it.
    pub(super) fn asked_at(&mut self, version: Number, (node, is_undo): (u16, bool), order: &Order) -> Number {
        let (version, node) = (usize::from(version), usize::from(node));
        if self.by_node.len() <= version {
            self.by_node.resize_with(version + 1, Vec::new);
        }
        if self.by_node[version].len() <= node {
            self.by_node[version].resize(node + 1, [None; 2]);
        }
        if let Some(number) = self.by_node[version][node][usize::from(is_undo)] {
            return number;
        }
        let number = self.asked(order.command());
        self.by_node[version][node][usize::from(is_undo)] = Some(number);
        number
    }

    /// The number of the participant that an entry of a row that runs by this version has asked last; none if it asked nobody.
    pub(super) fn asked_by(&mut self, version: Number, entry: &Entry) -> Option<Number> {
        let order = entry.order.as_ref()?;
        Some(match entry.work {
            Work::Asked => self.asked_at(version, (entry.node, false), order),
            Work::UndoAsked => self.asked_at(version, (entry.node, true), order),
            // Whose order that is, its work alone does not say.
            _ => self.asked(order.command()),
        })
    }

    /// The number of the participant that takes a command.
    pub(super) fn asked(&mut self, command: &str) -> Number {
        if let Some(number) = self.by_command.get(command) {
            return *number;
        }
        let number = self.participant(participant_of(command));
        self.by_command.insert(command.into(), number);
        number
    }
}
