//! Business stories on the pure core. `UPDATE_STORIES=1` writes what the core did into the files; how a story must end stays as it
//! is written. `STORY=part-of-a-name` plays only some.

#![allow(clippy::print_stdout, reason = "a test says what it did")]

use std::path::Path;

use ringmaster_tests::stories::{files, play};

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[test]
fn every_story_goes_as_it_is_told() {
    let update = std::env::var_os("UPDATE_STORIES").is_some();
    let wanted = std::env::var("STORY").unwrap_or_default();
    let mut wrong = Vec::new();
    let files = files();
    assert!(files.len() > 50, "stories are read from files");
    for path in files.iter().filter(|path| name(path).contains(&wanted)) {
        let text = std::fs::read_to_string(path).expect("a story can be read");
        let played = play(&text);
        for fault in &played.faults {
            wrong.push(format!("{}: {fault}", name(path)));
        }
        if played.text == text {
            continue;
        }
        if update {
            std::fs::write(path, &played.text).expect("a story can be written");
        } else {
            wrong.push(format!("{}: {}", name(path), first_difference(&text, &played.text)));
        }
    }
    assert!(wrong.is_empty(), "{} stories go otherwise (UPDATE_STORIES=1 rewrites them):\n{}", wrong.len(), wrong.join("\n"));
}

/// The first line that differs, both ways.
fn first_difference(told: &str, played: &str) -> String {
    let (mut told, mut played) = (told.lines(), played.lines());
    for number in 1.. {
        match (told.next(), played.next()) {
            (Some(one), Some(two)) if one == two => {}
            (one, two) => {
                return format!("line {number}\n    told:   {}\n    played: {}", one.unwrap_or("(end)"), two.unwrap_or("(end)"));
            }
        }
    }
    unreachable!("texts that differ differ in a line")
}

/// Ways to break decide, apply and effects; each must be noticed by at least one story.
#[cfg(feature = "faults")]
const MUTANTS: [&str; 97] = [
    "act_on_what_moved_on",
    "alternative_pivot_not_passing",
    "answer_remembers_no_event",
    "as_read_under_own_name",
    "at_most_ignored",
    "attempts_counted_from_the_first",
    "attempts_ignored",
    "big_command_sent",
    "branch_starts_in_undoing_parallel",
    "cancel_before_start_lost",
    "cancel_behind_pivot",
    "cancel_while_pivot_in_flight",
    "cause_forgotten",
    "cause_forgotten_where_stuck",
    "condition_ignored",
    "contradiction_ignored",
    "contradiction_reopens_saga",
    "deadline_in_undo",
    "deadline_undoes_behind_pivot",
    "early_answer_forgotten",
    "early_event_lost_at_start",
    "early_events_kept_for_ever",
    "emission_not_sent",
    "ended_row_forgets_parked_stray",
    "ended_row_forgets_refused_body",
    "escalation_forgotten",
    "escalation_once_only",
    "event_always_approves",
    "event_taken_twice",
    "event_taken_whatever_it_says",
    "failure_for_good_retried",
    "first_arm_taken",
    "forgotten_undone",
    "held_clock_runs",
    "issued_step_is_next_again",
    "join_forgets_postponed",
    "join_waits_for_one_branch",
    "late_success_taken_after_undo",
    "not_on_ignored",
    "old_start_taken",
    "open_attempt_forgotten_on_stop",
    "open_attempt_not_awaited",
    "parallel_undone_one_by_one",
    "parked_attempt_given_up",
    "parked_clock_runs",
    "parked_counts_as_a_try",
    "parked_left_open_on_stop",
    "parked_participant_asked",
    "parked_retry_without_budget",
    "parked_saga_clock_runs",
    "parked_step_undone",
    "paused_asks_again",
    "paused_clock_runs",
    "paused_lets_go",
    "paused_starts_next",
    "pivot_undone_on_a_guess",
    "postponed_begins_in_the_next_round",
    "postponed_begins_in_what_is_over",
    "postponed_forgotten",
    "reaction_in_undoing_scope",
    "refusal_behind_pivot_undoes",
    "refusal_goes_on",
    "refusal_retried",
    "remembered_stop_forgotten_on_refusal",
    "result_forgotten",
    "resumed_asks_the_parked",
    "retry_at_once",
    "retry_in_undoing_scope",
    "retry_keeps_its_attempt",
    "retry_not_sent",
    "round_reuses_key",
    "row_of_a_stray_expires",
    "scope_clock_runs",
    "skipped_pivot_not_passing",
    "sleep_beyond_its_within",
    "stale_failure_taken",
    "stray_forgets_body_at_pivot",
    "stuck_not_told",
    "stuck_told_again",
    "stuck_told_under_one_id",
    "taken_forgotten_where_done",
    "undo_a_refused_step",
    "undo_has_its_own_first_time",
    "undo_has_the_body_of_its_do",
    "undo_in_order_of_do",
    "undo_names_no_do",
    "undo_not_parked",
    "undo_not_retried",
    "undo_only_what_succeeded",
    "undo_refusal_retried",
    "undone_result_read",
    "unknown_not_undone_before_reaction",
    "unpark_without_order",
    "wait_left_open_on_stop",
    "went_on_drops_stray",
    "withheld_forgotten",
    "within_ignored",
];

/// A story notices a mutant if its text changes, a law breaks, or the core stops with a message of its own.
#[cfg(feature = "faults")]
#[test]
fn every_mutant_is_noticed_by_a_story() {
    use ringmaster_core::faults::{mutate, mutated_count};

    let stories: Vec<(String, String)> =
        files().iter().map(|path| (name(path), std::fs::read_to_string(path).expect("a story can be read"))).collect();
    let notices = |text: &str| {
        let played = std::panic::catch_unwind(|| play(text));
        played.map_or(true, |played| played.text != text || !played.faults.is_empty())
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut unnoticed = Vec::new();
    for mutant in MUTANTS {
        mutate(Some(mutant));
        let by = stories.iter().filter(|(_, text)| notices(text)).count();
        let passed = mutated_count();
        mutate(None);
        println!("{mutant}: its place was passed {passed} times, {by} stories notice it");
        if by == 0 {
            unnoticed.push(mutant);
        }
    }
    let quiet: Vec<&String> = stories.iter().filter(|(_, text)| notices(text)).map(|(name, _)| name).collect();
    std::panic::set_hook(hook);
    assert!(quiet.is_empty(), "stories that go wrong without any mutant: {quiet:?}");
    assert!(unnoticed.is_empty(), "no story notices {unnoticed:?}");
}
