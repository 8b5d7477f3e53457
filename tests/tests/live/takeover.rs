//! Two coordinators on one journal: the later claim wins, whatever the earlier one believes.

use std::time::Duration;

use ringmaster_tests::live::{World, until};

#[test]
fn a_second_coordinator_fences_the_first() {
    let mut world = World::new("second coordinator");
    let first = world.owner("blue");
    let shop = world.shop();
    shop.order(1_500, 400.0);
    shop.wait_middle(300);
    // A service is away, so that orders are on their way when the claim comes, however fast they go.
    world.take_service("shipping").stop();
    let second = world.owner("green");
    shop.hit("the second coordinator's claim");
    world.start_service("shipping", &[]);
    first.wait_fenced(&second, "green");
    shop.wait_middle(500);
    world.close(shop, second);
}

#[test]
fn a_coordinator_without_work_finds_out_too() {
    let mut world = World::new("second coordinator, no work");
    let first = world.owner("blue");
    let second = world.owner("green");
    first.wait_fenced(&second, "green");
    world.place("lz4", 0..50);
    let ended = || second.metric("ringmaster_sagas_completed_total") + second.metric("ringmaster_sagas_compensated_total");
    until("the second works", || ended() == 50.0);
    world.end(second, 50);
}

#[test]
fn a_coordinator_that_was_frozen_finds_out_and_does_nothing() {
    let mut world = World::new("zombie");
    let first = world.owner("blue");
    let shop = world.shop();
    shop.order(2_000, 400.0);
    shop.wait_middle(300);
    first.process.freeze();
    shop.wait_stuck();
    shop.hit("SIGSTOP of the coordinator");
    let second = world.owner("green");
    // The second is far ahead when the first wakes up, with records and commands in its queues.
    shop.wait_middle(900);
    std::thread::sleep(Duration::from_secs(1));
    first.process.thaw();
    first.wait_fenced(&second, "green");
    world.close(shop, second);
}
