//! The definitions of a family, compiled.

use ringmaster_core::definition::{Definition, DefinitionRecord, Participant, Settings};
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
        let records = DefinitionRecord::of_file("family.yaml", text, 0, &mut settings);
        let records = records.map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
        // As where they are deployed: sagas run by what their records say.
        let compiled = records.iter().map(|record| record.compile(&mut settings)).collect::<Result<_, _>>();
        let definitions = compiled.map_err(|error| format!("from its record: {error:?}"))?;
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
