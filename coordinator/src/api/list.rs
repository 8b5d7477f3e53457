//! Which sagas a filter means, in pages.
//!
//! ```text
//! filter -> plan (which index) -> from the cursor on, in each partition, as much as may be looked at -> what is meant, in order -> a page
//! ```
//!
//! One place in the plan's order is the cursor of all partitions: all that comes before it has been looked at. A saga that stays where
//! the plan finds it is in exactly one page, whatever changes meanwhile.

mod cursor;
mod line;
mod live;
mod plan;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use ringmaster_core::definition::Catalog;
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Index, LiveClass, RowKey, Saga};
use ringmaster_store::{Classes, Seen, Store, StoreError, Through, Walk};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::{Filter, Row};
use super::overview::{AsOf, Missing};
use cursor::Position;
pub use line::{SagaLine, SagaWaits};
use plan::{Plan, Step};

/// Sagas of a page, where nothing is said, and at most.
pub(super) const LIMIT_USUAL: usize = 50;
pub(super) const LIMIT_MAX: usize = 500;
/// The same where all pages are read, one after the other, to act on them.
pub(super) const SELECT_MAX: usize = 2_000;
/// A row that is read takes the time of so many places.
const ROW_COSTS: usize = 20;
/// How often that is looked at, in places.
const CLOCK_EVERY: usize = 64;

/// How much one page looks at: it must not hold up other questions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Places, shared by the partitions.
    places: usize,
    /// So long.
    time: Duration,
}

impl Bounds {
    pub(super) const USUAL: Bounds = Bounds { places: 100_000, time: Duration::from_secs(1) };
}

/// A page of sagas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SagaPage {
    /// In the order of the index that they were found by.
    pub items: Vec<SagaLine>,
    /// Asks for the next page; null: there is none.
    pub next_cursor: Option<String>,
    /// False: the page ended before it was full, since it may look at so much only. The next one goes on.
    pub complete: bool,
    /// Of which partitions this is, and as of when.
    pub as_of: Vec<AsOf>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// How it was found, where `explain=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
    /// Where each of the items was found: for another instance that puts pages together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// How sagas were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explain {
    /// Through what.
    pub index: String,
    /// Places that were looked at for this page.
    pub entries: usize,
    /// Rows that were read for it.
    pub rows: usize,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Question {
    text: String,
    filter: Filter,
    limit: usize,
    is_backward: bool,
    behind: Option<Position>,
    is_explained: bool,
}

/// Why a question is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    Filter(super::filter::Wrong),
    Cursor,
    Nothing(String),
}

/// What is said in the address.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) filter: String,
    pub(super) limit: Option<usize>,
    pub(super) is_backward: bool,
    pub(super) cursor: Option<String>,
    pub(super) is_explained: bool,
}

impl Question {
    pub(super) fn of(asked: Asked, catalog: &Catalog) -> Result<Question, Refused> {
        let Asked { filter: text, limit, is_backward, cursor, is_explained } = asked;
        let filter = Filter::parse(&text).map_err(Refused::Filter)?;
        if let Some(why) = filter.names_nothing(catalog) {
            return Err(Refused::Nothing(why));
        }
        let mark = cursor::mark(&text, is_backward);
        let read = |cursor: String| cursor::read(&cursor, mark).ok_or(Refused::Cursor);
        let behind = cursor.map(read).transpose()?;
        Ok(Question { text, filter, limit: limit.unwrap_or(LIMIT_USUAL).clamp(1, SELECT_MAX), is_backward, behind, is_explained })
    }

    fn cursor(&self, position: &Position) -> String {
        cursor::write(position, cursor::mark(&self.text, self.is_backward))
    }
}

