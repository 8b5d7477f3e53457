//! Items of a for_each: each waits for an event with its own value.

use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::Status;

use super::post::Post;
use super::{arrived, in_partition};

const GOODS: &str = "
saga: goods
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - step: parcels
    for_each: start.parcels
    as: parcel
    at_once: 2
    steps:
      - { step: pick, do: worker.Pick, undo: worker.Unpick, with: { parcel: parcel } }
      - { step: back, wait: Arrived, from: parcels, match: parcel == string(parcel), within: 2h }
    result: { weight: steps.back.weight }
  - { step: pay, do: worker.Pay, undo: nothing, with: { all: steps.parcels } }
";

fn begin(post: &mut Post, key: &str, parcels: &[String]) {
    let parcels = parcels.iter().map(|parcel| format!("\"{parcel}\"")).collect::<Vec<_>>().join(",");
    post.begin(key, &format!(r#"{{"type":"Asked","id":"{key}","parcels":[{parcels}]}}"#));
    post.settle();
}

fn picked(post: &mut Post, key: &str, items: std::ops::Range<usize>) {
    items.for_each(|item| post.reply(&format!("goods/{key}/parcels.{item}/pick/do"), "succeeded", "null"));
    post.settle();
}

#[test]
fn each_item_gets_its_own_event() {
    for restart in [None, Some(true), Some(false)] {
        let mut post = Post::of(GOODS);
        let (key, parcels) = (in_partition("k", 0, 0), [0, 1, 2].map(|nth| in_partition("p", 1, nth)));
        // One comes before anybody waits for it.
        post.comes(1, &arrived(&parcels[2], 3, "third"));
        begin(&mut post, &key, &parcels);
        picked(&mut post, &key, 0..2);
        if let Some(has_store) = restart {
            (0..2).for_each(|at| post.restart(at, has_store));
        }
        post.comes(0, &arrived(&parcels[1], 2, "second"));
        post.settle();
        picked(&mut post, &key, 2..3);
        post.comes(1, &arrived(&parcels[0], 1, "first"));
        post.settle();
        let asked = post.asked_of(&format!("goods/{key}"));
        assert_eq!(asked.as_deref(), Some(r#"{"all":[{"weight":1},{"weight":2},{"weight":3}]}"#), "{restart:?}");
        post.reply(&format!("goods/{key}/pay/do"), "succeeded", "null");
        post.settle();
        assert_eq!(post.row(&format!("goods/{key}")).map(|row| row.status), Some(Status::Completed));
        parcels.iter().for_each(|parcel| post.is_quiet(parcel));
        post.replays();
    }
}

/// Items that are stopped with their saga give their values back, whether they were told or not.
#[test]
fn items_that_are_undone_give_their_values_back() {
    let mut post = Post::of(GOODS);
    let (key, parcels) = (in_partition("k", 0, 0), [0, 1].map(|nth| in_partition("p", 1, nth)));
    begin(&mut post, &key, &parcels);
    picked(&mut post, &key, 0..2);
    assert_eq!(post.holder(&parcels[0]), Some(format!("goods/{key}/parcels.0")));
    post.cancel(&key);
    post.settle();
    parcels.iter().for_each(|parcel| assert_eq!(post.holder(parcel), None));
    (0..2).for_each(|item| post.reply(&format!("goods/{key}/parcels.{item}/pick/undo"), "succeeded", "null"));
    post.settle();
    assert_eq!(post.row(&format!("goods/{key}")).map(|row| row.status), Some(Status::Compensated));
    post.replays();
}

/// Two items of one list with one value: the second is refused, and with it the list.
#[test]
fn a_value_that_stands_twice_in_a_list_is_refused() {
    let mut post = Post::of(GOODS);
    let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
    begin(&mut post, &key, &[parcel.clone(), parcel.clone()]);
    picked(&mut post, &key, 0..2);
    let refused = post
        .events_of(&format!("goods/{key}/parcels.1"))
        .iter()
        .any(|event| matches!(event, SagaEvent::Refused { failure, .. } if *failure.code == *"VALUE_TAKEN"));
    assert!(refused, "{:?}", post.events_of(&format!("goods/{key}/parcels.1")));
    // When it has undone what it did, all are undone.
    post.reply(&format!("goods/{key}/parcels.1/pick/undo"), "succeeded", "null");
    post.settle();
    assert_eq!(post.holder(&parcel), None);
}
