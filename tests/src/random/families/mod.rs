//! Random definitions that do steps for each item of lists, in a hostile world: a saga with the rows of its items, each turn held to
//! the laws of a row and to those of a family.

pub(super) mod judge;
pub(super) mod known;
pub(super) mod laws;
pub(super) mod mail;
mod people;
mod turn;
pub(super) mod values;
pub(super) mod world;
pub(super) mod write;

use fastrand::Rng;

use super::{Failure, Report};
use known::Known;
use world::World;

/// The definition of a seed.
pub fn definition(seed: u64) -> String {
    write::text(&mut Rng::with_seed(seed))
}

/// Plays so many sagas on the definition of a seed.
pub fn run(seed: u64, sagas: u64) -> Result<Report, Box<Failure>> {
    let mut report = Report::default();
    report.count("definitions with items");
    let text = definition(seed);
    let known = Known::of(&text).map_err(|error| failed(seed, &[format!("compiles: {error}")], &text))?;
    for saga in 0..sagas {
        let saga_seed = seed.wrapping_mul(1_000).wrapping_add(saga);
        let mut world = World::new(&known, saga_seed, &mut report);
        world.run();
        if !world.faults.is_empty() {
            // What happened is written down only where somebody reads it.
            let mut again = Report::default();
            let mut told = World::telling(&known, saga_seed, &mut again);
            told.run();
            return Err(failed(seed, &world.faults, &format!("{text}\n{}\nit is saga {saga} of its seed", told.story())));
        }
    }
    Ok(report)
}

fn failed(seed: u64, faults: &[String], story: &str) -> Box<Failure> {
    let name = |fault: &String| fault.split(':').next().unwrap_or_default().to_owned();
    let story = format!("{}\n{story}\nFAMILY={seed} repeats it", faults.join("\n"));
    Box::new(Failure { laws: faults.iter().map(name).collect(), story })
}
