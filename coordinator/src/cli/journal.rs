//! `replay journal`: partitions are rebuilt from the journal into a fresh store, and compared with the one that an instance has.
//!
//! ```text
//! store (looked at, also while it is in use) -> offset -> journal up to there -> fresh store -> digests, and what differs by saga
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use ringmaster_bus::{Bus, TopicPartition};
use ringmaster_core::partition::Untaken;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{JournalRecord, TopicId};
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::snapshot::Manifest;
use ringmaster_store::Store;
use ringmaster_store::rocks::RocksStore;
use serde_json::json;

use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::run::stop_signal;
use super::select::time;
use super::snapshots;
use super::text;
use crate::blocking;
use crate::config::Config;
use crate::runtime::{Difference, Rebuild, Restore, differences, verify};

/// Differences that are told of a partition; there may be as many as there are sagas.
const DIFFERENCES_MAX: usize = 20;

pub(super) const EXAMPLES: &str = "Examples:\n  ringmaster replay journal\n  ringmaster replay journal --partition 3 --json\n  \
    ringmaster replay journal --until 2026-01-31T08:00:00Z --into then\n  \
    ringmaster replay journal --from backups/monday --store backups/tuesday";

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct JournalArguments {
    /// Only this partition; may be repeated. Without it all of them.
    #[arg(long, value_name = "NUMBER")]
    partition: Vec<i32>,
    /// Up to this offset, exclusive, or to this time (2026-01-31T00:00:00Z): as it was then. Nothing is compared where the store stands elsewhere.
    #[arg(long, value_name = "OFFSET|TIME", value_parser = until)]
    until: Option<Until>,
    /// The store to compare with: a folder, or a backup. Without it this instance's own, also while it runs.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// Begin with this store, or backup, instead of with nothing: where the journal does not reach back to its beginning.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Keep what was rebuilt in this folder, which must not be there yet.
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// One JSON object a partition and line.
    #[arg(long)]
    json: bool,
}

/// Where a replay ends.
#[derive(Debug, Clone, Copy)]
enum Until {
    Offset(i64),
    Time(Millis),
}

fn until(text: &str) -> Result<Until, String> {
    match text.parse::<i64>() {
        Ok(offset) if offset >= 0 => Ok(Until::Offset(offset)),
        _ => time(text).map(Until::Time),
    }
}

/// What came of one partition.
struct Rebuilt {
    partition: i32,
    from: i64,
    to: i64,
    counted: u64,
    sagas: usize,
    result: Compared,
}

enum Compared {
    Same,
    Not(String),
    Differ(Vec<Difference>),
}

/// A folder that goes when it is done with.
struct Scratch(Option<PathBuf>);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // What is left of it is only a copy, beside the store.
            let _ = std::fs::remove_dir_all(folder);
            let _ = std::fs::remove_file(folder.with_extension("lock"));
        }
    }
}

/// What a replay works on.
struct Replay<'a> {
    arguments: &'a JournalArguments,
    topics: Topics,
    journal: TopicId,
    partitions: i32,
    stored: Option<RocksStore>,
    base: Option<RocksStore>,
    fresh: &'a RocksStore,
    /// Somebody wants it to end.
    stop: Arc<AtomicBool>,
}

