//! What a participant survives: crashes at every point, a broker that refuses, forgets and doubts, and another member in its group.

mod common;

use common::{Command, START, World, charge, refund};
use ringmaster_bus::SendError;
use ringmaster_participants::services::Payment;
use ringmaster_participants::{SCRIPTED, Stop};
use ringmaster_schemas::wire::Outcome;

fn payment() -> World<Payment> {
    World::new(Payment::demo)
}

/// A mix of everything: done, done and undone, declined, undone before, repeats.
fn script() -> Vec<Command> {
    let mut commands = Vec::new();
    for n in 0..6 {
        let order = format!("ord-{n}");
        let amount = if n == 3 { "6000.00" } else { "10.00" };
        if n == 4 {
            commands.push(refund(&order, amount));
        }
        commands.push(charge(&order, amount));
        commands.push(charge(&order, amount).again(2));
        if n == 2 || n == 3 {
            commands.push(refund(&order, amount));
        }
    }
    commands
}

/// What the script must come to, whatever happened: orders 0, 1 and 5 are charged, 2 is charged and refunded, 3 is declined, 4 was
/// undone before.
fn check(world: &mut World<Payment>, place: &str) {
    let answered: Vec<_> = script().iter().map(|command| (command.key.clone(), command.attempt)).collect();
    let replies = world.replies();
    for (key, attempt) in answered {
        let to_it: Vec<_> = replies.iter().filter(|reply| reply.key == key && reply.attempt == attempt).collect();
        assert!(!to_it.is_empty(), "{place}: {key} attempt {attempt} was never answered");
        let outcomes = replies.iter().filter(|reply| reply.key == key && reply.outcome != Outcome::Failed);
        let mut different: Vec<_> = outcomes.map(|reply| (reply.outcome, &reply.code, &reply.result)).collect();
        different.dedup();
        assert_eq!(different.len(), 1, "{place}: {key} was answered differently");
    }
    let effects: Vec<_> = (0..6).map(|n| world.effect(&charge(&format!("ord-{n}"), "0").key).unwrap().effect).collect();
    assert_eq!(effects, ["done", "done", "undone", "nothing", "undone_before", "done"], "{place}");
    assert_eq!(world.net("EUR"), 3_000, "{place}");
    let (committed, records) = world.committed_of();
    assert_eq!(committed, records, "{place}: not all is committed");
}

#[test]
fn a_crash_after_any_number_of_turns_does_each_effect_once() {
    for poll_max in [1, 3, 100] {
        for turns in 0..12 {
            for second in 0..3 {
                let mut world = payment();
                world.bus.poll_max = poll_max;
                for command in script() {
                    world.send(&command);
                }
                for turns in [turns, second] {
                    for _ in 0..turns {
                        world.turn().unwrap();
                        world.now += 170;
                    }
                    world.crash();
                }
                world.settle();
                check(&mut world, &format!("crash after {turns} and {second} turns of {poll_max}"));
            }
        }
    }
}

#[test]
fn a_scripted_crash_before_or_after_the_effect_of_any_command_does_each_effect_once() {
    for what in ["crash_before", "crash_after"] {
        for command in script() {
            for poll_max in [1, 4, 100] {
                let mut world = World::with_faults(Payment::demo, &[&format!("{what},keys={}", command.key)]);
                world.bus.poll_max = poll_max;
                for command in script() {
                    world.send(&command);
                }
                let mut crashes = 0;
                for _ in 0..200 {
                    match world.turn() {
                        Err(Stop::ScriptedCrash { effect_stored }) => {
                            assert_eq!(effect_stored, what == "crash_after");
                            assert!(what == "crash_before" || world.has_entry(&command.key));
                            crashes += 1;
                        }
                        other => drop(other.unwrap()),
                    }
                    world.now += 100;
                }
                assert_eq!(crashes, 1, "{what} at {}", command.key);
                check(&mut world, &format!("{what} at {} by {poll_max}", command.key));
            }
        }
    }
}

#[test]
fn replies_lost_repeated_and_delayed() {
    let faults = ["lose_reply,keys=*/ord-0/*,attempts=1", "repeat_reply,keys=*/ord-1/*", "delay=5s,keys=*/ord-5/*"];
    let mut world = World::with_faults(Payment::demo, &faults);
    for n in [0, 1, 5] {
        world.send(&charge(&format!("ord-{n}"), "10.00"));
    }
    for _ in 0..5 {
        world.turn().unwrap();
        world.now += 100;
    }
    let count = |world: &mut World<Payment>, n: i32| world.replies_to(&charge(&format!("ord-{n}"), "0").key).len();
    assert_eq!([0, 1, 5].map(|n| count(&mut world, n)), [0, 2, 0]);
    assert_eq!(world.participant().reply_counts().sent, 2);
    world.now += 5_000;
    world.settle();
    assert_eq!([0, 1, 5].map(|n| count(&mut world, n)), [0, 2, 1]);
    // The coordinator asks again for the lost one.
    world.send(&charge("ord-0", "10.00").again(2));
    world.settle();
    assert_eq!(count(&mut world, 0), 1);
    assert_eq!(world.net("EUR"), 3_000);
    assert_eq!(world.committed_of(), (4, 4));
}

