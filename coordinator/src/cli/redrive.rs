//! `quarantine redrive` and `quarantine discard`: what is done with records that lie in quarantine. Nothing is done that was not counted
//! before; nothing is deleted.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use ringmaster_bus::Bus;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{QuarantineAct, QuarantineMark, Quarantined, Redriven, WasQuarantined};
use ringmaster_schemas::names::Topics;
use serde_json::{Value, json};

use super::again::{Became, Inbox};
use super::buses::{self, Access, on_bus};
use super::control;
use super::definitions::say;
use super::entries::Place;
use super::exit::{Exit, Failure};
use super::run::stop_signal;
use super::select::{SelectArguments, Selected};
use super::sources;
use super::text::printable;
use crate::blocking::{self, Read};
use crate::config::Config;

/// Marks that are written at once.
const MARKS_MAX: usize = 500;
/// Bytes of what a person says, and of what became of a record, in a mark.
const TEXT_BYTES_MAX: usize = 1_024;

/// Who does it, and whether it is done.
#[derive(Debug, Args)]
pub(super) struct HandArguments {
    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Who does it.
    #[arg(long, env = "USER", value_name = "NAME")]
    by: Option<String>,
    /// Do it, if it still is about so many records. Without it nothing is done, and it is said what would be.
    #[arg(long, value_name = "COUNT", requires = "why")]
    expected: Option<usize>,
    /// One JSON object a record and line.
    #[arg(long)]
    json: bool,
}

/// How fast records are brought again.
#[derive(Debug, Args)]
pub(super) struct PaceArguments {
    /// Also starts that are older than finished sagas are remembered: one that has run and is forgotten would run once more.
    #[arg(long)]
    accept_old: bool,
    /// At most so many records a second.
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// How many seconds to wait for the answers of those that are on their way.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
}

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

/// Who, and why.
#[derive(Debug)]
struct Hand<'a> {
    by: &'a str,
    why: &'a str,
}

impl HandArguments {
    /// Who does it and why, if it is to be done: to as many as were expected, else to none.
    fn confirmed(&self, count: usize) -> Result<Option<Hand<'_>>, Failure> {
        let (Some(expected), Some(why)) = (self.expected, self.why.as_deref()) else { return Ok(None) };
        if expected != count {
            let why = format!("it is about {count} records now, not {expected}: look again, without --expected");
            return Err(Failure::new(Exit::Rejected, why));
        }
        let by = self.by.as_deref().ok_or_else(|| Failure::new(Exit::Usage, "say who does it: --by NAME"))?;
        Ok(Some(Hand { by: cut(by), why: cut(why) }))
    }
}

