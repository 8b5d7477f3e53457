//! What a fresh partition makes of the journal: the state that every store must have at that offset.

use std::sync::Arc;

use ringmaster::runtime::{Knowledge, Setup};
use ringmaster_bus::sim::SimRecord;
use ringmaster_core::partition::{Context, Counters, Do, Partition, Phase, Rows, Tag};
use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Batch, Checkpoint, Index, RowKey, RowKind};

struct Nothing;

impl Rows for Nothing {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String> {
        Ok(None)
    }

    fn row(&self, _: &RowKey) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn scan(&self, _: Index, _: i64, _: i64, _: &mut dyn FnMut(i64, RowKey)) -> Result<(), String> {
        Ok(())
    }

    fn rows(&self, _: RowKind, _: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String> {
        Ok(())
    }
}

/// Replays the records of a partition and a claim behind them; all that is true then.
pub fn replay(
    setup: &Setup,
    knowledge: &Knowledge,
    partition: i32,
    records: &[Arc<SimRecord>],
    now: Millis,
) -> Result<Batch, String> {
    let mut fresh = setup.partitions(0, 1).swap_remove(partition as usize);
    let (mut out, mut counters) = (Vec::new(), Counters::default());
    let end = records.len() as i64;
    let mut with = |fresh: &mut Partition, run: &mut dyn FnMut(&mut Partition, &mut Context<'_>)| {
        let mut context = Context {
            now,
            steady: now,
            catalog: &knowledge.catalog,
            schemas: &knowledge.schemas,
            rows: &Nothing,
            out: &mut out,
            counters: &mut counters,
        };
        run(fresh, &mut context);
        std::mem::take(context.out)
    };
    let claim = with(&mut fresh, &mut |fresh, cx| fresh.claim([0xee; 16], 0, cx));
    let Some(Do::Append { bytes, .. }) = claim.into_iter().next() else { return Err("a claim appends nothing".into()) };
    with(&mut fresh, &mut |fresh, cx| fresh.acknowledged(0, Tag::Claim, Some(end), cx));
    with(&mut fresh, &mut |fresh, cx| fresh.journal_bounds(0, end + 1, cx));
    for (offset, value) in records.iter().map(|record| &record.value).chain([&bytes]).enumerate() {
        let wishes = with(&mut fresh, &mut |fresh, cx| fresh.journal_record(offset as i64, value, cx));
        for wish in wishes {
            if let Do::StepDown(why) = wish {
                return Err(format!("replay stops: {why}"));
            }
        }
    }
    if fresh.phase() != Phase::Owning {
        return Err(format!("replay of {end} records ends {:?}", fresh.phase()));
    }
    fresh.stage_checkpoint().ok_or_else(|| "replay leaves nothing to be stored".into())
}
