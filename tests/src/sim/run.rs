//! One run: safety under faults, then healing, rest, and the final checks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Once;

use ringmaster_core::faults;
use ringmaster_schemas::Millis;

use super::checks::{self, Came};
use super::plan::Plan;
use super::world::{Sim, Struck, World, step};

/// Virtual time within which everything must have come to rest once faults end.
const REST_MAX_MS: Millis = 90_000;
/// The world is looked at this often while it heals.
const LOOK_EVERY_MS: Millis = 400;
/// Checks in the middle of the faults.
const LOOKS: i64 = 3;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Virtual time it took.
    pub elapsed_ms: Millis,
    /// Orders that were placed.
    pub orders: usize,
    /// Coordinators that ran.
    pub coordinators: usize,
    /// Where a process was struck while orders were under way, and how: how often.
    pub struck: BTreeMap<(&'static str, Struck), u32>,
    /// Partitions that were claimed where a warm copy of them was.
    pub warm_claims: u32,
    /// Snapshots that were taken.
    pub snapshots: u32,
    /// States that were made of one.
    pub restored: usize,
    /// Records of the journal that were deleted.
    pub deleted: usize,
    /// The broker's faults that were really done.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often crash points were reached.
    pub reached: BTreeMap<&'static str, u64>,
    /// Coordinators that died.
    pub crashes: u32,
    /// Coordinators that stood still, and went on.
    pub standstills: u32,
    /// What its journals say beside that.
    pub came: Came,
    /// How often the mutant's place was passed.
    pub mutated: u64,
}

impl Report {
    /// All that is counted, by name, as far as it happened.
    pub fn counts(&self) -> impl Iterator<Item = (String, u64)> {
        let counts = [
            ("sagas", self.orders as u64),
            ("coordinators", self.coordinators as u64),
            ("coordinators that died", self.crashes.into()),
            ("coordinators that stood still", self.standstills.into()),
            ("takeovers", self.came.takeovers as u64),
            ("partitions that were claimed again", self.came.claimed_again as u64),
            ("partitions that were claimed where they were warm", self.warm_claims.into()),
            ("snapshots", self.snapshots.into()),
            ("states that were made of snapshots", self.restored as u64),
            ("records of journals that were deleted", self.deleted as u64),
            ("times that breakers opened", self.came.openings as u64),
            ("steps that were parked", self.came.parkings as u64),
        ];
        let counts = counts.into_iter().map(|(what, count)| (what.to_owned(), count));
        let faults = self.faults.iter().map(|(what, count)| (format!("faults of the broker: {what}"), *count));
        counts.chain(faults).filter(|(_, count)| *count > 0)
    }
}

/// Why a run failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// When, in virtual time from its beginning.
    pub at_ms: Millis,
    /// What was wrong.
    pub what: String,
    /// What happened before.
    pub notes: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {} failed after {} ms of virtual time: {}", self.seed, self.at_ms, self.what)?;
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        write!(f, "again: SEED={} cargo test -p ringmaster-tests --features faults --test simulator seed", self.seed)
    }
}

/// Runs a plan, the protocol broken by a mutant or not.
pub fn run(plan: Plan, mutant: Option<&'static str>) -> Result<Report, Box<Failure>> {
    quiet_panics();
    faults::disarm();
    faults::forget_reached();
    let sim: Sim = Rc::new(RefCell::new(World::new(plan)));
    SIMULATING.set(true);
    faults::mutate(mutant);
    let ran = phases(&sim);
    let mutated = faults::mutated_count();
    faults::mutate(None);
    faults::disarm();
    SIMULATING.set(false);
    let world = sim.borrow();
    let came = checks::came(&world).unwrap_or_default();
    let report = Report {
        elapsed_ms: world.elapsed_ms(),
        orders: world.orders.placed.len(),
        coordinators: world.coordinators.len(),
        struck: world.counted.struck.clone(),
        warm_claims: world.counted.warm_claims,
        snapshots: world.counted.snapshots,
        restored: world.counted.restored.len(),
        deleted: world.broker.deleted_count("ringmaster.journal"),
        faults: world.broker.hits(),
        reached: faults::reached_counts(),
        crashes: world.counted.crashes,
        standstills: world.counted.standstills,
        came,
        mutated,
    };
    ran.map(|()| report).map_err(|what| {
        let notes = world.notes.iter().cloned().collect();
        Box::new(Failure { seed: world.plan.seed, at_ms: world.elapsed_ms(), what, notes })
    })
}

fn phases(sim: &Sim) -> Result<(), String> {
    let safety_ms = sim.borrow().plan.safety_ms;
    for look in 1..=LOOKS {
        steps_until(sim, |world| world.elapsed_ms() >= safety_ms * look / LOOKS)?;
        checked(sim, checks::always)?;
    }
    sim.borrow_mut().heal();
    let begun = sim.borrow().elapsed_ms();
    loop {
        let look_at = sim.borrow().elapsed_ms() + LOOK_EVERY_MS;
        steps_until(sim, |world| world.elapsed_ms() >= look_at)?;
        let unrest = checked(sim, |world| {
            if !world.orders.all_put() {
                return Ok(Some("orders are still to be placed".into()));
            }
            // One that stood still and has nothing to write may still think that it is the owner.
            let is_owned = |number| world.coordinators.iter().any(|one| one.owns(number));
            if let Some(number) = (0..world.plan.partitions).find(|number| !is_owned(*number)) {
                return Ok(Some(format!("no coordinator owns partition {number}")));
            }
            checks::unrest(world)
        })?;
        match unrest {
            None => break,
            Some(why) if sim.borrow().elapsed_ms() - begun > REST_MAX_MS => return Err(format!("no rest: {why}")),
            Some(_) => {}
        }
    }
    sim.borrow_mut().stop_all();
    steps_until(sim, |world| world.coordinators.iter().all(|one| one.process.is_none()))?;
    checked(sim, checks::in_the_end)
}

fn steps_until(sim: &Sim, done: impl Fn(&World) -> bool) -> Result<(), String> {
    while !done(&sim.borrow()) {
        step(sim);
        if let Some(why) = sim.borrow().broken.clone() {
            return Err(why);
        }
    }
    Ok(())
}

/// Checks run the unbroken code.
fn checked<T>(sim: &Sim, check: impl FnOnce(&World) -> Result<T, String>) -> Result<T, String> {
    faults::aside(|| check(&sim.borrow()))
}

thread_local! {
    static SIMULATING: Cell<bool> = const { Cell::new(false) };
}

/// Panics of simulated processes are results, not noise.
fn quiet_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !SIMULATING.get() || std::env::var_os("SIM_PANICS").is_some() {
                before(info);
            }
        }));
    });
}
