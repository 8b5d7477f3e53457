//! Sub-sagas that wait for events: each by a value of its own.

use ringmaster_core::partition::{Happened, Wish};
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::Status;

use super::post::{INBOX, Post};
use super::{HOUR, arrived, in_partition};
use crate::line::without;

const GOODS: &str = "
saga: goods
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: first, run: parcel, with: { parcel: string(start.first) } }
  - { step: second, run: parcel, with: { parcel: string(start.second) } }
  - { step: pay, do: worker.Pay, undo: nothing, with: { all: '[steps.first.weight, steps.second.weight]' } }
---
saga: parcel
input: { parcel: string }
steps:
  - { step: pick, do: worker.Pick, undo: worker.Unpick, with: { parcel: start.parcel } }
  - { step: back, wait: Arrived, from: parcels, match: parcel == start.parcel, within: 2h }
result: { weight: int(steps.back.weight) }
";

fn begin(post: &mut Post, key: &str, parcels: &[String; 2]) {
    let [first, second] = parcels;
    post.begin(key, &format!(r#"{{"type":"Asked","id":"{key}","first":"{first}","second":"{second}"}}"#));
    post.settle();
}

fn picked(post: &mut Post, key: &str, run: &str) {
    post.reply(&format!("goods/{key}/{run}/pick/do"), "succeeded", "null");
    post.settle();
}

/// A sub-saga gets its event in its own row, also one that came early, and after a restart.
#[test]
fn a_sub_saga_gets_its_own_event() {
    for restart in [None, Some(true), Some(false)] {
        let mut post = Post::of(GOODS);
        let (key, parcels) = (in_partition("k", 0, 0), [0, 1].map(|nth| in_partition("p", 1, nth)));
        post.comes(1, &arrived(&parcels[1], 2, "second"));
        begin(&mut post, &key, &parcels);
        picked(&mut post, &key, "first");
        assert_eq!(post.holder(&parcels[0]), Some(format!("goods/{key}/first")));
        if let Some(has_store) = restart {
            (0..2).for_each(|at| post.restart(at, has_store));
        }
        post.comes(0, &arrived(&parcels[0], 1, "first"));
        post.settle();
        picked(&mut post, &key, "second");
        let asked = post.asked_of(&format!("goods/{key}"));
        assert_eq!(asked.as_deref(), Some(r#"{"all":[1,2]}"#), "{restart:?}");
        post.reply(&format!("goods/{key}/pay/do"), "succeeded", "null");
        post.settle();
        assert_eq!(post.row(&format!("goods/{key}")).map(|row| row.status), Some(Status::Completed));
        parcels.iter().for_each(|parcel| post.is_quiet(parcel));
        post.replays();
    }
}

/// A sub-saga's timer waits for what the sub-saga listens to, not only for what the saga above does: answers before timers.
#[test]
fn a_sub_sagas_time_is_over_only_when_its_inputs_were_read() {
    let asks = || {
        let mut post = Post::of(GOODS);
        let (key, parcels) = (in_partition("k", 0, 0), [0, 1].map(|nth| in_partition("p", 1, nth)));
        begin(&mut post, &key, &parcels);
        picked(&mut post, &key, "first");
        let line = &mut post.lines[0];
        line.wishes.clear();
        line.pass(2 * HOUR + 1_000);
        line.poll();
        let asked = line.wishes.iter().any(|wish| matches!(wish, Wish::AskInput(INBOX)));
        // All but the inbox was read to its end.
        for index in (0..line.next.len()).filter(|index| *index != INBOX) {
            let end = line.next[index];
            line.happens(Happened::InputBounds { index, start: 0, end });
            line.happens(Happened::CaughtUp { index, offset: end });
        }
        line.poll();
        let is_over = |post: &Post| {
            let refused = |event: &SagaEvent| matches!(event, SagaEvent::Refused { .. });
            post.events_of(&format!("goods/{key}/first")).iter().any(refused)
        };
        let too_early = is_over(&post);
        post.lines[0].look();
        post.settle();
        (asked, too_early, is_over(&post))
    };
    assert_eq!(asks(), (true, false, true));
    without("inputs_of_runs_unread", || assert_eq!(asks(), (false, true, true)));
}

const TWICE: &str = "
saga: goods
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: label, do: worker.Label, undo: nothing, with: { id: key } }
  - step: both
    parallel:
      one: [ { step: first, wait: Arrived, from: parcels, match: parcel == steps.label.parcel, within: 2h, on_refused: { VALUE_TAKEN: go_on } } ]
      two: [ { step: second, wait: Arrived, from: parcels, match: parcel == steps.label.parcel, within: 2h, on_refused: { VALUE_TAKEN: go_on } } ]
  - { step: again, wait: Arrived, from: parcels, match: parcel == steps.label.parcel, within: 2h }
  - { step: pay, do: worker.Pay, undo: nothing, with: { weight: steps.again.weight } }
";

/// Two waits of one saga with one value: beside each other one is refused, the one whose claim comes later, behind each other the next has it again, whatever comes
/// of the letters in between.
#[test]
fn two_waits_of_one_saga_with_one_value() {
    for (copies, in_order) in [(1, true), (2, true), (3, false)] {
        let mut post = Post { copies, in_order, ..Post::of(TWICE) };
        let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
        post.waits_for(&key, &parcel);
        post.settle();
        assert_eq!(post.refused(&key), ["VALUE_TAKEN"], "{copies} copies");
        for (weight, id) in [(1, "first"), (2, "second")] {
            post.comes(0, &arrived(&parcel, weight, id));
            post.settle();
        }
        assert_eq!(post.taken(&key), ["dock/first", "dock/second"], "{copies} copies");
        post.is_quiet(&parcel);
        post.replays();
    }
}
