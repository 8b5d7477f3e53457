//! A coordinator dies, and what it had on disk is not what it was when it is back: cut short, flipped, or gone.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::{Made, Target};
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// What is done to a file.
type Harm = fn(&Path, &mut Rng) -> io::Result<()>;

/// A file is cut short.
pub(super) fn truncated(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    harmed(stage, random, |path, random| {
        let file = File::options().write(true).open(path)?;
        file.set_len(random.u64(..file.metadata()?.len().max(1)))
    })
}

/// Some bytes of a file are others.
pub(super) fn flipped(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    harmed(stage, random, |path, random| {
        let mut file = File::options().read(true).write(true).open(path)?;
        let length = file.metadata()?.len().max(1);
        file.seek(SeekFrom::Start(random.u64(..length)))?;
        file.write_all(&random.u64(..).to_le_bytes())
    })
}

/// A file is gone; sometimes all of them are.
pub(super) fn deleted(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    harmed(stage, random, |path, random| match random.usize(..3) {
        0 => fs::remove_dir_all(path.parent().expect("it lies in the store")),
        _ => fs::remove_file(path),
    })
}

fn harmed(stage: &mut Stage<'_>, random: &mut Rng, harm: Harm) -> Result<Made, Halt> {
    let (target, partitions) = Target::aim(stage, random, Target::coordinator)?;
    let Target::Coordinator(seat, name) = target else { unreachable!("it is one") };
    stage.hit()?;
    let data = stage.take_coordinator(seat).kill();
    let files = files(&data.join("store"))?;
    let file = &files[random.usize(..files.len())];
    harm(file, random)?;
    // What is found only later ends it, and its next start mends it.
    stage.seats[seat].may_end = true;
    stage.start(seat);
    let file = file.file_name().unwrap_or_default().display();
    Ok(Made::of(format!("{name}, {file}"), partitions))
}

/// All files of a store that hold something which it goes by: not what it says for people, nor what it never reads.
fn files(store: &Path) -> io::Result<Vec<PathBuf>> {
    let matters = |name: &str| name.ends_with(".sst") || name.starts_with("MANIFEST") || name == "CURRENT";
    let mut files: Vec<PathBuf> = fs::read_dir(store)?
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(matters))
        .filter(|entry| entry.metadata().is_ok_and(|file| file.is_file() && file.len() > 0))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    Ok(files)
}
