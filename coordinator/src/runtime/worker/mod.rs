//! One worker: the partitions that it hosts, its bus, its producer.
//!
//! ```text
//! claims -> bus.poll -> visit (what a bus says, to its partition) -> end of poll -> wishes (on the bus) -> store
//! ```

mod claims;
mod hosted;
mod hosting;
mod learn;
mod leaving;
mod store;
mod visit;
mod watching;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::{Bus, Sender, Topic, TopicPartition};
use ringmaster_core::partition::{Context, Counters, Happened, InputSettings, Partition, StageName, Tag, Times, Why};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::ClaimId;
use ringmaster_store::Store;

use self::hosted::{Hosted, Hosts};
pub use self::leaving::Gone;
use super::clock::{Jumps, Now, until};
use super::diary::Diary;
use super::effects::Routes;
use super::knowledge::Knowledge;
use super::rows::StoredRows;
use super::watch::{Rules, TopicLost, TopicStatus, Watch, Watched};

/// After so many full polls, half a second or more of nothing else, one lets new sagas begin.
const FULL_POLLS_MAX: u32 = 500;

/// What a worker must know.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The journal topic's name.
    pub journal: String,
    /// The name of the topic of definitions.
    pub definitions: String,
    /// Names of the input topics, in the order of every partition's inputs; of one that is routed as often as a partition has shares.
    pub inputs: Vec<String>,
    /// Partition counts of topics that effects go to, by name.
    pub outputs: Vec<(String, i32)>,
    /// Every topic that it uses.
    pub topics: Vec<Watched>,
    /// How they must be.
    pub rules: Rules,
    /// Name under which positions are committed, for lag tools only.
    pub group: String,
    /// A partition's state is written this often.
    pub checkpoint_every_ms: Millis,
    /// Or when so many rows have changed.
    pub checkpoint_rows_max: usize,
    /// First pause before claiming again.
    pub claim_backoff_first_ms: Millis,
    /// Longest pause before claiming again.
    pub claim_backoff_max_ms: Millis,
}

/// Why a worker stops for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// A partition cannot go on.
    #[error("{0}")]
    Partition(Why),
    /// A topic is not the one that it was.
    #[error("{0}")]
    Topic(TopicLost),
    /// The bus gives no producer.
    #[error("no producer: {0}")]
    Bus(String),
    /// It is no member of the group: why.
    #[error(
        "the group of instances does not take this one any more: {0}. If another process runs under its name, give each a name of its own \
         (--set instance=...)"
    )]
    Group(String),
    /// A bug of ours.
    #[error(
        "the thread '{thread}' panicked: {text}. This is a bug, please report it with the lines above; nothing is lost, the next start goes on from the journal"
    )]
    Panicked {
        /// Which thread.
        thread: String,
        /// What it said.
        text: String,
    },
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Bus events visited.
    pub events: usize,
    /// How long until something is due without anything happening.
    pub idle: Duration,
}

/// One worker. All its state is here; whoever holds it may run it on any thread.
pub struct Worker<B: Bus> {
    bus: B,
    inner: Inner,
}

