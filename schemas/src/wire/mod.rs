//! Commands and replies as they are on Kafka: everything in the value, `{meta, body}`, Avro (single-object) or JSON.

mod decode;

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;

use crate::Millis;
use crate::avro::{NodeId, Schema};
use crate::codec::{put_long, put_text};
use crate::json::put_string;

pub use decode::{decode_command, decode_reply};

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
    match bytes {
        [0xC3, 0x01, rest @ ..] => match rest.split_first_chunk() {
            Some((fingerprint, body)) => Framing::SingleObject { fingerprint: u64::from_le_bytes(*fingerprint), body },
            None => Framing::Unknown,
        },
        [CONFLUENT, rest @ ..] => match rest.split_first_chunk() {
            Some((id, body)) => Framing::Confluent { id: u32::from_be_bytes(*id), body },
            None => Framing::Unknown,
        },
        _ => match bytes.iter().find(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            Some(b'{') => Framing::Json,
            _ => Framing::Unknown,
        },
    }
}

/// Appends a single-object header: the value's bytes follow.
pub fn put_header(fingerprint: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&SINGLE_OBJECT);
    out.extend_from_slice(&fingerprint.to_le_bytes());
}

/// What a command says about itself. All else is in `idempotency_key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandMeta<'a> {
    /// For example `payment.Charge`.
    pub command: Cow<'a, str>,
    /// `saga/step/do` or `saga/step/undo`.
    pub idempotency_key: Cow<'a, str>,
    /// From 1.
    pub attempt: i32,
    /// On an undo: the idempotency key of the do.
    pub undoes: Option<Cow<'a, str>>,
    /// Topic of the reply.
    pub reply_to: Cow<'a, str>,
    /// Partition of the reply.
    pub reply_partition: i32,
    /// When the key was first journaled; on an undo the do's.
    pub first_time: Millis,
    /// W3C trace context.
    pub traceparent: Option<Cow<'a, str>>,
}

/// Appends a command in Avro: header, meta, body.
pub fn put_command_avro(meta: &CommandMeta<'_>, envelope_fingerprint: u64, body: &[u8], out: &mut Vec<u8>) {
    put_header(envelope_fingerprint, out);
    put_text(out, &meta.command);
    put_text(out, &meta.idempotency_key);
    put_long(out, i64::from(meta.attempt));
    put_optional(out, meta.undoes.as_deref());
    put_text(out, &meta.reply_to);
    put_long(out, i64::from(meta.reply_partition));
    put_long(out, meta.first_time);
    put_optional(out, meta.traceparent.as_deref());
    out.extend_from_slice(body);
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(2);
            put_text(out, text);
        }
    }
}

/// Appends a command in JSON: `{"meta":{...},"body":...}`; an empty body is written as `null`.
pub fn put_command_json(meta: &CommandMeta<'_>, body_json: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"meta\":{");
    put_member(out, "command", Some(&meta.command));
    put_member(out, ",idempotency_key", Some(&meta.idempotency_key));
    put_number(out, "attempt", i64::from(meta.attempt));
    put_member(out, ",undoes", meta.undoes.as_deref());
    put_member(out, ",reply_to", Some(&meta.reply_to));
    put_number(out, "reply_partition", i64::from(meta.reply_partition));
    put_number(out, "first_time", meta.first_time);
    put_member(out, ",traceparent", meta.traceparent.as_deref());
    put_body(body_json, out);
}

/// `"name":"text"`, or null; a comma first if the name begins with one.
fn put_member(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    let bare = name.trim_start_matches(',');
    if bare.len() < name.len() {
        out.push(b',');
    }
    let mut member = String::with_capacity(bare.len() + 8 + text.map_or(0, str::len));
    put_string(bare, &mut member);
    member.push(':');
    match text {
        Some(text) => put_string(text, &mut member),
        None => member.push_str("null"),
    }
    out.extend_from_slice(member.as_bytes());
}

fn put_number(out: &mut Vec<u8>, name: &str, value: i64) {
    write!(out, ",\"{name}\":{value}").expect("writing to memory");
}

/// The end of `meta`, and the body.
fn put_body(body_json: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"},\"body\":");
    out.extend_from_slice(if body_json.is_empty() { b"null" } else { body_json });
    out.push(b'}');
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
#[derive(Debug, Clone, PartialEq)]
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
    /// Key of the schema that the whole was written by; 0 for JSON.
    pub writer: i64,
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

/// Appends a reply in Avro, as [`Schemas::reply_envelope`](crate::registry::Schemas::reply_envelope) has it. `body` is the result's bytes; `None` is null.
pub fn put_reply_avro(meta: &ReplyMeta<'_>, envelope_fingerprint: u64, body: Option<&[u8]>, out: &mut Vec<u8>) {
    put_header(envelope_fingerprint, out);
    put_text(out, &meta.idempotency_key);
    put_long(out, i64::from(meta.attempt));
    put_long(
        out,
        match meta.outcome {
            Outcome::Succeeded => 0,
            Outcome::Refused => 1,
            Outcome::Failed => 2,
        },
    );
    put_optional(out, meta.code.as_deref());
    put_optional(out, meta.message.as_deref());
    out.push(u8::from(meta.retryable));
    match body {
        None => out.push(0),
        Some(body) => {
            out.push(2);
            out.extend_from_slice(body);
        }
    }
}

/// Appends a reply in JSON. `body_json` is the result's text; `None` is null.
pub fn put_reply_json(meta: &ReplyMeta<'_>, body_json: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"meta\":{");
    put_member(out, "idempotency_key", Some(&meta.idempotency_key));
    put_number(out, "attempt", i64::from(meta.attempt));
    put_member(out, ",outcome", Some(meta.outcome.as_str()));
    put_member(out, ",code", meta.code.as_deref());
    put_member(out, ",message", meta.message.as_deref());
    write!(out, ",\"retryable\":{}", meta.retryable).expect("writing to memory");
    put_body(body_json.unwrap_or_default(), out);
}
