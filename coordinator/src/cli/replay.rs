//! `replay input`: a range of an input topic is read again, after an outage or a mistake, and only what is missing is brought to the
//! partitions. Nothing is done that was not counted before.
//!
//! At Kafka this process reads and brings, and asks a coordinator what is known; where the bus is a coordinator's own, that one does it, a
//! page at a time.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::{Args, Subcommand};
use ringmaster_bus::Bus;
use ringmaster_core::intake::Typing;
use ringmaster_schemas::Millis;

use super::arguments::Asked;
use super::asking::post_typed;
use super::buses::{self, Access, on_bus};
use super::definitions::{require_topics, say};
use super::entries;
use super::exit::{Exit, Failure};
use super::hand::{HandArguments, PaceArguments, Telling};
use super::progress::Progress;
use super::run::stop_signal;
use super::saga::saga;
use super::select::time;
use crate::api::client::Address;
use crate::api::{ReplayAnswer, ReplayBody, written};
use crate::config::{BusKind, Config};
use crate::redrive::{Hand, Inbox};
use crate::replay::{Counts, InQuarantine, Kind, Missing, Range, Survey, Visited, visit_range};
use crate::runtime;

/// Records that are looked at in one go: a longer range is replayed in parts.
const LOOKED_AT_MAX: usize = 1_000_000;
/// Of these, so many are brought.
const MISSING_MAX: usize = 100_000;
/// Records that a coordinator is asked to bring at once: they are to be done within its 10 s.
const REQUESTED_MAX: usize = 100;
/// How often a page is counted anew that has changed since: what was brought a moment ago is known a moment later.
const TRIES: u32 = 10;

#[derive(Debug, Subcommand)]
pub(super) enum ReplayCommand {
    /// Start the sagas that events of a range would start and that nobody knows; nothing else is done with these events.
    ///
    /// Without --expected nothing is done: it is said how many start what is missing, are known, too old, in quarantine. Asks the running
    /// coordinator which sagas it knows. With --expected COUNT those that are missing are brought to the partitions, if they still are so many.
    /// On the embedded bus the coordinator does all of it.
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

/// `ringmaster replay input`
pub(super) fn input(config: &Config, arguments: &ReplayArguments, out: &mut dyn Write) -> Result<(), Failure> {
    // The embedded bus belongs to the coordinator.
    if config.bus == BusKind::Embedded {
        return Pages { config, arguments }.replay(out);
    }
    let ReplayArguments { topic, hand, pace, asked, .. } = arguments;
    let access = if hand.is_meant() { Access::Write } else { Access::Read };
    let mut any = buses::open(config, access)?;
    let mut quarantined = InQuarantine::of(topic);
    entries::each_value(config, &mut any, &mut |place, value| quarantined.take(place, value))?;
    on_bus!(&mut any, bus => {
        require_topics(bus, config)?;
        let known = runtime::read_knowledge(bus, &config.prefix, &config.schemas, &config.compile_options())?;
        let own = config.topics.get(topic.as_str()).cloned().unwrap_or_default();
        let default = own.default_type.as_deref().or(known.catalog.default_type(topic));
        let typing = Typing { field: &own.type_field, default };
        let mut survey = Survey::new((topic, typing), &known, quarantined.places(), pace.accept_old);
        let range = Range { topic, from: arguments.from, to: arguments.to, begin: (0, 0) };
        let (counts, missing) = look_at(bus, range, &mut survey, &mut |id| is_known(config, asked.api.as_ref(), id))?;
        let Some(hand) = hand.confirmed(missing.len())? else { return tell(&counts, arguments.hand.json, out) };
        let stop = stop_signal()?;
        let inbox = Inbox::find(bus, &config.prefix)?;
        let mut told = Telling::new(arguments.hand.json);
        let rest = bring(bus, (&inbox, &topic.as_str().into(), &missing), (&hand, pace), (&mut told, &stop), out)?;
        told.end(rest, out)
    })
}

/// Whether the running coordinator knows a saga that has begun.
fn is_known(config: &Config, api: Option<&Address>, id: &str) -> Result<bool, Failure> {
    match saga(config, id, api) {
        Ok(saga) => Ok(saga["status"] != "expected"),
        Err(failure) if failure.exit == Exit::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// What the records of a range are, and which are missing, the oldest first.
fn look_at(
    bus: &mut impl Bus,
    range: Range<'_>,
    survey: &mut Survey<'_>,
    is_known: &mut dyn FnMut(&str) -> Result<bool, Failure>,
) -> Result<(Counts, Vec<Missing>), Failure> {
    let (mut counts, mut all, mut trouble, mut progress) = (Counts::default(), Vec::new(), None, Progress::begin());
    let visited = visit_range(bus, range, &mut |read, end| {
        if counts.all() == LOOKED_AT_MAX || all.len() == MISSING_MAX {
            return false;
        }
        let (topic, partition, offset, missing) = (range.topic, read.partition, read.offset, all.len());
        progress.at(format_args!("{topic}/{partition}: offset {offset} of {end}, {missing} are missing so far"));
        match survey.kind(read, is_known) {
            Ok(kind) => {
                counts.count(kind);
                all.extend((kind == Kind::Missing).then(|| Missing::of(read)));
            }
            Err(failure) => trouble = Some(failure),
        }
        trouble.is_none()
    })?;
    trouble.map_or(Ok(()), Err)?;
    match visited {
        Visited::NoTopic => Err(Failure::new(Exit::NotFound, format_args!("there is no topic {}", range.topic))),
        Visited::UpTo(_) => {
            let why = format!(
                "the range has more than {LOOKED_AT_MAX} records, or {MISSING_MAX} that are missing: replay it in parts, one after the other"
            );
            Err(Failure::new(Exit::Rejected, why))
        }
        Visited::All => {
            all.sort_unstable();
            Ok((counts, all))
        }
    }
}

/// Says what would be done, and how it is done.
fn tell(counts: &Counts, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return say(out, format_args!("{}", serde_json::to_string(counts).expect("it is JSON")));
    }
    let Counts { missing, known, too_old, in_quarantine, unreadable, nothing } = *counts;
    let others = [
        (known, "known", "what they start lives or is remembered, or is started by another of them"),
        (too_old, "too old", "what they started may have been forgotten; --accept-old takes them all the same"),
        (in_quarantine, "in quarantine", "`ringmaster quarantine redrive` is for them"),
        (unreadable, "unreadable", "they cannot be read or evaluated, and are not in quarantine"),
        (nothing, "nothing", "they start no saga"),
    ];
    say(out, format_args!("{missing} missing: they would start sagas"))?;
    for (count, name, words) in others.iter().filter(|(count, ..)| *count > 0) {
        say(out, format_args!("{count} {name}: {words}"))?;
    }
    match missing {
        0 => say(out, format_args!("nothing is missing")),
        count => say(out, format_args!("nothing was done; to start what is missing, add --expected {count} --why TEXT")),
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
        let became = hand.bring_missing(bus, (inbox, topic), some, (pace.accept_old, pace.rate.patience()))?;
        became.iter().try_for_each(|one| told.tell(one, out))?;
        rest = later;
        pace.rate.rest(since, some.len(), (missing.len() - rest.len(), missing.len()));
    }
    Ok(rest.len())
}

/// A coordinator does it, a page at a time.
struct Pages<'a> {
    config: &'a Config,
    arguments: &'a ReplayArguments,
}

impl Pages<'_> {
    /// Asks for a page; with `expected` it is done, if so many are missing in it.
    fn ask(&self, cursor: Option<&String>, limit: Option<usize>, expected: Option<usize>) -> Result<ReplayAnswer, Failure> {
        let ReplayArguments { topic, from, to, hand, pace, asked } = self.arguments;
        let by = hand.by().map(str::to_owned);
        post_typed(self.config, asked.api.as_ref(), ("/api/v1/replays", by), |by| ReplayBody {
            topic: topic.clone(),
            from: written(*from),
            to: written(*to),
            cursor: cursor.cloned(),
            limit,
            accept_old: pace.accept_old,
            expected,
            why: hand.why().map(str::to_owned),
            by,
        })
    }