struct Inner {
    settings: WorkerSettings,
    knowledge: Arc<Knowledge>,
    store: Arc<dyn Store>,
    hosts: Hosts,
    journal: Topic,
    definitions: TopicPartition,
    /// The first place in the inputs by topic handle.
    sources: Vec<Source>,
    inputs: Vec<InputPlace>,
    inbox: Topic,
    snapshots: Topic,
    /// Those that became known while it ran.
    learned: Vec<InputSettings>,
    routes: Routes,
    sender: Option<Sender>,
    /// A doubt that came up while partitions were being visited.
    doubt: Option<String>,
    doubts: u32,
    claim_at: Millis,
    owned_since: Millis,
    commit_at: Millis,
    counters: Counters,
    /// Of partitions that may have left.
    times: Times,
    ids: Box<dyn FnMut() -> ClaimId + Send>,
    stop: Option<Stop>,
    /// Partitions that left since it was asked.
    gone: Vec<Gone>,
    /// Some are about to.
    some_leave: bool,
    /// Full polls in a row for which starts are held.
    full_polls: u32,
    /// Effects that the bus's queue had no room for.
    unsent: Vec<(i32, Tag)>,
    diary: Diary,
    say_undeliverable_at: Millis,
    jumps: Jumps,
    watch: Watch,
    /// Claims that are acknowledged, and count when it is sure that the journal is the one that it was: tag, sender, offset.
    claimed: Vec<(u64, Sender, Option<i64>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Journal,
    Snapshots,
    Input(usize),
    None,
}

/// An input's topic, and which of a partition's shares of it, where that is routed.
#[derive(Debug, Clone, Copy)]
struct InputPlace {
    topic: Topic,
    slot: i32,
}

impl<B: Bus> Worker<B> {
    /// A worker of these partitions; it claims them at its first turn. `ids` gives random claim ids.
    pub fn new(
        mut bus: B,
        settings: WorkerSettings,
        partitions: Vec<Partition>,
        knowledge: Arc<Knowledge>,
        store: Arc<dyn Store>,
        ids: Box<dyn FnMut() -> ClaimId + Send>,
    ) -> Self {
        let journal = bus.topic(&settings.journal);
        let definitions = TopicPartition { topic: bus.topic(&settings.definitions), partition: 0 };
        let routes = Routes::new(&settings.outputs, &mut bus);
        let inbox = bus.topic(&settings.rules.topics.inbox);
        let mut sources = vec![Source::None; usize::from(journal.0) + 1];
        sources[usize::from(journal.0)] = Source::Journal;
        let snapshots = bus.topic(&settings.rules.topics.snapshots);
        learn::set_source(snapshots, Source::Snapshots, &mut sources);
        let mut inputs = Vec::new();
        settings.inputs.iter().for_each(|name| learn::add_input(bus.topic(name), &mut inputs, &mut sources));
        let watch = Watch::new(&settings.topics, &settings.rules, &mut bus);
        let mut hosts = Hosts::default();
        partitions.into_iter().for_each(|partition| hosts.insert(partition));
        let inner = Inner {
            hosts,
            settings,
            knowledge,
            store,
            journal,
            definitions,
            sources,
            inputs,
            inbox,
            snapshots,
            learned: Vec::new(),
            routes,
            sender: None,
            doubt: None,
            doubts: 0,
            claim_at: Millis::MIN,
            owned_since: Millis::MAX,
            commit_at: Millis::MIN,
            counters: Counters::default(),
            times: Times::default(),
            ids,
            stop: None,
            gone: Vec::new(),
            some_leave: false,
            full_polls: 0,
            unsent: Vec::new(),
            diary: Diary::default(),
            say_undeliverable_at: Millis::MIN,
            jumps: Jumps::default(),
            watch,
            claimed: Vec::new(),
        };
        Worker { bus, inner }
    }

    /// How short a turn may be under load: as its bus says.
    pub fn turn_min(&self) -> Duration {
        self.bus.turn_min()
    }

    /// One turn: takes what happened (waiting at most `wait` for it), lets the partitions decide, does what they wish. `clock` tells
    /// the time. An error is the end: nothing of this worker may be used any more.
    pub fn turn(&mut self, clock: &dyn Fn() -> Now, wait: Duration) -> Result<Turn, Stop> {
        let Worker { bus, inner } = self;
        let now = clock();
        inner.say_jump(now);
        inner.claim_when_ready(bus, now);
        inner.watch.ask(bus, now.steady);
        let events = bus.poll(wait, &mut |event| inner.visit(event, now));
        if let Some(stop) = inner.stop.take() {
            // Before anything is sent that was decided since.
            return Err(stop);
        }
        let now = clock();
        inner.note_load(events, bus.full_poll(), now);
        inner.end_of_poll(now);
        inner.execute(bus, now);
        inner.checkpoint_when_due(now);
        inner.commit_when_due(bus, now);
        inner.leave_when_done(bus, now);
        // Whoever paces turns pauses behind this one: what it sent is on its way meanwhile.
        bus.flush();
        match inner.stop.take() {
            Some(stop) => Err(stop),
            None => Ok(Turn { events, idle: inner.idle(now) }),
        }
    }

    /// What is to be looked at now and then: whether the process is short of memory, which partitions are told, and whether there is
    /// room for new sagas, which people are.
    pub fn look(&mut self, short: bool, now: Now) {
        self.inner.each(now, || Happened::Short(short));
        let held = self.partitions().filter(|partition| partition.held().is_at_bound()).count();
        self.inner.diary.holding(held, now.steady);
    }

