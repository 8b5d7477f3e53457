//! A process ends: by `kill -9`, or in order; and is started again.

use fastrand::Rng;

use super::{Choose, Made, Target};
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// `kill -9`.
pub(super) fn kill(stage: &mut Stage<'_>, random: &mut Rng, choose: Choose) -> Result<Made, Halt> {
    with(stage, random, choose, |stage, target| target.kill(stage))
}

/// SIGTERM.
pub(super) fn end(stage: &mut Stage<'_>, random: &mut Rng, choose: Choose) -> Result<Made, Halt> {
    with(stage, random, choose, |stage, target| match target {
        Target::Coordinator(seat, _) => stage.end_coordinator(seat).map(drop),
        Target::Service(name) => stage.end_service(name).map(drop),
        Target::Broker(number) => Ok(stage.world.node(number).stop()?),
    })
}

fn with(
    stage: &mut Stage<'_>,
    random: &mut Rng,
    choose: Choose,
    hit: impl FnOnce(&mut Stage<'_>, Target) -> Result<(), Halt>,
) -> Result<Made, Halt> {
    let (target, partitions) = Target::aim(stage, random, choose)?;
    let is_late = random.bool() && target.is_replaced(stage);
    stage.hit()?;
    hit(stage, target)?;
    if is_late {
        target.wait_replaced(stage, &partitions)?;
    }
    target.start(stage)?;
    let how = if is_late { "back when others did its work" } else { "back at once" };
    Ok(Made::of(format!("{target}, {how}"), partitions))
}
