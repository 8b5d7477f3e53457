//! Waits whose events are known by a value: claimed at the value's partition, granted or not, given back; and events that come early,
//! late, twice, and whose letters do.

mod bounds;
mod items;
mod post;
mod runs;
mod unique;

use ringmaster_schemas::journal::{Failure, KeptEvent, Letter, SagaEvent, ValueEvent, ValueName};
use ringmaster_schemas::names::partition_of;
use ringmaster_schemas::state::{Saga, Status};

use crate::line::{BEGIN, without};
use post::Post;

const GOODS: &str = "
saga: goods
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: label, do: worker.Label, undo: worker.Unlabel, with: { id: key } }
  - step: back
    wait: Arrived
    from: parcels
    match: parcel == steps.label.parcel
    if: event.weight > 0
    within: 2h
    keep: 3h
    on_refused:
      VALUE_TAKEN: { steps: [ { step: told, do: helper.Tell, undo: nothing, with: { code: failure.code } } ], next: undo }
  - { step: pay, do: worker.Pay, undo: nothing, with: { weight: steps.back.weight } }
";
const HOUR: i64 = 3_600_000;

/// A key, and a value, that lie in this partition.
fn in_partition(what: &str, number: i32, nth: usize) -> String {
    let mine = |key: &String| partition_of(key.as_bytes(), 2) == number;
    (0..).map(|number| format!("{what}{number}")).filter(mine).nth(nth).expect("there are many")
}

fn value_of(value: &str) -> String {
    let part = |text: &str| text.into();
    ValueName { topic: part("parcels"), kind: part("Arrived"), field: part("parcel"), value: part(value) }.id()
}

fn arrived(parcel: &str, weight: i32, id: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","source":"dock","id":"{id}","type":"Arrived","data":{{"parcel":"{parcel}","weight":{weight}}}}}"#
    )
}

