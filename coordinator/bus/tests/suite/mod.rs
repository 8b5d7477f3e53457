//! What every bus must do, as one suite: `run_all` on a [`Rig`].
#![allow(clippy::print_stdout, clippy::type_complexity, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringmaster_bus::{Bus, BusError, BusEvent, Message, SendError, Sender, Specification, TopicPartition};

/// How long something may take that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Cases that run beside each other.
const AT_ONCE: usize = 4;

/// A log, and clients of it.
pub trait Rig {
    /// What it is called in messages.
    fn name(&self) -> &str;
    /// A new client.
    fn client(&self) -> Box<dyn Bus + Send>;
    /// Deletes a topic with everything in it.
    fn delete(&self, topic: &str);
    /// Makes the log forget the records of a partition below this offset, as retention would; `false` if it cannot.
    fn forget(&self, topic: &str, partition: i32, below: i64) -> bool;
    /// How long a bus that has nothing to say is listened to, to be sure of it.
    fn silence(&self) -> Duration;
}

/// Runs everything.
pub fn run_all(rig: &(dyn Rig + Sync)) {
    let cases: [(&str, fn(&dyn Rig)); 19] = [
        // The longest first.
        ("unknown_topic_is_refused_and_unreadable", unknown_topic_is_refused_and_unreadable),
        ("any_seek_is_exact", any_seek_is_exact),
        ("create_and_describe", create_and_describe),
        ("order_tags_and_contiguous_offsets", order_tags_and_contiguous_offsets),
        ("everything_comes_back_as_it_was", everything_comes_back_as_it_was),
        ("reads_from_an_offset_and_seeks", reads_from_an_offset_and_seeks),
        ("pause_loses_nothing", pause_loses_nothing),
        ("any_pauses_lose_and_repeat_nothing", any_pauses_lose_and_repeat_nothing),
        ("stopped_is_silent", stopped_is_silent),
        ("caught_up_comes_at_the_end", caught_up_comes_at_the_end),
        ("bounds_and_offset_at_a_time", bounds_and_offset_at_a_time),
        ("out_of_range_is_said", out_of_range_is_said),
        ("identity_changes_with_the_topic", identity_changes_with_the_topic),
        ("group_commits_and_resumes", group_commits_and_resumes),
        ("waker_ends_a_poll", waker_ends_a_poll),
        ("clients_see_each_other", clients_see_each_other),
        ("two_writers_interleave_without_loss", two_writers_interleave_without_loss),
        ("closed_sender_sends_nothing", closed_sender_sends_nothing),
        ("oversized_is_refused_and_the_next_goes_on", oversized_is_refused_and_the_next_goes_on),
    ];
    // They wait more than they compute, and each has topics of its own.
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    println!("{} {name}", rig.name());
                    case(rig);
                    println!("{} {name}: {:?}", rig.name(), begun.elapsed());
                }
            });
        }
    });
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    at: TopicPartition,
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    has_headers: bool,
}

/// Everything that a bus said.
#[derive(Debug, Default)]
struct Heard {
    records: Vec<Read>,
    caught_up: Vec<(TopicPartition, i64)>,
    bounds: Vec<(TopicPartition, i64, i64)>,
    offsets_at: Vec<(TopicPartition, i64)>,
    out_of_range: Vec<(TopicPartition, i64)>,
    acknowledged: Vec<(Sender, u64, Option<i64>)>,
    failed: Vec<(Sender, u64, SendError)>,
    assigned: Vec<Vec<TopicPartition>>,
    unreadable: Vec<(TopicPartition, String)>,
    /// For these names, what the records' headers say.
    headers: Vec<BTreeMap<&'static str, Option<Vec<u8>>>>,
}

const HEADER_NAMES: [&str; 4] = ["ce_id", "empty", "twice", "absent"];