/// `ringmaster replay journal`
pub(super) fn replay(config: &Config, arguments: &JournalArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let topics = Topics::new(&config.prefix);
    let mut any = buses::open(config, Access::Read)?;
    let described = on_bus!(&mut any, bus => bus.describe(&[&topics.journal])?.into_iter().next().flatten());
    let Some(described) = described else {
        let why = format_args!("there is no topic {}: run `ringmaster topics apply`", topics.journal);
        return Err(Failure::new(Exit::Refused, why));
    };
    let partitions = described.partitions;
    let memory = config.shares().store;
    let stored = look(arguments.store.as_deref(), &config.store_dir(), memory, partitions)?;
    if stored.is_none() && arguments.into.is_none() {
        let why = "there is no store here to compare with: name one by --store, or --into FOLDER to rebuild one";
        return Err(Failure::new(Exit::Refused, why));
    }
    let base = arguments.from.as_deref().map(|folder| open(folder, memory, partitions)).transpose()?;
    let (folder, _scratch) = match &arguments.into {
        Some(folder) if folder.exists() => {
            let why = format_args!("{} is there already: what is rebuilt needs a folder of its own", folder.display());
            return Err(Failure::new(Exit::Refused, why));
        }
        Some(folder) => (folder.clone(), Scratch(None)),
        None => {
            let folder = config.data_dir.join(format!("replayed-{}", std::process::id()));
            (folder.clone(), Scratch(Some(folder)))
        }
    };
    let fresh = RocksStore::open(&folder, partitions, memory)?.store;
    let replay = Replay { arguments, topics, journal: described.id, partitions, stored, base, fresh: &fresh, stop: stop_signal()? };
    let mut all = Vec::new();
    for partition in replay.chosen()? {
        let rebuilt = on_bus!(&mut any, bus => replay.rebuild(bus, partition)?);
        if arguments.json {
            say(out, format_args!("{}", rebuilt.json()))?;
        }
        all.push(rebuilt);
    }
    if arguments.into.is_some() {
        fresh.flush()?;
    }
    if !arguments.json {
        tell(&all, out)?;
    }
    match all.iter().any(|rebuilt| matches!(rebuilt.result, Compared::Differ(_))) {
        true => Err(Failure::new(Exit::Failed, "")),
        false => Ok(()),
    }
}

/// The store that is named, which must be there, or the instance's own, if there is one.
fn look(named: Option<&Path>, own: &Path, memory: usize, partitions: i32) -> Result<Option<RocksStore>, Failure> {
    match named {
        Some(folder) => open(folder, memory, partitions).map(Some),
        None if own.exists() => open(own, memory, partitions).map(Some),
        None => Ok(None),
    }
}

/// A store, or the one inside a backup, to look at.
fn open(folder: &Path, memory: usize, partitions: i32) -> Result<RocksStore, Failure> {
    let inside = super::backup::store_in(folder);
    let store = RocksStore::look(&inside, memory)?;
    if store.partitions() == partitions {
        return Ok(store);
    }
    let (has, folder) = (store.partitions(), folder.display());
    Err(Failure::new(Exit::Refused, format_args!("{folder} is a store of {has} partitions, and the journal has {partitions}")))
}

