//! The gate on counts: a saga may cost no more than `limits.toml` says, on any machine.

use std::path::Path;

use ringmaster_bench::counts::allocator::Counting;
use ringmaster_bench::counts::{items, measure};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    allocations: f64,
    memory_bytes: f64,
    stored_bytes: f64,
    journal_bytes: f64,
    /// For `make bench-instructions`: callgrind counts them.
    #[allow(dead_code, reason = "only that there is a limit")]
    instructions_turn: f64,
    /// The same.
    #[allow(dead_code, reason = "only that there is a limit")]
    instructions_replayed: f64,
    /// The same.
    #[allow(dead_code, reason = "only that there is a limit")]
    whole_instructions: f64,
    /// The same.
    #[allow(dead_code, reason = "only that there is a limit")]
    guard_instructions: f64,
    item_ratio: f64,
}

fn limits() -> Limits {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let limits = std::fs::read_to_string(root.join("limits.toml")).expect("the limits");
    toml::from_str(&limits).expect("the limits")
}

/// One test: what is counted is counted for the whole process.
#[test]
fn nothing_costs_more_than_its_limit() {
    a_saga_costs_no_more_than_its_limits();
    an_item_of_a_long_list_costs_as_much_as_one_of_a_short_list();
}

/// Bytes alone: instructions are counted by `make bench-instructions`.
fn an_item_of_a_long_list_costs_as_much_as_one_of_a_short_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (few, many) = (items::measure(&root, 20, 50), items::measure(&root, 1, 1_000));
    let (few, many) = (few.expect("it runs"), many.expect("it runs"));
    for (what, few, many) in [("journal", few.journal_bytes, many.journal_bytes), ("rows", few.row_bytes, many.row_bytes)] {
        let most = limits().item_ratio;
        assert!(many > 0.0 && many <= few * most, "bytes of {what}: {few:.0} and {many:.0}, and bench/limits.toml allows {most}");
    }
}

fn a_saga_costs_no_more_than_its_limits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let limits = limits();
    let counts = measure(&root.join(".."), 500).expect("it runs");
    assert_eq!(counts.turns, 4.0, "an order of three steps is four turns");
    let memory = counts.memory_bytes.into_iter().fold(0.0, f64::max);
    for (what, is, most) in [
        ("allocations", counts.allocations, limits.allocations),
        ("memory_bytes", memory, limits.memory_bytes),
        ("stored_bytes", counts.stored_bytes, limits.stored_bytes),
        ("journal_bytes", counts.journal_bytes, limits.journal_bytes),
    ] {
        assert!(is > 0.0 && is <= most, "{what}: {is:.1}, and bench/limits.toml allows {most}; all counts: {counts:#?}");
    }
}
