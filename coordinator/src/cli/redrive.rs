//! `quarantine redrive` and `quarantine discard`: what is done with records that lie in quarantine. Nothing is done that was not counted
//! before; nothing is deleted.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use ringmaster_bus::Bus;
use ringmaster_schemas::journal::Quarantined;
use ringmaster_schemas::names::Topics;

use super::asking::{Asked, post_typed};
use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::hand::{HandArguments, PaceArguments, Telling, records};
use super::run::stop_signal;
use super::select::{SelectArguments, Selected};
use super::text::printable;
use crate::api::client::Address;
use crate::api::{QuarantineAnswer, QuarantineBody, QuarantineEntry, QuarantineKind, QuarantineNot};
use crate::config::{BusKind, Config};
use crate::redrive::{Entry, Hand, Inbox, Told, why_not};

/// Records that a coordinator is asked for at once: they are to be done within its 10 s.
const REQUESTED_MAX: usize = 100;

/// What stands on the command line of `redrive`.
#[derive(Debug, Args)]
pub(super) struct RedriveArguments {
    #[command(flatten)]
    select: SelectArguments,
    #[command(flatten)]
    hand: HandArguments,
    #[command(flatten)]
    pace: PaceArguments,
    #[command(flatten)]
    asked: Asked,
}

/// What stands on the command line of `discard`.
#[derive(Debug, Args)]
pub(super) struct DiscardArguments {
    #[command(flatten)]
    select: SelectArguments,
    #[command(flatten)]
    hand: HandArguments,
    #[command(flatten)]
    asked: Asked,
}

/// `ringmaster quarantine discard`
pub(super) fn discard(config: &Config, arguments: &DiscardArguments, out: &mut dyn Write) -> Result<(), Failure> {
    arguments.select.check()?;
    let access = if arguments.hand.is_meant() { Access::Write } else { Access::Read };
    if arguments.asked.api.is_some() {
        return over_http(config, arguments.asked.api.as_ref(), &Wish::discard(arguments), out);
    }
    let mut any = match buses::open(config, access) {
        // Whoever has the bus to itself does it.
        Err(failure) if failure.exit == Exit::Taken => return over_http(config, None, &Wish::discard(arguments), out),
        opened => opened?,
    };
    let selected = Selected::read(&mut any, config, &arguments.select, None, &|_| None)?;
    let Some(hand) = arguments.hand.confirmed(selected.entries.len())? else {
        return tell_dry(&selected.answer(), "discarded", arguments.hand.json, out);
    };
    let topics = Topics::new(&config.prefix);
    on_bus!(&mut any, bus => hand.discard(bus, &topics, &selected.entries)?);
    let mut telling = Telling::new(true);
    selected.entries.iter().filter(|_| arguments.hand.json).try_for_each(|entry| telling.tell(&Told::discarded(entry), out))?;
    if arguments.hand.json {
        return Ok(());
    }
    say(out, format_args!("{} discarded; `ringmaster quarantine list --all` still has them", records(selected.entries.len())))
}

/// `ringmaster quarantine redrive`
pub(super) fn redrive(config: &Config, arguments: &RedriveArguments, out: &mut dyn Write) -> Result<(), Failure> {
    arguments.select.check()?;
    // The embedded bus belongs to the coordinator.
    if arguments.asked.api.is_some() || config.bus == BusKind::Embedded {
        return over_http(config, arguments.asked.api.as_ref(), &Wish::redrive(arguments), out);
    }
    let (topics, pace) = (Topics::new(&config.prefix), &arguments.pace);
    let access = if arguments.hand.is_meant() { Access::Write } else { Access::Read };
    let mut any = buses::open(config, access)?;
    let why_not = |record: &Quarantined| why_not(record, &topics, pace.accept_old);
    let selected = Selected::read(&mut any, config, &arguments.select, Some(&topics.replies), &why_not)?;
    let Some(hand) = arguments.hand.confirmed(selected.entries.len())? else {
        return tell_dry(&selected.answer(), "brought again", arguments.hand.json, out);
    };
    let stop = stop_signal()?;
    on_bus!(&mut any, bus => {
        let inbox = Inbox::find(bus, &config.prefix)?;
        let mut work = Work { inbox: &inbox, topics: &topics, hand: &hand, pace, told: Telling::new(arguments.hand.json) };
        work.run(bus, &selected.entries, &stop, out)
    })
}

/// What a coordinator is asked for.
struct Wish<'a> {
    path: &'static str,
    /// What becomes of them, in words.
    what: &'static str,
    select: &'a SelectArguments,
    hand: &'a HandArguments,
    pace: Option<&'a PaceArguments>,
}

