//! A service without a ledger: several members share the commands, what one leaves another answers, and the same command has the same answer.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::bus::TestBus;
use common::{REPLIES, START, World, score};
use ringmaster_participants::ledger::NoLedger;
use ringmaster_participants::services::{Fraud, Payment};
use ringmaster_participants::{Participant, Settings, Stop, schemas};
use ringmaster_schemas::Millis;

/// How long a command takes.
const SERVICE_MS: Millis = 20;
const COMMANDS: &str = "fraud.commands";

/// A member and its client.
struct Member {
    participant: Participant<Fraud, NoLedger>,
    bus: TestBus,
}

impl Member {
    /// It is given the first so many partitions of 4.
    fn join(world: &World<Fraud>, given: usize) -> Member {
        let mut bus = TestBus::new(&world.log);
        bus.given = Some(given);
        // As much as Kafka's has.
        bus.poll_max = 1_024;
        let settings = Settings { service_ms: SERVICE_MS, ..Settings::new("fraud", "ringmaster") };
        let mut participant = Participant::new(Fraud::demo(), NoLedger, schemas::demo(), settings).expect("it needs no ledger");
        participant.start(&mut bus).expect("it joins");
        Member { participant, bus }
    }

    /// Turns every 10 ms for so long.
    fn run(&mut self, from: Millis, for_ms: Millis) {
        for at in (from..from + for_ms).step_by(10) {
            self.participant.turn(&mut self.bus, at, Duration::ZERO).expect("nobody is in its way");
        }
    }
}

fn world(orders: u32) -> World<Fraud> {
    let mut world = World::new(Fraud::demo);
    (0..orders).for_each(|order| world.send(&score(&format!("ord-{order}"), "ann", "500.00")));
    world
}

/// How often each key was answered; all alike.
fn answers(world: &mut World<Fraud>) -> BTreeMap<String, u32> {
    let mut answers = BTreeMap::new();
    for answer in world.replies() {
        assert_eq!(answer.result.as_deref(), Some(r#"{"score":5}"#), "orders of the day are not known");
        *answers.entry(answer.key).or_default() += 1;
    }
    answers
}

#[test]
fn the_same_command_has_the_same_answer_and_nothing_is_kept() {
    let mut world = world(3);
    world.send(&score("ord-0", "ann", "500.00").again(2));
    let mut member = Member::join(&world, 4);
    member.run(START, 1_000);
    assert_eq!(answers(&mut world).values().sum::<u32>(), 4);
    assert_eq!(member.participant.counts().repeated, 0, "it does not know that it did");
}

/// One command after the other: so many are answered as there was time for.
#[test]
fn commands_take_their_time_one_after_the_other() {
    let mut world = world(1_000);
    let mut member = Member::join(&world, 4);
    member.run(START, 410);
    assert_eq!(world.replies().len(), 20);
    member.run(START + 410, 21_000);
    assert_eq!(answers(&mut world).len(), 1_000);
    let (committed, all) = world.committed_of();
    assert_eq!((committed, all), (1_000, 1_000));
}

/// However much lies there, a member takes no more than it has answered 5 s later: that is what waits for a session's end if it is killed.
#[test]
fn no_more_is_in_hand_than_soon_is_answered() {
    let world = world(3_000);
    let mut member = Member::join(&world, 4);
    let (mut most, mut least) = (0, u64::MAX);
    for second in 0..30 {
        for tenth in 0..10 {
            member.run(START + second * 1_000 + tenth * 100, 100);
            let answered: usize =
                world.log.borrow().records.iter().filter(|((topic, _), _)| topic == REPLIES).map(|(_, all)| all.len()).sum();
            let in_hand = member.participant.counts().commands - answered as u64;
            most = most.max(in_hand);
            least = if second == 0 { least } else { least.min(in_hand) };
        }
    }
    assert!(most <= 5_000 / SERVICE_MS as u64, "{most} are in hand");
    assert!(least > 0, "it has something to do all the time");
}

/// A member that gives up partitions answers nothing of theirs any more, and who has them then answers all that it had not.
#[test]
fn what_one_member_gives_up_another_answers() {
    let mut world = world(100);
    let mut first = Member::join(&world, 4);
    first.run(START, 1_000);
    let before = world.replies().len();
    assert!((40..=50).contains(&before), "{before}");
    first.bus.revoke(4);
    first.run(START + 1_000, 1_000);
    assert_eq!(world.replies().len(), before, "they are another's");
    let mut second = Member::join(&world, 4);
    second.run(START + 2_000, 3_000);
    let answers = answers(&mut world);
    let twice = answers.values().filter(|count| **count == 2).count();
    assert_eq!(answers.len(), 100);
    assert!(twice <= 25 && answers.values().all(|count| *count <= 2), "those of half a second, until it is committed: {twice}");
    // It is given some again, reads on, and has no commands of before.
    first.bus.assign_all(COMMANDS);
    first.run(START + 5_000, 1_000);
    assert_eq!(world.replies().len(), 100 + twice);
}

#[test]
fn any_number_of_members_is_in_the_group_and_may_have_nothing() {
    let mut world = world(100);
    let (mut some, mut none) = (Member::join(&world, 2), Member::join(&world, 0));
    some.run(START, 3_000);
    none.run(START, 300_000);
    let half = answers(&mut world).len();
    assert!((20..80).contains(&half), "{half}");
    none.bus.given = Some(4);
    none.bus.assign_all(COMMANDS);
    none.run(START + 300_000, 3_000);
    assert_eq!(answers(&mut world).len(), 100);
}

#[test]
fn who_depends_on_what_it_did_cannot_be_without_a_ledger() {
    let stop = Participant::new(Payment::demo(), NoLedger, schemas::demo(), Settings::new("payment", "ringmaster")).err();
    assert!(matches!(stop, Some(Stop::NeedsLedger("payment"))), "{stop:?}");
}
