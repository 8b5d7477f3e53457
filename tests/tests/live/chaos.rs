//! A short round of what `make chaos` runs for as long as one likes: two coordinators, and faults one after the other.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ringmaster_tests::chaos::{Class, Options, run_in};
use ringmaster_tests::live::{World, say};

/// These, in this order.
const FAULTS: [Class; 6] = [
    Class::KillCoordinator,
    Class::RepliesLost,
    Class::FreezeCoordinator,
    Class::KillBroker,
    Class::TermParticipant,
    Class::RollingRestart,
];
/// Each must hit so many orders that are under way.
const PROVEN_FROM: usize = 20;

#[test]
fn a_round_of_faults_under_load_loses_and_doubles_nothing() {
    let options = Options {
        time: Duration::MAX,
        rounds: Some(1),
        seed: 1,
        classes: FAULTS.to_vec(),
        fixed: true,
        faults_per_round: FAULTS.len(),
        brokers: 1,
        coordinators: 2,
        rate: 80.0,
        random_rate: 12.0,
        answer_after: Duration::from_millis(800),
        proven_from: PROVEN_FROM,
        results: None,
    };
    let report = run_in(World::bare("chaos"), &options, &AtomicBool::new(false)).expect("it runs");
    say(&format!("chaos:\n{}", report.table()));
    assert!(report.violations.is_empty(), "{}", report.table());
    assert_eq!((report.made(), report.proven(), report.rounds), (FAULTS.len(), FAULTS.len(), 1), "{}", report.table());
}
