//! What the broker says of topics, and what a worker must make of it.

use super::*;

use ringmaster_bus::Specification;
use ringmaster_bus::sim::{Faults, SimBroker, SimBus};

fn bus() -> SimBus {
    let broker = SimBroker::new(1, 0, Faults::none());
    let mut bus = broker.client();
    for name in ["journal", "orders", "commands"] {
        bus.create(&Specification { name: name.to_owned(), partitions: 4, replication: 1, settings: vec![] }).expect("made");
    }
    bus
}

fn watch(bus: &mut SimBus) -> Watch {
    let used = [("journal", Use::Journal), ("orders", Use::Input), ("commands", Use::Output)];
    let of = |(name, used): (&str, Use), bus: &mut SimBus| {
        let id = bus.describe(&[name]).expect("an answer")[0].as_ref().expect("it exists").id;
        Watched { name: name.into(), id, used }
    };
    let rules = Rules {
        topics: Topics::new("r"),
        direct: vec!["orders".to_owned()],
        routed: Vec::new(),
        partitions: 4,
        journal_bytes: 1_000_000,
    };
    Watch::new(&used.map(|topic| of(topic, bus)), &rules, bus)
}

fn answer(
    watch: &mut Watch,
    bus: &mut SimBus,
    change: impl Fn(&str, Description) -> Option<Description>,
    now: Millis,
) -> Result<(), TopicLost> {
    let names: Vec<(Topic, Arc<str>)> = watch.topics.iter().map(|(topic, watched)| (*topic, watched.name.clone())).collect();
    let described = |name: &str, bus: &mut SimBus| bus.describe(&[name]).expect("an answer").remove(0).expect("it exists");
    let found: Vec<_> = names.iter().map(|(topic, name)| (*topic, change(name, described(name, bus)))).collect();
    let question = watch.asked;
    watch.described(question, &found, now)
}

fn same(_: &str, description: Description) -> Option<Description> {
    Some(description)
}

#[test]
fn only_an_answer_to_a_question_after_the_doubt_makes_sure() {
    let mut bus = bus();
    let mut watch = watch(&mut bus);
    assert!(!watch.is_sure(), "nothing is known at the start");
    watch.ask(&mut bus, 0);
    answer(&mut watch, &mut bus, same, 0).expect("all is well");
    assert!(watch.is_sure());
    watch.ask(&mut bus, 1);
    assert_eq!(watch.asked, 1, "nothing is due");
    // The doubt comes while a question is out: its answer says nothing of what came after it.
    watch.ask(&mut bus, LOOK_EVERY_MS);
    watch.doubt();
    answer(&mut watch, &mut bus, same, LOOK_EVERY_MS).expect("all is well");
    assert!(!watch.is_sure());
    watch.ask(&mut bus, LOOK_EVERY_MS);
    answer(&mut watch, &mut bus, same, LOOK_EVERY_MS).expect("all is well");
    assert!(watch.is_sure());
}

#[test]
fn another_identity_is_the_end_unless_effects_go_there() {
    let mut bus = bus();
    let other = |wanted: &'static str| {
        move |name: &str, mut found: Description| {
            found.id[0] ^= u8::from(name == wanted);
            Some(found)
        }
    };
    for (name, used) in [("journal", Use::Journal), ("orders", Use::Input)] {
        let mut watch = watch(&mut bus);
        watch.ask(&mut bus, 0);
        let lost = answer(&mut watch, &mut bus, other(name), 0).expect_err("it is another one");
        assert_eq!(lost, TopicLost { topic: name.into(), used, made_again: true });
        assert!(lost.to_string().contains(&format!("topic '{name}' was deleted and made again")), "{lost}");
    }
    let mut watch = watch(&mut bus);
    watch.ask(&mut bus, 0);
    answer(&mut watch, &mut bus, other("commands"), 0).expect("commands are sent again");
    assert!(watch.is_sure());
}

#[test]
fn a_topic_is_gone_when_it_is_missing_for_a_while() {
    let mut bus = bus();
    let without = |missing: &'static str| move |name: &str, found| (name != missing).then_some(found);
    let mut watch = watch(&mut bus);
    watch.ask(&mut bus, 0);
    answer(&mut watch, &mut bus, without("orders"), 0).expect("a broker may be late");
    assert!(!watch.is_sure(), "nothing is claimed while it is missing");
    assert_eq!(watch.topics().iter().filter(|status| !status.troubles.is_empty()).count(), 1);
    watch.ask(&mut bus, LOOK_AGAIN_MS);
    assert_eq!(watch.asked, 2, "it is looked at again soon");
    answer(&mut watch, &mut bus, same, LOOK_AGAIN_MS).expect("it was late");
    assert!(watch.is_sure() && watch.topics().iter().all(|status| status.troubles.is_empty()));
    // So it is when nobody doubted anything.
    let later = LOOK_AGAIN_MS + LOOK_EVERY_MS;
    watch.ask(&mut bus, later);
    answer(&mut watch, &mut bus, without("orders"), later).expect("a broker may be late");
    assert!(!watch.is_sure(), "nothing is claimed while it is missing");
    watch.ask(&mut bus, later);
    answer(&mut watch, &mut bus, same, later).expect("it was late");
    for now in [0, GONE_AFTER_MS - 1] {
        watch.doubt();
        watch.ask(&mut bus, now);
        answer(&mut watch, &mut bus, without("orders"), now).expect("not for long enough");
    }
    let lost = answer(&mut watch, &mut bus, without("orders"), GONE_AFTER_MS).expect_err("it is gone");
    assert!(!lost.made_again && lost.to_string().contains("topics apply"), "{lost}");
    // A topic of commands is waited for, as long as it takes.
    let mut watch = self::watch(&mut bus);
    for now in [0, 100 * GONE_AFTER_MS] {
        watch.doubt();
        watch.ask(&mut bus, now);
        answer(&mut watch, &mut bus, without("commands"), now).expect("effects wait");
        assert!(watch.is_sure() && watch.topics().iter().any(|status| !status.troubles.is_empty()), "and it is said");
    }
}

