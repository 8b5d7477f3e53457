//! What is told of a journal, by a scan and by a row's turns.

use super::*;

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker};
use ringmaster_schemas::journal::{Bare, Claim, Head, HeadFields, Opens, SagaChange, SagaEvent};
use ringmaster_schemas::state::Turns;

const ID: &str = "trip/t-1";

fn claim(id: u8) -> Vec<u8> {
    let claim = Claim { id: [id; 16], owner: "test".into(), address: "".into(), partitions: 1, now: 0 };
    JournalRecord::Claim(claim).encode()
}

fn stamp(claim_offset: i64, claim: u8, number: i64) -> Stamp {
    Stamp { claim_offset, claim: [claim; 16], number, released: 0, now: 1_000 }
}

/// A record under a claim in which a saga becomes late; the deadline tells one from the other.
fn late(stamp: Stamp, saga: &str, due_at: Millis) -> Vec<u8> {
    happens(stamp, saga, SagaEvent::MarkedLate { due_at })
}

fn happens(stamp: Stamp, saga: &str, event: SagaEvent) -> Vec<u8> {
    let changes = vec![Change::Saga(SagaChange { saga: saga.into(), events: vec![event] })];
    let turns = vec![Turn { cause: Cause::Input { topic: 0, next: 8 }, input: None, changes }];
    JournalRecord::Decision(Decision { stamp, topics: vec![[7; 16]], turns }).encode()
}

/// What a journal that begins at `start` tells of the saga.
fn told(start: i64, records: &[Vec<u8>]) -> Vec<String> {
    let mut story = Story::of(ID, &|_| None, 10, BTreeMap::new());
    story.begins(start);
    for (offset, record) in (start..).zip(records) {
        story.record(offset, record).expect("it is a record");
    }
    story.lines.iter().map(|line| format!("{} by {}: {}", line.offset, line.cause, line.told.text)).collect()
}

#[test]
fn only_what_counts_and_is_about_the_saga_is_told() {
    let records = [
        claim(1),
        late(stamp(0, 1, 0), ID, 0),
        late(stamp(0, 1, 1), "trip/t-2", 1_000),
        b"somebody else's".to_vec(),
        claim(2),
        late(stamp(0, 1, 2), ID, 2_000),
        late(stamp(4, 2, 1), ID, 3_000),
        late(stamp(4, 2, 0), ID, 4_000),
    ];
    let late = |offset, at: &str| {
        format!("{offset} by {} at 7: it is late, and goes on: its deadline was 1970-01-01T00:00:0{at}Z", hex(&[7; 16]))
    };
    assert_eq!(told(0, &records), [late(1, "0"), late(7, "4")]);
}

/// Where claims are gone, the newest that a record names is in force, and what another wrote is no part of the story.
#[test]
fn a_journal_without_its_beginning_is_told_by_its_newest_term() {
    let bare = |stamp| JournalRecord::Bare(Bare { stamp }).encode();
    let old = late(stamp(50, 1, 8), ID, 1_000);
    let new = [bare(stamp(60, 2, 3)), late(stamp(60, 2, 4), ID, 2_000), old.clone()];
    let both = [old, claim(3), late(stamp(101, 3, 0), ID, 0)];
    for (records, expected) in [
        (&[&both[..1], &new[..]].concat()[..], &["102"][..]),
        (&new, &["101"]),
        (&both[..1], &["100"]),
        (&[&both[..], &both[..1]].concat(), &["100", "102"]),
    ] {
        let offsets: Vec<String> = told(100, records).iter().map(|line| line[..3].to_owned()).collect();
        assert_eq!(offsets, expected);
    }
}

#[test]
fn a_story_says_when_its_beginning_is_missing_or_left_out() {
    let mut out = Vec::new();
    let mut story = Story::of(ID, &|_| None, 2, BTreeMap::new());
    story.begins(100);
    let nothing = story.tell(3, ("read by a scan", false), &mut out).expect_err("there is nothing");
    assert_eq!(nothing.exit, Exit::NotFound);
    assert!(nothing.message.contains("the journal of partition 3 begins at offset 100"), "{}", nothing.message);
    let head = Head::new(&HeadFields { source: "trips/0/1", ..Default::default() }, &mut Vec::new());
    for (number, event) in (0..).zip([
        SagaEvent::Started { head, deadline_at: None },
        SagaEvent::MarkedLate { due_at: 0 },
        SagaEvent::Undone { place: 3 },
    ]) {
        story.record(100 + number, &happens(stamp(50, 1, number), ID, event)).expect("it is a record");
    }
    assert!(story.has_begun, "it is whole");
    story.tell(3, ("read by a scan", false), &mut out).expect("written");
    let text = String::from_utf8(out).expect("text");
    assert!(
        text.contains("entry 3 is undone")
            && text.contains("2 events of partition 3 of the journal; 1 older one")
            && text.contains("read by a scan"),
        "{text}"
    );
}

