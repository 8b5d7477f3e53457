//! What is known of batches: a fold of their topic. A record is taken or not by what stands before it, so that all who read the topic know
//! the same, and of two who write at once one is refused.
//!
//! ```text
//! made -> parts -> previewed -> start -> running: window -> settled -> window -> settled ... -> done
//!                      |                    |  ^ resume
//!                   expired            stop | pause
//! ```
//!
//! A partition's share has one window at most, and the next one begins where the last one ended: acts are sent of what was announced alone,
//! and nothing is announced twice.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_schemas::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::record::{Counts, Made, Order, Ordered, Part, Record, Selected, Settled, Window, Written};
use super::{EXAMPLES_MAX, MATCHED_MAX, OPEN_MAX, ORDERS_MAX, RATE_MAX, REMEMBERED_MAX, REMEMBERED_MS, STARTED_MS};

/// How a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BatchState)]
pub enum State {
    /// Not all of its sagas are written down yet.
    Incomplete,
    /// Nothing is done: it may be started.
    Previewed,
    /// Acts are sent.
    Running,
    /// None are, until it is resumed.
    Paused,
    /// None will be.
    Stopped,
    /// Each of its sagas was acted on, or refused that.
    Done,
    /// It was not started in time, or took too long.
    Expired,
}

impl State {
    /// Nothing more will be announced.
    pub fn is_over(self) -> bool {
        matches!(self, State::Stopped | State::Done | State::Expired)
    }

    fn as_str(self) -> &'static str {
        match self {
            State::Incomplete => "not written down yet",
            State::Previewed => "not started",
            State::Running => "running",
            State::Paused => "paused",
            State::Stopped => "stopped",
            State::Done => "done",
            State::Expired => "expired",
        }
    }
}

/// An act that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BatchExample)]
pub struct Example {
    /// The saga.
    pub saga: String,
    /// Why, such as NOT_STUCK.
    pub reason: String,
    /// The same in words.
    pub detail: String,
}

/// What a batch has of one partition.
#[derive(Debug, Clone, Default)]
pub struct Share {
    /// Its sagas; none any more once nothing can be sent.
    sagas: Vec<Selected>,
    /// How many they are, or will be.
    pub count: usize,
    /// How many of them have an answer.
    pub settled: usize,
    /// What is announced.
    window: Option<Window>,
    counts: Counts,
}

/// A batch.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What was asked for.
    pub made: Made,
    /// When, in milliseconds since 1970.
    pub made_at: Millis,
    /// How it stands.
    pub state: State,
    /// Nothing is announced after this.
    pub expires_at: Millis,
    /// Acts a second, once it was started.
    pub rate: u32,
    /// Who said what, and when.
    pub orders: Vec<(Millis, Ordered)>,
    /// By partition.
    pub shares: BTreeMap<i32, Share>,
    /// Of those that were not taken, some.
    pub examples: Vec<Example>,
}

/// Why a record is not taken, for people.
pub(super) type Void = String;

/// All batches.
#[derive(Debug, Default)]
pub struct Book {
    batches: BTreeMap<String, Batch>,
    /// The oldest first.
    order: Vec<String>,
}

impl Book {
    /// Takes the next record of the topic; an error says why it means nothing.
    pub fn take(&mut self, written: Written) -> Result<(), Void> {
        let at = written.at;
        self.batches.values_mut().for_each(|batch| batch.expire(at));
        self.forget(at);
        match written.says {
            Record::Made(made) => self.make(*made, at),
            Record::Part(part) => self.of(&part.batch.clone())?.part(part),
            Record::Ordered(ordered) => self.of(&ordered.batch.clone())?.order(ordered, at),
            Record::Window(window) => self.of(&window.batch.clone())?.announce(window),
            Record::Settled(settled) => self.of(&settled.batch.clone())?.settle(settled),
        }
    }

    /// One of them.
    pub fn batch(&self, id: &str) -> Option<&Batch> {
        self.batches.get(id)
    }

