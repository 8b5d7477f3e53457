//! Scenarios that are read, played and judged: good ones, wrong ones, and files with slips.

mod items;
mod mutations;
mod pivots;
mod search;
mod shown;
mod slips;
mod values;

use expect_test::{Expect, expect};
use ringmaster_core::definition::{DefinitionRecord, Participant, Settings};
use ringmaster_schemas::journal::Encoding;

use super::*;

const TRIP: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id, if: event.nights > 0 }
steps:
  - { step: long_stay, if: start.nights > 30, refuse: TOO_LONG }
  - step: reserve_room
    do: hotel.Reserve
    with: { trip_id: key, nights: start.nights, price: decimal(start.price) }
    undo: hotel.Release
  - { step: tell_kitchen, emit: RoomReserved, to: progress, with: { room: steps.reserve_room.room } }
  - step: how_it_is_paid
    switch:
      - if: has(start.voucher)
        steps: [ { step: redeem, do: shop.Redeem, undo: shop.GiveBack, with: { trip_id: key } } ]
      - else: []
  - { step: confirm, do: hotel.Confirm, with: { trip_id: key }, pivot: true }
  - { step: thank, do: mail.Thank, with: { trip_id: key }, within: 1h }
on_completed: { emit: TripConfirmed, to: outcomes, with: { trip_id: key } }
on_compensated: { emit: TripCancelled, to: outcomes, with: { reason: failure.code } }
";

const HOTEL: &str = r#"{"type": "enum", "name": "ReserveRefusal", "namespace": "hotel", "symbols": ["FULL", "CLOSED"]}"#;
const ROOM: &str =
    r#"{"type": "record", "name": "ReserveResult", "namespace": "hotel", "fields": [{"name": "room", "type": "string"}]}"#;

struct World {
    catalog: Catalog,
    schemas: Schemas,
}

impl World {
    fn new() -> World {
        World::of(TRIP)
    }

    fn of(text: &str) -> World {
        let (mut catalog, mut schemas) = (Catalog::default(), Schemas::builtin());
        for text in [HOTEL, ROOM, shown::GUEST, shown::KEEP] {
            schemas.add(text).expect("a schema");
        }
        let mut settings = Settings::new(&mut schemas);
        let json = || Participant { encoding: Encoding::Json, ..Participant::default() };
        settings.participants = ["hotel", "shop", "mail"].map(|name| (name.to_owned(), json())).into();
        let records = DefinitionRecord::of_file("trip.yaml", text, 0, &mut settings).unwrap_or_else(|errors| panic!("{errors:#?}"));
        for record in &records {
            catalog.add(record, 0, &mut settings).expect("it compiles again");
        }
        World { catalog, schemas }
    }

    fn known(&self) -> Known<'_> {
        Known { catalog: &self.catalog, schemas: &self.schemas }
    }

    fn read(&self, rest: &str) -> Result<Vec<Scenario>, Vec<CompileError>> {
        let start = if rest.contains("start:") { "" } else { "start: { trip_id: t-1, nights: 2, price: '99.10' }\n" };
        read("trip.yaml", &format!("scenario: a trip\nsaga: trip\n{start}{rest}"), self.known())
    }

    /// Plays one scenario.
    fn play(&self, rest: &str) -> Verdict {
        let scenarios = self.read(rest).unwrap_or_else(|errors| panic!("{errors:#?}"));
        play(&scenarios[0], self.known(), &mut Coverage::default())
    }

    fn passes(&self, rest: &str) {
        let verdict = self.play(rest);
        assert!(verdict.passed(), "{rest}: {:#?}\n{}", verdict.misses, verdict.diff);
    }

    /// A scenario that fails, by what is told of it.
    fn fails(&self, rest: &str, told: &Expect) {
        let verdict = self.play(rest);
        let misses: String = verdict.misses.iter().map(|miss| format!("{}: {}\n", miss.line, miss.message)).collect();
        told.assert_eq(&format!("{misses}{}", verdict.diff));
    }

    /// The errors of a file.
    fn wrong(&self, rest: &str, told: &Expect) {
        let errors = self.read(rest).expect_err("it has an error");
        told.assert_eq(&errors.iter().map(|error| format!("{error}\n")).collect::<String>());
    }
}

