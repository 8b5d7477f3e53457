//! `ringmaster scale` with real processes: they come and go by what an API says that the test writes, and none is left.

mod api;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api::Api;
use ringmaster_bus::clock;

use crate::site::PATIENCE;

/// A folder with settings by which members are this shell script.
struct Place {
    folder: tempfile::TempDir,
    api: Api,
}

/// Writes its process id into a file with its number, and stays.
const STAYS: &str = "echo here; echo $$ > member-$RINGMASTER_MEMBER; exec sleep 1000";

impl Place {
    fn new(script: &str, wanted: u32) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let api = Api::start(wanted);
        std::fs::write(folder.path().join("member.sh"), script).expect("written");
        let text = format!("[api]\nlisten = '{}'\n[scale.fraud]\ncommand = ['sh', 'member.sh']\nmax = 4\n", api.address);
        std::fs::write(folder.path().join("ringmaster.toml"), text).expect("written");
        Place { folder, api }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmaster"));
        command.arg("scale").args(arguments).current_dir(self.folder.path());
        command
    }

    fn start(&self) -> Scaler<'_> {
        let log = self.folder.path().join("log");
        let child = self.command(&[]).stderr(std::fs::File::create(&log).expect("made")).spawn().expect("it starts");
        Scaler { place: self, child, log }
    }

    /// Ids of the processes that members of these numbers said they are; none where one has not said so.
    fn process_of(&self, member: u32) -> Option<u32> {
        std::fs::read_to_string(self.folder.path().join(format!("member-{member}"))).ok()?.trim().parse().ok()
    }

    /// Whether members of these numbers, and no others, have written such a file with this content.
    fn have(&self, what: &str, text: &str, members: &[u32]) -> bool {
        let read = |member: &u32| std::fs::read_to_string(self.folder.path().join(format!("{what}-{member}"))).unwrap_or_default();
        (1..=4).filter(|member| read(member).trim() == text).eq(members.iter().copied())
    }

    fn until(&self, what: &str, log: &Path, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?} run\n{said}", self.running());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn running(&self) -> Vec<u32> {
        (1..=4).filter(|member| self.process_of(*member).is_some_and(is_running)).collect()
    }
}

/// Whether a process is there, and has not ended.
fn is_running(id: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])))
}

/// `ringmaster scale`, killed if a test forgets it.
struct Scaler<'a> {
    place: &'a Place,
    child: Child,
    log: PathBuf,
}

impl Scaler<'_> {
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        self.place.until(what, &self.log, is_so);
    }

    fn until_running(&self, members: &[u32]) {
        self.until(&format!("{members:?} are to run"), || self.place.running() == members);
    }

    fn until_it_says(&self, text: &str) {
        self.until(&format!("it is to say '{text}'"), || self.said().contains(text));
    }

    fn signal(&self, which: &str) {
        send(which, self.child.id());
    }

    fn wait(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Scaler<'_> {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(which: &str, id: u32) {
    let status = Command::new("kill").args([&format!("-{which}"), &id.to_string()]).status().expect("kill runs");
    assert!(status.success(), "signal {which} to {id}");
}

#[test]
fn members_come_and_go_by_what_is_told_and_end_with_it_in_order() {
    let place = Place::new(STAYS, 3);
    let mut scaler = place.start();
    scaler.until_running(&[1, 2, 3]);
    for says in ["fraud: 1 -> 3 members: the test says 3\n", "fraud/1: here\n", "fraud/3: here\n"] {
        scaler.until_it_says(says);
    }
    place.api.wants(9);
    scaler.until_running(&[1, 2, 3, 4]);
    place.api.wants(2);
    scaler.until_running(&[1, 2]);
    scaler.until_it_says("fraud/4 has ended (signal: 15 (SIGTERM)): as it was asked to");
    scaler.until_it_says("fraud/3 has ended (signal: 15 (SIGTERM)): as it was asked to");
    scaler.signal("TERM");
    assert_eq!(scaler.wait(), Some(0), "{}", scaler.said());
    assert_eq!(place.running(), [] as [u32; 0], "none is left");
    let said = scaler.said();
    let ended = |member| said.contains(&format!("fraud/{member} has ended (signal: 15 (SIGTERM)): as it was asked to"));
    assert!(
        ended(1) && ended(2) && !said.contains("killed\n") && !said.contains("started again"),
        "in order, and each once:\n{said}"
    );
}

