//! What an item of a list costs: instructions, bytes in the journal, and bytes of rows written, however long the list is.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use ringmaster_store::rocks::RocksStore;
use ringmaster_store::sim::SimStore;

use super::line::Line;
use crate::course::LINES;

/// Orders that run before anything is counted, and the lines of each.
const WARM_UP: (usize, usize) = (20, 50);
/// A checkpoint is written whenever so many items have been answered: as many as a slow participant answers between two.
const ITEMS_PER_CHECKPOINT: usize = 200;
/// Bytes of memory of the store.
const STORE_MEMORY: usize = 64 << 20;
/// Whom an order asks.
const PARTICIPANTS: [&str; 3] = ["inventory.commands", "payment.commands", "shipping.commands"];
const OUTCOMES: &str = "bulk-order-outcomes";

/// The counts of one line of an order: two items, of a list before the pivot and of one behind it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LineCounts {
    /// Lines of an order.
    pub lines: usize,
    /// Bytes in the journal.
    pub journal_bytes: f64,
    /// Bytes that checkpoints write: keys, rows, and places in indexes.
    pub row_bytes: f64,
}

/// Runs so many orders of so many lines, for a tool that counts from outside.
pub fn run(root: &Path, orders: usize, lines: usize) -> Result<()> {
    let mut line = Line::open(root, &LINES, Arc::new(SimStore::new()))?;
    through(&mut line, "warm-", WARM_UP, false)?;
    through(&mut line, "a-", (orders, lines), false)
}

/// Runs so many orders of so many lines and counts.
pub fn measure(root: &Path, orders: usize, lines: usize) -> Result<LineCounts> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(RocksStore::open(&folder.path().join("store"), 1, STORE_MEMORY)?.store);
    let mut line = Line::open(root, &LINES, store.clone())?;
    through(&mut line, "warm-", WARM_UP, true)?;
    line.checkpoint()?;
    let (journaled, written) = (line.journaled(), store.written_bytes());
    through(&mut line, "a-", (orders, lines), true)?;
    line.checkpoint()?;
    let per_line = |bytes: u64| bytes as f64 / (orders * lines) as f64;
    Ok(LineCounts {
        lines,
        journal_bytes: per_line(line.journaled().1 - journaled.1),
        row_bytes: per_line(store.written_bytes() - written),
    })
}

/// Orders from their start to their outcome: whatever is asked is answered.
fn through(line: &mut Line, run: &str, (orders, lines): (usize, usize), checkpoints: bool) -> Result<()> {
    let list = vec![r#"{"sku":"s","qty":1,"price":"1.00"}"#; lines].join(",");
    line.place(run, orders, &LINES.body.replace("LINES", &list))?;
    let (ended, mut since) = (line.count(OUTCOMES) + orders, 0);
    while line.count(OUTCOMES) < ended {
        let sent = |line: &Line| PARTICIPANTS.iter().chain([&OUTCOMES]).map(|topic| line.count(topic)).sum::<usize>();
        let before = sent(line);
        for topic in PARTICIPANTS {
            since += line.answer_all(topic)?;
        }
        line.turn_while(|line| sent(line) == before)?;
        if checkpoints && since >= ITEMS_PER_CHECKPOINT {
            since = 0;
            line.checkpoint()?;
        }
    }
    Ok(())
}
