//! Which sagas a batch has: all pages of its filter, of all instances, frozen as they were seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringmaster_schemas::names::percent_encode;
use ringmaster_schemas::state::Standing;

use super::super::acts::Act;
use super::super::everyone::Request;
use super::super::list::{Asked, SELECT_MAX};
use super::super::overview::Missing;
use super::super::problem::{Problem, Refusal};
use super::super::{SagaLine, Sources, saga, sagas};
use super::{BatchBody, PATIENCE, refused};
use crate::batches::{MATCHED_MAX, Made, PREVIEW_MS, Record, Selected, Written, parts_of};
use crate::runtime::wall;

/// Selecting may take so long: a request has 10 s.
const TIME_MAX: Duration = Duration::from_secs(6);
/// So many are shown.
const SAMPLE_MAX: usize = 10;

/// What was selected.
#[derive(Default)]
pub(super) struct Selection {
    pub(super) by_partition: BTreeMap<i32, Vec<Selected>>,
    seen: BTreeSet<String>,
    sample: Vec<SagaLine>,
    by_definition: BTreeMap<String, usize>,
    by_status: BTreeMap<String, usize>,
    by_step: BTreeMap<String, usize>,
    left_out: usize,
    missing: BTreeMap<i32, String>,
}

/// Selects, and writes down what was selected; the batch's id.
pub(super) fn select(sources: &Sources, request: &Request, body: &BatchBody, by: String) -> Result<String, Refusal> {
    let selection = pages(sources, request, body)?;
    let batch = Made::new_id();
    let made = Made {
        batch: batch.clone(),
        what: body.what(),
        filter: body.filter.clone(),
        why: body.why.clone(),
        by,
        expires_at: wall() + PREVIEW_MS,
        shares: selection.by_partition.iter().map(|(partition, sagas)| (*partition, sagas.len())).collect(),
        by_definition: selection.by_definition,
        by_status: selection.by_status,
        by_step: selection.by_step,
        sample: selection.sample,
        missing: selection.missing.into_iter().map(|(partition, why)| Missing { partition, why }).collect(),
        left_out: selection.left_out,
    };
    let parts = selection.by_partition.into_iter().flat_map(|(partition, sagas)| parts_of(&batch, partition, sagas));
    let now = wall();
    let records = [Record::Made(Box::new(made))].into_iter().chain(parts.map(Record::Part));
    let records: Vec<Written> = records.map(|says| Written::new(now, says)).collect();
    sources.batches.post(&records, PATIENCE).map_err(refused)?;
    Ok(batch)
}

/// All pages of the filter.
fn pages(sources: &Sources, request: &Request, body: &BatchBody) -> Result<Selection, Refusal> {
    let (since, mut selection, mut cursor) = (Instant::now(), Selection::default(), None);
    let filter = body.filter_with_step()?;
    loop {
        let asked = Asked {
            filter: filter.clone(),
            limit: Some(SELECT_MAX),
            is_backward: false,
            cursor: cursor.clone(),
            is_explained: false,
        };
        let page = sagas::page(sources, &asking(request, &filter, cursor.as_deref())?, (asked, None))?;
        selection.missing.extend(page.missing.into_iter().map(|missing| (missing.partition, missing.why)));
        if let Some((partition, why)) = selection.missing.first_key_value().filter(|_| !body.allow_missing) {
            let detail = format!(
                "not all partitions can be asked, so that some sagas would be left out ({partition}: {why}): ask again in a moment, or \
                 say allow_missing"
            );
            return Err(Problem::NotNow.because(detail));
        }
        page.items.into_iter().for_each(|line| selection.add(line, body, sources.partitions));
        if selection.seen.len() > MATCHED_MAX {
            let detail = format!("the filter means more than {MATCHED_MAX} sagas: narrow it, and act on the rest after that");
            return Err(Problem::BadRequest.because(detail));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(selection);
        }
        if since.elapsed() > TIME_MAX {
            let (seconds, found) = (TIME_MAX.as_secs(), selection.seen.len());
            let detail = format!("it took longer than {seconds} s to find {found} of the sagas that are meant: narrow the filter");
            return Err(Problem::NotNow.because(detail));
        }
    }
}

/// As other instances are asked for the page.
fn asking(request: &Request, filter: &str, cursor: Option<&str>) -> Result<Request, Refusal> {
    let mut path = String::from("/api/v1/sagas?filter=");
    percent_encode(filter, &mut path);
    path.push_str(&format!("&limit={SELECT_MAX}"));
    if let Some(cursor) = cursor {
        path.push_str(&format!("&cursor={cursor}"));
    }
    let uri = path.parse().map_err(|_| Problem::BadRequest.because("the filter is too long"))?;
    Ok(Request { uri, headers: request.headers.clone() })
}

impl Selection {
    pub(super) fn add(&mut self, line: SagaLine, body: &BatchBody, partitions: i32) {
        // What moves while pages are read may come twice: it is acted on as it was seen first, or not at all.
        if !is_meant(&line, body) || self.seen.contains(&line.saga) {
            return;
        }
        let (Some(if_turn), Some(partition)) = (line.if_turn, saga::partition_of(&line.saga, partitions)) else {
            self.left_out += 1;
            return;
        };
        *self.by_definition.entry(line.definition.clone()).or_default() += 1;
        *self.by_status.entry(line.status.clone()).or_default() += 1;
        if let Some(waits) = &line.waits {
            let undo = if waits.undo { "undo of " } else { "" };
            let step = waits.step.as_deref().unwrap_or("the saga");
            *self.by_step.entry(format!("{undo}{step}: {}", waits.reason)).or_default() += 1;
        }
        self.by_partition.entry(partition).or_default().push((line.saga.clone(), if_turn));
        self.seen.insert(line.saga.clone());
        if self.sample.len() < SAMPLE_MAX {
            self.sample.push(line);
        }
    }
}

/// Whether it lives, and waits at the step that is meant. That it was done says of a step something else than of its undo.
fn is_meant(line: &SagaLine, body: &BatchBody) -> bool {
    // Nothing is done to what has ended, which a filter by a key or a value finds too.
    if [Standing::Completed, Standing::Compensated].iter().any(|ended| line.status == ended.as_str()) {
        return false;
    }
    let waits = line.waits.as_ref();
    let of_one = body.undo || matches!(body.act, Act::Resolve);
    body.step.as_deref().is_none_or(|step| waits.is_some_and(|waits| waits.step.as_deref() == Some(step)))
        && (!of_one || waits.is_some_and(|waits| waits.undo) == body.undo)
}
