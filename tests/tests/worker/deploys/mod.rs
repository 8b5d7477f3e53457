//! Definitions are deployed to workers that run: new sagas get the new version, those that run keep theirs, and nothing stops.

mod matched;
mod routed;
mod site;

use ringmaster::blocking;
use ringmaster::runtime::{SetupError, Worker, deploy};
use ringmaster_core::definition::compile::Participant;
use ringmaster_core::partition::StageName;
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::registry::SchemaRecord;

use self::site::{PARTITIONS, Site, all_of, ids, saga};
use crate::BEGIN;

#[test]
fn old_sagas_end_by_the_old_version_and_new_ones_begin_by_the_new() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut coordinator = site.coordinator("blue");
    let (old, new) = (ids("old"), ids("new"));
    old.iter().for_each(|id| site.ask("asks", id));
    coordinator.until("old ones wait", &mut site, |site, _| site.sent("lab.commands").len() == old.len());
    let claims = coordinator.claims();
    site.deploy(&saga(2, "asks", "ends"));
    // Within a second, and with what comes then.
    coordinator.go(&site, 1_000);
    new.iter().for_each(|id| site.ask("asks", id));
    coordinator.until("all end", &mut site, |site, _| {
        site.answer();
        site.sent("ends").len() == old.len() + new.len()
    });
    assert_eq!(site.sent("ends"), [all_of(&new, 2), all_of(&old, 1)].concat());
    let mut commands = site.sent("lab.commands");
    commands.dedup();
    assert_eq!(commands, [all_of(&new, 2), all_of(&old, 1)].concat(), "no command says another version than its saga");
    assert_eq!(coordinator.claims(), claims, "nothing was claimed again");
    // An edit that is taken back is in force again.
    site.deploy(&saga(1, "asks", "ends"));
    coordinator.go(&site, 1_000);
    site.ask("asks", "again");
    coordinator.until("it ends", &mut site, |site, _| {
        site.answer();
        site.sent("ends").contains(&("again".to_owned(), 1))
    });
}

/// A topic that was not read before is read from where the setting says, by every partition, also by one that comes later.
#[test]
fn a_start_on_a_new_topic_is_read_at_once() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut coordinator = site.coordinator("blue");
    coordinator.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    let wrong = deploy(&mut site.broker.client(), &site.deploying, &site.file(&saga(2, "more-asks", "more-ends")), false, BEGIN);
    let said = wrong.expect_err("the topics are not there").to_string();
    for part in ["more-asks: does not exist", "more-ends: does not exist", "ringmaster topics apply"] {
        assert!(said.contains(part), "{said}");
    }
    site.make_topic("more-asks");
    site.make_topic("more-ends");
    let before = ids("before");
    before.iter().for_each(|id| site.ask("more-asks", id));
    site.deploy(&saga(2, "more-asks", "more-ends"));
    coordinator.until("all end", &mut site, |site, _| {
        site.answer();
        site.sent("more-ends").len() == before.len()
    });
    // One that moves reads it too.
    coordinator.workers[0].revoke(0, site.now()).expect("it is written");
    coordinator.workers[1].assign(coordinator.setup.partitions(0, PARTITIONS as usize).swap_remove(0));
    let behind = ids("behind");
    behind.iter().for_each(|id| site.ask("more-asks", id));
    // Whoever takes over sends again what it does not know to be there.
    let all = [all_of(&before, 2), all_of(&behind, 2)].concat();
    coordinator.until("all end", &mut site, |site, _| {
        site.answer();
        let mut sent = site.sent("more-ends");
        sent.dedup();
        sent == all
    });
}

/// What was published although its topics are missing is not in force until they are there; nothing stops, and others are taken.
#[test]
fn a_version_whose_topics_are_missing_waits_for_them() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut coordinator = site.coordinator("blue");
    coordinator.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    site.publish(&saga(2, "asks", "endz"));
    let other = saga(7, "asks", "ends").replace("saga: task", "saga: other");
    site.publish(&other);
    coordinator.go(&site, 3_000);
    site.ask("asks", "one");
    coordinator.until("it ends, and the other saga", &mut site, |site, _| {
        site.answer();
        site.sent("ends").len() == 2
    });
    assert_eq!(site.sent("ends"), [("one".to_owned(), 1), ("one".to_owned(), 7)]);
    site.make_topic("endz");
    coordinator.go(&site, 3_000);
    site.ask("asks", "two");
    coordinator.until("it ends by the second version", &mut site, |site, _| {
        site.answer();
        site.sent("endz") == [("two".to_owned(), 2)]
    });
}

