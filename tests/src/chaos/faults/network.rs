//! The network between processes and brokers: cut off, held back, slow, or losing what brokers answer.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;

use super::{Made, Target};
use crate::chaos::Halt;
use crate::chaos::stage::{SESSION, Stage};
use crate::chaos::ways::{SERVICES, Ways, Weather};

/// Behind the end of a session, at least.
const LONGER_BY: Duration = Duration::from_secs(1);

/// Connections end, and new ones do, for longer than a session.
pub(super) fn cut(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    apart(stage, random, Weather::Cut)
}

/// Nothing comes for longer than a session, and then all of it does: requests of before reach the brokers late.
pub(super) fn held(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    apart(stage, random, Weather::Held)
}

fn apart(stage: &mut Stage<'_>, random: &mut Rng, weather: Weather) -> Result<Made, Halt> {
    let (target, client, partitions) = choose(stage, random)?;
    stage.hit()?;
    ways(stage).set(client, weather);
    set_apart(stage, target, true);
    stage.last(SESSION + LONGER_BY + Duration::from_millis(random.u64(..2_000)))?;
    if let Some(target) = target.filter(|target| target.is_replaced(stage)) {
        target.wait_replaced(stage, &partitions)?;
    }
    ways(stage).set(client, Weather::Clear);
    set_apart(stage, target, false);
    Ok(Made::of(format!("{client}, for {:.1} s", stage.shop.marked().elapsed().as_secs_f64()), partitions))
}

/// What brokers answer is lost for a while, though they did what they were asked: nobody knows what was written.
pub(super) fn answers_lost(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let (_, client, partitions) = choose(stage, random)?;
    let long = Duration::from_millis(random.u64(300..3_000));
    stage.hit()?;
    ways(stage).set(client, Weather::AnswersLost);
    stage.last(long)?;
    ways(stage).set(client, Weather::Clear);
    Ok(Made::of(format!("{client}, for {:.1} s", long.as_secs_f64()), partitions))
}

/// All that passes between processes and brokers comes later, until orders that were placed meanwhile have ended.
pub(super) fn slow(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let (by, partitions) = (Duration::from_millis(random.u64(20..150)), Stage::all());
    stage.wait_flow(&partitions)?;
    stage.hit()?;
    ways(stage).set_all(Weather::Slow(by));
    stage.wait_moved("orders end in spite of it", &partitions)?;
    ways(stage).set_all(Weather::Clear);
    Ok(Made::of(format!("all, by {} ms each way", by.as_millis()), partitions))
}

fn ways<'a>(stage: &Stage<'a>) -> &'a Ways {
    stage.ways.expect("the class is possible only with them")
}

/// A coordinator, or the services: a target that others may replace, whose ways, and the partitions that it hits.
fn choose(stage: &mut Stage<'_>, random: &mut Rng) -> Result<(Option<Target>, &'static str, BTreeSet<i32>), Halt> {
    if random.usize(..4) == 0 {
        stage.wait_flow(&Stage::all())?;
        return Ok((None, SERVICES, Stage::all()));
    }
    let (target, partitions) = Target::aim(stage, random, Target::coordinator)?;
    let Target::Coordinator(_, name) = target else { unreachable!("it is one") };
    Ok((Some(target), name, partitions))
}

fn set_apart(stage: &mut Stage<'_>, target: Option<Target>, is_apart: bool) {
    if let Some(Target::Coordinator(seat, _)) = target {
        stage.seats[seat].is_apart = is_apart;
    }
}
