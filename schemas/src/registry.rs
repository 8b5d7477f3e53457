//! All schemas that are known: by name, by fingerprint, by key.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::avro::{Schema, SchemaError};

/// Known schemas. Cheap to clone; what is shared is immutable.
#[derive(Debug, Clone)]
pub struct Schemas {
}

impl Schemas {
    /// Only what this project defines itself: `ringmaster.Json`, `ringmaster.CommandMeta`, `ringmaster.ReplyMeta`.
    pub fn builtin() -> Schemas {
        todo!()
    }

    /// The built-in ones and all `.avsc` files of a folder (sub-folders included), which may refer to each other by name in any
    /// order. Every mistake is reported, with its file.
    pub fn load_folder(path: &Path) -> Result<Schemas, Vec<SchemaError>> {
        todo!()
    }

    /// Adds a schema under its name. Adding what is known gives the known one.
    pub fn add(&mut self, text: &str) -> Result<Arc<Schema>, SchemaError> {
        todo!()
    }

    /// Adds a self-contained schema that is only known by fingerprint and key: an earlier version of a name, or what
    /// `ringmaster.schemas` holds.
    pub fn add_version(&mut self, text: &str) -> Result<Arc<Schema>, SchemaError> {
        todo!()
    }

    /// The current schema of a name.
    pub fn named(&self, name: &str) -> Option<&Arc<Schema>> {
        todo!()
    }

    /// The schema of a single-object header.
    pub fn by_fingerprint(&self, fingerprint: u64) -> Option<&Arc<Schema>> {
        todo!()
    }

    /// The schema of stored bytes.
    pub fn by_key(&self, key: i64) -> Option<&Arc<Schema>> {
        todo!()
    }

    /// Every schema, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Schema>> {
        std::iter::empty()
    }

    /// The schema `ringmaster.Json`.
    pub fn json(&self) -> &Arc<Schema> {
        todo!()
    }

    /// `payment.ChargeCommand {meta: ringmaster.CommandMeta, body: payment.Charge}`, made and registered if it is not known yet.
    /// A command without a schema gets the body `ringmaster.Json`.
    pub fn command_envelope(&mut self, command: &str) -> Result<Arc<Schema>, SchemaError> {
        todo!()
    }

    /// `payment.ChargeReply {meta: ringmaster.ReplyMeta, body: [null, payment.ChargeResult]}`, made and registered if it is not
    /// known yet. A command without a result schema gets the body `[null, ringmaster.Json]`.
    pub fn reply_envelope(&mut self, command: &str) -> Result<Arc<Schema>, SchemaError> {
        todo!()
    }
}

/// A record of the topic `ringmaster.schemas` (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRecord {
    /// [`Schema::key`] as 16 hexadecimal digits.
    pub key: String,
    /// Its full name.
    pub name: String,
    /// Its self-contained text.
    pub text: String,
}

impl SchemaRecord {
    /// Of a schema.
    pub fn new(schema: &Schema) -> Self {
        todo!()
    }

    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads a record's value.
    pub fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        todo!()
    }
}
