//! `replay input`: a range of an input topic is read again, after an outage or a mistake, and only what is missing is brought to the
//! partitions. Nothing is done that was not counted before.
//!
//! ```text
//! records of the range -> which saga each would start -> known? too old? in quarantine? -> what is missing -> inbox
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::{Args, Subcommand};
use ringmaster_bus::Bus;
use ringmaster_core::definition::Starting;
use ringmaster_core::intake::{Event, InputRecord, Origin, Projections, Typing};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Redriven;
use ringmaster_schemas::names::saga_id;
use serde_json::json;

use super::arguments::Asked;
use super::buses::{self, Access, AnyBus, on_bus};
use super::definitions::{require_topics, say};
use super::entries;
use super::exit::{Exit, Failure};
use super::hand::{HandArguments, PaceArguments, Telling};
use super::progress::Progress;
use super::run::stop_signal;
use super::saga::saga;
use super::select::time;
use crate::api::client::Address;
use crate::blocking::{self, Read};
use crate::config::Config;
use crate::redrive::{Hand, Inbox, Told, sources};
use crate::runtime::{self, Knowledge};

/// Records that are looked at in one go: a longer range is replayed in parts.
const LOOKED_AT_MAX: usize = 1_000_000;
/// Of these, so many are brought.
const MISSING_MAX: usize = 100_000;

#[derive(Debug, Subcommand)]
pub(super) enum ReplayCommand {
    /// Start the sagas that events of a range would start and that nobody knows; nothing else is done with these events.
    ///
    /// Without --expected nothing is done: it is said how many start what is missing, are known, too old, in quarantine. Asks the running
    /// coordinator which sagas it knows. With --expected COUNT those that are missing are brought to the partitions, if they still are so many.
    #[command(after_help = "Example:\n  ringmaster replay input orders --from 2026-01-31T08:00:00Z --to 2026-01-31T09:00:00Z")]
    Input(ReplayArguments),
    /// Rebuild partitions from the journal into a fresh store, and compare that with the store of an instance, saga by saga.
    ///
    /// Nothing is sent and no store is changed; this instance's store is looked at as it was flushed last, within 10 seconds, also while it
    /// runs. Exit code 1 if anything differs.
    #[command(after_help = super::journal::EXAMPLES)]
    Journal(super::journal::JournalArguments),
}

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// The topic, for example orders.
    topic: String,
    /// From this time on, by the records' own times, for example 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Millis,
    /// Up to this time, exclusive.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Millis,
    #[command(flatten)]
    hand: HandArguments,
    #[command(flatten)]
    pace: PaceArguments,
    #[command(flatten)]
    asked: Asked,
}

/// What a record of the range is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It would start a saga.
    Missing,
    /// What it starts lives, or is remembered.
    Known,
    /// What it started may have been forgotten.
    TooOld,
    /// It lies in quarantine: it is redriven from there.
    InQuarantine,
    /// It cannot be read, and is not in quarantine.
    Unreadable,
    /// It starts nothing.
    Nothing,
}

/// A record that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Missing {
    timestamp: Millis,
    partition: i32,
    offset: i64,
    bytes: usize,
}

/// Reads a range, and tells what each record of it is.
struct Survey<'a> {
    topic: &'a str,
    typing: Typing<'a>,
    known: &'a Knowledge,
    /// Places of what lies in quarantine.
    quarantined: BTreeSet<(i32, i64)>,
    accept_old: bool,
    now: Millis,
    projections: Projections,
    /// Sagas that were looked up, or would be started by an earlier record.
    seen: BTreeSet<String>,
    counts: BTreeMap<Kind, usize>,
    missing: Vec<Missing>,
}

