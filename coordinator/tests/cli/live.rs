//! What is watched live: a saga to its end, also over the death of who tells it; and a screen.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sagas::{site, site_of};
use crate::site::{PATIENCE, Site};

const ID: &str = "trip/t-waits";

/// A command that goes on; killed if a test forgets it.
struct Watching {
    child: Child,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Watching {
    fn start(site: &Site, arguments: &[&str]) -> Watching {
        let mut child = site.command(&[&["saga", "watch"], arguments].concat()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Watching { child, lines: Box::new(lines.map(|line| line.expect("text"))) }
    }

    fn next(&mut self) -> String {
        self.lines.next().expect("one more line")
    }

    /// Its exit code, and what it said on standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut errors = String::new();
        self.child.stderr.take().expect("its errors").read_to_string(&mut errors).expect("text");
        (self.child.wait().expect("it ends").code(), errors)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A person allows it, or nothing happens.
const ALLOWED: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - { step: allowed, approval: clerks }
";

#[test]
fn a_saga_is_watched_to_its_end_though_the_coordinator_is_killed() {
    let site = site_of("trip", ALLOWED, &[("trips", "t-waits", r#"{"trip_id":"t-waits","nights":2,"persons":1}"#)]);
    let (code, _, errors) = site.ringmaster(&["saga", "watch", ID]);
    assert!(code == 5 && errors.contains("does not answer"), "nobody runs, and nobody is waited for: {code} {errors}");
    let mut coordinator = site.start();
    let mut json = Watching::start(&site, &[ID, "--json"]);
    let mut words = Watching::start(&site, &[ID]);
    let saga: Value = serde_json::from_str(&json.next()).expect("one object a line");
    let (status, leaf) = (&saga["status"], &saga["why"][0]);
    assert_eq!((&saga["saga"], status, &leaf["step"]), (&ID.into(), &"running".into(), &"allowed".into()), "{saga}");
    let line = words.next();
    assert!(line.contains("Z  running: allowed waits for "), "{line}");
    coordinator.child.kill().expect("killed");
    coordinator.child.wait().expect("it is gone");
    let again = site.start();
    let (code, _, errors) = site.ringmaster(&["act", "approve", ID, "--yes", "--by", "ann", "--why", "the papers are in order"]);
    assert_eq!(code, 0, "{errors}");
    let last: Value = serde_json::from_str(&json.lines.by_ref().last().expect("it ends")).expect("one object a line");
    assert!(last["status"] == "completed" && last["ended_at"].is_string(), "{last}");
    assert!(words.lines.by_ref().last().expect("it ends").ends_with("  completed"));
    for mut watching in [json, words] {
        let (code, errors) = watching.end();
        assert!(code == Some(0) && errors.contains("; trying again"), "it was lost for a while: {code:?} {errors}");
    }
    assert_eq!(again.stop().0, Some(0));
}

#[test]
fn what_does_not_end_in_time_and_what_is_not_there_are_told_apart() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    for (arguments, exit, says) in [
        (&["trip/t-ended"][..], 0, "Z  compensated"),
        (&[ID, "--timeout", "10s"], 10, "trip/t-waits has not ended within the time: it is running"),
        (&["trip/t-nobody", "--timeout", "5s"], 10, "no saga 'trip/t-nobody'"),
        (&["nonsense"], 2, "is not a saga id"),
        (&[ID, "--timeout", "1ms"], 2, "is not a duration"),
    ] {
        let (code, said, errors) = site.ringmaster(&[&["saga", "watch"], arguments].concat());
        assert!(code == exit && (said.clone() + &errors).contains(says), "{arguments:?}: {code} {said} {errors}");
    }
    let (code, _, errors) = site.ringmaster(&["top"]);
    assert!(code == 2 && errors.contains("`ringmaster overview --json` or `ringmaster saga list`"), "{code} {errors}");
    drop(coordinator);
}

/// `ringmaster top` on a terminal of its own, which `script` makes.
struct Screen {
    child: Child,
    said: String,
}

impl Screen {
    fn start(site: &Site, before: &str) -> Screen {
        site.write("top.sh", &format!("{before}\necho $$ > pid\nexec '{}' top\n", env!("CARGO_BIN_EXE_ringmaster")));
        site.write("all.sh", "stty rows 24 cols 80\nsh top.sh\necho ended $?\nstty -a\n");
        let mut command = Command::new("script");
        command
            .args(["-qec", "sh all.sh", "/dev/null"])
            .current_dir(site.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Screen { child: command.spawn().expect("script starts"), said: String::new() }
    }

    /// Reads what is drawn until this is.
    fn until(&mut self, text: &str) {
        let output = self.child.stdout.as_mut().expect("its output");
        while !self.said.contains(text) {
            let mut bytes = [0; 4096];
            let count = output.read(&mut bytes).expect("more");
            assert_ne!(count, 0, "it ended without '{text}': {}", self.said);
            self.said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// It has ended in order, and the terminal is as it was: no other screen, and lines are read as lines.
    fn has_put_back_the_terminal(mut self) {
        self.until("ended 0");
        let (shown, after) = self.said.split_once("\u{1b}[?1049l").expect("it leaves the screen");
        assert!(shown.contains("\u{1b}[?1049h") && after.contains("ended 0"), "{}", self.said);
        self.until("icanon");
        assert!(!self.said.contains("-icanon"), "{}", self.said);
        self.child.wait().expect("it ends");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_screen_is_drawn_and_the_terminal_is_put_back() {
    let site = site();
    let mut coordinator = site.start();
    site.until_listed(2);
    let mut ended = Screen::start(&site, "");
    ended.until("stuck 1");
    let id = std::fs::read_to_string(site.folder.path().join("pid")).expect("its id");
    assert!(Command::new("kill").args(["-TERM", id.trim()]).status().expect("kill runs").success());
    ended.has_put_back_the_terminal();
    let mut screen = Screen::start(&site, "");
    for part in ["PARTICIPANT", "stuck 1", "trip"] {
        screen.until(part);
    }
    coordinator.child.kill().expect("killed");
    coordinator.child.wait().expect("it is gone");
    screen.until("CONNECTION LOST");
    screen.child.stdin.as_mut().expect("its keys").write_all(b"q").expect("typed");
    screen.has_put_back_the_terminal();
}

/// With its terminal it ends, whether or not it is told: it does not look for keys for ever.
#[test]
fn a_screen_ends_with_its_terminal() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    for before in ["", "trap '' HUP"] {
        let mut screen = Screen::start(&site, before);
        screen.until("stuck 1");
        let id = std::fs::read_to_string(site.folder.path().join("pid")).expect("its id");
        drop(screen);
        let since = Instant::now();
        while Path::new("/proc").join(id.trim()).exists() {
            assert!(since.elapsed() < PATIENCE, "it goes on without a terminal ({before})");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    drop(coordinator);
}
