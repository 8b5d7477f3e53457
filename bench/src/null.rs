//! The null saga: the records and bytes of an order saga, in the same bursts, without decoding, deciding or state; the most that
//! bus and clients can carry.
//!
//! ```text
//! order -> journal -> command -> reply -> journal -> ... -> outcome: 8 records and 4 journaled turns
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ringmaster::topics::{Kind, Needed, apply};
use ringmaster_bus::{Bus, BusEvent, Message, SendError, Sender, Topic, TopicPartition};
use ringmaster_demo::rig::Buses;

use crate::driver::Plan;

const TOPICS: [&str; 7] =
    ["null-orders", "null-commands-1", "null-commands-2", "null-commands-3", "null-replies", "null-outcomes", "null-journal"];
/// Bytes as the order saga has them (measured by this bench): order, command, reply, outcome, and a turn's share of the journal.
const ORDER_BYTES: usize = 90;
const COMMAND_BYTES: usize = 210;
const REPLY_BYTES: usize = 90;
const OUTCOME_BYTES: usize = 50;
const TURN_BYTES: usize = 320;
/// Turns of one journal record: it must stay below the topic's largest message.
const TURNS_MAX: usize = 2000;
const WAIT: Duration = Duration::from_millis(1);

/// Null sagas a second, with the plan's number in flight.
pub(crate) fn run(buses: &impl Buses, plan: &Plan) -> Result<f64> {
    let mut bus = buses.open()?;
    let needed: Vec<Needed> =
        TOPICS.iter().map(|name| Needed { name: (*name).to_owned(), partitions: plan.partitions, kind: Kind::Events }).collect();
    apply(&mut bus, &needed, 1)?;
    let stop = Arc::new(AtomicBool::new(false));
    let threads = [
        spawn(coordinator, buses.open()?, plan.partitions, stop.clone()),
        spawn(participants, buses.open()?, plan.partitions, stop.clone()),
    ];
    let rate = drive(&mut bus, plan);
    stop.store(true, Ordering::SeqCst);
    for thread in threads {
        if thread.join().is_err() {
            bail!("the null saga panicked");
        }
    }
    rate
}

fn spawn<B: Bus + Send + 'static>(
    run: fn(&mut B, i32, &AtomicBool),
    mut bus: B,
    partitions: i32,
    stop: Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || run(&mut bus, partitions, &stop))
}

/// A record to be sent: where to, its key, its size, its step, and the tag of its acknowledgement.
type Waiting = (TopicPartition, Box<[u8]>, usize, u8, u64);
/// What came in one poll of a partition: keys and steps.
type Turns = Vec<(Box<[u8]>, u8)>;

/// What is to be sent, in the order it came; a full queue keeps it.
struct Queue {
    sender: Sender,
    waiting: VecDeque<Waiting>,
    bytes: [u8; 4096],
}

impl Queue {
    fn new(sender: Sender) -> Self {
        Queue { sender, waiting: VecDeque::new(), bytes: [b'x'; 4096] }
    }

    fn push(&mut self, to: TopicPartition, key: &[u8], size: usize, step: u8, tag: u64) {
        self.waiting.push_back((to, key.into(), size, step, tag));
    }

    fn send(&mut self, bus: &mut impl Bus) {
        while let Some((to, key, size, step, tag)) = self.waiting.front() {
            self.bytes[0] = *step;
            match bus.send(self.sender, Message { to: *to, key: Some(key), value: &self.bytes[..*size], headers: &[] }, *tag) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(SendError::Full) => return,
                Err(why) => panic!("the null saga cannot send: {why}"),
            }
        }
    }
}

fn read_all<B: Bus>(bus: &mut B, names: &[&str], partitions: i32) -> Vec<Topic> {
    let topics: Vec<Topic> = names.iter().map(|name| bus.topic(name)).collect();
    for &topic in &topics {
        for partition in 0..partitions {
            bus.read(TopicPartition { topic, partition }, 0);
        }
    }
    topics
}

