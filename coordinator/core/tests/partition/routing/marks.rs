//! What routers send, and what of it is taken.

use std::sync::Arc;

use ringmaster_core::intake::{Headers, InputRecord};
use ringmaster_core::partition::{Happened, Role, Wish};
use ringmaster_schemas::journal::{QuarantineReason, Routed, RoutedStart, SagaEvent};

use super::{
    DELTA, Forward, GAMMA, INBOX, WAITING, WEBS, acknowledge, asked, away, bring, fail, forwards, home, line, positions, read,
};
use crate::line::{BEGIN, Line, without};

/// A record without a key, of any partition, is one saga, which knows where its event stood.
#[test]
fn a_record_without_a_key_starts_its_saga_where_that_lives() {
    let mut line = line(GAMMA);
    for (index, key, to) in [(WEBS, home(0), 0), (WEBS + 1, away(), 1)] {
        line.put(index, BEGIN, None, &asked(&key));
        let sent = forwards(&mut line);
        let [(target, bytes, _)] = &sent[..] else { panic!("{sent:?}") };
        let routed = Routed::decode(bytes).expect("a record of the inbox");
        let starts = vec![RoutedStart { saga: "gamma".into(), key: Arc::from(&*key) }];
        assert_eq!((*target, &routed.starts, routed.prev), (to, &starts, None));
        assert_eq!((&*routed.topic, routed.partition, routed.offset), ("webs", 2 * (index - WEBS) as i32, 0));
        if to == 0 {
            bring(&mut line, bytes);
        }
    }
    assert_eq!(line.started(), 1);
    let events = line.events_of(&format!("gamma/{}", home(0)));
    let Some(SagaEvent::Started { head, .. }) = events.first() else { panic!("{events:?}") };
    assert_eq!(head.fields().source, "webs/0/0");
}

