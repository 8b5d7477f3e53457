//! What is held when a partition is full, and what goes on.

use ringmaster_core::partition::{Happened, Held, Limits, Wish};
use ringmaster_schemas::journal::SagaEvent;

use super::line::{ALPHAS, BETAS, Line, REPLIES};

/// Which inputs were held (true) or let go (false) since the last look.
fn pauses(line: &mut Line) -> Vec<(usize, bool)> {
    let mut pauses = Vec::new();
    line.wishes.retain(|wish| match wish {
        Wish::Pause(index, held) => {
            pauses.push((*index, *held));
            false
        }
        _ => true,
    });
    pauses
}

fn in_flight(line: &Line) -> usize {
    assert_eq!(line.partition.asking_count(), line.partition.recount_asking());
    line.partition.asking_count()
}

fn of_in_flight(max: usize) -> Line {
    let mut line = Line::idle(|settings| settings.limits.in_flight_max = max);
    line.own();
    line
}

/// New sagas wait in their topics; what was begun goes on, and makes room.
#[test]
fn sagas_that_wait_for_answers_are_bounded() {
    let mut line = of_in_flight(16);
    for number in 0..15 {
        line.start(ALPHAS, &number.to_string());
    }
    assert_eq!((in_flight(&line), line.partition.held(), pauses(&mut line)), (15, Held::Nothing, vec![]));
    line.start(BETAS, "15");
    assert_eq!((in_flight(&line), line.partition.held()), (16, Held::Starts));
    assert_eq!(pauses(&mut line), [(ALPHAS, true), (BETAS, true)], "answers are read");
    // What was fetched before it was held is taken all the same.
    line.start(ALPHAS, "16");
    for number in 0..3 {
        line.reply(&format!("alpha/{number}"), 1, "succeeded", line.clocks.wall);
        assert_eq!(
            (in_flight(&line), pauses(&mut line)),
            (16 - number, if number < 2 { vec![] } else { vec![(1, false), (2, false)] })
        );
    }
    assert_eq!((line.partition.held(), line.counters.pauses), (Held::Nothing, 1));
}

/// The timer of a saga whose participant is silent must not wait for events that are held for its sake: nothing would ever go on.
#[test]
fn timers_do_not_wait_for_starts_that_are_held() {
    let mut line = of_in_flight(1);
    line.start(ALPHAS, "silent");
    assert_eq!(line.partition.held(), Held::Starts);
    line.pass(10_100);
    line.poll();
    let asked = line.answer(0);
    assert_eq!(asked, [REPLIES], "the end of what is held is of no interest");
    line.poll();
    let timed_out = line.timed_events().iter().any(|(_, event)| matches!(event, SagaEvent::RetryScheduled { .. }));
    assert!(timed_out, "its time is over");
    assert_eq!((in_flight(&line), line.partition.held()), (0, Held::Nothing), "it asks nobody now, and others may");
}

/// Who is behind begins nothing, and holds up nothing that was begun; that is no bound, and ends at once.
#[test]
fn who_is_behind_takes_up_what_was_begun_first() {
    let mut line = of_in_flight(16);
    line.start(ALPHAS, "answered");
    line.start(ALPHAS, "silent");
    line.happens(Happened::Behind(true));
    line.poll();
    assert_eq!((line.partition.held(), pauses(&mut line)), (Held::Behind, vec![(ALPHAS, true), (BETAS, true)]));
    line.reply("alpha/answered", 1, "succeeded", line.clocks.wall);
    assert_eq!((line.counters.completed, line.partition.held(), pauses(&mut line)), (1, Held::Behind, vec![]));
    line.pass(10_100);
    line.poll();
    assert_eq!(line.answer(0), [REPLIES], "the end of what is held is of no interest");
    line.poll();
    assert!(line.timed_events().iter().any(|(_, event)| matches!(event, SagaEvent::RetryScheduled { .. })), "its time is over");
    line.happens(Happened::Behind(false));
    line.poll();
    assert_eq!((line.partition.held(), pauses(&mut line)), (Held::Nothing, vec![(ALPHAS, false), (BETAS, false)]));
    assert_eq!(line.counters.pauses, 0, "no bound was reached");
}

/// A bound that is reached meanwhile stays after it.
#[test]
fn a_bound_outlives_the_end_of_being_behind() {
    let mut line = of_in_flight(16);
    line.happens(Happened::Behind(true));
    line.poll();
    // What was fetched before it was held is taken.
    for number in 1..=16 {
        line.start(ALPHAS, &number.to_string());
        let (held, is_at_bound) = if number < 16 { (Held::Behind, false) } else { (Held::Starts, true) };
        assert_eq!((line.partition.held(), line.partition.held().is_at_bound()), (held, is_at_bound), "{number} in flight");
    }
    assert_eq!(line.counters.pauses, 1);
    line.happens(Happened::Behind(false));
    line.poll();
    assert_eq!((line.partition.held(), pauses(&mut line)), (Held::Starts, vec![(ALPHAS, true), (BETAS, true)]));
    line.happens(Happened::Behind(true));
    for number in 1..=2 {
        line.reply(&format!("alpha/{number}"), 1, "succeeded", line.clocks.wall);
    }
    assert_eq!((line.partition.held(), pauses(&mut line)), (Held::Behind, vec![]));
}