impl<'a> Wish<'a> {
    fn redrive(arguments: &'a RedriveArguments) -> Wish<'a> {
        let (path, what) = ("/api/v1/quarantine:redrive", "brought again");
        Wish { path, what, select: &arguments.select, hand: &arguments.hand, pace: Some(&arguments.pace) }
    }

    fn discard(arguments: &'a DiscardArguments) -> Wish<'a> {
        let (path, what) = ("/api/v1/quarantine:discard", "discarded");
        Wish { path, what, select: &arguments.select, hand: &arguments.hand, pace: None }
    }

    /// All that are meant, or these.
    fn body(&self, ids: Option<Vec<String>>) -> QuarantineBody {
        let accept_old = self.pace.is_some_and(|pace| pace.accept_old);
        let Some(ids) = ids else { return QuarantineBody { accept_old, ..self.select.body() } };
        QuarantineBody {
            expected: Some(ids.len()),
            ids,
            why: self.hand.why().map(str::to_owned),
            accept_old,
            ..QuarantineBody::default()
        }
    }
}

/// A coordinator does it, some at a time.
fn over_http(config: &Config, api: Option<&Address>, wish: &Wish<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let ask = |body: QuarantineBody| {
        let by = wish.hand.by().map(str::to_owned);
        post_typed::<_, QuarantineAnswer>(config, api, (wish.path, by), |by| QuarantineBody { by, ..body })
    };
    let answer = ask(wish.body(None))?;
    if wish.hand.confirmed(answer.count)?.is_none() {
        return tell_dry(&answer, wish.what, wish.hand.json, out);
    }
    let (stop, mut telling, mut left) = (stop_signal()?, Telling::new(wish.hand.json), answer.ids);
    let some = wish.pace.map_or(REQUESTED_MAX, |pace| pace.rate.a_second().min(REQUESTED_MAX));
    while !left.is_empty() && !stop.load(Ordering::Relaxed) && !telling.has_open() {
        let since = Instant::now();
        let ids = left[..some.min(left.len())].to_vec();
        let done = ask(wish.body(Some(ids)))?;
        done.results.iter().try_for_each(|told| telling.tell(told, out))?;
        if done.results.is_empty() {
            break;
        }
        left.drain(..done.results.len());
        if let Some(pace) = wish.pace {
            pace.rate.rest(since, done.results.len(), (answer.count - left.len(), answer.count));
        }
    }
    telling.end(left.len(), out)
}

/// Records on their way from quarantine.
struct Work<'a> {
    inbox: &'a Inbox,
    topics: &'a Topics,
    hand: &'a Hand<'a>,
    pace: &'a PaceArguments,
    told: Telling,
}

impl Work<'_> {
    fn run(&mut self, bus: &mut impl Bus, entries: &[Entry], stop: &AtomicBool, out: &mut dyn Write) -> Result<(), Failure> {
        let mut rest = entries;
        while !rest.is_empty() && !stop.load(Ordering::Relaxed) && !self.told.has_open() {
            let since = Instant::now();
            let count = self.inbox.room(rest.iter().map(|(_, record)| record.length as usize), self.pace.rate.a_second());
            let (now, later) = rest.split_at(count);
            self.bring(bus, now, out)?;
            rest = later;
            self.pace.rate.rest(since, count, (entries.len() - rest.len(), entries.len()));
        }
        self.told.end(rest.len(), out)
    }

    /// Brings some of them, and tells what became of each.
    fn bring(&mut self, bus: &mut impl Bus, entries: &[Entry], out: &mut dyn Write) -> Result<(), Failure> {
        let how = (self.pace.accept_old, self.pace.rate.patience());
        let outcomes = self.hand.bring(bus, (self.inbox, self.topics), entries, how)?;
        entries.iter().zip(&outcomes).try_for_each(|(entry, outcome)| self.told.tell(&Told::of_entry(entry, outcome), out))
    }
}

/// Says what would be done, and how it is done.
fn tell_dry(would: &QuarantineAnswer, what: &str, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return say(out, format_args!("{}", serde_json::to_string(would).expect("it is JSON")));
    }
    let QuarantineAnswer { count, by_kind, not, sample, .. } = would;
    say(out, format_args!("{} would be {what}", records(*count)))?;
    for QuarantineKind { reason, topic, count } in by_kind {
        say(out, format_args!("  {count} {reason} from {}", printable(topic.as_bytes())))?;
    }
    for QuarantineEntry { id, topic, partition, offset, reason, detail, .. } in sample {
        let detail: String = detail.chars().take(100).collect();
        let line = format!("{id}  {topic}/{partition}/{offset}  {reason}  {detail}");
        say(out, format_args!("  {}", printable(line.as_bytes())))?;
    }
    if *count > sample.len() {
        say(out, format_args!("  and {} more", count - sample.len()))?;
    }
    for QuarantineNot { why, count } in not {
        say(out, format_args!("not {count}: {why}"))?;
    }
    if *count == 0 { Ok(()) } else { say(out, format_args!("nothing was done; to do it, add --expected {count} --why TEXT")) }
}