#[test]
fn a_delayed_reply_holds_the_commit_back_so_that_a_crash_still_answers() {
    let mut world = World::with_faults(Payment::demo, &["delay=60s"]);
    world.send(&charge("ord-0", "10.00"));
    for _ in 0..20 {
        world.turn().unwrap();
        world.now += 1_000;
    }
    assert_eq!(world.committed_of(), (0, 1));
    world.crash();
    world.faults.list.clear();
    world.settle();
    assert_eq!(world.replies().len(), 1);
    assert_eq!(world.net("EUR"), 1_000);
}

#[test]
fn scripted_failures_do_nothing_and_the_next_attempt_gets_through() {
    let mut world =
        World::with_faults(Payment::demo, &["fail=retryable,attempts=2", "fail=final,keys=*/ord-9/*", "refuse=NO,keys=*/ord-8/*"]);
    for attempt in 1..=3 {
        world.send(&charge("ord-1", "10.00").again(attempt));
        world.settle();
    }
    let outcomes: Vec<_> =
        world.replies_to(&charge("ord-1", "0").key).iter().map(|reply| (reply.outcome, reply.retryable)).collect();
    assert_eq!(outcomes, [(Outcome::Failed, true), (Outcome::Failed, true), (Outcome::Succeeded, false)]);
    world.send(&charge("ord-9", "10.00").again(3));
    world.send(&charge("ord-8", "10.00").again(3));
    world.settle();
    let last = world.only_reply_to(&charge("ord-9", "0").key);
    assert_eq!((last.outcome, last.code.as_deref(), last.retryable), (Outcome::Failed, Some(SCRIPTED), false));
    assert_eq!(world.only_reply_to(&charge("ord-8", "0").key).code.as_deref(), Some("NO"));
    assert_eq!(world.net("EUR"), 1_000);
}

#[test]
fn down_reads_nothing_for_so_long() {
    let mut world = World::with_faults(Payment::demo, &["down=10s,after=2s"]);
    world.turn().unwrap();
    world.now = START + 2_000;
    world.send(&charge("ord-1", "10.00"));
    for _ in 0..9 {
        assert_eq!(world.turn().unwrap().commands, 0);
        world.now += 1_000;
    }
    world.now = START + 12_000;
    assert_eq!(world.turn().unwrap().commands, 1);
}

#[test]
fn a_bus_that_refuses_forgets_or_doubts_gets_every_reply_in_the_end_and_no_commit_too_early() {
    let full = || SendError::Full;
    let unknown = || SendError::Unknown("timed out".to_owned());
    let broken = || SendError::Broken("fatal".to_owned());
    let refused = || SendError::Refused("not the leader".to_owned());
    let errors: [Vec<SendError>; 5] = [
        vec![full(); 7],
        vec![unknown(), unknown()],
        vec![broken()],
        vec![refused(), refused(), full()],
        vec![broken(), broken(), full(), broken()],
    ];
    for (case, errors) in errors.into_iter().enumerate() {
        let mut world = payment();
        for command in script() {
            world.send(&command);
        }
        world.bus.send_errors = errors.into();
        world.settle();
        check(&mut world, &format!("send errors, case {case}"));
    }
    for (case, fates) in
        [vec![Some(unknown()); 4], vec![Some(broken())], vec![None; 5], vec![None, Some(broken()), None]].into_iter().enumerate()
    {
        let mut world = payment();
        for command in script() {
            world.send(&command);
        }
        world.bus.fates = fates.clone().into();
        for _ in 0..20 {
            world.turn().unwrap();
            world.now += 1_000;
        }
        if fates.contains(&None) && !fates.contains(&Some(broken())) {
            let (committed, records) = world.committed_of();
            assert!(committed < records, "case {case}: committed behind a reply that nobody acknowledged");
            world.bus.doubt();
        }
        world.settle();
        check(&mut world, &format!("fates, case {case}"));
    }
}

#[test]
fn replies_that_no_topic_takes_are_given_up_and_stop_nothing() {
    let mut world = payment();
    let mut lost = charge("ord-1", "10.00");
    lost.reply_to = "nobody.listens".to_owned();
    world.send(&lost);
    let mut far = charge("ord-2", "10.00");
    far.reply_partition = 77;
    world.send(&far);
    let mut negative = charge("ord-3", "10.00");
    negative.reply_partition = -1;
    world.send(&negative);
    world.send(&charge("ord-1", "10.00").again(2));
    world.bus.send_errors = [SendError::TooBig("2 MB".to_owned())].into();
    world.settle();
    let counts = world.participant().reply_counts();
    assert!(counts.undeliverable >= 3, "{counts:?}");
    assert_eq!(world.committed_of(), (4, 4));
    assert_eq!(world.net("EUR"), 3_000);
}

