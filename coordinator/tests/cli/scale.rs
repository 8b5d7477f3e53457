//! `ringmaster scale` with real processes: they come and go by what an API says that the test writes, and none is left.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringmaster::api::{AllScaling, ParticipantScaling};
use ringmaster_bus::clock;

use crate::site::PATIENCE;

/// What says how many members are wanted, in a coordinator's place.
struct Api {
    address: SocketAddr,
    wanted: Arc<AtomicU32>,
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Api {
    fn start(wanted: u32) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let wanted = Arc::new(AtomicU32::new(wanted));
        let (stop, stopped) = mpsc::channel();
        let says = wanted.clone();
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.try_recv().is_ok() {
                    return;
                }
                // Whoever asks may have gone.
                let _ = connection.and_then(|stream| answer(stream, says.load(Ordering::Relaxed)));
            }
        });
        Api { address, wanted, stop, thread: Some(thread) }
    }

    /// From now on nobody listens there.
    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.send(()).expect("it runs");
        let _ = TcpStream::connect(self.address);
        thread.join().expect("it ends");
    }

    fn wants(&self, members: u32) {
        self.wanted.store(members, Ordering::Relaxed);
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answer(mut stream: TcpStream, wanted: u32) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let fraud = ParticipantScaling {
        participant: "fraud".to_owned(),
        members: Some(1),
        wanted_members: Some(wanted),
        reason: format!("the test says {wanted}"),
        ..ParticipantScaling::default()
    };
    let body = serde_json::to_string(&AllScaling { participants: vec![fraud], missing: Vec::new() }).expect("it is JSON");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close", body.len());
    write!(stream, "{head}\r\n\r\n{body}")
}

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
        std::fs::read_to_string(&self.log).expect("text")
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?} run\n{}", self.place.running(), self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
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
    scaler.signal("TERM");
    assert_eq!(scaler.wait(), Some(0), "{}", scaler.said());
    assert_eq!(place.running(), [] as [u32; 0], "none is left");
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
    place.api.stop();
    let scaler = place.start();
    scaler.until_it_says("fraud: 1 members as before: ");
    scaler.until_running(&[1]);
    assert!(!is_running(first), "members ended with whoever had started them");
    let before = place.process_of(1).expect("it runs");
    send("KILL", before);
    scaler.until("another one is to run", || place.process_of(1).is_some_and(|id| id != before && is_running(id)));
    scaler.until_it_says("fraud/1 has ended (signal: 9 (SIGKILL)): started again at once");
    send("KILL", place.process_of(1).expect("it runs"));
    scaler.until_it_says("fraud/1 has ended (signal: 9 (SIGKILL)): fell 2 times in a row, started again in 1 s");
    scaler.until_running(&[1]);
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
    let place = Place::new("trap '' TERM; echo $$ > member-$RINGMASTER_MEMBER; while :; do sleep 1; done", 2);
    let mut scaler = place.start();
    scaler.until_running(&[1, 2]);
    scaler.signal("INT");
    scaler.until_it_says("all members are asked to end");
    assert_eq!(place.running(), [1, 2], "they do not listen");
    scaler.signal("INT");
    assert_eq!(scaler.wait(), Some(0));
    assert_eq!(place.running(), [] as [u32; 0]);
    assert!(scaler.said().contains("fraud/2 has not ended in time: it is killed"), "{}", scaler.said());
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
    assert_eq!(place.running(), [] as [u32; 0]);
    place.api.stop();
    assert_eq!(run(&place, &["--dry-run"]).0, Some(5), "nobody answers");
    assert_eq!(run(&place, &["--json"]).0, Some(2), "it goes with --dry-run");
    let (code, _, errors) = run(&place, &["--set", "scale.fraud.command=[\"no-such-program\"]"]);
    assert!(code == Some(4) && errors.contains("scale.fraud.command: there is no program 'no-such-program'"), "{code:?} {errors}");
    std::fs::write(place.folder.path().join("ringmaster.toml"), "").expect("written");
    let (code, _, errors) = run(&place, &[]);
    assert!(code == Some(4) && errors.contains("[scale.NAME] with command"), "{code:?} {errors}");
}

/// The clock by which members are started again runs while nothing else happens.
#[test]
fn a_command_that_fails_at_once_is_tried_ever_later() {
    let place = Place::new("exit 3", 1);
    let begun = clock::now().steady;
    let scaler = place.start();
    scaler.until_it_says("fraud/1 has ended (exit status: 3): fell 4 times in a row, started again in 4 s");
    assert!(clock::now().steady - begun >= 3_000, "it waited for 1 s and for 2 s");
}
