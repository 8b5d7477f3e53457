//! Participants that are asked no more, and again: by a person, by themselves, over restarts and checkpoints.

use std::collections::BTreeMap;

use ringmaster_core::partition::{BreakerSettings, Note, Role, Tag, Wish};
use ringmaster_schemas::journal::{BreakerEvent, Change, JournalRecord, SagaEvent};
use ringmaster_schemas::state::{Breaker, BreakerState, RowKey, Saga, Waits};

use super::acts::CONTROL;
use super::line::{ALPHAS, Line, REPLIES};

/// One step, and one with branches that ask two participants.
pub(super) const DEFINITIONS: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
priority: start.?rank.orValue(5)
deadline: 1h
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s, within: 1m, retry: { attempts: 2, first: 200ms, factor: 1, max: 200ms } }
---
saga: both
start: { on: Both, from: alphas, key: event.id }
steps:
  - step: sides
    parallel:
      left: [ { step: left, do: worker.Work, with: { id: key }, undo: nothing } ]
      right: [ { step: right, do: helper.Work, with: { id: key }, undo: nothing } ]
";

pub(super) const BREAKER: BreakerSettings =
    BreakerSettings { on: true, window_ms: 10_000, share_percent: 50, minimum: 3, probe_ms: 5_000, drain_max: 8 };

pub(super) fn line() -> Line {
    Line::of(DEFINITIONS, |settings| {
        settings.inputs[CONTROL].role = Role::Control;
        settings.breaker = BREAKER;
    })
}

