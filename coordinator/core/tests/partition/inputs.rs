//! Where inputs begin and go on.

use ringmaster_core::intake::InputRecord;
use ringmaster_core::partition::{Happened, Limits, StartAt, Wish};
use ringmaster_core::saga::COMMAND_BYTES_MAX;
use ringmaster_schemas::journal::{JournalRecord, QuarantineReason, SagaEvent};
use ringmaster_schemas::names::KEY_BYTES_MAX;

use super::line::{ALPHAS, BEGIN, BETAS, Line, REPLIES, without};

/// Commands and events that are larger than all that they are made of.
const GROWING: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: task, do: worker.Work, with: { id: key }, timeout: 10s, retry: { attempts: 1 },
      undo: { do: worker.Rest, with: { id: key, a: start.note, b: start.note, c: start.note, d: start.note } } }
on_completed: { emit: Done, to: ends, with: { a: start.note, b: start.note, c: start.note, d: start.note } }
on_compensated: { emit: Undone, to: ends, with: { a: start.note, b: start.note, c: start.note, d: start.note } }
---
saga: beta
start: { on: Asked, from: betas, key: event.id }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: nothing }
";

/// A topic that was never read and holds records 10 to 29 begins where the setting says, and that is journaled before it is read.
#[test]
fn a_new_input_begins_where_the_setting_says() {
    for (start_at, first) in [(StartAt::Earliest, 10), (StartAt::Latest, 30), (StartAt::Time(BEGIN), 20)] {
        let mut line = Line::idle(|settings| settings.inputs[ALPHAS].start_at = start_at);
        line.next[ALPHAS] = 30;
        line.own_without_answers();
        let asked = match start_at {
            StartAt::Time(time) => Wish::AskInputAt(ALPHAS, time),
            StartAt::Earliest | StartAt::Latest => Wish::AskInput(ALPHAS),
        };
        assert!(line.wishes.contains(&asked), "{:?}", line.wishes);
        let records = line.journal.len();
        let unbegun = line.partition.unbegun().count();
        match start_at {
            StartAt::Time(_) => line.happens(Happened::InputBegins { index: ALPHAS, offset: 20 }),
            StartAt::Earliest | StartAt::Latest => line.happens(Happened::InputBounds { index: ALPHAS, start: 10, end: 30 }),
        }
        assert!(!line.wishes.iter().any(|wish| matches!(wish, Wish::ReadInput(ALPHAS, _))), "it is not journaled yet");
        assert_eq!(line.journal.len(), records + 1);
        assert_eq!(line.partition.unbegun().count(), unbegun, "what is not confirmed yet counts for nothing");
        line.acknowledge();
        assert_eq!(line.partition.unbegun().count(), unbegun - 1);
        assert!(line.wishes.contains(&Wish::ReadInput(ALPHAS, first)), "{start_at:?}: {:?}", line.wishes);
    }
}

/// A definition is taken away for a while, and its topic with it: when it is back, reading goes on where it was.
#[test]
fn a_topic_that_is_not_read_for_a_while_keeps_its_position() {
    for stored in [false, true] {
        let mut line = Line::owned();
        line.start(BETAS, "one");
        line.start(BETAS, "two");
        let mut betas = None;
        line.restart(|settings| betas = settings.inputs.pop());
        line.own();
        line.start(ALPHAS, "a");
        if stored {
            line.checkpoint();
        }
        line.restart(|settings| settings.inputs.extend(betas));
        line.own();
        assert!(line.wishes.contains(&Wish::ReadInput(BETAS, 2)), "{stored}: {:?}", line.wishes);
    }
}

