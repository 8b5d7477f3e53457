//! What a saga gives to one that it runs, and what that gives back: written by the version of one, read by that of the other.

use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_schemas::Data;
use ringmaster_schemas::avro::{Resolver, Schema};

/// Ways from what is written to what is kept of it, by the keys of both schemas: each is made once.
#[derive(Debug, Default)]
pub(super) struct Passages(HashMap<(i64, i64), Resolver>);

impl Passages {
    /// What is kept of these bytes; or why they cannot be read, which deploying makes sure of.
    pub(super) fn pass(&mut self, bytes: &[u8], writer: &Arc<Schema>, kept: &Arc<Schema>) -> Result<Data, Arc<str>> {
        let way = match self.0.entry((writer.key(), kept.key())) {
            hashbrown::hash_map::Entry::Occupied(known) => known.into_mut(),
            hashbrown::hash_map::Entry::Vacant(free) => {
                let made = Resolver::new(writer.clone(), kept.clone()).map_err(|error| Arc::from(error.to_string()))?;
                free.insert(made)
            }
        };
        let mut out = Vec::with_capacity(bytes.len());
        way.resolve(bytes, &mut out).map_err(|error| Arc::from(error.to_string()))?;
        Ok(Data::new(&out))
    }
}
