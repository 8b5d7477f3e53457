//! What people do where a list needs one, and what is left of its items then.

use ringmaster_core::partition::Role;
use ringmaster_schemas::state::{RowKey, Status};

use super::super::acts::CONTROL;
use super::super::line::{Line, without};
use super::{Ledger, answer_all, begin};

/// What an item does is read inside of it only; `gives` is what the list gives.
fn needs_a_person(gives: &str) -> String {
    format!(
        "
saga: alpha
start: {{ on: Asked, from: alphas, key: event.id }}
steps:
  - step: lines
    for_each: start.lines
    as: line
    steps:
      - {{ step: task, do: worker.Counted, with: {{ n: line }}, undo: worker.Rest, timeout: 10s }}
      - {{ step: more, do: helper.Help, with: {{ n: steps.task.n }}, undo: helper.Unhelp, timeout: 10s }}
    {gives}
    on_refused: stuck
  - {{ step: check, do: helper.Check, with: {{ id: key }}, undo: nothing, timeout: 10s }}
"
    )
}

fn acted(line: &mut Line, id: &str, act: &str) {
    let act = format!(r#"{{"saga":"{id}","by":"ann","why":"seen",{act}}}"#);
    line.put(CONTROL, line.clocks.wall, Some("a"), &act);
    line.poll();
}

/// Its list is refused by one item, a person acts, and then all answer, but what `refuses` says.
fn skipped(definition: &str, act: &str, refuses: &'static str) -> (Line, Ledger) {
    let mut line = Line::of(definition, |settings| settings.inputs[CONTROL].role = Role::Control);
    let mut ledger = Ledger::default();
    begin(&mut line, 4, "x");
    answer_all(&mut line, &mut ledger, &|key| key == "alpha/a/lines.2/more/do", &mut |_, _| {});
    assert_eq!(line.partition.stuck_count(), 1);
    acted(&mut line, "alpha/a", act);
    assert_eq!(line.rejections(), [] as [&str; 0]);
    answer_all(&mut line, &mut ledger, &|key| key == refuses, &mut |_, _| {});
    line.poll();
    (line, ledger)
}

/// Rows that are left, the same when the journal is replayed, and how the saga ended.
fn rows(line: &mut Line) -> (Vec<String>, Option<Status>) {
    line.replays();
    let sagas = line.rows.keys().filter(|key| matches!(key, RowKey::Saga(_)));
    (sagas.map(ToString::to_string).collect(), line.stored_row("alpha/a").map(|saga| saga.status))
}

/// The steps of an item are read by that item only: nothing stands in the way of going on without the list.
#[test]
fn a_list_that_gives_nothing_is_gone_on_without() {
    let (mut line, ledger) = skipped(&needs_a_person(""), r#""act":"skip""#, "");
    assert_eq!(rows(&mut line), (vec!["alpha/a".to_owned()], Some(Status::Completed)));
    assert_eq!(ledger.0["alpha/a/check"], (1, 0));
}

/// The rows of items that were undone go with the saga; and are not undone again where it is undone.
#[test]
fn what_was_undone_of_a_list_goes_also_where_a_value_stands_for_it() {
    let gives = needs_a_person("result: { line: line }").replace("id: key }, undo: nothing", "all: steps.lines }, undo: nothing");
    let attack = |refuses| {
        let (mut line, ledger) = skipped(&gives, r#""act":"skip","value":[{"line":7}]"#, refuses);
        assert!(ledger.0.iter().all(|(key, account)| !key.contains("lines") || account.0 == account.1), "{ledger:?}");
        rows(&mut line)
    };
    assert_eq!(attack(""), (vec!["alpha/a".to_owned()], Some(Status::Completed)));
    assert_eq!(attack("alpha/a/check/do"), (vec!["alpha/a".to_owned()], Some(Status::Compensated)));
    without("rows_forgotten_where_done", || assert!(attack("").0.len() > 1));
}

/// An item whose own list has ended in the turn in which another item is refused stops with it, and gathers nothing.
#[test]
fn an_item_that_stops_gathers_nothing() {
    let definition = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: outer
    for_each: start.lines
    as: line
    at_once: 4
    steps:
      - step: inner
        for_each: start.lines
        as: part
        at_once: 4
        steps:
          - { step: never, if: start.text == 'y', refuse: NO }
      - { step: odd, if: index != 1, refuse: NO }
    result: { line: line }
  - { step: end, do: helper.End, with: { all: steps.outer }, pivot: true, timeout: 10s }
";
    let attack = || {
        let mut line = Line::of(definition, |_| {});
        begin(&mut line, 3, "x");
        line.look();
        rows(&mut line)
    };
    assert_eq!(attack(), (vec!["alpha/a".to_owned()], Some(Status::Compensated)));
    without("gathered_where_stopped", || assert!(std::panic::catch_unwind(attack).is_err()));
}
