//! The whole line, without faults: every effect once, an orderly end, and a start behind it that has nothing to mend.

use std::time::Instant;

use ringmaster_demo::orders::{Outcome, outcome};
use ringmaster_tests::live::{PARTITIONS, World, say};

#[test]
fn orders_run_exactly_once_and_an_orderly_end_leaves_nothing_to_mend() {
    let mut world = World::new("whole line");
    let output = world.ringmaster(&["topics", "verify"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(1_200, 600.0);
    shop.wait_finished(300);
    // Orders are on their way when the end comes, however fast they go.
    world.service("shipping").freeze();
    shop.wait_stuck();
    let retried_before = coordinator.metric("ringmaster_commands_retried_total") as i64;
    let begun = Instant::now();
    coordinator.stop();
    shop.hit("SIGTERM");
    world.service("shipping").thaw();
    say(&format!("stopped in order within {:.1} s", begun.elapsed().as_secs_f64()));

    let sent = sent(&world);
    let begun = Instant::now();
    let again = world.owner("blue");
    say(&format!("owned everything again within {:.1} s", begun.elapsed().as_secs_f64()));
    assert_eq!(again.metric("ringmaster_effects_resent_total"), 0.0, "nothing was left to send again; before: {sent:?}");
    assert_eq!(again.metric("ringmaster_claims_total"), f64::from(PARTITIONS), "one claim each");
    assert_eq!(again.metric("ringmaster_doubts_total"), 0.0);
    world.finish(&shop, &again);

    // No command went out twice: the topics hold exactly what the orders need, and one for each retry.
    let retried = retried_before + again.metric("ringmaster_commands_retried_total") as i64;
    let total: i64 = self::sent(&world).iter().sum();
    assert_eq!(
        total - retried,
        (0..shop.wanted()).map(commands_of).sum::<i64>(),
        "commands in the topics, {retried} retries aside"
    );
    world.close(shop, again);
}

fn sent(world: &World) -> [i64; 3] {
    ["inventory", "payment", "shipping"].map(|service| world.command_count(service))
}

/// Commands that an order needs, undos included.
fn commands_of(number: u64) -> i64 {
    match outcome(number) {
        Outcome::OutOfStock => 1,
        Outcome::Fulfilled | Outcome::Declined => 3,
        Outcome::Refused => 5,
    }
}
