//! Random definitions with items, sub-sagas and values.

use ringmaster_tests::random::{Report, families};

use super::number;

/// Seeds of definitions with items; they take about 6 ms each.
const FAMILY_SEEDS: u64 = 800;

/// Definitions that do steps for each item of lists, and run others. `FAMILY=n` repeats one of them, `FAMILIES=n` plays so many.
#[test]
fn families() {
    let mut report = Report::default();
    let mut failed = Vec::new();
    let given = number("FAMILY");
    let seeds = given.map_or(0..number("FAMILIES").unwrap_or(FAMILY_SEEDS), |seed| seed..seed + 1);
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
        "sagas that were paused",
        "sagas that were resumed",
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

/// A wait that is stuck has its value until a person acts on it: whoever helps only another one, which waits for that value, never ends.
#[test]
fn a_seed_in_which_one_wait_has_what_another_waits_for() {
    let failed = families::run(60_081_940, 16).err().map(|failure| failure.laws);
    assert_eq!(failed, None);
}

/// A sub-saga of a sub-saga comes behind its pivot while the saga above both is paused: the one between hears of two things at once, looks
/// whether it is paused each time, and tells the one above.
#[test]
fn a_seed_in_which_a_row_looks_twice_before_the_one_above_has_heard() {
    let failed = families::run(100_174_208, 6).err().map(|failure| failure.laws);
    assert_eq!(failed, None);
}

/// What is broken about items, sub-sagas and values, and the law that finds it out.
#[cfg(feature = "faults")]
pub(crate) const ITEM_MUTANTS: [(&str, &str); 33] = [
    ("child_news_lost", "L15"),
    ("child_pivot_not_told", "L14"),
    ("claim_not_sent", "L20"),
    ("clock_runs_over_held_item", "L15"),
    ("denied_claim_stands", "L20"),
    ("item_not_undone", "L4"),
    ("item_reads_neighbour", "L18"),
    ("item_started_twice", "L18"),
    ("items_not_paused", "L23"),
    ("items_not_recalled", "L11"),
    ("items_not_resumed", "L23"),
    ("items_not_told", "L23"),
    ("kept_event_not_brought", "L20"),
    ("look_not_told_above", "L23"),
    ("matched_event_taken_twice", "L19"),
    ("recall_ignored_by_completed", "L1"),
    ("results_in_order_of_end", "L18"),
    ("rows_forgotten_where_done", "L1"),
    ("run_with_pivot_stopped_without_asking", "L9"),
    ("search_lost_at_start", "search"),
    ("seen_event_kept", "L20"),
    ("several_begun_at_once", "L3"),
    ("stops_only_by_mail", "L3"),
    ("sub_saga_not_searched", "search"),
    ("sub_saga_refused_without_code", "L18"),
    ("swept_too_early", "L1"),
    ("undo_ignores_at_once", "L8"),
    ("unique_not_released", "L20"),
    ("unique_started_before_answer", "L20"),
    ("value_given_to_two", "L20"),
    ("value_not_released", "L20"),
    ("work_ignores_room", "L13"),
    ("work_left_for_another_turn", "L11"),
];

#[cfg(feature = "faults")]
#[test]
fn every_mutant_of_items_breaks_its_law() {
    let broken = |seed| families::run(seed, 4).err().map(|failure| failure.laws);
    super::mutants::all_break_their_laws(&ITEM_MUTANTS, FAMILY_SEEDS, broken);
}
