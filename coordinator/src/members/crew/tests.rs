//! Crews in virtual time: what is told, what falls, what ends, and what is ordered.

use super::*;

const BOUNDS: Bounds = Bounds { min: 1, max: 4 };

fn wants(members: u32) -> Told {
    Told::Wants(members, "so it is".to_owned())
}

fn at_least(members: u32) -> Told {
    Told::AtLeast(members, "so it is".to_owned())
}

fn unknown() -> Told {
    Told::Unknown("members are not known".to_owned())
}

fn silent() -> Told {
    Told::Silent("nobody answers".to_owned())
}

/// What is told one after the other, how many are to run after each, and what is said of it.
#[test]
fn what_is_told_is_followed_within_bounds_and_silence_changes_nothing() {
    let mut crew = Crew::new(BOUNDS);
    assert_eq!(crew.goal(), 1, "before anything is told");
    for (told, goal, says) in [
        (silent(), 1, Some("1 members as before: nobody answers")),
        (Told::Silent("in another way".to_owned()), 1, None),
        (wants(2), 2, Some("1 -> 2 members: so it is")),
        (wants(2), 2, None),
        (wants(9), 4, Some("2 -> 4 members (9 are wanted, and no more may be): so it is")),
        (wants(12), 4, None),
        (silent(), 4, Some("4 members as before: nobody answers")),
        (silent(), 4, None),
        (unknown(), 4, Some("4 members as before: members are not known")),
        (silent(), 4, Some("4 members as before: nobody answers")),
        (wants(4), 4, Some("4 -> 4 members: so it is")),
        (wants(3), 3, Some("4 -> 3 members: so it is")),
        (unknown(), 3, Some("3 members as before: members are not known")),
        (wants(0), 1, Some("3 -> 1 members (0 are wanted, and no fewer may be): so it is")),
    ] {
        let said = crew.take(told.clone());
        assert_eq!((crew.goal(), said.as_deref()), (goal, says), "{told:?}");
    }
    let mut none = Crew::new(Bounds { min: 0, max: 4 });
    assert_eq!(none.orders(0), []);
    none.take(wants(3));
    none.take(silent());
    assert_eq!(none.goal(), 3);
    none.take(wants(0));
    assert_eq!(none.goal(), 0, "nothing waits for it: that is told");
}

/// In partitions that are left out there may be work: what others say of theirs takes nobody away from it.
#[test]
fn what_some_partitions_say_only_ever_brings_members() {
    let mut crew = Crew::new(BOUNDS);
    for (told, goal, says) in [
        (at_least(0), 1, Some("1 members as before, at least 0 are wanted: so it is")),
        (at_least(2), 2, Some("1 -> 2 members: so it is")),
        (wants(3), 3, Some("2 -> 3 members: so it is")),
        (at_least(1), 3, Some("3 members as before, at least 1 are wanted: so it is")),
        (at_least(2), 3, None),
        (at_least(9), 4, Some("3 -> 4 members (9 are wanted, and no more may be): so it is")),
        (silent(), 4, Some("4 members as before: nobody answers")),
        (at_least(0), 4, Some("4 members as before, at least 0 are wanted: so it is")),
        (wants(1), 1, Some("4 -> 1 members: so it is")),
    ] {
        let said = crew.take(told.clone());
        assert_eq!((crew.goal(), said.as_deref()), (goal, says), "{told:?}");
    }
}

#[test]
fn members_are_started_at_once_and_the_last_ends_first() {
    use Order::{End, Kill, Start};
    let mut crew = Crew::new(BOUNDS);
    assert_eq!(crew.orders(0), [Start(1)]);
    assert_eq!(crew.orders(0), [], "an order is given once");
    crew.take(wants(3));
    assert_eq!(crew.orders(1_000), [Start(2), Start(3)]);
    crew.take(wants(2));
    assert_eq!(crew.orders(2_000), [End(3)]);
    // It is wanted again, and still ends: another one of that number would have its name.
    crew.take(wants(3));
    assert_eq!((crew.orders(3_000), crew.due_ms()), (vec![], Some(22_000)));
    assert_eq!(crew.orders(22_000), [Kill(3)]);
    assert_eq!((crew.orders(60_000), crew.due_ms()), (vec![], None), "it is killed once");
    assert_eq!(crew.ended(3, 60_000), "as it was asked to");
    assert_eq!(crew.orders(60_000), [Start(3)]);
}

