//! What is due, and when: answers before timers, and nothing later than it must be.

use ringmaster_core::partition::{Happened, Refusal, StageName, Tag, Why, Wish};
use ringmaster_schemas::journal::SagaEvent;

use super::line::{ALPHAS, BEGIN, BETAS, Line, REPLIES, without};

const TIMEOUT_MS: i64 = 10_100;

const ALPHA_ON_BETAS: &str = "
saga: alpha
start: { on: Asked, from: betas, key: event.id }
steps:
  - { step: task, do: worker.Work, with: { id: key }, undo: nothing }
";

fn retried(line: &Line) -> usize {
    line.timed_events().iter().filter(|(_, event)| matches!(event, SagaEvent::CommandRepeated { .. })).count()
}

fn timed_out(line: &Line) -> usize {
    line.timed_events().iter().filter(|(_, event)| matches!(event, SagaEvent::RetryScheduled { .. })).count()
}

/// A junk reply from the future, from now, and from just then says nothing of what is unread behind it.
#[test]
fn a_stamp_fires_no_timer_before_unread_answers() {
    for stamp in [BEGIN + 3_000_000, BEGIN + TIMEOUT_MS, BEGIN + TIMEOUT_MS - 50, i64::MAX] {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.pass(TIMEOUT_MS);
        line.put(REPLIES, stamp, None, "junk");
        line.poll();
        // One more record is in the topic: the answer.
        line.answer(1);
        line.poll();
        assert_eq!(line.timed_events(), [], "stamp {stamp}");
        line.reply("alpha/a", 1, "succeeded", BEGIN + 5_000);
        line.look();
        assert_eq!(line.timed_events(), [], "stamp {stamp}");
    }
}

/// The question was asked before the timer's tick ended, and answered behind it: what came between is not known.
#[test]
fn a_look_counts_from_when_it_was_asked() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.pass(1_000);
    line.start(ALPHAS, "b");
    line.pass(9_100);
    line.poll();
    // Asked for a's sake; b is due a second later, and the answer takes two.
    line.pass(2_000);
    line.answer(0);
    line.poll();
    let timed: Vec<_> = line.timed_events().into_iter().map(|(saga, _)| saga.to_string()).collect();
    assert_eq!(timed, ["alpha/a"]);
    line.look();
    assert_eq!(timed_out(&line), 2);
}

/// Two are due within one tick, and the look was at the end of that tick: both are fired.
#[test]
fn a_tick_fires_to_its_end() {
    let mut line = Line::owned();
    let start_of_tick = (BEGIN + 16).div_euclid(16) * 16 - BEGIN;
    line.pass(start_of_tick);
    line.start(ALPHAS, "a");
    line.pass(15);
    line.start(ALPHAS, "b");
    line.pass(10_001);
    line.look();
    assert_eq!(timed_out(&line), 2);
}

#[test]
fn a_due_time_that_moves_earlier_is_met() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.pass(1_000);
    line.reply("alpha/a", 1, "failed", BEGIN + 1_000);
    // The retry is due in 200 ms and some, the attempt's timeout would have been in 9 s.
    line.pass(300);
    line.look();
    assert_eq!(retried(&line), 1);
}

/// A saga that got its answer has a place in the wheel still; it asks for no look at the inputs.
#[test]
fn what_is_due_no_more_asks_for_nothing() {
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    line.reply("alpha/a", 1, "succeeded", BEGIN);
    line.pass(TIMEOUT_MS);
    line.wishes.clear();
    line.poll();
    assert!(!line.wishes.iter().any(|wish| matches!(wish, Wish::AskInput(_))), "{:?}", line.wishes);
}

/// `betas` cannot be read: nothing answers for it. It holds beta's timers alone; replies hold everybody's.
#[test]
fn an_input_that_cannot_be_read_holds_only_its_own_timers() {
    let mut line = Line::owned();
    line.start(BETAS, "b");
    line.start(ALPHAS, "a");
    line.pass(TIMEOUT_MS);
    line.poll();
    line.wishes.retain(|wish| *wish != Wish::AskInput(BETAS));
    line.answer(0);
    line.poll();
    let timed: Vec<_> = line.timed_events().into_iter().map(|(saga, _)| saga.to_string()).collect();
    assert_eq!(timed, ["alpha/a"]);
    // While it waits for a look, nothing is gained by turning in circles.
    let wait = line.partition.idle(line.clocks.wall, line.clocks.steady).as_millis();
    assert!(wait > 100, "{wait}");
    line.happens(Happened::InputBounds { index: BETAS, start: 0, end: 1 });
    line.poll();
    assert_eq!(timed_out(&line), 2);
}

