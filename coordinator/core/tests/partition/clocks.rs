//! The wall clock jumps; nothing is lost, and nothing is forgotten early.

use ringmaster_core::partition::{Happened, Tag, Wish};
use ringmaster_schemas::journal::{Change, JournalRecord, QuarantineReason};

use super::line::{ALPHAS, BEGIN, Line};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Seconds of steady time in which a timeout of 10 s must have been noticed, also while time runs slower to be caught up.
const NOTICED_MS: i64 = 10_700;

#[test]
fn a_clock_that_jumped_and_came_back_holds_no_timer() {
    for ahead in [30 * MINUTE, 2 * HOUR, 10 * DAY] {
        let mut line = Line::owned();
        line.jump(ahead);
        line.start(ALPHAS, "a");
        line.jump(-ahead);
        line.start(ALPHAS, "b");
        line.pass(NOTICED_MS);
        line.look();
        let timed: Vec<_> = line.timed_events().into_iter().map(|(saga, _)| saga.to_string()).collect();
        assert_eq!(timed, ["alpha/a", "alpha/b"], "{ahead} ms ahead");
    }
}

#[test]
fn a_clock_that_jumped_and_came_back_holds_no_timer_behind_a_restart() {
    let mut line = Line::owned();
    line.jump(10 * DAY);
    line.start(ALPHAS, "a");
    line.jump(-10 * DAY);
    line.restart(|_| {});
    line.own();
    line.pass(NOTICED_MS);
    line.look();
    assert_eq!(line.timed_events().len(), 1);
}

#[test]
fn a_clock_that_steps_back_and_stays_behind_holds_no_timer() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.jump(-3 * HOUR);
    line.pass(NOTICED_MS);
    line.look();
    assert_eq!(line.timed_events().len(), 1);
}

#[test]
fn journaled_time_never_falls() {
    let mut line = Line::owned();
    for (number, jump) in [5 * MINUTE, -HOUR, 1, -1, 2 * DAY, -3 * DAY].into_iter().enumerate() {
        line.jump(jump);
        line.pass(3);
        // Stamped by a producer whose clock is right.
        line.start_at(ALPHAS, &format!("a{number}"), BEGIN);
    }
    let times: Vec<i64> = line.records().iter().filter_map(|record| record.stamp()).map(|stamp| stamp.now).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(line.started(), 6);
}

/// While the wall clock is behind, time goes on at nearly its pace, whether records are many or few.
#[test]
fn many_records_do_not_hold_time_up() {
    let mut line = Line::owned();
    line.jump(HOUR);
    line.start(ALPHAS, "first");
    line.jump(-HOUR);
    for number in 0..NOTICED_MS {
        line.pass(1);
        if number % 20 == 0 {
            line.start(ALPHAS, &format!("a{number}"));
        }
    }
    line.look();
    assert!(line.timed_events().iter().any(|(saga, _)| &**saga == "alpha/first"), "{:?}", line.timed_events());
}

#[test]
fn orders_are_taken_while_the_clock_is_ahead_and_behind_that() {
    let mut line = Line::owned();
    line.jump(10 * DAY);
    line.start_at(ALPHAS, "while it is ahead", BEGIN);
    line.jump(-10 * DAY);
    line.start_at(ALPHAS, "when it is back", BEGIN);
    line.restart(|_| {});
    line.own();
    line.start_at(ALPHAS, "behind a restart", BEGIN);
    assert_eq!((line.started(), line.quarantined().len()), (3, 0));
}

/// What is forgotten could run again: a jump forgets nothing, and the next order of that id is still a repeat.
#[test]
fn a_jump_expires_nothing() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.reply("alpha/a", 1, "succeeded", BEGIN);
    line.jump(10 * DAY);
    line.look();
    line.jump(-10 * DAY);
    line.look();
    let expired = line.turns().into_iter().flat_map(|turn| turn.changes);
    let buckets: Vec<i64> =
        expired.filter_map(|change| if let Change::Expired(expired) = change { Some(expired.bucket) } else { None }).collect();
    assert!(buckets.iter().all(|bucket| *bucket < BEGIN / HOUR), "{buckets:?}");
    line.start(ALPHAS, "a");
    assert_eq!((line.started(), line.rejected().len()), (1, 1));
}

/// Rows go when their retention is over, not before and not much later; and an order of that age is not taken again.
#[test]
fn a_repeat_is_known_until_its_row_expires_and_too_old_behind_that() {
    for (hours, times_started) in [(1, 1), (2, 1), (4, 1)] {
        let mut line = Line::owned();
        line.start_at(ALPHAS, "a", BEGIN);
        line.reply("alpha/a", 1, "succeeded", BEGIN);
        line.pass(hours * HOUR);
        line.look();
        line.start_at(ALPHAS, "a", BEGIN);
        assert_eq!(line.started(), times_started, "{hours} h");
        let refused = line.rejected().len() + line.quarantined().len();
        assert_eq!(refused, 1, "{hours} h");
        // The same id in a new event is a new saga once the row has gone.
        line.start(ALPHAS, "a");
        assert_eq!(line.started(), times_started + u64::from(hours == 4), "{hours} h");
    }
}

#[test]
fn an_order_that_is_too_old_is_kept_with_its_bytes() {
    let mut line = Line::owned();
    line.start_at(ALPHAS, "old", BEGIN - 3 * HOUR);
    line.start_at(ALPHAS, "in-seconds", BEGIN / 1000);
    line.start_at(ALPHAS, "young", BEGIN - HOUR);
    line.start_at(ALPHAS, "unstamped", 0);
    let [old, seconds] = &*line.quarantined() else { panic!("{:?}", line.quarantined()) };
    assert_eq!((old.reason, seconds.reason), (QuarantineReason::TooOld, QuarantineReason::TooOld));
    assert!(old.raw.starts_with(br#"{"type":"Asked","id":"old""#));
    assert!(old.detail.contains("may have run already") && !old.detail.contains("seconds"), "{}", old.detail);
    assert!(seconds.detail.contains("looks like seconds"), "{}", seconds.detail);
    assert_eq!(line.started(), 2);
}

/// How far effects were delivered is journaled alone only where no record on its way could say so.
#[test]
fn what_was_delivered_is_told_by_a_record_of_its_own_when_all_is_quiet() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    let sent = line.wishes.iter().find_map(|wish| if let Wish::Send(tag @ Tag::Effect(_)) = wish { Some(*tag) } else { None });
    line.put(ALPHAS, BEGIN, Some("b"), r#"{"type":"Asked","id":"b"}"#);
    line.happens(Happened::PollEnded);
    line.happens(Happened::Acknowledged { sender: 1, tag: sent.expect("a command"), offset: None });
    let journaled = line.journal.len();
    line.pass(5_000);
    line.happens(Happened::PollEnded);
    assert_eq!(line.journal.len(), journaled, "one is on its way");
    line.acknowledge();
    line.poll();
    assert_eq!(line.journal.len(), journaled + 1);
    assert!(matches!(line.records().pop(), Some(JournalRecord::Bare(_))));
    line.pass(5_000);
    line.poll();
    assert_eq!(line.journal.len(), journaled + 1, "once");
}
