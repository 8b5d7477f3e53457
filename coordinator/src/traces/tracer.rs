//! Who tells traces: derives them of what is owned here, sends them, and keeps how far that is.
//!
//! ```text
//! position -> (from there to the claim: from the journal) -> what workers say -> ... each: stories -> spans -> sent -> position
//! ```
//!
//! A position says that all below it was told. It is committed behind what was sent: what follows a crash is told again, and is the same.

mod anew;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringmaster_bus::{Bus, BusError, TopicPartition};
use ringmaster_core::partition::{Traced, TracedWhat};
use ringmaster_core::saga::Tracing;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::state::Turns;
use ringmaster_store::Store;

use super::board::Owned;
use super::export::{Endpoint, Exporter, Outcome};
use super::reader::{self, Parts};
use super::span::Span;
use super::story::{Story, started};
use crate::api::client::spread;
use crate::runtime::{Knowledge, Newest, Status};
use crate::telemetry::Metrics;
use crate::telemetry::names::TraceOutcome;

/// So many sagas are read at once: what their records have in common is read once.
const SAGAS_MAX: usize = 512;
/// So many spans are one request.
const REQUEST_SPANS_MAX: usize = 512;
/// Positions are committed so often.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How long it waits until it sends again what was not taken, at first and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A commit has left by then.
const COMMITTED_WITHIN: Duration = Duration::from_millis(300);
/// How often it looks whether it is to end, while it waits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What it looks at.
#[derive(Clone)]
pub struct Sources {
    /// What workers say.
    pub status: Arc<Status>,
    /// Rows.
    pub store: Arc<dyn Store>,
    /// Definitions.
    pub known: Arc<Newest>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

/// Who tells traces, on a thread and a bus of its own.
pub struct Tracer<B> {
    bus: B,
    topics: Topics,
    group: String,
    tracing: Tracing,
    exporter: Exporter,
    sources: Sources,
    own: HashMap<i32, Own>,
    /// When positions were committed last.
    committed_at: Option<Instant>,
    pause_first: Duration,
    is_failing: bool,
}

/// A partition that is owned here.
#[derive(Debug, Clone, Copy)]
struct Own {
    term: i64,
    /// All below it was told.
    told: i64,
    /// The same, as committed.
    committed: Option<i64>,
}

/// Why something was not told now.
enum Untold {
    /// It is to end.
    Ends,
    /// The broker, or the store: why.
    Failed(String),
}

impl From<BusError> for Untold {
    fn from(error: BusError) -> Untold {
        Untold::Failed(error.to_string())
    }
}

/// Whether it is to end.
type Ends<'a> = &'a dyn Fn() -> bool;

impl<B: Bus> Tracer<B> {
    /// Errors are for people: the settings of the endpoint cannot be used.
    pub fn new(bus: B, prefix: &str, endpoint: Endpoint, sources: Sources) -> Result<Tracer<B>, String> {
        let (tracing, exporter) = (Tracing::new(prefix, endpoint.ratio), Exporter::new(endpoint, prefix)?);
        let (topics, group, own) = (Topics::new(prefix), format!("{prefix}.traces"), HashMap::new());
        Ok(Tracer {
            bus,
            topics,
            group,
            tracing,
            exporter,
            sources,
            own,
            committed_at: None,
            pause_first: PAUSE_FIRST,
            is_failing: false,
        })
    }

    /// Tells what is to be told now; true if there is more than that.
    pub fn turn(&mut self, ends: Ends<'_>) -> bool {
        let owned = self.sources.status.traces.owned();
        let is_owned =
            |partition: &i32, own: &Own| owned.iter().any(|(number, owned)| number == partition && owned.term == own.term);
        if self.own.iter().any(|(partition, own)| !is_owned(partition, own)) {
            self.commit();
            self.own.retain(|partition, own| is_owned(partition, own));
        }
        let mut any = false;
        for (partition, owned) in owned {
            match self.partition(partition, owned, ends) {
                Ok(more) => (any, self.is_failing) = (any | more, false),
                Err(Untold::Ends) => break,
                Err(Untold::Failed(why)) => {
                    // Once: it is tried again at each turn.
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(partition, why, "traces are told later");
                    }
                }
            }
        }
        self.sources.metrics.traced(TraceOutcome::Dropped, self.sources.status.traces.take_dropped());
        if ends() || self.committed_at.is_none_or(|at| at.elapsed() >= COMMIT_EVERY) {
            self.commit();
        }
        // What was committed leaves with a poll.
        self.bus.poll(Duration::ZERO, &mut |_| {});
        any
    }

    /// Commits how far it is. What is not told yet is told by whoever owns the partition next.
    pub fn finish(&mut self) {
        self.commit();
        // A commit is collected for a moment.
        let begun = Instant::now();
        while begun.elapsed() < COMMITTED_WITHIN {
            self.bus.poll(LOOK_EVERY, &mut |_| {});
        }
    }

    fn partition(&mut self, partition: i32, owned: Owned, ends: Ends<'_>) -> Result<bool, Untold> {
        let term = owned.term;
        let mut own = match self.own.get(&partition) {
            Some(own) => *own,
            None => self.begin(partition, term)?,
        };
        if own.told < term {
            let told = self.tell_anew(partition, (own.told, term), ends)?;
            let any = told > own.told;
            own.told = told;
            self.own.insert(partition, own);
            return Ok(any);
        }
        let mut first = self.sources.status.traces.first(partition, term, SAGAS_MAX);
        // What was said since then is told by the next turn.
        first.retain(|traced| traced.offset < owned.said);
        let is_full = first.len() >= SAGAS_MAX;
        let below = first.last().filter(|_| is_full).map_or(owned.said, |last| last.offset + 1);
        self.tell_said(partition, &first, ends)?;
        self.sources.status.traces.done(partition, term, below);
        own.told = own.told.max(below);
        self.own.insert(partition, own);
        Ok(is_full)
    }

