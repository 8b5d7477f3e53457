//! The store is a disposable view: lost or damaged, it is built again from the journal.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use ringmaster_tests::live::{World, say};

#[test]
fn a_lost_or_damaged_store_is_built_again_from_the_journal() {
    let mut world = World::new("store lost, store damaged");
    let coordinator = world.owner("blue");
    let shop = world.shop();
    shop.order(1_500, 400.0);

    shop.wait_finished(300);
    coordinator.process.freeze();
    shop.wait_stuck();
    let data = coordinator.kill();
    shop.hit("kill -9 and loss of the store");
    std::fs::remove_dir_all(data.join("store")).expect("the store was there");
    let coordinator = world.owner("blue");
    assert!(coordinator.metric("ringmaster_journal_replayed_total") > 0.0, "rebuilt from the journal");

    shop.wait_finished(700);
    world.service("shipping").freeze();
    shop.wait_stuck();
    let data = coordinator.stop();
    shop.hit("an orderly end, then damage of the store");
    world.service("shipping").thaw();
    let damaged = damage(&data.join("store"));
    let coordinator = world.owner("blue");
    assert!(coordinator.metric("ringmaster_journal_replayed_total") > 0.0, "rebuilt from the journal");
    assert!(coordinator.process.said().contains("moved aside"), "it says so");
    let aside = std::fs::read_dir(&data).expect("it is there").flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    assert!(aside.len() > 2, "the damaged store is kept for a look: {aside:?}");
    say(&format!("{damaged} files were damaged; the data directory holds {aside:?}"));
    world.close(shop, coordinator);
}

/// Overwrites the middle of every file that holds rows or the list of files.
fn damage(store: &Path) -> usize {
    let mut damaged = 0;
    for entry in std::fs::read_dir(store).expect("a store is a directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sst") || name.starts_with("MANIFEST") {
            let length = entry.metadata().expect("a file").len();
            let mut file = std::fs::File::options().write(true).open(entry.path()).expect("it can be written");
            file.seek(SeekFrom::Start(length / 2)).expect("there is a middle");
            file.write_all(&[0xa5; 64]).expect("it can be written");
            damaged += 1;
        }
    }
    assert!(damaged > 0, "a store has files");
    damaged
}
