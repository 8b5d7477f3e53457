//! `run`: a coordinator until it is told to stop.
//!
//! ```text
//! address -> bus -> topics -> definitions and schemas -> checks -> store -> workers -> HTTP -> signal -> orderly end
//! ```

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringmaster_bus::embedded::Log;
use ringmaster_bus::kafka::{KafkaBus, Member, MemberFound, members};
use ringmaster_bus::{Alone, Bus, BusError, Membership};
use ringmaster_core::definition::Catalog;
use ringmaster_core::partition::{Counters, Times};
use ringmaster_schemas::names::Topics;
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;

use super::definitions::{configured_files, require_topics};
use super::exit::{Exit, Failure};
use super::topics::apply_on;
use super::{attending, beside, others, rivals};
use crate::api;
use crate::config::{BusKind, Config, Setting};
use crate::runtime::{
    self, Follower, Following, Holding, Instance, Knowledge, Newest, Parts, Plan, Setup, SetupSettings, SnapshotSettings, Standby,
    Status, View,
};
use crate::telemetry::Metrics;

/// How often the main thread looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the broker holds a fetch of what is deployed; a question behind it waits as long.
const FOLLOWER_FETCH_WAIT_MS: u32 = 300;

/// What reading the store for snapshots keeps in memory.
const VIEW_BYTES: usize = 8 << 20;

/// `ringmaster run`
pub(super) fn run(config: &Config, settings: Vec<Setting>) -> Result<(), Failure> {
    let (stop, settings) = (stop_signal()?, settings.into());
    match config.bus {
        BusKind::Kafka => {
            let client = |config: &Config| KafkaBus::new(config.kafka_settings());
            let mut first = client(config)?;
            require_topics(&mut first, config)?;
            let member =
                |address| Ok(Box::new(Member::join(config.kafka_settings(), config.joining(address))?) as Box<dyn Membership>);
            run_on((config, settings), first, client, member, &stop)
        }
        BusKind::Embedded => {
            let log = Log::open(&config.embedded.dir, config.log_settings())?;
            let mut first = log.client();
            // Nobody else can make topics in a directory that this process has locked.
            for name in apply_on(&mut first, config, &[], 1)? {
                tracing::info!(topic = name, "made a topic");
            }
            let member = |_| Ok(Box::new(Alone::new(config.partitions)) as Box<dyn Membership>);
            run_on((config, settings), first, move |_| Ok(log.client()), member, &stop)
        }
    }
}

/// How topics of events are read: who wonders where an event is finds that here.
fn say_topics(setup: &Setup, catalog: &Catalog) {
    for (topic, partitions) in setup.routed() {
        tracing::info!(topic, partitions, "routed: its events go by the inbox to the partitions that their sagas live in");
    }
    let is_routed = |topic: &str| setup.routed().iter().any(|(routed, _)| routed == topic);
    for note in crate::topics::keys_by_expression(catalog, is_routed) {
        tracing::info!("{note}");
    }
}

/// True once SIGTERM or SIGINT came; a second one ends the process at once.
pub(super) fn stop_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // In this order: the first signal finds the flag unset, and sets it for the second.
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(Exit::Failed as u8), stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(|error| Failure::new(Exit::Failed, format_args!("signals: {error}")))?;
    }
    Ok(stop)
}

/// What workers count goes into the metrics.
fn reporting(metrics: Arc<Metrics>) -> runtime::Report {
    Arc::new(move |counted: &Counters, times: &Times| {
        metrics.add(counted);
        metrics.took(times);
    })
}