/// In partitions that are left out of an answer there may be work.
#[test]
fn no_member_goes_by_what_some_partitions_say() {
    let place = Place::new(STAYS, 2);
    let scaler = place.start();
    scaler.until_running(&[1, 2]);
    place.api.leaves_out(true);
    place.api.wants(1);
    scaler.until_it_says(
        "fraud: 2 members as before, at least 1 are wanted: the test says 1 (partition 3 is left out: nobody owns it)",
    );
    place.api.wants(3);
    scaler.until_running(&[1, 2, 3]);
    scaler.until_it_says("fraud: 2 -> 3 members: the test says 3 (partition 3 is left out: nobody owns it)");
    place.api.leaves_out(false);
    place.api.wants(1);
    scaler.until_running(&[1]);
    scaler.until_it_says("fraud: 3 -> 1 members: the test says 1\n");
}

/// What a member says when it ends is said, though nothing is left to be done then: here to one who reads only when all have ended.
#[test]
fn the_last_words_of_members_are_said() {
    let script = "trap 'i=0; while [ $i -lt 200 ]; do i=$((i + 1)); printf \"word %1000d\\n\" $i; done; exit 0' TERM; \
                  echo $$ > member-$RINGMASTER_MEMBER; while :; do sleep 1; done";
    let place = Place::new(script, 2);
    let child = place.command(&[]).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut scaler = Scaler { place: &place, child, log: place.folder.path().join("log") };
    scaler.until_running(&[1, 2]);
    scaler.signal("TERM");
    scaler.until_running(&[]);
    let mut said = String::new();
    scaler.child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("text");
    assert_eq!(scaler.wait(), Some(0), "{said}");
    for member in [1, 2] {
        let words = said.lines().filter(|line| line.starts_with(&format!("fraud/{member}: word "))).count();
        assert_eq!(words, 200, "of member {member}");
    }
}

/// A member that is no single process: what it has started does not go on beside the one that is started in its place.
#[test]
fn what_a_member_has_started_ends_with_it() {
    let script = "sleep 1000 & echo $! > below-$$; echo $$ > member-$RINGMASTER_MEMBER; exec sleep 1000";
    let place = Place::new(script, 1);
    let scaler = place.start();
    scaler.until_running(&[1]);
    let member = place.process_of(1).expect("it runs");
    let below = std::fs::read_to_string(place.folder.path().join(format!("below-{member}"))).expect("written before");
    let below: u32 = below.trim().parse().expect("a process id");
    assert!(is_running(below));
    send("KILL", member);
    scaler.until("another one is to run", || place.process_of(1).is_some_and(|id| id != member && is_running(id)));
    scaler.until("what it has started is to end", || !is_running(below));
}

/// Standard error is full, and nobody reads it: members go on, come and go all the same. What is left out then is counted.
#[test]
fn nobody_waits_for_whoever_does_not_read() {
    const LINES: &str =
        "i=0; while [ $i -lt 4000 ]; do i=$((i + 1)); echo $i a line that is long enough to fill a pipe in no time; done";
    let place = Place::new(&format!("{LINES}; {STAYS}"), 1);
    let start = || {
        let child = place.command(&[]).stderr(Stdio::piped()).spawn().expect("it starts");
        Scaler { place: &place, child, log: place.folder.path().join("log") }
    };
    let mut scaler = start();
    scaler.until_running(&[1]);
    let first = place.process_of(1).expect("it runs");
    send("KILL", first);
    scaler.until("another one is to run", || place.process_of(1).is_some_and(|id| id != first && is_running(id)));
    place.api.wants(3);
    scaler.until_running(&[1, 2, 3]);
    let mut errors = scaler.child.stderr.take().expect("it is piped");
    scaler.signal("TERM");
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    assert_eq!(scaler.wait(), Some(0));
    let said = read.join().expect("it reads").expect("text");
    assert!(said.contains(" lines are left out about here: nobody took them in\n"), "{} bytes", said.len());
    assert_eq!(place.running(), [] as [u32; 0], "none is left");
    // Another one, of which nobody has read anything at its end.
    let mut unread = start();
    unread.until_running(&[1, 2, 3]);
    unread.signal("TERM");
    assert_eq!(unread.wait(), Some(0));
}

