//! Warm copies: who takes over goes on from what it has already, and replays next to nothing.

use ringmaster::api;
use ringmaster_tests::live::{Coordinator, PARTITIONS, World, say, until};

use super::takeover::{hold_back, wait_shared};

/// How many warm copies it keeps, and where their journals stand together.
fn copies(coordinator: &Coordinator) -> (usize, i64) {
    let Ok(answer) = api::client::get(coordinator.address, "/api/v1/partitions") else { return (0, 0) };
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let warm: Vec<i64> = body["followed"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["warm"] == true)
        .filter_map(|one| one["journal_offset"].as_i64())
        .collect();
    (warm.len(), warm.iter().sum())
}

#[test]
fn a_takeover_goes_on_from_a_warm_copy() {
    let mut world = World::new("warm standby");
    world.configure("\"session.timeout.ms\" = \"2000\"");
    world.edit("ringmaster.toml", "partitions =", "standby = 1\npartitions =");
    let (blue, green) = (world.owner("blue"), world.owner("green"));
    wait_shared("both have a share", &[&blue, &green]);
    let shop = world.shop();
    shop.order(1_500, 300.0);
    shop.wait_finished(300);
    until("each has a warm copy of the other's", || {
        copies(&blue).0 + copies(&green).0 == PARTITIONS as usize && copies(&blue).0 == green.owned().len()
    });
    hold_back(&mut world, &shop);
    // Blue writes nothing any more, and green has taken what it wrote.
    blue.process.freeze();
    shop.hit("kill -9 of a coordinator with a warm standby");
    until("green has taken what there is", || {
        let journal = &world.topics().journal;
        let all = world.record_count(journal);
        let of_green: i64 = offsets(&green);
        all == of_green + copies(&green).1
    });
    let replayed = green.metric("ringmaster_journal_replayed_total");
    blue.kill();
    wait_shared("green has all", &[&green]);
    let tail = green.metric("ringmaster_journal_replayed_total") - replayed;
    say(&format!("  {tail} counting records were replayed for the takeover"));
    assert!(tail <= 2.0 * f64::from(PARTITIONS), "{tail} records were replayed: the copies were not used");
    world.start_service("shipping", &[]);
    shop.wait_finished(900);
    // One that begins with nothing catches up, and takes over too.
    let blue = world.owner("blue");
    wait_shared("both have a share again", &[&blue, &green]);
    until("what green keeps is copied", || copies(&blue).0 == green.owned().len());
    shop.wait_finished(1_200);
    green.stop();
    wait_shared("blue has all", &[&blue]);
    world.close(shop, blue);
}

/// Where the journals of its own partitions stand together.
fn offsets(coordinator: &Coordinator) -> i64 {
    coordinator.metric("ringmaster_partition_journal_offset") as i64
}

/// While others run, a folder with other rules starts nothing and deploys nothing.
#[test]
fn other_rules_are_refused_while_others_run() {
    let world = World::new("other rules");
    let blue = world.owner("blue");
    let definitions = world.topics().definitions;
    let (deployed, claims) = (world.record_count(&definitions), world.record_count(&world.topics().journal));
    let folder = world.folder().join("own-sagas");
    std::fs::create_dir(&folder).expect("a folder");
    let text = std::fs::read_to_string(world.folder().join("sagas/order-fulfilment.yaml")).expect("the order saga");
    std::fs::write(folder.join("order.yaml"), text.replace("deadline: 3d", "deadline: 2d")).expect("written");
    let own = format!("definitions={}", folder.display());
    let arguments = ["run", "--set", "api.listen=off", "--set", "instance=green", "--set", "data_dir=green", "--set", &own];
    let refused = world.ringmaster(&arguments);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{told}");
    assert!(told.contains("order-fulfilment") && told.contains("blue") && told.contains("ringmaster deploy"), "{told}");
    // Nor does one with other partitions.
    let refused = world.ringmaster(&[
        "run",
        "--set",
        "api.listen=off",
        "--set",
        "instance=green",
        "--set",
        "data_dir=red",
        "--set",
        "partitions=4",
    ]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{told}");
    let journal = world.topics().journal;
    assert!(told.contains(&format!("{journal}: has 8 partitions, must have 4")), "{told}");
    assert_eq!((world.record_count(&definitions), blue.metric("ringmaster_claims_total")), (deployed, f64::from(PARTITIONS)));
    assert!(world.record_count(&world.topics().journal) - claims < PARTITIONS.into(), "nothing was claimed");
    // Deployed by a person it starts.
    let deploy = world.ringmaster(&["deploy", &folder.display().to_string()]);
    assert!(deploy.status.success(), "{}", String::from_utf8_lossy(&deploy.stderr));
    let mut green = world.coordinator_with("green", "green", std::slice::from_ref(&own), &[]);
    green.wait_ready();
    green.stop();
    blue.stop();
}