/// One that runs another is in force when the other one is: else its sagas would have nothing to run.
#[test]
fn a_saga_waits_for_the_one_that_it_runs() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut coordinator = site.coordinator("blue");
    coordinator.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    site.publish(
        "saga: task\nstart: { on: Asked, from: asks, key: event.id }\nsteps:\n  - { step: below, run: below }\n\
         on_completed: { emit: Done, to: ends, with: { version: 2 } }\n---\n\
         saga: below\ninput: {}\nsteps:\n  - { step: one, do: lab.One, with: { version: 2 }, undo: nothing, timeout: 10m }\n\
         on_completed: { emit: Done, to: endz, with: { version: 2 } }\n",
    );
    coordinator.go(&site, 3_000);
    site.ask("asks", "one");
    coordinator.until("it ends by the first version", &mut site, |site, _| {
        site.answer();
        site.sent("ends") == [("one".to_owned(), 1)]
    });
    site.make_topic("endz");
    coordinator.go(&site, 3_000);
    site.ask("asks", "two");
    coordinator.until("it ends by the second version", &mut site, |site, _| {
        site.answer();
        site.sent("ends").contains(&("two".to_owned(), 2))
    });
}

/// Workers are told what is new, and nothing else: the schemas that were known at the start are read once more, and are no news.
#[test]
fn what_is_known_at_the_start_is_no_news() {
    let mut site = Site::new();
    let schema = r#"{"type":"record","name":"Asked","fields":[{"name":"id","type":"string"}]}"#;
    std::fs::write(site.deploying.schemas.join("Asked.avsc"), schema).expect("written");
    site.deploy(&saga(1, "asks", "ends"));
    let mut coordinator = site.coordinator("blue");
    coordinator.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    coordinator.go(&site, 10_000);
    assert_eq!(coordinator.news, [[]; 0]);
    site.deploy(&saga(2, "asks", "ends"));
    coordinator.go(&site, 10_000);
    let [told] = &coordinator.news[..] else { panic!("{:?}", coordinator.news) };
    let [in_force] = &told[..] else { panic!("{told:?}") };
    assert_eq!((in_force.saga.as_str(), in_force.version), ("task", 2));
    assert!(in_force.from.ends_with("task.yaml:1"), "{in_force:?}");
}

/// What cannot be compiled, or read at all, is passed over; what is behind it is taken.
#[test]
fn what_cannot_be_used_stops_nothing() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut coordinator = site.coordinator("blue");
    coordinator.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    let damaged = r#"{"name":"task","hash":"00","file":"x.yaml","line":1,"text":"saga: x","schemas":{},"deployed_at":0}"#;
    let records = ["{\"cut", "hello", damaged].map(|value| (b"task".to_vec(), value.as_bytes().to_vec()));
    blocking::append(&mut site.broker.client(), "ringmaster.definitions", 0, &records).expect("appended");
    blocking::append(&mut site.broker.client(), "ringmaster.schemas", 0, &records[..1]).expect("appended");
    coordinator.go(&site, 3_000);
    site.ask("asks", "one");
    coordinator.until("it ends", &mut site, |site, _| {
        site.answer();
        site.sent("ends") == [("one".to_owned(), 1)]
    });
    assert!(coordinator.owns_all());
}

/// Its schemas stand before a definition; should they come a moment later all the same, it is taken with them.
#[test]
fn a_definition_that_comes_before_its_schemas_waits_for_them() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut coordinator = site.coordinator("blue");
    coordinator.until("owned", &mut site, |_, coordinator| coordinator.owns_all());
    let schema = r#"{"type":"record","name":"Asked","fields":[{"name":"id","type":"string"}]}"#;
    std::fs::write(site.deploying.schemas.join("Asked.avsc"), schema).expect("written");
    let plan = site.plan(&saga(2, "asks", "ends"));
    let version = &plan.changes[0].record;
    assert!(version.schemas.contains_key("Asked"), "it needs one that is new: {:?}", version.schemas);
    let append = |topic: &str, values: &[Vec<u8>]| {
        let records: Vec<_> = values.iter().map(|value| (b"x".to_vec(), value.clone())).collect();
        blocking::append(&mut site.broker.client(), topic, 0, &records).expect("appended");
    };
    append("ringmaster.definitions", &[version.encode()]);
    coordinator.go(&site, 500);
    let schemas = &plan.knowledge.schemas;
    let all: Vec<Vec<u8>> = schemas.iter().map(|schema| SchemaRecord::new(schema, schemas.is_part(schema)).encode()).collect();
    append("ringmaster.schemas", &all);
    coordinator.go(&site, 3_000);
    site.ask("asks", "one");
    coordinator.until("it ends by the second version", &mut site, |site, _| {
        site.answer();
        site.sent("ends") == [("one".to_owned(), 2)]
    });
}

