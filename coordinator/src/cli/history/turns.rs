//! A story by its row: the records that the row says changed it, those between that it left out, and what came since it was stored.

use ringmaster_bus::{Bus, TopicPartition};
use ringmaster_core::partition::Fence;
use ringmaster_schemas::journal::ClaimId;
use ringmaster_schemas::names::unhex;
use serde_json::Value;

use super::super::exit::Failure;
use super::super::saga;
use super::{Story, read_on};
use crate::api::client::Address;
use crate::blocking;
use crate::config::Config;

/// The next one is read on to where it is so near; else it is asked for by its offset.
const NEAR: i64 = 64;

/// What a coordinator shows of a saga's turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Offsets of the first records that changed it.
    first: Vec<i64>,
    /// How many behind them are not named.
    left_out: i64,
    /// Those of the last ones.
    last: Vec<i64>,
    /// What is behind this offset may not be in the row.
    as_of: i64,
    /// Which claim is in force there, and where it stands.
    term: (i64, ClaimId),
    /// The number that counts next.
    number: i64,
}

/// Asks a coordinator; why its answer is of no use, where it is not.
pub(super) fn ask(config: &Config, id: &str, api: Option<&Address>) -> Result<Row, String> {
    let shown = saga::saga(config, id, api).map_err(|failure| failure.message)?;
    Row::of(&shown).ok_or_else(|| "its row names no turns: an earlier build stored it".to_owned())
}

impl Row {
    /// None where it names no turns.
    pub(super) fn of(shown: &Value) -> Option<Row> {
        let offsets = |of: &Value| of.as_array()?.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>();
        let (turns, term) = (&shown["turns"], &shown["as_of_term"]);
        let first = offsets(&turns["first"]).filter(|first| !first.is_empty())?;
        Some(Row {
            first,
            left_out: turns["left_out"].as_i64()?,
            last: offsets(&turns["last"])?,
            as_of: shown["as_of_journal_offset"].as_i64()?,
            term: (term["claim_offset"].as_i64()?, unhex(term["claim"].as_str()?)?),
            number: term["number"].as_i64()?,
        })
    }
}

/// Reads what the row names, and what follows it; the story, and how it was read. Why it is not the row's, where the journal is another.
pub(super) fn read<'a>(
    bus: &mut impl Bus,
    (topic, partition): (&str, i32),
    row: &Row,
    mut story: Story<'a>,
) -> Result<Result<(Story<'a>, String), String>, Failure> {
    let at = TopicPartition { topic: bus.topic(topic), partition };
    let (start, end) = blocking::bounds(bus, at)?;
    if !(start..=end).contains(&row.as_of) {
        return Ok(Err(format!("the journal goes from offset {start} to {end}, and its row is of {}", row.as_of)));
    }
    story.begins(start);
    // The row may be newer than it is said to be: what is behind that is read anyway.
    let there = |offsets: &[i64]| -> Vec<i64> { offsets.iter().copied().filter(|at| (start..row.as_of).contains(at)).collect() };
    let (first, last) = (there(&row.first), there(&row.last));
    let gone = row.first.iter().chain(&row.last).filter(|offset| **offset < start).count();
    let place = (topic, partition);
    if let Err(why) = named(bus, place, &first, &mut story)? {
        return Ok(Err(why));
    }
    if gone == 0 && !first.is_empty() && !story.has_begun {
        return Ok(Err("its row names no turn in which it began: an earlier build stored it".to_owned()));
    }
    if row.left_out > 0 {
        let from = first.last().map_or(start, |last| last + 1);
        read_on(bus, place, (from, last.first().copied().unwrap_or(row.as_of)), &mut story)?;
    }
    if let Err(why) = named(bus, place, &last, &mut story)? {
        return Ok(Err(why));
    }
    story.goes_on(row);
    read_on(bus, place, (row.as_of, i64::MAX), &mut story)?;
    let count = first.len() + last.len();
    let gone = if gone > 0 { format!("{gone} more that it names are gone, ") } else { String::new() };
    let between = if row.left_out > 0 { format!("the {} between them were looked for, ", row.left_out) } else { String::new() };
    let how = format!(
        "read by the {count} records that its row names, {gone}{between}and from offset {} on; --scan also tells inputs that were not taken",
        row.as_of
    );
    Ok(Ok((story, how)))
}

/// Reads these records, each by its offset.
fn named(
    bus: &mut impl Bus,
    (topic, partition): (&str, i32),
    offsets: &[i64],
    story: &mut Story<'_>,
) -> Result<Result<(), String>, Failure> {
    let mut wanted = offsets.iter().copied().peekable();
    while let Some(&from) = wanted.peek() {
        let mut other = None;
        blocking::read_from(bus, topic, (partition, from), &mut |read| {
            let Some(&next) = wanted.peek() else { return false };
            if read.offset >= next {
                wanted.next();
                let value = read.value.as_deref().unwrap_or_default();
                other = match story.named(read.offset, value) {
                    Ok(true) if read.offset == next => None,
                    Ok(_) => Some(format!("the record at offset {next} of the journal is not the one that its row names")),
                    Err(why) => Some(why),
                };
            }
            other.is_none() && wanted.peek().is_some_and(|next| next - read.offset <= NEAR)
        })?;
        if wanted.peek() == Some(&from) {
            other = Some(format!("the journal has no record at offset {from}, which its row names"));
        }
        if let Some(why) = other {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

impl Story<'_> {
    /// What is read next stands where the row is of.
    fn goes_on(&mut self, row: &Row) {
        let ((claim_offset, claim), number) = (row.term, row.number);
        self.is_termless = false;
        self.fence = Fence { next_offset: row.as_of, claim_offset, claim, number, ..Fence::default() };
    }
}
