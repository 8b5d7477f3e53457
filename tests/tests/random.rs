//! Random definitions under everything that can go wrong. `SEED=n` repeats one of them; `make soak-sim` plays a million.

#![allow(clippy::print_stdout, reason = "what a run came to is for whoever reads the log of a failure")]

use std::io::Write as _;

use ringmaster_tests::random::{Report, definition, families, run};

/// Seeds that are repeated each time; they take about 3 ms each.
const FIXED_SEEDS: u64 = 1_500;

/// Plays these seeds; every failure is told with how to repeat it.
fn all_hold(seeds: std::ops::Range<u64>) -> Report {
    let mut report = Report::default();
    let mut failed = Vec::new();
    for seed in seeds {
        match run(seed, failed.is_empty()) {
            Ok(one) => report.add(&one),
            Err(failure) => {
                println!("{}\n", failure.story);
                failed.push((seed, failure.laws));
            }
        }
    }
    assert!(failed.is_empty(), "laws do not hold, see above: {failed:?}");
    report
}

/// What never happens is not tested.
#[test]
fn fixed_seeds() {
    let report = all_hold(0..FIXED_SEEDS);
    println!("{:?}", report.counts);
    let happens = [
        "acts of people",
        "answers that came twice",
        "approvals that others may answer",
        "approvals that were answered",
        "sleeps",
        "sleeps that are cut short",
        "answers that were lost",
        "cancels",
        "cancels by events",
        "events",
        "events that came early and were taken",
        "events that were forgotten",
        "events that answered",
        "early events that answered",
        "events that were waited for",
        "commands that came twice",
        "commands that were lost",
        "compensated",
        "completed",
        "contradictions",
        "crashes",
        "deadlines behind the pivot",
        "nodes that were left out",
        "nodes that were skipped",
        "old starts",
        "reactions",
        "attempts that were parked",
        "pauses",
        "priorities",
        "probes",
        "scopes that were undone",
        "steps that were parked",
        "strays that were parked",
        "undos that were parked",
        "starts that came twice",
        "sagas that were paused",
        "sagas that were resumed",
        "steps that were postponed",
        "attempts that were withheld",
        "stops that came too late",
        "stops that were remembered",
        "strays",
        "stuck",
        "times that what is stuck was told",
        "times that it could not be told",
        "turns that were too big",
    ];
    let missing: Vec<&str> = happens.into_iter().filter(|what| !report.counts.contains_key(what)).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

/// Seeds of definitions with items; they take about 6 ms each.
const FAMILY_SEEDS: u64 = 800;

/// Definitions that do steps for each item of lists, and run others. `FAMILY=n` repeats one of them, `FAMILIES=n` plays so many.
#[test]
fn families() {
    let mut report = Report::default();
    let mut failed = Vec::new();
    let given = std::env::var("FAMILY").ok().map(|seed| seed.parse::<u64>().expect("FAMILY is a number"));
    let count = std::env::var("FAMILIES").ok().map(|count| count.parse::<u64>().expect("FAMILIES is a number"));
    let seeds = given.map_or(0..count.unwrap_or(FAMILY_SEEDS), |seed| seed..seed + 1);
    for seed in seeds {
        match families::run(seed, 4) {
            Ok(one) => report.add(&one),
            Err(failure) => {
                if failed.is_empty() {
                    println!("{}\n", failure.story);
                }
                failed.push((seed, failure.laws));
            }
        }
    }
    println!("{:?}", report.counts);
    assert!(failed.is_empty(), "laws do not hold, see above: {failed:#?}");
    let happens = [
        "approvals that were answered",
        "attempts that were parked",
        "cancels",
        "compensated",
        "completed",
        "contradictions",
        "crashes",
        "events that are known by a value",
        "events that nobody looked at",
        "events that were taken by a value",
        "items",
        "items that waited for those below",
        "items that were held",
        "items that were recalled",
        "items that were swept",
        "lists that a person gave",
        "letters that came twice",
        "lists that were undone",
        "nodes that were left out",
        "pauses",
        "reactions",
        "rows that had ended well and were undone",
        "stops that came too late",
        "stops that were remembered",
        "strays",
        "sub-sagas",
        "sub-sagas that came behind their pivot",
        "sub-sagas that were asked to stop",
        "undos that were parked",
        "values that a saga has alone",
        "values that were given back",
        "values that were taken",
    ];
    let missing: Vec<&str> = happens.into_iter().filter(|what| !report.counts.contains_key(what)).collect();
    assert!(given.is_some() || missing.is_empty(), "never happened: {missing:?}");
}

/// What is broken about items, sub-sagas and values, and the law that finds it out.
#[cfg(feature = "faults")]
const ITEM_MUTANTS: [(&str, &str); 25] = [
    ("child_news_lost", "L15"),
    ("child_pivot_not_told", "L14"),
    ("claim_not_sent", "L20"),
    ("clock_runs_over_held_item", "L15"),
    ("denied_claim_stands", "L20"),
    ("item_not_undone", "L4"),
    ("item_reads_neighbour", "L18"),
    ("items_not_recalled", "ends"),
    ("kept_event_not_brought", "L20"),
    ("matched_event_taken_twice", "L19"),
    ("recall_ignored_by_completed", "L1"),
    ("results_in_order_of_end", "L18"),
    ("rows_forgotten_where_done", "L1"),
    ("run_with_pivot_stopped_without_asking", "L9"),
    ("search_lost_at_start", "search"),
    ("seen_event_kept", "L20"),
    ("stops_only_by_mail", "L3"),
    ("sub_saga_not_searched", "search"),
    ("sub_saga_refused_without_code", "L18"),
    ("swept_too_early", "L1"),
    ("unique_not_released", "L20"),
    ("unique_started_before_answer", "L20"),
    ("value_given_to_two", "L20"),
    ("value_not_released", "L20"),
    ("work_ignores_room", "L13"),
];

#[cfg(feature = "faults")]
#[test]
fn every_mutant_of_items_breaks_its_law() {
    use ringmaster_core::faults::mutate;

    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (mutant, law) in ITEM_MUTANTS {
        mutate(Some(mutant));
        let (mut caught, mut others) = (None, std::collections::BTreeSet::new());
        for seed in 0..FAMILY_SEEDS {
            let Err(failure) = families::run(seed, 4) else { continue };
            others.extend(failure.laws);
            if others.contains(law) {
                caught = Some(seed);
                break;
            }
        }
        mutate(None);
        match caught {
            Some(seed) => println!("{mutant}: {law} is broken by seed {seed}"),
            None => missed.push((mutant, law, others)),
        }
    }
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "no seed of {FAMILY_SEEDS} breaks the law: {missed:?}");
}

