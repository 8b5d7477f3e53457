//! What every request passes: who asks and whether they may, how many are answered at once and for how long, and what every answer bears.
//!
//! ```text
//! too big? -> route -> who? -> may they? -> a place among those that are answered -> at most 10 s -> headers; an error is a problem
//! ```

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use ringmaster_bus::clock::wall;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::allowed::May;
use super::denials::Denials;
use super::everyone::is_asked_by_another;
use super::fresh;
use super::live::{self, Hub};
use super::problem::{CONTENT_TYPE, Problem, Refusal};
use super::routes::{Route, Weight};
use super::sent::{is_from_elsewhere, is_no_json};
use super::who::{Denial, Principal, Who};
use crate::telemetry::Metrics;
use crate::telemetry::names::Denied;

/// A request's body is at most so large.
pub(super) const BODY_BYTES_MAX: u64 = 1 << 20;
/// Of a body that is larger so much is read and thrown away, so that whoever sends it reads the answer; behind it the connection ends.
const DRAINED_BYTES_MAX: usize = 4 << 20;
/// What says why something failed is no longer than this.
const DETAIL_BYTES_MAX: usize = 16 << 10;
/// A problem with all that it says is no longer than this.
const PROBLEM_BYTES_MAX: usize = 16 << 20;

/// How much is done at once, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Requests that are answered at once.
    pub(super) requests: usize,
    /// Those of them that read the store: so many for people, and so many for other instances.
    pub(super) reads: usize,
    /// Those of them that wait until an act is answered.
    pub(super) acts: usize,
    /// Those of them that read the journal.
    pub(super) journals: usize,
    /// Those of them that ask again until what they ask for is stored, and for how long.
    pub(super) waiting: usize,
    pub(super) fresh: Duration,
    /// How long a request waits for a place among them.
    pub(super) place: Duration,
    /// How long answering may take, with the wait for a thread.
    pub(super) answer: Duration,
    /// How long a body that is too big is read on.
    pub(super) drain: Duration,
    /// Of those who watch: they have seats of their own.
    pub(super) live: live::Limits,
}

impl Limits {
    pub(super) const USUAL: Limits = Limits {
        requests: 64,
        reads: 2,
        acts: 8,
        journals: 2,
        waiting: 32,
        fresh: fresh::PATIENCE,
        place: Duration::from_secs(1),
        answer: Duration::from_secs(10),
        drain: Duration::from_secs(5),
        live: live::Limits::USUAL,
    };
}

/// The gate of one port.
pub(super) struct Gate {
    who: Who,
    limits: Limits,
    requests: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    /// Reads for other instances, which wait for nobody: were they among all others, two instances that ask each other would wait for each
    /// other's places.
    reads_for_others: Arc<Semaphore>,
    acts: Arc<Semaphore>,
    live: Arc<Hub>,
    journals: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    denials: Denials,
    metrics: Arc<Metrics>,
}

/// Whoever was admitted to what goes on for long.
pub(super) struct Still {
    gate: Arc<Gate>,
    headers: HeaderMap,
    uri: Uri,
    may: May,
}

