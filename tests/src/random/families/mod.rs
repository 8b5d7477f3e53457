//! Random definitions that do steps for each item of lists, in a hostile world: a saga with the rows of its items, each turn held to
//! the laws of a row and to those of a family.

mod judge;
mod known;
mod laws;
mod people;
mod turn;
mod world;
mod write;

use fastrand::Rng;

use super::Report;
use known::Known;
use world::World;

/// The definition of a seed.
pub fn definition(seed: u64) -> String {
    write::text(&mut Rng::with_seed(seed))
}

/// Plays so many sagas on the definition of a seed; what is wrong, with the story of it.
pub fn run(seed: u64, sagas: u64) -> Result<Report, (Vec<String>, String)> {
    let mut report = Report::default();
    let text = definition(seed);
    let known = Known::of(&text).map_err(|error| (vec![format!("compile: {error}")], text.clone()))?;
    for saga in 0..sagas {
        let mut world = World::new(&known, seed.wrapping_mul(1_000).wrapping_add(saga), &mut report);
        world.run();
        if !world.faults.is_empty() {
            return Err((std::mem::take(&mut world.faults), format!("{text}\n{}", world.story())));
        }
    }
    Ok(report)
}
