//! Mistakes at start: each is said in one clear line, with an exit code of its own, and nothing starts.

use ringmaster_demo::orders::ORDERS;
use ringmaster_tests::live::{Process, World, binary, repository, say, until};
use std::process::Output;

#[test]
fn wrong_topics_are_refused_with_a_clear_line_each() {
    let world = World::bare("topic mistakes");
    let (topics, broker) = (world.topics(), world.broker());
    let run = || world.ringmaster(&["run", "--set", "api.listen=off"]);
    refused(&run(), 4, &[&topics.definitions, "does not exist", "topics apply"]);
    world.apply_topics();

    let mend = |name: &str, partitions: i32, settings: &[(&str, &str)]| {
        broker.delete_topic(name).expect("it is there");
        broker.create_topic(name, partitions, settings).expect("it is gone");
    };
    broker.delete_topic("payment.commands").expect("it is there");
    refused(&run(), 4, &["payment.commands: does not exist", "topics apply"]);
    world.apply_topics();
    mend(&topics.inbox, 5, &[]);
    refused(&run(), 4, &[&format!("{}: has 5 partitions, must have 8", topics.inbox)]);
    mend(&topics.inbox, 8, &[]);
    mend(&topics.replies, 3, &[]);
    refused(&run(), 4, &[&format!("{}: has 3 partitions, must have 8", topics.replies)]);
    mend(&topics.replies, 8, &[]);
    mend(&topics.journal, 8, &[("cleanup.policy", "compact"), ("retention.ms", "-1")]);
    refused(&run(), 4, &[&format!("{}: cleanup.policy is 'compact', must be 'delete'", topics.journal)]);
    mend(&topics.journal, 8, &[("retention.ms", "86400000")]);
    refused(&run(), 4, &[&format!("{}: retention.ms is 86400000, must be -1", topics.journal)]);
    // Several mistakes are said at once, and `topics verify` says the same.
    mend(&topics.control, 7, &[]);
    let control = format!("{}: has 7 partitions", topics.control);
    let lines = ["retention.ms is 86400000", &control];
    refused(&run(), 4, &lines);
    refused(&world.ringmaster(&["topics", "verify"]), 4, &lines);
    say("topic mistakes: each was refused");
}

/// What is deployed stays for good, so a definition is deployed only when its topics are there.
#[test]
fn a_misspelt_topic_is_not_deployed() {
    let world = World::bare("misspelt topic");
    world.apply_topics();
    let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml"))
        .expect("the order saga");
    let folder = world.folder().join("own-sagas");
    std::fs::create_dir(&folder).expect("a folder");
    let own = format!("definitions={}", folder.display());
    let run = || world.ringmaster(&["run", "--set", "api.listen=off", "--set", &own]);
    std::fs::write(folder.join("order.yaml"), text.replace("from: orders", "from: orderz")).expect("written");
    refused(&run(), 4, &["orderz: does not exist"]);
    assert_eq!(world.record_count(&world.topics().definitions), 0, "nothing was deployed");
    std::fs::write(folder.join("order.yaml"), text).expect("written");
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    assert_eq!(world.record_count(&world.topics().definitions), 1);
    coordinator.stop();
    say("misspelt topic: not deployed, and forgotten when it was mended");
}

/// What another team does about orders.
const POINTS: &str = "
saga: points
start: { on: OrderPlaced, from: orders, key: event.order_id }
steps:
  - { step: add, do: loyalty.AddPoints, with: { order_id: key }, undo: nothing }
";