impl Still {
    /// Whether they would be admitted now, too: tokens end, and are revoked.
    pub(super) fn may(&self) -> bool {
        let principal = self.gate.who.asks(&self.headers, &self.uri, wall());
        principal.is_ok_and(|principal| principal.may(self.may))
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct From(pub(super) SocketAddr);

/// A place among the requests that are answered.
type Place = OwnedSemaphorePermit;

impl Gate {
    pub(super) fn new(who: Who, limits: Limits, live: Arc<Hub>, metrics: Arc<Metrics>) -> Gate {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        let Limits { requests, reads, acts, journals, waiting, .. } = limits;
        let [requests, reads, reads_for_others, acts, journals, waiting] =
            [requests, reads, reads, acts, journals, waiting].map(semaphore);
        Gate {
            who,
            limits,
            requests,
            reads,
            reads_for_others,
            acts,
            journals,
            waiting,
            live,
            denials: Denials::new(metrics.clone()),
            metrics,
        }
    }

    pub(super) fn who(&self) -> &Who {
        &self.who
    }

    /// Counts and logs that somebody is sent away.
    pub(super) fn denied(&self, denied: Denied, who: &str, at: &str, detail: &str) {
        self.denials.add(denied, who, at, detail);
    }

    /// Whether whoever asks may, and who that is.
    fn admit(&self, request: &Request, route: &Route) -> Result<Principal, (Denial, String)> {
        let from = from(request);
        // Probes reach it whatever name they know it by, and are shown nothing that is worth a name.
        if route.may == May::Reach {
            return Ok(Principal { name: "anyone".to_owned(), roles: Vec::new(), is_known: false });
        }
        let asked = self.who.asks(request.headers(), request.uri(), wall());
        let principal = asked.map_err(|denial| (denial, from.clone()))?;
        let who = || format!("{} at {from}", principal.name);
        if !principal.may(route.may) {
            let detail = format!("{} is not allowed to: it takes the role {}", principal.name, route.may.least());
            return Err(((Denied::Forbidden, detail), who()));
        }
        match is_from_elsewhere(request) {
            Some(detail) => Err(((Denied::Forbidden, detail.to_owned()), who())),
            None => Ok(principal),
        }
    }

    /// Answers, as soon as there is a place, within the time that there is.
    async fn answer(&self, request: Request, weight: Weight, next: Next) -> Result<Response, (Denied, Refusal)> {
        if matches!(weight, Weight::Probe | Weight::Live) {
            return Ok(next.run(request).await);
        }
        let place = timeout(self.limits.place, self.requests.clone().acquire_owned()).await;
        let Ok(place) = place.map(|place| place.expect("it is never closed")) else {
            let detail = format!("{} requests are being answered already", self.limits.requests);
            return Err((Denied::TooMany, Problem::TooMany.because(detail)));
        };
        let place = Arc::new(place);
        let late = || {
            let detail = format!("it took longer than {} s: ask for less, or later", self.limits.answer.as_secs());
            (Denied::TooSlow, Problem::NotNow.because(detail))
        };
        let answering = async {
            let request = match self.whole(request).await {
                Ok(request) => request,
                Err(refusal) => return with_end(refusal.into_response()),
            };
            match weight {
                Weight::Store if is_asked_by_another(request.uri()) => {
                    self.wait(request, (place, &self.reads_for_others), next).await
                }
                Weight::Store if fresh::waits(request.uri()) => self.wait_until_stored(request, place, next).await,
                Weight::Store => self.wait(request, (place, &self.reads), next).await,
                Weight::Act => self.wait(request, (place, &self.acts), next).await,
                Weight::Journal => self.wait(request, (place, &self.journals), next).await,
                _ => next.run(request).await,
            }
        };
        timeout(self.limits.answer, answering).await.map_err(|_| late())
    }

    /// A request with all of its body: nobody waits on a thread for what somebody else may never send.
    async fn whole(&self, request: Request) -> Result<Request, Refusal> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        match timeout(self.limits.drain, to_bytes(body, BODY_BYTES_MAX as usize)).await {
            Ok(Ok(bytes)) => Ok(Request::from_parts(parts, Body::from(bytes))),
            Ok(Err(_)) => Err(Problem::TooBig.because(format!("a body has at most {BODY_BYTES_MAX} bytes"))),
            Err(_) => {
                let detail = format!("its body did not come within {} s", self.limits.drain.as_secs());
                Err(Problem::BadRequest.because(detail))
            }
        }
    }

    /// Asks again for a while where what is asked for is not stored yet; meanwhile it has no thread.
    async fn wait_until_stored(&self, request: Request, place: Arc<Place>, next: Next) -> Response {
        let Ok(_waiting) = self.waiting.try_acquire() else {
            let detail = format!("{} requests wait already until what they ask for is stored", self.limits.waiting);
            return Problem::TooMany.because(detail).into_response();
        };
        let (until, (parts, _)) = (Instant::now() + self.limits.fresh, request.into_parts());
        loop {
            let again = Request::from_parts(parts.clone(), Body::empty());
            let answer = self.wait(again, (place.clone(), &self.reads), next.clone()).await;
            if !fresh::is_behind(&answer) || Instant::now() >= until {
                return answer;
            }
            sleep(fresh::AGAIN_AFTER).await;
        }
    }

    /// Answers on a thread that may wait for the disk, or the broker. One that is given up still has its place among those, until it is
    /// done.
    async fn wait(&self, request: Request, (place, threads): (Arc<Place>, &Arc<Semaphore>), next: Next) -> Response {
        let thread = threads.clone().acquire_owned().await.expect("it is never closed");
        let runtime = Handle::current();
        let answered = spawn_blocking(move || {
            let _held = (place, thread);
            runtime.block_on(next.run(request))
        });
        answered.await.unwrap_or_else(|error: JoinError| {
            tracing::error!(%error, "a request failed");
            Problem::Failed.because("it failed in here; the log says more").into_response()
        })
    }
}

/// Before the handler of a route: whether it is reached; how long its answer takes is counted.
pub(super) async fn pass(State((gate, route)): State<(Arc<Gate>, Arc<Route>)>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let answer = admitted(&gate, &route, request, next).await;
    gate.metrics.answered(&route.shown(), began.elapsed());
    answer
}

async fn admitted(gate: &Arc<Gate>, route: &Route, mut request: Request, next: Next) -> Response {
    let principal = match gate.admit(&request, route) {
        Ok(principal) => principal,
        Err(((denied, detail), who)) => {
            gate.denied(denied, &who, &route.shown(), &detail);
            return denied.problem().because(detail).into_response();
        }
    };
    if let Some(why) = is_no_json(&request) {
        return with_end(Problem::BadRequest.because(why).into_response());
    }
    let who = format!("{} at {}", principal.name, from(&request));
    request.extensions_mut().insert(principal);
    if route.weight == Weight::Live {
        let still = Still { gate: gate.clone(), headers: request.headers().clone(), uri: request.uri().clone(), may: route.may };
        match gate.live.seat(still) {
            Ok(seat) => request.extensions_mut().insert(Arc::new(seat)),
            Err(refusal) => {
                gate.denied(Denied::TooMany, &who, &route.shown(), "");
                return refusal.into_response();
            }
        };
    }
    match gate.answer(request, route.weight, next).await {
        Ok(answer) => answer,
        Err((denied, refusal)) => {
            gate.denied(denied, &who, &route.shown(), "");
            refusal.into_response()
        }
    }
}

/// Around all of it: what is too big goes no further, what failed says so as a problem, and every answer has its headers.
pub(super) async fn frame(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api");
    let asked = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let bytes = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let answer = if bytes.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
        let (who, path) = (from(&request), request.uri().path().to_owned());
        gate.denied(Denied::TooBig, &who, &path, "");
        // By HTTP/2 what is left of it is refused without the connection. An error means that its time is over.
        if request.version() != Version::HTTP_2 {
            let _ = timeout(gate.limits.drain, drained(request.into_body())).await;
        }
        Problem::TooBig.because(format!("a body has at most {BODY_BYTES_MAX} bytes")).into_response()
    } else {
        next.run(request).await
    };
    with_headers(with_instance(as_problem(answer).await, asked).await, is_api)
}

