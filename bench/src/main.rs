//! The benchmark: order sagas through the real coordinator, the three real services and a real bus, on one machine with all of them.
//!
//! ```text
//! driver -> orders -> coordinator <-> inventory, payment, shipping -> order-outcomes -> driver; one JSON line a run
//! ```
//!
//! Open loop: with a rate, an order's latency counts from the moment it was to be sent, whether or not the system kept up. Without a
//! rate, orders are sent as fast as a bounded number in flight allows.

mod driver;
mod null;
mod process;
mod stage;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Under load half of the CPU went into the system's malloc; this one takes a fifth of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures order sagas: throughput, latency, CPU, memory; prints one JSON line a run.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  ringmaster-bench --bus embedded\n  ringmaster-bench --bus kafka --rate 5000 --seconds 20\n  ringmaster-bench --bus kafka --in-flight 16000 --null"
)]
struct Args {
    /// Which bus; for kafka a broker is started for the run.
    #[arg(long, value_enum, default_value = "kafka")]
    bus: BusKind,
    /// Orders a second; without it, as fast as --in-flight allows.
    #[arg(long)]
    rate: Option<f64>,
    /// Most orders under way at once.
    #[arg(long, default_value_t = 16_000)]
    in_flight: usize,
    /// Seconds that are measured, after a warm-up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before that.
    #[arg(long, default_value_t = 3.0)]
    warm_up: f64,
    /// Partitions of the journal and of every topic.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Run the null saga beside it: the same records and bytes, no decoding, no state.
    #[arg(long)]
    null: bool,
    /// The coordinator's program (kafka only): the one beside this program by default.
    #[arg(long)]
    coordinator: Option<std::path::PathBuf>,
    /// A setting for the coordinator, key=value; may be repeated.
    #[arg(long = "set")]
    settings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BusKind {
    Kafka,
    Embedded,
}

/// One run, as it is printed. Times in milliseconds from the intended time of sending; CPU in microseconds a saga.
#[derive(Debug, serde::Serialize)]
struct Line {
    bus: &'static str,
    rate: Option<f64>,
    in_flight: usize,
    partitions: i32,
    seconds: f64,
    sagas_per_s: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    issued: u64,
    completed: u64,
    compensated: u64,
    stuck: u64,
    rejected: u64,
    exact: bool,
    cpu_us_coordinator: f64,
    cpu_us_broker: f64,
    cpu_us_rest: f64,
    journal_bytes: f64,
    rss_mib: f64,
    null_per_s: Option<f64>,
    durability: &'static str,
}

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let args = Args::parse();
    let plan = driver::Plan {
        rate: args.rate,
        in_flight: args.in_flight,
        warm_up: Duration::from_secs_f64(args.warm_up),
        measured: Duration::from_secs_f64(args.seconds),
        partitions: args.partitions,
    };
    let (bus, result) = match args.bus {
        BusKind::Kafka => ("kafka", stage::on_kafka(&args, &plan)?),
        BusKind::Embedded => ("embedded", stage::on_embedded(&args, &plan)?),
    };
    let sagas = result.window.finished.max(1) as f64;
    let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / sagas;
    let ms = |quantile: f64| result.window.latency_us.value_at_quantile(quantile) as f64 / 1e3;
    let line = Line {
        bus,
        rate: args.rate,
        in_flight: args.in_flight,
        partitions: args.partitions,
        seconds: result.window.lasted.as_secs_f64(),
        sagas_per_s: (sagas / result.window.lasted.as_secs_f64()).round(),
        p50_ms: ms(0.5),
        p90_ms: ms(0.9),
        p99_ms: ms(0.99),
        max_ms: result.window.latency_us.max() as f64 / 1e3,
        issued: result.accounting.issued,
        completed: result.accounting.completed,
        compensated: result.accounting.compensated,
        stuck: result.accounting.stuck,
        rejected: result.rejected,
        exact: result.accounting.exact(),
        cpu_us_coordinator: micros(result.cpu.coordinator),
        cpu_us_broker: micros(result.cpu.broker),
        cpu_us_rest: micros(result.cpu.rest),
        journal_bytes: result.journal_bytes as f64 / result.accounting.issued.max(1) as f64,
        rss_mib: result.rss_mib,
        null_per_s: result.null_per_s,
        durability: "page cache, replication 1",
    };
    print_line(&serde_json::to_string(&line)?);
    for problem in &result.accounting.problems {
        print_line(&format!("WRONG: {problem}"));
    }
    if result.accounting.exact() { Ok(()) } else { anyhow::bail!("the accounting is not exact") }
}

#[allow(clippy::print_stdout, reason = "the line is what the program is for")]
fn print_line(text: &str) {
    println!("{text}");
}
