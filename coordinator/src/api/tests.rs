//! The HTTP side, asked over a real connection.

use std::sync::Arc;

use ringmaster_core::definition::Catalog;
use ringmaster_core::partition::StageName;
use ringmaster_schemas::names;
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Batch, IndexKeys, Large, RowChange, RowKey, index_keys};
use ringmaster_store::sim::SimStore;

use super::*;
use crate::runtime::Knowledge;

mod alerts;
mod broker;
mod definitions;
mod editing;
mod elsewhere;
mod fresh;
mod guarded;
mod items;
mod live;
mod parked;
mod scaling;
mod search;
mod settings;
mod shown;

const PARTITIONS: i32 = 4;

fn started(status: Arc<Status>, store: &SimStore) -> Server {
    serving(status, store, nothing_known())
}

/// What is shown of a store, where nothing is deployed.
pub(super) fn sources(store: Arc<dyn Store>) -> Sources {
    let (metrics, knowledge) = (Arc::new(Metrics::new("test")), Arc::new(Newest::new(Arc::new(nothing_known()))));
    Sources {
        metrics,
        status: Arc::default(),
        store,
        knowledge,
        partitions: PARTITIONS,
        peers: None,
        scaling: Arc::default(),
        alerts: Arc::new(Alerts::new("test")),
        tokens: None,
        hand: None,
        reader: None,
        acts: Arc::default(),
        editing: Arc::default(),
        settings: Arc::default(),
        batches: Arc::new(Batches::new(|_| Ok(()))),
        durability: None,
    }
}

fn serving(status: Arc<Status>, store: &SimStore, knowledge: Knowledge) -> Server {
    let knowledge = Arc::new(Newest::new(Arc::new(knowledge)));
    let sources = Sources { status, knowledge, ..sources(Arc::new(store.clone())) };
    serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, local()).expect("serves")
}

/// As it is where settings say nothing.
fn local() -> Port {
    let api = crate::config::Config::parse("default.toml", "").expect("defaults").api;
    Port::open(&api, api.listen.expect("an address")).expect("it needs nothing")
}

pub(crate) fn nothing_known() -> Knowledge {
    Knowledge {
        catalog: Catalog::default(),
        schemas: Schemas::builtin(),
        deployed: Default::default(),
        records: Default::default(),
    }
}

fn get(server: &Server, path: &str) -> (u16, serde_json::Value) {
    let answer = client::get(server.address(), path).expect("an answer");
    (answer.code, serde_json::from_str(&answer.body).unwrap_or(serde_json::Value::String(answer.body)))
}

/// What is asked of one saga.
fn of_saga(what: &str, id: &str) -> String {
    let mut path = format!("/api/v1/{what}?id=");
    names::percent_encode(id, &mut path);
    path
}

/// A page of what a filter means.
fn page(server: &Server, filter: &str, more: &str) -> (u16, serde_json::Value) {
    let mut path = "/api/v1/sagas?filter=".to_owned();
    names::percent_encode(filter, &mut path);
    get(server, &format!("{path}{more}"))
}

/// The ids of it, and whether there are more.
fn listed(server: &Server, filter: &str, more: &str) -> (Vec<String>, bool) {
    let (code, body) = page(server, filter, more);
    assert_eq!(code, 200, "{filter} {more}: {body}");
    let page: SagaPage = serde_json::from_value(body).expect("what the API says it is");
    (page.items.into_iter().map(|line| line.saga).collect(), page.next_cursor.is_some())
}

