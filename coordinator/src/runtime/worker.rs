//! One worker: its partitions, its bus, its producer.

use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_core::faults::{mutated, reached};
use ringmaster_core::intake::{Headers, InputRecord};
use ringmaster_core::partition::{Context, Counters, Happened, Partition, Refusal, Rows, StageName, Tag, Why, Wish};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::ClaimId;
use ringmaster_schemas::state::{Checkpoint, Index, RowKey, RowKind};
use ringmaster_store::{Store, StoreError};

use super::clock::{Jumps, Now, until};
use super::diary::Diary;
use super::effects::{Routes, decode_tag, encode_tag};
use super::knowledge::Knowledge;

/// What a worker must know.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The journal topic's name.
    pub journal: String,
    /// Names of the input topics, in the order of every partition's inputs.
    pub inputs: Vec<String>,
    /// Partition counts of topics that effects go to, by name.
    pub outputs: Vec<(String, i32)>,
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

/// Positions are committed for lag tools this often.
const COMMIT_EVERY_MS: Millis = 5_000;
/// Owning so long without a doubt forgives earlier ones.
const CALM_MS: Millis = 30_000;
/// Undeliverable effects are said this often, one for all.
const SAY_UNDELIVERABLE_EVERY_MS: Millis = 5_000;

/// Why a worker stops for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// A partition cannot go on.
    #[error("{0}")]
    Partition(Why),
    /// The bus gives no producer.
    #[error("no producer: {0}")]
    Bus(String),
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
    partitions: Vec<Slot>,
    /// Place in `partitions` by partition number.
    places: Vec<Option<usize>>,
    journal: Topic,
    /// Place in the inputs by topic handle.
    sources: Vec<Source>,
    inputs: Vec<Topic>,
    routes: Routes,
    sender: Option<Sender>,
    /// A doubt that came up while partitions were being visited.
    doubt: Option<String>,
    doubts: u32,
    claim_at: Millis,
    owned_since: Millis,
    commit_at: Millis,
    counters: Counters,
    ids: Box<dyn FnMut() -> ClaimId + Send>,
    stop: Option<Stop>,
    stopping: bool,
    /// Effects that the bus's queue had no room for.
    unsent: Vec<(usize, Tag)>,
    diary: Diary,
    say_undeliverable_at: Millis,
    jumps: Jumps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Journal,
    Input(usize),
    None,
}

struct Slot {
    partition: Partition,
    wishes: Vec<Wish>,
    ready: bool,
    /// When its state is written next, by the steady clock.
    checkpoint_at: Millis,
}

/// A bus's headers as the core reads them.
struct RecordHeaders<'a>(&'a dyn ringmaster_bus::Headers);

impl Headers for RecordHeaders<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        self.0.find(name)
    }
}

struct StoredRows<'a> {
    store: &'a dyn Store,
    partition: i32,
}

