//! The simulator: fixed seeds and one random one, mutants, crash points. `SEED=n` repeats a run.

use ringmaster_tests::sim::{Incident, Plan, run};

/// Runs of everything that `make test` repeats.
const FIXED_SEEDS: u64 = 250;

/// Runs these seeds; every failure is printed with how to repeat it.
fn all_pass(seeds: impl Iterator<Item = u64>, plan: impl Fn(u64) -> Plan) {
    let mut failed = Vec::new();
    for seed in seeds {
        if let Err(failure) = run(plan(seed), None) {
            println!("{failure}\n");
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed, see above");
}

#[test]
fn fixed_seeds() {
    all_pass(0..FIXED_SEEDS / 2, Plan::random);
}

#[test]
fn more_fixed_seeds() {
    all_pass(FIXED_SEEDS / 2..FIXED_SEEDS, Plan::random);
}

/// The seed of the environment, or a new one.
#[test]
fn seed() {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("SEED={seed}");
    match run(Plan::random(seed), None) {
        Ok(report) => println!("{report:#?}"),
        Err(failure) => panic!("{failure}"),
    }
}
