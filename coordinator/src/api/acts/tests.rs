//! Who may act, what is brought, and what is said of it. What partitions make of it is theirs: `coordinator/tests/cli/acts.rs` runs all of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, Uri};
use ringmaster_schemas::journal::{Cause, Change, Rejected, Turn};
use ringmaster_schemas::names::{partition_of, saga_id};
use ringmaster_schemas::state::{Batch, Course, Detail, EntryMore, RowChange, RowKey, Waits, Work, index_keys};
use ringmaster_store::Store as _;
use ringmaster_store::sim::SimStore;
use serde_json::Value;

use super::super::tests::{checkpoint, sources, with_a_trip};
use super::remembered::REMEMBERED_MAX;

use super::*;
use crate::runtime::Newest;

const PARTITIONS: i32 = 4;
const WAITS: &str = "trip/t-1";
const PAUSE_PARTICIPANT: &str = r#"{"act":"participant_pause","participant":"hotel","why":"they move"}"#;

/// Says of each record the same, and keeps what it was given.
#[derive(Default)]
struct Said {
    rejected: Option<RejectionReason>,
    is_silent: bool,
    unheard: Option<Unheard>,
    brought: Mutex<Vec<Addressed>>,
    times: AtomicUsize,
}

impl Hand for Said {
    fn bring(&self, records: Vec<Addressed>, _patience: Duration) -> Result<BTreeMap<usize, Answered>, Unheard> {
        self.times.fetch_add(1, Ordering::SeqCst);
        let rejected = |reason| Change::Rejected(Rejected { saga: WAITS.into(), reason, detail: "since".into() });
        let turn = Turn {
            cause: Cause::Input { topic: 0, next: 1 },
            input: None,
            changes: self.rejected.map(rejected).into_iter().collect(),
        };
        if let Some(unheard) = &self.unheard {
            return Err(unheard.clone());
        }
        let count = if self.is_silent { 0 } else { records.len() };
        self.brought.lock().expect("no panic").extend(records);
        Ok((0..count).map(|place| (place, Answered { offset: 40 + place as i64, turn: turn.clone() })).collect())
    }
}

impl Said {
    fn records(&self) -> Vec<(i32, Value)> {
        let brought = self.brought.lock().expect("no panic");
        brought.iter().map(|one| (one.partition, serde_json::from_slice(&one.bytes).expect("JSON"))).collect()
    }
}

