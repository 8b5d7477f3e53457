//! kill -9 of each process in the middle of the load.

use ringmaster_demo::rig::SERVICES;
use ringmaster_tests::live::{CLIENTS, World, say};
use std::collections::BTreeSet;

#[test]
fn a_coordinator_killed_again_and_again_loses_and_doubles_nothing() {
    CLIENTS.iter().for_each(|client| a_coordinator_is_killed(client));
}

fn a_coordinator_is_killed(client: &str) {
    let mut world = World::by("coordinator killed", client);
    let mut coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(2_000, 400.0);
    let mut replayed = 0.0;
    for round in 1..=4 {
        shop.wait_finished(round * 300);
        coordinator.process.freeze();
        shop.wait_stuck();
        coordinator.kill();
        shop.hit(&format!("kill -9 of the coordinator, number {round}"));
        coordinator = world.owner("blue");
        replayed += coordinator.metric("ringmaster_journal_replayed_total");
    }
    assert!(replayed > 0.0, "a crash leaves something to replay");
    world.close(shop, coordinator);
}

#[test]
fn a_service_killed_answers_from_its_ledger() {
    let mut world = World::new("services killed");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(1_500, 300.0);
    let mut hit = BTreeSet::new();
    for (round, service) in SERVICES.iter().enumerate() {
        shop.wait_finished(250 * (round as u64 + 1));
        let process = world.take_service(service);
        process.freeze();
        shop.wait_stuck();
        process.kill();
        hit.extend(shop.hit(&format!("kill -9 of {service}")));
        world.start_service(service, &[]);
    }
    // The worst moment, for certain: the effect is stored, and its answer never leaves.
    let last = shop.wanted();
    world.take_service("payment").stop();
    world.start_service("payment", &["--fault", &format!("crash_after,keys=*/ord-{:08}/*", last + 30)]);
    shop.order(100, 200.0);
    let mut crashed = world.take_service("payment");
    assert_ne!(crashed.wait(), 0, "the service crashes behind the effect of order {}", last + 30);
    let stalled = shop.hit("a crash between effect and answer");
    assert!(stalled.contains(&(last + 30)), "the order that crashed the service waits for its answer: {stalled:?}");
    world.start_service("payment", &[]);
    world.finish(&shop, &coordinator);
    let payment = world.take_service("payment");
    let before = payment.said();
    let log = world.folder().join("payment.log");
    assert_eq!(payment.stop(), 0);
    let said = std::fs::read_to_string(log).expect("its log")[before.len()..].to_owned();
    assert!(!said.contains("repeated: 0,"), "what it had done before the crash it answered from the ledger: {said}");
    say(&format!("{} orders were on their way at some kill", hit.len()));
    world.close(shop, coordinator);
}
