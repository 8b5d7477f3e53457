//! A service that is away, slow, answers twice, or whose answers are lost: by its own fault scripts, for as long as it takes until
//! orders that were placed meanwhile have ended.

use std::time::Duration;

use fastrand::Rng;

use super::{Made, any_service};
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// A number that a service says at its end.
fn count(said: &str, name: &str) -> u64 {
    let digits = |rest: &str| rest.split(|other: char| !other.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    said.rsplit_once(&format!("{name}: ")).and_then(|(_, rest)| digits(rest)).unwrap_or(0)
}

/// Nobody answers for some seconds: attempts time out, breakers open, orders are parked.
pub(super) fn absent(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let (service, partitions) = (any_service(random), Stage::all());
    let long = Duration::from_millis(random.u64(4_000..12_000));
    stage.wait_flow(&partitions)?;
    stage.hit()?;
    stage.end_service(service)?;
    stage.last(long)?;
    stage.start_service(service, &[]);
    Ok(Made::of(format!("{service}, for {:.1} s", long.as_secs_f64()), partitions))
}

/// Each answer comes later than an attempt waits for it.
pub(super) fn slow(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let late = stage.options.answer_within() + Duration::from_secs(1);
    scripted(stage, random, &["--fault", &format!("delay={}ms,share=0.5", late.as_millis())], None)
}

/// Every second answer comes twice.
pub(super) fn repeated(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    scripted(stage, random, &["--fault", "repeat_reply,share=0.5"], Some("script_repeated"))
}

/// Every third first answer never comes.
pub(super) fn lost(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    scripted(stage, random, &["--fault", "lose_reply,share=0.33,attempts=1"], Some("script_lost"))
}

/// `counted`: by which name the service counts what its script did.
fn scripted(stage: &mut Stage<'_>, random: &mut Rng, flags: &[&str], counted: Option<&str>) -> Result<Made, Halt> {
    let (service, partitions) = (any_service(random), Stage::all());
    let seed = random.u32(..).to_string();
    // Not until it is mastered: behind thousands that are parked, that takes one that goes on losing answers minutes.
    let long = Duration::from_millis(random.u64(4_000..12_000));
    stage.wait_flow(&partitions)?;
    stage.end_service(service)?;
    stage.hit()?;
    stage.start_service(service, &[flags, &["--fault-seed", &seed]].concat());
    stage.last(long)?;
    let said = stage.end_service(service)?;
    stage.start_service(service, &[]);
    let times = counted.map(|name| said.as_ref().map_or(0, |said| count(said, name)));
    let how_often = times.map_or(String::new(), |times| format!(", {times} times"));
    let what = format!("{service}, for {:.1} s{how_often}", long.as_secs_f64());
    Ok(Made { has_hit: said.is_some() && times != Some(0), ..Made::of(what, partitions) })
}