    fn replay(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (hand, stop) = (&self.arguments.hand, stop_signal()?);
        let counts = self.count(&stop)?;
        if hand.confirmed(counts.missing)?.is_none() {
            return tell(&counts, hand.json, out);
        }
        let mut told = Telling::new(hand.json);
        let rest = self.bring(counts.missing, (&mut told, &stop), out)?;
        told.end(rest, out)
    }

    /// What the records of all pages are.
    fn count(&self, stop: &AtomicBool) -> Result<Counts, Failure> {
        let (mut counts, mut cursor, mut progress) = (Counts::default(), None, Progress::begin());
        loop {
            let page = self.ask(cursor.as_ref(), None, None)?;
            counts += page.counts;
            progress.at(format_args!("{} were looked at, {} are missing so far", counts.all(), counts.missing));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(counts);
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::new(Exit::Failed, "interrupted: nothing was done"));
            }
        }
    }

    /// Has what is missing brought, page by page; how many of all are left.
    fn bring(&self, all: usize, (told, stop): (&mut Telling, &AtomicBool), out: &mut dyn Write) -> Result<usize, Failure> {
        let rate = &self.arguments.pace.rate;
        let (limit, mut done, mut cursor, mut tries) = (Some(rate.a_second().min(REQUESTED_MAX)), 0, None, 0);
        while !stop.load(Ordering::Relaxed) && !told.has_open() {
            let since = Instant::now();
            let mut page = self.ask(cursor.as_ref(), limit, None)?;
            if page.counts.missing > 0 {
                page = match self.ask(cursor.as_ref(), limit, Some(page.counts.missing)) {
                    Err(failure) if tries < TRIES && failure.exit == Exit::Rejected && failure.message.starts_with("COUNT: ") => {
                        tries += 1;
                        continue;
                    }
                    page => page?,
                };
                page.results.iter().try_for_each(|one| told.tell(one, out))?;
                done += page.results.len();
                rate.rest(since, page.results.len(), (done, all));
            }
            (cursor, tries) = (page.next_cursor, 0);
            if cursor.is_none() {
                return Ok(0);
            }
        }
        Ok(all.saturating_sub(done))
    }
}
