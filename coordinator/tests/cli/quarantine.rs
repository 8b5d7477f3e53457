//! What lies in quarantine is brought again, or discarded, by a coordinator that is asked over HTTP: also where the bus is its own.

use std::time::{Duration, Instant};

use ringmaster::api::client::{self, Means};
use ringmaster::blocking;
use ringmaster_schemas::names::partition_of;
use serde_json::{Value, json};

use crate::sagas::{TRIP, site_of};
use crate::site::{PATIENCE, Site};

const ASTRAY: &str = "t-astray";

/// A trip that lies in another partition than its key says, and what is none, three times.
fn site() -> Site {
    let site = site_of("trip", TRIP, &[]);
    let log = site.log();
    let trip = format!(r#"{{"trip_id":"{ASTRAY}","nights":2,"persons":1}}"#);
    let elsewhere = (partition_of(ASTRAY.as_bytes(), 4) + 1) % 4;
    blocking::append(&mut log.client(), "trips", elsewhere, &[(ASTRAY.as_bytes().to_vec(), trip.into_bytes())]).expect("appended");
    let none = (b"t-none".to_vec(), b"{ \"trip_id\": ".to_vec());
    blocking::append(&mut log.client(), "trips", 0, &[none.clone(), none.clone(), none]).expect("appended");
    site
}

impl Site {
    fn until_quarantined(&self, count: usize) -> Vec<Value> {
        let since = Instant::now();
        loop {
            let found = self.lines(&["quarantine", "list", "--json"]);
            if found.len() == count {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "{found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn quarantine(&self, arguments: &[&str], exit: i32, words: &[&str]) -> String {
        let (code, said, errors) = self.ringmaster(&[&["quarantine"], arguments].concat());
        let all = said.clone() + &errors;
        assert!(code == exit && words.iter().all(|word| all.contains(word)), "{arguments:?}: {code} {all}");
        said
    }
}

const HAND: [&str; 4] = ["--by", "ann", "--why", "seen in the books"];

#[test]
fn what_lies_in_quarantine_is_brought_again_by_a_coordinator() {
    let site = site();
    site.quarantine(&["redrive", "--topic", "trips"], 5, &["does not answer"]);
    let coordinator = site.start();
    let entries = site.until_quarantined(4);
    let would = ["4 records would be brought again", "3 UNDECODABLE from trips", "--expected 4"];
    site.quarantine(&["redrive", "--topic", "trips"], 0, &would);
    let redrive = |expected: &'static str| [&["redrive", "--topic", "trips", "--expected", expected], &HAND[..]].concat();
    site.quarantine(&redrive("3"), 12, &["it is about 4 records now, not 3"]);
    // One request brings one of them.
    let words = ["it started trip/t-astray", "1 started", "3 quarantined", "back in quarantine: UNDECODABLE"];
    site.quarantine(&[&redrive("4"), &["--rate", "1"][..]].concat(), 12, &words);
    site.until_quarantined(3);
    let all = site.lines(&["quarantine", "list", "--all", "--json"]);
    let marks: Vec<&Value> = all.iter().map(|entry| &entry["mark"]).filter(|mark| mark["act"] == "REDRIVEN").collect();
    assert!(marks.len() == 4 && marks.iter().all(|mark| mark["by"] == "ann" && mark["why"] == HAND[3]), "{all:?}");
    // By its place it may be brought again, and does nothing twice.
    let astray = entries.iter().find(|entry| entry["reason"] != "UNDECODABLE").expect("there is one");
    let id = astray["id"].as_str().expect("a place");
    let once = [&["redrive", id, "--expected", "1", "--json"], &HAND[..]].concat();
    let told: Value = serde_json::from_str(&site.quarantine(&once, 0, &[])).expect("one object");
    assert_eq!((&told["id"], &told["result"], &told["started"]), (&astray["id"], &json!("known"), &json!([])), "{told}");
    let (_, history, _) = site.ringmaster(&["saga", "history", "trip/t-astray", "--json"]);
    assert_eq!(history.matches("\"event\":\"started\"").count(), 1, "{history}");
    let left = site.until_quarantined(3);
    let ids: Vec<&str> = left.iter().map(|entry| entry["id"].as_str().expect("a place")).collect();
    let discard = |more: &[&'static str]| [&["discard"], &ids[..], more].concat();
    site.quarantine(&discard(&["--json"]), 0, &["\"count\":3", "\"left\":3"]);
    site.quarantine(&discard(&["--expected", "3", "--by", "ann", "--why", "of no use"]), 0, &["3 discarded"]);
    site.quarantine(&["list"], 0, &["nothing is in quarantine"]);
    let api = format!("http://{}", site.address);
    site.quarantine(&["list", "--api", &api], 0, &["nothing is in quarantine"]);
    site.quarantine(
        &["list", "--all", "--topic", "trips", "--api", &api],
        0,
        &["7 of 7 records", "discarded ", " by ann: of no use"],
    );
    site.quarantine(&["show", ids[0], "--api", &api], 0, &["\"reason\": \"UNDECODABLE\"", "trip_id"]);
    site.quarantine(&["show", "0/999", "--api", &api], 9, &["there is no record 0/999"]);
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn over_http_nothing_is_done_that_was_not_counted() {
    let site = site();
    let coordinator = site.start();
    let entries = site.until_quarantined(4);
    let caller = client::caller(&site.address.into(), &Means::default()).expect("ready");
    let ask = |what: &str, body: &Value| {
        let answer = caller.post(&format!("/api/v1/quarantine:{what}"), &body.to_string(), &[]).expect("an answer");
        (answer.code, serde_json::from_str::<Value>(&answer.body).expect("JSON"))
    };
    let broken = json!({ "reason": "undecodable" });
    for what in ["redrive", "discard"] {
        for wrong in [
            json!({}),
            json!({ "ids": [] }),
            json!({ "ids": ["x"] }),
            json!({ "ids": ["0/0"], "topic": "trips" }),
            json!({ "reason": "BROKEN" }),
            json!({ "topic": "trips", "since": "yesterday" }),
            json!({ "topic": "trips", "limit": 0 }),
            json!({ "topic": "trips", "limit": 201 }),
            json!({ "topic": "trips", "expected": 4 }),
            json!({ "topic": "trips", "expected": 4, "why": " " }),
            json!({ "topic": "trips", "expected": 4, "why": "x".repeat(1_025) }),
            json!({ "topic": "trips", "idz": 1 }),
            json!({ "ids": vec!["0/0"; 501] }),
        ] {
            let (code, body) = ask(what, &wrong);
            assert!((400..=422).contains(&code) && body["detail"].is_string(), "{wrong}: {code} {body}");
        }
        assert_eq!(ask(what, &json!({ "ids": ["0/0", "0/999"] })).0, 404);
        let (code, would) = ask(what, &broken);
        assert_eq!((code, &would["count"], &would["left"], &would["results"]), (200, &json!(3), &json!(3), &json!([])), "{would}");
        assert_eq!(would["ids"].as_array().map(Vec::len), Some(3), "{would}");
        assert_eq!(would["by_kind"], json!([{ "reason": "UNDECODABLE", "topic": "trips", "count": 3 }]));
        let (code, body) = ask(what, &json!({ "reason": "UNDECODABLE", "expected": 2, "why": "w" }));
        assert_eq!((code, &body["reason"]), (409, &json!("COUNT")), "{body}");
    }
    site.until_quarantined(4);
    let (code, done) = ask("discard", &json!({ "reason": "UNDECODABLE", "expected": 3, "why": "w", "by": "bob", "limit": 2 }));
    assert_eq!((code, &done["left"], done["results"].as_array().map(Vec::len)), (200, &json!(1), Some(2)), "{done}");
    let (_, done) = ask("discard", &json!({ "reason": "UNDECODABLE", "expected": 1, "why": "w", "by": "bob" }));
    assert_eq!((&done["left"], &done["results"][0]["result"]), (&json!(0), &json!("discarded")), "{done}");
    let ids: Vec<&Value> = entries.iter().filter(|entry| entry["reason"] != "UNDECODABLE").map(|entry| &entry["id"]).collect();
    let (_, done) = ask("redrive", &json!({ "ids": ids, "expected": 1, "why": "w", "by": "bob" }));
    assert_eq!((&done["results"][0]["result"], &done["results"][0]["started"]), (&json!("started"), &json!(["trip/t-astray"])));
    site.until_quarantined(0);
    assert_eq!(coordinator.stop().0, Some(0));
}
