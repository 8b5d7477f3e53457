//! Rounds and acts at the door: an answer to a later round is its step's, and a record of the control topic is an act, a rejection,
//! or goes to quarantine.

use ringmaster_core::partition::Role;
use ringmaster_schemas::journal::{Change, JournalRecord, QuarantineReason, RejectionReason, SagaEvent, Turn};

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
pub(crate) const CONTROL: usize = BETAS;

fn line() -> Line {
    let mut line = Line::of(TRIES, |settings| settings.inputs[CONTROL].role = Role::Control);
    line.start(ALPHAS, "one");
    line.acknowledge();
    line
}

impl Line {
    pub(crate) fn says(&mut self, index: usize, text: &str) {
        self.put(index, self.clocks.wall, Some("one"), text);
        self.poll();
        self.acknowledge();
    }

    pub(crate) fn answered(&mut self, step: &str, rest: &str) {
        let reply = format!(r#"{{"meta":{{"idempotency_key":"alpha/one/{step}/do","attempt":1,"outcome":{rest}}}"#);
        self.says(REPLIES, &reply);
    }

    pub(crate) fn acted(&mut self, act: &str) {
        self.says(CONTROL, &format!(r#"{{"saga":"alpha/one","by":"ann","why":"seen",{act}}}"#));
    }

    /// What the last turn changed.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let last = self.journal.iter().rev().find_map(|bytes| turns(bytes).pop());
        last.map(|turn| turn.changes).unwrap_or_default()
    }

    /// All that changed, from the beginning.
    pub(crate) fn all_changes(&self) -> Vec<Change> {
        self.journal.iter().flat_map(|bytes| turns(bytes)).flat_map(|turn| turn.changes).collect()
    }

    /// What the last turn did to sagas.
    pub(crate) fn events(&self) -> Vec<SagaEvent> {
        events_of(self.changes())
    }

    /// What was done to sagas since the journal had so many records.
    pub(crate) fn events_since(&self, records: usize) -> Vec<SagaEvent> {
        self.journal[records..].iter().flat_map(|bytes| turns(bytes)).flat_map(|turn| events_of(turn.changes)).collect()
    }

    /// Why the last turn took nothing.
    pub(crate) fn turned_down(&self) -> Option<(RejectionReason, String)> {
        self.changes().into_iter().find_map(|change| match change {
            Change::Rejected(rejected) => Some((rejected.reason, rejected.detail.to_string())),
            _ => None,
        })
    }
}

fn turns(bytes: &[u8]) -> Vec<Turn> {
    match JournalRecord::decode(bytes) {
        Ok(JournalRecord::Decision(decision)) => decision.turns,
        _ => Vec::new(),
    }
}

fn events_of(changes: Vec<Change>) -> Vec<SagaEvent> {
    changes.into_iter().flat_map(|change| if let Change::Saga(saga) = change { saga.events } else { Vec::new() }).collect()
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
    is(&line, RejectionReason::UnknownSaga, "no saga of this id lives, or is remembered");
    line.answered("task", r#""refused","code":"NO"},"body":null"#);
    let last = line.last_turn("alpha/one");
    for other in [last - 1, last + 1, -1] {
        line.acted(&format!(r#""act":"retry","if_turn":{other}"#));
        is(&line, RejectionReason::MovedOn, &format!("its last turn is {last}, not {other}; look again"));
    }
    line.acted(r#""act":"skip""#);
    is(&line, RejectionReason::NotPossible, "give a value");
    line.acted(r#""act":"skip","step":"nobody","value":{"n":1}"#);
    is(&line, RejectionReason::NotPossible, "name one that gives a result");
    line.acted(r#""act":"resolve","step":"task","value":{"n":1}"#);
    is(&line, RejectionReason::NotPossible, "say how it ended");
    line.acted(&format!(r#""act":"retry","step":"task","if_turn":{last}"#));
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
    let bad = [
        "",
        "{",
        r#"{"saga":"alpha/one"}"#,
        r#"{"saga":"alpha/one","by":"a","why":"b","act":"eat"}"#,
        r#"{"saga":"alpha/one","by":"a","why":"b","act":"cancel","if_turn":"7"}"#,
        r#"{"saga":"alpha/one","by":"a","why":"b","act":"cancel","if_state":"00000000000000ff"}"#,
    ];
    for text in bad {
        line.says(CONTROL, text);
        let quarantined = matches!(&line.changes()[..], [Change::Quarantined(one)] if one.reason == QuarantineReason::Undecodable);
        assert!(quarantined, "{text}: {:?}", line.changes());
    }
    let why = format!("{:?}", line.changes());
    assert!(why.contains("unknown field `if_state`") && why.contains("names the saga's last turn, `if_turn`"), "{why}");
    line.acted(r#""act":"cancel""#);
    assert!(!line.events().is_empty(), "the next one is taken");
}

/// Two acts on what was seen once: the second one finds that the first has moved it, also where both are of one record.
#[test]
fn of_two_acts_on_one_turn_one_is_done() {
    let mut line = line();
    line.answered("task", r#""refused","code":"NO"},"body":null"#);
    let last = line.last_turn("alpha/one");
    let act = format!(r#"{{"saga":"alpha/one","by":"ann","why":"seen","act":"retry","if_turn":{last}}}"#);
    let records = line.journal.len();
    for _ in 0..2 {
        line.put(CONTROL, line.clocks.wall, Some("one"), &act);
    }
    line.poll();
    line.acknowledge();
    assert_eq!(line.journal.len(), records + 1, "one record");
    assert!(matches!(
        line.events_since(records)[..],
        [SagaEvent::Acted { .. }, SagaEvent::Closed { .. }, SagaEvent::CommandIssued { .. }]
    ));
    let (why, detail) = line.turned_down().expect("the second is rejected");
    assert!(why == RejectionReason::MovedOn && detail.contains(&format!("its last turn is {records}, not {last}")), "{detail}");
}

/// Of a row that an earlier build stored nobody knows the last turn, until it has another one.
#[test]
fn a_row_of_an_earlier_build_has_no_last_turn() {
    let mut line = line();
    line.answered("task", r#""refused","code":"NO"},"body":null"#);
    line.checkpoint();
    let before = line.strip_turns();
    assert!(before > 0, "its row had turns");
    line.restart(|_| {});
    line.own();
    let act = |line: &mut Line, turn: i64| line.acted(&format!(r#""act":"retry","if_turn":{turn}"#));
    let end = line.journal.len() as i64;
    act(&mut line, end);
    let (why, detail) = line.turned_down().expect("it is rejected");
    assert!(why == RejectionReason::NotPossible && detail.contains("an earlier build stored it"), "{detail}");
    line.acted(r#""act":"retry""#);
    line.answered("task~2", r#""refused","code":"NO"},"body":null"#);
    let last = line.last_turn("alpha/one");
    act(&mut line, last - 1);
    assert!(line.turned_down().is_some_and(|(why, _)| why == RejectionReason::MovedOn));
    act(&mut line, last);
    assert!(!line.events().is_empty(), "{:?}", line.changes());
    line.checkpoint();
    line.same_digest();
}
