//! Rounds and acts at the door: an answer to a later round is its step's, and a record of the control topic is an act, a rejection,
//! or goes to quarantine.

use ringmaster_core::partition::Role;
use ringmaster_schemas::journal::{Change, JournalRecord, QuarantineReason, RejectionReason, SagaEvent};

use super::line::{ALPHAS, BETAS, Line, REPLIES};

const TRIES: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: task
    do: worker.Work
    with: { id: key, round: round }
    undo: nothing
    on_refused:
      AGAIN: { steps: [ { step: note, do: worker.Note, undo: nothing, with: { id: key } } ], next: retry, at_most: 2 }
      else: stuck
  - { step: use, do: worker.Use, with: { n: steps.task.n }, undo: nothing }
";

/// The topic of events `betas` is that of acts here.
const CONTROL: usize = BETAS;

fn line() -> Line {
    let mut line = Line::of(TRIES, |settings| settings.inputs[CONTROL].role = Role::Control);
    line.start(ALPHAS, "one");
    line.acknowledge();
    line
}

impl Line {
    fn says(&mut self, index: usize, text: &str) {
        self.put(index, self.clocks.wall, Some("one"), text);
        self.poll();
        self.acknowledge();
    }

    fn answered(&mut self, step: &str, rest: &str) {
        let reply = format!(r#"{{"meta":{{"idempotency_key":"alpha/one/{step}/do","attempt":1,"outcome":{rest}}}"#);
        self.says(REPLIES, &reply);
    }

    fn acted(&mut self, act: &str) {
        self.says(CONTROL, &format!(r#"{{"saga":"alpha/one","by":"ann","why":"seen",{act}}}"#));
    }

    /// What the last turn changed.
    fn changes(&self) -> Vec<Change> {
        let last = self.journal.iter().rev().find_map(|bytes| match JournalRecord::decode(bytes) {
            Ok(JournalRecord::Decision(decision)) => Some(decision),
            _ => None,
        });
        last.and_then(|mut decision| decision.turns.pop()).map(|turn| turn.changes).unwrap_or_default()
    }

    fn events(&self) -> Vec<SagaEvent> {
        self.changes()
            .into_iter()
            .flat_map(|change| if let Change::Saga(saga) = change { saga.events } else { Vec::new() })
            .collect()
    }

    fn turned_down(&self) -> Option<(RejectionReason, String)> {
        self.changes().into_iter().find_map(|change| match change {
            Change::Rejected(rejected) => Some((rejected.reason, rejected.detail.to_string())),
            _ => None,
        })
    }
}

#[test]
fn the_answer_to_a_later_round_is_its_steps() {
    let mut line = line();
    line.answered("task", r#""refused","code":"AGAIN"},"body":null"#);
    line.answered("note", r#""succeeded"},"body":null"#);
    line.answered("task~2", r#""succeeded"},"body":{"n":7}"#);
    let asked = line.events().into_iter().find_map(|event| match event {
        SagaEvent::CommandIssued { order, .. } => Some(String::from_utf8_lossy(order.body()).into_owned()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some(r#"{"n":7}"#), "{:?}", line.changes());
}

#[test]
fn acts_are_taken_or_say_why_not() {
    let mut line = line();
    let is = |line: &Line, reason, words: &str| {
        let (found, detail) = line.turned_down().expect("it is rejected");
        assert!(found == reason && detail.contains(words), "{found}: {detail}");
    };
    line.acted(r#""act":"retry""#);
    is(&line, RejectionReason::NotStuck, "nothing of this saga needs a person");
    line.says(CONTROL, r#"{"saga":"alpha/two","by":"ann","why":"seen","act":"retry"}"#);
    is(&line, RejectionReason::UnknownSaga, "");
    line.answered("task", r#""refused","code":"NO"},"body":null"#);
    line.acted(r#""act":"retry","if_state":"zz""#);
    is(&line, RejectionReason::NotPossible, "'zz' names no state");
    line.acted(r#""act":"retry","if_state":"1""#);
    is(&line, RejectionReason::MovedOn, "look again");
    line.acted(r#""act":"skip""#);
    is(&line, RejectionReason::NotPossible, "give a value");
    line.acted(r#""act":"skip","step":"nobody","value":{"n":1}"#);
    is(&line, RejectionReason::NotPossible, "name the one that asks");
    line.acted(r#""act":"resolve","step":"task","value":{"n":1}"#);
    is(&line, RejectionReason::NotPossible, "say how it ended");
    line.acted(r#""act":"retry","step":"task""#);
    assert!(matches!(line.events()[..], [SagaEvent::Acted { .. }, SagaEvent::Closed { .. }, SagaEvent::CommandIssued { .. }]));
    line.answered("task~2", r#""refused","code":"NO"},"body":null"#);
    line.acted(r#""act":"skip","step":"task~2","value":{"n":9}"#);
    assert!(matches!(line.events()[..], [SagaEvent::Acted { .. }, SagaEvent::Succeeded { .. }, SagaEvent::CommandIssued { .. }]));
    line.acted(r#""act":"cancel""#);
    assert!(matches!(line.events()[..], [SagaEvent::Acted { .. }, SagaEvent::CompensationBegan { .. }]), "{:?}", line.events());
}

/// What is no act stops nothing.
#[test]
fn what_is_no_act_goes_to_quarantine() {
    let mut line = line();
    let bad = ["", "{", r#"{"saga":"alpha/one"}"#, r#"{"saga":"alpha/one","by":"a","why":"b","act":"eat"}"#];
    for text in bad {
        line.says(CONTROL, text);
        let quarantined = matches!(&line.changes()[..], [Change::Quarantined(one)] if one.reason == QuarantineReason::Undecodable);
        assert!(quarantined, "{text}: {:?}", line.changes());
    }
    line.acted(r#""act":"cancel""#);
    assert!(!line.events().is_empty(), "the next one is taken");
}

const SIDE_BY_SIDE: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: all
    parallel:
      a: [ { step: one, do: worker.One, with: { id: key }, undo: { do: worker.UnOne, with: { blob: start.blob } } } ]
      b: [ { step: two, do: worker.Two, with: { id: key }, undo: { do: worker.UnTwo, with: { blob: start.blob } } } ]
      c: [ { step: three, do: worker.Three, with: { id: key }, undo: { do: worker.UnThree, with: { blob: start.blob } } } ]
      d: [ { step: four, do: worker.Four, with: { id: key }, undo: { do: worker.UnFour, with: { blob: start.blob } } } ]
  - { step: last, do: worker.Last, with: { id: key }, undo: nothing }
";

/// What is undone side by side fits into no record together: it is undone by and by, and all of it.
#[test]
fn undos_side_by_side_that_are_too_big_together_follow_each_other() {
    let mut line = Line::of(SIDE_BY_SIDE, |_| {});
    line.says(ALPHAS, &format!(r#"{{"id":"one","blob":"{}"}}"#, "x".repeat(150_000)));
    for step in ["one", "two", "three", "four"] {
        line.answered(step, r#""succeeded"},"body":null"#);
    }
    line.answered("last", r#""refused","code":"NO"},"body":null"#);
    let mut undone = 0;
    while undone < 4 {
        let asked = line.events().into_iter().find_map(|event| match event {
            SagaEvent::UndoIssued { order, .. } => Some(order.step().to_owned()),
            _ => None,
        });
        let step = asked.unwrap_or_else(|| panic!("{undone} are undone, and no other is asked: {:?}", line.events()));
        let reply =
            format!(r#"{{"meta":{{"idempotency_key":"alpha/one/{step}/undo","attempt":1,"outcome":"succeeded"}},"body":null}}"#);
        line.says(REPLIES, &reply);
        undone += 1;
    }
    assert!(matches!(line.events().last(), Some(SagaEvent::Compensated { .. })), "{:?}", line.events());
}
