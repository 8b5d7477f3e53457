//! A participant's answer: read, and whom it is for.

use ringmaster_schemas::journal::QuarantineReason;
use ringmaster_schemas::names::{self, Direction};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, WireError};

use super::Refused;

/// An answer. Whom it is for are slices of its idempotency key.
pub struct Answer<'a> {
    pub(super) reply: wire::Reply<'a>,
    /// Lengths of the saga's id and of the step's name in the key.
    parts: (usize, usize),
    pub(super) direction: Direction,
}

impl<'a> Answer<'a> {
    /// Reads it.
    pub fn read(value: &'a [u8], schemas: &'a Schemas) -> Result<Answer<'a>, Refused> {
        let reply = wire::decode_reply(value, schemas).map_err(refused)?;
        let key = &*reply.meta.idempotency_key;
        let Some((saga, step, direction)) = names::parse_idempotency_key(key) else {
            let detail = format!("'{key}' is no idempotency key of Ringmaster: copy it from the command");
            return Err(Refused::new(QuarantineReason::NotAReply, detail, None));
        };
        let parts = (saga.len(), step.len());
        Ok(Answer { reply, parts, direction })
    }

    /// The idempotency key that it answers.
    pub(crate) fn key(&self) -> &str {
        &self.reply.meta.idempotency_key
    }

    /// The id of the saga that asked.
    pub fn saga(&self) -> &str {
        &self.key()[..self.parts.0]
    }

    /// The name of the step.
    pub(crate) fn step(&self) -> &str {
        let (saga, step) = self.parts;
        &self.key()[saga + 1..][..step]
    }

    /// What the journal keeps of its bytes, under their writer's schema: nothing where it says no more than the turn.
    pub(crate) fn kept<'v>(&self, value: &'v [u8]) -> Option<(i64, &'v [u8])> {
        (self.reply.meta.outcome == wire::Outcome::Succeeded).then_some((self.reply.writer, value))
    }
}

fn refused(error: WireError) -> Refused {
    let (reason, schema) = match error {
        WireError::Undecodable(_) => (QuarantineReason::Undecodable, None),
        WireError::UnknownSchema(fingerprint) => (QuarantineReason::UnknownSchema, Some(fingerprint)),
        WireError::NotAReply(_) => (QuarantineReason::NotAReply, None),
    };
    Refused::new(reason, error, schema)
}
