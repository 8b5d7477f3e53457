//! What a value's row remembers, and how much: events that come again, that are large, that nobody can tell of; and values that are given
//! to nobody.

use ringmaster_schemas::journal::{Change, KeptEvent, Letter, SagaEvent, ValueClaim, ValueEvent, ValueName};
use ringmaster_schemas::names::partition_of;

use ringmaster_core::partition::{Happened, Held, Wish};

use super::post::{INBOX, Post};
use super::{GOODS, HOUR, arrived, in_partition, value_of};
use crate::line::{BEGIN, without};

fn places() -> (String, String) {
    (in_partition("k", 0, 0), in_partition("p", 1, 0))
}

/// What was taken or passed by is for nobody when it comes again, by another record.
#[test]
fn an_event_that_was_looked_at_is_recognised() {
    let comes_again = |id: &str| {
        let mut post = Post::of(GOODS);
        let (key, parcel) = places();
        post.waits_for(&key, &parcel);
        post.settle();
        for (weight, id) in [(0, "light"), (5, "it")] {
            post.comes(0, &arrived(&parcel, weight, id));
            post.settle();
        }
        post.restart(1, false);
        let next = in_partition("k", 1, 0);
        post.waits_for(&next, &parcel);
        post.settle();
        // Another producer sent it too: it stands in another partition of its topic.
        post.comes(1, &arrived(&parcel, 7, id));
        post.settle();
        post.replays();
        (post.taken(&next), post.mailbox(&parcel).early().len())
    };
    for id in ["it", "light"] {
        assert_eq!(comes_again(id), (Vec::new(), 0), "{id}");
    }
    assert_eq!(comes_again("other"), (vec!["dock/other".to_owned()], 0));
    without("seen_event_forgotten", || assert_eq!(comes_again("it").0, ["dock/it"]));
}

/// So many are remembered, and so long.
#[test]
fn what_was_looked_at_is_remembered_within_bounds() {
    let mut post = Post::of(GOODS);
    let parcel = in_partition("p", 1, 0);
    for round in 0..4 {
        let key = in_partition("k", 0, round);
        post.waits_for(&key, &parcel);
        post.settle();
        for number in 0..40 {
            post.comes(0, &arrived(&parcel, 0, &format!("light{round}.{number}")));
        }
        post.settle();
        post.comes(0, &arrived(&parcel, 1, &format!("it{round}")));
        post.settle();
        assert_eq!(post.taken(&key), [format!("dock/it{round}")]);
    }
    let row = post.mailbox(&parcel);
    assert_eq!(row.seen().len(), ringmaster_core::saga::SEEN_MAX);
    assert_eq!(row.seen().last().map(|seen| &*seen.source), Some("dock/it3"));
    post.pass(ringmaster_core::saga::LEFT_KEPT_MS + HOUR);
    let key = in_partition("k", 0, 4);
    post.waits_for(&key, &parcel);
    post.settle();
    post.comes(1, &arrived(&parcel, 1, "it3"));
    post.settle();
    assert_eq!(post.taken(&key), ["dock/it3"]);
    post.replays();
}

/// An event of which the `if` says nothing fails the wait, as one that is known by a key does, and is looked at: the next wait does not fail by it.
#[test]
fn an_event_that_nobody_can_tell_of_fails_one_wait() {
    let fails = || {
        let mut post = Post::of(GOODS);
        let (key, parcel) = places();
        let heavy = format!(
            r#"{{"specversion":"1.0","source":"dock","id":"odd","type":"Arrived","data":{{"parcel":"{parcel}","weight":"heavy"}}}}"#
        );
        post.comes(0, &heavy);
        post.settle();
        post.waits_for(&key, &parcel);
        post.settle();
        assert_eq!(post.refused(&key).len(), 1);
        let next = in_partition("k", 1, 0);
        post.waits_for(&next, &parcel);
        post.settle();
        post.replays();
        post.refused(&next).len() + post.mailbox(&parcel).early().len()
    };
    assert_eq!(fails(), 0);
    without("event_nobody_can_tell_of_stays", || assert_ne!(fails(), 0));
}