impl Post {
    /// A saga that waits for this parcel.
    fn waits_for(&mut self, key: &str, parcel: &str) {
        self.begin(key, &format!(r#"{{"type":"Asked","id":"{key}"}}"#));
        self.reply(&format!("goods/{key}/label/do"), "succeeded", &format!(r#"{{"parcel":"{parcel}"}}"#));
    }

    /// What the wait of a saga took, and how often.
    fn taken(&self, key: &str) -> Vec<String> {
        let took = |event: &SagaEvent| match event {
            SagaEvent::EventTaken { event, .. } => Some(event.source.to_string()),
            _ => None,
        };
        self.events_of(&format!("goods/{key}")).iter().filter_map(took).collect()
    }

    fn refused(&self, key: &str) -> Vec<String> {
        let code = |event: &SagaEvent| match event {
            SagaEvent::Refused { failure, .. } => Some(Failure::clone(failure).code.to_string()),
            _ => None,
        };
        self.events_of(&format!("goods/{key}")).iter().filter_map(code).collect()
    }

    fn mailbox(&mut self, parcel: &str) -> Saga {
        self.row(&value_of(parcel)).expect("the row of the value")
    }

    fn holder(&mut self, parcel: &str) -> Option<String> {
        self.mailbox(parcel).mailbox()?.holder.as_ref().map(|claim| claim.row.to_string())
    }

    fn is_quiet(&mut self, parcel: &str) {
        let row = self.mailbox(parcel);
        assert_eq!((row.status, row.early().len()), (Status::Expected, 0), "{row:?}");
        assert_eq!(row.mailbox().and_then(|mailbox| mailbox.holder.clone()), None);
        assert!(row.expiry_bucket().is_some(), "it goes by itself");
    }
}

/// Every place of saga, value and event to each other: the event comes to whoever waits for it.
#[test]
fn an_event_comes_to_the_wait_that_has_claimed_its_value() {
    for (saga, value, event) in [(0, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 0), (0, 1, 1)] {
        let mut post = Post::of(GOODS);
        let (key, parcel) = (in_partition("k", saga, 0), in_partition("p", value, 0));
        post.waits_for(&key, &parcel);
        post.settle();
        assert_eq!(post.holder(&parcel), Some(format!("goods/{key}")));
        post.comes(event, &arrived(&in_partition("p", value, 1), 5, "other"));
        post.settle();
        assert_eq!(post.taken(&key), [""; 0]);
        post.comes(event, &arrived(&parcel, 0, "light"));
        post.settle();
        assert_eq!(post.taken(&key), [""; 0], "its if is false");
        post.comes(event, &arrived(&parcel, 7, "it"));
        post.settle();
        assert_eq!(post.taken(&key), ["dock/it"]);
        post.is_quiet(&parcel);
        post.replays();
    }
}

/// What comes before anybody waits for it is kept with its value, in memory, in the store, and by replay.
#[test]
fn what_comes_early_is_kept_with_its_value() {
    for restart in ["none", "with a store", "by replay alone"] {
        let mut post = Post::of(GOODS);
        let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
        for (weight, id) in [(0, "first"), (3, "second"), (4, "third")] {
            post.comes(0, &arrived(&parcel, weight, id));
            post.settle();
        }
        assert_eq!(post.mailbox(&parcel).early().len(), 3);
        if restart != "none" {
            (0..2).for_each(|at| post.restart(at, restart == "with a store"));
        }
        post.waits_for(&key, &parcel);
        post.settle();
        assert_eq!(post.taken(&key), ["dock/second"], "{restart}: in the order in which they came");
        let row = post.mailbox(&parcel);
        let left: Vec<&str> = row.early().iter().map(|event| &*event.source).collect();
        assert_eq!(left, ["dock/third"], "{restart}: what nobody looked at stays");
        post.pass(5 * HOUR);
        post.is_quiet(&parcel);
        let told = post.events_of(&value_of(&parcel)).iter().any(|event| matches!(event, SagaEvent::EventsExpired { count: 1 }));
        assert!(told, "{restart}: that nobody waited for it is journaled");
        post.replays();
    }
    without("kept_event_not_brought", || {
        let mut post = Post::of(GOODS);
        let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
        post.comes(0, &arrived(&parcel, 3, "it"));
        post.settle();
        post.waits_for(&key, &parcel);
        post.settle();
        assert_eq!(post.taken(&key), [""; 0]);
    });
}

fn is_given_once(post: &mut Post) -> bool {
    let parcel = in_partition("p", 1, 0);
    let (one, two) = (in_partition("k", 0, 0), in_partition("k", 1, 0));
    post.waits_for(&one, &parcel);
    post.settle();
    post.waits_for(&two, &parcel);
    post.settle();
    post.holder(&parcel) == Some(format!("goods/{one}"))
}

/// A value that another wait has is refused to the next, and its reaction follows; then it is free again for others.
#[test]
fn a_value_has_one_owner() {
    let mut post = Post::of(GOODS);
    assert!(is_given_once(&mut post));
    let (parcel, one, two) = (in_partition("p", 1, 0), in_partition("k", 0, 0), in_partition("k", 1, 0));
    assert_eq!(post.refused(&two), ["VALUE_TAKEN"]);
    let asked = post.events_of(&format!("goods/{two}")).into_iter().rev().find_map(|event| match event {
        SagaEvent::CommandIssued { order, .. } => Some(String::from_utf8_lossy(order.body()).into_owned()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some(r#"{"code":"VALUE_TAKEN"}"#));
    post.comes(0, &arrived(&parcel, 1, "it"));
    post.settle();
    assert_eq!((post.taken(&one), post.taken(&two)), (vec!["dock/it".to_owned()], Vec::new()));
    // It is free now.
    let three = in_partition("k", 1, 1);
    post.waits_for(&three, &parcel);
    post.settle();
    assert_eq!(post.holder(&parcel), Some(format!("goods/{three}")));
    assert_eq!(post.refused(&three), [""; 0]);
    post.replays();
    without("value_given_to_two", || assert!(!is_given_once(&mut Post::of(GOODS))));
}

/// However a wait ends, its value is free, and what it did not look at is for the next.
#[test]
fn a_wait_that_is_over_gives_its_value_back() {
    let is_free = |how: &str| {
        let mut post = Post::of(GOODS);
        let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
        post.waits_for(&key, &parcel);
        post.settle();
        match how {
            "taken" => post.comes(0, &arrived(&parcel, 1, "it")),
            "expired" => post.pass(2 * HOUR + 1_000),
            _ => post.cancel(&key),
        }
        post.settle();
        post.holder(&parcel).is_none()
    };
    for how in ["taken", "expired", "cancelled"] {
        assert!(is_free(how), "{how}");
    }
    without("value_not_released", || assert!(!is_free("expired")));
}

/// An event that was on its way to a wait that has ended meanwhile is for whoever claims the value next.
#[test]
fn what_nobody_has_looked_at_is_for_the_next() {
    let mut post = Post::of(GOODS);
    let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
    post.waits_for(&key, &parcel);
    post.settle();
    post.comes(1, &arrived(&parcel, 1, "it"));
    post.collect();
    // The value's partition takes it, and what that writes is still on its way when the wait ends.
    let mail = std::mem::take(&mut post.mail);
    mail.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
    post.collect();
    let late = std::mem::take(&mut post.mail);
    post.cancel(&key);
    post.settle();
    late.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
    post.settle();
    assert_eq!(post.taken(&key), [""; 0]);
    let next = in_partition("k", 1, 0);
    post.waits_for(&next, &parcel);
    post.settle();
    assert_eq!(post.taken(&next), ["dock/it"]);
    post.is_quiet(&parcel);
    post.replays();
}

/// Letters come as often, as late and in whatever order they like: each event is taken once, and every value is free in the end.
#[test]
fn letters_may_come_again_late_and_in_another_order() {
    let plays = |copies: usize, in_order: bool| {
        let mut post = Post { copies, in_order, ..Post::of(GOODS) };
        let parcel = in_partition("p", 1, 0);
        for number in 0..3 {
            let key = in_partition("k", number % 2, number as usize);
            post.waits_for(&key, &parcel);
            post.settle();
            for (weight, id) in [(0, "light"), (5, "it")] {
                post.comes(0, &arrived(&parcel, weight, &format!("{id}{number}")));
                post.settle();
            }
            if post.taken(&key) != [format!("dock/it{number}")] {
                return false;
            }
        }
        post.replays();
        post.holder(&parcel).is_none() && post.mailbox(&parcel).early().is_empty()
    };
    for copies in 1..=3 {
        assert!(plays(copies, true), "{copies} copies");
        assert!(plays(copies, false), "{copies} copies, the newest first");
    }
    without("matched_event_taken_twice", || assert!(passes_twice()));
    without("seen_event_kept", || assert!(!plays(1, true)));
}

/// An event that was looked at comes once more, and is looked at once more: nobody may.
fn passes_twice() -> bool {
    let mut post = Post { copies: 2, ..Post::of(GOODS) };
    let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
    post.waits_for(&key, &parcel);
    post.settle();
    post.comes(0, &arrived(&parcel, 0, "light"));
    post.settle();
    let passed = |event: &&SagaEvent| matches!(event, SagaEvent::EventPassed { .. });
    post.events_of(&format!("goods/{key}")).iter().filter(passed).count() > 1
}

/// A claim that comes once more after its release means nothing.
#[test]
fn a_claim_that_is_over_does_not_rise_again() {
    let rises = || {
        let mut post = Post::of(GOODS);
        let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
        post.waits_for(&key, &parcel);
        post.collect();
        let claim = post.mail[0].clone();
        assert!(matches!(Letter::decode(&claim.1), Ok(Letter::Claim(_))));
        post.settle();
        post.comes(0, &arrived(&parcel, 1, "it"));
        post.settle();
        post.restart(1, false);
        post.bring(claim.0, &claim.1);
        // What is given to nobody goes back at once.
        let rose = post.holder(&parcel).is_some();
        post.settle();
        rose || post.holder(&parcel).is_some()
    };
    assert!(!rises());
    without("claim_resurrects", || assert!(rises()));
}

/// A release that comes before its claim is as good.
#[test]
fn a_release_may_come_before_its_claim() {
    let mut post = Post::of(GOODS);
    let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
    post.waits_for(&key, &parcel);
    post.collect();
    let claim = std::mem::take(&mut post.mail);
    post.cancel(&key);
    post.settle();
    claim.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
    post.settle();
    assert_eq!(post.holder(&parcel), None);
}

/// Whatever stops between two letters, with its store or by the journal alone: it comes to the same.
#[test]
fn a_crash_at_any_moment_loses_no_claim_and_no_event() {
    let plays = |moment: usize, at: usize, has_store: bool| {
        let mut post = Post::of(GOODS);
        let (key, parcel) = (in_partition("k", 0, 0), in_partition("p", 1, 0));
        let mut step = 0;
        let mut crashes = |post: &mut Post| {
            if step == moment {
                // What was sent and not acknowledged is sent again.
                post.restart(at, has_store);
            }
            step += 1;
        };
        post.waits_for(&key, &parcel);
        for round in 0..6 {
            crashes(&mut post);
            post.collect();
            crashes(&mut post);
            for (to, bytes) in std::mem::take(&mut post.mail) {
                post.bring(to, &bytes);
            }
            if round == 2 {
                post.comes(1, &arrived(&parcel, 1, "it"));
            }
        }
        post.settle();
        (post.taken(&key), post.holder(&parcel), post.mailbox(&parcel).early().len())
    };
    for moment in 0..12 {
        for at in 0..2 {
            for has_store in [true, false] {
                let end = plays(moment, at, has_store);
                assert_eq!(end, (vec!["dock/it".to_owned()], None, 0), "at {moment} in {at}, {has_store}");
            }
        }
    }
    without("claim_not_sent", || assert!(plays(99, 0, true).0.is_empty()));
    without("matched_event_not_routed", || assert!(plays(99, 0, true).0.is_empty()));
    without("late_row_not_held", || assert!((0..12).any(|moment| plays(moment, 1, false).0.is_empty())));
}

/// A letter that nobody waits for any more, or of nobody that is known, changes nothing.
#[test]
fn letters_of_nobody_mean_nothing() {
    let mut post = Post::of(GOODS);
    let event = KeptEvent {
        topic: "parcels".into(),
        kind: "Arrived".into(),
        source: "dock/x".into(),
        until: BEGIN + HOUR,
        schema: 0,
        data: ringmaster_schemas::Data::new(b"{}"),
    };
    let letter = Letter::Event(ValueEvent { row: "goods/nobody".into(), place: 1, at: BEGIN, event });
    let records = post.lines[0].journal.len();
    post.bring(0, &letter.encode());
    assert_eq!(post.lines[0].events_since(records), []);
    post.bring(0, &[6, 0xff]);
    assert_eq!(post.lines[0].quarantined().len(), 1, "what is no letter is kept with the reason");
}
