//! All coordinators are started anew, one behind the other, as for a new version of the program.

use fastrand::Rng;

use super::Made;
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// Each ends in order and is back, and all partitions are owned, before the next one ends.
pub(super) fn rolling(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let partitions = Stage::all();
    stage.wait_flow(&partitions)?;
    let mut seats: Vec<usize> = (0..stage.seats.len()).collect();
    random.shuffle(&mut seats);
    stage.hit()?;
    for seat in &seats {
        stage.end_coordinator(*seat)?;
        stage.start(*seat);
        stage.wait_shared("the partitions are owned before the next one ends")?;
    }
    let names: Vec<&str> = seats.iter().map(|seat| stage.seats[*seat].name).collect();
    Ok(Made::of(names.join(", "), partitions))
}