/// A coordinator with one saga that waits for the approval of `risk`.
fn served(hand: Arc<Said>) -> Sources {
    let (knowledge, mut saga) = with_a_trip();
    saga.id = saga_id("trip", "t-1").into();
    let asked = &mut saga.entries[0];
    (asked.work, asked.waits, asked.order) = (Work::Nothing, Waits::Approval, None);
    let course = Course { detail: Detail::Asked { roles: vec!["risk".into()], show: None }, ..Course::default() };
    asked.more = Some(Box::new(EntryMore { failure: None, stray: None, course: Some(course) }));
    let change = RowChange { after: index_keys(&saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
    let (store, partition) = (SimStore::new(), partition_of(b"t-1", PARTITIONS));
    store.write(&Batch { partition, base_offset: -1, checkpoint: checkpoint(17), rows: vec![change] }).expect("applies");
    let knowledge = Arc::new(Newest::new(Arc::new(knowledge)));
    Sources { knowledge, hand: Some(hand), ..sources(Arc::new(store)) }
}

fn known(role: &str) -> Principal {
    Principal { name: "ann".to_owned(), roles: vec![role.parse().expect("a role")], is_known: true }
}

fn body(text: &str) -> ActBody {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn asked(sources: &Sources, principal: &Principal, key: Option<&str>, text: &str) -> Result<ActAnswer, (u16, String)> {
    let mut request = Request { uri: Uri::from_static("/api/v1/acts"), headers: HeaderMap::new() };
    key.map(|key| request.headers.insert(IDEMPOTENCY_KEY, key.parse().expect("a header")));
    done(sources, principal, &request, &body(text)).map_err(|refusal| refusal.told())
}

const CANCEL: &str = r#"{"act":"cancel","saga":"trip/t-1","why":"asked for","if_turn":7}"#;

#[test]
fn an_act_is_brought_to_its_saga_by_whom_the_token_says() {
    let hand = Arc::new(Said::default());
    let sources = served(hand.clone());
    let answer = asked(&sources, &known("operator"), None, CANCEL).expect("it may");
    let partition = partition_of(b"t-1", PARTITIONS);
    assert_eq!((&*answer.outcome, answer.places.len()), ("done", 1));
    assert_eq!((answer.places[0].partition, answer.places[0].offset), (partition, Some(40)));
    let expected = json!({ "id": answer.act_id, "saga": WAITS, "act": "cancel", "by": "ann", "why": "asked for", "if_turn": 7 });
    assert_eq!(hand.records(), [(partition, expected)]);
    let answer = asked(&sources, &known("operator"), None, PAUSE_PARTICIPANT).expect("it may");
    let all: Vec<i32> = answer.places.iter().map(|place| place.partition).collect();
    assert_eq!(all, [0, 1, 2, 3], "each partition has a breaker of its own");
    assert_eq!(hand.records()[1].1["act"], "pause");
}

#[test]
fn what_a_number_is_stays() {
    let hand = Arc::new(Said::default());
    let skip = r#"{"act":"skip","saga":"trip/t-1","why":"w","step":"room","value":{"amount":12345678901234567890.10}}"#;
    asked(&served(hand.clone()), &known("admin"), None, skip).expect("it may");
    let bytes = hand.brought.lock().expect("no panic")[0].bytes.clone();
    assert!(String::from_utf8(bytes).expect("text").contains("12345678901234567890.10"), "no digit is lost");
}

#[test]
fn who_may_not_is_told_and_nothing_is_brought() {
    let hand = Arc::new(Said::default());
    let sources = served(hand.clone());
    let approve = r#"{"act":"approve","saga":"trip/t-1","why":"fine"}"#;
    let other = r#"{"act":"approve","saga":"trip/t-1","why":"fine","step":"elsewhere"}"#;
    for (role, text, why) in [
        ("viewer", CANCEL, "takes the role operator"),
        ("approver:risk", CANCEL, "takes the role operator"),
        ("operator:loan*", CANCEL, "takes the role operator, or operator:"),
        ("operator:*", PAUSE_PARTICIPANT, "takes the role operator"),
        ("operator", approve, "it takes approver:risk"),
        ("approver:legal", approve, "it takes approver:risk"),
    ] {
        let (code, detail) = asked(&sources, &known(role), None, text).expect_err("it may not");
        assert!(code == 403 && detail.contains(why), "{role} {text}: {code} {detail}");
    }
    let (code, detail) = asked(&sources, &known("approver:risk"), None, other).expect_err("it is not asked");
    assert!(code == 409 && detail.contains("nobody's answer is waited for"), "{code} {detail}");
    let by = CANCEL.replace("\"why\"", "\"by\":\"bob\",\"why\"");
    assert_eq!(asked(&sources, &known("operator"), None, &by).expect_err("it is not bob").0, 403);
    assert_eq!(hand.times.load(Ordering::SeqCst), 0);
    for (role, text) in [("approver:risk", approve), ("admin", approve)] {
        assert_eq!(asked(&sources, &known(role), None, text).map(|answer| answer.outcome), Ok("done".to_owned()), "{role}");
    }
    let steps: Vec<Value> = hand.records().into_iter().map(|(_, record)| record["step"].clone()).collect();
    assert_eq!(steps, [json!("room"), json!(null)], "an approver's answer is for the step that was looked at, an admin's for any");
    asked(&sources, &known("operator:tri*"), None, CANCEL).expect("it is one of theirs");
    let local = Principal { name: "local".to_owned(), roles: vec![Role::Admin], is_known: false };
    asked(&sources, &local, None, &by).expect("nobody is asked for a token");
    asked(&sources, &local, None, CANCEL).expect("nor for a name");
    let names: Vec<Value> = hand.records().iter().rev().take(2).map(|(_, record)| record["by"].clone()).collect();
    assert_eq!(names, ["local", "bob"]);
}

#[test]
fn what_says_too_little_or_too_much_is_refused() {
    let hand = Arc::new(Said::default());
    let sources = served(hand.clone());
    for (text, why) in [
        (r#"{"act":"cancel","why":"w"}"#, "names `saga`"),
        (r#"{"act":"cancel","participant":"hotel","why":"w"}"#, "names `saga`"),
        (r#"{"act":"participant_pause","saga":"trip/t-1","why":"w"}"#, "names `participant`"),
        (r#"{"act":"cancel","saga":"trip","why":"w"}"#, "is an id"),
        (r#"{"act":"cancel","saga":"trip/t-1","why":"  "}"#, "`why` says why"),
        (r#"{"act":"resolve","saga":"trip/t-1","why":"w"}"#, "says `outcome`"),
        (r#"{"act":"cancel","saga":"trip/t-1","why":"w","code":"C"}"#, "said to resolve"),
        (r#"{"act":"cancel","saga":"trip/t-1","why":"w","value":1}"#, "`value` is said to"),
        (r#"{"act":"start","saga":"trip/t-9","why":"w"}"#, "says the event"),
        (r#"{"act":"start","saga":"trip/t-9","why":"w","value":{},"if_turn":5}"#, "a saga that is there"),
        (r#"{"act":"cancel","saga":"trip/t-1","why":"w","step":"room"}"#, "`step` is said to"),
        (r#"{"act":"participant_pause","participant":"hotel","why":"w","if_turn":5}"#, "a saga that is there"),
        (r#"{"act":"retry","saga":"trip/t-1","why":"w","step":""}"#, "names of 1 to 200 bytes"),
        (r#"{"act":"resolve","saga":"trip/t-1","why":"w","outcome":"succeeded","code":"C"}"#, "of what was refused"),
        (r#"{"act":"resolve","saga":"trip/t-1","why":"w","outcome":"refused","value":1}"#, "of what succeeded"),
    ] {
        let (code, detail) = asked(&sources, &known("admin"), None, text).expect_err(text);
        assert!(code == 400 && detail.contains(why), "{text}: {code} {detail}");
    }
    let large = format!(r#"{{"act":"skip","saga":"trip/t-1","why":"w","value":"{}"}}"#, "x".repeat(500_000));
    assert_eq!(asked(&sources, &known("admin"), None, &large).expect_err("it is no record of the journal").0, 400);
    for wrong in [r#"{"act":"delete","saga":"trip/t-1","why":"w"}"#, r#"{"act":"cancel","sagas":"x","why":"w"}"#, "[]", "{}"] {
        assert!(serde_json::from_str::<ActBody>(wrong).is_err(), "{wrong}");
    }
    assert_eq!(hand.times.load(Ordering::SeqCst), 0);
}

/// Whoever did not hear the answer asks again by the same key.
#[test]
fn the_same_key_does_it_once() {
    let hand = Arc::new(Said::default());
    let sources = served(hand.clone());
    let first = asked(&sources, &known("operator"), Some("k-1"), CANCEL).expect("it may");
    assert_eq!(asked(&sources, &known("operator"), Some("k-1"), CANCEL), Ok(first));
    assert_eq!(hand.times.load(Ordering::SeqCst), 1);
    let viewer = known("viewer");
    let again = asked(&sources, &viewer, Some("k-1"), CANCEL).map(|answer| answer.outcome);
    assert_eq!(again, Ok("done".to_owned()), "what was done is told, though it may be done no more");
    let (code, detail) = asked(&sources, &known("operator"), Some("k-1"), &CANCEL.replace('7', "8")).expect_err("another act");
    assert!(code == 400 && detail.contains("something else was asked"), "{detail}");
    let bob = Principal { name: "bob".to_owned(), ..known("operator") };
    asked(&sources, &bob, Some("k-1"), CANCEL).expect("keys are those of who asks");
    assert_eq!(hand.times.load(Ordering::SeqCst), 2);
    for number in 0..REMEMBERED_MAX {
        asked(&sources, &bob, Some(&format!("n-{number}")), CANCEL).expect("it may");
    }
    assert_eq!(sources.acts.known.lock().expect("no panic").by_key.len(), REMEMBERED_MAX, "they are bounded");
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    assert_eq!(asked(&sources, &bob, Some(&long), CANCEL).expect_err("too long").0, 400);
}

#[test]
fn what_became_of_it_is_the_answer() {
    let with = |said: Said| asked(&served(Arc::new(said)), &known("operator"), None, CANCEL).expect("it may");
    let code = |answer: &ActAnswer| answered(answer.clone()).status().as_u16();
    let open = with(Said { is_silent: true, ..Said::default() });
    assert_eq!((&*open.outcome, open.places[0].offset, code(&open)), ("open", None, 202));
    let unheard = |may_be_sent| Some(Unheard { why: "the broker is away".to_owned(), may_be_sent });
    let hand = Arc::new(Said { unheard: unheard(true), ..Said::default() });
    let sources = served(hand.clone());
    let first = asked(&sources, &known("operator"), Some("k"), CANCEL).expect("it may have been sent");
    assert!(first.outcome == "open" && first.detail.contains("is not known: the broker is away"), "{first:?}");
    assert_eq!(asked(&sources, &known("operator"), Some("k"), CANCEL), Ok(first));
    assert_eq!(hand.times.load(Ordering::SeqCst), 1, "by its key it is not sent again");
    let hand = Arc::new(Said { unheard: unheard(false), ..Said::default() });
    let sources = served(hand.clone());
    for times in 1..=2 {
        assert_eq!(asked(&sources, &known("operator"), Some("k"), CANCEL).expect_err("nothing was sent").0, 503);
        assert_eq!(hand.times.load(Ordering::SeqCst), times, "it is tried again");
    }
    for (reason, problem) in [(RejectionReason::MovedOn, Problem::MovedOn), (RejectionReason::NotStuck, Problem::Rejected)] {
        let rejected = with(Said { rejected: Some(reason), ..Said::default() });
        assert_eq!((&*rejected.outcome, rejected.places[0].reason.as_deref()), ("rejected", Some(reason.as_str())));
        assert_eq!((code(&rejected), problem.said().status), (409, 409));
        assert_eq!(rejected.detail, "since");
    }
}
