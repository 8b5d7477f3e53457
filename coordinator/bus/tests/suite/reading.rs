//! Positions, pauses, ends and bounds.

use std::time::Duration;

use ringmaster_bus::{BYTES_AN_EVENT, Message, SendError, TopicPartition};

use super::Rig;
use super::heard::{Heard, fill, fill_while, now, numbers, send, topic};

pub fn reads_from_an_offset_and_seeks(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "sought", 1, &[])[0];
    fill(&mut *bus, at, 0..100);
    let mut heard = Heard::default();
    bus.read(at, 40);
    heard.until(&mut *bus, "the end", |heard| heard.caught_up.contains(&(at, 100)));
    assert_eq!(heard.values(), numbers(40..100));
    for from in [0, 99, 100, 57] {
        bus.read(at, from);
        let mut heard = Heard::default();
        heard.until(&mut *bus, "the end again", |heard| heard.caught_up.contains(&(at, 100)));
        assert_eq!(heard.values(), numbers(from as u64..100), "from {from}");
    }
    // A seek in the middle of what was fetched: nothing of before the seek comes after it.
    bus.read(at, 0);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "something", |heard| !heard.records.is_empty());
    bus.read(at, 90);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "the end", |heard| heard.caught_up.contains(&(at, 100)));
    assert_eq!(heard.values(), numbers(90..100));
}

pub fn pause_loses_nothing(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "paused", 2, &[]);
    fill(&mut *bus, at[0], 0..50);
    fill(&mut *bus, at[1], 0..50);
    let mut heard = Heard::default();
    bus.read(at[0], 0);
    bus.read(at[1], 0);
    heard.until(&mut *bus, "a beginning", |heard| !heard.records.is_empty());
    bus.pause(&at[..1], true);
    let paused_count = heard.records.iter().filter(|read| read.at == at[0]).count();
    fill_while(&mut *bus, at[0], 50..60, &mut heard);
    heard.until(&mut *bus, "the other goes on", |heard| heard.caught_up.contains(&(at[1], 50)));
    heard.during(&mut *bus, rig.silence());
    assert_eq!(heard.records.iter().filter(|read| read.at == at[0]).count(), paused_count, "nothing while paused");
    // A position given while it is paused holds when it goes on.
    bus.pause(&at[1..], true);
    bus.read(at[1], 30);
    heard.during(&mut *bus, rig.silence());
    assert_eq!(heard.records.iter().filter(|read| read.at == at[1]).count(), 50);
    bus.pause(&at, false);
    heard.until(&mut *bus, "both ends", |heard| {
        heard.caught_up.contains(&(at[0], 60)) && heard.records.iter().filter(|read| read.at == at[1]).count() == 70
    });
    let of = |which: TopicPartition| heard.records.iter().filter(move |read| read.at == which).map(|read| read.offset);
    assert!(of(at[0]).eq(0..60), "once each, in order: {:?}", of(at[0]).collect::<Vec<_>>());
    assert!(of(at[1]).eq((0..50).chain(30..50)));
}

/// A poll is as much work for few large records as for many small ones: all that lies there is not visited at once.
pub fn large_records_fill_a_poll(rig: &dyn Rig) {
    const BYTES: usize = 200_000;
    let mut bus = rig.client();
    let Some(full) = bus.full_poll() else { return };
    let at = topic(&mut *bus, "large", 2, &[("max.message.bytes", "1000000")]);
    let each = full * BYTES_AN_EVENT / BYTES + 20;
    let sender = bus.open_sender().expect("a sender");
    let value = vec![b'x'; BYTES];
    let mut heard = Heard::default();
    for at in &at {
        for tag in 0..each as u64 {
            let to = Message { to: *at, key: None, value: &value, headers: &[] };
            while bus.send(sender, to, tag) == Err(SendError::Full) {
                heard.poll(&mut *bus, Duration::from_millis(10));
            }
        }
    }
    heard.until(&mut *bus, "all acknowledged", |heard| heard.acknowledged.len() == 2 * each);
    at.iter().for_each(|at| bus.read(*at, 0));
    let (mut read, mut most) = (0, 0);
    while read < 2 * each {
        let before = heard.records.len();
        heard.poll(&mut *bus, Duration::from_millis(50));
        most = most.max(heard.records.len() - before);
        read = heard.records.len();
    }
    assert!(most <= 2 * (full * BYTES_AN_EVENT / BYTES + 1), "{most} of {each} a partition at once");
}

