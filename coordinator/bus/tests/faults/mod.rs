//! What a broker's faults do to a bus, by either client.
#![allow(clippy::print_stdout, unreachable_pub)]

use std::time::{Duration, Instant};

use ringmaster_bus::kafka::Client;
use ringmaster_bus::kafka::broker::Broker;
use ringmaster_bus::{Bus, BusEvent, Message, SendError};

use super::{bus_by, everything, partitions, send, suite};

/// What a broker that dies does to records in flight, and what of it is said.
pub fn a_broker_that_dies_causes_doubt_and_no_acknowledged_record_is_lost(broker: &mut Broker, client: Client) {
    let name = format!("killed-{client:?}");
    broker.create_topic(&name, 1, &[]).expect("a topic");
    let mut bus = bus_by(broker, client);
    let at = partitions(&mut bus, &name, 1)[0];
    let sender = bus.open_sender().expect("a sender");
    let (mut sent, mut acknowledged, mut doubts, mut in_flight_at_kill) = (0, vec![], vec![], 0);
    let begun = Instant::now();
    let mut killed = false;
    while doubts.is_empty() {
        assert!(begun.elapsed() < suite::heard::PATIENCE, "no doubt");
        for _ in 0..200 {
            if sent < 400_000 {
                send(&mut bus, sender, at, sent);
                sent += 1;
            }
        }
        // Right behind the sends: behind a poll all of them may have been acknowledged.
        if !killed && acknowledged.len() > 5_000 {
            in_flight_at_kill = sent as usize - acknowledged.len();
            broker.kill().expect("killed");
            killed = true;
        }
        bus.poll(Duration::from_millis(1), &mut |event| match event {
            BusEvent::Acknowledged { tag, offset, .. } => acknowledged.push((tag, offset)),
            BusEvent::Doubt { sender: whose, why } => doubts.push((whose, why)),
            _ => {}
        });
    }
    assert!(in_flight_at_kill > 0, "the fault hit nothing");
    assert!(doubts.iter().all(|(whose, why)| *whose == sender && !why.is_empty()));
    broker.restart().expect("it starts again");
    // The same sender goes on: each record once and in order, whatever was in flight.
    while acknowledged.len() < sent as usize {
        assert!(begun.elapsed() < 3 * suite::heard::PATIENCE, "{} of {sent} acknowledged", acknowledged.len());
        bus.poll(Duration::from_millis(50), &mut |event| match event {
            BusEvent::Acknowledged { tag, offset, .. } => acknowledged.push((tag, offset)),
            BusEvent::Failed { tag, why, .. } => panic!("{tag} failed: {why}"),
            _ => {}
        });
    }
    assert!(acknowledged.iter().map(|(tag, _)| *tag).eq(0..sent), "acknowledgements come in order");
    let there = everything(&mut bus, at);
    assert!(there.iter().copied().eq(0..sent), "each record once, in order");
    let offsets = acknowledged.iter().filter_map(|(tag, offset)| Some((*tag, (*offset)?)));
    offsets.for_each(|(tag, offset)| assert_eq!(tag as i64, offset));
    // A new sender after the doubt, as the protocol takes one.
    bus.close_sender(sender);
    let sender = bus.open_sender().expect("a sender");
    send(&mut bus, sender, at, sent);
    let mut confirmed = false;
    while !confirmed {
        assert!(begun.elapsed() < 4 * suite::heard::PATIENCE, "the new sender is not confirmed");
        bus.poll(Duration::from_millis(50), &mut |event| confirmed |= matches!(event, BusEvent::Acknowledged { .. }));
    }
    assert_eq!(everything(&mut bus, at).len() as u64, sent + 1);
}

pub fn a_broker_that_freezes_is_waited_for_without_burning_cpu(broker: &Broker, client: Client) {
    let name = format!("frozen-{client:?}");
    broker.create_topic(&name, 2, &[]).expect("a topic");
    let mut bus = bus_by(broker, client);
    let at = partitions(&mut bus, &name, 2);
    let (at, elsewhere) = (at[0], at[1]);
    let sender = bus.open_sender().expect("a sender");
    bus.read(at, 0);
    let (mut read, mut acknowledged, begun) = (0, 0, Instant::now());
    let mut sent = 0;
    while read < 1_000 {
        send(&mut bus, sender, at, sent);
        sent += 1;
        bus.poll(Duration::ZERO, &mut |event| count(&event, &mut read, &mut acknowledged));
    }
    let mut member = super::bus(broker);
    let topic = member.topic(&name);
    member.join(&name, &[topic]).expect("it joins");
    let mut assigned = false;
    while !assigned {
        member.poll(Duration::from_millis(100), &mut |event| assigned |= matches!(event, BusEvent::Assigned(_)));
    }
    broker.pause().expect("paused");
    for _ in 0..1_000 {
        send(&mut bus, sender, at, sent);
        sent += 1;
    }
    // What was on its way still comes.
    while bus.poll(Duration::from_millis(500), &mut |event| count(&event, &mut read, &mut acknowledged)) > 0 {}
    assert!(acknowledged < sent, "the fault hit nothing");
    let (cpu, waited) = (cpu_time(), Instant::now());
    while waited.elapsed() < Duration::from_secs(2) {
        bus.poll(Duration::from_secs(2), &mut |event| count(&event, &mut read, &mut acknowledged));
    }
    let cpu = cpu_time() - cpu;
    assert!(cpu < Duration::from_millis(500), "{cpu:?} of CPU in 2 s of waiting for acknowledgements");
    // Another sender is told when the bus holds as much as it may.
    let (other, mut taken) = (bus.open_sender().expect("a sender"), 0u64);
    let full = loop {
        let message = Message { to: elsewhere, key: None, value: b"more and more", headers: &[] };
        match bus.send(other, message, taken) {
            Ok(()) => taken += 1,
            Err(why) => break why,
        }
        if taken % 1_000 == 0 {
            bus.poll(Duration::ZERO, &mut |_| {});
        }
        assert!(taken < 2_000_000, "there is no bound");
    };
    assert_eq!(full, SendError::Full);
    bus.close_sender(other);
    let dropped = Instant::now();
    drop(member);
    println!("a member left a frozen broker in {:?}", dropped.elapsed());
    assert!(
        dropped.elapsed() < suite::heard::PATIENCE / 2,
        "a member that ends must not wait for a broker: {:?}",
        dropped.elapsed()
    );
    broker.resume().expect("resumed");
    while read < sent || acknowledged < sent {
        assert!(begun.elapsed() < 4 * suite::heard::PATIENCE, "{read} read and {acknowledged} acknowledged of {sent}");
        bus.poll(Duration::from_millis(100), &mut |event| count(&event, &mut read, &mut acknowledged));
    }
    assert_eq!((read, acknowledged), (sent, sent));
}

fn count(event: &BusEvent<'_>, read: &mut u64, acknowledged: &mut u64) {
    match event {
        BusEvent::Record(record) => {
            assert_eq!(record.offset as u64, *read);
            *read += 1;
        }
        BusEvent::Acknowledged { tag, .. } => {
            assert_eq!(tag, acknowledged);
            *acknowledged += 1;
        }
        BusEvent::Failed { tag, why, .. } => panic!("{tag} failed: {why}"),
        _ => {}
    }
}

/// CPU time of this thread, in the clock ticks of /proc (10 ms): other tests run beside it.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("/proc");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
