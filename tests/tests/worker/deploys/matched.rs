//! Events that are matched by a value, among workers, while definitions change and owners do.

use serde_json::json;

use super::site::{Coordinator, Site};

const PARCELS: &str = "parcels";

/// A saga that waits for a parcel which knows nothing of its key.
fn waits(version: u32, from: &str) -> String {
    format!(
        "saga: task\nstart: {{ on: Asked, from: asks, key: event.id }}\nsteps:\n  - {{ step: one, do: lab.One, with: {{ version: {version} }}, \
         undo: nothing, timeout: 10m }}\n  - {{ step: back, wait: Arrived, from: {from}, match: parcel == 'p-' + key, if: event.weight > 0, within: 1h }}\n\
         \x20 - {{ step: two, do: lab.Two, with: {{ version: {version} }}, pivot: true, timeout: 10m }}\n\
         on_completed: {{ emit: Done, to: ends, with: {{ version: {version} }} }}\n"
    )
}

fn ask(site: &Site, numbers: std::ops::Range<i32>) {
    numbers.for_each(|number| site.ask("asks", &format!("id-{number:02}")));
}

/// Parcels without keys, on any partition: one that is not the one, and the one.
fn arrive(site: &Site, topic: &str, numbers: std::ops::Range<i32>) {
    for number in numbers {
        for weight in 0..2 {
            let event = json!({ "type": "Arrived", "parcel": format!("p-id-{number:02}"), "weight": weight });
            site.broker.put(topic, (number + weight) % 2, None, event.to_string().as_bytes());
        }
    }
}

/// Sagas that have ended. Whoever takes over sends again what it does not know to be there.
fn ends(site: &Site) -> Vec<(String, u64)> {
    let mut all = site.sent("ends");
    all.dedup();
    all
}

fn ended(count: usize, site: &mut Site, coordinator: &mut Coordinator) -> usize {
    coordinator.until("all end", site, |site, _| {
        site.answer();
        ends(site).len() >= count
    });
    ends(site).len()
}

/// A topic that nothing read is routed at once; events come before and behind the waits, and owners change in between.
#[test]
fn each_event_comes_to_the_saga_that_waits_for_its_value() {
    let mut site = Site::new();
    site.deploy(&super::site::saga(1, "asks", "ends"));
    let mut blue = site.coordinator("blue");
    blue.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    site.make_topic(PARCELS);
    site.deploy(&waits(2, PARCELS));
    blue.go(&site, 1_500);
    arrive(&site, PARCELS, 0..10);
    ask(&site, 0..20);
    arrive(&site, PARCELS, 10..20);
    assert_eq!(ended(20, &mut site, &mut blue), 20);
    // Claims are granted when nobody runs any more, and their events come then.
    ask(&site, 20..40);
    blue.until("they wait", &mut site, |site, _| {
        site.answer();
        site.sent("lab.commands").len() >= 60
    });
    drop(blue);
    arrive(&site, PARCELS, 20..40);
    let mut green = site.coordinator("green");
    assert_eq!(ended(40, &mut site, &mut green), 40);
    let commands = site.sent("lab.commands");
    assert!(commands.len() >= 80, "each saga asked twice: {}", commands.len());
}

/// One that is read directly cannot be matched before the coordinator is started again: the version before stays in force.
#[test]
fn a_topic_that_is_read_directly_is_matched_from_the_next_start_on() {
    let mut site = Site::new();
    site.deploy(&super::site::saga(1, "asks", "ends"));
    let mut blue = site.coordinator("blue");
    blue.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    site.deploy(&waits(2, "asks"));
    blue.go(&site, 2_000);
    ask(&site, 0..4);
    assert_eq!(ended(4, &mut site, &mut blue), 4);
    assert!(ends(&site).iter().all(|(_, version)| *version == 1), "{:?}", ends(&site));
    drop(blue);
    let mut green = site.coordinator("green");
    ask(&site, 10..14);
    arrive(&site, "asks", 10..14);
    assert_eq!(ended(8, &mut site, &mut green), 8);
    assert_eq!(ends(&site).iter().filter(|(_, version)| *version == 2).count(), 4);
}

