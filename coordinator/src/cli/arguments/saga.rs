//! `saga`: one saga, and lists of them.

use clap::Subcommand;

use crate::cli::asking::Asked;
use crate::cli::history::HistoryArguments;
use crate::cli::sagas;
use crate::cli::wait::WaitArguments;
use crate::cli::watch::WatchArguments;

pub(super) const EXAMPLES: &str = "\
Examples:
  ringmaster saga list --stuck --definition order-fulfilment
  ringmaster saga list --parked --participant payment
  ringmaster saga why order-fulfilment/ord-17
  ringmaster saga history order-fulfilment/ord-17 --limit 20";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SagaCommand {
    /// List sagas that a filter means; without one those that have not ended, by when they began.
    ///
    /// What is stuck or paused comes by since when, what is parked in the order in which it goes out. Sagas that have ended are found until
    /// their rows expire.
    ///
    /// Asks the running coordinator, which answers for all instances, as of its last checkpoint (at most two seconds old).
    #[command(after_help = sagas::EXAMPLES)]
    List {
        #[command(flatten)]
        filter: sagas::FilterArguments,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = sagas::count)]
        limit: usize,
        #[command(flatten)]
        printed: sagas::Printed,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show where a saga stands, as JSON; asks the running coordinator, as of its last checkpoint (at most two seconds old).
    Show {
        /// For example order-fulfilment/ord-17.
        id: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// Say what a saga waits for: since when, what wakes it and when, and what a person can do.
    ///
    /// Asks the running coordinator, as of its last checkpoint (at most two seconds old).
    Why {
        /// For example order-fulfilment/ord-17.
        id: String,
        /// A JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Tell what happened to a saga, in order: ways taken, commands, answers, what was skipped and emitted.
    ///
    /// Reads from the journal the records of which the saga's row says that they changed it, and what came since then. Where no coordinator
    /// runs, or has the row, it reads the journal of the saga's partition from its oldest record on. With --api, and on the embedded bus,
    /// the coordinator reads.
    History(HistoryArguments),
    /// Wait until a saga has ended, is stuck, or has done a step; for scripts.
    Wait(WaitArguments),
    /// Print a line each time a saga changes, until it has ended; goes on when the coordinator was away.
    Watch(WatchArguments),
}
