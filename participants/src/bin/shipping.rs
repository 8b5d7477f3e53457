//! The shipping service on Kafka: `shipping --help`.

use std::process::ExitCode;

use clap::Args;
use ringmaster_participants::books::Endowment;
use ringmaster_participants::cli;
use ringmaster_participants::services::{REFUSED_REGION, SLOTS_DEFAULT, Shipping};

/// Under load half of the CPU went into the system's malloc; this one takes a fifth of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Shipping: ships orders (shipping.Ship). It is the pivot of the order saga: nothing undoes it.

Refuses with NO_SLOT or ADDRESS_REFUSED. Examples:
  shipping --bootstrap localhost:9092 --data data/shipping
  shipping --bootstrap localhost:9092 --data data/shipping --slots EU=1000 --refuse-region ATLANTIS --refuse-region MOON
  shipping audit --data data/shipping";

#[derive(Debug, Args)]
#[group(skip)]
struct Rules {
    /// Shipments that a region takes, in a new ledger (an existing one keeps its own); may be repeated.
    #[arg(long, value_name = "REGION=COUNT", value_parser = cli::units)]
    slots: Vec<(String, i64)>,
    /// Shipments of every region that is not listed, in a new ledger.
    #[arg(long, default_value_t = SLOTS_DEFAULT, value_name = "COUNT")]
    slots_default: i64,
    /// A region that is not delivered to; may be repeated.
    #[arg(long, default_value = REFUSED_REGION, value_name = "REGION")]
    refuse_region: Vec<String>,
}

fn main() -> ExitCode {
    cli::main(ABOUT, |rules: Rules| {
        let slots = Endowment { default: rules.slots_default, listed: rules.slots.into_iter().collect() };
        Shipping::new(slots, rules.refuse_region)
    })
}
