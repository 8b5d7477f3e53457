//! A service on a scripted bus and a ledger in memory, that can be crashed and started again at any moment.

// Every test file has this module as its own, and uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod bus;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ringmaster_bus::clock::Now;
use ringmaster_participants::audit::{Audit, KeyEffects};
use ringmaster_participants::faults::Faults;
use ringmaster_participants::ledger::{Ledger, SimLedger};
use ringmaster_participants::{Participant, Service, Settings, Stop, TurnReport};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::wire::{self, Body, CommandMeta, Outcome};
use ringmaster_schemas::{Millis, json, names};

use bus::{Log, TestBus};

/// When the tests begin.
pub const START: Millis = 1_700_000_000_000;
/// Where replies go.
pub const REPLIES: &str = "ringmaster.replies";

/// How a test's command is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    Avro,
    Json,
}

/// A command of a test.
#[derive(Debug, Clone)]
pub struct Command {
    pub name: &'static str,
    pub key: String,
    pub attempt: i32,
    pub undoes: Option<String>,
    pub body: String,
    pub first_time: Millis,
    pub reply_to: String,
    pub reply_partition: i32,
    pub encoding: As,
}

/// A reply as a test compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub key: String,
    pub attempt: i32,
    pub outcome: Outcome,
    pub code: Option<String>,
    pub retryable: bool,
    pub result: Option<String>,
}

/// A service and its surroundings.
pub struct World<S> {
    pub log: Rc<RefCell<Log>>,
    pub bus: TestBus,
    pub ledger: SimLedger,
    pub schemas: Schemas,
    pub faults: Faults,
    pub now: Millis,
    /// By how much the wall clock was set.
    pub jump: Millis,
    make: fn() -> S,
    participant: Option<Participant<S, SimLedger>>,
}

impl<S: Service> World<S> {
    pub fn new(make: fn() -> S) -> Self {
        let log = Rc::new(RefCell::new(Log::default()));
        log.borrow_mut().partitions.extend([(names::command_topic(S::NAME), 4), (REPLIES.to_owned(), 4)]);
        let bus = TestBus::new(&log);
        let mut schemas = ringmaster_participants::schemas::demo();
        for command in S::COMMANDS.iter().flat_map(|command| [Some(command.name), command.undo]).flatten() {
            schemas.reply_envelope(command).unwrap();
        }
        World {
            log,
            bus,
            ledger: SimLedger::default(),
            schemas,
            faults: Faults::default(),
            now: START,
            jump: 0,
            make,
            participant: None,
        }
    }

    pub fn with_faults(make: fn() -> S, faults: &[&str]) -> Self {
        let mut world = Self::new(make);
        world.faults.list = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        world
    }

    /// Appends a command to its topic.
    pub fn send(&mut self, command: &Command) {
        let value = self.encode(command);
        self.send_raw(&saga_key(&command.key), &value);
    }

    pub fn send_raw(&mut self, key: &str, value: &[u8]) {
        let topic = names::command_topic(S::NAME);
        let mut log = self.log.borrow_mut();
        let partition = names::partition_of(key.as_bytes(), log.partitions[&topic]);
        log.records.entry((topic, partition)).or_default().push((key.as_bytes().to_vec(), value.to_vec()));
    }

    pub fn encode(&mut self, command: &Command) -> Vec<u8> {
        let meta = CommandMeta {
            command: command.name.into(),
            idempotency_key: (&*command.key).into(),
            attempt: command.attempt,
            undoes: command.undoes.as_deref().map(Into::into),
            reply_to: (&*command.reply_to).into(),
            reply_partition: command.reply_partition,
            first_time: command.first_time,
            traceparent: None,
        };
        let mut out = Vec::new();
        match command.encoding {
            As::Json => wire::put_command_json(&meta, command.body.as_bytes(), &mut out),
            As::Avro => {
                let envelope = self.schemas.command_envelope(command.name).unwrap().fingerprint();
                let mut body = Vec::new();
                json::transcode(self.schemas.named(command.name).unwrap(), command.body.as_bytes(), &mut body).unwrap();
                wire::put_command_avro(&meta, envelope, &body, &mut out);
            }
        }
        out
    }

    /// One turn, started if it has to be.
    pub fn turn(&mut self) -> Result<TurnReport, Stop> {
        if self.participant.is_none() {
            let settings = Settings { faults: self.faults.clone(), ..Settings::new(S::NAME, "ringmaster") };
            let mut made = Participant::new((self.make)(), self.ledger.clone(), self.schemas.clone(), settings)?;
            made.start(&mut self.bus)?;
            self.participant = Some(made);
        }
        let now = Now { wall: self.now + self.jump, steady: self.now };
        let turn = self.participant.as_mut().expect("it was just started").turn(&mut self.bus, now, Duration::ZERO);
        if turn.is_err() {
            self.crash();
        }
        turn
    }

    /// The process ends; the disk keeps what was written, the broker what it has.
    pub fn crash(&mut self) {
        self.participant = None;
        self.ledger = std::mem::take(&mut self.ledger).crash();
        let poll_max = self.bus.poll_max;
        self.bus = TestBus::new(&self.log);
        self.bus.poll_max = poll_max;
    }

