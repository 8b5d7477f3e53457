//! What a row says where a scope ended early or is being undone: nothing that it does not know, and no way out that is closed.

use expect_test::expect;

use super::line::{ALPHAS, Line};

fn trip(steps: &str, answers: &[(&str, &str)]) -> Line {
    let head = "saga: trip\nstart: { on: Asked, from: alphas, key: event.id }\nsteps:";
    let mut line = Line::of(&format!("{head}{steps}"), |_| {});
    line.put(ALPHAS, line.clocks.wall, Some("t"), r#"{"id":"t","no":false,"none":[]}"#);
    line.poll();
    line.acknowledge();
    answers.iter().for_each(|(key, outcome)| line.reply_to(&format!("trip/t/{key}"), outcome));
    line
}

const LEFT_EARLY: &str = "
  - step: both
    steps:
      - { step: one, do: worker.One, with: { id: key }, undo: nothing }
      - { step: tell, emit: Told, to: told, with: { id: key } }
    on_refused: go_on
  - { step: last, do: worker.Last, with: { id: key }, undo: nothing }
";

/// What stood behind the refusal was not emitted, and the row cannot tell that from one that was.
#[test]
fn what_a_refusal_left_out_is_not_said_to_be_emitted() {
    trip(LEFT_EARLY, &[("one/do", "refused")]).says_way(&expect![[r#"
        tell: EmittedOrSkipped
    "#]]);
    trip(LEFT_EARLY, &[("one/do", "succeeded")]).says_way(&expect![[r#"
        tell: Emitted
    "#]]);
}

const BRANCH_THAT_EMITS: &str = "
  - step: both
    if: start.id == 't'
    parallel:
      a: [ { step: one, do: worker.One, with: { id: key }, undo: nothing } ]
      b: [ { step: tell, emit: Told, to: told, with: { id: key } } ]
  - { step: last, do: worker.Last, with: { id: key }, undo: nothing }
";

/// A branch that only emits leaves no entry, and was taken with its neighbour.
#[test]
fn a_branch_that_only_emits_is_not_said_to_be_skipped() {
    trip(BRANCH_THAT_EMITS, &[("one/do", "succeeded")]).says_way(&expect![[r#"
        tell: EmittedOrSkipped
    "#]]);
}

const UNDOING_SCOPE: &str = "
  - step: both
    steps:
      - { step: one, do: worker.One, with: { id: key }, undo: { do: worker.UnOne, with: { n: 1 / size(start.none) } } }
      - { step: two, do: worker.Two, with: { id: key }, undo: nothing }
    on_refused: { steps: [ { step: other, do: worker.Other, with: { id: key }, undo: nothing } ], next: go_on }
  - { step: last, do: worker.Last, with: { id: key }, undo: nothing }
";

/// The saga runs, a scope in it is undone, and an undo in that cannot be made: it is tried again or skipped.
#[test]
fn an_undo_in_a_running_saga_that_cannot_be_made_says_its_ways_out() {
    trip(UNDOING_SCOPE, &[("one/do", "succeeded"), ("two/do", "refused")]).says_why(&expect![[r#"
        one waits for a person (stuck), wakes never
          nothing by itself
          way out: ringmaster act retry trip/t --step 'one' --why '...': its undo is made again
          way out: ringmaster act skip trip/t --step 'one' --why '...': it counts as undone
          way out: ringmaster act cancel trip/t --why '...': the saga is undone
    "#]]);
}

const UNDOING_PARALLEL: &str = "
  - step: both
    parallel:
      a: [ { step: one, do: worker.One, with: { id: key }, undo: nothing } ]
      b: [ { step: two, do: worker.Two, with: { id: key }, undo: worker.UnTwo } ]
    on_refused: { steps: [ { step: other, do: worker.Other, with: { id: key }, undo: nothing } ], next: go_on }
  - { step: last, do: worker.Last, with: { id: key }, undo: nothing }
";

/// What is still asked in a scope that is undone is not asked again: nothing else is offered.
#[test]
fn what_is_asked_in_a_scope_that_is_undone_is_not_asked_again() {
    trip(UNDOING_PARALLEL, &[("one/do", "refused")]).says_why(&expect![[r#"
        two waits for the answer to attempt 1 of worker.Two (reply), wakes +10000ms
          an answer of worker, or the end of the attempt's time: it is not asked again, and what was done is undone
    "#]]);
}