impl Heard {
    fn note(&mut self, event: BusEvent<'_>) {
        match event {
            BusEvent::Record(record) => {
                let find = |headers: &dyn ringmaster_bus::Headers| {
                    HEADER_NAMES.iter().map(|name| (*name, headers.find(name).map(<[u8]>::to_vec))).collect()
                };
                self.headers.push(record.headers.map(find).unwrap_or_default());
                self.records.push(Read {
                    at: record.at,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    has_headers: record.headers.is_some(),
                });
            }
            BusEvent::CaughtUp(at, offset) => self.caught_up.push((at, offset)),
            BusEvent::Bounds { at, start, end } => self.bounds.push((at, start, end)),
            BusEvent::OffsetAt { at, offset } => self.offsets_at.push((at, offset)),
            BusEvent::OutOfRange { at, position } => self.out_of_range.push((at, position)),
            BusEvent::Acknowledged { sender, tag, offset } => self.acknowledged.push((sender, tag, offset)),
            BusEvent::Failed { sender, tag, why } => self.failed.push((sender, tag, why)),
            BusEvent::Doubt { why, .. } => panic!("a doubt without a reason: {why}"),
            BusEvent::Assigned(which) => self.assigned.push(which),
            BusEvent::Revoked(_) => {}
            BusEvent::Unreadable(at, why) => self.unreadable.push((at, why)),
        }
    }

    fn values(&self) -> Vec<String> {
        let text = |read: &Read| String::from_utf8_lossy(read.value.as_deref().expect("a value")).into_owned();
        self.records.iter().map(text).collect()
    }

    /// Polls until this holds.
    fn until(&mut self, bus: &mut dyn Bus, what: &str, holds: impl Fn(&Heard) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            bus.poll(Duration::from_millis(50), &mut |event| self.note(event));
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen; heard {self:?}");
        }
    }

    /// Polls for so long.
    fn during(&mut self, bus: &mut dyn Bus, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            bus.poll(Duration::from_millis(10), &mut |event| self.note(event));
        }
    }
}

