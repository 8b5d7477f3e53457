//! What operators see of an instance: logs and metrics. Health and status over HTTP are [`crate::api`].
//!
//! ```text
//! partitions count -> workers hand over what was counted, a few times a second -> Metrics -> /metrics
//! ```
//!
//! Nothing here is on the hot path: a turn only adds to plain numbers.

mod began;
mod codes;
mod counted;
mod family;
mod foretold;
mod lately;
mod metrics;
pub mod names;
mod port;
mod scrubbed;
mod took;
mod watched;

use std::io::IsTerminal as _;

#[cfg(test)]
pub(crate) use lately::Sums;
pub(crate) use lately::Within;
pub use metrics::Metrics;
pub use took::{StepSeen, StepSums, StepsSeen};
use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Starts logging to standard error, so that a command's output stays its own. Once a process; a second call changes nothing.
pub fn start_logging(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).expect("the level was checked when settings were read");
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal);
    // An error means that somebody (a test's harness) logs already: theirs is as good.
    let _ = if log.json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
}
