//! The disk of a coordinator is full for a while.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;

use super::{Made, Target};
use crate::chaos::Halt;
use crate::chaos::host::Disk;
use crate::chaos::stage::Stage;

/// Of the small disk, until something fills it up.
const FREE_BYTES: u64 = 64 << 20;
/// So the system calls it.
const STORAGE_FULL: &str = "No space left on device";
/// What fills it up.
const FILLER: &str = "filler";
/// At once.
static CHUNK: [u8; 1 << 16] = [0; 1 << 16];

/// Its data directory becomes a small disk (it is started again for that), which something else fills up. It may end; whoever watches
/// over it starts it again. Then there is place again.
pub(super) fn full(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let (target, _) = Target::aim(stage, random, Target::coordinator)?;
    let Target::Coordinator(seat, name) = target else { unreachable!("it is one") };
    let data = stage.end_coordinator(seat)?;
    let disk = Disk::mount(&data, FREE_BYTES)?;
    stage.start(seat);
    let this = |_: &Stage<'_>, _: &mut Rng| Some(target);
    let (_, partitions) = Target::aim(stage, random, this)?;
    let before = stage.seats[seat].starts;
    stage.hit()?;
    fill(&data)?;
    stage.seats[seat].may_end = true;
    // What is in memory it writes by and by.
    stage.wait("the store finds that its disk is full", |stage| {
        stage.seats[seat].starts > before || stage.coordinator(seat).process.said_last().contains(STORAGE_FULL)
    })?;
    stage.last(Duration::from_millis(random.u64(..5_000)))?;
    fs::remove_file(data.join(FILLER))?;
    let ended = stage.seats[seat].starts - before;
    stage.wait_moved("orders end when there is place again", &partitions)?;
    stage.end_coordinator(seat)?;
    disk.unmount()?;
    stage.start(seat);
    Ok(Made::of(format!("{name}, which ended {ended} times"), partitions))
}

fn fill(folder: &Path) -> Result<(), Halt> {
    let mut file = File::create(folder.join(FILLER))?;
    loop {
        match file.write_all(&CHUNK) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
