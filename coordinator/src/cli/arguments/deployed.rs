//! `definitions` and `topics`: what is deployed, and what it needs.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DefinitionsCommand {
    /// List the version of each saga that is in force: new sagas get it.
    List {
        /// All versions: sagas that run keep theirs.
        #[arg(long)]
        all: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a definition as it was deployed.
    Show {
        /// The saga's name.
        name: String,
        /// Which version; the newest without it.
        number: Option<usize>,
        /// A JSON object, with the schemas that it was compiled against.
        #[arg(long)]
        json: bool,
    },
    /// Show what a deploy of the folder of definitions would change, or what differs between two versions.
    ///
    /// Exits with 0 if there is no difference, and with 1 if there is one.
    Diff {
        /// The saga's name.
        name: String,
        /// A version, to compare with.
        from: Option<usize>,
        /// Another version; the newest without it.
        to: Option<usize>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TopicsCommand {
    /// Make what is missing, with the right counts and settings, then verify. What exists is never changed.
    Apply {
        /// Definition files, and folders of them, whose topics are needed beside those of the folder of definitions.
        #[arg(value_name = "FILE|FOLDER")]
        files: Vec<PathBuf>,
        /// Copies of each partition; -1 is the broker's default.
        #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "COUNT")]
        replication: i32,
    },
    /// Say what is wrong with topics; change nothing.
    Verify,
}