#[test]
fn what_is_not_as_it_must_be_any_more_is_said_until_it_is_mended() {
    let mut bus = bus();
    let mut watch = watch(&mut bus);
    let grown = |name: &str, mut found: Description| {
        found.partitions += i32::from(name == "orders");
        Some(found)
    };
    let narrow = |bytes: &'static str| {
        move |name: &str, mut found: Description| {
            if name == "journal" {
                found.settings = vec![("max.message.bytes".to_owned(), bytes.to_owned())];
            }
            Some(found)
        }
    };
    let troubles = |watch: &Watch| -> Vec<(String, String)> {
        let of = |status: TopicStatus| status.troubles.into_iter().map(move |trouble| (status.topic.to_string(), trouble.why));
        watch.topics().into_iter().flat_map(of).collect()
    };
    watch.ask(&mut bus, 0);
    answer(&mut watch, &mut bus, grown, 0).expect("it is still the same topic");
    assert!(watch.is_sure());
    let [(topic, why)] = &troubles(&watch)[..] else { panic!("{:?}", troubles(&watch)) };
    assert!(topic == "orders" && why.starts_with("has 5 partitions, and had 4 when") && why.contains("Start again"), "{why}");
    answer(&mut watch, &mut bus, narrow("999999"), 0).expect("it is still the same topic");
    let [(topic, why)] = &troubles(&watch)[..] else { panic!("{:?}", troubles(&watch)) };
    assert!(topic == "journal" && why.contains("999999") && why.contains("start again"), "{why}");
    answer(&mut watch, &mut bus, narrow("1000000"), 0).expect("it is still the same topic");
    assert_eq!(troubles(&watch), [], "room for every record is enough");
    answer(&mut watch, &mut bus, same, 0).expect("it is still the same topic");
    assert_eq!(troubles(&watch), []);
}

#[test]
fn what_cannot_be_read_is_in_trouble_until_something_is_read() {
    let mut bus = bus();
    let mut watch = watch(&mut bus);
    let orders = TopicPartition { topic: bus.topic("orders"), partition: 2 };
    let troubles = |watch: &Watch| -> Vec<Trouble> { watch.topics().into_iter().flat_map(|status| status.troubles).collect() };
    assert_eq!(troubles(&watch), []);
    watch.unreadable(orders, "it may not be read");
    let trouble = Trouble { partition: Some(2), why: "it may not be read".to_owned() };
    assert_eq!(troubles(&watch), std::slice::from_ref(&trouble));
    assert!(!watch.is_sure(), "the topic is looked at");
    // Another partition that is read says nothing of this one; a topic that is not ours is nobody's trouble.
    watch.readable(TopicPartition { partition: 1, ..orders });
    watch.unreadable(TopicPartition { topic: Topic(9), partition: 0 }, "no matter");
    assert_eq!(troubles(&watch), [trouble]);
    watch.readable(orders);
    assert_eq!(troubles(&watch), []);
}

/// Records of an input can be given up, those of the journal cannot.
#[test]
fn what_helps_against_damage_depends_on_the_topic() {
    let mut bus = bus();
    let mut watch = watch(&mut bus);
    let mut said = |name| {
        watch.unreadable(TopicPartition { topic: bus.topic(name), partition: 0 }, "a batch is damaged (so), restore it");
        let status = watch.topics().into_iter().find(|status| &*status.topic == name).expect("it is watched");
        status.troubles[0].why.clone()
    };
    let orders = said("orders");
    assert!(orders.contains("kafka-delete-records") && orders.contains("`topics.\"orders\".accept_new = true`"), "{orders}");
    let journal = said("journal");
    assert!(journal.contains("Delete nothing of it") && !journal.contains("kafka-delete-records"), "{journal}");
}

#[test]
fn a_broker_that_does_not_answer_is_said_until_it_does() {
    let mut bus = bus();
    let mut watch = watch(&mut bus);
    let troubled = |watch: &Watch| watch.topics().iter().filter(|status| !status.troubles.is_empty()).count();
    watch.ask(&mut bus, 0);
    answer(&mut watch, &mut bus, same, 0).expect("all is well");
    watch.ask(&mut bus, LOOK_EVERY_MS);
    watch.ask(&mut bus, LOOK_EVERY_MS + SILENT_AFTER_MS - 1);
    assert_eq!(troubled(&watch), 0, "it may take a moment");
    // A question for another reason is no answer.
    watch.doubt();
    watch.ask(&mut bus, LOOK_EVERY_MS + SILENT_AFTER_MS);
    assert_eq!(troubled(&watch), 3, "nothing is known of any topic");
    const { assert!(LOOK_EVERY_MS + SILENT_AFTER_MS <= 35_000, "within 35 s of the broker's last word") };
    answer(&mut watch, &mut bus, same, LOOK_EVERY_MS + 60_000).expect("all is well");
    assert_eq!(troubled(&watch), 0);
    watch.ask(&mut bus, LOOK_EVERY_MS + 60_000 + SILENT_AFTER_MS);
    assert_eq!(troubled(&watch), 0, "every question has its own time");
}
