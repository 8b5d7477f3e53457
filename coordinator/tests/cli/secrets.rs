//! What is secret is shown nowhere: values are planted where they belong, and all that is said is looked through for them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use base64::Engine as _;
use ringmaster::api::client::{self, Caller, Means};
use ringmaster::blocking;
use ringmaster_schemas::names::{hex, partition_of};
use serde_json::Value;

use crate::site::{PATIENCE, Site};

/// What nobody may see: a field that its schema calls secret, settings, and a file.
const PLANTED: [&str; 4] = ["PLANTED-card-4111", "PLANTED-password", "PLANTED-key-password", "PLANTED-webhook-secret"];

/// Saga and participant have one name, which is asked for wherever a route takes one. The card goes into a command, and is shown to who approves.
const CARD: &str = "
saga: card
start: { on: CardGiven, from: cards, key: event.card_id }
steps:
  - step: risky
    approval: risk
    show: { card: start.card, card_id: key }
    if: key == 'c-asks'
  - { step: hold, do: card.Hold, undo: card.Release, with: { card: start.card, card_id: key } }
on_compensated: { emit: CardRefused, to: card-outcomes, with: { card_id: key } }
";
const GIVEN: &str = r#"{"type":"record","name":"CardGiven","fields":[{"name":"card_id","type":"string"},{"name":"card","type":"string","secret":true}]}"#;
const HOLD: &str = r#"{"type":"record","name":"Hold","namespace":"card","fields":[{"name":"card_id","type":"string"},{"name":"card","type":"string","secret":true}]}"#;
const RELEASE: &str = r#"{"type":"record","name":"Release","namespace":"card","fields":[{"name":"card_id","type":"string"},{"name":"card","type":"string","secret":true}]}"#;

fn site() -> Site {
    let site = Site::new();
    let folder = site.folder.path();
    std::fs::create_dir_all(folder.join("mine/schemas/card")).expect("made");
    for (name, text) in [
        ("mine/card.yaml", CARD),
        ("mine/schemas/CardGiven.avsc", GIVEN),
        ("mine/schemas/card/Hold.avsc", HOLD),
        ("mine/schemas/card/Release.avsc", RELEASE),
    ] {
        site.write(name, text);
    }
    let secret = site.write("webhook.secret", PLANTED[3]);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("set");
    let settings = format!(
        "bus = 'embedded'\npartitions = 4\ndata_dir = 'state'\ndefinitions = 'mine'\nschemas = 'mine/schemas'\n\
         [api]\nlisten = '{}'\n[log]\nlevel = 'debug'\n[alerts]\nwebhook = 'http://127.0.0.1:9/'\nsecret_file = 'webhook.secret'\n\
         [kafka]\n'sasl.username' = 'ringmaster'\n'sasl.password' = '{}'\n'ssl.key.password' = '{}'\n",
        site.address, PLANTED[1], PLANTED[2],
    );
    site.write("ringmaster.toml", &settings);
    site
}

/// All routes that answer a question, as a client would ask them: what they take stands in the document of all routes.
fn questions(document: &Value) -> Vec<String> {
    let known = |name: &str| match name {
        "name" => "card",
        "version" => "1",
        "id" => "card%2Fc-asks",
        "topic" => "cards",
        // The one of the card, by its key.
        "partition" => "2",
        "offset" => "0",
        other => panic!("say what is asked for as '{other}'"),
    };
    let mut questions = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let Some(get) = methods.get("get") else { continue };
        // It has no end.
        if path == "/api/v1/live" {
            continue;
        }
        let mut asked = path.clone();
        let mut query = Vec::new();
        for parameter in get["parameters"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let name = parameter["name"].as_str().expect("a name");
            match (parameter["in"].as_str(), parameter["required"] == true) {
                (Some("path"), _) => asked = asked.replace(&format!("{{{name}}}"), known(name)),
                (Some("query"), true) => query.push(format!("{name}={}", known(name))),
                _ => (),
            }
        }
        questions.push(if query.is_empty() { asked } else { format!("{asked}?{}", query.join("&")) });
    }
    questions
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// What was said, and by what.
type Said = Vec<(String, String)>;

