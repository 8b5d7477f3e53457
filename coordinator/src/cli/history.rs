//! `saga history`: what happened to a saga, told from the journal itself.
//!
//! ```text
//! the row's turns, or else all records of the saga's partition -> those that count -> this saga's events -> words
//! ```

mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

use clap::Args;
use ringmaster_bus::{Bus, TopicPartition};
use ringmaster_core::definition::Catalog;
use ringmaster_core::partition::{Fence, Verdict};
use ringmaster_core::saga::{Teller, Told, Versions};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Cause, Change, Decision, DefinitionHash, JournalRecord, Stamp, TopicId, Turn};
use ringmaster_schemas::names::{Topics, hex};
use serde_json::json;

use super::arguments::Asked;
use super::buses::{self, Access, on_bus};
use super::definitions::{require_topics, say};
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::saga::check_id;
use super::text::{self, printable, time};
use crate::api;
use crate::batches::is_of_batch;
use crate::blocking;
use crate::config::Config;
use crate::control;
use crate::runtime;

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct HistoryArguments {
    /// For example order-fulfilment/ord-17.
    id: String,
    /// At most so many events, the newest.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT", value_parser = super::sagas::count)]
    limit: usize,
    /// Read the whole journal of the saga's partition: it also tells inputs that were not taken, events that came before the saga, and
    /// what an earlier saga of this id did.
    #[arg(long)]
    scan: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// `ringmaster saga history ID`
pub(super) fn history(config: &Config, arguments: &HistoryArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let HistoryArguments { id, limit, json: as_json, .. } = arguments;
    check_id(id)?;
    let topic = Topics::new(&config.prefix).journal;
    // Asked before the journal is read: what is not in the row is behind it.
    let row = if arguments.scan { Err("--scan".to_owned()) } else { turns::ask(config, id, arguments.asked.api.as_ref()) };
    let mut any = buses::open(config, Access::Read)?;
    let (known, partitions) = on_bus!(&mut any, bus => {
        require_topics(bus, config)?;
        let known = runtime::read_knowledge(bus, &config.prefix, &config.schemas, &config.compile_options())?;
        let described = bus.describe(&[&topic])?.into_iter().next().flatten();
        (known, described.map(|described| described.partitions))
    });
    let Some(partitions) = partitions else {
        return Err(Failure::new(Exit::Refused, format_args!("there is no topic {topic}: run `ringmaster topics apply`")));
    };
    let partition = api::partition_of(id, partitions).expect("it is an id");
    let catalog = &known.catalog;
    let versions = |hash: &DefinitionHash| Some((&**catalog.by_hash(hash)?, catalog.number_of(hash)?));
    let (story, how) = on_bus!(&mut any, bus => {
        let names = names_of_inputs(bus, config, catalog)?;
        let fresh = || Story::of(id, &versions, *limit, names.clone());
        let at = (&*topic, partition);
        let by_row = match row {
            Ok(row) => turns::read(bus, at, &row, fresh())?,
            Err(why) => Err(why),
        };
        match by_row {
            Ok(told) => told,
            Err(why) => {
                let mut story = fresh();
                scan(bus, at, &mut story)?;
                (story, format!("read by a scan of the partition's journal ({why})"))
            }
        }
    });
    story.tell(partition, (&how, *as_json), out)
}

/// What inputs are called, by what the journal calls them.
fn names_of_inputs(bus: &mut impl Bus, config: &Config, catalog: &Catalog) -> Result<BTreeMap<TopicId, String>, Failure> {
    let own = Topics::new(&config.prefix);
    let events = [catalog.input_topics(), catalog.listener_topics()].concat();
    let all: Vec<&str> = [&*own.replies, &own.control, &own.inbox].into_iter().chain(events.iter().map(|topic| &**topic)).collect();
    let described = bus.describe(&all)?;
    Ok(described.into_iter().flatten().map(|topic| (topic.id, topic.name)).collect())
}

/// Reads the journal of a partition to its end, and says how far it is while that takes long.
fn scan(bus: &mut impl Bus, (topic, partition): (&str, i32), story: &mut Story<'_>) -> Result<(), Failure> {
    let at = TopicPartition { topic: bus.topic(topic), partition };
    let (start, _) = blocking::bounds(bus, at)?;
    story.begins(start);
    read_on(bus, (topic, partition), (0, i64::MAX), story)
}

/// Reads what stands there from an offset on, up to the end or to another offset.
fn read_on(
    bus: &mut impl Bus,
    (topic, partition): (&str, i32),
    (from, to): (i64, i64),
    story: &mut Story<'_>,
) -> Result<(), Failure> {
    let at = TopicPartition { topic: bus.topic(topic), partition };
    let end = blocking::bounds(bus, at)?.1.min(to);
    if from >= end {
        return Ok(());
    }
    let (mut progress, mut trouble) = (Progress::begin(), None);
    blocking::read_from(bus, topic, (partition, from), &mut |read| {
        if read.offset >= to {
            return false;
        }
        progress.at(format_args!("{topic}/{partition}: offset {} of {end}", read.offset));
        trouble = story.record(read.offset, read.value.as_deref().unwrap_or_default()).err();
        trouble.is_none() && read.offset + 1 < to
    })?;
    let failed = |why| Failure::new(Exit::Journal, format_args!("{topic}/{partition}: {why}"));
    trouble.map_or(Ok(()), |why| Err(failed(why)))
}

/// One line of the story.
struct Line {
    at: Millis,
    offset: i64,
    cause: String,
    told: Told,
}

/// A saga's story in the making.
struct Story<'a> {
    id: &'a str,
    versions: Versions<'a>,
    teller: Teller<'a>,
    fence: Fence,
    /// The oldest offset of the journal.
    start: i64,
    /// The beginning of the journal is gone, and no claim was read yet: which term is in force is known only from its records.
    is_termless: bool,
    /// Names of input topics, as the journal tells them.
    topics: BTreeMap<TopicId, String>,
    /// The newest lines.
    lines: VecDeque<Line>,
    limit: usize,
    left_out: usize,
    /// Its beginning was read.
    has_begun: bool,
}

