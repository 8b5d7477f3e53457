//! The ledger in RocksDB: what it keeps through a killed process, whom it lets in, what it forgets.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::bus::TestBus;
use common::{START, World, charge, refund};
use ringmaster_participants::audit::Audit;
use ringmaster_participants::ledger::{Batch, Ledger, LedgerError, RocksLedger, kind};
use ringmaster_participants::services::{Inventory, Payment};
use ringmaster_participants::{Participant, Settings, Stop, schemas};

const DAY_MS: i64 = 86_400_000;
/// Set in the process that is to be killed.
const VICTIM: &str = "RINGMASTER_TEST_VICTIM";

fn participant(path: &Path) -> Result<Participant<Payment, RocksLedger>, Stop> {
    Participant::new(Payment::demo(), RocksLedger::open(path)?, schemas::demo(), Settings::new("payment", "ringmaster"))
}

/// Runs a service on this ledger over all commands of the world until nothing is left to do.
fn run(world: &World<Payment>, path: &Path) -> Participant<Payment, RocksLedger> {
    let mut bus = TestBus::new(&world.log);
    let mut service = participant(path).unwrap();
    ringmaster_participants::Participant::start(&mut service, &mut bus).unwrap();
    for turn in 0..20 {
        service.turn(&mut bus, START + turn * 600, Duration::ZERO).unwrap();
    }
    service
}

fn audit(path: &Path) -> Audit {
    let audit = Audit::of(&RocksLedger::open_read_only(path).unwrap(), i64::MIN).unwrap();
    assert!(audit.closes(), "{:?}", audit.problems);
    audit
}

fn world() -> World<Payment> {
    let mut world = World::new(Payment::demo);
    for n in 0..50 {
        world.send(&charge(&format!("ord-{n}"), "2.00"));
    }
    world.send(&refund("ord-7", "2.00"));
    world
}

/// A ledger is audited by the service that it belongs to: another one's rules mean nothing to it.
#[test]
fn another_services_ledger_is_not_audited() {
    let folder = tempfile::tempdir().unwrap();
    drop(run(&world(), folder.path()));
    let audit = |program: &str| {
        let output = Command::new(program).args(["audit", "--data"]).arg(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said, errors) = audit(env!("CARGO_BIN_EXE_payment"));
    assert!(code == Some(0) && said.contains("the books close"), "{said}{errors}");
    let (code, said, errors) = audit(env!("CARGO_BIN_EXE_inventory"));
    assert!(code == Some(4) && said.is_empty() && errors.contains("`payment audit`"), "{code:?} {said}{errors}");
}

#[test]
fn what_was_answered_before_the_process_was_killed_is_known_after() {
    if let Ok(path) = std::env::var(VICTIM) {
        let _running = run(&world(), Path::new(&path));
        // As kill -9 does: nothing is closed, flushed or dropped.
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["what_was_answered_before", "--nocapture"]).env(VICTIM, folder.path());
    assert!(!victim.output().unwrap().status.success(), "it was to be killed");
    let before = audit(folder.path());
    assert_eq!((before.effects.len(), before.standing()), (51, 49));
    // All commands come again, as after a crash in front of the commit.
    let service = run(&world(), folder.path());
    assert_eq!((service.counts().repeated, service.counts().done), (51, 0));
    drop(service);
    assert_eq!(audit(folder.path()), before);
}

#[test]
fn a_ledger_belongs_to_one_process_and_one_service_and_can_be_audited_when_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let service = run(&world(), folder.path());
    match participant(folder.path()) {
        Err(Stop::Ledger(LedgerError::Taken { path, .. })) => assert_eq!(path, folder.path().display().to_string()),
        other => panic!("{:?}", other.err()),
    }
    drop(service);
    let foreign = Participant::new(
        Inventory::new(Inventory::demo_stock()),
        RocksLedger::open(folder.path()).unwrap(),
        schemas::demo(),
        Settings::new("inventory", "ringmaster"),
    );
    assert!(matches!(foreign, Err(Stop::Ledger(LedgerError::Foreign { .. }))));
    let found = audit(folder.path());
    assert_eq!(found.service, "payment");
    let text = found.to_string();
    assert!(text.contains("the books close") && text.contains("order-fulfilment/ord-7/charge_payment/undo EUR:200"), "{text}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["accounts"][0]["undone_units"], 200);
}

#[test]
fn a_read_only_look_changes_nothing_and_a_folder_without_a_ledger_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(RocksLedger::open_read_only(&folder.path().join("none")).is_err());
    drop(run(&world(), folder.path()));
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
        files.sort_by_key(std::fs::DirEntry::path);
        files
            .iter()
            .map(|file| (file.path(), file.metadata().unwrap().len()))
            .filter(|(path, _)| !path.ends_with("LOG"))
            .collect::<Vec<_>>()
    };
    let before = files();
    audit(folder.path());
    assert_eq!(files().len(), before.len());
}

#[test]
fn old_entries_leave_the_files_and_young_ones_and_the_books_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world();
    let mut young = charge("ord-young", "3.00");
    young.first_time = START + 10 * DAY_MS;
    world.send(&young);
    let mut service = run(&world, folder.path());
    let mut bus = TestBus::new(&world.log);
    // 31 days after the old ones: remembered 30 days and a margin of one.
    service.turn(&mut bus, START + 31 * DAY_MS + 2, Duration::ZERO).unwrap();
    let ledger = service.into_ledger();
    ledger.compact();
    let found = Audit::of(&ledger, START + 1).unwrap();
    assert!(found.closes(), "{:?}", found.problems);
    assert_eq!(found.effects.iter().map(|of| &*of.idempotency_key).collect::<Vec<_>>(), [young.key]);
    assert_eq!(found.accounts[0].done_units, 50 * 200 + 300);
}

#[test]
fn a_batch_is_whole_and_rows_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = RocksLedger::open(folder.path()).unwrap();
    let mut batch = Batch::default();
    for n in [3u8, 1, 2, 1] {
        batch.put(&[kind::ENTRY[0], kind::ENTRY[1], n], &[n, batch.byte_count() as u8]);
    }
    batch.put(&[9, 9], b"other");
    ledger.write(&batch).unwrap();
    let mut rows = Vec::new();
    ledger
        .scan(&kind::ENTRY, &mut |key, value| {
            rows.push((key[2], value[1]));
            rows.len() < 3
        })
        .unwrap();
    assert_eq!(rows, [(1, 15), (2, 10), (3, 0)]);
    let mut value = b"old".to_vec();
    assert!(!ledger.get(b"none", &mut value).unwrap() && value.is_empty());
    assert!(ledger.get(&[9, 9], &mut value).unwrap() && value == b"other");
}