impl Line {
    pub(super) fn act_on(&mut self, participant: &str, act: &str) {
        let record = format!(r#"{{"participant":"{participant}","act":"{act}","by":"ann","why":"maintenance"}}"#);
        self.put(CONTROL, self.clocks.wall, None, &record);
        self.poll();
    }

    pub(super) fn ask(&mut self, kind: &str, id: &str, rank: u8) {
        let event = format!(r#"{{"type":"{kind}","id":"{id}","rank":{rank}}}"#);
        self.put(ALPHAS, self.clocks.wall, Some(id), &event);
        self.poll();
    }

    pub(super) fn starts(&mut self, ids: std::ops::Range<usize>) {
        for id in ids {
            self.put(ALPHAS, self.clocks.wall, Some(&id.to_string()), &format!(r#"{{"type":"Asked","id":"{id}"}}"#));
            if id % 100 == 99 {
                self.poll();
                self.deliver();
            }
        }
        self.poll();
    }

    /// The commands that went out since this was asked last, in order: the keys of their sagas.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        for wish in std::mem::take(&mut self.wishes) {
            let Wish::Send(tag @ Tag::Effect(_)) = wish else {
                self.wishes.push(wish);
                continue;
            };
            let effect = self.partition.effect(tag).expect("it waits to be sent");
            sent.push(String::from_utf8(effect.key().to_vec()).expect("a saga's key"));
            let sender = self.sender();
            self.happens(ringmaster_core::partition::Happened::Acknowledged { sender, tag, offset: Some(0) });
        }
        sent
    }

    pub(super) fn well(&mut self, key: &str, attempt: i32) {
        self.replies(&format!("alpha/{key}/task/do"), attempt, "succeeded");
    }

    pub(super) fn replies(&mut self, key: &str, attempt: i32, outcome: &str) {
        let body = if outcome == "succeeded" { r#"{"n":1}"# } else { "null" };
        let reply = format!(
            r#"{{"meta":{{"idempotency_key":"{key}","attempt":{attempt},"outcome":"{outcome}","code":"C","retryable":true}},"body":{body}}}"#
        );
        self.put(REPLIES, self.clocks.wall, None, &reply);
        self.poll();
    }

    /// What became of breakers, by the journal.
    pub(super) fn breakers(&self) -> Vec<String> {
        let decisions = self.journal.iter().filter_map(|record| match JournalRecord::decode(record) {
            Ok(JournalRecord::Decision(decision)) => Some(decision),
            _ => None,
        });
        let changes = decisions.flat_map(|decision| decision.turns).flat_map(|turn| turn.changes);
        let told = changes.filter_map(|change| match change {
            Change::Breaker(change) => Some(match change.event {
                BreakerEvent::Opened { by: Some(by), .. } => format!("{}: paused by {by}", change.participant),
                BreakerEvent::Opened { by: None, why } => format!("{}: open: {why}", change.participant),
                BreakerEvent::Draining { by, .. } => format!("{}: drains{}", change.participant, by.map_or("", |_| " by a person")),
                BreakerEvent::Closed { .. } => format!("{}: closed", change.participant),
            }),
            _ => None,
        });
        told.collect()
    }

    pub(super) fn rejections(&self) -> Vec<String> {
        let told = self.wishes.iter().filter_map(|wish| match wish {
            Wish::Tell(Note::Rejected { saga, detail, .. }) => Some(format!("{saga}: {detail}")),
            _ => None,
        });
        told.collect()
    }

    pub(super) fn parked_row(&self, id: &str) -> Saga {
        Saga::decode(&id.into(), &self.rows[&RowKey::saga(id)]).expect("a row")
    }

    /// Answers what goes out until nothing does; how many went out from answer to answer, and in which order.
    pub(super) fn drained(&mut self) -> (Vec<usize>, Vec<String>) {
        let (mut rounds, mut order) = (Vec::new(), Vec::new());
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return (rounds, order);
            }
            rounds.push(sent.len());
            for key in &sent {
                let reply = format!(
                    r#"{{"meta":{{"idempotency_key":"alpha/{key}/task/do","attempt":1,"outcome":"succeeded","code":"C","retryable":true}},"body":null}}"#
                );
                self.put(REPLIES, self.clocks.wall, None, &reply);
            }
            order.extend(sent);
            self.poll();
        }
    }
}

#[test]
fn a_paused_participant_is_asked_nothing_and_then_little_by_little() {
    paused_and_resumed(&[1, 2, 4, 8, 8, 8, 8, 1]);
    #[cfg(feature = "faults")]
    super::line::without("drained_at_once", || paused_and_resumed(&[40]));
}

/// `ramp`: how many go out from answer to answer.
fn paused_and_resumed(ramp: &[usize]) {
    let mut line = line();
    line.act_on("worker", "pause");
    line.starts(0..40);
    assert_eq!(line.sent(), [""; 0], "nothing goes out");
    assert_eq!((line.partition.parked_count(), line.partition.open_breakers()), (40, 1));
    let idle = line.partition.idle(line.clocks.wall, line.clocks.steady);
    assert!(idle.as_secs() > 3_600, "nobody looks at what waits for a person: {idle:?}");
    for _ in 0..400 {
        line.pass(60_000);
        line.look();
    }
    assert_eq!(line.counters.compensated + line.counters.stuck + line.counters.commands, 0, "no clock of theirs runs");
    line.act_on("worker", "resume");
    let (rounds, order) = line.drained();
    assert_eq!(rounds, ramp, "doubling, up to what may be out");
    assert_eq!(order.len(), 40);
    assert_eq!(line.counters.completed, 40);
    assert_eq!(line.breakers(), ["worker: paused by ann", "worker: drains by a person", "worker: closed"]);
    line.ask("Asked", "later", 5);
    assert_eq!(line.sent(), ["later"], "it is asked as ever");
}

#[test]
fn the_higher_priority_goes_first_and_age_makes_up_for_it() {
    let mut line = line();
    line.act_on("worker", "pause");
    for (id, rank) in [("old", 5), ("low", 0), ("gold", 9), ("much", 200)] {
        line.ask("Asked", id, rank);
        line.pass(1_000);
    }
    // Nine minutes of age are worth nine steps of priority.
    line.pass(9 * 60_000);
    line.ask("Asked", "late gold", 9);
    line.ask("Asked", "late usual", 5);
    line.act_on("worker", "resume");
    let (_, order) = line.drained();
    assert_eq!(order, ["gold", "much", "old", "low", "late gold", "late usual"]);
}

/// What comes while it drains waits behind what was parked.
#[test]
fn what_comes_new_waits_behind_what_is_parked() {
    let mut line = line();
    line.act_on("worker", "pause");
    line.starts(0..10);
    line.act_on("worker", "resume");
    assert_eq!(line.sent(), ["0"]);
    line.ask("Asked", "new", 5);
    assert_eq!(line.sent(), [""; 0]);
    line.well("0", 1);
    let (_, order) = line.drained();
    assert_eq!(order.last().map(String::as_str), Some("new"));
    assert_eq!(order.len(), 10);
}

#[test]
fn it_opens_by_itself_probes_and_drains_and_no_saga_fails_for_it() {
    let mut line = line();
    line.starts(0..6);
    assert_eq!(line.sent().len(), 6);
    // Three attempts of six are not answered in time: the third opens it; no second attempt goes out.
    line.pass(10_100);
    line.look();
    line.pass(300);
    line.look();
    assert_eq!(line.breakers(), ["worker: open: 3 of its last 6 attempts failed or were not answered, within 10 s"]);
    assert_eq!(line.sent(), [""; 0]);
    line.starts(6..9);
    assert_eq!((line.sent(), line.partition.parked_count()), (Vec::new(), 9));
    // A probe goes out now and then; while they fail nothing else happens.
    for probe in 0..20 {
        line.pass(5_000);
        line.look();
        line.look();
        let sent = line.sent();
        assert_eq!(sent.len(), 1, "probe {probe}: {sent:?}");
    }
    assert_eq!((line.counters.compensated, line.counters.stuck), (0, 0));
    line.pass(5_000);
    line.look();
    let probe = line.sent().remove(0);
    let attempt = line.attempt_of(&probe);
    line.well(&probe, attempt);
    assert_eq!(line.breakers()[1..], ["worker: drains".to_owned()]);
    let mut rounds = Vec::new();
    while line.counters.completed < 9 {
        let sent = line.sent();
        rounds.push(sent.len());
        assert!(rounds.len() < 100, "{rounds:?}");
        for key in sent {
            let attempt = line.attempt_of(&key);
            line.well(&key, attempt);
        }
        // An earlier probe may still be out.
        line.pass(1_000);
        line.look();
    }
    assert_eq!(line.breakers().last().map(String::as_str), Some("worker: closed"));
    assert_eq!((line.counters.compensated, line.counters.stuck), (0, 0));
}

impl Line {
    /// The attempt of a saga's only command that was issued last.
    pub(super) fn attempt_of(&mut self, key: &str) -> i32 {
        let id = format!("alpha/{key}");
        let mut attempt = 0;
        for record in &self.journal {
            let Ok(JournalRecord::Decision(decision)) = JournalRecord::decode(record) else { continue };
            for change in decision.turns.iter().flat_map(|turn| &turn.changes) {
                let Change::Saga(change) = change else { continue };
                for event in change.events.iter().filter(|_| *change.saga == *id) {
                    attempt = match event {
                        SagaEvent::CommandIssued { .. } => 1,
                        SagaEvent::CommandRepeated { attempt, .. } | SagaEvent::Retried { attempt, .. } => i32::from(*attempt),
                        _ => attempt,
                    };
                }
            }
        }
        attempt
    }
}

/// With the breaker off only people pause.
#[test]
fn a_breaker_that_is_off_does_not_open_by_itself() {
    let mut line = Line::of(DEFINITIONS, |settings| {
        settings.inputs[CONTROL].role = Role::Control;
        settings.breaker = BreakerSettings { on: false, ..BREAKER };
    });
    line.starts(0..10);
    for _ in 0..5 {
        line.pass(10_300);
        line.look();
    }
    assert_eq!(line.breakers(), [""; 0]);
    line.act_on("worker", "pause");
    assert_eq!(line.partition.open_breakers(), 1);
}

/// More than is held in memory at once, from the journal, and from the store after rows have left memory.
#[test]
fn what_is_parked_is_found_again_in_its_order() {
    const COUNT: usize = 9_500;
    for stored in [false, true] {
        let mut line = line();
        line.act_on("worker", "pause");
        for part in 0..COUNT / 500 {
            line.pass(7);
            line.starts(part * 500..(part + 1) * 500);
            if stored && part % 3 == 0 {
                line.checkpoint();
            }
        }
        if stored {
            assert_eq!(line.partition.overlay_size().0, 0, "parked rows leave memory");
        }
        line.restart(|settings| settings.breaker.drain_max = 500);
        line.own();
        assert_eq!((line.partition.parked_count(), line.partition.open_breakers()), (COUNT, 1));
        line.act_on("worker", "resume");
        let (_, order) = line.drained();
        let part = |id: &String| id.parse::<usize>().expect("a number") / 500;
        assert!(order.iter().map(part).is_sorted(), "the oldest first");
        assert_eq!((order.len(), line.counters.completed), (COUNT, COUNT as u64), "stored: {stored}");
        assert_eq!(line.breakers().last().map(String::as_str), Some("worker: closed"));
        line.checkpoint();
        assert!(!line.rows.keys().any(|key| matches!(key, RowKey::Breaker(_))), "one that is closed has no row");
    }
}

#[test]
fn a_breaker_is_stored_and_taken_up_where_it_stood() {
    let mut line = line();
    line.act_on("worker", "pause");
    line.ask("Both", "one", 5);
    line.checkpoint();
    let stored: BTreeMap<_, _> = line.rows.iter().filter(|(key, _)| matches!(key, RowKey::Breaker(_))).collect();
    let [(RowKey::Breaker(name), row)] = &stored.into_iter().collect::<Vec<_>>()[..] else { panic!("one breaker") };
    let breaker = Breaker::decode(row).expect("a row");
    assert_eq!(
        (&**name, breaker.state, breaker.by.as_deref(), &*breaker.why),
        ("worker", BreakerState::Paused, Some("ann"), "maintenance")
    );
    line.restart(|_| {});
    line.own();
    line.ask("Asked", "two", 5);
    let _ = line.sent();
    assert_eq!(line.partition.parked_count(), 2);
}

/// A row that waits for two has one place in the index, and both find it.
#[test]
fn a_row_that_waits_for_two_goes_on_for_each() {
    for stored in [false, true] {
        let mut line = line();
        line.act_on("worker", "pause");
        line.act_on("helper", "pause");
        for id in ["a", "b", "c"] {
            line.ask("Both", id, 5);
        }
        line.ask("Asked", "d", 5);
        if stored {
            line.checkpoint();
            line.restart(|_| {});
            line.own();
        }
        line.act_on("helper", "resume");
        let mut helped = Vec::new();
        for _ in 0..5 {
            for key in line.sent() {
                line.replies(&format!("both/{key}/right/do"), 1, "succeeded");
                helped.push(key);
            }
        }
        assert_eq!(helped, ["a", "b", "c"]);
        assert_eq!(line.breakers().last().map(String::as_str), Some("helper: closed"));
        line.act_on("worker", "resume");
        let mut worked = Vec::new();
        for _ in 0..20 {
            for key in line.sent() {
                let step = if key == "d" { "alpha/d/task".to_owned() } else { format!("both/{key}/left") };
                line.replies(&format!("{step}/do"), 1, "succeeded");
                worked.push(key);
            }
        }
        assert_eq!(line.counters.completed, 4, "stored: {stored}: {helped:?}, {worked:?}");
        line.checkpoint();
        assert!(line.parked_row("both/a").entries.iter().all(|entry| entry.waits == Waits::No));
    }
}
