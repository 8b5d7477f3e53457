//! Sagas of the library that run others, or wait for events which do not know their key, over a kill -9 in the middle and a store that is
//! lost.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{Coordinator, PARTITIONS, World, said, say, until};
use serde_json::{Value, json};

fn write(world: &World, topic: &str, key: &str, event: &Value) {
    let partition = partition_of(key.as_bytes(), PARTITIONS);
    world.write(topic, partition, Some(key.as_bytes()), Some(event.to_string().as_bytes()));
}

/// Kills the coordinator with what it has under way, takes its store away, and starts it again.
fn crash(world: &World, coordinator: Coordinator, what: &str) -> Coordinator {
    let data = coordinator.kill();
    std::fs::remove_dir_all(&data).expect("the store can go");
    say(&format!("{what}: kill -9, and the store is gone"));
    world.owner("blue")
}

/// By its key, what was told of each saga: the same as often as it was told.
fn told(world: &World, topic: &str, key: &str) -> BTreeMap<String, Value> {
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for event in world.records(topic) {
        let known = told.entry(event[key].as_str().expect("a key").to_owned()).or_insert_with(|| event.clone());
        assert_eq!(*known, event, "what is told again is the same");
    }
    told
}

const SITES: usize = 24;
const DEVICES: usize = 5;
const SITE_SERVICES: [&str; 4] = ["assets", "network", "billing", "mail"];

/// The last device of both is the same one, which one saga has alone: of these sites one is refused.
const SAME_DEVICE: [usize; 2] = [22, 23];

fn serial(number: usize, device: usize) -> String {
    let is_same = number == SAME_DEVICE[1] && device == DEVICES - 1;
    format!("{}-{device}", if is_same { SAME_DEVICE[0] } else { number })
}

/// `holds`: nobody answers for the last device of a site, so that a crash meets sub-sagas under way.
fn site_script(holds: bool) -> String {
    let silent = if holds { "    - { if: \"body.serial.endsWith('-4')\", silent: true }\n" } else { "" };
    format!(
        "participants: [ {} ]\ncommands:\n  network.Configure:\n{silent}    - {{ if: body.model == 'm-9', refused: UNKNOWN_MODEL }}\n    \
         - {{ if: body.model == 'm-8', refused: NO_ADDRESS_LEFT }}\n    - {{ result: {{ address: \"'ip-' + body.serial\" }} }}\n  \
         billing.CheckCredit:\n    - {{ if: body.customer_id == 'poor', refused: NO_CREDIT }}\n  \
         billing.OpenContract:\n    - {{ result: {{ contract_id: \"'c-' + body.site_id\" }} }}\n",
        SITE_SERVICES.join(", ")
    )
}

/// Each third site has a device that nobody knows, each fourth one that gets no address, each sixth belongs to who cannot pay.
fn site(number: usize) -> (String, Value) {
    let id = format!("site-{number}");
    let device = |device: usize| {
        let model = match device {
            1 if number.is_multiple_of(3) => "m-9",
            2 if number % 4 == 1 => "m-8",
            _ => "m-1",
        };
        json!({ "serial": serial(number, device), "model": model })
    };
    let customer = if number % 6 == 2 { "poor" } else { "c-1" };
    let devices: Vec<Value> = (0..DEVICES).map(device).collect();
    (id.clone(), json!({ "type": "SiteOrdered", "site_id": id, "customer_id": customer, "devices": devices }))
}

