//! Which participant is the bottleneck, asked over HTTP of what workers have said.

use std::collections::BTreeMap;

use ringmaster_core::partition::AskedSoFar;

use super::*;
use crate::runtime::{Now, PartitionAsked};
use crate::scaling::{AskMembers, Configured, Scaling};

/// What four partitions have asked of `hotel` after so many seconds: 10 a second each, answered after 100 ms; at first they do that, and
/// then no more than 20 a second of all.
fn asked(second: f64, overloaded_after: f64) -> Vec<PartitionAsked> {
    let of = |partition| {
        let issued = second * 10.0;
        let answered = second.min(overloaded_after) * 10.0 + (second - overloaded_after).max(0.0) * 5.0 - 1.0;
        let asked = AskedSoFar {
            issued: issued as u64,
            answered: answered.max(0.0) as u64,
            response_ms: (answered.max(0.0) * 100.0) as u64,
            unanswered: (issued as u64).saturating_sub(answered.max(0.0) as u64),
            ..AskedSoFar::default()
        };
        PartitionAsked { partition, term: 3, participants: vec![("hotel".into(), asked)] }
    };
    (0..PARTITIONS).map(of).collect()
}

/// A coordinator that has run for so many seconds, at its capacity for the last of them.
fn running(seconds: i64, overloaded_after: i64, members: Option<u32>) -> Server {
    let configured = [("hotel".to_owned(), Configured { slo_ms: Some(30_000), ..Configured::default() })].into();
    let ask = members.map(|members| {
        let ask = move |groups: &[String]| {
            assert_eq!(groups, ["ringmaster.participant.hotel"]);
            Ok(vec![members])
        };
        Box::new(ask) as Box<AskMembers>
    });
    let topics: BTreeMap<String, i32> = [("hotel.commands".to_owned(), 3)].into();
    let scaling = Arc::new(Scaling::new("ringmaster", PARTITIONS, configured, topics, ask));
    let (status, newest) = (Arc::<Status>::default(), Arc::new(Newest::new(Arc::new(with_a_trip().0))));
    for tick in 0..seconds * 10 {
        let now = Now { wall: 1_700_000_000_000 + tick * 100, steady: tick * 100 };
        if tick % 50 == 0 {
            scaling.ask_members(&|| now, &newest);
        }
        status.asked.put(0, asked(tick as f64 / 10.0, overloaded_after as f64));
        scaling.sample(now, &status, &newest);
    }
    serving(status, newest, scaling)
}

fn serving(status: Arc<Status>, knowledge: Arc<Newest>, scaling: Arc<Scaling>) -> Server {
    // A saga waits for it.
    let (store, saga) = (SimStore::new(), with_a_trip().1);
    let change = RowChange { after: index_keys(&saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
    let partition = names::partition_of(b"t-1", PARTITIONS);
    store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows: vec![change] }).expect("applies");
    let sources = Sources { status, knowledge, scaling, ..sources(Arc::new(store)) };
    serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, local()).expect("serves")
}

fn hotel(server: &Server) -> ParticipantScaling {
    let (code, body) = get(server, "/api/v1/participants/hotel/scaling");
    assert_eq!(code, 200, "{body}");
    serde_json::from_value(body).expect("what the API says it is")
}

#[test]
fn what_a_participant_can_is_told_to_scalers_of_others() {
    let server = running(200, 120, Some(1));
    let of = hotel(&server);
    let is_about = |found: f64, expected: f64| (found - expected).abs() < expected * 0.1;
    assert!(is_about(of.arrive_per_s, 40.0) && is_about(of.answer_per_s, 21.4), "{of:?}");
    assert!(of.capacity_per_s.is_some_and(|capacity| is_about(capacity, 20.0)), "{of:?}");
    assert_eq!((of.basis.as_deref(), of.members, of.max_members), (Some("measured"), Some(1), 3), "{of:?}");
    assert!(of.utilisation.is_some_and(|used| is_about(used, 2.0)), "{of:?}");
    assert_eq!((of.slo_s, of.breach_in_s, of.warns, of.active), (30.0, Some(0.0), true, true), "{of:?}");
    assert_eq!((of.unanswered, of.wanted_members, of.partitions, of.partitions_of), (1_604, Some(2), 4, 4), "{of:?}");
    assert_eq!(of.as_of.as_deref(), Some("2023-11-14T22:16:39.900Z"));
    let (_, all) = get(&server, "/api/v1/scaling");
    let (code, overview) = get(&server, "/api/v1/overview");
    assert_eq!((code, &overview["bottleneck"]), (200, &all["bottleneck"]), "{overview}");
    assert_eq!(overview["bottleneck"]["participant"], "hotel", "{overview}");
    let (code, why) = get(&server, "/api/v1/saga/why?id=trip/t-1");
    let evidence = &why["why"][0]["evidence"];
    assert_eq!((code, &evidence["unanswered"], &evidence["before_it"]), (200, &json!(1_604), &json!(null)), "{why}");
    assert_eq!((&evidence["partitions"], &evidence["partitions_of"]), (&json!(4), &json!(4)), "{why}");
    assert_eq!(all["participants"][0]["wanted_members"], json!(2), "{all}");
    let (code, body) = get(&server, "/api/v1/participants/hostel/scaling");
    assert_eq!((code, &body["type"]), (404, &json!("/problems/not-found")), "{body}");
    assert_eq!(body["detail"], json!("no saga that is deployed asks 'hostel'; there is hotel"));
}

