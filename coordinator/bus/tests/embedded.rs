//! The embedded bus: what every bus must do, and what its files must survive.

mod suite;

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ringmaster_bus::embedded::{Log, Settings, Sync};
use ringmaster_bus::{Bus, BusError, BusEvent, Message, SendError, Specification, TopicPartition};

struct Embedded {
    log: Log,
}

impl suite::Rig for Embedded {
    fn name(&self) -> &str {
        "embedded"
    }

    fn client(&self) -> Box<dyn Bus + Send> {
        Box::new(self.log.client())
    }

    fn delete(&self, topic: &str) {
        assert_eq!(self.log.delete(topic), Ok(true));
    }

    fn forget(&self, _: &str, _: i32, _: i64) -> bool {
        false
    }

    fn narrow(&self, _: &str, _: usize) -> bool {
        false
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(20)
    }
}

#[test]
fn conforms() {
    let directory = tempfile::tempdir().expect("a folder");
    suite::run_all(&Embedded { log: Log::open(directory.path(), Settings::default()).expect("a log") });
}

#[test]
fn conforms_with_small_segments_and_forced_writes() {
    let directory = tempfile::tempdir().expect("a folder");
    let settings = Settings { sync: Sync::Always, segment_bytes_max: 2_000 };
    suite::run_all(&Embedded { log: Log::open(directory.path(), settings).expect("a log") });
}

/// A topic `t` with one partition.
fn topic(bus: &mut dyn Bus, settings: &[(&str, &str)]) -> TopicPartition {
    let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    bus.create(&Specification { name: "t".to_owned(), partitions: 1, replication: 1, settings }).expect("a topic");
    TopicPartition { topic: bus.topic("t"), partition: 0 }
}

/// Sends these numbers, a batch each `per_batch`; returns how many were acknowledged and why others were not.
fn send(bus: &mut dyn Bus, to: TopicPartition, values: std::ops::Range<u64>, per_batch: u64) -> (u64, Vec<SendError>) {
    let sender = bus.open_sender().expect("a sender");
    let (mut acknowledged, mut failed) = (0, vec![]);
    for value in values {
        let text = format!("{value:0>100}");
        bus.send(sender, Message { to, key: None, value: text.as_bytes(), headers: &[] }, value).expect("it is taken");
        if (value + 1) % per_batch == 0 {
            bus.poll(Duration::ZERO, &mut |event| match event {
                BusEvent::Acknowledged { .. } => acknowledged += 1,
                BusEvent::Failed { why, .. } => failed.push(why),
                _ => {}
            });
        }
    }
    bus.poll(Duration::ZERO, &mut |event| match event {
        BusEvent::Acknowledged { .. } => acknowledged += 1,
        BusEvent::Failed { why, .. } => failed.push(why),
        _ => {}
    });
    (acknowledged, failed)
}