fn large(parcel: &str, id: &str, bytes: usize) -> String {
    let filler = "x".repeat(bytes);
    format!(
        r#"{{"specversion":"1.0","source":"dock","id":"{id}","type":"Arrived","data":{{"parcel":"{parcel}","weight":0,"filler":"{filler}"}}}}"#
    )
}

/// While somebody has the value the oldest give way, by bytes as by number, and the journal says so; one that fits into no row is kept with
/// the reason, and nothing gives way to it.
#[test]
fn the_oldest_gives_way_and_the_journal_says_so() {
    let mut post = Post::with_inbox(GOODS, 1_000_000);
    let (key, parcel) = places();
    post.waits_for(&key, &parcel);
    post.settle();
    for number in 0..5 {
        post.comes(0, &large(&parcel, &format!("large{number}"), 60_000));
        post.settle();
    }
    let early =
        |post: &mut Post| -> Vec<String> { post.mailbox(&parcel).early().iter().map(|event| event.source.to_string()).collect() };
    assert_eq!(early(&mut post), ["dock/large2", "dock/large3", "dock/large4"]);
    let expired = |post: &Post| -> usize {
        let count = |event: &SagaEvent| match event {
            SagaEvent::EventsExpired { count } => usize::from(*count),
            _ => 0,
        };
        post.events_of(&value_of(&parcel)).iter().map(count).sum()
    };
    assert_eq!(expired(&post), 2);
    assert_eq!(post.lines.iter().map(|line| line.counters.events_expired).sum::<u64>(), 2);
    post.comes(0, &large(&parcel, "huge", 250_000));
    post.settle();
    assert_eq!(early(&mut post).len(), 3);
    assert_eq!(post.lines.iter().map(|line| line.quarantined().len()).sum::<usize>(), 1);
    for number in 0..100 {
        post.comes(0, &large(&parcel, &format!("small{number}"), 10));
        post.settle();
    }
    let left = early(&mut post);
    assert_eq!((left.len(), expired(&post)), (100, 5));
    assert_eq!(left[0], "dock/small0");
    post.comes(0, &arrived(&parcel, 1, "it"));
    post.settle();
    assert_eq!(post.taken(&key), ["dock/it"]);
    post.replays();
}

/// A value that is given to a wait which is not there, whyever, goes back.
#[test]
fn a_value_that_is_given_to_nobody_goes_back() {
    let holder = |row: &str, at: i64| {
        let mut post = Post::of(GOODS);
        let (key, parcel) = places();
        post.waits_for(&key, &parcel);
        post.settle();
        post.comes(0, &arrived(&parcel, 1, "it"));
        post.settle();
        // A claim that the value's partition does not know to be over, of so many that were since.
        let part = |text: &str| text.into();
        let name = ValueName {
            topic: part("parcels"),
            kind: part("Arrived"),
            field: part("parcel"),
            value: part(&in_partition("p", 1, 1)),
        };
        let parcel = name.value.to_string();
        let claim = ValueClaim { name, row: row.replace("KEY", &key).as_str().into(), place: 1, at, waiting: Vec::new() };
        let to = partition_of(parcel.as_bytes(), 2) as usize;
        post.bring(to, &Letter::Claim(claim).encode());
        assert!(post.holder(&parcel).is_some());
        for _ in 0..2 {
            post.settle();
            (0..2).for_each(|at| post.restart(at, false));
        }
        post.settle();
        let returned = |change: &Change| matches!(change, Change::ValueReturned(_));
        let said = post.lines.iter().flat_map(|line| line.all_changes()).filter(returned).count();
        post.replays();
        (post.holder(&parcel), said)
    };
    // One of which the wait is over, one that is another's of the same id, an item that was swept, and one that never was.
    for row in ["goods/KEY", "goods/KEY/parcels.0", "goods/nobody"] {
        assert_eq!(holder(row, BEGIN - 1), (None, 1), "{row}");
    }
    without("value_given_to_nobody", || assert!(holder("goods/nobody", BEGIN).0.is_some()));
}

