//! The directory: its lock, its topics, and the clients on it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ringmaster_schemas::journal::TopicId;

use super::groups::Groups;
use super::partition::{Keeping, Partition};
use super::{EmbeddedBus, Settings};
use crate::{BusError, Description, Specification};

/// More partitions than this in one process are a mistake: each has a file open.
const PARTITIONS_MAX: i32 = 1_024;
/// As in Kafka, so that a log can move there.
const NAME_BYTES_MAX: usize = 249;
/// Kafka's defaults of what the protocol cares for, and what is always so here.
const DEFAULTS: [(&str, &str); 5] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "604800000"),
    ("retention.bytes", "-1"),
    ("max.message.bytes", "1048588"),
    ("unclean.leader.election.enable", "false"),
];

/// A directory of topics; clones are the same log. Its lock is given back when the last clone and the last client are gone.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    directory: PathBuf,
    settings: Settings,
    /// Held as long as the log is open; none for a log that is only read.
    lock: Option<File>,
    topics: RwLock<HashMap<String, Arc<TopicLog>>>,
    /// Grows when a topic is made or deleted, so that clients look again.
    generation: AtomicU64,
    client_count: AtomicU64,
    pub(super) groups: Mutex<Groups>,
}

#[derive(Debug)]
pub(super) struct TopicLog {
    pub(super) id: TopicId,
    settings: Vec<(String, String)>,
    pub(super) partitions: Vec<Arc<Partition>>,
}

impl Log {
    /// Opens a directory for this process alone, or makes it.
    ///
    /// Errors: [`BusError::Taken`] if another process has it; [`BusError::Storage`] if files cannot be used or are damaged.
    pub fn open(directory: &Path, settings: Settings) -> Result<Self, BusError> {
        for folder in ["topics", "groups"] {
            let path = directory.join(folder);
            std::fs::create_dir_all(&path).map_err(|error| storage(&path, error))?;
        }
        let lock = take_lock(directory)?;
        Self::with(directory, settings, Some(lock))
    }

    /// Opens a directory for reading, also while another process owns it: its clients see what the owner appends within 50 ms, and
    /// can neither send nor commit.
    pub fn open_read_only(directory: &Path) -> Result<Self, BusError> {
        Self::with(directory, Settings::default(), None)
    }

    fn with(directory: &Path, settings: Settings, lock: Option<File>) -> Result<Self, BusError> {
        let groups = Groups::load(&directory.join("groups"))?;
        let shared = Shared {
            directory: directory.to_owned(),
            settings,
            lock,
            topics: RwLock::default(),
            generation: AtomicU64::new(1),
            client_count: AtomicU64::new(0),
            groups: Mutex::new(groups),
        };
        shared.load_topics()?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// A new client, for one thread.
    pub fn client(&self) -> EmbeddedBus {
        let number = self.shared.client_count.fetch_add(1, Ordering::Relaxed);
        EmbeddedBus::new(Arc::clone(&self.shared), number)
    }

    /// Deletes a topic with all its records; `Ok(false)` if there is none of this name. Readers of it get
    /// [`crate::BusEvent::Unreadable`], senders [`crate::SendError::Refused`].
    pub fn delete(&self, name: &str) -> Result<bool, BusError> {
        self.shared.delete(name)
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }
}

impl Shared {
    pub(super) fn is_owned(&self) -> bool {
        self.lock.is_some()
    }

    /// Another number than before whenever a topic was made or deleted.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<TopicLog>> {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    pub(super) fn describe(&self, name: &str) -> Option<Description> {
        let topic = self.find(name)?;
        let partitions = i32::try_from(topic.partitions.len()).expect("bounded at creation");
        let settings = DEFAULTS.iter().map(|&(key, default)| {
            (
                key.to_owned(),
                topic.setting(key).unwrap_or(default).to_owned(),
            )
        });
        Some(Description {
            name: name.to_owned(),
            id: topic.id,
            partitions,
            settings: settings.collect(),
        })
    }

