//! A participant that loses answers, is ill or away: when its breaker opens, and how soon it gets rid of what is parked, in virtual time.

use std::collections::BTreeMap;

use ringmaster_core::partition::{BreakerSettings, Role};

use super::acts::CONTROL;
use super::line::{Line, REPLIES, without};

const TICK_MS: i64 = 50;
/// How long a good answer takes.
const ANSWER_MS: i64 = 2_000;

/// What becomes of an attempt.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Well(i64),
    Failed(i64),
    Lost,
}

struct Shop<F> {
    line: Line,
    now: i64,
    orders: usize,
    /// Answers that are on their way, by when they come.
    answers: BTreeMap<i64, Vec<(String, i32, &'static str)>>,
    fate: F,
}

impl<F: FnMut(i32, i64) -> Fate> Shop<F> {
    /// `fate`: of this attempt, which is sent now.
    fn new(timeout_ms: i64, fate: F) -> Self {
        let definitions = format!(
            "
saga: alpha
start: {{ on: Asked, from: alphas, key: event.id }}
steps:
  - step: task
    do: worker.Work
    with: {{ id: key }}
    undo: nothing
    timeout: {timeout_ms}ms
    within: 10d
    retry: {{ attempts: 1000, first: 200ms, factor: 2, max: 30s }}
"
        );
        let line = Line::of(&definitions, |settings| {
            settings.inputs[CONTROL].role = Role::Control;
            settings.breaker = BreakerSettings::default();
            settings.limits.in_flight_max = 100_000;
            settings.limits.timers_per_poll_max = 10_000;
        });
        Shop { line, now: 0, orders: 0, answers: BTreeMap::new(), fate }
    }

    /// So many orders are parked, and begin to go out.
    fn draining(timeout_ms: i64, parked: usize, fate: F) -> Self {
        let mut shop = Shop::new(timeout_ms, fate);
        shop.line.act_on("worker", "pause");
        shop.line.starts(0..parked);
        shop.line.act_on("worker", "resume");
        shop.hear();
        shop
    }

    /// A moment, with so many orders.
    fn tick(&mut self, orders: usize) {
        self.line.pass(TICK_MS);
        self.now += TICK_MS;
        for _ in 0..orders {
            self.orders += 1;
            self.line.ask("Asked", &(1_000_000 + self.orders).to_string(), 5);
        }
        while let Some(first) = self.answers.first_entry().filter(|first| *first.key() <= self.now) {
            for (key, attempt, outcome) in first.remove() {
                let reply = format!(
                    r#"{{"meta":{{"idempotency_key":"alpha/{key}/task/do","attempt":{attempt},"outcome":"{outcome}","code":"C","retryable":true}},"body":null}}"#
                );
                self.line.put(REPLIES, self.line.clocks.wall, None, &reply);
            }
        }
        self.line.look();
        self.hear();
    }

    /// What was sent comes to the participant.
    fn hear(&mut self) {
        for (key, attempt) in self.line.delivered() {
            let (after, outcome) = match (self.fate)(attempt, self.now) {
                Fate::Well(after) => (after, "succeeded"),
                Fate::Failed(after) => (after, "failed"),
                Fate::Lost => continue,
            };
            self.answers.entry(self.now + after).or_default().push((key, attempt, outcome));
        }
    }

    /// Why it opened by itself, each time.
    fn opened(&self) -> Vec<String> {
        self.line.breakers().into_iter().filter(|told| told.contains("open:")).collect()
    }