/// Of a problem, what was asked for: here, also where another instance answered.
async fn with_instance(answer: Response, asked: String) -> Response {
    if answer.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != CONTENT_TYPE) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let text = to_bytes(body, PROBLEM_BYTES_MAX).await.unwrap_or_default();
    // An answer to HEAD has no body.
    let Ok(mut problem) = serde_json::from_slice::<Map<String, Value>>(&text) else {
        return Response::from_parts(parts, Body::from(text));
    };
    problem.insert("instance".to_owned(), asked.into());
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Value::from(problem).to_string()))
}

/// Reads a body and forgets it, up to a bound.
async fn drained(mut body: Body) {
    let mut bytes = 0;
    while bytes < DRAINED_BYTES_MAX {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let Some(Ok(frame)) = frame else { return };
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}

/// An error that something between here and the handler gave, in the form that all errors have. What says more than a problem would, as
/// `/readyz` does, stays.
async fn as_problem(answer: Response) -> Response {
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !(status.is_client_error() || status.is_server_error()) || kind.starts_with(b"application/") {
        return answer;
    }
    let allow = answer.headers().get(header::ALLOW).cloned();
    let text = to_bytes(answer.into_body(), DETAIL_BYTES_MAX).await.unwrap_or_default();
    let problem = Problem::of(status);
    let detail = if text.is_empty() { problem.said().help.into() } else { String::from_utf8_lossy(&text) };
    let mut answer = problem.because(detail).into_response();
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}

/// There is no page here, so that a browser may do nothing at all with what it is given.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Pictures have styles of their own.
const OF_PICTURES: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Behind it the connection ends: what is left of the request is not read.
fn with_end(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn with_headers(mut answer: Response, is_api: bool) -> Response {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, value);
    }
    if answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"image/svg+xml")) {
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(OF_PICTURES));
    }
    if is_api {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}

fn from(request: &Request) -> String {
    request.extensions().get::<From>().map_or_else(|| "?".to_owned(), |From(address)| address.ip().to_string())
}
