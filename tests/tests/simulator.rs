//! The simulator: fixed seeds and one random one, mutants, crash points. `SEED=n` repeats a run of everything.

#![allow(clippy::print_stdout, reason = "what a run came to is for whoever reads the log of a failure")]

use std::collections::BTreeMap;
use std::io::Write as _;

use ringmaster_tests::sim::plans::NOT_POINTS;
use ringmaster_tests::sim::points::{POINTS, ROUTER_POINTS, SELDOM_POINTS, SERVICE_POINTS, SNAPSHOT_POINTS, all_points};
use ringmaster_tests::sim::world::Struck;
use ringmaster_tests::sim::{Incident, Plan, Point, run};

/// Runs of everything that are repeated each time; they take about 40 ms each.
const FIXED_SEEDS: u64 = 200;
/// Runs with owners that change under load.
const HOSTILE_SEEDS: u64 = 40;
/// Runs in which participants are asked no more, and again.
const PARKING_SEEDS: u64 = 40;
/// Runs with one owner that is in doubt all the time.
const RESTLESS_SEEDS: u64 = 40;
/// Runs in which partitions leave their worker and come back.
const REASSIGNING_SEEDS: u64 = 40;
/// Runs in which orders go through the router.
const ROUTING_SEEDS: u64 = 60;
/// Runs in which partitions move between coordinators that keep warm copies.
const WARM_SEEDS: u64 = 40;
/// Runs in which the journal is deleted behind snapshots.
const FORGETTING_SEEDS: u64 = 40;
/// Runs in which the broker loses acknowledged records.
const TAIL_LOST_SEEDS: u64 = 40;
/// Runs in which leaders of the journal change.
const LEADER_SEEDS: u64 = 20;
/// Runs in which nothing delays anybody.
const PUNCTUAL_SEEDS: u64 = 20;
/// A mutant must be caught by one of so many seeds; most are by the first.
const MUTANT_SEEDS: u64 = 240;
/// Runs a crash point, and how it is met.
const POINT_SEEDS: u64 = 3;
/// And so many at most, until work was in flight where it was reached.
const POINT_SEEDS_MAX: u64 = 12;

type Draw = fn(u64) -> Plan;

