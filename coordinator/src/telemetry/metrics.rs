//! Metrics: counters by handles that are looked up once, gauges read when somebody asks.

mod samples;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use ringmaster_core::definition::Catalog;
use ringmaster_core::partition::{Counters, Times};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::DefinitionHash;

use super::counted::{self, ByName};
use super::foretold::{self, Foretold};
use super::lately::{Lately, Sums, Within};
use super::names::{self, Delivery, Denied, Kind, Metric, TraceOutcome};
use super::port::{self, Port};
use super::scrubbed::{self, ByRow};
use super::took::{self, StepSums, StepsSeen, Took};
use super::watched::{self, Watched};
use crate::api::{AsOf, Overview};
use crate::runtime::{FollowedStatus, Lag, PartitionStatus, Scrubbed, TopicStatus, Totals, Usual, resident_bytes};
use crate::scaling::Told;

/// All metrics of one instance.
pub struct Metrics {
    instance: String,
    recorder: PrometheusRecorder,
    counters: Vec<Counter>,
    /// The same, to be read here.
    sums: Vec<AtomicU64>,
    /// By partition; grown as partitions are first seen.
    partitions: Mutex<Vec<Vec<Gauge>>>,
    /// The same for copies of what others have.
    standby: Mutex<Vec<Gauge>>,
    /// By topic.
    topics: Mutex<BTreeMap<Arc<str>, Vec<Gauge>>>,
    by_name: ByName,
    foretold: Foretold,
    took: Took,
    lately: Lately,
    watched: Watched,
    by_row: ByRow,
    port: Port,
    denied: Vec<Counter>,
    deliveries: Vec<Counter>,
    live_clients: Gauge,
    /// Exported, dropped.
    traced: [Counter; 2],
    memory: Gauge,
    cpu: Gauge,
}

