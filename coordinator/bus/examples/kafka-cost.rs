//! What the Kafka bus costs on a real broker of its own: `kafka-cost [LINGER_MS] [COMPRESSION] [RECORDS] [RUN] [CLIENT]`
//! (librdkafka or direct) prints
//! - how long a new sender's first record takes to be acknowledged,
//! - the latency of an idle hop (one record at a time: sent, appended, read by another bus) and the CPU of a hop,
//! - records/s and the CPU of a record for clients and broker: writer and reader at once, in bursts per partition.

use std::time::{Duration, Instant};

use ringmaster_bus::kafka::broker::Broker;
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_bus::{Bus, BusEvent, Message, Sender, TopicPartition};

const PARTITIONS: i32 = 8;
/// Sent between two polls; to one partition in runs of `RUN` (128).
const BURST: usize = 1_024;
/// Sent and not yet acknowledged.
const IN_FLIGHT_MAX: usize = 20_000;

#[allow(clippy::print_stdout)]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let linger_ms: f64 = arguments.next().map_or(0.0, |text| text.parse().expect("milliseconds"));
    let compression = arguments.next().unwrap_or_else(|| "lz4".to_owned());
    let count: usize = arguments.next().map_or(1_000_000, |text| text.parse().expect("a number"));
    let run: usize = arguments.next().map_or(128, |text| text.parse().expect("a number"));
    let client = arguments.next().unwrap_or_else(|| "librdkafka".to_owned());
    let broker = Broker::start().expect("a broker");
    let passthrough = vec![("compression.type".to_owned(), compression.clone()), ("client".to_owned(), client.clone())];
    let linger = Duration::from_secs_f64(linger_ms / 1e3);
    let settings = KafkaSettings { passthrough, linger, ..KafkaSettings::new(broker.address()) };
    let bus = || KafkaBus::new(settings.clone()).expect("a bus");
    println!("{client}, linger {linger_ms} ms, {compression}");
    for name in ["there", "back", "many"] {
        broker.create_topic(name, PARTITIONS, &[]).expect("a topic");
    }

    for _ in 0..3 {
        let mut bus = bus();
        let to = partitions(&mut bus, "many")[0];
        let begun = Instant::now();
        let sender = bus.open_sender().expect("a sender");
        send(&mut bus, sender, to, b"first", 0);
        until(&mut bus, |event| matches!(event, BusEvent::Acknowledged { .. }));
        println!("a new bus' first acknowledgement: {:?}", begun.elapsed());
        let (begun, sender) = (Instant::now(), bus.open_sender().expect("a sender"));
        send(&mut bus, sender, to, b"first", 0);
        until(&mut bus, |event| matches!(event, BusEvent::Acknowledged { .. }));
        println!("a new sender's first acknowledgement: {:?}", begun.elapsed());
    }
    hops(&broker, bus(), bus());
    for _ in 0..2 {
        stream(&broker, bus(), bus(), count, run);
    }
}

#[allow(clippy::print_stdout)]
fn hops(broker: &Broker, mut one: KafkaBus, mut two: KafkaBus) {
    let (there, back) = (partitions(&mut one, "there"), partitions(&mut one, "back"));
    back.iter().for_each(|&at| one.read(at, 0));
    let echo = std::thread::spawn(move || {
        let (there, back) = (partitions(&mut two, "there"), partitions(&mut two, "back"));
        there.iter().for_each(|&at| two.read(at, 0));
        let sender = two.open_sender().expect("a sender");
        loop {
            let mut seen = Vec::new();
            two.poll(Duration::from_secs(60), &mut |event| {
                if let BusEvent::Record(record) = event {
                    seen.push((record.at.partition, record.value.map(<[u8]>::to_vec).unwrap_or_default()));
                }
            });
            for (partition, value) in seen {
                if value == b"end" {
                    return;
                }
                send(&mut two, sender, back[partition as usize], &value, 0);
            }
        }
    });
    let sender = one.open_sender().expect("a sender");
    let (mut times, hops) = (Vec::new(), 400);
    let (mut cpu, mut broker_cpu) = (cpu_time(), broker.cpu_time());
    for hop in 0..hops + 20 {
        if hop == 20 {
            (cpu, broker_cpu) = (cpu_time(), broker.cpu_time());
            times.clear();
        }
        std::thread::sleep(Duration::from_millis(10 + hop % 7));
        let begun = Instant::now();
        send(&mut one, sender, there[hop as usize % there.len()], b"ping", hop);
        until(&mut one, |event| matches!(event, BusEvent::Record(_)));
        times.push(begun.elapsed() / 2);
    }
    let (cpu, broker_cpu) = (cpu_time() - cpu, broker.cpu_time() - broker_cpu);
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let per = |cpu: Duration| cpu.as_secs_f64() * 1e6 / (2 * hops) as f64;
    println!("idle hop p50 {:?} p90 {:?} p99 {:?} max {:?}", at(0.5), at(0.9), at(0.99), at(1.0));
    println!("CPU a hop, idle time included: clients {:.0} us, broker {:.0} us", per(cpu), per(broker_cpu));
    let (idle, idle_cpu) = (Duration::from_secs(2), cpu_time());
    let begun = Instant::now();
    while begun.elapsed() < idle {
        one.poll(idle, &mut |_| {});
    }
    println!("two idle buses: {:?} of CPU a second", (cpu_time() - idle_cpu) / 2);
    send(&mut one, sender, there[0], b"end", 0);
    until(&mut one, |event| matches!(event, BusEvent::Acknowledged { .. }));
    echo.join().expect("the echo");
}