impl Rows for StoredRows<'_> {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String> {
        self.store.checkpoint(self.partition).map_err(|error| error.to_string())
    }

    fn row(&self, key: &RowKey) -> Result<Option<Vec<u8>>, String> {
        self.store.row(self.partition, key).map_err(|error| error.to_string())
    }

    fn scan(&self, index: Index, from: i64, to: i64, visit: &mut dyn FnMut(i64, RowKey)) -> Result<(), String> {
        let mut all = |at, key| {
            visit(at, key);
            true
        };
        self.store.scan(self.partition, index, from, to, &mut all).map_err(|error| error.to_string())
    }

    fn rows(&self, kind: RowKind, visit: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String> {
        let mut all = |key, row: &[u8]| {
            visit(key, row);
            true
        };
        self.store.rows(self.partition, kind, &mut all).map_err(|error| error.to_string())
    }
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
        let inputs: Vec<Topic> = settings.inputs.iter().map(|name| bus.topic(name)).collect();
        let routes = Routes::new(&settings.outputs, &mut bus);
        let highest = inputs.iter().chain([&journal]).map(|topic| usize::from(topic.0)).max().unwrap_or(0);
        let mut sources = vec![Source::None; highest + 1];
        sources[usize::from(journal.0)] = Source::Journal;
        for (index, topic) in inputs.iter().enumerate() {
            sources[usize::from(topic.0)] = Source::Input(index);
        }
        let highest = partitions.iter().map(Partition::number).max().unwrap_or(0) as usize;
        let mut places = vec![None; highest + 1];
        for (place, partition) in partitions.iter().enumerate() {
            places[partition.number() as usize] = Some(place);
        }
        let slot = |partition| Slot { partition, wishes: Vec::new(), ready: true, checkpoint_at: Millis::MIN };
        let inner = Inner {
            partitions: partitions.into_iter().map(slot).collect(),
            settings,
            knowledge,
            store,
            places,
            journal,
            sources,
            inputs,
            routes,
            sender: None,
            doubt: None,
            doubts: 0,
            claim_at: Millis::MIN,
            owned_since: Millis::MAX,
            commit_at: Millis::MIN,
            counters: Counters::default(),
            ids,
            stop: None,
            stopping: false,
            unsent: Vec::new(),
            diary: Diary::default(),
            say_undeliverable_at: Millis::MIN,
            jumps: Jumps::default(),
        };
        Worker { bus, inner }
    }

    /// One turn: takes what happened (waiting at most `wait` for it), lets the partitions decide, does what they wish. `clock` tells
    /// the time. An error is the end: nothing of this worker may be used any more.
    pub fn turn(&mut self, clock: &dyn Fn() -> Now, wait: Duration) -> Result<Turn, Stop> {
        let Worker { bus, inner } = self;
        let now = clock();
        inner.say_jump(now);
        inner.claim_when_ready(bus, now);
        let events = bus.poll(wait, &mut |event| inner.visit(event, now));
        let now = clock();
        inner.end_of_poll(now);
        inner.execute(bus, now);
        inner.checkpoint_when_due(now);
        inner.commit_when_due(bus, now);
        match inner.stop.take() {
            Some(stop) => Err(stop),
            None => Ok(Turn { events, idle: inner.idle(now) }),
        }
    }

    /// Stops reading inputs; [`Worker::quiet`] tells when all that was begun is confirmed and delivered.
    pub fn begin_stop(&mut self) {
        self.inner.stopping = true;
        for slot in &self.inner.partitions {
            for &topic in &self.inner.inputs {
                self.bus.stop(TopicPartition { topic, partition: slot.partition.number() });
            }
        }
    }

    /// True if nothing is unconfirmed or undelivered.
    pub fn quiet(&self) -> bool {
        self.inner.partitions.iter().all(|slot| slot.partition.quiet())
    }

    /// After [`Worker::quiet`]: journals how far effects were delivered, so that the next start sends nothing again.
    pub fn append_released(&mut self, now: Now) {
        self.inner.each(now, || Happened::Drained);
        self.inner.execute(&mut self.bus, now);
    }

    /// Writes the state of all partitions now.
    pub fn checkpoint(&mut self, now: Now) -> Result<(), Stop> {
        for place in 0..self.inner.partitions.len() {
            self.inner.checkpoint(place, now);
        }
        self.inner.stop.take().map_or(Ok(()), Err)
    }

    /// What happened, counted since it began.
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Its partitions, to look at.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.inner.partitions.iter().map(|slot| &slot.partition)
    }

    /// The bus, for tests and tools.
    pub fn bus(&mut self) -> &mut B {
        &mut self.bus
    }
}

impl Inner {
    fn tell(&mut self, place: usize, now: Now, what: Happened<'_>) {
        let Slot { partition, wishes, .. } = &mut self.partitions[place];
        let rows = StoredRows { store: &*self.store, partition: partition.number() };
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
        for place in 0..self.partitions.len() {
            self.tell(place, now, what());
        }
    }

    fn place_of(&self, at: TopicPartition) -> Option<(usize, Source)> {
        let source = *self.sources.get(usize::from(at.topic.0))?;
        let place = (*self.places.get(usize::try_from(at.partition).ok()?)?)?;
        Some((place, source))
    }