/// Reads from here to the end; the error, if reading stopped.
fn read(bus: &mut dyn Bus, at: TopicPartition, from: i64) -> (Vec<u64>, Option<String>) {
    let (mut values, mut stopped, mut ended) = (vec![], None, false);
    bus.read(at, from);
    let begun = Instant::now();
    while !ended && stopped.is_none() {
        assert!(begun.elapsed() < suite::heard::PATIENCE, "neither an end nor an error");
        bus.poll(Duration::from_millis(20), &mut |event| match event {
            BusEvent::Record(record) => {
                assert_eq!(record.offset, from + values.len() as i64);
                values.push(std::str::from_utf8(record.value.expect("a value")).expect("text").parse().expect("a number"));
            }
            BusEvent::CaughtUp(..) => ended = true,
            BusEvent::OutOfRange { .. } => stopped = Some("out of range".to_owned()),
            BusEvent::Unreadable(_, why) => stopped = Some(why),
            _ => {}
        });
    }
    bus.stop(at);
    (values, stopped)
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(directory.join("topics/t/0")).expect("a partition's folder");
    let mut found: Vec<_> = found.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

#[test]
fn a_directory_belongs_to_one_process() {
    let directory = tempfile::tempdir().expect("a folder");
    let log = Log::open(directory.path(), Settings::default()).expect("a log");
    let Err(BusError::Taken(why)) = Log::open(directory.path(), Settings::default()) else { panic!("opened twice") };
    assert!(why.contains(&directory.path().display().to_string()) && why.contains("stop that one"), "{why}");
    let client = log.client();
    drop(log);
    assert!(matches!(Log::open(directory.path(), Settings::default()), Err(BusError::Taken(_))), "a client holds it");
    drop(client);
    Log::open(directory.path(), Settings::default()).expect("it was given back");
}

#[test]
fn any_torn_tail_is_cut_and_the_log_goes_on() {
    let directory = tempfile::tempdir().expect("a folder");
    let open = || Log::open(directory.path(), Settings::default()).expect("a log");
    let at = {
        let mut bus = open().client();
        let at = topic(&mut bus, &[]);
        assert_eq!(send(&mut bus, at, 0..30, 10).0, 30);
        at
    };
    let segment = &segments(directory.path())[0];
    let whole = std::fs::read(segment).expect("the file");
    let batch = whole.len() / 3;
    let garbage = |length: usize| (0..length).map(|_| fastrand::u8(..)).collect::<Vec<_>>();
    let mut tails: Vec<Vec<u8>> = (0..batch).step_by(97).map(|kept| whole[..2 * batch + kept].to_vec()).collect();
    for length in [1, 27, 28, 29, 5_000] {
        tails.push([&whole[..2 * batch], &garbage(length)[..]].concat());
        tails.push([&whole[..2 * batch], &vec![0; length][..]].concat());
    }
    for tail in tails {
        std::fs::write(segment, &tail).expect("written");
        let mut bus = open().client();
        bus.topic("t");
        assert_eq!(read(&mut bus, at, 0), ((0..20).collect(), None), "a tail of {} bytes", tail.len() - 2 * batch);
        assert_eq!(send(&mut bus, at, 20..25, 10).0, 5);
        drop(bus);
        let mut bus = open().client();
        bus.topic("t");
        assert_eq!(read(&mut bus, at, 0), ((0..25).collect(), None));
    }
}

#[test]
fn damage_in_the_middle_is_an_error_that_names_file_and_place() {
    let directory = tempfile::tempdir().expect("a folder");
    let open = || Log::open(directory.path(), Settings { segment_bytes_max: 3_000, ..Settings::default() });
    let at = {
        let mut bus = open().expect("a log").client();
        let at = topic(&mut bus, &[("retention.ms", "-1")]);
        assert_eq!(send(&mut bus, at, 0..100, 5).0, 100);
        at
    };
    let files = segments(directory.path());
    assert!(files.len() > 3);
    let harm = |file: &Path, byte: u64| {
        let file = std::fs::File::options().read(true).write(true).open(file).expect("a file");
        let mut found = [0];
        file.read_exact_at(&mut found, byte).expect("a byte");
        file.write_all_at(&[found[0] ^ 0x10], byte).expect("harmed");
    };
    // In a closed segment: everything before it can be read, and nothing behind it is given out.
    harm(&files[1], 700);
    let mut bus = open().expect("a closed segment is checked when it is read").client();
    bus.topic("t");
    let (values, why) = read(&mut bus, at, 0);
    let why = why.expect("an error");
    assert!(why.contains(&files[1].display().to_string()) && why.contains("at byte"), "{why}");
    assert!(values.len() < 50 && values.iter().copied().eq(0..values.len() as u64), "{values:?}");
    assert_eq!(read(&mut bus, at, 90), ((90..100).collect(), None), "other segments are whole");
    drop(bus);
    harm(&files[1], 700);
    // In the last segment, with good batches behind: the log does not open. Length, CRC, base and body alike.
    let last = files.last().expect("a last one");
    for byte in [0, 1, 4, 9, 17, 25, 40, 300] {
        harm(last, byte);
        let Err(BusError::Storage(why)) = open() else { panic!("damage at byte {byte} was cut off or skipped") };
        assert!(why.contains(&last.display().to_string()) && why.contains("at byte 0"), "{why}");
        harm(last, byte);
    }
    let mut bus = open().expect("unharmed again").client();
    bus.topic("t");
    assert_eq!(read(&mut bus, at, 0), ((0..100).collect(), None));
}

#[test]
fn segments_that_all_groups_have_passed_are_deleted_and_journals_are_kept() {
    for (retention, kept) in [("3600000", false), ("-1", true)] {
        let directory = tempfile::tempdir().expect("a folder");
        let settings = Settings { segment_bytes_max: 3_000, ..Settings::default() };
        let log = Log::open(directory.path(), settings).expect("a log");
        let (mut bus, mut slow) = (log.client(), log.client());
        let at = topic(&mut bus, &[("retention.ms", retention)]);
        send(&mut bus, at, 0..200, 5);
        let (before, commit) = (segments(directory.path()).len(), |bus: &mut dyn Bus, group: &str, next: i64| {
            bus.commit(group, &[(at, next)]);
            // Positions are written by the first poll that comes 50 ms behind, and all of them when a client is dropped.
            std::thread::sleep(Duration::from_millis(80));
            bus.poll(Duration::ZERO, &mut |_| {});
        });
        assert!(before > 7);
        commit(&mut bus, "fast", 200);
        let after = segments(directory.path()).len();
        assert_eq!(after == 1, !kept, "{after} segments of {before} are left");
        send(&mut bus, at, 200..400, 5);
        slow.topic("t");
        commit(&mut slow, "slow", 210);
        commit(&mut bus, "fast", 400);
        let mut reader = log.client();
        reader.topic("t");
        assert_eq!(read(&mut reader, at, 210), ((210..400).collect(), None), "what a slow group needs is there");
        assert_eq!(read(&mut reader, at, 0).1.is_none(), kept);
        commit(&mut slow, "slow", 400);
        assert_eq!(segments(directory.path()).len() == 1, !kept);
        drop((bus, slow, reader, log));
        // Offsets go on where they were.
        let log = Log::open(directory.path(), settings).expect("a log");
        let mut bus = log.client();
        bus.topic("t");
        send(&mut bus, at, 400..401, 1);
        assert_eq!(read(&mut bus, at, 400), (vec![400], None));
    }
}

#[test]
fn what_no_group_reads_is_kept_for_its_retention() {
    for (retention, kept) in [("1", false), ("3600000", true), ("-1", true)] {
        let directory = tempfile::tempdir().expect("a folder");
        let settings = Settings { segment_bytes_max: 3_000, ..Settings::default() };
        let log = Log::open(directory.path(), settings).expect("a log");
        let mut bus = log.client();
        let at = topic(&mut bus, &[("retention.ms", retention)]);
        let (mut sent, begun) = (0, Instant::now());
        // Old segments go when something is appended: what is kept for an hour is all there, what is kept for a millisecond is not
        // as soon as one has passed.
        while sent < 200 || (!kept && read(&mut bus, at, 0).1.is_none()) {
            assert!(begun.elapsed() < suite::heard::PATIENCE, "everything is still there with retention.ms = {retention}");
            send(&mut bus, at, sent..sent + 30, 5);
            sent += 30;
        }
        if kept {
            assert_eq!(read(&mut bus, at, 0), ((0..sent).collect(), None), "retention.ms = {retention}");
        }
    }
}

#[test]
fn a_group_has_one_member() {
    let directory = tempfile::tempdir().expect("a folder");
    let log = Log::open(directory.path(), Settings::default()).expect("a log");
    let (mut one, mut two) = (log.client(), log.client());
    let at = topic(&mut one, &[]);
    let topic = two.topic("t");
    assert_eq!(one.join("g", &[at.topic]), Ok(()));
    assert!(matches!(two.join("g", &[topic]), Err(BusError::Taken(why)) if why.contains("stop that one")));
    drop(one);
    assert_eq!(two.join("g", &[topic]), Ok(()));
}

#[test]
fn what_is_not_polled_is_bounded() {
    let directory = tempfile::tempdir().expect("a folder");
    let log = Log::open(directory.path(), Settings::default()).expect("a log");
    let mut bus = log.client();
    let to = topic(&mut bus, &[]);
    let sender = bus.open_sender().expect("a sender");
    let mut sent = 0;
    let full = loop {
        match bus.send(sender, Message { to, key: None, value: b"x", headers: &[] }, sent) {
            Ok(()) => sent += 1,
            Err(why) => break why,
        }
        assert!(sent <= 2_000_000, "there is no bound");
    };
    assert_eq!(full, SendError::Full);
    let mut acknowledged = 0;
    while acknowledged < sent {
        let visited = bus.poll(Duration::ZERO, &mut |event| match event {
            BusEvent::Acknowledged { tag, offset, .. } => {
                assert_eq!((tag, offset), (acknowledged, Some(acknowledged as i64)));
                acknowledged += 1;
            }
            _ => panic!("nothing else happens"),
        });
        assert!((1..=10_000).contains(&visited), "a poll visits a bounded number: {visited}");
    }
    assert_eq!(bus.send(sender, Message { to, key: None, value: b"x", headers: &[] }, 0), Ok(()));
}

#[test]
fn a_tool_reads_while_the_owner_writes() {
    let directory = tempfile::tempdir().expect("a folder");
    let settings = Settings { segment_bytes_max: 3_000, ..Settings::default() };
    let log = Log::open(directory.path(), settings).expect("a log");
    let mut bus = log.client();
    let at = topic(&mut bus, &[("retention.ms", "-1")]);
    send(&mut bus, at, 0..100, 7);
    let tool = Log::open_read_only(directory.path()).expect("it opens beside the owner");
    let mut reader = tool.client();
    let theirs = TopicPartition { topic: reader.topic("t"), partition: 0 };
    assert_eq!(read(&mut reader, theirs, 0), ((0..100).collect(), None));
    send(&mut bus, at, 100..300, 7);
    assert_eq!(read(&mut reader, theirs, 0), ((0..300).collect(), None), "what the owner appended since, new segments too");
    // And while it waits.
    reader.read(theirs, 300);
    let thread = std::thread::spawn(move || send(&mut bus, at, 300..310, 7));
    let (mut seen, begun) = (0, Instant::now());
    while seen < 10 {
        reader.poll(Duration::from_secs(1), &mut |event| seen += i32::from(matches!(event, BusEvent::Record(_))));
        assert!(begun.elapsed() < suite::heard::PATIENCE);
    }
    thread.join().expect("the writer");
    let sender = reader.open_sender().expect("a sender");
    let sent = reader.send(sender, Message { to: theirs, key: None, value: b"x", headers: &[] }, 0);
    assert!(matches!(sent, Err(SendError::Refused(_))));
    let made = reader.create(&Specification { name: "n".to_owned(), partitions: 1, replication: 1, settings: vec![] });
    assert!(matches!(made, Err(BusError::Refused(_))));
}

#[test]
fn a_topic_half_made_or_half_deleted_is_gone() {
    let directory = tempfile::tempdir().expect("a folder");
    let log = Log::open(directory.path(), Settings::default()).expect("a log");
    topic(&mut log.client(), &[]);
    drop(log);
    std::fs::create_dir_all(directory.path().join("topics/u~new/0")).expect("left by a crash");
    std::fs::create_dir_all(directory.path().join("topics/v~deleted/0")).expect("left by a crash");
    let log = Log::open(directory.path(), Settings::default()).expect("a log");
    let described = log.client().describe(&["t", "u", "u~new", "v"]).expect("an answer");
    assert_eq!(described.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(std::fs::read_dir(directory.path().join("topics")).expect("topics").count(), 1);
}

/// What the child processes of the tests below do, on the directory in `RINGMASTER_TEST_DIRECTORY`.
#[test]
fn child() {
    let Some(directory) = std::env::var_os("RINGMASTER_TEST_DIRECTORY") else {
        return;
    };
    let log = Log::open(Path::new(&directory), Settings::default()).expect("a log");
    let mut bus = log.client();
    let at = topic(&mut bus, &[]);
    if std::env::var_os("RINGMASTER_TEST_FOREVER").is_some() {
        let mut acknowledged = std::fs::File::create(Path::new(&directory).join("acknowledged")).expect("a file");
        for begin in (0..).step_by(100) {
            let (count, _) = send(&mut bus, at, begin..begin + 100, 7);
            assert_eq!(count, 100);
            std::io::Write::write_all(&mut acknowledged, &(begin + 100).to_le_bytes()).expect("noted");
        }
    }
    // The files of this process may not be larger than the limit that its parent set.
    let (acknowledged, failed) = send(&mut bus, at, 0..1_000, 10);
    assert!(acknowledged > 0 && failed.len() as u64 == 1_000 - acknowledged, "{acknowledged} of 1,000");
    assert!(failed.iter().all(|why| matches!(why, SendError::Unknown(text) if text.contains(".log"))), "{:?}", failed[0]);
    let mut reader = log.client();
    reader.topic("t");
    assert_eq!(read(&mut reader, at, 0), ((0..acknowledged).collect(), None), "a failed batch is not there");
    std::fs::write(Path::new(&directory).join("done"), acknowledged.to_string()).expect("noted");
}

fn run_child(directory: &Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    let test = std::env::current_exe().expect("this test");
    command.arg("-c").arg(format!("{shell} exec '{}' --exact child --nocapture", test.display()));
    command.env("RINGMASTER_TEST_DIRECTORY", directory);
    command
}

#[test]
fn a_write_that_fails_is_said_and_leaves_no_half_record() {
    let directory = tempfile::tempdir().expect("a folder");
    // 512-byte blocks; the signal is ignored, so that a write beyond the limit is an error as on a full disk.
    // What it says goes through a pipe: this test's own output may be a file that is larger already.
    let child = run_child(directory.path(), "trap '' XFSZ; ulimit -f 37;").output().expect("a child");
    assert!(child.status.success(), "{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    let acknowledged: u64 = std::fs::read_to_string(directory.path().join("done")).expect("done").parse().expect("a number");
    let log = Log::open(directory.path(), Settings::default()).expect("a log");
    let mut bus = log.client();
    let at = TopicPartition { topic: bus.topic("t"), partition: 0 };
    assert_eq!(read(&mut bus, at, 0), ((0..acknowledged).collect(), None));
}

#[test]
fn killed_at_any_moment_it_keeps_what_was_acknowledged_once_each_in_order() {
    for wanted in [1, 100, 400] {
        let directory = tempfile::tempdir().expect("a folder");
        let mut child = run_child(directory.path(), "").env("RINGMASTER_TEST_FOREVER", "1").spawn().expect("a child");
        let (noted, begun) = (directory.path().join("acknowledged"), Instant::now());
        while noted.metadata().map_or(0, |noted| noted.len()) < 8 * wanted {
            assert!(begun.elapsed() < suite::heard::PATIENCE);
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("killed");
        child.wait().expect("dead");
        let noted = std::fs::read(noted).expect("noted");
        let last = noted.chunks_exact(8).last().map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")));
        let log = Log::open(directory.path(), Settings::default()).expect("a log");
        let mut bus = log.client();
        let at = TopicPartition { topic: bus.topic("t"), partition: 0 };
        let (values, stopped) = read(&mut bus, at, 0);
        assert_eq!(stopped, None);
        assert!(values.len() as u64 >= last && last > 0, "{} were acknowledged, {} are there", last, values.len());
        assert!(values.iter().copied().eq(0..values.len() as u64), "a prefix, once each, in order");
    }
}
