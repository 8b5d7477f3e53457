//! A saga from end to end on one thread: the real worker, a simulated broker on which nothing goes wrong, and participants
//! that always succeed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ringmaster::runtime::{CompileOptions, Knowledge, Now, SetupSettings, Worker, load_knowledge, prepare};
use ringmaster::topics;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_core::partition::{BreakerSettings, Limits, StartAt};
use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::state::{RowKey, RowKind};
use ringmaster_schemas::wire::{Outcome, ReplyMeta, decode_command, put_reply_avro};
use ringmaster_schemas::{Millis, json};
use ringmaster_store::Store;

use super::allocator::cross;
use super::outside::Outside;
use crate::course::Course;

const PREFIX: &str = "ringmaster";
const BEGIN: Millis = 1_900_000_000_000;
/// In front of a value that is Avro, single-object.
const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];
/// Turns of the worker that one step of all sagas may take.
const TURNS_MAX: usize = 100_000;

/// Everything that runs.
pub(super) struct Line {
    course: &'static Course,
    broker: SimBroker,
    worker: Worker<Outside<SimBus>>,
    store: Arc<dyn Store>,
    knowledge: Arc<Knowledge>,
    /// Records of topics that were answered, or waited for.
    seen: BTreeMap<&'static str, (usize, usize)>,
    pub(super) topics: Topics,
    now: Millis,
}

impl Line {
    pub(super) fn open(root: &Path, course: &'static Course, store: Arc<dyn Store>) -> Result<Line> {
        let broker = SimBroker::new(0, BEGIN, Faults::none());
        topics::apply(&mut broker.client(), &topics::needed(&Topics::new(PREFIX), 1, &[], &[], &[]), 1)?;
        let (file, schemas) = (root.join(course.file), root.join(course.schemas));
        let knowledge = load_knowledge(&mut broker.client(), PREFIX, &schemas, &[file], &CompileOptions::default(), BEGIN)?;
        topics::apply(&mut broker.client(), &topics::needed_by(&knowledge.catalog, PREFIX, 1), 1)?;
        let setup = prepare(&mut broker.client(), &settings(), &knowledge)?;
        let knowledge = Arc::new(knowledge);
        let mut number = 0u128;
        let ids = move || {
            number += 1;
            number.to_be_bytes()
        };
        let worker = Worker::new(
            Outside(broker.client()),
            setup.worker(),
            setup.partitions(0, 1),
            knowledge.clone(),
            store.clone(),
            Box::new(ids),
        );
        Ok(Line { course, broker, worker, store, knowledge, seen: BTreeMap::new(), topics: Topics::new(PREFIX), now: BEGIN })
    }

    /// Places orders; each starts a saga, which is then behind its first command.
    pub(super) fn start(&mut self, run: &str, count: usize) -> Result<()> {
        self.place(run, count, self.course.body)?;
        self.turn_until(0, count)
    }

    /// Places so many orders with this body, in which `KEY` stands for each one's own.
    pub(super) fn place(&self, run: &str, count: usize, body: &str) -> Result<()> {
        let schema = self.named(self.course.event)?.clone();
        let mut value = Vec::new();
        for number in 0..count {
            value.clear();
            value.extend_from_slice(&SINGLE_OBJECT);
            value.extend_from_slice(&schema.fingerprint().to_le_bytes());
            let key = format!("{run}{number:08}");
            json::transcode(&schema, body.replace("KEY", &key).as_bytes(), &mut value)?;
            self.broker.put(self.course.topic, 0, Some(key.as_bytes()), &value);
        }
        Ok(())
    }

    /// Rounds of answers.
    pub(super) fn steps(&self) -> usize {
        self.course.rounds.len() - 1
    }

    fn named(&self, name: &str) -> Result<&Arc<Schema>> {
        self.knowledge.schemas.named(name).with_context(|| format!("no schema {name}"))
    }

    /// The participants of this round answer all that they were asked: the sagas are then behind their next commands, or at their end.
    pub(super) fn answer(&mut self, round: usize) -> Result<()> {
        let mut count = 0;
        for topic in self.course.rounds[round + 1].answer {
            count = self.answer_all(topic)?;
        }
        self.turn_until(round + 1, count)
    }

    /// A participant answers all that it was asked since it last did; how many that were.
    pub(super) fn answer_all(&mut self, topic: &'static str) -> Result<usize> {
        let commands = self.broker.log(topic, 0);
        let answered = std::mem::replace(&mut self.seen.entry(topic).or_default().0, commands.len());
        for record in &commands[answered..] {
            self.reply(&record.value, record.key.as_deref())?;
        }
        Ok(commands.len() - answered)
    }

