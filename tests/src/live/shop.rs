//! Who places orders and counts what becomes of them, on Kafka: one thread, so that a test can do other things meanwhile.
//!
//! An order is sent until the broker acknowledges it, so one may be in the log twice: the coordinator must reject the second.

mod counter;
mod mark;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringmaster_demo::orders::{self, OrderWriter, Outcome};
use ringmaster_schemas::registry::Schemas;

pub use mark::Mark;

use super::{PATIENCE, say, until};
use counter::Counter;

/// Until a fault has hit, more orders come as long as fewer than these are on their way: however slow the fault is, it hits some.
const OPEN_IN_FLIGHT: usize = 500;
/// Orders that must be on their way in front of what stands still; twice as many are placed, of which 89 of 100 surely need every process.
const STUCK: u64 = 20;

#[derive(Debug, Default)]
struct State {
    stop: bool,
    /// Whether all outcomes are read that there are: asked, and answered.
    asks_for_end: bool,
    is_at_end: bool,
    /// Orders that shall exist, and how fast they come.
    wanted: u64,
    rate: f64,
    /// Of those, given to the client.
    sent: u64,
    /// A fault is to hit soon: more orders come by themselves, and are wanted.
    open: bool,
    /// Acknowledged by the broker.
    issued: BTreeSet<u64>,
    /// To be sent again.
    failed: Vec<u64>,
    unacknowledged: usize,
    /// In the log, and without an outcome.
    under_way: BTreeSet<u64>,
    /// Outcomes by order; a repeat of the same is one.
    outcomes: BTreeMap<u64, BTreeSet<Vec<u8>>>,
    /// What is looked at since a moment.
    mark: Option<Mark>,
}

type Shared = Arc<Mutex<State>>;

/// How orders are written to their topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// With the order's id as the key, by murmur2 on so many partitions.
    ByKey(i32),
    /// The same key, wherever librdkafka's own partitioner puts it.
    ByLibrdkafka,
    /// Without a key, anywhere.
    WithoutKey,
}

/// The shop of one test.
pub struct Shop {
    state: Shared,
    thread: Option<JoinHandle<()>>,
    fulfilled: u64,
}

impl Shop {
    /// Places nothing yet; sees all outcomes.
    pub fn open(address: &str, schemas: &Schemas, placing: Placing, says: bool) -> Shop {
        let state = Shared::default();
        let writer = OrderWriter::new(schemas.named("OrderPlaced").expect("an example schema"));
        let fulfilled = schemas.named("OrderFulfilled").expect("an example schema").fingerprint();
        let mut counter = Counter::new(address, &state, writer, placing, says);
        let thread = std::thread::Builder::new().name("shop".into()).spawn(move || counter.run()).expect("a thread can be started");
        Shop { state, thread: Some(thread), fulfilled }
    }

    /// Places so many more orders, at a rate per second; returns at once.
    pub fn order(&self, count: u64, rate: f64) {
        let mut state = self.lock();
        state.wanted += count;
        state.rate = rate;
    }

    /// Places no more than it has; how many those are.
    pub fn halt(&self) -> u64 {
        let mut state = self.lock();
        state.wanted = state.sent;
        state.wanted
    }

    /// True if all outcomes were read that lie in the log since this was asked first.
    pub fn has_read_all(&self) -> bool {
        let mut state = self.lock();
        state.asks_for_end = true;
        state.is_at_end
    }

    /// From now on it is looked at what becomes of orders that are under way, and of those that are placed behind this moment.
    pub fn mark(&self) {
        let mut state = self.lock();
        state.mark = Some(Mark::new(state.under_way.clone(), state.sent));
    }

    /// How many orders of these partitions are under way.
    pub fn under_way(&self, partitions: &BTreeSet<i32>) -> usize {
        mark::count(&self.lock().under_way, partitions)
    }

    /// What was seen since [`Self::mark`].
    pub fn marked(&self) -> Mark {
        self.lock().mark.clone().expect("a mark was set")
    }

    /// Orders that shall exist.
    pub fn wanted(&self) -> u64 {
        self.lock().wanted
    }

