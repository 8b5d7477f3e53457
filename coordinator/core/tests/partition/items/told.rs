//! Rows below a saga in words: what they wait for, which way they went, what happened.

use expect_test::{Expect, expect};
use ringmaster_core::saga::{Teller, passed, why};
use ringmaster_schemas::journal::DefinitionHash;

use super::super::line::Line;
use super::begin;

const STUCK: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: lines
    for_each: start.lines
    as: line
    at_once: 5
    steps:
      - { step: task, do: worker.Work, with: { n: line }, undo: worker.Rest, timeout: 10s, on_refused: stuck }
  - { step: end, do: helper.End, with: { id: key }, pivot: true }
  - step: letters
    for_each: start.lines
    as: line
    steps: [ { step: letter, do: helper.Write, with: { n: line }, retry: { attempts: 1 } } ]
";

impl Line {
    /// What a row waits for, in words.
    fn row_waits(&mut self, id: &str, expected: &Expect) {
        if self.partition.dirty_count() > 0 {
            self.checkpoint();
        }
        let row = self.stored_row(id).expect("it lives");
        let definition = self.catalog.by_hash(&row.head.version()).expect("it is deployed");
        let mut out = String::new();
        for leaf in why(definition, &row) {
            out.push_str(&format!("{} waits for {} ({})\n  {}\n", leaf.step, leaf.what, leaf.waits, leaf.then));
            leaf.ways_out.iter().for_each(|way| out.push_str(&format!("  way out: {way}\n")));
        }
        expected.assert_eq(&out);
    }

    fn answer_each(&mut self, outcome_of: &dyn Fn(&str) -> Option<&'static str>) {
        for (key, attempt, _) in self.commands() {
            if let Some(outcome) = outcome_of(&key) {
                self.replies(&key, attempt, outcome);
            }
        }
    }
}

