//! The `ringmaster-demo` binary: what `make demo` runs.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use ringmaster::config::{Config, Log};
use ringmaster::telemetry;
use ringmaster_demo::run::{Options, run};

/// As in the coordinator's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Run 1,000 orders through coordinator and three services in this process, and account for every one of them.
///
/// Everything is real: the durable log, the store, the services' ledgers. Killed at any moment and started again on its directory, it
/// finishes the rest, still exactly. A finished directory is moved aside.
#[derive(Debug, Parser)]
#[command(name = "ringmaster-demo", version, max_term_width = 120)]
struct Arguments {
    /// How many orders; a directory that was begun with another number keeps it.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    orders: u64,
    /// Orders a second.
    #[arg(long, default_value_t = 100.0, value_parser = parse_rate)]
    rate: f64,
    /// Where everything is kept; the folder demo inside data_dir by default.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The coordinator's settings file; ringmaster.toml if it exists.
    #[arg(long, env = "RINGMASTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting of the coordinator, for example --set partitions=2; wins over file and environment.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// A number above nothing.
fn parse_rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0).ok_or_else(|| "not a number above 0".to_owned())
}

/// Fails if a single order is not accounted for.
fn demo(arguments: Arguments) -> Result<()> {
    let config = Config::load(arguments.config.as_deref(), &arguments.settings)?;
    telemetry::start_logging(&Log { level: "warn".to_owned(), ..config.log.clone() });
    let folder = arguments.dir.unwrap_or_else(|| config.data_dir.join("demo"));
    let accounting = run(&config, &Options { orders: arguments.orders, rate: arguments.rate, folder })?;
    if !accounting.exact() {
        bail!("the accounting is not exact; see above");
    }
    Ok(())
}

fn main() -> ExitCode {
    match demo(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone; the code says the rest.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}