#[allow(clippy::print_stdout)]
fn stream(broker: &Broker, mut writer: KafkaBus, mut reader: KafkaBus, count: usize, run: usize) {
    let to = partitions(&mut writer, "many");
    let from = partitions(&mut reader, "many");
    let mut ends = vec![];
    from.iter().for_each(|&at| reader.ask_bounds(at));
    while ends.len() < from.len() {
        reader.poll(Duration::from_secs(1), &mut |event| {
            if let BusEvent::Bounds { at, end, .. } = event {
                ends.push((at, end));
            }
        });
    }
    ends.iter().for_each(|&(at, end)| reader.read(at, end));
    let (begun, cpu, broker_cpu) = (Instant::now(), cpu_time(), broker.cpu_time());
    let thread = std::thread::spawn(move || {
        let (mut seen, mut polls) = (0, 0);
        while seen < count {
            reader.poll(Duration::from_secs(1), &mut |event| seen += usize::from(matches!(event, BusEvent::Record(_))));
            polls += 1;
        }
        (seen as f64 / polls as f64, begun.elapsed())
    });
    let sender = writer.open_sender().expect("a sender");
    let value = [b"a value as commands have them, with some text that repeats and some ".as_slice(), &[7; 60]].concat();
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < count {
        let burst = BURST.min(count - sent).min(IN_FLIGHT_MAX - (sent - acknowledged));
        for number in sent..sent + burst {
            let mut value = value.clone();
            value[..8].copy_from_slice(&fastrand::u64(..).to_le_bytes());
            send(&mut writer, sender, to[number / run % to.len()], &value, number as u64);
        }
        sent += burst;
        let wait = if burst == 0 { Duration::from_secs(1) } else { Duration::ZERO };
        writer.poll(wait, &mut |event| acknowledged += usize::from(matches!(event, BusEvent::Acknowledged { .. })));
    }
    let (per_poll, wall) = thread.join().expect("the reader");
    let per = |cpu: Duration| cpu.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{count} records of {} bytes, written and read: {:.0}/s, CPU a record: clients {:.2} us, broker {:.2} us; {per_poll:.0} a reader's poll",
        value.len(),
        count as f64 / wall.as_secs_f64(),
        per(cpu_time() - cpu),
        per(broker.cpu_time() - broker_cpu),
    );
}

fn partitions(bus: &mut KafkaBus, name: &str) -> Vec<TopicPartition> {
    let topic = bus.topic(name);
    (0..PARTITIONS).map(|partition| TopicPartition { topic, partition }).collect()
}

fn send(bus: &mut KafkaBus, sender: Sender, to: TopicPartition, value: &[u8], tag: u64) {
    bus.send(sender, Message { to, key: Some(b"order-17"), value, headers: &[] }, tag).expect("it is taken");
}

fn until(bus: &mut KafkaBus, wanted: impl Fn(&BusEvent<'_>) -> bool) {
    let mut found = false;
    while !found {
        bus.poll(Duration::from_secs(10), &mut |event| found |= wanted(&event));
    }
}

/// CPU time of this process, in the clock ticks of /proc (10 ms).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let behind_name = stat.rsplit(')').next().expect("a process has a name");
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
