//! What is watched, over real connections that stay.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::client::{Event, Events, Means, NoEvents};
use super::super::server::Limits;
use super::*;

/// How long what must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(5);

fn serve_with(sources: Sources, change: impl FnOnce(&mut Limits)) -> Server {
    let mut limits = Limits::USUAL;
    change(&mut limits);
    serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, local().with(limits)).expect("serves")
}

/// Looks often, so that tests need not wait.
fn often(limits: &mut Limits) {
    let live = &mut limits.requests.live;
    (live.every, live.saga_every) = (SHORT, SHORT);
}

pub(super) fn watch(server: &Server, what: &str) -> Result<Events, NoEvents> {
    let caller = client::caller(&server.address().into(), &Means::default()).expect("it needs nothing");
    caller.live(&format!("/api/v1/live?{what}"), PATIENCE)
}

fn next(events: &mut Events) -> Event {
    events.next().expect("an event")
}

fn body(event: &Event) -> serde_json::Value {
    serde_json::from_str(&event.data).expect("JSON in one line")
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(SHORT);
    }
}

fn clients(server: &Server) -> String {
    let metrics = client::get(server.address(), "/metrics").expect("an answer").body;
    metrics.lines().find_map(|line| line.strip_prefix("ringmaster_live_clients ")).expect("the metric").to_owned()
}

