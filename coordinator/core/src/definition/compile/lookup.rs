//! Schemas by name: the current ones, or for a version from history exactly those it was compiled against. Where the file of a schema
//! is missing, what is deployed keeps the one that it was deployed with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::registry::Schemas;

use crate::definition::Contract;

/// Finds schemas and notes which were used.
pub(super) struct Lookup<'a> {
    schemas: &'a mut Schemas,
    /// Key by full name, of a version from history.
    pinned: Option<&'a BTreeMap<String, String>>,
    /// Key by full name, of the newest version that is deployed under this name.
    deployed: Option<&'a BTreeMap<String, String>>,
    used: BTreeMap<String, String>,
    /// What was found among the deployed ones only.
    missing: BTreeSet<String>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(
        schemas: &'a mut Schemas,
        pinned: Option<&'a BTreeMap<String, String>>,
        deployed: Option<&'a BTreeMap<String, String>>,
    ) -> Self {
        Lookup { schemas, pinned, deployed, used: BTreeMap::new(), missing: BTreeSet::new() }
    }

    /// Names of schemas whose files are missing: those of the deployed version stand in.
    pub(super) fn missing(&self) -> Vec<&str> {
        self.missing.iter().map(String::as_str).collect()
    }

    /// Names of all schemas that are known now.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.schemas.iter().map(|schema| schema.name())
    }

    /// Keys of what was used, by full name.
    pub(super) fn used(self) -> BTreeMap<String, String> {
        self.used
    }

    /// The schema of a name. An error if a version from history needs one that is not known here.
    pub(super) fn named(&mut self, name: &str) -> Result<Option<Arc<Schema>>, String> {
        let found = match self.pinned {
            None => self.schemas.named(name).cloned().or_else(|| self.stand_in(name)),
            Some(pinned) => match pinned.get(name) {
                None => None,
                Some(key) => {
                    let known = u64::from_str_radix(key, 16).ok().and_then(|key| self.schemas.by_key(key as i64));
                    let Some(known) = known else {
                        return Err(format!("this version needs {name} with key {key}, which is not known here"));
                    };
                    Some(known.clone())
                }
            },
        };
        if let Some(schema) = &found {
            self.note(name, schema);
        }
        Ok(found)
    }

    /// The envelope's schema of a command whose body has one.
    pub(super) fn envelope(&mut self, command: &str) -> Result<Arc<Schema>, String> {
        let name = format!("{command}Command");
        if self.pinned.is_some() {
            return self.named(&name)?.ok_or_else(|| format!("this version does not say which {name} it needs"));
        }
        let stand_in = if self.schemas.named(command).is_none() { self.stand_in(&name) } else { None };
        let schema = match stand_in {
            Some(schema) => schema,
            None => self.schemas.command_envelope(command).map_err(|error| error.to_string())?,
        };
        self.note(&name, &schema);
        Ok(schema)
    }

    /// The schema that the deployed version has under a name which is not known any more.
    fn stand_in(&mut self, name: &str) -> Option<Arc<Schema>> {
        let key = u64::from_str_radix(self.deployed?.get(name)?, 16).ok()?;
        let schema = self.schemas.by_key(key as i64)?.clone();
        self.missing.insert(name.to_owned());
        Some(schema)
    }

    fn note(&mut self, name: &str, schema: &Schema) {
        self.used.insert(name.to_owned(), format!("{:016x}", schema.key()));
    }

    /// The schema of what has none.
    pub(super) fn json(&self) -> Arc<Schema> {
        self.schemas.json().clone()
    }

    /// The schema of what an approval gives.
    pub(super) fn approval(&self) -> Arc<Schema> {
        self.schemas.approval().clone()
    }

    /// The contract that a version from history keeps itself.
    pub(super) fn contract(&self, saga: &str, pinned: &BTreeMap<String, String>) -> Option<Contract> {
        Contract::own(saga, pinned, self.schemas)
    }

    /// Makes a part of a contract known by its key; a version is made of it too.
    pub(super) fn note_part(&mut self, part: String, schema: Arc<Schema>) {
        let known = self.schemas.add_part(schema.text()).expect("it was parsed before");
        self.note(&part, &known);
    }

    /// Makes a projection known by its key, so that stored bytes can name it.
    pub(super) fn keep(&mut self, kept: Arc<Schema>) -> Result<Arc<Schema>, String> {
        self.schemas.add_part(kept.text()).map_err(|error| error.to_string())
    }
}
