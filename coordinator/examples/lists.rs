//! Measures lists over HTTP: how long the first page of each filter takes, of so many sagas that are parked, and how many pages it takes to
//! find the last of a few; then why one of them waits, and how many there are.
//!
//! ```text
//! cargo run --release -p ringmaster --example lists -- [SAGAS]
//! ```
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringmaster::alerts::Alerts;
use ringmaster::api::client::{self, Means};
use ringmaster::api::{Port, SagaPage, Sources, listen, serve};
use ringmaster::batches::Batches;
use ringmaster::config::Config;
use ringmaster::runtime::{Knowledge, Newest};
use ringmaster::telemetry::Metrics;
use ringmaster_core::definition::{Catalog, Definition, DefinitionRecord, Participant, Settings};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Encoding, Failure, FailureKind, Head, HeadFields, SearchValues};
use ringmaster_schemas::names::{partition_of, percent_encode, saga_id};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{
    AgeCount, Batch, CellCount, Checkpoint, Counts, Course, Detail, Digest, Entry, EntryMore, Identity, PRIORITY_USUAL,
    ParticipantCounts, RowChange, RowKey, Saga, Standing, Status, Turns, VersionCounts, Waits, Work, index_keys,
};
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;

const PARTITIONS: i32 = 8;
const ROWS_PER_BATCH: usize = 5_000;
const TIMES: usize = 200;
/// Every so many-th is stuck, and every so many-th undoes.
const RARE: usize = 50_000;
const BEGAN: Millis = 1_769_817_600_000;
const TRIP: &str = "saga: trip\nstart: { on: TripBooked, from: trips, key: event.id }\nsearch: { guest: start.guest }\nsteps:\n  - { step: room, do: hotel.Reserve, undo: nothing, with: { id: key } }\n";

fn main() {
    let count: usize = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of sagas"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = RocksStore::open(&dir.path().join("store"), PARTITIONS, 256 << 20).expect("opens").store;
    let (knowledge, definition) = known();
    let began = Instant::now();
    fill(&store, count, &definition);
    println!("{count} sagas in {PARTITIONS} partitions, written in {:.0} s", began.elapsed().as_secs_f64());

    let sources = Sources {
        metrics: Arc::new(Metrics::new("lists")),
        status: Arc::default(),
        store: Arc::new(store),
        knowledge: Arc::new(Newest::new(Arc::new(knowledge))),
        partitions: PARTITIONS,
        peers: None,
        scaling: Arc::default(),
        alerts: Arc::new(Alerts::new("lists")),
        tokens: None,
        hand: None,
        reader: None,
        acts: Arc::default(),
        editing: Arc::default(),
        settings: Arc::default(),
        batches: Arc::new(Batches::new(|_| Ok(()))),
        durability: None,
    };
    let api = Config::parse("lists", "").expect("defaults").api;
    let port = Port::open(&api, api.listen.expect("an address")).expect("it needs nothing");
    let server = serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, port).expect("serves");
    let caller = client::caller(&server.address().into(), &Means::default()).expect("ready");
    println!("{:<44} {:>8} {:>8} {:>6} {:>7} {:>9}", "first page of", "p50 ms", "p99 ms", "items", "pages", "all in s");
    for filter in [
        "",
        "status:parked",
        "waits:parked participant:hotel",
        "status:stuck",
        "status:compensating",
        "definition:trip status:parked",
        "definition:trip guest=g-7",
        "key:t-77*",
        "participant:hotel step:room since:>1h",
        "code:NOWHERE",
        "started:>3650d",
    ] {
        let mut path = "/api/v1/sagas?limit=50&filter=".to_owned();
        percent_encode(filter, &mut path);
        let (mut took, mut items) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let began = Instant::now();
            items = page(&caller, &path).items.len();
            took.push(began.elapsed());
        }
        took.sort();
        let (pages, all) = to_the_end(&caller, &path);
        let ms = |at: usize| took[at].as_secs_f64() * 1e3;
        let shown = if filter.is_empty() { "(all)" } else { filter };
        println!("{shown:<44} {:>8.2} {:>8.2} {items:>6} {pages:>7} {all:>9}", ms(TIMES / 2), ms(TIMES * 99 / 100));
    }
    // Nothing goes out before the one, and a partition's worth before the other.
    let last = format!("/api/v1/saga/why?id=trip%2Ft-{}", count - 1);
    for path in ["/api/v1/saga/why?id=trip%2Ft-7", &last, "/api/v1/overview", "/api/v1/participants"] {
        let mut took: Vec<Duration> = (0..TIMES).map(|_| once(&caller, path)).collect();
        took.sort();
        println!("{path:<44} {:>8.2} {:>8.2}", took[TIMES / 2].as_secs_f64() * 1e3, took[TIMES * 99 / 100].as_secs_f64() * 1e3);
    }
}

fn once(caller: &client::Caller, path: &str) -> Duration {
    let began = Instant::now();
    assert_eq!(caller.get(path).expect("an answer").code, 200);
    began.elapsed()
}

fn page(caller: &client::Caller, path: &str) -> SagaPage {
    serde_json::from_str(&caller.get(path).expect("an answer").body).expect("what the API says it is")
}

