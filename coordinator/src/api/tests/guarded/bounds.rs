//! What a flood, a slow client and a slow answer cost: a place for a while, and nothing else.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::*;

const SHORT: Duration = Duration::from_secs(1);

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::USUAL;
    change(&mut limits);
    limits
}

/// A port where `/api/v1/participants` is answered once somebody says so: the broker does not answer before.
fn held_up(limits: Limits) -> (Server, Sender<()>) {
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    let peers = Peers::new(move || {
        // An error means that nobody will say anything any more.
        let _ = gone.lock().unwrap_or_else(PoisonError::into_inner).recv();
        Ok(Vec::new())
    });
    (serve_by(&settings(None, None), limits, Some(Arc::new(peers))), go)
}

/// Reads until the other side ends the connection; what it said.
fn to_the_end(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("it is left open: {error}"),
        _ => String::from_utf8_lossy(&said).into_owned(),
    }
}

#[test]
fn who_is_slow_with_the_head_of_a_request_is_cut_off() {
    let server = serve_by(&settings(None, None), limits(|limits| limits.head = SHORT), None);
    for said in ["", "GET", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: y"] {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        stream.write_all(said.as_bytes()).expect("sent");
        let answer = to_the_end(stream);
        assert!(!answer.contains("200"), "{said}: {answer}");
    }
    // The wait for a second request is no longer: who has said its first one in time is answered, and then cut off.
    until("one is said in time", || {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        let is_sent = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").is_ok();
        is_sent && to_the_end(stream).starts_with("HTTP/1.1 200")
    });
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let server = serve_by(&settings(None, None), limits(|limits| (limits.connections, limits.head) = (10, PATIENCE * 10)), None);
    let silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(server.address()).expect("it listens")).collect();
    for _ in 0..5 {
        assert_eq!(ask(&server, "GET", "/healthz", &[]).code, 200);
    }
    // The first ones gave way, and the last are still there.
    let mut silent = silent.into_iter();
    silent.by_ref().take(35).for_each(|stream| assert_eq!(to_the_end(stream), ""));
    let last = silent.next_back().expect("one more");
    last.set_read_timeout(Some(SHORT)).expect("set");
    assert!((&last).read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    let metrics = ask(&server, "GET", "/metrics", &[]).body;
    let denied = metrics.lines().find_map(|line| line.strip_prefix("ringmaster_http_denied_total{why=\"connections\"} "));
    assert!(denied.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count >= 40), "{denied:?}");
}

#[test]
fn more_than_is_answered_at_once_is_told_to_come_again() {
    let short = |limits: &mut Limits| (limits.requests.requests, limits.requests.place) = (1, SHORT);
    let (server, go) = held_up(limits(short));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| ask(&server, "GET", "/api/v1/participants", &[]));
        until("the first has the place", || {
            let raw = ask(&server, "GET", "/metrics", &[]);
            assert_eq!(raw.code == 429, raw.head.contains("retry-after: 1"), "{}", raw.head);
            raw.code == 429 && raw.problem().1 == "too-many"
        });
        assert_eq!(ask(&server, "GET", "/healthz", &[]).code, 200, "probes get through");
        go.send(()).expect("it waits");
        assert_eq!(first.join().expect("it ends").code, 200);
    });
    until("the place is free again", || ask(&server, "GET", "/metrics", &[]).code == 200);
}

/// What reads the store may take long: others do not wait for it, and who asked is told so in time.
#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let (server, go) = held_up(limits(|limits| limits.requests.answer = SHORT));
    for _ in 0..3 {
        let raw = ask(&server, "GET", "/api/v1/participants", &[]);
        assert_eq!(raw.problem(), (503, "not-now".to_owned()));
        assert!(raw.head.contains("retry-after: 1"), "{}", raw.head);
        until("others do not wait", || ask(&server, "GET", "/metrics", &[]).code == 200);
    }
    // Whatever still reads at the end is waited for.
    drop(go);
    drop(server);
}

#[test]
fn a_body_that_is_too_big_is_not_taken() {
    let server = serve_by(&settings(None, None), Limits::USUAL, None);
    let sent = |bytes: usize| {
        let mut request =
            format!("POST /api/v1/sagas HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n")
                .into_bytes();
        request.resize(request.len() + bytes, b'x');
        send(&server, &request).problem()
    };
    assert_eq!(sent(2 << 20), (413, "too-big".to_owned()));
    assert_eq!(sent((1 << 20) + 1), (413, "too-big".to_owned()));
    assert_eq!(gate::BODY_BYTES_MAX, 1 << 20);
    // Whose body never comes is cut off as well.
    let server = serve_by(&settings(None, None), limits(|limits| limits.requests.drain = SHORT), None);
    let request = b"POST /api/v1/sagas HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000000\r\nconnection: close\r\n\r\nx";
    assert_eq!(send(&server, request).code, 413);
}

/// A body is waited for before anything else waits for it.
#[test]
fn bodies_that_never_end_keep_nobody_from_acting() {
    let server = serve_by(&settings(None, None), Limits::USUAL, None);
    let head = |length: usize| {
        let kind = "content-type: application/json\r\nconnection: close";
        format!("POST /api/v1/acts HTTP/1.1\r\nhost: localhost\r\n{kind}\r\ncontent-length: {length}\r\n\r\n")
    };
    let halves: Vec<TcpStream> = (0..Limits::USUAL.requests.acts * 2)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).expect("it listens");
            stream.write_all(format!("{}{{", head(500)).as_bytes()).expect("half a body");
            stream
        })
        .collect();
    let body = r#"{"act":"cancel","saga":"order/o-1","why":"asked for"}"#;
    let raw = send(&server, format!("{}{body}", head(body.len())).as_bytes());
    assert!(raw.code == 503 && raw.body.contains("no way to bring acts"), "it came to whoever brings acts: {}", raw.body);
    for mut half in halves {
        half.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut answer = String::new();
        half.read_to_string(&mut answer).expect("an answer, and the end");
        assert!(answer.contains("its body did not come within 5 s") && answer.contains("connection: close"), "{answer}");
    }
}

/// Whoever stops reading loses the connection, and with it what was kept for them.
#[test]
fn an_answer_that_is_not_read_is_dropped() {
    let server = serve_by(&settings(None, None), limits(|limits| limits.read = SHORT), None);
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_write_timeout(Some(PATIENCE)).expect("set");
    let question = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    // Until its buffers and ours are full: then either it ends the connection, or both wait for ever.
    let since = Instant::now();
    while stream.write_all(&question).is_ok() {
        assert!(since.elapsed() < PATIENCE, "it takes questions without end");
    }
    assert!(since.elapsed() < PATIENCE, "it has not ended the connection");
}
