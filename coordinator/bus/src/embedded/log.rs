//! The directory: its lock, its topics, and the clients on it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ringmaster_schemas::journal::TopicId;

use super::groups::Groups;
use super::topic::{self, TopicLog};
use super::{EmbeddedBus, Settings};
use crate::{BusError, Description, Specification};

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
        Ok(Self { shared: Arc::new(shared) })
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
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn describe(&self, name: &str) -> Option<Description> {
        Some(self.find(name)?.describe(name))
    }

    pub(super) fn create(&self, what: &Specification) -> Result<bool, BusError> {
        if !self.is_owned() {
            return Err(BusError::Refused(format!("{} is open for reading only", self.directory.display())));
        }
        topic::check(what)?;
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.contains_key(&what.name) {
            return Ok(false);
        }
        let id: TopicId = std::array::from_fn(|_| fastrand::u8(..));
        // Made beside its place and renamed, so that there is never half a topic.
        let (path, unfinished) = (self.path_of(&what.name), self.path_of(&format!("{}~new", what.name)));
        let made = topic::make(&unfinished, id, what).and_then(|()| std::fs::rename(&unfinished, &path));
        made.map_err(|error| storage(&unfinished, error))?;
        let topic = TopicLog::open(&path, self.settings, true)?;
        topics.insert(what.name.clone(), Arc::new(topic));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    fn delete(&self, name: &str) -> Result<bool, BusError> {
        if !self.is_owned() {
            return Err(BusError::Refused(format!("{} is open for reading only", self.directory.display())));
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
            log.passed(groups.lowest(name, *id, *partition).expect("it was just set"));
        }
        Ok(())
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.directory.join("topics").join(name)
    }
}

fn take_lock(directory: &Path) -> Result<File, BusError> {
    let path = directory.join("lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
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
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| storage(&path, error))?;
    Ok(file)
}

pub(super) fn storage(path: &Path, error: std::io::Error) -> BusError {
    BusError::Storage(format!("{}: {error}", path.display()))
}
