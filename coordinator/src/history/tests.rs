//! What is told of a journal, by a scan and by a row's turns, at once and in pages.

use super::*;

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    Bare, Cause, Change, Claim, Decision, Head, HeadFields, JournalRecord, Opens, SagaChange, SagaEvent, Stamp, Turn,
};
use ringmaster_schemas::names::hex;
use ringmaster_schemas::state::Turns;
use serde_json::json;

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
    let mut story = Story::of((ID, 0), &|_| None, BTreeMap::new(), None);
    story.begins(start);
    for (offset, record) in (start..).zip(records) {
        story.record(offset, record).expect("it is a record");
    }
    lines(&story.turns)
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

/// A partition with these records, of which those before an offset are gone.
fn journal(begins_at: i64, records: Vec<Vec<u8>>) -> SimBroker {
    let broker = SimBroker::new(1, 0, Faults::none());
    let mut bus = broker.client();
    bus.create(&Specification { name: "j".to_owned(), partitions: 1, replication: 1, settings: vec![] }).expect("made");
    let all: Vec<_> = records.into_iter().map(|value| (Vec::new(), value)).collect();
    blocking::append(&mut bus, "j", 0, &all).expect("written");
    let at = TopicPartition { topic: bus.topic("j"), partition: 0 };
    bus.delete_before(at, begins_at).expect("deleted");
    broker
}

#[test]
fn a_story_says_when_its_beginning_is_missing() {
    let head = Head::new(&HeadFields { source: "trips/0/1", ..Default::default() }, &mut Vec::new());
    let events =
        [SagaEvent::MarkedLate { due_at: 0 }, SagaEvent::Started { head, deadline_at: None }, SagaEvent::Undone { place: 3 }];
    let mut records = vec![claim(1)];
    records.extend((0..).zip(events).map(|(number, event)| happens(stamp(0, 1, number), ID, event)));
    for (begins_at, items, is_gone) in [(0, 3, false), (1, 3, false), (3, 1, true)] {
        let broker = journal(begins_at, records.clone());
        let page = scanned(&mut broker.client(), ALL, None).expect("it is told");
        assert_eq!((page.items.len(), page.gone.is_some()), (items, is_gone), "from {begins_at}: {page:?}");
        assert!(page.next_cursor.is_none() && page.complete, "{page:?}");
    }
    let broker = journal(4, records);
    let Err(Trouble::Nothing(why)) = scanned(&mut broker.client(), ALL, None) else { panic!("there is nothing") };
    assert!(why.contains("has nothing of 'trip/t-1'; the journal of partition 0 begins at offset 4"), "{why}");
}

/// A journal of two terms with what an owner of before wrote too late, of which some records are about the saga; and what its row says of it at
/// an offset.
fn long_journal(begins_at: i64, count: i64) -> (SimBroker, Vec<i64>, i64) {
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
    (journal(begins_at, records), changed, second)
}

/// As a row names its turns, whose store is of an offset.
fn row(changed: &[i64], as_of: i64, term: (i64, u8, i64)) -> Row {
    let mut named = Turns::default();
    changed.iter().filter(|offset| **offset < as_of).for_each(|offset| named.remember(*offset));
    let ((first, left_out, last), claim) = (named.told(), hex(&[term.1; 16]));
    Row::of(&json!({
        "turns": { "first": first, "left_out": left_out, "last": last },
        "as_of_journal_offset": as_of,
        "as_of_term": { "claim_offset": term.0, "claim": claim, "number": term.2 },
    }))
    .expect("it names some")
}

fn lines(turns: &[HistoryTurn]) -> Vec<String> {
    let line = |turn: &HistoryTurn| {
        let texts: Vec<&str> = turn.events.iter().map(|event| &*event.text).collect();
        format!("{} by {}: {}", turn.offset, turn.cause.text, texts.join("; "))
    };
    turns.iter().map(line).collect()
}

/// As much as there is.
const ALL: Bounds = Bounds { turns: usize::MAX, records: usize::MAX, time: None };

fn told_of(bus: &mut SimBus, row: Result<&Row, String>, bounds: Bounds, from: Option<Place>) -> Result<HistoryPage, Trouble> {
    let asked = Asked { id: ID, partition: 0, row, from, bounds };
    read(bus, "j", (&|_| None, BTreeMap::new()), &asked, &mut |_, _| {})
}

fn scanned(bus: &mut SimBus, bounds: Bounds, from: Option<Place>) -> Result<HistoryPage, Trouble> {
    told_of(bus, Err("asked for".to_owned()), bounds, from)
}

/// Page after page, as far as each may read; how many those were.
fn in_pages(bus: &mut SimBus, row: Result<&Row, String>, bounds: Bounds) -> (Vec<HistoryTurn>, usize) {
    let (mut all, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = told_of(bus, row.clone(), bounds, from).expect("it can be read");
        assert!(page.items.len() <= bounds.turns && (page.complete || page.items.len() < bounds.turns), "{page:?}");
        all.extend(page.items);
        pages += 1;
        let Some(cursor) = page.next_cursor else { return (all, pages) };
        from = Some(Place::read(&cursor, ID).expect("its own"));
    }
}

