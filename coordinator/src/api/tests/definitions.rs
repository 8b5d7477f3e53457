//! What is deployed, over HTTP: versions, texts and pictures, with what all instances count.

use ringmaster_core::definition::{DefinitionRecord, Participant as Told, Settings};
use ringmaster_core::partition::{Histogram, Times};
use ringmaster_schemas::journal::Encoding;
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{CellCount, Counts, Standing, VersionCounts, Waits};

use super::elsewhere::Group;
use super::*;

/// Two versions of `trip`: the second was deployed by ann.
fn two_versions() -> Knowledge {
    let mut knowledge = with_a_trip().0;
    let first = knowledge.records[&0].clone();
    let text = first.text.replace("id: key", "id: key + '!'");
    let mut settings = Settings::new(&mut knowledge.schemas);
    settings.participants.insert("hotel".to_owned(), Told { encoding: Encoding::Json, ..Told::default() });
    let mut second = DefinitionRecord::of_file("trip.yaml", &text, 86_400_000, &mut settings).expect("it is right").remove(0);
    knowledge.catalog.add(&second, 1, &mut settings).expect("it is right");
    second.deployed_by = Some("ann".to_owned());
    knowledge.records.insert(1, Arc::new(second));
    knowledge
}

fn hash_of(knowledge: &Knowledge, offset: i64) -> [u8; 16] {
    let hash = &knowledge.records[&offset].hash;
    knowledge.catalog.versions().into_iter().map(|(known, _)| known.hash).find(|known| names::hex(known) == *hash).expect("known")
}

/// In each partition so many sagas of these versions wait for the answer to `room`.
fn counted(versions: &[([u8; 16], i64)]) -> SimStore {
    let store = SimStore::new();
    for partition in 0..PARTITIONS {
        let cell = |sagas| CellCount { standing: Standing::Running, node: 1, waits: Waits::Reply, sagas, open: 2 * sagas };
        let of = |&(version, sagas): &([u8; 16], i64)| VersionCounts { version, cells: vec![cell(sagas)], ended: vec![] };
        let counts = Counts { journal_offset: 17, versions: versions.iter().map(of).collect(), ..Counts::default() };
        let rows = vec![RowChange::plain(RowKey::Counts, Some(counts.encode()))];
        store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows }).expect("applies");
    }
    store
}

fn versions(server: &Server, query: &str) -> Vec<(usize, i64, bool)> {
    let (code, body) = get(server, &format!("/api/v1/definitions{query}"));
    assert_eq!(code, 200, "{body}");
    let all: Definitions = serde_json::from_value(body).expect("what the API says it is");
    all.definitions.iter().map(|of| (of.version, of.live, of.in_force_since.is_some())).collect()
}

#[test]
fn versions_are_listed_with_who_deployed_them_and_how_many_sagas_run_by_them() {
    let knowledge = two_versions();
    let server = serving(Arc::default(), &counted(&[(hash_of(&knowledge, 1), 3)]), knowledge);
    assert_eq!(versions(&server, ""), [(2, 12, true)], "by the first no saga runs any more");
    assert_eq!(versions(&server, "?all=true"), [(1, 0, false), (2, 12, true)]);
    let (_, body) = get(&server, "/api/v1/definitions");
    let shown = &body["definitions"][0];
    assert_eq!(
        (&shown["name"], &shown["deployed_by"], &shown["sagas"]),
        (&json!("trip"), &json!("ann"), &json!({ "running": 12 }))
    );
    assert_eq!((&shown["deployed_at"], &shown["in_force_by"]), (&json!("1970-01-02T00:00:00Z"), &json!("ann")));

    let knowledge = two_versions();
    let live = counted(&[(hash_of(&knowledge, 0), 1), (hash_of(&knowledge, 1), 2)]);
    let server = serving(Arc::default(), &live, knowledge);
    assert_eq!(versions(&server, ""), [(1, 4, false), (2, 8, true)], "sagas that run keep theirs");
    assert_eq!(get(&server, "/api/v1/definitions?al=true").0, 400);
}

/// It is in force again, by whom that was said, and keeps its number.
#[test]
fn a_version_that_was_rolled_back_to_says_by_whom() {
    let mut knowledge = two_versions();
    let again =
        DefinitionRecord { deployed_at: 2 * 86_400_000, deployed_by: Some("bob".into()), ..(*knowledge.records[&0]).clone() };
    knowledge.records.insert(2, Arc::new(again));
    let server = serving(Arc::default(), &SimStore::new(), knowledge);
    let (code, body) = get(&server, "/api/v1/definitions/trip/newest");
    assert_eq!((code, &body["version"], &body["rolled_back"]), (200, &json!(1), &json!(2)), "{body}");
    assert_eq!((&body["deployed_by"], &body["in_force_by"]), (&json!(null), &json!("bob")));
    assert_eq!(body["in_force_since"], json!("1970-01-03T00:00:00Z"));
}

#[test]
fn a_version_is_shown_with_its_text() {
    let knowledge = two_versions();
    let (texts, live) = ([0, 1].map(|offset| knowledge.records[&offset].text.clone()), counted(&[(hash_of(&knowledge, 0), 1)]));
    let server = serving(Arc::default(), &live, knowledge);
    for (version, text, live) in [("1", &texts[0], 4), ("2", &texts[1], 0), ("newest", &texts[1], 0)] {
        let (code, body) = get(&server, &format!("/api/v1/definitions/trip/{version}"));
        assert_eq!((code, &body["text"], &body["live"]), (200, &json!(text), &json!(live)), "{body}");
    }
    for (path, code, why) in [
        ("trip/3", 404, "'trip' has no version 3; it has 1 to 2"),
        ("trip/0", 404, "it has 1 to 2"),
        ("trap/1", 404, "no definition 'trap' is deployed; there is trip"),
        ("trip/x", 400, "'x' is no version: its number, or newest"),
    ] {
        let (found, body) = get(&server, &format!("/api/v1/definitions/{path}"));
        assert!(found == code && body["detail"].as_str().expect("why").contains(why), "{path}: {body}");
    }
}