/// A sub-saga that waits for a topic which is read directly, and then a saga that runs it.
const BACK: &str = "saga: back\ninput: { parcel: string }\nsteps:\n  - { step: come, wait: Arrived, from: asks, match: parcel == start.parcel, within: 1h }\n";
const RUNS: &str = "saga: task\nstart: { on: Asked, from: asks, key: event.id }\nsteps:\n  - { step: one, do: lab.One, with: { version: 2 }, undo: nothing, timeout: 10m }\n  - { step: back, run: back, with: { parcel: \"'p-' + key\" } }\n  - { step: two, do: lab.Two, with: { version: 2 }, pivot: true, timeout: 10m }\non_completed: { emit: Done, to: ends, with: { version: 2 } }\n";

/// What runs a saga that is held back is held back with it, however it was deployed: else it would begin what nobody can.
#[test]
fn what_runs_a_saga_that_is_held_back_is_too() {
    for at_once in [false, true] {
        let mut site = Site::new();
        site.deploy(&super::site::saga(1, "asks", "ends"));
        let mut blue = site.coordinator("blue");
        blue.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
        let both = format!("{BACK}---\n{RUNS}");
        let plan = site.plan(&both);
        assert_eq!(plan.first_to_match, [("back".to_owned(), "asks".to_owned())]);
        assert_eq!(plan.waiting_with("back"), ["back", "task"]);
        if !at_once {
            site.deploy(BACK);
            blue.go(&site, 2_000);
        }
        site.deploy(&both);
        blue.go(&site, 2_000);
        ask(&site, 0..4);
        assert_eq!(ended(4, &mut site, &mut blue), 4);
        assert!(ends(&site).iter().all(|(_, version)| *version == 1), "{at_once}: {:?}", ends(&site));
        drop(blue);
        let mut green = site.coordinator("green");
        ask(&site, 10..14);
        arrive(&site, "asks", 10..14);
        assert_eq!(ended(8, &mut site, &mut green), 8);
        assert_eq!(ends(&site).iter().filter(|(_, version)| *version == 2).count(), 4, "{at_once}");
    }
}

/// Items that each wait for a parcel of their own.
fn items(version: u32) -> String {
    format!(
        "saga: task\nstart: {{ on: Asked, from: asks, key: event.id }}\nsteps:\n  - {{ step: one, do: lab.One, with: {{ version: {version} }}, undo: nothing, timeout: 10m }}\n\
         \x20 - step: parcels\n    for_each: \"['a', 'b', 'c']\"\n    as: part\n    at_once: 2\n    steps:\n      - {{ step: back, wait: Arrived, from: {PARCELS}, match: \"parcel == 'p-' + key + '-' + part\", if: event.weight > 0, within: 1h }}\n\
         \x20 - {{ step: two, do: lab.Two, with: {{ version: {version} }}, pivot: true, timeout: 10m }}\n\
         on_completed: {{ emit: Done, to: ends, with: {{ version: {version} }} }}\n"
    )
}

/// Items wait while another version is deployed and another coordinator takes over; some of their events come before them.
#[test]
fn each_event_comes_to_the_item_that_waits_for_its_value() {
    let mut site = Site::new();
    site.make_topic(PARCELS);
    site.deploy(&items(1));
    let mut blue = site.coordinator("blue");
    blue.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    let arrive = |site: &Site, part: &str| {
        for (number, weight) in (0..6).flat_map(|number| [(number, 0), (number, 1)]) {
            let event = json!({ "type": "Arrived", "parcel": format!("p-id-{number:02}-{part}"), "weight": weight });
            site.broker.put(PARCELS, (number + weight) % 2, None, event.to_string().as_bytes());
        }
    };
    arrive(&site, "c");
    ask(&site, 0..6);
    blue.until("they wait", &mut site, |site, _| {
        site.answer();
        site.sent("lab.commands").len() >= 6
    });
    blue.go(&site, 2_000);
    arrive(&site, "b");
    blue.go(&site, 500);
    site.deploy(&items(2));
    blue.go(&site, 1_500);
    drop(blue);
    arrive(&site, "a");
    let mut green = site.coordinator("green");
    assert_eq!(ended(6, &mut site, &mut green), 6);
    assert!(ends(&site).iter().all(|(_, version)| *version == 1), "they keep their version: {:?}", ends(&site));
}