#[test]
fn each_device_of_each_site_is_set_up_once_over_a_crash() {
    let settings = "[topics.site-outcomes]\nencoding = \"json\"";
    let world = World::of_library("sites", &["device-provisioning.yaml"], &SITE_SERVICES, settings);
    let mut coordinator = world.owner("blue");
    let mut answering = world.participants(&site_script(true));
    let sites: Vec<(String, Value)> = (0..SITES).map(site).collect();
    sites.iter().for_each(|(id, event)| write(&world, "sites", id, event));
    let holds = |coordinator: &Coordinator, number: usize| {
        let saga = coordinator.saga(&format!("site-provisioning/site-{number}"));
        saga.is_some_and(|saga| saga["entries"][0]["items"]["under_way"] == json!([4]))
    };
    // A site with a device that gets no address may have stopped before.
    let whole = || (0..SITES).filter(|number| number % 4 != 1 && !SAME_DEVICE.contains(number));
    until("the last devices of all sites are all that is under way", || whole().all(|number| holds(&coordinator, number)));
    let why =
        world.ringmaster(&["saga", "why", "site-provisioning/site-0", "--set", &format!("api.listen={}", coordinator.address)]);
    said(&why, 0, &["devices waits for item 4 (of 5", "ringmaster saga why site-provisioning/site-0/devices.4"]);
    let (list, listen) = (["saga", "list", "--definition", "device-provisioning"], format!("api.listen={}", coordinator.address));
    let found = world.ringmaster(&[&list[..], &["--search", "serial=0-4", "--set", &listen]].concat());
    said(&found, 0, &["site-provisioning/site-0/devices.4/set_up"]);
    let item = coordinator.saga("site-provisioning/site-0/devices.4").expect("it is under way");
    assert_eq!((&item["entries"][0]["waits"], &item["why"][0]["reason"]), (&json!("sub-saga"), &json!("sub-saga")), "{item}");
    coordinator = crash(&world, coordinator, "sites");
    answering.kill();
    answering = world.participants(&site_script(false));
    let in_flight = || coordinator.metric("ringmaster_partition_in_flight");
    until("all sites have ended", || told(&world, "site-outcomes", "site_id").len() == SITES && in_flight() == 0.0);
    assert_eq!(coordinator.metric("ringmaster_inputs_quarantined_total"), 0.0);
    let data = coordinator.stop();
    answering.kill();
    // Rows of values remember for days who had them.
    let left: BTreeSet<String> = world.rows(&data).into_iter().filter(|row| !row.starts_with('=')).collect();
    assert_eq!(left, (0..SITES).map(|number| format!("site-provisioning/site-{number}")).collect(), "rows below are gone");

    let told = told(&world, "site-outcomes", "site_id");
    let services = SITE_SERVICES.map(|name| (name, world.asked(name)));
    let asked = |service: &str, key: &str| {
        let (_, asked) = services.iter().find(|(name, _)| *name == service).expect("it is one of them");
        asked.contains_key(key)
    };
    let reason_of = |number: usize| told[&format!("site-{number}")].get("reason").and_then(Value::as_str);
    let refused: Vec<usize> = SAME_DEVICE.into_iter().filter(|number| reason_of(*number) == Some("VALUE_TAKEN")).collect();
    assert_eq!(refused.len(), 1, "one of them has the device: {:?}", SAME_DEVICE.map(reason_of));
    for number in 0..SITES {
        let outcome = &told[&format!("site-{number}")];
        let reason = match number {
            number if refused.contains(&number) => Some("VALUE_TAKEN"),
            number if number % 4 == 1 => Some("NO_ADDRESS_LEFT"),
            number if number % 6 == 2 => Some("NO_CREDIT"),
            _ => None,
        };
        assert_eq!(outcome.get("reason"), reason.map(Value::from).as_ref(), "site-{number}: {outcome}");
        for device in 0..DEVICES {
            let id = format!("site-provisioning/site-{number}/devices.{device}/set_up");
            let is_unknown = device == 1 && number.is_multiple_of(3);
            let was_done = asked("network", &format!("{id}/configure/do"));
            let undone = asked("assets", &format!("{id}/claim/undo"));
            if reason.is_none() {
                assert!(was_done && undone == is_unknown, "{id}: only what nobody knows is taken back");
                let address = if is_unknown { Value::Null } else { Value::from(format!("ip-{}", serial(number, device))) };
                assert_eq!(outcome["devices"][device]["address"], address, "{id}");
            } else {
                assert!(!asked("assets", &format!("{id}/claim/do")) || undone, "{id}: all that was claimed is given back");
            }
        }
        assert_eq!(asked("billing", &format!("site-provisioning/site-{number}/bill/invoice/do")), reason.is_none());
    }
    say(&format!("sites: {SITES} sites of {DEVICES} devices, each effect once"));
}

const RETURNS: usize = 60;
const RETURN_SERVICES: [&str; 3] = ["parcels", "bank", "stock"];
/// They have one label, so that one of them cannot wait.
const TWINS: [usize; 2] = [10, 11];

fn parcel_of(number: usize) -> String {
    format!("p-ret-{}", if number == TWINS[1] { TWINS[0] } else { number })
}