impl Replay<'_> {
    fn chosen(&self) -> Result<Vec<i32>, Failure> {
        let chosen = &self.arguments.partition;
        if let Some(wrong) = chosen.iter().find(|number| !(0..self.partitions).contains(*number)) {
            let why = format_args!("there is no partition {wrong}: the journal has 0 to {}", self.partitions - 1);
            return Err(Failure::new(Exit::NotFound, why));
        }
        Ok(if chosen.is_empty() { (0..self.partitions).collect() } else { chosen.clone() })
    }

    fn rebuild(&self, bus: &mut impl Bus, partition: i32) -> Result<Rebuilt, Failure> {
        let failed = |why: String| Failure::new(Exit::Journal, format_args!("{}/{partition}: {why}", self.topics.journal));
        let untaken = |why: Untaken| self.untaken(partition, why);
        let unsound = |why: String| untaken(Untaken::Store(why));
        // What is stored must be sound in itself before anything is compared with it.
        let stored = self.stored.as_ref().map(|store| verify(store, partition)).transpose().map_err(unsound)?.flatten();
        if let Some((checkpoint, _)) = stored.as_ref().filter(|(checkpoint, _)| checkpoint.journal != self.journal) {
            return Err(failed(format!("the store, at offset {}, is of another journal topic", checkpoint.journal_offset)));
        }
        if let Some(base) = &self.base {
            base.copy_partition(partition, self.fresh)?;
        }
        let stored_at = stored.as_ref().map(|(checkpoint, _)| checkpoint.journal_offset);
        let end = match self.arguments.until {
            Some(Until::Offset(offset)) => offset,
            Some(Until::Time(_)) => i64::MAX,
            None => stored_at.unwrap_or(i64::MAX),
        };
        let since = if self.base.is_none() { self.restore(bus, partition, end)? } else { None };
        let mut rebuild =
            Rebuild::begin((partition, self.partitions), (&self.topics, self.journal), self.fresh).map_err(untaken)?;
        let from = since.unwrap_or_else(|| rebuild.next_offset());
        self.read(bus, partition, &mut rebuild, end)?;
        rebuild.write().map_err(untaken)?;
        let (to, counted) = (rebuild.next_offset(), rebuild.counted);
        let sagas = verify(self.fresh, partition).map_err(unsound)?.map_or(0, |(_, count)| count);
        let result = match (&self.stored, stored_at) {
            (Some(store), Some(at)) if at == to => match differences(store, self.fresh, partition).map_err(unsound)? {
                none if none.is_empty() => Compared::Same,
                some => Compared::Differ(some),
            },
            (_, Some(at)) => Compared::Not(format!("the store stands at {at}")),
            (_, None) => Compared::Not("nothing is stored".to_owned()),
        };
        Ok(Rebuilt { partition, from, to, counted, sagas, result })
    }

    /// Why a state cannot be made: the journal is what it is, and a store, or its disk, may be mended.
    fn untaken(&self, partition: i32, why: Untaken) -> Failure {
        let exit = if matches!(why, Untaken::Store(_)) { Exit::Failed } else { Exit::Journal };
        Failure::new(exit, format_args!("{}/{partition}: {why}", self.topics.journal))
    }

    /// Where the journal does not reach back to its beginning, a state is made of the newest snapshot that fits, up to this offset and the
    /// time that is asked for, in the fresh store: the offset from which the journal was read for that.
    fn restore(&self, bus: &mut impl Bus, partition: i32, end: i64) -> Result<Option<i64>, Failure> {
        let at = TopicPartition { topic: bus.topic(&self.topics.journal), partition };
        let (start, log_end) = blocking::bounds(bus, at)?;
        if start == 0 {
            return Ok(None);
        }
        let found = snapshots::read(bus, &self.topics, partition, &self.stop)?;
        let mut usable = found.usable(self.journal, (start, end.min(log_end)));
        usable.retain(|manifest| !matches!(self.arguments.until, Some(Until::Time(time)) if manifest.until.now > time));
        let mut wrong = None;
        while let Some(manifest) = usable.pop() {
            let (since, number) = (manifest.since_offset(), manifest.number);
            match self.restore_by(bus, partition, manifest)? {
                Ok(()) => return Ok(Some(since)),
                Err(Untaken::Wrong(why)) => wrong = Some(Untaken::Wrong(format!("snapshot {number} does not fit: {why}"))),
                Err(store) => return Err(self.untaken(partition, store)),
            }
            self.fresh.clear(partition)?;
        }
        wrong.map_or(Ok(None), |wrong| Err(self.untaken(partition, wrong)))
    }

    fn restore_by(&self, bus: &mut impl Bus, partition: i32, manifest: Manifest) -> Result<Result<(), Untaken>, Failure> {
        let (since, until, first) = (manifest.since_offset(), manifest.until.journal_offset, manifest.first);
        let mut restore = Restore::begin((partition, self.partitions), (&self.topics, self.journal), self.fresh, manifest);
        let mut trouble = None;
        let mut more = |taken: Result<bool, Untaken>| {
            let more = taken.unwrap_or_else(|why| {
                trouble.get_or_insert(why);
                false
            });
            more && !self.stop.load(Ordering::Relaxed)
        };
        let value = |read: &blocking::Read| read.value.clone().unwrap_or_default();
        if since < until {
            let mut take = |read: blocking::Read| more(restore.take(read.offset, &value(&read)));
            blocking::read_from(bus, &self.topics.journal, (partition, since), &mut take)?;
        }
        let mut piece = |read: blocking::Read| more(restore.piece(&value(&read)));
        blocking::read_from(bus, &self.topics.snapshots, (partition, first), &mut piece)?;
        self.go_on()?;
        Ok(trouble.map_or_else(|| restore.finish(), Err))
    }

    /// An error once somebody wants it to end.
    fn go_on(&self) -> Result<(), Failure> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Failure::new(Exit::Failed, "interrupted: nothing was compared to the end")),
            false => Ok(()),
        }
    }

    /// Gives it the journal up to an offset, or a time; says how far it is while that takes long.
    fn read(&self, bus: &mut impl Bus, partition: i32, rebuild: &mut Rebuild<'_>, end: i64) -> Result<(), Failure> {
        let topic = &self.topics.journal;
        let at = TopicPartition { topic: bus.topic(topic), partition };
        let (start, log_end) = blocking::bounds(bus, at)?;
        let first = rebuild.first_offset();
        let journal = |why: String| Err(self.untaken(partition, Untaken::Wrong(why)));
        if start > first {
            return journal(format!(
                "it begins at offset {start}, and what is rebuilt at {first}: no snapshot of it reaches there: begin with a backup that is newer (--from FOLDER)"
            ));
        }
        if end != i64::MAX && end > log_end {
            return journal(format!(
                "it ends at offset {log_end}, before {end}: its tail was lost, or the store is of another one"
            ));
        }
        let (mut progress, mut trouble, last) = (Progress::begin(), None, end.min(log_end));
        blocking::read_from(bus, topic, (partition, first), &mut |read| {
            if read.offset >= last {
                return false;
            }
            progress.at(format_args!("{topic}/{partition}: offset {} of {last}", read.offset));
            let value = read.value.as_deref().unwrap_or_default();
            if self.is_later(value) || self.stop.load(Ordering::Relaxed) {
                return false;
            }
            trouble = rebuild.take(read.offset, value).err();
            trouble.is_none()
        })?;
        self.go_on()?;
        trouble.map_or(Ok(()), |why| Err(self.untaken(partition, why)))
    }

    /// True behind the time at which the replay is to end, by the journal's own clock.
    fn is_later(&self, value: &[u8]) -> bool {
        let Some(Until::Time(time)) = self.arguments.until else { return false };
        let stamped = JournalRecord::decode(value).ok().and_then(|record| record.stamp().map(|stamp| stamp.now));
        stamped.is_some_and(|now| now > time)
    }
}

