//! Sub-sagas: rows with versions of their own below a saga, in journal, store and memory.

use ringmaster_core::partition::Role;
use ringmaster_schemas::state::{RowKey, Saga, Status};

use super::items::{Ledger, answer_all};
use super::line::{ALPHAS, Line, without};

const DEFINITIONS: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: book, do: worker.Book, with: { n: start.n }, undo: worker.Unbook, timeout: 10s }
  - step: part
    run: part
    with: { n: start.n, of: key }
    on_refused: { NO_ROOM: go_on }
  - { step: end, do: helper.End, with: { got: steps.?part.?twice.orValue(-1) }, pivot: true, timeout: 10s }
---
saga: part
input: { n: int, of: string, more: string? }
deadline: 1h
steps:
  - { step: task, do: worker.Work, with: { n: start.n, of: start.of }, undo: worker.Rest, timeout: 10s }
  - { step: more, do: helper.Help, with: { n: start.n + 1 }, undo: helper.Unhelp, timeout: 10s }
result: { twice: start.n * 2 }
on_completed: { emit: PartDone, to: ends, with: { n: start.n } }
on_compensated: { emit: PartUndone, to: ends, with: { why: failure.code } }
";

/// The pivot stands in the sub-saga.
const PIVOTAL: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: book, do: worker.Book, undo: worker.Unbook, timeout: 10s }
  - { step: part, run: part }
---
saga: part
input: {}
steps:
  - { step: task, do: worker.Work, undo: worker.Rest, timeout: 10s }
  - { step: pay, do: helper.Pay, pivot: true, timeout: 10s }
  - { step: tell, do: helper.Tell, timeout: 10s }
";

