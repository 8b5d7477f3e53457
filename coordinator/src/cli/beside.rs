//! What runs beside the workers of `run`: HTTP, the rules of alerts, and who tells traces.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use ringmaster_bus::{Bus, BusError};
use ringmaster_schemas::names::Topics;
use ringmaster_store::Store;

use super::exit::{Exit, Failure};
use super::rivals;
use crate::alerts::{Alerts, Telling, Watching, watch};
use crate::api::{self, Port, Server, Sources};
use crate::batches::Batches;
use crate::config::{BusKind, Config, Setting};
use crate::runtime::{Newest, Plan, Status, wall};
use crate::scaling::Scaling;
use crate::telemetry::Metrics;
use crate::traces::{self, Tracer};

/// What looks at a running instance; dropping it ends it.
pub(super) struct Beside {
    _watching: Watching,
    _server: Option<Server>,
}

/// Who tells alerts, if settings say where.
pub(super) fn telling(config: &Config, metrics: &Arc<Metrics>) -> Result<Option<Telling>, Failure> {
    let start = |webhook: &crate::alerts::Webhook| webhook.start(&config.instance, metrics.clone());
    config.alerts.as_ref().map(start).transpose().map_err(|why| Failure::new(Exit::Refused, why))
}

/// Who tells traces, by a client of its own; nobody where settings do not say where to.
pub(super) fn tracer<B: Bus>(
    config: &Config,
    client: impl FnOnce() -> Result<B, BusError>,
    (status, store, known, metrics): (&Arc<Status>, &Arc<dyn Store>, &Arc<Newest>, &Arc<Metrics>),
) -> Result<Option<Tracer<B>>, Failure> {
    let Some(endpoint) = config.tracing.clone() else { return Ok(None) };
    let (status, store, known, metrics) = (status.clone(), store.clone(), known.clone(), metrics.clone());
    let sources = traces::Sources { status, store, known, metrics };
    let refused = |why| Failure::new(Exit::Refused, format_args!("tracing.endpoint: {why}"));
    Tracer::new(client()?, &config.prefix, endpoint, sources).map(Some).map_err(refused)
}

/// Starts it.
pub(super) fn start(listening: Option<(TcpListener, Port)>, sources: Sources, telling: Option<Telling>) -> Result<Beside, Failure> {
    let failed = |what: &str, error| Failure::new(Exit::Failed, format_args!("{what}: {error}"));
    let (watched, mut was_read) = (sources.clone(), true);
    // Times pass as they do, whoever sets the machine's clock: windows have no place for a time that comes twice.
    let (began, began_at) = (Instant::now(), wall());
    let clock = move || began_at + began.elapsed().as_millis() as i64;
    let look = move || {
        watched.metrics.mark(clock());
        if let Err(why) = watched.count() {
            if was_read {
                // What is made of counts stays as it was; all else is watched.
                tracing::warn!(%why, "the counts cannot be read, and alerts are made of what was read last");
            }
            was_read = false;
        } else {
            was_read = true;
        }
        watched.samples()
    };
    let tell = move |change: &_| telling.iter().for_each(|telling| telling.tell(change));
    let watching = watch(sources.alerts.clone(), clock, look, tell).map_err(|error| failed("alerts", error))?;
    let server = listening.map(|(listener, port)| api::serve(listener, sources, port)).transpose();
    Ok(Beside { _watching: watching, _server: server.map_err(|error| failed("HTTP", error))? })
}

/// What runs, for whoever asks over HTTP.
pub(super) struct Known {
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: Arc<Status>,
    pub(super) store: Arc<dyn Store>,
    pub(super) knowledge: Arc<Newest>,
    pub(super) peers: Option<Arc<api::Peers>>,
    pub(super) scaling: Arc<Scaling>,
    pub(super) batches: Arc<Batches>,
    pub(super) durability: Option<Arc<str>>,
}

/// All that is shown over HTTP, and what brings there what is asked for.
pub(super) fn sources<B: Bus + Send + 'static>(
    config: &Config,
    settings: Arc<[Setting]>,
    known: Known,
    client: impl Fn(&Config) -> Result<B, BusError> + Clone + Send + Sync + 'static,
) -> Sources {
    let Known { metrics, status, store, knowledge, peers, scaling, batches, durability } = known;
    Sources {
        metrics,
        status,
        store,
        knowledge,
        partitions: config.partitions,
        peers,
        scaling,
        alerts: Arc::new(Alerts::new(&config.instance)),
        tokens: None,
        hand: Some(hand(config, client.clone())),
        reader: Some(reader(config, client.clone())),
        acts: Arc::default(),
        batches,
        editing: Arc::new(editing(config, client)),
        settings,
        durability,
    }
}

/// What brings acts that come over HTTP to the partitions.
fn hand<B: Bus + Send + 'static>(
    config: &Config,
    client: impl Fn(&Config) -> Result<B, BusError> + Send + Sync + 'static,
) -> Arc<dyn api::Hand> {
    let (topics, config) = (Topics::new(&config.prefix), config.clone());
    Arc::new(api::BusHand::new(topics, move || client(&config)))
}

/// What reads topics for whoever asks over HTTP.
fn reader<B: Bus + Send + 'static>(
    config: &Config,
    client: impl Fn(&Config) -> Result<B, BusError> + Send + Sync + 'static,
) -> Arc<dyn api::Reader> {
    let (topics, config) = (Topics::new(&config.prefix), config.clone());
    Arc::new(api::BusReader::new(topics, move || client(&config)))
}

/// What is done with definitions that come over HTTP.
fn editing<B: Bus + Send + 'static>(
    config: &Config,
    client: impl Fn(&Config) -> Result<B, BusError> + Send + Sync + 'static,
) -> api::Editing {
    let (deploying, makes_topics) = (config.deploying(), config.bus == BusKind::Embedded);
    let (own, asks) = (config.clone(), config.clone());
    let refuse = move |plan: &Plan| rivals::refuse(&asks, plan, |_| false).map_err(|failure| failure.message);
    let setup = config.setup();
    let inputs = setup.inputs.clone();
    let broker = api::BusBroker::new((setup, deploying.clone(), makes_topics), refuse, move || client(&own));
    api::Editing { deploying, inputs, may_deploy: config.api.deploy, broker: Some(Arc::new(broker)) }
}
