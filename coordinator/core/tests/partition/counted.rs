//! How many sagas stand where, and what participants were asked: counted as it happens, and never otherwise than a look at all rows would.

use std::collections::BTreeMap;

use ringmaster_core::partition::{Wish, recount_standing};
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::{Counts, ParticipantCounts, RowKey, Standing, Waits};

use super::line::{ALPHAS, Line, without};
use super::stored::Stored;

/// Of whatever is stored the counts are what the rows add up to; and whatever was asked has ended, or is not answered.
pub(crate) fn add_up(rows: &BTreeMap<RowKey, Vec<u8>>, expired: i64) {
    let Some(counts) = rows.get(&RowKey::Counts) else { return };
    let counts = Counts::decode(counts).expect("counts can be read");
    let counted = recount_standing(&Stored(&None, rows), expired, &counts).expect("rows can be read");
    assert_eq!(counts.of_rows(), counted, "counted as it happened, and by a look at the rows");
    for of in &counts.participants {
        assert_eq!(of.attempts(), of.ended() + of.unanswered(), "whatever was asked has an end, or has none yet: {of:?}");
    }
}

impl Line {
    /// As they are stored.
    fn counts(&self) -> Counts {
        Counts::decode(&self.rows[&RowKey::Counts]).expect("counts can be read")
    }

    fn worker(&self) -> ParticipantCounts {
        self.counts().participants.first().expect("it was asked").clone()
    }

    /// Standing, what is waited for most, how many sagas, and how many entries are open.
    fn cells(&self) -> Vec<(Standing, Waits, i64, i64)> {
        let counts = self.counts();
        let cells = counts.versions.iter().flat_map(|version| &version.cells);
        cells.map(|cell| (cell.standing, cell.waits, cell.sagas, cell.open)).collect()
    }
}

/// The words in which operators ask are the counts: who waits, since when, and what was answered.
#[test]
fn what_happens_is_counted_where_it_belongs() {
    let mut line = super::parking::line();
    let began = line.clocks.wall / 1_000;
    for id in ["one", "two", "three"] {
        line.start(ALPHAS, id);
    }
    line.acknowledge();
    line.checkpoint();
    assert_eq!(line.cells(), [(Standing::Running, Waits::Reply, 3, 3)]);
    assert_eq!((line.worker().asked, line.worker().unanswered(), line.worker().unanswered[0].from), (3, 3, began));
    line.reply("alpha/one", 1, "succeeded", line.clocks.wall);
    line.reply("alpha/two", 1, "refused", line.clocks.wall);
    line.acknowledge();
    line.checkpoint();
    assert_eq!(line.cells(), [(Standing::Running, Waits::Reply, 1, 1)]);
    let (of, counts) = (line.worker(), line.counts());
    assert_eq!((of.succeeded, of.refused, of.unanswered()), (1, 1, 1));
    assert_eq!((counts.started, counts.completed, counts.compensated), (3, 1, 1));
    let ended: Vec<_> = counts.versions[0].ended.iter().map(|ended| (ended.completed, ended.compensated)).collect();
    assert_eq!(ended, [(1, 1)], "in the hour in which they go");
    line.act_on("worker", "pause");
    line.poll();
    line.acknowledge();
    line.start(ALPHAS, "four");
    line.acknowledge();
    line.checkpoint();
    assert_eq!(line.cells(), [(Standing::Parked, Waits::Parked, 1, 1), (Standing::Running, Waits::Reply, 1, 1)]);
    assert_eq!((line.worker().parkings, line.worker().parked.len()), (1, 1));
}

/// After a restart all is known at once, whether it is read from the store or made of the journal.
#[test]
fn counts_survive_a_restart() {
    let mut line = Line::owned();
    for id in ["one", "two"] {
        line.start(ALPHAS, id);
        line.acknowledge();
        line.checkpoint();
    }
    line.reply("alpha/one", 1, "failed", line.clocks.wall);
    line.acknowledge();
    line.checkpoint();
    let before = line.counts();
    for forgets in [false, true] {
        if forgets {
            line.rows.clear();
            line.stored = None;
        }
        line.restart(|_| {});
        line.own();
        line.checkpoint();
        let after = Counts { journal_offset: before.journal_offset, ..line.counts() };
        assert_eq!(after, before, "the store is lost: {forgets}");
    }
}

