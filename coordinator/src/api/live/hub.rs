//! Who watches what: seats for those who watch, and one sampler for each thing that anybody watches.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::sleep;

use super::stream::{Event, Inbox, Stream};
use super::{Limits, Watch};
use crate::api::gate::Still;
use crate::api::problem::{Problem, Refusal};
use crate::api::saga::whenever;
use crate::telemetry::Metrics;

/// What is found when something is looked at.
#[derive(Debug, Clone)]
pub(in crate::api) struct Looked {
    /// The plain route answers with a problem.
    pub(super) is_problem: bool,
    /// What it answers: JSON in one line.
    pub(super) body: Bytes,
    /// It lies here; else another instance was asked.
    pub(super) is_here: bool,
}

/// Looks at what is watched, in the name of somebody who watches; may wait.
type Look = dyn Fn(&Watch, Option<HeaderValue>) -> Looked + Send + Sync;

/// All who watch one port.
pub(in crate::api) struct Hub {
    limits: Limits,
    look: Arc<Look>,
    metrics: Arc<Metrics>,
    seats: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    watched: Mutex<BTreeMap<Watch, Watched>>,
    /// Numbers of events: along a connection they only grow.
    events: AtomicU64,
    clients: AtomicU64,
}

/// Something that is watched.
struct Watched {
    clients: Vec<Client>,
    /// For who comes later.
    newest: Option<Event>,
    sampler: AbortHandle,
}

/// Whoever watches it.
struct Client {
    number: u64,
    inbox: Arc<Inbox>,
    authorization: Option<HeaderValue>,
}

impl Drop for Watched {
    /// Nobody watches it any more.
    fn drop(&mut self) {
        self.sampler.abort();
    }
}

impl Hub {
    pub(in crate::api) fn new(
        limits: Limits,
        metrics: Arc<Metrics>,
        look: impl Fn(&Watch, Option<HeaderValue>) -> Looked + Send + Sync + 'static,
    ) -> Arc<Hub> {
        Arc::new(Hub {
            limits,
            look: Arc::new(look),
            metrics,
            seats: Arc::new(Semaphore::new(limits.clients)),
            looks: Arc::new(Semaphore::new(limits.looks)),
            watched: Mutex::default(),
            events: AtomicU64::new(0),
            clients: AtomicU64::new(0),
        })
    }

    /// A seat, if one is free, for somebody who may watch.
    pub(in crate::api) fn seat(self: &Arc<Hub>, still: Still) -> Result<Seat, Refusal> {
        let Ok(place) = self.seats.clone().try_acquire_owned() else {
            let detail = format!("{} watch already, and no more can: a client that leaves makes room", self.limits.clients);
            return Err(Problem::TooMany.because(detail));
        };
        self.metrics.live_clients(1.0);
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        Ok(Seat { hub: self.clone(), number, still, _place: place })
    }

    /// Somebody watches all of this from now on.
    fn join(
        self: &Arc<Hub>,
        number: u64,
        watches: BTreeSet<Watch>,
        authorization: Option<HeaderValue>,
    ) -> Result<Arc<Inbox>, Refusal> {
        let mut watched = self.watched();
        let is_saga = |watch: &&Watch| matches!(watch, Watch::Saga(_));
        let new = watches.iter().filter(is_saga).filter(|watch| !watched.contains_key(watch)).count();
        if new + watched.keys().filter(is_saga).count() > self.limits.sagas {
            let detail = format!("{} sagas are watched by all together, and no more can be", self.limits.sagas);
            return Err(Problem::TooMany.because(detail));
        }
        let inbox = Arc::new(Inbox::default());
        for watch in watches {
            let of = watched.entry(watch.clone()).or_insert_with_key(|watch| Watched {
                clients: Vec::new(),
                newest: None,
                sampler: tokio::spawn(self.clone().sample(watch.clone())).abort_handle(),
            });
            if let Some(newest) = &of.newest {
                inbox.put(&watch, newest.clone());
            }
            of.clients.push(Client { number, inbox: inbox.clone(), authorization: authorization.clone() });
        }
        Ok(inbox)
    }

    fn leave(&self, number: u64) {
        let mut watched = self.watched();
        for of in watched.values_mut() {
            of.clients.retain(|client| client.number != number);
        }
        watched.retain(|_, of| !of.clients.is_empty());
    }

