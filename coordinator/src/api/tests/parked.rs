//! Participants that are not asked, and the sagas that are parked for them.

use std::collections::BTreeSet;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Next;
use ringmaster_schemas::names::partition_of;
use ringmaster_schemas::state::{
    AgeCount, Breaker, BreakerState, CellCount, Counts, Course, Detail, EndedCount, Entry, EntryMore, ParticipantCounts, Paused,
    Saga, SagaMore, Standing, VersionCounts, Waits, Work, index_keys,
};
use serde_json::Value;

use super::*;

/// Times are this many milliseconds and more, so that a rank is more than nothing.
const LATER: Millis = 1_000_000_000;

/// A saga that waits for these participants, since so long after that.
fn parked(key: &str, since: Millis, participants: &[&str]) -> Saga {
    let (_, mut saga) = with_a_trip();
    saga.id = names::saga_id("trip", key).into();
    let since = LATER + since;
    saga.held_since = Some(since);
    let asked = saga.entries.remove(0);
    saga.entries = participants.iter().map(|participant| parked_entry(&asked, since, participant)).collect();
    saga
}

fn parked_entry(asked: &Entry, since: Millis, participant: &str) -> Entry {
    let course = Course { detail: Detail::Parked { participant: participant.into() }, ..Course::default() };
    let more = EntryMore { failure: None, stray: None, course: Some(course) };
    Entry {
        work: Work::Nothing,
        waits: Waits::Parked,
        attempt: 0,
        since,
        due_at: 0,
        order: None,
        more: Some(Box::new(more)),
        ..asked.clone()
    }
}

fn row_of(saga: &Saga) -> RowChange {
    let key = RowKey::Saga(saga.id.clone());
    RowChange { key, value: Some(saga.encode()), before: IndexKeys::NONE, after: index_keys(saga), large: Large::default() }
}

fn breaker(participant: &str, state: BreakerState, since: Millis, by: Option<&str>, why: &str) -> RowChange {
    let value = Breaker { state, since, by: by.map(Into::into), why: why.into() }.encode();
    let key = RowKey::Breaker(participant.into());
    RowChange { key, value: Some(value), before: IndexKeys::NONE, after: IndexKeys::NONE, large: Large::default() }
}

/// A store with these rows by partition, and a coordinator that knows a saga that asks `hotel`.
fn served(rows: impl IntoIterator<Item = (i32, Vec<RowChange>)>) -> Server {
    let store = SimStore::new();
    for (partition, rows) in rows {
        store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
    }
    serving(Arc::default(), &store, with_a_trip().0)
}

/// A key of this partition, one for each number.
fn key_in(partition: i32, number: usize) -> String {
    let keys = (0..).map(|number: usize| format!("t-{number}"));
    keys.filter(|key| partition_of(key.as_bytes(), PARTITIONS) == partition).nth(number).expect("keys have no end")
}

fn participant(server: &Server, name: &str) -> Participant {
    let (code, body) = get(server, "/api/v1/participants");
    assert_eq!(code, 200, "{body}");
    let all: Participants = serde_json::from_value(body).expect("what the API says it is");
    let of = all.participants.into_iter().find(|shown| shown.participant == name).unwrap_or_else(|| panic!("{name}"));
    let (code, body) = get(server, &format!("/api/v1/participants/{name}"));
    assert_eq!(code, 200, "{body}");
    let one: OneParticipant = serde_json::from_value(body).expect("what the API says it is");
    assert_eq!((&one.participant, &one.as_of, &one.missing), (&of, &all.as_of, &all.missing));
    of
}

#[test]
fn a_participant_that_is_asked_is_listed_too() {
    let server = served([]);
    let partitions = [("asked".to_owned(), i64::from(PARTITIONS))].into();
    let hotel = Participant { participant: "hotel".to_owned(), state: "asked".to_owned(), partitions, ..Participant::default() };
    assert_eq!(participant(&server, "hotel"), hotel);
}

/// The counts of a partition in which so much waits for `hotel`, since then.
fn counted(parked: i64, since_s: i64) -> RowChange {
    let ages = vec![AgeCount { from: since_s, count: parked }];
    let hotel = ParticipantCounts { asked: 10, succeeded: 3, parked: ages, ..ParticipantCounts::new("hotel".into()) };
    let counts = Counts { journal_offset: 17, started: 5, participants: vec![hotel], ..Counts::default() };
    RowChange::plain(RowKey::Counts, Some(counts.encode()))
}

