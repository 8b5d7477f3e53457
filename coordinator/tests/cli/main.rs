//! The command line as users have it: the binary, its output, its exit codes, on the embedded bus.

mod acts;
mod batches;
mod definitions;
mod deploy;
mod history;
mod language;
mod live;
mod manual;
mod participants;
mod port;
mod quarantine;
mod replay;
mod sagas;
mod scale;
mod scenarios;
mod secrets;
mod site;

use std::time::{Duration, Instant};

use ringmaster::api::client;
use ringmaster::blocking;

use site::{PATIENCE, Site};

#[test]
fn the_printed_settings_are_settings() {
    let site = Site::new();
    let (code, text, _) = site.ringmaster(&["config"]);
    assert_eq!(code, 0);
    site.write("ringmaster.toml", &text);
    let (code, said, errors) = site.ringmaster(&["config", "--check"]);
    assert_eq!((code, said.as_str(), errors.as_str()), (0, "the settings are right\n", ""));
    site.write("ringmaster.toml", "bus = 'embedded'\nprefx = 'x'\n");
    let (code, _, errors) = site.ringmaster(&["config", "--check"]);
    assert_eq!((code, errors.as_str()), (4, "ringmaster.toml:2:1: unknown setting 'prefx'; did you mean 'prefix'?\n"));
    site.write("ringmaster.toml", "bus = 'kafka'\n[kafka]\n'botstrap.servers' = 'x'\n");
    let (code, _, errors) = site.ringmaster(&["config", "--check"]);
    assert!(code == 4 && errors.contains("botstrap.servers"), "{code} {errors}");
    let (code, _, errors) = site.ringmaster(&["run", "--config", "elsewhere.toml"]);
    assert!(code == 4 && errors.contains("elsewhere.toml"), "{errors}");
}

