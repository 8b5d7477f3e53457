//! Who looks at a running instance now and then, each on a thread of its own: books of participants, lags of inputs, all rows, and
//! acts on many sagas.

use std::sync::Arc;
use std::time::Duration;

use ringmaster_bus::kafka::member_counts;
use ringmaster_bus::{Bus, BusError};
use ringmaster_core::partition::StageName;
use ringmaster_schemas::names::Topics;

use super::exit::Failure;
use super::run::patient;
use crate::batches::{Batches, Clients, Driver, Written};
use crate::blocking;
use crate::config::{BusKind, Config};
use crate::runtime::{self, Instance, Lags, Newest, PartitionStatus, Status, View};
use crate::scaling::{AskMembers, Scaling};
use crate::telemetry::Metrics;

/// How often it is looked how far behind inputs are, and how long the broker has to say so.
const LAGS_EVERY: Duration = Duration::from_secs(10);
const LAGS_PATIENCE: Duration = Duration::from_secs(2);

/// How often books are looked at, and the broker is asked who works for participants: no more come before those that were begun are seen.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
const MEMBERS_EVERY: Duration = Duration::from_secs(2);

/// What is looked at, and where what was found is told.
pub(super) struct Seen {
    pub(super) status: Arc<Status>,
    pub(super) newest: Arc<Newest>,
    pub(super) metrics: Arc<Metrics>,
}

/// Begins all of it, by clients of its own, until the instance ends; what requests are answered by.
pub(super) fn attend<B: Bus + Send + 'static>(
    instance: &mut Instance,
    (config, client): (&Config, &(impl Fn(&Config) -> Result<B, BusError> + Clone + Send + Sync + 'static)),
    (outputs, view): (Vec<(String, i32)>, Box<View>),
    seen: &Seen,
) -> Result<(Arc<Scaling>, Arc<Batches>), Failure> {
    lags(instance, client(&patient(config))?, seen);
    rows(instance, config, view, seen);
    let scaling = scaling(instance, config.scaling(outputs, ask_members(config)), seen);
    Ok((scaling, batches(instance, config, &seen.status, client.clone())))
}

/// Who asks the broker how many members groups have; nobody where there are none.
fn ask_members(config: &Config) -> Option<Box<AskMembers>> {
    let settings = config.kafka_settings();
    let ask = move |groups: &[String]| member_counts(&settings, groups).map_err(|error| error.to_string());
    (config.bus == BusKind::Kafka).then(|| Box::new(ask) as Box<AskMembers>)
}

/// Tells which participant is about to be the bottleneck, until the instance ends.
fn scaling(instance: &mut Instance, scaling: Scaling, seen: &Seen) -> Arc<Scaling> {
    let scaling = Arc::new(scaling);
    let (looks, status, known) = (scaling.clone(), seen.status.clone(), seen.newest.clone());
    instance.attend("scaling", SAMPLE_EVERY, move |_| looks.sample(runtime::now(), &status, &known));
    let (asks, known) = (scaling.clone(), seen.newest.clone());
    instance.attend("members", MEMBERS_EVERY, move |_| asks.ask_members(&runtime::now, &known));
    scaling
}

/// Tells how far behind inputs are, until the instance ends.
fn lags<B: Bus + Send + 'static>(instance: &mut Instance, bus: B, seen: &Seen) {
    let (mut lags, status, metrics) = (Lags::new(bus, LAGS_PATIENCE), seen.status.clone(), seen.metrics.clone());
    instance.attend("lags", LAGS_EVERY, move |_| metrics.lag(&lags.look(&status, &runtime::wall)));
}

/// Looks at all rows now and then, in the store of this view, until the instance ends.
fn rows(instance: &mut Instance, config: &Config, view: Box<View>, seen: &Seen) {
    let Seen { status, newest, metrics } = seen;
    let (status, newest, metrics) = (status.clone(), newest.clone(), metrics.clone());
    let mut scrubber = config.scrubber(view);
    instance.attend("scrubber", config.limits.scrub_every, move |ends| {
        let (knowledge, now) = (newest.get(), runtime::wall());
        let found = scrubber.turn(&status, &knowledge, &metrics.usual(), (now, ends));
        metrics.scrubbed(found, &knowledge.catalog, now);
    });
}

/// Carries out acts on many sagas, of the partitions that the instance has, until it ends.
fn batches<B: Bus + Send + 'static>(
    instance: &mut Instance,
    config: &Config,
    status: &Arc<Status>,
    client: impl Fn(&Config) -> Result<B, BusError> + Clone + Send + Sync + 'static,
) -> Arc<Batches> {
    let (topics, of_writer) = (Topics::new(&config.prefix), config.clone());
    let (name, make) = (topics.batches.clone(), client.clone());
    let writers = crate::api::Clients::new(move || make(&of_writer));
    let append = move |records: &[Written]| {
        let keyed: Vec<_> = records.iter().map(|record| (record.says.batch().as_bytes().to_vec(), record.bytes())).collect();
        let mut writer = writers.take()?;
        blocking::append(&mut writer, &name, 0, &keyed)?;
        writers.give_back(writer);
        Ok(())
    };
    let batches = Arc::new(Batches::new(append));
    let (of_reader, of_hand, reader) = (patient(config), config.clone(), client.clone());
    let clients = Clients { reader: Box::new(move || reader(&of_reader)), hand: Box::new(move || client(&of_hand)) };
    let mut driver = Driver::new(topics, config.partitions, batches.clone(), clients);
    let status = status.clone();
    instance.attend("batches", Duration::ZERO, move |_| {
        let owns = |one: PartitionStatus| (one.phase == StageName::Owning).then_some(one.partition);
        driver.turn(&status.partitions().into_iter().filter_map(owns).collect(), runtime::now());
    });
    batches
}
