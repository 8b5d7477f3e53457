//! Short rounds of what `make chaos` runs for as long as one likes: two coordinators, and faults one after the other, or two at once.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ringmaster_tests::chaos::{Class, Options, run};
use ringmaster_tests::live::say;

/// These, in this order: of each way in which something can go wrong one.
const FAULTS: [Class; 9] = [
    Class::KillCoordinator,
    Class::RepliesLost,
    Class::AnswersLost,
    Class::FreezeCoordinator,
    Class::KillBroker,
    Class::StoreFlipped,
    Class::NetworkCut,
    Class::ClockStep,
    Class::RollingRestart,
];
/// Each must hit so many orders that are under way: of one partition some 25 are.
const PROVEN_FROM: usize = 10;

fn options(faults: &[Class]) -> Options {
    Options {
        time: Duration::MAX,
        rounds: Some(1),
        seed: 1,
        classes: faults.to_vec(),
        fixed: true,
        faults_per_round: faults.len(),
        together: 1.0,
        brokers: 1,
        coordinators: 2,
        rate: 80.0,
        random_rate: 12.0,
        answer_after: Duration::from_millis(800),
        proven_from: PROVEN_FROM,
        results: None,
    }
}

fn a_round_of(faults: &[Class]) {
    let report = run(&options(faults), &AtomicBool::new(false)).expect("it runs");
    say(&format!("chaos:\n{}", report.table()));
    assert!(report.violations.is_empty(), "{}", report.table());
    assert_eq!((report.made(), report.rounds), (report.proven(), 1), "{}", report.table());
    assert_eq!(report.made(), faults.len() + report.together() / 2, "{}", report.table());
    assert!(report.together() > 0, "{}", report.table());
}

#[test]
fn a_round_of_faults_under_load_loses_and_doubles_nothing() {
    a_round_of(&FAULTS);
}

/// What a loss of power does to the only copy: it is found, and what was sent is sent again under the same keys.
#[test]
fn a_journal_that_loses_its_tail_under_load_loses_and_doubles_nothing() {
    a_round_of(&[Class::TailLost, Class::TailLost]);
}
