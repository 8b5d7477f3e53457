//! Topics that are deleted, or deleted and made again, while a coordinator uses them: it stops at once, with a code of its own, having
//! read nothing of the new one and sent nothing twice.

use ringmaster_demo::orders::ORDERS;
use ringmaster_demo::rig::SERVICES;
use ringmaster_tests::live::{Coordinator, PARTITIONS, World, say, until};

const FOR_EVER: [(&str, &str); 2] = [("retention.ms", "-1"), ("retention.bytes", "-1")];

fn make_again(world: &World, topic: &str, settings: &[(&str, &str)]) {
    world.broker().delete_topic(topic).expect("it is there");
    world.broker().create_topic(topic, PARTITIONS, settings).expect("it is gone");
}

/// It ends with code 8, and says this.
fn stops(mut coordinator: Coordinator, lines: &[&str]) {
    let code = coordinator.process.wait();
    let said = coordinator.process.said_last();
    assert_eq!(code, 8, "{said}");
    lines.iter().for_each(|line| assert!(said.contains(line), "'{line}' is not said:\n{said}"));
}

fn commands(world: &World) -> Vec<i64> {
    SERVICES.iter().map(|service| world.command_count(service)).collect()
}

fn ended(coordinator: &Coordinator) -> f64 {
    coordinator.metric("ringmaster_sagas_completed_total") + coordinator.metric("ringmaster_sagas_compensated_total")
}

#[test]
fn an_input_made_again_while_it_is_read() {
    let mut world = World::new("input made again while read");
    let coordinator = world.owner("blue");
    world.place("lz4", 0..200);
    until("the first orders end", || ended(&coordinator) == 200.0);
    let before = commands(&world);
    make_again(&world, ORDERS, &[]);
    // More than were read of the old one, in every partition: offsets that were not read yet are there at once.
    world.place("lz4", 0..600);
    stops(coordinator, &["topic 'orders' was deleted and made again while it was read", "topics.\"orders\".accept_new"]);
    assert_eq!(commands(&world), before, "nothing of the new topic was read");

    world.configure("[topics.orders]\naccept_new = true");
    let coordinator = world.owner("blue");
    until("the new orders end", || ended(&coordinator) == 400.0);
    // A service that is slow may answer once more, and that is rejected too.
    let rejected = || coordinator.metric("ringmaster_inputs_rejected_total");
    until("those of before are known: none is skipped", || rejected() >= 200.0);
    world.end(coordinator, 600);
}

#[test]
fn a_journal_made_again_while_it_is_written() {
    let mut world = World::new("journal made again while written");
    let coordinator = world.owner("blue");
    world.place("lz4", 0..200);
    until("all orders end", || ended(&coordinator) == 200.0);
    let (before, journal) = (commands(&world), world.topics().journal);
    make_again(&world, &journal, &FOR_EVER);
    world.place("lz4", 200..300);
    stops(coordinator, &[&format!("the journal topic '{journal}' was deleted and made again"), "move the data directory away"]);
    assert_eq!(commands(&world), before, "nothing was sent, and above all nothing twice");
    world.stop_services();
    say("journal made again: nothing was sent");
}

#[test]
fn internal_topics_and_those_that_are_only_deleted() {
    let mut world = World::new("topics deleted while in use");
    let coordinator = world.owner("blue");
    // Nobody reads or writes it now: it is looked at now and then.
    let quarantine = world.topics().quarantine;
    make_again(&world, &quarantine, &FOR_EVER);
    stops(coordinator, &[&format!("topic '{quarantine}' was deleted and made again"), "start again"]);

    let coordinator = world.owner("blue");
    world.place("lz4", 0..100);
    until("all orders end", || ended(&coordinator) == 100.0);
    world.broker().delete_topic(ORDERS).expect("it is there");
    stops(coordinator, &["topic 'orders' was deleted while it was read", "topics apply", "topics.\"orders\".accept_new"]);

    world.configure("[topics.orders]\naccept_new = true");
    world.apply_topics();
    let coordinator = world.owner("blue");
    let replies = world.topics().replies;
    make_again(&world, &replies, &[]);
    stops(coordinator, &[&format!("topic '{replies}' was deleted and made again while it was read")]);
    world.stop_services();
}
