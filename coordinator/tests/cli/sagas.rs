//! What operators ask about sagas: which are stuck, what each waits for, and what happened.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringmaster::api::client;
use ringmaster::blocking;
use ringmaster_schemas::names::partition_of;
use serde_json::Value;

use crate::site::{PATIENCE, Site};

/// Nobody answers for the hotel; for nobody at all the end cannot be told; and no nights cannot be shared.
pub(crate) const TRIP: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
deadline: 3d
steps:
  - { step: tell, emit: TripBegun, to: trip-progress, with: { trip_id: key } }
  - step: how
    switch:
      - if: start.nights > 30
        steps:
          - { step: too_long, refuse: TOO_LONG }
      - else:
          - { step: room, do: hotel.Reserve, undo: hotel.Release, with: { trip_id: key, share: 10 / start.nights } }
on_compensated: { emit: TripCancelled, to: trip-outcomes, with: { trip_id: key, each: 10 / start.persons } }
";

const TRIPS: [(&str, &str); 4] = [
    ("t-waits", r#"{"trip_id":"t-waits","nights":2,"persons":1}"#),
    ("t-stuck", r#"{"trip_id":"t-stuck","nights":40,"persons":0}"#),
    ("t-ended", r#"{"trip_id":"t-ended","nights":40,"persons":1}"#),
    ("t-wrong", r#"{"trip_id":"t-wrong","nights":0,"persons":1}"#),
];

/// A site with the trips' definition, and with their events in its log.
pub(crate) fn site() -> Site {
    site_of("trip", TRIP, &TRIPS.map(|(key, event)| ("trips", key, event)))
}

/// A site with a definition, and with events (topic, key, value) in its log.
pub(crate) fn site_of(name: &str, definition: &str, events: &[(&str, &str, &str)]) -> Site {
    let site = Site::new();
    let folder = site.folder.path().join("mine");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(folder.join(format!("{name}.yaml")), definition).expect("written");
    let settings = std::fs::read_to_string(site.folder.path().join("ringmaster.toml")).expect("settings");
    let lines = settings.lines().map(|line| match line.starts_with("definitions = ") {
        true => format!("definitions = '{}'\n", folder.display()),
        false => format!("{line}\n"),
    });
    let settings: String =
        lines.chain(["[participants.hotel]\nencoding = 'json'\n[participants.bank]\nencoding = 'json'\n".to_owned()]).collect();
    site.write("ringmaster.toml", &settings);
    let (code, _, errors) = site.ringmaster(&["topics", "apply"]);
    assert_eq!(code, 0, "{errors}");
    // Opened once: a command that another test starts at this moment holds the lock until it has become itself.
    let log = site.log();
    for (topic, key, event) in events {
        let record = [(key.as_bytes().to_vec(), event.as_bytes().to_vec())];
        blocking::append(&mut log.client(), topic, partition_of(key.as_bytes(), 4), &record).expect("appended");
    }
    site
}

impl Site {
    pub(crate) fn said(&self, arguments: &[&str]) -> String {
        let (code, said, errors) = self.ringmaster(arguments);
        assert_eq!((code, errors.as_str()), (0, ""), "{arguments:?}: {said}");
        said
    }

    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        self.said(arguments).lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
    }

    /// Waits until so many sagas are listed: they are shown as of the last checkpoint.
    pub(crate) fn until_listed(&self, count: usize) -> Vec<Value> {
        let since = Instant::now();
        loop {
            let found = self.lines(&["saga", "list", "--json"]);
            if found.len() == count && found.iter().any(|saga| saga["status"] == "stuck") {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "{found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The sum of a metric over its labels.
    fn metric(&self, name: &str) -> f64 {
        let text = client::get(self.address, "/metrics").expect("an answer").body;
        let of_name = text.lines().filter(|line| line.starts_with(name));
        of_name.map(|line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")).sum()
    }
}

/// The picture of its definition says where a saga stands.
fn is_drawn(site: &Site) {
    let drawn = |id: &str| -> Value {
        let answer = client::get(site.address, &format!("/api/v1/saga/graph?id=trip%2F{id}")).expect("an answer");
        serde_json::from_str(&answer.body).expect("JSON")
    };
    let waits = drawn("t-waits");
    let boxes = waits["graph"]["boxes"].as_array().expect("boxes");
    assert!(boxes.iter().any(|of| of["step"] == "room") && waits["status"] == "running", "{waits}");
    assert_eq!((&waits["steps"]["room"][0]["state"], &waits["steps"]["room"][0]["waits"]), (&"asked".into(), &"reply".into()));
    assert_eq!(waits["steps"]["tell"][0]["state"], "emitted");
    assert!(waits["steps"].get("too_long").is_none(), "what was not reached is left out: {waits}");
    let ended = drawn("t-ended");
    assert_eq!((&ended["status"], &ended["steps"]["too_long"][0]["waits"]), (&"compensated".into(), &Value::Null), "{ended}");
    assert_eq!(drawn("t-nobody")["type"], "/problems/not-found");
}

#[test]
fn sagas_are_listed_explained_and_told() {
    let site = site();
    let coordinator = site.start();
    let found = site.until_listed(2);
    let ids: BTreeSet<&str> = found.iter().map(|saga| saga["saga"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["trip/t-stuck", "trip/t-waits"].into(), "what has ended waits for nothing");
    let list = site.said(&["saga", "list"]);
    for word in ["trip/t-stuck", "stuck: DIVISION_BY_ZERO", "on_compensated", "running", "room", "reply: hotel", "2 sagas"] {
        assert!(list.contains(word), "{word}: {list}");
    }
    let stuck = site.said(&["saga", "list", "--stuck", "--definition", "trip"]);
    assert!(stuck.contains("trip/t-stuck") && stuck.contains("1 saga;") && !stuck.contains("t-waits"), "{stuck}");
    let [first, last] = [&[][..], &["--newest"]].map(|more| site.said(&[&["saga", "list", "--limit", "1"], more].concat()));
    assert!(first.contains("1 saga; there are more") && last.contains("there are more") && first != last, "{first}{last}");
    let ended = site.said(&["saga", "list", "--filter", "status:completed,compensated since:<1h", "-q"]);
    assert_eq!(ended.lines().collect::<BTreeSet<_>>(), ["trip/t-ended", "trip/t-wrong"].into());
    let (code, _, errors) = site.ringmaster(&["saga", "list", "--filter", "status:stuk"]);
    assert!(code == 2 && errors.contains("at character 8: 'stuk' is no status; there is stuck"), "{code} {errors}");

    let why = site.said(&["saga", "why", "trip/t-stuck"]);
    for word in
        ["by version 1", "on_compensated waits for a person (stuck)", "because   DIVISION_BY_ZERO", "never by itself", "way out"]
    {
        assert!(why.contains(word), "{word}: {why}");
    }
    let why = &site.lines(&["saga", "why", "trip/t-waits", "--json"])[0];
    let leaves = why["why"].as_array().expect("leaves");
    assert_eq!((leaves.len(), &leaves[0]["step"], &leaves[0]["reason"]), (1, &"room".into(), &"reply".into()));
    assert!(leaves[0]["wakes_at"].is_string() && leaves[0]["since"].is_string() && why["deadline_at"].is_string(), "{why}");
    is_drawn(&site);
    assert!(site.said(&["saga", "why", "trip/t-ended"]).contains("nothing of it waits"));

    let shown: Value = serde_json::from_str(&site.said(&["saga", "show", "trip/t-waits"])).expect("JSON");
    let way = serde_json::json!([{ "step": "tell", "what": "emitted" }, { "step": "how", "what": "arm 2" }]);
    assert_eq!((&shown["version_number"], &shown["on_the_way"]), (&1.into(), &way), "{shown}");
    assert_eq!(shown["more"][1], "ringmaster saga history trip/t-waits");

    for (id, words) in [
        (
            "trip/t-waits",
            &[
                "trips at ",
                "with version 1",
                "tell emits TripBegun to trip-progress",
                "how takes arm 2 of 2, else",
                "room asks hotel.Reserve",
            ][..],
        ),
        ("trip/t-ended", &["how takes arm 1 of 2", "too_long refuses: TOO_LONG", "its end emits TripCancelled to trip-outcomes"]),
        ("trip/t-wrong", &["how takes arm 2 of 2, else", "the saga undoes: DIVISION_BY_ZERO"]),
    ] {
        let told = site.said(&["saga", "history", id]);
        words.iter().for_each(|word| assert!(told.contains(word), "{word}: {told}"));
        assert!(told.contains("records that its row names"), "{told}");
        same_by_both_ways(&site, id);
    }
    let (metrics, log) =
        ((site.metric("ringmaster_partition_stuck{"), site.metric("ringmaster_saga_errors_total")), coordinator.log());
    assert_eq!(metrics, (1.0, 2.0), "one is stuck; two failed by their definition");
    assert!(log.contains("failed by its definition's own mistake") && log.contains("trip/t-wrong"), "{log}");
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn a_script_waits_for_a_saga_and_is_told_if_in_vain() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    for (id, what, exit, says) in [
        ("trip/t-stuck", "stuck", 0, "trip/t-stuck is compensating"),
        ("trip/t-ended", "ended", 0, "trip/t-ended is compensated"),
        ("trip/t-ended", "completed", 1, "trip/t-ended has ended: it is compensated"),
        ("trip/t-waits", "step=room", 10, "trip/t-waits was not so within the time: it is running"),
        ("trip/t-nobody", "ended", 10, "no saga 'trip/t-nobody'"),
        ("trip/t-waits", "over", 2, "step=NAME"),
    ] {
        let (code, said, errors) = site.ringmaster(&["saga", "wait", id, "--for", what, "--timeout", "200ms"]);
        assert!(code == exit && (said + &errors).contains(says), "{id} {what}: {code} {errors}");
    }
    assert_eq!(coordinator.stop().0, Some(0));
    assert_eq!(site.ringmaster(&["saga", "wait", "trip/t-ended", "--timeout", "200ms"]).0, 10, "whoever is asked may come back");
}

/// A saga is told in the same words by its row's turns as by a scan of its partition, and its row says the last of them.
fn same_by_both_ways(site: &Site, id: &str) {
    let (by_row, scanned) = (["saga", "history", id, "--json"], ["saga", "history", id, "--json", "--scan"]);
    let (by_row, scanned) = (site.ringmaster(&by_row), site.ringmaster(&scanned));
    assert_eq!((by_row.0, scanned.0), (0, 0));
    assert_eq!(by_row.1, scanned.1);
    assert!(
        by_row.2.contains("records that its row names")
            && scanned.2.contains("read by a scan of the partition's journal (as was asked for)")
    );
    let shown: Value = serde_json::from_str(&site.said(&["saga", "show", id])).expect("JSON");
    let offsets: Vec<Value> =
        scanned.1.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["offset"].clone()).collect();
    let named: Vec<&Value> = ["first", "last"].iter().flat_map(|part| shown["turns"][*part].as_array().expect("offsets")).collect();
    assert!(named.iter().all(|offset| offsets.contains(offset)) && offsets.iter().all(|offset| named.contains(&offset)), "{shown}");
    assert_eq!((&shown["if_turn"], &shown["turns"]["left_out"]), (*named.last().expect("one"), &0.into()), "{shown}");
}

/// What was stuck before a start is known, counted and named right behind it.
#[test]
fn a_start_says_how_many_are_stuck_and_how_they_are_listed() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    assert_eq!(coordinator.stop().0, Some(0));
    let coordinator = site.start();
    coordinator.until_it_says("sagas are stuck and need a person: `ringmaster saga list --stuck` names them stuck=1");
    assert_eq!(site.metric("ringmaster_partition_stuck{"), 1.0);
    let listed = &site.lines(&["saga", "list", "--stuck", "--json"])[0];
    let shown: Value = serde_json::from_str(&site.said(&["saga", "show", "trip/t-stuck"])).expect("JSON");
    assert_eq!(listed["saga"], "trip/t-stuck");
    assert!(listed["if_turn"].is_i64() && listed["if_turn"] == shown["if_turn"], "{listed}");
    let (code, log) = coordinator.stop();
    assert_eq!((code, log.matches("sagas are stuck").count()), (Some(0), 1), "{log}");

    // The journal is there also when nobody runs.
    let told = site.said(&["saga", "history", "trip/t-stuck"]);
    assert!(told.contains("read by a scan of the partition's journal (the coordinator at"), "{told}");
    let (_, told, how) = site.ringmaster(&["saga", "history", "trip/t-stuck", "--json"]);
    assert!(how.starts_with("read by a scan of the partition's journal (the coordinator at"), "{how}");
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let events: Vec<&Value> = told.iter().flat_map(|turn| turn["events"].as_array().expect("events")).collect();
    let words: Vec<&str> = events.iter().map(|event| event["event"].as_str().expect("a word")).collect();
    assert_eq!(words, ["started", "emitted", "arm_taken", "refused", "compensation_began", "stuck"]);
    assert_eq!((&events[3]["step"], told[0]["offset"].is_i64()), (&"too_long".into(), true));
    let newest = site.said(&["saga", "history", "trip/t-stuck", "--limit", "2"]);
    assert!(newest.contains("2 events of partition") && newest.contains("4 older ones are left out"), "{newest}");
    assert_eq!(site.ringmaster(&["saga", "list"]).0, 5, "nobody answers");
}

#[test]
fn questions_that_have_no_answer_say_why() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    for (arguments, exit, says) in [
        (&["saga", "list", "--definition", "trips"][..], 9, "no saga 'trips' is deployed; there is trip"),
        (&["saga", "list", "--definition", "a b"], 9, "no saga 'a b' is deployed; there is trip"),
        (&["saga", "list", "--limit", "0"], 2, "it is from 1 to 1000000"),
        (&["saga", "list", "--limit", "18446744073709551615"], 2, "it is from 1 to 1000000"),
        (&["saga", "why", "trip/unknown"], 9, "no saga 'trip/unknown'"),
        (&["saga", "why", "trip"], 2, "is not a saga id"),
        (&["saga", "history", "trip/unknown"], 9, "the journal has nothing of 'trip/unknown'"),
        (&["saga", "history", "a/b/C"], 2, "is not a saga id"),
        (&["act", "cancel", "a/b/C", "--yes", "--by", "ann", "--why", "asked"], 2, "is not a saga id"),
    ] {
        let (code, said, errors) = site.ringmaster(arguments);
        assert!(code == exit && said.is_empty() && errors.contains(says), "{arguments:?}: {code} {said}{errors}");
    }
    assert_eq!(coordinator.stop().0, Some(0));
}

/// One saga waits for an event and for a person; of another only an event has come.
const PARCEL: &str = "
saga: parcel
start: { on: ParcelSent, from: parcels, key: event.parcel }
deadline: 30d
steps:
  - step: both
    parallel:
      track: [{ step: seen, wait: ParcelSeen, from: sightings, key: event.parcel, within: 7d }]
      clear: [{ step: duty, approval: customs, show: { value: start.value }, within: 3d }]
";

#[test]
fn what_waits_for_events_and_for_people_is_listed_with_its_clock_and_what_came_early_is_shown() {
    let site = site_of(
        "parcel",
        PARCEL,
        &[("parcels", "p-1", r#"{"parcel":"p-1","value":7}"#), ("sightings", "p-2", r#"{"parcel":"p-2","place":"Riga"}"#)],
    );
    let coordinator = site.start();
    let since = Instant::now();
    let list = loop {
        let list = site.lines(&["saga", "list", "--json"]);
        if !list.is_empty() {
            break list;
        }
        assert!(since.elapsed() < PATIENCE, "nothing is listed: {}", coordinator.log());
        std::thread::sleep(Duration::from_millis(50));
    };
    let shown = |id| serde_json::from_str::<Value>(&site.said(&["saga", "show", id])).expect("JSON");
    assert_eq!((list.len(), &list[0]["saga"]), (1, &"parcel/p-1".into()), "what has not begun waits for nobody");
    assert!(list[0]["waits"]["wakes_at"].is_string() && list[0]["waits"]["reason"] == "event", "{list:?}");
    let why = site.said(&["saga", "why", "parcel/p-1"]);
    for words in [
        "seen waits for",
        "ParcelSeen",
        "duty waits for",
        "customs",
        "shows     {\"value\":7}",
        "ringmaster act approve parcel/p-1",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }

    let since = Instant::now();
    while site.ringmaster(&["saga", "show", "parcel/p-2"]).0 != 0 {
        assert!(since.elapsed() < PATIENCE, "it is not known");
        std::thread::sleep(Duration::from_millis(50));
    }
    let expected = shown("parcel/p-2");
    let early = &expected["early_events"][0];
    assert_eq!(
        (&expected["status"], &expected["source"], &early["kind"]),
        (&"expected".into(), &Value::Null, &"ParcelSeen".into())
    );
    assert!(early["kept_until"].is_string() && early["topic"] == "sightings", "{expected}");
    let why = site.said(&["saga", "why", "parcel/p-2"]);
    for words in ["parcel/p-2 has not begun", "ParcelSeen came early (sightings/", "it is kept until"] {
        assert!(why.contains(words), "{words}: {why}");
    }
    assert!(!why.contains("nothing of it waits"), "{why}");
    assert_eq!(coordinator.stop().0, Some(0));
}

/// Where a saga ends up in the list by what it is found by, while it lives and when it has ended.
#[test]
fn sagas_are_found_by_what_their_definition_says() {
    let searched = TRIP
        .replace("deadline: 3d", "deadline: 3d\nsearch: { nights: start.nights, key: \"'k ' + start.trip_id\" }")
        .replace("key: \"'k", "name: \"'k");
    let site = site_of("trip", &searched, &TRIPS.map(|(key, event)| ("trips", key, event)));
    let coordinator = site.start();
    site.until_listed(2);
    let found = |by: &[&str]| -> Vec<String> {
        let search: Vec<&str> = by.iter().flat_map(|by| ["--search", by]).collect();
        let lines = site.lines(&[&["saga", "list", "--definition", "trip", "--json"], &search[..]].concat());
        lines.iter().map(|saga| saga["saga"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(found(&["nights=40"]), ["trip/t-ended", "trip/t-stuck"]);
    assert_eq!(found(&["nights=40", "name=k t-stuck"]), ["trip/t-stuck"]);
    assert_eq!(found(&["nights=41"]), [""; 0]);
    let list = site.said(&["saga", "list", "--definition", "trip", "--search", "nights=40"]);
    assert!(list.contains("trip/t-ended") && list.contains("compensated") && list.contains("2 sagas"), "{list}");
    let none = site.said(&["saga", "list", "--definition", "trip", "--search", "nights=41", "--search", "name=x"]);
    assert_eq!(none.trim_end(), "no saga is meant by definition:trip nights=41 name=x");
    let shown = &site.said(&["saga", "show", "trip/t-ended"]);
    let shown: Value = serde_json::from_str(shown).expect("JSON");
    assert_eq!(shown["search"], serde_json::json!({ "nights": "40", "name": "k t-ended" }));
    let history = site.said(&["saga", "history", "trip/t-ended"]);
    assert!(history.contains("found by nights=40, name=k t-ended"), "{history}");
    for (by, code) in [("nights", 2), ("hotel=a", 9)] {
        let (found, _, errors) = site.ringmaster(&["saga", "list", "--definition", "trip", "--search", by]);
        assert_eq!(found, code, "{by}: {errors}");
    }
    assert_eq!(site.ringmaster(&["saga", "list", "--search", "nights=40"]).0, 2, "a definition is named");
    coordinator.stop();
}
