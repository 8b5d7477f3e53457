//! A webhook, told over real connections.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ringmaster_core::definition::Catalog;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::alerts::{RULES, State};

const SECRET: &str = "correct horse battery staple";
const PATIENCE: Duration = Duration::from_secs(120);
const QUICK: Pace = Pace { first: Duration::from_millis(1), max: Duration::from_millis(5) };

/// A request as it came.
#[derive(Debug)]
struct Told {
    head: String,
    body: String,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        let line =
            self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{}:", name.to_ascii_lowercase())))?;
        Some(line.split_once(':')?.1.trim())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("it is JSON")
    }
}

fn read(stream: &TcpStream) -> Option<Told> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut told = Told { head, body: String::new() };
    let length = told.header("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    told.body = String::from_utf8(body).ok()?;
    Some(told)
}

/// Answers one request after the other with these codes, then with 200; 0 hangs up without a word. What it is told comes out here.
fn listening(codes: Vec<u16>) -> (u16, Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it has one").port();
    let (send, told) = channel();
    std::thread::spawn(move || {
        let mut codes = codes.into_iter();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Some(request) = read(&stream) else { continue };
            if send.send(request).is_err() {
                return;
            }
            let code = codes.next().unwrap_or(200);
            if code != 0 {
                // Who has gone meanwhile does not hear it.
                let _ = write!(stream, "HTTP/1.1 {code} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        }
    });
    (port, told)
}

/// A file with this in it, for nobody else.
fn secret_file(folder: &TempDir, secret: &str) -> PathBuf {
    let path = folder.path().join("secret");
    std::fs::write(&path, secret).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
    path
}

fn webhook(folder: &TempDir, port: u16) -> Webhook {
    let to = format!("http://{}@127.0.0.1:{port}/hook?key=hunter3", "ann:hunter2").parse().expect("a URL");
    Webhook { to, secret_file: secret_file(folder, &format!("{SECRET}\n")) }
}

fn change(rule: usize, state: State, since: i64) -> Alert {
    let rule = &RULES[rule];
    Alert { rule, labels: rule.by.iter().map(|_| "payment".to_owned()).collect(), state, since, value: 3.0 }
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new("test"))
}

/// How many changes had this outcome.
fn count(metrics: &Metrics, outcome: &str) -> usize {
    let text = metrics.render(&[], &[], &[], &Catalog::default());
    let line = format!("ringmaster_alert_deliveries_total{{outcome=\"{outcome}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).expect("it is told").parse().expect("a number")
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_change_is_told_once_and_signed() {
    let (folder, metrics) = (tempfile::tempdir().expect("a folder"), metrics());
    let (port, told) = listening(Vec::new());
    let telling = webhook(&folder, port).start_at("one", metrics.clone(), QUICK).expect("starts");
    telling.tell(&change(0, State::Firing, 1_700_000_000_000));
    telling.tell(&change(0, State::Resolved, 1_700_000_009_000));
    let all = [told.recv_timeout(PATIENCE).expect("told"), told.recv_timeout(PATIENCE).expect("told")];
    wait_for("both are delivered", || count(&metrics, "delivered") == 2);
    assert!(told.try_recv().is_err(), "once");
    let bodies = all.each_ref().map(Told::json);
    let first = &bodies[0];
    for (name, value) in [("instance", "one"), ("alert", RULES[0].name), ("state", "firing"), ("since", "2023-11-14T22:13:20Z")] {
        assert_eq!(first[name], value, "{name} in {first}");
    }
    assert_eq!((&first["value"], &first["threshold"], &first["severity"]), (&json!(3.0), &json!(0.0), &json!("page")));
    assert_eq!((&first["summary"], &first["runbook"]), (&json!(RULES[0].summary), &json!(RULES[0].runbook)));
    assert_eq!(bodies[1]["state"], "resolved");
    assert_ne!(bodies[0]["id"], bodies[1]["id"], "they are two changes");
    // As whoever listens verifies it, by nothing of ours.
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    for request in &all {
        let signature = request.header(SIGNATURE).and_then(|value| value.strip_prefix("sha256=")).expect("signed").to_owned();
        let bytes: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&signature[at..at + 2], 16).expect("hex")).collect();
        hmac::verify(&key, request.body.as_bytes(), &bytes).expect("it is ours");
        assert!(hmac::verify(&key, request.body.replace('3', "4").as_bytes(), &bytes).is_err());
        assert_eq!(request.header("authorization"), Some("Basic YW5uOmh1bnRlcjI="), "ann:hunter2");
        assert!(request.head.starts_with("POST /hook?key=hunter3 HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert!(!request.head.contains('@'), "who we are stands in no address: {}", request.head);
    }
}

#[test]
fn what_fails_is_told_again_until_it_is_taken_and_in_order() {
    let (folder, metrics) = (tempfile::tempdir().expect("a folder"), metrics());
    let (port, told) = listening(vec![503, 0, 404, 429, 302]);
    let telling = webhook(&folder, port).start_at("one", metrics.clone(), QUICK).expect("starts");
    telling.tell(&change(0, State::Firing, 1));
    telling.tell(&change(0, State::Resolved, 2));
    wait_for("both are delivered", || count(&metrics, "delivered") == 2);
    let states: Vec<Value> = told.try_iter().map(|request| request.json()).map(|body| json!([body["state"], body["id"]])).collect();
    assert_eq!(states.len(), 7, "{states:?}");
    assert!(states[..6].iter().all(|of| *of == states[0] && of[0] == "firing"), "one change, one id: {states:?}");
    assert_eq!(states[6][0], "resolved");
}

#[test]
fn what_is_refused_holds_up_nothing() {
    let (folder, metrics) = (tempfile::tempdir().expect("a folder"), metrics());
    let (port, told) = listening(vec![400]);
    let telling = webhook(&folder, port).start_at("one", metrics.clone(), QUICK).expect("starts");
    (1..=2).for_each(|since| telling.tell(&change(0, State::Firing, since)));
    wait_for("the other is delivered", || count(&metrics, "delivered") == 1);
    assert_eq!((count(&metrics, "refused"), told.try_iter().count()), (1, 2));
}

#[test]
fn who_listens_and_never_answers_holds_up_nothing() {
    let (folder, metrics) = (tempfile::tempdir().expect("a folder"), metrics());
    // The system takes the connection, and nobody reads it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it has one").port();
    let telling = webhook(&folder, port).start_at("one", metrics.clone(), QUICK).expect("starts");
    telling.tell(&change(0, State::Firing, 0));
    wait_for("it is under way", || telling.shared.waiting.lock().expect("nobody panics").bodies.is_empty());
    let began = Instant::now();
    (1..=1_000).for_each(|since| telling.tell(&change(0, State::Firing, since)));
    assert_eq!(count(&metrics, "dropped"), 1_000 - WAITING_MAX, "the oldest go");
    let oldest = telling.shared.waiting.lock().expect("nobody panics").bodies.front().cloned().expect("it waits");
    let body = |since| body(&AlertShown::of(&change(0, State::Firing, since), "one"));
    assert_eq!(oldest, body(1_001 - WAITING_MAX as i64));
    drop(telling);
    // The client itself gives up after 15 s.
    assert!(began.elapsed() < Duration::from_secs(10), "nobody waits for it: {:?}", began.elapsed());
}

#[test]
fn a_secret_that_is_none_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let webhook = webhook(&folder, 1);
    let why = || webhook.start("one", metrics()).err().expect("refused");
    secret_file(&folder, "hunter2");
    assert!(why().contains("at least 16 bytes") && !why().contains("hunter2"), "{}", why());
    let path = secret_file(&folder, SECRET);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
    assert!(why().contains("chmod 600") && !why().contains("horse"), "{}", why());
    std::fs::remove_file(&path).expect("it is there");
    assert!(why().contains("alerts.secret_file: "), "{}", why());
}

/// All that is logged, in one thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_log_tells_what_is_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let (lines, metrics) = (Lines::default(), metrics());
    let subscriber = {
        let lines = lines.clone();
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || lines.clone()).finish()
    };
    let (port, _told) = listening(vec![0, 503, 400]);
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    tracing::subscriber::with_default(subscriber, || {
        for port in [port, closed] {
            let webhook = webhook(&folder, port);
            let agent = agent(webhook.to.address(), &Means::default()).expect("it needs nothing");
            let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new(), metrics: metrics.clone() });
            let sender = Sender { agent, webhook: webhook.clone(), shared: shared.clone(), pace: QUICK };
            if port == closed {
                // It would be tried for ever.
                shared.waiting.lock().expect("nobody panics").ends = true;
            }
            sender.deliver(&body(&AlertShown::of(&change(0, State::Firing, 1), "one")));
            tracing::info!(?webhook, "as it is shown");
        }
    });
    let text = String::from_utf8(lines.0.lock().expect("nobody panics").clone()).expect("text");
    assert!(text.contains("is tried again") && text.contains("refuses an alert") && text.contains("127.0.0.1"), "{text}");
    for secret in ["hunter2", "hunter3", "ann", "horse", "YW5u"] {
        let told: Vec<&str> =
            text.lines().filter(|line| line.contains(secret)).filter(|line| line.contains("ringmaster")).collect();
        assert!(told.is_empty(), "{secret}: {told:?}");
    }
}