/// What was ahead is dropped in doubt, with its count.
#[test]
fn a_doubt_leaves_no_count_behind() {
    let mut line = of_in_flight(3);
    line.start(ALPHAS, "counts");
    line.start_unacknowledged(ALPHAS, "may not");
    assert_eq!(in_flight(&line), 2);
    line.happens(Happened::Doubt);
    assert_eq!(in_flight(&line), 0);
    line.lose_unacknowledged();
    let end = line.journal.len() as i64;
    line.happens(Happened::JournalBounds { start: 0, end });
    line.own();
    assert_eq!(in_flight(&line), 1);
}

/// A row that left memory is counted when it is asked for again.
#[test]
fn what_is_loaded_again_is_counted_again() {
    let mut line = of_in_flight(100);
    line.start(ALPHAS, "one");
    line.acknowledge();
    line.checkpoint();
    line.restart(|_| {});
    line.own();
    assert_eq!((in_flight(&line), line.partition.overlay_size().0), (0, 0), "it is stored, and not in memory");
    line.start(ALPHAS, "two");
    assert_eq!(in_flight(&line), 1);
    line.reply("alpha/one", 1, "succeeded", line.clocks.wall);
    assert_eq!((in_flight(&line), line.counters.completed), (1, 1));
}

/// What the row of a saga with such a key takes.
fn full_row_bytes() -> usize {
    let mut line = Line::owned();
    line.start(ALPHAS, &"x".repeat(193));
    line.deliver();
    line.partition.overlay_size().1
}

/// Effects that the broker does not take are memory too, however few they are.
#[test]
fn what_the_broker_does_not_take_fills_memory() {
    let mut line = Line::idle(|settings| settings.limits.memory_bytes_max = Limits::MEMORY_BYTES_MIN);
    line.own();
    let (mut count, text) = (0, "x".repeat(190));
    while line.partition.held() == Held::Nothing {
        line.start(ALPHAS, &format!("{text}{count}"));
        count += 1;
        assert!(count < 2_000, "it takes what comes");
    }
    // A command with its copy in the bus is more than a row.
    let row = full_row_bytes();
    assert!(row > 600 && count * row < Limits::MEMORY_BYTES_MIN / 4 * 3 / 2, "{count} rows of {row} bytes");
    let full = line.partition.overlay_size().1;
    line.deliver();
    line.poll();
    assert!(line.partition.overlay_size().1 < full / 2, "{full}");
    assert_eq!(line.partition.held(), Held::Nothing);
}

/// Rows that wait for an answer stay as long as there is room: they are what is counted, and answers come soon.
#[test]
fn rows_that_wait_for_answers_leave_memory_last() {
    let mut line = Line::idle(|settings| settings.limits.memory_bytes_max = Limits::MEMORY_BYTES_MIN);
    line.own();
    let text = "x".repeat(190);
    let mut count = 0;
    while line.partition.overlay_size().1 < Limits::MEMORY_BYTES_MIN {
        line.start(ALPHAS, &format!("{text}{count}"));
        line.deliver();
        count += 1;
        if line.partition.overlay_size().1 > Limits::MEMORY_BYTES_MIN / 4 * 3 {
            assert_ne!(line.partition.held(), Held::Nothing);
        }
        if count % 100 == 0 && line.partition.overlay_size().1 < Limits::MEMORY_BYTES_MIN / 8 * 7 {
            line.checkpoint();
            assert_eq!((line.partition.overlay_size().0, in_flight(&line)), (count, count), "they stay");
        }
    }
    assert_eq!(line.partition.held(), Held::All);
    assert!(line.partition.wants_checkpoint());
    line.checkpoint();
    assert_eq!((line.partition.overlay_size().0, in_flight(&line)), (0, 0), "all of them are stored");
    line.poll();
    assert_eq!(line.partition.held(), Held::Nothing);
    line.reply(&format!("alpha/{text}0"), 1, "succeeded", line.clocks.wall);
    assert_eq!(line.counters.completed, 1, "and found there");
}

/// A process that is short of memory starts nothing where rows can go, and everything where none can: waiting would free nothing.
#[test]
fn a_process_that_is_short_of_memory_holds_who_has_some() {
    let mut line = Line::idle(|settings| settings.limits.memory_bytes_max = 2 * Limits::MEMORY_BYTES_MIN);
    line.own();
    line.happens(Happened::Short(true));
    line.start(ALPHAS, "small");
    assert_eq!((line.partition.held(), line.partition.wants_checkpoint()), (Held::Nothing, false));
    let text = "x".repeat(190);
    let mut count = 0;
    while line.partition.overlay_size().1 <= 2 * Limits::MEMORY_BYTES_MIN / 8 {
        line.poll();
        assert_eq!(line.partition.held(), Held::Nothing);
        line.start(ALPHAS, &format!("{text}{count}"));
        count += 1;
    }
    line.poll();
    let wants = |line: &Line| (line.partition.held(), line.partition.wants_checkpoint());
    assert_eq!(wants(&line), (Held::Starts, false), "what waits for an answer stays, and is not written more often for it");
    for n in 0..count / 4 {
        line.reply(&format!("alpha/{text}{n}"), 1, "succeeded", line.clocks.wall);
    }
    assert_eq!(wants(&line), (Held::Starts, false), "too few would leave");
    line.reply("alpha/small", 1, "succeeded", line.clocks.wall);
    line.reply(&format!("alpha/{text}{}", count - 1), 1, "succeeded", line.clocks.wall);
    assert_eq!(wants(&line), (Held::Starts, true));
    line.happens(Happened::Short(false));
    line.poll();
    assert_eq!((line.partition.held(), line.partition.wants_checkpoint()), (Held::Nothing, false));
}