/// Runs these seeds; every failure is printed with how to repeat it.
fn all_pass(seeds: std::ops::Range<u64>, plan: Draw) {
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

#[test]
fn owners_that_change_under_load() {
    all_pass(0..HOSTILE_SEEDS, Plan::hostile);
}

#[test]
fn an_owner_that_claims_again_and_again() {
    all_pass(0..RESTLESS_SEEDS, Plan::restless);
}

/// Nothing is asked of who is not asked, all that is parked goes out in its order, and every order ends as it would have.
#[test]
fn participants_that_are_asked_no_more_and_again() {
    all_pass(0..PARKING_SEEDS, Plan::parking);
    let report = run(Plan::parking(0), None).expect("it passes");
    let (openings, parkings) = (report.came.openings, report.came.parkings);
    assert!(openings > 3 && parkings > 20, "{parkings} were parked by {openings} openings");
}

#[test]
fn partitions_that_leave_their_worker_and_come_back() {
    all_pass(0..REASSIGNING_SEEDS, Plan::reassigning);
}

/// Orders without keys, on a topic with any number of partitions: each is one saga, whoever dies, stands still or begins anew.
#[test]
fn orders_that_go_through_the_router() {
    all_pass(0..ROUTING_SEEDS, Plan::routing);
    all_pass(0..ROUTING_SEEDS / 3, Plan::refusing);
    all_pass(0..ROUTING_SEEDS / 3, Plan::rerouting);
}

/// Who takes over goes on from the copy that it kept, and what it holds is what the journal says.
#[test]
fn partitions_that_move_to_where_they_are_warm() {
    all_pass(0..WARM_SEEDS, Plan::warm);
    let warm: u32 = (0..8).map(|seed| run(Plan::warm(seed), None).expect("it passes").warm_claims).sum();
    assert!(warm > 10, "{warm} partitions were claimed where they were warm");
}

/// Leaders of the journal change under load: what was on its way is kept or comes late, in order, and nobody is told which.
#[test]
fn a_journal_whose_leaders_change() {
    all_pass(0..LEADER_SEEDS, Plan::leaders);
    let hit: u64 =
        (0..4).filter_map(|seed| run(Plan::leaders(seed), None).expect("it passes").faults.get("leader_changed").copied()).sum();
    assert!(hit > 20, "{hit} records were on their way to leaders that went");
}

#[test]
fn a_journal_that_lost_its_tail() {
    all_pass(0..TAIL_LOST_SEEDS, Plan::tail_lost);
    all_pass(0..TAIL_LOST_SEEDS, Plan::claim_lost);
    // Also where others had read what was lost.
    all_pass(0..TAIL_LOST_SEEDS, |seed| Plan { coordinators: 2, standby: 1, ..Plan::tail_lost(seed) });
}

/// The journal is deleted behind snapshots, and whoever lost its disk has it all the same.
#[test]
fn a_journal_that_is_not_kept() {
    all_pass(0..FORGETTING_SEEDS, Plan::forgetting);
    let of = |seed| run(Plan::forgetting(seed), None).expect("it passes");
    let (snapshots, restored) = (0..8).map(of).fold((0, 0), |sum, report| (sum.0 + report.snapshots, sum.1 + report.restored));
    assert!(snapshots > 50 && restored > 20, "{snapshots} snapshots were taken, of which {restored} states were made");
}

/// Where what is stored is flushed at once, as it is where snapshots are days apart: the journal is deleted all the same.
#[test]
fn a_journal_is_deleted_at_its_age() {
    let plan = |seed| {
        let plan = Plan::forgetting(seed);
        Plan { retention_ms: Some(1_500), checkpoint_every_ms: 20, flush_every_ms: 50, load_ms: 6_000, safety_ms: 7_000, ..plan }
    };
    all_pass(0..FORGETTING_SEEDS / 4, plan);
    let deleted: usize = (0..4).map(|seed| run(plan(seed), None).expect("it passes").deleted).sum();
    assert!(deleted > 100, "{deleted} records of the journal were deleted");
}

/// The journal loses its tail, and grows again: no snapshot is built upon one of what was lost, and the last that fits stays.
#[test]
fn a_journal_that_is_not_kept_and_lost_its_tail() {
    let plan = |seed| {
        let mut plan = Plan { retention_ms: Some(1_600), orders: 60, load_ms: 6_000, safety_ms: 7_000, ..Plan::tail_lost(seed) };
        plan.incidents.extend([(2_600, Incident::LoseTail(1)), (4_500, Incident::LoseStore), (5_700, Incident::LoseStore)]);
        plan.incidents.sort_by_key(|(at, _)| *at);
        plan
    };
    all_pass(0..TAIL_LOST_SEEDS, plan);
    let restored: usize = (0..8).map(|seed| run(plan(seed), None).expect("it passes").restored).sum();
    assert!(restored > 4, "{restored} states were made of snapshots");
}

/// What is due fires within a tick and one look at the inputs, also what was due later before.
#[test]
fn what_is_due_is_on_time() {
    all_pass(0..PUNCTUAL_SEEDS, Plan::punctual);
}

/// The seed of the environment, or a new one.
#[test]
fn seed() {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..1 << 32));
    // Past the test harness's capture: the seed is to be seen in any log.
    writeln!(std::io::stderr(), "simulator: SEED={seed}").expect("stderr is open");
    if let Err(failure) = run(Plan::random(seed), None) {
        panic!("{failure}");
    }
}

/// The same seed is the same run.
#[test]
fn a_run_is_a_function_of_its_seed() {
    for seed in [1, 2, 3] {
        let told = |seed| format!("{:?}", run(Plan::random(seed), None).expect("it passes"));
        assert_eq!(told(seed), told(seed));
    }
}

