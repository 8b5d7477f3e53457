//! `backup` and `restore`: a copy of an instance's store, with a manifest of what it must be.
//!
//! ```text
//! store (looked at, also while it is in use) -> added up -> copied -> manifest;   manifest -> added up -> does it fit? -> copied back
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use ringmaster_bus::{Bus, TopicPartition};
use ringmaster_core::partition::Untaken;
use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::names::{Topics, hex};
use ringmaster_schemas::state::Checkpoint;
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::time;
use crate::blocking;
use crate::config::Config;
use crate::runtime::{self, Rebuild, verify};

/// What a manifest says that it is.
const FORMAT: &str = "ringmaster-backup";
const VERSION: u32 = 1;
const MANIFEST: &str = "MANIFEST.json";
const STORE: &str = "store";
/// What can be done where no backup fits.
const NONE: &str = "none: a start rebuilds the store from the journal";

/// What a backup is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    version: u32,
    /// When it was made, in milliseconds since 1970.
    made_at: i64,
    /// Whose store it is.
    instance: String,
    prefix: String,
    /// The identity of the journal's topic, in hex.
    journal: String,
    /// P.
    partitions: i32,
    /// Those that are in it.
    states: Vec<State>,
}

/// A partition's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    partition: i32,
    /// The next offset of the journal.
    offset: i64,
    /// How many sagas.
    sagas: usize,
    /// SHA-256 over the checkpoint, whose digest is the sum of all rows, in hex.
    digest: String,
}

/// Where the store of a backup lies; the folder itself, if that is a store.
pub(super) fn store_in(folder: &Path) -> PathBuf {
    if folder.join(MANIFEST).exists() { folder.join(STORE) } else { folder.to_owned() }
}

/// `ringmaster backup FOLDER`
pub(super) fn backup(config: &Config, folder: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    if folder.exists() {
        let why = format_args!("{} is there already: a backup needs a folder of its own", folder.display());
        return Err(Failure::new(Exit::Refused, why));
    }
    let memory = config.shares().store;
    let store = RocksStore::look(&config.store_dir(), memory)?;
    let states = states(&store).map_err(|why| Failure::new(Exit::Failed, why))?;
    let Some((_, first)) = states.first() else {
        let why = format!("nothing is stored in {} yet", config.store_dir().display());
        return Err(Failure::new(Exit::NotFound, why));
    };
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: VERSION,
        made_at: runtime::wall(),
        instance: config.instance.clone(),
        prefix: config.prefix.clone(),
        journal: hex(&first.journal),
        partitions: store.partitions(),
        states: states.iter().map(|(state, _)| state.clone()).collect(),
    };
    copy(&store, &manifest, &folder.join(STORE), memory)?;
    let text = serde_json::to_string_pretty(&manifest).expect("a manifest is JSON");
    // Last: what has no manifest is no backup.
    write_whole(&folder.join(MANIFEST), &text)?;
    for state in &manifest.states {
        say(out, format_args!("partition {}: offset {}, {} sagas", state.partition, state.offset, state.sagas))?;
    }
    say(out, format_args!("{} is a backup of {} partitions", folder.display(), manifest.states.len()))
}

/// What is stored of each partition, each added up and found to be what its checkpoint says.
fn states(store: &RocksStore) -> Result<Vec<(State, Checkpoint)>, String> {
    let mut all = Vec::new();
    for partition in 0..store.partitions() {
        if let Some((checkpoint, sagas)) = verify(store, partition)? {
            let digest = hex(&Sha256::digest(checkpoint.encode()));
            all.push((State { partition, offset: checkpoint.journal_offset, sagas, digest }, checkpoint));
        }
    }
    Ok(all)
}

fn copy(from: &RocksStore, manifest: &Manifest, folder: &Path, memory: usize) -> Result<(), Failure> {
    let to = RocksStore::open(folder, manifest.partitions, memory)?.store;
    for state in &manifest.states {
        // Nobody need listen.
        let _ = writeln!(std::io::stderr(), "partition {}: {} sagas are copied", state.partition, state.sagas);
        from.copy_partition(state.partition, &to)?;
    }
    to.flush()?;
    Ok(())
}

/// A file that is there whole, or not at all.
fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format_args!("{}: {error}", path.display()));
    let draft = path.with_extension("draft");
    std::fs::File::create(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)
}

/// `ringmaster restore FOLDER`
pub(super) fn restore(config: &Config, folder: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let memory = config.shares().store;
    let manifest = read_manifest(folder)?;
    let (mut any, topics) = (buses::open(config, Access::Read)?, Topics::new(&config.prefix));
    let journal = on_bus!(&mut any, bus => fits(bus, (config, &topics), &manifest, folder)?);
    let backup = RocksStore::look(&folder.join(STORE), memory)?;
    let found: Vec<State> = states(&backup).map_err(|why| refused(folder, &why))?.into_iter().map(|(state, _)| state).collect();
    if found != manifest.states || backup.partitions() != manifest.partitions {
        return Err(refused(folder, "what lies in it is not what its manifest says: it was changed, or not copied whole"));
    }
    on_bus!(&mut any, bus => prove(bus, (&topics, journal), &backup, folder)?);
    let own = config.store_dir();
    if own.exists() {
        let why = format_args!(
            "{} is there: a restore puts nothing over a store. Stop the coordinator and move that folder away first",
            own.display()
        );
        return Err(Failure::new(Exit::Refused, why));
    }
    // Beside its place, and there at once when it is whole: a start in between begins from the journal.
    let draft = own.with_extension("restoring");
    if draft.exists() {
        std::fs::remove_dir_all(&draft)
            .map_err(|error| Failure::new(Exit::Failed, format_args!("{}: {error}", draft.display())))?;
    }
    copy(&backup, &manifest, &draft, memory)?;
    let moved = std::fs::rename(&draft, &own);
    moved.map_err(|error| Failure::new(Exit::Failed, format_args!("{}: {error}", own.display())))?;
    // The lock of the draft has no more to guard.
    let _ = std::fs::remove_file(own.with_extension("restoring.lock"));
    let made = time(manifest.made_at);
    say(out, format_args!("restored {} partitions as of {made}; a start goes on from there, by the journal", manifest.states.len()))
}