#[test]
fn a_process_is_alive_before_it_is_ready() {
    let status: Arc<Status> = Arc::default();
    let server = started(status.clone(), &SimStore::new());
    assert_eq!(get(&server, "/healthz"), (200, json!("ok\n")));
    let (code, body) = get(&server, "/readyz");
    assert_eq!((code, &body["ready"]), (503, &json!(false)));
    assert!(body["group"].as_str().is_some_and(|why| why.contains("the group has not said yet")), "{body}");
    status.given(Some(&(0..PARTITIONS).collect()));
    let (code, body) = get(&server, "/readyz");
    assert_eq!((code, &body["ready"], &body["group"]), (503, &json!(false), &json!(null)));
    assert_eq!(body["not_ready"].as_array().map(Vec::len), Some(4), "each partition says what is missing: {body}");
    assert_eq!(body["not_ready"][3], json!({ "partition": 3, "missing": "not claimed yet" }));
    let (code, text) = get(&server, "/metrics");
    assert!(code == 200 && text.as_str().expect("text").contains("ringmaster_inputs_total 0"));
    let asked = r#"ringmaster_http_request_seconds_count{route="GET /healthz"} 1"#;
    assert!(text.as_str().expect("text").lines().any(|line| line == asked), "{text}");
    assert_eq!(get(&server, "/api/v1/partitions"), (200, json!({ "partitions": [], "followed": [] })));
    assert_eq!(get(&server, "/nothing").0, 404);
}

#[test]
fn every_phase_but_owning_says_what_is_missing() {
    for phase in [
        StageName::Idle,
        StageName::Claiming,
        StageName::Replaying,
        StageName::Waiting,
        StageName::Scanning,
        StageName::Stopped,
        StageName::Owning,
    ] {
        let status = PartitionStatus { phase, ..PartitionStatus::owned(0) };
        assert_eq!(status.missing().is_none(), phase == StageName::Owning, "{phase:?}");
        let unbegun = PartitionStatus { inputs_to_begin: vec!["orders".to_owned()], ..status };
        assert_eq!(unbegun.missing_to_own().is_none(), phase == StageName::Owning, "{phase:?}: what there is is known");
        assert!(phase != StageName::Owning || unbegun.missing().is_some_and(|why| why.contains("orders")), "{phase:?}");
        assert!(unbegun.missing().is_some(), "{phase:?}: an event that is written now may be passed over");
    }
}

#[test]
fn a_topic_in_trouble_is_named_and_nothing_is_ready() {
    use crate::runtime::{TopicStatus, Trouble};
    let status: Arc<Status> = Arc::default();
    let server = started(status.clone(), &SimStore::new());
    let of = |topic: &str, troubles: &[(i32, &str)]| TopicStatus {
        topic: topic.into(),
        troubles: troubles.iter().map(|&(partition, why)| Trouble { partition: Some(partition), why: why.to_owned() }).collect(),
    };
    // Two workers read the same topics, and each tells of its own partitions.
    status.report_topics(0, vec![of("orders", &[(2, "a batch is damaged")]), of("replies", &[])]);
    status.report_topics(1, vec![of("orders", &[(1, "not allowed"), (2, "a batch is damaged")]), of("replies", &[])]);
    let (code, body) = get(&server, "/readyz");
    assert_eq!((code, &body["ready"]), (503, &json!(false)));
    let trouble = |partition, why| json!({ "topic": "orders", "partition": partition, "why": why });
    assert_eq!(body["topics"], json!([trouble(1, "not allowed"), trouble(2, "a batch is damaged")]));
    let metrics = client::get(server.address(), "/metrics").expect("an answer").body;
    assert!(metrics.contains("ringmaster_input_unreadable{topic=\"orders\"} 2"), "{metrics}");
    for worker in [0, 1] {
        assert!(!status.ready(), "worker {worker} has not told yet that all is well");
        status.report_topics(worker, vec![of("orders", &[]), of("replies", &[])]);
    }
    assert!(!status.ready(), "the group has not said yet what is this instance's");
    status.given(Some(&[].into()));
    assert!(status.ready(), "one that is given nothing waits for others to go");
    let (_, body) = get(&server, "/readyz");
    assert_eq!(body["topics"], json!([]));
}

