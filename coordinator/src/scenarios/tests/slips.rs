//! Slips in scenario files: each with its place, and what was probably meant.

use expect_test::expect;

use super::World;

#[test]
fn of_answers() {
    let world = World::new();
    world.wrong(
        "answers: { hotel.Reserv: succeeded, undo confirm: succeeded, undo redeems: succeeded }\nends: completed\n",
        &expect![[r#"
        trip.yaml:4:12: error: trip asks no 'hotel.Reserv'
         4 | answers: { hotel.Reserv: succeeded, undo confirm: succeeded, undo redeems: succeeded }
           |            ^^^^^^^^^^^^ did you mean 'hotel.Reserve'?
        trip.yaml:4:37: error: step 'confirm' has no undo
         4 | answers: { hotel.Reserv: succeeded, undo confirm: succeeded, undo redeems: succeeded }
           |                                     ^^^^^^^^^^^^
        trip.yaml:4:62: error: trip has no step 'redeems'
         4 | answers: { hotel.Reserv: succeeded, undo confirm: succeeded, undo redeems: succeeded }
           |                                                              ^^^^^^^^^^^^ did you mean 'redeem'?
    "#]],
    );
    world.wrong(
        "answers:\n  hotel.Reserve: { refused: FUL }\n  confirm: refused\n  redeem: succeded\n  thank: [ ]\n  hotel.Release: 'succeeded'\nends: completed\n",
        &expect![[r#"
            trip.yaml:5:29: error: hotel.Reserve is not refused with 'FUL'
             5 |   hotel.Reserve: { refused: FUL }
               |                             ^^^ did you mean 'FULL'?
            trip.yaml:6:12: error: 'refused' needs a code
             6 |   confirm: refused
               |            ^^^^^^^ { refused: CODE }
            trip.yaml:7:11: error: 'succeded' is no answer
             7 |   redeem: succeded
               |           ^^^^^^^^ did you mean 'succeeded'?
            trip.yaml:8:10: error: an empty list says nothing
             8 |   thank: [ ]
               |          ^^^ succeeded, timeout, { refused: CODE }, { failed: CODE }, the fields of its result, or a list of these
            trip.yaml:9:18: error: an answer is needed here, not a single value
             9 |   hotel.Release: 'succeeded'
               |                  ^^^^^^^^^^^ succeeded, timeout, { refused: CODE }, { failed: CODE }, the fields of its result, or a list of these
        "#]],
    );
    world.wrong("answers: { hotel.Reserve: { rom: '1' }, confirm: { failed: X, retryable: maybe }, redeem: { succeeded: 1 } }\nends: completed\n", &expect![[r#"
        trip.yaml:4:29: error: hotel.ReserveResult has no field 'rom'
         4 | answers: { hotel.Reserve: { rom: '1' }, confirm: { failed: X, retryable: maybe }, redeem: { succeeded: 1 } }
           |                             ^^^ did you mean 'room'?
        trip.yaml:4:74: error: retryable is true or false
         4 | answers: { hotel.Reserve: { rom: '1' }, confirm: { failed: X, retryable: maybe }, redeem: { succeeded: 1 } }
           |                                                                          ^^^^^
        trip.yaml:4:104: error: a result is a map, not a single value
         4 | answers: { hotel.Reserve: { rom: '1' }, confirm: { failed: X, retryable: maybe }, redeem: { succeeded: 1 } }
           |                                                                                                        ^ succeeded, or { field: value }
    "#]]);
}

#[test]
fn of_what_happens() {
    let world = World::new();
    world.wrong("then:\n  - hotel.Reserv\n  - TripConfirmed\n  - reserve_room\n  - emit TripConfirmd\n  - rejected LATE_REPL\n  - { a: 1, b: 2 }\n  - hotel.Confirm: 3\nends: completed\n", &expect![[r#"
        trip.yaml:5:5: error: trip asks no 'hotel.Reserv'
         5 |   - hotel.Reserv
           |     ^^^^^^^^^^^^ did you mean 'hotel.Reserve'?
        trip.yaml:6:5: error: TripConfirmed is an event
         6 |   - TripConfirmed
           |     ^^^^^^^^^^^^^ write 'emit TripConfirmed'
        trip.yaml:7:5: error: reserve_room is a step
         7 |   - reserve_room
           |     ^^^^^^^^^^^^ what happens is told by commands: hotel.Reserve
        trip.yaml:8:5: error: trip emits no 'TripConfirmd'
         8 |   - emit TripConfirmd
           |     ^^^^^^^^^^^^^^^^^ did you mean 'TripConfirmed'?
        trip.yaml:9:5: error: 'LATE_REPL' is no reason of a rejection
         9 |   - rejected LATE_REPL
           |     ^^^^^^^^^^^^^^^^^^ did you mean 'LATE_REPLY'?
        trip.yaml:10:5: error: one thing happens at a time
         10 |   - { a: 1, b: 2 }
            |     ^^^^^^^^^^^^^^ write each as an item of its own: - NAME: { ... }
        trip.yaml:11:20: error: fields of hotel.Confirm are needed here, not a single value
         11 |   - hotel.Confirm: 3
            |                    ^ { field: value }
    "#]]);
}

#[test]
fn of_inputs_and_ends() {
    let world = World::new();
    world.wrong(
        "at: { after: 1h, approve: x }\nends: completed\n",
        &expect![[r#"
            trip.yaml:4:27: error: trip has no approval 'x'
             4 | at: { after: 1h, approve: x }
               |                           ^
        "#]],
    );
    world.wrong(
        "event: { CardChanged: {} }\nends: done\n",
        &expect![[r#"
            trip.yaml:4:1: error: a scenario has no 'event'
             4 | event: { CardChanged: {} }
               | ^^^^^ there are: scenario, description, saga, begins, key, before, start, answers, at, then, never, search, ...
            trip.yaml:5:7: error: no saga ends 'done'
             5 | ends: done
               |       ^^^^ there are: completed, compensated, stuck, not started
        "#]],
    );
    world.wrong(
        "stuck: redem\nends: stuck\nthn: []\n",
        &expect![[r#"
        trip.yaml:4:8: error: trip has no step 'redem'
         4 | stuck: redem
           |        ^^^^^ did you mean 'redeem'?
        trip.yaml:6:1: error: a scenario has no 'thn'
         6 | thn: []
           | ^^^ did you mean 'then'?
    "#]],
    );
    world.wrong(
        "stuck: redeem\nends: completed\n",
        &expect![[r#"
        trip.yaml:5:7: error: a saga that ends completed has no stuck step
         5 | ends: completed
           |       ^^^^^^^^^ take one of the two away
    "#]],
    );
}

#[test]
fn of_whole_files() {
    let world = World::new();
    world.wrong(
        "then: []\n",
        &expect![[r#"
        trip.yaml:1:1: error: 'ends' is missing
         1 | scenario: a trip
           | ^^^^^^^^ ends: completed | compensated | stuck | not started
    "#]],
    );
    world.wrong(
        "begins: today\nends: completed\n---\nscenario: a trip\nsaga: trap\nends: completed\n---\na: 1\n---\n- 1\n",
        &expect![[r#"
        trip.yaml:4:9: error: begins is a time
         4 | begins: today
           |         ^^^^^ for example 2026-11-27T08:00:00Z
        trip.yaml:8:7: error: there is no saga 'trap'
         8 | saga: trap
           |       ^^^^ did you mean 'trip'?
        trip.yaml:11:1: error: this is neither a scenario nor a definition
         11 | a: 1
            | ^ scenario: WHAT IT IS ABOUT, saga: NAME, start: {...}, answers: {...}, then: [...], ends: completed
        trip.yaml:13:1: error: a scenario is a map, not a list
         13 | - 1
            | ^^^ scenario: WHAT IT IS ABOUT, saga: NAME, start: {...}, answers: {...}, then: [...], ends: completed
    "#]],
    );
}

/// Without a schema a field that is not there is only found out by what happened.
#[test]
fn of_fields_that_nothing_has() {
    let misses = |then: &str| {
        let verdict = World::new().play(&format!("{}then: [ {then} ]\nends: completed\n", super::DONE));
        verdict.misses.into_iter().map(|miss| miss.message).collect::<Vec<_>>()
    };
    assert_eq!(
        [misses("hotel.Reserve: { nigths: 2 }"), misses("hotel.Reserve: { nights: 3 }"), misses("mail.Thank: { whom: ann }")],
        [
            [
                r#"hotel.Reserve {"nigths":2} is expected: it did not happen; what happened has no field 'nigths' (did you mean 'nights'?)"#
            ],
            [r#"hotel.Reserve {"nights":3} is expected: it did not happen"#],
            [r#"mail.Thank {"whom":"ann"} is expected: it did not happen; what happened has no field 'whom' (there are: trip_id)"#],
        ]
    );
    assert_eq!(misses("hotel.Reserve: { voucher: null, nights: 2 }"), [""; 0], "what is to be nothing may be absent");
}