/// `ringmaster replay input`
pub(super) fn input(config: &Config, arguments: &ReplayArguments, out: &mut dyn Write) -> Result<(), Failure> {
    buses::needs_kafka(config)?;
    let ReplayArguments { topic, hand, pace, asked, .. } = arguments;
    let access = if hand.is_meant() { Access::Write } else { Access::Read };
    let mut any = buses::open(config, access)?;
    let quarantined = quarantined(&mut any, config, topic)?;
    on_bus!(&mut any, bus => {
        require_topics(bus, config)?;
        let known = runtime::read_knowledge(bus, &config.prefix, &config.schemas, &config.compile_options())?;
        let own = config.topics.get(topic.as_str()).cloned().unwrap_or_default();
        let default = own.default_type.as_deref().or(known.catalog.default_type(topic));
        let mut survey = Survey {
            topic,
            typing: Typing { field: &own.type_field, default },
            known: &known,
            quarantined,
            accept_old: pace.accept_old,
            now: runtime::wall(),
            projections: Projections::default(),
            seen: BTreeSet::new(),
            counts: BTreeMap::new(),
            missing: Vec::new(),
        };
        survey.read(bus, (arguments.from, arguments.to), &mut |id| is_known(config, asked.api.as_ref(), id))?;
        survey.missing.sort_by_key(|missing| (missing.timestamp, missing.partition, missing.offset));
        let Some(hand) = hand.confirmed(survey.missing.len())? else { return survey.tell(arguments.hand.json, out) };
        let stop = stop_signal()?;
        let inbox = Inbox::find(bus, &config.prefix)?;
        let mut told = Telling::new(arguments.hand.json);
        let rest = bring(bus, (&inbox, &topic.as_str().into(), &survey.missing), (&hand, pace), (&mut told, &stop), out)?;
        told.end(rest, out)
    })
}

/// Places of records of this topic that lie in quarantine, and were neither redriven nor discarded.
fn quarantined(any: &mut AnyBus, config: &Config, topic: &str) -> Result<BTreeSet<(i32, i64)>, Failure> {
    let mut places = BTreeSet::new();
    entries::each_partition(config, any, &mut |partition, any| {
        let marks = entries::marks(any, config, partition)?;
        entries::visit(any, config, (partition, entries::Repeats::Told), &mut |place, record| {
            if *record.topic == *topic && !marks.contains_key(&place.1) {
                places.insert((record.partition, record.offset));
            }
            true
        })?;
        Ok(0)
    })?;
    Ok(places)
}

