//! Where routes begin, and by whose keys they go.

use ringmaster_core::partition::{Happened, Role, Settings, StartAt, Wish};
use ringmaster_schemas::journal::Routed;

use super::Forward;
use super::{BY_NUMBER, DELTA, GAMMA, INBOX, WEBS, acknowledge, asked, bring, forwards, home, line, positions, read, routed};
use crate::line::{BEGIN, Line, without};

/// A topic begins where the setting says; partitions that it has more than before, at their beginning.
#[test]
fn a_routed_topic_begins_where_the_setting_says() {
    let latest = |settings: &mut Settings| {
        routed(settings);
        settings.inputs[WEBS].start_at = StartAt::Latest;
        settings.inputs[WEBS + 1].start_at = StartAt::Latest;
    };
    for (set, first) in [(&routed as &dyn Fn(&mut Settings), 10), (&latest, 30)] {
        let mut line = Line::of(GAMMA, |settings| {
            set(settings);
            settings.inputs.truncate(WEBS + 1);
        });
        line.restart(|settings| {
            settings.journal = [8; 16];
            settings.inputs.truncate(WEBS + 1);
        });
        line.journal.clear();
        line.own_without_answers();
        line.happens(Happened::InputBounds { index: WEBS, start: 10, end: 30 });
        line.acknowledge();
        line.poll();
        line.poll();
        assert_eq!(read(&mut line, WEBS), Some(first));
        // The topic has more partitions now.
        line.restart(|settings| {
            settings.inputs.clear();
            settings.inputs.extend(crate::line::settings().inputs);
            set(settings);
        });
        line.own_without_answers();
        line.happens(Happened::InputBounds { index: WEBS + 1, start: 0, end: 7 });
        line.acknowledge();
        line.poll();
        line.poll();
        assert_eq!(read(&mut line, WEBS + 1), Some(0), "nothing of it was there before");
    }
}

/// A topic that was read directly is routed from where it was read, and read directly again from where it was routed.
#[test]
fn a_topic_changes_its_way_without_loss_or_repeat() {
    let direct = |settings: &mut Settings| {
        let inputs = &mut settings.inputs;
        inputs.truncate(WEBS + 1);
        inputs[WEBS].role = Role::Events { type_field: "type".into(), default_type: None };
    };
    let mut line = Line::of(GAMMA, |settings| {
        routed(settings);
        direct(settings);
    });
    line.start(WEBS, &home(0));
    line.start(WEBS, &home(1));
    assert_eq!(line.started(), 2);
    line.restart(|settings| {
        settings.inputs.truncate(INBOX);
        routed(settings);
    });
    line.own();
    line.look();
    assert_eq!((read(&mut line, WEBS), read(&mut line, WEBS + 1)), (Some(2), Some(0)));
    line.put(WEBS, BEGIN, None, &asked(&home(2)));
    for (_, bytes, tag) in forwards(&mut line) {
        acknowledge(&mut line, tag);
        bring(&mut line, &bytes);
    }
    line.pass(1_001);
    line.poll();
    line.restart(direct);
    line.own();
    assert_eq!((read(&mut line, WEBS), line.started(), line.rejected().len()), (Some(3), 3, 0));
}

/// Another key is in force behind all that was sent by the one before, and the journal says so first: no event starts two sagas, and none
/// starts none.
#[test]
fn another_key_is_in_force_behind_all_that_was_sent_by_the_one_before() {
    let mut line = line(GAMMA);
    let keys = |line: &mut Line| -> Vec<String> {
        let key = |(_, bytes, _): Forward| Routed::decode(&bytes).expect("ours").starts[0].key.to_string();
        forwards(line).into_iter().map(key).collect()
    };
    line.put(WEBS, BEGIN, None, &asked("k1"));
    assert_eq!(keys(&mut line), ["k1"]);
    line.deploy(BY_NUMBER);
    line.happens(Happened::Learned { inputs: &[] });
    line.put(WEBS, BEGIN, None, &asked("k2"));
    assert_eq!(keys(&mut line), [] as [&str; 0], "it is sealed: what was sent is not acknowledged yet");
    line.poll();
    assert!(!positions(&line).iter().any(|(name, next)| name == "webs/0/gamma" && *next == 1), "nor is it journaled");
    // Whoever begins anew does not know how far the one before was: the old key is in force up to the end that the log has then.
    line.restart(|_| {});
    line.own_without_answers();
    line.poll();
    assert_eq!(read(&mut line, WEBS), Some(0));
    line.next[WEBS] = 0;
    for number in 1..=2 {
        line.put(WEBS, BEGIN, None, &asked(&format!("k{number}")));
        line.poll();
    }
    assert!(line.wishes.contains(&Wish::AskInput(WEBS)));
    line.happens(Happened::InputBounds { index: WEBS, start: 0, end: 3 });
    line.put(WEBS, BEGIN, None, &asked("k3"));
    line.put(WEBS, BEGIN, None, &asked("k4"));
    let sent = forwards(&mut line);
    let told: Vec<String> =
        sent.iter().map(|(_, bytes, _)| Routed::decode(bytes).expect("ours").starts[0].key.to_string()).collect();
    assert_eq!(told, ["k1", "k2", "k3"]);
    for (_, _, tag) in sent {
        acknowledge(&mut line, tag);
    }
    line.poll();
    line.poll();
    assert_eq!(read(&mut line, WEBS), Some(3));
    let journaled = positions(&line);
    assert!(journaled.contains(&("webs/0/gamma".into(), 1)) && journaled.contains(&("webs/0".into(), 3)), "{journaled:?}");
    line.next[WEBS] = 3;
    line.put(WEBS, BEGIN, None, &asked("k4"));
    assert_eq!(keys(&mut line), ["n4"]);
}

/// A saga that is new is started by all that was not routed before it was deployed, and by nothing that was.
#[test]
fn a_new_saga_is_started_by_what_is_not_routed_yet() {
    let mut line = line(GAMMA);
    line.put(WEBS, BEGIN, None, &asked("k1"));
    let first = forwards(&mut line);
    line.deploy(DELTA);
    line.happens(Happened::Learned { inputs: &[] });
    line.put(WEBS, BEGIN, None, &asked("k2"));
    first.into_iter().for_each(|(_, _, tag)| acknowledge(&mut line, tag));
    line.poll();
    line.poll();
    assert_eq!(read(&mut line, WEBS), Some(1));
    line.next[WEBS] = 1;
    line.put(WEBS, BEGIN, None, &asked("k2"));
    let starts: usize = forwards(&mut line).iter().map(|(_, bytes, _)| Routed::decode(bytes).expect("ours").starts.len()).sum();
    assert_eq!(starts, 2);
}

/// Without that, what was sent by the old key starts another saga when it is sent again.
#[test]
fn what_is_sent_again_goes_by_the_key_that_it_went_by() {
    let attack = || {
        let mut line = line(GAMMA);
        line.put(WEBS, BEGIN, None, &asked("k1"));
        line.deploy(BY_NUMBER);
        line.restart(|_| {});
        line.own_without_answers();
        line.poll();
        line.next[WEBS] = 0;
        forwards(&mut line);
        line.put(WEBS, BEGIN, None, &asked("k1"));
        let (_, bytes, _) = forwards(&mut line).remove(0);
        Routed::decode(&bytes).expect("ours").starts[0].key.to_string()
    };
    assert_eq!(attack(), "k1");
    without("key_changed_in_place", || assert_eq!(attack(), "n1"));
}
