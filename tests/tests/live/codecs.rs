//! What others compress is read, by all codecs there are; and what cannot be read is said by its name, at once.

use std::path::PathBuf;

use ringmaster_bus::kafka::segment::{RECORDS, batches};
use ringmaster_demo::orders::{self, ORDERS};
use ringmaster_demo::rig;
use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{Coordinator, PARTITIONS, RUN, World, until};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Orders by each codec: many to a partition, so that a batch of them is worth compressing.
const ORDERS_A_CODEC: u64 = 160;

#[test]
fn orders_and_replies_of_every_codec_are_read() {
    for (name, topic_codec) in [("codecs", "producer"), ("a topic with a codec", "zstd")] {
        let mut world = World::bare(name);
        world.broker().create_topic(ORDERS, PARTITIONS, &[("compression.type", topic_codec)]).expect("a topic");
        world.apply_topics();
        for service in rig::SERVICES {
            // Replies wait for company, so that a batch of them is worth compressing. Our own producer does neither.
            let settings = ["client=librdkafka", "compression.type=zstd", "linger.ms=50"];
            world.start_service(service, &settings.map(|setting| ["--kafka", setting]).concat());
        }
        let coordinator = world.owner("blue");
        CODECS.iter().zip(0..).for_each(|(codec, which)| world.place(codec, which * ORDERS_A_CODEC..(which + 1) * ORDERS_A_CODEC));
        let total = ORDERS_A_CODEC * CODECS.len() as u64;
        let ended =
            || coordinator.metric("ringmaster_sagas_completed_total") + coordinator.metric("ringmaster_sagas_compensated_total");
        until("all orders end", || ended() == total as f64);
        let expected: &[u8] = if topic_codec == "zstd" { &[4] } else { &[0, 1, 2, 3, 4] };
        assert_eq!(codecs(&world, ORDERS), expected, "the orders lie in the log as they were compressed");
        assert!(codecs(&world, &world.topics().replies).contains(&4), "replies were compressed with zstd");
        world.end(coordinator, total);
    }
}

#[test]
fn a_damaged_batch_is_said_by_its_topic_and_stops_nothing_else() {
    let mut world = World::new("damaged batch");
    let coordinator = world.owner("blue");
    world.place("none", 0..100);
    let ended = |coordinator: &Coordinator| {
        coordinator.metric("ringmaster_sagas_completed_total") + coordinator.metric("ringmaster_sagas_compensated_total")
    };
    until("all orders end", || ended(&coordinator) == 100.0);
    coordinator.stop();
    world.place("none", 100..200);
    let damaged = partition_of(orders::key(RUN, 100).as_bytes(), PARTITIONS);
    let path = segment(&world, ORDERS, damaged);
    world.broker_mut().stop().expect("stopped");
    let whole = std::fs::read(&path).expect("a segment");
    let last = batches(&whole).last().expect("the orders of before, and those");
    let mut spoiled = whole.clone();
    spoiled[last.bytes.start + RECORDS + 20] ^= 1;
    std::fs::write(&path, &spoiled).expect("spoiled");
    world.broker_mut().restart().expect("it starts again");

    let mut coordinator = world.coordinator("blue");
    let of_damaged = (100..200).filter(|number| partition_of(orders::key(RUN, *number).as_bytes(), PARTITIONS) == damaged).count();
    until("the orders of all other partitions end", || {
        assert!(coordinator.process.is_running(), "{}", coordinator.process.said_last());
        coordinator.answers() && ended(&coordinator) == (100 - of_damaged) as f64
    });
    let unreadable = || coordinator.metric_of("ringmaster_input_unreadable", &format!("topic=\"{ORDERS}\""));
    until("it is counted", || unreadable() == 1.0);
    until("it is not ready", || !coordinator.is_ready());
    let body = coordinator.readiness();
    let why = body["topics"][0]["why"].as_str().expect("it says why");
    assert!(why.contains("a batch is damaged") && why.contains("kafka-delete-records"), "{body}");
    assert_eq!((&body["topics"][0]["topic"], &body["topics"][0]["partition"]), (&ORDERS.into(), &damaged.into()));
    let said = coordinator.process.said();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("cannot be read; it is tried again")).collect();
    assert!(lines.len() == 1 && lines[0].contains("topic=orders"), "one line, by the topic's name: {lines:?}");

    world.broker_mut().stop().expect("stopped");
    std::fs::write(&path, &whole).expect("mended");
    world.broker_mut().restart().expect("it starts again");
    until("the rest ends", || ended(&coordinator) == 100.0);
    coordinator.wait_ready();
    world.end(coordinator, 200);
}

fn segment(world: &World, topic: &str, partition: i32) -> PathBuf {
    world.broker().folder().join(format!("data/{topic}-{partition}/00000000000000000000.log"))
}

/// The codecs of a topic's batches, each once.
fn codecs(world: &World, topic: &str) -> Vec<u8> {
    let mut found: Vec<u8> = (0..PARTITIONS)
        .flat_map(|partition| batches(&std::fs::read(segment(world, topic, partition)).expect("a segment")).collect::<Vec<_>>())
        .map(|batch| batch.codec)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