    /// True if nothing is unconfirmed or undelivered.
    pub fn quiet(&self) -> bool {
        self.partitions().all(Partition::quiet)
    }

    /// Writes the state of all partitions now.
    pub fn checkpoint(&mut self, now: Now) -> Result<(), Stop> {
        for place in 0..self.inner.hosts.len() {
            self.inner.checkpoint(self.inner.hosts.number_at(place), now);
        }
        self.inner.stop.take().map_or(Ok(()), Err)
    }

    /// What happened, counted since it began.
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// What took how long since this was asked last.
    pub fn take_times(&mut self) -> Times {
        let mut times = std::mem::take(&mut self.inner.times);
        self.inner.hosts.iter_mut().for_each(|hosted| times.merge(&hosted.partition.take_times()));
        times
    }

    /// Its partitions, to look at.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.inner.hosts.iter().map(|hosted| &hosted.partition)
    }

    /// The same, to take from them what they have to tell.
    pub fn partitions_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.inner.hosts.iter_mut().map(|hosted| &mut hosted.partition)
    }

    /// The topics that it uses, and what is wrong with them.
    pub fn topics(&self) -> Vec<TopicStatus> {
        self.inner.watch.topics()
    }

    /// The bus, for tests and tools.
    pub fn bus(&mut self) -> &mut B {
        &mut self.bus
    }
}

impl Inner {
    /// What a partition reads of an input.
    fn input_at(&self, index: usize, number: i32) -> TopicPartition {
        let InputPlace { topic, slot } = self.inputs[index];
        TopicPartition { topic, partition: number + slot * self.settings.rules.partitions }
    }

    /// Tells a hosted partition what happened.
    fn tell(&mut self, number: i32, now: Now, what: Happened<'_>) {
        let Some(Hosted { partition, wishes, .. }) = self.hosts.get_mut(number) else { return };
        let rows = StoredRows { store: &*self.store, partition: number };
        let mut context = Context {
            now: now.wall,
            steady: now.steady,
            catalog: &self.knowledge.catalog,
            schemas: &self.knowledge.schemas,
            rows: &rows,
            out: wishes,
            counters: &mut self.counters,
        };
        partition.handle(what, &mut context);
    }

    fn each(&mut self, now: Now, what: impl Fn() -> Happened<'static>) {
        for place in 0..self.hosts.len() {
            self.tell(self.hosts.number_at(place), now, what());
        }
    }

    /// After a poll that visited so many events: who is behind begins nothing new. Not for ever: what only looks like answers must not
    /// keep all starts away; and not for the sake of a partition that reads its journal, which may take long.
    fn note_load(&mut self, events: usize, full: Option<usize>, now: Now) {
        let is_full = full.is_some_and(|full| events >= full);
        self.counters.full_polls += u64::from(is_full);
        let reads_little = |one: &Partition| one.stage() == StageName::Owning || one.is_warm();
        let owns_all = || self.hosts.iter().all(|hosted| reads_little(&hosted.partition));
        let is_behind = is_full && self.full_polls < FULL_POLLS_MAX && owns_all();
        // Each time: a partition that became an owner since does not know it yet.
        if is_behind || self.full_polls > 0 {
            self.each(now, || Happened::Behind(is_behind));
        }
        self.full_polls = if is_behind { self.full_polls + 1 } else { 0 };
    }

    /// How long until something is due without anything happening.
    fn idle(&self, now: Now) -> Duration {
        let timers = self.hosts.iter().map(|hosted| hosted.idle(now)).min().unwrap_or(Duration::MAX);
        let claims = self.hosts.iter().any(|hosted| hosted.ready);
        if claims { timers.min(until(self.claim_at, now.steady)) } else { timers }
    }

    /// People should know when the clock that they read was set.
    fn say_jump(&mut self, now: Now) {
        if let Some(by_ms) = self.jumps.notice(now) {
            let to = if by_ms > 0 { "forward" } else { "back" };
            tracing::warn!(
                by_ms,
                "the wall clock jumped {to}: waits and timers go on by the steady clock, and nothing is forgotten for its sake"
            );
        }
    }
}
