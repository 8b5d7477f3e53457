//! Other brokers lead, while all of them run: clients learn it from refusals.

use super::Made;
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// Every partition of every topic gets another leader.
pub(super) fn moved(stage: &mut Stage<'_>) -> Result<Made, Halt> {
    let partitions = Stage::all();
    stage.wait_flow(&partitions)?;
    stage.hit()?;
    stage.world.cluster().expect("the class is possible only with it").move_leaders()?;
    Ok(Made::of("all partitions".to_owned(), partitions))
}
