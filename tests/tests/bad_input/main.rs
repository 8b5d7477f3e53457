//! Bad input: each kind has its defined answer, none stops its partition, none is lost, and a killed coordinator gives the same answer
//! again. On the embedded bus always, on real Kafka where it is installed.

#![allow(clippy::print_stdout, reason = "a test says what it did")]

mod cases;
mod line;
mod missing;

use std::collections::BTreeMap;
use std::time::Duration;

use ringmaster_bus::embedded::{Log, Settings};
use ringmaster_bus::kafka::KafkaSettings;
use ringmaster_bus::kafka::broker::Broker;
use ringmaster_demo::orders::OUTCOMES;
use ringmaster_demo::rig::Buses;
use ringmaster_schemas::journal::{Change, QUARANTINE_RAW_BYTES_MAX, RejectionReason, SagaEvent};
use ringmaster_schemas::state::{Saga, Status};
use sha2::{Digest as _, Sha256};

use cases::{Answer, answer, events, key_in, order, replies};
use line::{Line, Place};

const REPLIES: &str = "ringmaster.replies";
/// Turns after which the coordinator is killed, one after the other, while it takes the bad records.
const TURNS_TO_KILL: [usize; 8] = [2, 5, 9, 14, 20, 3, 30, 40];

#[test]
fn embedded() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(&folder.path().join("log"), Settings::default()).expect("a log");
    run(log, folder.path());
}

#[test]
fn kafka() {
    if !Broker::is_available() {
        println!("not tested on Kafka: RINGMASTER_KAFKA_LIBS names no folder with its jars (`make kafka` fetches them)");
        return;
    }
    let broker = Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let settings = KafkaSettings { linger: Duration::ZERO, ..KafkaSettings::new(broker.address()) };
    run(settings, folder.path());
}

/// A record that was put, and what must become of it.
struct Put {
    name: String,
    value: Vec<u8>,
    answer: Answer,
}

fn run<B: Buses>(buses: B, folder: &std::path::Path) {
    let mut line = Line::open(buses, folder);
    let mut put = BTreeMap::new();
    let mut good = bad_records(&mut line, &mut put);
    // The event of `briefs` must be older than its second.
    std::thread::sleep(Duration::from_millis(1_200));
    for turns in TURNS_TO_KILL {
        (0..turns).for_each(|_| line.turn());
        line.kill();
    }
    line.kill_and_forget();
    fulfilled(&mut line, &good);
    probes(&mut line, &mut put);
    again(&mut line, &mut put, &good[0]);
    let fence = key_in("fence-", 0, 0);
    line.put("orders", 0, Some(fence.as_bytes()), &order(&line.knowledge.schemas.clone(), &fence));
    good.push(fence);
    fulfilled(&mut line, &good);
    answered(&mut line, &put);

    let (journal, rows) = (line.journal(), line.rows());
    line.kill_and_forget();
    let last = key_in("last-", 0, 0);
    line.put("orders", 0, Some(last.as_bytes()), &order(&line.knowledge.schemas.clone(), &last));
    good.push(last);
    fulfilled(&mut line, &good);
    answered(&mut line, &put);
    let after = line.journal();
    for (place, changes) in &journal.answers {
        assert_eq!(after.answers.get(place), Some(changes), "{place:?} has another answer after a restart");
    }
    let rebuilt = line.rows();
    for (id, row) in &rows {
        assert_eq!(
            rebuilt.get(id).map(|row| Saga::decode(&"".into(), row)),
            Some(Saga::decode(&"".into(), row)),
            "{id} is another after a rebuild"
        );
    }
    assert_eq!(line.kills, TURNS_TO_KILL.len() + 1, "the coordinator was killed while it worked");
    println!(
        "{} bad records, {} good orders, {} kills, {} inputs journaled",
        put.len(),
        good.len(),
        line.kills,
        after.answers.len()
    );
    line.close();
}

/// Every bad record, each with a good order behind it in the same partition; the keys of the good ones.
fn bad_records<B: Buses>(line: &mut Line<B>, put: &mut BTreeMap<Place, Put>) -> Vec<String> {
    let knowledge = line.knowledge.clone();
    let mut good = Vec::new();
    for case in events(&knowledge.schemas).into_iter().chain(replies(&knowledge.schemas)) {
        let place = line.put_with(case.topic, 0, case.key.as_deref(), &case.value, &case.headers);
        put.insert(place, Put { name: format!("{}: {}", case.topic, case.name), value: case.value, answer: case.answer });
        let key = key_in("good-", 0, good.len());
        line.put("orders", 0, Some(key.as_bytes()), &order(&knowledge.schemas, &key));
        good.push(key);
    }
    good
}

