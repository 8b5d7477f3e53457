//! A saga that several events start, each with its own key and condition.

use std::cell::Cell;

use ringmaster_core::partition::{Happened, Role};
use ringmaster_schemas::journal::{Change, JournalRecord, Routed, SagaEvent};

use super::acts::CONTROL;
use super::line::{ALPHAS, BEGIN, BETAS, Line, without};
use super::routing::{WEBS, acknowledge, forwards, routed};

/// The same event on two topics, and another one on the first of them.
const CASES: &str = "
saga: case
start:
  - { on: Opened, from: alphas, key: event.id, if: event.number > 0 }
  - { on: Reopened, from: alphas, key: event.case }
  - { on: Opened, from: betas, key: string(event.number) }
steps:
  - { step: task, do: worker.Work, with: { id: key, number: start.number, why: \"start.?why.orValue('none')\" }, undo: worker.Rest }
";

const OPENED: &str = r#"{"type":"Opened","number":7,"id":"a"}"#;
const REOPENED: &str = r#"{"type":"Reopened","case":"b","number":8,"why":"again"}"#;

fn put(line: &mut Line, topic: usize, record: &str) {
    line.put(topic, BEGIN, None, record);
    line.poll();
    line.acknowledge();
}

/// What was asked, by saga.
fn asked(line: &Line) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for record in &line.journal {
        let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(record) else { continue };
        for change in decision.turns.into_iter().flat_map(|turn| turn.changes) {
            let Change::Saga(saga) = change else { continue };
            let orders = saga.events.iter().filter_map(|event| match event {
                SagaEvent::CommandIssued { order, .. } => Some(String::from_utf8_lossy(order.body()).into_owned()),
                _ => None,
            });
            all.extend(orders.map(|body| (saga.saga.to_string(), body)));
        }
    }
    all
}

fn played() -> Vec<(String, String)> {
    let mut line = Line::of(CASES, |_| {});
    put(&mut line, ALPHAS, OPENED);
    put(&mut line, ALPHAS, REOPENED);
    put(&mut line, BETAS, OPENED);
    // Its condition is that of its own start alone; and of what starts nothing on this topic nothing is known.
    put(&mut line, ALPHAS, &OPENED.replace('7', "0").replace("\"a\"", "\"c\""));
    put(&mut line, BETAS, REOPENED);
    asked(&line)
}

#[test]
fn each_event_starts_by_its_own_key_and_all_keep_one_layout() {
    let right = [
        ("case/a".to_owned(), r#"{"id":"a","number":7,"why":"none"}"#.to_owned()),
        ("case/b".to_owned(), r#"{"id":"b","number":8,"why":"again"}"#.to_owned()),
        ("case/7".to_owned(), r#"{"id":"7","number":7,"why":"none"}"#.to_owned()),
    ];
    assert_eq!(played(), right);
    for mutant in ["start_by_the_other_key", "start_kept_as_its_own"] {
        without(mutant, || {
            let played = std::panic::catch_unwind(played);
            assert_ne!(played.ok().as_deref(), Some(&right[..]), "{mutant}");
        });
    }
}

/// A second start by another event is a second start.
#[test]
fn one_saga_is_started_once_by_whichever_event() {
    let mut line = Line::of(CASES, |_| {});
    put(&mut line, ALPHAS, OPENED);
    put(&mut line, ALPHAS, &REOPENED.replace("\"b\"", "\"a\""));
    assert_eq!((line.started(), line.rejected().len()), (1, 1));
    // What is wrong with the record is told once.
    put(&mut line, ALPHAS, r#"{"type":"Reopened","number":8}"#);
    assert_eq!(line.counters.quarantined, 1);
}

const ROUTED: &str = "
saga: case
start: { on: Opened, from: webs, key: event.id }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest }
";

/// A start that is new goes by its own key at once, also where the one that was there has another key now, and is still in force.
#[test]
fn a_start_that_is_new_never_went_by_another_key() {
    let with = |key: &str| {
        let starts =
            format!("start: [ {{ on: Opened, from: webs, key: {key} }}, {{ on: Reopened, from: webs, key: event.case }} ]");
        ROUTED.replace("start: { on: Opened, from: webs, key: event.id }", &starts)
    };
    for (key, goes_by) in [("event.id", &[][..]), ("string(event.number)", &["a", "b"])] {
        let mut line = Line::of(ROUTED, routed);
        line.look();
        line.wishes.clear();
        let sent = Cell::new(0);
        let keys = |line: &mut Line| -> Vec<String> {
            let all = forwards(line);
            sent.set(sent.get() + all.len());
            let keys = all.iter().map(|(_, bytes, _)| Routed::decode(bytes).expect("ours").starts[0].key.to_string()).collect();
            all.into_iter().for_each(|(_, _, tag)| acknowledge(line, tag));
            keys
        };
        line.put(WEBS, BEGIN, None, OPENED);
        assert_eq!(keys(&mut line), ["a"]);
        line.deploy(&with(key));
        line.restart(|_| {});
        line.own_without_answers();
        line.poll();
        line.next[WEBS] = 0;
        line.put(WEBS, BEGIN, None, OPENED);
        line.put(WEBS, BEGIN, None, REOPENED);
        line.poll();
        line.poll();
        let begun = keys(&mut line);
        assert_eq!(begun, goes_by, "{key}");
        line.happens(Happened::InputBounds { index: WEBS, start: 0, end: 2 });
        for _ in 0..3 {
            line.poll();
        }
        line.next[WEBS] = 2;
        line.put(WEBS, BEGIN, None, REOPENED);
        line.poll();
        assert_eq!(keys(&mut line), ["b"], "{key}");
    }
}

#[test]
fn a_person_says_which_event_it_is() {
    let mut line = Line::of(CASES, |settings| settings.inputs[CONTROL].role = Role::Control);
    line.start_by_hand("case/b", r#"{"Reopened":{"case":"b","number":8,"why":"by hand"}}"#);
    line.start_by_hand("case/7", r#"{"Opened from betas":{"number":7,"id":"a"}}"#);
    for value in [r#"{"number":7,"id":"a"}"#, r#"{"Closed":{}}"#, "7"] {
        line.start_by_hand("case/a", value);
    }
    let asked: Vec<String> = asked(&line).into_iter().map(|(id, _)| id).collect();
    assert_eq!(asked, ["case/b", "case/7"]);
    let form = "case/a NOT_POSSIBLE: say which event starts it, as {\"Opened from alphas\": { its fields }}; there are: Opened from alphas, Reopened, Opened from betas";
    assert_eq!(line.said(), [form; 3]);
}
