//! Participants: the SDK that runs a service behind commands and replies, and three real services.
//!
//! ```text
//! poll -> decode -> known? the stored answer : handle -> one batch of the ledger -> replies -> acknowledged -> commit
//! ```
//!
//! A service decides ([`Service`]); the SDK ([`Participant`]) reads commands, recognises repeats, stores effect and answer under the
//! idempotency key in one batch of the service's own ledger, and only then replies. So an effect happens once, however often the
//! command comes, and whenever the process ends.
//!
//! Reading order: [`service`], [`participant`] (the turn), `desk` (one command), `outbox` (replies and commits), [`ledger`],
//! [`entry`] and [`books`] (what is kept), [`audit`] (what was done), [`faults`]; then [`services`], [`run`] and [`cli`].

pub mod audit;
pub mod books;
pub mod cli;
pub mod entry;
pub mod faults;
pub mod ledger;
pub mod participant;
pub mod run;
pub mod schemas;
pub mod service;
pub mod services;

mod body;
mod contract;
mod desk;
mod glob;
mod outbox;

pub use desk::{BAD_COMMAND, Counts, SCRIPTED, TOO_OLD, UNDONE_BEFORE, UNKNOWN_COMMAND};
pub use outbox::ReplyCounts;
pub use participant::{Participant, Settings, Stop, TurnReport};
pub use service::{Call, CommandName, Done, Service, Verdict};
