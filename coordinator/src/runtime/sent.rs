//! Definitions that somebody sends, with the schemas that come with them.

use ringmaster_schemas::Millis;
use ringmaster_schemas::registry::Schemas;

use super::deploy::Compiled;
use super::knowledge::{CompileOptions, KnowledgeError, SchemasOfSagas, compile_texts};

/// Files that somebody sends: what each is called, and its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Definitions, YAML.
    pub definitions: Vec<(String, String)>,
    /// Schemas that come with them beside those of the folder.
    pub schemas: Vec<(String, String)>,
}

impl Sent {
    /// Compiles them, all or none.
    pub(super) fn compile(
        &self,
        schemas: &mut Schemas,
        options: &CompileOptions,
        deployed: &SchemasOfSagas,
        now: Millis,
    ) -> Result<Compiled, KnowledgeError> {
        let named = self.schemas.iter().map(|(file, text)| (file.as_str(), text.as_str()));
        schemas.add_texts(named).map_err(KnowledgeError::Schemas)?;
        compile_texts(schemas, (&self.definitions, Vec::new()), options, deployed, now)
    }
}
