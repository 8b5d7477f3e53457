//! Commands and replies read: recognised by their first bytes, checked to the last.

use std::borrow::Cow;

use super::{Body, Command, CommandMeta, Framing, Outcome, Reply, ReplyMeta, WireError, recognise};
use crate::avro::{DecodeError, Node, NodeId, Schema};
use crate::codec::{Cursor, Malformed};
use crate::json::JsonError;
use crate::json::scan::Scanner;
use crate::registry::{Known, Role, Schemas};

/// Reads a command, Avro or JSON.
pub fn decode_command<'a>(bytes: &'a [u8], schemas: &'a Schemas) -> Result<Command<'a>, WireError> {
    match recognise(bytes) {
        Framing::SingleObject { fingerprint, body } => {
            let known = schemas.known(fingerprint).ok_or(WireError::UnknownSchema(fingerprint))?;
            let Role::Command { body: node } = known.role else {
                return Err(another(&known.schema, "a command"));
            };
            command_avro(body, known, node).map_err(|error| undecodable(&known.schema, error, body))
        }
        Framing::Json => command_json(bytes),
        other => Err(unframed(other)),
    }
}

/// Reads a reply, Avro (without allocating) or JSON.
pub fn decode_reply<'a>(bytes: &'a [u8], schemas: &'a Schemas) -> Result<Reply<'a>, WireError> {
    match recognise(bytes) {
        Framing::SingleObject { fingerprint, body } => {
            let known = schemas.known(fingerprint).ok_or(WireError::UnknownSchema(fingerprint))?;
            let Role::Reply { body: node } = known.role else {
                return Err(another(&known.schema, "a reply"));
            };
            reply_avro(body, known, node).map_err(|error| undecodable(&known.schema, error, body))
        }
        Framing::Json => reply_json(bytes),
        other => Err(unframed(other)),
    }
}

#[cold]
fn another(schema: &Schema, wanted: &str) -> WireError {
    WireError::NotAReply(format!("it is of type {}, which is not {wanted}", schema.name()))
}

#[cold]
fn unframed(framing: Framing<'_>) -> WireError {
    WireError::Undecodable(match framing {
        Framing::Confluent { id, .. } => {
            format!("Confluent's wire format (schema id {id}) needs a registry, and none is configured")
        }
        _ => "neither Avro single-object (C3 01) nor a JSON object".into(),
    })
}

/// Says where by a second, slower pass.
#[cold]
fn undecodable(schema: &Schema, error: Malformed, body: &[u8]) -> WireError {
    let error = schema.validate(body).err().unwrap_or(DecodeError { why: error.0, offset: 0, field: String::new() });
    WireError::Undecodable(format!("{}: {error}", schema.name()))
}

fn command_avro<'a>(bytes: &'a [u8], known: &'a Known, node: NodeId) -> Result<Command<'a>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let meta = CommandMeta {
        command: cursor.text()?.into(),
        idempotency_key: cursor.text()?.into(),
        attempt: cursor.int()?,
        undoes: optional(&mut cursor)?.map(Cow::Borrowed),
        reply_to: cursor.text()?.into(),
        reply_partition: cursor.int()?,
        first_time: cursor.long()?,
        traceparent: optional(&mut cursor)?.map(Cow::Borrowed),
    };
    if meta.first_time.checked_mul(1000).is_none() {
        return Err(Malformed("timestamp out of range"));
    }
    Ok(Command { meta, body: rest(cursor, known, node)? })
}

fn reply_avro<'a>(bytes: &'a [u8], known: &'a Known, node: NodeId) -> Result<Reply<'a>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let meta = ReplyMeta {
        idempotency_key: Cow::Borrowed(cursor.text()?),
        attempt: cursor.int()?,
        outcome: match cursor.long()? {
            0 => Outcome::Succeeded,
            1 => Outcome::Refused,
            2 => Outcome::Failed,
            _ => return Err(Malformed("enum has no such symbol")),
        },
        code: optional(&mut cursor)?.map(Cow::Borrowed),
        message: optional(&mut cursor)?.map(Cow::Borrowed),
        retryable: cursor.boolean()?,
    };
    let Node::Union(branches) = known.schema.node(node) else {
        return Err(Malformed("the body is not a union"));
    };
    let branch = usize::try_from(cursor.long()?).ok().and_then(|index| branches.get(index));
    let branch = *branch.ok_or(Malformed("union has no such branch"))?;
    let body = match known.schema.node(branch) {
        Node::Null => cursor.end().map(|()| None)?,
        _ => Some(rest(cursor, known, branch)?),
    };
    Ok(Reply { meta, body, writer: known.schema.key() })
}

/// All that is left, which is one value of the type.
fn rest<'a>(cursor: Cursor<'a>, known: &'a Known, node: NodeId) -> Result<Body<'a>, Malformed> {
    let mut behind = cursor;
    known.schema.skip(node, &mut behind)?;
    behind.end()?;
    Ok(Body::Avro { schema: &known.schema, node, bytes: cursor.rest })
}

fn optional<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, Malformed> {
    match cursor.long()? {
        0 => Ok(None),
        1 => cursor.text().map(Some),
        _ => Err(Malformed("union has no such branch")),
    }
}

type Json<T> = Result<T, Box<JsonError>>;

/// The members of a JSON envelope's meta that are text, and those that are not.
#[derive(Default)]
struct Members<'a> {
    texts: [Option<Cow<'a, str>>; 5],
    numbers: [Option<i64>; 3],
    retryable: bool,
}

/// Texts by their place in [`Members::texts`]: first a command's, then a reply's.
const COMMAND_TEXTS: [&str; 5] = ["command", "idempotency_key", "undoes", "reply_to", TRACEPARENT];
const REPLY_TEXTS: [&str; 5] = ["idempotency_key", "outcome", "code", "message", ""];
const TRACEPARENT: &str = "traceparent";
const NUMBERS: [&str; 3] = ["attempt", "reply_partition", "first_time"];

