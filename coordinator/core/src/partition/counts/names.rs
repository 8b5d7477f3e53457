//! Short numbers for what counts are told apart by: a row in memory remembers them, not names.

use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::journal::DefinitionHash;
use ringmaster_schemas::names::participant_of;

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
}

/// The number of the next of so many.
fn next(count: usize) -> Number {
    Number::try_from(count).unwrap_or(Number::MAX)
}

impl Names {
    /// The number of a version.
    pub(super) fn version(&mut self, version: DefinitionHash) -> Number {
        if let Some(number) = self.by_version.get(&version) {
            return *number;
        }
        let number = next(self.versions.len());
        self.versions.push(version);
        self.by_version.insert(version, number);
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