/// A topic of its own for a case, with so many partitions.
fn topic(bus: &mut dyn Bus, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Vec<TopicPartition> {
    let name = format!("{name}-{}", fastrand::u32(..));
    let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let made = bus.create(&Specification { name: name.clone(), partitions, replication: 1, settings });
    assert_eq!(made, Ok(true), "{name} is new");
    let topic = bus.topic(&name);
    (0..partitions).map(|partition| TopicPartition { topic, partition }).collect()
}

fn send(bus: &mut dyn Bus, sender: Sender, to: TopicPartition, value: &str, tag: u64) {
    let message = Message { to, key: Some(b"key"), value: value.as_bytes(), headers: &[] };
    assert_eq!(bus.send(sender, message, tag), Ok(()));
}

/// Sends `from..to` as text and waits for the acknowledgements.
fn fill(bus: &mut dyn Bus, to: TopicPartition, values: std::ops::Range<u64>) {
    let sender = bus.open_sender().expect("a sender");
    let count = values.clone().count();
    for value in values {
        send(bus, sender, to, &value.to_string(), value);
    }
    let mut heard = Heard::default();
    heard.until(bus, "all acknowledged", |heard| heard.acknowledged.len() == count);
    bus.close_sender(sender);
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn create_and_describe(rig: &dyn Rig) {
    let mut bus = rig.client();
    let settings = [("retention.ms", "-1"), ("max.message.bytes", "123456")];
    let at = topic(&mut *bus, "described", 3, &settings);
    let name = bus.name_of(at[0].topic).to_owned();
    assert_eq!(bus.topic(&name), at[0].topic, "one handle a name");
    let again = bus.create(&Specification { name: name.clone(), partitions: 9, replication: 1, settings: vec![] });
    assert_eq!(again, Ok(false), "it exists already");
    let described = bus.describe(&[&name, "no-such-topic"]).expect("an answer");
    assert_eq!(described.len(), 2);
    assert_eq!(described[1], None);
    let found = described[0].as_ref().expect("it exists");
    assert_eq!((&*found.name, found.partitions), (&*name, 3));
    assert_ne!(found.id, [0; 16]);
    let setting = |key: &str| found.settings.iter().find(|(known, _)| known == key).map(|(_, value)| &**value);
    assert_eq!(setting("retention.ms"), Some("-1"));
    assert_eq!(setting("max.message.bytes"), Some("123456"));
    assert_eq!(setting("cleanup.policy"), Some("delete"));
    assert_eq!(setting("unclean.leader.election.enable"), Some("false"));
    let again = rig.client().describe(&[&name]).expect("an answer");
    assert_eq!(again[0].as_ref(), Some(found), "another client sees the same");
    let refused = bus.create(&Specification { name: "no/such name".to_owned(), partitions: 1, replication: 1, settings: vec![] });
    assert!(matches!(refused, Err(BusError::Refused(_))), "{refused:?}");
}

fn order_tags_and_contiguous_offsets(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "ordered", 2, &[]);
    let sender = bus.open_sender().expect("a sender");
    let mut heard = Heard::default();
    let count = 5_000;
    for tag in 0..count {
        send(&mut *bus, sender, at[(tag % 2) as usize], &tag.to_string(), tag);
        if tag % 700 == 0 {
            bus.poll(Duration::ZERO, &mut |event| heard.note(event));
        }
    }
    heard.until(&mut *bus, "all acknowledged", |heard| heard.acknowledged.len() == count as usize);
    for partition in 0..2u64 {
        let acknowledged: Vec<_> = heard.acknowledged.iter().filter(|ack| ack.1 % 2 == partition).collect();
        for (at, ack) in acknowledged.iter().enumerate() {
            let expected = (sender, 2 * at as u64 + partition, Some(at as i64));
            assert_eq!(**ack, expected, "acknowledgements come in order, with contiguous offsets");
        }
    }
    for &at in &at {
        bus.read(at, 0);
    }
    heard.until(&mut *bus, "all read", |heard| heard.records.len() == count as usize);
    for partition in 0..2u64 {
        let read: Vec<_> = heard.records.iter().filter(|read| read.at == at[partition as usize]).collect();
        for (offset, read) in read.iter().enumerate() {
            assert_eq!(read.offset, offset as i64);
            assert_eq!(read.value, Some((2 * offset as u64 + partition).to_string().into_bytes()));
        }
    }
    assert!(heard.failed.is_empty());
}

fn everything_comes_back_as_it_was(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "faithful", 1, &[])[0];
    let sender = bus.open_sender().expect("a sender");
    let long = vec![0xa5; 300_000];
    let headers = [("ce_id", "17"), ("empty", ""), ("twice", "first"), ("twice", "second")];
    let messages: [(Option<&[u8]>, &[u8], &[(&str, &str)]); 6] = [
        (None, b"no key", &[]),
        (Some(b""), b"empty key", &[]),
        (Some(b"k"), b"", &[]),
        (Some(b"k\0\xff"), b"\0\xff", &headers),
        (None, b"", &headers[..1]),
        (Some(b"long"), &long, &[]),
    ];
    let before = now();
    for (tag, &(key, value, headers)) in (0..).zip(&messages) {
        assert_eq!(bus.send(sender, Message { to: at, key, value, headers }, tag), Ok(()));
    }
    bus.read(at, 0);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "all read", |heard| heard.records.len() == messages.len());
    for (read, (key, value, headers)) in heard.records.iter().zip(messages) {
        assert_eq!((read.key.as_deref(), read.value.as_deref()), (key, Some(value)));
        assert_eq!(read.has_headers, !headers.is_empty());
        assert!(read.timestamp >= before - 5 && read.timestamp <= now() + 5, "the time is when it was sent");
    }
    let found = &heard.headers[3];
    assert_eq!(found["ce_id"].as_deref(), Some(&b"17"[..]));
    assert_eq!(found["empty"].as_deref(), Some(&b""[..]));
    assert_eq!(found["twice"].as_deref(), Some(&b"first"[..]));
    assert_eq!(found["absent"], None);
    assert_eq!(heard.headers[4]["ce_id"].as_deref(), Some(&b"17"[..]));
}

