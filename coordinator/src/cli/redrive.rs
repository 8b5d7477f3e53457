//! `quarantine redrive` and `quarantine discard`: what is done with records that lie in quarantine. Nothing is done that was not counted
//! before; nothing is deleted.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use ringmaster_bus::Bus;
use ringmaster_schemas::journal::{QuarantineAct, QuarantineMark, Quarantined, Redriven, WasQuarantined};
use ringmaster_schemas::names::Topics;
use serde_json::json;

use super::again::Inbox;
use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::entries::Place;
use super::exit::Failure;
use super::hand::{Hand, HandArguments, PaceArguments, Told, cut, records};
use super::run::stop_signal;
use super::select::{SelectArguments, Selected};
use super::sources;
use crate::blocking::{self, Read};
use crate::config::Config;
use crate::runtime::wall;

/// Marks that are written at once.
const MARKS_MAX: usize = 500;

/// What stands on the command line of `redrive`.
#[derive(Debug, Args)]
pub(super) struct RedriveArguments {
    #[command(flatten)]
    select: SelectArguments,
    #[command(flatten)]
    hand: HandArguments,
    #[command(flatten)]
    pace: PaceArguments,
}

/// What stands on the command line of `discard`.
#[derive(Debug, Args)]
pub(super) struct DiscardArguments {
    #[command(flatten)]
    select: SelectArguments,
    #[command(flatten)]
    hand: HandArguments,
}

/// `ringmaster quarantine discard`
pub(super) fn discard(config: &Config, arguments: &DiscardArguments, out: &mut dyn Write) -> Result<(), Failure> {
    arguments.select.check()?;
    let access = if arguments.hand.is_meant() { Access::Write } else { Access::Read };
    let mut any = buses::open(config, access)?;
    let selected = Selected::read(&mut any, config, &arguments.select, None, &|_| None)?;
    let Some(hand) = arguments.hand.confirmed(selected.entries.len())? else {
        return tell_dry(&selected, "discarded", arguments.hand.json, out);
    };
    let topic = Topics::new(&config.prefix).quarantine;
    for entries in selected.entries.chunks(MARKS_MAX) {
        let marks: Vec<_> = entries.iter().map(|entry| mark(entry, QuarantineAct::Discarded, &hand, "")).collect();
        on_bus!(&mut any, bus => blocking::append_each(bus, &topic, &marks)?);
        for ((partition, offset), _) in entries.iter().filter(|_| arguments.hand.json) {
            say(out, format_args!("{}", json!({ "id": format!("{partition}/{offset}"), "result": "discarded" })))?;
        }
    }
    if arguments.hand.json {
        return Ok(());
    }
    say(out, format_args!("{} discarded; `ringmaster quarantine list --all` still has them", records(selected.entries.len())))
}

/// `ringmaster quarantine redrive`
pub(super) fn redrive(config: &Config, arguments: &RedriveArguments, out: &mut dyn Write) -> Result<(), Failure> {
    arguments.select.check()?;
    buses::needs_kafka(config)?;
    let (topics, pace) = (Topics::new(&config.prefix), &arguments.pace);
    let access = if arguments.hand.is_meant() { Access::Write } else { Access::Read };
    let mut any = buses::open(config, access)?;
    let why_not = |record: &Quarantined| why_not(record, &topics, pace.accept_old);
    let selected = Selected::read(&mut any, config, &arguments.select, Some(&topics.replies), &why_not)?;
    let Some(hand) = arguments.hand.confirmed(selected.entries.len())? else {
        return tell_dry(&selected, "brought again", arguments.hand.json, out);
    };
    let stop = stop_signal()?;
    on_bus!(&mut any, bus => {
        let inbox = Inbox::find(bus, &config.prefix)?;
        let mut work = Work { inbox: &inbox, topics: &topics, hand: &hand, pace, told: Told::new(arguments.hand.json) };
        work.run(bus, &selected.entries, &stop, out)
    })
}

/// Why a record is not brought again, if so.
fn why_not(record: &Quarantined, topics: &Topics, accept_old: bool) -> Option<String> {
    use ringmaster_schemas::journal::QuarantineReason::TooOld;
    if *record.topic == *topics.control {
        return Some(
            "acts are not said again from quarantine, since what they were for has moved on: `ringmaster act` says them anew"
                .to_owned(),
        );
    }
    if *record.topic == *topics.inbox {
        return Some(format!("only coordinators write to {}, and this is none of theirs", topics.inbox));
    }
    (record.reason == TooOld && !accept_old).then(|| {
        "they are TOO_OLD: the saga may have run and been forgotten, and would run again; --accept-old takes them all the same"
            .to_owned()
    })
}

