//! The definitions of a family, compiled.

use ringmaster_core::definition::{Definition, Participant, Settings, compile};
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Saga, Waits};

use super::super::builtin_schemas;
use super::super::write::PARTICIPANTS;

/// Compiled definitions: the saga's own first, then those that it runs.
pub(in crate::random) struct Known {
    pub(in crate::random) definitions: Vec<Definition>,
    pub(in crate::random) schemas: Schemas,
}

impl Known {
    pub(in crate::random) fn of(text: &str) -> Result<Known, String> {
        let mut schemas = builtin_schemas();
        let mut settings = Settings::new(&mut schemas);
        let json = || Participant { encoding: Encoding::Json, ..Participant::default() };
        settings.participants = PARTICIPANTS.map(|name| (name.to_owned(), json())).into();
        let compiled = compile("family.yaml", text, &mut settings);
        let definitions = compiled.map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
        Ok(Known { definitions, schemas })
    }

    /// The definition that a row runs by.
    pub(in crate::random) fn of_row(&self, saga: &Saga) -> &Definition {
        let version = saga.head.version();
        self.definitions.iter().find(|definition| definition.hash == version).expect("a row runs by a definition")
    }
}

/// True if somebody is asked for an approval.
pub(super) fn asks_for_approval(saga: &Saga) -> bool {
    saga.entries.iter().any(|entry| entry.waits == Waits::Approval)
}
