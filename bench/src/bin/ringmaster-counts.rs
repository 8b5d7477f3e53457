//! The `ringmaster-counts` binary: what an order saga costs, as one JSON line. `make bench-instructions` runs it, also under callgrind.

use std::path::Path;

use anyhow::Result;
use clap::Parser;
use ringmaster_bench::counts::allocator::Counting;
use ringmaster_bench::counts::{guards, items, measure, measure_whole, replay, run};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what an order saga costs: allocations and bytes; prints one JSON line.
#[derive(Debug, Parser)]
struct Arguments {
    /// Sagas that are counted; `limits.toml` holds for the default, since tables grow in steps.
    #[arg(long, default_value_t = 500)]
    sagas: usize,
    /// Only run them, for callgrind; prints nothing.
    #[arg(long)]
    run_only: bool,
    /// The whole order of five commands instead of the simple one of three.
    #[arg(long)]
    whole: bool,
    /// Bulk orders of so many lines each instead; at least `sagas` lines together.
    #[arg(long)]
    lines: Option<usize>,
    /// Makes their partition anew from its journal behind that, so many times.
    #[arg(long)]
    replayed: Option<usize>,
    /// Into RocksDB; else into a store in memory.
    #[arg(long)]
    rocks: bool,
    /// Guards instead: each is asked `sagas` times.
    #[arg(long)]
    guards: bool,
}

#[expect(clippy::print_stdout, reason = "it is what it is for")]
fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let arguments = Arguments::parse();
    if arguments.guards {
        if arguments.run_only {
            return guards::run(&root, arguments.sagas);
        }
        println!("{}", serde_json::to_string(&guards::measure(&root)?)?);
        return Ok(());
    }
    if let Some(lines) = arguments.lines {
        let orders = arguments.sagas.div_ceil(lines);
        if arguments.run_only {
            return items::run(&root, orders, lines);
        }
        println!("{}", serde_json::to_string(&items::measure(&root, orders, lines)?)?);
        return Ok(());
    }
    if let Some(times) = arguments.replayed {
        let replayed = replay::run(&root, (arguments.sagas, arguments.whole), times, arguments.rocks)?;
        if !arguments.run_only {
            println!("{}", serde_json::to_string(&replayed)?);
        }
        return Ok(());
    }
    if arguments.run_only {
        return run(&root, arguments.sagas, arguments.whole);
    }
    if arguments.whole {
        println!("{}", serde_json::to_string(&measure_whole(&root, arguments.sagas)?)?);
        return Ok(());
    }
    let counts = measure(&root, arguments.sagas)?;
    println!("{}", serde_json::to_string(&counts)?);
    Ok(())
}
