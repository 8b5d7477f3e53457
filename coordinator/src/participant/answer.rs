//! One command: its answer follows from what it says, and from nothing else.

use ringmaster_core::definition::{Budget, Environment};
use ringmaster_schemas::avro::Resolver;
use ringmaster_schemas::names::{murmur2, parse_idempotency_key, parse_saga_id};
use ringmaster_schemas::wire::{self, Body, Outcome, ReplyMeta, WireError};
use ringmaster_schemas::{Millis, json};

use super::script::{Command, Rule, Says, Script};

/// Code of a failure: the body cannot be read.
const BAD_COMMAND: &str = "BAD_COMMAND";
/// Code of a failure: an expression of the script failed.
const SCRIPT: &str = "SCRIPT";

/// What commands came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read.
    pub commands: u64,
    /// Answered as done; undos too.
    pub succeeded: u64,
    /// Refused.
    pub refused: u64,
    /// Answered as failed.
    pub failed: u64,
    /// Not answered, as the script says.
    pub silent: u64,
    /// Not answered, since they are no commands that can be read.
    pub skipped: u64,
}

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Its reply was appended.
    Reply { reply_to: String, partition: i32, delay_ms: Millis },
    /// It gets none.
    Silent,
    /// It is no command that can be read, and why.
    Not(String),
}

/// Beside what is copied from the command.
struct Answer {
    outcome: Outcome,
    code: Option<String>,
    message: Option<String>,
    retryable: bool,
    /// As Avro, by the result's schema.
    result: Option<Vec<u8>>,
}

impl Answer {
    fn succeeded(result: Option<Vec<u8>>) -> Answer {
        Answer { outcome: Outcome::Succeeded, code: None, message: None, retryable: false, result }
    }

    fn failed(code: &str, message: String) -> Answer {
        Answer { outcome: Outcome::Failed, code: Some(code.to_owned()), message: Some(message), retryable: false, result: None }
    }
}

impl Script {
    /// What is not known of a command: its name, or its schema. None if it is known, or can never be.
    pub(super) fn unknown(&self, value: &[u8]) -> Option<String> {
        match wire::decode_command(value, self.schemas()) {
            Ok(command) => self.command(&command.meta.command).is_none().then(|| command.meta.command.into_owned()),
            Err(WireError::UnknownSchema(fingerprint)) => Some(format!("{fingerprint:016x}")),
            Err(_) => None,
        }
    }

    /// Answers a command; the reply is appended.
    pub(super) fn answer(&self, value: &[u8], counts: &mut Counts, out: &mut Vec<u8>) -> Answered {
        counts.commands += 1;
        let command = match wire::decode_command(value, self.schemas()) {
            Ok(command) => command,
            Err(error) => {
                counts.skipped += 1;
                return Answered::Not(error.to_string());
            }
        };
        let known = self.command(&command.meta.command);
        let (rule, answer) = match known {
            // Nothing is known of it but that it came.
            None => (None, Answer::succeeded(None)),
            Some(known) => match judge(known, &command) {
                Ok((Some(Rule { says: Says::Silent, .. }), _)) => {
                    counts.silent += 1;
                    return Answered::Silent;
                }
                Ok(judged) => judged,
                Err(failed) => (None, failed),
            },
        };
        match answer.outcome {
            Outcome::Succeeded => counts.succeeded += 1,
            Outcome::Refused => counts.refused += 1,
            Outcome::Failed => counts.failed += 1,
        }
        put_reply(&command, known, &answer, out);
        Answered::Reply {
            reply_to: command.meta.reply_to.into_owned(),
            partition: command.meta.reply_partition,
            delay_ms: rule.map_or(0, |rule| rule.delay_ms),
        }
    }
}

