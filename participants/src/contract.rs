//! The wire of one service: its commands' schemas, read once; commands decoded, replies encoded by them.

use std::borrow::Cow;
use std::sync::Arc;

use ringmaster_schemas::avro::{Resolver, Schema, SchemaError};
use ringmaster_schemas::json;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, Body, Command, Outcome, ReplyMeta};

use crate::service::CommandName;

/// Writers' versions of one command that are remembered; more are answered too, only slower.
const VERSIONS_MAX: usize = 16;

/// What a service understands.
pub(crate) struct Contract {
    schemas: Schemas,
    commands: Vec<CommandContract>,
}

/// One command, do or undo.
pub(crate) struct CommandContract {
    /// For example `payment.Charge`.
    pub(crate) name: &'static str,
    /// Its place in a pair.
    pub(crate) role: Role,
    /// The body.
    pub(crate) body: Arc<Schema>,
    envelope: Arc<Schema>,
    reply_fingerprint: u64,
    /// The result, if it has one.
    pub(crate) result: Option<Arc<Schema>>,
}

/// What a command is to its counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It does something.
    Do,
    /// It undoes the command of this name.
    UndoOf(&'static str),
}

/// How a command came, which is how its reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Avro, single-object.
    Avro,
    /// JSON.
    Json,
}

/// What a reply says beside what it copies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    pub(crate) retryable: bool,
    pub(crate) result: Option<&'a [u8]>,
}

impl Contract {
    /// Compiles the schemas of a service's commands, which must be among `schemas`: `payment.Charge`, and `payment.ChargeResult`
    /// if it has a result.
    pub(crate) fn new(mut schemas: Schemas, names: &[CommandName]) -> Result<Self, SchemaError> {
        let mut commands = Vec::new();
        for command in names {
            commands.push(CommandContract::new(&mut schemas, command.name, Role::Do)?);
            if let Some(undo) = command.undo {
                commands.push(CommandContract::new(&mut schemas, undo, Role::UndoOf(command.name))?);
            }
        }
        Ok(Contract { schemas, commands })
    }

    /// A command, and what this service knows of it (nothing, for a command of another service).
    pub(crate) fn decode<'a>(&'a self, value: &'a [u8]) -> Result<(Command<'a>, Option<&'a CommandContract>), String> {
        let command = wire::decode_command(value, &self.schemas).map_err(|e| e.to_string())?;
        let known = self.commands.iter().find(|known| known.name == command.meta.command);
        Ok((command, known))
    }

    /// Appends the reply to a command, in the encoding that it came in.
    pub(crate) fn put_reply(
        &self,
        command: &Command<'_>,
        known: Option<&CommandContract>,
        answer: &Answer<'_>,
        text: &mut String,
        out: &mut Vec<u8>,
    ) {
        let meta = ReplyMeta {
            idempotency_key: Cow::Borrowed(&*command.meta.idempotency_key),
            attempt: command.meta.attempt,
            outcome: answer.outcome,
            code: answer.code.map(Cow::Borrowed),
            message: answer.message.map(Cow::Borrowed),
            retryable: answer.retryable,
        };
        // A command that is not ours is answered in the envelope of one that is: only its meta says something.
        let known = known.unwrap_or(&self.commands[0]);
        match encoding(command) {
            Encoding::Avro => wire::put_reply_avro(&meta, known.reply_fingerprint, answer.result, out),
            Encoding::Json => {
                let rendered = answer.result.zip(known.result.as_ref()).map(|(result, by)| {
                    text.clear();
                    json::render(by, by.root(), result, text).expect("a stored result fits its schema");
                    text.as_bytes()
                });
                wire::put_reply_json(&meta, rendered, out);
            }
        }
    }
}

impl CommandContract {
    fn new(schemas: &mut Schemas, name: &'static str, role: Role) -> Result<Self, SchemaError> {
        let missing = || SchemaError {
            place: name.to_owned(),
            why: "no schema of this name: add its .avsc file to the schema folder".to_owned(),
        };
        let body = Arc::clone(schemas.named(name).ok_or_else(missing)?);
        let result = schemas.named(&format!("{name}Result")).cloned();
        Ok(CommandContract {
            name,
            role,
            body,
            envelope: schemas.command_envelope(name)?,
            reply_fingerprint: schemas.reply_envelope(name)?.fingerprint(),
            result,
        })
    }

    /// The body's bytes by this service's version of its schema: as they came where it is the same, else rewritten into `buffer`.
    pub(crate) fn body_bytes<'a>(
        &self,
        command: &Command<'a>,
        value: &'a [u8],
        versions: &mut Versions,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], String> {
        match command.body {
            Body::Avro { schema, bytes, .. } if **schema == *self.envelope => Ok(bytes),
            Body::Avro { schema, .. } => {
                let envelope = &value[wire::SINGLE_OBJECT_HEADER_BYTES..];
                buffer.clear();
                versions.resolver(schema, &self.envelope)?.resolve(envelope, buffer).map_err(|e| e.to_string())?;
                self.body_of_envelope(buffer)
            }
            Body::Json(text) => {
                buffer.clear();
                json::transcode(&self.body, text.as_bytes(), buffer).map_err(|e| e.to_string())?;
                Ok(buffer)
            }
        }
    }

    /// What stands behind the meta in an envelope of this service's version.
    fn body_of_envelope<'a>(&self, envelope: &'a [u8]) -> Result<&'a [u8], String> {
        let meta = self.envelope.field_named(self.envelope.root(), "meta").expect("an envelope has a meta").1;
        let mut cursor = ringmaster_schemas::codec::Cursor::new(envelope);
        self.envelope.skip(meta.ty, &mut cursor).map_err(|e| e.to_string())?;
        Ok(cursor.rest)
    }
}

/// Ways from other writers' versions of envelopes to ours.
#[derive(Default)]
pub(crate) struct Versions {
    known: Vec<Resolver>,
}

impl Versions {
    fn resolver(&mut self, writer: &Arc<Schema>, reader: &Arc<Schema>) -> Result<&Resolver, String> {
        let found = self.known.iter().position(|known| known.writer() == writer && known.reader() == reader);
        let at = match found {
            Some(at) => at,
            None => {
                let made = Resolver::new(Arc::clone(writer), Arc::clone(reader)).map_err(|e| e.to_string())?;
                if self.known.len() == VERSIONS_MAX {
                    self.known.remove(0);
                }
                self.known.push(made);
                self.known.len() - 1
            }
        };
        Ok(&self.known[at])
    }
}

/// How a command came.
pub(crate) fn encoding(command: &Command<'_>) -> Encoding {
    match command.body {
        Body::Avro { .. } => Encoding::Avro,
        Body::Json(_) => Encoding::Json,
    }
}