const DONE: &str = "answers: { hotel.Reserve: { room: '12' }, hotel.Confirm: succeeded, mail.Thank: succeeded }\n";

#[test]
fn what_is_written_happens() {
    let world = World::new();
    world.passes(&format!(
        "{DONE}then:
  - hotel.Reserve: {{ nights: 2, price: 99.1 }}
  - emit RoomReserved: {{ room: '12' }}
  - hotel.Confirm:
  - emit TripConfirmed: {{ trip_id: t-1 }}
never: [ hotel.Release, shop.Redeem, emit TripCancelled ]
ends: completed"
    ));
    world.passes("answers: { hotel.Reserve: { refused: FULL } }\nthen: [ emit TripCancelled: { reason: FULL } ]\nends: compensated\ncode: FULL");
    world.passes("start: { trip_id: t-1, nights: 31, price: '1' }\nnever: [ hotel.Reserve ]\nends: compensated\ncode: TOO_LONG");
    world.passes("start: { trip_id: t-1, nights: 0, price: '1' }\nends: not started");
    world.passes("start: { trip_id: t-1, price: '1' }\nends: not started\ncode: EXPRESSION_FAILED");
}

#[test]
fn answers_are_given_attempt_by_attempt_and_the_last_one_repeats() {
    let world = World::new();
    let answers =
        |reserve: &str| format!("answers: {{ hotel.Reserve: {reserve}, hotel.Confirm: succeeded, mail.Thank: succeeded }}\n");
    let twice = "then: [ hotel.Reserve, hotel.Reserve, hotel.Confirm ]\nends: completed";
    world.passes(&format!("{}{twice}", answers("[ timeout, { room: '1' } ]")));
    world.passes(&format!("{}{twice}", answers("[ { failed: BUSY, message: later }, { succeeded: { room: '1' } } ]")));
    let never = "never: [ hotel.Confirm ]\nends: compensated\ncode: ";
    world.passes(&format!("{}{never}BUSY", answers("{ failed: BUSY, retryable: false }")));
    world.passes(&format!("{}{never}EXPIRED", answers("[ { failed: BUSY }, timeout ]")));
}

#[test]
fn a_step_is_answered_before_its_command_and_an_undo_by_itself() {
    let world = World::new();
    let with = "start: { trip_id: t-1, nights: 2, price: '1', voucher: v }\n";
    world.passes(&format!(
        "{with}answers: {{ hotel.Reserve: {{ refused: FULL }}, reserve_room: {{ room: '1' }}, redeem: succeeded, confirm: {{ refused: NO }} }}
then: [ shop.GiveBack: {{ trip_id: t-1 }}, hotel.Release ]
ends: compensated
code: NO"
    ));
    world.passes(&format!(
        "{with}answers: {{ reserve_room: {{ room: '1' }}, redeem: succeeded, confirm: {{ refused: NO }}, undo redeem: {{ refused: SPENT }} }}
never: [ hotel.Release ]
stuck: redeem
code: SPENT"
    ));
}

#[test]
fn what_comes_by_itself_comes_at_its_time() {
    let world = World::new();
    world.passes(
        "answers: { hotel.Reserve: timeout, hotel.Release: succeeded }
at:
  - { after: 2h, answer: { hotel.Reserve: { refused: FULL } } }
  - { after: 1h, answer: { reserve_room: { room: '1' } } }
then: [ hotel.Release, rejected LATE_REPLY, rejected LATE_REPLY ]
ends: compensated",
    );
    let within = "answers: { hotel.Reserve: timeout, hotel.Confirm: succeeded, mail.Thank: succeeded }\nat: { after: 5s, answer: { hotel.Reserve: { room: '1' } } }\n";
    world.passes(&format!("{within}then: [ hotel.Reserve, hotel.Confirm ]\nnever: [ hotel.Release ]\nends: completed"));
}

