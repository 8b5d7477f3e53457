//! A member that ends when the group has counted it out and it has not said yet that it knows: closing librdkafka's consumer waits for
//! that answer without a limit. An orderly end must end.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::{Broker, LIBS};
use ringmaster_bus::kafka::{Joining, KafkaSettings, Member};
use ringmaster_bus::{Granted, Membership};

const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 4;
/// Who asks for nothing for so long is counted out.
const SILENT_MS: u64 = 6_000;

fn join(broker: &Broker) -> Member {
    let mut settings = KafkaSettings::new(broker.address());
    for (key, value) in [("session.timeout.ms", SILENT_MS), ("max.poll.interval.ms", SILENT_MS)] {
        settings.passthrough.push((key.to_owned(), value.to_string()));
    }
    let joining = Joining {
        group: "members".to_owned(),
        topic: "shared".to_owned(),
        partitions: PARTITIONS,
        name: "blue".to_owned(),
        address: String::new(),
        leaves: true,
    };
    Member::join(settings, joining).expect("it joins")
}

#[test]
fn who_is_counted_out_at_its_end_ends_all_the_same() {
    if !Broker::is_available() {
        println!("skipped: {LIBS} does not name a folder with the jars of Kafka");
        return;
    }
    let broker = Broker::start().expect("a broker");
    broker.create_topic("shared", PARTITIONS, &[]).expect("a topic");
    let mut member = join(&broker);
    let begun = Instant::now();
    let mut until = |what: &str, is_it: fn(&Granted) -> bool| {
        while !member.poll(Duration::from_millis(20)).as_ref().is_some_and(is_it) {
            assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        }
    };
    until("it has something", |granted| matches!(granted, Granted::Given(_)));
    // It hangs for too long, and finds that out when it goes on.
    std::thread::sleep(Duration::from_millis(SILENT_MS + 2_000));
    until("it is counted out", |granted| matches!(granted, Granted::Lost(_)));
    let (ends, ended) = channel();
    std::thread::spawn(move || {
        Box::new(member).leave();
        let _ = ends.send(());
    });
    ended.recv_timeout(PATIENCE).expect("it ends");
}