/// What was skipped is journaled after a while, also by a clock that stepped back.
#[test]
fn skipped_records_are_journaled_within_a_second() {
    let mut line = Line::owned();
    line.put(ALPHAS, BEGIN, None, r#"{"type":"Nothing"}"#);
    line.poll();
    let before = line.journal.len();
    line.jump(-3_600_000);
    line.pass(1_001);
    line.poll();
    assert_eq!(line.journal.len(), before + 1);
    let Some(JournalRecord::Positions(positions)) = line.records().pop() else { panic!("no positions") };
    assert_eq!(positions.positions.iter().map(|position| (&*position.name, position.next)).collect::<Vec<_>>(), [("alphas", 1)]);
}

/// Rule 10: what would not fit into a record begins another; what fits into none is told, and nothing stops.
#[test]
fn a_journal_record_stays_within_its_limit() {
    const LIMIT: usize = 512 << 10;
    let note = "n".repeat(8_000);
    let fill = || {
        let mut line = Line::owned();
        for number in 0..90 {
            let order = format!(r#"{{"type":"Asked","id":"{number}","note":"{note}"}}"#);
            line.put(ALPHAS, BEGIN, Some(&number.to_string()), &order);
        }
        let key = format!("{}/x/task/do", "s".repeat(LIMIT));
        let reply = format!(
            r#"{{"meta":{{"idempotency_key":"{key}","attempt":1,"outcome":"succeeded","code":null,"message":null,"retryable":false}},"body":null}}"#
        );
        line.put(REPLIES, BEGIN, None, &reply);
        line.start(BETAS, "behind");
        line
    };
    let line = fill();
    assert_eq!((line.started(), line.stopped()), (91, None));
    let reasons: Vec<_> = line.quarantined().iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [QuarantineReason::TooBig]);
    let largest = |line: &Line| line.journal.iter().map(Vec::len).max().expect("records");
    assert!(largest(&line) <= LIMIT && largest(&line) > LIMIT - 20_000, "records are filled: {}", largest(&line));
    without("size_limit_ignored", || assert!(largest(&fill()) > LIMIT, "without the rule it is passed"));
}

/// A bus may give a record again that was taken (a client that reads a topic anew): it is taken once.
#[test]
fn a_record_that_comes_again_is_taken_once() {
    let mut line = Line::owned();
    line.start(ALPHAS, "one");
    line.start(ALPHAS, "two");
    line.look();
    let (started, records) = (line.started(), line.journal.len());
    for offset in [0, 1, 0] {
        let value = br#"{"type":"Asked","id":"three"}"#;
        let record = InputRecord { offset, timestamp: BEGIN, key: Some(b"three"), value: Some(value), headers: None };
        line.happens(Happened::Input { index: ALPHAS, record });
        line.look();
    }
    assert_eq!((line.started(), line.journal.len()), (started, records), "nothing is started, skipped or journaled");
    line.start(ALPHAS, "three");
    line.look();
    assert_eq!(line.started(), started + 1, "the next one is");
}

/// Keys of one byte and of the longest are keys; none and a longer one are told.
#[test]
fn keys_have_their_bounds() {
    for (bytes, taken) in [(0, false), (1, true), (KEY_BYTES_MAX, true), (KEY_BYTES_MAX + 1, false)] {
        let mut line = Line::owned();
        let key = "k".repeat(bytes);
        line.put(ALPHAS, BEGIN, Some(&key), &format!(r#"{{"type":"Asked","id":"{key}"}}"#));
        line.look();
        let reasons: Vec<_> = line.quarantined().iter().map(|one| one.reason).collect();
        assert_eq!((line.started(), reasons.is_empty()), (u64::from(taken), taken), "{bytes}: {reasons:?}");
    }
}

/// What is said of a record is bounded, and ends where a character ends.
#[test]
fn what_quarantine_says_is_bounded() {
    for shift in 0..4 {
        let mut line = Line::owned();
        let word = format!("{}{}", "x".repeat(shift), "\u{1f980}".repeat(2_000));
        line.put(ALPHAS, BEGIN, Some("a"), &format!(r#"{{"type":"Asked","id":"a","id":"{word}"}}"#));
        let meta =
            format!(r#""idempotency_key":"{word}","attempt":1,"outcome":"succeeded","code":null,"message":null,"retryable":false"#);
        line.put(REPLIES, BEGIN, None, &format!(r#"{{"meta":{{{meta}}},"body":null}}"#));
        line.look();
        let longest = line.quarantined().iter().map(|one| one.detail.len()).max();
        assert!(longest.is_some_and(|bytes| (4_093..=4_096).contains(&bytes)), "{longest:?}");
    }
}

/// An undo's command is made of a small row, yet may be larger than a journal record, and so may be the events of an end: the saga
/// says so and waits for a person, and nothing else stops.
#[test]
fn what_grows_beyond_a_record_stops_its_saga_only() {
    for (kib, fits) in [(10, true), (63, true), (64, false), (120, false), (200, false)] {
        for outcome in ["late", "succeeded", "refused"] {
            let mut line = Line::of(GROWING, |settings| settings.limits.record_bytes_max = Limits::RECORD_BYTES_MIN);
            let note = "n".repeat(kib << 10);
            line.put(ALPHAS, BEGIN, Some("a"), &format!(r#"{{"type":"Asked","id":"a","note":"{note}"}}"#));
            line.poll();
            line.deliver();
            if outcome == "late" {
                line.pass(10_100);
                line.look();
            } else {
                line.reply("alpha/a", 1, outcome, BEGIN);
            }
            line.start(BETAS, "behind");
            let told = (line.stopped(), line.started(), line.quarantined().len(), line.rejected().len());
            assert_eq!(told, (None, 2, 0, 0), "{kib} {outcome}");
            let events = line.events_of("alpha/a");
            let goes_on = events.iter().any(|event| {
                use SagaEvent::{Compensated, Completed, UndoIssued};
                matches!(event, UndoIssued { .. } | Completed { .. } | Compensated { .. })
            });
            let says = format!("{events:?}").contains("DATA_TOO_BIG");
            assert_eq!((goes_on, says), (fits, !fits), "{kib} {outcome}: {}", events.len());
        }
    }
}

/// The journal keeps the body of what was done, with its writer's schema; that of a refusal says nothing that is not in the turn.
#[test]
fn the_journal_keeps_what_was_done() {
    for (outcome, kept) in [("succeeded", true), ("refused", false), ("failed", false)] {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.reply("alpha/a", 1, outcome, BEGIN);
        let turn = line.turns().pop().expect("a turn");
        let raw = turn.input.map(|copy| (copy.schema, copy.raw.to_vec()));
        assert_eq!(raw.is_some(), kept, "{outcome}: {raw:?}");
        if let Some((schema, raw)) = raw {
            assert!(schema == 0 && raw.starts_with(b"{\"meta\""), "{raw:?}");
        }
    }
}

/// To the byte.
#[test]
fn an_undo_has_its_bound() {
    for (id, sent) in [("abc", true), ("abcd", false)] {
        let mut line = Line::of(GROWING, |_| {});
        let note = "n".repeat(65_526);
        line.put(ALPHAS, BEGIN, Some("a"), &format!(r#"{{"type":"Asked","id":"{id}","note":"{note}"}}"#));
        line.poll();
        line.pass(10_100);
        line.look();
        let bodies = line.events_of(&format!("alpha/{id}")).into_iter().filter_map(|event| match event {
            SagaEvent::UndoIssued { order, .. } => Some(order.body().len()),
            _ => None,
        });
        assert_eq!(bodies.collect::<Vec<_>>(), if sent { vec![COMMAND_BYTES_MAX] } else { vec![] }, "{id}");
    }
}
