//! What a guard costs: conditions as definitions have them, on what is kept of an order.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use ringmaster_core::definition::{Budget, Definition, Environment, Settings, compile};
use ringmaster_schemas::avro::Resolver;
use ringmaster_schemas::json::transcode;
use ringmaster_schemas::registry::Schemas;

use super::allocator::{Heap, cross};
use crate::course::SIMPLE;

const CONDITIONS: [&str; 6] = [
    "start.total > 50",
    "start.total > 50 && start.region == 'EU'",
    "start.region == 'EU' || start.region == 'UK'",
    "start.items.exists(i, i.sku == 'sku-99')",
    "sum(start.items.map(i, i.qty)) > 5",
    "now - started > duration('14d')",
];
/// Runs of which the best counts: the others had the machine not to themselves.
const RUNS: usize = 7;
/// How often a guard is asked in each.
const TURNS: usize = 20_000;

/// The costs of one guard.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GuardCounts {
    /// The condition.
    pub condition: &'static str,
    /// Heap allocations of asking it once.
    pub allocations: f64,
    /// Nanoseconds on this machine, the best of some runs.
    pub nanos: f64,
}

/// A definition with one guard, and the bytes that are kept of the event that started it.
struct Guarded {
    definition: Definition,
    kept: Vec<u8>,
}

impl Guarded {
    fn new(schemas: &mut Schemas, condition: &str) -> Result<Self> {
        let text = format!(
            "saga: guarded\nstart: {{ on: OrderPlaced, from: orders }}\nsteps:\n  - step: charge\n    if: \"{condition}\"\n    \
             do: payment.Charge\n    undo: nothing\n    with: {{ order_id: key, amount: 1, currency: key }}\n"
        );
        let compiled = compile("guards.yaml", &text, &mut Settings::new(schemas)).map_err(|errors| anyhow!("{}", errors[0]))?;
        let definition = compiled.into_iter().next().context("one saga")?;
        let (mut event, mut kept) = (Vec::new(), Vec::new());
        let reader = definition.starts[0].reader.clone();
        transcode(&reader, SIMPLE.body.as_bytes(), &mut event)?;
        Resolver::new(reader, definition.start_kept.clone())?.resolve(&event, &mut kept)?;
        Ok(Guarded { definition, kept })
    }

    /// Asks so often.
    fn ask(&self, turns: usize) -> Result<()> {
        let budget = Budget::new();
        let environment = Environment { start: &self.kept, ..Environment::without_saga("ord-1000017", 2_000_000, &budget) };
        let guard = self.definition.nodes[1].condition.as_ref().context("it has a guard")?;
        for _ in 0..turns {
            budget.refill();
            black_box(guard.truth(black_box(&environment))).map_err(|why| anyhow!("{why:?}"))?;
        }
        Ok(())
    }
}

fn all(root: &Path) -> Result<Vec<(&'static str, Guarded)>> {
    let mut schemas = Schemas::load_folder(&root.join(SIMPLE.schemas)).map_err(|errors| anyhow!("{errors:?}"))?;
    CONDITIONS.iter().map(|condition| Ok((*condition, Guarded::new(&mut schemas, condition)?))).collect()
}

/// Asks every guard so often, for a tool that counts from outside.
pub fn run(root: &Path, turns: usize) -> Result<()> {
    let all = all(root)?;
    cross(|| all.iter().try_for_each(|(_, guarded)| guarded.ask(turns)))
}

/// Counts and times each guard. The program must have [`super::allocator::Counting`] as its allocator.
pub fn measure(root: &Path) -> Result<Vec<GuardCounts>> {
    let one = |(condition, guarded): (&'static str, Guarded)| {
        let before = Heap::now();
        cross(|| guarded.ask(TURNS))?;
        let allocations = Heap::now().since(before).allocations as f64 / TURNS as f64;
        let mut nanos = f64::MAX;
        for _ in 0..RUNS {
            let begun = Instant::now();
            guarded.ask(TURNS)?;
            nanos = nanos.min(begun.elapsed().as_nanos() as f64 / TURNS as f64);
        }
        Ok(GuardCounts { condition, allocations, nanos })
    };
    all(root)?.into_iter().map(one).collect()
}