fn reads_from_an_offset_and_seeks(rig: &dyn Rig) {
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

fn pause_loses_nothing(rig: &dyn Rig) {
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

/// Seeks to and fro while batches are under way: what comes after a seek is what is there, from there on, without a gap.
fn any_seek_is_exact(rig: &dyn Rig) {
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

/// Pauses at random while records come.
fn any_pauses_lose_and_repeat_nothing(rig: &dyn Rig) {
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

/// As [`fill`], for a bus that also reads.
fn fill_while(bus: &mut dyn Bus, to: TopicPartition, values: std::ops::Range<u64>, heard: &mut Heard) {
    let sender = bus.open_sender().expect("a sender");
    let (count, before) = (values.clone().count(), heard.acknowledged.len());
    for value in values {
        send(bus, sender, to, &value.to_string(), value);
    }
    heard.until(bus, "all acknowledged", |heard| heard.acknowledged.len() == before + count);
    bus.close_sender(sender);
}

fn stopped_is_silent(rig: &dyn Rig) {
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

fn caught_up_comes_at_the_end(rig: &dyn Rig) {
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

fn bounds_and_offset_at_a_time(rig: &dyn Rig) {
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

fn out_of_range_is_said(rig: &dyn Rig) {
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

fn identity_changes_with_the_topic(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "reborn", 1, &[])[0];
    let name = bus.name_of(at.topic).to_owned();
    fill(&mut *bus, at, 0..3);
    let first = bus.describe(&[&name]).expect("an answer")[0].clone().expect("it exists");
    rig.delete(&name);
    let begun = Instant::now();
    while bus.describe(&[&name]).expect("an answer")[0].is_some() {
        assert!(begun.elapsed() < PATIENCE, "it is still there");
    }
    let what = Specification { name: name.clone(), partitions: 1, replication: 1, settings: vec![] };
    let begun = Instant::now();
    while bus.create(&what) != Ok(true) {
        assert!(begun.elapsed() < PATIENCE, "it cannot be made again");
    }
    let second = bus.describe(&[&name]).expect("an answer")[0].clone().expect("it exists again");
    assert_ne!(first.id, second.id);
    let mut other = rig.client();
    let topic = other.topic(&name);
    let at = TopicPartition { topic, partition: 0 };
    fill(&mut *other, at, 5..7);
    other.read(at, 0);
    let mut heard = Heard::default();
    heard.until(&mut *other, "the new records", |heard| heard.records.len() == 2);
    assert_eq!(heard.values(), numbers(5..7));
}

fn group_commits_and_resumes(rig: &dyn Rig) {
    let mut writer = rig.client();
    let at = topic(&mut *writer, "grouped", 2, &[]);
    let name = writer.name_of(at[0].topic).to_owned();
    let group = format!("group-{}", fastrand::u32(..));
    fill(&mut *writer, at[0], 0..10);
    fill(&mut *writer, at[1], 100..110);
    let joined = || {
        let mut bus = rig.client();
        let topic = bus.topic(&name);
        bus.join(&group, &[topic]).expect("it joins");
        (bus, topic)
    };
    {
        let (mut bus, topic) = joined();
        let mut heard = Heard::default();
        heard.until(&mut *bus, "everything from the beginning", |heard| heard.records.len() == 20);
        assert_eq!(heard.assigned.len(), 1);
        assert_eq!(heard.assigned[0].len(), 2, "all partitions");
        bus.commit(&group, &[(TopicPartition { topic, partition: 0 }, 4)]);
        bus.commit(&group, &[(TopicPartition { topic, partition: 0 }, 7), (TopicPartition { topic, partition: 1 }, 10)]);
        heard.during(&mut *bus, Duration::from_millis(300));
    }
    let (mut bus, _) = joined();
    let mut heard = Heard::default();
    heard.until(&mut *bus, "the rest", |heard| heard.records.len() >= 3 && heard.caught_up.len() >= 2);
    assert_eq!(heard.values(), numbers(7..10), "what was committed is not read again");
}

fn waker_ends_a_poll(rig: &dyn Rig) {
    let mut bus = rig.client();
    let mut heard = Heard::default();
    heard.during(&mut *bus, Duration::from_millis(50));
    for early in [false, true] {
        let waker = bus.waker();
        let wait = Duration::from_secs(10);
        let begun = Instant::now();
        if early {
            waker();
            bus.poll(wait, &mut |event| heard.note(event));
        } else {
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                waker();
            });
            bus.poll(wait, &mut |event| heard.note(event));
            thread.join().expect("the waker");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "early {early}: {:?}", begun.elapsed());
    }
}

fn clients_see_each_other(rig: &dyn Rig) {
    let (mut one, mut two) = (rig.client(), rig.client());
    let at = topic(&mut *one, "shared", 2, &[]);
    let name = one.name_of(at[0].topic).to_owned();
    let topic = two.topic(&name);
    let theirs: Vec<_> = (0..2).map(|partition| TopicPartition { topic, partition }).collect();
    // A ball goes to and fro: each hop wakes the other, which waits.
    let thread = std::thread::spawn(move || {
        let sender = two.open_sender().expect("a sender");
        two.read(theirs[0], 0);
        let (mut heard, mut seen) = (Heard::default(), 0);
        while seen < 50 {
            heard.until(&mut *two, "the ball", |heard| heard.records.len() > seen);
            let value = heard.values()[seen].clone();
            send(&mut *two, sender, theirs[1], &value, 0);
            seen += 1;
        }
        heard.until(&mut *two, "all acknowledged", |heard| heard.acknowledged.len() == 50);
    });
    let sender = one.open_sender().expect("a sender");
    one.read(at[1], 0);
    let mut heard = Heard::default();
    for hop in 0..50 {
        send(&mut *one, sender, at[0], &hop.to_string(), hop);
        heard.until(&mut *one, "the ball is back", |heard| heard.records.len() == hop as usize + 1);
    }
    thread.join().expect("the other");
    assert_eq!(heard.values(), numbers(0..50));
}

fn two_writers_interleave_without_loss(rig: &dyn Rig) {
    let mut reader = rig.client();
    let at = topic(&mut *reader, "crowded", 1, &[])[0];
    let name = reader.name_of(at.topic).to_owned();
    let count = 4_000;
    std::thread::scope(|scope| {
        for which in 0..2u64 {
            let (mut bus, name) = (rig.client(), &name);
            scope.spawn(move || {
                let topic = bus.topic(name);
                fill(&mut *bus, TopicPartition { topic, partition: 0 }, which * count..(which + 1) * count);
            });
        }
        reader.read(at, 0);
        let mut heard = Heard::default();
        heard.until(&mut *reader, "all", |heard| heard.records.len() == 2 * count as usize);
        assert!(heard.records.iter().map(|read| read.offset).eq(0..2 * count as i64));
        for which in 0..2 {
            let own = heard.values().into_iter().filter(|value| value.parse::<u64>().expect("a number") / count == which);
            assert!(own.eq(numbers(which * count..(which + 1) * count)), "each writer's order is kept");
        }
    });
}

fn closed_sender_sends_nothing(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "closed", 1, &[])[0];
    let (first, second) = (bus.open_sender().expect("a sender"), bus.open_sender().expect("another"));
    assert_ne!(first, second);
    bus.close_sender(first);
    let message = Message { to: at, key: None, value: b"x", headers: &[] };
    assert!(matches!(bus.send(first, message, 1), Err(SendError::Broken(_))));
    send(&mut *bus, second, at, "y", 2);
    let mut heard = Heard::default();
    heard.until(&mut *bus, "acknowledged", |heard| heard.acknowledged.len() == 1);
    assert_eq!(heard.acknowledged, [(second, 2, Some(0))]);
    bus.close_sender(second);
    let third = bus.open_sender().expect("a third");
    assert!(third > second, "numbers are never used again");
    send(&mut *bus, third, at, "z", 3);
    heard.until(&mut *bus, "acknowledged", |heard| heard.acknowledged.contains(&(third, 3, Some(1))));
}

fn oversized_is_refused_and_the_next_goes_on(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "narrow", 1, &[("max.message.bytes", "10000")])[0];
    let sender = bus.open_sender().expect("a sender");
    let mut heard = Heard::default();
    send(&mut *bus, sender, at, "before", 1);
    heard.until(&mut *bus, "acknowledged", |heard| heard.acknowledged.len() == 1);
    // What the topic refuses (the bytes cannot be compressed), and what no client sends at all.
    for (tag, bytes) in [(2, 20_000), (3, 80_000_000)] {
        let value: Vec<u8> = (0..bytes).map(|_| fastrand::u8(..)).collect();
        let sent = bus.send(sender, Message { to: at, key: None, value: &value, headers: &[] }, tag);
        if sent.is_ok() {
            heard.until(&mut *bus, "refused", |heard| heard.failed.iter().any(|failed| failed.1 == tag));
            assert!(matches!(heard.failed.last(), Some((_, _, SendError::TooBig(_)))), "{:?}", heard.failed);
        } else {
            assert!(matches!(sent, Err(SendError::TooBig(_))), "{sent:?}");
        }
    }
    let sender = bus.open_sender().expect("a new sender");
    send(&mut *bus, sender, at, "after", 4);
    heard.until(&mut *bus, "acknowledged", |heard| heard.acknowledged.len() == 2);
    assert_eq!(heard.acknowledged[1], (sender, 4, Some(1)));
}

fn unknown_topic_is_refused_and_unreadable(rig: &dyn Rig) {
    let mut bus = rig.client();
    let name = format!("unknown-{}", fastrand::u32(..));
    let topic = bus.topic(&name);
    let at = TopicPartition { topic, partition: 0 };
    let sender = bus.open_sender().expect("a sender");
    let mut heard = Heard::default();
    let sent = bus.send(sender, Message { to: at, key: None, value: b"x", headers: &[] }, 1);
    if sent.is_ok() {
        heard.until(&mut *bus, "refused", |heard| heard.failed.len() == 1);
        assert!(matches!(heard.failed[0].2, SendError::Refused(_)), "{:?}", heard.failed);
    } else {
        assert!(matches!(sent, Err(SendError::Refused(_))), "{sent:?}");
    }
    for partition in [-1, 1, i32::MAX, i32::MIN] {
        let known = bus.create(&Specification { name: format!("{name}-known"), partitions: 1, replication: 1, settings: vec![] });
        assert!(known.is_ok());
        let to = TopicPartition { topic: bus.topic(&format!("{name}-known")), partition };
        let before = heard.failed.len();
        let sent = bus.send(sender, Message { to, key: None, value: b"x", headers: &[] }, 2);
        if sent.is_ok() {
            heard.until(&mut *bus, "refused", |heard| heard.failed.len() > before);
        }
        let why = sent.err().unwrap_or_else(|| heard.failed.last().expect("it failed").2.clone());
        assert!(matches!(why, SendError::Refused(_)), "partition {partition}: {why}");
    }
    bus.read(at, 0);
    heard.until(&mut *bus, "unreadable", |heard| heard.unreadable.iter().any(|(which, _)| *which == at));
    let what = Specification { name, partitions: 1, replication: 1, settings: vec![] };
    assert_eq!(rig.client().create(&what), Ok(true));
    let mut other = rig.client();
    let topic = other.topic(&what.name);
    fill(&mut *other, TopicPartition { topic, partition: 0 }, 0..3);
    heard.until(&mut *bus, "it is back and read", |heard| heard.records.len() == 3);
    fill_while(&mut *bus, at, 3..4, &mut heard);
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    since.as_millis() as i64
}
