//! What lies at the bus, over HTTP: topics, single records, and the quarantine.

use bytes::Bytes;
use ringmaster_bus::embedded::Log;
use ringmaster_schemas::journal::{QuarantineAct, QuarantineMark, QuarantineReason, Quarantined};
use serde_json::Value;

use super::editing::World;
use super::*;
use crate::{blocking, topics};

const QUARANTINE: &str = "ringmaster.quarantine";

fn append(log: &Log, topic: &str, partition: i32, value: &[u8]) {
    blocking::append_each(&mut log.client(), topic, &[(partition, b"k-1".to_vec(), value.to_vec())]).expect("it is written");
}

fn quarantined(at: i64, topic: &str, raw: &[u8]) -> Quarantined {
    let reason = if topic == "trips" { QuarantineReason::Undecodable } else { QuarantineReason::TypeUnknown };
    Quarantined {
        reason,
        detail: "it is not what it should be".into(),
        topic: topic.into(),
        partition: 2,
        offset: at,
        schema: None,
        key: Some(Bytes::from_static(b"k-1")),
        raw: Bytes::copy_from_slice(raw),
        length: raw.len() as i64,
        sha256: Bytes::from_static(&[0xab; 32]),
        at,
    }
}

fn mark(offset: i64) -> Vec<u8> {
    let (by, why, outcome) = ("ann".into(), "a load test".into(), "".into());
    QuarantineMark { offset, act: QuarantineAct::Discarded, by, why, at: 5_000, outcome }.encode()
}

/// Ten in two partitions, of which one stands there twice, one was discarded, and one cannot be read.
fn with_ten() -> World {
    let world = World::embedded();
    for at in 0..10 {
        let topic = if at < 7 { "trips" } else { "orders" };
        append(&world.log, QUARANTINE, (at % 2) as i32, &quarantined(at, topic, b"\x00broken").encode());
    }
    append(&world.log, QUARANTINE, 1, &quarantined(9, "orders", b"\x00broken").encode());
    append(&world.log, QUARANTINE, 0, &mark(1));
    append(&world.log, QUARANTINE, 3, b"\xff\xff");
    world
}

fn ids(world: &World, query: &str) -> (Vec<String>, Value) {
    let (code, body) = get(&world.server, &format!("/api/v1/quarantine{query}"));
    assert_eq!(code, 200, "{query}: {body}");
    let page: Quarantine = serde_json::from_value(body.clone()).expect("what the API says it is");
    (page.items.iter().map(|entry| entry.id.clone()).collect(), body)
}

#[test]
fn the_newest_come_first_and_what_is_done_with_is_left_out() {
    let world = with_ten();
    let (found, body) = ids(&world, "");
    assert_eq!(found, ["1/4", "0/4", "1/3", "0/3", "1/2", "0/2", "1/1", "1/0", "0/0"], "{body}");
    assert_eq!((&body["count"], &body["complete"], &body["next_cursor"]), (&json!(9), &json!(true), &json!(null)));
    assert_eq!((&body["items"][0]["reason"], &body["items"][0]["key"]), (&json!("TYPE_UNKNOWN"), &json!("k-1")), "{body}");
    let (found, body) = ids(&world, "?all=true&topic=trips");
    assert_eq!(found, ["0/3", "1/2", "0/2", "1/1", "0/1", "1/0", "0/0"]);
    assert_eq!((&body["items"][4]["mark"]["by"], &body["items"][4]["mark"]["act"]), (&json!("ann"), &json!("DISCARDED")), "{body}");
    assert_eq!(ids(&world, "?reason=type_unknown").0.len(), 3);
    for (wrong, code) in [("reason=NONSENSE", 400), ("limit=0", 400), ("limit=501", 400), ("cursor=x", 400), ("reasn=x", 400)] {
        assert_eq!(get(&world.server, &format!("/api/v1/quarantine?{wrong}")).0, code, "{wrong}");
    }
}

/// Each stands in one page, whatever comes meanwhile.
#[test]
fn pages_go_on_where_the_one_before_ended() {
    let world = with_ten();
    let (all, _) = ids(&world, "");
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let (page, body) = ids(&world, &format!("?limit=4{cursor}"));
        assert!(page.len() <= 4, "{body}");
        found.extend(page);
        append(&world.log, QUARANTINE, 2, &quarantined(100 + found.len() as i64, "trips", b"new").encode());
        let Some(next) = body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, all);
}

#[test]
fn one_is_shown_with_its_bytes_as_far_as_they_can_be_read() {
    let world = World::embedded();
    for raw in [&b"{ \"id\": 1"[..], b"\x00\x01\xff"] {
        append(&world.log, QUARANTINE, 0, &quarantined(1, "trips", raw).encode());
    }
    append(&world.log, QUARANTINE, 0, &mark(1));
    let (code, body) = get(&world.server, "/api/v1/quarantine/0/0");
    assert_eq!((code, &body["value"]["text"], &body["mark"]), (200, &json!("{ \"id\": 1"), &json!(null)), "{body}");
    let (_, body) = get(&world.server, "/api/v1/quarantine/0/1");
    assert_eq!((&body["value"]["hex"], &body["mark"]["why"]), (&json!("0001ff"), &json!("a load test")), "{body}");
    for nothing in ["0/2", "0/99", "3/0", "77/0"] {
        assert_eq!(get(&world.server, &format!("/api/v1/quarantine/{nothing}")).0, 404, "{nothing}");
    }
    assert_eq!(get(&world.server, "/api/v1/quarantine/a/b").0, 400);
}