    /// All of them, the newest first.
    pub fn all(&self) -> impl Iterator<Item = &Batch> {
        self.order.iter().rev().filter_map(|id| self.batches.get(id))
    }

    /// Forgets what is over, and as old as what the topic forgets.
    fn forget(&mut self, at: Millis) {
        let batches = &mut self.batches;
        let is_old = |batch: &Batch| batch.state.is_over() && at - batch.made_at > REMEMBERED_MS;
        // The oldest are the first, but for clocks.
        while let Some(oldest) = self.order.first().filter(|id| batches.get(*id).is_none_or(is_old)) {
            batches.remove(oldest);
            self.order.remove(0);
        }
    }

    fn of(&mut self, id: &str) -> Result<&mut Batch, Void> {
        self.batches.get_mut(id).ok_or_else(|| format!("there is no batch {id}"))
    }

    fn make(&mut self, made: Made, at: Millis) -> Result<(), Void> {
        let matched = made.matched();
        if matched > MATCHED_MAX {
            return Err(format!("it has {matched} sagas; at most {MATCHED_MAX} are taken"));
        }
        let open: usize = self.batches.values().map(Batch::kept).sum();
        if open + matched > OPEN_MAX {
            return Err(format!(
                "batches that have not ended have {open} sagas, and at most {OPEN_MAX} are taken in all: stop one that is of no use, or wait"
            ));
        }
        if self.batches.contains_key(&made.batch) {
            return Err(format!("there is a batch {} already", made.batch));
        }
        if self.batches.len() >= REMEMBERED_MAX {
            let is_over = |id: &String| self.batches.get(id).is_none_or(|batch| batch.state.is_over());
            let place = self.order.iter().position(is_over).ok_or("there are too many batches that have not ended")?;
            self.batches.remove(&self.order.remove(place));
        }
        let share = |(&partition, &count): (&i32, &usize)| (partition, Share { count, ..Share::default() });
        let batch = Batch {
            made_at: at,
            state: if matched == 0 { State::Previewed } else { State::Incomplete },
            expires_at: made.expires_at,
            rate: 0,
            orders: Vec::new(),
            shares: made.shares.iter().map(share).collect(),
            examples: Vec::new(),
            made,
        };
        self.order.push(batch.made.batch.clone());
        self.batches.insert(batch.made.batch.clone(), batch);
        Ok(())
    }
}

