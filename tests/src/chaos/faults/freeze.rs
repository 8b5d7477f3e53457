//! A process stands still for longer than others wait for it (`SIGSTOP`), and goes on as if nothing had been.

use std::time::Duration;

use fastrand::Rng;

use super::{Choose, Made, Target};
use crate::chaos::Halt;
use crate::chaos::stage::{SESSION, Stage};

/// Behind the end of a session, at least.
const LONGER_BY: Duration = Duration::from_secs(1);

/// SIGSTOP, and SIGCONT when others do its work; of one that nobody replaces, when its session is over.
pub(super) fn freeze(stage: &mut Stage<'_>, random: &mut Rng, choose: Choose) -> Result<Made, Halt> {
    let (target, partitions) = Target::aim(stage, random, choose)?;
    stage.hit()?;
    match target {
        Target::Coordinator(seat, _) => {
            stage.coordinator(seat).process.freeze();
            stage.seats[seat].is_apart = true;
        }
        Target::Service(name) => stage.world.service(name).freeze(),
        Target::Broker(number) => stage.world.node(number).pause()?,
    }
    stage.last(SESSION + LONGER_BY + Duration::from_millis(random.u64(..2_000)))?;
    if target.is_replaced(stage) {
        target.wait_replaced(stage, &partitions)?;
    }
    match target {
        Target::Coordinator(seat, _) => {
            stage.coordinator(seat).process.thaw();
            stage.seats[seat].is_apart = false;
        }
        Target::Service(name) => stage.world.service(name).thaw(),
        Target::Broker(number) => {
            stage.world.node(number).resume()?;
            stage.world.mend_brokers()?;
        }
    }
    Ok(Made::of(format!("{target}, for {:.1} s", stage.shop.marked().elapsed().as_secs_f64()), partitions))
}
