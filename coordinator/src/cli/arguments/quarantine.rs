//! `quarantine`: records that could not be taken.

use clap::Subcommand;

use crate::cli::asking::Asked;
use crate::cli::{redrive, sagas};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum QuarantineCommand {
    /// List records, oldest first.
    List {
        /// Only this reason, for example UNDECODABLE.
        #[arg(long)]
        reason: Option<String>,
        /// Only records that came from this topic.
        #[arg(long)]
        topic: Option<String>,
        /// Also those that were redriven or discarded: by whom, when and why.
        #[arg(long)]
        all: bool,
        /// At most so many, the newest.
        #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = sagas::count)]
        limit: usize,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show one record with its bytes, as text or as a hex dump.
    Show {
        /// As `list` prints it, for example 3/17.
        id: String,
        /// A JSON object, the bytes in hex; of a coordinator (--api) as far as they can be decoded, without what is secret.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Bring records to their sagas after all: a schema or a definition has come, or a mistake was mended.
    ///
    /// Without --expected nothing is done: it is said how many records it would be, of which kind. With --expected COUNT they are read
    /// again in their topics and brought to all partitions, if they still are so many, and what became of each is told and journaled: taken
    /// by which saga, known already, or back in quarantine, with both reasons. One that is brought twice does nothing twice. Records
    /// that are not taken, or cannot be had any more, are told one by one, and others go on; the exit code is 12 then.
    #[command(
        after_help = "Examples:\n  ringmaster quarantine redrive --reason UNKNOWN_SCHEMA --topic orders\n  ringmaster quarantine redrive --reason UNKNOWN_SCHEMA --topic orders --expected 17 --why 'the schema is there'\n  ringmaster quarantine redrive 3/17 --accept-old --expected 1 --why 'it never ran: seen in the books'"
    )]
    Redrive(redrive::RedriveArguments),
    /// Say of records that they are of no use to anybody. They stay where they are, and are listed no more but with --all.
    ///
    /// Without --expected nothing is done: it is said how many records it would be, of which kind.
    #[command(
        after_help = "Example:\n  ringmaster quarantine discard --topic orders --until 2026-02-01T00:00:00Z --expected 3 --why 'a load test'"
    )]
    Discard(redrive::DiscardArguments),
}