    /// Turns until nothing happens any more and all is committed, with time going on, through scripted crashes.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            match self.turn() {
                Ok(report) if report.idle() && report.due_at.is_none() => {
                    // Long enough for the next commit.
                    self.now += 1_000;
                    self.turn().unwrap();
                    return;
                }
                Ok(_) | Err(Stop::ScriptedCrash { .. }) => self.now += 100,
                Err(other) => panic!("{other}"),
            }
        }
        panic!("it does not come to rest: {:?}", self.turn());
    }

    pub fn participant(&self) -> &Participant<S, SimLedger> {
        self.participant.as_ref().expect("it runs")
    }

    /// All replies in the log, by partition.
    pub fn replies(&mut self) -> Vec<Answer> {
        let log = self.log.borrow();
        let replies = log.records.iter().filter(|((topic, _), _)| topic == REPLIES);
        replies.flat_map(|(_, records)| records).map(|(key, value)| read_answer(key, value, &self.schemas)).collect()
    }

    /// The answers to one key.
    pub fn replies_to(&mut self, key: &str) -> Vec<Answer> {
        let all = self.replies();
        all.into_iter().filter(|answer| answer.key == key).collect()
    }

    pub fn only_reply_to(&mut self, key: &str) -> Answer {
        let mut replies = self.replies_to(key);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.pop().expect("one")
    }

    pub fn audit(&self) -> Audit {
        let audit = Audit::of(&self.ledger, Millis::MIN).unwrap();
        assert_eq!(audit.problems, Vec::<String>::new());
        audit
    }

    pub fn effect(&self, key: &str) -> Option<KeyEffects> {
        self.audit().effects.into_iter().find(|of| of.idempotency_key == key)
    }

    /// Units that stand on an account.
    pub fn net(&self, account: &str) -> i128 {
        let audit = self.audit();
        audit.accounts.iter().find(|of| of.account == account).map_or(0, |of| of.done_units - of.undone_units)
    }

    /// What is committed, over all partitions, and what there is to read.
    pub fn committed_of(&self) -> (i64, i64) {
        let topic = names::command_topic(S::NAME);
        let log = self.log.borrow();
        let committed = log.committed.values().sum();
        let records = log.records.iter().filter(|((name, _), _)| *name == topic).map(|(_, records)| records.len() as i64).sum();
        (committed, records)
    }

    pub fn has_entry(&self, key: &str) -> bool {
        let mut row = vec![1, 1];
        row.extend_from_slice(key.as_bytes());
        self.ledger.get(&row, &mut Vec::new()).unwrap()
    }
}

/// The saga's business key in an idempotency key.
pub fn saga_key(idempotency_key: &str) -> String {
    idempotency_key.split('/').nth(1).unwrap_or("none").to_owned()
}

fn read_answer(key: &[u8], value: &[u8], schemas: &Schemas) -> Answer {
    let reply = wire::decode_reply(value, schemas).unwrap();
    let result = reply.body.map(|body| match body {
        Body::Json(text) => text.to_owned(),
        Body::Avro { schema, node, bytes } => {
            let mut text = String::new();
            json::render(schema, node, bytes, &mut text).unwrap();
            text
        }
    });
    assert_eq!(key, saga_key(&reply.meta.idempotency_key).as_bytes(), "the record's key is copied");
    Answer {
        key: reply.meta.idempotency_key.into_owned(),
        attempt: reply.meta.attempt,
        outcome: reply.meta.outcome,
        code: reply.meta.code.map(Into::into),
        retryable: reply.meta.retryable,
        result,
    }
}

/// `payment.Charge` of an order.
pub fn charge(order: &str, amount: &str) -> Command {
    command("payment.Charge", order, "charge_payment", &format!(r#"{{"order_id":"{order}","amount":"{amount}","currency":"EUR"}}"#))
}

/// `payment.Refund` of that order.
pub fn refund(order: &str, amount: &str) -> Command {
    undo_of(&charge(order, amount), "payment.Refund")
}

/// `inventory.ReserveStock` of an order.
pub fn reserve(order: &str, items: &[(&str, i64)]) -> Command {
    let items: Vec<String> = items.iter().map(|(sku, qty)| format!(r#"{{"sku":"{sku}","qty":{qty}}}"#)).collect();
    let body = format!(r#"{{"order_id":"{order}","items":[{}]}}"#, items.join(","));
    command("inventory.ReserveStock", order, "reserve_stock", &body)
}

/// `inventory.ReleaseStock` of that order.
pub fn release(order: &str, items: &[(&str, i64)]) -> Command {
    undo_of(&reserve(order, items), "inventory.ReleaseStock")
}

/// `shipping.Ship` of an order.
pub fn ship(order: &str, region: &str) -> Command {
    let body = format!(r#"{{"order_id":"{order}","region":"{region}","items":[{{"sku":"sku-1","qty":1}}]}}"#);
    command("shipping.Ship", order, "ship", &body)
}

/// `fraud.Score` of a customer's order.
pub fn score(order: &str, customer: &str, total: &str) -> Command {
    let body =
        format!(r#"{{"order_id":"{order}","customer_id":"{customer}","total":"{total}","items":[{{"sku":"sku-1","qty":1}}]}}"#);
    command("fraud.Score", order, "score_fraud", &body)
}

fn command(name: &'static str, order: &str, step: &str, body: &str) -> Command {
    Command {
        name,
        key: format!("order-fulfilment/{order}/{step}/do"),
        attempt: 1,
        undoes: None,
        body: body.to_owned(),
        first_time: START,
        reply_to: REPLIES.to_owned(),
        reply_partition: names::partition_of(order.as_bytes(), 4),
        encoding: As::Avro,
    }
}

/// The undo of a do, as the coordinator sends it.
pub fn undo_of(done: &Command, name: &'static str) -> Command {
    let key = done.key.replace("/do", "/undo");
    Command { name, key, undoes: Some(done.key.clone()), ..done.clone() }
}

impl Command {
    /// Another attempt of the same command.
    pub fn again(&self, attempt: i32) -> Command {
        Command { attempt, ..self.clone() }
    }

    pub fn json(&self) -> Command {
        Command { encoding: As::Json, ..self.clone() }
    }
}
