//! What participants and the coordinator say to each other: replies as they are taken in, and commands as the SDK reads them.
//!
//! ```text
//! bit 0: the library, which definition | value
//! ```

use std::cell::RefCell;

use ringmaster_core::intake::{Answer, CODE_BYTES_MAX, MESSAGE_BYTES_MAX, Projections};
use ringmaster_core::saga::Outcome;
use ringmaster_schemas::names::parse_saga_id;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{
    Body, decode_command, decode_reply, put_command_avro, put_command_json, put_reply_avro, put_reply_json,
};

use crate::event::is_kept;
use crate::world::{World, world};

thread_local! {
    static PROJECTIONS: RefCell<Projections> = RefCell::default();
}

pub(crate) fn run(input: &[u8]) {
    let Some((&[how, which], value)) = input.split_first_chunk() else { return };
    let world = world(how & 1 != 0);
    reply(value, &world.schemas);
    command(value, &world.schemas);
    answer(value, world, which);
}

/// A reply that could be read is the same when it is written and read.
fn reply(value: &[u8], schemas: &Schemas) {
    let Ok(reply) = decode_reply(value, schemas) else { return };
    let mut written = Vec::new();
    match (schemas.by_key(reply.writer), reply.body) {
        (_, Some(Body::Json(text))) => put_reply_json(&reply.meta, Some(text.as_bytes()), &mut written),
        (None, _) => put_reply_json(&reply.meta, None, &mut written),
        (Some(schema), body) => {
            let bytes = body.map(|body| match body {
                Body::Avro { bytes, .. } => bytes,
                Body::Json(_) => unreachable!("it has no schema"),
            });
            put_reply_avro(&reply.meta, schema.fingerprint(), bytes, &mut written);
        }
    }
    assert_eq!(decode_reply(&written, schemas).as_ref(), Ok(&reply), "a reply is another when it is written and read");
}

/// The same of a command.
fn command(value: &[u8], schemas: &Schemas) {
    let Ok(command) = decode_command(value, schemas) else { return };
    let mut written = Vec::new();
    match command.body {
        Body::Avro { schema, bytes, .. } => put_command_avro(&command.meta, schema.fingerprint(), bytes, &mut written),
        Body::Json(text) => put_command_json(&command.meta, text.as_bytes(), &mut written),
    }
    assert_eq!(decode_command(&written, schemas).as_ref(), Ok(&command), "a command is another when it is written and read");
}

/// As the coordinator takes it: for the saga that it names, or for any.
fn answer(value: &[u8], world: &World, which: u8) {
    let Ok(answer) = Answer::read(value, &world.schemas) else { return };
    let definition = world.named(parse_saga_id(answer.saga()).0, which);
    let taken = PROJECTIONS.with_borrow_mut(|projections| {
        let unknown = projections.reply(&answer, None);
        assert!(unknown.is_ok_and(|input| !matches!(input.outcome, Outcome::Succeeded { result: Some(_) })));
        projections.reply(&answer, Some(definition))
    });
    let Ok(input) = taken else { return };
    match input.outcome {
        Outcome::Succeeded { result: Some(result) } => {
            let step = definition.step_named(&input.step).map(|step| step.node).and_then(|node| node.kept().cloned());
            // A later round has a name of its own.
            if let Some(kept) = step {
                is_kept(&kept, result.bytes());
            }
        }
        Outcome::Refused { code, message } | Outcome::Failed { code, message, .. } => {
            assert!(code.len() <= CODE_BYTES_MAX && message.len() <= MESSAGE_BYTES_MAX, "what a participant says is bounded");
        }
        Outcome::Succeeded { result: None } => {}
    }
}
