//! What sagas are found by: computed at the start, kept in the journal, and in an index beside the rows.

use std::collections::BTreeSet;

use ringmaster_core::partition::Role;
use ringmaster_schemas::journal::{QuarantineReason, SagaEvent, SearchKey, SearchValues};
use ringmaster_schemas::state::{IndexKeys, RowChange};

use super::acts::CONTROL;
use super::items::{Ledger, answer_all};
use super::line::{ALPHAS, Line, without};

const DEFINITIONS: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
search:
  who: start.who
  n: int(start.n) / int(start.by)
  note: { value: start.?note }
steps:
  - { step: task, do: worker.Work, undo: worker.Rest, timeout: 10s }
  - { step: part, run: part, with: { n: int(start.n), of: key } }
  - { step: end, do: helper.End, pivot: true, timeout: 10s }
---
saga: plain
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: task, do: worker.Work, undo: worker.Rest, timeout: 10s }
---
saga: part
input: { n: int, of: string }
search: { half: 10 / start.n, of: start.of, id: key }
steps:
  - { step: task, do: worker.Work, undo: worker.Rest, timeout: 10s }
";

fn asked(id: &str, who: &str, n: i64, by: i64) -> String {
    format!(r#"{{"type":"Asked","id":"{id}","who":"{who}","n":{n},"by":{by}}}"#)
}

fn begin(line: &mut Line, id: &str, event: &str) {
    line.put(ALPHAS, line.clocks.wall, Some(id), event);
    line.poll();
    line.acknowledge();
}

fn line() -> Line {
    Line::of(DEFINITIONS, |settings| settings.inputs[CONTROL].role = Role::Control)
}

/// What a change makes of the places where rows are found.
pub(crate) fn change(found: &mut BTreeSet<String>, change: &RowChange) {
    let places = |keys: &IndexKeys| -> Vec<String> {
        let of = |by: SearchKey<'_>| format!("{}.{}={} {}", by.definition, by.name, by.value, change.key);
        keys.search.iter().flat_map(|searched| searched.keys().map(of).collect::<Vec<_>>()).collect()
    };
    let gone = places(&change.before);
    found.retain(|place| !gone.contains(place));
    found.extend(places(&change.after));
}

impl Line {
    /// All places where sagas are found, as of now.
    fn places(&mut self) -> Vec<String> {
        if let Some(staged) = self.partition.stage_checkpoint() {
            self.store(staged);
        }
        self.found.iter().cloned().collect()
    }

    /// What the head of a saga says.
    fn head(&self, id: &str) -> Option<Vec<u8>> {
        self.events_of(id).into_iter().find_map(|event| match event {
            SagaEvent::Started { head, .. } => Some(head.search().keys().flat_map(|by| by.value.bytes()).collect()),
            _ => None,
        })
    }
}

const OF_A: [&str; 2] = ["alpha.n=2 alpha/a", "alpha.who=c-7 alpha/a"];

#[test]
fn values_are_computed_at_the_start_and_found_in_the_index() {
    let plays = || {
        let mut line = line();
        begin(&mut line, "a", &asked("a", "c-7", 4, 2));
        line.places()
    };
    assert_eq!(plays(), OF_A, "what is absent is not there, and of the other saga nothing is");
    without("search_lost_at_start", || assert_eq!(plays(), [""; 0]));
    without("search_not_stored", || assert_eq!(plays(), [""; 0]));
    without("absent_value_searched", || assert!(plays().contains(&"alpha.note= alpha/a".to_owned())));
    let mut line = line();
    begin(&mut line, "a", &asked("a", "c-7", 4, 2).replace('}', r#","note":"n"}"#));
    assert_eq!(line.places(), ["alpha.n=2 alpha/a", "alpha.note=n alpha/a", "alpha.who=c-7 alpha/a"]);
    assert_eq!(line.head("alpha/a"), Some(b"c-72n".to_vec()), "in the order of the definition");
    assert_eq!(line.head("plain/a"), Some(Vec::new()));
}

/// What is replayed is found by what was computed once: no expression is read again, with a store or without.
#[test]
fn a_replay_finds_the_same() {
    for has_store in [true, false] {
        let mut line = line();
        begin(&mut line, "a", &asked("a", "c-7", 4, 2));
        begin(&mut line, "b", &asked("b", "c-8", 4, 1));
        let before = line.places();
        assert_eq!(before.len(), 4);
        line.replays();
        assert_eq!(line.places(), before);
        if !has_store {
            (line.stored, line.rows, line.found) = (None, Default::default(), Default::default());
        }
        line.restart(|_| {});
        line.own();
        begin(&mut line, "c", &asked("c", "c-7", 4, 4));
        let after = line.places();
        assert_eq!(after.len(), 6, "{has_store}: {after:?}");
        assert!(before.iter().all(|place| after.contains(place)), "{has_store}: {after:?}");
        assert!(after.contains(&"alpha.who=c-7 alpha/c".to_owned()), "{has_store}: {after:?}");
    }
}

/// A sub-saga is searched by its own definition, and its places go when its row does, which may have been loaded meanwhile.
#[test]
fn sub_sagas_are_found_until_they_go() {
    let plays = || {
        let (mut line, mut ledger, mut seen) = (line(), Ledger::default(), Vec::new());
        begin(&mut line, "a", &asked("a", "c-7", 5, 1));
        answer_all(&mut line, &mut ledger, &|_| false, &mut |line, _| {
            let places = line.places();
            seen.extend(places.into_iter().filter(|place| place.starts_with("part.")));
            // All is loaded again.
            line.restart(|_| {});
            line.own();
            line.poll();
        });
        line.look();
        seen.sort();
        seen.dedup();
        (seen, line.places())
    };
    let (seen, left) = plays();
    assert_eq!(seen, ["part.half=2 alpha/a/part", "part.id=a alpha/a/part", "part.of=a alpha/a/part"]);
    assert_eq!(left, ["alpha.n=5 alpha/a", "alpha.who=c-7 alpha/a"], "what has ended is found until it expires");
    without("sub_saga_not_searched", || assert_eq!(plays().0, [""; 0]));
    without("search_forgotten_when_loaded", || assert!(plays().1.len() > 2, "places are left behind"));
}

/// A sub-saga whose expression fails never begins: its step fails for that, and the saga above is undone.
#[test]
fn a_sub_saga_that_cannot_be_searched_has_left_nothing_behind() {
    let (mut line, mut ledger) = (line(), Ledger::default());
    begin(&mut line, "a", &asked("a", "c-7", 0, 1));
    answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
    let code = line.events_of("alpha/a").into_iter().find_map(|event| match event {
        SagaEvent::CompensationBegan { failure } => Some(failure.code.to_string()),
        _ => None,
    });
    assert_eq!(code.as_deref(), Some("DIVISION_BY_ZERO"));
    assert_eq!(ledger.0.get("alpha/a/task"), Some(&(1, 1)), "{ledger:?}");
    assert_eq!((line.counters.compensated, line.counters.started), (1, 2));
    line.replays();
}

/// The record goes to quarantine, once for the definition; the other saga of the same event begins.
#[test]
fn a_start_that_cannot_be_searched_goes_to_quarantine() {
    let mut line = line();
    begin(&mut line, "a", &asked("a", "c-7", 4, 0));
    begin(&mut line, "b", &asked("b", &"c".repeat(201), 4, 1));
    begin(&mut line, "c", r#"{"type":"Asked","id":"c","n":4,"by":1,"who":{"a":1}}"#);
    assert_eq!((line.counters.quarantined, line.started()), (3, 3));
    let reasons: Vec<_> = line.quarantined().iter().map(|one| (one.reason, one.detail.contains("alpha: "))).collect();
    assert_eq!(reasons, [(QuarantineReason::ExpressionFailed, true); 3]);
    assert_eq!(line.places(), [""; 0]);
    begin(&mut line, "d", &asked("d", &"c".repeat(200), 4, 1));
    assert_eq!(line.places().len(), 2, "200 bytes are as much as a key has");
}

/// Told to whoever starts it; and found like any other.
#[test]
fn a_saga_that_a_person_starts_is_found_too() {
    let mut line = line();
    line.start_by_hand("alpha/a", r#"{"id":"a","who":"c-7","n":4,"by":0}"#);
    let said = line.said();
    assert!(matches!(&said[..], [one] if one.contains("alpha/a NOT_POSSIBLE") && one.contains("DIVISION_BY_ZERO")), "{said:?}");
    line.start_by_hand("alpha/a", r#"{"id":"a","who":"c-7","n":4,"by":2}"#);
    assert_eq!(line.places(), OF_A);
}

/// One that begins again behind its expiry is found by its new values alone.
#[test]
fn one_that_begins_again_is_found_by_what_it_begins_with() {
    let (mut line, mut ledger) = (line(), Ledger::default());
    begin(&mut line, "a", &asked("a", "c-7", 5, 1));
    answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
    assert_eq!(line.counters.completed, 2);
    assert_eq!(line.places().len(), 2);
    line.pass(4 * 3_600_000);
    line.look();
    begin(&mut line, "a", &asked("a", "c-8", 5, 5));
    assert_eq!(line.counters.started, 4, "both begin again");
    assert_eq!(line.places(), ["alpha.n=1 alpha/a", "alpha.who=c-8 alpha/a"]);
}

/// What is searched by nothing has the bytes that it always had.
#[test]
fn nothing_is_kept_where_nothing_is_searched() {
    let mut line = line();
    begin(&mut line, "a", &asked("a", "c-7", 4, 2));
    for (id, is_searched) in [("plain/a", false), ("alpha/a", true)] {
        let head = line.events_of(id).into_iter().find_map(|event| match event {
            SagaEvent::Started { head, .. } => Some(head),
            _ => None,
        });
        let (head, mut bytes) = (head.expect("it began"), Vec::new());
        ringmaster_schemas::codec::Avro::put(&head, &mut bytes);
        let fields = ringmaster_schemas::journal::HeadFields { search: SearchValues::default(), ..head.fields() };
        let mut without = Vec::new();
        ringmaster_schemas::codec::Avro::put(&ringmaster_schemas::journal::Head::new(&fields, &mut Vec::new()), &mut without);
        assert_eq!(bytes != without, is_searched, "{id}");
    }
}
