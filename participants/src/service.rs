//! What a service is to the SDK: commands it takes, and what it decides.
//!
//! A service of one's own, with its schemas `seats.Hold` and `seats.HoldResult` in a folder:
//!
//! ```
//! use ringmaster_participants::books::Books;
//! use ringmaster_participants::ledger::{Batch, Ledger, LedgerError};
//! use ringmaster_participants::service::BodyError;
//! use ringmaster_participants::{Call, CommandName, Done, Service, Verdict};
//!
//! struct Seats;
//!
//! #[derive(serde::Deserialize)]
//! struct Hold<'a> {
//!     show: &'a str,
//!     seats: i64,
//! }
//!
//! #[derive(serde::Serialize)]
//! struct HoldResult {
//!     left: i64,
//! }
//!
//! impl Service for Seats {
//!     const NAME: &'static str = "seats";
//!     const COMMANDS: &'static [CommandName] = &[CommandName { name: "seats.Hold", undo: Some("seats.Drop") }];
//!
//!     fn settle(&mut self, _: &impl Ledger, _: &mut Batch) -> Result<(), LedgerError> {
//!         Ok(())
//!     }
//!
//!     fn handle(&mut self, call: &Call<'_>, books: &Books, done: &mut Done<'_>) -> Result<Verdict, BodyError> {
//!         let hold: Hold<'_> = call.body()?;
//!         let left = 500 - books.net_units(hold.show) as i64 - hold.seats;
//!         if left < 0 {
//!             return Ok(Verdict::refused("SOLD_OUT", format!("{} seats for {}", hold.seats, hold.show)));
//!         }
//!         done.movements.add(hold.show, hold.seats); // what `seats.Drop` gives back
//!         done.result(&HoldResult { left })?;
//!         Ok(Verdict::Done)
//!     }
//! }
//! ```
//!
//! `Participant::new(Seats, RocksLedger::open(path)?, Schemas::load_folder(folder)?, Settings::new("seats", "ringmaster"))` and
//! [`crate::run::run`] on any bus do the rest.

use ringmaster_schemas::Millis;
use serde::{Deserialize, Serialize};

use crate::body;
use crate::books::Books;
use crate::contract::CommandContract;
use crate::entry::Movements;
use crate::ledger::{Batch, Ledger, LedgerError};

/// A command that a service takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandName {
    /// For example `payment.Charge`.
    pub name: &'static str,
    /// The command that undoes it, for example `payment.Refund`; none for one that is never undone (a pivot, or behind it).
    pub undo: Option<&'static str>,
}

/// A service's business. It keeps no durable state of its own: what it moved is in the [`Books`].
///
/// A service only decides; repeats, undo, storing and answering are the SDK's. An undo moves back exactly what its do moved.
pub trait Service {
    /// The participant's name, for example `payment`.
    const NAME: &'static str;
    /// What it takes.
    const COMMANDS: &'static [CommandName];
    /// Its answers depend on what it did before, or something is left of what it does. One that says `false` answers by the command
    /// alone where it has no ledger, and nothing of it is ever undone: then any number of members may run.
    const NEEDS_LEDGER: bool = true;

    /// Called once, before the first command, to settle with the ledger what the service was given to start with.
    fn settle(&mut self, ledger: &impl Ledger, batch: &mut Batch) -> Result<(), LedgerError>;

    /// Decides on a command that was not done before. Only on [`Verdict::Done`] what stands in `done` takes effect.
    ///
    /// # Errors
    /// If the body cannot be read.
    fn handle(&mut self, call: &Call<'_>, books: &Books, done: &mut Done<'_>) -> Result<Verdict, BodyError>;
}

/// A command to be done, seen for the first time.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub(crate) contract: &'a CommandContract,
    pub(crate) body: &'a [u8],
    /// For example `payment.Charge`.
    pub command: &'a str,
    /// What repeats of it are recognised by.
    pub idempotency_key: &'a str,
    /// From 1.
    pub attempt: i32,
    /// When its key was first journaled.
    pub first_time: Millis,
}

impl<'a> Call<'a> {
    /// The body as a Rust type (serde; texts may be borrowed; decimals by `rust_decimal::serde::str`; instants as `i64` are
    /// milliseconds).
    pub fn body<T: Deserialize<'a>>(&self) -> Result<T, BodyError> {
        body::read(&self.contract.body, self.body).map_err(BodyError)
    }
}

/// A body or result that does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(pub String);

/// What a command changes and answers, if it is done.
pub struct Done<'a> {
    pub(crate) contract: &'a CommandContract,
    /// What it moves.
    pub movements: &'a mut Movements,
    pub(crate) result: &'a mut Vec<u8>,
    pub(crate) text: &'a mut Vec<u8>,
    pub(crate) has_result: bool,
}

impl Done<'_> {
    /// The result to be answered (serde, by the schema `<Command>Result`, as its JSON would look). Without a call it is null.
    pub fn result(&mut self, value: &impl Serialize) -> Result<(), BodyError> {
        self.result.clear();
        let schema = self.contract.result.as_ref().ok_or_else(|| BodyError("the command has no result schema".into()))?;
        body::write(schema, value, self.text, self.result).map_err(BodyError)?;
        self.has_result = true;
        Ok(())
    }
}

/// What a service decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Done,
    /// Not done, and final for this idempotency key.
    Refused {
        /// For programs, for example `OUT_OF_STOCK`.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// Not done now. Nothing is remembered: the same key may be asked again.
    Failed {
        /// For programs.
        code: &'static str,
        /// For people.
        message: String,
        /// Whether asking again may help.
        retryable: bool,
    },
}

impl Verdict {
    /// A refusal.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Verdict::Refused { code, message: message.into() }
    }
}
