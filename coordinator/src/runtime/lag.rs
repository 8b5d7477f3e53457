//! How far behind inputs are: the broker is asked by a client of its own, so that no worker waits for that.
//!
//! ```text
//! ends of what is read here -> where workers read on by then -> where that is less: the time of the first record that is not taken
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringmaster_bus::{Bus, BusEvent, TopicPartition};
use ringmaster_core::partition::InputSettings;
use ringmaster_schemas::Millis;

use super::status::Status;

/// How far an input is read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ReadStatus {
    /// The topic.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub topic: Arc<str>,
    /// Which partition of it.
    pub partition: i32,
    /// The next offset that is not taken yet.
    pub next: i64,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl ReadStatus {
    pub(super) fn of((input, partition, next): (&InputSettings, i32, i64)) -> ReadStatus {
        ReadStatus { topic: input.name.clone(), partition, next }
    }
}

/// How far behind a partition of an input is.
#[derive(Debug, Clone, PartialEq)]
pub struct Lag {
    /// The topic.
    pub topic: Arc<str>,
    /// Which partition of it.
    pub partition: i32,
    /// How many records are not taken yet; none: the broker did not say.
    pub records: Option<i64>,
    /// How old the first of them is, by its timestamp; 0 if there is none; none: not known.
    pub seconds: Option<f64>,
}

/// Asks now and then.
pub struct Lags<B> {
    bus: B,
    /// The broker answers within this time, or it is not known.
    patience: Duration,
}

/// What was found of one partition.
#[derive(Default)]
struct Found {
    end: Option<i64>,
    /// The first record that was not taken, and when that was written.
    first: Option<Option<Millis>>,
}

impl<B: Bus> Lags<B> {
    /// By a client that does nothing else. It waits at most twice so long for the broker.
    pub fn new(bus: B, patience: Duration) -> Lags<B> {
        Lags { bus, patience }
    }

    /// How far behind everything is that is read here, by a clock of the wall.
    pub fn look(&mut self, status: &Status, wall: &dyn Fn() -> Millis) -> Vec<Lag> {
        let mut found: BTreeMap<TopicPartition, Found> = BTreeMap::new();
        for read in status.reads() {
            let at = self.place(&read);
            self.bus.ask_bounds(at);
            found.insert(at, Found::default());
        }
        self.wait(&mut found, |of| of.end.is_some());
        // What was taken until now was there before: only what is still not taken is late.
        let mut reads = status.reads();
        reads.retain(|read| found.contains_key(&self.place(read)));
        // What left meanwhile is waited for by nobody.
        let left: BTreeSet<TopicPartition> = reads.iter().map(|read| self.place(read)).collect();
        found.retain(|at, _| left.contains(at));
        for read in &reads {
            let at = self.place(read);
            let of = found.get_mut(&at).expect("all others are gone");
            if of.end.is_some_and(|end| read.next < end) {
                self.bus.read(at, read.next);
            } else {
                of.first = Some(None);
            }
        }
        self.wait(&mut found, |of| of.end.is_none() || of.first.is_some());
        let now = wall();
        let lag = |read: ReadStatus| {
            let at = self.place(&read);
            self.bus.stop(at);
            let Found { end, first } = &found[&at];
            let records = end.map(|end| (end - read.next).max(0));
            let age = |written: Option<Millis>| written.map(|written| (now - written).max(0) as f64 / 1_000.0);
            let seconds = if records == Some(0) { Some(0.0) } else { first.and_then(age) };
            Lag { topic: read.topic, partition: read.partition, records, seconds }
        };
        reads.into_iter().map(lag).collect()
    }

    fn place(&mut self, read: &ReadStatus) -> TopicPartition {
        TopicPartition { topic: self.bus.topic(&read.topic), partition: read.partition }
    }

    /// Takes in what the broker says, until all is there or its time is over.
    fn wait(&mut self, found: &mut BTreeMap<TopicPartition, Found>, is_there: impl Fn(&Found) -> bool) {
        let began = Instant::now();
        while !found.values().all(&is_there) {
            let Some(left) = self.patience.checked_sub(began.elapsed()) else { return };
            let mut done = Vec::new();
            self.bus.poll(left, &mut |event| match event {
                BusEvent::Bounds { at, end, .. } => {
                    if let Some(of) = found.get_mut(&at) {
                        of.end = of.end.max(Some(end));
                    }
                }
                BusEvent::Record(record) => {
                    if let Some(of) = found.get_mut(&record.at) {
                        of.first.get_or_insert((record.timestamp > 0).then_some(record.timestamp));
                        done.push(record.at);
                    }
                }
                BusEvent::OutOfRange { at, .. } | BusEvent::Unreadable(at, _) => {
                    if let Some(of) = found.get_mut(&at).filter(|of| of.end.is_some()) {
                        of.first.get_or_insert(None);
                        done.push(at);
                    }
                }
                // What is left is no record: a marker of a transaction.
                BusEvent::CaughtUp(at, to) => {
                    if let Some(of) = found.get_mut(&at).filter(|of| of.first.is_none() && of.end.is_some_and(|end| to >= end)) {
                        (of.end, of.first) = (Some(0), Some(None));
                    }
                }
                _ => {}
            });
            // One record is all that is wanted of it.
            done.into_iter().for_each(|at| self.bus.stop(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ringmaster_bus::Specification;
    use ringmaster_bus::sim::{Faults, SimBroker};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn reads(next: i64) -> ReadStatus {
        ReadStatus { topic: "orders".into(), partition: 0, next }
    }

    #[test]
    fn what_is_not_taken_is_counted_and_the_first_of_it_says_how_old_that_is() {
        let broker = SimBroker::new(1, 0, Faults { fetch_count_max: 1, ..Faults::none() });
        let mut bus = broker.client();
        bus.create(&Specification { name: "orders".to_owned(), partitions: 1, replication: 1, settings: vec![] }).expect("made");
        for time in [1_000, 5_000, 9_000] {
            broker.advance(time);
            broker.put("orders", 0, None, b"{}");
        }
        let (status, mut lags) = (Status::default(), Lags::new(bus, PATIENCE));
        let mut lag = |next: i64, now: Millis| {
            status.reads_on(vec![reads(next)]);
            let all = lags.look(&status, &|| now);
            assert_eq!(all.len(), 1);
            (all[0].records, all[0].seconds)
        };
        assert_eq!(lag(0, 9_500), (Some(3), Some(8.5)));
        assert_eq!(lag(1, 9_500), (Some(2), Some(4.5)), "by the first that is not taken, not by the last that was");
        assert_eq!(lag(1, 4_000), (Some(2), Some(0.0)), "whoever wrote it has another clock");
        assert_eq!(lag(3, 99_500), (Some(0), Some(0.0)), "however long nothing comes");
        assert_eq!(lag(2, 19_000), (Some(1), Some(10.0)), "and again");
    }

    #[test]
    fn what_nobody_says_is_not_known() {
        let broker = SimBroker::new(1, 0, Faults::none());
        let mut lags = Lags::new(broker.client(), Duration::from_millis(20));
        let status = Status::default();
        assert_eq!(lags.look(&status, &|| 5), []);
        status.reads_on(vec![reads(0)]);
        let unknown = Lag { topic: "orders".into(), partition: 0, records: None, seconds: None };
        assert_eq!(lags.look(&status, &|| 5), [unknown]);
    }
}
