//! What a client of HTTP/2 that is silent, greedy or slow costs: no more than by HTTP/1.1.

use super::raw::{Raw, *};
use super::*;

/// The settings with which a client lets nothing of bodies through.
const SHUT: &[(u16, u32)] = &[(4, 0)];

/// Whoever is silent, or speaks without asking for anything, is cut off.
#[test]
fn who_asks_for_nothing_is_cut_off() {
    let secured = secured(limits(|limits| (limits.head, limits.read) = (SHORT, SHORT * 2)));
    let settings = frame(SETTINGS, 0, 0, &[]);
    let half = frame(HEADERS, END_STREAM, 1, &head("/healthz"));
    for (said, again) in [
        (vec![], vec![]),
        (PREFACE[..10].to_vec(), vec![]),
        (PREFACE.to_vec(), vec![]),
        ([PREFACE, &settings].concat(), vec![]),
        ([PREFACE, &settings].concat(), frame(PING, 0, 0, &[0; 8])),
        ([PREFACE, &settings].concat(), settings.clone()),
        ([PREFACE, &settings, &half].concat(), vec![]),
        ([PREFACE, &settings, &half].concat(), frame(CONTINUATION, 0, 1, &[])),
    ] {
        let mut raw = Raw::connect(&secured, &["h2"]);
        raw.send(&said);
        raw.until_the_end(&again);
    }
    // Also whoever has asked before: it is told so, and need not say that it has read it.
    let mut raw = Raw::used(&secured);
    raw.send(&frame(HEADERS, END_STREAM, 3, &head("/healthz")));
    raw.until_the_end(&[]);
}

/// Heads that never end fill no memory.
#[test]
fn heads_are_bounded() {
    let secured = secured(limits(|limits| limits.head = PATIENCE * 10));
    let mut raw = Raw::begun(&secured, &[]);
    let header = [&[0x00, 1, b'x', 126][..], &[b'y'; 126]].concat();
    raw.send(&frame(HEADERS, END_STREAM, 1, &head("/healthz")));
    let why = raw.until_the_end(&frame(CONTINUATION, 0, 1, &header.repeat(100)));
    assert!(why.is_none_or(|why| why != 0), "{why:?}");
    // One that ends, and is too large, is refused.
    let mut raw = Raw::begun(&secured, &[]);
    raw.send(&frame(HEADERS, END_STREAM, 1, &head("/healthz")));
    (0..4).for_each(|_| _ = raw.send(&frame(CONTINUATION, 0, 1, &header.repeat(100))));
    raw.send(&frame(CONTINUATION, END_HEADERS, 1, &header.repeat(100)));
    let refused = raw.find(&[], |frame| [RESET, HEADERS, GO_AWAY].contains(&frame.kind)).expect("an answer");
    assert!(refused.kind != HEADERS || refused.bytes[0] != OK);
}

/// Of one connection so many at once, as it says beforehand.
#[test]
fn requests_of_a_connection_are_bounded() {
    let secured = secured(Limits::USUAL);
    let mut raw = Raw::begun(&secured, &[]);
    let settings = raw.find(&[], |frame| frame.kind == SETTINGS && frame.flags == 0).expect("settings").bytes;
    let setting = |name: u16| settings.chunks(6).find(|pair| pair[..2] == name.to_be_bytes()).map(|pair| number(&pair[2..]));
    assert_eq!((setting(3), setting(4), setting(6)), (Some(64), Some(128 << 10), Some(64 << 10)));
    let live: Vec<u8> = (0..64).flat_map(|number| question(number * 2 + 1, "/api/v1/live?watch=alerts")).collect();
    raw.send(&[live, question(129, "/healthz")].concat());
    let refused = raw.find(&[], |frame| frame.stream == 129).expect("it is refused");
    assert_eq!((refused.kind, refused.code()), (RESET, REFUSED));
    // One is given up, and another one has its place.
    raw.send(&[frame(RESET, 0, 1, &CANCEL.to_be_bytes()), question(131, "/healthz")].concat());
    raw.answered(131);
}

/// Whoever lets nothing through, or a byte now and then, loses what was kept for them, and others of the same connection do not.
#[test]
fn an_answer_that_is_not_read_is_dropped() {
    let secured = secured(limits(|limits| limits.read = SHORT));
    for again in [vec![], frame(WINDOW, 0, 1, &1_u32.to_be_bytes())] {
        let mut raw = Raw::begun(&secured, SHUT);
        raw.send(&question(1, "/metrics"));
        raw.answered(1);
        let ended = raw.find(&again, |frame| frame.kind == RESET).expect("it is cut off");
        assert_eq!((ended.stream, ended.code()), (1, CANCEL));
        raw.send(&question(3, "/healthz"));
        raw.answered(3);
    }
}

