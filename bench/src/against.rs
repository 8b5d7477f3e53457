//! Another program in the same run: it is started for each of its windows, and says in a JSON line how many sagas a second it carried.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::site::Site;
use crate::window::{Contender, Cost, Measured, Plan, Window};

/// A command of the shell. What it is to do stands in its environment: `BENCH_BOOTSTRAP` (Kafka only), `BENCH_SECONDS`,
/// `BENCH_IN_FLIGHT`, `BENCH_RATE` (empty: as fast as it goes), `BENCH_PARTITIONS`.
pub(crate) struct Against<'a> {
    pub(crate) command: &'a str,
    pub(crate) site: &'a Site,
    pub(crate) partitions: i32,
}

impl Contender for Against<'_> {
    fn name(&self) -> &'static str {
        "against"
    }

    fn window(&mut self, plan: &Plan) -> Result<Window> {
        let mut command = Command::new("sh");
        command.args(["-c", self.command]).stdin(Stdio::null()).stderr(Stdio::inherit());
        command.env("BENCH_BOOTSTRAP", self.site.address().unwrap_or_default());
        command.env("BENCH_SECONDS", plan.measured.as_secs_f64().to_string()).env("BENCH_IN_FLIGHT", plan.in_flight.to_string());
        command.env("BENCH_RATE", plan.rate.map(|rate| rate.to_string()).unwrap_or_default());
        command.env("BENCH_PARTITIONS", self.partitions.to_string());
        let output = command.output().with_context(|| format!("'{}' cannot be run", self.command))?;
        if !output.status.success() {
            bail!("'{}' ended with {}", self.command, output.status);
        }
        let per_second = said(&String::from_utf8_lossy(&output.stdout)).with_context(|| {
            format!("'{}' said no JSON line with the number `sagas_per_s`: its last line must be one", self.command)
        })?;
        // What it cost is not known: its own start and end would be in it.
        let lasted = Duration::from_secs(1_000);
        let finished = (per_second * lasted.as_secs_f64()).round() as u64;
        Ok(Window {
            measured: Measured { lasted, finished, latency_us: None, overtaken_us: None },
            cost: Cost::default(),
            traffic: None,
        })
    }
}

/// The number in the last line that is a JSON object with it.
fn said(output: &str) -> Option<f64> {
    let number = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?.get("sagas_per_s")?.as_f64();
    output.lines().rev().find_map(number).filter(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_it_counts() {
        assert_eq!(said("begun\n{\"sagas_per_s\":5}\n{\"sagas_per_s\":17400.5,\"other\":1}\nbye\n"), Some(17_400.5));
        assert_eq!(said("{\"sagas\":5}\n17\n"), None);
        assert_eq!(said("{\"sagas_per_s\":-1}"), None);
    }

    #[test]
    fn a_program_is_told_its_load_and_its_failure_is_ours() {
        let site = Site::embedded();
        let plan = Plan { rate: None, in_flight: 7, settle: Duration::ZERO, measured: Duration::from_secs(2) };
        let against = |command| Against { command, site: &site, partitions: 4 }.window(&plan).map(|window| window.per_second());
        let told = "echo \"{\\\"sagas_per_s\\\": $BENCH_IN_FLIGHT$BENCH_SECONDS$BENCH_PARTITIONS}\"";
        assert_eq!(against(told).expect("it says it"), 724.0);
        assert!(against("exit 3").is_err() && against("echo nothing").is_err());
    }
}