#[test]
fn a_saga_is_found_by_its_id_whatever_its_key() {
    let store = SimStore::new();
    let saga = row("a/b c%ü");
    let partition = names::partition_of("a/b c%ü".as_bytes(), PARTITIONS);
    let places = index_keys(&saga);
    let change = RowChange {
        key: RowKey::Saga(saga.id.clone()),
        value: Some(saga.encode()),
        before: IndexKeys::NONE,
        after: places,
        large: Large::default(),
    };
    store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows: vec![change] }).expect("applies");
    let server = started(Arc::default(), &store);
    let (code, body) = get(&server, &of_saga("saga", &saga.id));
    assert_eq!(code, 200, "{body}");
    assert_eq!((&body["key"], &body["status"], &body["as_of_journal_offset"]), (&json!("a/b c%ü"), &json!("running"), &json!(17)));
    assert_eq!((&body["started_at"], &body["deadline_at"]), (&json!("2026-01-31T00:00:00Z"), &json!(null)));
    let (code, body) = get(&server, &of_saga("saga", "order/unknown"));
    assert!(code == 404 && body["detail"].as_str().expect("why").contains("order/unknown"));
    assert_eq!(get(&server, "/api/v1/saga?id=nonsense").0, 400);
}

/// A coordinator that knows one definition, and a store with a saga of it that waits for the answer of `hotel`.
pub(crate) fn with_a_trip() -> (Knowledge, ringmaster_schemas::state::Saga) {
    with_a_trip_of(ROOM)
}

/// The first step of a trip.
pub(crate) const ROOM: &str = "  - { step: room, do: hotel.Reserve, undo: nothing, with: { id: key } }\n";

/// The same, by a definition with these steps, of which the first is as ever.
pub(crate) fn with_a_trip_of(steps: &str) -> (Knowledge, ringmaster_schemas::state::Saga) {
    use ringmaster_core::definition::{DefinitionRecord, Participant, Settings};
    use ringmaster_schemas::journal::{Encoding, Head, HeadFields, Order, OrderFields};
    use ringmaster_schemas::state::{Entry, Waits, Work};
    let mut knowledge = nothing_known();
    let mut settings = Settings::new(&mut knowledge.schemas);
    for name in ["hotel", "desk"] {
        settings.participants.insert(name.to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() });
    }
    let text = format!("saga: trip\nstart: {{ on: TripBooked, from: trips, key: event.id }}\nsteps:\n{steps}");
    let record = DefinitionRecord::of_file("trip.yaml", &text, 0, &mut settings).expect("it is right").remove(0);
    let definition = knowledge.catalog.add(&record, 0, &mut settings).expect("it is right");
    knowledge.records.insert(0, Arc::new(record));
    let mut saga = row("t-1");
    saga.id = names::saga_id("trip", "t-1").into();
    saga.head = Head::new(&HeadFields { version: definition.hash, source: "trips/0/1", ..Default::default() }, &mut Vec::new());
    let asked = OrderFields {
        step: "room",
        command: "hotel.Reserve",
        encoding: Encoding::Json,
        envelope: 0,
        first_time: 10,
        until: 300_010,
        keep: false,
        body: b"{}",
    };
    saga.entries.push(Entry {
        node: 1,
        attempt: 1,
        round: 1,
        work: Work::Asked,
        waits: Waits::Reply,
        bare: false,
        since: 10,
        due_at: 10_010,
        order: Some(Order::new(&asked, &mut Vec::new())),
        result: None,
        more: None,
    });
    (knowledge, saga)
}

/// The outbox's row of a command that its topic does not take.
fn set_apart(idempotency_key: &str) -> RowChange {
    let meta = ringmaster_schemas::wire::CommandMeta {
        command: "hotel.Reserve".into(),
        idempotency_key: idempotency_key.into(),
        attempt: 1,
        undoes: None,
        reply_to: "replies".into(),
        reply_partition: 0,
        first_time: 10,
        traceparent: None,
    };
    let mut value = Vec::new();
    ringmaster_schemas::wire::put_command_json(&meta, b"{}", &mut value);
    let (key, topic) = ("t-1".as_bytes().to_vec().into(), "hotel.commands".into());
    let effect = ringmaster_schemas::state::OutboxEffect { undeliverable: true, topic, key, value: value.into(), headers: vec![] };
    RowChange {
        key: RowKey::Outbox(3, 0),
        value: Some(effect.encode()),
        before: IndexKeys::NONE,
        after: IndexKeys::NONE,
        large: Large::default(),
    }
}

