//! One look for all who watch, in the name of somebody who may, and no more often than is said.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Instant;

use super::*;

const SHORT: Duration = Duration::from_millis(20);
const CLIENTS: u64 = 64;

/// Somebody who may watch as long as this is true.
fn somebody(name: &'static str, may: bool) -> Asks {
    Asks { authorization: Some(HeaderValue::from_static(name)), may: Arc::new(move || may) }
}

/// A hub where each look finds something else, and how often it was looked.
fn hub(change: impl FnOnce(&mut Limits)) -> (Arc<Hub>, Arc<AtomicUsize>) {
    let (looks, counted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut limits = Limits { every: SHORT, saga_every: SHORT, ..Limits::USUAL };
    change(&mut limits);
    let count = counted.clone();
    let hub = Hub::new(limits, Arc::new(Metrics::new("test")), move |_, _| {
        let body = format!("{{\"look\":{}}}", looks.fetch_add(1, Ordering::SeqCst)).into();
        count.fetch_add(1, Ordering::SeqCst);
        Looked { is_problem: false, body, is_here: true }
    });
    (hub, counted)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never is");
        sleep(Duration::from_millis(1)).await;
    }
}

/// However many watch the same, it is looked at once for all of them; and not at all when nobody does.
#[tokio::test]
async fn one_look_is_for_all_who_watch() {
    let (hub, looks) = hub(|_| {});
    let join = |number| hub.join(number, [Watch::Overview].into(), &somebody("a", true)).expect("room");
    let inboxes: Vec<_> = (0..CLIENTS).map(join).collect();
    until(|| hub.events.load(Ordering::SeqCst) >= 5).await;
    let (told, looked) = (hub.events.load(Ordering::SeqCst), looks.load(Ordering::SeqCst) as u64);
    assert!(looked <= told + 1, "{looked} looks for {told} events");
    for inbox in &inboxes {
        // Nobody has read anything yet.
        assert_eq!(inbox.count(), told, "each is told all");
    }
    let late = join(CLIENTS);
    assert_eq!(late.count(), 1, "who comes later is told the newest at once");
    (0..=CLIENTS).for_each(|number| hub.leave(number));
    assert_eq!(hub.watched_count(), 0);
    // What was under way has its end.
    let _all = hub.looks.acquire_many(hub.limits.looks as u32).await.expect("never closed");
    let looked = looks.load(Ordering::SeqCst);
    sleep(SHORT * 3).await;
    assert_eq!(looks.load(Ordering::SeqCst), looked, "nobody watches, and nobody looks");
}

/// However often a saga changes: between two events lies the whole pause.
#[tokio::test]
async fn a_saga_that_always_changes_is_told_no_more_often_than_is_said() {
    let (hub, _) = hub(|limits| limits.every = Duration::from_secs(3_600));
    let watch = Watch::Saga("order/a".to_owned());
    let (inbox, since) = (hub.join(1, [watch.clone()].into(), &somebody("a", true)).expect("room"), Instant::now());
    for events in 1..=10 {
        until(|| inbox.count() >= events).await;
        let least = SHORT * (inbox.count() as u32 - 1);
        assert!(since.elapsed() >= least, "{} events in {:?}", inbox.count(), since.elapsed());
    }
    hub.leave(1);
}

/// However long it takes to look at sagas, all else is told each second.
#[tokio::test]
async fn sagas_that_do_not_answer_hold_up_nothing_else() {
    let (is_silent, gate) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (silent, entered) = (is_silent.clone(), gate.clone());
    let limits = Limits { every: SHORT, saga_every: SHORT, ..Limits::USUAL };
    let hub = Hub::new(limits, Arc::new(Metrics::new("test")), move |watch, _| {
        if matches!(watch, Watch::Saga(_)) {
            entered.fetch_add(1, Ordering::SeqCst);
            while silent.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Looked { is_problem: false, body: Bytes::from_static(b"{}"), is_here: true }
    });
    let sagas = (0..10).map(|number| Watch::Saga(format!("order/{number}"))).collect();
    hub.join(1, sagas, &somebody("a", true)).expect("room");
    until(|| gate.load(Ordering::SeqCst) >= hub.limits.looks).await;
    let inbox = hub.join(2, [Watch::Overview].into(), &somebody("a", true)).expect("room");
    until(|| inbox.count() >= 3).await;
    is_silent.store(false, Ordering::SeqCst);
    hub.leave(1);
    hub.leave(2);
}

/// Others are asked by a token that is good: one that is not any more spoils nothing for those who watch the same.
#[tokio::test]
async fn it_is_looked_in_the_name_of_somebody_who_still_may() {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let names = asked.clone();
    let limits = Limits { every: SHORT, saga_every: SHORT, ..Limits::USUAL };
    let hub = Hub::new(limits, Arc::new(Metrics::new("test")), move |_, authorization| {
        names.lock().expect("no panic").insert(authorization.expect("a name").to_str().expect("text").to_owned());
        Looked { is_problem: false, body: Bytes::from_static(b"{}"), is_here: true }
    });
    hub.join(1, [Watch::Overview].into(), &somebody("revoked", false)).expect("room");
    let inbox = hub.join(2, [Watch::Overview].into(), &somebody("good", true)).expect("room");
    until(|| inbox.count() >= 2).await;
    assert_eq!(*asked.lock().expect("no panic"), ["good".to_owned()].into());
    hub.leave(2);
    let told = hub.events.load(Ordering::SeqCst);
    sleep(SHORT * 3).await;
    assert!(hub.events.load(Ordering::SeqCst) <= told + 1, "for somebody who may not nothing is looked at");
    hub.leave(1);
    assert_eq!(hub.watched_count(), 0);
}

#[test]
fn a_saga_that_is_as_it_was_is_no_news_and_a_problem_says_of_what() {
    let watch = Watch::Saga("order/a".to_owned());
    let looked = |body: &str, is_problem| Looked { is_problem, body: body.to_owned().into(), is_here: true };
    let mut seen = None;
    for (body, is_problem, told) in [
        (r#"{"status":"running","as_of_journal_offset":1}"#, false, Some("saga")),
        (r#"{"status":"running","as_of_journal_offset":2}"#, false, None),
        (r#"{"status":"stuck","as_of_journal_offset":2}"#, false, Some("saga")),
        (r#"{"status":404}"#, true, Some("problem")),
        (r#"{"status":404}"#, true, None),
        (r#"{"status":"stuck","as_of_journal_offset":9}"#, false, Some("saga")),
    ] {
        let news = news(&watch, looked(body, is_problem), &mut seen);
        assert_eq!(news.as_ref().map(|(name, _)| *name), told, "{body}");
        assert!(news.is_none_or(|(_, text)| text == body || text == r#"{"status":404,"watch":"saga:order/a"}"#), "{body}");
    }
    let mut seen = None;
    for _ in 0..2 {
        assert!(news(&Watch::Overview, looked("{}", false), &mut seen).is_some(), "each second, so that silence is no good sign");
    }
}
