//! Two owners of one partition, and every order in which what they do can happen within small bounds: the real partition, explored
//! completely. PROTOCOL.md's rules were found by a model; this asks the code.
//!
//! ```text
//! a state = what each owner was told, in order, and the log -> every action that is possible -> states that were not seen yet
//! ```
//!
//! A partition is a function of what it was told, so that two paths to one state need be followed once. In every state the laws of
//! `laws` hold; and from every state on, if nothing more goes wrong, everything comes to its end.

mod action;
mod laws;
mod site;

use std::collections::HashSet;

use self::action::{Action, Bounds};
use self::site::{Known, Site};
use super::line::without;

/// What an exploration came to.
#[derive(Debug, Default)]
struct Explored {
    states: usize,
    steps: usize,
    longest: usize,
}

/// Explores everything within these bounds; an error is the shortest way that was found to what must not be.
fn explore(bounds: &Bounds) -> Result<Explored, String> {
    let known = Known::new();
    let (mut seen, mut found) = (HashSet::new(), Explored::default());
    // Where it is gone on from: the way there, and what can happen.
    let mut paths = vec![(Vec::new(), Site::along(&known, bounds, &[])?.possible())];
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for (path, possible) in paths {
            for action in possible {
                found.steps += 1;
                let next: Vec<Action> = path.iter().copied().chain([action]).collect();
                let there = Site::along(&known, bounds, &next).map_err(|why| told(&next, &why))?;
                if seen.insert(there.fingerprint()) {
                    (found.states, found.longest) = (found.states + 1, next.len());
                    let possible = there.possible();
                    there.comes_to_its_end().map_err(|why| told(&next, &format!("if nothing more goes wrong: {why}")))?;
                    longer.push((next, possible));
                }
            }
        }
        paths = longer;
    }
    Ok(found)
}

fn told(path: &[Action], why: &str) -> String {
    let steps: Vec<String> = path.iter().map(|action| format!("  {action:?}")).collect();
    format!("{why}\n{}", steps.join("\n"))
}

/// One thing that goes wrong, in each exploration; two claims, and one record of the input. Each owner may stand still at any moment.
const LOST: Bounds = Bounds { lost: 1, ..Bounds::CALM };
const LATE: Bounds = Bounds { late: 1, ..Bounds::CALM };
const BLIND: Bounds = Bounds { blind: 1, ..Bounds::CALM };
const CRASH: Bounds = Bounds { crashes: 1, ..Bounds::CALM };
const STORE: Bounds = Bounds { checkpoints: 1, ..Bounds::CALM };
/// Whoever dies leaves what it sent on its way, and that never arrives.
const POST: Bounds = Bounds { crashes: 1, drains: 1, ..Bounds::CALM };

/// More of it, for whoever has minutes: `EXPLORE=deep make test` explores them, too.
const DEEP: [(&str, Bounds); 3] = [
    ("two records", Bounds { inputs: 2, ..Bounds::CALM }),
    ("a stored state, and a crash", Bounds { crashes: 1, checkpoints: 1, ..Bounds::CALM }),
    ("two records, and one that is lost", Bounds { inputs: 2, lost: 1, ..Bounds::CALM }),
];

fn holds(name: &str, bounds: &Bounds) {
    let found = explore(bounds).unwrap_or_else(|why| panic!("{name}: {why}"));
    assert!(found.states > 10_000, "{name}: {found:?}");
}

#[test]
fn two_owners_and_a_record_of_which_nobody_hears() {
    holds("lost", &LOST);
}

#[test]
fn two_owners_and_a_record_that_comes_late() {
    holds("late", &LATE);
}

#[test]
fn two_owners_and_an_acknowledgement_without_an_offset() {
    holds("blind", &BLIND);
}

#[test]
fn two_owners_of_which_one_dies() {
    holds("crash", &CRASH);
}

#[test]
fn two_owners_of_which_one_dies_with_what_it_sent_on_its_way() {
    holds("post", &POST);
}

#[test]
fn two_owners_of_which_one_stores() {
    holds("store", &STORE);
}

#[test]
fn two_owners_for_longer() {
    if std::env::var_os("EXPLORE").is_some_and(|how| how == "deep") {
        DEEP.iter().for_each(|(name, bounds)| holds(name, bounds));
    }
}

/// Each of these rules is missed, within a second.
#[test]
fn an_exploration_finds_a_rule_that_is_missing() {
    let rules = [
        ("no_claim_check", &LOST),
        ("release_before_ack", &LOST),
        ("ack_not_contiguous", &LOST),
        ("overlay_kept_on_loss", &LOST),
        ("reclaim_without_replay", &LOST),
        ("failed_record_skipped", &LATE),
        ("ack_without_offset_taken", &BLIND),
        ("checkpoint_speculative", &STORE),
        ("released_at_send", &POST),
        ("released_at_confirm", &POST),
        ("unreleased_forgotten_on_reclaim", &POST),
    ];
    for (rule, bounds) in rules {
        without(rule, || {
            let found = explore(bounds);
            assert!(found.is_err(), "nobody misses {rule}: {found:?}");
        });
    }
}