/// Whether the running coordinator knows a saga that has begun.
fn is_known(config: &Config, api: Option<&Address>, id: &str) -> Result<bool, Failure> {
    match saga(config, id, api) {
        Ok(saga) => Ok(saga["status"] != "expected"),
        Err(failure) if failure.exit == Exit::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether a saga is known.
type IsKnown<'a> = dyn FnMut(&str) -> Result<bool, Failure> + 'a;

impl Survey<'_> {
    fn read(&mut self, bus: &mut impl Bus, (from, to): (Millis, Millis), is_known: &mut IsKnown<'_>) -> Result<(), Failure> {
        let Some(described) = bus.describe(&[self.topic])?.into_iter().next().flatten() else {
            return Err(Failure::new(Exit::NotFound, format_args!("there is no topic {}", self.topic)));
        };
        let first = blocking::offsets_at(bus, self.topic, described.partitions, from)?;
        let end = blocking::offsets_at(bus, self.topic, described.partitions, to)?;
        let (mut looked_at, mut progress) = (0, Progress::begin());
        for (partition, (first, end)) in (0..).zip(first.into_iter().zip(end)).filter(|(_, (first, end))| first < end) {
            let mut trouble = None;
            blocking::read_from(bus, self.topic, (partition, first), &mut |read| {
                if read.offset >= end {
                    return false;
                }
                looked_at += 1;
                let (topic, offset, missing) = (self.topic, read.offset, self.missing.len());
                progress.at(format_args!("{topic}/{partition}: offset {offset} of {end}, {missing} are missing so far"));
                trouble = self.look_at(&read, is_known).err();
                trouble.is_none() && looked_at <= LOOKED_AT_MAX && self.missing.len() <= MISSING_MAX
            })?;
            trouble.map_or(Ok(()), Err)?;
        }
        if looked_at > LOOKED_AT_MAX || self.missing.len() > MISSING_MAX {
            let why = format!(
                "the range has more than {LOOKED_AT_MAX} records, or {MISSING_MAX} that are missing: replay it in parts, one after the other"
            );
            return Err(Failure::new(Exit::Rejected, why));
        }
        Ok(())
    }

    fn look_at(&mut self, read: &Read, is_known: &mut IsKnown<'_>) -> Result<(), Failure> {
        let (kind, timestamp) = (self.kind(read, is_known)?, read.timestamp);
        *self.counts.entry(kind).or_default() += 1;
        if kind == Kind::Missing {
            let bytes = read.value.as_ref().map_or(0, Vec::len);
            self.missing.push(Missing { timestamp, partition: read.partition, offset: read.offset, bytes });
        }
        Ok(())
    }

    /// What a record is: missing, if anything that it starts is.
    fn kind(&mut self, read: &Read, is_known: &mut IsKnown<'_>) -> Result<Kind, Failure> {
        if self.quarantined.contains(&(read.partition, read.offset)) {
            return Ok(Kind::InQuarantine);
        }
        let record = InputRecord {
            offset: read.offset,
            timestamp: read.timestamp,
            key: read.key.as_deref(),
            value: read.value.as_deref(),
            headers: Some(&read.headers),
        };
        let known = self.known;
        let Ok((kind, event)) = Event::recognise(&record, self.typing, &known.schemas) else { return Ok(Kind::Unreadable) };
        let origin = Origin { topic: self.topic, partition: read.partition };
        let mut found = Kind::Nothing;
        for Starting { definition, start } in known.catalog.starting_on(self.topic, &kind) {
            let one = match self.projections.start((definition, *start), 0, &event, origin, self.now) {
                Ok(None) => continue,
                Err(_) => Kind::Unreadable,
                Ok(Some(start)) => {
                    let id = saga_id(&definition.name, &start.key);
                    let is_old = read.timestamp < self.now - definition.retain_ms && !self.accept_old;
                    if self.seen.contains(&id) || is_known(&id)? {
                        self.seen.insert(id);
                        Kind::Known
                    } else if is_old {
                        Kind::TooOld
                    } else {
                        // Another record of the range that would start it is a repeat.
                        self.seen.insert(id);
                        Kind::Missing
                    }
                }
            };
            found = found.min(one);
        }
        Ok(found)
    }

    /// Says what would be done, and how it is done.
    fn tell(&self, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
        let count = |kind| self.counts.get(&kind).copied().unwrap_or_default();
        let all = [
            (Kind::Missing, "missing", "they would start sagas"),
            (Kind::Known, "known", "what they start lives or is remembered, or is started by another of them"),
            (Kind::TooOld, "too_old", "what they started may have been forgotten; --accept-old takes them all the same"),
            (Kind::InQuarantine, "in_quarantine", "`ringmaster quarantine redrive` is for them"),
            (Kind::Unreadable, "unreadable", "they cannot be read or evaluated, and are not in quarantine"),
            (Kind::Nothing, "nothing", "they start no saga"),
        ];
        if as_json {
            let counts: serde_json::Map<_, _> =
                all.iter().map(|(kind, name, _)| ((*name).to_owned(), count(*kind).into())).collect();
            return say(out, format_args!("{}", json!(counts)));
        }
        for (kind, name, words) in all.iter().filter(|(kind, ..)| count(*kind) > 0 || *kind == Kind::Missing) {
            say(out, format_args!("{} {}: {words}", count(*kind), name.replace('_', " ")))?;
        }
        match self.missing.len() {
            0 => say(out, format_args!("nothing is missing")),
            count => say(out, format_args!("nothing was done; to start what is missing, add --expected {count} --why TEXT")),
        }
    }
}

/// Brings what is missing, not more a second than that, until it is done or somebody stops it; how many are left.
fn bring(
    bus: &mut impl Bus,
    (inbox, topic, missing): (&Inbox, &Arc<str>, &[Missing]),
    (hand, pace): (&Hand<'_>, &PaceArguments),
    (told, stop): (&mut Telling, &AtomicBool),
    out: &mut dyn Write,
) -> Result<usize, Failure> {
    let mut rest = missing;
    while !rest.is_empty() && !stop.load(Ordering::Relaxed) && !told.has_open() {
        let since = Instant::now();
        let (some, later) = rest.split_at(inbox.room(rest.iter().map(|missing| missing.bytes), pace.rate.a_second()));
        let mut places: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        some.iter().for_each(|missing| places.entry(missing.partition).or_default().push(missing.offset));
        let mut redriven: Vec<Redriven> = Vec::new();
        for (partition, offsets) in places {
            let found = sources::read_places(bus, topic, partition, offsets)?;
            redriven.extend(found.into_values().map(|read| hand.redriven(topic, read, pace.accept_old, None)));
        }
        redriven.sort_by_key(|redriven| (redriven.timestamp, redriven.partition, redriven.offset));
        let became = inbox.bring(bus, &redriven, pace.rate.patience())?;
        for (redriven, became) in redriven.iter().zip(&became) {
            let from = format!("{}/{}/{}", redriven.topic, redriven.partition, redriven.offset);
            told.tell(&Told::of(None, from, became), out)?;
        }
        rest = later;
        pace.rate.rest(since, some.len(), (missing.len() - rest.len(), missing.len()));
    }
    Ok(rest.len())
}
