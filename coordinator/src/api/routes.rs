//! Every route: what it takes to be answered, and who answers. Routing goes through this table, so that no route is without a row.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get};

use super::alerts::alerts;
use super::allowed::May;
use super::gate::{self, Gate};
use super::problem::Problem;
use super::{Sources, held_tokens, metrics, overview, participants, partitions, readiness, saga, sagas};

/// How much answering takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Next to nothing, and probes must get through whatever else is asked.
    Probe,
    /// Little: it looks at memory, or at a row of the store a partition.
    Light,
    /// It reads the store: on a thread that others do not wait for.
    Store,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) method: Method,
    /// In the words of axum: `{*id}` is the rest of the path.
    pub(super) path: &'static str,
    pub(super) may: May,
    pub(super) weight: Weight,
    handler: MethodRouter<Arc<Sources>>,
}

impl Route {
    /// As logs name it.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The table.
#[rustfmt::skip]
pub(super) fn all() -> Vec<Route> {
    let get_of = |path, may, weight, handler| Route { method: Method::GET, path, may, weight, handler };
    vec![
        get_of("/healthz",               May::Reach,      Weight::Probe, get(|| async { "ok\n" })),
        get_of("/readyz",                May::Reach,      Weight::Probe, get(readiness)),
        get_of("/metrics",               May::Measure,    Weight::Light, get(metrics)),
        get_of("/api/partitions",        May::See,        Weight::Light, get(partitions)),
        get_of("/api/v1/overview",       May::See,        Weight::Store, get(overview)),
        get_of("/api/v1/alerts",         May::See,        Weight::Light, get(alerts)),
        get_of("/api/v1/participants",   May::See,        Weight::Store, get(participants)),
        get_of("/api/sagas",             May::See,        Weight::Store, get(sagas)),
        get_of("/api/sagas/{*id}",       May::See,        Weight::Store, get(saga)),
        get_of("/api/tokens",            May::Administer, Weight::Light, get(held_tokens)),
    ]
}

/// What answers all requests. Each passes the gate of its row; what has none, or was not asked for in that way, is a problem.
pub(super) fn router(sources: Arc<Sources>, gate: &Arc<Gate>) -> Router {
    let mut router = Router::new();
    for route in all() {
        let (path, handler) = (route.path, route.handler.clone());
        router = router.route(path, handler.route_layer(from_fn_with_state((gate.clone(), Arc::new(route)), gate::pass)));
    }
    router
        .fallback(|| async { Problem::NotFound.because("there is nothing at this path") })
        .layer(DefaultBodyLimit::max(gate::BODY_BYTES_MAX as usize))
        .layer(from_fn_with_state(gate.clone(), gate::frame))
        .with_state(sources)
}