/// Nobody answers: what runs goes on, that is said once, and who is killed meanwhile is replaced all the same.
#[test]
fn a_member_that_is_killed_is_replaced_also_while_no_coordinator_answers() {
    let mut place = Place::new(STAYS, 2);
    let first = {
        let scaler = place.start();
        scaler.until_running(&[1, 2]);
        place.process_of(2).expect("it runs")
    };
    // Whoever had started them was killed.
    place.until("all are to end", Path::new(""), || place.running().is_empty());
    assert!(!is_running(first));
    place.api.stop();
    let scaler = place.start();
    scaler.until_it_says("fraud: 1 members as before: ");
    scaler.until_running(&[1]);
    let before = place.process_of(1).expect("it runs");
    send("KILL", before);
    scaler.until("another one is to run", || place.process_of(1).is_some_and(|id| id != before && is_running(id)));
    scaler.until_it_says("fraud/1 has ended (signal: 9 (SIGKILL)): started again at once");
    let second = place.process_of(1).expect("it runs");
    send("KILL", second);
    scaler.until("a third one is to run", || place.process_of(1).is_some_and(|id| id != second && is_running(id)));
    assert_eq!(place.running(), [1], "and no other");
    assert_eq!(scaler.said().matches("members as before").count(), 1, "{}", scaler.said());
}

/// Whoever starts members may be killed: they end all the same, at once.
#[test]
fn members_do_not_outlive_whoever_started_them() {
    let place = Place::new("trap '' TERM; echo $$ > member-$RINGMASTER_MEMBER; while :; do sleep 1; done", 3);
    let scaler = place.start();
    scaler.until_running(&[1, 2, 3]);
    scaler.signal("KILL");
    scaler.until_running(&[]);
}

#[test]
fn who_does_not_end_when_asked_is_killed_by_a_second_signal() {
    let script =
        "trap 'echo asked > asked-$RINGMASTER_MEMBER' TERM; echo $$ > member-$RINGMASTER_MEMBER; while :; do sleep 1; done";
    let place = Place::new(script, 2);
    let mut scaler = place.start();
    scaler.until_running(&[1, 2]);
    scaler.signal("INT");
    scaler.until_it_says("all members are asked to end");
    scaler.until("both are to be asked", || place.have("asked", "asked", &[1, 2]));
    assert_eq!(place.running(), [1, 2], "they do not listen");
    scaler.signal("INT");
    assert_eq!(scaler.wait(), Some(0));
    assert_eq!(place.running(), [] as [u32; 0]);
    for member in [1, 2] {
        let killed = format!("fraud/{member} has not ended in time: it is killed\n");
        assert!(scaler.said().contains(&killed), "{}", scaler.said());
    }
}

#[test]
fn a_dry_run_explains_and_starts_nothing() {
    let mut place = Place::new(STAYS, 7);
    let run = |place: &Place, arguments: &[&str]| {
        let output = place.command(arguments).output().expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, said, errors) = run(&place, &["--dry-run"]);
    let expected = "fraud: 4 would run; 7 wanted, 1 to 4 may be, 1 in its group: the test says 7\n";
    assert_eq!((code, said.as_str()), (Some(0), expected), "{errors}");
    let (_, said, _) = run(&place, &["--dry-run", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&json["participant"], &json["would_run"], &json["wanted_members"]), (&"fraud".into(), &4.into(), &7.into()));
    place.api.stop();
    assert_eq!(run(&place, &["--dry-run"]).0, Some(5), "nobody answers");
    assert_eq!(run(&place, &["--json"]).0, Some(2), "it goes with --dry-run");
    let (code, _, errors) = run(&place, &["--set", "scale.fraud.command=[\"no-such-program\"]"]);
    assert!(code == Some(4) && errors.contains("scale.fraud.command: there is no program 'no-such-program'"), "{code:?} {errors}");
    std::fs::write(place.folder.path().join("ringmaster.toml"), "").expect("written");
    let (code, _, errors) = run(&place, &[]);
    assert!(code == Some(4) && errors.contains("[scale.NAME] with command"), "{code:?} {errors}");
    let files = std::fs::read_dir(place.folder.path()).expect("a folder").map(|entry| entry.expect("a file").file_name());
    assert_eq!(files.filter(|name| name.to_string_lossy().starts_with("member-")).count(), 0, "a member was started");
}

/// What is due is done then, by the clock.
#[test]
fn a_command_that_fails_at_once_is_tried_ever_later() {
    let place = Place::new("exit 3", 1);
    let begun = clock::now().steady;
    let scaler = place.start();
    scaler.until_it_says("fraud/1 has ended (exit status: 3): fell 4 times in a row, started again in 4 s");
    assert!(clock::now().steady - begun >= 3_000, "it waited for 1 s and for 2 s");
}