/// A journal of two terms with what an owner of before wrote too late, of which some records are about the saga; and what its row says of it at
/// an offset.
fn long_journal(begins_at: i64, count: i64) -> (SimBroker, Vec<i64>, i64) {
    let broker = SimBroker::new(1, 0, Faults::none());
    let mut bus = broker.client();
    bus.create(&Specification { name: "j".to_owned(), partitions: 1, replication: 1, settings: vec![] }).expect("made");
    let (mut records, mut changed) = (vec![claim(1)], Vec::new());
    let head = Head::new(&HeadFields { source: "trips/0/1", ..Default::default() }, &mut Vec::new());
    let (mut term, mut number, mut second) = ((0, 1), 0, i64::MAX);
    for turn in 0..count {
        if turn == count / 2 {
            term = (records.len() as i64, 2);
            (number, second) = (0, term.0);
            records.push(claim(2));
            // It does not count.
            records.push(late(stamp(0, 1, 7), ID, 9_999));
        }
        let mut put = |saga: &str, event| {
            records.push(happens(stamp(term.0, term.1, number), saga, event));
            number += 1;
        };
        (0..turn % 3 * 40).for_each(|_| put("trip/other", SagaEvent::MarkedLate { due_at: 0 }));
        let place = turn as u16;
        let opens = Opens::Scope { until: None };
        put(
            ID,
            match turn {
                0 => SagaEvent::Started { head: head.clone(), deadline_at: None },
                // What is told of a place follows from what was entered there.
                _ if turn % 2 == 1 => SagaEvent::Entered { place, node: 1, round: 1, opens },
                _ => SagaEvent::Closed { place: place - 1 },
            },
        );
        changed.push(records.len() as i64 - 1);
    }
    let all: Vec<_> = records.into_iter().map(|value| (Vec::new(), value)).collect();
    blocking::append(&mut bus, "j", 0, &all).expect("written");
    let at = TopicPartition { topic: bus.topic("j"), partition: 0 };
    bus.delete_before(at, begins_at).expect("deleted");
    (broker, changed, second)
}

/// As a row names its turns, whose store is of an offset.
fn row(changed: &[i64], as_of: i64, term: (i64, u8, i64)) -> turns::Row {
    let mut named = Turns::default();
    changed.iter().filter(|offset| **offset < as_of).for_each(|offset| named.remember(*offset));
    let ((first, left_out, last), claim) = (named.told(), hex(&[term.1; 16]));
    turns::Row::of(&json!({
        "turns": { "first": first, "left_out": left_out, "last": last },
        "as_of_journal_offset": as_of,
        "as_of_term": { "claim_offset": term.0, "claim": claim, "number": term.2 },
    }))
    .expect("it names some")
}

fn lines(story: &Story<'_>) -> Vec<String> {
    story.lines.iter().map(|line| format!("{} by {}: {}", line.offset, line.cause, line.told.text)).collect()
}

fn fresh() -> Story<'static> {
    Story::of(ID, &|_| None, 1_000, BTreeMap::new())
}

/// By its row's turns a saga is told in the same words as by a scan: all of it, what its row left out too, and what came since; as far as the
/// journal reaches back.
#[test]
fn what_a_row_names_is_told_as_by_a_scan() {
    for count in [1, 6, 64, 90, 300] {
        for begins_at in [0, 100, 1_500].into_iter().filter(|begins_at| *begins_at < 20 * count) {
            let (broker, changed, second) = long_journal(begins_at, count);
            let mut bus = broker.client();
            let mut scanned = fresh();
            scan(&mut bus, ("j", 0), &mut scanned).expect("it can be read");
            // Where the store is of: behind each of the claims, in between, at the end.
            let end = broker.log("j", 0).last().map_or(0, |record| record.offset + 1);
            for as_of in [2, end / 3, 2 * end / 3, end] {
                // Behind the second claim stands one that does not count.
                let term = if second < as_of { (second, 2, (as_of - second - 2).max(0)) } else { (0, 1, as_of - 1) };
                if changed[0] >= as_of || begins_at > as_of {
                    continue;
                }
                let row = row(&changed, as_of, term);
                let (told, how) =
                    turns::read(&mut bus, ("j", 0), &row, fresh()).expect("it can be read").expect("it is its journal");
                assert_eq!(lines(&told), lines(&scanned), "{count} turns, from {begins_at}, as of {as_of}");
                assert_eq!(how.contains("are gone"), begins_at > changed[0], "{how}");
            }
        }
    }
}

/// Records are asked for by their offsets: one that others stand between does not cost these.
#[test]
fn what_a_row_does_not_name_is_not_read() {
    let (broker, changed, second) = long_journal(0, 64);
    let end = broker.log("j", 0).len() as i64;
    let named = row(&changed, end, (second, 2, end - second - 2));
    let mut bus = broker.client();
    let (story, how) = turns::read(&mut bus, ("j", 0), &named, fresh()).expect("it can be read").expect("it is its journal");
    let offsets: Vec<i64> = story.lines.iter().map(|line| line.offset).collect();
    assert_eq!(offsets, changed);
    assert!(how.starts_with("read by the 64 records that its row names, and from"), "{how}");
}

/// A row of another journal, or one that does not know how the saga began, tells nothing: then all is scanned.
#[test]
fn a_row_that_is_not_the_journals_is_told_from() {
    let (broker, changed, _) = long_journal(0, 20);
    let end = broker.log("j", 0).len() as i64;
    let other = |changed: &[i64], as_of| {
        let row = row(changed, as_of, (0, 1, 0));
        turns::read(&mut broker.client(), ("j", 0), &row, fresh())
            .expect("it can be read")
            .err()
            .expect("it is not told by its row")
    };
    assert!(other(&changed, end + 1).contains("and its row is of"));
    assert!(other(&[changed[0], changed[1] + 1], end).contains("is not the one that its row names"));
    assert!(other(&changed[1..], end).contains("names no turn in which it began"));
    let unnamed = json!({ "turns": { "first": [], "left_out": 0, "last": [] }, "as_of_journal_offset": 5 });
    assert_eq!(turns::Row::of(&unnamed), None);
}
