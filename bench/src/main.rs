//! The benchmark: order sagas through the real coordinator, three services and a real bus, on one machine with all of them.
//!
//! ```text
//! driver -> orders -> coordinator <-> inventory, payment, shipping -> order-outcomes -> driver
//! ```
//!
//! Open loop: with a rate, an order's latency counts from the moment it was to be sent, whether or not the system kept up. Without a
//! rate, orders are sent as fast as a bounded number in flight allows.
//!
//! Only ratios mean something on another machine. So one broker serves all runs of a call; it carries load for a minute before
//! anything is measured, because its compiler needs that long; product and null saga take turns; and a window is void when the
//! machine's speed changed meanwhile.
//!
//! Reading order: [`window`] (what is compared), [`rounds`] (how), [`product`], [`null`] and [`against`] (what), [`report`].

mod against;
mod carried;
mod coordinator;
mod curve;
mod instances;
mod load;
mod machine;
mod null;
mod overload;
mod parked;
mod product;
mod report;
mod rounds;
mod schedule;
mod services;
mod site;
mod traffic;
mod window;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use ringmaster_bench::course::SIMPLE;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::against::Against;
use crate::carried::Carried;
use crate::curve::Point;
use crate::instances::InstancesArgs;
use crate::null::Null;
use crate::overload::{CALM, InFlight, Overload};
use crate::parked::ParkedArgs;
use crate::product::{OnEmbedded, OnKafka, Options, PRODUCT, Verdict};
use crate::report::{Call, Figures, Line};
use crate::rounds::Rounds;
use crate::services::{Participants, ServicesArgs};
use crate::site::Site;
use crate::window::{Contender, Plan};

/// Under load half of the CPU went into the system's malloc; this one takes a fifth of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures order sagas beside the null saga (the same records and bytes, no decoding, no state): throughput, latency, CPU,
/// requests. Prints a table; with --json a line.
#[derive(Debug, Parser)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  ringmaster-bench --bus embedded\n  ringmaster-bench --rate 5000 --participants echo\n  \
        ringmaster-bench --in-flight 500 --rounds 3 --seconds 10\n  ringmaster-bench --all --curve curve.html\n  \
        ringmaster-bench --against 'java -jar other.jar'    (it finds its load in BENCH_BOOTSTRAP, BENCH_SECONDS,\n      \
        BENCH_IN_FLIGHT, BENCH_RATE, BENCH_PARTITIONS, and says a JSON line with \"sagas_per_s\")\n\n\
        Exit codes: 0 every order has the outcome that it must have; 1 not, or something could not be run."
)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Which bus; for kafka a broker is started for the call.
    #[arg(long, value_enum, default_value = "kafka")]
    bus: BusKind,
    #[command(flatten)]
    carried: Carried,
    /// Seconds under load before that, in each window.
    #[arg(long, default_value_t = 3.0)]
    settle: f64,
    /// Seconds under load before anything is measured; by default 60 for kafka, 5 for embedded.
    #[arg(long)]
    warm: Option<f64>,
    /// Partitions of the journal and of every topic.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// How coordinator, services and driver reach Kafka: librdkafka, direct or auto.
    #[arg(long, default_value = "auto")]
    client: String,
    /// More loads beside the one that is said, each with its rounds: 500 in flight, 5,000/s, 10/s, 0.7 of what is carried; and
    /// overload, twice of it.
    #[arg(long, conflicts_with = "rate")]
    all: bool,
    /// Overload beside the load that is said: twice of what is carried, between calm and full windows (part of --all).
    #[arg(long, conflicts_with = "rate")]
    overload: bool,
    /// The library's whole order takes turns with the simple one, each on a bus of its own; both with --participants echo.
    #[arg(long)]
    whole: bool,
    /// Another program that takes turns with the product.
    #[arg(long)]
    against: Option<String>,
    /// Write latency over rates (500 to 20,000/s, a window each) to this page.
    #[arg(long)]
    curve: Option<PathBuf>,
    /// A line of JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// The coordinator's program (kafka only): the one beside this program by default.
    #[arg(long)]
    coordinator: Option<PathBuf>,
    /// A setting for the coordinator, key=value; may be repeated.
    #[arg(long = "set")]
    settings: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The services alone, for the bench itself.
    #[command(hide = true)]
    Services(ServicesArgs),
    /// Restart, takeover, disk and memory with many parked sagas.
    Parked(ParkedArgs),
    /// One instance in turns with several: what sharing costs.
    Instances(InstancesArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BusKind {
    Kafka,
    Embedded,
}

/// Rates of the curve.
const RATES: [f64; 6] = [500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0];
/// Orders under way while everything gets warm.
const WARM_IN_FLIGHT: usize = 16_000;
/// A window of it.
const WARM_WINDOW: Duration = Duration::from_secs(5);

/// What a call found out.
struct Found {
    measured: Measurements,
    verdict: Verdict,
}

/// What was measured while everything ran.
struct Measurements {
    /// Every load, and what came of it.
    runs: Vec<(Plan, Rounds)>,
    overload: Option<Overload>,
    points: Vec<Point>,
}

fn main() -> Result<()> {
    // What its client says while a broker starts and when it ends is of no use here: what fails ends the call.
    let filter = Targets::new().with_target("ringmaster", LevelFilter::WARN);
    tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).with(filter).init();
    let args = Args::parse();
    match &args.part {
        Some(Part::Services(services)) => services::run(services),
        Some(Part::Parked(args)) => parked::run(args),
        Some(Part::Instances(args)) => instances::run(args),
        None => bench(&args),
    }
}

