//! The payment service on Kafka: `payment --help`.

use std::process::ExitCode;

use clap::Args;
use ringmaster_participants::cli;
use ringmaster_participants::services::{DECLINE_ABOVE, Payment};
use rust_decimal::Decimal;

/// Under load half of the CPU went into the system's malloc; this one takes a fifth of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "Payment: charges orders (payment.Charge) and refunds them (payment.Refund).

Refuses with CARD_DECLINED or INSUFFICIENT_FUNDS. Examples:
  payment --bootstrap localhost:9092 --data data/payment
  payment --bootstrap localhost:9092 --data data/payment --decline-above 250.00 --no-funds 'ord-*13'
  payment audit --data data/payment --json";

#[derive(Debug, Args)]
#[group(skip)]
struct Rules {
    /// A charge above this amount is declined.
    #[arg(long, default_value_t = Decimal::from(DECLINE_ABOVE), value_name = "AMOUNT")]
    decline_above: Decimal,
    /// A charge of an order whose id matches (`*` any text, `?` any character) has no funds; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    no_funds: Vec<String>,
}

fn main() -> ExitCode {
    cli::main(ABOUT, |rules: Rules| Payment::new(rules.decline_above, rules.no_funds))
}