/// The good orders are fulfilled, each once.
fn fulfilled<B: Buses>(line: &mut Line<B>, good: &[String]) {
    let wanted = good.to_vec();
    line.drive("the outcome of every good order", move |line| {
        let found: Vec<Vec<u8>> = line.read(OUTCOMES).into_iter().filter_map(|read| read.key).collect();
        wanted.iter().all(|key| found.iter().any(|found| found == key.as_bytes()))
    });
    let journal = line.journal();
    for key in good {
        let id = format!("order-fulfilment/{key}");
        let completed = journal.answers.values().flatten().filter(|change| match change {
            Change::Saga(change) => {
                *change.saga == *id && change.events.iter().any(|event| matches!(event, SagaEvent::Completed { .. }))
            }
            _ => false,
        });
        assert_eq!(completed.count(), 1, "{id} is completed once");
    }
}

/// A start that comes again, of a saga that has ended.
fn again<B: Buses>(line: &mut Line<B>, put: &mut BTreeMap<Place, Put>, key: &str) {
    let value = order(&line.knowledge.schemas.clone(), key);
    let place = line.put("orders", 0, Some(key.as_bytes()), &value);
    let answer = Answer::Rejected(RejectionReason::Duplicate);
    put.insert(place, Put { name: "an order that comes twice".into(), value, answer });
}