fn bench(args: &Args) -> Result<()> {
    if args.partitions < 1 {
        bail!("--partitions must be above 0");
    }
    if args.whole && args.carried.participants != Participants::Echo {
        bail!("--whole needs --participants echo: no services of its own answer all that the whole order asks");
    }
    let plan = args.carried.plan(args.settle)?;
    let options = Options {
        partitions: args.partitions,
        participants: args.carried.participants,
        course: &SIMPLE,
        client: args.client.clone(),
        coordinator: args.coordinator.clone(),
        settings: args.settings.clone(),
    };
    let (bus, found) = match args.bus {
        BusKind::Kafka => ("kafka", on_kafka(args, &plan, &options)?),
        BusKind::Embedded => ("embedded", on_embedded(args, &plan, &options)?),
    };
    let participants = args.carried.participants.to_possible_value().expect("a value of the command line").get_name().to_owned();
    for (plan, rounds) in &found.measured.runs {
        let (participants, client) = (participants.clone(), args.client.clone());
        let line = Line::new(&Call { bus, participants, client, partitions: args.partitions, plan }, rounds, &found.verdict);
        print(&if args.json { serde_json::to_string(&line)? } else { line.table() });
    }
    if let Some(overload) = &found.measured.overload {
        print(&if args.json { serde_json::to_string(&serde_json::json!({ "overload": overload }))? } else { overload.line() });
    }
    if !args.json {
        print(&found.verdict.notes());
    }
    if let Some(path) = &args.curve {
        let title =
            format!("{bus}, {participants} participants, {} partitions, {} s a window", args.partitions, args.carried.seconds);
        std::fs::write(path, curve::page(&title, &found.measured.points)?).with_context(|| format!("{}", path.display()))?;
        say(&format!("latency over rates is in {}", path.display()));
    }
    for problem in &found.verdict.accounting.problems {
        print(&format!("WRONG: {problem}"));
    }
    if found.verdict.accounting.exact() { Ok(()) } else { bail!("the accounting is not exact") }
}

fn on_kafka(args: &Args, plan: &Plan, options: &Options) -> Result<Found> {
    say("a broker, the coordinator and the services start");
    let site = Site::kafka()?;
    let address = site.address().context("a broker runs")?;
    let mut product = OnKafka::start(&site, options)?;
    let mut null = Null::start("null", &site, &services::reached_by(address, "librdkafka"), options.partitions)?;
    let mut direct = Null::start("null_direct", &site, &services::reached_by(address, "direct"), options.partitions)?;
    let other = args.whole.then(Site::kafka).transpose()?;
    let mut whole = other.as_ref().map(|site| OnKafka::start(site, &options.whole())).transpose()?;
    let mut others: Vec<&mut dyn Contender> = vec![&mut null, &mut direct];
    others.extend(whole.as_mut().map(|whole| whole as &mut dyn Contender));
    warm(&mut product, &mut others, args.warm.unwrap_or(60.0))?;
    site.count()?;
    let measured = measure(args, plan, &site, &mut product, &mut others)?;
    null.finish()?;
    direct.finish()?;
    let whole = whole.map(OnKafka::finish).transpose()?;
    Ok(Found { measured, verdict: product.finish()?.and(whole) })
}

