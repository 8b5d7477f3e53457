//! What happened between the position and the claim: told from the journal, since whoever owned the partition may not have done so.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_bus::Bus;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Change, Decision, Head, SagaEvent};
use ringmaster_schemas::names::is_below;
use ringmaster_schemas::state::{RowKey, Saga, Turns};

use super::super::reader;
use super::super::story::started;
use super::{Ends, Tracer, Untold};
use crate::blocking;
use crate::runtime::wall;

/// So many records are looked at before what they tell of is sent, and the position moves.
const RECORDS: i64 = 2_000;
/// What happened longer ago is not told any more.
const AGE_MAX_MS: Millis = 5 * 60 * 1_000;

/// What a stretch of the journal says of a saga.
#[derive(Default)]
struct Found {
    began: Option<(i64, Head)>,
    /// The last record that says something of it.
    last: i64,
}

impl<B: Bus> Tracer<B> {
    /// Tells what the next records below the claim tell of; how far it is then.
    pub(super) fn tell_anew(&mut self, partition: i32, (from, term): (i64, i64), ends: Ends<'_>) -> Result<i64, Untold> {
        let to = (from + RECORDS).min(term);
        let found = self.look(partition, (from, to))?;
        if !self.has_stored(partition, &found)? {
            return Ok(from);
        }
        let (mut rows, mut spans, known) = (BTreeMap::<Arc<str>, Turns>::new(), Vec::new(), self.sources.known.get());
        for (saga, Found { began, .. }) in &found {
            let Some(row) = self.row(partition, saga)? else { continue };
            // What counts is named by the row: a record of somebody who was no owner any more is not.
            if let Some((offset, head)) = began
                && row.turns.told().0.contains(offset)
                && self.tracing.samples(saga)
            {
                spans.push(started(&self.tracing, &known.catalog, (saga, head)));
            }
            if row.ended() || is_below(saga) {
                rows.insert(saga.clone(), row.turns.clone());
            }
        }
        let parts = self.read(partition, &rows)?;
        for saga in rows.keys() {
            spans.extend(self.tell(saga, &parts, &known, &|offset| (from..to).contains(&offset)));
        }
        self.send(&spans, ends)?;
        Ok(to)
    }

    /// The first offset from the position on that is not too long ago. Asked once an owner: however long a collector is away, what lies
    /// between there and the claim does not grow.
    pub(super) fn not_too_old(&mut self, partition: i32, committed: Option<i64>) -> Result<i64, Untold> {
        let journal = self.topics.journal.clone();
        let since = blocking::offset_at(&mut self.bus, &journal, partition, wall() - AGE_MAX_MS)?;
        match committed {
            Some(told) if since > told => {
                tracing::warn!(
                    partition,
                    from = told,
                    to = since,
                    "traces are not told of what lies between these offsets: it is too long ago"
                );
            }
            Some(told) => return Ok(told),
            None => tracing::info!(partition, from = since, "nothing was told of its traces before: they begin here"),
        }
        Ok(since)
    }

    /// The sagas that these records may have something to tell of.
    fn look(&mut self, partition: i32, range: (i64, i64)) -> Result<BTreeMap<Arc<str>, Found>, Untold> {
        let (journal, tracing) = (self.topics.journal.clone(), self.tracing.clone());
        let mut found = BTreeMap::<Arc<str>, Found>::new();
        let mut visit = |offset: i64, decision: Decision| {
            for change in decision.turns.into_iter().flat_map(|turn| turn.changes) {
                let Change::Saga(change) = change else { continue };
                // What was undone is told also where its saga was not chosen.
                let ends = |event: &SagaEvent| matches!(event, SagaEvent::Compensated { .. } | SagaEvent::Undone { .. });
                if !tracing.samples(&change.saga) && !change.events.iter().any(ends) {
                    continue;
                }
                let found = found.entry(change.saga).or_default();
                found.last = offset;
                for event in change.events {
                    if let SagaEvent::Started { head, .. } = event {
                        found.began = Some((offset, head));
                    }
                }
            }
        };
        reader::each(&mut self.bus, (&journal, partition), range, &mut visit)?;
        Ok(found)
    }

    /// True once the store has rows as these records leave them: whoever owns the partition writes them soon.
    fn has_stored(&self, partition: i32, found: &BTreeMap<Arc<str>, Found>) -> Result<bool, Untold> {
        let Some(last) = found.values().map(|found| found.last).max() else { return Ok(true) };
        let checkpoint = self.sources.store.checkpoint(partition).map_err(|error| Untold::Failed(error.to_string()))?;
        Ok(checkpoint.is_some_and(|checkpoint| checkpoint.journal_offset > last))
    }

    /// A row as it is stored; none where it has expired.
    fn row(&self, partition: i32, saga: &Arc<str>) -> Result<Option<Saga>, Untold> {
        let failed = |why: String| Untold::Failed(why);
        let row = self.sources.store.row(partition, &RowKey::saga(saga)).map_err(|error| failed(error.to_string()))?;
        row.map(|row| Saga::decode(saga, &row)).transpose().map_err(|error| failed(format!("the row of '{saga}': {error}")))
    }
}
