//! `backup` and `restore`: a copy of an instance's store, with a manifest of what it must be.
//!
//! ```text
//! store (looked at, also while it is in use) -> added up -> copied -> manifest;   manifest -> added up -> does it fit? -> copied back
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use ringmaster_bus::{Bus, TopicPartition};
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
use crate::runtime::{self, verify};

/// What a manifest says that it is.
const FORMAT: &str = "ringmaster-backup";
const VERSION: u32 = 1;
const MANIFEST: &str = "MANIFEST.json";
const STORE: &str = "store";

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
    fits(config, &manifest, folder)?;
    let backup = RocksStore::look(&folder.join(STORE), memory)?;
    let found: Vec<State> = states(&backup).map_err(|why| refused(folder, &why))?.into_iter().map(|(state, _)| state).collect();
    if found != manifest.states || backup.partitions() != manifest.partitions {
        return Err(refused(folder, "what lies in it is not what its manifest says: it was changed, or not copied whole"));
    }
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

/// Whether a backup is of this coordinator, and the journal reaches back to it.
fn fits(config: &Config, manifest: &Manifest, folder: &Path) -> Result<(), Failure> {
    if manifest.partitions != config.partitions {
        let (has, wants) = (manifest.partitions, config.partitions);
        return Err(refused(folder, &format!("it has {has} partitions, and the settings say {wants}")));
    }
    let topic = Topics::new(&config.prefix).journal;
    let mut any = buses::open(config, Access::Read)?;
    on_bus!(&mut any, bus => {
        let Some(described) = bus.describe(&[&topic])?.into_iter().next().flatten() else {
            return Err(refused(folder, &format!("there is no topic {topic}")));
        };
        if hex(&described.id) != manifest.journal {
            return Err(refused(folder, &format!("it is of another journal topic than {topic} is now (prefix '{}')", manifest.prefix)));
        }
        for state in &manifest.states {
            let partition = state.partition;
            let at = TopicPartition { topic: bus.topic(&topic), partition };
            let (start, end) = blocking::bounds(bus, at)?;
            if !(start..=end).contains(&state.offset) {
                let why = format!(
                    "partition {partition} stands at offset {}, and the journal holds {start} to {end}: take a newer backup",
                    state.offset
                );
                return Err(refused(folder, &why));
            }
        }
        Ok(())
    })
}