/// Seeks to and fro while batches are under way: what comes after a seek is what is there, from there on, without a gap.
/// Whoever is behind sees it, and may hold back what can wait: the rest comes alone, and what was held comes once, in order.
pub fn a_full_poll_is_full(rig: &dyn Rig) {
    let mut bus = rig.client();
    let Some(full) = bus.full_poll() else { return };
    let at = topic(&mut *bus, "full", 2, &[]);
    let count = 5 * full as u64;
    fill(&mut *bus, at[0], 0..count);
    let mut heard = Heard::default();
    bus.read(at[0], 0);
    while heard.poll(&mut *bus, Duration::from_millis(50)) < full {
        assert!((heard.records.len() as u64) < count, "so many lay there, and no poll was full");
    }
    bus.pause(&at[..1], true);
    let first = heard.records.len();
    fill_while(&mut *bus, at[1], 0..3, &mut heard);
    bus.read(at[1], 0);
    heard.until(&mut *bus, "the other's end", |heard| heard.caught_up.contains(&(at[1], 3)));
    assert_eq!(heard.records.len(), first + 3, "nothing else meanwhile");
    bus.pause(&at[..1], false);
    heard.until(&mut *bus, "the end", |heard| heard.caught_up.contains(&(at[0], count as i64)));
    let of_first = heard.records.iter().filter(|read| read.at == at[0]).map(|read| read.offset);
    assert!(of_first.eq(0..count as i64), "once each, in order");
}

pub fn any_seek_is_exact(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "walked", 2, &[]);
    let count = 20_000;
    for &at in &at {
        fill(&mut *bus, at, 0..count);
    }
    let mut random = fastrand::Rng::with_seed(17);
    for step in 0..60 {
        let from = [random.i64(0..count as i64), random.i64(0..count as i64)];
        bus.read(at[0], from[0]);
        bus.read(at[1], from[1]);
        let (mut heard, wanted) = (Heard::default(), if step % 3 == 0 { 2_500 } else { random.usize(1..50) });
        heard.until(&mut *bus, "records from there", |heard| heard.records.len() >= wanted || heard.caught_up.len() == 2);
        for which in 0..2 {
            let offsets: Vec<_> = heard.records.iter().filter(|read| read.at == at[which]).map(|read| read.offset).collect();
            assert!(
                offsets.iter().copied().eq((from[which]..).take(offsets.len())),
                "step {step}, from {}: {offsets:?}",
                from[which]
            );
        }
    }
}

/// What is deleted goes from the start of the log, and only that: a log may keep some of it, never lose more.
pub fn what_is_deleted_is_gone_and_no_more(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "shortened", 1, &[])[0];
    fill(&mut *bus, at, 0..10);
    for below in [5, 3, 0] {
        bus.delete_before(at, below).expect("deleted");
        let mut heard = Heard::default();
        bus.ask_bounds(at);
        heard.until(&mut *bus, "bounds", |heard| !heard.bounds.is_empty());
        let (_, start, end) = heard.bounds[0];
        assert!(end == 10 && (0..=5).contains(&start), "{start}..{end}");
        bus.read(at, start);
        heard.until(&mut *bus, "what is left", |heard| heard.records.len() as i64 == end - start);
        assert_eq!(heard.values(), numbers(start as u64..10));
        bus.stop(at);
    }
    fill(&mut *bus, at, 10..12);
    bus.read(at, 8);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "it goes on", |heard| heard.records.len() == 4);
    assert_eq!(heard.values(), numbers(8..12));
}

/// Pauses at random while records come.
pub fn any_pauses_lose_and_repeat_nothing(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "halting", 2, &[]);
    let (count, sender) = (3_000, bus.open_sender().expect("a sender"));
    let (mut heard, mut random) = (Heard::default(), fastrand::Rng::with_seed(23));
    at.iter().for_each(|&at| bus.read(at, 0));
    for number in 0..count {
        send(&mut *bus, sender, at[0], "a", 0);
        send(&mut *bus, sender, at[1], "b", 0);
        if number % 20 == 0 {
            bus.pause(&at[random.usize(0..2)..=1], random.bool());
            let before = heard.records.len();
            bus.poll(Duration::from_millis(random.u64(0..4)), &mut |event| heard.note(event));
            assert!(heard.records.len() >= before);
        }
    }
    bus.pause(&at, false);
    heard.until(&mut *bus, "everything", |heard| heard.records.len() >= 2 * count as usize);
    for at in at {
        let offsets = heard.records.iter().filter(|read| read.at == at).map(|read| read.offset);
        assert!(offsets.eq(0..count), "once each, in order");
    }
}

