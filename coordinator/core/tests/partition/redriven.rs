//! Records that are taken in after all: once, where they belong, and told by one.

use bytes::Bytes;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    ActKind, Change, JournalRecord, QuarantineReason, Quarantined, Redriven, RoutedHeader, SagaEvent, Turn, WasQuarantined,
};

use super::line::{BEGIN, Line, REPLIES, without};
use super::routing::{GAMMA, WAITING, away, bring, home, line};

const HOUR: Millis = 3_600_000;

/// As `ringmaster quarantine redrive` writes it, of the first record of a topic.
fn redriven(topic: &str, value: &str) -> Redriven {
    Redriven {
        id: "one".into(),
        tells: true,
        topic: topic.into(),
        partition: 0,
        offset: 0,
        timestamp: BEGIN,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Vec::new(),
        by: "ann".into(),
        why: "the schema has come".into(),
        accept_old: false,
        was: Some(WasQuarantined {
            partition: 3,
            offset: 17,
            reason: QuarantineReason::UnknownSchema,
            detail: "nobody knows it".into(),
        }),
    }
}

fn asked(key: &str) -> String {
    format!(r#"{{"type":"Asked","id":"{key}"}}"#)
}

fn turns(line: &Line) -> Vec<Turn> {
    let of = |record: JournalRecord| if let JournalRecord::Decision(decision) = record { decision.turns } else { Vec::new() };
    line.records().into_iter().flat_map(of).collect()
}

/// What became of the last one, and how much of it the journal keeps.
fn last(line: &Line) -> (Vec<Change>, Redriven) {
    let turn = turns(line).pop().expect("something was taken");
    let kept = turn.input.expect("it says what it is about");
    (turn.changes, Redriven::decode(&kept.raw).expect("what was brought"))
}

fn quarantined(line: &Line) -> Vec<Quarantined> {
    let changes = turns(line).into_iter().flat_map(|turn| turn.changes);
    changes.filter_map(|change| if let Change::Quarantined(quarantined) = change { Some(quarantined) } else { None }).collect()
}

fn rejected(line: &Line) -> Vec<String> {
    let changes = turns(line).into_iter().flat_map(|turn| turn.changes);
    changes
        .filter_map(|change| if let Change::Rejected(rejected) = change { Some(rejected.reason.to_string()) } else { None })
        .collect()
}

/// However often it is brought; also to another process that has only the journal, and by another sending.
#[test]
fn a_start_is_taken_once_and_the_journal_says_who_wanted_it() {
    let mut line = line(GAMMA);
    let key = home(0);
    let record = redriven("webs", &asked(&key));
    bring(&mut line, &record.encode());
    let events = line.events_of(&format!("gamma/{key}"));
    let [SagaEvent::Started { head, .. }, SagaEvent::Acted { act: ActKind::Start, by, why }, ..] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((head.fields().source, &**by, &**why), ("webs/0/0", "ann", "the schema has come"));
    assert_eq!(last(&line).1, record, "all of it is kept");
    bring(&mut line, &record.encode());
    line.restart(|_| {});
    line.own();
    bring(&mut line, &Redriven { id: "two".into(), ..record }.encode());
    assert_eq!((line.started(), rejected(&line)), (1, vec!["DUPLICATE".to_owned(); 2]));
    assert!(quarantined(&line).is_empty());
}

/// Every partition gets it. Whoever looks for it finds it in each; and a record that is read directly was perhaps in the wrong one.
#[test]
fn what_belongs_elsewhere_is_left_to_others() {
    for topic in ["webs", "alphas"] {
        let mut line = line(&format!("{GAMMA}---{}", GAMMA.replace("gamma", "delta").replace("webs", "alphas")));
        let record = redriven(topic, &asked(&away()));
        bring(&mut line, &record.encode());
        assert_eq!(last(&line), (Vec::new(), record.without_record()));
        bring(&mut line, &redriven(topic, &asked(&home(1))).encode());
        assert_eq!((line.started(), quarantined(&line).len()), (1, 0), "{topic}");
    }
}

/// What is still wrong with it is told by one partition, with what was wrong before; of what was brought twice the newest two are told.
#[test]
fn what_still_cannot_be_taken_is_back_in_quarantine_with_both_reasons() {
    let attack = || {
        let mut line = line(GAMMA);
        for (value, tells) in [("no JSON", false), (r#"{"id":7.5}"#, false), ("no JSON", true), (r#"{"id":7.5}"#, true)] {
            bring(&mut line, &Redriven { tells, ..redriven("webs", value) }.encode());
        }
        quarantined(&line)
    };
    let both = attack();
    assert_eq!(both.len(), 2, "{both:?}");
    for (quarantined, reason) in both.iter().zip([QuarantineReason::Undecodable, QuarantineReason::ExpressionFailed]) {
        let (topic, partition, offset) = (&*quarantined.topic, quarantined.partition, quarantined.offset);
        assert_eq!((topic, partition, offset, quarantined.reason), ("webs", 0, 0, reason));
        let end = "; before that, as quarantine 3/17: UNKNOWN_SCHEMA: nobody knows it";
        assert!(quarantined.detail.ends_with(end), "{}", quarantined.detail);
    }
    without("redriven_told_by_all", || assert_eq!(attack().len(), 3));
    let mut line = line(GAMMA);
    let detail = both[0].detail.clone();
    let was = WasQuarantined { partition: 1, offset: 2, reason: QuarantineReason::Undecodable, detail };
    bring(&mut line, &Redriven { was: Some(was), ..redriven("webs", "no JSON") }.encode());
    let detail = &quarantined(&line)[0].detail;
    assert_eq!((detail.matches("before that").count(), detail.matches("UNDECODABLE").count()), (1, 1), "{detail}");
}

/// A finished saga may be forgotten: what is older than that is taken only if somebody answers for it, and says why.
#[test]
fn an_old_start_is_refused_unless_it_is_accepted() {
    let attack = |timestamp, accept_old| {
        let mut line = line(GAMMA);
        let record = Redriven { timestamp, accept_old, ..redriven("webs", &asked(&home(0))) };
        bring(&mut line, &record.encode());
        let reasons: Vec<_> = quarantined(&line).iter().map(|quarantined| quarantined.reason).collect();
        (line.started(), reasons)
    };
    // One that does not say from when it is may be as old as anything.
    for timestamp in [BEGIN - 3 * HOUR, 0] {
        assert_eq!(attack(timestamp, false), (0, vec![QuarantineReason::TooOld]));
        assert_eq!(attack(timestamp, true), (1, vec![]));
        without("redriven_age_forgotten", || assert_eq!(attack(timestamp, false).0, 1));
    }
    assert_eq!(attack(BEGIN - HOUR, false), (1, vec![]));
}

/// An event is known by its identity, which its headers say, or where it was written first.
#[test]
fn an_event_that_a_wait_has_taken_is_not_taken_again() {
    for named in [false, true] {
        let header =
            |(name, value): (&str, &str)| RoutedHeader { name: name.into(), value: Bytes::copy_from_slice(value.as_bytes()) };
        let headers = [("ce_source", "desk"), ("ce_id", "7")].into_iter().map(header).filter(|_| named).collect();
        let mut line =
            line(&WAITING.replace("steps:\n", "steps:\n  - { step: first, wait: Told, from: webs, key: event.id, within: 10s }\n"));
        let key = home(0);
        line.start(1, &key);
        let told = redriven("webs", &format!(r#"{{"type":"Told","id":"{key}"}}"#));
        let told = Redriven { headers, offset: 5, ..told };
        bring(&mut line, &told.encode());
        assert_eq!(line.counters.commands, 0, "the other one is waited for");
        // By its name it is the same, wherever it lies.
        bring(&mut line, &Redriven { offset: if named { 6 } else { 5 }, id: "two".into(), ..told.clone() }.encode());
        assert_eq!((line.counters.commands, rejected(&line)), (0, vec!["DUPLICATE".to_owned()]), "{named}");
        bring(&mut line, &Redriven { offset: 6, headers: Vec::new(), ..told }.encode());
        assert_eq!(line.counters.commands, 1, "another event with the same content is another one");
    }
}

/// An answer goes back to the partition that it was sent to, and means what it meant.
#[test]
fn an_answer_is_taken_where_it_was_sent_to() {
    let mut line = line(
        WAITING
            .split("  - { step: told")
            .next()
            .map(|head| format!("{head}  - {{ step: task, do: worker.Work, with: {{ id: key }}, undo: worker.Rest }}\n"))
            .as_deref()
            .expect("it has steps"),
    );
    let key = home(0);
    line.start(1, &key);
    let answer = format!(r#"{{"meta":{{"idempotency_key":"alpha/{key}/task/do","attempt":1,"outcome":"succeeded"}},"body":null}}"#);
    for (partition, completed) in [(1, 0), (0, 1), (0, 1)] {
        bring(&mut line, &Redriven { partition, ..redriven("replies", &answer) }.encode());
        assert_eq!(line.counters.completed, completed, "of partition {partition}");
    }
    assert_eq!((rejected(&line).len(), line.next[REPLIES]), (1, 0));
    bring(&mut line, &Redriven { tells: false, ..redriven("replies", "{}") }.encode());
    let [quarantined] = &quarantined(&line)[..] else { panic!("it is no answer") };
    assert_eq!((quarantined.reason, &*quarantined.topic), (QuarantineReason::NotAReply, "replies"));
}

/// Whatever lies in the inbox, and however large it is, the partition goes on.
#[test]
fn what_nobody_would_write_holds_nothing_up() {
    let mut line = line(GAMMA);
    let long = Redriven { why: "x".repeat(600 << 10).into(), ..redriven("webs", &asked(&home(0))) };
    bring(&mut line, &long.encode());
    bring(&mut line, &[8, 9, 9]);
    let reasons: Vec<_> = quarantined(&line).iter().map(|quarantined| quarantined.reason).collect();
    assert_eq!(reasons, [QuarantineReason::TooBig, QuarantineReason::Undecodable]);
    bring(&mut line, &Redriven { value: None, ..redriven("webs", "") }.encode());
    bring(&mut line, &redriven("nowhere", r#"{"type":"Asked"}"#).encode());
    assert_eq!((line.started(), quarantined(&line).len()), (0, 2));
    // Larger than a record of the journal: it stays where it is, and whoever waits for it is told.
    let large = format!(r#"{{"type":"Asked","id":"{}","more":"{}"}}"#, home(0), "x".repeat(520 << 10));
    bring(&mut line, &redriven("webs", &large).encode());
    let (changes, kept) = last(&line);
    assert!(matches!(&changes[..], [Change::Quarantined(quarantined)] if quarantined.reason == QuarantineReason::TooBig));
    assert_eq!((kept.id.as_ref(), kept.value), ("one", None));
}