    /// Takes one bus event; the only way by which anything comes in.
    fn visit(&mut self, event: BusEvent<'_>, now: Now) {
        match event {
            BusEvent::Record(record) => {
                let Some((place, source)) = self.place_of(record.at) else {
                    return;
                };
                match source {
                    Source::Journal => {
                        let value = record.value.unwrap_or_default();
                        self.tell(place, now, Happened::JournalRecord { offset: record.offset, value });
                    }
                    Source::Input(index) => {
                        let headers = record.headers.map(RecordHeaders);
                        let input = InputRecord {
                            offset: record.offset,
                            timestamp: record.timestamp,
                            key: record.key,
                            value: record.value,
                            headers: headers.as_ref().map(|headers| headers as &dyn Headers),
                        };
                        self.tell(place, now, Happened::Input { index, record: input });
                    }
                    Source::None => {}
                }
            }
            BusEvent::Acknowledged { sender, tag, offset } => {
                let (number, tag) = decode_tag(tag);
                if let Some(Some(place)) = self.places.get(number).copied() {
                    self.tell(place, now, Happened::Acknowledged { sender: sender.0, tag, offset });
                }
            }
            BusEvent::Failed { sender, tag, why } => {
                let (number, tag) = decode_tag(tag);
                if let Some(Some(place)) = self.places.get(number).copied() {
                    self.failed(place, sender, tag, why, now);
                }
            }
            BusEvent::CaughtUp(at, offset) => {
                if let Some((place, Source::Input(index))) = self.place_of(at) {
                    self.tell(place, now, Happened::CaughtUp { index, offset });
                }
            }
            BusEvent::Bounds { at, start, end } => match self.place_of(at) {
                Some((place, Source::Journal)) => self.tell(place, now, Happened::JournalBounds { start, end }),
                Some((place, Source::Input(index))) => self.tell(place, now, Happened::InputBounds { index, start, end }),
                Some((_, Source::None)) | None => {}
            },
            BusEvent::OffsetAt { at, offset } => {
                if let Some((place, Source::Input(index))) = self.place_of(at) {
                    self.tell(place, now, Happened::InputBegins { index, offset });
                }
            }
            BusEvent::OutOfRange { at, position } => match self.place_of(at) {
                Some((place, Source::Input(index))) => self.tell(place, now, Happened::OutOfRange { index, position }),
                Some((_, Source::Journal)) => {
                    self.doubt.get_or_insert("the journal's replay position is out of range".into());
                }
                Some((_, Source::None)) | None => {}
            },
            BusEvent::Doubt { sender, why } => {
                if Some(sender) == self.sender {
                    self.doubt.get_or_insert(why);
                }
            }
            BusEvent::Unreadable(at, why) => {
                tracing::warn!(
                    partition = at.partition,
                    topic = at.topic.0,
                    why,
                    "a topic cannot be read now; reading goes on when it is back"
                );
            }
            BusEvent::Assigned(_) | BusEvent::Revoked(_) => {}
        }
    }

    fn failed(&mut self, place: usize, sender: Sender, tag: Tag, why: SendError, now: Now) {
        if Some(sender) != self.sender {
            return;
        }
        let refusal = match why {
            SendError::Broken(why) => {
                self.doubt.get_or_insert(why);
                return;
            }
            SendError::TooBig(why) | SendError::Refused(why) => Refusal::Permanent(why),
            SendError::Full => Refusal::Passing("the send queue is full".into()),
            SendError::Unknown(why) => Refusal::Passing(why),
        };
        if let (Tag::Effect(_), Refusal::Permanent(why)) = (tag, &refusal) {
            self.say_undeliverable(place, tag, why, now);
        }
        self.tell(place, now, Happened::Failed { sender: sender.0, tag, why: &refusal });
    }

    /// One line a while: a topic that vanished may hold thousands.
    fn say_undeliverable(&mut self, place: usize, tag: Tag, why: &str, now: Now) {
        if now.steady < self.say_undeliverable_at {
            return;
        }
        self.say_undeliverable_at = now.steady + SAY_UNDELIVERABLE_EVERY_MS;
        let partition = &mut self.partitions[place].partition;
        let number = partition.number();
        let Some(effect) = partition.effect(tag) else { return };
        let key = String::from_utf8_lossy(&effect.key);
        tracing::warn!(partition = number, topic = %effect.topic, %key, why, "undeliverable: waits until the topic takes it; others go on");
    }

    fn end_of_poll(&mut self, now: Now) {
        if !self.stopping {
            self.each(now, || Happened::PollEnded);
            return;
        }
        // Stopping: what was begun is finished, nothing new begins.
        self.each(now, || Happened::PollEndedInStop);
    }

    /// Does what the partitions wish, until they wish nothing more.
    fn execute(&mut self, bus: &mut impl Bus, now: Now) {
        let unsent = std::mem::take(&mut self.unsent);
        for (place, tag) in unsent {
            self.partitions[place].wishes.push(Wish::Send(tag));
        }
        loop {
            if let Some(why) = self.doubt.take() {
                self.give_up_sender(bus, &why, now);
            }
            let mut idle = true;
            for place in 0..self.partitions.len() {
                if !self.partitions[place].wishes.is_empty() {
                    idle = false;
                    self.execute_one(bus, place, now);
                }
            }
            if idle && self.doubt.is_none() {
                return;
            }
        }
    }