    /// Where it goes on with a partition that is owned since now: at its position, or without one at the beginning, within bounds.
    fn begin(&mut self, partition: i32, term: i64) -> Result<Own, Untold> {
        let at = self.at(partition);
        let committed = self.bus.committed(&self.group, &[at])?.into_iter().next().flatten();
        let told = self.not_too_old(partition, committed)?.min(term);
        let own = Own { term, told, committed };
        self.own.insert(partition, own);
        Ok(own)
    }

    /// Tells what workers said, which counts.
    fn tell_said(&mut self, partition: i32, traced: &[Traced], ends: Ends<'_>) -> Result<(), Untold> {
        let (mut rows, mut offsets) = (BTreeMap::<Arc<str>, Turns>::new(), BTreeMap::<Arc<str>, BTreeSet<i64>>::new());
        let (mut spans, known) = (Vec::new(), self.sources.known.get());
        for Traced { saga, offset, what } in traced {
            match what {
                TracedWhat::Began(head) => spans.push(started(&self.tracing, &known.catalog, (saga, head))),
                TracedWhat::Ended { turns, .. } => {
                    // The last one names all records.
                    rows.insert(saga.clone(), turns.clone());
                    offsets.entry(saga.clone()).or_default().insert(*offset);
                }
            }
        }
        let parts = self.read(partition, &rows)?;
        for (saga, at) in &offsets {
            spans.extend(self.tell(saga, &parts, &known, &|offset| at.contains(&offset)));
        }
        self.send(&spans, ends)
    }

    fn read(&mut self, partition: i32, rows: &BTreeMap<Arc<str>, Turns>) -> Result<Parts, Untold> {
        Ok(reader::read(&mut self.bus, (&self.topics.journal, partition), rows)?)
    }

    /// The spans of a saga that are told behind these records.
    fn tell(&self, saga: &Arc<str>, parts: &Parts, known: &Knowledge, is_told: &dyn Fn(i64) -> bool) -> Vec<Span> {
        let mut story = Story::new(saga.clone(), &self.tracing, &known.catalog);
        parts.get(saga).into_iter().flatten().for_each(|part| story.record(part.offset, part.at, &part.events));
        if !story.has_begun() {
            // Its beginning is gone from the journal, or an earlier build stored its row.
            self.sources.metrics.traced(TraceOutcome::Dropped, 1);
            return Vec::new();
        }
        if story.was_undone() || self.tracing.samples(saga) { story.told(is_told) } else { Vec::new() }
    }

    /// Sends spans until they are taken, or not wanted, or until the end.
    fn send(&mut self, spans: &[Span], ends: Ends<'_>) -> Result<(), Untold> {
        spans.chunks(REQUEST_SPANS_MAX).try_for_each(|spans| self.send_all(spans, ends))
    }

    fn send_all(&mut self, spans: &[Span], ends: Ends<'_>) -> Result<(), Untold> {
        let (metrics, to, count) = (&self.sources.metrics, self.exporter.target(), spans.len() as u64);
        let (mut pause, mut tried) = (self.pause_first, 0_u32);
        loop {
            tried += 1;
            match self.exporter.send(spans) {
                Outcome::Taken { but } => {
                    metrics.traced(TraceOutcome::Exported, count - but);
                    metrics.traced(TraceOutcome::Dropped, but);
                    if but > 0 {
                        tracing::warn!(collector = %to, but, "the collector does not want some spans");
                    }
                    return Ok(());
                }
                Outcome::Refused(why) => {
                    metrics.traced(TraceOutcome::Dropped, count);
                    tracing::warn!(collector = %to, count, why, "the collector does not want these spans: they are not sent again");
                    return Ok(());
                }
                Outcome::Later(why) => {
                    if tried == 1 || tried.is_multiple_of(60) {
                        tracing::warn!(collector = %to, tried, why, "spans could not be sent, and are sent again");
                    }
                }
            }
            // What waits meanwhile is bounded, and what is dropped of it is counted as it happens.
            metrics.traced(TraceOutcome::Dropped, self.sources.status.traces.take_dropped());
            let (since, now) = (Instant::now(), spread(pause));
            while since.elapsed() < now {
                if ends() {
                    return Err(Untold::Ends);
                }
                // What was committed leaves meanwhile.
                self.bus.poll(Duration::ZERO, &mut |_| {});
                std::thread::sleep(LOOK_EVERY.min(now));
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn commit(&mut self) {
        self.committed_at = Some(Instant::now());
        let moved = |own: &Own| own.committed != Some(own.told);
        let moved: Vec<(i32, i64)> =
            self.own.iter().filter(|(_, own)| moved(own)).map(|(number, own)| (*number, own.told)).collect();
        if moved.is_empty() {
            return;
        }
        let next: Vec<(TopicPartition, i64)> = moved.iter().map(|(number, told)| (self.at(*number), *told)).collect();
        self.bus.commit(&self.group, &next);
        self.own.values_mut().for_each(|own| own.committed = Some(own.told));
    }

    fn at(&mut self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.bus.topic(&self.topics.journal), partition }
    }
}

#[cfg(test)]
mod tests;