impl<'a> Story<'a> {
    fn of(id: &'a str, versions: Versions<'a>, limit: usize, topics: BTreeMap<TopicId, String>) -> Story<'a> {
        Story {
            id,
            versions,
            teller: Teller::new(id, versions, &time),
            fence: Fence::default(),
            start: 0,
            is_termless: false,
            topics,
            lines: VecDeque::new(),
            limit,
            left_out: 0,
            has_begun: false,
        }
    }

    fn begins(&mut self, start: i64) {
        (self.start, self.is_termless) = (start, start > 0);
    }

    /// Takes a record of the journal; what does not count never happened.
    fn record(&mut self, offset: i64, value: &[u8]) -> Result<(), String> {
        let record = JournalRecord::read(value).map_err(|error| format!("the record at offset {offset}: {error}"))?;
        let Some(record) = record else { return Ok(()) };
        self.find_term(record.stamp());
        if self.fence.judge(offset, &record) != Verdict::Counts {
            self.is_termless &= !matches!(record, JournalRecord::Claim(_));
            return Ok(());
        }
        match record {
            JournalRecord::Decision(decision) => self.decision(offset, &decision),
            JournalRecord::Positions(positions) => {
                let name = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
                let names = positions.positions.into_iter().map(|position| (position.topic, name(&position.name)));
                self.topics.extend(names);
            }
            JournalRecord::Claim(_) | JournalRecord::Bare(_) => {}
        }
        Ok(())
    }

    /// Where the claim itself is gone, the newest one that a record names is in force: what an older one wrote does not count.
    fn find_term(&mut self, stamp: Option<&Stamp>) {
        let Some(stamp) = stamp.filter(|_| self.is_termless) else { return };
        if stamp.claim_offset > self.fence.claim_offset {
            (self.teller, self.left_out, self.has_begun) = (Teller::new(self.id, self.versions, &time), 0, false);
            self.lines.clear();
            (self.fence.claim_offset, self.fence.claim, self.fence.number) = (stamp.claim_offset, stamp.claim, stamp.number);
        }
    }

    /// Takes a record that counts, as the saga's row says; false if it is not about the saga.
    fn named(&mut self, offset: i64, value: &[u8]) -> Result<bool, String> {
        let record = JournalRecord::read(value).map_err(|error| format!("the record at offset {offset}: {error}"))?;
        let Some(JournalRecord::Decision(decision)) = record else { return Ok(false) };
        let is_its = |change: &Change| matches!(change, Change::Saga(change) if *change.saga == *self.id);
        if !decision.turns.iter().flat_map(|turn| &turn.changes).any(is_its) {
            return Ok(false);
        }
        let stamp = &decision.stamp;
        self.find_term(Some(stamp));
        self.is_termless = false;
        (self.fence.claim_offset, self.fence.claim, self.fence.number) = (stamp.claim_offset, stamp.claim, stamp.number + 1);
        self.decision(offset, &decision);
        Ok(true)
    }

    fn decision(&mut self, offset: i64, decision: &Decision) {
        for turn in &decision.turns {
            for change in &turn.changes {
                let mut told = Vec::new();
                match change {
                    Change::Saga(change) if *change.saga == *self.id => {
                        change.events.iter().for_each(|event| self.teller.tell(event, &mut told));
                    }
                    Change::Rejected(rejected) if *rejected.saga == *self.id => {
                        let text = format!("an input is not taken: {}: {}", rejected.reason, rejected.detail);
                        told.push(Told { event: "input_rejected", step: None, text });
                    }
                    Change::Saga(_)
                    | Change::Rejected(_)
                    | Change::Quarantined(_)
                    | Change::Expired(_)
                    | Change::Breaker(_)
                    | Change::ValueReturned(_)
                    | Change::Undeliverable(_)
                    | Change::Delivered(_) => {}
                }
                let cause = if told.is_empty() { String::new() } else { self.cause(decision, turn) };
                for told in told {
                    self.has_begun |= told.event == "started";
                    self.lines.push_back(Line { at: decision.stamp.now, offset, cause: cause.clone(), told });
                }
            }
        }
        while self.lines.len() > self.limit {
            self.lines.pop_front();
            self.left_out += 1;
        }
    }

    fn cause(&self, decision: &Decision, turn: &Turn) -> String {
        match &turn.cause {
            Cause::Input { topic, next } => {
                let id = usize::try_from(*topic).ok().and_then(|topic| decision.topics.get(topic));
                let name = id.map(|id| self.topics.get(id).cloned().unwrap_or_else(|| hex(id)));
                let name = name.as_deref().unwrap_or("an input");
                let act = control::act_id(turn);
                let batch = act.as_deref().and_then(is_of_batch).map_or_else(String::new, |batch| format!(", batch {batch}"));
                format!("{name} at {}{batch}", next - 1)
            }
            Cause::Routed { from, .. } => {
                let name = self.topics.get(&from.source).cloned().unwrap_or_else(|| hex(&from.source));
                format!("{name}/{} at {}", from.partition, from.offset)
            }
            // A list is long: its saga goes on with it whenever there is room, and so do rows that are to go.
            Cause::Due { due_at: 0 } => "work that was left".to_owned(),
            Cause::Due { due_at } => format!("due {}", time(*due_at)),
            Cause::Upkeep {} => "upkeep".to_owned(),
        }
    }

    fn tell(&self, partition: i32, (how, as_json): (&str, bool), out: &mut dyn Write) -> Result<(), Failure> {
        let Story { id, start, lines, .. } = self;
        let cut = format!("the journal of partition {partition} begins at offset {start}: what happened before is gone");
        if lines.is_empty() {
            let why = if *start > 0 { format!("; {cut}") } else { String::new() };
            return Err(Failure::new(Exit::NotFound, format_args!("the journal has nothing of '{id}'{why}")));
        }
        let is_cut = *start > 0 && !self.has_begun;
        if is_cut {
            // Nobody need listen.
            let _ = writeln!(std::io::stderr(), "{cut}");
        }
        if as_json {
            let _ = writeln!(std::io::stderr(), "{how}");
            if self.left_out > 0 {
                let _ = writeln!(std::io::stderr(), "{} older ones are left out (--limit)", self.left_out);
            }
            return lines.iter().try_for_each(|line| say(out, format_args!("{}", json_of(line))));
        }
        let mut table = text::table(["AT", "OFFSET", "BY", "WHAT"]);
        for Line { at, offset, cause, told } in lines {
            table.add_row([time(*at), offset.to_string(), cause.clone(), printable(told.text.as_bytes())]);
        }
        say(out, format_args!("{table}"))?;
        let older =
            if self.left_out > 0 { format!("; {} older ones are left out (--limit)", self.left_out) } else { String::new() };
        let count = if lines.len() == 1 { "1 event".to_owned() } else { format!("{} events", lines.len()) };
        say(out, format_args!("{count} of partition {partition} of the journal{older}; {how}"))
    }
}

fn json_of(line: &Line) -> serde_json::Value {
    json!({
        "at": time(line.at),
        "offset": line.offset,
        "by": line.cause,
        "event": line.told.event,
        "step": line.told.step,
        "text": line.told.text,
    })
}

#[cfg(test)]
mod tests;
