//! The inventory service on Kafka: `inventory --help`.

use std::process::ExitCode;

use clap::Args;
use ringmaster_participants::books::Endowment;
use ringmaster_participants::cli;
use ringmaster_participants::services::{Inventory, SOLD_OUT_SKU, STOCK_DEFAULT};

/// Under load half of the CPU went into the system's malloc; this one takes a fifth of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Inventory: reserves stock for orders (inventory.ReserveStock) and gives it back (inventory.ReleaseStock).

Refuses with OUT_OF_STOCK or UNKNOWN_ITEM. Examples:
  inventory --bootstrap localhost:9092 --data data/inventory
  inventory --bootstrap localhost:9092 --data data/inventory --stock sku-7=100 --stock-default 0
  inventory audit --data data/inventory";

#[derive(Debug, Args)]
#[group(skip)]
struct Rules {
    /// Pieces of a SKU in a new ledger (an existing one keeps its own); may be repeated. By default `sku-sold-out` has none.
    #[arg(long, value_name = "SKU=PIECES", value_parser = cli::units)]
    stock: Vec<(String, i64)>,
    /// Pieces of every SKU that is not listed, in a new ledger; with 0 they are not known.
    #[arg(long, default_value_t = STOCK_DEFAULT, value_name = "PIECES")]
    stock_default: i64,
}

fn main() -> ExitCode {
    cli::main(ABOUT, |rules: Rules| {
        let listed = [(SOLD_OUT_SKU.to_owned(), 0)].into_iter().chain(rules.stock).collect();
        Inventory::new(Endowment { default: rules.stock_default, listed })
    })
}
