//! What one order saga costs on the coordinator's side, counted: heap allocations, bytes in memory, in the journal and on disk.
//!
//! ```text
//! orders -> worker -> commands -> (answers, not counted) -> worker -> ... -> outcomes; a checkpoint in between
//! ```
//!
//! The worker is the real one, with everything in it; the broker is simulated and never fails. Only what the worker does is counted,
//! not what bus, broker and participants do ([`allocator::cross`]).

pub mod allocator;
pub mod guards;
pub mod items;
mod line;
mod outside;
pub mod replay;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use ringmaster_store::sim::SimStore;

use allocator::Heap;
use line::Line;

use crate::course::{Course, SIMPLE, WHOLE};

/// Sagas that run before anything is counted, so that tables have grown and schemas are met.
const WARM_UP: usize = 500;
/// Steps of an order.
const STEPS: usize = 3;

/// The counts of one saga, on average.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Counts {
    /// Sagas that were counted.
    pub sagas: usize,
    /// Turns of a saga: its start, and one an answer.
    pub turns: f64,
    /// Heap allocations of a saga, from its order to its outcome, without checkpoints.
    pub allocations: f64,
    /// Those of its start.
    pub allocations_start: f64,
    /// Those of each answer, the last with the outcome.
    pub allocations_answer: [f64; STEPS],
    /// Bytes that were allocated for a saga.
    pub allocated_bytes: f64,
    /// Bytes in memory of a saga that waits for its first, second and third answer: its row and all that is kept beside it.
    pub memory_bytes: [f64; STEPS],
    /// Bytes of a saga in the journal.
    pub journal_bytes: f64,
    /// Bytes of a stored row with its key, of a saga that waits for its second answer.
    pub stored_bytes: f64,
    /// The same of one that has completed.
    pub stored_bytes_ended: f64,
    /// Heap allocations of a checkpoint for each row in it.
    pub checkpoint_allocations: f64,
}

/// What the whole order costs: five commands, two of them side by side, rules and conditions.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct WholeCounts {
    /// Commands of a saga.
    pub commands: usize,
    /// Turns of a saga.
    pub turns: f64,
    /// Heap allocations of a command: those of a saga, shared out.
    pub allocations_command: f64,
    /// Bytes in the journal of a command.
    pub journal_bytes_command: f64,
}

/// Runs so many sagas from their orders to their outcomes, for a tool that counts from outside.
pub fn run(root: &Path, sagas: usize, whole: bool) -> Result<()> {
    let mut line = warm(root, if whole { &WHOLE } else { &SIMPLE })?;
    through(&mut line, "a-", sagas)
}

fn through(line: &mut Line, run: &str, sagas: usize) -> Result<()> {
    line.start(run, sagas)?;
    (0..line.steps()).try_for_each(|step| line.answer(step))
}

fn warm(root: &Path, course: &'static Course) -> Result<Line> {
    let mut line = Line::open(root, course, Arc::new(SimStore::new()))?;
    through(&mut line, "warm-", WARM_UP)?;
    line.checkpoint()?;
    Ok(line)
}

/// Runs so many whole orders and counts.
pub fn measure_whole(root: &Path, sagas: usize) -> Result<WholeCounts> {
    let mut line = warm(root, &WHOLE)?;
    let (begun, journaled) = (Heap::now(), line.journaled());
    through(&mut line, "a-", sagas)?;
    let (heap, after) = (Heap::now().since(begun), line.journaled());
    let commands = WHOLE.results.len();
    let per_command = |count: u64| count as f64 / (sagas * commands) as f64;
    Ok(WholeCounts {
        commands,
        turns: (after.0 - journaled.0) as f64 / sagas as f64,
        allocations_command: per_command(heap.allocations),
        journal_bytes_command: per_command(after.1 - journaled.1),
    })
}

/// Runs so many sagas and counts. The program must have [`allocator::Counting`] as its allocator.
pub fn measure(root: &Path, sagas: usize) -> Result<Counts> {
    let mut line = warm(root, &SIMPLE)?;
    let per = |count: u64| count as f64 / sagas as f64;
    let (begun, journaled) = (Heap::now(), line.journaled());
    line.start("a-", sagas)?;
    let mut before = Heap::now();
    let started = before.since(begun);
    let (mut allocations_answer, mut memory_bytes) = ([0.0; STEPS], [0.0; STEPS]);
    for step in 0..STEPS {
        memory_bytes[step] = before.since(begun).live_bytes as f64 / sagas as f64;
        line.answer(step)?;
        allocations_answer[step] = per(Heap::now().since(before).allocations);
        before = Heap::now();
    }
    let (whole, journaled_after) = (before.since(begun), line.journaled());

    line.start("b-", sagas)?;
    line.answer(0)?;
    let before = Heap::now();
    line.checkpoint()?;
    let checkpoint = Heap::now().since(before);
    let ((rows, bytes), (ended_rows, ended_bytes)) = (line.stored("/b-")?, line.stored("/a-")?);
    anyhow::ensure!((rows, ended_rows) == (sagas, sagas), "{rows} and {ended_rows} of {sagas} rows are stored");
    Ok(Counts {
        sagas,
        turns: per(journaled_after.0 - journaled.0),
        allocations: per(whole.allocations),
        allocations_start: per(started.allocations),
        allocations_answer,
        allocated_bytes: per(whole.bytes),
        memory_bytes,
        journal_bytes: per(journaled_after.1 - journaled.1),
        stored_bytes: bytes as f64 / rows as f64,
        stored_bytes_ended: ended_bytes as f64 / ended_rows as f64,
        checkpoint_allocations: checkpoint.allocations as f64 / (2 * sagas) as f64,
    })
}
