//! The durable memory of a service: what it did and what it answered, under the idempotency key.
//!
//! A turn reads what it must know, collects what it changes in a [`Batch`], and writes that as one. Written means: it survives the
//! process (page cache), which is what has to be true before a reply leaves. Keys begin with two bytes of kind, see [`kind`].

mod batch;
mod none;
mod rocks;
mod sim;

pub use batch::Batch;
pub use none::NoLedger;
pub use rocks::RocksLedger;
pub use sim::SimLedger;

use ringmaster_schemas::Millis;

/// The first two bytes of every key. Never used again for something else.
pub mod kind {
    /// What this ledger is: format, service, when it was made.
    pub const IDENTITY: [u8; 2] = [0, 1];
    /// One command that was answered, by its idempotency key ([`crate::entry`]).
    pub const ENTRY: [u8; 2] = [1, 1];
    /// What an account's entries of one day sum up to ([`crate::books`]).
    pub const FLOW: [u8; 2] = [2, 1];
    /// What a service was given to start with, for example the stock of a SKU.
    pub const ENDOWMENT: [u8; 2] = [2, 2];
    /// A scripted crash that has happened ([`crate::faults`]).
    pub const FAULT: [u8; 2] = [3, 1];
}

/// Why a ledger cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Another process has it open.
    #[error(
        "the ledger in {path} belongs to another process: a ledger has one owner. Stop that one, or give this one another --data ({why})"
    )]
    Taken {
        /// Where it is.
        path: String,
        /// What the store said.
        why: String,
    },
    /// It is the ledger of another service, or of a version that this one does not know.
    #[error("the ledger in {path} is not this service's: {why}")]
    Foreign {
        /// Where it is.
        path: String,
        /// What it is instead.
        why: String,
    },
    /// It cannot be read or written.
    #[error("the ledger in {path} failed: {why}")]
    Storage {
        /// Where it is.
        path: String,
        /// What the store said.
        why: String,
    },
    /// A row is not what this program writes.
    #[error("the ledger holds a row that cannot be read, key {key}: {why}")]
    Damaged {
        /// The row's key, escaped.
        key: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// A service's own store. It belongs to one process.
pub trait Ledger {
    /// What is written is kept. Where it is not (see [`NoLedger`]) several members may answer the same commands.
    const REMEMBERS: bool = true;

    /// Puts the value under a key into `value`, replacing what was there; `false` (and nothing) if there is none.
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, LedgerError>;

    /// Writes all of it or nothing. What was written survives the end of the process.
    fn write(&mut self, batch: &Batch) -> Result<(), LedgerError>;

    /// Visits all rows whose key begins with `prefix`, in order, until the visitor says `false`.
    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), LedgerError>;

    /// Entries of commands first sent before this time are not needed any more and are removed some time from now on.
    fn forget(&mut self, before: Millis);
}

/// A key as people can read it: kind in hexadecimal, the rest as text.
pub fn readable(key: &[u8]) -> String {
    match key.split_at_checked(2) {
        Some((kind, rest)) => format!("{:02x}{:02x} {}", kind[0], kind[1], rest.escape_ascii()),
        None => key.escape_ascii().to_string(),
    }
}