/// The page of these partitions. `as_of`, and what is missing, are told by who asks.
pub(super) fn page(
    store: &dyn Store,
    catalog: &Catalog,
    partitions: &[i32],
    (question, bounds): (&Question, Bounds),
    now: Millis,
) -> Result<SagaPage, String> {
    let plan = Plan::of(&question.filter, catalog);
    let first = question.behind.as_ref().map_or(0, |behind| usize::from(behind.walk));
    let share = (bounds.places / partitions.len().max(1)).max(1);
    let until = Instant::now() + bounds.time;
    let left = vec![share; partitions.len()];
    let mut looking = Looking { store, catalog, question, plan: &plan, now, until, left, entries: 0, rows: 0 };
    let (mut found, mut end) = (Vec::new(), None);
    for (number, step) in plan.steps.iter().enumerate().skip(first) {
        let (mut here, bound) = looking.step(step, u16::try_from(number).unwrap_or(u16::MAX), partitions)?;
        here.sort_by(|(one, _), (other, _)| one.order(other, question.is_backward));
        if let Some(bound) = &bound {
            here.retain(|(position, _)| position.order(bound, question.is_backward).is_le());
        }
        found.append(&mut here);
        end = bound;
        if found.len() > question.limit || end.is_some() {
            break;
        }
    }
    Ok(looking.ended(found, end))
}

/// Looking for one page.
struct Looking<'a> {
    store: &'a dyn Store,
    catalog: &'a Catalog,
    question: &'a Question,
    plan: &'a Plan<'a>,
    now: Millis,
    until: Instant,
    /// Places that may be looked at yet, in each of the partitions.
    left: Vec<usize>,
    entries: usize,
    rows: usize,
}

type Found = Vec<(Position, SagaLine)>;

impl Looking<'_> {
    /// What is meant of one step, and up to where all partitions were looked at; none: to the end.
    fn step(&mut self, step: &Step<'_>, number: u16, partitions: &[i32]) -> Result<(Found, Option<Position>), String> {
        let (mut found, mut bound): (Found, Option<Position>) = (Vec::new(), None);
        for (place, &partition) in partitions.iter().enumerate() {
            let Some(reached) = self.partition(step, number, (place, partition), &mut found)? else { continue };
            let is_before = |bound: &Position| reached.order(bound, self.question.is_backward).is_lt();
            if bound.as_ref().is_none_or(is_before) {
                bound = Some(reached);
            }
        }
        Ok((found, bound))
    }

    /// The same of one partition.
    fn partition(
        &mut self,
        step: &Step<'_>,
        number: u16,
        (place, partition): (usize, i32),
        found: &mut Found,
    ) -> Result<Option<Position>, String> {
        let (store, question) = (self.store, self.question);
        let (mut wanted, mut failed, mut reached) = (self.question.limit + 1, None, None);
        let visit = &mut |seen: Seen<'_>| {
            self.entries += 1;
            self.left[place] = self.left[place].saturating_sub(1);
            let position = || Position { walk: number, at: seen.at, id: seen.id.to_owned() };
            match self.line((place, partition), &seen) {
                Ok(Some(line)) => {
                    wanted -= 1;
                    found.push((position(), line));
                }
                Ok(None) => {}
                Err(why) => {
                    failed = Some(why);
                    return false;
                }
            }
            let is_late = self.entries.is_multiple_of(CLOCK_EVERY) && Instant::now() > self.until;
            let is_over = wanted == 0 || self.left[place] == 0 || is_late;
            if is_over {
                reached = Some(position());
            }
            !is_over
        };
        let behind = question.behind.as_ref().filter(|behind| behind.walk == number).map(|behind| (behind.at, &*behind.id));
        walk(store, partition, step, (behind, question.is_backward), visit).map_err(|error| error.to_string())?;
        failed.map_or(Ok(reached), Err)
    }

    /// A saga that is come by, if it is meant.
    fn line(&mut self, (place, partition): (usize, i32), seen: &Seen<'_>) -> Result<Option<SagaLine>, String> {
        if !self.plan.may_be(seen.id) {
            return Ok(None);
        }
        let read = match seen.row {
            Some(_) => None,
            None => self.store.row(partition, &RowKey::saga(seen.id)).map_err(|error| error.to_string())?,
        };
        // It may have gone since its place was read.
        let Some(row) = seen.row.or(read.as_deref()) else { return Ok(None) };
        self.rows += 1;
        self.left[place] = self.left[place].saturating_sub(ROW_COSTS);
        let saga = Saga::decode(&seen.id.into(), row).map_err(|error| format!("row of '{}': {error}", seen.id))?;
        let filter = &self.question.filter;
        let row = Row::of(&saga, self.catalog).filter(|row| filter.is_meant(row, self.now));
        Ok(row.map(|row| SagaLine::of(&row, filter, self.now)))
    }

    fn ended(&self, mut found: Found, end: Option<Position>) -> SagaPage {
        let Question { limit, is_explained, .. } = *self.question;
        let is_full = found.len() >= limit;
        let end = if found.len() > limit { Some(found[limit - 1].0.clone()) } else { end };
        found.truncate(limit);
        SagaPage {
            next_cursor: end.as_ref().map(|end| self.question.cursor(end)),
            complete: end.is_none() || is_full,
            explain: is_explained.then(|| Explain { index: self.plan.index.to_owned(), entries: self.entries, rows: self.rows }),
            places: found.iter().map(|(position, _)| self.question.cursor(position)).collect(),
            items: found.into_iter().map(|(_, line)| line).collect(),
            as_of: Vec::new(),
            missing: Vec::new(),
        }
    }
}

