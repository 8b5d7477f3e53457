//! Bytes of a writer's schema turned into those of a reader's.

use std::sync::Arc;

use super::{DecodeError, Schema, SchemaError};

/// A compiled way from a writer's schema to a reader's: fields by name, the reader's defaults, promotions, enum symbols by name,
/// union branches by type. What is the same in both is checked and copied as one slice.
#[derive(Debug)]
pub struct Resolver {
    writer: Arc<Schema>,
    reader: Arc<Schema>,
}

impl Resolver {
    /// Compiles it; an error names the field that the reader needs and the writer does not give.
    pub fn new(writer: Arc<Schema>, reader: Arc<Schema>) -> Result<Resolver, SchemaError> {
        todo!()
    }

    /// Checks the writer's bytes and appends the reader's. On an error `out` is as it was.
    pub fn resolve(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        todo!()
    }

    /// The schema of the bytes that go in.
    pub fn writer(&self) -> &Arc<Schema> {
        &self.writer
    }

    /// The schema of the bytes that come out.
    pub fn reader(&self) -> &Arc<Schema> {
        &self.reader
    }
}
