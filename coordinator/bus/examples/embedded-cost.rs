//! What a record costs on the embedded bus: `embedded-cost [RECORDS] [BYTES]` writes and reads that many on 8 partitions, in bursts
//! as a worker does, and prints time and CPU a record: writing alone, reading from files, and a writer and a reader side by side.

use std::time::{Duration, Instant};

use ringmaster_bus::embedded::{Log, Settings};
use ringmaster_bus::{Bus, BusEvent, Message, Specification, TopicPartition};

const PARTITIONS: i32 = 8;
/// Sent between two polls.
const BURST: usize = 1_024;

#[allow(clippy::print_stdout)]
fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let (count, bytes) = (arguments.next().unwrap_or(4_000_000), arguments.next().unwrap_or(120));
    let directory = std::env::temp_dir().join(format!("embedded-cost-{}", std::process::id()));
    let log = Log::open(&directory, Settings::default()).expect("a log");
    let report = |what: &str, begun: Instant, cpu: Duration| {
        let per = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        let (wall, cpu) = (per(begun.elapsed()), per(cpu_time() - cpu));
        println!("{what:<22} {count} records of {bytes} bytes: {wall:.3} us, {cpu:.3} us of CPU a record");
    };
    let (begun, cpu) = (Instant::now(), cpu_time());
    write(&mut log.client(), "first", count, bytes);
    report("write", begun, cpu);
    let (begun, cpu) = (Instant::now(), cpu_time());
    read(&mut log.client(), "first", count);
    report("read files", begun, cpu);
    create(&mut log.client(), "second");
    let (begun, cpu) = (Instant::now(), cpu_time());
    std::thread::scope(|scope| {
        let (mut writer, mut reader) = (log.client(), log.client());
        scope.spawn(move || read(&mut reader, "second", count));
        scope.spawn(move || write(&mut writer, "second", count, bytes));
    });
    report("write and read at once", begun, cpu);
    drop(log);
    std::fs::remove_dir_all(&directory).expect("its folder is removed");
}

fn create(bus: &mut dyn Bus, name: &str) -> Vec<TopicPartition> {
    let what = Specification { name: name.to_owned(), partitions: PARTITIONS, replication: 1, settings: vec![] };
    bus.create(&what).expect("a topic");
    let topic = bus.topic(name);
    (0..PARTITIONS).map(|partition| TopicPartition { topic, partition }).collect()
}

fn write(bus: &mut dyn Bus, name: &str, count: usize, bytes: usize) {
    let to = create(bus, name);
    let sender = bus.open_sender().expect("a sender");
    let value = vec![b'x'; bytes];
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < count {
        for number in sent..count.min(sent + BURST) {
            let key = (number as u64).to_le_bytes();
            let message = Message { to: to[number / 128 % to.len()], key: Some(&key), value: &value, headers: &[] };
            bus.send(sender, message, number as u64).expect("it is taken");
        }
        sent = count.min(sent + BURST);
        bus.poll(Duration::ZERO, &mut |event| acknowledged += usize::from(matches!(event, BusEvent::Acknowledged { .. })));
    }
}

fn read(bus: &mut dyn Bus, name: &str, count: usize) {
    for at in create(bus, name) {
        bus.read(at, 0);
    }
    let (mut seen, mut sum) = (0, 0);
    while seen < count {
        bus.poll(Duration::from_secs(1), &mut |event| {
            if let BusEvent::Record(record) = event {
                seen += 1;
                sum += record.value.map_or(0, <[u8]>::len);
            }
        });
    }
    assert!(sum >= count);
}

/// CPU time of this process, in the clock ticks of /proc (10 ms).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let behind_name = stat.rsplit(')').next().expect("a process has a name");
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
