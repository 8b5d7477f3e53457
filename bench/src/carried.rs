//! What is carried, as the command line says it: the same for one instance, and for several in turns with it.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::services::Participants;
use crate::window::Plan;

/// Load, rounds and windows.
#[derive(Debug, Args)]
pub(crate) struct Carried {
    /// Who answers commands: the demo's services with their ledgers, or stateless echoes.
    #[arg(long, value_enum, default_value = "ledger")]
    pub(crate) participants: Participants,
    /// Orders a second; without it, as fast as --in-flight allows.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Most orders under way at once.
    #[arg(long, default_value_t = 16_000)]
    pub(crate) in_flight: usize,
    /// Rounds: in each, everybody has one window.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds that are measured in a window.
    #[arg(long, default_value_t = 15.0)]
    pub(crate) seconds: f64,
}

impl Carried {
    /// A window behind so many seconds of load. An error if nothing would be carried.
    pub(crate) fn plan(&self, settle: f64) -> Result<Plan> {
        if self.rounds == 0 || self.in_flight == 0 || self.rate.is_some_and(|rate| rate <= 0.0) {
            bail!("--rounds, --in-flight and --rate must be above 0");
        }
        Ok(Plan {
            rate: self.rate,
            in_flight: self.in_flight,
            settle: Duration::from_secs_f64(settle),
            measured: Duration::from_secs_f64(self.seconds),
        })
    }
}