/// `ringmaster quarantine discard`
pub(super) fn discard(config: &Config, arguments: &DiscardArguments, out: &mut dyn Write) -> Result<(), Failure> {
    arguments.select.check()?;
    let access = if arguments.hand.expected.is_some() { Access::Write } else { Access::Read };
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
    control::needs_kafka(config)?;
    let (topics, pace) = (Topics::new(&config.prefix), &arguments.pace);
    let access = if arguments.hand.expected.is_some() { Access::Write } else { Access::Read };
    let mut any = buses::open(config, access)?;
    let why_not = |record: &Quarantined| why_not(record, &topics, pace.accept_old);
    let selected = Selected::read(&mut any, config, &arguments.select, Some(&topics.replies), &why_not)?;
    let Some(hand) = arguments.hand.confirmed(selected.entries.len())? else {
        return tell_dry(&selected, "brought again", arguments.hand.json, out);
    };
    let stop = stop_signal()?;
    on_bus!(&mut any, bus => {
        let inbox = Inbox::find(bus, &config.prefix)?;
        let mut work = Work { inbox: &inbox, topics: &topics, hand: &hand, pace, json: arguments.hand.json, told: BTreeMap::new() };
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
    json: bool,
    /// How many were told what.
    told: BTreeMap<&'static str, usize>,
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
        while !rest.is_empty() && !stop.load(Ordering::Relaxed) && !self.told.contains_key("open") {
            let since = Instant::now();
            let count = self.inbox.room(rest.iter().map(|(_, record)| record.length as usize), self.pace.rate as usize);
            let (now, later) = rest.split_at(count);
            self.bring(bus, now, out)?;
            rest = later;
            if !rest.is_empty() {
                // Nobody need listen.
                let _ = writeln!(std::io::stderr(), "{} of {}", entries.len() - rest.len(), entries.len());
                // Not more of them a second than that.
                let share = Duration::from_secs_f64(count as f64 / f64::from(self.pace.rate));
                std::thread::sleep(share.saturating_sub(since.elapsed()));
            }
        }
        self.end(rest.len(), out)
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
        let became = self.inbox.bring(bus, &brought, Duration::from_secs(self.pace.timeout))?;
        let heard = sent.iter().zip(&became).filter(|(_, became)| !became.is_open());
        let marks: Vec<_> = heard.map(|(entry, became)| mark(entry, QuarantineAct::Redriven, self.hand, &became.words())).collect();
        blocking::append_each(bus, &self.topics.quarantine, &marks)?;
        for (entry, became) in sent.iter().zip(&became) {
            self.tell(entry, became, out)?;
        }
        for (entry, why) in not {
            *self.told.entry("not sent").or_default() += 1;
            let line = json!({ "result": "not_sent", "why": why });
            self.say(entry, line, &format!("it was not sent: {why}"), out)?;
        }
        Ok(())
    }

    fn redriven(&self, ((partition, offset), record): &(Place, Quarantined), read: Read) -> Redriven {
        let was = WasQuarantined { partition: *partition, offset: *offset, reason: record.reason, detail: record.detail.clone() };
        Redriven {
            id: format!("{:016x}", fastrand::u64(..)).into(),
            tells: false,
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp: read.timestamp,
            key: read.key.map(Bytes::from),
            value: read.value.map(Bytes::from),
            headers: read.headers,
            by: self.hand.by.into(),
            why: self.hand.why.into(),
            accept_old: self.pace.accept_old,
            was: Some(was),
        }
    }

    fn tell(&mut self, entry: &(Place, Quarantined), became: &Became, out: &mut dyn Write) -> Result<(), Failure> {
        *self.told.entry(became.word()).or_default() += 1;
        self.say(entry, became.json(), &became.words(), out)
    }

    fn say(
        &self,
        ((partition, offset), record): &(Place, Quarantined),
        mut line: Value,
        words: &str,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (id, from) = (format!("{partition}/{offset}"), format!("{}/{}/{}", record.topic, record.partition, record.offset));
        if self.json {
            (line["id"], line["from"]) = (id.into(), from.into());
            return say(out, format_args!("{line}"));
        }
        say(out, format_args!("{id}  {from}  {}", printable(words.as_bytes())))
    }

    /// How it ended: well, if each record is taken or known.
    fn end(&self, rest: usize, out: &mut dyn Write) -> Result<(), Failure> {
        let counts: Vec<String> = self.told.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let words = if counts.is_empty() { "nothing was sent".to_owned() } else { counts.join(", ") };
        if self.told.contains_key("open") {
            let why = "not all partitions took it within the time: it lies in the inbox, and is taken when a coordinator reads it, or when starts are held no more. Bringing it again does nothing twice";
            return Err(Failure::new(Exit::Waited, format_args!("{words}; {why}")));
        }
        if rest > 0 {
            let why = format!(
                "interrupted: {} wait still; without --expected the same command says how many it would be now",
                records(rest)
            );
            return Err(Failure::new(Exit::Failed, format_args!("{words}; {why}")));
        }
        if ["quarantined", "not sent"].iter().any(|bad| self.told.contains_key(bad)) {
            return Err(Failure::new(Exit::Rejected, words));
        }
        if self.json { Ok(()) } else { say(out, format_args!("{words}")) }
    }
}

/// A mark, for the partition of its entry.
fn mark(entry: &(Place, Quarantined), act: QuarantineAct, hand: &Hand<'_>, outcome: &str) -> (i32, Vec<u8>, Vec<u8>) {
    let ((partition, offset), record) = entry;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis);
    let mark =
        QuarantineMark { offset: *offset, act, by: hand.by.into(), why: hand.why.into(), at: now, outcome: cut(outcome).into() };
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

pub(super) fn records(count: usize) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