/// The worst of what it is in the partitions, from where it was so first; what waits for it in all of them.
#[test]
fn a_participant_is_as_bad_as_it_is_anywhere() {
    let with = |partition, breaker| (partition, vec![counted(3, 50 - i64::from(partition)), breaker]);
    let server = served([
        with(0, breaker("hotel", BreakerState::Open, 1_000, None, "it fails")),
        with(1, breaker("hotel", BreakerState::Paused, 3_000, Some("bob"), "they move")),
        with(2, breaker("hotel", BreakerState::Paused, 2_000, Some("ann"), "they move")),
        (3, vec![breaker("unknown", BreakerState::Draining, 4_000, None, "it answers")]),
    ]);
    let hotel = participant(&server, "hotel");
    assert_eq!((&*hotel.state, hotel.since.as_deref(), hotel.by.as_deref()), ("paused", Some("1970-01-01T00:00:02Z"), Some("ann")));
    assert_eq!(json!(hotel.partitions), json!({ "asked": 1, "open": 1, "paused": 2 }));
    assert_eq!((hotel.parked, hotel.parked_since.as_deref()), (9, Some("1970-01-01T00:00:48Z")));
    assert_eq!((hotel.asked, hotel.succeeded, hotel.unanswered, hotel.counted_since), (30, 9, 0, None));
    let unknown = participant(&server, "unknown");
    assert_eq!((&*unknown.state, unknown.partitions["draining"]), ("draining", 1), "no definition names it");
}