/// An event comes to its wait before that is given its value, which goes back then, before the wait's own release: nobody else takes that
/// event.
#[test]
fn what_goes_back_says_what_was_taken() {
    let taken = || {
        let mut post = Post::of(GOODS);
        let (one, two, parcel) = (in_partition("k", 0, 0), in_partition("k", 0, 1), in_partition("p", 1, 0));
        post.comes(1, &arrived(&parcel, 1, "it"));
        post.settle();
        post.waits_for(&one, &parcel);
        // What is sent comes, but what is kept back comes behind it.
        let bring = |post: &mut Post, is_late: &dyn Fn(&Letter) -> bool| -> Vec<(usize, Vec<u8>)> {
            post.collect();
            let all = std::mem::take(&mut post.mail).into_iter();
            let late = |(_, bytes): &(usize, Vec<u8>)| Letter::decode(bytes).is_ok_and(|letter| is_late(&letter));
            let (late, soon): (Vec<_>, Vec<_>) = all.partition(late);
            soon.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
            late
        };
        bring(&mut post, &|_| false);
        let given = bring(&mut post, &|letter| matches!(letter, Letter::Given(_)));
        let release = bring(&mut post, &|letter| matches!(letter, Letter::Release(_)));
        assert_eq!((given.len(), release.len()), (1, 1));
        given.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
        post.settle();
        post.waits_for(&two, &parcel);
        post.settle();
        release.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
        post.settle();
        post.replays();
        (post.taken(&one), post.taken(&two))
    };
    let (it, nothing) = (vec!["dock/it".to_owned()], Vec::new());
    assert_eq!(taken(), (it.clone(), nothing));
    without("returned_without_what_was_taken", || assert_eq!(taken(), (it.clone(), it)));
}

const BEHIND: &str = "
saga: goods
start: { on: Asked, from: alphas, key: event.id }
retain: 2h
steps:
  - { step: label, do: worker.Label, undo: nothing, with: { id: key } }
  - { step: pay, do: worker.Pay, pivot: true, with: { id: key } }
  - { step: back, wait: Arrived, from: parcels, match: parcel == steps.label.parcel, within: 1h }
";

/// A claim that is denied is over, also where the wait needs a person by then.
#[test]
fn a_denied_claim_is_over_for_its_row_too() {
    let claims = || {
        let mut post = Post::of(BEHIND);
        let (one, two, parcel) = (in_partition("k", 0, 0), in_partition("k", 1, 0), in_partition("p", 1, 0));
        for key in [&one, &two] {
            post.waits_for(key, &parcel);
            post.reply(&format!("goods/{key}/pay/do"), "succeeded", "null");
            post.collect();
            if key == &one {
                post.settle();
            }
        }
        // The answer is late: its time is over when it comes.
        let late = std::mem::take(&mut post.mail);
        for line in &mut post.lines {
            line.pass(HOUR + 1_000);
            line.look();
        }
        late.iter().for_each(|(to, bytes)| post.bring(*to, bytes));
        post.settle();
        post.replays();
        post.row(&format!("goods/{two}")).map(|row| row.claims().len())
    };
    assert_eq!(claims(), Some(0));
    without("denied_claim_stands", || assert_eq!(claims(), Some(1)));
}

