//! The model by what happens to it, and the screen at two sizes: golden, written anew by `UPDATE_EXPECT=1`.

use expect_test::expect_file;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::model::Sort;
use super::*;
use crate::api::client::Event as Told;
use crate::api::{AllScaling, ParticipantScaling};

const NOW: i64 = 1_769_817_700_000;

fn told(name: &str, data: &Value) -> Input {
    Input::Event(Told { name: name.to_owned(), data: data.to_string() })
}

fn participant(name: &str, state: &str, counts: [i64; 3], since: Option<&str>) -> Value {
    let [unanswered, parked, stuck] = counts;
    json!({
        "participant": name, "state": state, "since": (state != "asked").then_some("2026-01-31T00:00:10Z"),
        "by": (state == "paused").then_some("ann"), "why": (state == "paused").then_some("a release of theirs"),
        "partitions": { (state): 4 }, "unanswered": unanswered, "unanswered_since": since, "parked": parked,
        "parked_since": null, "stuck": stuck, "stuck_since": null, "retrying": 2, "asked": 940, "repeated": 7, "succeeded": 900,
        "refused": 20, "failed": 3, "timed_out": 4, "dropped": 0, "late": 1, "parkings": 12, "counted_since": null,
    })
}

fn overview(missing: &Value) -> Value {
    let wait = |step: &str, reason: &str, status: &str, open: i64| json!({ "step": step, "reason": reason, "status": status, "sagas": open, "open": open });
    json!({
        "sagas": { "stuck": 1, "parked": 12, "running": 345, "completed": 12_000, "compensated": 40 },
        "happened": { "since": null, "started": 12_398, "completed": 12_000, "compensated": 40 },
        "definitions": [{
            "definition": "order-fulfilment", "number": 3, "version": "ab", "sagas": { "running": 345 },
            "waits": [wait("charge_payment", "reply", "running", 300), wait("ship", "parked", "parked", 12), wait("refund", "stuck", "stuck", 1)],
        }],
        "as_of": [{ "partition": 0, "journal_offset": 90, "age_ms": 700 }],
        "missing": missing,
    })
}

/// A model that has heard all.
fn heard() -> Model {
    let mut model = Model::new("http://127.0.0.1:8080".to_owned());
    let participants = [
        participant("inventory", "asked", [3, 0, 0], Some("2026-01-31T00:01:39Z")),
        participant("payment", "asked", [300, 0, 1], Some("2026-01-31T00:01:08Z")),
        participant("shipping", "paused", [0, 12, 0], None),
    ];
    let scaling = json!({
        "participant": "payment", "arrive_per_s": 62.0, "arrive_per_s2": 0.0, "answer_per_s": 50.0, "unanswered": 300, "oldest_s": 32.0,
        "capacity_per_s": 50.0, "member_per_s": 25.0, "utilisation": 1.24, "basis": "measured", "slo_s": 5.0, "service_s": 0.1,
        "response_s": 6.0, "breach_in_s": 0.0, "warns": true, "members": 2, "max_members": 4, "wanted_members": 3, "active": true,
        "steps_s": 90.0, "all_steps_s": 120.0, "share": 0.75,
        "reason": "a queue", "seen_s": 600.0, "partitions": 4, "partitions_of": 4, "as_of": null,
    });
    let alert = json!({
        "name": "SagaStuck", "severity": "page", "state": "firing", "since": "2026-01-31T00:00:00Z", "labels": {}, "value": 1.0,
        "threshold": 0.0, "summary": "1 saga needs a person \u{1b}[2J", "runbook": "look", "instance": "blue",
    });
    for (name, data) in [
        ("overview", overview(&json!([]))),
        ("participants", json!({ "participants": participants, "as_of": [] })),
        ("scaling", json!({ "participants": [scaling] })),
        ("alerts", json!({ "alerts": [alert], "instances": ["blue"] })),
    ] {
        model.take(told(name, &data), NOW);
        assert!(model.troubles(NOW).is_empty(), "{name} is read: {:?}", model.troubles(NOW));
    }
    model
}

fn screen(model: &Model, now: i64, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| picture::draw(frame, model, now)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    (0..height).map(line).collect()
}

fn type_all(model: &mut Model, keys: &[Key]) {
    keys.iter().for_each(|key| model.take(Input::Key(*key), NOW));
}

#[test]
fn the_screen_at_two_sizes() {
    let mut model = heard();
    expect_file!["screens/80x24.txt"].assert_eq(&screen(&model, NOW + 300, 80, 24));
    type_all(&mut model, &[Key::Down, Key::Down, Key::Down, Key::Pause, Key::Sort, Key::Sort]);
    model.take(told("overview", &overview(&json!([{ "partition": 3, "why": "instance green does not answer" }]))), NOW);
    model.take(Input::Lost("the coordinator at http://127.0.0.1:8080 does not answer".to_owned()), NOW);
    expect_file!["screens/200x50.txt"].assert_eq(&screen(&model, NOW + 42_000, 200, 50));
}