#[test]
fn replies_that_cannot_be_read_hold_every_timer() {
    let mut line = Line::owned();
    line.start(BETAS, "b");
    line.start(ALPHAS, "a");
    line.pass(TIMEOUT_MS);
    line.poll();
    line.wishes.retain(|wish| *wish != Wish::AskInput(REPLIES));
    line.answer(0);
    line.poll();
    assert_eq!(timed_out(&line), 0);
}

/// The same end, whoever finds out: a timer or a reply.
#[test]
fn a_definition_that_is_missing_is_corruption_for_timers_and_replies() {
    for by_timer in [true, false] {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        line.catalog = Default::default();
        if by_timer {
            line.pass(TIMEOUT_MS);
            line.look();
        } else {
            line.reply("alpha/a", 1, "refused", BEGIN);
        }
        assert!(matches!(line.stopped(), Some(Why::Corrupt { .. })), "{by_timer}: {:?}", line.stopped());
        assert_eq!(line.stage(), StageName::Stopped);
    }
}

/// What a topic refused is tried again every ten seconds, once each time, until it goes.
#[test]
fn what_was_refused_is_tried_again_now_and_then() {
    let tries = |line: &mut Line| {
        line.wishes.clear();
        line.poll();
        line.wishes.iter().filter(|wish| matches!(wish, Wish::Send(Tag::Undeliverable(_)))).count()
    };
    let mut line = Line::owned();
    line.start(ALPHAS, "a");
    let sent = line.wishes.iter().find_map(|wish| if let Wish::Send(tag @ Tag::Effect(_)) = wish { Some(*tag) } else { None });
    let refused = Refusal::Permanent("no such topic".into());
    line.happens(Happened::Failed { sender: 1, tag: sent.expect("a command"), why: &refused });
    assert_eq!(tries(&mut line), 0, "not at once");
    for _ in 0..3 {
        line.pass(9_900);
        assert_eq!(tries(&mut line), 0, "not before its time");
        line.pass(200);
        assert_eq!((tries(&mut line), tries(&mut line)), (1, 0), "once");
    }
    line.restart(|_| {});
    line.own();
    assert_eq!(tries(&mut line), 0, "whoever replays it does not hurry either");
    line.pass(10_000);
    assert_eq!(tries(&mut line), 1);
}

/// A version that starts on another topic is deployed while the partition lives: answers may come from there as well.
#[test]
fn what_a_new_version_listens_to_is_waited_for() {
    for deployed in [false, true] {
        let mut line = Line::owned();
        line.start(ALPHAS, "a");
        if deployed {
            line.deploy(ALPHA_ON_BETAS);
        }
        line.reply("alpha/a", 1, "failed", BEGIN);
        line.pass(300);
        line.poll();
        let asked = line.wishes.contains(&Wish::AskInput(BETAS));
        assert_eq!(asked, deployed);
    }
}

/// Two steps side by side, of which the second's time is over while the look at the inputs for the first one's is out.
const TWO: &str = "
saga: alpha
start: { on: Asked, from: alphas, key: event.id }
steps:
  - step: both
    parallel:
      one: [ { step: slow, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 10s } ]
      two: [ { step: task, do: worker.Work, with: { id: key }, undo: worker.Rest, timeout: 12s } ]
";

/// Rule 11, for all that a turn takes: what became due later waits until its own answers are read, too.
#[test]
fn what_is_due_beside_an_older_timer_has_its_answer_read_too() {
    let attack = || {
        let mut line = Line::of(TWO, |_| {});
        line.start(ALPHAS, "a");
        line.deliver();
        line.pass(10_100);
        line.poll();
        // The log's end as of then is told late. The second one's answer came meanwhile, in time, and is not read.
        line.pass(2_900);
        line.answer(0);
        line.poll();
        line.answer(1);
        line.poll();
        line.reply("alpha/a", 1, "succeeded", line.clocks.wall - 2_000);
        line.look();
        line.look();
        let retries = |event: &SagaEvent| matches!(event, SagaEvent::RetryScheduled { .. });
        line.events_of("alpha/a").iter().filter(|event| retries(event)).count()
    };
    assert_eq!(attack(), 1, "only the first one's time was over without an answer");
    without("due_later_not_awaited", || assert_eq!(attack(), 2));
}