/// A letter whose event its wait cannot read is kept with the reason, and its event was looked at: the wait waits on.
#[test]
fn an_event_that_cannot_be_read_is_passed_by() {
    let mut post = Post::of(GOODS);
    let (key, parcel) = places();
    post.waits_for(&key, &parcel);
    post.settle();
    let claim = post.mailbox(&parcel).mailbox().and_then(|mailbox| mailbox.holder.clone()).expect("it has the value");
    let event = |source: &str, schema, data: &[u8]| KeptEvent {
        topic: "parcels".into(),
        kind: "Arrived".into(),
        source: source.into(),
        until: BEGIN + HOUR,
        schema,
        data: ringmaster_schemas::Data::new(data),
    };
    let brings = |event| Letter::Event(ValueEvent { row: claim.row.clone(), place: claim.place, at: claim.at, event }).encode();
    let at = |key: &str| partition_of(key.as_bytes(), 2) as usize;
    for _ in 0..2 {
        post.bring(at(&key), &brings(event("dock/odd", 0, b"no JSON")));
        // Its schema may be on its way to here: whoever waits next may read it.
        post.bring(at(&key), &brings(event("dock/new", 77, b"\x00")));
    }
    let passed = |event: &SagaEvent| match event {
        SagaEvent::EventPassed { source, .. } => Some(source.to_string()),
        _ => None,
    };
    let all: Vec<String> = post.events_of(&claim.row).iter().filter_map(passed).collect();
    assert_eq!((all, post.lines[at(&key)].quarantined().len()), (vec!["dock/odd".to_owned()], 4));
    post.comes(0, &arrived(&parcel, 1, "it"));
    post.settle();
    assert_eq!(post.taken(&key), ["dock/it"]);
    post.replays();
}

/// A letter that is sent again when the wait is over changes nothing, whatever it says.
#[test]
fn a_letter_of_a_wait_that_is_over_is_recognised() {
    let mut post = Post::of(GOODS);
    let (key, parcel) = places();
    post.waits_for(&key, &parcel);
    post.settle();
    post.comes(0, &arrived(&parcel, 1, "it"));
    let mut letters = Vec::new();
    for _ in 0..10 {
        post.collect();
        for (to, bytes) in std::mem::take(&mut post.mail) {
            post.bring(to, &bytes);
            letters.extend(Letter::is_one(&bytes).then_some((to, bytes)));
        }
    }
    let kinds: Vec<Letter> = letters.iter().map(|(_, bytes)| Letter::decode(bytes).expect("a letter")).collect();
    assert!(matches!(&kinds[..], [Letter::Event(_), Letter::Release(_)]), "{kinds:?}");
    let before = post.events_of(&format!("goods/{key}"));
    let row = post.mailbox(&parcel);
    for (to, bytes) in letters.iter().chain(letters.iter().rev()) {
        post.bring(*to, bytes);
        post.settle();
    }
    assert_eq!((post.events_of(&format!("goods/{key}")), post.mailbox(&parcel)), (before, row));
    post.replays();
}

/// While starts are held, and with them the inbox by which they come, what those who wait and values write to each other comes all the same.
#[test]
fn letters_come_while_starts_are_held() {
    let starts = "---
saga: counted
start: { on: Counted, from: parcels, key: event.id }
steps:
  - { step: task, do: worker.Work, undo: worker.Rest }
";
    let mut post = Post::of(&format!("{GOODS}{starts}"));
    let (key, parcel) = places();
    let other = in_partition("k", 0, 1);
    post.waits_for(&key, &parcel);
    post.settle();
    post.comes(1, &arrived(&parcel, 0, "light"));
    post.settle();
    let line = &mut post.lines[0];
    line.happens(Happened::Behind(true));
    line.poll();
    assert_eq!(line.partition.held(), Held::Behind);
    assert!(line.wishes.iter().any(|wish| matches!(wish, Wish::Pause(INBOX, true))));
    // A claim of another one is refused, and the event comes: both are told by the other partition.
    post.waits_for(&other, &parcel);
    post.comes(1, &arrived(&parcel, 1, "it"));
    post.settle();
    assert_eq!((post.refused(&other), post.taken(&key)), (vec!["VALUE_TAKEN".to_owned()], vec!["dock/it".to_owned()]));
    post.replays();
}