#[test]
fn a_time_and_a_key_may_be_chosen() {
    let world = World::new();
    let other = TRIP
        .replace("saga: trip", "saga: night")
        .replace(", key: event.trip_id", "")
        .replace("nights > 0", "nights > now.getFullYear()");
    let mut world = World { catalog: Catalog::default(), ..world };
    let mut settings = Settings::new(&mut world.schemas);
    settings.participants = ["hotel", "shop", "mail"]
        .map(|name| (name.to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() }))
        .into();
    let records = DefinitionRecord::of_file("night.yaml", &other, 0, &mut settings).unwrap_or_else(|errors| panic!("{errors:#?}"));
    world.catalog.add(&records[0], 0, &mut settings).expect("it compiles again");
    for (begins, ends) in [("2000-01-01T00:00:00Z", "compensated"), ("2020-01-01T00:00:00Z", "not started")] {
        let text =
            format!("scenario: x\nsaga: night\nkey: n-9\nbegins: {begins}\nstart: {{ nights: 2010, price: '1' }}\nends: {ends}");
        let scenarios = read("night.yaml", &text, world.known()).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let verdict = play(&scenarios[0], world.known(), &mut Coverage::default());
        assert!(verdict.passed(), "{begins}: {:#?}", verdict.misses);
    }
}