/// One event starts several sagas, each by its own key, each where it lives.
#[test]
fn one_event_starts_several_sagas_with_keys_of_their_own() {
    let mut line = line(&format!("{GAMMA}---{DELTA}"));
    let (key, number) = (home(0), away());
    line.put(WEBS, BEGIN, Some("anything"), &format!(r#"{{"id":"{key}","number":"{number}"}}"#));
    let sent = forwards(&mut line);
    let starts = |(to, bytes, _): &Forward| (*to, Routed::decode(bytes).expect("ours").starts);
    let one = |saga: &str, key: &str| vec![RoutedStart { saga: saga.into(), key: key.into() }];
    assert_eq!(sent.iter().map(starts).collect::<Vec<_>>(), [(0, one("gamma", &key)), (1, one("delta", &number))]);
    bring(&mut line, &sent[0].1);
    assert_eq!(line.started(), 1, "the other one lives elsewhere");
}

/// What came is passed over, also by another process that has only the journal, or a checkpoint.
#[test]
fn what_comes_again_is_passed_over() {
    let attack = |stored: bool| {
        let mut line = line(GAMMA);
        line.put(WEBS, BEGIN, None, &asked(&home(0)));
        let sent = forwards(&mut line);
        bring(&mut line, &sent[0].1);
        bring(&mut line, &sent[0].1);
        assert_eq!((line.started(), line.counters.routed_again), (1, 1));
        if stored {
            line.checkpoint();
        }
        line.restart(|_| {});
        line.own();
        bring(&mut line, &sent[0].1);
        (line.counters.routed_again, line.rejected().len())
    };
    for stored in [false, true] {
        assert_eq!(attack(stored), (2, 0), "it is not even a duplicate");
        without("mark_not_in_the_same_record", || assert_eq!(attack(stored).1, 1));
    }
}

/// What was not sent before what was sent is a gap: nothing behind it is taken until both come by another session.
#[test]
fn a_gap_is_closed_by_another_session() {
    let attack = || {
        let mut line = line(GAMMA);
        line.put(WEBS, BEGIN, None, &asked(&home(0)));
        line.put(WEBS, BEGIN, None, &asked(&home(1)));
        let sent = forwards(&mut line);
        bring(&mut line, &sent[1].1);
        assert_eq!((line.started(), line.counters.route_gaps), (0, 1));
        acknowledge(&mut line, sent[1].2);
        fail(&mut line, sent[0].2);
        // What the reader still brings is not taken: it is behind what must come again.
        line.put(WEBS, BEGIN, None, &asked(&home(2)));
        assert_eq!(forwards(&mut line), []);
        line.pass(101);
        line.poll();
        let from = read(&mut line, WEBS);
        line.next[WEBS] = from.unwrap_or(3);
        for number in line.next[WEBS]..3 {
            line.put(WEBS, BEGIN, None, &asked(&home(number as usize)));
        }
        for (_, bytes, _) in forwards(&mut line) {
            bring(&mut line, &bytes);
        }
        (from, line.started())
    };
    assert_eq!(attack(), (Some(0), 3));
    without("router_commits_past_gap", || assert_ne!(std::panic::catch_unwind(attack).ok(), Some((Some(0), 3))));
    let without_prev = || {
        let mut line = line(GAMMA);
        line.put(WEBS, BEGIN, None, &asked(&home(0)));
        line.put(WEBS, BEGIN, None, &asked(&home(1)));
        let sent = forwards(&mut line);
        bring(&mut line, &sent[1].1);
        bring(&mut line, &sent[0].1);
        line.started()
    };
    assert_eq!(without_prev(), 1, "the second one was a gap");
    without("prev_not_checked", || assert_eq!(without_prev(), 1, "the first one is lost for ever"));
}

/// A record that means nothing moves its mark in the record of the journal that moves the position.
#[test]
fn a_record_that_means_nothing_moves_its_mark() {
    let attack = || {
        let mut line = line(GAMMA);
        line.put(WEBS, BEGIN, None, &asked(&home(0)));
        line.put(WEBS, BEGIN, None, &asked(&home(1)));
        let sent = forwards(&mut line);
        let first = Routed { starts: Vec::new(), ..Routed::decode(&sent[0].1).expect("ours") };
        bring(&mut line, &first.encode());
        line.pass(1_001);
        line.poll();
        line.restart(|_| {});
        line.own();
        bring(&mut line, &sent[1].1);
        line.counters.route_gaps
    };
    assert_eq!(attack(), 0);
    without("mark_not_advanced_over_skipped", || assert_eq!(attack(), 1));
}

/// The router's commit is journaled, without a gap, and the next session begins there.
#[test]
fn the_next_session_begins_at_the_commit() {
    let mut line = line(GAMMA);
    for number in 0..3 {
        line.put(WEBS, BEGIN, None, &asked(&home(number)));
    }
    line.put(WEBS, BEGIN, None, r#"{"type":"Nothing"}"#);
    let sent = forwards(&mut line);
    acknowledge(&mut line, sent[0].2);
    acknowledge(&mut line, sent[2].2);
    line.pass(1_001);
    line.poll();
    let journaled = |line: &Line| positions(line).into_iter().rev().find(|(name, _)| name == "webs/0");
    assert_eq!(journaled(&line), Some(("webs/0".into(), 1)), "the second one is not acknowledged");
    line.restart(|_| {});
    line.own();
    line.look();
    assert_eq!((read(&mut line, WEBS), read(&mut line, WEBS + 1)), (Some(1), Some(0)));
    line.next[WEBS] = 1;
    for number in 1..3 {
        line.put(WEBS, BEGIN, None, &asked(&home(number)));
    }
    line.put(WEBS, BEGIN, None, r#"{"type":"Nothing"}"#);
    for (_, _, tag) in forwards(&mut line) {
        acknowledge(&mut line, tag);
    }
    line.pass(1_001);
    line.poll();
    assert_eq!(journaled(&line), Some(("webs/0".into(), 4)), "what means nothing is passed");
}

/// What cannot be routed is in quarantine once, by the name of where it was read.
#[test]
fn what_cannot_be_routed_is_in_quarantine_once() {
    let big = format!(r#"{{"type":"Asked","id":"k1","note":"{}"}}"#, "n".repeat(100_000));
    for (value, reason) in [
        ("neither", QuarantineReason::Undecodable),
        (r#"{"type":"Asked","number":1}"#, QuarantineReason::ExpressionFailed),
        (r#"{"type":"Asked","id":""}"#, QuarantineReason::KeyInvalid),
        (&*big, QuarantineReason::TooBig),
    ] {
        let mut line = line(GAMMA);
        line.put(WEBS + 1, BEGIN, None, value);
        let sent = forwards(&mut line);
        assert_eq!(sent.iter().map(|(to, ..)| *to).collect::<Vec<_>>(), [0], "{value}");
        bring(&mut line, &sent[0].1);
        bring(&mut line, &sent[0].1);
        let told: Vec<_> =
            line.quarantined().iter().map(|one| (one.reason, one.topic.to_string(), one.partition, one.length)).collect();
        assert_eq!(told, [(reason, "webs".to_owned(), 2, value.len() as i64)]);
    }
    let mut line = line(GAMMA);
    bring(&mut line, b"somebody else's");
    let told: Vec<_> = line.quarantined().iter().map(|one| (one.reason, one.topic.to_string())).collect();
    assert_eq!(told, [(QuarantineReason::Undecodable, "inbox".to_owned())]);
}

/// Headers are handed on as well: what is too big by them is not.
#[test]
fn a_header_counts_as_what_is_handed_on() {
    struct Traced(Vec<u8>);
    impl Headers for Traced {
        fn find(&self, name: &str) -> Option<&[u8]> {
            (name == "traceparent").then_some(&*self.0)
        }
    }
    for (bytes, reason) in [(10, None), (100_000, Some(QuarantineReason::TooBig))] {
        let mut line = line(GAMMA);
        let (value, traced) = (asked(&home(0)), Traced(vec![b'0'; bytes]));
        let record = InputRecord { offset: 0, timestamp: BEGIN, key: None, value: Some(value.as_bytes()), headers: Some(&traced) };
        line.happens(Happened::Input { index: WEBS, record });
        let sent = forwards(&mut line);
        assert!(sent[0].1.len() < 100_000, "{bytes}");
        bring(&mut line, &sent[0].1);
        assert_eq!(line.quarantined().first().map(|one| one.reason), reason, "{bytes}");
        assert_eq!(line.started(), u64::from(reason.is_none()));
    }
}

/// What lies in the inbox of a topic that is read directly by now is still read as that topic's records are.
#[test]
fn what_was_routed_keeps_its_type_when_its_topic_is_read_directly() {
    let started = |field: &str| {
        let mut before = line(GAMMA);
        let value = asked(&home(0)).replace('{', r#"{"kind":"Other","#);
        before.put(WEBS, BEGIN, None, &value);
        let sent = forwards(&mut before);
        let mut line = Line::of(GAMMA, |settings| {
            super::routed(settings);
            settings.inputs.truncate(WEBS + 1);
            settings.inputs[WEBS].role = Role::Events { type_field: field.into(), default_type: None };
        });
        line.look();
        bring(&mut line, &sent[0].1);
        line.started()
    };
    assert_eq!((started("type"), started("kind")), (1, 0));
}

/// Rule 11: a wait for an event that is routed does not run out while the inbox is not read to its end.
#[test]
fn a_wait_does_not_run_out_while_the_inbox_is_unread() {
    let attack = || {
        let mut line = line(WAITING);
        let key = home(0);
        line.start(1, &key);
        line.put(WEBS, line.clocks.wall, None, &format!(r#"{{"type":"Told","id":"{key}"}}"#));
        let sent = forwards(&mut line);
        line.pass(10_100);
        line.poll();
        let asked = line.wishes.len();
        line.wishes.retain(|wish| *wish != Wish::AskInput(INBOX));
        assert!(line.wishes.len() < asked || line.counters.timers > 0, "the inbox is looked at");
        line.answer(0);
        line.happens(Happened::InputBounds { index: INBOX, start: 0, end: 1 });
        line.poll();
        bring(&mut line, &sent[0].1);
        line.look();
        let events = line.events_of(&format!("alpha/{key}"));
        events.iter().any(|event| matches!(event, SagaEvent::CommandIssued { .. }))
    };
    assert!(attack(), "the event came first");
    without("timer_before_unread_reply", || assert!(!attack()));
}
