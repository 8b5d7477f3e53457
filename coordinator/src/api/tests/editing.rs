//! Definitions that somebody sends: checked, tested, drawn; and deployed into a log, as whoever sends them.

use std::path::Path;
use std::time::Duration;

use ringmaster_bus::embedded::{EmbeddedBus, Log, Settings as LogSettings};
use ringmaster_core::definition::{DefinitionRecord, Participant as Told};
use ringmaster_schemas::journal::Encoding;
use serde_json::Value;

use super::super::gate;
use super::super::server::Limits;
use super::*;
use crate::config::Config;
use crate::runtime::{self, CompileOptions, Deploying, Plan};
use crate::topics;

const TRIP: &str = "saga: trip
start: { on: TripBooked, from: trips, key: event.id }
deadline: 25d
steps:
  - { step: room, do: hotel.Reserve, undo: nothing, within: 20d, timeout: 1s, retry: { first: 1s, max: 1s }, with: { id: key } }
";
const BOOKED: &str = "scenario: booked\nsaga: trip\nstart: { id: t-1 }\nanswers: { hotel.Reserve: succeeded }\nends: completed\n";

fn options() -> CompileOptions {
    let hotel = Told { encoding: Encoding::Json, ..Told::default() };
    CompileOptions { participants: [("hotel".to_owned(), hotel)].into(), ..CompileOptions::default() }
}

fn deploying(folder: &Path) -> Deploying {
    let schemas = folder.to_owned();
    Deploying { prefix: "ringmaster".to_owned(), partitions: PARTITIONS, schemas, options: options(), ..Deploying::default() }
}

/// A log in a folder, and a coordinator's port that deploys into it.
pub(super) struct World {
    pub(super) log: Log,
    pub(super) server: Server,
    _folder: tempfile::TempDir,
}

impl World {
    /// `makes_topics`: as the embedded bus does.
    fn new(makes_topics: bool, may_deploy: bool, refuse: fn(&Plan) -> Result<(), String>) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let schemas = folder.path().join("schemas");
        std::fs::create_dir(&schemas).expect("made");
        let log = Log::open(&folder.path().join("bus"), LogSettings::default()).expect("nobody else has it");
        let own = topics::needed_by(&Catalog::default(), "ringmaster", PARTITIONS);
        topics::apply(&mut log.client(), &own, 1).expect("made");
        let (setup, of) = (Config::parse("x", "partitions = 4").expect("settings").setup(), log.clone());
        let make = move || Ok::<EmbeddedBus, ringmaster_bus::BusError>(of.client());
        let broker = Arc::new(BusBroker::new((setup, deploying(&schemas), makes_topics), refuse, make));
        let (deploying, broker) = (deploying(&schemas), Some(broker as Arc<dyn Broker>));
        let editing = Arc::new(Editing { deploying, inputs: Vec::new(), may_deploy, broker });
        let knowledge = Arc::new(Newest::new(Arc::new(with_a_trip().0)));
        let sources = Sources { knowledge, editing, ..sources(Arc::new(SimStore::new())) };
        // However busy the machine is.
        let requests = gate::Limits { answer: Duration::from_secs(60), ..gate::Limits::USUAL };
        let port = local().with(Limits { requests, ..Limits::USUAL });
        let server = serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, port).expect("serves");
        World { log, server, _folder: folder }
    }

    pub(super) fn embedded() -> World {
        World::new(true, true, |_| Ok(()))
    }

    fn post(&self, what: &str, body: &Value) -> (u16, Value) {
        let caller = client::caller(&self.server.address().into(), &client::Means::default()).expect("ready");
        let answer = caller.post(&format!("/api/v1/definitions:{what}"), &body.to_string(), &[]).expect("an answer");
        (answer.code, serde_json::from_str(&answer.body).expect("JSON"))
    }

    fn deployed(&self) -> Vec<DefinitionRecord> {
        runtime::deployed_records(&mut self.log.client(), "ringmaster").expect("it can be read")
    }
}

fn files(files: &[(&str, &str)]) -> Value {
    json!({ "files": files.iter().map(|(path, text)| ((*path).to_owned(), json!(text))).collect::<serde_json::Map<_, _>>() })
}

#[test]
fn what_is_checked_is_told_as_a_deploy_would_and_nothing_is_written() {
    let world = World::embedded();
    let (code, body) = world.post("check", &files(&[("a/trip.yaml", TRIP)]));
    assert_eq!(code, 200, "{body}");
    let checked: DefinitionChanges = serde_json::from_value(body).expect("what the API says it is");
    let change = &checked.changes[0];
    assert_eq!((&*change.saga, &*change.change, change.version_before, change.version), ("trip", "changed", Some(1), 2));
    assert_eq!((&*change.file, change.line, change.dry_run), ("a/trip.yaml", 1, true));
    assert!(!checked.warnings.is_empty(), "TripBooked has no schema: {checked:?}");
    let other = TRIP.replace("saga: trip", "saga: other");
    let (_, body) = world.post("check", &files(&[("trip.yaml", TRIP), ("other.yml", &other)]));
    assert_eq!((&body["changes"][0]["change"], &body["changes"][1]["change"]), (&json!("new"), &json!("changed")), "{body}");
    assert_eq!(world.deployed(), []);
}