/// A store of a build that did not count is counted once, by its rows; so is one that such a build went on with.
#[test]
fn what_was_stored_without_counts_is_counted() {
    for is_old in [false, true] {
        let mut line = Line::owned();
        line.start(ALPHAS, "one");
        line.acknowledge();
        line.checkpoint();
        let old = line.rows[&RowKey::Counts].clone();
        line.start(ALPHAS, "two");
        line.acknowledge();
        line.checkpoint();
        match is_old {
            true => drop(line.rows.insert(RowKey::Counts, old)),
            false => drop(line.rows.remove(&RowKey::Counts)),
        }
        line.restart(|_| {});
        line.own();
        line.checkpoint();
        let counts = line.counts();
        assert!(counts.since > 0, "of what happened before nothing is known");
        assert_eq!(line.cells(), [(Standing::Running, Waits::Reply, 2, 2)]);
        assert_eq!((line.worker().asked, line.worker().unanswered(), counts.started), (2, 2, 0));
        line.start(ALPHAS, "three");
        line.acknowledge();
        line.restart(|_| {});
        line.own();
        line.checkpoint();
        assert_eq!((line.counts().since, line.counts().started), (counts.since, 1));
    }
}

/// Ages are told by the second for an hour, then by the hour; and an answer finds its own, however late.
#[test]
fn old_ages_are_told_by_the_hour() {
    const HOUR_S: i64 = 3_600;
    let mut line = super::parking::line();
    line.act_on("worker", "pause");
    line.poll();
    line.acknowledge();
    for id in ["one", "two", "three"] {
        line.start(ALPHAS, id);
        line.pass(2_000);
        line.look();
    }
    line.acknowledge();
    line.checkpoint();
    assert_eq!(line.worker().parked.len(), 3, "each in its own second");
    line.pass(3 * HOUR_S * 1_000);
    line.look();
    line.start(ALPHAS, "four");
    line.acknowledge();
    line.checkpoint();
    let parked = line.worker().parked;
    assert_eq!(parked.iter().map(|age| age.count).sum::<i64>(), 4);
    assert!(parked.len() <= 3, "an hour, perhaps two, and a second: {parked:?}");
    assert_eq!(parked[0].from % HOUR_S, 0);
    line.act_on("worker", "resume");
    line.poll();
    for _ in 0..20 {
        line.pass(1_000);
        line.look();
        line.acknowledge();
        line.sent().iter().for_each(|key| line.well(key, 1));
    }
    line.checkpoint();
    assert_eq!(line.worker().parked, [], "each has left the hour that it was in");
}