/// The first rule that fits, and its answer; an answer without a rule where none does. An error is an answer too.
fn judge<'k>(known: &'k Command, command: &wire::Command<'_>) -> Result<(Option<&'k Rule>, Answer), Answer> {
    let meta = &command.meta;
    let body = body_of(known, &command.body).map_err(|why| Answer::failed(BAD_COMMAND, why))?;
    let saga = parse_idempotency_key(&meta.idempotency_key).map_or("", |(saga, ..)| saga);
    let key = parse_saga_id(saga).1;
    // A repeat is answered as it was: the time is that of the key, and not this one.
    let now = meta.first_time;
    let budget = Budget::new();
    let environment = Environment { start: &body, ..Environment::without_saga(&key, now, &budget) };
    let wrong = |error: ringmaster_core::definition::ExpressionError| Answer::failed(SCRIPT, error.to_string());
    for (rule, number) in known.rules.iter().zip(0..) {
        let hit = rule.attempts.is_none_or(|last| meta.attempt <= last)
            && rule.share.is_none_or(|share| share_of(&meta.idempotency_key, number) < share);
        let fits = match &rule.condition {
            Some(condition) if hit => condition.truth(&environment).map_err(wrong)?,
            Some(_) | None => hit,
        };
        if !fits {
            continue;
        }
        let answer = match &rule.says {
            Says::Succeeded(Some(result)) => {
                let mut bytes = Vec::new();
                result.render(&environment, &mut bytes).map_err(wrong)?;
                Answer::succeeded(Some(bytes))
            }
            Says::Succeeded(None) | Says::Silent => unwritten(known, command),
            Says::Refused { code, message } => {
                let (code, message) = (Some(code.clone()), message.clone());
                Answer { outcome: Outcome::Refused, code, message, retryable: false, result: None }
            }
            Says::Failed { code, message, retryable } => {
                let (code, message) = (Some(code.clone()), message.clone());
                Answer { outcome: Outcome::Failed, code, message, retryable: *retryable, result: None }
            }
        };
        return Ok((Some(rule), answer));
    }
    Ok((None, unwritten(known, command)))
}

/// Success without a result of the script's own: an undo has none.
fn unwritten(known: &Command, command: &wire::Command<'_>) -> Answer {
    Answer::succeeded(known.placeholder.clone().filter(|_| command.meta.undoes.is_none()))
}

/// A number in 0..1 that depends on nothing but the key and the rule.
fn share_of(idempotency_key: &str, rule: u32) -> f64 {
    f64::from(murmur2(format!("{rule} {idempotency_key}").as_bytes())) / (f64::from(u32::MAX) + 1.0)
}

/// The body by the schema that rules were compiled against.
fn body_of(known: &Command, body: &Body<'_>) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match body {
        Body::Avro { schema, node, bytes } => {
            let way = Resolver::at((*schema).clone(), *node, known.body.clone()).map_err(|error| error.to_string())?;
            way.resolve(bytes, &mut out).map_err(|error| error.to_string())?;
        }
        Body::Json(text) => json::transcode(&known.body, text.as_bytes(), &mut out).map_err(|error| error.to_string())?,
    }
    Ok(out)
}

/// Appends the reply, in the encoding that the command came in.
fn put_reply(command: &wire::Command<'_>, known: Option<&Command>, answer: &Answer, out: &mut Vec<u8>) {
    let meta = ReplyMeta {
        idempotency_key: (&*command.meta.idempotency_key).into(),
        attempt: command.meta.attempt,
        outcome: answer.outcome,
        code: answer.code.as_deref().map(Into::into),
        message: answer.message.as_deref().map(Into::into),
        retryable: answer.retryable,
    };
    match (&command.body, known) {
        (Body::Avro { .. }, Some(known)) => wire::put_reply_avro(&meta, known.reply, answer.result.as_deref(), out),
        _ => {
            let text = known.zip(answer.result.as_ref()).map(|(known, result)| {
                let mut text = String::new();
                json::render(&known.result, known.result.root(), result, &mut text).expect("a result fits its schema");
                text
            });
            wire::put_reply_json(&meta, text.as_ref().map(String::as_bytes), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_share_of_keys_and_another_one_for_each_rule() {
        let key = |number: u32| format!("order-fulfilment/ord-{number}/ship/do");
        for rule in [0, 1] {
            let hit = (0..10_000).filter(|number| share_of(&key(*number), rule) < 0.1).count();
            assert!((850..1_150).contains(&hit), "rule {rule}: {hit}");
        }
        let both = (0..10_000).filter(|number| share_of(&key(*number), 0) < 0.1 && share_of(&key(*number), 1) < 0.1).count();
        assert!((50..200).contains(&both), "{both} of about 100");
        assert_eq!(share_of("a", 0).to_bits(), share_of("a", 0).to_bits());
    }
}
