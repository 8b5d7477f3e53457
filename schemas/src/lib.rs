//! What is on the wire and in the logs: names, schemas, codecs, and the types of the journal and the store.
//!
//! Reading order: [`names`] (topics, keys, the partition rule), [`codec`] (Avro primitives and the records that this project
//! owns), [`journal`] (what happened), [`state`] (what is now true), [`avro`] (schemas known only at run time: compiled, validated,
//! resolved, rendered), [`json`] (the same bodies as JSON), [`registry`] (all schemas that are known, by name, fingerprint and
//! key), [`wire`] (commands and replies).

pub mod avro;
pub mod codec;
mod hex;
pub mod journal;
pub mod json;
mod macros;
pub mod names;
pub mod registry;
mod shared;
pub mod snapshot;
pub mod state;
pub mod wire;

pub use shared::Data;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;
