//! Mutation testing by sample: small slips are made in the shipped sources, one at a time, and a test must notice.
//!
//! All slips are compiled at once, each behind a switch that reads its number from the environment (`switch/`): building takes
//! minutes, so one build a slip would take days. It works on a copy of the workspace below the target folder.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers: what it finds, and how far it is")]

mod compile;
mod explained;
mod find;
mod report;
mod run;
mod slips;
mod suite;
mod tree;
mod trial;
mod words;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use report::{Report, Survivor};
use run::Room;
use slips::Slip;
use tree::{Source, Tree};
use trial::{Fate, Patience, Progress};

/// Makes small slips in the shipped sources, one at a time, and tells which no test notices.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many slips are drawn
    #[arg(long, default_value_t = 400)]
    sample: usize,
    /// What the draw follows from; a new one if it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Only these, by commas: crates (core, store...), paths (coordinator/bus/src/sim), or lines (FILE:LINE)
    #[arg(long, default_value = "")]
    only: String,
    /// The last run's survivors once more, and nothing else
    #[arg(long)]
    again: bool,
    /// Builds and runs the tests of the crates in ONLY alone: quick, and what other crates' tests notice goes unnoticed
    #[arg(long, requires = "only")]
    own: bool,
    /// Test binaries that are not run, by commas ("tests live", "bus kafka"): quicker, and their part goes unnoticed
    #[arg(long, default_value = "")]
    without: String,
    /// Lists the slips, and tries none
    #[arg(long)]
    list: bool,
    /// A slip is tried by tests that take so many seconds together without it, the quickest first
    #[arg(long, default_value_t = 300)]
    patience: u64,
    /// Seconds behind ten times its usual time after which a run hangs
    #[arg(long, default_value_t = 120)]
    grace: u64,
    /// How many in a hundred of the slips that change something must be caught
    #[arg(long, default_value_t = 90.0)]
    goal: f64,
    /// Writes the results as JSON to this file too
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match all(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mutants: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn all(arguments: &Arguments) -> Result<ExitCode> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mut tree = Tree::read()?;
    let explained = explained::read(&tree)?;
    let count: usize = tree.sources.iter().map(|source| source.slips.len()).sum();
    eprintln!("mutants: {count} slips in {} sources; {}", tree.sources.len(), report::left_out(&tree));
    let survivors = if arguments.again { survivors(&tree)? } else { Vec::new() };
    let is_meant = |source: &Source, slip: &Slip| match arguments.again {
        true => survivors.iter().any(|survivor| is(survivor, source, slip)),
        false => is_in(source, slip, &arguments.only),
    };
    if arguments.list {
        for (source, _, slip) in tree.alive().filter(|(source, _, slip)| is_meant(source, slip)) {
            println!("{}", report::survivor(source, slip, "not tried".to_owned()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    tree.copy()?;
    let meant: BTreeSet<String> =
        tree.alive().filter(|(source, _, slip)| is_meant(source, slip)).map(|(source, ..)| source.package.clone()).collect();
    let mut built = compile::compile(&mut tree, if arguments.own { Some(&meant) } else { None })?;
    built.tests.retain(|binary| !arguments.without.split(',').any(|name| name == binary.name));
    let room = Room::new(tree.copy.with_file_name("room"));
    let numbers = tree.alive().map(|(_, number, _)| number + 1).max().unwrap_or_default();
    let suite = suite::record(&built, &room, numbers, &tree.copy.with_file_name("reached.json"))?;
    for name in &suite.failing {
        eprintln!("mutants: fails without any slip, and is left out: {name}");
    }

    let mut drawn: Vec<_> = tree.alive().filter(|(source, _, slip)| is_meant(source, slip)).collect();
    ensure!(!drawn.is_empty(), "there is no slip in {:?}", arguments.only);
    fastrand::Rng::with_seed(seed).shuffle(&mut drawn);
    drawn.truncate(arguments.sample);
    eprintln!("mutants: SAMPLE={} SEED={seed} ONLY={}: {} slips", arguments.sample, arguments.only, drawn.len());
    let mut report = Report::new(seed, arguments.sample, arguments.only.clone(), &tree, &suite.reached());
    report.failing_without_a_slip.clone_from(&suite.failing);
    let patience = Patience { a_slip: Duration::from_secs(arguments.patience), grace: Duration::from_secs(arguments.grace) };
    let mut progress = Progress::new(drawn.len());
    for (source, number, slip) in drawn {
        if explained.iter().any(|entry| explained::is(entry, source, slip)) {
            report.explained(source);
            progress.count(false);
            continue;
        }
        let fate = trial::tried(number, &suite, &room, patience)?;
        report.take(source, slip, &fate);
        if let Fate::Survived { .. } | Fate::Unreached = fate {
            keep(&tree, &report.survivors)?;
        }
        progress.count(fate.is_caught());
    }
    keep(&tree, &report.survivors)?;
    end(arguments, &report)
}

/// Prints what came of it; fails below the goal.
fn end(arguments: &Arguments, report: &Report) -> Result<ExitCode> {
    println!("{}", report.text());
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(report)?).with_context(|| format!("{} is written", path.display()))?;
    }
    let total = report.total();
    let is_reached = total.percent() >= arguments.goal;
    let word = if is_reached { "reached" } else { "NOT reached" };
    println!(
        "mutants: SAMPLE={} SEED={} ONLY={}: {} of {} slips that change something are caught, {:.1} %; the goal of {} % is {word}",
        report.sample,
        report.seed,
        report.only,
        total.caught,
        total.caught + total.survived,
        total.percent(),
        arguments.goal
    );
    Ok(if is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a slip is in what was asked for.
fn is_in(source: &Source, slip: &Slip, only: &str) -> bool {
    let mut wishes = only.split(',').map(str::trim).filter(|wish| !wish.is_empty()).peekable();
    wishes.peek().is_none()
        || wishes.any(|wish| {
            let name = source.package.strip_prefix("ringmaster-").unwrap_or("coordinator");
            let line = source.line(slip.place.start);
            wish == name || wish == source.package || source.path.starts_with(wish) || wish == format!("{}:{line}", source.path)
        })
}

fn is(survivor: &Survivor, source: &Source, slip: &Slip) -> bool {
    survivor.file == source.path && survivor.slip == slip.says && survivor.text == source.line_text(source.line(slip.place.start))
}

/// The last run's survivors.
fn survivors(tree: &Tree) -> Result<Vec<Survivor>> {
    let path = tree.copy.with_file_name("survivors.json");
    let bytes = std::fs::read(&path).with_context(|| format!("{}: there was no run before", path.display()))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn keep(tree: &Tree, survivors: &[Survivor]) -> Result<()> {
    tree::write(&tree.copy.with_file_name("survivors.json"), &serde_json::to_vec_pretty(survivors)?)
}
