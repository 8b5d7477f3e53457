//! `make scale-demo`: members of a service come, are killed and go, by what is asked of it.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use ringmaster_demo::scale::{Options, run};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Under load half of the CPU went into the system's malloc; this one takes a fifth of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Shows `ringmaster scale` on a Kafka broker of its own: more is asked of a service than one member can do; members come, are killed, and
/// go. Exits with 0 only if every order was scored exactly once. Everything ends with it, and nothing is left.
#[derive(Debug, Parser)]
#[command(name = "scale-demo", version, max_term_width = 120)]
struct Arguments {
    /// Orders a second.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    rate: u32,
    /// For so many seconds.
    #[arg(long, default_value_t = 180, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    load: u32,
    /// How many seconds are watched behind it. Members go one a minute: 480 show all of them go.
    #[arg(long, default_value_t = 150, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    tail: u32,
    /// From a minute and a half of load on a member is killed each so many seconds; 0: none is.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    kill_every: u32,
    /// A member carries out one command in so many milliseconds.
    #[arg(long, default_value_t = 20, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    service_ms: u32,
}

/// True once a signal came that is to end it. A second one ends it at once, and leaves its folders.
fn stop_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal finds the flag unset, and sets it for the second.
        signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}

fn main() -> ExitCode {
    let Arguments { rate, load, tail, kill_every, service_ms } = Arguments::parse();
    let seconds = |count: u32| Duration::from_secs(count.into());
    let options = Options {
        rate: rate.into(),
        load: seconds(load),
        tail: seconds(tail),
        kill_every: (kill_every > 0).then(|| seconds(kill_every)),
        service_ms: service_ms.into(),
    };
    match stop_signal().and_then(|stop| run(&options, &stop)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be gone; the code says the rest.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}