/// The seed of the environment, or a new one.
#[test]
fn seed() {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..1 << 32));
    // Past the test harness's capture: the seed is to be seen in any log.
    writeln!(std::io::stderr(), "random definitions: SEED={seed}").expect("stderr is open");
    all_hold(seed..seed + 1);
}

/// The same seed is the same run.
#[test]
fn a_run_is_a_function_of_its_seed() {
    let told = |seed| format!("{}{:?}", definition(seed), run(seed, false).expect("it holds").counts);
    for seed in 0..20 {
        assert_eq!(told(seed), told(seed));
    }
}

/// A mutant is caught by one of so many seeds; most are by one of the first ten.
#[cfg(feature = "faults")]
const MUTANT_SEEDS: u64 = 8_000;

/// The decisions broken in one place each, and the law that finds it out. `panic`: the core itself stops.
#[cfg(feature = "faults")]
const MUTANTS: [(&str, &str); 92] = [
    ("act_on_what_moved_on", "acts"),
    ("alternative_pivot_not_passing", "L14"),
    ("answer_remembers_no_event", "L19"),
    ("as_read_under_own_name", "wire"),
    ("at_most_ignored", "L10"),
    ("attempts_counted_from_the_first", "L7"),
    ("attempts_ignored", "answers"),
    ("branch_starts_in_undoing_parallel", "L3"),
    ("cancel_before_start_lost", "L19"),
    ("cancel_behind_pivot", "stops"),
    ("cancel_while_pivot_in_flight", "stops"),
    ("cause_forgotten", "reaction"),
    ("condition_ignored", "way"),
    ("contradiction_ignored", "answers"),
    ("contradiction_reopens_saga", "panic"),
    ("deadline_in_undo", "panic"),
    ("deadline_undoes_behind_pivot", "stops"),
    ("early_answer_forgotten", "L19"),
    ("early_event_lost_at_start", "L19"),
    ("early_events_kept_for_ever", "L15"),
    ("emission_not_sent", "wire"),
    ("ended_row_forgets_refused_body", "wire"),
    ("escalation_forgotten", "L18"),
    ("escalation_once_only", "L18"),
    ("event_always_approves", "L19"),
    ("event_taken_twice", "L19"),
    ("event_taken_whatever_it_says", "L19"),
    ("failure_for_good_retried", "answers"),
    ("failure_forgiven_while_draining", "parked"),
    ("first_arm_taken", "way"),
    ("forgotten_undone", "stuck"),
    ("held_clock_runs", "L15"),
    ("issued_step_is_next_again", "panic"),
    ("join_forgets_postponed", "L18"),
    ("join_waits_for_one_branch", "L18"),
    ("late_success_taken_after_undo", "panic"),
    ("not_on_ignored", "answers"),
    ("old_start_taken", "start"),
    ("open_attempt_forgotten_on_stop", "L4"),
    ("open_attempt_not_awaited", "awaited"),
    ("parallel_undone_one_by_one", "L4"),
    ("parked_attempt_given_up", "parked"),
    ("parked_clock_runs", "L15"),
    ("parked_counts_as_a_try", "wire"),
    ("parked_left_open_on_stop", "L21"),
    ("parked_participant_asked", "parked"),
    ("parked_retry_without_budget", "L15"),
    ("parked_saga_clock_runs", "L15"),
    ("parked_step_undone", "panic"),
    ("paused_asks_again", "L23"),
    ("paused_clock_runs", "L15"),
    ("paused_lets_go", "L23"),
    ("paused_sleeper_wakes", "L23"),
    ("paused_starts_next", "L23"),
    ("pivot_undone_on_a_guess", "L9"),
    ("postponed_forgotten", "L1"),
    ("reaction_in_undoing_scope", "L3"),
    ("refusal_behind_pivot_undoes", "L17"),
    ("refusal_goes_on", "L18"),
    ("refusal_retried", "answers"),
    ("remembered_stop_forgotten_on_refusal", "reaction"),
    ("result_forgotten", "answers"),
    ("resumed_asks_the_parked", "parked"),
    ("retry_at_once", "L15"),
    ("retry_in_undoing_scope", "panic"),
    ("retry_keeps_its_attempt", "panic"),
    ("retry_not_sent", "wire"),
    ("round_reuses_key", "L7"),
    ("row_of_a_stray_expires", "L15"),
    ("scope_clock_runs", "L15"),
    ("skipped_pivot_not_passing", "L18"),
    ("sleep_beyond_its_within", "L15"),
    ("stale_failure_taken", "answers"),
    ("stuck_not_told", "L24"),
    ("stuck_told_again", "L24"),
    ("stuck_told_under_one_id", "L22"),
    ("undo_a_refused_step", "panic"),
    ("undo_has_its_own_first_time", "wire"),
    ("undo_has_the_body_of_its_do", "wire"),
    ("undo_in_order_of_do", "L4"),
    ("undo_names_no_do", "wire"),
    ("undo_not_parked", "parked"),
    ("undo_not_retried", "answers"),
    ("undo_only_what_succeeded", "L17"),
    ("undo_refusal_retried", "answers"),
    ("undone_result_read", "wire"),
    ("unknown_not_undone_before_reaction", "L6"),
    ("unpark_without_order", "parked"),
    ("wait_left_open_on_stop", "panic"),
    ("went_on_drops_stray", "L2"),
    ("within_ignored", "L15"),
    ("withheld_forgotten", "L23"),
];

