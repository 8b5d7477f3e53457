//! Senders and readers on three real brokers whose partitions change their leaders under load: by a crash, by elections, by a leader that freezes
//! and comes back as if it still led, by brokers that are restarted one after the other. Skipped, saying so, where the broker's jars
//! are not there.

#![allow(clippy::print_stdout)]

mod judge;
mod reader;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::Client;
use ringmaster_bus::kafka::broker::{Broker, Cluster, LIBS};

use judge::{everything, judge};
use reader::Reader;
use writer::{PATIENCE, Seen, WINDOW, Writer};

const TOPIC: &str = "led";
const PARTITIONS: i32 = 6;
const BROKERS: usize = 3;
/// A broker that is silent for so long leads nothing any more.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// A cluster, and what its writers came to.
struct Stage {
    cluster: Cluster,
    seen: Vec<(Client, Arc<Seen>)>,
    begun: Instant,
}

impl Stage {
    /// The partitions that this broker leads.
    fn led_by(&self, broker: usize) -> Vec<usize> {
        let partitions = self.cluster.partitions(TOPIC, None).expect("partitions");
        (0..).zip(partitions).filter_map(|(at, led)| (led.leader == Some(broker)).then_some(at)).collect()
    }

    fn leader(&self) -> usize {
        self.cluster.partitions(TOPIC, None).expect("partitions")[0].leader.expect("a leader")
    }

    /// Waits until this holds for each writer.
    fn until(&self, what: &str, holds: impl Fn(usize, &Seen) -> bool) {
        let begun = Instant::now();
        while !self.seen.iter().enumerate().all(|(place, (_, seen))| holds(place, seen)) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until records that are sent from now on are acknowledged, in each partition.
    fn goes_on(&self) {
        let counts = |counts: &[AtomicU64]| counts.iter().map(|count| count.load(SeqCst)).collect::<Vec<_>>();
        let sent: Vec<_> = self.seen.iter().map(|(_, seen)| counts(&seen.sent)).collect();
        self.until("each partition goes on", |place, seen| {
            seen.acknowledged.iter().zip(&sent[place]).all(|(acknowledged, sent)| acknowledged.load(SeqCst) > *sent)
        });
    }

    /// Waits until each broker has everything again.
    fn is_whole(&self) {
        self.cluster.until(TOPIC, None, |led| led.is_whole && led.leader.is_some()).expect("all replicas");
    }

    /// A fault hit these partitions: of each writer something was on its way there.
    fn hit(&self, what: &str, which: &[usize]) {
        for (client, seen) in &self.seen {
            let (hit, doubts) = (seen.on_their_way(which), seen.doubts.load(SeqCst));
            println!(
                "{:?} {what}: {client:?}: {hit} records of {} partitions on their way, {doubts} doubts before",
                self.begun.elapsed(),
                which.len()
            );
            assert!(hit > 0, "{what} hit nothing of {client:?}");
        }
    }

    fn crash(&mut self) {
        let broker = self.leader();
        let led = self.led_by(broker);
        let doubts: Vec<u64> = self.seen.iter().map(|(_, seen)| seen.doubts.load(SeqCst)).collect();
        self.cluster.node(broker).kill().expect("killed");
        self.hit("a crash", &led);
        self.goes_on();
        self.until("a doubt", |place, seen| seen.doubts.load(SeqCst) > doubts[place]);
        self.cluster.node(broker).restart().expect("it starts again");
        self.is_whole();
    }

    fn elect(&mut self) {
        let partitions = self.cluster.partitions(TOPIC, None).expect("partitions");
        let moving: Vec<usize> =
            (0..).zip(&partitions).filter_map(|(at, led)| (led.leader != Some(led.preferred)).then_some(at)).collect();
        assert!(!moving.is_empty(), "each partition is led by whom it should: {partitions:?}");
        self.hit("an election", &moving);
        self.cluster.elect_preferred().expect("elected");
        self.cluster.until(TOPIC, None, |led| led.leader == Some(led.preferred)).expect("leaders");
        self.goes_on();
    }

    fn freeze(&mut self) {
        let broker = self.leader();
        let led = self.led_by(broker);
        self.cluster.node(broker).pause().expect("paused");
        let full = WINDOW * led.len() as u64;
        self.until("what a frozen broker should answer is on its way", |_, seen| seen.on_their_way(&led) == full);
        self.hit("a frozen leader", &led);
        self.cluster.until(TOPIC, Some(broker), |led| led.leader.is_some_and(|leader| leader != broker)).expect("others lead");
        self.goes_on();
        // It still believes that it leads, and has requests to take.
        self.cluster.node(broker).resume().expect("resumed");
        self.is_whole();
        self.elect();
    }

    fn roll(&mut self) {
        for broker in 1..=BROKERS {
            let led = self.led_by(broker);
            assert!(!led.is_empty(), "broker {broker} leads nothing");
            self.hit("a restart", &led);
            self.cluster.node(broker).stop().expect("stopped");
            self.cluster.node(broker).restart().expect("it starts again");
            self.is_whole();
            self.cluster.elect_preferred().expect("elected");
            self.cluster.until(TOPIC, None, |led| led.leader == Some(led.preferred)).expect("leaders");
            self.goes_on();
        }
    }
}

#[test]
fn leaders_move_and_nothing_is_lost_or_doubled() {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return;
    }
    let begun = Instant::now();
    let cluster = Cluster::start(BROKERS, SILENCE_MAX).expect("a cluster");
    cluster.create_topic(TOPIC, PARTITIONS).expect("a topic");
    let writers = [Client::Librdkafka, Client::Direct].map(|client| Writer::new(&cluster.bootstrap(), client, TOPIC, PARTITIONS));
    let seen = writers.iter().map(|writer| (writer.client, writer.seen())).collect();
    let mut stage = Stage { cluster, seen, begun };
    let threads = writers.map(|writer| std::thread::spawn(|| writer.run()));
    let readers = [Client::Librdkafka, Client::Direct].map(|client| {
        let reader = Reader::new(&stage.cluster.bootstrap(), client, TOPIC, PARTITIONS);
        (client, reader.is_over(), std::thread::spawn(|| reader.run()))
    });
    stage.is_whole();
    stage.goes_on();
    stage.crash();
    stage.elect();
    stage.freeze();
    stage.roll();
    stage.seen.iter().for_each(|(_, seen)| seen.is_over.store(true, SeqCst));
    let writers = threads.map(|thread| thread.join().expect("it wrote"));
    let there = everything(&stage.cluster.bootstrap(), TOPIC, PARTITIONS);
    for (client, is_over, thread) in readers {
        is_over.store(true, SeqCst);
        assert!(thread.join().expect("it read") == there, "{client:?} was given something else than what is there");
    }
    for writer in &writers {
        println!("{:?} {}", begun.elapsed(), judge(writer, &there));
        // Ours says what a lost connection took along: at the latest the frozen leader owed something.
        let was_hit = writer.reasons.iter().any(|why| why.contains("batches were on their way"));
        assert!(was_hit || writer.client == Client::Librdkafka, "{:?}", writer.reasons);
    }
}
