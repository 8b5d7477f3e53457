//! A participant that is paused, what is parked for it, and what is said of both.

use std::time::{Duration, Instant};

use ringmaster::blocking;
use serde_json::{Value, json};

use crate::sagas::site_of;
use crate::site::{PATIENCE, Site};

const TRIP: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - { step: room, do: hotel.Reserve, undo: nothing, with: { trip_id: key } }
  - { step: paid, do: bank.Take, undo: nothing, with: { trip_id: key } }
";

impl Site {
    /// Writes an act on a participant to every partition while nobody runs, as `participant pause` does on Kafka.
    fn act(&self, act: &str, participant: &str) {
        let log = self.log();
        for partition in 0..4 {
            let value = json!({ "participant": participant, "act": act, "by": "ann", "why": "they move" });
            let record = [(participant.as_bytes().to_vec(), value.to_string().into_bytes())];
            blocking::append(&mut log.client(), "ringmaster.control", partition, &record).expect("appended");
        }
    }

    /// Waits until the coordinator tells so of a participant: it is as of its last checkpoint.
    fn until_it_is(&self, participant: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let all = self.lines(&["participant", "list", "--json"]);
            if let Some(found) = all.iter().find(|shown| shown["participant"] == participant && fits(shown)) {
                return found.clone();
            }
            assert!(since.elapsed() < PATIENCE, "{participant}: {all:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_paused_participant_is_listed_with_what_is_parked_and_resumed() {
    let site = site_of("trip", TRIP, &[]);
    site.act("pause", "hotel");
    let coordinator = site.start();
    let paused = site.until_it_is("hotel", |hotel| hotel["partitions"]["paused"] == 4);
    assert_eq!((&paused["state"], &paused["by"], &paused["why"]), (&"paused".into(), &"ann".into(), &"they move".into()));
    assert!(paused["since"].is_string() && paused["parked"] == 0, "{paused}");
    assert_eq!(site.until_it_is("bank", |_| true)["state"], "asked");
    assert_eq!(site.said(&["saga", "list", "--parked"]), "no saga is meant by waits:parked\n");
    assert_eq!(
        site.said(&["saga", "list", "--parked", "--participant", "hotel"]),
        "no saga is meant by waits:parked participant:hotel\n"
    );
    assert_eq!(coordinator.stop().0, Some(0));

    let trip = [(b"t-1".to_vec(), br#"{"trip_id":"t-1"}"#.to_vec())];
    let partition = ringmaster_schemas::names::partition_of(b"t-1", 4);
    blocking::append(&mut site.log().client(), "trips", partition, &trip).expect("appended");
    let coordinator = site.start();
    site.until_it_is("hotel", |hotel| hotel["parked"] == 1);
    let table = site.said(&["participant", "list"]);
    for word in ["PARTICIPANT", "hotel", "paused", "ann", "they move", "bank", "asked", "1 of 2 not asked as usual"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let one = site.said(&["participant", "show", "hotel"]);
    for words in ["they move", "0 asked + 0 asked again = 0 succeeded", "parkings: 1", "participant scaling hotel"] {
        assert!(one.contains(words) && !one.contains("bank"), "{words}: {one}");
    }
    for arguments in [&["saga", "list"][..], &["saga", "list", "--parked"], &["saga", "list", "--parked", "--participant", "hotel"]]
    {
        let list = site.said(arguments);
        assert!(list.contains("trip/t-1") && list.contains("parked: hotel") && list.contains("1 saga;"), "{list}");
    }
    let listed = &site.lines(&["saga", "list", "--parked", "--json"])[0];
    let listed = &listed["waits"];
    assert_eq!((&listed["reason"], &listed["wakes_at"]), (&"parked".into(), &Value::Null), "it wakes by nothing of its own");
    let why = site.said(&["saga", "why", "trip/t-1"]);
    for words in [
        "room waits for hotel, which is not asked now (parked)\n",
        "  parked    ann paused hotel at 20",
        "Z: they move\n",
        "  at        when it is its turn\n",
        "  way out   ringmaster participant resume hotel --why",
        "  way out   ringmaster act cancel trip/t-1",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    let leaf = &site.lines(&["saga", "why", "trip/t-1", "--json"])[0]["why"][0];
    assert_eq!((&leaf["reason"], &leaf["participant"]), (&"parked".into(), &"hotel".into()));
    assert_eq!((&leaf["breaker"]["state"], &leaf["breaker"]["by"]), (&"paused".into(), &"ann".into()), "{leaf}");
    assert_eq!(coordinator.stop().0, Some(0));

    site.act("resume", "hotel");
    let coordinator = site.start();
    site.until_it_is("hotel", |hotel| hotel["state"] == "asked" && hotel["parked"] == 0);
    assert!(site.said(&["participant", "list"]).contains("\nall are asked; as of "));
    let waits = &site.lines(&["saga", "list", "--json"])[0];
    assert_eq!((&waits["saga"], &waits["waits"]["reason"]), (&"trip/t-1".into(), &"reply".into()), "it was asked");
    let told = site.said(&["saga", "history", "trip/t-1"]);
    assert!(told.contains("hotel"), "{told}");
    assert_eq!(coordinator.stop().0, Some(0));
}

#[test]
fn questions_and_acts_that_make_no_sense_say_why() {
    let site = site_of("trip", TRIP, &[]);
    let pause = ["participant", "pause", "hotel", "--yes", "--by", "ann"];
    let with = |more: &[&'static str]| [&pause[..], more].concat();
    for (arguments, exit, says) in [
        (with(&["--why", "they move"]), 5, "does not answer"),
        (with(&[]), 2, "--why"),
        (vec!["participant", "resume", "--why", "x", "--by", "ann"], 2, "NAME"),
        (vec!["participant"], 2, "SCRIPT"),
        (vec!["participant", "--check", "pause", "hotel", "--why", "x", "--by", "ann"], 2, "cannot be used with"),
        (vec!["participant", "nowhere.yaml"], 9, "nowhere.yaml"),
        (vec!["participant", "list"], 5, "does not answer"),
        (vec!["saga", "list", "--parked", "--stuck"], 2, "--stuck"),
    ] {
        let (code, said, errors) = site.ringmaster(&arguments);
        assert!(code == exit && said.is_empty() && errors.contains(says), "{arguments:?}: {code} {said}{errors}");
    }
    let coordinator = site.start();
    let (code, _, errors) = site.ringmaster(&["saga", "list", "--parked", "--participant", "hotl"]);
    assert!(code == 9 && errors.contains("no saga that is deployed asks 'hotl'; there is bank, hotel"), "{errors}");
    let (code, _, errors) = site.ringmaster(&["participant", "show", "h/ö%"]);
    assert!(code == 9 && errors.contains("there is no participant 'h/ö%'; there is bank, hotel"), "{errors}");
    assert!(site.said(&["participant", "list", "--set", "prefix=ringmaster"]).contains("hotel"), "settings may stand behind it");
    assert_eq!(coordinator.stop().0, Some(0));
}