/// How many pages there are, and how long they take; only of a few sagas, or of none.
fn to_the_end(caller: &client::Caller, path: &str) -> (usize, String) {
    let (began, mut cursor, mut pages, mut found) = (Instant::now(), String::new(), 0, 0);
    loop {
        let page = page(caller, &format!("{path}{cursor}"));
        (pages, found) = (pages + 1, found + page.items.len());
        match page.next_cursor {
            None => return (pages, format!("{:.2}", began.elapsed().as_secs_f64())),
            Some(_) if found > 1_000 => return (pages, "-".to_owned()),
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
}

fn known() -> (Knowledge, Arc<Definition>) {
    let mut knowledge = Knowledge {
        catalog: Catalog::default(),
        schemas: Schemas::builtin(),
        deployed: Default::default(),
        records: Default::default(),
    };
    let mut settings = Settings::new(&mut knowledge.schemas);
    settings.participants.insert("hotel".to_owned(), Participant { encoding: Encoding::Json, ..Participant::default() });
    let record = DefinitionRecord::of_file("trip.yaml", TRIP, 0, &mut settings).expect("it is right").remove(0);
    let definition = knowledge.catalog.add(&record, 0, &mut settings).expect("it is right");
    (knowledge, definition)
}

fn fill(store: &RocksStore, count: usize, definition: &Definition) {
    let mut rows: Vec<Vec<RowChange>> = vec![Vec::new(); PARTITIONS as usize];
    let mut offsets = [-1; PARTITIONS as usize];
    for number in 0..count {
        let saga = saga(number, definition);
        let partition = partition_of(saga.key().as_bytes(), PARTITIONS) as usize;
        let change = RowChange { after: index_keys(&saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
        rows[partition].push(change);
        if rows[partition].len() == ROWS_PER_BATCH {
            write(store, partition, &mut offsets, std::mem::take(&mut rows[partition]));
        }
    }
    for (partition, mut rows) in rows.into_iter().enumerate() {
        rows.push(counts(count as i64 / i64::from(PARTITIONS), definition));
        write(store, partition, &mut offsets, rows);
    }
    store.flush().expect("flushes");
}

fn write(store: &RocksStore, partition: usize, offsets: &mut [i64], rows: Vec<RowChange>) {
    let base_offset = offsets[partition];
    offsets[partition] += 1;
    let batch = Batch { partition: partition as i32, base_offset, checkpoint: checkpoint(offsets[partition]), rows };
    store.write(&batch).expect("applies");
}

/// What a partition counts of that.
fn counts(parked: i64, definition: &Definition) -> RowChange {
    let cell = |standing, waits, sagas| CellCount { standing, node: 1, waits, sagas, open: sagas };
    let cells = vec![
        cell(Standing::Parked, Waits::Parked, parked),
        cell(Standing::Stuck, Waits::Stuck, parked / RARE as i64),
        cell(Standing::Compensating, Waits::Reply, parked / RARE as i64),
    ];
    let hotel = ParticipantCounts {
        asked: parked,
        parked: vec![AgeCount { from: BEGAN / 1_000, count: parked }],
        ..ParticipantCounts::new("hotel".into())
    };
    let versions = vec![VersionCounts { version: definition.hash, cells, ended: Vec::new() }];
    let counts = Counts { started: parked, participants: vec![hotel], versions, ..Counts::default() };
    RowChange::plain(RowKey::Counts, Some(counts.encode()))
}

/// One that is parked; now and then one that is stuck, or undoes.
fn saga(number: usize, definition: &Definition) -> Saga {
    let guest = format!("g-{}", number % 100_000);
    let search = SearchValues::encode("trip", [("guest", &*guest)].into_iter());
    let started_at = BEGAN + number as Millis * 10;
    let fields = HeadFields {
        version: definition.hash,
        started_at,
        source: "trips/0/1",
        search: SearchValues::of(&search),
        ..Default::default()
    };
    let (is_stuck, undoes) = (number % RARE == 1, number % RARE == 2);
    let detail = Detail::Parked { participant: "hotel".into() };
    let code = Failure { code: "TIMEOUT".into(), step: "room".into(), kind: FailureKind::Failed, message: "".into() };
    let more = EntryMore {
        failure: is_stuck.then(|| Arc::new(code)),
        stray: None,
        course: (!is_stuck && !undoes).then(|| Course { detail, ..Course::default() }),
    };
    let waits = match (is_stuck, undoes) {
        (true, _) => Waits::Stuck,
        (_, true) => Waits::Reply,
        _ => Waits::Parked,
    };
    Saga {
        id: saga_id("trip", &format!("t-{number}")).into(),
        head: Head::new(&fields, &mut Vec::new()),
        bare: false,
        status: if undoes { Status::Compensating } else { Status::Running },
        passed: false,
        late: false,
        priority: PRIORITY_USUAL,
        deadline_at: None,
        held_since: (!undoes).then_some(started_at),
        entries: vec![Entry {
            node: 1,
            attempt: 0,
            round: 1,
            work: if undoes { Work::UndoAsked } else { Work::Nothing },
            waits,
            bare: false,
            since: started_at + 100,
            due_at: if undoes { started_at + 10_000 } else { 0 },
            order: None,
            result: None,
            more: Some(Box::new(more)),
        }],
        failure: None,
        ended: None,
        more: None,
        turns: Turns::default(),
    }
}

fn checkpoint(journal_offset: i64) -> Checkpoint {
    Checkpoint {
        journal: [9; 16],
        journal_offset,
        claim_offset: 0,
        claim: [0; 16],
        number: 0,
        identity: Identity { claim: [0; 16], number: 0 },
        positions: Vec::new(),
        released: 0,
        now: BEGAN,
        expired_bucket: -1,
        digest: Digest { live: [0; 16], finished: Vec::new() },
    }
}
