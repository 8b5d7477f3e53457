//! A saga that a person pauses: that lasts over restarts, and what is parked for its participant waits on when that is asked again.

use ringmaster_core::partition::Role;
use ringmaster_schemas::journal::{RejectionReason, SagaEvent};
use ringmaster_schemas::state::{Index, PAUSED, index_keys, parked_places};

use super::acts::CONTROL;
use super::line::{Line, REPLIES};

const TWO: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
deadline: 1h
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s, within: 1m, retry: { first: 200ms, factor: 1, max: 200ms } }
  - { step: use, do: worker.Use, with: { id: key }, undo: nothing }
";

fn line() -> Line {
    Line::of(TWO, |settings| {
        settings.inputs[CONTROL].role = Role::Control;
        settings.breaker.on = false;
    })
}

impl Line {
    fn act(&mut self, key: &str, act: &str) {
        let record = format!(r#"{{"saga":"alpha/{key}","act":"{act}","by":"ann","why":"the hall is closed"}}"#);
        self.put(CONTROL, self.clocks.wall, Some(key), &record);
        self.poll();
        self.acknowledge();
    }

    fn done(&mut self, key: &str, step: &str, attempt: i32) {
        let reply = format!(
            r#"{{"meta":{{"idempotency_key":"alpha/{key}/{step}/do","attempt":{attempt},"outcome":"succeeded"}},"body":null}}"#
        );
        self.put(REPLIES, self.clocks.wall, None, &reply);
        self.poll();
        self.acknowledge();
    }
}

#[test]
fn a_paused_saga_is_found_again_and_goes_on_when_it_is_resumed() {
    for stored in [false, true] {
        let mut line = line();
        line.ask("Asked", "one", 5);
        line.ask("Asked", "two", 5);
        assert_eq!(line.sent(), ["one", "two"]);
        line.act("one", "pause");
        line.act("two", "pause");
        line.done("one", "task", 1);
        for _ in 0..200 {
            line.pass(60_000);
            line.look();
        }
        assert_eq!(line.sent(), [""; 0], "nothing goes out, and nothing is undone");
        if stored {
            line.checkpoint();
            let row = line.parked_row("alpha/one");
            let place = index_keys(&row).place(Index::Parked).expect("it has a place");
            assert!(parked_places(Some(PAUSED)).contains(&place), "by which it is found");
        }
        line.restart(|_| {});
        line.own();
        assert_eq!(line.partition.parked_count(), 2, "stored: {stored}");
        line.act("one", "pause");
        let (reason, why) = line.turned_down().expect("it is paused");
        assert!(reason == RejectionReason::NotPossible && why.contains("ann has paused it already: the hall is closed"), "{why}");
        let _ = line.sent();
        line.act("one", "resume");
        line.act("two", "resume");
        assert_eq!(line.sent(), ["one", "two"], "stored: {stored}");
        line.done("one", "use", 1);
        line.done("two", "task", 2);
        line.done("two", "use", 1);
        assert_eq!((line.counters.completed, line.partition.parked_count()), (2, 0));
    }
}

/// It lets the others go before it, and is asked when both it and its participant are resumed.
#[test]
fn what_is_parked_waits_on_while_its_saga_is_paused() {
    let mut line = line();
    line.act_on("worker", "pause");
    line.starts(0..5);
    line.act("1", "pause");
    line.act("3", "pause");
    line.act_on("worker", "resume");
    let (_, mut order) = line.drained();
    order.retain(|key| !["0", "2", "4"].contains(&&**key));
    assert_eq!(order, [""; 0], "those that are paused stay");
    assert_eq!(line.breakers().last().map(String::as_str), Some("worker: closed"), "and hold up nothing");
    line.act("1", "resume");
    assert_eq!(line.sent(), ["1"]);
    line.act_on("worker", "pause");
    line.act("3", "resume");
    assert_eq!((line.sent(), line.partition.parked_count()), (vec![], 1), "it waits for its participant again");
    line.act_on("worker", "resume");
    assert_eq!(line.sent(), ["3"]);
}

/// Something else of it is due while it is paused: that does not wake what sleeps.
#[test]
fn a_sleeper_does_not_wake_while_its_saga_is_paused() {
    const NAP: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: sides
    parallel:
      left: [ { step: nap, sleep: 5s } ]
      right: [ { step: task, do: worker.Work, with: { id: key }, undo: nothing, timeout: 10s } ]
";
    let woken = || {
        let mut line = Line::of(NAP, |settings| {
            settings.inputs[CONTROL].role = Role::Control;
            settings.breaker.on = false;
        });
        line.ask("Asked", "one", 5);
        line.act("one", "pause");
        let from = line.journal.len();
        for _ in 0..4 {
            line.pass(5_000);
            line.look();
        }
        let paused = line.events_since(from);
        line.act("one", "resume");
        line.done("one", "task", 2);
        for _ in 0..2 {
            line.pass(1_000);
            line.look();
        }
        assert_eq!(line.counters.completed, 1, "{:?}", line.events_since(from));
        paused.iter().any(|event| matches!(event, SagaEvent::Succeeded { .. }))
    };
    assert!(!woken());
    super::line::without("paused_sleeper_wakes", || assert!(woken()));
}

/// Somebody without a name pauses it, too: it is resumed like any other.
#[test]
fn who_pauses_it_may_have_no_name() {
    let mut line = line();
    line.ask("Asked", "one", 5);
    for act in ["pause", "resume"] {
        let record = format!(r#"{{"saga":"alpha/one","act":"{act}","by":"","why":"the hall is closed"}}"#);
        line.put(CONTROL, line.clocks.wall, Some("one"), &record);
        line.poll();
        line.acknowledge();
        line.checkpoint();
        let row = line.stored_row("alpha/one").expect("it lives");
        assert_eq!(row.paused().map(|paused| (&*paused.by, row.parked())), (act == "pause").then_some(("?", true)));
    }
    assert_eq!(line.rejections(), [""; 0]);
}
