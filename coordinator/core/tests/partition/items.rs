//! Rows below a saga: turns of several rows, in journal, store and memory.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_core::partition::{Note, Settings, Tag, Wish};
use ringmaster_schemas::names::parse_idempotency_key;
use ringmaster_schemas::state::{RowKey, Saga, Status};
use ringmaster_schemas::wire;

use super::line::{ALPHAS, Line, without};

mod people;
mod told;

const DEFINITIONS: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - step: lines
    for_each: event_lines
    as: line
    at_once: 5
    steps:
      - { step: task, do: worker.Work, with: { n: line, at: index, text: start.text }, undo: worker.Rest, timeout: 10s }
      - { step: more, do: helper.Help, with: { n: line }, undo: helper.Unhelp, timeout: 10s }
    result: { line: line }
  - { step: end, do: helper.End, with: { all: steps.lines }, pivot: true, timeout: 10s }
";

/// What a participant has done, by key: how often it was done, and undone.
#[derive(Debug, Default)]
pub(crate) struct Ledger(pub(crate) BTreeMap<String, (u32, u32)>);

fn line(change: impl FnOnce(&mut Settings)) -> Line {
    Line::of(&DEFINITIONS.replace("event_lines", "start.lines"), change)
}

fn begin(line: &mut Line, items: usize, text: &str) {
    let lines: Vec<String> = (0..items).map(|n| n.to_string()).collect();
    let event = format!(r#"{{"type":"Asked","id":"a","text":"{text}","lines":[{}]}}"#, lines.join(","));
    line.put(ALPHAS, line.clocks.wall, Some("a"), &event);
    line.poll();
}

impl Line {
    /// The commands that were sent: key, attempt and body. The broker takes each.
    pub(crate) fn commands(&mut self) -> Vec<(String, i32, String)> {
        let schemas = ringmaster_schemas::registry::Schemas::builtin();
        let mut commands = Vec::new();
        for wish in std::mem::take(&mut self.wishes) {
            let Wish::Send(tag @ Tag::Effect(_)) = wish else {
                self.wishes.push(wish);
                continue;
            };
            let effect = self.partition.effect(tag).expect("it waits to be sent");
            let key = String::from_utf8(effect.key().to_vec()).expect("a key is text");
            if let Ok(command) = wire::decode_command(effect.value(), &schemas) {
                let wire::Body::Json(body) = command.body else { panic!("they speak JSON") };
                assert!(command.meta.idempotency_key.contains(&format!("/{key}/")), "keyed by the saga's key");
                commands.push((command.meta.idempotency_key.to_string(), command.meta.attempt, body.to_owned()));
            }
            let sender = self.sender();
            self.happens(ringmaster_core::partition::Happened::Acknowledged { sender, tag, offset: Some(0) });
        }
        commands
    }

    pub(crate) fn stored_row(&self, id: &str) -> Option<Saga> {
        Some(Saga::decode(&id.into(), self.rows.get(&RowKey::saga(id))?).expect("a stored row"))
    }

    /// The owner dies, perhaps right behind a checkpoint, and another one goes on.
    pub(crate) fn dies(&mut self, behind_checkpoint: bool) {
        self.lose_unacknowledged();
        if behind_checkpoint {
            self.checkpoint();
        }
        self.restart(|_| {});
        self.own();
        self.poll();
    }

    /// Everything from the journal's beginning, without a store, comes to the same rows and digest.
    pub(crate) fn replays(&mut self) {
        if let Some(staged) = self.partition.stage_checkpoint() {
            self.store(staged);
        }
        let (stored, rows) = (self.stored.take().expect("it was stored"), std::mem::take(&mut self.rows));
        self.restart(|_| {});
        self.own();
        self.poll();
        self.checkpoint();
        let again = self.stored.as_ref().expect("it is stored");
        assert_eq!(again.digest, stored.digest, "the digest of what was replayed");
        let sagas = |rows: &BTreeMap<RowKey, Vec<u8>>| -> BTreeMap<String, Vec<u8>> {
            let all = rows.iter().filter(|(key, _)| matches!(key, RowKey::Saga(_)));
            all.map(|(key, row)| (key.to_string(), row.clone())).collect()
        };
        assert_eq!(sagas(&self.rows), sagas(&rows), "rows that were replayed");
    }
}

/// Answers what is sent until nothing is; `refuses` says which key is refused, `between` what happens after each round.
pub(crate) fn answer_all(
    line: &mut Line,
    ledger: &mut Ledger,
    refuses: &dyn Fn(&str) -> bool,
    between: &mut dyn FnMut(&mut Line, usize),
) -> BTreeSet<String> {
    let (mut seen, mut bodies) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..3_000 {
        let commands = line.commands();
        if commands.is_empty() && round > 0 {
            line.look();
            if line.wishes.iter().all(|wish| !matches!(wish, Wish::Send(_))) {
                return bodies;
            }
        }
        for (key, attempt, body) in commands {
            let (id, step, direction) = parse_idempotency_key(&key).expect("a key");
            let account = ledger.0.entry(format!("{id}/{step}")).or_default();
            let refused = refuses(&key);
            match direction.as_str() {
                _ if refused => {}
                "do" => account.0 = 1,
                _ => account.1 = 1,
            }
            bodies.insert(body);
            seen.insert(key.clone());
            line.replies(&key, attempt, if refused { "refused" } else { "succeeded" });
        }
        between(line, round);
    }
    panic!("it goes on and on: {seen:?}");
}

#[test]
fn a_list_is_gone_through_and_its_rows_go_with_the_saga() {
    let (mut line, mut ledger) = (line(|_| {}), Ledger::default());
    begin(&mut line, 40, "x");
    assert_eq!(line.counters.commands, 5, "at most so many at once");
    line.checkpoint();
    let open = line.stored_row("alpha/a").expect("it lives").entries[0].children().expect("it has items").open.len();
    assert_eq!(open, 5);
    let bodies = answer_all(&mut line, &mut ledger, &|_| false, &mut |line, round| {
        if round % 7 == 3 {
            line.replays();
        }
    });
    let all: Vec<String> = (0..40).map(|n| format!(r#"{{"line":{n}}}"#)).collect();
    let told = format!(r#"{{"all":[{}]}}"#, all.join(","));
    assert!(bodies.contains(&told), "results in order: {bodies:?}");
    assert!(bodies.contains(r#"{"n":39,"at":39,"text":"x"}"#), "an item, its number, and what the saga started by: {bodies:?}");
    assert_eq!(ledger.0.values().filter(|account| **account == (1, 0)).count(), 81);
    line.poll();
    line.replays();
    let rows: Vec<String> = line.rows.keys().filter(|key| matches!(key, RowKey::Saga(_))).map(ToString::to_string).collect();
    assert_eq!(rows, ["alpha/a"], "rows of items go with their saga");
    assert_eq!(line.stored_row("alpha/a").map(|saga| saga.status), Some(Status::Completed));
}

/// Killed behind every round, with what it knew last, or with the journal alone.
#[test]
fn it_goes_on_after_a_crash_at_any_place() {
    for crash_at in 0..30 {
        for refused in [None, Some("alpha/a/lines.6/more/do")] {
            let (mut line, mut ledger) = (line(|_| {}), Ledger::default());
            begin(&mut line, 9, "x");
            answer_all(&mut line, &mut ledger, &|key| refused == Some(key), &mut |line, round| {
                if round == crash_at {
                    line.dies(crash_at % 2 == 0);
                }
            });
            line.checkpoint();
            let ended = line.stored_row("alpha/a").expect("it is remembered").status;
            let kept = ledger.0.values().filter(|(done, undone)| *done > *undone).count();
            match refused {
                None => assert_eq!((ended, kept), (Status::Completed, 19), "crash at {crash_at}"),
                Some(_) => assert_eq!((ended, kept), (Status::Compensated, 0), "crash at {crash_at}"),
            }
        }
    }
}

/// Commands are so large that not all of them fit into a journal record.
#[test]
fn a_turn_of_many_items_stays_within_a_record() {
    let text = "x".repeat(180_000);
    let (mut line, mut ledger) = (line(|_| {}), Ledger::default());
    begin(&mut line, 12, &text);
    line.poll();
    answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
    assert_eq!(line.stopped(), None);
    assert_eq!((line.counters.completed, line.counters.quarantined, line.counters.errors), (1, 0, 0));
    assert!(line.journal.iter().all(|record| record.len() <= 512 << 10));
}

/// L11: what a row has to do by itself goes on in one turn behind the other, while nothing stands against it: all may begin that may at once,
/// though a turn has room for fewer.
#[test]
fn work_of_its_own_is_not_left() {
    let begun = || {
        let definitions = DEFINITIONS.replace("event_lines", "start.lines").replace("at_once: 5", "at_once: 100");
        let mut line = Line::of(&definitions, |_| {});
        begin(&mut line, 300, "x");
        line.counters.commands
    };
    assert_eq!(begun(), 100);
    without("due_zero_dropped", || assert!(begun() < 100, "a turn has room for fewer"));
}

/// Lines whose beginning costs much are begun few at a time: a turn costs what a turn may.
#[test]
fn a_turn_of_many_items_costs_no_more_than_a_turn_may() {
    let turns = |condition: &str| {
        let definitions = DEFINITIONS
            .replace("event_lines", "start.lines")
            .replace("at_once: 5", "at_once: 100")
            .replace("{ step: task,", &format!("{{ step: task, if: \"{condition}\","));
        let mut line = Line::of(&definitions, |_| {});
        begin(&mut line, 300, "x");
        (line.counters.commands, line.counters.turns)
    };
    let costly = "start.lines.all(a, start.lines.exists(b, b == a))";
    let (begun, few) = turns("line >= 0");
    assert!(begun == 100 && few < 10, "few turns begin a hundred cheap ones, not {few}");
    let (commands, many) = turns(costly);
    assert!(commands == 100 && many > 2 * few, "{commands} commands in {many} turns");
    #[cfg(feature = "faults")]
    super::line::without("work_costs_nothing", || assert_eq!(turns(costly), (100, few)));
}

/// A list that is gone through counts as what the row holds, like bodies and results beside it.
#[test]
fn a_list_counts_as_what_its_row_holds() {
    let definitions = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: both
    parallel:
      one: [ { step: lines, for_each: start.lines, as: line, steps: [ { step: task, do: worker.Work, with: { n: line }, undo: worker.Rest } ] } ]
      two: [ { step: much, do: helper.Help, with: { a: start.text, b: start.text }, undo: worker.Rest } ]
";
    let errors = |items: usize| {
        let mut line = Line::of(definitions, |_| {});
        begin(&mut line, items, &"x".repeat(68_000));
        line.counters.errors
    };
    assert_eq!(errors(100), 0, "a short list leaves room");
    assert_eq!(errors(9_000), 1, "start, list and command are more than a row may hold");
}

/// What is due at once is found again in the store.
#[test]
fn work_that_is_left_is_found_after_a_restart() {
    let (mut line, mut ledger) = (line(|settings| settings.limits.in_flight_records_max = 1), Ledger::default());
    // The broker says nothing for a while: work waits.
    for (id, lines) in [("b", ""), ("a", "0,1,2,3,4,5,6,7,8,9")] {
        let event = format!(r#"{{"type":"Asked","id":"{id}","text":"x","lines":[{lines}]}}"#);
        line.put(ALPHAS, line.clocks.wall, Some(id), &event);
        line.happens(ringmaster_core::partition::Happened::PollEnded);
    }
    line.acknowledge();
    line.checkpoint();
    let stored = line.stored_row("alpha/a").expect("it lives");
    assert!(stored.has_work(), "some of it is left: {:?}", stored.entries[0].children());
    line.restart(|_| {});
    line.own();
    line.look();
    answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
    assert_eq!(ledger.0.len(), 22, "each command of ten items, and the end of both sagas");
}

/// A saga is paused with the items that are under way, which only their saga resumes; no other begins meanwhile.
#[test]
fn items_are_paused_with_their_saga() {
    for restart in [false, true] {
        let mut line = Line::of(&DEFINITIONS.replace("event_lines", "start.lines"), |settings| {
            settings.inputs[super::acts::CONTROL].role = ringmaster_core::partition::Role::Control;
        });
        let act = |line: &mut Line, id: &str, act: &str| {
            let act = format!(r#"{{"saga":"{id}","act":"{act}","by":"ann","why":"the customer calls"}}"#);
            line.put(super::acts::CONTROL, line.clocks.wall, Some("a"), &act);
            line.poll();
            line.acknowledge();
        };
        begin(&mut line, 6, "x");
        let mut ledger = Ledger::default();
        act(&mut line, "alpha/a/lines.1", "pause");
        act(&mut line, "alpha/a", "pause");
        act(&mut line, "alpha/a/lines.1", "resume");
        act(&mut line, "alpha/a/lines.1", "pause");
        assert_eq!(
            line.rejections(),
            [
                "alpha/a/lines.1: an item is not paused by itself: pause alpha/a",
                "alpha/a/lines.1: it is paused with alpha/a: resume that",
                "alpha/a/lines.1: it is paused already, with alpha/a",
            ]
        );
        if restart {
            line.checkpoint();
            line.restart(|_| {});
            line.own();
            line.look();
        }
        answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
        for _ in 0..100 {
            line.pass(60_000);
            line.look();
            answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
        }
        assert_eq!(ledger.0.len(), 5, "what was out is answered, and no more is asked");
        act(&mut line, "alpha/a", "resume");
        answer_all(&mut line, &mut ledger, &|_| false, &mut |_, _| {});
        line.checkpoint();
        let row = line.stored_row("alpha/a").expect("it is remembered");
        assert_eq!((row.status, row.paused()), (ringmaster_schemas::state::Status::Completed, None), "restart: {restart}");
    }
}

#[test]
fn an_item_is_not_cancelled_alone() {
    let mut line = Line::of(&DEFINITIONS.replace("event_lines", "start.lines"), |settings| {
        settings.inputs[super::acts::CONTROL].role = ringmaster_core::partition::Role::Control;
    });
    begin(&mut line, 2, "x");
    let act = r#"{"saga":"alpha/a/lines.1","act":"cancel","by":"ann","why":"changed their mind"}"#;
    line.put(super::acts::CONTROL, line.clocks.wall, Some("a"), act);
    line.poll();
    assert_eq!(
        line.rejections(),
        ["alpha/a/lines.1: an item is not cancelled by itself: cancel alpha/a, or let the item be refused"]
    );
}

/// Metrics and the log speak of sagas. What becomes of an item its saga says, once, also where all items are undone for one's mistake.
#[test]
fn an_item_counts_as_no_saga() {
    let counts = |help: &str| {
        let definitions = DEFINITIONS.replace("event_lines", "start.lines").replace("helper.Help, with: { n: line }", help);
        let mut line = Line::of(&definitions, |_| {});
        begin(&mut line, 6, "x");
        let (mut ledger, refused) = (Ledger::default(), "alpha/a/lines.3/more/do");
        answer_all(&mut line, &mut ledger, &|key| key == refused, &mut |_, _| {});
        let told = |wish: &Wish| matches!(wish, Wish::Tell(Note::Compensating { .. } | Note::Mistaken { .. }));
        let told = line.wishes.iter().filter(|wish| told(wish)).count();
        [line.counters.started, line.counters.completed, line.counters.compensated, line.counters.errors, told as u64]
    };
    let (refused, mistaken) = ("helper.Help, with: { n: line }", "helper.Help, with: { n: 1 / (line - 3) }");
    assert_eq!(counts(refused), [1, 0, 1, 0, 1]);
    assert_eq!(counts(mistaken), [1, 0, 1, 1, 1]);
    without("item_counts_as_saga", || {
        let counted = counts(mistaken);
        assert!(counted[0] > 1 && counted[2] > 1 && counted[3] > 1 && counted[4] > 1, "{counted:?}");
    });
}

/// What is large in a row is told to the store with each checkpoint, as long as the row lives, and it is what the row keeps.
#[test]
fn large_values_are_told_to_the_store() {
    // Before and now, each large part of the row that a checkpoint writes.
    fn parts(line: &mut Line) -> (bool, Vec<Vec<u8>>) {
        let staged = line.partition.stage_checkpoint().expect("something is confirmed");
        let change = staged.rows.iter().find(|change| change.key == RowKey::saga("alpha/a")).expect("it has changed");
        let value = change.value.clone().expect("it is there");
        let told = (change.large.before, change.large.now.iter().map(|part| value[part.clone()].to_vec()).collect());
        line.store(staged);
        told
    }
    let run = || {
        let mut line = line(|_| {});
        begin(&mut line, 1_000, &"t".repeat(2_000));
        let row = |line: &mut Line| line.stored_row("alpha/a").expect("it is stored");
        let mut told = vec![parts(&mut line)];
        let list = row(&mut line).entries[0].children().expect("a for_each").list.clone().expect("not all have begun");
        let start = row(&mut line).start().to_vec();
        assert!(start.len() > 2_000 && list.bytes().len() > 1_000);
        answer_all(&mut line, &mut Ledger::default(), &|_| false, &mut |line, round| {
            if round == 3 {
                told.push(parts(line));
            }
        });
        line.poll();
        told.push(parts(&mut line));
        (told, vec![start, list.bytes().to_vec()])
    };
    let (told, kept) = run();
    assert_eq!(told, [(false, kept.clone()), (true, kept), (true, Vec::new())], "begun, under way, and ended");
    without("large_values_written_again", || assert!(run().0.iter().all(|(before, now)| !before && now.is_empty())));
}
