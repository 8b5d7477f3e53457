//! Groups: who is a member, and which offsets they committed.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ringmaster_schemas::journal::TopicId;

use super::log::storage;
use crate::BusError;

/// All groups of a log. A group is a text file: a line `topic id partition offset` for each partition, rewritten whole.
#[derive(Debug)]
pub(super) struct Groups {
    directory: PathBuf,
    offsets: HashMap<String, Offsets>,
    /// The client that is a group's member.
    members: HashMap<String, u64>,
}

type Offsets = BTreeMap<(String, i32), (TopicId, i64)>;

impl Groups {
    pub(super) fn load(directory: &Path) -> Result<Self, BusError> {
        let mut offsets = HashMap::new();
        for entry in std::fs::read_dir(directory).map_err(|error| storage(directory, error))? {
            let path = entry.map_err(|error| storage(directory, error))?.path();
            let Some(group) = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains('~')) else {
                continue;
            };
            let text = std::fs::read_to_string(&path).map_err(|error| storage(&path, error))?;
            let parsed = parse(&text).ok_or_else(|| {
                BusError::Storage(format!(
                    "{}: not the offsets of a group; delete the file to read everything that is left from the beginning",
                    path.display()
                ))
            })?;
            offsets.insert(group.to_owned(), parsed);
        }
        Ok(Self { directory: directory.to_owned(), offsets, members: HashMap::new() })
    }

    /// Makes this client the group's member.
    pub(super) fn join(&mut self, group: &str, client: u64) -> Result<(), BusError> {
        check(group)?;
        if self.members.contains_key(group) {
            return Err(BusError::Taken(format!(
                "the group {group} has a member already, and on the embedded bus it can have one only; stop that one first"
            )));
        }
        self.members.insert(group.to_owned(), client);
        Ok(())
    }

    /// Ends all memberships of this client.
    pub(super) fn leave(&mut self, client: u64) {
        self.members.retain(|_, member| *member != client);
    }

    pub(super) fn set(&mut self, group: &str, topic: &str, partition: i32, id: TopicId, offset: i64) {
        let offsets = self.offsets.entry(group.to_owned()).or_default();
        offsets.insert((topic.to_owned(), partition), (id, offset));
    }

    /// What the group committed for a partition of the topic with this identity.
    pub(super) fn committed(&self, group: &str, topic: &str, id: TopicId, partition: i32) -> Option<i64> {
        let &(known, offset) = self.offsets.get(group)?.get(&(topic.to_owned(), partition))?;
        (known == id).then_some(offset)
    }

    /// The lowest offset that any group committed for this partition.
    pub(super) fn lowest(&self, topic: &str, id: TopicId, partition: i32) -> Option<i64> {
        self.offsets.keys().filter_map(|group| self.committed(group, topic, id, partition)).min()
    }

    /// Writes a group's file beside its place and renames it, so that it is never half written.
    pub(super) fn save(&self, group: &str, sync: bool) -> Result<(), BusError> {
        check(group)?;
        let Some(offsets) = self.offsets.get(group) else {
            return Ok(());
        };
        let mut text = String::new();
        for ((topic, partition), (id, offset)) in offsets {
            let id = u128::from_be_bytes(*id);
            writeln!(text, "{topic} {id:032x} {partition} {offset}").expect("a string takes everything");
        }
        let (path, unfinished) = (self.directory.join(group), self.directory.join(format!("{group}~")));
        let written = File::create(&unfinished).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            if sync { file.sync_all() } else { Ok(()) }
        });
        written.and_then(|()| std::fs::rename(&unfinished, &path)).map_err(|error| storage(&path, error))
    }
}

fn parse(text: &str) -> Option<Offsets> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (topic, id, partition, offset) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let id = u128::from_str_radix(id, 16).ok()?.to_be_bytes();
        Some(((topic.to_owned(), partition.parse().ok()?), (id, offset.parse().ok()?)))
    };
    text.lines().map(line).collect()
}

/// A group's name is a file's name.
fn check(group: &str) -> Result<(), BusError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if group.is_empty() || group.len() > 200 || !group.bytes().all(allowed) || group.starts_with('.') {
        return Err(BusError::Refused(format!(
            "group {group:?}: its name must have 1 to 200 of a-z A-Z 0-9 . _ - and not begin with a dot"
        )));
    }
    Ok(())
}