/// Records on their way from quarantine.
struct Work<'a> {
    inbox: &'a Inbox,
    topics: &'a Topics,
    hand: &'a Hand<'a>,
    pace: &'a PaceArguments,
    told: Told,
}

impl Work<'_> {
    fn run(
        &mut self,
        bus: &mut impl Bus,
        entries: &[(Place, Quarantined)],
        stop: &AtomicBool,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
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
    fn bring(&mut self, bus: &mut impl Bus, entries: &[(Place, Quarantined)], out: &mut dyn Write) -> Result<(), Failure> {
        let records: Vec<&Quarantined> = entries.iter().map(|(_, record)| record).collect();
        let found = sources::read_again(bus, &records)?;
        let (mut sent, mut brought, mut not) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, found) in entries.iter().zip(found) {
            let is_answer = *entry.1.topic == *self.topics.replies;
            let found = found.or_else(|why| if is_answer { sources::kept(&entry.1).ok_or(why) } else { Err(why) });
            let fits = |read: Read| match self
                .inbox
                .refuses(read.value.as_ref().map_or(0, Vec::len) + 2 * read.key.as_ref().map_or(0, Vec::len))
            {
                Some(why) => Err(why),
                None => Ok(read),
            };
            match found.and_then(fits) {
                Ok(read) => {
                    brought.push(self.redriven(entry, read));
                    sent.push(entry);
                }
                Err(why) => not.push((entry, why)),
            }
        }
        let became = self.inbox.bring(bus, &brought, self.pace.rate.patience())?;
        let heard = sent.iter().zip(&became).filter(|(_, became)| !became.is_open());
        let marks: Vec<_> = heard.map(|(entry, became)| mark(entry, QuarantineAct::Redriven, self.hand, &became.words())).collect();
        blocking::append_each(bus, &self.topics.quarantine, &marks)?;
        for (entry, became) in sent.iter().zip(&became) {
            let (id, from) = names(entry);
            self.told.became(Some(&id), &from, became, out)?;
        }
        for (entry, why) in not {
            let (id, from) = names(entry);
            self.told.not_sent(Some(&id), &from, &why, out)?;
        }
        Ok(())
    }

    fn redriven(&self, ((partition, offset), record): &(Place, Quarantined), read: Read) -> Redriven {
        let was = WasQuarantined { partition: *partition, offset: *offset, reason: record.reason, detail: record.detail.clone() };
        self.hand.redriven(&record.topic, read, self.pace.accept_old, Some(was))
    }
}

/// Where an entry lies, and where it came from.
fn names(((partition, offset), record): &(Place, Quarantined)) -> (String, String) {
    (format!("{partition}/{offset}"), format!("{}/{}/{}", record.topic, record.partition, record.offset))
}

/// A mark, for the partition of its entry.
fn mark(entry: &(Place, Quarantined), act: QuarantineAct, hand: &Hand<'_>, outcome: &str) -> (i32, Vec<u8>, Vec<u8>) {
    let ((partition, offset), record) = entry;
    let mark =
        QuarantineMark { offset: *offset, act, by: hand.by.into(), why: hand.why.into(), at: wall(), outcome: cut(outcome).into() };
    (*partition, record.key.as_deref().unwrap_or_default().to_vec(), mark.encode())
}

/// Says what would be done, and how it is done.
fn tell_dry(selected: &Selected, what: &str, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let count = selected.entries.len();
    if as_json {
        let by =
            |((reason, topic), count): (&(String, String), &usize)| json!({ "reason": reason, "topic": topic, "count": count });
        let not = |(why, count): (&String, &usize)| json!({ "why": why, "count": count });
        let by: Vec<_> = selected.by_kind.iter().map(by).collect();
        let not: Vec<_> = selected.not.iter().map(not).collect();
        return say(out, format_args!("{}", json!({ "would": what, "count": count, "by": by, "not": not })));
    }
    say(out, format_args!("{} would be {what}", records(count)))?;
    for ((reason, topic), count) in &selected.by_kind {
        say(out, format_args!("  {count} {reason} from {topic}"))?;
    }
    for line in selected.some_lines() {
        say(out, format_args!("  {line}"))?;
    }
    for (why, count) in &selected.not {
        say(out, format_args!("not {count}: {why}"))?;
    }
    if count == 0 { Ok(()) } else { say(out, format_args!("nothing was done; to do it, add --expected {count} --why TEXT")) }
}