    pub(super) fn create(&self, what: &Specification) -> Result<bool, BusError> {
        if !self.is_owned() {
            return Err(BusError::Refused(format!(
                "{} is open for reading only",
                self.directory.display()
            )));
        }
        check(what)?;
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.contains_key(&what.name) {
            return Ok(false);
        }
        let id: TopicId = std::array::from_fn(|_| fastrand::u8(..));
        // Made beside its place and renamed, so that there is never half a topic.
        let (path, unfinished) = (
            self.path_of(&what.name),
            self.path_of(&format!("{}~new", what.name)),
        );
        let made =
            make_topic(&unfinished, id, what).and_then(|()| std::fs::rename(&unfinished, &path));
        made.map_err(|error| storage(&unfinished, error))?;
        let topic = TopicLog::open(&path, self.settings, true)?;
        topics.insert(what.name.clone(), Arc::new(topic));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    fn delete(&self, name: &str) -> Result<bool, BusError> {
        if !self.is_owned() {
            return Err(BusError::Refused(format!(
                "{} is open for reading only",
                self.directory.display()
            )));
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let Some(topic) = topics.remove(name) else {
            return Ok(false);
        };
        for partition in &topic.partitions {
            partition.delete();
        }
        self.generation.fetch_add(1, Ordering::Release);
        let (path, aside) = (self.path_of(name), self.path_of(&format!("{name}~deleted")));
        let gone = std::fs::rename(&path, &aside).and_then(|()| std::fs::remove_dir_all(&aside));
        gone.map(|()| true).map_err(|error| storage(&path, error))
    }

    /// Opens the topics in the directory that are not known yet.
    pub(super) fn load_topics(&self) -> Result<(), BusError> {
        let folder = self.directory.join("topics");
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for entry in std::fs::read_dir(&folder).map_err(|error| storage(&folder, error))? {
            let path = entry.map_err(|error| storage(&folder, error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if name.contains('~') {
                if self.is_owned() {
                    std::fs::remove_dir_all(&path).map_err(|error| storage(&path, error))?;
                }
                continue;
            }
            if topics.contains_key(name) {
                continue;
            }
            let topic = TopicLog::open(&path, self.settings, self.is_owned())?;
            let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, partition) in (0..).zip(&topic.partitions) {
                if let Some(lowest) = groups.lowest(name, topic.id, number) {
                    partition.passed(lowest);
                }
            }
            topics.insert(name.to_owned(), Arc::new(topic));
            self.generation.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// Commits a group's offsets durably and deletes what nobody needs any more.
    pub(super) fn commit(&self, group: &str, next: &[(String, i32, i64)]) -> Result<(), BusError> {
        let known = next.iter().filter_map(|(name, partition, offset)| {
            let topic = self.find(name)?;
            let log = Arc::clone(topic.partitions.get(usize::try_from(*partition).ok()?)?);
            Some((name, *partition, topic.id, *offset, log))
        });
        let known: Vec<_> = known.collect();
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, partition, id, offset, _) in &known {
            groups.set(group, name, *partition, *id, *offset);
        }
        groups.save(group, self.settings.sync == super::Sync::Always)?;
        for (name, partition, id, _, log) in &known {
            log.passed(
                groups
                    .lowest(name, *id, *partition)
                    .expect("it was just set"),
            );
        }
        Ok(())
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.directory.join("topics").join(name)
    }
}

impl TopicLog {
    fn open(path: &Path, settings: Settings, owned: bool) -> Result<Self, BusError> {
        let file = path.join("topic");
        let text = std::fs::read_to_string(&file).map_err(|error| storage(&file, error))?;
        let (id, partition_count, topic_settings) = parse(&text).ok_or_else(|| {
            BusError::Storage(format!(
                "{}: not the description of a topic; restore it from a copy",
                file.display()
            ))
        })?;
        let mut topic = Self {
            id,
            settings: topic_settings,
            partitions: Vec::new(),
        };
        for partition in 0..partition_count {
            let opened = Partition::open(
                &path.join(partition.to_string()),
                settings,
                topic.keeping(),
                owned,
            );
            topic
                .partitions
                .push(Arc::new(opened.map_err(BusError::Storage)?));
        }
        Ok(topic)
    }

    fn setting(&self, key: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| &**value)
    }

    fn keeping(&self) -> Keeping {
        let number = |key: &str, default: u64| match self.setting(key) {
            Some(text) => text.parse::<u64>().ok(),
            None => Some(default),
        };
        let compacted = self
            .setting("cleanup.policy")
            .is_some_and(|policy| policy.contains("compact"));
        Keeping {
            record_bytes_max: usize::try_from(
                number("max.message.bytes", 1_048_588).unwrap_or(u64::MAX),
            )
            .unwrap_or(usize::MAX),
            retention: number("retention.ms", 604_800_000)
                .filter(|_| !compacted)
                .map(Duration::from_millis),
        }
    }
}

fn take_lock(directory: &Path) -> Result<File, BusError> {
    let path = directory.join("lock");
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let mut file = opened.map_err(|error| storage(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Only for the message: the lock, not this number, says that it is taken.
            let _ = file.read_to_string(&mut owner);
            return Err(BusError::Taken(format!(
                "{}: the log is in use by another process (pid {}); stop that one, or choose another directory",
                directory.display(),
                owner.trim(),
            )));
        }
        Err(TryLockError::Error(error)) => return Err(storage(&path, error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| storage(&path, error))?;
    Ok(file)
}

fn check(what: &Specification) -> Result<(), BusError> {
    let refused = |why: String| {
        Err(BusError::Refused(format!(
            "topic {:?} cannot be made: {why}",
            what.name
        )))
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if what.name.is_empty()
        || what.name.len() > NAME_BYTES_MAX
        || !what.name.bytes().all(allowed)
        || [".", ".."].contains(&&*what.name)
    {
        return refused(format!(
            "its name must have 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -"
        ));
    }
    if !(1..=PARTITIONS_MAX).contains(&what.partitions) {
        return refused(format!(
            "{} partitions; from 1 to {PARTITIONS_MAX} are possible",
            what.partitions
        ));
    }
    for (key, value) in &what.settings {
        let number = matches!(
            &**key,
            "retention.ms" | "retention.bytes" | "max.message.bytes"
        );
        if number && value.parse::<i64>().is_err() {
            return refused(format!("{key} = {value:?} is not a number"));
        }
        if key.contains(['\n', '=']) || value.contains('\n') {
            return refused(format!(
                "the setting {key:?} has a character that is not allowed"
            ));
        }
    }
    Ok(())
}

fn make_topic(path: &Path, id: TopicId, what: &Specification) -> std::io::Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path)?;
    }
    for partition in 0..what.partitions {
        std::fs::create_dir_all(path.join(partition.to_string()))?;
    }
    let mut text = String::from("id=");
    for byte in id {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    writeln!(text, "\npartitions={}", what.partitions).expect("a string takes everything");
    for (key, value) in &what.settings {
        writeln!(text, "{key}={value}").expect("a string takes everything");
    }
    let mut file = File::create(path.join("topic"))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn parse(text: &str) -> Option<(TopicId, i32, Vec<(String, String)>)> {
    let mut lines = text.lines().map(|line| line.split_once('='));
    let ("id", hex) = lines.next()?? else {
        return None;
    };
    let mut id = TopicId::default();
    if hex.len() != 2 * id.len() || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    let ("partitions", count) = lines.next()?? else {
        return None;
    };
    let settings = lines.map(|line| line.map(|(key, value)| (key.to_owned(), value.to_owned())));
    Some((id, count.parse().ok()?, settings.collect::<Option<_>>()?))
}

pub(super) fn storage(path: &Path, error: std::io::Error) -> BusError {
    BusError::Storage(format!("{}: {error}", path.display()))
}
