//! Chaos: real processes on real brokers under load, and one fault after the other, each held to have hit work that was under way.
//!
//! ```text
//! a round: Stage (brokers, coordinators, services, orders at a rate) -> faults, each chosen by the seed -> the orders end
//!          -> Check (outcomes, stores, ledgers, quarantine, the journal read anew) -> Report
//! ```
//!
//! It stands on what the live tests stand on (`live`). Rounds know nothing of each other: each has topics, stores and ledgers of its
//! own, so that a long run costs what many short ones do, and any round can be made again by its own seed.

mod check;
mod class;
mod faults;
mod host;
mod options;
mod report;
mod results;
mod run;
mod site;
mod stage;
mod ways;

pub use class::Class;
pub use host::go_apart;
pub use options::Options;
pub use report::{Report, Row, Violation};
pub use results::read as read_results;
pub use run::run;

/// Why a round does not go on.
#[derive(Debug)]
pub enum Halt {
    /// A person wants it to end.
    Asked,
    /// Something that must never happen did.
    Violated(String),
    /// It could not be carried out; that says nothing of what is tested.
    Failed(String),
}

impl From<std::io::Error> for Halt {
    fn from(error: std::io::Error) -> Halt {
        Halt::Failed(error.to_string())
    }
}