impl Batch {
    /// What became of what was sent.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.shares.values().for_each(|share| counts.add(&share.counts));
        counts
    }

    /// Acts that are announced, and of which it is not known yet what became of them.
    pub fn on_their_way(&self) -> usize {
        let windows = self.shares.values().filter_map(|share| share.window.as_ref());
        windows.map(|window| window.to - window.from).sum()
    }

    /// What is announced and not settled yet, of these partitions.
    pub fn windows<'a>(&'a self, owned: &'a BTreeSet<i32>) -> impl Iterator<Item = &'a Window> {
        self.shares.iter().filter(|(partition, _)| owned.contains(partition)).filter_map(|(_, share)| share.window.as_ref())
    }

    /// The shares of these partitions of which more may be announced.
    pub fn ready<'a>(&'a self, owned: &'a BTreeSet<i32>) -> impl Iterator<Item = (i32, &'a Share)> {
        let is_ready = |share: &Share| self.state == State::Running && share.window.is_none() && share.settled < share.count;
        let of_these = self.shares.iter().filter(|(partition, _)| owned.contains(partition));
        of_these.filter(move |(_, share)| is_ready(share)).map(|(partition, share)| (*partition, share))
    }

    /// The sagas of a window that is announced.
    pub fn sagas(&self, window: &Window) -> &[Selected] {
        let sagas = self.shares.get(&window.partition).and_then(|share| share.sagas.get(window.from..window.to));
        sagas.unwrap_or_default()
    }

    /// All of its sagas of which the ids are kept: none any more once it is over.
    pub fn all_sagas(&self) -> impl Iterator<Item = &str> {
        self.shares.values().flat_map(|share| share.sagas.iter().map(|(saga, _)| &**saga))
    }

    /// Sagas of which the ids are kept.
    fn kept(&self) -> usize {
        let is_kept = |share: &&Share| !self.state.is_over() || share.window.is_some();
        self.shares.values().filter(is_kept).map(|share| share.count).sum()
    }

    fn expire(&mut self, at: Millis) {
        if !self.state.is_over() && at > self.expires_at {
            self.become_(State::Expired);
        }
    }

    /// From now on it stands so. What is announced is seen to its end, all else of what is over is forgotten.
    fn become_(&mut self, state: State) {
        self.state = state;
        if state.is_over() {
            self.shares.values_mut().filter(|share| share.window.is_none()).for_each(|share| share.sagas = Vec::new());
        }
    }

    fn part(&mut self, part: Part) -> Result<(), Void> {
        let share = self.shares.get_mut(&part.partition).ok_or("the batch has nothing of this partition")?;
        let is_next = self.state == State::Incomplete && part.from == share.sagas.len();
        if !is_next || part.from + part.sagas.len() > share.count {
            return Err("it is not the next part".to_owned());
        }
        share.sagas.extend(part.sagas);
        if self.shares.values().all(|share| share.sagas.len() == share.count) {
            self.state = State::Previewed;
        }
        Ok(())
    }

    fn order(&mut self, ordered: Ordered, at: Millis) -> Result<(), Void> {
        let next = match (ordered.order, self.state) {
            (Order::Start { expected, rate }, State::Previewed) => {
                let matched = self.made.matched();
                if expected != matched {
                    return Err(format!("the batch has {matched} sagas, not {expected}: nothing is done"));
                }
                self.expires_at = at + STARTED_MS;
                self.rate = rate.clamp(1, RATE_MAX);
                if matched == 0 { State::Done } else { State::Running }
            }
            (Order::Pause, State::Running) => State::Paused,
            (Order::Resume, State::Paused) => State::Running,
            (Order::Stop, state) if !state.is_over() => State::Stopped,
            (order, state) => {
                let what = match order {
                    Order::Start { .. } => "started",
                    Order::Pause => "paused",
                    Order::Resume => "resumed",
                    Order::Stop => "stopped",
                };
                return Err(format!("the batch is {}: it cannot be {what}", state.as_str()));
            }
        };
        // To stop is always possible.
        if self.orders.len() >= ORDERS_MAX && next != State::Stopped {
            return Err(format!("it was paused and resumed {ORDERS_MAX} times: stop it, and make another one of the rest"));
        }
        self.orders.push((at, ordered));
        self.become_(next);
        Ok(())
    }

    fn announce(&mut self, window: Window) -> Result<(), Void> {
        let is_running = self.state == State::Running;
        let share = self.shares.get_mut(&window.partition).ok_or("the batch has nothing of this partition")?;
        let is_next = share.window.is_none() && window.from == share.settled && window.from < window.to && window.to <= share.count;
        if !is_running || !is_next {
            return Err("it is not what comes next, or the batch does not run".to_owned());
        }
        share.window = Some(window);
        Ok(())
    }

    fn settle(&mut self, settled: Settled) -> Result<(), Void> {
        let share = self.shares.get_mut(&settled.partition).ok_or("the batch has nothing of this partition")?;
        let is_it = |window: &mut Window| window.to == settled.to && window.to - window.from == settled.counts.count();
        if share.window.take_if(is_it).is_none() {
            return Err("it is not what is announced".to_owned());
        }
        share.settled = settled.to;
        share.counts.add(&settled.counts);
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(settled.examples.into_iter().take(room));
        let is_done = self.shares.values().all(|share| share.settled == share.count);
        // What was to end, and was at its end, is done all the same.
        self.become_(if is_done { State::Done } else { self.state });
        Ok(())
    }
}
