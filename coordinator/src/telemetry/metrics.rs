//! Metrics: counters by handles that are looked up once, gauges read when somebody asks.

mod samples;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use ringmaster_core::definition::Catalog;
use ringmaster_core::partition::{Counters, Times};
use ringmaster_schemas::Millis;

use super::counted::{self, ByName};
use super::foretold::{self, Foretold};
use super::names::{self, Delivery, Denied, Kind, Metric};
use super::took::{self, Took};
use super::watched::{self, Watched};
use crate::api::{AsOf, Overview};
use crate::runtime::{FollowedStatus, PartitionStatus, TopicStatus, Totals, resident_bytes};
use crate::scaling::Told;

/// All metrics of one instance.
pub struct Metrics {
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
    watched: Watched,
    denied: Vec<Counter>,
    deliveries: Vec<Counter>,
    memory: Gauge,
    cpu: Gauge,
}

impl Metrics {
    /// Registers and describes every metric of the table.
    pub fn new(instance: &str) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let is_told = |metric: &Metric| {
            let all = took::ALL.into_iter().chain(watched::ALL).chain(counted::all()).chain(foretold::all());
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
        let single = |metric: &Metric, labels| recorder.register_gauge(&key(metric, labels), &METADATA);
        let version = Label::new("version", env!("CARGO_PKG_VERSION"));
        single(&names::INFO, vec![version, Label::new("instance", instance.to_owned())]).set(1.0);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        single(&names::STARTED, vec![]).set(since_epoch);
        let (memory, cpu) = (single(&names::MEMORY, vec![]), single(&names::CPU, vec![]));
        Metrics {
            recorder,
            counters,
            sums: names::COUNTERS.map(|_| AtomicU64::new(0)).into(),
            partitions: Mutex::default(),
            standby: Mutex::default(),
            topics: Mutex::default(),
            by_name: ByName::new(),
            foretold: Foretold::new(),
            took: Took::default(),
            watched: Watched::new(),
            denied,
            deliveries,
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

    /// Counts what became of a change that the webhook is told.
    pub(crate) fn delivery(&self, outcome: Delivery) {
        self.deliveries[outcome as usize].increment(1);
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
mod tests {
    use ringmaster_core::partition::{Held, StageName};

    use super::*;
    use crate::api::DefinitionCounts;
    use crate::runtime::{ParticipantTotals, Trouble, Waiting};

    pub(super) fn status(partition: i32, phase: StageName) -> PartitionStatus {
        PartitionStatus {
            partition,
            phase,
            journal_offset: 42,
            rows: 3,
            row_bytes: 900,
            unreleased: 5,
            undeliverable: 2,
            stuck: 4,
            parked: 6,
            breakers: 1,
            inputs_to_begin: Vec::new(),
            held: Held::Starts,
            in_flight: 9,
            restored: None,
            snapshot: None,
        }
    }

    fn followed(partition: i32, warm: bool) -> FollowedStatus {
        FollowedStatus { partition, journal_offset: 7, warm }
    }

    /// A saga of `trip` that is parked for `hotel`.
    pub(super) fn counted() -> (Overview, Totals) {
        let sagas: BTreeMap<String, i64> = [("parked".to_owned(), 1)].into();
        let trip =
            DefinitionCounts { definition: Some("trip".to_owned()), number: None, version: "ab".to_owned(), sagas, waits: vec![] };
        let parked = Waiting { count: 1, oldest: Some(90) };
        let hotel = ParticipantTotals { parked, ..ParticipantTotals::new("hotel".into()) };
        let totals = Totals { participants: [("hotel".into(), hotel)].into(), ..Totals::default() };
        (Overview { definitions: vec![trip], ..Overview::default() }, totals)
    }

    pub(super) fn topic(name: &str, unreadable: i32) -> TopicStatus {
        let trouble = |partition| Trouble { partition: Some(partition), why: "damaged".to_owned() };
        TopicStatus { topic: name.into(), troubles: (0..unreadable).map(trouble).collect() }
    }

    #[test]
    fn every_metric_of_the_table_is_there_and_nothing_else() {
        let metrics = Metrics::new("test");
        let (overview, totals) = counted();
        metrics.count(&overview, &totals, 100_000);
        let partitions = [status(0, StageName::Owning), status(1, StageName::Claiming)];
        let text = metrics.render(&partitions, &[followed(2, true)], &[topic("orders", 0)], &Catalog::default());
        let mut found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut expected: Vec<String> = names::all().map(|metric| format!("{} {}", metric.name, metric.kind.as_str())).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        for metric in names::all() {
            assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{} is explained", metric.name);
        }
    }

    #[test]
    fn counters_add_up_and_gauges_follow() {
        let metrics = Metrics::new("test");
        metrics.add(&Counters { inputs: 3, stuck: 1, ..Counters::default() });
        metrics.add(&Counters { inputs: 4, ..Counters::default() });
        let topics = [topic("orders", 2), topic("replies", 0)];
        metrics.denied(Denied::Forbidden);
        let text =
            metrics.render(&[status(1, StageName::Owning)], &[followed(0, false), followed(3, true)], &topics, &Catalog::default());
        for line in [
            "ringmaster_inputs_total 7",
            "ringmaster_saga_steps_stuck_total 1",
            "ringmaster_doubts_total 0",
            "ringmaster_partition_owned{partition=\"1\"} 1",
            "ringmaster_partition_unreleased_effects{partition=\"1\"} 5",
            "ringmaster_partition_stuck{partition=\"1\"} 4",
            "ringmaster_partition_parked{partition=\"1\"} 6",
            "ringmaster_partition_open_breakers{partition=\"1\"} 1",
            "ringmaster_partition_standby{partition=\"0\"} 1",
            "ringmaster_partition_standby{partition=\"3\"} 2",
            "ringmaster_input_unreadable{topic=\"orders\"} 2",
            "ringmaster_input_unreadable{topic=\"replies\"} 0",
            "ringmaster_http_denied_total{why=\"forbidden\"} 1",
            "ringmaster_http_denied_total{why=\"unauthorized\"} 0",
            "ringmaster_info{version=\"0.1.0\",instance=\"test\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let text =
            metrics.render(&[status(1, StageName::Scanning)], &[followed(0, true)], &[topic("orders", 0)], &Catalog::default());
        assert!(text.contains("ringmaster_partition_standby{partition=\"0\"} 2"), "{text}");
        assert!(text.contains("ringmaster_partition_standby{partition=\"3\"} 0"), "another has it now, or nobody: {text}");
        assert!(text.contains("ringmaster_input_unreadable{topic=\"orders\"} 0"), "{text}");
        assert!(text.contains("ringmaster_partition_owned{partition=\"1\"} 0"), "{text}");
    }

    #[test]
    fn what_is_counted_by_name_is_0_where_there_is_none_any_more() {
        let metrics = Metrics::new("test");
        let (overview, totals) = counted();
        let text = |metrics: &Metrics, overview: &Overview, totals: &Totals| {
            metrics.count(overview, totals, 100_000);
            metrics.render(&[], &[], &[], &Catalog::default())
        };
        let has = |text: &str, line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        let now = text(&metrics, &overview, &totals);
        has(&now, r#"ringmaster_sagas{definition="trip",status="parked",reason="nothing"} 1"#);
        has(&now, r#"ringmaster_participant_parked{participant="hotel"} 1"#);
        has(&now, r#"ringmaster_participant_oldest_parked_seconds{participant="hotel"} 10"#);
        let later = text(&metrics, &Overview::default(), &Totals::default());
        has(&later, r#"ringmaster_sagas{definition="trip",status="parked",reason="nothing"} 0"#);
        has(&later, r#"ringmaster_participant_oldest_parked_seconds{participant="hotel"} 0"#);
        // What there is too much of is told together; of ages the oldest.
        let of = |number: i64| {
            let parked = Waiting { count: 1, oldest: Some(100 - number) };
            let name: Arc<str> = format!("p{number:03}").into();
            (name.clone(), ParticipantTotals { parked, ..ParticipantTotals::new(name) })
        };
        let many = Totals { participants: (0..250).map(of).collect(), ..Totals::default() };
        let many = text(&Metrics::new("test"), &Overview::default(), &many);
        has(&many, r#"ringmaster_participant_parked{participant="other"} 50"#);
        has(&many, r#"ringmaster_participant_oldest_parked_seconds{participant="other"} 249"#);
    }

    #[test]
    fn each_counter_reads_a_field_of_its_own() {
        // A field that is read twice, or never, shows as a sum that is not the sum of all fields.
        let ones = Counters {
            routed: 1,
            routed_again: 1,
            route_gaps: 1,
            route_sessions: 1,
            inputs: 1,
            skipped: 2,
            started: 4,
            completed: 8,
            compensated: 16,
            stuck: 32,
            rejected: 64,
            quarantined: 128,
            commands: 256,
            retries: 512,
            timers: 1 << 10,
            records: 1 << 11,
            record_bytes: 1 << 12,
            turns: 1 << 13,
            effects: 1 << 14,
            resent: 1 << 15,
            replayed: 1 << 16,
            doubts: 1 << 17,
            claims: 1 << 18,
            pauses: 1 << 19,
            full_polls: 1 << 20,
            errors: 1 << 21,
            unexpected: 1 << 22,
            breakers: 1 << 23,
            events_expired: 1 << 24,
        };
        let bits = names::COUNTERS.iter().fold(0, |bits, (_, count)| bits ^ count(&ones));
        assert_eq!(bits, (1 << 25) - 1);
    }

    #[test]
    fn names_follow_one_form() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in names::all() {
            assert!(seen.insert(metric.name), "{} is there twice", metric.name);
            assert!(metric.name.starts_with("ringmaster_") || metric.name.starts_with("process_"), "{}", metric.name);
            if metric.kind == Kind::Counter {
                assert!(metric.name.ends_with("_total"), "{}", metric.name);
            }
        }
    }

    #[test]
    fn the_process_is_measured() {
        let before = cpu_seconds();
        let began = std::time::Instant::now();
        while cpu_seconds() <= before {
            std::hint::black_box(resident_bytes());
            assert!(began.elapsed().as_secs() < 60, "work costs CPU");
        }
    }
}
