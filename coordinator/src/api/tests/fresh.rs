//! Answers that are at least as new as what was seen: they wait until that is stored, and not for ever.

use std::time::Duration;

use super::server::Limits;
use super::*;

/// Long enough on any machine.
const LONG: Duration = Duration::from_secs(120);

/// A saga, whose partition is stored up to an offset.
fn stored_up_to(store: &SimStore, offset: i64) -> i32 {
    let (partition, saga) = (names::partition_of(b"t-1", PARTITIONS), with_a_trip().1);
    let change = RowChange { after: index_keys(&saga), ..RowChange::plain(RowKey::Saga(saga.id.clone()), Some(saga.encode())) };
    let before = store.checkpoint(partition).expect("it is read").map_or(-1, |checkpoint| checkpoint.journal_offset);
    store.write(&Batch { partition, base_offset: before, checkpoint: checkpoint(offset), rows: vec![change] }).expect("applies");
    partition
}

fn served(store: &SimStore, change: impl FnOnce(&mut gate::Limits)) -> Server {
    let mut limits = Limits::USUAL;
    change(&mut limits.requests);
    let sources = sources(Arc::new(store.clone()));
    serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, local().with(limits)).expect("serves")
}

#[test]
fn what_is_stored_is_answered_and_what_is_not_is_waited_for() {
    let store = SimStore::new();
    let partition = stored_up_to(&store, 17);
    let server = served(&store, |limits| (limits.fresh, limits.answer, limits.waiting) = (LONG, LONG, 1));
    let path = |offset: i64| format!("/api/v1/saga?id=trip/t-1&at_least={partition}:{offset}");
    let (code, body) = get(&server, &path(16));
    assert_eq!((code, &body["as_of_journal_offset"]), (200, &json!(17)), "{body}");
    // There is a place for one that waits: of two the other is sent away.
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        for tell in [tell.clone(), tell] {
            let (server, path) = (&server, path(40));
            scope.spawn(move || tell.send(get(server, &path)).expect("it is heard"));
        }
        assert_eq!(told.recv().expect("an answer").0, 429, "the other one waits");
        assert_eq!(get(&server, "/api/v1/saga?id=trip/t-1").1["as_of_journal_offset"], 17, "nothing new is asked for");
        stored_up_to(&store, 41);
        let (code, body) = told.recv().expect("an answer");
        assert_eq!((code, &body["as_of_journal_offset"]), (200, &json!(41)), "{body}");
    });
}

#[test]
fn what_does_not_come_is_said_and_so_is_nonsense() {
    let store = SimStore::new();
    let partition = stored_up_to(&store, 17);
    let server = served(&store, |limits| limits.fresh = Duration::from_millis(200));
    for what in ["saga", "saga/why"] {
        let answer =
            client::get(server.address(), &format!("/api/v1/{what}?id=trip/t-1&at_least={partition}:17")).expect("an answer");
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.code, &body["type"]), (503, &json!("/problems/behind")), "{body}");
        assert!(body["detail"].as_str().is_some_and(|why| why.contains("is stored up to offset 17")), "{body}");
    }
    let other = (partition + 1) % PARTITIONS;
    for wrong in ["x".to_owned(), "17".to_owned(), format!("{other}:1"), format!("{partition}:-1")] {
        assert_eq!(get(&server, &format!("/api/v1/saga?id=trip/t-1&at_least={wrong}")).0, 400, "{wrong}");
    }
}
