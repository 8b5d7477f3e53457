//! Sagas that are found by values, asked over a real connection.

use ringmaster_core::definition::{DefinitionRecord, Settings};
use ringmaster_schemas::journal::{Head, HeadFields, SearchValues};
use ringmaster_schemas::state::{End, Saga, Status as SagaStatus};

use super::*;

const TRIPS: &str = "
saga: trip
start: { on: TripBooked, from: trips, key: event.id }
search: { guest: start.guest, city: start.city }
steps:
  - { step: room, sleep: 1h }
---
saga: plain
start: { on: TripBooked, from: trips, key: event.id }
steps:
  - { step: room, sleep: 1h }
";

struct Site {
    knowledge: Knowledge,
    store: SimStore,
    rows: Vec<Vec<RowChange>>,
}

impl Site {
    fn new() -> Site {
        let mut knowledge = nothing_known();
        let mut settings = Settings::new(&mut knowledge.schemas);
        for record in DefinitionRecord::of_file("trips.yaml", TRIPS, 0, &mut settings).expect("it is right") {
            knowledge.catalog.add(&record, knowledge.catalog.loaded_to(), &mut settings).expect("it is right");
        }
        Site { knowledge, store: SimStore::new(), rows: vec![Vec::new(); PARTITIONS as usize] }
    }

    /// A trip that waits for a person, or has ended.
    fn add(&mut self, key: &str, guest: &str, city: &str, has_ended: bool) {
        let (_, trip) = with_a_trip();
        let version = self.knowledge.catalog.newest("trip").expect("it is deployed").hash;
        let search = SearchValues::encode("trip", [("guest", guest), ("city", city)].into_iter());
        let fields = HeadFields { version, source: "trips/0/1", search: SearchValues::of(&search), ..Default::default() };
        let mut saga = Saga { id: names::saga_id("trip", key).into(), head: Head::new(&fields, &mut Vec::new()), ..trip };
        if has_ended {
            saga.status = SagaStatus::Completed;
            saga.ended = Some(End { at: 20, expires_at: 1_000_000 });
            saga.entries.clear();
        }
        let places = index_keys(&saga);
        let change = RowChange { after: places, ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
        self.rows[names::partition_of(key.as_bytes(), PARTITIONS) as usize].push(change);
    }

    fn serve(self) -> Server {
        for (rows, partition) in self.rows.into_iter().zip(0..) {
            self.store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
        }
        serving(Arc::default(), &self.store, self.knowledge)
    }
}

fn ids(body: &serde_json::Value) -> Vec<String> {
    let all = body["sagas"].as_array().into_iter().flatten();
    all.map(|saga| saga["saga"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn sagas_are_found_by_all_of_their_values_in_all_partitions() {
    let mut site = Site::new();
    for number in 0..20 {
        site.add(
            &format!("t-{number:02}"),
            if number % 2 == 0 { "c/7 ä&" } else { "c" },
            &format!("city-{}", number % 3),
            number > 9,
        );
    }
    let server = site.serve();
    let find = |more: &str| get(&server, &format!("/api/sagas?definition=trip{more}"));
    let (code, body) = find("&search=guest=c%2F7%20%C3%A4%26");
    assert_eq!((code, ids(&body).len(), &body["more"]), (200, 10, &json!(false)), "{body}");
    let (_, body) = find("&search=guest=c%2F7%20%C3%A4%26&search=city=city-1");
    assert_eq!(ids(&body), ["trip/t-04", "trip/t-10", "trip/t-16"], "in order, wherever they lie");
    let (first, ended) = (&body["sagas"][0], &body["sagas"][1]);
    assert_eq!(
        (&first["status"], &first["reason"], &first["search"]["city"]),
        (&json!("running"), &json!("reply"), &json!("city-1"))
    );
    assert_eq!((&ended["status"], &ended["reason"], &ended["wakes_at"]), (&json!("completed"), &json!("no"), &json!(null)));
    assert_eq!(ended["since"], json!("1970-01-01T00:00:00.020Z"), "when it ended");
    assert_eq!(ids(&find("&search=city=city-1&search=guest=nobody").1), [""; 0]);
    let (_, body) = find("&search=guest=c&limit=3");
    assert_eq!((ids(&body), &body["more"]), (["trip/t-01", "trip/t-03", "trip/t-05"].map(str::to_owned).to_vec(), &json!(true)));
    assert_eq!(ids(&find("&search=guest=c&stuck=true").1), [""; 0], "none of them needs a person");
    assert_eq!(ids(&find("").1).len(), 10, "what is not searched lives");
    assert_eq!(get(&server, "/api/sagas/trip/t-10").1["search"], json!({ "guest": "c/7 ä&", "city": "city-1" }));
}

#[test]
fn what_cannot_be_searched_is_told() {
    let server = Site::new().serve();
    let why = |path: &str| {
        let (code, body) = get(&server, path);
        (code, body["detail"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(why("/api/sagas?search=guest=c").0, 400);
    assert_eq!(why("/api/sagas?definition=trip&search=guest").0, 400);
    let there = "no version of trip is searched by 'hotel'; there is city, guest";
    assert_eq!(why("/api/sagas?definition=trip&search=hotel=c"), (404, there.to_owned()));
    let there = "no version of plain is searched by 'guest'; it has no search";
    assert_eq!(why("/api/sagas?definition=plain&search=guest=c"), (404, there.to_owned()));
}
