//! The broker dies and freezes; and a topic vanishes.

use std::time::Duration;

use ringmaster_schemas::names::command_topic;
use ringmaster_tests::live::{CLIENTS, PARTITIONS, World, say, until};

use super::takeover::wait_shared;

const RESTARTS: usize = 4;

#[test]
fn a_broker_that_dies_or_freezes_only_delays() {
    CLIENTS.iter().for_each(|client| a_broker_dies_and_freezes(client));
}

fn a_broker_dies_and_freezes(client: &str) {
    let mut world = World::by("broker faults", client);
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(1_500, 300.0);
    shop.wait_middle(300);
    world.broker_mut().kill().expect("it dies");
    shop.hit("kill -9 of the broker");
    world.broker_mut().restart().expect("it starts again");
    shop.wait_finished(600);
    assert!(coordinator.metric("ringmaster_doubts_total") >= 1.0, "a lost connection is a doubt");
    assert!(coordinator.metric("ringmaster_claims_total") > f64::from(PARTITIONS), "claimed again");

    world.broker().pause().expect("it freezes");
    shop.hit("SIGSTOP of the broker");
    std::thread::sleep(Duration::from_secs(3));
    world.broker().resume().expect("it goes on");
    world.close(shop, coordinator);
}

/// A broker that stands still for some sessions finds more than one question to join of each instance when it goes on, and takes the later one
/// for another process of that name. Nobody ends for that.
#[test]
fn a_broker_that_stands_still_for_some_sessions_fences_nobody_out() {
    let mut world = World::new("broker frozen for long");
    world.configure("\"session.timeout.ms\" = \"2000\"");
    let (mut blue, mut green) = (world.owner("blue"), world.owner("green"));
    wait_shared("both have a share", &[&blue, &green]);
    let shop = world.shop();
    shop.order(900, 300.0);
    shop.wait_finished(100);
    // Shorter than the broker's own session with its controller (9 s): one that is fenced there gives up its groups, too.
    for seconds in [5, 7] {
        world.broker().pause().expect("it freezes");
        shop.hit("SIGSTOP of the broker for some sessions");
        std::thread::sleep(Duration::from_secs(seconds));
        world.broker().resume().expect("it goes on");
        wait_shared("both have a share again", &[&blue, &green]);
        for one in [&mut blue, &mut green] {
            assert!(one.process.is_running(), "it ended:\n{}", one.process.said_last());
        }
        shop.order(300, 300.0);
        shop.wait_finished(shop.finished() + 100);
    }
    green.stop();
    wait_shared("one has all", &[&blue]);
    world.close(shop, blue);
}

/// A broker that ends in an orderly way tells its clients things of itself that a crash does not (`bus/src/kafka/revival.rs`).
#[test]
fn a_broker_that_is_restarted_in_order_only_delays() {
    CLIENTS.iter().for_each(|client| a_broker_is_restarted(client));
}

fn a_broker_is_restarted(client: &str) {
    let mut world = World::by("broker restarts", client);
    let mut coordinator = world.owner("blue");
    let shop = world.shop();
    for round in 1..=RESTARTS {
        // Every second time nothing is under way.
        if round % 2 == 1 {
            shop.order(200, 300.0);
            shop.wait_finished(shop.finished() + 30);
        }
        world.broker_mut().stop().expect("it ends");
        world.broker_mut().restart().expect("it starts again");
        say(&format!("restart {round} of the broker: {} orders are on their way", shop.in_flight().len()));
        shop.order(50, 300.0);
        shop.wait_all();
        coordinator.wait_ready();
    }
    world.close(shop, coordinator);
}

#[test]
fn commands_of_a_topic_that_vanished_wait_and_are_delivered_when_it_is_back() {
    let mut world = World::new("topic vanishes");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(200, 400.0);
    shop.wait_all();

    let topic = command_topic("shipping");
    world.take_service("shipping").stop();
    world.broker().delete_topic(&topic).expect("it is there");
    shop.order(300, 300.0);
    // Of 100 orders 89 need shipping and 9 end without it; more than those 27 of 300 cannot end now.
    until("orders that need no shipping end", || shop.finished() >= 200 + 27);
    until("all others wait", || shop.in_flight().len() == 300 - 27);
    let waiting = shop.hit("deletion of shipping's commands");
    let undeliverable = || coordinator.metric("ringmaster_partition_undeliverable_effects");
    until("all of them are undeliverable", || undeliverable() == waiting.len() as f64);
    assert!(coordinator.process.said().contains("undeliverable"), "the log says so too");
    // The bound of unreleased effects is not touched by what waits: new orders go on.
    shop.order(100, 300.0);
    until("new orders that need no shipping end", || shop.finished() >= 200 + 27 + 9);
    assert!(shop.in_flight().is_superset(&waiting), "nothing ships without the topic");
    assert_eq!(coordinator.metric("ringmaster_partition_held"), 0.0, "no partition holds its inputs");

    world.apply_topics();
    world.start_service("shipping", &[]);
    say("the topic is back");
    until("all are delivered", || undeliverable() == 0.0);
    world.close(shop, coordinator);
}