fn arrives(world: &World, number: usize, items: usize) {
    let event = json!({ "type": "ParcelArrived", "parcel_id": parcel_of(number), "items": items, "shelf": format!("s-{number}") });
    // It has no key, and lies anywhere.
    world.write("return-events", (number % PARTITIONS as usize) as i32, None, Some(event.to_string().as_bytes()));
}

#[test]
fn each_return_gets_its_parcel_by_its_label_over_a_crash() {
    let settings = "[topics.return-outcomes]\nencoding = \"json\"";
    let world = World::of_library("returns", &["goods-return.yaml"], &RETURN_SERVICES, settings);
    let mut coordinator = world.owner("blue");
    let script = format!(
        "participants: [ {} ]\ncommands:\n  parcels.MakeLabel:\n    - {{ if: key == 'ret-{}', result: {{ parcel_id: \"'p-ret-{}'\" }} }}\n    \
         - {{ result: {{ parcel_id: \"'p-' + key\" }} }}\n",
        RETURN_SERVICES.join(", "),
        TWINS[1],
        TWINS[0],
    );
    let answering = world.participants(&script);
    // A third of the parcels is there before anybody waits for one, and half a parcel before each whole one.
    (0..RETURNS).for_each(|number| arrives(&world, number, 1));
    (0..RETURNS / 3).filter(|number| !TWINS.contains(number)).for_each(|number| arrives(&world, number, 2));
    for number in 0..RETURNS {
        let id = format!("ret-{number}");
        let event = json!({ "type": "ReturnRequested", "return_id": id, "customer_id": "c-1", "sku": "sku-1", "items": 2,
            "amount": "19.90", "opened": false });
        write(&world, "returns", &id, &event);
    }
    let waits = |coordinator: &Coordinator, number: usize| {
        coordinator.saga(&format!("goods-return/ret-{number}")).is_some_and(|saga| saga["why"][0]["step"] == "parcel")
    };
    until("who has no parcel yet waits", || (RETURNS / 3..RETURNS).all(|number| waits(&coordinator, number)));
    until("those whose parcel was there have ended", || world.record_count("return-outcomes") >= RETURNS as i64 / 3 - 1);
    let why = world.ringmaster(&["saga", "why", "goods-return/ret-30", "--set", &format!("api.listen={}", coordinator.address)]);
    said(&why, 0, &["ParcelArrived", "p-ret-30"]);
    coordinator = crash(&world, coordinator, "returns");
    arrives(&world, TWINS[0], 2);
    (RETURNS / 3..RETURNS).for_each(|number| arrives(&world, number, 2));
    until("all have ended", || {
        let ended = |name| coordinator.metric(&format!("ringmaster_sagas_{name}_total"));
        world.record_count("return-outcomes") >= RETURNS as i64 && ended("completed") + ended("compensated") >= RETURNS as f64 / 2.0
    });
    until("nothing is under way", || coordinator.metric("ringmaster_partition_in_flight") == 0.0);
    assert_eq!(coordinator.metric("ringmaster_inputs_quarantined_total"), 0.0);
    coordinator.stop();
    answering.kill();

    let told = told(&world, "return-outcomes", "return_id");
    assert_eq!(told.len(), RETURNS);
    let closed: Vec<(&String, &Value)> = told.iter().filter(|(_, event)| event.get("reason").is_some()).collect();
    let [(id, event)] = closed[..] else { panic!("one has no label of its own: {closed:?}") };
    assert!(TWINS.iter().any(|twin| *id == format!("ret-{twin}")) && event["reason"] == "VALUE_TAKEN", "{event}");
    let (bank, stock, parcels) = (world.asked("bank"), world.asked("stock"), world.asked("parcels"));
    assert_eq!((bank.len(), stock.len(), parcels.len()), (RETURNS - 1, RETURNS - 1, RETURNS + 1), "one label is void");
    for (key, (_, body)) in &stock {
        let number: usize =
            body["return_id"].as_str().and_then(|id| id.strip_prefix("ret-")).and_then(|id| id.parse().ok()).expect("its number");
        let shelf = body["shelf"].as_str().expect("a shelf");
        let is_its = shelf == format!("s-{number}") || (TWINS.contains(&number) && shelf == format!("s-{}", TWINS[0]));
        assert!(is_its, "{key} has the parcel on {shelf}");
    }
    say(&format!("returns: {RETURNS} returns, each with its own parcel"));
}
