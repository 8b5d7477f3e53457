//! A service that is away, slow, answers twice, or whose answers are lost: by its own fault scripts, for as long as it takes until
//! orders that were placed meanwhile have ended.

use std::time::Duration;

use fastrand::Rng;

use super::{Made, any_service};
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// Nobody answers for some seconds: attempts time out, breakers open, orders are parked.
pub(super) fn absent(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let (service, partitions) = (any_service(random), Stage::all());
    let long = Duration::from_millis(random.u64(4_000..12_000));
    stage.wait_flow(&partitions)?;
    stage.hit()?;
    stage.end_service(service)?;
    stage.last(long)?;
    stage.start_service(service, &[]);
    Ok(Made { what: format!("{service}, for {:.1} s", long.as_secs_f64()), partitions })
}

/// Each answer comes later than an attempt waits for it.
pub(super) fn slow(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    scripted(stage, random, &["--fault", "delay=6s,share=0.5"])
}

/// Every second answer comes twice.
pub(super) fn repeated(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    scripted(stage, random, &["--fault", "repeat_reply,share=0.5"])
}

/// Every third first answer never comes.
pub(super) fn lost(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    scripted(stage, random, &["--fault", "lose_reply,share=0.33,attempts=1"])
}

fn scripted(stage: &mut Stage<'_>, random: &mut Rng, flags: &[&str]) -> Result<Made, Halt> {
    let (service, partitions) = (any_service(random), Stage::all());
    let seed = random.u32(..).to_string();
    // Not until it is mastered: behind thousands that are parked, that takes one that goes on losing answers minutes.
    let long = Duration::from_millis(random.u64(4_000..12_000));
    stage.wait_flow(&partitions)?;
    stage.end_service(service)?;
    stage.hit()?;
    stage.start_service(service, &[flags, &["--fault-seed", &seed]].concat());
    stage.last(long)?;
    stage.end_service(service)?;
    stage.start_service(service, &[]);
    Ok(Made { what: format!("{service}, for {:.1} s", long.as_secs_f64()), partitions })
}