/// All mistakes of all files at once, each with its place; by whichever way they came.
#[test]
fn mistakes_are_told_with_their_places_and_nothing_is_deployed() {
    let world = World::embedded();
    let wrong = files(&[("a.yaml", &TRIP.replace("undo:", "undoo:")), ("b.yaml", "saga: [\n"), ("c.yaml", TRIP)]);
    for what in ["check", "test", "deploy", "graph"] {
        let (code, body) = world.post(what, &wrong);
        assert_eq!((code, &body["type"]), (422, &json!("/problems/definition-errors")), "{what}: {body}");
        let errors: Vec<FileMistake> = serde_json::from_value(body["errors"].clone()).expect("what the API says they are");
        let of =
            |file: &str| errors.iter().find(|error| error.file == file).unwrap_or_else(|| panic!("{what}, {file}: {errors:?}"));
        assert_eq!(of("a.yaml").line, 5, "{what}: {errors:?}");
        assert!(of("a.yaml").column > 1 && of("a.yaml").hint.contains("undo") && of("b.yaml").line > 0, "{what}: {errors:?}");
        assert!(errors.iter().all(|error| error.file != "c.yaml"), "{errors:?}");
    }
    let schema = files(&[("trip.yaml", TRIP), ("trip.avsc", "{ \"type\": \"record\" }")]);
    let (code, body) = world.post("check", &schema);
    assert_eq!((code, &body["errors"][0]["file"]), (422, &json!("trip.avsc")), "{body}");
    assert_eq!(world.deployed(), []);
}

/// A schema that comes with a definition counts like one of the folder.
#[test]
fn schemas_may_come_along() {
    let world = World::embedded();
    let schema = r#"{ "type": "record", "name": "TripBooked", "fields": [ { "name": "id", "type": "string" } ] }"#;
    let sent = files(&[("trip.yaml", TRIP), ("TripBooked.avsc", schema)]);
    let (code, body) = world.post("check", &sent);
    assert!(code == 200 && !body["warnings"].to_string().contains("TripBooked"), "{body}");
    let (code, body) = world.post("deploy", &sent);
    assert_eq!(code, 200, "{body}");
    assert!(world.deployed()[0].schemas.contains_key("TripBooked"), "{:?}", world.deployed());
}

#[test]
fn what_cannot_be_told_apart_or_is_too_many_is_refused() {
    let world = World::embedded();
    let many: Vec<(String, &str)> = (0..201).map(|number| (format!("{number}.yaml"), TRIP)).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let long = format!("{}.yaml", "x".repeat(200));
    for wrong in [
        files(&[]),
        files(&many),
        files(&[("trip.json", TRIP)]),
        files(&[("trip", TRIP)]),
        files(&[(&long, TRIP)]),
        files(&[("a\n.yaml", TRIP)]),
        json!({}),
        json!({ "files": ["trip.yaml"] }),
        json!({ "file": {} }),
    ] {
        for what in ["check", "test", "deploy", "graph"] {
            let (code, body) = world.post(what, &wrong);
            assert!((400..=422).contains(&code) && body["detail"].is_string(), "{what}: {code} {body}");
        }
    }
    let (code, _) = world.post("check", &files(&[("trip.yaml", &"#".repeat(1 << 20))]));
    assert_eq!(code, 413);
}

#[test]
fn scenarios_are_played_against_what_is_sent_or_deployed() {
    let world = World::embedded();
    let fails = BOOKED.replace("completed", "compensated").replace("booked", "undone");
    let sent = [("trip.yaml", TRIP), ("scenarios/a.yaml", BOOKED), ("x/scenarios/more/b.yaml", &fails)];
    let (code, body) = world.post("test", &files(&sent));
    assert_eq!(code, 200, "{body}");
    let report: crate::scenarios::TestReport = serde_json::from_value(body).expect("what the API says it is");
    let told: Vec<_> = report.scenarios.iter().map(|one| (&*one.scenario, &*one.file, one.passed)).collect();
    assert_eq!(told, [("booked", "scenarios/a.yaml", true), ("undone", "x/scenarios/more/b.yaml", false)]);
    assert_eq!((report.scenarios[1].misses[0].line, report.not_played), (5, 0));
    assert_eq!(report.coverage[0].kinds["steps"], crate::scenarios::PassedOf { passed: 1, all: 1 });
    let (code, body) = world.post("test", &files(&[("scenarios/a.yaml", BOOKED)]));
    assert_eq!((code, &body["scenarios"][0]["passed"]), (200, &json!(true)), "of what is deployed: {body}");
    let (code, body) = world.post("test", &files(&[("scenarios/a.yaml", &BOOKED.replace("saga: trip", "saga: trap"))]));
    assert_eq!((code, &body["errors"][0]["line"]), (422, &json!(2)), "{body}");
}

