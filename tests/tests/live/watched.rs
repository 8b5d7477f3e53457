//! What is wrong with a topic since the start, without being another one: it is said, and no instance that suffers from it is ready.

use ringmaster_demo::orders::ORDERS;
use ringmaster_schemas::names::command_topic;
use ringmaster_tests::live::{Coordinator, PARTITIONS, World, until};

fn ended(coordinator: &Coordinator) -> f64 {
    coordinator.metric("ringmaster_sagas_completed_total") + coordinator.metric("ringmaster_sagas_compensated_total")
}

#[test]
fn partitions_added_to_an_input_are_noticed_and_said() {
    let mut world = World::new("partitions added");
    let mut coordinator = world.owner("blue");
    world.broker().grow_topic(ORDERS, 12).expect("grown");
    until("it is not ready any more", || !coordinator.is_ready());
    let body = coordinator.readiness();
    let [trouble] = &body["topics"].as_array().expect("a list")[..] else { panic!("{body}") };
    let why = trouble["why"].as_str().expect("it says why");
    assert_eq!(trouble["topic"], ORDERS);
    assert!(why.starts_with("has 12 partitions, and had 8") && why.contains("go through the router"), "{why}");
    assert_eq!(coordinator.metric_of("ringmaster_topic_faults", &format!("topic=\"{ORDERS}\"")), 1.0);
    assert!(coordinator.process.said().contains("is not as it must be any more"), "the log says so too");
    // What is read goes on.
    world.place("lz4", 0..100);
    until("all orders end", || ended(&coordinator) == 100.0);
    assert!(coordinator.process.is_running() && PARTITIONS == 8);
    world.end(coordinator, 100);
}

#[test]
fn an_effect_that_its_topic_does_not_take_any_more_waits_for_it() {
    let mut world = World::new("limits changed");
    let coordinator = world.owner("blue");
    let topic = command_topic("inventory");
    // No command is so small.
    world.broker().alter_topic(&topic, "max.message.bytes", "64").expect("altered");
    world.place("lz4", 0..40);
    let undeliverable = || coordinator.metric("ringmaster_partition_undeliverable_effects");
    until("all are undeliverable", || undeliverable() >= 40.0);
    assert_eq!(ended(&coordinator), 0.0);
    world.broker().alter_topic(&topic, "max.message.bytes", "1048588").expect("altered");
    until("all are delivered and end", || undeliverable() == 0.0 && ended(&coordinator) == 40.0);
    world.end(coordinator, 40);
}

#[test]
fn records_of_others_in_internal_topics_are_passed_over() {
    let mut world = World::new("foreign records");
    let coordinator = world.owner("blue");
    world.place("lz4", 0..50);
    until("all orders end", || ended(&coordinator) == 50.0);
    let topics = world.topics();
    // While it runs, and for the next start.
    for partition in 0..PARTITIONS {
        world.write(&topics.journal, partition, Some(b"key"), None);
        world.write(&topics.journal, partition, None, Some(b"hello"));
    }
    for topic in [&topics.definitions, &topics.schemas] {
        world.write(topic, 0, Some(b"order-fulfilment"), None);
        world.write(topic, 0, None, Some(b"hello"));
    }
    until("somebody else is seen in the journal", || coordinator.metric("ringmaster_doubts_total") > 0.0);
    world.place("lz4", 50..100);
    until("more orders end", || ended(&coordinator) == 100.0);
    let data = coordinator.stop();
    // All over again, from the journal alone.
    std::fs::remove_dir_all(data.join("store")).expect("the store was there");
    let coordinator = world.owner("blue");
    world.place("lz4", 100..150);
    until("the last orders end", || ended(&coordinator) == 50.0);
    let said = coordinator.process.said();
    for topic in [&topics.definitions, &topics.schemas] {
        assert!(
            said.lines().any(|line| line.contains(&format!("topic=\"{topic}\"")) && line.contains("is not of this project")),
            "{said}"
        );
    }
    assert!(said.contains("a record of the journal is not of this project"), "{said}");
    world.end(coordinator, 150);
}