/// Who waits for an answer to what was never delivered waits for the topic.
#[test]
fn a_command_that_is_not_delivered_is_why_a_saga_waits() {
    for (of, reason) in [("trip/t-1/room/do", "undeliverable"), ("trip/t-2/room/do", "reply"), ("trip/t-1/room/undo", "reply")] {
        let (store, (knowledge, saga)) = (SimStore::new(), with_a_trip());
        let (partition, after) = (names::partition_of(b"t-1", PARTITIONS), index_keys(&saga));
        let row = RowChange {
            key: RowKey::Saga(saga.id.clone()),
            value: Some(saga.encode()),
            before: IndexKeys::NONE,
            after,
            large: Large::default(),
        };
        let rows = vec![row, set_apart(of)];
        store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
        let server = serving(Arc::default(), &store, knowledge);
        let (code, body) = get(&server, "/api/v1/saga?id=trip/t-1");
        assert_eq!((code, &body["why"][0]["reason"], &body["version_number"]), (200, &json!(reason), &json!(1)), "{body}");
        let (_, found) = page(&server, "definition:trip", "&limit=5");
        let waits = json!({ "reason": "reply", "step": "room", "undo": false, "on": "hotel", "since": "1970-01-01T00:00:00.010Z",
            "wakes_at": "1970-01-01T00:00:10.010Z", "held": null });
        assert_eq!((&found["items"][0]["waits"], &found["next_cursor"]), (&waits, &json!(null)), "{found}");
        assert_eq!(listed(&server, "status:stuck", ""), (Vec::new(), false));
        let (code, why) = get(&server, "/api/v1/saga/why?id=trip/t-1");
        assert_eq!((code, &why["why"], why.get("entries")), (200, &body["why"], None), "{why}");
    }
}

#[test]
fn a_dropped_server_answers_no_more() {
    let server = started(Arc::default(), &SimStore::new());
    let address = server.address();
    assert!(client::get(address, "/healthz").is_ok());
    drop(server);
    let gone = (0..3_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        client::get(address, "/healthz").is_err()
    });
    assert!(gone, "the port is free again");
}

pub(super) fn row(key: &str) -> ringmaster_schemas::state::Saga {
    ringmaster_schemas::state::Saga {
        id: ringmaster_schemas::names::saga_id("order", key).into(),
        head: ringmaster_schemas::journal::Head::new(
            &ringmaster_schemas::journal::HeadFields {
                version: [1; 16],
                started_at: 1_769_817_600_000,
                source: "orders/0/1",
                ..Default::default()
            },
            &mut Vec::new(),
        ),
        bare: false,
        status: ringmaster_schemas::state::Status::Running,
        passed: false,
        late: false,
        priority: ringmaster_schemas::state::PRIORITY_USUAL,
        deadline_at: None,
        held_since: None,
        entries: Vec::new(),
        failure: None,
        ended: None,
        more: None,
        turns: ringmaster_schemas::state::Turns::default(),
    }
}

pub(crate) fn checkpoint(journal_offset: i64) -> ringmaster_schemas::state::Checkpoint {
    ringmaster_schemas::state::Checkpoint {
        journal: [9; 16],
        journal_offset,
        claim_offset: 0,
        claim: [0; 16],
        number: 0,
        identity: ringmaster_schemas::state::Identity { claim: [0; 16], number: 0 },
        positions: Vec::new(),
        released: 0,
        now: 0,
        expired_bucket: -1,
        digest: ringmaster_schemas::state::Digest { live: [0; 16], finished: Vec::new() },
    }
}

#[test]
fn a_dropped_server_has_let_go_of_the_store_though_a_client_stays() {
    for _ in 0..20 {
        let store: Arc<dyn Store> = Arc::new(SimStore::new());
        let server =
            serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources(store.clone()), local()).expect("serves");
        let mut client = std::net::TcpStream::connect(server.address()).expect("it listens");
        std::io::Write::write_all(&mut client, b"GET /healthz HTTP/1.1\r\n").expect("half a question");
        drop(server);
        assert_eq!(Arc::strong_count(&store), 1, "the store closes when the last who has it ends, and that is not the server");
    }
}