/// Nobody answers, and it is asked again for twenty days: such ones end by a count, each and all together.
#[test]
fn scenarios_that_go_on_and_on_are_ended() {
    let world = World::embedded();
    let endless: Vec<String> =
        (0..15).map(|number| BOOKED.replace("succeeded", "timeout").replace("booked", &format!("endless {number}"))).collect();
    let (code, body) = world.post("test", &files(&[("trip.yaml", TRIP), ("scenarios/a.yaml", &endless.join("---\n"))]));
    assert_eq!(code, 200, "{}", body["detail"]);
    let played = body["scenarios"].as_array().expect("a list");
    assert_eq!((played.len(), &body["not_played"]), (4, &json!(11)), "5,000 turns each, and 20,000 in all");
    assert!(played[0]["misses"].to_string().contains("it goes on and on: 5000 turns"), "{}", played[0]["misses"]);
}

/// However few turns it takes, what is kept of them is bounded: here each attempt asks with a hundred kilobytes.
#[test]
fn scenarios_with_large_bodies_are_ended() {
    let world = World::embedded();
    let large = BOOKED.replace("succeeded", "timeout").replace("id: t-1", &format!("id: t-1, note: {}", "x".repeat(100_000)));
    assert_ne!(large.len(), BOOKED.len());
    let trip = TRIP.replace("with: { id: key }", "with: { id: key, note: start.note }");
    assert_ne!(trip, TRIP);
    let (code, body) =
        world.post("test", &files(&[("trip.yaml", &trip), ("scenarios/a.yaml", &large), ("scenarios/b.yaml", BOOKED)]));
    assert_eq!(code, 200, "{}", body["detail"]);
    let misses = body["scenarios"][0]["misses"].to_string();
    assert!(misses.contains("has more than 16777216 bytes"), "{} bytes, {}", misses.len(), body["not_played"]);
    assert_eq!((body["scenarios"].as_array().map(Vec::len), &body["not_played"]), (Some(1), &json!(1)));
}

#[test]
fn what_is_sent_is_drawn() {
    let world = World::embedded();
    let draw = |format: Value| {
        let mut body = files(&[("trip.yaml", TRIP)]);
        body["format"] = format;
        world.post("graph", &body)
    };
    let (code, body) = draw(json!("json"));
    assert_eq!((code, &body["graphs"][0]["saga"], &body["graphs"][0]["text"]), (200, &json!("trip"), &json!(null)), "{body}");
    assert!(body["graphs"][0]["graph"]["boxes"].as_array().is_some_and(|boxes| boxes.len() == 4), "{body}");
    for (format, words) in [("svg", "<svg "), ("mermaid", "flowchart TD")] {
        let (_, body) = draw(json!(format));
        assert!(body["graphs"][0]["text"].as_str().is_some_and(|text| text.contains(words)), "{body}");
    }
    assert!((400..=422).contains(&draw(json!("png")).0));
}

#[test]
fn a_deploy_is_written_once_by_whoever_it_is() {
    let world = World::embedded();
    let mut body = files(&[("a/trip.yaml", TRIP), ("a/scenarios/trip.yaml", BOOKED)]);
    (body["dry_run"], body["by"]) = (json!(true), json!("ann"));
    let (code, told) = world.post("deploy", &body);
    assert_eq!((code, &told["changes"][0]["change"], &told["changes"][0]["dry_run"]), (200, &json!("new"), &json!(true)), "{told}");
    assert_eq!(world.deployed(), []);
    body["dry_run"] = json!(false);
    for change in ["new", "unchanged"] {
        let (code, told) = world.post("deploy", &body);
        assert_eq!((code, &told["changes"][0]["change"]), (200, &json!(change)), "{told}");
    }
    let deployed = world.deployed();
    assert_eq!((deployed.len(), deployed[0].deployed_by.as_deref(), &*deployed[0].file), (1, Some("ann"), "a/trip.yaml"));
    body["by"] = json!(" ");
    assert_eq!(world.post("deploy", &body).0, 400);
    let (code, told) = world.post("deploy", &files(&[("scenarios/trip.yaml", TRIP)]));
    assert!(code == 400 && told["detail"].as_str().expect("why").contains("no definition"), "{told}");
}

#[test]
fn a_deploy_that_must_not_be_is_refused() {
    let sent = files(&[("trip.yaml", TRIP)]);
    let off = World::new(true, false, |_| Ok(()));
    let (code, body) = off.post("deploy", &sent);
    assert!(code == 403 && body["detail"].as_str().expect("why").contains("api.deploy"), "{body}");
    let rival = World::new(true, true, |_| Err("another one starts trip".to_owned()));
    let (code, body) = rival.post("deploy", &sent);
    assert_eq!((code, &body["reason"], &body["detail"]), (409, &json!("OTHER_PREFIX"), &json!("another one starts trip")));
    let bare = World::new(false, true, |_| Ok(()));
    let (code, body) = bare.post("deploy", &sent);
    assert_eq!((code, &body["reason"]), (409, &json!("TOPICS")), "{body}");
    assert!(body["detail"].as_str().expect("why").contains("trips: does not exist"), "{body}");
    for world in [off, rival, bare] {
        assert_eq!(world.deployed(), []);
    }
}