fn begin(line: &mut Line) {
    line.put(ALPHAS, line.clocks.wall, Some("a"), r#"{"type":"Asked","id":"a","n":4}"#);
    line.poll();
}

fn with_control(definitions: &str) -> Line {
    Line::of(definitions, |settings| settings.inputs[super::acts::CONTROL].role = Role::Control)
}

impl Line {
    fn acts_on(&mut self, id: &str, act: &str) {
        let act = format!(r#"{{"saga":"{id}","act":"{act}","by":"ann","why":"looked at it"}}"#);
        self.put(super::acts::CONTROL, self.clocks.wall, Some("a"), &act);
        self.poll();
    }

    /// What is asked now; none of it is answered.
    fn asked(&mut self) -> Vec<String> {
        self.commands().into_iter().map(|(key, ..)| key).collect()
    }

    fn status(&mut self, id: &str) -> Option<Status> {
        self.checkpoint();
        self.stored_row(id).map(|saga| saga.status)
    }

    fn saga_rows(&mut self) -> Vec<String> {
        self.checkpoint();
        self.rows.keys().filter(|key| matches!(key, RowKey::Saga(_))).map(ToString::to_string).collect()
    }
}

fn kept(ledger: &Ledger) -> usize {
    ledger.0.values().filter(|(done, undone)| done > undone).count()
}

#[test]
fn a_sub_saga_is_a_step_whose_result_is_read() {
    let (mut line, mut ledger) = (Line::of(DEFINITIONS, |_| {}), Ledger::default());
    begin(&mut line);
    let bodies = answer_all(&mut line, &mut ledger, &|_| false, &mut |line, round| {
        if round == 2 {
            line.replays();
        }
    });
    assert!(bodies.contains(r#"{"n":4,"of":"a"}"#) && bodies.contains(r#"{"got":8}"#), "{bodies:?}");
    assert!(ledger.0.contains_key("alpha/a/part/task") && kept(&ledger) == 4, "{ledger:?}");
    assert_eq!((line.counters.started, line.counters.completed), (1, 1), "it counts as no saga");
    line.look();
    assert_eq!(line.saga_rows(), ["alpha/a"], "its row goes with the saga");
    assert_eq!(line.stored_row("alpha/a").map(|saga| saga.status), Some(Status::Completed));
}

/// Killed behind every round, with what it knew last, or with the journal alone.
#[test]
fn it_goes_on_after_a_crash_at_any_place() {
    for crash_at in 0..12 {
        for refused in [None, Some("alpha/a/end/do"), Some("alpha/a/part/more/do")] {
            let (mut line, mut ledger) = (Line::of(DEFINITIONS, |_| {}), Ledger::default());
            begin(&mut line);
            answer_all(&mut line, &mut ledger, &|key| refused == Some(key), &mut |line, round| {
                if round == crash_at {
                    line.dies(crash_at % 2 == 0);
                }
            });
            let ended = line.status("alpha/a").expect("it is remembered");
            let wanted = if refused.is_none() { (Status::Completed, 4) } else { (Status::Compensated, 0) };
            assert_eq!((ended, kept(&ledger)), wanted, "crash at {crash_at}, {refused:?}");
        }
    }
}

/// It was completed, and what stands behind it is refused: it is undone as a whole, and tells both of its ends.
#[test]
fn a_completed_sub_saga_is_undone_as_a_whole() {
    let undone = || {
        let (mut line, mut ledger) = (Line::of(DEFINITIONS, |_| {}), Ledger::default());
        begin(&mut line);
        answer_all(&mut line, &mut ledger, &|key| key == "alpha/a/end/do", &mut |_, _| {});
        (line.status("alpha/a"), kept(&ledger))
    };
    assert_eq!(undone(), (Some(Status::Compensated), 0));
    without("recall_ignored_by_completed", || {
        let left = std::panic::catch_unwind(undone);
        assert!(left.is_err() || left.is_ok_and(|left| left != (Some(Status::Compensated), 0)), "nothing was undone");
    });
}

/// A refusal in it is one of it, by its code; nothing of it is left, and the saga above goes on behind it.
#[test]
fn what_is_compensated_below_is_refused_above_by_its_code() {
    let told = || {
        let definitions =
            DEFINITIONS.replace("{ step: more,", "{ step: no, if: start.n == 4, refuse: NO_ROOM }\n  - { step: more,");
        let (mut line, mut ledger) = (Line::of(&definitions, |_| {}), Ledger::default());
        begin(&mut line);
        let bodies = answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
        (bodies.contains(r#"{"got":-1}"#), line.status("alpha/a"), ledger.0["alpha/a/part/task"])
    };
    assert_eq!(told(), (true, Some(Status::Completed), (1, 1)));
    without("sub_saga_refused_without_code", || assert_eq!(told().1, Some(Status::Compensated)));
}

/// Its own deadline makes it refused; that of the saga above is not its own.
#[test]
fn its_own_deadline_refuses_it() {
    let definitions = DEFINITIONS.replace("on_refused: { NO_ROOM: go_on }", "on_refused: { DEADLINE: go_on }");
    let mut line = Line::of(&definitions.replace("deadline: 1h", "deadline: 5s"), |_| {});
    begin(&mut line);
    line.replies("alpha/a/book/do", 1, "succeeded");
    line.look();
    assert_eq!(line.asked(), ["alpha/a/book/do", "alpha/a/part/task/do"]);
    line.pass(6_000);
    line.look();
    assert!(line.asked().is_empty(), "what is out is awaited");
    line.replies("alpha/a/part/task/do", 1, "succeeded");
    line.look();
    assert_eq!(line.asked(), ["alpha/a/part/task/undo"]);
    line.replies("alpha/a/part/task/undo", 1, "succeeded");
    line.look();
    assert_eq!(line.asked(), ["alpha/a/end/do"], "it was left out for DEADLINE");
}

/// The pivot is in flight below: a cancel is remembered above and passed down. Refused there, all is undone; else it came too late.
#[test]
fn a_cancel_waits_for_the_pivot_below() {
    let play = |paid: bool| {
        let mut line = with_control(PIVOTAL);
        begin(&mut line);
        for key in ["alpha/a/book/do", "alpha/a/part/task/do"] {
            line.replies(key, 1, "succeeded");
            line.look();
        }
        line.asked();
        line.acts_on("alpha/a", "cancel");
        line.look();
        let undone = line.asked();
        line.replies("alpha/a/part/pay/do", 1, if paid { "succeeded" } else { "refused" });
        line.look();
        (undone, line.asked(), line.status("alpha/a"))
    };
    let refused = || play(false);
    let wanted = (vec![], vec!["alpha/a/part/task/undo".to_owned()], Some(Status::Running));
    assert_eq!(refused(), wanted);
    let wanted = (vec![], vec!["alpha/a/part/tell/do".to_owned()], Some(Status::Running));
    assert_eq!(play(true), wanted);
    without("run_with_pivot_stopped_without_asking", || assert_ne!(std::panic::catch_unwind(|| play(true)).ok(), Some(wanted)));
}

/// What is not at the pivot yet stops at once when it is told.
#[test]
fn a_cancel_before_the_pivot_below_is_passed_down() {
    let mut line = with_control(PIVOTAL);
    begin(&mut line);
    line.replies("alpha/a/book/do", 1, "succeeded");
    line.look();
    line.acts_on("alpha/a", "cancel");
    line.look();
    assert_eq!(line.status("alpha/a/part"), Some(Status::Compensating));
    line.replies("alpha/a/part/task/do", 1, "succeeded");
    line.look();
    line.replies("alpha/a/part/task/undo", 1, "succeeded");
    line.look();
    line.replies("alpha/a/book/undo", 1, "succeeded");
    line.look();
    assert_eq!(line.status("alpha/a"), Some(Status::Compensated));
}

/// Behind the pivot below the saga above is behind it too, from the same turn on.
#[test]
fn a_pivot_below_is_behind_above() {
    let behind = || {
        let mut line = with_control(PIVOTAL);
        begin(&mut line);
        for key in ["alpha/a/book/do", "alpha/a/part/task/do", "alpha/a/part/pay/do"] {
            line.replies(key, 1, "succeeded");
            line.poll();
        }
        line.checkpoint();
        line.stored_row("alpha/a").expect("it lives").passed
    };
    assert!(behind());
    without("child_pivot_not_told", || assert!(!behind()));
    let mut line = with_control(PIVOTAL);
    begin(&mut line);
    for key in ["alpha/a/book/do", "alpha/a/part/task/do", "alpha/a/part/pay/do"] {
        line.replies(key, 1, "succeeded");
        line.look();
    }
    line.acts_on("alpha/a", "cancel");
    assert_eq!(line.rejections(), ["alpha/a: the saga is behind its pivot: nothing can be undone any more"]);
}

#[test]
fn people_act_on_it_by_its_own_id() {
    let mut line = with_control(DEFINITIONS);
    begin(&mut line);
    line.replies("alpha/a/book/do", 1, "succeeded");
    line.look();
    line.acts_on("alpha/a", "pause");
    line.acts_on("alpha/a/part", "cancel");
    line.acts_on("alpha/a/part", "resume");
    line.acts_on("alpha/a", "resume");
    // One that was paused by itself stays so, and goes on after the saga above.
    line.acts_on("alpha/a/part", "pause");
    line.acts_on("alpha/a", "pause");
    line.acts_on("alpha/a/part", "resume");
    line.acts_on("alpha/a", "resume");
    assert_eq!(
        line.rejections(),
        [
            "alpha/a/part: a sub-saga is not cancelled by itself: cancel alpha/a, or let it be refused",
            "alpha/a/part: it is paused with alpha/a: resume that",
            "alpha/a/part: alpha/a above it is paused, too: resume that first",
        ]
    );
    line.checkpoint();
    let held = |line: &Line| line.stored_row("alpha/a").and_then(|saga: Saga| saga.held_since).is_some();
    assert!(held(&line), "a pause below is held above");
    line.acts_on("alpha/a/part", "resume");
    line.checkpoint();
    assert!(!held(&line), "and not any more");
}

/// A newer version is run from then on; what runs keeps its own.
#[test]
fn it_begins_by_the_newest_version() {
    let mut line = Line::of(DEFINITIONS, |_| {});
    begin(&mut line);
    let part = DEFINITIONS.split("---").nth(1).expect("there are two");
    line.deploy(&part.replace("start.n * 2", "start.n * 3"));
    let (mut ledger, mut bodies) = (Ledger::default(), Vec::new());
    bodies.extend(answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {}));
    assert!(bodies.contains(&r#"{"got":12}"#.to_owned()), "{bodies:?}");
    assert_eq!(line.stopped(), None);
}

/// Started by hand: what it begins with is checked by its types, all of it.
#[test]
fn a_person_starts_what_no_event_starts() {
    let mut line = with_control(DEFINITIONS);
    let start = |line: &mut Line, value: &str| {
        let act = format!(r#"{{"saga":"part/a","act":"start","by":"ann","why":"a test","value":{value}}}"#);
        line.put(super::acts::CONTROL, line.clocks.wall, Some("a"), &act);
        line.poll();
    };
    start(&mut line, r#"{"n":"many","of":"me"}"#);
    start(&mut line, r#"{"n":1}"#);
    let said = line.rejections();
    assert!(said.len() == 2 && said[0].contains('n') && said[1].contains("of"), "{said:?}");
    start(&mut line, r#"{"n":1,"of":"me"}"#);
    assert_eq!((line.asked(), line.counters.started), (vec!["part/a/task/do".to_owned()], 1));
}

/// No version of it keeps what the saga above counts on: it never began, and the saga above fails loudly, with nothing left behind.
#[test]
fn what_cannot_begin_fails_its_saga() {
    without("sub_saga_not_found", || {
        let (mut line, mut ledger) = (Line::of(DEFINITIONS, |_| {}), Ledger::default());
        begin(&mut line);
        answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
        assert_eq!((line.status("alpha/a"), kept(&ledger), line.counters.errors), (Some(Status::Compensated), 0, 1));
        assert_eq!(line.stopped(), None);
    });
}

/// Each version by itself is not too deep; together they are.
#[test]
fn rows_have_an_end_whatever_is_deployed() {
    let part = |number: usize, steps: &str| format!("---\nsaga: c{number}\ninput: {{}}\nsteps:\n{steps}");
    let task = "  - { step: task, do: worker.Work, undo: worker.Rest, timeout: 10s }\n";
    let mut all =
        format!("saga: alpha\nstart: {{ on: Asked, from: alphas, key: event.id }}\nsteps:\n{task}  - {{ step: s, run: c1 }}\n");
    (1..7).for_each(|number| all.push_str(&part(number, &format!("  - {{ step: s, run: c{} }}\n", number + 1))));
    all.push_str(&part(7, task));
    let ends = || {
        let (mut line, mut ledger) = (Line::of(&all, |_| {}), Ledger::default());
        line.deploy(&format!("{}{}", part(7, "  - { step: s, run: c8 }\n"), part(8, task)));
        begin(&mut line);
        answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
        (line.status("alpha/a"), kept(&ledger))
    };
    assert_eq!(ends(), (Some(Status::Compensated), 0));
    without("rows_without_depth", || assert_eq!(ends(), (Some(Status::Completed), 2)));
}