/// Two events, and what cannot be taken, which goes to quarantine with all that it says.
fn written(site: &Site) {
    let (code, _, errors) = site.ringmaster(&["topics", "apply"]);
    assert_eq!(code, 0, "{errors}");
    let log = site.log();
    for key in ["c-asks", "c-waits"] {
        let event = format!(r#"{{"card_id":"{key}","card":"{}"}}"#, PLANTED[0]);
        let record = [(key.as_bytes().to_vec(), event.into_bytes())];
        blocking::append(&mut log.client(), "cards", partition_of(key.as_bytes(), 4), &record).expect("appended");
    }
    for cut in ["{}", "{\"card_id\":7,\"card\":\"PLANTED-card-4111\"}", "{\"card_id\":\"c-cut\",\"card\":\"PLANTED-card-4111"] {
        let record = [(b"c-asks".to_vec(), cut.as_bytes().to_vec())];
        blocking::append(&mut log.client(), "cards", 2, &record).expect("appended");
    }
}

/// All answers, of every route.
fn answered(caller: &Caller) -> Said {
    let mut said = Vec::new();
    let document: Value = serde_json::from_str(&caller.get("/api/v1/openapi.json").expect("an answer").body).expect("JSON");
    let questions = questions(&document);
    assert!(questions.len() > 10, "{questions:?}");
    for question in questions.iter().map(String::as_str).chain(["/metrics"]) {
        let answer = caller.get(question).expect("an answer");
        // No batch is called as the saga is.
        assert!(answer.code == 200 || question.contains("/batches/"), "{question}: {}", answer.body);
        said.push((question.to_owned(), answer.body));
    }
    said
}

/// Records of all topics, Ringmaster's own too, and of quarantine.
fn records(caller: &Caller) -> Said {
    let mut said = Vec::new();
    let topics: Value = serde_json::from_str(&caller.get("/api/v1/topics").expect("an answer").body).expect("JSON");
    let topics: Vec<&str> =
        topics["topics"].as_array().expect("topics").iter().filter_map(|topic| topic["topic"].as_str()).collect();
    let mut found = BTreeSet::new();
    for place in
        topics.iter().flat_map(|topic| (0..4).flat_map(move |partition| (0..8).map(move |offset| (topic, partition, offset))))
    {
        let question = format!("/api/v1/topics/{}/{}/{}", place.0, place.1, place.2);
        let answer = caller.get(&question).expect("an answer");
        if answer.code == 200 {
            found.insert(*place.0);
            said.push((question, answer.body));
        }
    }
    assert!(found.is_superset(&["cards", "card.commands", "ringmaster.journal", "ringmaster.quarantine"].into()), "{found:?}");
    for offset in 0..3 {
        let question = format!("/api/v1/quarantine/2/{offset}");
        said.push((question.clone(), caller.get(&question).expect("an answer").body));
    }
    said
}

/// What is done, and what the command line says of it.
fn acted(site: &Site, caller: &Caller) -> Said {
    let mut said = Vec::new();
    for (path, body) in [
        ("/api/v1/acts", r#"{"act":"resolve","saga":"card/c-waits","why":"w","outcome":"succeeded","value":"x"}"#),
        (
            "/api/v1/batches",
            r#"{"act":"skip","filter":"definition:card","step":"hold","why":"w","value":{"card":"PLANTED-card-4111"}}"#,
        ),
        ("/api/v1/acts", r#"{"act":"cancel","saga":"card/c-waits","why":"asked by phone"}"#),
    ] {
        said.push((path.to_owned(), caller.post(path, body, &[]).expect("an answer").body));
    }
    for arguments in [
        &["saga", "show", "card/c-asks"][..],
        &["saga", "why", "card/c-asks"],
        &["saga", "history", "card/c-asks"],
        &["saga", "history", "card/c-waits", "--json"],
        &["saga", "list", "--json"],
        &["definitions", "list"],
        &["config", "--check"],
    ] {
        let (_, out, errors) = site.ringmaster(arguments);
        said.push((arguments.join(" "), out + &errors));
    }
    said
}

/// The field's value is where it must be, in the record of the event; and nowhere that people look.
#[test]
fn what_is_secret_is_said_nowhere() {
    let site = site();
    written(&site);
    let coordinator = site.start();
    let caller = client::caller(&site.address.into(), &Means::default()).expect("ready");
    let since = Instant::now();
    let says = |path: &str, sign: &str| caller.get(path).map_or(0, |answer| answer.body.matches(sign).count());
    while says("/api/v1/sagas", "card/c-") < 2 || says("/api/v1/quarantine", "UNDECODABLE") < 3 {
        assert!(since.elapsed() < PATIENCE, "{}", coordinator.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut said = [answered(&caller), records(&caller), acted(&site, &caller)].concat();
    let (_, log) = coordinator.stop();
    said.push(("the log".to_owned(), log));
    for (by, text) in &said {
        for planted in PLANTED {
            let bytes = planted.as_bytes();
            // As text, in hex, or in base64 from any of its three places.
            let forms = [planted.to_owned(), hex(bytes), base64(&bytes[..9]), base64(&bytes[1..10]), base64(&bytes[2..11])];
            for form in forms {
                assert!(!text.contains(&form), "{by} says {planted} as {form}: {text}");
            }
        }
    }
    // It was looked where it would be: what is not secret of the same saga, and that there is something, is said.
    let all: String = said.iter().map(|(_, text)| text.as_str()).collect();
    for sign in ["c-asks", "\"***\"", "sasl.password", "Hold", "\"withheld\":", "UNDECODABLE"] {
        assert!(all.contains(sign), "nothing says {sign}");
    }
}
