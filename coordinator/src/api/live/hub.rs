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
    /// Of sagas, of which there may be many: what is told each second does not wait for them.
    looks_at_sagas: Arc<Semaphore>,
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
    asks: Asks,
}

/// By what somebody who watches asks, and whether they still may.
#[derive(Clone)]
pub(super) struct Asks {
    pub(super) authorization: Option<HeaderValue>,
    pub(super) may: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// In whose name something is looked at.
enum Name {
    /// Theirs.
    Of(Option<HeaderValue>),
    /// Of those who watch nobody may any more: they find out with what they are told next, or with the end of their connection.
    OfNobody,
    /// Nobody watches it.
    Unwatched,
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
            looks_at_sagas: Arc::new(Semaphore::new(limits.looks)),
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
        Ok(Seat { hub: self.clone(), number, still: Arc::new(still), _place: place })
    }

    /// Somebody watches all of this from now on.
    fn join(self: &Arc<Hub>, number: u64, watches: BTreeSet<Watch>, asks: &Asks) -> Result<Arc<Inbox>, Refusal> {
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
            of.clients.push(Client { number, inbox: inbox.clone(), asks: asks.clone() });
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
            let looks = if matches!(watch, Watch::Saga(_)) { &self.looks_at_sagas } else { &self.looks };
            let thread = looks.clone().acquire_owned().await.expect("it is never closed");
            let authorization = match self.in_whose_name(&watch) {
                Name::Of(authorization) => authorization,
                Name::OfNobody => {
                    drop(thread);
                    sleep(self.limits.every).await;
                    continue;
                }
                Name::Unwatched => return,
            };
            let (look, of, before) = (self.look.clone(), watch.clone(), seen.take());
            // What is found is compared and written there, too: all connections have one thread.
            let looking = spawn_blocking(move || {
                let _held = thread;
                let (looked, mut seen) = (look(&of, authorization), before);
                let is_here = looked.is_here;
                (is_here, news(&of, looked, &mut seen), seen)
            });
            let pause = match looking.await {
                Ok((is_here, news, now)) => {
                    seen = now;
                    if let Some(body) = news {
                        self.tell(&watch, &body);
                    }
                    self.pause(&watch, is_here)
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

    fn pause(&self, watch: &Watch, is_here: bool) -> Duration {
        match watch {
            Watch::Saga(_) if is_here => self.limits.saga_every,
            _ => self.limits.every,
        }
    }

    /// Other instances are asked in the name of who has watched it for longest, of those who still may.
    fn in_whose_name(&self, watch: &Watch) -> Name {
        let asks: Vec<Asks> = match self.watched().get(watch) {
            Some(of) => of.clients.iter().map(|client| client.asks.clone()).collect(),
            None => return Name::Unwatched,
        };
        let may = asks.into_iter().find(|asks| (asks.may)());
        may.map_or(Name::OfNobody, |asks| Name::Of(asks.authorization))
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
    still: Arc<Still>,
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
        let still = self.still.clone();
        let asks = Asks { authorization, may: Arc::new(move || still.may()) };
        let inbox = self.hub.join(self.number, watches, &asks)?;
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
mod tests;