    fn execute_one(&mut self, bus: &mut impl Bus, place: usize, now: Now) {
        let mut wishes = std::mem::take(&mut self.partitions[place].wishes);
        let mut sends = Vec::new();
        for wish in wishes.drain(..) {
            match wish {
                Wish::Send(tag) => sends.push(tag),
                other => self.execute_wish(bus, place, other, now),
            }
        }
        if self.partitions[place].wishes.is_empty() {
            self.partitions[place].wishes = wishes;
        }
        self.send(bus, place, &sends, now);
    }

    fn execute_wish(&mut self, bus: &mut impl Bus, place: usize, wish: Wish, now: Now) {
        let number = self.partitions[place].partition.number();
        let journal = TopicPartition { topic: self.journal, partition: number };
        let input = |index: usize, inner: &Inner| TopicPartition { topic: inner.inputs[index], partition: number };
        match wish {
            Wish::Append { bytes, tag } => self.append(bus, place, &bytes, tag, now),
            Wish::Send(_) => unreachable!("sends are taken together"),
            Wish::ReadJournal(from) => bus.read(journal, from),
            Wish::StopJournal => bus.stop(journal),
            Wish::AskJournal => bus.ask_bounds(journal),
            Wish::ReadInput(index, from) if !self.stopping => {
                reached("resend_done_before_read");
                bus.read(input(index, self), from);
            }
            Wish::ReadInput(_, _) => {}
            Wish::StopInputs => (0..self.inputs.len()).for_each(|index| bus.stop(input(index, self))),
            Wish::AskInput(index) => bus.ask_bounds(input(index, self)),
            Wish::AskInputAt(index, time) => bus.ask_offset_at(input(index, self), time),
            Wish::Pause(paused) => {
                let all: Vec<TopicPartition> = (0..self.inputs.len()).map(|index| input(index, self)).collect();
                bus.pause(&all, paused);
            }
            Wish::Doubt(why) => {
                self.doubt.get_or_insert(why);
            }
            Wish::Ready => self.partitions[place].ready = true,
            Wish::Owned => {
                self.owned_since = now.steady;
                tracing::info!(partition = number, "owned");
            }
            Wish::ClearStore => {
                tracing::warn!(partition = number, "the stored state is not of this journal: it is rebuilt");
                if let Err(error) = self.store.clear(number) {
                    self.store_failed(number, &error);
                }
            }
            Wish::Tell(note) => self.diary.tell(number, note, now.steady),
            Wish::StepDown(why) => {
                tracing::error!(partition = number, %why, "stopped");
                self.stop.get_or_insert(Stop::Partition(why));
            }
        }
    }

    fn append(&mut self, bus: &mut impl Bus, place: usize, bytes: &[u8], tag: Tag, now: Now) {
        let Some(sender) = self.sender else { return };
        let number = self.partitions[place].partition.number();
        let to = TopicPartition { topic: self.journal, partition: number };
        let message = Message { to, key: None, value: bytes, headers: &[] };
        reached(if tag == Tag::Claim { "claim_sent" } else { "first_appended_second_on_wire" });
        if let Err(why) = bus.send(sender, message, encode_tag(number, tag)) {
            self.failed(
                place,
                sender,
                tag,
                if why == SendError::Full { SendError::Unknown("the send queue is full".into()) } else { why },
                now,
            );
        }
    }

    /// Sends effects in bursts by topic: alternating topics record by record costs half as much again on Kafka.
    fn send(&mut self, bus: &mut impl Bus, place: usize, tags: &[Tag], now: Now) {
        let Some(sender) = self.sender else { return };
        let Inner { partitions, routes, unsent, .. } = self;
        let partition = &mut partitions[place].partition;
        let number = partition.number();
        let mut refused = Vec::new();
        for tag in routes.order(partition, tags, bus) {
            let Some(effect) = partition.effect(tag) else {
                continue;
            };
            let route = routes.to(&effect.topic, &effect.key, bus);
            let headers: Vec<(&str, &str)> = effect.headers.iter().map(|header| (&*header.name, &*header.value)).collect();
            let message = Message { to: route, key: Some(&effect.key), value: &effect.value, headers: &headers };
            match bus.send(sender, message, encode_tag(number, tag)) {
                Ok(()) => {}
                Err(SendError::Full) => unsent.push((place, tag)),
                Err(why) => refused.push((tag, why)),
            }
            reached("later_effect_acked_earlier_not");
        }
        for (tag, why) in refused {
            self.failed(place, sender, tag, why, now);
        }
        if !tags.is_empty() {
            reached("resend_half");
        }
    }

