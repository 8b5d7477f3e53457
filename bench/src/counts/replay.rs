//! What a saga costs when its partition is made anew from the journal, as behind the loss of a disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use ringmaster::runtime::Rebuild;
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;
use ringmaster_store::sim::SimStore;

use super::allocator::cross;
use super::line::Line;
use super::through;
use crate::course::{SIMPLE, WHOLE};

/// So many sagas are few.
const FEW: usize = 5;
/// Memory of RocksDB's cache, bytes.
const CACHE_BYTES: usize = 64 << 20;

/// What was made anew.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Replayed {
    /// Sagas, all of which had ended.
    pub sagas: usize,
    /// Records of the journal.
    pub records: usize,
    /// Its bytes.
    pub bytes: usize,
    /// How long each time took.
    pub seconds: Vec<f64>,
}

/// Runs so many sagas from their orders to their outcomes, and makes their partition from its journal so many times, into a store in
/// memory or into RocksDB. For a tool that counts from outside, what one time more costs is what it is.
pub fn run(root: &Path, (sagas, whole): (usize, bool), times: usize, rocks: bool) -> Result<Replayed> {
    let live = Arc::new(SimStore::new());
    let mut line = Line::open(root, if whole { &WHOLE } else { &SIMPLE }, live.clone())?;
    through(&mut line, "a-", sagas)?;
    // A few more, whose records say that what the others sent is delivered.
    through(&mut line, "z-", FEW)?;
    line.checkpoint()?;
    let (journal, records) = (live.checkpoint(0)?.context("a checkpoint was written")?.journal, line.journal());
    let mut seconds = Vec::new();
    for _ in 0..times {
        let folder = tempfile::tempdir()?;
        let store: Box<dyn Store> =
            if rocks { Box::new(RocksStore::open(folder.path(), 1, CACHE_BYTES)?.store) } else { Box::new(SimStore::new()) };
        let begun = Instant::now();
        let untaken = |why| anyhow!("the journal is not taken: {why:?}");
        let mut rebuild = Rebuild::begin((0, 1), (&line.topics, journal), &*store).map_err(untaken)?;
        let taken = cross(|| {
            records.iter().try_for_each(|(offset, value)| rebuild.take(*offset, value))?;
            rebuild.write()
        });
        taken.map_err(untaken)?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let bytes = records.iter().map(|(_, value)| value.len()).sum();
    Ok(Replayed { sagas, records: records.len(), bytes, seconds })
}