/// Of a list of any length it is said which items it is about, and how each is looked at.
#[test]
fn what_a_list_waits_for_names_its_items() {
    let mut line = Line::of(STUCK, |_| {});
    begin(&mut line, 12, "x");
    line.row_waits(
        "alpha/a",
        &expect![[r#"
        lines waits for items 0 to 4 (of 12, numbered from 0); 0 have ended, 7 have not begun (items)
          the end of each, as the next begins; the first that ends badly stops the others
          way out: ringmaster saga why alpha/a/lines.0: what item 0 waits for
          way out: ringmaster act cancel alpha/a --why '...': the saga is undone
    "#]],
    );
    // Two are refused, and need a person.
    line.answer_each(&|key| match key {
        "alpha/a/lines.1/task/do" | "alpha/a/lines.4/task/do" => Some("refused"),
        "alpha/a/lines.0/task/do" => Some("succeeded"),
        _ => None,
    });
    line.row_waits("alpha/a", &expect![[r#"
        lines waits for items 1 to 5 (of 12, numbered from 0); 1 have ended, 6 have not begun; held, since a person is needed or a participant is not asked now: 1 and 4 (items)
          the end of each, as the next begins; the first that ends badly stops the others; while one is held the others go on, and no clock around them runs
          way out: ringmaster saga why alpha/a/lines.1: what item 1, which is held, waits for
          way out: ringmaster saga why alpha/a/lines.4: what item 4, which is held, waits for
          way out: ringmaster act cancel alpha/a --why '...': the saga is undone
    "#]]);
    line.row_waits("alpha/a/lines.1", &expect![[r#"
        task waits for a person (stuck)
          nothing by itself; a success of worker under its key is taken, however late
          way out: see to it at worker that worker.Work is done after all, and let it answer with success
          way out: ringmaster act retry alpha/a/lines.1 --step 'task' --why '...': it is tried again in a new round, under a new key
          way out: ringmaster act skip alpha/a/lines.1 --step 'task' --why '...': it goes on without it, or with a value in its stead
          way out: ringmaster act resolve alpha/a/lines.1 --step 'task' --why '...': say in its participant's stead that it was done after all (--outcome succeeded)
          way out: ringmaster act cancel alpha/a --why '...': the saga is undone
    "#]]);
    line.row_waits("alpha/a/lines.2", &expect![[r#"
        task waits for the answer to attempt 1 of worker.Work (reply)
          an answer of worker; without one in time it is asked again, as long as attempts and time are left, and then it is undone, with all other items of its list
    "#]]);
}

/// The row of an item knows no pivot, and still offers no way that is closed.
#[test]
fn an_item_behind_the_pivot_is_not_said_to_be_cancelled() {
    let mut line = Line::of(STUCK, |_| {});
    begin(&mut line, 2, "x");
    line.answer_each(&|_| Some("succeeded"));
    line.answer_each(&|_| Some("succeeded"));
    line.answer_each(&|key| (key == "alpha/a/letters.1/letter/do").then_some("refused"));
    line.row_waits("alpha/a", &expect![[r#"
        letters waits for items 0, 1 (of 2, numbered from 0); 0 have ended, all have begun; held, since a person is needed or a participant is not asked now: 1 (items)
          the end of each, as the next begins; the first that ends badly stops the others; while one is held the others go on, and no clock around them runs
          way out: ringmaster saga why alpha/a/letters.1: what item 1, which is held, waits for
    "#]]);
    line.row_waits("alpha/a/letters.1", &expect![[r#"
        letter waits for a person (stuck)
          nothing by itself; a success of helper under its key is taken, however late
          way out: see to it at helper that helper.Write is done after all, and let it answer with success
          way out: ringmaster act retry alpha/a/letters.1 --step 'letter' --why '...': it is tried again in a new round, under a new key
          way out: ringmaster act skip alpha/a/letters.1 --step 'letter' --why '...': it goes on without it, or with a value in its stead
          way out: ringmaster act resolve alpha/a/letters.1 --step 'letter' --why '...': say in its participant's stead that it was done after all (--outcome succeeded)
    "#]]);
}

const WAYS: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: paper
    switch:
      - if: has(start.paper)
        steps: [ { step: wrap, do: helper.Wrap, with: { id: key }, undo: nothing } ]
      - else: []
  - step: lines
    for_each: start.lines
    as: line
    steps:
      - step: kind
        switch:
          - if: line == 0
            steps: [ { step: first, do: worker.First, with: { n: line }, undo: nothing } ]
          - else: []
      - { step: note, if: line == 0, do: worker.Note, with: { n: line }, undo: nothing }
      - { step: task, do: worker.Work, with: { n: line }, undo: nothing }
  - { step: end, do: helper.End, with: { id: key }, pivot: true }
";

/// A row tells its own way: an item says nothing of what stands around its for_each, and a saga nothing of what stands in it.
#[test]
fn ways_are_told_by_the_row_that_went_them() {
    let mut line = Line::of(WAYS, |_| {});
    begin(&mut line, 2, "x");
    for _ in 0..4 {
        line.answer_each(&|key| (!key.ends_with("/end/do")).then_some("succeeded"));
    }
    line.checkpoint();
    let versions = |hash: &DefinitionHash| Some((&**line.catalog.by_hash(hash)?, 1));
    let time = |_| "then".to_owned();
    let mut out = String::new();
    for id in ["alpha/a", "alpha/a/lines.0", "alpha/a/lines.1"] {
        let (mut teller, mut told) = (Teller::new(id, &versions, &time), Vec::new());
        line.events_of(id).iter().for_each(|event| teller.tell(event, &mut told));
        out.push_str(&format!("{id}\n"));
        told.iter().for_each(|one| out.push_str(&format!("  {}\n", one.text)));
        let row = line.stored_row(id).expect("it lives");
        let definition = line.catalog.by_hash(&row.head.version()).expect("it is deployed");
        for (node, what) in passed(definition, &row) {
            out.push_str(&format!("  its row: {}: {what:?}\n", definition.nodes[usize::from(node)].name));
        }
    }
    expect![[r#"
        alpha/a
          started by alphas/0/0 with version 1 (31cab5d31826)
          paper takes arm 2 of 2, else
          lines begins, with 2 items, at most 10 at once
          lines begins item 0
          lines begins item 1
          lines item 1 has ended well
          lines item 0 has ended well
          lines succeeded
          end asks helper.End: an answer is due then, tried until then
          its row: wrap: Skipped
        alpha/a/lines.0
          begins for alpha/a, with version 1 (31cab5d31826)
          kind takes arm 1 of 2
          first asks worker.First: an answer is due then, tried until then
          first succeeded
          note asks worker.Note: an answer is due then, tried until then
          note succeeded
          task asks worker.Work: an answer is due then, tried until then
          task succeeded
          completed; known until its saga has ended
          its row: kind: Arm(1)
        alpha/a/lines.1
          begins for alpha/a, with version 1 (31cab5d31826)
          kind takes arm 2 of 2, else
          note is skipped
          task asks worker.Work: an answer is due then, tried until then
          task succeeded
          completed; known until its saga has ended
          its row: first: Skipped
          its row: note: Skipped
    "#]]
    .assert_eq(&out);
}
