//! A store against its journal, and back from a backup.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use ringmaster::runtime::StoredRows;
use ringmaster_core::partition::recount;
use ringmaster_demo::orders;
use ringmaster_schemas::json::time::put_timestamp;
use ringmaster_schemas::state::{Batch, Large, RowChange, RowKey, RowKind, Saga, index_keys};
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;
use ringmaster_tests::live::{PARTITIONS, RUN, World, say, until};
use serde_json::Value;

/// Lines of JSON, one a partition.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn results(output: &Output) -> Vec<String> {
    lines(output).iter().map(|line| line["result"].as_str().expect("a text").to_owned()).collect()
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{told}");
    words.iter().for_each(|word| assert!(told.contains(word), "'{word}' in {told}"));
}

/// Changes a stored saga behind everybody's back: so that the store is sound in itself and says something else than the journal, or not even
/// that.
fn tamper(folder: &Path, is_sound: bool) -> String {
    let store = RocksStore::open(folder, PARTITIONS, 32 << 20).expect("nobody has it").store;
    let partition = 3;
    let mut found = None;
    let mut visit = |key: RowKey, row: &[u8]| {
        found = Some((key, row.to_vec()));
        false
    };
    store.rows(partition, RowKind::Saga, &mut visit).expect("readable");
    let (key, row) = found.expect("some saga is there");
    let RowKey::Saga(id) = &key else { panic!("a saga") };
    let mut saga = Saga::decode(id, &row).expect("it is one");
    let places = index_keys(&saga);
    saga.priority += 1;
    let mut checkpoint = store.checkpoint(partition).expect("readable").expect("there");
    let large = || Large { before: false, now: Vec::new() };
    let change = RowChange { key: key.clone(), value: Some(saga.encode()), before: places.clone(), after: places, large: large() };
    let base_offset = checkpoint.journal_offset;
    let write = |checkpoint, rows| store.write(&Batch { partition, base_offset, checkpoint, rows }).expect("written");
    write(checkpoint.clone(), vec![change]);
    if is_sound {
        checkpoint.digest = recount(&StoredRows { store: &store, partition }, checkpoint.expired_bucket).expect("readable").0;
    }
    write(checkpoint, Vec::new());
    store.flush().expect("flushed");
    key.to_string()
}

/// Makes a store say that another record came last.
fn forge(folder: &Path) {
    let store = RocksStore::open(folder, PARTITIONS, 32 << 20).expect("nobody has it").store;
    let partition = 3;
    let mut checkpoint = store.checkpoint(partition).expect("readable").expect("there");
    checkpoint.identity.number += 1;
    let base_offset = checkpoint.journal_offset;
    store.write(&Batch { partition, base_offset, checkpoint, rows: Vec::new() }).expect("written");
    store.flush().expect("flushed");
}