/// One that does not answer has no capacity that is known, and is named all the same.
#[test]
fn whoever_is_down_is_the_bottleneck() {
    let mut model = heard();
    let of = |name: &str, utilisation: Option<f64>, stopped: Option<&str>| {
        let of = ParticipantScaling { participant: name.to_owned(), utilisation, ..ParticipantScaling::default() };
        ParticipantScaling { stopped: stopped.map(str::to_owned), ..of }
    };
    let down = of("shipping", None, Some("nothing was answered for 4 min; 12 parked"));
    let all = AllScaling { participants: vec![of("payment", Some(1.24), None), down], ..AllScaling::default() };
    model.take(told("scaling", &serde_json::to_value(&all).expect("it is JSON")), NOW);
    let text = screen(&model, NOW, 120, 24);
    assert!(text.contains("the bottleneck is shipping: nothing was answered for 4 min; 12 parked"), "{text}");
    let used = |name: &str| text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_whitespace().last());
    assert_eq!((used("shipping"), used("payment")), (Some("-*"), Some("%")), "{text}");
}

/// Whatever the size, it is drawn, and nothing that was told drives the terminal.
#[test]
fn every_size_is_drawn() {
    let (mut model, empty) = (heard(), Model::new("http://localhost".to_owned()));
    type_all(&mut model, &[Key::Down]);
    model.take(Input::Lost("it is gone".to_owned()), NOW);
    for width in (0..=90).step_by(9) {
        for height in (0..=26).step_by(2) {
            let text = screen(&model, NOW, width, height);
            assert!(!text.contains('\u{1b}'));
            screen(&empty, NOW, width, height);
        }
    }
    assert!(screen(&empty, NOW, 80, 24).contains("waiting for what is told"));
}

#[test]
fn what_is_shown_has_an_age_and_what_is_lost_is_said() {
    let mut model = heard();
    assert_eq!(model.age_ms(NOW + 4_000), Some(4_700), "with what it was when it was told");
    assert_eq!(model.troubles(NOW + 4_999), [""; 0]);
    assert_eq!(model.troubles(NOW + 7_000), ["NOTHING WAS HEARD for 7 s, trying again"]);
    model.take(Input::Lost("gone".to_owned()), NOW + 1_000);
    assert_eq!(model.troubles(NOW + 1_000), ["CONNECTION LOST, trying again: gone"]);
    model.take(told("problem", &json!({ "watch": "alerts", "detail": "it took too long" })), NOW + 2_000);
    assert_eq!(model.troubles(NOW + 2_000), ["alerts cannot be told: it took too long"], "whoever says so answers");
    assert_eq!(model.age_ms(NOW + 4_000), Some(4_700), "what is shown is no younger by that");
    model.take(told("alerts", &json!({ "alerts": [], "instances": [] })), NOW + 3_000);
    assert_eq!(model.troubles(NOW + 3_000), [""; 0], "it is there again");
    model.take(told("overview", &json!({ "sagas": 7 })), NOW + 3_000);
    assert_eq!(model.troubles(NOW + 3_000), ["overview cannot be told: another version of Ringmaster answers"]);
    assert!(model.shown().overview.is_some(), "what was known stays");
}

#[test]
fn keys_choose_sort_pause_and_quit() {
    let mut model = heard();
    let names = |model: &Model| model.participants().iter().map(|of| of.participant.clone()).collect::<Vec<_>>();
    assert_eq!((model.chosen(), names(&model)), (None, vec!["payment".to_owned(), "inventory".into(), "shipping".into()]));
    type_all(&mut model, &[Key::Down, Key::Down]);
    assert_eq!(model.chosen().map(|of| &*of.participant), Some("inventory"));
    type_all(&mut model, &[Key::Sort, Key::Sort]);
    assert_eq!((model.sort(), &*names(&model)[0]), (Sort::Parked, "shipping"));
    assert_eq!(model.chosen().map(|of| &*of.participant), Some("inventory"), "the choice is not a place");
    type_all(&mut model, &[Key::Down, Key::Down, Key::Down, Key::Down]);
    assert_eq!(model.chosen().map(|of| &*of.participant), Some("payment"), "there is an end");
    type_all(&mut model, &[Key::Sort, Key::Sort, Key::Sort, Key::Sort]);
    assert_eq!(model.sort(), Sort::Unanswered, "round about");
    type_all(&mut model, &[Key::Pause]);
    model.take(told("participants", &json!({ "participants": [], "as_of": [] })), NOW + 9_000);
    assert_eq!((names(&model).len(), model.age_ms(NOW + 9_000)), (3, Some(9_700)), "it stands still, and grows older");
    type_all(&mut model, &[Key::Pause]);
    assert_eq!((names(&model).len(), model.chosen()), (0, None));
    type_all(&mut model, &[Key::Up, Key::Down]);
    assert!(!model.is_over());
    let typed = |code, modifiers| key(&Event::Key(KeyEvent::new(code, modifiers)));
    assert_eq!(typed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
    assert_eq!((typed(KeyCode::Char('c'), KeyModifiers::NONE), typed(KeyCode::Tab, KeyModifiers::NONE)), (None, Some(Key::Sort)));
    type_all(&mut model, &[Key::Quit]);
    assert!(model.is_over());
}
