//! Every route: what it takes to be answered, and who answers. Routing goes through this table, so that no route is without a row.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::alerts::alerts;
use super::allowed::May;
use super::gate::{self, Gate};
use super::problem::{NOTHING_HERE, Problem};
use super::{
    Sources, acts, audit, batches, definitions, editing, held_tokens, history, instances, live, me, metrics, openapi, overview,
    participants, partitions, quarantine, readiness, redrive, replays, saga_graph, sagas, scaling, settings, topics,
};

/// How much answering takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Next to nothing, and probes must get through whatever else is asked.
    Probe,
    /// Little: it looks at memory, or at a row of the store a partition.
    Light,
    /// It reads the store: on a thread that others do not wait for.
    Store,
    /// It waits for the broker, and for what is decided: on another one.
    Act,
    /// It goes on for long, with a seat of its own.
    Live,
    /// It reads topics: on another one, since the broker may let it wait.
    Journal,
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
    let post_of = |path, may, weight, handler| Route { method: Method::POST, path, may, weight, handler };
    vec![
        get_of("/healthz",               May::Reach,      Weight::Probe, get(|| async { "ok\n" })),
        get_of("/readyz",                May::Reach,      Weight::Probe, get(readiness)),
        get_of("/metrics",               May::Measure,    Weight::Light, get(metrics)),
        get_of("/api/v1/acts",           May::See,        Weight::Journal, get(audit::acts)),
        post_of("/api/v1/acts",          May::Act,        Weight::Act,   post(acts::act)),
        get_of("/api/v1/batches",        May::See,        Weight::Light, get(batches::list)),
        post_of("/api/v1/batches",       May::Operate,    Weight::Act,   post(batches::preview)),
        get_of("/api/v1/batches/{id}",   May::See,        Weight::Light, get(batches::show)),
        get_of("/api/v1/batches/{id}/sagas", May::See, Weight::Light, get(batches::sagas)),
        post_of("/api/v1/batches/{id}/start",  May::Operate, Weight::Act, post(batches::start)),
        post_of("/api/v1/batches/{id}/{wish}", May::Operate, Weight::Act, post(batches::wish)),
        get_of("/api/v1/definitions",    May::See,        Weight::Store, get(definitions::all)),
        get_of("/api/v1/definitions/{name}/graph", May::See, Weight::Store, get(definitions::picture)),
        get_of("/api/v1/definitions/{name}/{version}", May::See, Weight::Store, get(definitions::one)),
        post_of("/api/v1/definitions:check",  May::See,    Weight::Store, post(editing::check)),
        post_of("/api/v1/definitions:deploy", May::Deploy, Weight::Act,   post(editing::deploy)),
        post_of("/api/v1/definitions:graph",  May::See,    Weight::Store, post(editing::draw)),
        post_of("/api/v1/definitions:test",   May::See,    Weight::Store, post(editing::test)),
        get_of("/api/v1/instances",      May::See,        Weight::Journal, get(instances::instances)),
        get_of("/api/v1/me",             May::See,        Weight::Light, get(me)),
        get_of("/api/v1/openapi.json",   May::See,        Weight::Light, get(openapi::openapi)),
        get_of("/api/v1/overview",       May::See,        Weight::Store, get(overview::overview)),
        get_of("/api/v1/alerts",         May::See,        Weight::Store, get(alerts)),
        get_of("/api/v1/live",           May::See,        Weight::Live,  get(live::live)),
        get_of("/api/v1/participants",   May::See,        Weight::Store, get(participants)),
        get_of("/api/v1/participants/{name}", May::See,   Weight::Store, get(participants::one)),
        get_of("/api/v1/participants/{name}/scaling", May::See, Weight::Store, get(scaling::one)),
        get_of("/api/v1/scaling",        May::See,        Weight::Store, get(scaling::all)),
        get_of("/api/v1/partitions",     May::See,        Weight::Light, get(partitions)),
        get_of("/api/v1/quarantine",     May::See,        Weight::Journal, get(quarantine::list)),
        get_of("/api/v1/quarantine/{partition}/{offset}", May::SeeBodies, Weight::Journal, get(quarantine::one)),
        post_of("/api/v1/quarantine:discard", May::Operate, Weight::Act, post(redrive::discard)),
        post_of("/api/v1/quarantine:redrive", May::Operate, Weight::Act, post(redrive::redrive)),
        post_of("/api/v1/replays",       May::Operate,    Weight::Act,   post(replays::replay)),
        get_of("/api/v1/sagas",          May::See,        Weight::Store, get(sagas::sagas)),
        get_of("/api/v1/saga",           May::See,        Weight::Store, get(sagas::saga)),
        get_of("/api/v1/saga/graph",     May::See,        Weight::Store, get(saga_graph::graph)),
        get_of("/api/v1/saga/why",       May::See,        Weight::Store, get(sagas::why)),
        get_of("/api/v1/settings",       May::See,        Weight::Light, get(settings::settings)),
        get_of("/api/v1/topics",         May::See,        Weight::Journal, get(topics::all)),
        get_of("/api/v1/topics/{topic}/{partition}/{offset}", May::SeeBodies, Weight::Journal, get(topics::record)),
        get_of("/api/v1/saga/history",   May::See,        Weight::Journal, get(history::history)),
        get_of("/api/v1/tokens",         May::Administer, Weight::Light, get(held_tokens)),
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
        .fallback(|| async { Problem::NotFound.because(NOTHING_HERE) })
        .layer(DefaultBodyLimit::max(gate::BODY_BYTES_MAX as usize))
        .layer(from_fn_with_state(gate.clone(), gate::frame))
        .with_state(sources)
}