/// Writes the row of a saga as of an offset; `-1` before the first.
fn write(store: &SimStore, saga: &ringmaster_schemas::state::Saga, from: i64, to: i64, before: IndexKeys) {
    let key = names::root_of(&saga.id).split_once('/').expect("a key").1;
    let partition = names::partition_of(key.as_bytes(), PARTITIONS);
    let change =
        RowChange { before, after: index_keys(saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
    store.write(&Batch { partition, base_offset: from, checkpoint: checkpoint(to), rows: vec![change] }).expect("applies");
}

/// A store with a trip, what knows it, and the saga.
fn of_a_trip() -> (SimStore, Sources, ringmaster_schemas::state::Saga) {
    let (store, (knowledge, saga)) = (SimStore::new(), with_a_trip());
    let knowledge = Arc::new(Newest::new(Arc::new(knowledge)));
    let sources = Sources { knowledge, ..sources(Arc::new(store.clone())) };
    (store, sources, saga)
}

#[test]
fn each_event_is_what_the_plain_route_answers() {
    let (store, sources, saga) = of_a_trip();
    write(&store, &saga, -1, 17, IndexKeys::NONE);
    let server = serve_with(sources, |_| {});
    let mut events =
        watch(&server, "watch=overview&watch=participants&watch=alerts&watch=scaling&watch=saga%3Atrip/t-1").expect("events");
    let mut seen = BTreeMap::new();
    while seen.len() < 5 {
        let event = next(&mut events);
        seen.insert(event.name.clone(), event);
    }
    for (name, path) in [
        ("overview", "overview"),
        ("participants", "participants"),
        ("alerts", "alerts"),
        ("scaling", "scaling"),
        ("saga", "saga?id=trip/t-1"),
    ] {
        assert_eq!((200, body(&seen[name])), get(&server, &format!("/api/v1/{path}")), "{name}");
    }
    assert_eq!(clients(&server), "1");
    let raw = {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        stream.write_all(b"GET /api/v1/live?watch=alerts HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
        let mut said = [0; 4096];
        let mut text = String::new();
        until("an event", || {
            let count = stream.read(&mut said).expect("more");
            text.push_str(&String::from_utf8_lossy(&said[..count]));
            text.contains("data: ")
        });
        text
    };
    for part in ["content-type: text/event-stream\r\n", "cache-control: no-store\r\n", "retry: 1000\n\n", "event: alerts\nid: "] {
        assert!(raw.contains(part), "{part}\n{raw}");
    }
    for wrong in ["", "watch=sagas", "watch=saga:nonsense", "watch=overview&x=y"] {
        let Err(NoEvents::Answer(answer)) = watch(&server, wrong) else { panic!("{wrong}") };
        assert!(answer.code == 400 && answer.body.contains("watch is overview, participants"), "{wrong}: {}", answer.body);
    }
}

/// One that is not there yet is a problem; then each change is told, and what changed nothing is not.
#[test]
fn a_saga_is_told_when_it_changes() {
    let (store, sources, saga) = of_a_trip();
    let server = serve_with(sources, often);
    let mut events = watch(&server, "watch=saga:trip/t-1").expect("events");
    let first = next(&mut events);
    let problem = body(&first);
    assert_eq!(
        (&*first.name, &problem["watch"], &problem["status"]),
        ("problem", &json!("saga:trip/t-1"), &json!(404)),
        "{problem}"
    );
    write(&store, &saga, -1, 17, IndexKeys::NONE);
    let began = body(&next(&mut events));
    assert_eq!((&began["status"], &began["as_of_journal_offset"]), (&json!("running"), &json!(17)));
    let (mut offset, mut before) = (17, index_keys(&saga));
    for (deadline, shown) in [(7_000, "1970-01-01T00:00:07Z"), (8_000, "1970-01-01T00:00:08Z")] {
        // The same row as of later, and some looks at it.
        for _ in 0..3 {
            write(&store, &saga, offset, offset + 1, std::mem::replace(&mut before, index_keys(&saga)));
            offset += 1;
            std::thread::sleep(SHORT);
        }
        let changed = ringmaster_schemas::state::Saga { deadline_at: Some(deadline), ..saga.clone() };
        write(&store, &changed, offset, offset + 1, std::mem::replace(&mut before, index_keys(&changed)));
        offset += 1;
        let event = next(&mut events);
        assert_eq!((&*event.name, &body(&event)["deadline_at"]), ("saga", &json!(shown)), "nothing else was told before");
        // It is told again, as it was: that is a change as well.
        write(&store, &saga, offset, offset + 1, std::mem::replace(&mut before, index_keys(&saga)));
        offset += 1;
        assert_eq!(body(&next(&mut events))["deadline_at"], json!(null));
    }
}

/// Who watches has a seat of their own: there are so many, and others are answered beside them.
#[test]
fn seats_are_counted_and_take_no_places_of_others() {
    let (_, sources, _) = of_a_trip();
    let server = serve_with(sources, |limits| (limits.requests.live.clients, limits.requests.requests) = (2, 1));
    let [one, _two] = [(); 2].map(|()| watch(&server, "watch=overview").expect("a seat"));
    let Err(NoEvents::Answer(answer)) = watch(&server, "watch=overview") else { panic!("a third seat") };
    assert!(answer.code == 429 && answer.body.contains("2 watch already"), "{}", answer.body);
    assert_eq!(clients(&server), "2");
    assert_eq!(get(&server, "/api/v1/overview").0, 200, "there is one place, and it is free");
    drop(one);
    until("the seat is free again", || watch(&server, "watch=overview").is_ok());
}

#[test]
fn sagas_that_all_watch_together_are_bounded() {
    let (_, sources, _) = of_a_trip();
    let server = serve_with(sources, |limits| limits.requests.live.sagas = 2);
    let _watching = watch(&server, "watch=saga:trip/a&watch=saga:trip/b").expect("room for two");
    let Err(NoEvents::Answer(answer)) = watch(&server, "watch=saga:trip/c") else { panic!("a third") };
    assert!(answer.code == 429 && answer.body.contains("2 sagas are watched by all together"), "{}", answer.body);
    assert!(watch(&server, "watch=saga:trip/b&watch=overview").is_ok(), "that one is watched already");
}

/// Who stops reading is cut like everybody else: the seat is free again, and until then no more than the newest is kept.
#[test]
fn who_stops_reading_loses_the_seat() {
    let (_, sources, _) = of_a_trip();
    // Each event is large, so that the buffers on the way are soon full.
    let sources = Sources { partitions: 2_000, ..sources };
    let server = serve_with(sources, |limits| {
        often(limits);
        limits.read = Duration::from_secs(1);
    });
    let _kept = watch(&server, "watch=overview").expect("events");
    assert_eq!(clients(&server), "1");
    until("the seat is free", || clients(&server) == "0");
}

#[test]
fn a_connection_has_an_end_and_comments_before_it() {
    let (_, sources, _) = of_a_trip();
    let server =
        serve_with(sources, |limits| (limits.requests.live.comment, limits.requests.live.life) = (SHORT, Duration::from_secs(3)));
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream
        .write_all(b"GET /api/v1/live?watch=saga:trip/none HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("sent");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an end");
    assert!(said.ends_with("0\r\n\r\n"), "in order: {said}");
    assert!(said.contains("\n:\n\n") && said.matches("event: ").count() == 1, "{said}");
}

#[test]
fn a_server_that_ends_ends_what_is_watched() {
    let (_, sources, _) = of_a_trip();
    let store: Arc<dyn Store> = Arc::new(SimStore::new());
    let server = serve_with(Sources { store: store.clone(), ..sources }, |_| {});
    let mut events = watch(&server, "watch=overview").expect("events");
    assert_eq!(next(&mut events).name, "overview");
    drop(server);
    assert_eq!((Arc::strong_count(&store), events.by_ref().find(|event| event.name != "overview")), (1, None));
}

/// Connections that say nothing give way; one that is watched says something.
#[test]
fn who_watches_does_not_give_way() {
    let (_, sources, _) = of_a_trip();
    let server = serve_with(sources, |limits| (limits.connections, limits.head) = (10, PATIENCE * 10));
    let mut events = watch(&server, "watch=overview").expect("events");
    let _silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(server.address()).expect("it listens")).collect();
    assert_eq!(get(&server, "/healthz").0, 200, "all of them were taken");
    for _ in 0..2 {
        assert_eq!(next(&mut events).name, "overview");
    }
    assert_eq!(clients(&server), "1");
}