/// Mutants that the runs do not reach, and why.
#[cfg(feature = "faults")]
const ELSEWHERE: [(&str, &str); 13] = [
    ("all_undone_in_one_turn", "bodies are small here; the core's tests of steps side by side have large ones"),
    ("big_command_sent", "bodies are small here; the stories have large ones"),
    ("claim_resurrects", "what is given to nobody goes back at once; the partition's tests see that it was given"),
    ("cause_forgotten_where_stuck", "a person skips an undo of what nobody knows, that cannot be made: one seed in 30,000"),
    (
        "ended_row_forgets_parked_stray",
        "an undo that reads the start is parked where its saga ends: one seed in 10,000; a story does it",
    ),
    ("event_nobody_can_tell_of_stays", "conditions are about what is there; the partition's tests have one that fails"),
    (
        "gathered_where_stopped",
        "an item stops with what is above it in the turn in which the last one ends; the partition's tests do it",
    ),
    (
        "postponed_begins_in_what_is_over",
        "a scope is undone, and left out, while its saga is paused: one seed in some thousands; a story does it",
    ),
    ("rows_without_depth", "rows are not so deep here; the partition's tests have deeper ones"),
    ("seen_event_forgotten", "no event comes by another record again; the partition's tests have one"),
    ("stray_forgets_body_at_pivot", "a stray is parked where its saga passes the pivot: one seed in 10,000; a story does it"),
    ("sub_saga_not_found", "every version is known here; the partition's tests lose one"),
    ("work_costs_nothing", "expressions are cheap here; the partition's tests have costly ones"),
];

#[cfg(feature = "faults")]
#[test]
fn every_mutant_breaks_its_law() {
    use ringmaster_core::faults::mutate;

    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (mutant, law) in MUTANTS {
        mutate(Some(mutant));
        let caught =
            (0..MUTANT_SEEDS).find(|seed| run(*seed, false).is_err_and(|failure| failure.laws.iter().any(|broken| broken == law)));
        mutate(None);
        match caught {
            Some(seed) => println!("{mutant}: {law} is broken by seed {seed}"),
            None => missed.push((mutant, law)),
        }
    }
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "no seed of {MUTANT_SEEDS} breaks the law: {missed:?}");
}

/// A new mutant of the saga's decisions is listed here, too.
#[cfg(feature = "faults")]
#[test]
fn every_mutant_of_the_saga_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../coordinator/core/src/saga");
    let (mut folders, mut named) = (vec![folder], std::collections::BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("sources are text");
            named.extend(text.split("mutated(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    let listed = MUTANTS.iter().chain(&ITEM_MUTANTS).chain(&ELSEWHERE).map(|(name, _)| *name);
    let listed: std::collections::BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(named, listed, "mutants in core/src/saga and those that are listed here");
}