    /// Lets time pass until nothing is parked and the breaker is closed, or for so long; how long that was.
    fn drains_for(&mut self, most_ms: i64) -> i64 {
        let begun = self.now;
        while self.line.partition.open_breakers() > 0 && self.now - begun < most_ms {
            self.tick(0);
        }
        self.now - begun
    }
}

/// Every third first answer is lost, all others come after two seconds.
fn third_lost() -> impl FnMut(i32, i64) -> Fate {
    let mut firsts = 0;
    move |attempt, _| {
        firsts += usize::from(attempt == 1);
        if attempt == 1 && firsts % 3 == 0 { Fate::Lost } else { Fate::Well(ANSWER_MS) }
    }
}

/// Each answer is lost with this probability, in percent.
fn lost(percent: u32) -> impl FnMut(i32, i64) -> Fate {
    let mut random = fastrand::Rng::with_seed(7);
    move |_, _| if random.u32(0..100) < percent { Fate::Lost } else { Fate::Well(ANSWER_MS) }
}

/// None of it is opened by silences of a busier time, and what is lost does not hold the others up.
#[test]
fn one_that_loses_a_third_gets_rid_of_what_is_parked() {
    well_enough();
    for rule in ["ends_counted_as_they_come", "halved_by_each_failure"] {
        without(rule, || drop(std::panic::catch_unwind(well_enough).expect_err(rule)));
    }
}

fn well_enough() {
    let all = |timeout_ms, fate: &mut dyn FnMut(i32, i64) -> Fate, most_ms: i64| {
        let mut shop = Shop::draining(timeout_ms, 2_000, fate);
        let took = shop.drains_for(most_ms);
        assert_eq!((shop.line.partition.parked_count(), shop.opened()), (0, Vec::new()), "{timeout_ms} ms: {took} ms");
    };
    all(5_000, &mut third_lost(), 160_000);
    all(10_000, &mut third_lost(), 220_000);
    all(10_000, &mut lost(10), 120_000);
    all(10_000, &mut lost(33), 280_000);
}

/// The more is lost the less goes out, but what is more than half opens it.
#[test]
fn one_that_loses_more_than_half_is_stopped() {
    for timeout_ms in [5_000, 10_000] {
        let mut shop = Shop::draining(timeout_ms, 2_000, lost(70));
        shop.drains_for(300_000);
        assert!(!shop.opened().is_empty(), "{timeout_ms} ms");
        assert!(shop.line.partition.parked_count() > 1_800, "{timeout_ms} ms");
    }
}

/// What was asked before somebody paused it runs out while it drains: that says nothing of how it answers now.
#[test]
fn what_was_asked_before_it_drains_does_not_count() {
    asked_before();
    without("ends_of_before_counted", || drop(std::panic::catch_unwind(asked_before).expect_err("they open it")));
}

fn asked_before() {
    let mut shop = Shop::new(10_000, |_, now| if now < 4_000 { Fate::Lost } else { Fate::Well(ANSWER_MS) });
    (0..60).for_each(|_| shop.tick(1));
    shop.line.act_on("worker", "pause");
    (0..60).for_each(|_| shop.tick(1));
    shop.line.act_on("worker", "resume");
    let took = shop.drains_for(60_000);
    assert_eq!(shop.opened(), [""; 0], "after {took} ms");
    assert_eq!((shop.line.partition.parked_count(), shop.line.partition.open_breakers()), (0, 0));
}

/// What is out when the wall clock jumps runs out at once: that is the clock's doing, whether it jumps farther than is remembered or not.
#[test]
fn a_jump_of_the_wall_clock_opens_nothing() {
    [12_000, 20_000, 60_000, 3_600_000].into_iter().for_each(jumped);
    without("jump_held_against_participants", || {
        drop(std::panic::catch_unwind(|| jumped(20_000)).expect_err("it is held against them"))
    });
}

fn jumped(by_ms: i64) {
    let mut shop = Shop::new(10_000, |_, _| Fate::Well(ANSWER_MS));
    (0..12_000).for_each(|tick| shop.tick(usize::from(tick % 20 == 0)));
    // Busy for less than it takes to answer, so that all of it is out.
    (0..30).for_each(|_| shop.tick(1));
    shop.line.jump(by_ms);
    (0..600).for_each(|_| shop.tick(1));
    assert!(shop.line.counters.retries >= 30, "they ran out");
    assert_eq!(shop.opened(), [""; 0], "{by_ms} ms");
}

/// What runs out after longer than is remembered is not held against the little that is asked then.
#[test]
fn a_tenth_that_is_lost_for_long_opens_nothing() {
    lost_for_long();
    without("forgotten_times_counted", || drop(std::panic::catch_unwind(lost_for_long).expect_err("it opens")));
}

fn lost_for_long() {
    let mut asked = 0;
    let mut shop = Shop::new(300_000, move |_, _| {
        asked += 1;
        if asked <= 150 && asked % 10 == 0 { Fate::Lost } else { Fate::Well(ANSWER_MS) }
    });
    shop.tick(150);
    (0..6_200).for_each(|tick| shop.tick(usize::from(tick % 20 == 0)));
    assert!(shop.line.counters.retries >= 15, "they ran out");
    assert_eq!(shop.opened(), [""; 0]);
}

/// Another owner knows of the answers that it heard alone: also behind it nothing is opened by those that it did not hear.
#[test]
fn another_owner_counts_what_it_asked() {
    let mut shop = Shop::draining(5_000, 1_000, third_lost());
    while shop.line.partition.parked_count() > 0 {
        (0..200).for_each(|_| shop.tick(0));
        shop.line.restart(|_| {});
        shop.line.own();
        shop.hear();
        assert!(shop.now < 400_000, "{} are still parked", shop.line.partition.parked_count());
    }
    assert_eq!(shop.opened(), [""; 0]);
}

/// As soon as silence can be told from an answer that is still to come, and not before half a window of it.
#[test]
fn one_that_is_down_is_soon_asked_no_more() {
    const DOWN_AT: i64 = 30_000;
    for (timeout_ms, fate, most_ms) in [
        (2_000, Fate::Lost, 5_300),
        (5_000, Fate::Lost, 5_500),
        (10_000, Fate::Lost, 10_500),
        (30_000, Fate::Lost, 30_500),
        (10_000, Fate::Failed(100), 5_100),
    ] {
        let mut shop = Shop::new(timeout_ms, |_, now| if now < DOWN_AT { Fate::Well(300) } else { fate });
        while shop.opened().is_empty() && shop.now < DOWN_AT + most_ms {
            shop.tick(1);
        }
        assert_eq!(shop.opened().len(), 1, "{timeout_ms} ms");
        assert!(shop.now - DOWN_AT > 2_500, "{timeout_ms} ms: after {} ms", shop.now - DOWN_AT);
    }
    for timeout_ms in [5_000, 10_000] {
        let fate = |_, now| if now < DOWN_AT { Fate::Well(ANSWER_MS) } else { Fate::Lost };
        let mut shop = Shop::draining(timeout_ms, 2_000, fate);
        while shop.opened().is_empty() && shop.now < DOWN_AT + timeout_ms + 500 {
            shop.tick(0);
        }
        assert_eq!(shop.opened().len(), 1, "while it drains, {timeout_ms} ms");
    }
}
