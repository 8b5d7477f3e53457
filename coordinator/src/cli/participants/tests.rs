//! Acts on participants against a simulated broker, and what is said of what came of them.

use std::sync::Arc;

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker};
use ringmaster_core::intake::ParticipantRecord;
use ringmaster_schemas::journal::{BreakerChange, BreakerEvent, Cause, Change, DecisionWriter, Rejected, RejectionReason, Stamp};

use super::*;

const PARTITIONS: i32 = 5;

fn broker(topics: &Topics) -> SimBroker {
    let broker = SimBroker::new(1, 0, Faults::none());
    for name in [&topics.control, &topics.journal] {
        let what = Specification { name: name.clone(), partitions: PARTITIONS, replication: 1, settings: vec![] };
        broker.client().create(&what).expect("made");
    }
    broker
}

/// What a coordinator journals of an act: a change that says what became of it.
fn answer(broker: &SimBroker, topics: &Topics, partition: i32, act: &[u8], change: Change) {
    let stamp = Stamp { claim_offset: 0, claim: [1; 16], number: 0, released: 0, now: 0 };
    let mut record = DecisionWriter::new(&stamp, &[[7; 16]], 0);
    record.push(&Cause::Input { topic: 0, next: 1 }, Some((0, b"another act")), &[]);
    record.push(&Cause::Input { topic: 0, next: 2 }, Some((0, act)), &[change]);
    broker.put(&topics.journal, partition, None, &record.finish());
}

/// To pause it.
fn pause() -> ActBody {
    ActBody {
        act: Act::ParticipantPause,
        saga: None,
        participant: Some("hotel".into()),
        step: None,
        why: "they move".into(),
        by: None,
        if_turn: None,
        outcome: None,
        code: None,
        value: None,
    }
}

/// The record by which that is asked, under this id.
fn record(id: &str) -> Vec<u8> {
    pause().records(id, 1, "ann").remove(0).bytes
}

fn paused() -> Change {
    let event = BreakerEvent::Opened { by: Some("ann".into()), why: "they move".into() };
    Change::Breaker(BreakerChange { participant: "hotel".into(), event })
}

fn rejected(detail: &str) -> Rejected {
    Rejected { saga: "hotel".into(), reason: RejectionReason::NotPossible, detail: detail.into() }
}

#[test]
fn an_act_goes_to_every_partition_and_each_answers() {
    let topics = Topics::new("ringmaster");
    let broker = broker(&topics);
    let mut bus = broker.client();
    // What was said of the same act before it was sent is not its answer.
    answer(&broker, &topics, 4, &record("1"), paused());
    let sent = send(&mut bus, &topics, "1", (&pause(), "ann")).expect("it is sent");
    for partition in 0..PARTITIONS {
        let log = broker.log(&topics.control, partition);
        let keyed: Vec<_> = log.iter().map(|record| (record.key.as_deref(), &record.value[..])).collect();
        assert_eq!(keyed, [(Some(&b"hotel"[..]), &record("1")[..])], "{partition}");
    }
    for partition in [3, 0, 2] {
        answer(&broker, &topics, partition, &record("1"), paused());
    }
    answer(&broker, &topics, 1, &record("1"), Change::Rejected(rejected("ann paused it already: they move")));
    answer(&broker, &topics, 4, &record("2"), paused());
    let became = wait(&mut bus, &topics, &sent, Duration::from_millis(300)).expect("it is read");
    assert_eq!((&became.done[..], became.rejected[0].0, &became.waits[..]), (&[0, 2, 3][..], 1, &[4][..]));
    assert_eq!(
        json_of("hotel", ParticipantAct::Pause, &became),
        json!({
            "participant": "hotel", "act": "pause", "partitions": 5, "done": [0, 2, 3], "not_taken": [4],
            "rejected": [{ "partition": 1, "reason": "NOT_POSSIBLE", "detail": "ann paused it already: they move" }],
        })
    );
}

