//! A broker dies, and a partition of the journal lost its tail: records that it had acknowledged and not written out, as by a loss of power
//! where there is one copy. That is found, and what was sent on the strength of them is sent again under the same keys.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::Made;
use crate::chaos::Halt;
use crate::chaos::stage::Stage;
use crate::live::PARTITIONS;

/// Of one partition, so many bytes are lost at most: some seconds of work.
const LOST_BYTES_MAX: u64 = 64 << 10;

/// `kill -9` of the broker; the journal of one partition ends sooner when it is back.
pub(super) fn lost(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let partition = random.i32(0..PARTITIONS);
    let partitions = BTreeSet::from([partition]);
    let journal = stage.world.topics().journal;
    stage.wait_flow(&partitions)?;
    stage.hit()?;
    stage.world.node(1).kill()?;
    let log = newest(&find(stage.world.node(1).folder(), &format!("{journal}-{partition}"))?)?;
    let file = File::options().write(true).open(&log)?;
    let length = file.metadata()?.len();
    let bytes = random.u64(1..=LOST_BYTES_MAX.min(length.max(1)));
    file.set_len(length.saturating_sub(bytes))?;
    stage.world.node(1).restart()?;
    stage.world.mend_brokers()?;
    Ok(Made::of(format!("{bytes} bytes of journal {partition}"), partitions))
}

/// The folder of a partition, somewhere below the broker's.
fn find(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name() == name {
                return Ok(entry.path());
            }
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("no folder {name}")))
}

/// The segment that is written to.
fn newest(folder: &Path) -> io::Result<PathBuf> {
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    let logs = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).filter(is_log);
    logs.max().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no segment"))
}
