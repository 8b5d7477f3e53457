//! What was missed is found and started by a coordinator that is asked over HTTP: also where the bus is its own.

use std::time::{Duration, Instant};

use ringmaster::api::client::{self, Means};
use ringmaster::blocking;
use ringmaster_schemas::names::partition_of;
use serde_json::{Value, json};

use crate::sagas::{TRIP, site_of};
use crate::site::{PATIENCE, Site};

/// Records that nothing can be made of, in the first partition: more than a page looks at.
const BROKEN: usize = 2_001;
const RANGE: [&str; 6] = ["replay", "input", "trips", "--from", "2020-01-01T00:00:00Z", "--to=2999-01-01T00:00:00Z"];

fn trip(key: &str) -> (Vec<u8>, Vec<u8>) {
    (key.into(), format!(r#"{{"trip_id":"{key}","nights":2,"persons":1}}"#).into_bytes())
}

/// A site whose coordinator passes over what lies in its inputs when it begins: these trips, and so many broken ones before them.
fn site(keys: &[&str], broken: usize) -> Site {
    let site = site_of("trip", TRIP, &[]);
    let settings = std::fs::read_to_string(site.folder.path().join("ringmaster.toml")).expect("settings");
    site.write("ringmaster.toml", &format!("start_at = 'latest'\n{settings}"));
    let log = site.log();
    let none = (b"t-none".to_vec(), b"{ \"trip_id\": ".to_vec());
    blocking::append(&mut log.client(), "trips", 0, &vec![none; broken]).expect("appended");
    for key in keys {
        blocking::append(&mut log.client(), "trips", partition_of(key.as_bytes(), 4), &[trip(key)]).expect("appended");
    }
    site
}

impl Site {
    fn replay(&self, arguments: &[&str], exit: i32, words: &[&str]) -> String {
        let (code, said, errors) = self.ringmaster(&[&RANGE, arguments].concat());
        let all = said.clone() + &errors;
        assert!(code == exit && words.iter().all(|word| all.contains(word)), "{arguments:?}: {code} {all}");
        said
    }

    /// Waits until the counts are these: what is known is told as of the last checkpoint.
    fn until_counted(&self, wanted: &Value) {
        let since = Instant::now();
        loop {
            let counts: Value = serde_json::from_str(&self.replay(&["--json"], 0, &[])).expect("one object");
            if counts == *wanted {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "{counts}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn begun(&self, key: &str) -> usize {
        let (_, history, _) = self.ringmaster(&["saga", "history", &format!("trip/{key}"), "--json"]);
        history.matches("\"event\":\"started\"").count()
    }
}

const HAND: [&str; 4] = ["--by", "ann", "--why", "seen in the books"];

#[test]
fn what_was_missed_is_started_once_by_a_coordinator() {
    let keys = ["t-a", "t-b", "t-c", "t-a"];
    let site = site(&keys, 1);
    site.replay(&[], 5, &["does not answer"]);
    let coordinator = site.start();
    let would = ["3 missing: they would start sagas", "1 known", "1 unreadable", "nothing was done", "--expected 3"];
    site.replay(&[], 0, &would);
    let replay = |expected: &'static str| [&["--expected", expected, "--rate", "2"], &HAND[..]].concat();
    site.replay(&replay("2"), 12, &["it is about 3 records now, not 2"]);
    assert_eq!(keys.map(|key| site.begun(key)), [0; 4], "nothing was done");
    site.replay(&replay("3"), 0, &["it started trip/t-a", "it started trip/t-b", "it started trip/t-c", "3 started"]);
    let counts = |missing: usize, known: usize, in_quarantine: usize| json!({ "missing": missing, "known": known, "too_old": 0, "in_quarantine": in_quarantine, "unreadable": 1, "nothing": 0 });
    site.until_counted(&counts(0, 4, 0));
    site.replay(&[], 0, &["0 missing", "4 known", "nothing is missing"]);
    site.replay(&replay("0"), 0, &["nothing was sent"]);
    assert_eq!(keys.map(|key| site.begun(key)), [1; 4], "each began once");
    site.replay(&["--accept-old"], 0, &["4 known"]);
    assert_eq!(coordinator.stop().0, Some(0));
    // What comes now is read. What is in quarantine is for others.
    let none = (b"t-none".to_vec(), b"[".to_vec());
    blocking::append(&mut site.log().client(), "trips", 0, &[trip("t-later"), none]).expect("appended");
    let coordinator = site.start();
    site.until_counted(&counts(0, 4, 2));
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn a_page_is_done_as_it_was_counted() {
    let keys: Vec<String> = (0..5).map(|number| format!("t-{number}")).collect();
    let site = site(&keys.iter().map(String::as_str).collect::<Vec<_>>(), BROKEN);
    let coordinator = site.start();
    let caller = client::caller(&site.address.into(), &Means::default()).expect("ready");
    let range = json!({ "topic": "trips", "from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z" });
    let ask = |more: &Value| {
        let mut body = range.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let answer = caller.post("/api/v1/replays", &body.to_string(), &[]).expect("an answer");
        (answer.code, serde_json::from_str::<Value>(&answer.body).expect("JSON"))
    };
    for wrong in [
        json!({ "topic": 1 }),
        json!({ "from": "yesterday" }),
        json!({ "to": "2019-01-01T00:00:00Z" }),
        json!({ "to": null }),
        json!({ "limit": 0 }),
        json!({ "limit": 201 }),
        json!({ "expected": 0 }),
        json!({ "expected": 0, "why": " " }),
        json!({ "expected": 0, "why": "x".repeat(1_025) }),
        json!({ "by": " " }),
        json!({ "froom": 1 }),
        json!({ "cursor": "x" }),
        json!({ "cursor": "0.0.0" }),
    ] {
        let (code, body) = ask(&wrong);
        assert!((400..=422).contains(&code) && body["detail"].is_string(), "{wrong}: {code} {body}");
    }
    assert_eq!(ask(&json!({ "topic": "nowhere" })).0, 404);
    let (code, first) = ask(&json!({}));
    assert_eq!((code, &first["counts"]["unreadable"], &first["missing"]), (200, &json!(2_000), &json!([])), "{first}");
    let cursor = &first["next_cursor"];
    let (code, other) = ask(&json!({ "cursor": cursor, "from": "2020-01-01T00:00:01Z" }));
    assert_eq!((code, &other["type"]), (400, &json!("/problems/bad-cursor")), "{other}");
    let (code, other) = ask(&json!({ "cursor": cursor, "topic": "trip-outcomes" }));
    assert_eq!((code, &other["type"]), (400, &json!("/problems/bad-cursor")), "{other}");
    let (_, second) = ask(&json!({ "cursor": cursor }));
    let counts = (&second["counts"]["unreadable"], &second["counts"]["missing"], second["missing"].as_array().map(Vec::len));
    assert_eq!((counts, &second["next_cursor"]), ((&json!(1), &json!(5), Some(5)), &Value::Null), "{second}");
    // No more than were counted, and not those of another page.
    for wrong in [json!({ "cursor": cursor, "expected": 4, "why": "w" }), json!({ "expected": 5, "why": "w" })] {
        let (code, body) = ask(&wrong);
        assert_eq!((code, &body["reason"]), (409, &json!("COUNT")), "{wrong}: {body}");
    }
    assert_eq!(keys.iter().map(|key| site.begun(key)).sum::<usize>(), 0, "nothing was done");
    let (code, done) = ask(&json!({ "cursor": cursor, "limit": 3, "expected": 3, "why": "w", "by": "bob" }));
    let results = done["results"].as_array().expect("results");
    assert!(code == 200 && results.len() == 3 && results.iter().all(|told| told["result"] == "started"), "{done}");
    assert!(results[0]["id"].is_null() && results[0]["from"].as_str().is_some_and(|from| from.starts_with("trips/")), "{done}");
    let rest = &done["next_cursor"];
    assert_eq!(ask(&json!({ "cursor": rest })).1["counts"]["missing"], 2, "the next page begins behind them");
    let (_, done) = ask(&json!({ "cursor": rest, "expected": 2, "why": "w", "by": "bob" }));
    assert_eq!((done["results"].as_array().map(Vec::len), &done["next_cursor"]), (Some(2), &Value::Null), "{done}");
    assert_eq!(keys.iter().map(|key| site.begun(key)).collect::<Vec<_>>(), [1; 5], "each began once");
    // At once again, before that is told as known perhaps: nothing is done twice.
    let (_, again) = ask(&json!({ "cursor": cursor }));
    let (code, done) = ask(&json!({ "cursor": cursor, "expected": again["counts"]["missing"], "why": "w", "by": "bob" }));
    assert!(code == 409 || done["results"].as_array().expect("results").iter().all(|told| told["result"] == "known"), "{done}");
    assert_eq!(keys.iter().map(|key| site.begun(key)).collect::<Vec<_>>(), [1; 5], "each began once");
    site.until_counted(&json!({ "missing": 0, "known": 5, "too_old": 0, "in_quarantine": 0, "unreadable": BROKEN, "nothing": 0 }));
    assert_eq!(coordinator.stop().0, Some(0));
}