#[test]
fn what_is_not_known_is_null_and_not_a_number() {
    let server = running(20, 20, None);
    let (_, body) = get(&server, "/api/v1/participants/hotel/scaling");
    for field in ["capacity_per_s", "member_per_s", "utilisation", "basis", "breach_in_s", "members", "wanted_members"] {
        assert_eq!(body.get(field), Some(&serde_json::Value::Null), "{field}: {body}");
    }
    let (_, text) = get(&server, "/metrics");
    let text = text.as_str().expect("text");
    for name in ["capacity_per_second", "utilisation_ratio", "slo_breach_seconds", "members", "wanted_members"] {
        let line = format!("ringmaster_participant_{name}{{participant=\"hotel\"}} NaN");
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let server = running(200, 120, Some(1));
    let (_, text) = get(&server, "/metrics");
    let text = text.as_str().expect("text");
    for line in [
        "slo_breach_seconds{participant=\"hotel\"} 0",
        "members{participant=\"hotel\"} 1",
        "wanted_members{participant=\"hotel\"} 2",
    ] {
        let line = format!("ringmaster_participant_{line}");
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

/// Thousands wait for one that has never answered: it has no capacity, and is the bottleneck all the same.
#[test]
fn a_participant_that_is_down_is_named_with_what_waits_for_it() {
    let scaling = Arc::new(Scaling::new("ringmaster", PARTITIONS, BTreeMap::new(), BTreeMap::new(), None));
    let (status, newest) = (Arc::<Status>::default(), Arc::new(Newest::new(Arc::new(with_a_trip().0))));
    for second in 0..=300 {
        let of = |partition| {
            let (issued, timed_out) = (100 + second as u64, second as u64);
            let waits = AskedSoFar { unanswered: 100, parked: 900, parked_s: Some(1_700_000_000), ..AskedSoFar::default() };
            let asked = AskedSoFar { issued, timed_out, oldest_s: Some(1_700_000_000 + second - 9), ..waits };
            PartitionAsked { partition, term: 3, participants: vec![("hotel".into(), asked)] }
        };
        status.asked.put(0, (0..PARTITIONS).map(of).collect());
        scaling.sample(Now { wall: (1_700_000_000 + second) * 1_000, steady: second * 1_000 }, &status, &newest);
    }
    let server = serving(status, newest, scaling);
    let of = hotel(&server);
    let why = "nothing was answered for 5 min; 400 unanswered, 3600 parked, the oldest for 5 min";
    assert_eq!(of.stopped.as_deref(), Some(why), "{of:?}");
    assert_eq!((of.utilisation, of.capacity_per_s, of.silent_s, of.answered_s), (None, None, Some(300.0), None));
    let (_, all) = get(&server, "/api/v1/scaling");
    assert_eq!(all["bottleneck"], json!({ "participant": "hotel", "why": why }));
}

/// One that no saga has asked yet, with half of its step's timeout for an answer.
#[test]
fn a_participant_that_was_never_asked_is_told_of_too() {
    let scaling = Scaling::new("ringmaster", PARTITIONS, BTreeMap::new(), BTreeMap::new(), None);
    scaling.sample(Now { wall: 0, steady: 0 }, &Status::default(), &Newest::new(Arc::new(with_a_trip().0)));
    let told = scaling.told();
    assert_eq!((told.len(), &*told[0].participant, told[0].outside.slo_s), (1, "hotel", 5.0));
    assert_eq!((told[0].outside.members_max, told[0].is_active), (PARTITIONS as u32, false));
}