fn on_embedded(args: &Args, plan: &Plan, options: &Options) -> Result<Found> {
    let site = Site::embedded();
    let mut product = OnEmbedded::start(options)?;
    let log = product.log.clone();
    let mut null = Null::start("null", &site, &log, options.partitions)?;
    let mut whole = args.whole.then(|| OnEmbedded::start(&options.whole())).transpose()?;
    let mut others: Vec<&mut dyn Contender> = vec![&mut null];
    others.extend(whole.as_mut().map(|whole| whole as &mut dyn Contender));
    warm(&mut product, &mut others, args.warm.unwrap_or(5.0))?;
    let measured = measure(args, plan, &site, &mut product, &mut others)?;
    null.finish()?;
    let whole = whole.map(OnEmbedded::finish).transpose()?;
    Ok(Found { measured, verdict: product.finish()?.and(whole) })
}

/// Full load in turns for at least so many seconds, whatever is measured then: a broker compiles what it does often.
fn warm(product: &mut dyn Contender, others: &mut [&mut dyn Contender], seconds: f64) -> Result<()> {
    say(&format!("{seconds} s of load before anything is measured"));
    let window = Plan { rate: None, in_flight: WARM_IN_FLIGHT, settle: Duration::ZERO, measured: WARM_WINDOW };
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        product.window(&window)?;
        others.iter_mut().try_for_each(|contender| contender.window(&window).map(drop))?;
    }
    Ok(())
}

/// Rounds of all under every load, overload, and the curve of product and null saga.
fn measure(
    args: &Args,
    plan: &Plan,
    site: &Site,
    product: &mut dyn InFlight,
    others: &mut [&mut dyn Contender],
) -> Result<Measurements> {
    let mut against = args.against.as_deref().map(|command| Against { command, site, partitions: args.partitions });
    let (mut runs, mut left): (Vec<(Plan, Rounds)>, Vec<Plan>) = (Vec::new(), vec![plan.clone()]);
    if args.all {
        let at = |rate: f64| Plan { rate: Some(rate), ..plan.clone() };
        left.extend([Plan { rate: None, in_flight: 500, ..plan.clone() }, at(5_000.0), at(10.0)]);
    }
    left.reverse();
    let mut carried = None;
    while let Some(plan) = left.pop() {
        say(&plan.load());
        let mut all: Vec<&mut dyn Contender> = vec![&mut *product];
        all.extend(others.iter_mut().map(|other| &mut **other as &mut dyn Contender));
        all.extend(against.as_mut().map(|against| against as &mut dyn Contender));
        let rounds = rounds::run(&mut all, &plan, args.carried.rounds, &mut machine::speed, &say)?;
        if carried.is_none() {
            let peak = Figures::of(rounds.of(PRODUCT).expect("the product runs")).per_s.median;
            carried = Some(peak);
            if args.all {
                left.insert(0, Plan { rate: Some((peak * CALM).round()), in_flight: usize::MAX, ..plan.clone() });
            }
        }
        runs.push((plan, rounds));
    }
    let overload = carried
        .filter(|_| args.all || args.overload)
        .map(|peak| {
            say("overload, between calm and full windows");
            overload::run(product, peak, plan, &mut machine::speed)
        })
        .transpose()?;
    let mut points = Vec::new();
    for rate in RATES.into_iter().filter(|_| args.curve.is_some()) {
        let plan = Plan { rate: Some(rate), ..plan.clone() };
        say(&plan.load());
        let found = rounds::run(&mut [&mut *product, &mut *others[0]], &plan, 1, &mut machine::speed, &say)?;
        let [product, null] = &found.series[..] else { unreachable!("two contenders have two series") };
        points.push(Point { rate, product: Figures::of(product), null: Some(Figures::of(null)) });
    }
    Ok(Measurements { runs, overload, points })
}

/// Progress, for whoever waits.
#[allow(clippy::print_stderr, reason = "a call takes minutes")]
fn say(text: &str) {
    eprintln!("bench: {text}");
}

#[allow(clippy::print_stdout, reason = "the figures are what the program is for")]
fn print(text: &str) {
    println!("{text}");
}