    /// Records of a topic.
    pub(super) fn count(&self, topic: &str) -> usize {
        self.broker.log(topic, 0).len()
    }

    fn reply(&self, command: &[u8], key: Option<&[u8]>) -> Result<()> {
        let command = decode_command(command, &self.knowledge.schemas)?;
        let name = &*command.meta.command;
        let known = self.course.results.iter().find(|(command, _)| *command == name);
        let (_, result) = known.with_context(|| format!("nobody answers {name}"))?;
        let envelope = self.named(&format!("{name}Reply"))?.fingerprint();
        let (mut body, mut value) = (Vec::new(), Vec::new());
        json::transcode(self.named(&format!("{name}Result"))?, result.as_bytes(), &mut body)?;
        let meta = ReplyMeta {
            idempotency_key: (&*command.meta.idempotency_key).into(),
            attempt: command.meta.attempt,
            outcome: Outcome::Succeeded,
            code: None,
            message: None,
            retryable: false,
        };
        put_reply_avro(&meta, envelope, Some(&body), &mut value);
        self.broker.put(&command.meta.reply_to, 0, key, &value);
        Ok(())
    }

    /// Lets the worker turn until the next topics of a round have so many records more, and nothing is on its way.
    fn turn_until(&mut self, round: usize, count: usize) -> Result<()> {
        let then = self.course.rounds[round].then;
        for topic in then {
            self.seen.entry(topic).or_default().1 += count;
        }
        self.turn_while(|line| then.iter().any(|topic| line.count(topic) < line.seen[*topic].1))
            .with_context(|| format!("{then:?} have fewer than {count} records more"))
    }

    /// Lets the worker turn until nothing is on its way, and at least as long as this.
    pub(super) fn turn_while(&mut self, more: impl Fn(&Line) -> bool) -> Result<()> {
        for _ in 0..TURNS_MAX {
            self.now += 1;
            self.broker.advance(self.now);
            let (now, worker) = (self.now(), &mut self.worker);
            cross(|| worker.turn(&|| now, Duration::ZERO).map(drop))?;
            if self.broker.on_the_wire() == 0 && self.worker.quiet() && !more(self) {
                return Ok(());
            }
        }
        bail!("it is not quiet after {TURNS_MAX} turns");
    }

    fn now(&self) -> Now {
        Now { wall: self.now, steady: self.now }
    }

    /// Writes the state of all sagas, and counts that too.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        let (now, worker) = (self.now(), &mut self.worker);
        Ok(cross(|| worker.checkpoint(now))?)
    }

    /// What is in the journal: offsets and values.
    pub(super) fn journal(&self) -> Vec<(i64, Vec<u8>)> {
        let log = self.broker.log(&self.topics.journal, 0);
        log.into_iter().map(|record| (record.offset, record.value.to_vec())).collect()
    }

    /// Turns journaled, and bytes of journal records.
    pub(super) fn journaled(&self) -> (u64, u64) {
        let counters = self.worker.counters();
        (counters.turns, counters.record_bytes)
    }

    /// Stored rows of a run, and their bytes with those of their ids.
    pub(super) fn stored(&self, run: &str) -> Result<(usize, usize)> {
        let (mut rows, mut bytes) = (0, 0);
        self.store.rows(0, RowKind::Saga, &mut |key, row| {
            let RowKey::Saga(id) = key else { return true };
            if id.contains(run) {
                rows += 1;
                bytes += id.len() + row.len();
            }
            true
        })?;
        Ok((rows, bytes))
    }
}

/// As in the product, but that a checkpoint is written only when it is asked for.
fn settings() -> SetupSettings {
    SetupSettings {
        prefix: PREFIX.into(),
        partitions: 1,
        owner: "counts".into(),
        address: String::new(),
        start_at: StartAt::Earliest,
        inputs: Vec::new(),
        limits: Limits {
            record_bytes_max: 900_000,
            record_turns_max: 1_000,
            in_flight_records_max: 16,
            in_flight_max: 1_000_000,
            memory_bytes_max: 1 << 30,
            unreleased_effects_max: 1_000_000,
            timers_per_poll_max: 1_000,
        },
        breaker: BreakerSettings::default(),
        tracing: None,
        checkpoint_every_ms: 3_600_000,
        checkpoint_rows_max: 10_000_000,
        claim_backoff_first_ms: 10,
        claim_backoff_max_ms: 400,
    }
}
