//! A running saga whose definition is gone: the coordinator stops for good, whatever met it.

use std::time::{Duration, Instant};

use ringmaster::runtime::Stop;
use ringmaster_bus::embedded::{Log, Settings};
use ringmaster_core::partition::Why;
use ringmaster_schemas::Millis;

use crate::REPLIES;
use crate::cases::{answer, key_in};
use crate::line::Line;

/// Longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// Behind every timeout.
const HOUR_MS: Millis = 3_600_000;

#[derive(Clone, Copy, PartialEq)]
enum Meets {
    Reply,
    Timer,
}

/// Why the coordinator stops.
fn stops(meets: Meets) -> Stop {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(&folder.path().join("log"), Settings::default()).expect("a log");
    let mut line = Line::open(log, folder.path());
    let key = key_in("lost-", 0, 0);
    line.put("probes", 0, Some(key.as_bytes()), format!(r#"{{"id":"{key}"}}"#).as_bytes());
    line.drive("the first command", |line| !line.read("lab.commands").is_empty());
    line.lose_definitions();
    if meets == Meets::Reply {
        let value = answer(&format!("probe/{key}/look/do"), 1, r#""outcome":"succeeded""#, r#"{"found":1}"#);
        line.put(REPLIES, 0, Some(key.as_bytes()), &value);
    }
    let ahead_ms = if meets == Meets::Timer { HOUR_MS } else { 0 };
    let since = Instant::now();
    let stop = loop {
        assert!(since.elapsed() < PATIENCE, "the coordinator goes on without the definition");
        if let Err(stop) = line.try_turn(ahead_ms) {
            break stop;
        }
    };
    line.close();
    stop
}

#[test]
fn a_reply_and_a_timer_end_alike_without_the_definition() {
    for meets in [Meets::Reply, Meets::Timer] {
        let stop = stops(meets);
        let Stop::Partition(Why::Corrupt { detail, .. }) = &stop else { panic!("it stopped otherwise: {stop}") };
        assert!(detail.contains("runs a version of 'probe'"), "{detail}");
    }
}