fn command_json(bytes: &[u8]) -> Result<Command<'_>, WireError> {
    let (members, body) = envelope(bytes, &COMMAND_TEXTS)?;
    let Members {
        texts: [command, idempotency_key, undoes, reply_to, traceparent],
        numbers: [attempt, reply_partition, first_time],
        ..
    } = members;
    let required = |name: &str| WireError::NotAReply(format!("not a command: its meta has no {name}"));
    Ok(Command {
        meta: CommandMeta {
            command: command.ok_or_else(|| required("command"))?,
            idempotency_key: idempotency_key.ok_or_else(|| required("idempotency_key"))?,
            attempt: small(attempt).ok_or_else(|| required("attempt"))?,
            undoes,
            reply_to: reply_to.ok_or_else(|| required("reply_to"))?,
            reply_partition: small(reply_partition).ok_or_else(|| required("reply_partition"))?,
            first_time: first_time.ok_or_else(|| required("first_time"))?,
            traceparent,
        },
        body: Body::Json(body.unwrap_or("null")),
    })
}

fn reply_json(bytes: &[u8]) -> Result<Reply<'_>, WireError> {
    let (members, body) = envelope(bytes, &REPLY_TEXTS)?;
    let Members { texts: [idempotency_key, outcome, code, message, _], numbers: [attempt, ..], retryable } = members;
    let required = |name: &str| WireError::NotAReply(format!("not a reply: its meta has no {name}"));
    let outcome = match outcome.as_deref() {
        Some("succeeded") => Outcome::Succeeded,
        Some("refused") => Outcome::Refused,
        Some("failed") => Outcome::Failed,
        Some(other) => {
            return Err(WireError::NotAReply(format!("outcome {other:?} is none of succeeded, refused, failed")));
        }
        None => return Err(required("outcome")),
    };
    let meta = ReplyMeta {
        idempotency_key: idempotency_key.ok_or_else(|| required("idempotency_key"))?,
        attempt: small(attempt).ok_or_else(|| required("attempt"))?,
        outcome,
        code,
        message,
        retryable,
    };
    Ok(Reply { meta, body: body.filter(|body| *body != "null").map(Body::Json), writer: 0 })
}

fn small(number: Option<i64>) -> Option<i32> {
    number.and_then(|number| i32::try_from(number).ok())
}

/// `{"meta": {...}, "body": ...}`; further members are ignored.
fn envelope<'a>(bytes: &'a [u8], texts: &[&str; 5]) -> Result<(Members<'a>, Option<&'a str>), WireError> {
    let read = || -> Json<(Option<Members<'a>>, Option<&'a str>)> {
        let mut scan = Scanner::new(bytes)?;
        let (mut meta, mut body, mut first) = (None, None, true);
        scan.peek();
        scan.enter()?;
        while let Some(key) = scan.name(first)? {
            first = false;
            match key.as_deref().unwrap_or_default() {
                "meta" if meta.is_some() => return scan.wrong("key \"meta\" is given twice"),
                "body" if body.is_some() => return scan.wrong("key \"body\" is given twice"),
                "meta" if scan.peek() == Some(b'{') => meta = Some(members(&mut scan, texts)?),
                "body" => body = Some(scan.pass()?),
                _ => scan.pass().map(|_| ())?,
            }
        }
        scan.end()?;
        Ok((meta, body))
    };
    let (meta, body) = read().map_err(|error| WireError::Undecodable(error.to_string()))?;
    let meta =
        meta.ok_or_else(|| WireError::NotAReply("it has no object `meta`: {\"meta\": {...}, \"body\": ...} is wanted".into()))?;
    Ok((meta, body))
}

/// A JSON text's value, if it is one.
fn text_of(json: &str) -> Option<Cow<'_, str>> {
    let mut scan = Scanner::new(json.as_bytes()).ok()?;
    if scan.peek() == Some(b'"') { scan.string().ok() } else { None }
}

fn members<'a>(scan: &mut Scanner<'a>, texts: &[&str; 5]) -> Json<Members<'a>> {
    let (mut members, mut first, mut seen) = (Members::default(), true, [false; 9]);
    scan.enter()?;
    while let Some(key) = scan.name(first)? {
        first = false;
        let key = key.unwrap_or_default();
        let text = texts.iter().position(|name| !name.is_empty() && *name == key);
        let number = NUMBERS.iter().position(|name| *name == key);
        let place = text.or(number.map(|number| 5 + number)).or((key == "retryable").then_some(8));
        let Some(place) = place else {
            scan.pass()?;
            continue;
        };
        if key == TRACEPARENT {
            // It is only passed on: what is wrong with it must not keep a command from its answer.
            members.texts[place] = text_of(scan.pass()?);
            continue;
        }
        if std::mem::replace(&mut seen[place], true) {
            return scan.wrong(format!("key {key:?} is given twice"));
        }
        match (scan.peek(), text, number) {
            (Some(b'n'), ..) => scan.null()?,
            (Some(b'"'), Some(text), _) => members.texts[text] = Some(scan.string()?),
            (Some(b'-' | b'0'..=b'9'), _, Some(number)) => {
                let text = scan.number()?;
                match text.parse() {
                    Ok(value) => members.numbers[number] = Some(value),
                    Err(_) => return scan.wrong(format!("{key} is not an integer")),
                }
            }
            (Some(b't' | b'f'), None, None) => members.retryable = scan.boolean()?,
            _ => return scan.wrong(format!("{key} is of another type")),
        }
    }
    Ok(members)
}