/// Replies that need a saga in a certain state: duplicates, late ones, contradicting ones, undecodable results.
fn probes<B: Buses>(line: &mut Line<B>, put: &mut BTreeMap<Place, Put>) {
    use RejectionReason::{ContradictingReply, LateReply, NeverAsked, RepeatedReply, StaleAttempt};
    let keys: Vec<String> = (0..6).map(|n| key_in("probe-", 0, n)).collect();
    let mut probe = Probe { line, put };
    let (succeeded, refused) = (r#""outcome":"succeeded""#, r#""outcome":"refused","code":"NO""#);
    let failed = r#""outcome":"failed","code":"BROKEN""#;
    let found = r#"{"found":3}"#;
    let [twice, contradicts, late, unreadable, long, unsaid] = &keys[..] else { unreachable!("there are six") };

    probe.starts(twice);
    probe.says(twice, "tell/do", succeeded, "null", Some(NeverAsked));
    probe.says(twice, "look/undo", succeeded, "null", Some(NeverAsked));
    probe.says(twice, "look/do", succeeded, found, None);
    probe.says(twice, "look/do", succeeded, found, Some(RepeatedReply));
    probe.says(twice, "look/do", refused, "null", Some(ContradictingReply));
    probe.asked(twice, "tell/do");
    probe.says(twice, "look/do", failed, "null", Some(StaleAttempt));
    probe.says(twice, "tell/do", succeeded, "null", None);
    probe.ended(twice, Status::Completed);
    probe.says(twice, "tell/do", succeeded, "null", Some(RepeatedReply));

    probe.starts(contradicts);
    probe.says(contradicts, "look/do", refused, "null", None);
    probe.ended(contradicts, Status::Compensated);
    probe.says(contradicts, "look/do", succeeded, found, None);
    probe.asked(contradicts, "look/undo");
    probe.says(contradicts, "look/undo", succeeded, "null", None);
    probe.ended(contradicts, Status::Compensated);

    probe.starts(late);
    probe.says(late, "look/do", failed, "null", None);
    probe.asked(late, "look/undo");
    probe.says(late, "look/do", succeeded, found, Some(LateReply));
    probe.says(late, "look/undo", succeeded, "null", None);
    probe.ended(late, Status::Compensated);

    // A long message is cut, and the answer stays what it is.
    probe.starts(long);
    let refused_at_length = format!(r#""outcome":"refused","code":"{}","message":"{}""#, "C".repeat(400), "m".repeat(260 * 1024));
    probe.says(long, "look/do", &refused_at_length, "null", None);
    probe.ended(long, Status::Compensated);
    probe.starts(unsaid);
    let odd = r#""outcome":"refused","code":null,"message":null,"note":"\ud83c","note":1"#;
    probe.says(unsaid, "look/do", odd, "null", None);
    probe.ended(unsaid, Status::Compensated);

    // A reply that cannot be read leaves its step to the timeout: it is asked again, and a good answer settles it.
    probe.starts(unreadable);
    let unread = probe.reply(unreadable, "look/do", succeeded, r#"{"found":"much"}"#);
    let answer = Answer::Quarantined(ringmaster_schemas::journal::QuarantineReason::Undecodable, "found");
    probe.put.insert(unread.0, Put { name: "a result that cannot be read".into(), value: unread.1, answer });
    probe.line.drive("the second attempt", |line| {
        let commands = line.read("lab.commands");
        let key = unreadable.as_bytes();
        commands.iter().filter(|read| read.key.as_deref() == Some(key)).count() >= 2
    });
    probe.says(unreadable, "look/do", succeeded, found, None);
    probe.asked(unreadable, "tell/do");
    probe.says(unreadable, "tell/do", succeeded, "null", None);
    probe.ended(unreadable, Status::Completed);
}

/// Speaks for the participant `lab`.
struct Probe<'a, B: Buses> {
    line: &'a mut Line<B>,
    put: &'a mut BTreeMap<Place, Put>,
}

impl<B: Buses> Probe<'_, B> {
    fn starts(&mut self, key: &str) {
        self.line.put("probes", 0, Some(key.as_bytes()), format!(r#"{{"id":"{key}"}}"#).as_bytes());
        self.asked(key, "look/do");
    }

    fn asked(&mut self, key: &str, which: &str) {
        let id = format!("probe/{key}/{which}").into_bytes();
        self.line.drive(&format!("the command {key}/{which}"), |line| {
            let commands = line.read("lab.commands");
            commands.iter().filter_map(|read| read.value.as_ref()).any(|value| value.windows(id.len()).any(|part| part == id))
        });
    }

    fn reply(&mut self, key: &str, which: &str, outcome: &str, body: &str) -> (Place, Vec<u8>) {
        let value = answer(&format!("probe/{key}/{which}"), 1, outcome, body);
        (self.line.put(REPLIES, 0, Some(key.as_bytes()), &value), value)
    }

    /// Answers; with a rejection if one must come of it.
    fn says(&mut self, key: &str, which: &str, outcome: &str, body: &str, rejected: Option<RejectionReason>) {
        let (place, value) = self.reply(key, which, outcome, body);
        if let Some(reason) = rejected {
            let name = format!("{which} of a probe says {outcome}");
            self.put.insert(place, Put { name, value, answer: Answer::Rejected(reason) });
            return;
        }
        self.line.drive("a saga takes its answer", |line| {
            line.journal().answers.get(&place).is_some_and(|changes| matches!(changes[..], [Change::Saga(_)]))
        });
    }

    fn ended(&mut self, key: &str, status: Status) {
        let id = format!("probe/{key}");
        self.line.drive(&format!("{id} is {status}"), |line| {
            line.rows().get(&id).is_some_and(|row| Saga::decode(&id.as_str().into(), row).expect("a row").status == status)
        });
    }
}

/// Every bad record has its answer, once; what is in quarantine is there as it was.
fn answered<B: Buses>(line: &mut Line<B>, put: &BTreeMap<Place, Put>) {
    let expected = put.values().filter(|put| matches!(put.answer, Answer::Quarantined(..))).count();
    line.drive("every quarantined record is in its topic", |line| line.quarantine().len() >= expected);
    let (journal, quarantine) = (line.journal(), line.quarantine());
    assert_eq!(quarantine.len(), expected, "nothing else is in quarantine");
    for (place, put) in put {
        let changes = journal.answers.get(place).map(Vec::as_slice).unwrap_or_default();
        let name = &put.name;
        match (put.answer, changes) {
            (Answer::Skipped, []) => {}
            (Answer::Taken, [Change::Saga(change)]) => {
                assert!(matches!(change.events[0], SagaEvent::Started { .. }), "{name}: {change:?}");
            }
            (Answer::Rejected(reason), [Change::Rejected(rejected)]) => {
                assert_eq!(rejected.reason, reason, "{name}: {}", rejected.detail);
                // Which event it was says topic, partition and offset where nothing else does.
                let placed = reason != RejectionReason::Duplicate || rejected.detail.contains("started by orders/0/");
                assert!(placed, "{name}: {}", rejected.detail);
            }
            (Answer::Quarantined(reason, detail), [Change::Quarantined(entry)]) => {
                assert_eq!(entry.reason, reason, "{name}: {}", entry.detail);
                assert!(entry.detail.contains(detail), "{name}: the detail is '{}'", entry.detail);
                assert_eq!(entry.length, put.value.len() as i64, "{name}");
                let kept = put.value.len().min(QUARANTINE_RAW_BYTES_MAX);
                assert_eq!(entry.raw, put.value[..kept], "{name}");
                assert_eq!(entry.sha256[..], Sha256::digest(&put.value)[..], "{name}");
                let sent = quarantine.get(place).map(Vec::as_slice).unwrap_or_default();
                assert!(!sent.is_empty() && sent.iter().all(|sent| sent == entry), "{name}: sent {} times", sent.len());
            }
            (wanted, found) => panic!("{name}: wanted {wanted:?}, found {:.600}", format!("{found:?}")),
        }
    }
    let skipped = put.values().filter(|put| put.answer == Answer::Skipped).count() as u64;
    assert!(line.skipped >= skipped, "skipped records are counted");
}
