//! Deploying to a coordinator that runs: nothing is started again, old sagas end by the old version, new ones begin by the new.

use std::process::Output;
use std::time::{Duration, Instant};

use ringmaster_demo::orders::{self, Outcome};
use ringmaster_schemas::names::partition_of;
use ringmaster_tests::live::{PARTITIONS, Shop, World, say, until};

/// Orders of one load: so many that a deploy falls into it, unless the machine is very slow.
const ORDERS: u64 = 1_000;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Orders whose outcome says this.
fn told(shop: &Shop, word: &str) -> Vec<u64> {
    let says = |value: &Vec<u8>| value.windows(word.len()).any(|part| part == word.as_bytes());
    (0..shop.wanted()).filter(|number| shop.outcomes(*number).iter().any(says)).collect()
}

#[test]
fn a_deploy_under_load_reaches_a_coordinator_that_runs() {
    let mut world = World::new("a deploy under load");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    let payment = world.take_service("payment");
    assert_eq!(payment.stop(), 0);
    shop.order(100, 400.0);
    until("orders wait for payment", || world.command_count("payment") >= 96);
    assert!(shop.hit("a deploy").len() >= 96);

    let file = world.folder().join("sagas/order-fulfilment.yaml");
    let first = std::fs::read_to_string(&file).expect("the example");
    let deploy = |world: &World, text: &str, says: &str| {
        std::fs::write(&file, text).expect("it can be written");
        let output = world.ringmaster(&["deploy", "sagas"]);
        assert!(output.status.success() && said(&output).contains(says), "{}", said(&output));
    };
    let second = first.replace("tracking: steps.ship.tracking }", "tracking: \"'second-' + steps.ship.tracking\" }");
    assert_ne!(first, second, "the example still emits its tracking");
    deploy(&world, &second, "changed (version 1 -> 2)");
    until("it is taken in", || coordinator.process.said().contains("version=2"));
    shop.order(100, 400.0);
    until("new orders wait too", || world.command_count("payment") >= 2 * 96);
    world.start_service("payment", &[]);
    world.finish(&shop, &coordinator);
    let fulfilled = |numbers: std::ops::Range<u64>| numbers.filter(|number| orders::outcome(*number) == Outcome::Fulfilled);
    assert_eq!(told(&shop, "second-"), fulfilled(100..200).collect::<Vec<_>>(), "the first hundred keep their version");

    // In the middle of a load: each order is by one version or the other.
    shop.order(ORDERS, 200.0);
    until("orders end by the second version", || shop.finished() >= 250);
    let third = first.replace("tracking: steps.ship.tracking }", "tracking: \"'third-' + steps.ship.tracking\" }");
    deploy(&world, &third, "changed (version 2 -> 3)");
    until("it is taken in", || coordinator.process.said().contains("version=3"));
    shop.order(100, 400.0);
    world.finish(&shop, &coordinator);
    let (by_second, by_third) = (told(&shop, "second-"), told(&shop, "third-"));
    assert_eq!(by_second.len() + by_third.len(), fulfilled(100..shop.wanted()).count(), "each is by one of the two");
    let last = fulfilled(shop.wanted() - 100..shop.wanted()).collect::<Vec<_>>();
    assert!(by_third.ends_with(&last), "who comes behind the deploy gets the new version");
    assert!(by_second.len() as u64 > fulfilled(100..200).count() as u64, "and some of the load had the one before");
    say(&format!("{} orders by the second version, {} by the third, without a restart", by_second.len(), by_third.len()));
    assert_eq!(coordinator.metric("ringmaster_claims_total"), f64::from(PARTITIONS), "nothing was claimed again");
    world.close(shop, coordinator);
}

/// Nothing looks for a new version every so often: it is read as it is published. The quickest of some deploys says so on any machine.
#[test]
fn a_deploy_is_taken_in_within_a_second() {
    let world = World::new("how soon a deploy is taken in");
    let coordinator = world.owner("blue");
    let file = world.folder().join("sagas/order-fulfilment.yaml");
    let first = std::fs::read_to_string(&file).expect("the example");
    let mut took = Vec::new();
    for version in 2..=6 {
        let text = first.replace("deadline: 3d", &format!("deadline: {version}d1h"));
        std::fs::write(&file, text).expect("it can be written");
        let output = world.ringmaster(&["deploy", "sagas"]);
        let published = Instant::now();
        assert!(output.status.success(), "{}", said(&output));
        until("it is taken in", || coordinator.process.said().contains(&format!("version={version}")));
        took.push(published.elapsed());
    }
    took.sort();
    say(&format!("a version was taken in {:?} behind its deploy's end, at most {:?}", took[2], took[4]));
    assert!(took[0] < Duration::from_secs(1), "{took:?}");
    coordinator.stop();
}

/// What a saga starts on may be a topic that was not read before; one that is missing is refused by the deploy.
#[test]
fn a_start_on_a_new_topic_is_read_without_a_restart() {
    let world = World::bare("a new topic");
    world.apply_topics();
    let mut coordinator = world.coordinator("blue");
    coordinator.wait_ready();
    let (asks, tells) = (format!("asks-{:08x}", fastrand::u32(..)), format!("tells-{:08x}", fastrand::u32(..)));
    let text = format!(
        "saga: teller\nstart: {{ on: Asked, from: {asks}, key: event.id }}\nsteps:\n  - {{ step: tell, emit: Told, to: {tells}, with: {{ id: key }} }}\n"
    );
    std::fs::write(world.folder().join("teller.yaml"), text).expect("written");
    let deploy = || world.ringmaster(&["deploy", "teller.yaml"]);
    let refused = |wanted: &[&str]| {
        let output = deploy();
        let said = said(&output);
        assert!(output.status.code() == Some(4) && wanted.iter().all(|part| said.contains(part)), "{wanted:?}: {said}");
    };
    refused(&[&format!("{asks}: does not exist"), &format!("{tells}: does not exist"), "ringmaster topics apply"]);
    world.broker().create_topic(&tells, PARTITIONS, &[]).expect("it is made");
    refused(&[&format!("{asks}: does not exist")]);
    world.broker().create_topic(&asks, PARTITIONS, &[]).expect("it is made");
    let ask = |id: &str| {
        let event = format!(r#"{{"type":"Asked","id":"{id}"}}"#);
        world.write(&asks, partition_of(id.as_bytes(), PARTITIONS), Some(id.as_bytes()), Some(event.as_bytes()));
    };
    ask("before");
    let output = deploy();
    assert!(
        output.status.success() && said(&output).contains("teller (") && said(&output).contains("new (version 1)"),
        "{}",
        said(&output)
    );
    until("what was there before is told", || world.record_count(&tells) == 1);
    ask("behind");
    until("what came behind is told", || world.record_count(&tells) == 2);
    assert!(coordinator.is_ready());
    coordinator.stop();
}