pub fn stopped_is_silent(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "stopped", 1, &[])[0];
    fill(&mut *bus, at, 0..3_000);
    bus.read(at, 0);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "something", |heard| !heard.records.is_empty());
    bus.stop(at);
    let mut after = Heard::default();
    fill_while(&mut *bus, at, 0..5, &mut after);
    after.during(&mut *bus, rig.silence());
    assert!(after.records.is_empty() && after.caught_up.is_empty(), "{after:?}");
    bus.read(at, 2_990);
    after.until(&mut *bus, "reading again", |heard| heard.records.len() == 15);
}

pub fn caught_up_comes_at_the_end(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "ended", 1, &[])[0];
    bus.read(at, 0);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "the end of nothing", |heard| heard.caught_up.contains(&(at, 0)));
    for end in 1..4 {
        fill_while(&mut *bus, at, 0..1, &mut heard);
        heard.until(&mut *bus, "the next end", |heard| heard.caught_up.contains(&(at, end)));
        assert_eq!(heard.records.len(), end as usize, "everything below the end came before it was said");
    }
    heard.during(&mut *bus, rig.silence());
    let told: Vec<_> = heard.caught_up.iter().map(|&(_, end)| end).collect();
    assert!(told.len() <= 8 && told.is_sorted(), "not again and again: {told:?}");
}

pub fn bounds_and_offset_at_a_time(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "bounded", 1, &[])[0];
    let mut heard = Heard::default();
    bus.ask_bounds(at);
    heard.until(&mut *bus, "bounds", |heard| heard.bounds.len() == 1);
    assert_eq!(heard.bounds, [(at, 0, 0)]);
    fill(&mut *bus, at, 0..10);
    std::thread::sleep(Duration::from_millis(30));
    let between = now();
    std::thread::sleep(Duration::from_millis(30));
    fill(&mut *bus, at, 10..15);
    bus.ask_bounds(at);
    bus.ask_offset_at(at, between);
    heard.until(&mut *bus, "answers", |heard| heard.bounds.len() == 2 && heard.offsets_at.len() == 1);
    assert_eq!(heard.bounds[1], (at, 0, 15));
    assert_eq!(heard.offsets_at, [(at, 10)]);
    bus.ask_offset_at(at, now() + 60_000);
    heard.until(&mut *bus, "the end", |heard| heard.offsets_at.len() == 2);
    bus.ask_offset_at(at, 0);
    heard.until(&mut *bus, "the start", |heard| heard.offsets_at.len() == 3);
    assert_eq!(heard.offsets_at[1..], [(at, 15), (at, 0)]);
}

pub fn out_of_range_is_said(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "ranged", 1, &[])[0];
    fill(&mut *bus, at, 0..10);
    bus.read(at, 11);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "out of range", |heard| !heard.out_of_range.is_empty());
    assert_eq!(heard.out_of_range, [(at, 11)]);
    heard.during(&mut *bus, rig.silence());
    assert!(heard.records.is_empty(), "no jump: {heard:?}");
    assert_eq!(heard.out_of_range.len(), 1, "once");
    if rig.forget(bus.name_of(at.topic), 0, 5) {
        let mut heard = Heard::default();
        bus.ask_bounds(at);
        heard.until(&mut *bus, "bounds", |heard| !heard.bounds.is_empty());
        assert_eq!(heard.bounds, [(at, 5, 10)]);
        bus.read(at, 4);
        heard.until(&mut *bus, "out of range below", |heard| !heard.out_of_range.is_empty());
        assert_eq!(heard.out_of_range, [(at, 4)]);
        assert!(heard.records.is_empty());
    }
    bus.read(at, 7);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "a right position helps", |heard| heard.records.len() == 3);
    assert_eq!(heard.values(), numbers(7..10));
}