    /// Looks for all who watch it, until nobody does.
    async fn sample(self: Arc<Hub>, watch: Watch) {
        let mut seen = None;
        loop {
            let thread = self.looks.clone().acquire_owned().await.expect("it is never closed");
            let Some(authorization) = self.in_whose_name(&watch) else { return };
            let (look, of) = (self.look.clone(), watch.clone());
            let looking = spawn_blocking(move || {
                let _held = thread;
                look(&of, authorization)
            });
            let pause = match looking.await {
                Ok(looked) => {
                    let pause = self.pause(&watch, &looked);
                    if let Some(body) = news(&watch, looked, &mut seen) {
                        self.tell(&watch, &body);
                    }
                    pause
                }
                Err(error) => {
                    tracing::error!(%error, watch = watch.shown(), "looking at what is watched failed");
                    self.limits.every
                }
            };
            // Behind what was told, so that there is never more in a second than is said.
            sleep(pause).await;
        }
    }

    fn pause(&self, watch: &Watch, looked: &Looked) -> Duration {
        match watch {
            Watch::Saga(_) if looked.is_here => self.limits.saga_every,
            _ => self.limits.every,
        }
    }

    /// Other instances are asked in the name of who has watched it for longest; none if nobody does.
    fn in_whose_name(&self, watch: &Watch) -> Option<Option<HeaderValue>> {
        let watched = self.watched();
        watched.get(watch)?.clients.first().map(|client| client.authorization.clone())
    }

    fn tell(&self, watch: &Watch, (name, body): &(&'static str, String)) {
        let mut watched = self.watched();
        let Some(of) = watched.get_mut(watch) else { return };
        let number = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        let mut text = String::with_capacity(body.len() + 64);
        write!(text, "event: {name}\nid: {number}\ndata: {body}\n\n").expect("writing to a string");
        let event = Event { number, text: text.into() };
        of.clients.iter().for_each(|client| client.inbox.put(watch, event.clone()));
        of.newest = Some(event);
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<Watch, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is watched now.
    #[cfg(test)]
    pub(super) fn watched_count(&self) -> usize {
        self.watched().len()
    }
}

/// The event that tells what was looked at, and its body; none where a saga is as it was.
fn news(watch: &Watch, looked: Looked, seen: &mut Option<Value>) -> Option<(&'static str, String)> {
    let mut body = String::from_utf8_lossy(&looked.body).into_owned();
    if looked.is_problem {
        let mut problem: Value = serde_json::from_str(&body).unwrap_or_default();
        problem["watch"] = watch.shown().into();
        body = problem.to_string();
    }
    if let Watch::Saga(_) = watch {
        // As of when it is moves on also where the saga does not.
        let now = whenever(serde_json::from_str(&body).unwrap_or_default());
        if seen.as_ref() == Some(&now) {
            return None;
        }
        *seen = Some(now);
    }
    Some((if looked.is_problem { "problem" } else { watch.event() }, body))
}

/// Somebody's place among those who watch; leaving it ends what they watched.
pub(in crate::api) struct Seat {
    hub: Arc<Hub>,
    number: u64,
    still: Still,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    pub(super) fn limits(&self) -> &Limits {
        &self.hub.limits
    }

    /// Whoever has it may watch no more.
    pub(super) fn is_lost(&self) -> bool {
        !self.still.may()
    }

    /// All events of what is watched, as long as that is read.
    pub(super) fn take(self: Arc<Self>, watches: BTreeSet<Watch>, authorization: Option<HeaderValue>) -> Result<Stream, Refusal> {
        let inbox = self.hub.join(self.number, watches, authorization)?;
        Ok(Stream::new(inbox, self))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.leave(self.number);
        self.hub.metrics.live_clients(-1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const CLIENTS: u64 = 64;

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
        let join = |number| hub.join(number, [Watch::Overview].into(), None).expect("room");
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
        let (inbox, since) = (hub.join(1, [watch.clone()].into(), None).expect("room"), Instant::now());
        for events in 1..=10 {
            until(|| inbox.count() >= events).await;
            let least = SHORT * (inbox.count() as u32 - 1);
            assert!(since.elapsed() >= least, "{} events in {:?}", inbox.count(), since.elapsed());
        }
        hub.leave(1);
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
            assert!(
                news(&Watch::Overview, looked("{}", false), &mut seen).is_some(),
                "each second, so that silence is no good sign"
            );
        }
    }
}