fn run_on<B: Bus + Send + 'static>(
    (config, shown): (&Config, Arc<[Setting]>),
    mut first: B,
    client: impl Fn(&Config) -> Result<B, BusError> + Clone + Send + Sync + 'static,
    member: impl Fn(String) -> Result<Box<dyn Membership>, Failure>,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    // First of all: who has the store is the one that runs.
    let opened = RocksStore::open(&config.store_dir(), config.partitions, config.shares().store)?;
    let listener = config.api.listen.map(listen).transpose()?;
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let (port, api) = port(config, address)?;
    let (status, metrics) = (Arc::new(Status::default()), Arc::new(Metrics::new(&config.instance)));
    let telling = beside::telling(config, &metrics)?;
    let peers = peers(config);
    let knowledge = deploy_folder(&mut first, config, peers.as_deref(), stop)?;
    // The port may have been chosen by the system; claims name the real one.
    let settings = SetupSettings { address: address.map_or_else(String::new, |address| address.to_string()), ..config.setup() };
    let setup = runtime::prepare(&mut first, &settings, &knowledge)?;
    say_missing(&setup);
    say_topics(&setup, &knowledge.catalog);
    let store: Arc<dyn Store> = Arc::new(opened.store);
    let buses = std::iter::once(Ok(first)).chain((1..config.workers).map(|_| client(config))).collect::<Result<Vec<_>, _>>()?;
    let knowledge = Arc::new(knowledge);
    let newest = Arc::new(Newest::new(knowledge.clone()));
    let tracer = beside::tracer(config, || client(&patient(config)), (&status, &store, &newest, &metrics))?;
    let (whole, report) = (config.instance(), &reporting(metrics.clone()));
    let parts = Parts {
        setup: &setup,
        knowledge: &knowledge,
        store: &store,
        settings: whole,
        status: &status,
        report,
        standby: standby(config, peers.clone()),
    };
    let taker = |retention| client(config).map(|bus| (bus, snapshots(config, &setup, retention)));
    let durability: Option<Arc<str>> = setup.durability().map(Into::into);
    let snapshots = config.journal_retention.map(taker).transpose()?;
    let mut instance = Instance::start(buses, member(settings.address.clone())?, &parts);
    if let Some((bus, settings)) = snapshots {
        instance.take_snapshots(bus, settings, view(config), status.clone());
    }
    tracer.into_iter().for_each(|tracer| instance.trace(tracer));
    let seen = attending::Seen { status: status.clone(), newest: newest.clone(), metrics: metrics.clone() };
    let outputs = setup.worker().outputs;
    let (scaling, batches) = attending::attend(&mut instance, (config, &client), (outputs, view(config)), &seen)?;
    let following = following(config, settings);
    instance.follow(Follower::new(client(&patient(config))?, following, knowledge, setup), newest.clone());
    let (watched, durable) = (status.clone(), durability.clone());
    let known = beside::Known { metrics, status: watched, store, knowledge: newest, peers, scaling, batches, durability: durable };
    let sources = beside::sources(config, shown, known, client);
    let beside = beside::start(listener.zip(port), sources, telling);
    if beside.is_ok() {
        say_started(config, &api, durability.as_deref());
        watch(&instance, &status, config.partitions, stop);
    }
    instance.stop();
    let stopped = instance.join();
    drop(beside?);
    finished(stopped)
}

fn say_started(config: &Config, api: &str, durability: Option<&str>) {
    let Config { instance, workers, partitions, .. } = config;
    tracing::info!(instance, workers, partitions, api, durability, "started");
}

/// How what is deployed is followed.
fn following(config: &Config, setup: SetupSettings) -> Following {
    Following {
        setup,
        deploying: config.deploying(),
        makes_topics: config.bus == BusKind::Embedded,
        folder: config.definitions_watched.then(|| config.definitions.clone()),
    }
}

/// How it takes snapshots.
fn snapshots(config: &Config, setup: &Setup, retention: Duration) -> SnapshotSettings {
    SnapshotSettings {
        retention_ms: retention.as_millis() as i64,
        owner: config.instance.as_str().into(),
        topics: Topics::new(&config.prefix),
        journal: setup.journal(),
    }
}

/// The store as it was when it was last flushed.
fn view(config: &Config) -> Box<View> {
    let dir = config.store_dir();
    Box::new(move || {
        let store = RocksStore::look(&dir, VIEW_BYTES).map_err(|error| error.to_string())?;
        Ok(Arc::new(store) as Arc<dyn Store>)
    })
}

/// Deploys what is new in the folder of definitions, unless others run by other rules, or start the same sagas by another prefix; what is
/// known then.
fn deploy_folder(bus: &mut impl Bus, config: &Config, peers: Option<&api::Peers>, stop: &AtomicBool) -> Result<Knowledge, Failure> {
    let deploying = config.deploying();
    // Topics first: what was deployed stays, also with a misspelt topic.
    let mut plan = Plan::make(bus, &deploying, &configured_files(config)?, runtime::wall())?;
    say_plan(&plan, config);
    others::refuse_other_definitions(&plan, config, peers, stop)?;
    rivals::refuse(config, &plan, others::patience(stop, rivals::PATIENCE))?;
    runtime::prepare(bus, &config.setup(), &plan.knowledge)?;
    plan.publish(bus, &deploying)?;
    Ok(runtime::load_knowledge(bus, &config.prefix, &config.schemas, &[], &deploying.options, runtime::wall())?)
}

/// What sagas of older versions send somewhere in vain.
fn say_missing(setup: &Setup) {
    if setup.missing().is_empty() {
        return;
    }
    let topics = setup.missing().iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    tracing::warn!(
        topics,
        "only versions that are not in force any more send there, and it does not exist (or is not as it must be): what a saga \
         that still runs by one of them sends there waits until it is mended (`ringmaster topics apply`)"
    );
}

/// Who is asked for the other instances; none where there can be none.
fn peers(config: &Config) -> Option<Arc<api::Peers>> {
    let (settings, group) = (config.kafka_settings(), config.group());
    let ask = move || members(&settings, &group).map_err(|error| error.to_string());
    let speak_tls = config.api.tls.is_some();
    (config.bus == BusKind::Kafka).then(|| Arc::new(api::Peers::new(ask).by_tls(speak_tls)))
}