/// An attempt ends once, though its turn says several things of it: what was not done for sure is undone, and that cannot be made.
#[test]
fn an_attempt_ends_once() {
    let ends = || {
        let mut line = Line::of(
            "
saga: trip
start: { on: Asked, from: alphas, key: event.id }
steps:
  - { step: room, do: worker.Book, with: { id: key }, undo: { do: worker.Cancel, with: { each: 1 / size(start.none) } } }
",
            |_| {},
        );
        line.put(ALPHAS, line.clocks.wall, Some("one"), r#"{"id":"one","none":[]}"#);
        line.poll();
        line.acknowledge();
        line.reply_to("trip/one/room/do", "failed");
        line.checkpoint();
        line.worker()
    };
    let of = ends();
    assert_eq!((of.asked, of.failed, of.ended(), of.stuck.len()), (1, 1, 1, 1));
    without("attempt_ends_twice_in_a_turn", || drop(std::panic::catch_unwind(ends).expect_err("it does not add up")));
}

/// What took how long is known of what this owner did, once it counts; what a replay makes anew says nothing of it again.
#[test]
fn times_are_those_of_this_owner() {
    use ringmaster_core::partition::Times;
    let mut line = Line::owned();
    for id in ["one", "two"] {
        line.start(ALPHAS, id);
    }
    line.acknowledge();
    assert_eq!(line.partition.take_times().participants["worker"].issued, 2);
    line.start_unacknowledged(ALPHAS, "three");
    assert_eq!(line.partition.take_times(), Times::default(), "what is not confirmed does not count, and all else was taken");
    line.acknowledge();
    line.pass(30);
    line.reply("alpha/one", 1, "succeeded", line.clocks.wall);
    line.pass(1_000);
    line.reply("alpha/two", 1, "refused", line.clocks.wall);
    line.acknowledge();
    let times = line.partition.take_times();
    let worker = times.participants["worker"];
    assert_eq!((worker.issued, worker.ended, worker.response.count()), (1, [1, 1, 0, 0, 0], 2));
    assert_eq!(worker.response.sum_ms, 1_060, "30 and 1,030 ms");
    let sagas: Vec<_> = times.sagas.iter().map(|((_, did_all), of)| (*did_all, of.count())).collect();
    assert_eq!(sagas, [(false, 1), (true, 1)]);
    assert_eq!(times.steps.values().map(|of| of.count()).sum::<u64>(), 2);
    line.checkpoint();
    line.restart(|_| {});
    line.own();
    assert_eq!(line.partition.take_times(), Times::default());
}

/// From the decision of a record until all that it causes is with the broker; a doubt in between is part of that, a restart is not.
#[test]
fn what_is_decided_is_timed_until_it_is_released() {
    let mut line = Line::owned();
    line.start_unacknowledged(ALPHAS, "one");
    line.pass(40);
    line.acknowledge();
    let released = |line: &mut Line| {
        let releases = line.partition.take_times().releases;
        (releases.count(), releases.sum_ms)
    };
    assert_eq!(released(&mut line), (0, 0), "what is confirmed is not sent yet");
    line.pass(60);
    line.deliver();
    assert_eq!(released(&mut line), (1, 100));
    line.start(ALPHAS, "two");
    line.start(ALPHAS, "three");
    let sent = std::mem::take(&mut line.wishes);
    let (two, three): (Vec<_>, Vec<_>) =
        sent.into_iter().filter(|wish| matches!(wish, Wish::Send(_))).enumerate().partition(|(at, _)| *at == 0);
    line.wishes = three.into_iter().map(|(_, wish)| wish).collect();
    line.pass(5);
    line.deliver();
    assert_eq!(released(&mut line), (0, 0), "what went before it is not sent yet, and both are released together");
    line.wishes = two.into_iter().map(|(_, wish)| wish).collect();
    line.deliver();
    assert_eq!(released(&mut line), (2, 10));
    line.start(ALPHAS, "four");
    line.checkpoint();
    line.restart(|_| {});
    line.pass(1_000);
    line.own();
    line.deliver();
    assert_eq!(released(&mut line), (0, 0), "another process begins anew");
}

/// A step took as long as all its attempts; an undo is no part of that, and its time does not begin with the step's.
#[test]
fn a_step_is_timed_from_its_first_attempt_and_its_undo_by_itself() {
    use ringmaster_schemas::names::Direction;
    let mut line = Line::owned();
    line.start(ALPHAS, "one");
    line.acknowledge();
    // Its attempt runs out behind 10 s, and is made again 200 ms later.
    line.pass(10_050);
    line.look();
    line.pass(250);
    line.look();
    line.acknowledge();
    line.pass(700);
    line.reply("alpha/one", 2, "succeeded", line.clocks.wall);
    line.acknowledge();
    let sum = |times: &ringmaster_core::partition::Times, of: Direction| {
        times.steps.iter().filter(|((.., direction), _)| *direction == of).map(|(_, of)| of.sum_ms).sum::<u64>()
    };
    let times = line.partition.take_times();
    assert_eq!((sum(&times, Direction::Do), sum(&times, Direction::Undo)), (11_000, 0));
    assert_eq!(times.participants["worker"].response.sum_ms, 700, "an answer answers one attempt");

    let mut line = Line::owned();
    line.start(ALPHAS, "two");
    line.acknowledge();
    for _ in 0..20 {
        line.pass(10_100);
        line.look();
        line.acknowledge();
    }
    drop(line.partition.take_times());
    line.start(ALPHAS, "three");
    line.acknowledge();
    for _ in 0..7 {
        line.pass(10_100);
        line.look();
        line.acknowledge();
    }
    let is_asked = line.timed_events().iter().any(|(_, event)| matches!(event, SagaEvent::UndoIssued { .. }));
    assert!(is_asked, "a minute is all that it has");
    line.pass(40);
    line.reply_to("alpha/three/task/undo", "succeeded");
    let times = line.partition.take_times();
    assert!(sum(&times, Direction::Undo) < 30_000, "not since the step was asked, over a minute before: {times:?}");
}
