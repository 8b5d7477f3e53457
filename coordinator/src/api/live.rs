//! Live: what is watched, as it changes, over one connection that stays (server-sent events).
//!
//! ```text
//! ?watch=overview&watch=saga:ID -> a seat -> an inbox -> events, each the body of the plain route
//! each watch that anybody has: one sampler -> the newest, in the inbox of each who watches it
//! ```

mod hub;
mod stream;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use ringmaster_schemas::names::percent_encode;
use tokio::runtime::Handle;

use super::everyone::Request;
use super::openapi::Problems;
use super::problem::{Problem, Refusal};
use super::{OfPartitions, Sources, alerts, overview, participants, saga, sagas, scaling};
pub(super) use hub::{Hub, Looked, Seat};

/// An answer that is larger is told as a problem.
const BODY_BYTES_MAX: usize = 16 << 20;

/// How much is watched at once, and how often it is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Who watch at once.
    pub(super) clients: usize,
    /// What each of them watches.
    pub(super) watches: usize,
    /// Sagas that all of them watch together.
    pub(super) sagas: usize,
    /// Looks at once: threads of their own, so that who watches and who asks do not wait for each other.
    pub(super) looks: usize,
    /// From one look to the next.
    pub(super) every: Duration,
    /// The same at a saga of this instance.
    pub(super) saga_every: Duration,
    /// Who is told nothing else is told so often that the connection stands.
    pub(super) comment: Duration,
    /// Then a connection ends, so that none outlives what it came through; whoever watches comes again.
    pub(super) life: Duration,
}

impl Limits {
    pub(super) const USUAL: Limits = Limits {
        clients: 64,
        watches: 16,
        sagas: 256,
        looks: 2,
        every: Duration::from_secs(1),
        saga_every: Duration::from_millis(250),
        comment: Duration::from_secs(15),
        life: Duration::from_secs(3_600),
    };
}

/// What can be watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watch {
    Overview,
    Participants,
    Alerts,
    Scaling,
    /// By its id.
    Saga(String),
}

/// For whom there is nothing of that name.
const ALLOWED: &str = "watch is overview, participants, scaling, alerts, or saga:ID such as saga:order-fulfilment/ord-17; it may be given several times";

impl Watch {
    fn parse(text: &str, partitions: i32) -> Result<Watch, String> {
        match text {
            "overview" => Ok(Watch::Overview),
            "participants" => Ok(Watch::Participants),
            "alerts" => Ok(Watch::Alerts),
            "scaling" => Ok(Watch::Scaling),
            _ => match text.strip_prefix("saga:") {
                Some(id) if saga::partition_of(id, partitions).is_some() => Ok(Watch::Saga(id.to_owned())),
                Some(id) => Err(format!("'{id}' is not a saga id: {ALLOWED}")),
                None => Err(format!("'{text}' cannot be watched: {ALLOWED}")),
            },
        }
    }

    /// As it was asked for.
    fn shown(&self) -> String {
        match self {
            Watch::Saga(id) => format!("saga:{id}"),
            _ => self.event().to_owned(),
        }
    }

    /// What its events are called.
    fn event(&self) -> &'static str {
        match self {
            Watch::Overview => "overview",
            Watch::Participants => "participants",
            Watch::Alerts => "alerts",
            Watch::Scaling => "scaling",
            Watch::Saga(_) => "saga",
        }
    }

    /// The plain route that says the same.
    fn path(&self) -> String {
        let mut path = format!("/api/v1/{}", self.event());
        if let Watch::Saga(id) = self {
            path.push_str("?id=");
            percent_encode(id, &mut path);
        }
        path
    }
}

/// What is watched, of the parameters.
fn watches(pairs: Vec<(String, String)>, partitions: i32, max: usize) -> Result<BTreeSet<Watch>, Refusal> {
    let wrong = |why: String| Problem::BadRequest.because(why);
    let mut watches = BTreeSet::new();
    for (name, value) in pairs {
        if name != "watch" {
            return Err(wrong(format!("there is no parameter '{name}': {ALLOWED}")));
        }
        watches.insert(Watch::parse(&value, partitions).map_err(wrong)?);
    }
    match watches.len() {
        0 => Err(wrong(format!("nothing is watched: {ALLOWED}"))),
        count if count > max => Err(wrong(format!("{count} are watched over one connection, at most {max} can be"))),
        _ => Ok(watches),
    }
}

