//! The `chaos` binary: what `make chaos` runs.

#![allow(clippy::print_stdout, reason = "a program says what it found")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_tests::chaos::{Class, Options, Report, go_apart, read_results, run};

/// Nothing was violated.
const FINE: u8 = 0;
/// Something was.
const VIOLATED: u8 = 1;
/// It could not be carried out.
const NOT_RUN: u8 = 2;

const EXAMPLES: &str = "Examples:
  chaos --minutes 10
  chaos --minutes 60 --brokers 3 --coordinators 3 --rate 100
  chaos --minutes 5 --faults kill,freeze-coordinator --seed 7
  chaos --rounds 1 --seed 7            (the first round of that, once more)
  chaos --show all.jsonl               (what earlier runs found)
  chaos --minutes 60 --results all.jsonl; chaos --minutes 60 --brokers 3 --results all.jsonl    (one table of both)

Exit codes: 0 nothing was violated; 1 something was: it is listed, and the folder of that round is kept; 2 it could not run, or no round came to its end.";

/// Runs coordinators and services as processes on real Kafka brokers, under load, and makes one fault after the other.
///
/// Orders, and events that start sagas of random definitions, come at a rate, whether earlier ones have ended or not. Each fault must hit orders that are under way, else it does not count. Then it
/// is waited until all goes on. Some faults are a round; at its end no more orders come, all must end, and outcomes, stores, ledgers and
/// quarantine are held against what each order's number says, sagas of random definitions against the laws of the language, and the store against the one
/// that the journal alone makes. Ctrl-C ends it with
/// the table so far.
#[derive(Debug, Parser)]
#[command(name = "chaos", version, max_term_width = 120, after_help = format!("Faults:\n{}\n{EXAMPLES}", Class::list()))]
struct Arguments {
    /// No fault is begun behind so many minutes; its round is finished and checked.
    #[arg(long, default_value_t = 10.0, value_parser = above_nothing)]
    minutes: f64,
    /// So many rounds, and no more.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// Chooses faults and whom they hit; another one each time by default, which is said. Each round has the next one.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these faults, by their names, or what these begin with (kill, term, freeze, ...).
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME")]
    faults: Vec<String>,
    /// Faults of a round.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=100))]
    per_round: u64,
    /// Of so many of the faults, from none (0) to all (1), a second one is made at the same moment, which is not counted among those of a
    /// round: a service or a coordinator is killed, whichever the first does not hit.
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    together: f64,
    /// One broker with the only copy of each topic, or three with a copy each, of which two must have a record.
    #[arg(long, default_value_t = 1, value_parser = one_or_three)]
    brokers: usize,
    /// Coordinators.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3))]
    coordinators: u64,
    /// Orders a second.
    #[arg(long, default_value_t = 150.0, value_parser = above_nothing)]
    rate: f64,
    /// Sagas of random definitions a second, beside the orders: eight definitions a round, over the whole language, whose participants refuse, fail
    /// and are silent. 0 for none.
    #[arg(long, default_value_t = 20.0, value_parser = not_below_nothing)]
    random_rate: f64,
    /// So many milliseconds each service keeps back each of its answers: the longer, the more is under way.
    #[arg(long, default_value_t = 1_000)]
    answer_after_ms: u64,
    /// A fault that hits fewer orders that are under way does not count.
    #[arg(long, default_value_t = 20)]
    proven_from: usize,
    /// A file that gets a line of JSON for each round that came to its end. The table at the end is then of all that it has, of earlier runs
    /// too: a long time may be made of many short ones, also at once.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Runs nothing: says what this file has.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["results", "rounds", "seed", "faults"])]
    show: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

fn above_nothing(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0).ok_or_else(|| "not a number above 0".to_owned())
}

fn not_below_nothing(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0).ok_or_else(|| "not a number from 0 on".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| (0.0..=1.0).contains(number)).ok_or_else(|| "not a number from 0 to 1".to_owned())
}

fn one_or_three(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| [1, 3].contains(count)).ok_or_else(|| "1 or 3".to_owned())
}

fn options(arguments: &Arguments) -> Result<Options, String> {
    let mut classes = Vec::new();
    for name in &arguments.faults {
        classes.extend(Class::named(name)?);
    }
    if classes.is_empty() {
        classes = Class::all();
    }
    classes.sort_unstable();
    classes.dedup();
    Ok(Options {
        time: Duration::from_secs_f64(arguments.minutes * 60.0),
        rounds: arguments.rounds,
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        classes,
        fixed: false,
        faults_per_round: arguments.per_round as usize,
        together: arguments.together,
        brokers: arguments.brokers,
        coordinators: arguments.coordinators as usize,
        rate: arguments.rate,
        random_rate: arguments.random_rate,
        answer_after: Duration::from_millis(arguments.answer_after_ms),
        proven_from: arguments.proven_from,
        results: arguments.results.clone(),
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    go_apart();
    match chaos(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            // Standard error may be gone; the code says the rest.
            let _ = writeln!(std::io::stderr(), "chaos: {why}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn chaos(arguments: &Arguments) -> Result<u8, String> {
    if let Some(file) = &arguments.show {
        return Ok(show(&read_results(file)?, arguments.json));
    }
    let options = options(arguments)?;
    if !Broker::is_available() {
        return Err(format!("no Kafka: its jars are neither where {LIBS} says nor in the cache; scripts/kafka/fetch fetches them"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| format!("signals: {error}"))?;
    }
    // What the parts of it expect of a machine they say by a panic, which tells nothing of what is tested.
    let ran = std::panic::catch_unwind(|| run(&options, &stop));
    let report = ran.map_err(|_| "it could not be carried out; see above".to_owned())??;
    let code = show(&report, arguments.json);
    if let Some(file) = options.results.as_deref().filter(|_| !arguments.json) {
        println!("\nall of {}:", file.display());
        show(&read_results(file)?, false);
    }
    Ok(code)
}

/// Says what was found; the exit code of it.
fn show(report: &Report, as_json: bool) -> u8 {
    print!("{}", if as_json { report.json() } else { report.table() });
    match (report.violations.is_empty(), report.rounds) {
        (false, _) => VIOLATED,
        (true, 0) => NOT_RUN,
        (true, _) => FINE,
    }
}