/// How it keeps warm copies of what others have; none where there are no others.
fn standby(config: &Config, peers: Option<Arc<api::Peers>>) -> Option<Standby> {
    let (copies, name, peers) = (config.standby, config.instance.clone(), peers?);
    let holding = |member: MemberFound| Holding { name: member.name, partitions: member.partitions };
    let ask = move || Ok(peers.members()?.into_iter().map(holding).collect());
    (copies > 0).then(|| Standby { copies, name, ask: Arc::new(ask) })
}

/// What the port is like, and its address for people. Opened before anything else is done: a mistake in its files ends the start.
fn port(config: &Config, address: Option<SocketAddr>) -> Result<(Option<api::Port>, String), Failure> {
    let Some(address) = address else { return Ok((None, "off".to_owned())) };
    let port = api::Port::open(&config.api, address).map_err(|why| Failure::new(Exit::Refused, why))?;
    let shown = format!("{}://{address}", port.scheme());
    Ok((Some(port), shown))
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    api::listen(address).map_err(|error| {
        let why = format_args!("HTTP cannot listen on {address}: {error}. Choose another with --set api.listen=..., or 'off'");
        Failure::new(Exit::Refused, why)
    })
}

/// The settings of a client that reads what comes now and then: its fetches wait longer, and are fewer.
pub(super) fn patient(config: &Config) -> Config {
    let mut config = config.clone();
    config.kafka.passthrough.entry("fetch.wait.max.ms".to_owned()).or_insert_with(|| FOLLOWER_FETCH_WAIT_MS.to_string());
    config
}

/// What people should know of the folder of definitions before a start.
fn say_plan(plan: &Plan, config: &Config) {
    for line in plan.told() {
        tracing::warn!("{line}");
    }
    for saga in &plan.others {
        tracing::warn!(
            saga,
            "it is deployed and in no file of the folder of definitions: it still starts. To end that, deploy a version whose start \
             has `if: false`"
        );
    }
    if plan.knowledge.catalog.versions().is_empty() {
        tracing::warn!(folder = ?config.definitions, "no saga is deployed and the folder of definitions has none: nothing will start");
    }
}

/// Waits for a signal or a failure; says once when everything is owned.
fn watch(instance: &Instance, status: &Status, partitions: i32, stop: &AtomicBool) {
    let mut is_said = false;
    while !stop.load(Ordering::Relaxed) && !instance.failed() {
        if !is_said && status.ready() {
            match status.share().map_or(0, |share| share.len()) {
                all if all == partitions as usize => tracing::info!(partitions, "ready: all partitions are owned and read"),
                share => tracing::info!(share, partitions, "ready: this instance's share of the partitions is owned and read"),
            }
            let stuck: usize = status.partitions().iter().map(|partition| partition.stuck).sum();
            if stuck > 0 {
                tracing::warn!(stuck, "sagas are stuck and need a person: `ringmaster saga list --stuck` names them");
            }
            is_said = true;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    if stop.load(Ordering::Relaxed) {
        tracing::info!("asked to stop: finishing what is on its way, at most 10 s; a second signal ends at once");
    }
}

/// The first reason that says most: another process of this name explains everything that follows it.
fn finished(stopped: runtime::Stopped) -> Result<(), Failure> {
    let mut failures: Vec<Failure> = stopped.stops.into_iter().map(Failure::from).collect();
    for failure in &failures {
        tracing::error!("{}", failure.message);
    }
    failures.sort_by_key(|failure| (failure.exit != Exit::Fenced, failure.exit as u8));
    match failures.into_iter().next() {
        Some(first) => Err(first),
        None => {
            tracing::info!("stopped in order");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ringmaster_core::partition::Why;
    use runtime::Stop;

    #[test]
    fn another_of_this_name_explains_what_follows_it() {
        let fenced = || Stop::Group("fenced by another of the same name".into());
        let lost = || Stop::Partition(Why::InputLost { partition: 1, topic: "orders".into(), position: 3 });
        let bus = || Stop::Bus("gone".into());
        for stops in [vec![fenced(), lost(), bus()], vec![bus(), lost(), fenced()]] {
            let failure = finished(runtime::Stopped { counters: Vec::new(), stops }).expect_err("it failed");
            assert_eq!(failure.exit, Exit::Fenced, "{}", failure.message);
        }
        let failure = finished(runtime::Stopped { counters: Vec::new(), stops: vec![lost(), bus()] }).expect_err("it failed");
        let first = [lost(), bus()].into_iter().map(Failure::from).min_by_key(|failure| failure.exit as u8).expect("one of two");
        assert_eq!(failure, first, "the lowest code is the most certain");
        assert_eq!(finished(runtime::Stopped { counters: Vec::new(), stops: Vec::new() }), Ok(()));
    }
}
