//! Steps that were refused, or failed: each is counted once, where it ended, by the code that it ended with.

use ringmaster_core::partition::{Role, StepKey, Times};
use ringmaster_schemas::names::Direction;

use super::acts::CONTROL;
use super::line::{ALPHAS, Line};

const SIDES: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: room, do: worker.Book, with: { id: key }, undo: worker.Cancel, timeout: 10s, within: 1m, retry: { attempts: 2, first: 200ms, factor: 1, max: 200ms } }
  - step: sides
    parallel:
      left: [ { step: left, do: worker.Left, with: { id: key }, undo: worker.Leave, timeout: 10s } ]
      right: [ { step: right, do: worker.Right, with: { id: key }, undo: nothing } ]
";

const ONE_WAY: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: task, do: worker.Work, with: { id: key }, pivot: true, timeout: 10s, within: 1m, retry: { attempts: 1 } }
";

fn line(definitions: &str) -> Line {
    let mut line = Line::of(definitions, |settings| settings.inputs[CONTROL].role = Role::Control);
    line.start(ALPHAS, "one");
    line.acknowledge();
    line
}

const NEEDS_ONE: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: nothing, on_refused: stuck }
";

/// Nodes that did not do it, and whether that was the undo; with the code of those that failed.
type NotDone = (Vec<(u16, bool, u64)>, Vec<(u16, bool, String, u64)>);

fn not_done(times: &Times) -> NotDone {
    let of = |(_, node, direction): &StepKey| (*node, *direction == Direction::Undo);
    let refused = times.refused.iter().map(|(key, count)| (of(key).0, of(key).1, *count));
    let failed = times.failed.iter().map(|((key, code), count)| (of(key).0, of(key).1, code.to_string(), *count));
    (refused.collect(), failed.collect())
}

fn ended(times: &Times) -> u64 {
    times.steps.values().map(|of| of.count()).sum()
}

/// What is given up since another failed has not failed itself; an undo that is refused needs a person, and what that one says is no answer.
#[test]
fn a_step_is_refused_or_failed_by_its_own_answer() {
    let mut line = line(SIDES);
    line.answered("room", r#""succeeded"},"body":null"#);
    line.answered("left", r#""failed","code":"BUSY","retryable":true},"body":null"#);
    let times = line.partition.take_times();
    assert_eq!(not_done(&times), (vec![], vec![]), "it is tried again");
    let began: Vec<u64> = times.began.values().copied().collect();
    assert_eq!((began, ended(&times)), (vec![1, 1, 1, 1], 1), "the room, both sides, and what is around them");
    line.answered("right", r#""refused","code":"NO"},"body":null"#);
    let times = line.partition.take_times();
    let refused: Vec<_> = times.refused.values().copied().collect();
    assert_eq!((refused, not_done(&times).1), (vec![1], vec![]), "the right one was refused, the left one given up for that");
    assert_eq!(ended(&times), 2);
    line.reply_to("alpha/one/left/undo", "succeeded");
    line.reply_to("alpha/one/room/undo", "refused");
    let times = line.partition.take_times();
    assert_eq!(not_done(&times), (vec![(1, true, 1)], vec![]), "it is not undone, and needs a person");
    line.acted(r#""act":"resolve","outcome":"succeeded""#);
    assert_eq!(not_done(&line.partition.take_times()), (vec![], vec![]));
}

/// Once, however often it was tried; and a replay does not count it again.
#[test]
fn what_is_tried_in_vain_has_failed_once() {
    let mut line = line(SIDES);
    drop(line.partition.take_times());
    for _ in 0..2 {
        line.pass(10_050);
        line.look();
        line.pass(250);
        line.look();
    }
    line.acknowledge();
    let times = line.partition.take_times();
    assert_eq!(not_done(&times), (vec![], vec![(1, false, "TIMEOUT".to_owned(), 1)]));
    assert_eq!((times.began.len(), ended(&times)), (0, 1), "no attempt begins the step anew");
    line.checkpoint();
    line.restart(|_| {});
    line.own();
    assert_eq!(line.partition.take_times(), Times::default());
}

/// It has failed when it needs a person, and once, whatever that person says it did.
#[test]
fn what_a_person_says_is_no_answer() {
    let mut line = line(ONE_WAY);
    line.pass(10_050);
    line.look();
    line.acknowledge();
    let times = line.partition.take_times();
    assert_eq!(not_done(&times), (vec![], vec![(1, false, "TIMEOUT".to_owned(), 1)]));
    assert_eq!(ended(&times), 0, "it is still open");
    line.acted(r#""act":"resolve","outcome":"refused","code":"NO""#);
    let times = line.partition.take_times();
    assert_eq!((not_done(&times), ended(&times)), ((vec![], vec![]), 1));
}

/// One answer, whatever follows from it.
#[test]
fn what_is_refused_and_needs_a_person_for_that_is_refused_once() {
    let mut line = line(NEEDS_ONE);
    line.answered("task", r#""refused","code":"NO"},"body":null"#);
    let times = line.partition.take_times();
    assert_eq!((not_done(&times), ended(&times)), ((vec![(1, false, 1)], vec![]), 1));
}