#[test]
fn a_picture_says_what_waits_at_each_step() {
    let knowledge = two_versions();
    let server = serving(Arc::default(), &counted(&[(hash_of(&knowledge, 0), 3)]), knowledge);
    let (code, body) = get(&server, "/api/v1/definitions/trip/graph?version=1");
    assert_eq!(code, 200, "{body}");
    let picture: DefinitionGraph = serde_json::from_value(body).expect("what the API says it is");
    let reasons = [("reply".to_owned(), 24)].into();
    assert_eq!(picture.waits, [("room".to_owned(), WaitingThere { sagas: 12, open: 24, reasons })].into());
    let of = |step: Option<&str>| picture.graph.boxes.iter().filter(|shape| shape.step.as_deref() == step).count();
    assert_eq!((of(Some("room")), of(None)), (1, 3), "the start and both ends are no steps");
    let newest = get(&server, "/api/v1/definitions/trip/graph").1;
    assert_eq!((&newest["version"], &newest["waits"]), (&json!(2), &json!({})));
    let svg = get(&server, "/api/v1/definitions/trip/graph?format=svg").1;
    assert!(svg.as_str().is_some_and(|svg| svg.starts_with("<svg ")), "{svg}");
    for (format, has_styles) in [("svg", true), ("mermaid", false), ("json", false)] {
        let head = super::guarded::ask(&server, "GET", &format!("/api/v1/definitions/trip/graph?format={format}"), &[]).head;
        assert_eq!(
            head.contains("style-src 'unsafe-inline'"),
            has_styles,
            "a browser shows a picture as it is, and nothing else: {head}"
        );
    }
    let mermaid = get(&server, "/api/v1/definitions/trip/graph?format=mermaid").1;
    assert!(mermaid.as_str().is_some_and(|text| text.contains("flowchart TD")), "{mermaid}");
    assert_eq!(get(&server, "/api/v1/definitions/trip/graph?format=png").0, 400);
    assert_eq!(get(&server, "/api/v1/definitions/trap/graph").0, 404);
}

/// Each partition is counted once, wherever it is; one whose instance is gone is named.
#[test]
fn whichever_instance_is_asked_counts_those_of_all() {
    let knowledge = with_a_trip().0;
    let mut group = Group::new(&counted(&[(hash_of(&knowledge, 0), 3)]), [&[0], &[1, 3], &[2]]);
    for (server, _) in &group.servers {
        assert_eq!(versions(server, ""), [(1, 12, true)]);
        assert_eq!(get(server, "/api/v1/definitions/trip/1").1["live"], json!(12));
        assert_eq!(get(server, "/api/v1/definitions/trip/graph").1["waits"]["room"]["sagas"], json!(12));
    }
    group.kill("red");
    let (_, body) = get(&group.servers[0].0, "/api/v1/definitions");
    assert_eq!((&body["definitions"][0]["live"], &body["missing"][0]["partition"]), (&json!(9), &json!(2)), "{body}");
}

/// What each instance saw of a step is added up, whichever is asked; and what no instance saw is null.
#[test]
fn a_picture_says_how_each_step_does_by_all_instances() {
    let knowledge = with_a_trip().0;
    let version = hash_of(&knowledge, 0);
    let group = Group::new(&counted(&[(version, 3)]), [&[0], &[1, 3], &[2]]);
    let graph = |server: &Server| -> DefinitionGraph {
        let (code, body) = get(server, "/api/v1/definitions/trip/graph");
        assert_eq!(code, 200, "{body}");
        serde_json::from_value(body).expect("what the API says it is")
    };
    let idle = graph(&group.servers[0].0).steps.remove("room").expect("it is a step");
    assert_eq!((idle.p50_s, idle.p99_s, idle.refused_share, idle.time_share), (None, None, None, None));
    for (metrics, ms) in group.metrics.iter().zip([4, 4, 20_000]) {
        let took = |ms| {
            let mut histogram = Histogram::default();
            histogram.add(ms);
            histogram
        };
        let (does, undoes) = ((version, 1, Direction::Do), (version, 1, Direction::Undo));
        metrics.took(&Times {
            steps: [(does, took(ms)), (undoes, took(10)), (([9; 16], 1, Direction::Do), took(20_038))].into(),
            began: [((version, 1), 5)].into(),
            refused: [(undoes, 7)].into(),
            failed: [((does, "TIMEOUT".into()), 1)].into(),
            ..Times::default()
        });
    }
    group.metrics[1].took(&Times { refused: [((version, 1, Direction::Do), 1)].into(), ..Times::default() });
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    for (server, _) in &group.servers {
        let mut picture = graph(server);
        while picture.steps["room"].started_per_s.is_none() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(50));
            picture = graph(server);
        }
        let names: Vec<&str> = picture.steps.keys().map(String::as_str).collect();
        let room = &picture.steps["room"];
        assert_eq!((names, room.ended, room.refused, room.failed), (vec!["room"], 3, 1, 3), "undos are not among them");
        assert_eq!((room.p50_s, room.p99_s), (Some(0.0043), Some(29.4)), "of two from 2 to 5 ms, and one from 10 to 30 s");
        assert_eq!((room.refused_share, room.time_share), (Some(0.3333), Some(0.25)), "of what it took with its undos");
        assert_eq!((room.seconds, picture.all_steps_s), (20.038, 80.152));
        assert!(room.started_per_s.is_some_and(|rate| rate > 0.0), "15 began: {room:?}");
    }
}