fn make(log: &Log, name: &str) {
    let needed = topics::Needed { name: name.to_owned(), partitions: PARTITIONS, kind: topics::Kind::Events };
    topics::apply(&mut log.client(), &[needed], 1).expect("made");
}

#[test]
fn topics_are_as_they_must_be_or_it_is_said_what_is_wrong() {
    let world = World::embedded();
    let of = |name: &str| {
        let (code, body) = get(&world.server, "/api/v1/topics");
        assert_eq!(code, 200, "{body}");
        let all: NeededTopics = serde_json::from_value(body).expect("what the API says it is");
        all.topics.into_iter().find(|topic| topic.topic == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!((of("ringmaster.journal").partitions, of("ringmaster.journal").wrong), (Some(PARTITIONS), vec![]));
    assert_eq!((of("trips").partitions, of("trips").wrong), (None, vec!["trips: does not exist".to_owned()]));
    make(&world.log, "trips");
    assert_eq!((of("trips").partitions, of("trips").wrong, of("trips").routed), (Some(PARTITIONS), vec![], false));
    assert_eq!(of("hotel.commands").wrong.len(), 1, "what is sent to is needed, too");
}

/// Of topics of this coordinator alone; what a schema calls secret is not shown.
#[test]
fn one_record_is_decoded_as_far_as_that_goes() {
    let world = World::embedded();
    make(&world.log, "trips");
    make(&world.log, "salaries");
    append(&world.log, "trips", 1, b"{ \"id\": \"t-1\" }");
    append(&world.log, "trips", 1, b"\x00\xff");
    append(&world.log, "salaries", 1, b"a million");
    let (code, body) = get(&world.server, "/api/v1/topics/trips/1/0");
    assert_eq!((code, &body["value"]["text"], &body["key"]["text"]), (200, &json!("{ \"id\": \"t-1\" }"), &json!("k-1")), "{body}");
    let (_, body) = get(&world.server, "/api/v1/topics/trips/1/1");
    assert_eq!((&body["value"]["hex"], &body["value"]["bytes"]), (&json!("00ff"), &json!(2)), "{body}");
    for (path, why) in [
        ("salaries/1/0", "is no topic of this coordinator"),
        ("trips/1/2", "there is no record at offset 2 of trips/1"),
        ("trips/99/0", "there is no record"),
        ("hotel.commands/0/0", "there is no record"),
    ] {
        let (code, body) = get(&world.server, &format!("/api/v1/topics/{path}"));
        assert!(code == 404 && body["detail"].as_str().expect("why").contains(why), "{path}: {code} {body}");
    }
}

#[test]
fn instances_are_named_with_what_each_has() {
    let (world, group) = (World::embedded(), super::elsewhere::Group::new(&SimStore::new(), [&[0], &[1], &[2]]));
    let (code, body) = get(&world.server, "/api/v1/instances");
    assert_eq!((code, &body["instances"][0]["instance"]), (200, &json!("test")), "{body}");
    assert_eq!((&body["instances"][0]["partitions"], &body["not_given_out"]), (&json!([0, 1, 2, 3]), &json!([])));
    let (_, body) = get(&group.servers[1].0, "/api/v1/instances");
    let shown: Instances = serde_json::from_value(body).expect("what the API says it is");
    let each: Vec<_> = shown.instances.iter().map(|one| (&*one.instance, &one.partitions[..])).collect();
    assert_eq!(each, [("blue", &[0][..]), ("green", &[1]), ("red", &[2])]);
    assert_eq!(shown.not_given_out, [3]);
}

#[test]
fn an_instance_that_cannot_ask_the_bus_says_so() {
    let server = started(Arc::default(), &SimStore::new());
    for path in ["quarantine", "quarantine/0/0", "topics"] {
        assert_eq!(get(&server, &format!("/api/v1/{path}")).0, 503, "{path}");
    }
}

/// What one request does not look through is said, and nothing is done.
#[test]
fn what_lies_behind_what_a_request_reads_is_done_only_by_its_place() {
    let world = World::embedded();
    let many: Vec<_> = (0..10_001).map(|at| (0, b"k-1".to_vec(), quarantined(at, "trips", b"broken").encode())).collect();
    blocking::append_each(&mut world.log.client(), QUARANTINE, &many).expect("they are written");
    let caller = client::caller(&world.server.address().into(), &client::Means::default()).expect("ready");
    let ask = |path: &str, body: Value| {
        let answer = caller.post(path, &body.to_string(), &[]).expect("an answer");
        (answer.code, serde_json::from_str::<Value>(&answer.body).expect("JSON"))
    };
    let range = json!({ "topic": "trips", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z" });
    let all = json!({ "topic": "trips" });
    for (path, body) in [("quarantine:redrive", &all), ("quarantine:discard", &all), ("replays", &range)] {
        let (code, body) = ask(&format!("/api/v1/{path}"), body.clone());
        assert_eq!((code, &body["reason"]), (409, &json!("TOO_MANY")), "{path}: {body}");
    }
    let (code, body) =
        ask("/api/v1/quarantine:discard", json!({ "ids": ["0/0", "0/10000"], "expected": 2, "why": "w", "by": "ann" }));
    assert_eq!((code, &body["left"], body["results"].as_array().map(Vec::len)), (200, &json!(0), Some(2)), "{body}");
}