/// What is watched, as it changes: server-sent events `overview`, `participants`, `scaling` and `alerts`, each once a second; `saga` when that
/// has changed, at most four times a second. `data` is in one line what the plain route answers; `problem` is what it answers instead, with
/// the member `watch`. Whoever reads too slowly is told the newest of each, and before it `resync` with how many events were `left_out`.
/// A comment comes every 15 s, and the end after an hour: then, and whenever the connection is lost, ask again.
#[utoipa::path(
    get,
    path = "/api/v1/live",
    tag = "operation",
    params(("watch" = Vec<String>, Query, description = "What is watched: overview, participants, scaling, alerts, or saga:ID; up to 16.",
            explode = true, min_items = 1, max_items = 16, example = json!(["overview"]))),
    responses((status = 200, body = String, content_type = "text/event-stream", description = "Events, without end"), Problems)
)]
pub(super) async fn live(
    State(sources): State<Arc<Sources>>,
    Extension(seat): Extension<Arc<Seat>>,
    headers: HeaderMap,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Response {
    let watches = match watches(pairs, sources.partitions, seat.limits().watches) {
        Ok(watches) => watches,
        Err(refusal) => return refusal.into_response(),
    };
    match seat.take(watches, headers.get(header::AUTHORIZATION).cloned()) {
        Ok(stream) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
                // Some proxies keep an answer until it is whole.
                (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
            ];
            (headers, axum::body::Body::new(stream)).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Looks as the plain route does, on a thread that may wait, in the name of somebody who watches.
pub(super) fn look(sources: &Arc<Sources>, watch: &Watch, authorization: Option<HeaderValue>) -> Looked {
    let failed = |why: &str| Problem::Failed.because(why).into_response();
    let mut headers = HeaderMap::new();
    headers.extend(authorization.map(|authorization| (header::AUTHORIZATION, authorization)));
    let (state, of) = (State(sources.clone()), Query(OfPartitions::default()));
    Handle::current().block_on(async {
        let answer = match watch.path().parse() {
            Err(_) => failed("it is no path"),
            Ok(uri) => {
                let request = Request { uri, headers };
                match watch {
                    Watch::Overview => overview::overview(state, request, of).await,
                    Watch::Participants => participants(state, request, of).await,
                    Watch::Alerts => alerts::alerts(state, request, of).await,
                    Watch::Scaling => scaling::all(state, request, of).await,
                    Watch::Saga(id) => sagas::saga(state, request, Query(sagas::IdQuery::of(id))).await,
                }
            }
        };
        let is_problem = !answer.status().is_success();
        let body = to_bytes(answer.into_body(), BODY_BYTES_MAX).await;
        let is_here = match watch {
            Watch::Saga(id) => saga::partition_of(id, sources.partitions).is_some_and(|of| sources.hosted().contains(&of)),
            _ => true,
        };
        match body {
            Ok(body) => Looked { is_problem, body, is_here },
            Err(_) => {
                let answer = failed(&format!("it has more than {BODY_BYTES_MAX} bytes"));
                let body: Bytes = to_bytes(answer.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
                Looked { is_problem: true, body, is_here }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::routes;
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<Vec<String>, (u16, String)> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let watches = watches(pairs, 4, 3).map_err(Refusal::told)?;
        Ok(watches.iter().map(Watch::path).collect())
    }

    #[test]
    fn what_is_watched_is_said_and_what_cannot_be_too() {
        let all = [("watch", "saga:order/a%20b"), ("watch", "overview"), ("watch", "overview"), ("watch", "alerts")];
        let paths = ["/api/v1/overview", "/api/v1/alerts", "/api/v1/saga?id=order%2Fa%2520b"];
        assert_eq!(asked(&all), Ok(paths.map(str::to_owned).to_vec()), "each once");
        for (wrong, why) in [
            (&[][..], "nothing is watched"),
            (&[("watch", "sagas")], "'sagas' cannot be watched: watch is overview, participants"),
            (&[("watch", "saga:nonsense")], "'nonsense' is not a saga id"),
            (&[("wacth", "overview")], "no parameter 'wacth'"),
            (&[("watch", "overview"), ("watch", "alerts"), ("watch", "participants"), ("watch", "saga:a/b")], "at most 3"),
        ] {
            let (code, detail) = asked(wrong).expect_err(why);
            assert!(code == 400 && detail.contains(why), "{code} {detail}");
        }
    }

    /// Who may watch may see the same on its plain route: nothing is shown here to somebody who may not ask for it there.
    #[test]
    fn a_watch_takes_what_its_plain_route_takes() {
        let may = |path: &str| routes::all().iter().find(|route| route.path == path).map(|route| route.may).expect("a route");
        for watch in [Watch::Overview, Watch::Participants, Watch::Alerts, Watch::Scaling, Watch::Saga("order/a".to_owned())] {
            let path = watch.path();
            assert_eq!(may(path.split('?').next().unwrap_or_default()), may("/api/v1/live"), "{watch:?}");
        }
    }
}
