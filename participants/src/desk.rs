//! One command: known already, or handled now; its effect and answer staged under the idempotency key, its reply rendered.
//!
//! Everything here is between reading a record and writing the ledger; nothing leaves.

mod effects;

use std::borrow::Cow;

use ringmaster_schemas::Millis;
use ringmaster_schemas::wire::{Command, Outcome};

use crate::books::Books;
use crate::contract::{Answer, CommandContract, Contract, Role, Versions};
use crate::entry::{self, Entry, Movements};
use crate::faults::{FailKind, Faults, ReplyScript, Script};
use crate::ledger::{Batch, Ledger, LedgerError, kind, readable};
use crate::service::Service;

/// Code of a refusal: the undo of this key came before it.
pub const UNDONE_BEFORE: &str = "UNDONE_BEFORE";
/// Code of a failure: the id may be forgotten already, so nobody knows whether it was done.
pub const TOO_OLD: &str = "TOO_OLD";
/// Code of a failure: not a command of this service.
pub const UNKNOWN_COMMAND: &str = "UNKNOWN_COMMAND";
/// Code of a failure: the body cannot be read, or does and undoes are mixed up.
pub const BAD_COMMAND: &str = "BAD_COMMAND";
/// Code of a scripted failure.
pub const SCRIPTED: &str = "SCRIPTED";

/// What commands came to, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read.
    pub commands: u64,
    /// Effects done.
    pub done: u64,
    /// Effects undone.
    pub undone: u64,
    /// Refusals, each key once.
    pub refused: u64,
    /// Failures answered, those below included.
    pub failed: u64,
    /// Commands older than ids are remembered.
    pub too_old: u64,
    /// Repeats answered from the ledger.
    pub repeated: u64,
    /// Undos that found nothing to undo.
    pub undone_nothing: u64,
    /// Records that are no command; skipped.
    pub undecodable: u64,
    /// Answers that a fault script loses.
    pub script_lost: u64,
    /// Answers that a fault script sends twice.
    pub script_repeated: u64,
}

/// What a record came to.
pub(crate) enum Taken<'a> {
    /// A reply was rendered.
    Reply { reply_to: Cow<'a, str>, partition: i32, script: ReplyScript },
    /// It is no command; why.
    Undecodable(String),
    /// Scripted: the process ends here.
    Crash,
}

/// The service with all that it remembers.
pub(crate) struct Desk<S, L> {
    pub(crate) service: S,
    pub(crate) ledger: L,
    pub(crate) books: Books,
    /// What this turn changes.
    pub(crate) batch: Batch,
    pub(crate) counts: Counts,
    pub(crate) faults: Faults,
    /// Scripted: the process ends when the turn is stored.
    pub(crate) crash_after: bool,
    remembers_ms: Millis,
    versions: Versions,
    key: Vec<u8>,
    stored: Vec<u8>,
    encoded: Vec<u8>,
    body: Vec<u8>,
    result: Vec<u8>,
    text: String,
    json: Vec<u8>,
    movements: Movements,
}

impl<S: Service, L: Ledger> Desk<S, L> {
    pub(crate) fn open(mut service: S, mut ledger: L, faults: Faults, remembers_ms: Millis) -> Result<Self, LedgerError> {
        let mut batch = Batch::default();
        settle_identity(&ledger, S::NAME, &mut batch)?;
        service.settle(&ledger, &mut batch)?;
        ledger.write(&batch)?;
        batch.clear();
        let books = Books::load(&ledger)?;
        Ok(Desk {
            service,
            ledger,
            books,
            batch,
            counts: Counts::default(),
            faults,
            crash_after: false,
            remembers_ms,
            versions: Versions::default(),
            key: Vec::new(),
            stored: Vec::new(),
            encoded: Vec::new(),
            body: Vec::new(),
            result: Vec::new(),
            text: String::new(),
            json: Vec::new(),
            movements: Movements::default(),
        })
    }