    /// Orders that are in the log.
    pub fn issued(&self) -> u64 {
        self.lock().issued.len() as u64
    }

    /// Orders that have an outcome.
    pub fn finished(&self) -> u64 {
        self.lock().outcomes.len() as u64
    }

    /// Orders in the log that have no outcome.
    pub fn in_flight(&self) -> BTreeSet<u64> {
        self.lock().under_way.clone()
    }

    /// What an order's outcomes said; more than one is a contradiction.
    pub fn outcomes(&self, number: u64) -> Vec<Vec<u8>> {
        self.lock().outcomes.get(&number).map(|values| values.iter().cloned().collect()).unwrap_or_default()
    }

    /// Waits until so many orders have an outcome, and others have none: the middle of the load, where a fault must hit. More orders
    /// than were wanted come from now on, until it has.
    pub fn wait_middle(&self, finished: u64) {
        self.lock().open = true;
        until("orders in the middle of their way", || self.finished() >= finished && self.in_flight().len() >= 3);
    }

    /// Waits until so many orders have an outcome; more come meanwhile, as long as it takes. For what makes orders stand still next: how
    /// many are on their way now says how fast this machine is.
    pub fn wait_finished(&self, finished: u64) {
        self.lock().open = true;
        until("orders that have an outcome", || self.finished() >= finished);
    }

    /// Places more orders, and waits until those of them that need every process are on their way: what stands still already keeps them
    /// there, so that a fault behind this hits some, however fast all others are.
    pub fn wait_stuck(&self) {
        let before = {
            let mut state = self.lock();
            state.wanted += 2 * STUCK;
            state.issued.clone()
        };
        let needs_all = |number: &&u64| orders::outcome(**number) == Outcome::Fulfilled;
        until("orders that wait for what stands still", || {
            self.in_flight().difference(&before).filter(needs_all).count() as u64 >= STUCK
        });
    }

    /// The orders that a fault hit, called right behind it: in the log before, and without an outcome when all that had been sent
    /// before has been seen. Panics if there are none: then the fault proves nothing.
    pub fn hit(&self, fault: &str) -> BTreeSet<u64> {
        let before = self.lock().issued.clone();
        std::thread::sleep(Duration::from_millis(200));
        self.lock().open = false;
        let hit: BTreeSet<u64> = self.in_flight().intersection(&before).copied().collect();
        say(&format!("{fault}: {} orders were on their way, {} had ended", hit.len(), self.finished()));
        assert!(!hit.is_empty(), "{fault} hit nothing that was on its way");
        hit
    }

    /// Waits until all wanted orders have an outcome.
    pub fn wait_all(&self) {
        self.lock().open = false;
        let begun = Instant::now();
        while self.finished() < self.wanted() {
            let missing = self.in_flight();
            assert!(
                begun.elapsed() < PATIENCE,
                "of {} orders {} are in the log and {} have no outcome after {} s, the first {:?}",
                self.wanted(),
                self.issued(),
                missing.len(),
                PATIENCE.as_secs(),
                missing.iter().take(5).collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Every order has exactly one outcome, and the right one.
    pub fn check_outcomes(&self) {
        let wrong = self.wrong_outcomes();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Orders whose outcomes contradict each other, or what their numbers say.
    pub fn wrong_outcomes(&self) -> Vec<String> {
        let state = self.lock();
        let wrong = |(number, values): (&u64, &BTreeSet<Vec<u8>>)| {
            let Some(value) = values.first().filter(|_| values.len() == 1) else {
                return Some(format!("order {number} has {} contradicting outcomes", values.len()));
            };
            let is_fulfilled = value.len() > 10 && value[2..10] == self.fulfilled.to_le_bytes();
            let expected = orders::outcome(*number) == Outcome::Fulfilled;
            (is_fulfilled != expected).then(|| format!("the outcome of order {number} is of the wrong type"))
        };
        let strange = state.outcomes.keys().filter(|number| **number >= state.sent);
        let strange = strange.map(|number| format!("order {number} has an outcome, and was not placed"));
        state.outcomes.iter().filter_map(wrong).chain(strange).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.stop = true;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