/// How many sagas stand where, by the names of their definitions and steps; of a version that is not known here by its hash.
#[test]
fn an_overview_needs_no_rows() {
    let (knowledge, saga) = with_a_trip();
    let cell = |standing, node, waits, count| CellCount { standing, node, waits, sagas: count, open: count };
    let ended = vec![EndedCount { bucket: 9, completed: 7, compensated: 2 }];
    let cells = vec![
        cell(Standing::Parked, 1, Waits::Parked, 3),
        cell(Standing::Running, 1, Waits::Reply, 4),
        cell(Standing::Running, 0, Waits::No, 1),
    ];
    let known = VersionCounts { version: saga.head.version(), cells, ended };
    let unknown = VersionCounts { version: [0xab; 16], cells: vec![cell(Standing::Stuck, 5, Waits::Stuck, 1)], ended: vec![] };
    let counts = Counts { journal_offset: 17, started: 17, completed: 7, versions: vec![known, unknown], ..Counts::default() };
    let store = SimStore::new();
    for partition in [0, 2] {
        let rows = vec![RowChange::plain(RowKey::Counts, Some(counts.encode()))];
        store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
    }
    let server = serving(Arc::default(), &store, knowledge);
    let (code, body) = get(&server, "/api/v1/overview");
    assert_eq!(code, 200, "{body}");
    let of: Overview = serde_json::from_value(body).expect("what the API says it is");
    assert_eq!(json!(of.sagas), json!({ "stuck": 2, "parked": 6, "running": 10, "completed": 14, "compensated": 4 }));
    assert_eq!((of.happened.started, of.happened.completed, of.happened.since), (34, 14, None));
    let [unknown, trip] = &of.definitions[..] else { panic!("two versions: {:?}", of.definitions) };
    assert_eq!((&unknown.definition, &*unknown.version), (&None, &*"ab".repeat(16)));
    assert_eq!((trip.definition.as_deref(), trip.number), (Some("trip"), Some(1)));
    let waits: Vec<_> = trip.waits.iter().map(|one| (one.step.as_deref(), &*one.reason, &*one.status, one.sagas)).collect();
    assert_eq!(waits, [(Some("room"), "parked", "parked", 6), (Some("room"), "reply", "running", 8)]);
    assert_eq!(of.as_of.len(), PARTITIONS as usize);
    assert_eq!((of.as_of[0].journal_offset, of.as_of[0].age_ms, of.as_of[1].journal_offset), (17, 0, 0));
    let metrics = client::get(server.address(), "/metrics").expect("an answer").body;
    for line in [
        r#"ringmaster_sagas{definition="trip",status="running",reason="reply"} 8"#,
        r#"ringmaster_sagas{definition="trip",status="running",reason="nothing"} 2"#,
        r#"ringmaster_sagas{definition="trip",status="completed",reason="nothing"} 14"#,
        r#"ringmaster_sagas{definition="trip",status="parked",reason="parked"} 6"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

/// Whatever else waits, and whatever index it is found by.
#[test]
fn what_is_parked_is_listed_by_whom_it_waits_for() {
    let (_, waits) = with_a_trip();
    assert_eq!(waits.id, "trip/t-1".into());
    let home = partition_of(b"t-1", PARTITIONS);
    let mut keys = (0..).map(|number| key_in(home, number)).filter(|key| key != "t-1");
    let mut parked = |since, participants: &[&str]| parked(&keys.next().expect("no end"), since, participants);
    let (late, early, bank, both) =
        (parked(30, &["hotel"]), parked(20, &["hotel"]), parked(5, &["bank"]), parked(25, &["hotel", "bank"]));
    assert!([&late, &early, &bank, &both].iter().all(|saga| index_keys(saga).due.is_none() && index_keys(saga).stuck.is_none()));
    let rows = [&waits, &late, &early, &bank, &both].map(row_of).to_vec();
    let server = served([(home, rows)]);
    let ids = |sagas: &[&Saga]| sagas.iter().map(|saga| saga.id.to_string()).collect::<Vec<_>>();
    assert_eq!(listed(&server, "status:parked", "").0.len(), 4, "whoever they wait for");
    assert_eq!(listed(&server, "", "").0.len(), 5);
    // Those that wait for several lie in a range of their own, before all others.
    assert_eq!(listed(&server, "waits:parked participant:hotel", ""), (ids(&[&both, &early, &late]), false));
    assert_eq!(listed(&server, "waits:parked participant:hotel", "&limit=2"), (ids(&[&both, &early]), true));
    assert_eq!(listed(&server, "waits:parked participant:hotel", "&order=newest"), (ids(&[&both, &late, &early]), false));
    assert_eq!(listed(&server, "status:parked definition:trip", "&limit=9").0.len(), 4);
    assert_eq!(listed(&server, "participant:hotel", "").0.len(), 4, "what waits for an answer, too");
    assert_eq!(listed(&server, "participant:hotel status:running", "").0, ids(&[&waits]));
    assert_eq!(listed(&server, "status:stuck", "").0, [""; 0]);
    let (_, body) = page(&server, "waits:parked key:t-*", "&explain=true");
    let of_bank = body["items"].as_array().expect("a list").iter().find(|line| line["saga"] == *bank.id).expect("it is listed");
    let told = json!({ "reason": "parked", "step": "room", "undo": false, "on": "bank", "since": "1970-01-12T13:46:40.005Z",
        "wakes_at": null, "held": null });
    assert_eq!((&of_bank["status"], &of_bank["waits"]), (&json!("parked"), &told));
    assert_eq!((&body["explain"]["index"], &body["explain"]["rows"]), (&json!("ids"), &json!(5)), "{body}");
    let (code, body) = page(&server, "status:parked participant:hotl", "");
    assert_eq!((code, &body["detail"]), (404, &json!("no saga that is deployed asks 'hotl'; there is hotel")));
}

/// What a paused saga would begin is listed under its own name, whatever else of it is open.
#[test]
fn a_saga_that_is_paused_is_listed_and_says_how_it_goes_on() {
    let (_, waits) = with_a_trip();
    let home = partition_of(b"t-1", PARTITIONS);
    let mut keys = (0..).map(|number| key_in(home, number)).filter(|key| key != "t-1");
    let mut paused = |since: Millis, entries: usize| {
        let mut saga = parked(&keys.next().expect("no end"), since, &["hotel"]);
        saga.entries.truncate(entries);
        let postponed = if entries == 0 { vec![Next { node: 1, again: false }] } else { Vec::new() };
        let paused = Paused { since: LATER + since, by: "ann".into(), why: "strike".into(), postponed };
        saga.more = Some(Box::new(SagaMore { paused: Some(paused), ..SagaMore::default() }));
        saga
    };
    let (late, early) = (paused(30, 1), paused(20, 0));
    // A sub-saga that a person paused has a line of its own; one that is paused with the saga above has none.
    let (mut own, mut with) = (paused(40, 0), paused(50, 0));
    (own.id, with.id) = (format!("{}/part", waits.id).into(), format!("{}/other", waits.id).into());
    let marked = with.more.as_mut().and_then(|more| more.paused.as_mut()).expect("it is paused");
    (marked.by, marked.why) = ("".into(), waits.id.clone());
    let parked = parked(&key_in(home, 20), 10, &["hotel"]);
    let server = served([(home, [&waits, &late, &early, &own, &with, &parked].map(row_of).to_vec())]);
    let ids = |sagas: &[&Saga]| sagas.iter().map(|saga| saga.id.to_string()).collect::<BTreeSet<_>>();
    let listed = |filter| listed(&server, filter, "").0.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(listed("waits:paused"), ids(&[&early, &late, &own]));
    assert_eq!(listed("status:paused"), ids(&[&early, &own]), "of one something is parked, which comes first");
    assert_eq!(listed("waits:parked"), ids(&[&parked, &late]), "of one something is parked, too");
    assert_eq!(listed("status:running,parked,paused"), ids(&[&waits, &parked, &early, &late, &own]));
    let (_, body) = page(&server, "status:paused", "&limit=1");
    let first = &body["items"][0]["waits"];
    assert_eq!((&first["reason"], &first["step"], &first["wakes_at"]), (&json!("paused"), &json!(null), &json!(null)));
    let (_, body) = get(&server, &of_saga("saga", &early.id));
    assert_eq!(body["paused"], json!({ "since": "1970-01-12T13:46:40.020Z", "by": "ann", "why": "strike" }));
    let why = &body["why"][0];
    assert_eq!((&why["reason"], &why["step"], &why["place"]), (&json!("paused"), &json!("room"), &json!(null)));
    assert!(why["ways_out"].to_string().contains(&format!("act resume {}", early.id)), "{why}");
}

/// An undo that is parked waits before it is made; one that had begun waits as what was asked.
#[test]
fn a_parked_undo_is_said_to_be_one() {
    for (work, is_undo) in
        [(Work::Nothing, false), (Work::Asked, false), (Work::UndoAsked, true), (Work::Done, true), (Work::Failed, true)]
    {
        let mut saga = parked("t-1", 10, &["hotel"]);
        saga.entries[0].work = work;
        let server = served([(partition_of(b"t-1", PARTITIONS), vec![row_of(&saga)])]);
        let (_, body) = page(&server, "waits:parked", "");
        assert_eq!(body["items"][0]["waits"]["undo"], json!(is_undo), "{work:?}");
        let (_, body) = get(&server, "/api/v1/saga?id=trip/t-1");
        assert_eq!(body["why"][0]["undo"], json!(is_undo), "{work:?}");
    }
}

/// Those that go out before it, by age and priority: those that wait for its participant, alone or with others.
#[test]
fn what_is_parked_says_how_many_go_out_before_it() {
    let home = 1;
    let mut keys = (0..).map(|number| key_in(home, number));
    let mut parked = |since, participants: &[&str]| parked(&keys.next().expect("no end"), since, participants);
    let (first, second, third) = (parked(10, &["hotel"]), parked(20, &["hotel"]), parked(30, &["hotel"]));
    let (other, both, late) = (parked(5, &["flight"]), parked(15, &["hotel", "flight"]), parked(40, &["hotel"]));
    let paused = breaker("hotel", BreakerState::Paused, 1_000, Some("ann"), "they move");
    let rows = [&first, &second, &third, &other, &both, &late].map(row_of).into_iter().chain([paused]).collect();
    let server = served([(home, rows)]);
    let why = |saga: &Saga, what: &str| get(&server, &of_saga(what, &saga.id)).1["why"][0].clone();
    let before = |saga| why(saga, "saga/why")["evidence"]["before_it"].clone();
    assert_eq!([&first, &second, &third, &late].map(before), [json!(0), json!(2), json!(3), json!(4)]);
    let leaf = why(&third, "saga/why");
    assert_eq!((&leaf["on"]["participant"], &leaf["on"]["attempt"]), (&json!("hotel"), &json!(0)), "{leaf}");
    let resume = leaf["ways_out"].as_array().and_then(|ways| ways.iter().find(|way| way["act"] == "participant_resume")).cloned();
    let command = "ringmaster participant resume hotel --why '...'";
    assert_eq!(resume, Some(json!({ "act": "participant_resume", "command": command, "effect": "it is asked again" })));
    assert_eq!(why(&third, "saga")["evidence"], json!(null), "what is watched changes with the saga alone");
}

#[test]
fn who_is_parked_is_told_by_whom_and_why() {
    let home = partition_of(b"t-1", PARTITIONS);
    let saga = parked("t-1", 10, &["hotel"]);
    let resumes = |leaf: &Value| leaf["ways_out"].to_string().contains("participant resume hotel");
    let leaf = |breakers: Vec<RowChange>| {
        let server = served([(home, [vec![row_of(&saga)], breakers].concat())]);
        let (code, body) = get(&server, "/api/v1/saga?id=trip/t-1");
        assert_eq!((code, body["why"].as_array().map(Vec::len)), (200, Some(1)), "{body}");
        body["why"][0].clone()
    };
    let paused = leaf(vec![breaker("hotel", BreakerState::Paused, 1_000, Some("ann"), "they move")]);
    assert_eq!((&paused["reason"], &paused["participant"], &paused["wakes_at"]), (&json!("parked"), &json!("hotel"), &json!(null)));
    let since = "1970-01-01T00:00:01Z";
    assert_eq!(paused["breaker"], json!({ "state": "paused", "since": since, "by": "ann", "why": "they move" }));
    assert!(resumes(&paused), "{paused}");
    let open = leaf(vec![breaker("hotel", BreakerState::Open, 1_000, None, "10 of 12 failed")]);
    assert_eq!(open["breaker"], json!({ "state": "open", "since": since, "by": null, "why": "10 of 12 failed" }));
    assert!(resumes(&open), "{open}");
    let draining = leaf(vec![breaker("hotel", BreakerState::Draining, 1_000, None, "it answers")]);
    assert!(draining["breaker"]["state"] == "draining" && !resumes(&draining), "{draining}");
    let closed = leaf(vec![breaker("bank", BreakerState::Paused, 1_000, Some("ann"), "another one's")]);
    assert!(closed["breaker"].is_null() && !resumes(&closed), "{closed}");
}
