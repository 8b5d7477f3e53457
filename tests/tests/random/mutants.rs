//! The decisions of the saga broken in one place each: some law finds out.

use std::collections::BTreeSet;

use ringmaster_core::faults::mutate;
use ringmaster_tests::random::run;

use super::families::ITEM_MUTANTS;

/// A mutant is caught by one of so many seeds; most are by one of the first ten.
const MUTANT_SEEDS: u64 = 8_000;

/// The decisions broken in one place each, and the law that finds it out. `panic`: the core itself stops.
const MUTANTS: [(&str, &str); 99] = [
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
    ("composite_reacts_before_clean", "L6"),
    ("condition_ignored", "way"),
    ("contradiction_ignored", "answers"),
    ("contradiction_reopens_saga", "panic"),
    ("deadline_in_undo", "panic"),
    ("deadline_undoes_behind_pivot", "stops"),
    ("early_answer_forgotten", "L19"),
    ("early_event_lost_at_start", "L19"),
    ("early_events_kept_for_ever", "L15"),
    ("early_if_tested_too_soon", "L19"),
    ("emission_not_sent", "wire"),
    ("ended_row_forgets_refused_body", "wire"),
    ("escalation_forgotten", "L18"),
    ("escalation_once_only", "L18"),
    ("event_always_approves", "L19"),
    ("event_taken_twice", "L19"),
    ("event_taken_whatever_it_says", "L19"),
    ("event_to_second_wait", "L19"),
    ("failure_for_good_retried", "answers"),
    ("failure_forgiven_while_draining", "parked"),
    ("first_arm_taken", "way"),
    ("forgotten_undone", "stuck"),
    ("held_clock_runs", "L15"),
    ("inner_scope_reacts_while_root_stops", "L3"),
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
    ("skip_leaves_result", "acts"),
    ("skipped_pivot_not_passing", "L18"),
    ("sleep_beyond_its_within", "L15"),
    ("stale_failure_taken", "answers"),
    ("stuck_not_told", "L24"),
    ("stuck_takes_late_success_after_undo", "answers"),
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
    ("within_fires_on_done_scope", "panic"),
    ("within_ignored", "L15"),
    ("withheld_forgotten", "L23"),
];

/// Mutants that the runs do not reach, and why.
const ELSEWHERE: [(&str, &str); 20] = [
    ("no_late_command_refusal", "nobody remembers for so short a time here; the simulator's services do"),
    (
        "late_row_not_held",
        "what is left over behind a replay is not sent here; the simulator does, and the partition's tests of values",
    ),
    (
        "taken_forgotten_where_done",
        "a person gives what an event refused, and that comes again: one seed in 70,000; a story does it",
    ),
    ("act_on_unknown_turn", "every row knows its last turn here; the partition's tests of acts have one that does not"),
    ("random_effect_ids", "nobody looks at ids of what is sent once more here; the simulator does"),
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
        "postponed_begins_in_the_next_round",
        "what is resumed ends a scope with nothing to undo, which is tried again at once: one seed in 6,000; a story does it",
    ),
    (
        "postponed_begins_in_what_is_over",
        "a scope is undone, and left out, while its saga is paused: one seed in some thousands; a story does it",
    ),
    (
        "returned_without_what_was_taken",
        "a value goes back before its wait has said what it took: one family in some thousands; the partition's tests do it",
    ),
    ("rows_without_depth", "rows are not so deep here; the partition's tests have deeper ones"),
    ("seen_event_forgotten", "no event comes by another record again; the partition's tests have one"),
    ("stray_forgets_body_at_pivot", "a stray is parked where its saga passes the pivot: one seed in 10,000; a story does it"),
    ("sub_saga_not_found", "every version is known here; the partition's tests lose one"),
    ("work_costs_nothing", "expressions are cheap here; the partition's tests have costly ones"),
];

#[test]
fn every_mutant_breaks_its_law() {
    all_break_their_laws(&MUTANTS, MUTANT_SEEDS, |seed| run(seed, false).err().map(|failure| failure.laws));
}

/// Each mutant breaks its law by one of so many seeds. `broken`: the laws that a seed breaks, if it does any.
pub(crate) fn all_break_their_laws(mutants: &[(&'static str, &str)], seeds: u64, broken: impl Fn(u64) -> Option<Vec<String>>) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for &(mutant, law) in mutants {
        let mut others = BTreeSet::new();
        mutate(Some(mutant));
        let caught = (0..seeds).find(|seed| {
            others.extend(broken(*seed).unwrap_or_default());
            others.contains(law)
        });
        mutate(None);
        match caught {
            Some(seed) => println!("{mutant}: {law} is broken by seed {seed}"),
            None => missed.push((mutant, law, others)),
        }
    }
    std::panic::set_hook(hook);
    assert!(missed.is_empty(), "no seed of {seeds} breaks the law: {missed:?}");
}

/// A new mutant of the saga's decisions is listed here, too.
#[test]
fn every_mutant_of_the_saga_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../coordinator/core/src/saga");
    let (mut folders, mut named) = (vec![folder], BTreeSet::new());
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
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(named, listed, "mutants in core/src/saga and those that are listed here");
}