/// What the fixed seeds suffered: a fault that no run does is not tested.
#[test]
fn every_fault_is_done() {
    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..40 {
        let report = run(Plan::random(seed), None).expect("it passes");
        for (fault, count) in report.faults {
            *done.entry(fault).or_default() += count;
        }
    }
    let faults = [
        "lost",
        "failed_but_kept",
        "failed_then_kept",
        "offset_unknown",
        "kept_again",
        "kept_twice",
        "refused_locally",
        "sender_broken",
        "doubt",
        "left_behind",
    ];
    let missing: Vec<&str> = faults.into_iter().filter(|fault| !done.contains_key(fault)).collect();
    assert!(missing.is_empty(), "never done: {missing:?}; done: {done:?}");
}

/// The protocol broken in one place each (PROTOCOL.md section 6), and the runs that find it out.
const MUTANTS: [(&str, Draw); 56] = [
    ("no_claim_check", Plan::random),
    ("no_number_check", Plan::random),
    ("number_gap_accepted", Plan::random),
    ("number_repeat_accepted", Plan::random),
    ("release_before_ack", Plan::random),
    ("ack_not_contiguous", Plan::random),
    ("gap_ignored", Plan::random),
    ("failed_record_skipped", Plan::random),
    ("position_unjournaled", Plan::random),
    ("overlay_kept_on_loss", Plan::random),
    ("void_record_moves_position", Plan::random),
    ("no_resend", Plan::random),
    ("released_at_send", Plan::random),
    ("released_at_confirm", Plan::random),
    ("released_with_speculative", Plan::random),
    ("checkpoint_without_claim", Plan::random),
    ("checkpoint_speculative", Plan::random),
    ("checkpoint_without_outbox", Plan::random),
    ("late_effects_not_stored", Plan::random),
    ("late_effects_not_sent", Plan::random),
    ("late_row_not_held", Plan::random),
    ("checkpoint_offset_one_low", Plan::random),
    ("unreleased_forgotten_on_reclaim", Plan::random),
    ("timer_before_unread_reply", Plan::random),
    ("expiry_unjournaled", Plan::random),
    ("repeated_claim_keeps_counter", Plan::hostile),
    ("repeated_claim_resets_counter", Plan::hostile),
    ("ack_without_offset_taken", Plan::hostile),
    ("reclaim_without_replay", Plan::hostile),
    ("acks_keyed_by_number_only", Plan::restless),
    ("claim_offset_guessed", Plan::hostile),
    ("claim_id_per_instance", Plan::hostile),
    ("random_effect_ids", Plan::random),
    ("no_late_command_refusal", Plan::random),
    ("no_identity_check", Plan::tail_lost),
    ("log_start_ignored", Plan::tail_lost),
    ("replay_past_claim_unverified", Plan::claim_lost),
    ("parked_participant_asked", Plan::parking),
    ("drained_youngest_first", Plan::parking),
    ("breaker_not_stored", Plan::parking),
    ("row_counted_again", Plan::random),
    ("replay_not_tallied", Plan::random),
    ("parked_forgotten_at_restart", Plan::parking),
    ("paused_participant_probed", Plan::parking),
    ("router_commits_past_gap", Plan::refusing),
    ("router_starts_latest", Plan::routing),
    ("prev_not_checked", Plan::refusing),
    ("mark_not_checked", Plan::routing),
    ("mark_not_advanced_over_skipped", Plan::rerouting),
    ("mark_not_in_the_same_record", Plan::routing),
    ("journal_deleted_to_the_snapshot", Plan::forgetting),
    ("half_restored_is_gone_on_from", Plan::forgetting),
    ("turn_one_offset_late", Plan::random),
    ("turn_forgotten_by_its_owner", Plan::random),
    ("turn_forgotten_in_replay", Plan::random),
    ("turn_forgotten_in_restore", Plan::forgetting),
];

