//! What a record of a replayed range is, how a range is paged, and what is gone from it.

use std::convert::Infallible;
use std::time::Duration;

use ringmaster_bus::sim::{Faults, SimBroker, SimBus};
use ringmaster_bus::{Bus as _, Specification};

use super::*;
use crate::api::tests::with_a_trip;
use crate::redrive::{Hand, Inbox};

/// A bus with these topics.
fn bus_with(topics: &[(&str, i32)]) -> (SimBroker, SimBus) {
    let broker = SimBroker::new(1, 0, Faults::none());
    let mut bus = broker.client();
    for (name, partitions) in topics {
        let topic = Specification { name: (*name).to_owned(), partitions: *partitions, replication: 1, settings: vec![] };
        bus.create(&topic).expect("made");
    }
    (broker, bus)
}

fn of(offset: i64, timestamp: Millis, value: &str) -> Read {
    Read { partition: 0, offset, timestamp, key: None, value: Some(value.into()), headers: Vec::new() }
}

#[test]
fn each_record_is_what_it_starts() {
    let (known, _) = with_a_trip();
    let typing = Typing { field: "ce_type", default: Some("TripBooked") };
    let (now, long_ago) = (wall(), 1);
    let records = [
        (of(0, now, r#"{"id":"t-1"}"#), Kind::Missing),
        (of(1, now, r#"{"id":"t-1"}"#), Kind::Known),
        (of(2, now, r#"{"id":"t-known"}"#), Kind::Known),
        (of(3, long_ago, r#"{"id":"t-old"}"#), Kind::TooOld),
        (of(4, long_ago, r#"{"id":"t-known"}"#), Kind::Known),
        (of(5, now, r#"{"id":"t-2"}"#), Kind::InQuarantine),
        (of(6, now, "{"), Kind::Unreadable),
        (of(7, now, "{}"), Kind::Unreadable),
    ];
    let mut is_known = |id: &str| Ok::<_, Infallible>(id == "trip/t-known");
    for accept_old in [false, true] {
        let mut survey = Survey::new(("trips", typing), &known, [(0, 5)].into(), accept_old);
        let mut counts = Counts::default();
        for (read, kind) in &records {
            let kind = if accept_old && *kind == Kind::TooOld { Kind::Missing } else { *kind };
            let Ok(found) = survey.kind(read, &mut is_known);
            assert_eq!(found, kind, "{read:?}");
            counts.count(found);
        }
        assert_eq!((counts.all(), counts.missing), (records.len(), 1 + usize::from(accept_old)));
    }
    let other = Typing { default: Some("TripPaid"), ..typing };
    let mut survey = Survey::new(("trips", other), &known, BTreeSet::new(), false);
    assert_eq!(survey.kind(&records[0].0, &mut is_known), Ok(Kind::Nothing));
    let refuses = |_: &str| Err("nobody knows");
    let mut survey = Survey::new(("trips", typing), &known, BTreeSet::new(), false);
    assert_eq!(survey.kind(&records[0].0, &mut { refuses }), Err("nobody knows"));
}

/// However short pages are, each record is in one of them.
#[test]
fn a_range_is_visited_page_by_page() {
    let (broker, mut bus) = bus_with(&[("orders", 3)]);
    for (partition, count) in [(0, 3), (2, 4)] {
        for _ in 0..count {
            broker.put("orders", partition, None, b"order");
        }
    }
    let all: Vec<Place> = (0..3).map(|offset| (0, offset)).chain((0..4).map(|offset| (2, offset))).collect();
    for most in 1..=8 {
        let (mut found, mut begin, mut pages) = (Vec::new(), (0, 0), 0);
        loop {
            pages += 1;
            let (range, mut left) = (Range { topic: "orders", from: 0, to: i64::MAX, begin }, most);
            let mut wants = |read: &Read, end: i64| {
                assert!(read.offset < end);
                let wants = left > 0;
                if wants {
                    left -= 1;
                    found.push((read.partition, read.offset));
                }
                wants
            };
            match visit_range(&mut bus, range, &mut wants).expect("it is read") {
                Visited::UpTo(place) => begin = place,
                visited => break assert_eq!(visited, Visited::All),
            }
        }
        assert_eq!((found, pages), (all.clone(), 7_usize.div_ceil(most)), "pages of {most}: none is empty");
    }
    let nowhere = Range { topic: "nowhere", from: 0, to: i64::MAX, begin: (0, 0) };
    assert_eq!(visit_range(&mut bus, nowhere, &mut |_, _| true), Ok(Visited::NoTopic));
}

/// What is gone is told, and is not waited for.
#[test]
fn what_is_not_there_any_more_is_not_sent() {
    let (broker, mut bus) = bus_with(&[("orders", 1), ("ringmaster.inbox", 2), ("ringmaster.journal", 2)]);
    broker.put("orders", 0, None, b"order");
    let inbox = Inbox::find(&mut bus, "ringmaster").expect("it is there");
    let missing = Missing { timestamp: 0, partition: 0, offset: 9, bytes: 5 };
    let hand = Hand { by: "ann", why: "they were missed" };
    let day = Duration::from_secs(86_400);
    let told = hand.bring_missing(&mut bus, (&inbox, &"orders".into()), &[missing], (false, day)).expect("it is told");
    let told: Vec<_> = told.iter().map(|told| (&*told.from, &*told.result, told.id.as_ref())).collect();
    assert_eq!(told, [("orders/0/9", "not_sent", None)]);
    assert!(broker.log("ringmaster.inbox", 0).is_empty());
}