/// Whoever takes over a partition in which sagas run by a version that it has not read waits for that, and goes on then.
#[test]
fn an_owner_that_has_not_read_a_version_waits_for_it() {
    let mut site = Site::new();
    site.deploy(&saga(1, "asks", "ends"));
    let mut blue = site.coordinator("blue");
    let mut green = site.coordinator("green");
    blue.until("owned", &mut site, |_, blue| blue.owns_all());
    site.deploy(&saga(2, "asks", "ends"));
    blue.go(&site, 1_000);
    let ids = ids("s");
    ids.iter().for_each(|id| site.ask("asks", id));
    blue.until("they wait", &mut site, |site, _| site.sent("lab.commands").len() == ids.len());
    drop(blue);
    // It knows the first version only, and does not follow yet.
    let end = site.broker.now() + 10_000;
    while site.broker.now() < end {
        green.work(&site).unwrap_or_else(|stop| panic!("it waits instead of stopping: {stop}"));
        site.answer();
    }
    assert_eq!(green.stages(), [StageName::Waiting; PARTITIONS as usize]);
    assert_eq!(site.sent("ends"), []);
    green.until("all end", &mut site, |site, _| {
        site.answer();
        site.sent("ends").len() == ids.len()
    });
    assert_eq!(site.sent("ends"), all_of(&ids, 2));
}

/// A typo that was deployed stops no start once it is taken back: a topic of a version that is not in force is missing to nobody, or
/// only to sagas that still run by it.
#[test]
fn a_typo_that_was_deployed_and_taken_back_stops_no_start() {
    let mut site = Site::new();
    let json = Participant { encoding: Encoding::Json, ..Participant::default() };
    site.deploying.options.participants.insert("labb".to_owned(), json);
    site.publish(&saga(1, "askz", "endz").replace("lab.Two", "labb.Two"));
    let missing = |site: &Site| match site.prepare("blue") {
        Err(SetupError::Topics(lines)) => lines.join(""),
        other => panic!("its topics are missing: {other:?}"),
    };
    assert!(missing(&site).contains("endz: does not exist"), "while it is in force its topics are needed");
    assert!(missing(&site).contains("askz: does not exist") && missing(&site).contains("labb.commands: does not exist"));
    site.deploy(&saga(2, "asks", "ends"));
    let (_, setup) = site.prepare("blue").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(setup.missing().iter().map(String::as_str).collect::<Vec<_>>(), ["endz", "labb.commands"]);
    let mut coordinator = site.coordinator("blue");
    site.ask("asks", "one");
    coordinator.until("it ends", &mut site, |site, _| {
        site.answer();
        site.sent("ends") == [("one".to_owned(), 2)]
    });
}

/// A saga that still runs by such a version waits until its topic is there, and ends then without a restart.
#[test]
fn a_saga_by_an_older_version_waits_for_its_topic() {
    let mut site = Site::new();
    site.make_topic("endz");
    site.deploy(&saga(1, "asks", "endz"));
    let mut coordinator = site.coordinator("blue");
    site.ask("asks", "one");
    coordinator.until("it waits", &mut site, |site, _| site.sent("lab.commands").len() == 1);
    drop(coordinator);
    site.broker.delete("endz");
    site.deploy(&saga(2, "asks", "ends"));
    let mut coordinator = site.coordinator("blue again");
    coordinator.until("undeliverable", &mut site, |site, coordinator| {
        site.answer();
        coordinator.workers.iter().flat_map(Worker::partitions).any(|partition| partition.undeliverable_count() == 1)
    });
    site.ask("asks", "two");
    coordinator.until("others go on", &mut site, |site, _| {
        site.answer();
        site.sent("ends") == [("two".to_owned(), 2)]
    });
    site.make_topic("endz");
    coordinator.until("it is sent", &mut site, |site, _| site.sent("endz") == [("one".to_owned(), 1)]);
}
