//! A random definition, compiled, with the schemas that it was compiled against.

use std::sync::Arc;

use ringmaster_core::definition::{Definition, Participant, Settings, compile};
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::registry::Schemas;

use super::plan::Plan;
use super::{builtin_schemas, write};
use crate::stories;

/// A compiled definition.
pub(super) struct Known(Arc<stories::Known>);

impl Known {
    pub(super) fn of(name: &str, plan: &Plan) -> Result<Known, String> {
        let mut schemas = builtin_schemas();
        let mut settings = Settings::new(&mut schemas);
        let json = || Participant { encoding: Encoding::Json, ..Participant::default() };
        settings.participants = write::PARTICIPANTS.map(|name| (name.to_owned(), json())).into();
        let compiled = compile("random.yaml", &write::text_as(name, plan), &mut settings);
        let mut definitions = compiled.map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
        Ok(Known(Arc::new(stories::Known { definition: definitions.remove(0), schemas })))
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.0.definition
    }

    pub(super) fn schemas(&self) -> &Schemas {
        &self.0.schemas
    }

    pub(super) fn shared(&self) -> Arc<stories::Known> {
        self.0.clone()
    }
}