impl Rebuilt {
    fn json(&self) -> serde_json::Value {
        let (result, differences) = match &self.result {
            Compared::Same => ("same", None),
            Compared::Not(_) => ("not compared", None),
            Compared::Differ(differences) => ("different", Some(differences)),
        };
        json!({
            "partition": self.partition, "from": self.from, "to": self.to, "counted": self.counted, "sagas": self.sagas,
            "result": result, "differences": differences,
        })
    }
}

/// A table, and below it what differs.
fn tell(all: &[Rebuilt], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = text::table(["PARTITION", "OFFSETS", "COUNTED", "SAGAS", "THE STORE"]);
    for one in all {
        let result = match &one.result {
            Compared::Same => "is the same".to_owned(),
            Compared::Not(why) => format!("was not compared: {why}"),
            Compared::Differ(differences) => format!("is different: {} rows", differences.len()),
        };
        let offsets = format!("{} to {}", one.from, one.to);
        table.add_row([one.partition.to_string(), offsets, one.counted.to_string(), one.sagas.to_string(), result]);
    }
    say(out, format_args!("{table}"))?;
    for one in all {
        let Compared::Differ(differences) = &one.result else { continue };
        for Difference { key, stored, journal } in differences.iter().take(DIFFERENCES_MAX) {
            say(out, format_args!("partition {}: {key}: the store has {stored}; the journal says {journal}", one.partition))?;
        }
        if differences.len() > DIFFERENCES_MAX {
            let more = differences.len() - DIFFERENCES_MAX;
            say(out, format_args!("partition {}: and {more} more; --json tells all", one.partition))?;
        }
    }
    if all.iter().any(|one| matches!(one.result, Compared::Differ(_))) {
        let next = "the journal is what is true: move the store's folder away, and the next start rebuilds it; please report this with the lines above";
        say(out, format_args!("{next}"))?;
    }
    Ok(())
}
