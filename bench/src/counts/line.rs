//! The order saga from end to end on one thread: the real worker, a simulated broker on which nothing goes wrong, and participants
//! that always succeed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ringmaster::runtime::{CompileOptions, Knowledge, Now, SetupSettings, Worker, load_knowledge, prepare};
use ringmaster::topics;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_core::partition::{BreakerSettings, Limits, StartAt};
use ringmaster_demo::orders::{ORDERS, OUTCOMES, OrderWriter};
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::state::{RowKey, RowKind};
use ringmaster_schemas::wire::{Outcome, ReplyMeta, decode_command, put_reply_avro};
use ringmaster_schemas::{Millis, json};
use ringmaster_store::Store as _;
use ringmaster_store::sim::SimStore;

use super::allocator::cross;
use super::outside::Outside;

const PREFIX: &str = "ringmaster";
const BEGIN: Millis = 1_900_000_000_000;
/// Turns of the worker that one step of all sagas may take.
const TURNS_MAX: usize = 100_000;

/// A participant: its topic of commands, the command's name, and the result that it always gives, as JSON.
struct Script {
    topic: &'static str,
    command: &'static str,
    result: &'static str,
    answered: usize,
}

/// Everything that runs.
pub(super) struct Line {
    broker: SimBroker,
    worker: Worker<Outside<SimBus>>,
    store: SimStore,
    knowledge: Arc<Knowledge>,
    writer: OrderWriter,
    scripts: [Script; 3],
    now: Millis,
}

impl Line {
    pub(super) fn open(root: &Path) -> Result<Line> {
        let broker = SimBroker::new(0, BEGIN, Faults::none());
        topics::apply(&mut broker.client(), &topics::needed(&Topics::new(PREFIX), 1, &[], &[], &[]), 1)?;
        let file = root.join("sagas/order-fulfilment.yaml");
        let schemas = root.join("sagas/schemas");
        let knowledge = load_knowledge(&mut broker.client(), PREFIX, &schemas, &[file], &CompileOptions::default(), BEGIN)?;
        topics::apply(&mut broker.client(), &topics::needed_by(&knowledge.catalog, PREFIX, 1), 1)?;
        let setup = prepare(&mut broker.client(), &settings(), &knowledge)?;
        let knowledge = Arc::new(knowledge);
        let store = SimStore::new();
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
            Arc::new(store.clone()),
            Box::new(ids),
        );
        let writer = OrderWriter::new(knowledge.schemas.named("OrderPlaced").context("the schema folder has no OrderPlaced")?);
        let script = |topic, command, result| Script { topic, command, result, answered: 0 };
        let scripts = [
            script("inventory.commands", "inventory.ReserveStock", r#"{"reservation_id":"res-00000000"}"#),
            script("payment.commands", "payment.Charge", r#"{"charge_id":"chg-00000000"}"#),
            script("shipping.commands", "shipping.Ship", r#"{"tracking":"trk-00000000"}"#),
        ];
        Ok(Line { broker, worker, store, knowledge, writer, scripts, now: BEGIN })
    }

    /// Places orders; each starts a saga, which is then behind its first command.
    pub(super) fn start(&mut self, run: &str, count: usize) -> Result<()> {
        let mut value = Vec::new();
        for number in 0..count {
            value.clear();
            let key = format!("{run}{number:08}");
            // An order of number 0 succeeds.
            self.writer.put(&key, 0, &mut value);
            self.broker.put(ORDERS, 0, Some(key.as_bytes()), &value);
        }
        self.turn_until(self.scripts[0].topic, self.scripts[0].answered + count)
    }

    /// The participant of this step answers all that it was asked: the sagas are then behind their next command, or at their end.
    pub(super) fn answer(&mut self, step: usize) -> Result<()> {
        let script = &self.scripts[step];
        let schemas = &self.knowledge.schemas;
        let named = |name: String| schemas.named(&name).with_context(|| format!("no schema {name}"));
        let envelope = named(format!("{}Reply", script.command))?.fingerprint();
        let mut result = Vec::new();
        json::transcode(named(format!("{}Result", script.command))?, script.result.as_bytes(), &mut result)?;
        let commands = self.broker.log(script.topic, 0);
        let mut value = Vec::new();
        for record in &commands[script.answered..] {
            let command = decode_command(&record.value, schemas)?;
            let meta = ReplyMeta {
                idempotency_key: (&*command.meta.idempotency_key).into(),
                attempt: command.meta.attempt,
                outcome: Outcome::Succeeded,
                code: None,
                message: None,
                retryable: false,
            };
            value.clear();
            put_reply_avro(&meta, envelope, Some(&result), &mut value);
            self.broker.put(&command.meta.reply_to, 0, record.key.as_deref(), &value);
        }
        let count = commands.len() - script.answered;
        self.scripts[step].answered = commands.len();
        match self.scripts.get(step + 1) {
            Some(next) => self.turn_until(next.topic, next.answered + count),
            None => self.turn_until(OUTCOMES, commands.len()),
        }
    }

    /// Lets the worker turn until a topic has so many records and nothing is on its way.
    fn turn_until(&mut self, topic: &str, count: usize) -> Result<()> {
        for _ in 0..TURNS_MAX {
            self.now += 1;
            self.broker.advance(self.now);
            let (now, worker) = (self.now(), &mut self.worker);
            cross(|| worker.turn(&|| now, Duration::ZERO).map(drop))?;
            if self.broker.on_the_wire() == 0 && self.broker.log(topic, 0).len() >= count && self.worker.quiet() {
                return Ok(());
            }
        }
        bail!("{topic} has {} of {count} records after {TURNS_MAX} turns", self.broker.log(topic, 0).len());
    }

    fn now(&self) -> Now {
        Now { wall: self.now, steady: self.now }
    }

    /// Writes the state of all sagas, and counts that too.
    pub(super) fn checkpoint(&mut self) -> Result<()> {
        let (now, worker) = (self.now(), &mut self.worker);
        Ok(cross(|| worker.checkpoint(now))?)
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
        checkpoint_every_ms: 3_600_000,
        checkpoint_rows_max: 10_000_000,
        claim_backoff_first_ms: 10,
        claim_backoff_max_ms: 400,
    }
}