/// Journals what came, as one record a partition and poll, and sends what follows once it is acknowledged.
fn coordinator<B: Bus>(bus: &mut B, partitions: i32, stop: &AtomicBool) {
    read_all(bus, &["null-orders", "null-replies"], partitions);
    let next: Vec<Topic> =
        ["null-commands-1", "null-commands-2", "null-commands-3", "null-outcomes"].iter().map(|name| bus.topic(name)).collect();
    let journal = bus.topic("null-journal");
    let sender = bus.open_sender().expect("a producer");
    let mut queue = Queue::new(sender);
    let mut open: Vec<Turns> = vec![Vec::new(); partitions as usize];
    let mut pending: Vec<VecDeque<Turns>> = vec![VecDeque::new(); partitions as usize];
    let mut record = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut confirmed = Vec::new();
        bus.poll(WAIT, &mut |event| match event {
            BusEvent::Record(record) => {
                let step = record.value.map_or(0, |value| value[0]);
                open[record.at.partition as usize].push((record.key.unwrap_or_default().into(), step));
            }
            BusEvent::Acknowledged { tag, .. } if tag < u64::from(u32::MAX) => confirmed.push(tag as usize),
            _ => {}
        });
        for partition in confirmed {
            let mut turns = pending[partition].pop_front().expect("a record was on its way");
            turns.sort_by_key(|(_, step)| *step);
            for (key, step) in turns {
                let to = TopicPartition { topic: next[usize::from(step)], partition: partition as i32 };
                let size = if step == 3 { OUTCOME_BYTES } else { COMMAND_BYTES };
                queue.push(to, &key, size, step, u64::MAX);
            }
        }
        for (partition, turns) in open.iter_mut().enumerate() {
            while !turns.is_empty() {
                let rest = turns.split_off(turns.len().min(TURNS_MAX));
                record.clear();
                record.resize(turns.len() * TURN_BYTES, b'j');
                let to = TopicPartition { topic: journal, partition: partition as i32 };
                match bus.send(sender, Message { to, key: None, value: &record, headers: &[] }, partition as u64) {
                    Ok(()) => pending[partition].push_back(std::mem::replace(turns, rest)),
                    Err(SendError::Full) => {
                        turns.extend(rest);
                        break;
                    }
                    Err(why) => panic!("the null saga cannot journal: {why}"),
                }
            }
        }
        queue.send(bus);
    }
}

fn participants<B: Bus>(bus: &mut B, partitions: i32, stop: &AtomicBool) {
    read_all(bus, &["null-commands-1", "null-commands-2", "null-commands-3"], partitions);
    let replies = bus.topic("null-replies");
    let mut queue = Queue::new(bus.open_sender().expect("a producer"));
    while !stop.load(Ordering::Relaxed) {
        let mut answers: Vec<(i32, Box<[u8]>, u8)> = Vec::new();
        bus.poll(WAIT, &mut |event| {
            if let BusEvent::Record(record) = event {
                let step = record.value.map_or(0, |value| value[0]);
                answers.push((record.at.partition, record.key.unwrap_or_default().into(), step + 1));
            }
        });
        answers.sort_by_key(|(partition, _, _)| *partition);
        for (partition, key, step) in answers {
            queue.push(TopicPartition { topic: replies, partition }, &key, REPLY_BYTES, step, 0);
        }
        queue.send(bus);
    }
}

fn drive<B: Bus>(bus: &mut B, plan: &Plan) -> Result<f64> {
    read_all(bus, &["null-outcomes"], plan.partitions);
    let orders = bus.topic("null-orders");
    let mut queue = Queue::new(bus.open_sender()?);
    let (begun, mut issued, mut finished) = (Instant::now(), 0u64, 0u64);
    let (mut measured_from, mut finished_before) = (None, 0);
    loop {
        let elapsed = begun.elapsed();
        if elapsed >= plan.warm_up && measured_from.is_none() {
            (measured_from, finished_before) = (Some(Instant::now()), finished);
        }
        if elapsed >= plan.warm_up + plan.measured {
            let from = measured_from.expect("the warm-up is over");
            return Ok(((finished - finished_before) as f64 / from.elapsed().as_secs_f64()).round());
        }
        let room = (plan.in_flight as u64).saturating_sub(issued - finished).min(512);
        for _ in 0..room {
            let partition = (issued / 64 % plan.partitions as u64) as i32;
            queue.push(TopicPartition { topic: orders, partition }, format!("b-{issued:08}").as_bytes(), ORDER_BYTES, 0, 0);
            issued += 1;
        }
        queue.send(bus);
        bus.poll(WAIT, &mut |event| {
            if let BusEvent::Record(_) = event {
                finished += 1;
            }
        });
    }
}
