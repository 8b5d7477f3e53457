//! Topics, senders, what is sent, groups, and several clients.

use std::time::{Duration, Instant};

use ringmaster_bus::{BusError, Message, SendError, Specification, TopicPartition};

use super::Rig;
use super::heard::{Heard, PATIENCE, fill, fill_while, now, numbers, send, topic};

pub fn create_and_describe(rig: &dyn Rig) {
    let mut bus = rig.client();
    let settings = [("retention.ms", "-1"), ("max.message.bytes", "123456")];
    let at = topic(&mut *bus, "described", 3, &settings);
    let name = bus.name_of(at[0].topic).to_owned();
    assert_eq!(bus.topic(&name), at[0].topic, "one handle a name");
    let again = bus.create(&Specification { name: name.clone(), partitions: 9, replication: 1, settings: vec![] });
    assert_eq!(again, Ok(false), "it exists already");
    let described = bus.describe(&[&name, "no-such-topic", &name]).expect("an answer");
    assert_eq!(described.len(), 3);
    assert_eq!(described[1], None);
    assert_eq!(described[2], described[0], "a topic may be named twice");
    let found = described[0].as_ref().expect("it exists");
    assert_eq!((&*found.name, found.partitions), (&*name, 3));
    assert_ne!(found.id, [0; 16]);
    let setting = |key: &str| found.settings.iter().find(|(known, _)| known == key).map(|(_, value)| &**value);
    assert_eq!(setting("retention.ms"), Some("-1"));
    assert_eq!(setting("max.message.bytes"), Some("123456"));
    assert_eq!(setting("cleanup.policy"), Some("delete"));
    assert_eq!(setting("unclean.leader.election.enable"), Some("false"));
    assert_eq!(found.copies, Some(1), "there is one broker");
    let again = rig.client().describe(&[&name]).expect("an answer");
    assert_eq!(again[0].as_ref(), Some(found), "another client sees the same");
    let refused = bus.create(&Specification { name: "no/such name".to_owned(), partitions: 1, replication: 1, settings: vec![] });
    assert!(matches!(refused, Err(BusError::Refused(_))), "{refused:?}");
}

pub fn order_tags_and_contiguous_offsets(rig: &dyn Rig) {
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

pub fn everything_comes_back_as_it_was(rig: &dyn Rig) {
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
    assert_eq!(found["twice"].as_deref(), Some(&b"second"[..]), "the last counts");
    assert_eq!(found["absent"], None);
    assert_eq!(heard.headers[4]["ce_id"].as_deref(), Some(&b"17"[..]));
}

pub fn group_commits_and_resumes(rig: &dyn Rig) {
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
    // A commit is not waited for, so that one round may end before it has landed: then everything is read and committed again.
    let begun = Instant::now();
    loop {
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
        if heard.records.len() < 20 {
            assert_eq!(heard.values(), numbers(7..10), "what was committed is not read again");
            let asked = [(&*group, 0), (&*group, 1), ("of-nobody", 0)];
            let told = asked.map(|(group, partition)| {
                let of = TopicPartition { topic: writer.topic(&name), partition };
                writer.committed(group, &[of]).expect("the broker tells")
            });
            assert_eq!(told, [vec![Some(7)], vec![Some(10)], vec![None]], "whoever asks");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing was ever committed");
    }
}

pub fn waker_ends_a_poll(rig: &dyn Rig) {
    let mut bus = rig.client();
    let mut heard = Heard::default();
    heard.during(&mut *bus, Duration::from_millis(50));
    for early in [false, true] {
        let waker = bus.waker();
        let wait = 10 * PATIENCE;
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
        assert!(begun.elapsed() < PATIENCE, "early {early}: {:?}", begun.elapsed());
    }
}

/// Whoever pauses behind a flush is not waited for: what was sent arrives without another poll of its sender.
pub fn a_flush_lets_go(rig: &dyn Rig) {
    let (mut one, mut two) = (rig.client(), rig.client());
    let at = topic(&mut *one, "let-go", 2, &[]);
    let sender = one.open_sender().expect("a sender");
    // Connected, and leaders are known: only sending is left.
    (0..2).for_each(|number| send(&mut *one, sender, at[number], &number.to_string(), number as u64));
    let mut heard = Heard::default();
    heard.until(&mut *one, "the acknowledgements", |heard| heard.acknowledged.len() == 2);
    for number in 2..10 {
        send(&mut *one, sender, at[number % 2], &number.to_string(), number as u64);
    }
    one.flush();
    let topic = two.topic(one.name_of(at[0].topic));
    (0..2).for_each(|partition| two.read(TopicPartition { topic, partition }, 0));
    let mut read = Heard::default();
    read.until(&mut *two, "all ten", |heard| heard.records.len() == 10);
    heard.until(&mut *one, "all acknowledgements", |heard| heard.acknowledged.len() == 10);
}

pub fn clients_see_each_other(rig: &dyn Rig) {
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

pub fn two_writers_interleave_without_loss(rig: &dyn Rig) {
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

pub fn closed_sender_sends_nothing(rig: &dyn Rig) {
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

pub fn oversized_is_refused_and_the_next_goes_on(rig: &dyn Rig) {
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

/// What the topic takes, the client sends: a journal record may be large.
pub fn a_large_record_is_taken_where_the_topic_takes_it(rig: &dyn Rig) {
    let mut bus = rig.client();
    let at = topic(&mut *bus, "wide", 1, &[("max.message.bytes", "8388608")])[0];
    let sender = bus.open_sender().expect("a sender");
    // It cannot be compressed.
    let value: Vec<u8> = (0..4 << 20).map(|_| fastrand::u8(..)).collect();
    let mut heard = Heard::default();
    bus.send(sender, Message { to: at, key: None, value: &value, headers: &[] }, 1).expect("it is taken");
    send(&mut *bus, sender, at, "behind", 2);
    heard.until(&mut *bus, "acknowledged", |heard| heard.acknowledged.len() == 2);
    assert_eq!(heard.acknowledged, [(sender, 1, Some(0)), (sender, 2, Some(1))]);
    bus.read(at, 0);
    heard.until(&mut *bus, "read", |heard| heard.records.len() == 2);
}

pub fn unknown_topic_is_refused_and_unreadable(rig: &dyn Rig) {
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