/// Comes by the places of a step, behind one or from the first.
fn walk(
    store: &dyn Store,
    partition: i32,
    step: &Step<'_>,
    (behind, is_backward): (Option<(i64, &str)>, bool),
    visit: &mut dyn FnMut(Seen<'_>) -> bool,
) -> Result<(), StoreError> {
    let through = match step {
        Step::Living(living) => {
            let is_wanted = &|number| living.may_be(LiveClass::numbered(number));
            let classes = Classes { bits: LiveClass::BEGAN_BITS, is_wanted, behind, is_backward };
            return store.walk_classes(partition, Index::Live, &classes, visit);
        }
        Step::Ids(begin) => Through::Ids(begin),
        Step::Places(index, range) => Through::Places(*index, range.clone()),
        Step::Value(by) => Through::Value(*by),
    };
    store.walk(partition, &Walk { through, behind, is_backward }, visit)
}

impl SagaPage {
    /// Puts together what instances answered to one question, each for its partitions.
    pub(super) fn joined(pages: Vec<SagaPage>, question: &Question) -> SagaPage {
        let mark = cursor::mark(&question.text, question.is_backward);
        let place = |text: &String| cursor::read(text, mark);
        let order = |one: &Position, other: &Position| one.order(other, question.is_backward);
        let mut all = SagaPage { complete: true, ..SagaPage::default() };
        let (mut found, mut end): (Found, Option<Position>) = (Vec::new(), None);
        for page in pages {
            // Beyond where one of them ended, others are not known to have told all.
            let ended = page.next_cursor.as_ref().and_then(place);
            end = end.into_iter().chain(ended).min_by(order);
            all.complete &= page.complete;
            all.as_of.extend(page.as_of);
            all.missing.extend(page.missing);
            let places = page.places.iter().filter_map(place);
            found.extend(places.zip(page.items));
            if let Some(explain) = page.explain {
                let known = all.explain.get_or_insert_default();
                (known.entries, known.rows) = (known.entries + explain.entries, known.rows + explain.rows);
                known.index = explain.index;
            }
        }
        found.sort_by(|(one, _), (other, _)| order(one, other));
        if let Some(end) = &end {
            found.retain(|(place, _)| order(place, end).is_le());
        }
        if found.len() > question.limit {
            end = Some(found[question.limit - 1].0.clone());
            found.truncate(question.limit);
        }
        all.complete |= found.len() == question.limit || end.is_none();
        all.next_cursor = end.as_ref().map(|end| question.cursor(end));
        all.items = found.into_iter().map(|(_, line)| line).collect();
        all.as_of.sort_by_key(|one| one.partition);
        all.missing.sort_by_key(|one| one.partition);
        all
    }
}
