//! Measures what a command costs a participant: CPU and wall time of decode, handling, ledger and reply, without a broker.
//!
//! ```text
//! cargo run --release -p ringmaster-participants --example cpu -- [COMMANDS] [PER_TURN]
//! ```
//!
//! Prints one JSON line a service. The bus is a loop over encoded commands; replies are counted and dropped.

use std::time::{Duration, Instant};

use ringmaster_bus::clock;
use ringmaster_bus::{
    Bus, BusError, BusEvent, Description, Message, Record, SendError, Sender, Specification, Topic, TopicPartition, Waker,
};
use ringmaster_participants::ledger::{Ledger, RocksLedger, SimLedger};
use ringmaster_participants::services::{Inventory, Payment, Shipping};
use ringmaster_participants::{Participant, Service, Settings, schemas};
use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::wire::{self, CommandMeta};
use ringmaster_schemas::{Millis, json};

const PARTITIONS: i32 = 8;

/// Commands from memory, acknowledgements at once.
struct Loop {
    commands: Vec<(String, Vec<u8>)>,
    next: usize,
    per_turn: usize,
    assigned: bool,
    acknowledgements: Vec<u64>,
    reply_bytes: usize,
}

impl Bus for Loop {
    fn topic(&mut self, name: &str) -> Topic {
        Topic(u16::from(name.ends_with("replies")))
    }
    fn name_of(&self, _: Topic) -> &str {
        "commands"
    }
    fn describe(&mut self, _: &[&str]) -> Result<Vec<Option<Description>>, BusError> {
        Ok(vec![Some(Description { name: "commands".into(), id: [0; 16], partitions: PARTITIONS, copies: None, settings: vec![] })])
    }
    fn create(&mut self, _: &Specification) -> Result<bool, BusError> {
        Ok(false)
    }
    fn delete_before(&mut self, _: TopicPartition, _: i64) -> Result<(), BusError> {
        unreachable!()
    }
    fn open_sender(&mut self) -> Result<Sender, BusError> {
        Ok(Sender(1))
    }
    fn close_sender(&mut self, _: Sender) {}
    fn send(&mut self, _: Sender, message: Message<'_>, tag: u64) -> Result<(), SendError> {
        self.reply_bytes += message.value.len();
        self.acknowledgements.push(tag);
        Ok(())
    }
    fn turn_min(&self) -> Duration {
        Duration::ZERO
    }
    fn flush(&mut self) {}
    fn read(&mut self, _: TopicPartition, _: i64) {}
    fn stop(&mut self, _: TopicPartition) {}
    fn pause(&mut self, _: &[TopicPartition], _: bool) {}
    fn ask_bounds(&mut self, _: TopicPartition) {}
    fn ask_offset_at(&mut self, _: TopicPartition, _: Millis) {}
    fn expect(&mut self, _: Topic, _: TopicId) {}
    fn ask_topics(&mut self, _: &[Topic], _: u64) {}
    fn join(&mut self, _: &str, _: &[Topic]) -> Result<(), BusError> {
        Ok(())
    }
    fn commit(&mut self, _: &str, _: &[(TopicPartition, i64)]) {}
    fn committed(&mut self, _: &str, of: &[TopicPartition]) -> Result<Vec<Option<i64>>, BusError> {
        Ok(vec![None; of.len()])
    }
    fn poll(&mut self, _: Duration, visit: &mut dyn FnMut(BusEvent<'_>)) -> usize {
        if !std::mem::replace(&mut self.assigned, true) {
            visit(BusEvent::Assigned((0..PARTITIONS).map(|partition| TopicPartition { topic: Topic(0), partition }).collect()));
        }
        for tag in self.acknowledgements.drain(..) {
            visit(BusEvent::Acknowledged { sender: Sender(1), tag, offset: Some(0) });
        }
        let end = (self.next + self.per_turn).min(self.commands.len());
        for n in self.next..end {
            let (key, value) = &self.commands[n];
            let at = TopicPartition { topic: Topic(0), partition: (n * 8 / self.per_turn) as i32 % PARTITIONS };
            visit(BusEvent::Record(Record {
                at,
                offset: n as i64,
                timestamp: 0,
                key: Some(key.as_bytes()),
                value: Some(value),
                headers: None,
            }));
        }
        let count = end - self.next;
        self.next = end;
        count
    }
    fn waker(&self) -> Waker {
        std::sync::Arc::new(|| {})
    }
}

#[allow(clippy::print_stdout, reason = "what it measures is its output")]
fn measure<S: Service, L: Ledger>(
    service: S,
    ledger: L,
    kept: &str,
    step: &str,
    body: fn(usize) -> String,
    count: usize,
    per_turn: usize,
) {
    let mut known = schemas::demo();
    let name = S::COMMANDS[0].name;
    let envelope = known.command_envelope(name).expect("built in").fingerprint();
    let schema = known.named(name).expect("built in").clone();
    let now = clock::wall();
    let encode = |n: usize| {
        let mut encoded = Vec::new();
        json::transcode(&schema, body(n).as_bytes(), &mut encoded).expect("it fits");
        let key = format!("order-fulfilment/ord-{n}/{step}/do");
        let meta = CommandMeta {
            command: name.into(),
            idempotency_key: key.into(),
            attempt: 1,
            undoes: None,
            reply_to: "ringmaster.replies".into(),
            reply_partition: (n * 8 / per_turn) as i32 % PARTITIONS,
            first_time: now,
            traceparent: None,
        };
        let mut value = Vec::new();
        wire::put_command_avro(&meta, envelope, &encoded, &mut value);
        (format!("ord-{n}"), value)
    };
    let commands: Vec<_> = (0..count).map(encode).collect();
    let mut bus = Loop { commands, next: 0, per_turn, assigned: false, acknowledgements: Vec::new(), reply_bytes: 0 };
    let mut participant = Participant::new(service, ledger, known, Settings::new(S::NAME, "ringmaster")).expect("it opens");
    participant.start(&mut bus).expect("it starts");
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    while bus.next < count || participant.reply_counts().acknowledged < count as u64 {
        participant.turn(&mut bus, clock::now(), Duration::ZERO).expect("it runs");
    }
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let counts = participant.counts();
    println!(
        r#"{{"service":"{}","ledger":"{kept}","commands":{count},"per_turn":{per_turn},"done":{},"refused":{},"wall_us":{:.2},"cpu_us":{:.2},"reply_bytes":{}}}"#,
        S::NAME,
        counts.done,
        counts.refused,
        wall * 1e6 / count as f64,
        cpu * 1e6 / count as f64,
        bus.reply_bytes / count,
    );
}

/// CPU time of this process, all threads: the store's background work counts.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("a name in brackets").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().expect("a number"));
    let (count, per_turn) = (arguments.next().unwrap_or(1_000_000), arguments.next().unwrap_or(1_000));
    let order = |n: usize| {
        format!(r#"{{"order_id":"ord-{n}","items":[{{"sku":"sku-{}","qty":1}},{{"sku":"sku-{}","qty":2}}]}}"#, n % 100, n % 37)
    };
    let charge = |n: usize| format!(r#"{{"order_id":"ord-{n}","amount":"{}.50","currency":"EUR"}}"#, n % 5_100);
    let ship = |n: usize| format!(r#"{{"order_id":"ord-{n}","region":"EU","items":[{{"sku":"sku-{}","qty":1}}]}}"#, n % 100);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rocks = |name: &str| RocksLedger::open(&folder.path().join(name)).expect("it opens");
    measure(Inventory::new(Inventory::demo_stock()), rocks("inventory"), "rocks", "reserve_stock", order, count, per_turn);
    measure(Payment::demo(), rocks("payment"), "rocks", "charge_payment", charge, count, per_turn);
    measure(Shipping::demo(), rocks("shipping"), "rocks", "ship", ship, count, per_turn);
    measure(Payment::demo(), SimLedger::default(), "memory", "charge_payment", charge, count, per_turn);
}