#[test]
fn help_tells_the_exit_codes_and_wrong_usage_has_its_own() {
    let site = Site::new();
    let (code, text, _) = site.ringmaster(&["--help"]);
    assert_eq!(code, 0);
    for (exit, meaning) in ringmaster::cli::exit::EXITS {
        let beginning: String = meaning.chars().take(40).collect();
        assert!(text.contains(&format!("{}  {beginning}", exit as u8)), "{beginning}\n{text}");
    }
    let no_value = &["--set", "foo", "config"];
    for wrong in [&["rnu"][..], &[], &["topics"], &["check"], &["run", "--sett", "x"], &["saga", "show", "a b"], no_value] {
        assert_eq!(site.ringmaster(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn topics_are_verified_made_and_verified() {
    let site = Site::new();
    let (code, _, errors) = site.ringmaster(&["topics", "verify"]);
    assert_ne!(code, 0, "nothing is there yet: {errors}");
    let (code, said, errors) = site.ringmaster(&["topics", "apply"]);
    assert_eq!(code, 0, "{errors}");
    for topic in
        ["ringmaster.journal", "ringmaster.definitions", "ringmaster.quarantine", "orders", "payment.commands", "order-outcomes"]
    {
        assert!(said.contains(&format!("made {topic}\n")), "{topic}: {said}");
    }
    let (code, again, _) = site.ringmaster(&["topics", "apply"]);
    assert!(code == 0 && !again.contains("made "), "{again}");
    assert_eq!(site.ringmaster(&["topics", "verify"]).0, 0);
    let (code, _, errors) = site.ringmaster(&["topics", "verify", "--set", "partitions=8"]);
    assert!(code == 4 && errors.contains("ringmaster.journal: has 4 partitions, must have 8"), "{errors}");
    assert!(errors.contains("ringmaster.inbox: has 4 partitions, must have 8") && !errors.contains("orders: has"), "{errors}");
}

#[test]
fn brokers_that_do_not_answer_are_named() {
    let site = Site::new();
    let nobody = ["--set", "bus=kafka", "--set", "kafka.bootstrap.servers=127.0.0.1:1"];
    let (code, _, errors) = site.ringmaster(&[&["topics", "apply"], &nobody[..]].concat());
    assert!(code == 5 && errors.contains("kafka.bootstrap.servers is 127.0.0.1:1"), "{code} {errors}");
    // They are not to blame for another mistake, nor for a coordinator that does not run.
    for (command, exit) in [(["check", "nowhere.yaml"].as_slice(), 9), (&["saga", "show", "order-fulfilment/ord-1"], 5)] {
        let (code, _, errors) = site.ringmaster(&[command, &nobody[..]].concat());
        assert!(code == exit && !errors.contains("bootstrap"), "{command:?}: {code} {errors}");
    }
}

#[test]
fn a_coordinator_runs_is_looked_at_and_stops_in_order() {
    let site = Site::new();
    let coordinator = site.start();
    let ready = "ready: all partitions are owned and read";
    coordinator.until_it_says(ready);
    let (code, _, errors) = site.ringmaster(&["run", "--set", "api.listen=off"]);
    assert_eq!(code, 7, "a second one on the same directory is refused: {errors}");
    assert_eq!(site.ringmaster(&["run"]).0, 7, "also where the address is taken too");
    assert_eq!(site.ringmaster(&["topics", "verify"]).0, 0, "looking is allowed beside it");
    assert_eq!(site.ringmaster(&["quarantine", "list"]).1, "nothing is in quarantine\n");
    let (code, _, errors) = site.ringmaster(&["saga", "show", "order-fulfilment/unknown"]);
    assert!(code == 9 && errors.contains("no saga 'order-fulfilment/unknown'"), "{errors}");
    let metrics = client::get(site.address, "/metrics").expect("an answer").body;
    assert!(metrics.contains("ringmaster_partition_owned{partition=\"3\"} 1"), "{metrics}");
    let (code, log) = coordinator.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped in order"), "{log}");
    assert_eq!(log.matches(ready).count(), 1, "once is enough: {log}");
    let (code, _, errors) = site.ringmaster(&["saga", "show", "order-fulfilment/unknown"]);
    assert!(code == 5 && errors.contains(&site.address.to_string()), "nobody answers now: {errors}");
    assert_eq!(site.start().stop().0, Some(0), "and it starts again");
}

#[test]
fn what_could_not_be_taken_is_listed_and_shown() {
    let site = Site::new();
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let log = site.log();
    let records =
        [(b"ord-1".to_vec(), b"{ not json".to_vec()), (b"ord-\x1b[2J".to_vec(), vec![0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9])];
    blocking::append(&mut log.client(), "orders", 0, &records).expect("appended");
    drop(log);
    let coordinator = site.start();
    let since = Instant::now();
    let list = loop {
        let (code, said, errors) = site.ringmaster(&["quarantine", "list"]);
        assert_eq!(code, 0, "{errors}");
        if said.contains("2 of 2 records") {
            break said;
        }
        assert!(since.elapsed() < PATIENCE, "{said}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(list.contains("UNDECODABLE") && list.contains("UNKNOWN_SCHEMA") && list.contains("orders/0/0"), "{list}");
    assert!(!list.contains('\u{1b}'), "a hostile key cannot drive the terminal");

    let (_, lines, _) = site.ringmaster(&["quarantine", "list", "--json", "--reason", "undecodable"]);
    let record: serde_json::Value = serde_json::from_str(&lines).expect("one object, one line");
    assert_eq!((&record["reason"], &record["key"], &record["bytes"]), (&"UNDECODABLE".into(), &"ord-1".into(), &10.into()));
    assert_eq!(record.get("raw_hex"), None, "a list has no bytes");
    let id = record["id"].as_str().expect("a place");
    let (_, shown, _) = site.ringmaster(&["quarantine", "show", id, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("an object");
    assert_eq!(shown["raw_hex"], "7b206e6f74206a736f6e", "one record has them");
    let (code, shown, _) = site.ringmaster(&["quarantine", "show", id]);
    assert!(code == 0 && shown.contains("{ not json") && shown.contains("UNDECODABLE"), "{shown}");
    let (_, lines, _) = site.ringmaster(&["quarantine", "list", "--json", "--reason", "UNKNOWN_SCHEMA"]);
    let record: serde_json::Value = serde_json::from_str(&lines).expect("one object, one line");
    assert_eq!(record["schema"], "0807060504030201");
    let (_, shown, _) = site.ringmaster(&["quarantine", "show", record["id"].as_str().expect("a place")]);
    assert!(shown.contains("c3 01 01 02 03"), "a dump: {shown}");
    assert_eq!(site.ringmaster(&["quarantine", "show", "0/999"]).0, 9);
    assert_eq!(site.ringmaster(&["quarantine", "show", "somewhere"]).0, 2);
    assert_eq!(site.ringmaster(&["quarantine", "list", "--topic", "payments"]).1, "nothing like that is in quarantine\n");
    let (code, _, errors) = site.ringmaster(&["quarantine", "list", "--reason", "BROKEN"]);
    assert!(code == 2 && errors.contains("'BROKEN' is no reason; there are UNDECODABLE, UNKNOWN_SCHEMA, "), "{errors}");
    let (code, said, errors) = site.ringmaster(&["snapshots"]);
    assert!(code == 0 && said.contains("no snapshot was taken: the setting `journal_retention`"), "{said}{errors}");
    assert_eq!(coordinator.stop().0, Some(0));
    // Of which it was not known whether they had arrived: they are sent again, and are no more than they were.
    sent_again(&site, record["id"].as_str().expect("a place"));
    let (_, said, errors) = site.ringmaster(&["quarantine", "list"]);
    assert!(said.contains("2 of 2 records"), "{said}{errors}");
    let (code, said, errors) = site.ringmaster(&[
        "quarantine",
        "discard",
        "--reason",
        "UNKNOWN_SCHEMA",
        "--expected",
        "1",
        "--by",
        "mia",
        "--why",
        "of no use",
    ]);
    assert_eq!(code, 0, "{said}{errors}");
    let (_, said, errors) = site.ringmaster(&["quarantine", "list"]);
    assert!(said.contains("1 of 1 records; 1 that were redriven or discarded"), "{said}{errors}");
}

/// Appends what stands in quarantine once more, behind itself.
fn sent_again(site: &Site, id: &str) {
    let log = site.log();
    let partition = id.split('/').next().and_then(|partition| partition.parse().ok()).expect("a partition");
    let mut all = Vec::new();
    let mut note = |read: blocking::Read| {
        all.push((Vec::new(), read.value.unwrap_or_default()));
        true
    };
    blocking::read_to_end(&mut log.client(), "ringmaster.quarantine", partition, &mut note).expect("readable");
    assert!(!all.is_empty());
    blocking::append(&mut log.client(), "ringmaster.quarantine", partition, &all).expect("appended");
}