/// It comes back as soon as all have answered.
#[test]
fn nobody_waits_longer_than_for_the_last_answer() {
    let topics = Topics::new("ringmaster");
    let broker = broker(&topics);
    let mut bus = broker.client();
    let sent = send(&mut bus, &topics, "1", (&pause(), "ann")).expect("it is sent");
    (0..PARTITIONS).for_each(|partition| answer(&broker, &topics, partition, &record("1"), paused()));
    let became = wait(&mut bus, &topics, &sent, Duration::from_secs(3_600)).expect("it is read");
    assert_eq!((became.done.len(), became.rejected.len(), became.waits.len()), (5, 0, 0));
}

#[test]
fn without_its_topic_or_where_that_refuses_nothing_is_done_quietly() {
    let topics = Topics::new("ringmaster");
    let nobody = SimBroker::new(1, 0, Faults::none());
    let failure = send(&mut nobody.client(), &topics, "1", (&pause(), "ann")).expect_err("there is no topic");
    assert!(failure.exit == Exit::Refused && failure.message.contains("ringmaster topics apply"), "{failure:?}");
    let broker = broker(&topics);
    broker.refuse(&topics.control, true);
    let failure = send(&mut broker.client(), &topics, "1", (&pause(), "ann")).expect_err("it is refused");
    assert!(failure.exit == Exit::Refused && failure.message.contains("do it again"), "{failure:?}");
}

#[test]
fn what_became_of_it_is_said_for_all_partitions() {
    let became = |done: &[i32], rejected_in: &[(i32, &str)], waits: &[i32]| Became {
        done: done.to_vec(),
        rejected: rejected_in
            .iter()
            .map(|(partition, detail)| (*partition, "NOT_POSSIBLE".to_owned(), (*detail).to_owned()))
            .collect(),
        waits: waits.to_vec(),
    };
    let told_pause =
        |became: &Became| told("hotel", ParticipantAct::Pause, became).map_err(|failure| (failure.exit, failure.message));
    assert_eq!(
        told_pause(&became(&[0, 1, 2], &[], &[])),
        Ok("hotel is paused in 3 of 3 partitions: what would be asked of it is parked".to_owned())
    );
    let some =
        told_pause(&became(&[1], &[(0, "ann paused it already: x"), (2, "ann paused it already: x"), (3, "bob\u{1b}[2J")], &[]));
    let said = "hotel is paused in 1 of 4 partitions: what would be asked of it is parked\nnot in partitions 0, 2: NOT_POSSIBLE: ann paused it already: x\nnot in partition 3: NOT_POSSIBLE: bob\\u{1b}[2J";
    assert_eq!(some, Ok(said.to_owned()), "who says so already is no failure");
    let same = "no saga asks 'hotl'; there are hotel";
    assert_eq!(told_pause(&became(&[], &[(0, same), (1, same)], &[])), Err((Exit::Rejected, format!("NOT_POSSIBLE: {same}"))));
    let (exit, why) = told_pause(&became(&[], &[(0, same), (1, "another")], &[])).expect_err("nothing was done");
    assert_eq!((exit, why.lines().count()), (Exit::Rejected, 2), "{why}");
    let (exit, why) = told_pause(&became(&[0], &[(1, same)], &[2, 3])).expect_err("not everywhere yet");
    assert_eq!((exit, why.lines().count()), (Exit::Waited, 3), "{why}");
    assert!(why.contains("nobody took it within the time in partitions 2, 3: it stays in the control topic"), "{why}");
    let many: Vec<i32> = (0..21).collect();
    let (exit, why) = told_pause(&became(&[], &[], &many)).expect_err("nowhere yet");
    assert!(exit == Exit::Waited && why.starts_with("nobody took it within the time in 21 partitions: "), "{why}");
    let resumed = told("hotel", ParticipantAct::Resume, &became(&[0], &[], &[])).expect("it is done");
    assert_eq!(resumed, "hotel is asked again in 1 of 1 partitions: what was parked goes out little by little");
}