/// The first fall costs nothing; whoever falls again and again is started ever later, and never given up.
#[test]
fn a_member_that_falls_is_started_again_at_once_and_then_ever_later() {
    let mut crew = Crew::new(BOUNDS);
    let mut now_ms = 0;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        assert_eq!(crew.orders(now_ms), [Order::Start(1)]);
        now_ms += 100;
        crew.ended(1, now_ms);
        let until_ms = crew.due_ms().expect("it is started again");
        assert!(until_ms <= now_ms || crew.orders(until_ms - 1).is_empty(), "not before");
        pauses.push((until_ms - now_ms) / 1_000);
        now_ms = until_ms;
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    // One that ran well begins anew.
    assert_eq!(crew.orders(now_ms), [Order::Start(1)]);
    assert_eq!(crew.ended(1, now_ms + RAN_WELL_MS), "started again at once");
    assert_eq!(crew.orders(now_ms + RAN_WELL_MS), [Order::Start(1)]);
    assert_eq!(crew.ended(1, now_ms + RAN_WELL_MS + 1), "fell 2 times in a row, started again in 1 s");
}

#[test]
fn one_that_falls_holds_up_no_other_and_one_that_is_not_wanted_any_more_stays_away() {
    let mut crew = Crew::new(BOUNDS);
    crew.take(wants(2));
    crew.orders(0);
    crew.ended(2, 10);
    assert_eq!(crew.orders(10), [Order::Start(2)]);
    crew.ended(2, 20);
    crew.take(wants(4));
    assert_eq!(crew.orders(30), [Order::Start(3), Order::Start(4)]);
    crew.take(wants(1));
    assert_eq!(crew.orders(2_000), [Order::End(3), Order::End(4)], "the one that fell has nothing to end");
    assert_eq!(crew.due_ms(), Some(22_000), "nothing is due of it either");
}

/// One that falls just when it is not wanted any more, or when all end, before it could be asked to.
#[test]
fn nobody_says_that_one_is_started_again_that_is_not() {
    const STAYS_AWAY: &str = "not started again: it is not wanted any more";
    let mut crew = Crew::new(BOUNDS);
    crew.take(wants(3));
    crew.orders(0);
    crew.take(wants(2));
    assert_eq!(crew.ended(3, 10), STAYS_AWAY);
    assert_eq!(crew.ended(2, 10), "started again at once");
    assert_eq!(crew.orders(10), [Order::Start(2)]);
    crew.end();
    assert_eq!(crew.ended(2, 20), STAYS_AWAY);
    assert_eq!(crew.orders(100_000), [Order::End(1)]);
}

#[test]
fn an_end_is_asked_for_once_waited_for_and_hurried() {
    use Order::{End, Kill};
    let mut crew = Crew::new(BOUNDS);
    crew.take(wants(3));
    crew.orders(0);
    crew.ended(2, 1);
    crew.end();
    assert_eq!(crew.orders(10), [End(1), End(3)], "the one that fell is not started again");
    crew.take(wants(4));
    assert_eq!(crew.orders(20), [], "whatever is told");
    crew.ended(1, 30);
    assert!(!crew.is_gone());
    crew.hurry(40);
    assert_eq!(crew.orders(40), [Kill(3)]);
    crew.ended(3, 50);
    assert!(crew.is_gone() && crew.orders(100_000).is_empty() && crew.due_ms().is_none());
}

/// An answer in which the participant is not, or is without a number, is told as it is.
#[test]
fn answers_are_read_for_one_participant() {
    let one = |name: &str, wanted_members| ParticipantScaling {
        participant: name.to_owned(),
        wanted_members,
        reason: "so it is".to_owned(),
        ..ParticipantScaling::default()
    };
    let participants = vec![one("fraud", Some(3)), one("mail", None)];
    let all = AllScaling { participants, ..AllScaling::default() };
    let missing = |partition| Missing { partition, why: "nobody owns it".to_owned() };
    let partial = |missing| Ok(AllScaling { missing, ..all.clone() });
    let says = |told: &str| Told::AtLeast(3, format!("so it is (partition 2 is left out: nobody owns it{told})"));
    assert_eq!(told("fraud", &partial(vec![missing(2)])), says(""));
    assert_eq!(told("fraud", &partial(vec![missing(2), missing(5), missing(6)])), says(", and 2 others"));
    assert_eq!(told("mail", &partial(vec![missing(2)])), Told::Unknown("so it is".to_owned()));
    let answer = Ok(all);
    assert_eq!(told("fraud", &answer), wants(3));
    assert_eq!(told("mail", &answer), Told::Unknown("so it is".to_owned()));
    assert!(matches!(told("frod", &answer), Told::Unknown(why) if why.contains("asks 'frod'") && why.contains("fraud")));
    assert_eq!(told("fraud", &Err("nobody answers".to_owned())), silent());
}
