//! The gate on counts: a saga may cost no more than `limits.toml` says, on any machine.

use std::path::Path;

use ringmaster_bench::counts::allocator::Counting;
use ringmaster_bench::counts::measure;

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
    whole_instructions: f64,
}

#[test]
fn a_saga_costs_no_more_than_its_limits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let limits = std::fs::read_to_string(root.join("limits.toml")).expect("the limits");
    let limits: Limits = toml::from_str(&limits).expect("the limits");
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