/// By its row's turns a saga is told in the same words as by a scan: all of it, what its row left out too, and what came since; as far as the
/// journal reaches back; and in pages as at once, however little each of them reads.
#[test]
fn what_a_row_names_is_told_as_by_a_scan() {
    for count in [1, 6, 64, 90, 300] {
        for begins_at in [0, 100, 1_500].into_iter().filter(|begins_at| *begins_at < 20 * count) {
            let (broker, changed, second) = long_journal(begins_at, count);
            let mut bus = broker.client();
            let whole = scanned(&mut bus, ALL, None).expect("it can be read").items;
            // Where the store is of: behind each of the claims, in between, at the end.
            let end = broker.log("j", 0).last().map_or(0, |record| record.offset + 1);
            for as_of in [2, end / 3, 2 * end / 3, end] {
                // Behind the second claim stands one that does not count.
                let term = if second < as_of { (second, 2, (as_of - second - 2).max(0)) } else { (0, 1, as_of - 1) };
                if changed[0] >= as_of || begins_at > as_of {
                    continue;
                }
                let row = row(&changed, as_of, term);
                let told = told_of(&mut bus, Ok(&row), ALL, None).expect("it can be read");
                assert_eq!(lines(&told.items), lines(&whole), "{count} turns, from {begins_at}, as of {as_of}");
                assert_eq!(told.how.contains("are gone"), begins_at > changed[0], "{}", told.how);
                assert_eq!(told.gone.is_some(), begins_at > changed[0], "{:?}", told.gone);
            }
        }
    }
}

#[test]
fn pages_tell_what_is_told_at_once() {
    let (broker, changed, second) = long_journal(0, 150);
    let mut bus = broker.client();
    let whole = scanned(&mut bus, ALL, None).expect("it can be read").items;
    let end = broker.log("j", 0).len() as i64;
    let row = row(&changed, 2 * end / 3, (second, 2, 2 * end / 3 - second - 2));
    for (turns, records, least) in [(1, usize::MAX, 150), (7, usize::MAX, 22), (1_000, 1, 150), (1_000, 40, 4), (40, 50, 4)] {
        for by in [Ok(&row), Err("asked for".to_owned())] {
            let (told, pages) = in_pages(&mut bus, by, Bounds { turns, records, time: None });
            assert_eq!(lines(&told), lines(&whole), "{turns} turns or {records} records a page");
            assert!(pages >= least, "{pages} pages of {turns} turns or {records} records");
        }
    }
    // The row is stored anew between two pages, and names others: nothing is told twice or left out.
    let first = told_of(&mut bus, Ok(&row), Bounds { turns: 80, ..ALL }, None).expect("it can be read");
    let newer = super::tests::row(&changed, end, (second, 2, end - second - 2));
    let from = Place::read(&first.next_cursor.expect("there is more"), ID);
    let rest = told_of(&mut bus, Ok(&newer), ALL, from).expect("it can be read");
    assert_eq!(lines(&[first.items, rest.items].concat()), lines(&whole));
}

/// Records are asked for by their offsets: one that others stand between does not cost these.
#[test]
fn what_a_row_does_not_name_is_not_read() {
    let (broker, changed, second) = long_journal(0, 64);
    let end = broker.log("j", 0).len() as i64;
    let named = row(&changed, end, (second, 2, end - second - 2));
    let page = told_of(&mut broker.client(), Ok(&named), ALL, None).expect("it can be read");
    let offsets: Vec<i64> = page.items.iter().map(|turn| turn.offset).collect();
    assert_eq!(offsets, changed);
    assert!(page.how.starts_with("read by the 64 records that its row names, and from"), "{}", page.how);
}

/// By a row of another journal, or one that does not know how the saga began, nothing is told: then all is scanned. Not in the middle of
/// a story, which has begun by the row.
#[test]
fn a_row_that_is_not_the_journals_is_told_from() {
    let (broker, changed, second) = long_journal(0, 20);
    let mut bus = broker.client();
    let end = broker.log("j", 0).len() as i64;
    let whole = scanned(&mut bus, ALL, None).expect("it can be read").items;
    let others = [
        (row(&changed, end + 1, (0, 1, 0)), "and its row is of"),
        (row(&[changed[0], changed[1] + 1], end, (0, 1, 0)), "is not the one that its row names"),
        (row(&changed[1..], end, (0, 1, 0)), "names no turn in which it began"),
    ];
    for (other, why) in &others {
        let page = told_of(&mut bus, Ok(other), ALL, None).expect("it can be read");
        assert!(page.how.contains(why), "{}", page.how);
        assert_eq!(lines(&page.items), lines(&whole));
        let (told, _) = in_pages(&mut bus, Ok(other), Bounds { turns: 3, ..ALL });
        assert_eq!(lines(&told), lines(&whole), "the pages behind go on by the scan");
    }
    let good = row(&changed, end, (second, 2, end - second - 2));
    let first = told_of(&mut bus, Ok(&good), Bounds { turns: 1, ..ALL }, None).expect("it can be read");
    let from = Place::read(&first.next_cursor.expect("there is more"), ID);
    assert!(matches!(told_of(&mut bus, Ok(&others[1].0), ALL, from), Err(Trouble::Moved(_))));
    let unnamed = json!({ "turns": { "first": [], "left_out": 0, "last": [] }, "as_of_journal_offset": 5 });
    assert!(Row::of(&unnamed).is_err());
}
