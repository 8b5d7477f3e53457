//! A journal that is not kept for ever: snapshots stand for what was deleted of it, and a lost disk is made of them.

use ringmaster::api;
use ringmaster_tests::live::{Coordinator, PARTITIONS, World, say, until};
use serde_json::Value;

use super::takeover::hold_back;

/// What it says of each of its partitions.
fn partitions(coordinator: &Coordinator) -> Vec<Value> {
    let Ok(answer) = api::client::get(coordinator.address, "/api/v1/partitions") else { return Vec::new() };
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    body["partitions"].as_array().cloned().unwrap_or_default()
}

/// Of each partition the journal's beginning is gone.
fn wait_deleted(coordinator: &Coordinator) {
    until("the journal is deleted behind snapshots", || {
        let all = partitions(coordinator);
        all.len() == PARTITIONS as usize && all.iter().all(|one| one["snapshot"]["journal_start"].as_i64() > Some(0))
    });
}

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_lost_disk_is_made_of_snapshots_where_the_journal_is_not_kept() {
    let mut world = World::new("forgetting");
    world.edit("ringmaster.toml", "partitions =", "journal_retention = \"2s\"\npartitions =");
    let blue = world.owner("blue");
    let shop = world.shop();
    shop.order(4_000, 150.0);
    shop.wait_finished(300);
    // These are on their way for as long as it takes: longer than the journal that began them is kept.
    hold_back(&mut world, &shop);
    wait_deleted(&blue);
    let before: i64 = partitions(&blue).iter().filter_map(|one| one["snapshot"]["number"].as_i64()).sum();
    until("two more snapshots of each", || {
        let now: i64 = partitions(&blue).iter().filter_map(|one| one["snapshot"]["number"].as_i64()).sum();
        now >= before + 2 * i64::from(PARTITIONS)
    });
    let own = format!("data_dir={}", blue.data.display());
    let same = world.ringmaster(&["replay", "journal", "--json", "--set", &own]);
    assert!(same.status.success() && !told(&same).contains("\"different\""), "{}", told(&same));
    let listed = world.ringmaster(&["snapshots"]);
    assert!(listed.status.success() && told(&listed).contains("blue"), "{}", told(&listed));
    // The machine is lost with its disk.
    shop.hit("kill -9 of a coordinator, and its disk is lost");
    let data = blue.kill();
    std::fs::remove_dir_all(data.join("store")).expect("lost");
    let blue = world.owner("blue");
    let restored = partitions(&blue);
    assert!(restored.iter().all(|one| one["restored"]["snapshot"].as_i64() > Some(2)), "{restored:#?}");
    let (seconds, bytes) = (blue.metric("ringmaster_partition_restore_seconds"), blue.metric("ringmaster_partition_restore_bytes"));
    assert!(seconds > 0.0 && bytes > 0.0, "{seconds} s, {bytes} bytes");
    say(&format!("  restored {bytes} bytes of snapshots in {:.2} s a partition", seconds / f64::from(PARTITIONS)));
    world.start_service("shipping", &[]);
    shop.wait_finished(600);
    // What is asked of it is what would be asked of one that kept everything.
    world.finish(&shop, &blue);
    let data = blue.stop();
    let same = world.ringmaster(&["replay", "journal", "--json", "--set", &own]);
    assert_eq!(told(&same).matches("\"same\"").count(), PARTITIONS as usize, "{}", told(&same));
    world.stop_services();
    let audits = ringmaster_demo::rig::audits(world.folder()).expect("ledgers can be read");
    world.account(&data, &audits, ringmaster_tests::live::RUN, shop.wanted());
    // Without its snapshots nothing can be made, and nothing is pretended.
    std::fs::remove_dir_all(data.join("store")).expect("lost");
    let snapshots = world.topics().snapshots;
    for partition in 0..PARTITIONS {
        world.broker().delete_records(&snapshots, partition, -1).expect("deleted");
    }
    let refused = world.ringmaster(&["run", "--set", "api.listen=off", "--set", "instance=blue", "--set", &own]);
    assert_eq!(refused.status.code(), Some(8), "{}", told(&refused));
    assert!(told(&refused).contains("no whole snapshot") && told(&refused).contains("ringmaster restore"), "{}", told(&refused));
}
