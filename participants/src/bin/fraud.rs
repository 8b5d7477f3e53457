//! The fraud service on Kafka: `fraud --help`.

use std::process::ExitCode;

use clap::Args;
use ringmaster_participants::cli;
use ringmaster_participants::services::{Fraud, LARGE_TOTAL, MANY_ORDERS};
use rust_decimal::Decimal;

/// Under load half of the CPU went into the system's malloc; this one takes a fifth of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Fraud: scores orders from 0 to 100 (fraud.Score), by their total and by the orders of their customer that day.

Refuses with CUSTOMER_BLOCKED. Examples:
  fraud --bootstrap localhost:9092 --data data/fraud
  fraud --bootstrap localhost:9092 --data data/fraud --large-total 800.00 --many-orders 3 --block 'cust-9*'
  fraud --bootstrap localhost:9092 --stateless          by the total alone; any number of these may run
  fraud audit --data data/fraud";

#[derive(Debug, Args)]
#[group(skip)]
struct Rules {
    /// A total of this much or more makes 50 points, a smaller one fewer.
    #[arg(long, default_value_t = Decimal::from(LARGE_TOTAL), value_name = "AMOUNT")]
    large_total: Decimal,
    /// So many orders of the customer on the same day before this one make 50 points, fewer make less.
    #[arg(long, default_value_t = MANY_ORDERS, value_name = "ORDERS")]
    many_orders: u32,
    /// Customers whose id matches (`*` any text, `?` any character) are refused; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    block: Vec<String>,
}

fn main() -> ExitCode {
    cli::main(ABOUT, |rules: Rules| Fraud::new(rules.large_total, rules.many_orders, rules.block))
}
