//! What a person says to a participant, and what is never answered while it drains.

use std::collections::BTreeMap;

use ringmaster_core::partition::{BreakerSettings, Role};

use super::acts::CONTROL;
use super::line::Line;
use super::parking::{BREAKER, DEFINITIONS, line};

/// What is out and is never heard of counts no longer than its attempt: the drain does not stand still.
#[test]
fn what_is_never_answered_does_not_hold_up_the_rest() {
    let mut line = Line::of(DEFINITIONS, |settings| {
        settings.inputs[CONTROL].role = Role::Control;
        settings.breaker = BreakerSettings { on: false, ..BREAKER };
    });
    line.act_on("worker", "pause");
    line.starts(0..5);
    line.act_on("worker", "resume");
    let first = line.sent();
    assert_eq!(first, ["0"]);
    line.says_cancel("0");
    for _ in 0..200 {
        line.pass(1_000);
        line.look();
        for key in line.sent() {
            let attempt = line.attempt_of(&key);
            line.well(&key, attempt);
        }
    }
    assert_eq!(line.counters.completed, 4, "all but the one that was cancelled");
    assert_eq!(line.breakers().last().map(String::as_str), Some("worker: closed"));
}

impl Line {
    fn says_cancel(&mut self, key: &str) {
        let act = format!(r#"{{"saga":"alpha/{key}","act":"cancel","by":"ann","why":"changed their mind"}}"#);
        self.put(CONTROL, self.clocks.wall, Some(key), &act);
        self.poll();
    }
}

#[test]
fn an_act_that_means_nothing_is_rejected_with_its_reason() {
    let mut line = line();
    line.act_on("worker", "resume");
    line.act_on("werker", "pause");
    line.act_on("worker", "pause");
    line.act_on("worker", "pause");
    line.ask("Asked", "a", 5);
    line.ask("Asked", "b", 5);
    line.act_on("worker", "resume");
    line.act_on("worker", "resume");
    assert_eq!(
        line.rejections(),
        [
            "worker: it is not paused: it is asked",
            "werker: no saga asks 'werker'; there are helper, worker",
            "worker: ann paused it already: maintenance",
            "worker: it is resumed already: what was parked goes out little by little",
        ]
    );
    line.put(CONTROL, line.clocks.wall, None, r#"{"participant":"worker","act":"stop","by":"ann","why":"x"}"#);
    line.poll();
    assert_eq!(line.counters.quarantined, 1, "what cannot be read is kept apart");
}

/// Some sagas' commands fail again and again, and may be tried again: they are given up by their own budgets, and no other waits for them.
#[test]
fn what_fails_again_and_again_does_not_go_round_for_ever() {
    for answers in [true, false] {
        let (most, compensated) = poisoned(answers);
        assert!(most <= 4 && compensated == 35, "{most} attempts of each, {compensated} ended, answers: {answers}");
    }
    #[cfg(feature = "faults")]
    super::line::without("failure_forgiven_while_draining", || {
        let (most, compensated) = poisoned(false);
        assert!(most > 4 && compensated == 0, "they go round: {most} attempts, {compensated} ended");
    });
}

/// `answers`: with a failure, or not at all. The most attempts of a saga of which each fails, and how many of these have ended: all but five of forty are such.
fn poisoned(answers: bool) -> (i32, u64) {
    let mut line = Line::of(DEFINITIONS, |settings| {
        settings.inputs[CONTROL].role = Role::Control;
        settings.breaker = BreakerSettings { on: false, ..BREAKER };
    });
    line.act_on("worker", "pause");
    line.starts(0..40);
    line.act_on("worker", "resume");
    let (mut most, mut asked) = (0, BTreeMap::new());
    for _ in 0..200 {
        for key in line.sent() {
            let attempt = line.attempt_of(&key);
            match key.parse::<usize>() {
                Ok(5..) if asked.insert(key.clone(), attempt) != Some(attempt) => {
                    most = most.max(attempt);
                    if answers {
                        line.replies(&format!("alpha/{key}/task/do"), attempt, "failed");
                    }
                }
                Ok(5..) => line.replies(&format!("alpha/{key}/task/undo"), 1, "succeeded"),
                _ => line.well(&key, attempt),
            }
        }
        line.pass(if answers { 100 } else { 5_000 });
        line.look();
    }
    assert_eq!(line.counters.completed, 5, "the others");
    (most, line.counters.compensated)
}