impl Metrics {
    /// Whose they are.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Registers and describes every metric of the table.
    pub fn new(instance: &str) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let is_told = |metric: &Metric| {
            let all = took::ALL
                .into_iter()
                .chain(watched::ALL)
                .chain(port::ALL)
                .chain(scrubbed::ALL)
                .chain(counted::all())
                .chain(foretold::all());
            all.into_iter().any(|told| told.name == metric.name)
        };
        for metric in names::all().filter(|metric| !is_told(metric)) {
            describe(&recorder, &metric);
        }
        let counters =
            names::COUNTERS.iter().map(|(metric, _)| recorder.register_counter(&key(metric, vec![]), &METADATA)).collect();
        let denied = Denied::ALL.map(|why| key(&names::DENIED, vec![Label::new("why", why.as_str())]));
        let denied = denied.iter().map(|key| recorder.register_counter(key, &METADATA)).collect();
        let deliveries = Delivery::ALL.map(|outcome| key(&names::DELIVERIES, vec![Label::new("outcome", outcome.as_str())]));
        let deliveries = deliveries.iter().map(|key| recorder.register_counter(key, &METADATA)).collect();
        let traced = [names::TRACES_EXPORTED, names::TRACES_DROPPED]
            .map(|metric| recorder.register_counter(&key(&metric, vec![]), &METADATA));
        let single = |metric: &Metric, labels| recorder.register_gauge(&key(metric, labels), &METADATA);
        let version = Label::new("version", env!("CARGO_PKG_VERSION"));
        single(&names::INFO, vec![version, Label::new("instance", instance.to_owned())]).set(1.0);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        single(&names::STARTED, vec![]).set(since_epoch);
        let live_clients = single(&names::LIVE_CLIENTS, vec![]);
        let (memory, cpu) = (single(&names::MEMORY, vec![]), single(&names::CPU, vec![]));
        Metrics {
            instance: instance.to_owned(),
            recorder,
            counters,
            sums: names::COUNTERS.map(|_| AtomicU64::new(0)).into(),
            partitions: Mutex::default(),
            standby: Mutex::default(),
            topics: Mutex::default(),
            by_name: ByName::new(),
            foretold: Foretold::new(),
            took: Took::default(),
            lately: Lately::default(),
            watched: Watched::new(),
            by_row: ByRow::new(),
            port: Port::new(),
            denied,
            deliveries,
            live_clients,
            traced,
            memory,
            cpu,
        }
    }

    /// Adds what was counted since the last time. Workers call it now and then, never for a single record.
    pub fn add(&self, counted: &Counters) {
        for ((_, count), (counter, sum)) in names::COUNTERS.iter().zip(self.counters.iter().zip(&self.sums)) {
            counter.increment(count(counted));
            sum.fetch_add(count(counted), Ordering::Relaxed);
        }
    }

    /// Counts a request that is not answered.
    pub fn denied(&self, why: Denied) {
        self.denied[why as usize].increment(1);
    }

    /// So many more watch, or fewer.
    pub(crate) fn live_clients(&self, more: f64) {
        self.live_clients.increment(more);
    }

    /// Counts how long the answer to a request of this route took.
    pub(crate) fn answered(&self, route: &str, took: Duration) {
        self.port.answered(route, took);
    }

    /// Counts what became of an act that was asked for.
    pub(crate) fn act(&self, act: &str, outcome: &str) {
        self.port.act(act, outcome);
    }

    /// Counts what became of a change that the webhook is told.
    pub(crate) fn delivery(&self, outcome: Delivery) {
        self.deliveries[outcome as usize].increment(1);
    }

    /// Counts spans by what became of them.
    pub(crate) fn traced(&self, outcome: TraceOutcome, count: u64) {
        self.traced[outcome as usize].increment(count);
    }

    /// Adds what took how long since the last time.
    pub fn took(&self, times: &Times) {
        self.took.add(times);
    }

    /// All metrics as Prometheus's text format; definitions by their names in this catalog.
    pub fn render(
        &self,
        partitions: &[PartitionStatus],
        followed: &[FollowedStatus],
        topics: &[TopicStatus],
        catalog: &Catalog,
    ) -> String {
        self.set_partitions(partitions);
        self.set_standby(followed);
        self.set_topics(topics);
        self.memory.set(resident_bytes() as f64);
        self.cpu.set(cpu_seconds());
        let mut text = self.recorder.handle().render();
        self.by_name.render(&mut text);
        self.foretold.render(&mut text);
        self.took.render(catalog, &mut text);
        self.watched.render(&mut text);
        self.by_row.render(&mut text);
        self.port.render(&mut text);
        text
    }

    /// Takes in how sagas stand and what participants have not done, as of now.
    pub(crate) fn count(&self, overview: &Overview, totals: &Totals, now: Millis) {
        self.by_name.set(overview, totals, now);
    }

    /// Takes in what participants can do, and what they should have.
    pub(crate) fn scaling(&self, told: &[Told]) {
        self.foretold.set(told);
    }

    /// Takes in how old each checkpoint is, and how breakers stand.
    pub(crate) fn watch(&self, as_of: &[AsOf], breakers: &BTreeMap<Arc<str>, u8>) {
        self.watched.set(as_of, breakers);
    }

    /// Takes in how large the store is, if that is known.
    pub(crate) fn store(&self, bytes: Option<u64>) {
        self.watched.store(bytes);
    }

    /// Takes in how far behind inputs are.
    pub(crate) fn lag(&self, lags: &[Lag]) {
        self.watched.lag(lags);
    }

    /// So it is at this moment, of a clock that never goes back: what happens lately is told by it. Called about once a second.
    pub(crate) fn mark(&self, now: Millis) {
        let [started, completed, compensated] = SUMMED.map(|name| self.sum(name));
        self.lately.mark(now, Sums { started, completed, compensated, took: self.took.sagas() });
    }

    /// What happened within the last second, and within the last minute; none before it was looked at twice.
    pub(crate) fn lately(&self) -> Option<(Within, Within)> {
        self.lately.within()
    }

    /// A counter of the table, since the process started.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        let place = names::COUNTERS.iter().position(|(metric, _)| metric.name == name).expect("the table has it");
        self.sums[place].load(Ordering::Relaxed)
    }

    /// What 99 of 100 of each step took.
    pub(crate) fn usual(&self) -> Usual {
        self.took.usual()
    }

    /// How long steps took in all.
    pub(crate) fn step_sums(&self) -> StepSums {
        self.took.step_sums()
    }

    /// How the steps of a version do.
    pub(crate) fn steps_seen(&self, version: &DefinitionHash) -> StepsSeen {
        self.took.steps_seen(version)
    }

    /// Takes in what a look at all rows found, at this time.
    pub(crate) fn scrubbed(&self, found: &BTreeMap<i32, Scrubbed>, catalog: &Catalog, at: Millis) {
        self.by_row.set(found, catalog, at);
    }

    /// Takes in how often each partition was taken over here.
    pub(crate) fn taken_over(&self, takeovers: &BTreeMap<i32, u64>) {
        self.watched.taken_over(takeovers);
    }

    fn set_partitions(&self, partitions: &[PartitionStatus]) {
        let mut gauges = self.partitions.lock().expect("no panic while metrics were rendered");
        // What another instance has now is that one's to tell.
        gauges.iter().flatten().for_each(|gauge| gauge.set(0.0));
        for status in partitions {
            let place = usize::try_from(status.partition).expect("partitions are counted from 0");
            while gauges.len() <= place {
                let label = vec![Label::new("partition", gauges.len().to_string())];
                let register = |metric| self.recorder.register_gauge(&key(metric, label.clone()), &METADATA);
                gauges.push(names::PARTITION_GAUGES.iter().map(|(metric, _)| register(metric)).collect());
            }
            for ((_, level), gauge) in names::PARTITION_GAUGES.iter().zip(&gauges[place]) {
                gauge.set(level(status));
            }
        }
    }

    fn set_standby(&self, followed: &[FollowedStatus]) {
        let mut gauges = self.standby.lock().expect("no panic while metrics were rendered");
        gauges.iter().for_each(|gauge| gauge.set(0.0));
        for status in followed {
            let place = usize::try_from(status.partition).expect("partitions are counted from 0");
            while gauges.len() <= place {
                let label = vec![Label::new("partition", gauges.len().to_string())];
                gauges.push(self.recorder.register_gauge(&key(&names::STANDBY, label), &METADATA));
            }
            gauges[place].set(if status.warm { 2.0 } else { 1.0 });
        }
    }

    fn set_topics(&self, topics: &[TopicStatus]) {
        let mut gauges = self.topics.lock().expect("no panic while metrics were rendered");
        for status in topics {
            let of = gauges.entry(status.topic.clone()).or_insert_with(|| {
                let label = vec![Label::new("topic", status.topic.to_string())];
                let register = |metric| self.recorder.register_gauge(&key(metric, label.clone()), &METADATA);
                names::TOPIC_GAUGES.iter().map(|(metric, _)| register(metric)).collect()
            });
            for ((_, level), gauge) in names::TOPIC_GAUGES.iter().zip(of) {
                gauge.set(level(status));
            }
        }
    }
}

/// What is told of the last second and minute.
const SUMMED: [&str; 3] =
    ["ringmaster_sagas_started_total", "ringmaster_sagas_completed_total", "ringmaster_sagas_compensated_total"];

const METADATA: Metadata<'static> = Metadata::new("ringmaster", Level::INFO, None);

fn key(metric: &Metric, labels: Vec<Label>) -> Key {
    assert!(labels.iter().map(Label::key).eq(metric.labels.iter().copied()), "{} has the labels of its table", metric.name);
    Key::from_parts(metric.name, labels)
}

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    let (name, help) = (KeyName::from_const_str(metric.name), SharedString::const_str(metric.help));
    let unit = None::<Unit>;
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram => recorder.describe_histogram(name, unit, help),
    }
}

/// CPU time as Linux tells it, of which a tick has been 10 ms for ever; 0 where it does not.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: state is field 0, user and system ticks are fields 11 and 12.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

#[cfg(test)]
mod tests;
