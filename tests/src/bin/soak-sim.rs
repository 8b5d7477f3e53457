//! The `soak-sim` binary: what `make soak-sim` runs.

#![allow(clippy::print_stdout, reason = "a program says what it did")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use ringmaster_tests::soak::{MOST_SAGAS, Mode, Options, Played, SAGAS, append, read, run, table};

/// Nothing was violated.
const FINE: u8 = 0;
/// Something was.
const VIOLATED: u8 = 1;
/// It could not be carried out.
const NOT_RUN: u8 = 2;

/// It tells where it is this often.
const TOLD_EVERY: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "Examples:
  soak-sim --definitions 1000000
  soak-sim --definitions 1000000 --sagas 100    (a hundred sagas on each, not 16)
  soak-sim --protocol 100000 --seed 5000000
  soak-sim --protocol 1 --seed 5000123          (that seed once more: each has its plan)
  soak-sim --protocol 100000 --results all.jsonl; soak-sim --protocol 100000 --seed 100000 --results all.jsonl
  soak-sim --show all.jsonl                     (what all of them came to)

Exit codes: 0 nothing was violated; 1 something was: its seed, its plan and the command that repeats it are said; 2 it could not run.";

/// Plays what the simulators play, for as long as you like: seed after seed on all cores, until so many are played or one of them finds
/// something that must never happen.
///
/// A seed of `--definitions` is a random definition over the whole language, of which some sagas are played on the pure core under all that
/// can go wrong, and held to the laws. A seed of `--protocol` is a plan of the simulator of the journal's protocol: coordinators that die,
/// stand still and take over from each other, at each crash point too, services, store and broker, held to what the journal says.
/// Ctrl-C ends it with what was played so far.
#[derive(Debug, Parser)]
#[command(name = "soak-sim", version, max_term_width = 120, after_help = EXAMPLES)]
struct Arguments {
    /// So many random definitions.
    #[arg(long, value_name = "N", required_unless_present_any = ["protocol", "show"], value_parser = clap::value_parser!(u64).range(1..))]
    definitions: Option<u64>,
    /// So many runs of the protocol.
    #[arg(long, value_name = "N", conflicts_with = "definitions", value_parser = clap::value_parser!(u64).range(1..))]
    protocol: Option<u64>,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// So many sagas on each definition, under other faults each. More of them cost less each, since a definition is compiled once.
    #[arg(long, value_name = "N", conflicts_with = "protocol", default_value_t = SAGAS, value_parser = clap::value_parser!(u64).range(1..=MOST_SAGAS))]
    sagas: u64,
    /// So many threads; as many as there are cores by default.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    threads: Option<u64>,
    /// A file that gets a line of JSON for this run. The table at the end is then of all that it has, of earlier runs too: many sagas may be
    /// made of many short runs, also at once.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Plays nothing: says what this file has.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["definitions", "protocol", "results"])]
    show: Option<PathBuf>,
}

fn main() -> ExitCode {
    match soak(&Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            // Standard error may be gone; the code says the rest.
            let _ = writeln!(std::io::stderr(), "soak-sim: {why}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn soak(arguments: &Arguments) -> Result<u8, String> {
    if let Some(file) = &arguments.show {
        let all = read(file)?;
        print!("{}", table(&all));
        return Ok(if all.iter().all(|one| one.violations.is_empty()) { FINE } else { VIOLATED });
    }
    let (mode, count) = match (arguments.definitions, arguments.protocol) {
        (_, Some(count)) => (Mode::Protocol, count),
        (count, None) => (Mode::Definitions, count.unwrap_or_default()),
    };
    if arguments.seed.checked_add(count).is_none() {
        return Err(format!("there are no {count} seeds from {} on", arguments.seed));
    }
    // What was played must not be lost for a file that cannot be written.
    if let Some(file) = &arguments.results {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| format!("signals: {error}"))?;
    }
    // A panic of what is played is told with its story; SIM_PANICS=1 says where it was, too.
    if std::env::var_os("SIM_PANICS").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.map_or(cores, |threads| threads as usize);
    let options = Options { mode, first: arguments.seed, count, sagas: arguments.sagas, threads, tell_every: TOLD_EVERY };
    let (played, violation) = run(options, &stop, &|so_far| tell(so_far, count));
    played.counts.iter().for_each(|(what, count)| println!("{count:>12} {what}"));
    tell(&played, count);
    if let Some(violation) = &violation {
        println!("violated by seed {}: {}\n\n{}", violation.seed, violation.what, violation.story);
        let sagas = if arguments.sagas == SAGAS { String::new() } else { format!(" --sagas {}", arguments.sagas) };
        println!("again: soak-sim --{mode} 1 --seed {}{sagas}", violation.seed);
        // What the other threads had begun was played, too: a run that begins before that would not count.
        println!("on:    soak-sim --{mode} {count} --seed {}{sagas}", played.to);
    }
    if let Some(file) = &arguments.results {
        append(file, &played)?;
        print!("\nall of {}:\n{}", file.display(), table(&read(file)?));
    }
    Ok(if violation.is_some() { VIOLATED } else { FINE })
}

fn tell(played: &Played, count: u64) {
    let Played { mode, from, to, sagas, seconds, .. } = played;
    let (done, rate) = (to - from, played.rate());
    println!("{mode}: {done} of {count} seeds from {from} on, {sagas} sagas in {seconds:.0} s, {rate:.0} sagas a second");
}
