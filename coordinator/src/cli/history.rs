//! `saga history`: what happened to a saga, told from the journal itself.
//!
//! ```text
//! records of the saga's partition -> those that count -> this saga's events -> words
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use ringmaster_bus::{Bus, TopicPartition};
use ringmaster_core::partition::{Fence, Verdict};
use ringmaster_core::saga::{Teller, Told, Versions};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Cause, Change, Decision, DefinitionHash, JournalRecord, TopicId, Turn};
use ringmaster_schemas::names::{Topics, hex};
use serde_json::json;

use super::buses::{self, Access, on_bus};
use super::definitions::{require_topics, say};
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::saga::check_id;
use super::text::{printable, time};
use crate::api;
use crate::blocking;
use crate::config::Config;
use crate::runtime;

/// `ringmaster saga history ID`
pub(super) fn history(config: &Config, id: &str, limit: usize, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    check_id(id)?;
    let topic = Topics::new(&config.prefix).journal;
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
    let mut story = Story::of(id, &versions, limit);
    on_bus!(&mut any, bus => read(bus, &topic, partition, &mut story)?);
    story.tell(partition, as_json, out)
}

/// Reads the journal of a partition to its end, and says how far it is while that takes long.
fn read(bus: &mut impl Bus, topic: &str, partition: i32, story: &mut Story<'_>) -> Result<(), Failure> {
    let at = TopicPartition { topic: bus.topic(topic), partition };
    let (start, end) = blocking::bounds(bus, at)?;
    story.begins(start);
    let (mut progress, mut trouble) = (Progress::begin(), None);
    blocking::read_to_end(bus, topic, partition, &mut |read| {
        progress.at(format_args!("{topic}/{partition}: offset {} of {end}", read.offset));
        trouble = story.record(read.offset, read.value.as_deref().unwrap_or_default()).err();
        trouble.is_none()
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
    fn of(id: &'a str, versions: Versions<'a>, limit: usize) -> Story<'a> {
        Story {
            id,
            versions,
            teller: Teller::new(id, versions, &time),
            fence: Fence::default(),
            start: 0,
            is_termless: false,
            topics: BTreeMap::new(),
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
        self.find_term(&record);
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
    fn find_term(&mut self, record: &JournalRecord) {
        let Some(stamp) = record.stamp().filter(|_| self.is_termless) else { return };
        if stamp.claim_offset > self.fence.claim_offset {
            (self.teller, self.left_out, self.has_begun) = (Teller::new(self.id, self.versions, &time), 0, false);
            self.lines.clear();
            (self.fence.claim_offset, self.fence.claim, self.fence.number) = (stamp.claim_offset, stamp.claim, stamp.number);
        }
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
                format!("{} at {}", name.as_deref().unwrap_or("an input"), next - 1)
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

    fn tell(&self, partition: i32, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
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
            return lines.iter().try_for_each(|line| say(out, format_args!("{}", json_of(line))));
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["AT", "OFFSET", "BY", "WHAT"]);
        for Line { at, offset, cause, told } in lines {
            table.add_row([time(*at), offset.to_string(), cause.clone(), printable(told.text.as_bytes())]);
        }
        say(out, format_args!("{table}"))?;
        let older =
            if self.left_out > 0 { format!("; {} older ones are left out (--limit)", self.left_out) } else { String::new() };
        let count = if lines.len() == 1 { "1 event".to_owned() } else { format!("{} events", lines.len()) };
        say(out, format_args!("{count} of partition {partition} of the journal{older}"))
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
mod tests {
    use super::*;

    use ringmaster_schemas::journal::{Bare, Claim, Head, HeadFields, SagaChange, SagaEvent, Stamp};

    const ID: &str = "trip/t-1";

    fn claim(id: u8) -> Vec<u8> {
        let claim = Claim { id: [id; 16], owner: "test".into(), address: "".into(), partitions: 1, now: 0 };
        JournalRecord::Claim(claim).encode()
    }

    fn stamp(claim_offset: i64, claim: u8, number: i64) -> Stamp {
        Stamp { claim_offset, claim: [claim; 16], number, released: 0, now: 1_000 }
    }

    /// A record under a claim in which a saga becomes late; the deadline tells one from the other.
    fn late(stamp: Stamp, saga: &str, due_at: Millis) -> Vec<u8> {
        happens(stamp, saga, SagaEvent::MarkedLate { due_at })
    }

    fn happens(stamp: Stamp, saga: &str, event: SagaEvent) -> Vec<u8> {
        let changes = vec![Change::Saga(SagaChange { saga: saga.into(), events: vec![event] })];
        let turns = vec![Turn { cause: Cause::Input { topic: 0, next: 8 }, input: None, changes }];
        JournalRecord::Decision(Decision { stamp, topics: vec![[7; 16]], turns }).encode()
    }

    /// What a journal that begins at `start` tells of the saga.
    fn told(start: i64, records: &[Vec<u8>]) -> Vec<String> {
        let mut story = Story::of(ID, &|_| None, 10);
        story.begins(start);
        for (offset, record) in (start..).zip(records) {
            story.record(offset, record).expect("it is a record");
        }
        story.lines.iter().map(|line| format!("{} by {}: {}", line.offset, line.cause, line.told.text)).collect()
    }

    #[test]
    fn only_what_counts_and_is_about_the_saga_is_told() {
        let records = [
            claim(1),
            late(stamp(0, 1, 0), ID, 0),
            late(stamp(0, 1, 1), "trip/t-2", 1_000),
            b"somebody else's".to_vec(),
            claim(2),
            late(stamp(0, 1, 2), ID, 2_000),
            late(stamp(4, 2, 1), ID, 3_000),
            late(stamp(4, 2, 0), ID, 4_000),
        ];
        let late = |offset, at: &str| {
            format!("{offset} by {} at 7: it is late, and goes on: its deadline was 1970-01-01T00:00:0{at}Z", hex(&[7; 16]))
        };
        assert_eq!(told(0, &records), [late(1, "0"), late(7, "4")]);
    }

    /// Where claims are gone, the newest that a record names is in force, and what another wrote is no part of the story.
    #[test]
    fn a_journal_without_its_beginning_is_told_by_its_newest_term() {
        let bare = |stamp| JournalRecord::Bare(Bare { stamp }).encode();
        let old = late(stamp(50, 1, 8), ID, 1_000);
        let new = [bare(stamp(60, 2, 3)), late(stamp(60, 2, 4), ID, 2_000), old.clone()];
        let both = [old, claim(3), late(stamp(101, 3, 0), ID, 0)];
        for (records, expected) in [
            (&[&both[..1], &new[..]].concat()[..], &["102"][..]),
            (&new, &["101"]),
            (&both[..1], &["100"]),
            (&[&both[..], &both[..1]].concat(), &["100", "102"]),
        ] {
            let offsets: Vec<String> = told(100, records).iter().map(|line| line[..3].to_owned()).collect();
            assert_eq!(offsets, expected);
        }
    }

    #[test]
    fn a_story_says_when_its_beginning_is_missing_or_left_out() {
        let mut out = Vec::new();
        let mut story = Story::of(ID, &|_| None, 2);
        story.begins(100);
        let nothing = story.tell(3, false, &mut out).expect_err("there is nothing");
        assert_eq!(nothing.exit, Exit::NotFound);
        assert!(nothing.message.contains("the journal of partition 3 begins at offset 100"), "{}", nothing.message);
        let head = Head::new(&HeadFields { source: "trips/0/1", ..Default::default() }, &mut Vec::new());
        for (number, event) in (0..).zip([
            SagaEvent::Started { head, deadline_at: None },
            SagaEvent::MarkedLate { due_at: 0 },
            SagaEvent::Undone { place: 3 },
        ]) {
            story.record(100 + number, &happens(stamp(50, 1, number), ID, event)).expect("it is a record");
        }
        assert!(story.has_begun, "it is whole");
        story.tell(3, false, &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.contains("entry 3 is undone") && text.contains("2 events of partition 3 of the journal; 1 older one"),
            "{text}"
        );
    }
}