#[test]
fn a_store_is_what_its_journal_says_and_comes_back_from_a_backup() {
    let mut world = World::new("replayed");
    let blue = world.owner("blue");
    let shop = world.shop();
    shop.order(1_200, 300.0);
    shop.wait_finished(500);
    // While it runs, as of its last flush.
    let own = format!("data_dir={}", blue.data.display());
    let ringmaster = |world: &World, arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--set", &own]);
        world.ringmaster(&all)
    };
    let live = ringmaster(&world, &["replay", "journal", "--json"]);
    assert_eq!(live.status.code(), Some(0), "{}", String::from_utf8_lossy(&live.stderr));
    assert_eq!(lines(&live).len(), PARTITIONS as usize);
    let backup = world.folder().join("monday");
    let monday = backup.display().to_string();
    // Before the first flush there is nothing to copy.
    let mut made = None;
    until("something is flushed", || {
        let tried = ringmaster(&world, &["backup", &monday]);
        let code = tried.status.code();
        made = Some(tried);
        code != Some(9)
    });
    let made = made.expect("it was tried");
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    refused(&ringmaster(&world, &["backup", &monday]), 4, &["is there already"]);
    shop.wait_finished(900);
    let data = blue.stop();
    let store = data.join("store");
    let same = ringmaster(&world, &["replay", "journal", "--json"]);
    assert_eq!(results(&same), vec!["same"; PARTITIONS as usize], "{}", String::from_utf8_lossy(&same.stderr));
    // From the backup on it is the same, and a part of the journal is no more than a part.
    let from = ringmaster(&world, &["replay", "journal", "--json", "--from", &monday]);
    assert_eq!(results(&from), vec!["same"; PARTITIONS as usize], "{}", String::from_utf8_lossy(&from.stderr));
    assert!(lines(&from).iter().any(|line| line["from"].as_i64() > Some(0)));
    // What it begins with must be of this journal.
    let tuesday = world.folder().join("tuesday");
    assert!(ringmaster(&world, &["backup", &tuesday.display().to_string()]).status.success());
    forge(&tuesday.join("store"));
    let forged = ringmaster(&world, &["replay", "journal", "--partition", "3", "--from", &tuesday.display().to_string()]);
    refused(&forged, 8, &["another journal"]);
    let into = world.folder().join("then").display().to_string();
    let part = ringmaster(&world, &["replay", "journal", "--json", "--partition", "2", "--until", "3", "--into", &into]);
    assert_eq!((results(&part), lines(&part)[0]["to"].as_i64()), (vec!["not compared".to_owned()], Some(3)));
    let of_then = ringmaster(&world, &["replay", "journal", "--json", "--partition", "2", "--store", &into]);
    assert_eq!(results(&of_then), ["same"]);
    restore(&world, &data, &backup, &ringmaster);
    let blue = world.owner("blue");
    world.close(shop, blue);
    // What differs is named, and is no reason to believe the store.
    let saga = tamper(&store, true);
    let different = ringmaster(&world, &["replay", "journal", "--json"]);
    assert_eq!(different.status.code(), Some(1));
    let differences: Vec<Value> = lines(&different).into_iter().filter(|line| line["result"] == "different").collect();
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0]["differences"].as_array().is_some_and(|all| all.len() == 1 && all[0]["key"] == saga.as_str()));
    let told = String::from_utf8_lossy(&ringmaster(&world, &["replay", "journal"]).stdout).into_owned();
    assert!(told.contains(&saga) && told.contains("is different: 1 rows") && told.contains("is the same"), "{told}");
    say("  one changed row of one saga was named");
    // What is not even what its checkpoint says is the store's fault, and not the journal's.
    tamper(&store, false);
    let unsound = ringmaster(&world, &["replay", "journal", "--partition", "3"]);
    refused(&unsound, 1, &["the stored rows are not those", "Move its folder away"]);
    restore_over_another_journal(&world, &data, (&tuesday, &backup));
}