/// Each is caught, and on the seed that catches it the unbroken protocol passes.
fn all_caught(mutants: &[(&'static str, Draw)]) {
    let mut missed = Vec::new();
    for &(mutant, plan) in mutants {
        match (0..MUTANT_SEEDS).find_map(|seed| run(plan(seed), Some(mutant)).err()) {
            None => missed.push(mutant),
            Some(failure) => {
                println!("{mutant}: seed {}: {}", failure.seed, failure.what);
                if let Err(unbroken) = run(plan(failure.seed), None) {
                    panic!("the unbroken protocol fails where {mutant} was to be caught: {unbroken}");
                }
            }
        }
    }
    assert!(missed.is_empty(), "no run of {MUTANT_SEEDS} catches {missed:?}");
}

#[test]
fn mutants_are_caught() {
    all_caught(&MUTANTS[..14]);
}

#[test]
fn more_mutants_are_caught() {
    all_caught(&MUTANTS[14..]);
}

/// Every point is reached by a process that dies there, or stands still, while orders are under way; and survived.
fn all_survived(points: &[Point], how: &[Struck], plan: impl Fn(u64, &Point, Struck) -> Plan) {
    let mut untouched = Vec::new();
    for point in points {
        for &how in how.iter().filter(|how| point.freezes || **how == Struck::Died) {
            let mut struck = 0;
            for seed in 0..POINT_SEEDS_MAX {
                if seed >= POINT_SEEDS && struck > 0 {
                    break;
                }
                match run(plan(seed, point, how), None) {
                    Ok(report) => struck += report.struck.get(&(point.name, how)).copied().unwrap_or(0),
                    Err(failure) => panic!("{}: {failure}", point.name),
                }
            }
            if struck == 0 {
                untouched.push((point.name, how));
            }
        }
    }
    assert!(untouched.is_empty(), "never reached with work in flight: {untouched:?}");
}

const BOTH: [Struck; 2] = [Struck::Died, Struck::Stood];

fn alone(seed: u64, point: &Point, how: Struck) -> Plan {
    point.plan(seed, how == Struck::Stood)
}

#[test]
fn crashes_at_every_point_are_survived() {
    all_survived(&POINTS, &[Struck::Died], alone);
}

#[test]
fn standing_still_at_every_point_is_survived() {
    all_survived(&POINTS, &[Struck::Stood], alone);
}

/// A router that stands still and goes on is a zombie: what it sends then changes nothing.
#[test]
fn the_routers_points_are_survived() {
    all_survived(&ROUTER_POINTS, &BOTH, alone);
}

/// The same where a copy of each partition is kept by another one, which takes over.
#[test]
fn the_end_of_an_owner_at_every_point_is_survived_by_its_copy() {
    for (number, point) in POINTS.iter().enumerate() {
        let how = BOTH[number % 2];
        all_survived(&[*point], &[how], |seed, point, how| Plan { coordinators: 2, standby: 1, ..alone(seed, point, how) });
    }
}

/// Points that are passed only where owners change, partitions move, leaders change, or stores and tails are lost.
#[test]
fn ends_at_what_happens_seldom_are_survived() {
    all_survived(&SELDOM_POINTS, &BOTH, alone);
}

/// A service dies behind its effect and before its reply is acknowledged, or stands still there.
#[test]
fn services_that_die_before_their_reply_are_survived() {
    all_survived(&SERVICE_POINTS, &BOTH, alone);
}

#[test]
fn ends_in_the_middle_of_a_snapshot_are_survived() {
    all_survived(&SNAPSHOT_POINTS, &BOTH, alone);
}

/// All names of section 7 are points that the tests above reach, or it is said why not.
#[test]
fn every_point_of_the_protocol_is_one_here() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROTOCOL.md")).expect("it is there");
    let section = text.split("## 7. ").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("section 7");
    let list = section.trim().rsplit("\n\n").next().expect("the list stands last");
    let names: Vec<&str> =
        list.split([',', '\n']).map(|name| name.trim().trim_end_matches('.')).filter(|name| !name.is_empty()).collect();
    assert!(names.len() > 40, "{names:?}");
    let here: Vec<&str> = all_points().map(|point| point.name).collect();
    let missing: Vec<&str> =
        names.iter().copied().filter(|name| !here.contains(name) && NOT_POINTS.iter().all(|(known, _)| known != name)).collect();
    assert!(missing.is_empty(), "no point of the simulator: {missing:?}");
    let strange: Vec<&str> =
        NOT_POINTS.iter().map(|(name, _)| *name).filter(|name| !names.contains(name) || here.contains(name)).collect();
    assert!(strange.is_empty(), "not in section 7, or a point: {strange:?}");
}
