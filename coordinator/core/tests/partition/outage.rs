//! A participant that is away for a minute under load, in virtual time.

use std::collections::{BTreeSet, VecDeque};

use super::line::Line;
use super::parking;

const TICK_MS: i64 = 50;
/// How long an answer takes; one is given a tick, so that the participant does twice of what is asked of it.
const ANSWER_MS: i64 = 200;
const OUTAGE_MS: i64 = 60_000;
/// Every so many orders one goes before the others.
const GOLD_EVERY: usize = 10;

struct Shop {
    line: Line,
    now: i64,
    orders: usize,
    /// What the participant has been asked and not answered: the order, the attempt, and when it answers.
    asked: VecDeque<(usize, i32, i64)>,
    /// Orders that were ever asked of it.
    seen: BTreeSet<usize>,
    answered: Vec<usize>,
}

impl Shop {
    fn new() -> Shop {
        let (asked, seen) = (VecDeque::new(), BTreeSet::new());
        Shop { line: parking::line(), now: 0, orders: 0, asked, seen, answered: Vec::new() }
    }

    /// A moment, with an order every so often.
    fn tick(&mut self, order_every: i64, is_there: bool) {
        self.line.pass(TICK_MS);
        self.now += TICK_MS;
        if self.now % order_every == 0 {
            let rank = if self.orders.is_multiple_of(GOLD_EVERY) { 9 } else { 5 };
            self.line.ask("Asked", &self.orders.to_string(), rank);
            self.orders += 1;
        }
        self.line.look();
        self.hear();
        if !is_there {
            return self.asked.clear();
        }
        if let Some((order, attempt, _)) = self.asked.front().copied().filter(|(_, _, at)| *at <= self.now) {
            self.asked.pop_front();
            self.answered.push(order);
            self.line.well(&order.to_string(), attempt);
        }
    }

    /// What was sent comes to the participant.
    fn hear(&mut self) {
        for (key, attempt) in self.line.delivered() {
            let order = key.parse().expect("a number");
            self.seen.insert(order);
            self.asked.push_back((order, attempt, self.now + ANSWER_MS));
        }
    }
}

/// Ten orders a second, then nobody answers for a minute, then five orders a second while what was parked goes out: not one fails, what
/// was parked is gone within 1.2 times the outage, those that go first do, and all others by their age.
#[test]
fn nothing_fails_for_an_outage_and_what_was_parked_is_soon_gone() {
    outage();
    #[cfg(feature = "faults")]
    super::line::without("drain_by_age_only", || {
        let caught = std::panic::catch_unwind(outage).expect_err("the oldest goes first, gold or not");
        let said = caught.downcast_ref::<String>().expect("it says why");
        assert!(said.contains("gold goes first"), "{said}");
    });
}

fn outage() {
    let mut shop = Shop::new();
    (0..20_000 / TICK_MS).for_each(|_| shop.tick(100, true));
    assert!(shop.line.counters.completed > 190, "all goes well before");
    (0..OUTAGE_MS / TICK_MS).for_each(|_| shop.tick(100, false));
    assert!(shop.line.partition.parked_count() > 550, "they are parked");
    let parked: BTreeSet<usize> = (0..shop.orders).filter(|order| !shop.seen.contains(order)).collect();
    let (back, before) = (shop.now, shop.answered.len());
    while shop.line.partition.parked_count() > 0 || shop.line.partition.open_breakers() > 0 {
        shop.tick(200, true);
        assert!(shop.now - back <= OUTAGE_MS * 12 / 10, "{} are still parked", shop.line.partition.parked_count());
    }
    let order: Vec<usize> = shop.answered[before..].iter().copied().filter(|order| parked.contains(order)).collect();
    let mut by_rank: Vec<usize> = parked.into_iter().collect();
    by_rank.sort_by_key(|order| (order % GOLD_EVERY != 0, *order));
    assert_eq!(order.len(), by_rank.len(), "all that were parked have their answer");
    assert_eq!(order, by_rank, "gold goes first, then the oldest");
    (0..60_000 / TICK_MS).for_each(|_| shop.tick(i64::MAX, true));
    let counters = &shop.line.counters;
    assert_eq!((counters.completed, counters.compensated, counters.stuck), (shop.orders as u64, 0, 0));
}
