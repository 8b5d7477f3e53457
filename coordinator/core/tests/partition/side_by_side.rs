//! Branches that are undone, or that need a person, at once: each is taken for itself, and none is forgotten for another.

use ringmaster_core::partition::Role;
use ringmaster_schemas::journal::{ActKind, RejectionReason, SagaEvent};

use super::acts::CONTROL;
use super::line::{ALPHAS, Line, REPLIES, without};

const HEAD: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
";

fn line(steps: &str) -> Line {
    let mut line = Line::of(&format!("{HEAD}{steps}"), |settings| settings.inputs[CONTROL].role = Role::Control);
    line.says(ALPHAS, &format!(r#"{{"id":"one","blob":"{}","none":[]}}"#, "x".repeat(150_000)));
    line
}

impl Line {
    /// Steps whose undo was asked by the last turn.
    fn undone(&self) -> Vec<String> {
        let asked = self.events().into_iter().filter_map(|event| match event {
            SagaEvent::UndoIssued { order, .. } => Some(order.step().to_owned()),
            _ => None,
        });
        asked.collect()
    }

    /// Answers the undos of one turn after the other, as long as one asks for any; the steps in their order.
    fn undo_all(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let asked = self.undone();
            if asked.is_empty() {
                return all;
            }
            for step in &asked {
                let reply = format!(
                    r#"{{"meta":{{"idempotency_key":"alpha/one/{step}/undo","attempt":1,"outcome":"succeeded"}},"body":null}}"#
                );
                self.says(REPLIES, &reply);
            }
            all.extend(asked);
        }
    }
}

const FOUR: &str = "
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
fn undos_that_are_too_big_together_follow_each_other() {
    let mut line = line(FOUR);
    for step in ["one", "two", "three", "four"] {
        line.answered(step, r#""succeeded"},"body":null"#);
    }
    line.answered("last", r#""refused","code":"NO"},"body":null"#);
    assert_eq!(line.undo_all().len(), 4);
    assert!(matches!(line.events().last(), Some(SagaEvent::Compensated { .. })), "{:?}", line.events());
}

/// Time passes until something is due, and whatever is due then is taken, turn by turn; the events of all of them.
fn all_due(line: &mut Line, ms: i64) -> Vec<SagaEvent> {
    let before = line.journal.len();
    line.pass(ms);
    for _ in 0..4 {
        line.look();
    }
    line.events_since(before)
}

fn undos(events: &[SagaEvent]) -> usize {
    events.iter().filter(|event| matches!(event, SagaEvent::UndoIssued { .. })).count()
}

const BOTH_UNKNOWN: &str = "
  - step: all
    parallel:
      a:
        - { step: one, do: worker.One, with: { id: key }, undo: { do: worker.UnOne, with: { blob: start.blob } },
            timeout: 10s, retry: { attempts: 1 }, on_failed: go_on }
      b:
        - { step: two, do: worker.Two, with: { id: key }, undo: { do: worker.UnTwo, with: { blob: start.blob } },
            timeout: 10s, retry: { attempts: 1 }, on_failed: go_on }
  - { step: last, do: worker.Last, with: { id: key }, undo: nothing }
";

/// Nobody answers two steps whose times end at once: each may have been done, so each is undone before the saga goes on.
#[test]
fn steps_that_run_out_at_once_are_both_undone() {
    assert_eq!(undos(&all_due(&mut line(BOTH_UNKNOWN), 11_000)), 2);
    without("all_undone_in_one_turn", || assert_eq!(undos(&all_due(&mut line(BOTH_UNKNOWN), 11_000)), 1));
}

const BOTH_EXPIRE: &str = "
  - step: all
    parallel:
      a:
        - step: left
          within: 1m
          on_failed: go_on
          steps:
            - { step: one, do: worker.One, with: { id: key }, undo: { do: worker.UnOne, with: { blob: start.blob } } }
            - { step: slow, do: worker.Slow, with: { id: key }, undo: nothing, timeout: 10s, within: 1h, retry: { first: 5m, max: 5m } }
      b:
        - step: right
          within: 1m
          on_failed: go_on
          steps:
            - { step: two, do: worker.Two, with: { id: key }, undo: { do: worker.UnTwo, with: { blob: start.blob } } }
            - { step: late, do: worker.Late, with: { id: key }, undo: nothing, timeout: 10s, within: 1h, retry: { first: 5m, max: 5m } }
  - { step: last, do: worker.Last, with: { id: key }, undo: nothing }
";

/// Two scopes whose times end at once are both undone, and the saga goes on behind them.
#[test]
fn scopes_that_run_out_at_once_are_both_undone() {
    let mut line = line(BOTH_EXPIRE);
    line.answered("one", r#""succeeded"},"body":null"#);
    line.answered("two", r#""succeeded"},"body":null"#);
    all_due(&mut line, 11_000);
    assert_eq!(undos(&all_due(&mut line, 50_000)), 2);
    for step in ["one", "two"] {
        line.reply_to(&format!("alpha/one/{step}/undo"), "succeeded");
    }
    assert!(matches!(line.events().last(), Some(SagaEvent::CommandIssued { .. })), "{:?}", line.events());
}

const TOO_MUCH: &str = "
  - step: all
    parallel:
      a: [ { step: one, do: worker.One, with: { id: key }, undo: nothing } ]
      b:
        - { step: no, do: worker.No, with: { id: key }, undo: nothing, on_refused: stuck }
        - { step: two, do: worker.Two, with: { a: start.blob, b: start.blob, c: start.blob }, undo: nothing }
";

/// What an act causes may fit into no record: then it is not taken, and nothing fails for it.
#[test]
fn an_act_that_causes_too_much_is_not_taken() {
    let mut line = Line::of(&format!("{HEAD}{TOO_MUCH}"), |settings| {
        settings.inputs[CONTROL].role = Role::Control;
        settings.limits.record_bytes_max = 150 << 10;
    });
    line.says(ALPHAS, &format!(r#"{{"id":"one","blob":"{}"}}"#, "x".repeat(60_000)));
    line.answered("no", r#""refused","code":"NO"},"body":null"#);
    for act in [r#""act":"skip""#, r#""act":"skip","step":"no""#] {
        line.acted(act);
        let (reason, detail) = line.turned_down().expect("it is rejected");
        assert!(reason == RejectionReason::NotPossible && detail.contains("limits.record_bytes_max"), "{reason}: {detail}");
    }
    line.answered("one", r#""succeeded"},"body":null"#);
    assert!(matches!(line.events()[..], [SagaEvent::Succeeded { .. }]), "{:?}", line.events());
}

const RESULT_AND_UNDO: &str = "
  - { step: one, do: worker.Counted, with: { id: key }, undo: worker.Uncount }
  - { step: two, do: worker.Two, with: { n: steps.one.n }, undo: nothing }
";

/// An undo has no result: whoever says that it was done gives none, also where the step's own result is read.
#[test]
fn an_undo_that_is_named_is_resolved_without_a_value() {
    let mut line = line(RESULT_AND_UNDO);
    line.answered("one", r#""succeeded"},"body":{"n":1}"#);
    line.answered("two", r#""refused","code":"NO"},"body":null"#);
    line.reply_to("alpha/one/one/undo", "refused");
    line.acted(r#""act":"resolve","step":"one","outcome":"succeeded""#);
    assert!(matches!(line.events()[..], [SagaEvent::Acted { act: ActKind::Resolve, .. }, SagaEvent::Undone { .. }, ..]));
    assert!(matches!(line.events().last(), Some(SagaEvent::Compensated { .. })), "{:?}", line.events());
}

const END_UNTOLD: &str = "
  - { step: one, do: worker.One, with: { id: key }, pivot: true }
on_completed: { emit: Ended, to: ends, with: { each: 1 / size(start.none) } }
";

/// The rounds of a saga's end have numbers too: whoever tries it again and again is told at last, and can skip it.
#[test]
fn an_end_that_cannot_be_told_is_not_tried_for_ever() {
    let mut line = line(END_UNTOLD);
    line.answered("one", r#""succeeded"},"body":null"#);
    let taken = (0..300).take_while(|_| {
        line.acted(r#""act":"retry""#);
        line.turned_down().is_none()
    });
    assert!((200..255).contains(&taken.count()));
    let (reason, detail) = line.turned_down().expect("it is rejected");
    assert!(reason == RejectionReason::NotPossible && detail.contains("skip it"), "{reason}: {detail}");
    line.acted(r#""act":"skip""#);
    assert!(matches!(line.events().last(), Some(SagaEvent::Completed { .. })), "{:?}", line.events());
}