    /// Takes one record and appends its reply to `out`.
    pub(crate) fn take<'a>(
        &mut self,
        contract: &'a Contract,
        value: &'a [u8],
        now: Millis,
        out: &mut Vec<u8>,
    ) -> Result<Taken<'a>, LedgerError> {
        self.counts.commands += 1;
        let (command, known) = match contract.decode(value) {
            Ok(decoded) => decoded,
            Err(why) => {
                self.counts.undecodable += 1;
                return Ok(Taken::Undecodable(why));
            }
        };
        let faults = std::mem::take(&mut self.faults);
        let meta = &command.meta;
        let script = match faults.list.is_empty() {
            true => Script::default(),
            false => faults.script(&meta.idempotency_key, meta.attempt),
        };
        self.counts.script_lost += u64::from(script.reply.lost);
        self.counts.script_repeated += u64::from(script.reply.repeated);
        let taken = match self.crashes(&script, &meta.idempotency_key) {
            Ok(true) => Ok(Taken::Crash),
            Ok(false) => {
                let reply = Reply { contract, command: &command, known, out };
                let answered = self.answer(reply, value, now, &script);
                let partition = meta.reply_partition;
                answered.map(|()| Taken::Reply { reply_to: command.meta.reply_to, partition, script: script.reply })
            }
            Err(error) => Err(error),
        };
        self.faults = faults;
        if !L::REMEMBERS {
            self.batch.clear();
        }
        taken
    }

    fn answer(&mut self, reply: Reply<'_, '_>, value: &[u8], now: Millis, script: &Script<'_>) -> Result<(), LedgerError> {
        let meta = &reply.command.meta;
        if now.saturating_sub(meta.first_time) > self.remembers_ms {
            self.counts.too_old += 1;
            let message = "first sent longer ago than ids are remembered: not known whether it was done";
            return self.fail(reply, TOO_OLD, message, false);
        }
        if self.find(&meta.idempotency_key)? {
            self.counts.repeated += 1;
            return self.repeat(reply);
        }
        match script.fail {
            Some(FailKind::Retryable) => {
                return self.fail(reply, SCRIPTED, "scripted fault", true);
            }
            Some(FailKind::Final) => {
                return self.fail(reply, SCRIPTED, "scripted fault", false);
            }
            None => {}
        }
        let Some(known) = reply.known else {
            let message = format!("{} does not know the command {}", S::NAME, meta.command);
            return self.fail(reply, UNKNOWN_COMMAND, &message, false);
        };
        match (known.role, meta.undoes.as_deref()) {
            (Role::Do, None) => self.do_first(reply, known, value, script),
            (Role::UndoOf(does), Some(undoes)) => self.undo_first(reply, does, undoes),
            (Role::Do, Some(_)) => self.fail(reply, BAD_COMMAND, "`undoes` is set, but this command does something", false),
            (Role::UndoOf(_), None) => self.fail(reply, BAD_COMMAND, "an undo needs `undoes`, the key of its do", false),
        }
    }

    /// Answers a failure. Nothing was done and nothing is remembered, so that asking again starts afresh.
    fn fail(&mut self, reply: Reply<'_, '_>, code: &str, message: &str, retryable: bool) -> Result<(), LedgerError> {
        self.counts.failed += 1;
        let answer = Answer { outcome: Outcome::Failed, code: Some(code), message: Some(message), retryable, result: None };
        reply.render(&answer, &mut self.text);
        Ok(())
    }

    fn repeat(&mut self, reply: Reply<'_, '_>) -> Result<(), LedgerError> {
        let entry = read(&reply.command.meta.idempotency_key, &self.stored)?;
        reply.render(&Answer::of(&entry), &mut self.text);
        Ok(())
    }

    /// Looks an idempotency key up, in this turn's changes and in the ledger; its entry is then in `stored`.
    fn find(&mut self, idempotency_key: &str) -> Result<bool, LedgerError> {
        entry::key_of(idempotency_key, &mut self.key);
        if let Some(staged) = self.batch.get(&self.key) {
            self.stored.clear();
            self.stored.extend_from_slice(staged);
            return Ok(true);
        }
        self.ledger.get(&self.key, &mut self.stored)
    }

    /// Whether a scripted crash happens at this command. One that happened is noted in the ledger, so that it happens once.
    fn crashes(&mut self, script: &Script<'_>, idempotency_key: &str) -> Result<bool, LedgerError> {
        for (index, before) in [(script.crash_before, true), (script.crash_after, false)] {
            let Some(index) = index else { continue };
            self.key.clear();
            self.key.extend_from_slice(&kind::FAULT);
            self.key.extend_from_slice(&(index as u32).to_be_bytes());
            self.key.extend_from_slice(idempotency_key.as_bytes());
            if self.ledger.get(&self.key, &mut self.stored)? {
                continue;
            }
            if before {
                let mut note = Batch::default();
                note.put(&self.key, &[]);
                self.ledger.write(&note)?;
                return Ok(true);
            }
            self.batch.put(&self.key, &[]);
            self.crash_after = true;
        }
        Ok(false)
    }
}

/// Where one command's reply goes when it is known.
struct Reply<'c, 'o> {
    contract: &'c Contract,
    command: &'c Command<'c>,
    known: Option<&'c CommandContract>,
    out: &'o mut Vec<u8>,
}

impl Reply<'_, '_> {
    fn render(self, answer: &Answer<'_>, text: &mut String) {
        self.contract.put_reply(self.command, self.known, answer, text, self.out);
    }
}

impl<'a> Answer<'a> {
    fn of(entry: &Entry<'a>) -> Self {
        Answer { outcome: entry.outcome, code: entry.code, message: entry.message, retryable: false, result: entry.result }
    }
}

fn read<'a>(idempotency_key: &str, stored: &'a [u8]) -> Result<Entry<'a>, LedgerError> {
    Entry::read(stored).map_err(|e| LedgerError::Damaged { key: idempotency_key.to_owned(), why: e.0 })
}

/// The ledger says whose it is; a new one is told.
fn settle_identity(ledger: &impl Ledger, name: &str, batch: &mut Batch) -> Result<(), LedgerError> {
    let mine = format!("ringmaster participant ledger 1\n{name}");
    let mut found = Vec::new();
    if !ledger.get(&kind::IDENTITY, &mut found)? {
        batch.put(&kind::IDENTITY, mine.as_bytes());
    } else if found != mine.as_bytes() {
        let why = format!("it says {:?}, expected {mine:?}", String::from_utf8_lossy(&found));
        return Err(LedgerError::Foreign { path: readable(&kind::IDENTITY), why });
    }
    Ok(())
}