fn refused(folder: &Path, why: &str) -> Failure {
    Failure::new(Exit::Refused, format_args!("{} cannot be restored: {why}", folder.display()))
}

fn read_manifest(folder: &Path) -> Result<Manifest, Failure> {
    let path = folder.join(MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(|error| refused(folder, &format!("{}: {error}", path.display())))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| refused(folder, &format!("{MANIFEST}: {error}")))?;
    if manifest.format != FORMAT || manifest.version != VERSION {
        let (format, version) = (&manifest.format, manifest.version);
        return Err(refused(folder, &format!("it is of format '{format}' {version}, expected '{FORMAT}' {VERSION}")));
    }
    Ok(manifest)
}

/// Whether a backup is of this coordinator, and the journal reaches back to it; the identity of the journal's topic.
fn fits(bus: &mut impl Bus, (config, topics): (&Config, &Topics), manifest: &Manifest, folder: &Path) -> Result<TopicId, Failure> {
    if manifest.partitions != config.partitions {
        let (has, wants) = (manifest.partitions, config.partitions);
        return Err(refused(folder, &format!("it has {has} partitions, and the settings say {wants}")));
    }
    let topic = &topics.journal;
    let Some(described) = bus.describe(&[topic])?.into_iter().next().flatten() else {
        return Err(refused(folder, &format!("there is no topic {topic}")));
    };
    if hex(&described.id) != manifest.journal {
        return Err(refused(folder, &format!("it is of another journal topic than {topic} is now (prefix '{}')", manifest.prefix)));
    }
    for state in &manifest.states {
        let partition = state.partition;
        let at = TopicPartition { topic: bus.topic(topic), partition };
        let bounds = blocking::bounds(bus, at)?;
        if let Some(why) = reaches(state.offset, bounds) {
            return Err(refused(folder, &format!("partition {partition} stands at offset {}, and {topic} {why}", state.offset)));
        }
    }
    Ok(described.id)
}

/// Why what stands at an offset does not go on by a journal with these bounds, and what to do, if so. The record before the offset must
/// be there too: by it a start knows its journal.
fn reaches(offset: i64, (start, end): (i64, i64)) -> Option<String> {
    if offset > end {
        return Some(format!("ends at {end}: it lost its tail since. Take a backup that is older, or {NONE}"));
    }
    let is_kept = start == 0 || start < offset;
    (!is_kept).then(|| {
        format!("begins at {start}: what came between is deleted. Take a backup that is newer, or none: a start makes the store of snapshots")
    })
}

/// Whether the journal still holds the record that each partition of the backup ends with: one that lost its tail and grew again reaches as
/// far, and is another.
fn prove(bus: &mut impl Bus, (topics, journal): (&Topics, TopicId), backup: &RocksStore, folder: &Path) -> Result<(), Failure> {
    for partition in 0..backup.partitions() {
        let untaken = |why: Untaken| refused(folder, &format!("partition {partition}: {why}"));
        let mut rebuild = Rebuild::begin((partition, backup.partitions()), (topics, journal), backup).map_err(untaken)?;
        let (before, offset) = (rebuild.first_offset(), rebuild.next_offset());
        let mut is_same = before == offset;
        if !is_same {
            blocking::read_from(bus, &topics.journal, (partition, before), &mut |read| {
                is_same = rebuild.take(read.offset, read.value.as_deref().unwrap_or_default()).is_ok();
                false
            })?;
        }
        if !is_same {
            let why = format!(
                "partition {partition} stands at offset {offset}, and what {} holds before that is another record than the backup ends with: \
                 it lost its tail since, and grew again. Take a backup from before that, or {NONE}",
                topics.journal
            );
            return Err(refused(folder, &why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A start asks for the record before its offset, so that must be kept as well.
    #[test]
    fn a_journal_reaches_from_the_record_before_an_offset_to_it() {
        for (offset, bounds) in [(0, (0, 0)), (0, (0, 7)), (7, (0, 7)), (7, (6, 7)), (7, (6, 9))] {
            assert_eq!(reaches(offset, bounds), None, "{offset} in {bounds:?}");
        }
        for (offset, bounds, words) in
            [(8, (0, 7), "ends at 7"), (7, (7, 9), "begins at 7"), (7, (8, 9), "begins at 8"), (0, (1, 9), "begins at 1")]
        {
            let why = reaches(offset, bounds).unwrap_or_default();
            assert!(why.starts_with(words) && why.contains("Take a backup"), "{offset} in {bounds:?}: {why}");
        }
    }
}
