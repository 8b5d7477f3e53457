//! Commands and replies as they are on Kafka: everything in the value, `{meta, body}`, Avro (single-object) or JSON.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Millis;
use crate::avro::{NodeId, Schema};
use crate::registry::Schemas;

/// First bytes of a single-object value; the fingerprint follows, little-endian.
pub const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
/// Bytes before the body of a single-object value.
pub const SINGLE_OBJECT_HEADER_BYTES: usize = 10;
/// First byte of Confluent's wire format; a schema id of four bytes follows, big-endian.
pub const CONFLUENT: u8 = 0;

/// How a value is framed, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing<'a> {
    /// Avro single-object.
    SingleObject {
        /// CRC-64-AVRO of the writer's schema.
        fingerprint: u64,
        /// What follows the header.
        body: &'a [u8],
    },
    /// Confluent's wire format.
    Confluent {
        /// The registry's id of the writer's schema.
        id: u32,
        /// What follows the header.
        body: &'a [u8],
    },
    /// A JSON object, perhaps behind white space.
    Json,
    /// None of these.
    Unknown,
}

/// Tells how a value is framed.
pub fn recognise(bytes: &[u8]) -> Framing<'_> {
    todo!()
}

/// What a command says about itself. All else is in `idempotency_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandMeta<'a> {
    /// For example `payment.Charge`.
    pub command: &'a str,
    /// `saga/step/do` or `saga/step/undo`.
    pub idempotency_key: &'a str,
    /// From 1.
    pub attempt: i32,
    /// On an undo: the idempotency key of the do.
    pub undoes: Option<&'a str>,
    /// Topic of the reply.
    pub reply_to: &'a str,
    /// Partition of the reply.
    pub reply_partition: i32,
    /// When the key was first journaled; on an undo the do's.
    pub first_time: Millis,
    /// W3C trace context.
    pub traceparent: Option<&'a str>,
}

/// Appends a command in Avro: header, meta, body.
pub fn put_command_avro(meta: &CommandMeta<'_>, envelope_fingerprint: u64, body: &[u8], out: &mut Vec<u8>) {
    todo!()
}

/// Appends a command in JSON: `{"meta":{...},"body":...}`; an empty body is written as `null`.
pub fn put_command_json(meta: &CommandMeta<'_>, body_json: &[u8], out: &mut Vec<u8>) {
    todo!()
}

/// A body as it came: checked, not yet read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Body<'a> {
    /// Avro.
    Avro {
        /// The writer's envelope schema.
        schema: &'a Arc<Schema>,
        /// The body's type in it.
        node: NodeId,
        /// The body's bytes, validated.
        bytes: &'a [u8],
    },
    /// A JSON text, well-formed.
    Json(&'a str),
}

/// A command as a participant gets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Command<'a> {
    /// What it says about itself.
    pub meta: CommandMeta<'a>,
    /// What is to be done.
    pub body: Body<'a>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Succeeded,
    /// Known not done, final for its key.
    Refused,
    /// Not known.
    Failed,
}

impl Outcome {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        }
    }
}

/// What a reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyMeta<'a> {
    /// Copied from the command.
    pub idempotency_key: Cow<'a, str>,
    /// Copied from the command.
    pub attempt: i32,
    /// How it ended.
    pub outcome: Outcome,
    /// For programs: a refusal's or failure's code.
    pub code: Option<Cow<'a, str>>,
    /// For people.
    pub message: Option<Cow<'a, str>>,
    /// Of a failure: whether trying again may help.
    pub retryable: bool,
}

/// A reply as the coordinator gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply<'a> {
    /// What it says.
    pub meta: ReplyMeta<'a>,
    /// The result; none for null.
    pub body: Option<Body<'a>>,
}

/// Why a value is not a command or reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes are not what they claim to be.
    #[error("{0}")]
    Undecodable(String),
    /// No schema of this fingerprint is known.
    #[error("no schema with fingerprint {0:016x} is known: add its .avsc file to the schema folder")]
    UnknownSchema(u64),
    /// Well-formed, and something else than a reply (or command).
    #[error("{0}")]
    NotAReply(String),
}

/// Reads a command, Avro or JSON.
pub fn decode_command<'a>(bytes: &'a [u8], schemas: &'a Schemas) -> Result<Command<'a>, WireError> {
    todo!()
}

/// Reads a reply, Avro (without allocating) or JSON.
pub fn decode_reply<'a>(bytes: &'a [u8], schemas: &'a Schemas) -> Result<Reply<'a>, WireError> {
    todo!()
}

/// Appends a reply in Avro. `body` is the result's bytes; `None` is null.
pub fn put_reply_avro(meta: &ReplyMeta<'_>, envelope_fingerprint: u64, body: Option<&[u8]>, out: &mut Vec<u8>) {
    todo!()
}

/// Appends a reply in JSON. `body_json` is the result's text; `None` is null.
pub fn put_reply_json(meta: &ReplyMeta<'_>, body_json: Option<&[u8]>, out: &mut Vec<u8>) {
    todo!()
}