/// Puts a backup in the place of the store; what does not fit changes nothing.
fn restore(world: &World, data: &Path, backup: &Path, ringmaster: &dyn Fn(&World, &[&str]) -> Output) {
    let (monday, store, manifest) = (backup.display().to_string(), data.join("store"), backup.join("MANIFEST.json"));
    refused(&ringmaster(world, &["restore", &monday]), 4, &["is there", "move that folder away"]);
    std::fs::rename(&store, data.join("moved")).expect("moved");
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    let spoil = |from: &str, to: &str| std::fs::write(&manifest, text.replacen(from, to, 1)).expect("written");
    // The first partition is further then than its journal, as if that had lost its tail.
    spoil("\"offset\": ", "\"offset\": 9");
    let (spoiled, journal) = (9 * 10_i64.pow(offset(&text, 0).to_string().len() as u32) + offset(&text, 0), world.topics().journal);
    let stands = format!("{monday} cannot be restored: partition 0 stands at offset {spoiled}, and {journal} ends at ");
    let words = [&stands, "it lost its tail since", "Take a backup that is older", "a start rebuilds the store from the journal"];
    refused(&ringmaster(world, &["restore", &monday]), 4, &words);
    spoil("\"digest\": \"", "\"digest\": \"0");
    refused(&ringmaster(world, &["restore", &monday]), 4, &["cannot be restored", "not what its manifest says"]);
    spoil("\"journal\": \"", "\"journal\": \"0");
    refused(&ringmaster(world, &["restore", &monday]), 4, &["another journal topic"]);
    spoil("\"partitions\": 8", "\"partitions\": 9");
    refused(&ringmaster(world, &["restore", &monday]), 4, &["9 partitions"]);
    std::fs::write(&manifest, "{}").expect("written");
    refused(&ringmaster(world, &["restore", &monday]), 4, &["cannot be restored"]);
    assert!(!store.exists(), "nothing was put there");
    std::fs::write(&manifest, text).expect("written");
    let restored = ringmaster(world, &["restore", &monday]);
    assert_eq!(restored.status.code(), Some(0), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(store.exists());
}

/// Where a partition stands, by a manifest.
fn offset(manifest: &str, partition: usize) -> i64 {
    let manifest: Value = serde_json::from_str(manifest).expect("JSON");
    manifest["states"][partition]["offset"].as_i64().expect("a number")
}

/// A journal that is not the one that a backup was made by, or does not reach back to it: nothing is put in the store's place.
fn restore_over_another_journal(world: &World, data: &Path, (forged, monday): (&Path, &Path)) {
    let (store, kept) = (data.join("store"), data.join("kept"));
    std::fs::rename(&store, &kept).expect("moved");
    let own = format!("data_dir={}", data.display());
    let restore = |backup: &Path| world.ringmaster(&["restore", &backup.display().to_string(), "--set", &own]);
    // A backup that is whole, of a store that ended with another record than the journal has there: that lost its tail, and grew again.
    let (other, of_forged) = (world.folder().join("other"), format!("data_dir={}", forged.display()));
    let made = world.ringmaster(&["backup", &other.display().to_string(), "--set", &of_forged]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let at = offset(&std::fs::read_to_string(other.join("MANIFEST.json")).expect("a manifest"), 3);
    let journal = world.topics().journal;
    let stands = format!("{} cannot be restored: partition 3 stands at offset {at}, and what {journal} holds", other.display());
    let words = [&stands, "another record", "lost its tail since, and grew again", "Take a backup from before that"];
    refused(&restore(&other), 4, &words);
    // The record before the backup's offset was deleted with all before it: nothing says any more that this is its journal.
    let at = offset(&std::fs::read_to_string(monday.join("MANIFEST.json")).expect("a manifest"), 5);
    world.broker().delete_records(&journal, 5, at).expect("deleted");
    let stands =
        format!("{} cannot be restored: partition 5 stands at offset {at}, and {journal} begins at {at}", monday.display());
    let words = [&stands, "what came between is deleted", "Take a backup that is newer", "a start makes the store of snapshots"];
    refused(&restore(monday), 4, &words);
    assert!(!store.exists(), "nothing was put there");
    std::fs::rename(&kept, &store).expect("moved back");
}

/// Orders of before a moment, and of after it: a journal replayed to that moment has the first, and no other. The services are nobody.
#[test]
fn a_journal_is_replayed_up_to_a_moment() {
    let world = World::bare("replayed to a moment");
    world.apply_topics();
    let coordinator = world.owner("blue");
    let id = |number| format!("{}/{}", orders::SAGA, orders::key(RUN, number));
    let place = |numbers: std::ops::Range<u64>| {
        world.place("none", numbers.clone());
        until("they are known", || numbers.clone().all(|number| coordinator.saga(&id(number)).is_some()));
    };
    place(0..10);
    let moment = now();
    until("the moment is over", || now() > moment + 100);
    place(10..16);
    let data = coordinator.stop();
    let (then, own) = (world.folder().join("then"), format!("data_dir={}", data.display()));
    let (until_then, into) = (rfc_3339(moment), then.join("store").display().to_string());
    let all = ["replay", "journal", "--json", "--set", &own];
    let replayed = world.ringmaster(&[&all[..], &["--until", &until_then, "--into", &into]].concat());
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    let sagas: i64 = lines(&replayed).iter().filter_map(|line| line["sagas"].as_i64()).sum();
    assert_eq!((sagas, lines(&replayed).len()), (10, PARTITIONS as usize));
    let found: BTreeSet<String> = world.rows(&then).into_iter().collect();
    assert_eq!(found, (0..10).map(id).collect());
    // What was rebuilt is compared where it ends, and is what the journal says up to there.
    let of_then = world.ringmaster(&[&all[..], &["--store", &into]].concat());
    assert_eq!(results(&of_then), vec!["same"; PARTITIONS as usize], "{}", String::from_utf8_lossy(&of_then.stderr));
    // Before all of it there is nothing, and behind all of it everything.
    for (moment, count) in [(moment - 3_600_000, 0), (now() + 3_600_000, 16)] {
        let into = world.folder().join(format!("with-{count}")).display().to_string();
        let replayed = world.ringmaster(&[&all[..], &["--until", &rfc_3339(moment), "--into", &into]].concat());
        let sagas: i64 = lines(&replayed).iter().filter_map(|line| line["sagas"].as_i64()).sum();
        assert_eq!((replayed.status.code(), sagas), (Some(0), count), "{}", String::from_utf8_lossy(&replayed.stderr));
    }
    say("  10 of 16 orders were there at a moment in between");
}

fn now() -> i64 {
    ringmaster_bus::clock::now().wall
}

/// As it stands on a command line.
fn rfc_3339(at: i64) -> String {
    let mut text = String::new();
    put_timestamp(at * 1_000, &mut text);
    text
}
