//! Topics that are routed, while definitions change and owners do.

use serde_json::json;

use super::site::{Coordinator, Site, saga};

const TOPIC: &str = "more-asks";
const TOPIC_PARTITIONS: i32 = 5;

/// Events without keys, on any partition.
fn ask(site: &Site, numbers: std::ops::Range<i32>) {
    for number in numbers {
        let event = json!({ "type": "Asked", "id": format!("id-{number:02}"), "number": format!("no-{number:02}") });
        site.broker.put(TOPIC, number % TOPIC_PARTITIONS, None, event.to_string().as_bytes());
    }
}

/// Waits until so many sagas have ended, and a while longer; their keys.
fn ended(count: usize, site: &mut Site, coordinator: &mut Coordinator) -> Vec<String> {
    coordinator.until("all end", site, |site, _| {
        site.answer();
        site.sent("ends").len() >= count
    });
    coordinator.go(site, 2_000);
    site.answer();
    coordinator.go(site, 2_000);
    let mut keys: Vec<String> = site.sent("ends").into_iter().map(|(key, _)| key).collect();
    // Whoever takes over sends again what it does not know to be there.
    keys.dedup();
    keys
}

/// A version that starts on a topic with another number of partitions is in force at once, and so is another key: each event starts one
/// saga, by the one key or the other, also across owners.
#[test]
fn each_event_starts_one_saga_whatever_is_deployed() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut blue = site.coordinator("blue");
    blue.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    site.make_topic_of(TOPIC, TOPIC_PARTITIONS);
    ask(&site, 0..20);
    site.deploy(&saga(2, TOPIC, "ends"));
    let all = |numbers: std::ops::Range<i32>, by: &str| numbers.map(|number| format!("{by}-{number:02}")).collect::<Vec<_>>();
    assert_eq!(ended(20, &mut site, &mut blue), all(0..20, "id"));
    let by_number = saga(3, TOPIC, "ends").replace("event.id", "event.number");
    ask(&site, 20..30);
    blue.turn(&site);
    site.deploy(&by_number);
    ask(&site, 30..40);
    let keys = ended(40, &mut site, &mut blue);
    let mut numbers: Vec<&str> = keys.iter().map(|key| &key[3..]).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).map(|number| format!("{number:02}")).collect::<Vec<_>>(), "{keys:?}");
    ask(&site, 40..50);
    assert!(all(40..50, "no").iter().all(|key| ended(50, &mut site, &mut blue).contains(key)), "the new key is in force");
    // The key goes back while nobody runs, and what lies there was not routed: it goes by the old key up to the end, and then by the other.
    drop(blue);
    ask(&site, 50..60);
    site.deploy(&saga(4, TOPIC, "ends"));
    let mut green = site.coordinator("green");
    let keys = ended(60, &mut site, &mut green);
    assert!(all(50..60, "no").iter().all(|key| keys.contains(key)) && keys.len() == 60, "{keys:?}");
    ask(&site, 60..70);
    let keys = ended(70, &mut site, &mut green);
    assert!(all(60..70, "id").iter().all(|key| keys.contains(key)) && keys.len() == 70, "{keys:?}");
}