/// What is in force everywhere is one number; where it is not, the others are told that are not as usual.
#[test]
fn the_table_says_in_how_many_partitions_it_is_so() {
    let of = |state: &str, partitions: Value| partitions_of(state, partitions);
    assert_eq!(of("asked", json!({ "asked": 8 })), "8");
    assert_eq!(of("paused", json!({ "asked": 0, "paused": 8 })), "8");
    assert_eq!(of("open", json!({ "asked": 6, "open": 2 })), "2 of 8");
    assert_eq!(of("paused", json!({ "asked": 1, "draining": 2, "open": 1, "paused": 4 })), "4 of 8, 2 draining, 1 open");
    let hotel = Participant {
        participant: "hotel".to_owned(),
        state: "paused".to_owned(),
        since: Some("2026-11-27T10:00:00Z".to_owned()),
        by: Some("a\u{7}nn".to_owned()),
        why: Some("they move".to_owned()),
        parked: 12,
        parked_since: Some("2026-11-27T10:00:09Z".to_owned()),
        ..shown(json!({ "asked": 0, "paused": 4 }))
    };
    let table = table_of(std::slice::from_ref(&hotel)).to_string();
    for word in ["PARTICIPANT", "hotel", "paused", "12", "10:00:09Z", "a\\u{7}nn", "they move"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let is_asked = Participant { state: "asked".to_owned(), ..hotel };
    let table = table_of(&[is_asked]).to_string();
    assert!(!table.contains("WHY") && !table.contains("STUCK"), "nothing to say, no column: {table}");
}

fn partitions_of(state: &str, partitions: Value) -> String {
    super::partitions(&Participant { state: state.to_owned(), ..shown(partitions) })
}

/// The record is what the coordinator reads.
#[test]
fn a_record_names_its_participant_and_who_and_why() {
    let text: Arc<str> = r#"{"id":"1","participant":"hotel","act":"pause","by":"ann","why":"they move"}"#.into();
    let record: ParticipantRecord<'_> = serde_json::from_str(&text).expect("it is one");
    assert_eq!(record.act, ParticipantAct::Pause);
    assert_eq!(serde_json::to_string(&record).expect("JSON"), *text);
}

#[test]
fn what_several_instances_say_is_told_as_one() {
    let of = |state: &str, since: Option<&str>, partitions: Value, parked: i64| Participant {
        participant: "payment".to_owned(),
        state: state.to_owned(),
        since: since.map(str::to_owned),
        why: Some(state.to_owned()),
        parked,
        parked_since: (parked > 0).then(|| format!("2026-01-31T00:00:0{parked}Z")),
        asked: 10,
        ..shown(partitions)
    };
    let mut all = Participants::default();
    for one in [
        of("asked", None, json!({ "asked": 3 }), 0),
        of("open", Some("2026-01-31T00:00:02Z"), json!({ "asked": 1, "open": 1 }), 4),
        of("open", Some("2026-01-31T00:00:01Z"), json!({ "asked": 0, "open": 2, "draining": 1 }), 7),
    ] {
        all.add(Participants { participants: vec![one], ..Participants::default() });
    }
    let [payment] = &all.participants[..] else { panic!("one: {all:?}") };
    assert_eq!((&*payment.state, payment.since.as_deref()), ("open", Some("2026-01-31T00:00:01Z")));
    assert_eq!(json!(payment.partitions), json!({ "asked": 4, "open": 3, "draining": 1 }));
    assert_eq!((payment.parked, payment.parked_since.as_deref(), payment.asked), (11, Some("2026-01-31T00:00:04Z"), 30));
}

/// One that is as these partitions say.
fn shown(partitions: Value) -> Participant {
    let partitions = serde_json::from_value(partitions).expect("counts");
    Participant { partitions, ..Participant::default() }
}
