//! How what goes on for long ends by HTTP/2: events of a token, of a client that does not read, and of a server.

use super::raw::{Raw, *};
use super::*;

const EVENTS: &str = "/api/v1/live?watch=overview";

async fn clients(client: &Client, authorization: &[(&str, &str)]) -> String {
    let (_, metrics) = answer(client, "/metrics", authorization).await;
    metrics.lines().find_map(|line| line.strip_prefix("ringmaster_live_clients ")).expect("the metric").to_owned()
}

/// Waits until so many watch.
async fn until_clients(client: &Client, authorization: &[(&str, &str)], count: &str) {
    let since = Instant::now();
    while clients(client, authorization).await != count {
        assert!(since.elapsed() < PATIENCE, "{count} watch");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads until an event of this name.
async fn event(body: &mut RecvStream, name: &str) {
    let mut said = String::new();
    while !said.contains(&format!("event: {name}")) {
        let bytes = body.data().await.expect("it goes on").expect("data");
        body.flow_control().release_capacity(bytes.len()).expect("read");
        said.push_str(&String::from_utf8_lossy(&bytes));
    }
}

/// Several watch over one connection; with a token ends what is watched by it, and no more.
#[tokio::test]
async fn a_token_that_is_revoked_watches_no_more() {
    let secured = secured_with(sources(Arc::new(SimStore::new())), Limits::USUAL, true);
    let file = TokenFile::new(secured.folder.path().join("tokens.toml"));
    let now = wall();
    let [one, two] = [(); 2].map(|()| file.create("viewer", &[Role::Viewer], now, now + 86_400_000).expect("made"));
    let client = client(&secured).await;
    let [first, second] = [&one, &two].map(|made| format!("Bearer {}", made.token));
    let [first, second] = [&first, &second].map(|token| [("authorization", &**token)]);
    assert_eq!(answer(&client, "/metrics", &[]).await.0, 401);
    let since = Instant::now();
    while answer(&client, "/metrics", &second).await.0 != 200 {
        assert!(since.elapsed() < PATIENCE, "the file is read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut watching = Vec::new();
    for token in [&first, &second, &second] {
        let (code, _, mut body) = head_of(&client, request(&Method::GET, EVENTS, token), b"").await.expect("events");
        assert_eq!(code, 200);
        event(&mut body, "overview").await;
        watching.push(body);
    }
    assert_eq!(clients(&client, &second).await, "3");
    file.revoke(&one.known.id, wall()).expect("written");
    let mut ended = watching.remove(0);
    while let Some(bytes) = ended.data().await {
        let bytes = bytes.expect("an orderly end");
        ended.flow_control().release_capacity(bytes.len()).expect("read");
        assert!(since.elapsed() < PATIENCE, "it goes on");
    }
    for body in &mut watching {
        event(body, "overview").await;
    }
    // They are given up.
    drop(watching);
    until_clients(&client, &second, "0").await;
}

/// Who stops reading events loses the seat.
#[tokio::test]
async fn who_stops_reading_loses_the_seat() {
    // Each event is large, so that the window is soon full.
    let sources = Sources { partitions: 2_000, ..sources(Arc::new(SimStore::new())) };
    let change = |limits: &mut Limits| {
        limits.read = SHORT;
        limits.requests.live.every = Duration::from_millis(5);
    };
    let secured = secured_with(sources, limits(change), false);
    let client = client(&secured).await;
    let (code, _, mut body) = head_of(&client, request(&Method::GET, EVENTS, &[]), b"").await.expect("events");
    assert_eq!(code, 200);
    // By another connection: what is not read fills the window that all streams of this one have.
    let other = self::client(&secured).await;
    assert_eq!(clients(&other, &[]).await, "1");
    until_clients(&other, &[], "0").await;
    let ended = loop {
        match body.data().await.expect("no end without a reason") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(ended.reason(), Some(Reason::CANCEL));
}

/// A connection that asks for nothing any more is told that it ends, and ends when it has said that it has read all before that.
#[test]
fn a_connection_ends_in_order() {
    let secured = secured(limits(|limits| (limits.head, limits.read) = (SHORT, PATIENCE * 10)));
    let mut raw = Raw::used(&secured);
    let told = raw.find(&[], |frame| frame.kind == GO_AWAY).expect("it is told");
    assert_eq!((number(&told.bytes), told.code()), (i32::MAX as u32, 0));
    let ping = raw.find(&[], |frame| frame.kind == PING && frame.flags == 0).expect("it is asked whether it has read that");
    raw.send(&frame(PING, ACK, 0, &ping.bytes));
    let told = raw.find(&[], |frame| frame.kind == GO_AWAY).expect("it is told");
    assert_eq!((number(&told.bytes), told.code()), (1, 0), "the last that was answered");
    assert_eq!(raw.until_the_end(&[]), None);
}

/// A server that ends tells its connections so, and waits for none that does not end.
#[test]
fn a_server_that_ends_says_so() {
    let store: Arc<dyn Store> = Arc::new(SimStore::new());
    let secured = secured_with(sources(store.clone()), Limits::USUAL, false);
    let mut raw = Raw::begun(&secured, &[]);
    raw.send(&question(1, EVENTS));
    raw.answered(1);
    drop(secured);
    let told = raw.find(&[], |frame| frame.kind == GO_AWAY).expect("it is told");
    assert_eq!(told.code(), 0);
    raw.until_the_end(&[]);
    assert_eq!(Arc::strong_count(&store), 1);
}
