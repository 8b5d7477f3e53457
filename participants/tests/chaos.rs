//! Orders, undos, repeats, crashes and a broken bus at random, by seed: stock never goes below zero, money closes, each effect is
//! there once, and all that was answered stays true. `SEED=n` repeats one run.

mod common;

use std::collections::BTreeMap;

use common::{Command, World, charge, refund, release, reserve};
use ringmaster_bus::SendError;
use ringmaster_participants::books::Endowment;
use ringmaster_participants::services::{Inventory, Payment};
use ringmaster_participants::{Service, Stop};
use ringmaster_schemas::wire::Outcome;

const FAULTS: &[&str] = &[
    "crash_before,share=0.01",
    "crash_after,share=0.01",
    "lose_reply,share=0.05,attempts=1",
    "repeat_reply,share=0.05",
    "delay=700ms,share=0.05",
    "fail=retryable,share=0.05,attempts=1",
];

/// Sends commands in random order with repeats, and does to the service what happens to services.
fn run<S: Service>(world: &mut World<S>, commands: &[Command], random: &mut fastrand::Rng) {
    world.bus.poll_max = random.usize(1..40);
    let mut waiting: Vec<Command> = Vec::new();
    for command in commands {
        for attempt in 1..=random.i32(1..4) {
            let encoding = if random.bool() { command.json() } else { command.clone() };
            waiting.push(encoding.again(attempt));
        }
    }
    random.shuffle(&mut waiting);
    while !waiting.is_empty() {
        for command in waiting.split_off(waiting.len().saturating_sub(random.usize(1..20))) {
            world.send(&command);
        }
        match random.u32(0..30) {
            0 => world.crash(),
            1 => world.bus.doubt(),
            2 => world.bus.send_errors.push_back(SendError::Broken("random".to_owned())),
            3 => world.bus.send_errors.extend(vec![SendError::Full; 3]),
            4 => world.bus.fates.extend([None, Some(SendError::Unknown("random".to_owned()))]),
            _ => {}
        }
        match world.turn() {
            Ok(_) | Err(Stop::ScriptedCrash { .. }) => world.now += random.i64(0..300),
            Err(other) => panic!("{other}"),
        }
    }
    // Whatever the bus forgot is asked for again in the end.
    world.bus.fates.clear();
    world.bus.doubt();
    world.settle();
    for command in commands {
        world.send(&command.again(9));
    }
    world.settle();
}

/// The final answers by key: all must agree, since a final answer is final.
fn answers<S: Service>(world: &mut World<S>) -> BTreeMap<String, (Outcome, Option<String>)> {
    let mut answers = BTreeMap::new();
    for reply in world.replies() {
        if reply.outcome != Outcome::Failed {
            let answer = (reply.outcome, reply.code);
            let known = answers.entry(reply.key.clone()).or_insert_with(|| answer.clone());
            assert_eq!(*known, answer, "{}", reply.key);
        }
    }
    answers
}

fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..60).chain([fastrand::u64(1_000..1_000_000_000)]).collect(),
    }
}

fn each_seed(test: impl Fn(u64, &mut fastrand::Rng)) {
    for seed in seeds() {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(seed, &mut fastrand::Rng::with_seed(seed))));
        assert!(told.is_ok(), "seed {seed}: run it again with SEED={seed} cargo test -p ringmaster-participants --test chaos");
    }
}

#[test]
fn stock_is_never_below_zero_and_every_reservation_is_there_once() {
    each_seed(|seed, random| {
        let stock = || Inventory::new(Endowment { default: 0, listed: [("a".to_owned(), 30), ("b".to_owned(), 12)].into() });
        let mut world = World::with_faults(stock, FAULTS);
        world.faults.seed = seed;
        let mut commands = Vec::new();
        for n in 0..40 {
            let items = [("a", random.i64(1..4)), ("b", random.i64(1..3))];
            commands.push(reserve(&format!("ord-{n}"), &items));
            if random.u32(0..3) == 0 {
                commands.push(release(&format!("ord-{n}"), &items));
            }
        }
        run(&mut world, &commands, random);
        let answers = answers(&mut world);
        assert_eq!(answers.len(), commands.len(), "not all were answered");
        // The audit itself fails where stock went below zero or an effect was applied twice.
        let audit = world.audit();
        let mut left = BTreeMap::from([("a".to_owned(), 30), ("b".to_owned(), 12)]);
        for of in &audit.effects {
            let (outcome, code) = &answers[&of.idempotency_key];
            assert_eq!((outcome.as_str(), code), (of.outcome, &of.code));
            if of.command == "inventory.ReserveStock" {
                let undone = answers.contains_key(&of.idempotency_key.replace("/do", "/undo"));
                assert_eq!(of.done > of.undone, *outcome == Outcome::Succeeded && !undone, "{of:?}");
                for (sku, qty) in of.moved.iter().filter(|_| of.done > of.undone) {
                    *left.get_mut(sku).expect("one of two") -= qty;
                }
            }
        }
        for account in &audit.accounts {
            assert_eq!(account.left, Some(i128::from(left[&account.account])));
        }
    });
}

#[test]
fn money_closes_whatever_happens() {
    each_seed(|seed, random| {
        let mut world = World::with_faults(Payment::demo, FAULTS);
        world.faults.seed = seed;
        let (mut commands, mut expected) = (Vec::new(), 0);
        for n in 0..60 {
            let (order, cents) = (format!("ord-{n}"), random.i64(1..700_000));
            let amount = format!("{}.{:02}", cents / 100, cents % 100);
            commands.push(charge(&order, &amount));
            let undone = random.u32(0..4) == 0;
            if undone {
                commands.push(refund(&order, &amount));
            }
            // The rule of the demo, computed apart from the service: above 5,000.00 is declined.
            expected += if undone || cents > 500_000 { 0 } else { i128::from(cents) };
        }
        run(&mut world, &commands, random);
        assert_eq!(answers(&mut world).len(), commands.len(), "not all were answered");
        assert_eq!(world.net("EUR"), expected);
        let (committed, records) = world.committed_of();
        assert_eq!(committed, records);
    });
}