/// A prefix that was mistyped makes a second coordinator, by which each order would have a second saga.
#[test]
fn the_same_sagas_by_another_prefix_are_refused_while_the_other_coordinator_runs() {
    let world = World::new("another prefix");
    world.configure("[participants.loyalty]\nencoding = \"json\"");
    let own = world.folder().join("own-sagas");
    std::fs::create_dir(&own).expect("a folder");
    let coordinator = world.owner("blue");
    let settings = ["prefix=rival".to_owned()];
    let apply = world.ringmaster(&["topics", "apply", "--set", "prefix=rival"]);
    assert!(apply.status.success(), "{}", String::from_utf8_lossy(&apply.stderr));
    let mut rival = world.coordinator_with("green", "rival", &settings, &[]);
    let (code, said) = (rival.process.wait(), rival.process.said_last());
    assert_eq!(code, 4, "{said}");
    let journal = world.topics().journal;
    let prefix = journal.strip_suffix(".journal").expect("a journal");
    let running = format!("of the prefix '{prefix}', runs on these brokers (blue)");
    for words in [&running, "order-fulfilment (on OrderPlaced from orders)", "would have two sagas", "set prefix = "] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(world.record_count("rival.definitions"), 0, "nothing was deployed");
    assert_eq!(world.record_count("rival.journal"), 0, "nothing was claimed");

    // Another saga on the same events is another team's business.
    std::fs::write(own.join("points.yaml"), POINTS).expect("written");
    let more = [format!("definitions={}", own.display())];
    let apply = world.ringmaster(&["topics", "apply", "--set", "prefix=rival", "--set", &more[0]]);
    assert!(apply.status.success(), "{}", String::from_utf8_lossy(&apply.stderr));
    let mut beside = world.coordinator_with("green", "rival", &[&settings, &more[..]].concat(), &[]);
    beside.wait_ready();
    beside.stop();
    let deploy = world.ringmaster(&["deploy", "sagas", "--set", "prefix=rival"]);
    refused(&deploy, 4, &["would have two sagas"]);

    // Its place is free when it has gone; and whoever took it keeps it from nothing that it had.
    coordinator.stop();
    let mut instead = world.coordinator_with("green", "rival", &settings, &[]);
    instead.wait_ready();
    world.owner("blue").stop();
    instead.stop();
    say("another prefix: refused while the other ran");
}

#[test]
fn a_topic_made_again_is_refused_until_a_person_says_what_it_is() {
    let mut world = World::new("topics made again");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(200, 400.0);
    world.finish(&shop, &coordinator);
    coordinator.stop();
    drop(shop);

    world.broker().delete_topic(ORDERS).expect("it is there");
    world.apply_topics();
    let start = |world: &World| {
        let mut coordinator = world.coordinator("blue");
        (coordinator.process.wait(), coordinator.process.said_last())
    };
    let (code, said) = start(&world);
    assert_eq!(code, 8, "{said}");
    assert!(said.contains("topic 'orders' was deleted and made again") && said.contains("topics.\"orders\".accept_new"), "{said}");

    world.configure("[topics.orders]\naccept_new = true");
    let coordinator = world.owner("blue");
    // The new topic holds the old orders again, and more: only those run.
    let shop = world.shop();
    shop.order(300, 600.0);
    world.finish(&shop, &coordinator);
    let rejected = || coordinator.metric("ringmaster_inputs_rejected_total");
    until("orders of before are known, and rejected", || rejected() >= 200.0);
    world.close(shop, coordinator);

    let journal = world.topics().journal;
    world.broker().delete_topic(&journal).expect("it is there");
    world.apply_topics();
    let (code, said) = start(&world);
    assert_eq!(code, 8, "{said}");
    assert!(said.contains("the journal topic was deleted and made again"), "{said}");
}

#[test]
fn the_embedded_bus_belongs_to_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let sagas = repository().join("sagas");
    let (definitions, schemas) =
        (format!("definitions={}", sagas.display()), format!("schemas={}", sagas.join("schemas").display()));
    let arguments = |name: &str| {
        ["run", "--set", "bus=embedded", "--set", "api.listen=off", "--set", &definitions, "--set", &schemas, "--set"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("data_dir={name}"), "--set".into(), "embedded.dir=bus".into()])
            .collect::<Vec<_>>()
    };
    let run = |name: &str| {
        let arguments = arguments(name);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Process::start(name, &binary("ringmaster"), &arguments, folder.path())
    };
    let first = run("first");
    until("the first owns everything", || first.said().contains("ready"));
    let mut second = run("second");
    let code = second.wait();
    assert_eq!(code, 7, "{}", second.said_last());
    let said = second.said_last();
    assert!(said.contains("bus") && said.contains(&first.pid().to_string()), "it names the directory and who has it: {said}");
    assert_eq!(first.stop(), 0, "the first was not disturbed");
    say("the embedded bus refused a second process");
}

fn refused(output: &Output, code: i32, lines: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for line in lines {
        assert!(said.contains(line), "'{line}' is not said:\n{said}");
    }
}