#[test]
fn what_goes_otherwise_is_shown_beside_what_is_written() {
    let world = World::new();
    world.fails(
        &format!("{DONE}then:\n  - hotel.Reserve: {{ nights: 3 }}\n  - hotel.Confirm\n  - emit TripCancelled\nnever: [ mail.Thank ]\nends: compensated\ncode: FULL\n"),
        &expect![[r#"
            6: hotel.Reserve {"nights":3} is expected: it did not happen
            8: emit TripCancelled is expected: it did not happen
            9: mail.Thank must never happen: it did, +0s after the start
            10: it must end compensated: it is completed
            -             hotel.Reserve {"nights":3}
            +        +0s  hotel.Reserve {"nights":2}
                     +0s  emit RoomReserved {"room":"12"}
                     +0s  hotel.Confirm
            -             emit TripCancelled
            -             ends: compensated
            -             code: FULL
            +        +0s  mail.Thank {"trip_id":"t-1"}
                     +0s  emit TripConfirmed {"trip_id":"t-1"}
            +             ends: completed
            +             code: none
        "#]],
    );
    world.fails(
        "answers: { hotel.Reserve: [ { refused: CLOSED } ] }\nends: compensated\ncode: FULL\n",
        &expect![[r#"
        6: the code must be FULL: it is CLOSED
                 +0s  hotel.Reserve {"nights":2,"price":"99.1","trip_id":"t-1"}
                 +0s  emit TripCancelled {"reason":"CLOSED"}
                      ends: compensated
        -             code: FULL
        +             code: CLOSED
    "#]],
    );
    world.fails("answers: { hotel.Reserve: timeout }\nthen: [ hotel.Confirm ]\nends: completed\n", &expect![[r#"
        5: hotel.Confirm is expected: it did not happen
        6: it must end completed: it is compensated, EXPIRED at reserve_room: its time ran out after 13 attempts; the last one: TIMEOUT no reply within the attempt's time
        -             hotel.Confirm
        -             ends: completed
                 +0s  hotel.Reserve {"nights":2,"price":"99.1","trip_id":"t-1"}
            +10.232s  hotel.Reserve (attempt 2) {"nights":2,"price":"99.1","trip_id":"t-1"}
            +20.657s  hotel.Reserve (attempt 3) {"nights":2,"price":"99.1","trip_id":"t-1"}
          +4m51.523s  hotel.Reserve (10 attempts more)
                 +5m  hotel.Release {"nights":2,"price":"99.1","trip_id":"t-1"}
                 +5m  emit TripCancelled {"reason":"EXPIRED"}
        +             ends: compensated
    "#]]);
    world.fails(
        &format!("{DONE}then: [ hotel.Confirm, hotel.Reserve ]\nends: completed\n"),
        &expect![[r#"
            5: hotel.Reserve is expected: it happened, but not in this place
            +        +0s  hotel.Reserve {"nights":2,"price":"99.1","trip_id":"t-1"}
                     +0s  emit RoomReserved {"room":"12"}
                     +0s  hotel.Confirm
            -             hotel.Reserve
                     +0s  mail.Thank {"trip_id":"t-1"}
                     +0s  emit TripConfirmed {"trip_id":"t-1"}
                          ends: completed
        "#]],
    );
}

#[test]
fn what_cannot_be_played_says_where_it_is_to_be_mended() {
    let world = World::new();
    world.fails(
        "answers: { hotel.Reserve: { room: '1' } }\nends: completed\n",
        &expect![[r#"
            1: hotel.Confirm (step confirm) is asked and the scenario has no answer: add it to `answers`
                     +0s  hotel.Reserve {"nights":2,"price":"99.1","trip_id":"t-1"}
                     +0s  emit RoomReserved {"room":"1"}
                     +0s  hotel.Confirm {"trip_id":"t-1"}
        "#]],
    );
    world.fails("answers:\n  hotel.Reserve: succeeded\nends: completed\n", &expect![[r#"
        5: this answer cannot be used, it would go to quarantine as UNDECODABLE: the result of hotel.Reserve: room: it is missing and has no default (byte 2)
                 +0s  hotel.Reserve {"nights":2,"price":"99.1","trip_id":"t-1"}
    "#]]);
    world.fails(
        "answers: { hotel.Reserve: timeout }\nat: { after: 1s, answer: { hotel.Confirm: succeeded } }\nends: completed\n",
        &expect![[r#"
            5: this was not asked by then: an answer is for what was asked
                     +0s  hotel.Reserve {"nights":2,"price":"99.1","trip_id":"t-1"}
        "#]],
    );
    world.fails(
        "start: { trip_id: '', nights: 1, price: '1' }\nends: completed\n",
        &expect![[r#"
            3: the start event cannot be used, it would go to quarantine as KEY_INVALID: the key for 'trip' has 0 bytes; it needs 1 to 200
        "#]],
    );
}

#[test]
fn coverage_counts_what_was_passed_and_names_what_was_not() {
    let world = World::new();
    let mut coverage = Coverage::default();
    let play_all = |coverage: &mut Coverage, all: &[&str]| {
        for text in all {
            let scenarios = world.read(text).unwrap_or_else(|errors| panic!("{errors:#?}"));
            let verdict = play(&scenarios[0], world.known(), coverage);
            assert!(verdict.passed(), "{text}: {:#?}", verdict.misses);
        }
        let tally = coverage.tallies().remove(0);
        let missed: String = tally.missed.iter().map(|missed| format!("{}: {}\n", missed.kind, missed.what)).collect();
        (tally.total(), missed)
    };
    let done = format!("{DONE}ends: completed");
    let (total, missed) = play_all(&mut coverage, &[&done]);
    assert_eq!(total, (7, 17));
    expect![[r#"
        conditions: the start's if is never false
        conditions: the if of long_stay is never true
        steps: long_stay never refuses
        refusals: reserve_room is never refused
        undos: reserve_room is never undone
        arms: arm 1 of how_it_is_paid is never taken
        steps: redeem is never asked
        refusals: redeem is never refused
        undos: redeem is never undone
        refusals: confirm is never refused
    "#]]
    .assert_eq(&missed);
    let voucher = "start: { trip_id: t-1, nights: 2, price: '1', voucher: v }\n";
    let rest = [
        "start: { trip_id: t-1, nights: 31, price: '1' }\nends: compensated".to_owned(),
        "start: { trip_id: t-1, nights: 0, price: '1' }\nends: not started".to_owned(),
        "answers: { hotel.Reserve: { refused: FULL } }\nends: compensated".to_owned(),
        format!("{voucher}answers: {{ hotel.Reserve: {{ room: '1' }}, shop.Redeem: {{ refused: SPENT }} }}\nends: compensated"),
        format!(
            "{voucher}answers: {{ hotel.Reserve: {{ room: '1' }}, shop.Redeem: succeeded, confirm: {{ refused: NO }} }}\nends: compensated"
        ),
    ];
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    assert_eq!(play_all(&mut coverage, &rest), ((17, 17), String::new()));
}

const LOAN: &str = "
saga: loan
start: { on: LoanWanted, from: loans, key: event.id }
cancel: { on: LoanDropped, key: event.id }
steps:
  - { step: cool_off, sleep: 2d }
  - { step: review, approval: clerk, show: { amount: start.amount }, within: 3d, on_refused: { EXPIRED: go_on, else: undo } }
  - { step: proof, wait: ProofSent, from: proofs, key: event.loan, if: event.good, within: 1d, on_refused: go_on }
  - { step: thank, do: mail.Thank, with: { by: \"steps.?review.?by.orValue('nobody')\", proof: \"steps.?proof.?name.orValue('none')\" }, undo: nothing }
";

#[test]
fn sleeps_pass_and_approvals_are_answered_or_not() {
    let mut world = World { catalog: Catalog::default(), ..World::new() };
    let mut settings = Settings::new(&mut world.schemas);
    settings.participants = [("mail".to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() })].into();
    let records = DefinitionRecord::of_file("loan.yaml", LOAN, 0, &mut settings).unwrap_or_else(|errors| panic!("{errors:#?}"));
    world.catalog.add(&records[0], 0, &mut settings).expect("it compiles again");
    let mut coverage = Coverage::default();
    let mut play = |rest: &str| {
        let text =
            format!("scenario: x\nsaga: loan\nstart: {{ id: l-1, amount: 5 }}\nanswers: {{ mail.Thank: succeeded }}\n{rest}");
        let scenarios = read("loan.yaml", &text, world.known()).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let verdict = super::play(&scenarios[0], world.known(), &mut coverage);
        assert!(verdict.passed(), "{rest}: {:#?}\n{}", verdict.misses, verdict.diff);
    };
    play(
        "at: { after: 50h, approve: review }\nthen: [ approval review: { amount: 5 }, mail.Thank: { by: somebody } ]\nends: completed",
    );
    play("at: { after: 50h, approve: { step: review, by: ann, note: yes } }\nthen: [ mail.Thank: { by: ann } ]\nends: completed");
    play("at: { after: 50h, refuse: review }\nthen: [ approval review ]\nnever: [ mail.Thank ]\nends: compensated\ncode: REFUSED");
    play("at: [ { after: 1h, approve: review } ]\nthen: [ rejected NOT_ASKED, mail.Thank: { by: nobody } ]\nends: completed");
    let proof = |good: bool| format!("{{ ProofSent: {{ loan: l-1, good: {good}, name: p }} }}");
    let happens = format!("at: [ {{ after: 73h, event: {} }}, {{ after: 74h, event: {} }} ]", proof(false), proof(true));
    play(&format!("{happens}\nthen: [ mail.Thank: {{ proof: p }} ]\nends: completed"));
    play("then: [ mail.Thank: { by: nobody, proof: none } ]\nends: completed");
    let approved = "{ after: 50h, approve: review }";
    let happens =
        format!("at: [ {approved}, {{ after: 51h, event: {} }}, {{ after: 52h, event: {} }} ]", proof(false), proof(true));
    play(&format!("{happens}\nthen: [ mail.Thank: {{ proof: p }} ]\nends: completed"));
    play(&format!("before: [ {} ]\nat: {approved}\nthen: [ mail.Thank: {{ proof: p }} ]\nends: completed", proof(true)));
    play("before: { LoanDropped: { id: l-1 } }\nnever: [ approval review ]\nends: compensated\ncode: CANCELLED");
    play("at: { after: 50h, event: { LoanDropped: { id: l-1 } } }\nends: compensated\ncode: CANCELLED");
    let missed: Vec<String> = coverage.tallies()[0].missed.iter().map(|missed| missed.what.clone()).collect();
    assert_eq!(missed, ["thank is never refused"], "all else was passed through");
}
