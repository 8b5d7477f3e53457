//! The clock of a coordinator steps, as where an administrator or a time service sets it: those of others do not.

use fastrand::Rng;

use super::{Made, Target};
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// So far it may be away from what it was when the coordinator was started first: attempts time out, and wait longer.
const AWAY_MAX_S: i64 = 20;
/// A smaller step is none that anybody would see.
const STEP_MIN_S: i64 = 5;

/// It stays so until another step.
pub(super) fn step(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let (target, partitions) = Target::aim(stage, random, Target::coordinator)?;
    let Target::Coordinator(seat, name) = target else { unreachable!("it is one") };
    let before = stage.seats[seat].away_s;
    let steps: Vec<i64> = (-AWAY_MAX_S..=AWAY_MAX_S).filter(|away_s| (away_s - before).abs() >= STEP_MIN_S).collect();
    let away_s = random.choice(steps).expect("there are some on one side at least");
    stage.hit()?;
    stage.set_clock(seat, away_s)?;
    stage.seats[seat].away_s = away_s;
    Ok(Made::of(format!("{name}, to {away_s:+} s"), partitions))
}