#[test]
fn a_flood_of_reply_topics_is_bounded() {
    let mut world = payment();
    for n in 0..200 {
        let mut command = charge(&format!("ord-{n}"), "1.00");
        command.reply_to = format!("topic-{n}");
        world.send(&command);
    }
    world.send(&charge("ord-0", "1.00").again(2));
    world.settle();
    assert_eq!(world.committed_of(), (201, 201));
    assert_eq!(world.net("EUR"), 20_000);
}

#[test]
fn replies_in_flight_are_bounded_and_reading_goes_on_when_they_are_answered() {
    let mut world = payment();
    world.bus.poll_max = 5_000;
    let count = 80_000;
    for n in 0..count {
        world.send(&charge(&format!("ord-{n}"), "0.01"));
    }
    world.bus.fates = vec![None; 200_000].into();
    let mut most = 0;
    for _ in 0..40 {
        most = most.max(world.turn().unwrap().in_flight);
        world.now += 10;
    }
    assert!((65_536..65_536 + 5_000).contains(&most), "{most}");
    assert_eq!(world.turn().unwrap().commands, 0);
    world.bus.fates.clear();
    world.bus.doubt();
    world.settle();
    assert_eq!(world.net("EUR"), count);
    assert_eq!(world.replies().len() as i128, count);
}

/// Retries, new senders, delays and commits come as soon as without a jump.
#[test]
fn a_wall_clock_that_is_set_makes_no_wait_longer() {
    let after = |jump: i64| {
        let mut world = World::with_faults(Payment::demo, &["delay=700ms,keys=*/ord-1/*"]);
        for n in 0..20 {
            world.send(&charge(&format!("ord-{n}"), "1.00"));
        }
        world.turn().unwrap();
        world.bus.doubt();
        world.jump = jump;
        world.settle();
        assert_eq!((world.net("EUR"), world.replies().len()), (2_000, 20), "after a jump of {jump} ms");
        assert_eq!(world.committed_of().0, 20, "after a jump of {jump} ms");
        world.now - START
    };
    let without = after(0);
    for jump in [-2 * 3_600_000, 10 * 86_400_000, -START - 1] {
        assert_eq!(after(jump), without, "after a jump of {jump} ms");
    }
}

#[test]
fn a_ledger_that_cannot_write_stops_the_service_before_anything_is_answered() {
    let mut world = payment();
    world.turn().unwrap();
    world.send(&charge("ord-1", "10.00"));
    world.ledger.fail_writes(true);
    assert!(matches!(world.turn(), Err(Stop::Ledger(_))));
    assert_eq!(world.replies(), []);
    world.settle();
    assert_eq!((world.replies().len(), world.net("EUR")), (1, 1_000));
}

#[test]
fn another_member_in_the_group_stops_a_service() {
    for given in [0, 1, 3] {
        let mut world = payment();
        world.bus.given = Some(given);
        // The command is in partition 0, which is given first.
        world.log.borrow_mut().partitions.insert("payment.commands".to_owned(), 1);
        world.send(&charge("ord-1", "10.00"));
        world.log.borrow_mut().partitions.insert("payment.commands".to_owned(), 4);
        assert!(matches!(world.turn(), Err(Stop::AnotherMember { assigned, partitions: 4, .. }) if assigned == given));
        assert_eq!(world.replies(), [], "nothing is answered beside another member");
        assert!(!world.has_entry(&charge("ord-1", "0").key), "nor done");
    }
    let mut world = payment();
    world.turn().unwrap();
    world.bus.revoke(2);
    let stop = world.turn().unwrap_err();
    assert!(stop.to_string().contains("another member is in the group ringmaster.participant.payment"), "{stop}");
}

#[test]
fn partitions_that_were_lost_and_given_back_are_read_on_from_what_is_committed() {
    let mut world = payment();
    for command in script() {
        world.send(&command);
    }
    world.bus.poll_max = 3;
    world.turn().unwrap();
    world.bus.revoke(4);
    for _ in 0..100 {
        world.turn().unwrap();
        world.now += 1_000;
    }
    world.bus.assign_all("payment.commands");
    world.settle();
    check(&mut world, "revoked and assigned again");
    world.bus.revoke(4);
    world.turn().unwrap();
    world.now += 121_000;
    assert!(matches!(world.turn(), Err(Stop::Abandoned { .. })));
}

#[test]
fn more_partitions_than_at_the_start_stop_a_service_that_then_starts_again() {
    let mut world = payment();
    world.turn().unwrap();
    world.log.borrow_mut().partitions.insert("payment.commands".to_owned(), 6);
    world.bus.assign_all("payment.commands");
    assert!(matches!(world.turn(), Err(Stop::Repartitioned(_))));
    world.send(&charge("ord-1", "10.00"));
    world.settle();
    assert_eq!((world.replies().len(), world.net("EUR")), (1, 1_000));
}

#[test]
fn without_its_topic_a_service_says_what_to_do() {
    let mut world = payment();
    world.log.borrow_mut().partitions.remove("payment.commands");
    let stop = world.turn().unwrap_err();
    assert_eq!(stop.to_string(), "the topic payment.commands does not exist: `ringmaster topics apply` makes it");
}
