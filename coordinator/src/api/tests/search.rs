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
    let find = |more: &str| listed(&server, &format!("definition:trip {more}"), "");
    let guest = "guest=\"c/7 \u{e4}&\"";
    let (found, more) = find(guest);
    assert_eq!((found.len(), more), (10, false));
    let (_, body) = page(&server, &format!("definition:trip {guest} city=city-1"), "");
    let found = find(&format!("{guest} city=city-1")).0;
    assert_eq!(found, ["trip/t-04", "trip/t-10", "trip/t-16"], "in order, wherever they lie");
    let (first, ended) = (&body["items"][0], &body["items"][1]);
    assert_eq!(
        (&first["status"], &first["waits"]["reason"], &first["search"]["city"]),
        (&json!("running"), &json!("reply"), &json!("city-1"))
    );
    assert_eq!((&ended["status"], &ended["waits"]), (&json!("completed"), &json!(null)));
    assert_eq!(ended["ended_at"], json!("1970-01-01T00:00:00.020Z"));
    assert_eq!(find("city=city-1 guest=nobody").0, [""; 0]);
    let some = ["trip/t-01", "trip/t-03", "trip/t-05"].map(str::to_owned).to_vec();
    assert_eq!(listed(&server, "definition:trip guest=c", "&limit=3"), (some, true));
    assert_eq!(find("guest=c status:stuck").0, [""; 0], "none of them needs a person");
    assert_eq!((find("status:running").0.len(), find("status:completed").0.len(), find("").0.len()), (10, 10, 20));
    assert_eq!(find("since:<1s").0, [""; 0], "that was long ago");
    let whole = get(&server, "/api/v1/saga?id=trip/t-10").1;
    assert_eq!(whole["search"], json!({ "guest": "c/7 ä&", "city": "city-1" }));
}

#[test]
fn what_cannot_be_searched_is_told() {
    let server = Site::new().serve();
    let why = |filter: &str| {
        let (code, body) = page(&server, filter, "");
        (code, body["detail"].as_str().unwrap_or_default().to_owned())
    };
    let (code, problem) = page(&server, "guest=c", "");
    let error = json!({ "column": 1, "message": "'guest=' says no definition, and each says itself what it is searched by",
        "hint": "add definition:NAME" });
    assert_eq!((code, &problem["type"], &problem["errors"]), (400, &json!("/problems/bad-filter"), &json!([error])));
    let there = "no version of trip is searched by 'hotel'; there is city, guest";
    assert_eq!(why("definition:trip hotel=c"), (404, there.to_owned()));
    let there = "no version of plain is searched by 'guest', nor by anything else: add `search` to the definition and deploy it, for new sagas; those that are there are found by key:ONE,OTHER";
    assert_eq!(why("definition:plain guest=c"), (404, there.to_owned()));
    assert_eq!(why("definition:tripp"), (404, "no saga 'tripp' is deployed; there is plain, trip".to_owned()));
    assert_eq!(why("step:nope"), (404, "no saga that is deployed has a step 'nope'; there is room".to_owned()));
    assert_eq!(why("definition:trip step:room,nope~2"), (404, "no version of trip has a step 'nope~2'; there is room".to_owned()));
    for found in ["step:room", "definition:trip step:room~2", "step:on_completed"] {
        assert_eq!(why(found), (200, String::new()), "{found}");
    }
}

/// Of many steps some are named.
#[test]
fn a_step_that_is_not_there_is_told_with_those_that_are() {
    use crate::api::filter::Filter;
    let step = |number: usize| format!("  - {{ step: s{number:02}, do: hotel.Reserve, undo: nothing, with: {{ id: key }} }}\n");
    let why = |steps: usize| {
        let (knowledge, _) = with_a_trip_of(&format!("{ROOM}{}", (1..steps).map(step).collect::<String>()));
        Filter::parse("step:nope").expect("a filter").names_nothing(&knowledge.catalog)
    };
    assert_eq!(why(3).as_deref(), Some("no saga that is deployed has a step 'nope'; there is room, s01, s02"));
    let many = why(25).expect("it is not there");
    assert!(many.ends_with(", s18, s19 and 5 more"), "{many}");
}