    /// The one way out of any doubt (PROTOCOL.md rule 4): the sender goes, and every partition of it claims again after a pause.
    fn give_up_sender(&mut self, bus: &mut impl Bus, why: &str, now: Now) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        self.doubts += 1;
        let pause = (self.settings.claim_backoff_first_ms << (self.doubts - 1).min(16)).min(self.settings.claim_backoff_max_ms);
        self.claim_at = now.steady + pause;
        self.owned_since = Millis::MAX;
        tracing::warn!(why, pause_ms = pause, "in doubt: what is unconfirmed is dropped, and all partitions are claimed again");
        reached("producer_fatal");
        bus.close_sender(sender);
        reached("producer_replaced_callbacks_pending");
        self.unsent.clear();
        for slot in &mut self.partitions {
            slot.wishes.retain(|wish| !matches!(wish, Wish::Append { .. } | Wish::Send(_) | Wish::Doubt(_)));
        }
        self.each(now, || Happened::Doubt);
    }

    fn claim_when_ready(&mut self, bus: &mut impl Bus, now: Now) {
        if now.steady.saturating_sub(self.owned_since) > CALM_MS {
            self.doubts = 0;
        }
        let all_ready = self.partitions.iter().all(|slot| slot.ready);
        if self.sender.is_some() || !all_ready || now.steady < self.claim_at {
            return;
        }
        let sender = match bus.open_sender() {
            Ok(sender) => sender,
            Err(error) => {
                self.stop.get_or_insert(Stop::Bus(error.to_string()));
                return;
            }
        };
        self.sender = Some(sender);
        for place in 0..self.partitions.len() {
            self.partitions[place].ready = false;
            let id = (self.ids)();
            self.tell(place, now, Happened::Claimed { id, sender: sender.0 });
        }
        reached("reclaim_sent_old_on_wire");
        self.execute(bus, now);
    }

    fn checkpoint_when_due(&mut self, now: Now) {
        for place in 0..self.partitions.len() {
            let slot = &self.partitions[place];
            let due = now.steady >= slot.checkpoint_at;
            if due || slot.partition.dirty_count() >= self.settings.checkpoint_rows_max {
                self.checkpoint(place, now);
            }
        }
    }

    fn checkpoint(&mut self, place: usize, now: Now) {
        let slot = &mut self.partitions[place];
        slot.checkpoint_at = now.steady + self.settings.checkpoint_every_ms;
        let number = slot.partition.number();
        let Some(batch) = slot.partition.stage_checkpoint() else {
            return;
        };
        match self.store.write(&batch) {
            Ok(()) => {
                reached("batch_written_unflushed");
                self.partitions[place].partition.stored(&batch);
            }
            Err(error) => self.store_failed(number, &error),
        }
    }

    fn store_failed(&mut self, number: i32, error: &StoreError) {
        self.stop.get_or_insert(Stop::Partition(Why::Store { partition: number, detail: error.to_string() }));
    }

    fn commit_when_due(&mut self, bus: &mut impl Bus, now: Now) {
        if now.steady < self.commit_at {
            return;
        }
        self.commit_at = now.steady + COMMIT_EVERY_MS;
        let mut positions = Vec::new();
        for slot in self.partitions.iter().filter(|slot| slot.partition.stage() == StageName::Owning) {
            let partition = slot.partition.number();
            positions.extend(
                slot.partition
                    .confirmed_positions()
                    .map(|(index, next)| (TopicPartition { topic: self.inputs[index], partition }, next)),
            );
        }
        if !positions.is_empty() && !mutated("no_commit") {
            bus.commit(&self.settings.group, &positions);
        }
    }

    /// How long until something is due without anything happening.
    fn idle(&self, now: Now) -> Duration {
        let timers = self.partitions.iter().map(|slot| slot.partition.idle(now.wall, now.steady)).min().unwrap_or(Duration::MAX);
        if self.sender.is_none() { timers.min(until(self.claim_at, now.steady)) } else { timers }
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
