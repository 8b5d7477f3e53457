//! One act on many sagas, by the command line and the port of a coordinator whose bus is its own.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sagas::{TRIP, site, site_of};
use crate::site::{PATIENCE, Site};

/// As many as are under way.
const TRIPS: usize = 12;
/// More than are acted on, one a second, before a test ends.
const MORE_TRIPS: usize = 300;

impl Site {
    /// Selects those that a filter means, once they are so many: they are shown as of the last checkpoint. The batch's id.
    fn preview(&self, arguments: &[&str], count: usize) -> String {
        let all = [&["batch", "preview"], arguments, &["--why", "the hotel closed", "--by", "ann", "--json"]].concat();
        let since = Instant::now();
        loop {
            let (code, said, errors) = self.ringmaster(&all);
            assert_eq!(code, 0, "{errors}");
            let batch: Value = serde_json::from_str(&said).expect("JSON");
            if batch["matched"] == count {
                return batch["batch"].as_str().expect("an id").to_owned();
            }
            assert!(since.elapsed() < PATIENCE, "{batch}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn batch(&self, arguments: &[&str]) -> (i32, String) {
        let by: &[&str] = if matches!(arguments[0], "list" | "show") { &[] } else { &["--by", "bob"] };
        let (code, said, errors) = self.ringmaster(&[&["batch"], arguments, by].concat());
        (code, said + &errors)
    }

    fn show(&self, id: &str) -> Value {
        serde_json::from_str(&self.said(&["batch", "show", id, "--json"])).expect("JSON")
    }
}

fn many(count: usize) -> Site {
    let keys: Vec<String> = (0..count).map(|number| format!("t-{number}")).collect();
    let events: Vec<String> = keys.iter().map(|key| format!(r#"{{"trip_id":"{key}","nights":2,"persons":1}}"#)).collect();
    let events: Vec<(&str, &str, &str)> = keys.iter().zip(&events).map(|(key, event)| ("trips", &**key, &**event)).collect();
    site_of("trip", TRIP, &events)
}

#[test]
fn what_was_shown_is_done_journaled_and_counted() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    let (code, said) = site.batch(&["list"]);
    assert!(code == 0 && said.contains("no batch was made"), "{said}");
    let id = site.preview(&["cancel", "--filter", "definition:trip status:running"], 1);
    assert_eq!(site.said(&["batch", "show", &id, "--sagas"]), "trip/t-waits\n");
    let (code, said) = site.batch(&["start", &id, "--expected", "2"]);
    assert!(code == 12 && said.contains("has 1 sagas, not 2: nothing is done"), "{code} {said}");
    assert_eq!(site.show(&id)["state"], "previewed");
    let (code, said) = site.batch(&["start", &id, "--expected", "1"]);
    assert!(code == 0 && said.contains(&format!("{id} done: 1 done, 0 moved on, 0 rejected, 0 left")), "{code} {said}");
    let told = site.said(&["saga", "history", "trip/t-waits"]);
    assert!(told.contains("bob acts: cancel (the hotel closed)") && told.contains(&format!("batch {id}")), "{told}");
    let (code, said) = site.batch(&["start", &id, "--expected", "1"]);
    assert!(code == 12 && said.contains("is done: it cannot be started"), "{code} {said}");
    let listed: Value = serde_json::from_str(&site.said(&["batch", "list", "--json"])).expect("JSON");
    let who = (&listed["by"], &listed["orders"][0]["by"], &listed["progress"]["done"]);
    assert_eq!(who, (&"ann".into(), &"bob".into(), &1.into()), "{listed}");
    let (_, said) = site.batch(&["show", &id]);
    assert!(said.contains("says ann: the hotel closed") && said.contains("start by bob, 50 a second"), "{said}");
    assert_eq!(site.batch(&["show", "b-nothing"]).0, 9, "there is none");
    assert_eq!(coordinator.stop().0, Some(0));
    // All of it is in the log.
    let coordinator = site.start();
    let since = Instant::now();
    while site.batch(&["show", &id]).0 != 0 {
        assert!(since.elapsed() < PATIENCE, "{}", coordinator.log());
    }
    assert_eq!(site.show(&id)["progress"]["done"], 1);
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn what_moved_on_is_left_alone_and_what_cannot_be_is_told() {
    let site = many(TRIPS);
    let coordinator = site.start();
    let pause = site.preview(&["pause", "--definition", "trip"], TRIPS);
    let one = ["act", "pause", "trip/t-3", "--yes", "--why", "asked by phone", "--by", "eve"];
    assert_eq!(site.ringmaster(&one).0, 0);
    let all = TRIPS.to_string();
    let (code, said) = site.batch(&["start", &pause, "--expected", &all, "--rate", "5000"]);
    let words = ["11 done, 1 moved on, 0 rejected, 0 left", "trip/t-3  MOVED_ON: ", "is left alone"];
    assert!(code == 12 && words.iter().all(|word| said.contains(word)), "{code} {said}");
    let retry = site.preview(&["retry", "--paused"], TRIPS);
    let (code, said) = site.batch(&["start", &retry, "--expected", &all, "--rate", "5000", "--json"]);
    let shown: Value = serde_json::from_str(said.lines().find(|line| line.starts_with('{')).expect("a line")).expect("JSON");
    assert!(code == 12 && shown["reasons"]["NOT_STUCK"] == TRIPS && shown["progress"]["rejected"] == TRIPS, "{code} {said}");
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn a_batch_is_paused_resumed_and_stopped() {
    let site = many(MORE_TRIPS);
    let coordinator = site.start();
    let (id, all) = (site.preview(&["cancel", "--definition", "trip"], MORE_TRIPS), MORE_TRIPS.to_string());
    let (code, said) = site.batch(&["start", &id, "--expected", &all, "--rate", "1", "--detach"]);
    assert!(code == 0 && said.contains("running"), "{code} {said}");
    assert_eq!(site.batch(&["pause", &id]).0, 0);
    let (code, said) = site.batch(&["pause", &id]);
    assert!(code == 12 && said.contains("is paused: it cannot be paused"), "{code} {said}");
    assert_eq!(site.batch(&["resume", &id]).0, 0);
    let since = Instant::now();
    while site.show(&id)["progress"]["done"] == 0 {
        assert!(since.elapsed() < PATIENCE, "{}", site.show(&id));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(site.batch(&["stop", &id]).0, 0);
    while site.show(&id)["progress"]["on_their_way"] != 0 {
        assert!(since.elapsed() < PATIENCE, "{}", site.show(&id));
        std::thread::sleep(Duration::from_millis(50));
    }
    let stopped = site.show(&id);
    let (done, left) = (stopped["progress"]["done"].as_u64().expect("a count"), stopped["progress"]["left"].as_u64());
    assert!(stopped["state"] == "stopped" && done >= 1 && left == Some(MORE_TRIPS as u64 - done) && left > Some(0), "{stopped}");
    let orders: Vec<&str> = stopped["orders"].as_array().expect("orders").iter().filter_map(|one| one["order"].as_str()).collect();
    assert_eq!(orders, ["start", "pause", "resume", "stop"]);
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn what_says_too_little_is_refused() {
    let site = site();
    let (_, help) = site.batch(&["preview", "--help"]);
    assert!(help.contains("- resolve:") && !help.contains("- start:"), "{help}");
    let (code, said) = site.batch(&["preview", "cancel", "--stuck", "--why", "w"]);
    assert!(code == 5 && said.contains("does not answer"), "nobody runs: {code} {said}");
    let coordinator = site.start();
    for (arguments, word) in [
        (&["preview", "resolve", "--stuck", "--why", "w"][..], "`step` and `outcome`"),
        (&["preview", "resolve", "--stuck", "--why", "w", "--step", "s", "--outcome", "refused", "--value", "1"], "`value`"),
        (&["preview", "skip", "--stuck", "--why", "w", "--step", "s", "--value", "null"], "says nothing"),
        (&["preview", "start", "--stuck", "--why", "w"], "replay input"),
        (&["preview", "cancel", "--filter", "status:sick", "--why", "w"], "sick"),
        (&["preview", "cancel", "--stuck"], "--why"),
        (&["start", "b-1"], "--expected"),
    ] {
        let (code, said) = site.batch(arguments);
        assert!(code == 2 && said.contains(word), "{arguments:?}: {code} {said}");
    }
    assert_eq!(coordinator.stop().0, Some(0));
}
