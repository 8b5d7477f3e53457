//! Topics that are not read directly: without keys, with another number of partitions, by another partitioner.

use ringmaster_tests::live::{Placing, World, kafka_tool, say};

/// The coordinator dies twice in the middle of the load; every order is done exactly once all the same.
fn orders_are_routed(name: &'static str, partitions: i32, placing: Placing, settings: &str) {
    let mut world = World::new(name);
    world.make_orders(partitions);
    world.configure(settings);
    let mut coordinator = world.owner("blue");
    let shop = world.shop_placing(placing);
    shop.order(1_000, 300.0);
    for round in 1..=2 {
        shop.wait_finished(round * 300);
        coordinator.process.freeze();
        shop.wait_stuck();
        coordinator.kill();
        shop.hit(&format!("{name}: kill -9 of the coordinator, number {round}"));
        coordinator = world.owner("blue");
    }
    world.finish(&shop, &coordinator);
    let routed = coordinator.metric("ringmaster_routed_total");
    let (again, gaps) = (coordinator.metric("ringmaster_routed_again_total"), coordinator.metric("ringmaster_route_gaps_total"));
    say(&format!("{name}: {routed} records were routed by the last one, {again} came again, {gaps} were gaps"));
    assert!(routed > 0.0, "orders go by the inbox");
    world.close(shop, coordinator);
}

#[test]
fn orders_without_keys_on_three_partitions() {
    orders_are_routed("no keys", 3, Placing::WithoutKey, "");
}

#[test]
fn orders_on_fifty_partitions() {
    orders_are_routed("fifty partitions", 50, Placing::ByKey(50), "");
}

#[test]
fn orders_that_librdkafka_partitions() {
    orders_are_routed("librdkafka's partitioner", 8, Placing::ByLibrdkafka, "[topics.orders]\nrouted = true");
}

/// As a newcomer types it: no key, and nothing is said but that the topic is routed. What is no order is in quarantine, by the name of
/// where it was written; and a topic that was read directly goes on where it was when it is routed.
#[test]
fn an_order_without_a_key_is_typed_into_the_console_producer() {
    let world = World::new("console without keys");
    let server = ["--bootstrap-server", world.broker().address()];
    let order = |key: &str, id: &str| {
        format!(
            "{key}{{\"order_id\":\"{id}\",\"customer_id\":\"c-1\",\"region\":\"EU\",\"total\":\"19.99\",\"currency\":\"EUR\",\"items\":[{{\"sku\":\"sku-17\",\"qty\":1}}]}}\n"
        )
    };
    let write = |lines: &str, more: &[&str]| {
        kafka_tool("console-producer", &[&server[..], &["--topic", "orders"], more].concat(), lines);
    };
    let keyed = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=|"];
    let started = |coordinator: &ringmaster_tests::live::Coordinator, count: f64| {
        ringmaster_tests::live::until("orders that are started", || {
            coordinator.metric("ringmaster_sagas_completed_total") >= count
        });
    };
    world.configure("[topics.order-outcomes]\nencoding = \"json\"");
    let coordinator = world.owner("blue");
    write(&order("con-1|", "con-1"), &keyed);
    started(&coordinator, 1.0);
    coordinator.stop();
    world.configure("[topics.order-outcomes]\nencoding = \"json\"\n[topics.orders]\nrouted = true");
    let coordinator = world.owner("blue");
    write(&(order("", "con-2") + &order("", "con-3") + "no order\n"), &[]);
    started(&coordinator, 2.0);
    ringmaster_tests::live::until("what is no order", || coordinator.metric("ringmaster_inputs_quarantined_total") >= 1.0);
    assert_eq!(coordinator.metric("ringmaster_inputs_rejected_total"), 0.0, "nothing came twice");
    let listed = world.ringmaster(&["quarantine", "list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("UNDECODABLE") && listed.contains("orders/"), "{listed}");
    coordinator.stop();
    say("console without keys: two orders were fulfilled, and one line is in quarantine");
}
