//! Sagas that a person starts.

use ringmaster_core::partition::{Note, Role, Wish};
use ringmaster_schemas::journal::{ActKind, Change, JournalRecord, SagaEvent};

use super::acts::CONTROL;
use super::line::Line;

const DEFINITIONS: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id, if: event.?real.orValue(true) }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest }
---
saga: keyless
start: { on: Other, from: alphas }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest }
";

fn line() -> Line {
    Line::of(DEFINITIONS, |settings| settings.inputs[CONTROL].role = Role::Control)
}

impl Line {
    pub(crate) fn start_by_hand(&mut self, saga: &str, value: &str) {
        let record = format!(r#"{{"saga":"{saga}","act":"start","by":"ann","why":"it was lost","value":{value}}}"#);
        self.put(CONTROL, self.clocks.wall, None, &record);
        self.poll();
        self.acknowledge();
    }

    pub(crate) fn said(&self) -> Vec<String> {
        let told = self.wishes.iter().filter_map(|wish| match wish {
            Wish::Tell(Note::Rejected { saga, reason, detail }) => Some(format!("{saga} {reason}: {detail}")),
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn a_person_starts_a_saga_and_the_journal_says_who_and_why() {
    let mut line = line();
    line.start_by_hand("alpha/a", r#"{"id":"a"}"#);
    // Without a key of its own it takes the id's.
    line.start_by_hand("keyless/k%201", r#"{}"#);
    assert_eq!((line.counters.started, line.counters.commands), (2, 2));
    let events = line.journal.iter().filter_map(|record| match JournalRecord::decode(record) {
        Ok(JournalRecord::Decision(decision)) => Some(decision),
        _ => None,
    });
    let changes = events.flat_map(|decision| decision.turns).flat_map(|turn| turn.changes);
    let mut all = changes.filter_map(|change| if let Change::Saga(saga) = change { Some(saga) } else { None });
    let first = all.next().expect("it began");
    let [SagaEvent::Started { head, .. }, SagaEvent::Acted { act: ActKind::Start, by, why }, SagaEvent::CommandIssued { .. }] =
        &first.events[..]
    else {
        panic!("{:?}", first.events)
    };
    assert_eq!((head.fields().source, &**by, &**why), ("betas/0/0", "ann", "it was lost"));
    assert_eq!(&*all.next().expect("and the other").saga, "keyless/k%201");
    line.reply("alpha/a", 1, "succeeded", line.clocks.wall);
    assert_eq!(line.counters.completed, 1);
}

#[test]
fn what_cannot_be_started_is_told_and_nothing_is_left_behind() {
    let mut line = line();
    line.start_by_hand("alpha/a", r#"{"id":"a"}"#);
    for (saga, value) in [
        ("alpha/a", r#"{"id":"a"}"#),
        ("alpha/b", r#"{"id":"c"}"#),
        ("alpha/b", r#"{"id":"b","real":false}"#),
        ("alpha/b", r#"{"id":17.5}"#),
        ("alhpa/b", r#"{"id":"b"}"#),
        ("alpha/b", "7"),
    ] {
        line.start_by_hand(saga, value);
    }
    let said = line.said();
    let begins = [
        "alpha/a DUPLICATE: another event with the same content; the saga was started by betas/0/0",
        "alpha/b NOT_POSSIBLE: this event starts alpha/c, not alpha/b",
        "alpha/b NOT_POSSIBLE: the `if` of its start is false for this event",
        "alpha/b NOT_POSSIBLE: alpha:",
        "alhpa/b NOT_POSSIBLE: no saga 'alhpa' is deployed",
        "alpha/b NOT_POSSIBLE: alpha:",
    ];
    assert_eq!(said.len(), begins.len(), "{said:#?}");
    for (said, begin) in said.iter().zip(begins) {
        assert!(said.starts_with(begin), "{said}, not {begin}");
    }
    assert_eq!((line.counters.started, line.counters.quarantined, line.partition.overlay_size().0), (1, 0, 1));
    line.put(CONTROL, line.clocks.wall, None, r#"{"saga":"alpha/b","act":"start","by":"ann","why":"x"}"#);
    line.poll();
    assert_eq!(line.said().last().map(String::as_str), Some("alpha/b NOT_POSSIBLE: give the Asked that starts it, as its value"));
}
