//! What people do to sagas and participants through a coordinator's port, also where its bus is its own.

use std::time::{Duration, Instant};

use ringmaster::api::client::{self, Means};
use ringmaster::blocking;
use ringmaster_schemas::names::partition_of;
use serde_json::{Value, json};

use crate::sagas::site;
use crate::site::{PATIENCE, Site};

const ID: &str = "trip/t-waits";

impl Site {
    /// Waits until the saga is shown as that: it is shown as of the last checkpoint.
    fn until_shown(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let since = Instant::now();
        loop {
            let shown: Value = serde_json::from_str(&self.said(&["saga", "show", ID])).expect("JSON");
            if is_so(&shown) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "{what}: {shown}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn said_of(&self, arguments: &[&str]) {
        let (code, _, errors) = self.ringmaster(arguments);
        assert_eq!(code, 0, "{errors}");
    }

    fn acts(&self, arguments: &[&str]) -> (i32, String) {
        let (code, said, errors) =
            self.ringmaster(&[&["act"], arguments, &["--yes", "--by", "ann", "--why", "looked into it"]].concat());
        (code, said + &errors)
    }
}

#[test]
fn an_act_is_done_journaled_and_answered() {
    let site = site();
    let (code, said) = site.acts(&["pause", ID]);
    assert!(code == 5 && said.contains("does not answer"), "nobody runs: {code} {said}");
    let coordinator = site.start();
    site.until_listed(2);
    assert_eq!(site.acts(&["pause", ID]), (0, "done\n".to_owned()));
    site.until_shown("it is paused", |saga| saga["paused"]["by"] == "ann" && saga["paused"]["why"] == "looked into it");
    assert_eq!(site.said(&["saga", "list", "--paused", "-q"]), format!("{ID}\n"));
    let (code, said) = site.acts(&["pause", ID]);
    assert!(code == 12 && said.contains("NOT_POSSIBLE: "), "{code} {said}");
    let (code, said) = site.acts(&["resume", ID, "--if-turn", "0"]);
    assert!(code == 12 && said.contains("MOVED_ON: "), "{code} {said}");
    let (code, said) = site.acts(&["cancel", ID, "--step", "room"]);
    assert!(code == 2 && said.contains("`step` is said to retry"), "what would be passed over is refused: {code} {said}");
    let (code, said) = site.acts(&["retry", "trip/nobody"]);
    assert!(code == 12 && said.contains("UNKNOWN_SAGA: "), "{code} {said}");
    assert_eq!(site.acts(&["resume", ID]), (0, "done\n".to_owned()));
    assert_eq!(site.acts(&["cancel", ID]).0, 0);
    site.until_shown("it undoes", |saga| saga["status"] == "compensating" || saga["status"] == "compensated");
    let told = site.said(&["saga", "history", ID]);
    for words in ["ann pauses it: looked into it", "ann acts: resume (looked into it)", "ann acts: cancel (looked into it)"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(coordinator.stop().0, Some(0));
}

/// By any HTTP client, which asks again when it did not hear the answer.
#[test]
fn an_act_comes_once_however_often_it_is_sent() {
    let site = site();
    let coordinator = site.start();
    site.until_listed(2);
    let caller = client::caller(&site.address.into(), &Means::default()).expect("ready");
    let body = json!({ "act": "pause", "saga": ID, "why": "stocktaking", "by": "bob" }).to_string();
    let send = |key: &str| {
        let answer = caller.post("/api/v1/acts", &body, &[("idempotency-key", key)]).expect("an answer");
        (answer.code, serde_json::from_str::<Value>(&answer.body).expect("JSON"))
    };
    let (code, first) = send("a");
    assert_eq!((code, &first["outcome"], first["places"][0]["offset"].is_i64()), (200, &"done".into(), true), "{first}");
    assert_eq!(send("a"), (200, first), "the answer is the same, and nothing is done again");
    let (code, again) = send("b");
    assert_eq!((code, &again["type"], &again["reason"]), (409, &"/problems/rejected".into(), &"NOT_POSSIBLE".into()), "{again}");
    let answer = caller.post("/api/v1/acts", "{\"act\":\"pause\"", &[]).expect("an answer");
    assert!(answer.code == 400 && answer.body.contains("/problems/bad-request"), "{}", answer.body);
    assert_eq!(site.said(&["participant", "pause", "hotel", "--yes", "--by", "ann", "--why", "they move"]), PAUSED);
    let (code, said, _) = site.ringmaster(&["participant", "resume", "hotel", "--by", "ann", "--why", "they are back", "--json"]);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &said["done"]), (0, &json!([0, 1, 2, 3])), "{said}");
    assert_eq!(coordinator.stop().0, Some(0));
}

const ORDER: &str = "order-fulfilment/ord-1";
const PAUSED: &str = "hotel is paused in 4 of 4 partitions: what would be asked of it is parked\n";

#[test]
fn who_acts_is_whoever_the_token_says() {
    let site = Site::new();
    site.said_of(&["topics", "apply"]);
    let order = r#"{"order_id":"ord-1","customer_id":"c-1","region":"EU","total":"19.90","items":[{"sku":"sku-1","qty":1}]}"#;
    let record = [(b"ord-1".to_vec(), order.as_bytes().to_vec())];
    blocking::append(&mut site.log().client(), "orders", partition_of(b"ord-1", 4), &record).expect("appended");
    site.guarded(&["viewer", "operator", "approver:risk"]);
    let coordinator = site.start_as("https");
    let pause = ["act", "pause", ORDER, "--yes", "--by", "somebody-else", "--why", "stocktaking"];
    for token in ["viewer", "approver:risk"] {
        let (code, said) = site.by(token, &pause);
        assert!(code == 11 && said.contains("takes the role operator"), "{token}: {code} {said}");
    }
    let since = Instant::now();
    // The saga begins meanwhile.
    while site.by("operator", &pause).0 != 0 {
        assert!(since.elapsed() < PATIENCE, "{}", coordinator.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (code, told) = site.by("operator", &["saga", "history", ORDER]);
    assert!(code == 0 && told.contains("operator pauses it: stocktaking") && !told.contains("somebody-else"), "{told}");
    assert_eq!(coordinator.stop().0, Some(0));
}
