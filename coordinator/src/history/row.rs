//! A story by its row: the records that the row says changed it, those between that it left out, and what came since it was stored.

use ringmaster_bus::Bus;
use ringmaster_core::partition::Fence;
use ringmaster_schemas::journal::ClaimId;
use ringmaster_schemas::names::unhex;
use serde_json::Value;

use super::story::Story;
use super::{Reading, Trouble};
use crate::blocking;

/// The next one is read on to where it is so near; else it is asked for by its offset.
const NEAR: i64 = 64;

/// What a coordinator shows of a saga's turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
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

impl Row {
    /// What is shown of a saga; why that is of no use, where it names no turns.
    pub fn of(shown: &Value) -> Result<Row, String> {
        Row::read(shown).ok_or_else(|| "its row names no turns: an earlier build stored it".to_owned())
    }

    fn read(shown: &Value) -> Option<Row> {
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

    /// Those that it names, of a journal that begins there, in the order of their parts.
    fn there(&self, start: i64) -> [Vec<i64>; 2] {
        // The row may be newer than it is said to be: what is behind that is read anyway.
        [&self.first, &self.last].map(|all| all.iter().copied().filter(|at| (start..self.as_of).contains(at)).collect())
    }

    fn gone(&self, start: i64) -> usize {
        self.first.iter().chain(&self.last).filter(|offset| **offset < start).count()
    }

    /// How the story is read by it, in words.
    pub(super) fn said(&self, start: i64) -> String {
        let ([first, last], gone) = (self.there(start), self.gone(start));
        let count = first.len() + last.len();
        let gone = if gone > 0 { format!("{gone} more that it names are gone, ") } else { String::new() };
        let between = match self.left_out {
            0 => String::new(),
            left_out => format!("the {left_out} between them were looked for, "),
        };
        format!(
            "read by the {count} records that its row names, {gone}{between}and from offset {} on; --scan (scan=true over HTTP) also tells inputs that were not taken",
            self.as_of
        )
    }
}

impl<B: Bus> Reading<'_, '_, B> {
    /// Reads what the row names, and what follows it; whether that is all, or the page ends before. Why it is not the row's, where the
    /// journal is another.
    pub(super) fn by_row(&mut self, row: &Row) -> Result<Result<bool, String>, Trouble> {
        let (start, end) = self.journal;
        if !(start..=end).contains(&row.as_of) {
            return Ok(Err(format!("the journal goes from offset {start} to {end}, and its row is of {}", row.as_of)));
        }
        let ([first, last], is_first_page) = (row.there(start), self.story.next == 0);
        match self.named(&first)? {
            Err(why) => return Ok(Err(why)),
            Ok(_) if is_first_page && row.gone(start) == 0 && !first.is_empty() && !self.story.has_begun => {
                return Ok(Err("its row names no turn in which it began: an earlier build stored it".to_owned()));
            }
            Ok(false) => return Ok(Ok(false)),
            Ok(true) => {}
        }
        if row.left_out > 0 {
            let from = first.last().map_or(start, |last| last + 1);
            if !self.scan((from, last.first().copied().unwrap_or(row.as_of)))? {
                return Ok(Ok(false));
            }
        }
        match self.named(&last)? {
            Ok(true) => {}
            other => return Ok(other),
        }
        if self.story.next <= row.as_of {
            self.story.goes_on(row);
        }
        self.scan((row.as_of, i64::MAX)).map(Ok)
    }

    /// Reads these records, each by its offset, but for those that were told before; false if the page ends before the last.
    fn named(&mut self, offsets: &[i64]) -> Result<Result<bool, String>, Trouble> {
        let Reading { bus, place: (topic, partition), budget, story, .. } = self;
        let behind = story.next;
        let mut wanted = offsets.iter().copied().filter(|offset| *offset >= behind).peekable();
        while let Some(&from) = wanted.peek() {
            if budget.is_over(story.turns.len()) {
                return Ok(Ok(false));
            }
            let (mut other, mut is_over) = (None, false);
            blocking::read_from(*bus, topic, (*partition, from), &mut |read| {
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
                is_over = budget.spend(story.turns.len());
                other.is_none() && !is_over && wanted.peek().is_some_and(|next| next - read.offset <= NEAR)
            })?;
            if wanted.peek() == Some(&from) && !is_over {
                other = Some(format!("the journal has no record at offset {from}, which its row names"));
            }
            if let Some(why) = other {
                return Ok(Err(why));
            }
        }
        Ok(Ok(true))
    }
}

impl Story<'_> {
    /// What is read next stands where the row is of.
    fn goes_on(&mut self, row: &Row) {
        let ((claim_offset, claim), number) = (row.term, row.number);
        self.is_termless = false;
        self.fence = Fence { next_offset: row.as_of, claim_offset, claim, number, ..Fence::default() };
    }
}