/// Windows that are open without a bound, and nothing is read from the connection itself.
#[test]
fn a_connection_that_is_not_read_is_ended() {
    let secured = secured(limits(|limits| (limits.head, limits.read) = (PATIENCE * 10, SHORT)));
    let mut raw = Raw::begun(&secured, &[(4, i32::MAX as u32)]);
    raw.send(&frame(WINDOW, 0, 0, &(i32::MAX as u32 - 65_535).to_be_bytes()));
    let since = Instant::now();
    let mut stream = 1;
    while raw.send(&question(stream, "/metrics")) {
        assert!(since.elapsed() < PATIENCE, "it takes questions without end");
        stream += 2;
    }
}

/// Answers to many questions are not all kept.
#[test]
fn what_a_connection_has_not_read_is_bounded() {
    let secured = secured(limits(|limits| limits.unread = 1));
    let mut raw = Raw::begun(&secured, SHUT);
    raw.send(&question(1, "/metrics"));
    raw.answered(1);
    raw.send(&question(3, "/metrics"));
    let ended = raw.find(&[], |frame| frame.kind == RESET).expect("it is cut off");
    assert_eq!((ended.stream, ended.code()), (3, CALM));
    // What is read makes room.
    raw.send(&[frame(WINDOW, 0, 1, &(1_u32 << 20).to_be_bytes()), frame(WINDOW, 0, 0, &(1_u32 << 20).to_be_bytes())].concat());
    raw.find(&[], |frame| frame.stream == 1 && frame.kind == DATA && frame.flags & END_STREAM > 0).expect("all of it");
    raw.send(&[question(5, "/healthz"), frame(WINDOW, 0, 5, &100_u32.to_be_bytes())].concat());
    raw.find(&[], |frame| frame.stream == 5 && frame.kind == DATA && frame.flags & END_STREAM > 0).expect("all of it");
}

/// Requests that are given up at once cost a client nothing: so many of them, and the connection ends.
#[test]
fn who_gives_up_request_after_request_is_cut_off() {
    // Before they are seen: all in one. What it said of that may be lost with the connection.
    let secured = secured(Limits::USUAL);
    let mut raw = Raw::begun(&secured, &[]);
    let given_up = |number: u32, path| [question(number, path), frame(RESET, 0, number, &CANCEL.to_be_bytes())].concat();
    let all: Vec<u8> = (0..5_000).flat_map(|number| given_up(number * 2 + 1, "/healthz")).collect();
    raw.send(&all);
    assert_ne!(raw.until_the_end(&[]), Some(0), "it ended since nothing was asked");
    // Behind that: each is seen, and waits for its answer.
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let peers = Peers::new(move || {
        // An error means that the test is over.
        let _ = gone.lock().map(|gone| gone.recv());
        Ok(Vec::new())
    });
    let sources = Sources { peers: Some(Arc::new(peers)), ..sources(Arc::new(SimStore::new())) };
    let secured = secured_with(sources, limits(|_| {}), false);
    let mut raw = Raw::begun(&secured, &[]);
    let mut is_open = true;
    for number in 0..1_000_u32 {
        let seen = [question(number * 2 + 1, "/api/v1/participants"), frame(PING, 0, 0, &u64::from(number).to_be_bytes())].concat();
        is_open = raw.send(&seen) && raw.find(&[], |frame| frame.kind == PING && frame.flags == ACK).is_some();
        if !is_open {
            break;
        }
        raw.send(&frame(RESET, 0, number * 2 + 1, &CANCEL.to_be_bytes()));
    }
    // Before anything fails: the server's end waits for whoever reads there.
    drop(go);
    assert!(!is_open, "it takes them without end");
}

/// A connection is silent if none of its requests is being answered: that of one whose first answer has ended is not.
#[tokio::test]
async fn who_is_being_answered_does_not_give_way() {
    let secured = secured(limits(|limits| (limits.connections, limits.head) = (10, PATIENCE * 10)));
    let mut idle = Raw::begun(&secured, &[]);
    idle.send(&question(1, "/healthz"));
    idle.answered(1);
    let watching = client(&secured).await;
    let (code, _, mut events) =
        head_of(&watching, request(&Method::GET, "/api/v1/live?watch=overview", &[]), b"").await.expect("events");
    assert_eq!((code, answer(&watching, "/healthz", &[]).await.0), (200, 200));
    let _silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(secured.server.address()).expect("it listens")).collect();
    assert_eq!(idle.until_the_end(&[]), None, "it gave way");
    for _ in 0..3 {
        assert!(events.data().await.is_some_and(|event| event.is_ok()));
    }
    assert_eq!(answer(&watching, "/healthz", &[]).await.0, 200);
}
