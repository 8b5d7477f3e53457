//! What is done for the first time: the effect and the answer, staged under the idempotency key.

use ringmaster_schemas::codec::Malformed;
use ringmaster_schemas::wire::Outcome;

use super::{BAD_COMMAND, Desk, Reply, UNDONE_BEFORE, read};
use crate::books::Way;
use crate::contract::{Answer, CommandContract};
use crate::entry::{self, Effect, Entry};
use crate::faults::Script;
use crate::ledger::{Batch, Ledger, LedgerError};
use crate::service::{Call, Done, Service, Verdict};

impl<S: Service, L: Ledger> Desk<S, L> {
    pub(super) fn do_first(
        &mut self,
        reply: Reply<'_, '_>,
        known: &CommandContract,
        value: &[u8],
        script: &Script<'_>,
    ) -> Result<(), LedgerError> {
        if let Some(code) = script.refuse {
            return self.refuse(reply, code, "scripted fault");
        }
        let meta = &reply.command.meta;
        self.movements.clear();
        let mut done = Done {
            contract: known,
            movements: &mut self.movements,
            result: &mut self.result,
            text: &mut self.json,
            has_result: false,
        };
        let body = known.body_bytes(reply.command, value, &mut self.versions, &mut self.body);
        let verdict = body.and_then(|body| {
            let call = Call {
                contract: known,
                body,
                command: known.name,
                idempotency_key: &meta.idempotency_key,
                attempt: meta.attempt,
                first_time: meta.first_time,
            };
            self.service.handle(&call, &self.books, &mut done).map_err(|e| e.to_string())
        });
        let has_result = done.has_result;
        match verdict {
            Ok(Verdict::Done) => {
                self.counts.done += 1;
                if L::REMEMBERS {
                    self.books.post(self.movements.bytes(), meta.first_time, Way::Do).expect("movements were just written");
                }
                let entry = Entry {
                    first_time: meta.first_time,
                    effect: Effect::Done,
                    outcome: Outcome::Succeeded,
                    command: known.name,
                    code: None,
                    message: None,
                    movements: self.movements.bytes(),
                    result: has_result.then_some(&self.result[..]),
                };
                stage(&mut self.batch, &mut self.encoded, &mut self.key, &meta.idempotency_key, &entry);
                reply.render(&Answer::of(&entry), &mut self.text);
                Ok(())
            }
            Ok(Verdict::Refused { code, message }) => self.refuse(reply, code, &message),
            Ok(Verdict::Failed { code, message, retryable }) => self.fail(reply, code, &message, retryable),
            Err(why) => self.fail(reply, BAD_COMMAND, &why, false),
        }
    }

    /// Moves back what the do moved, or leaves word that the do must not be done any more.
    pub(super) fn undo_first(&mut self, reply: Reply<'_, '_>, does: &'static str, undoes: &str) -> Result<(), LedgerError> {
        let meta = &reply.command.meta;
        let mut effect = Effect::Nothing;
        self.movements.clear();
        if self.find(undoes)? {
            let found = read(undoes, &self.stored)?;
            if found.command != does {
                let message = format!("{} undoes {does}, but {undoes} is a {}", meta.command, found.command);
                return self.fail(reply, BAD_COMMAND, &message, false);
            }
            if found.effect == Effect::Done {
                effect = Effect::Reversal;
                let damaged = |e: Malformed| LedgerError::Damaged { key: undoes.to_owned(), why: e.0 };
                self.books.post(found.movements, found.first_time, Way::Undo).map_err(damaged)?;
                for movement in entry::movements(found.movements) {
                    let (account, units) = movement.map_err(damaged)?;
                    self.movements.add(account, units);
                }
                let undone = Entry { effect: Effect::Undone, ..found };
                stage(&mut self.batch, &mut self.encoded, &mut self.key, undoes, &undone);
            }
        } else {
            let tombstone = Entry {
                first_time: meta.first_time,
                effect: Effect::UndoneBefore,
                outcome: Outcome::Refused,
                command: does,
                code: Some(UNDONE_BEFORE),
                message: Some("it was undone before it came"),
                movements: &[],
                result: None,
            };
            stage(&mut self.batch, &mut self.encoded, &mut self.key, undoes, &tombstone);
        }
        match effect {
            Effect::Reversal => self.counts.undone += 1,
            _ => self.counts.undone_nothing += 1,
        }
        let entry = Entry {
            first_time: meta.first_time,
            effect,
            outcome: Outcome::Succeeded,
            command: &meta.command,
            code: None,
            message: None,
            movements: self.movements.bytes(),
            result: None,
        };
        stage(&mut self.batch, &mut self.encoded, &mut self.key, &meta.idempotency_key, &entry);
        reply.render(&Answer::of(&entry), &mut self.text);
        Ok(())
    }

    pub(super) fn refuse(&mut self, reply: Reply<'_, '_>, code: &str, message: &str) -> Result<(), LedgerError> {
        self.counts.refused += 1;
        let meta = &reply.command.meta;
        let entry = Entry {
            first_time: meta.first_time,
            effect: Effect::Nothing,
            outcome: Outcome::Refused,
            command: &meta.command,
            code: Some(code),
            message: Some(message),
            movements: &[],
            result: None,
        };
        stage(&mut self.batch, &mut self.encoded, &mut self.key, &meta.idempotency_key, &entry);
        reply.render(&Answer::of(&entry), &mut self.text);
        Ok(())
    }
}

fn stage(batch: &mut Batch, encoded: &mut Vec<u8>, key: &mut Vec<u8>, idempotency_key: &str, entry: &Entry<'_>) {
    encoded.clear();
    entry.put(encoded);
    entry::key_of(idempotency_key, key);
    batch.put(key, encoded);
}
