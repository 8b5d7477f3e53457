//! A topic: its folder, its identity and settings, its partitions.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::names::unhex;

use super::keeping::Keeping;
use super::log::storage;
use super::partition::Partition;
use super::{Settings, Sync};
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

#[derive(Debug)]
pub(super) struct TopicLog {
    pub(super) id: TopicId,
    /// Each record is on the disk before it is acknowledged.
    is_flushed: bool,
    settings: TopicSettings,
    pub(super) partitions: Vec<Arc<Partition>>,
}

type TopicSettings = Vec<(String, String)>;

impl TopicLog {
    pub(super) fn open(path: &Path, settings: Settings, owned: bool) -> Result<Self, BusError> {
        let file = path.join("topic");
        let text = std::fs::read_to_string(&file).map_err(|error| storage(&file, error))?;
        let (id, partition_count, topic_settings) = parse(&text).ok_or_else(|| {
            BusError::Storage(format!("{}: not the description of a topic; restore it from a copy", file.display()))
        })?;
        let mut topic = Self { id, is_flushed: settings.sync == Sync::Always, settings: topic_settings, partitions: Vec::new() };
        for partition in 0..partition_count {
            let opened = Partition::open(&path.join(partition.to_string()), settings, topic.keeping(), owned);
            topic.partitions.push(Arc::new(opened.map_err(BusError::Storage)?));
        }
        Ok(topic)
    }

    pub(super) fn describe(&self, name: &str) -> Description {
        let partitions = i32::try_from(self.partitions.len()).expect("bounded at creation");
        let settings = DEFAULTS.iter().map(|&(key, default)| (key.to_owned(), self.setting(key).unwrap_or(default).to_owned()));
        let flushed = self.is_flushed.then(|| ("flush.messages".to_owned(), "1".to_owned()));
        Description { name: name.to_owned(), id: self.id, partitions, copies: Some(1), settings: settings.chain(flushed).collect() }
    }

    fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }

    fn keeping(&self) -> Keeping {
        let number = |key: &str, default: u64| match self.setting(key) {
            Some(text) => text.parse::<u64>().ok(),
            None => Some(default),
        };
        let compacted = self.setting("cleanup.policy").is_some_and(|policy| policy.contains("compact"));
        Keeping {
            record_bytes_max: usize::try_from(number("max.message.bytes", 1_048_588).unwrap_or(u64::MAX)).unwrap_or(usize::MAX),
            retention: number("retention.ms", 604_800_000).filter(|_| !compacted).map(Duration::from_millis),
        }
    }
}

/// Whether such a topic can be made.
pub(super) fn check(what: &Specification) -> Result<(), BusError> {
    let refused = |why: String| Err(BusError::Refused(format!("topic {:?} cannot be made: {why}", what.name)));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if what.name.is_empty()
        || what.name.len() > NAME_BYTES_MAX
        || !what.name.bytes().all(allowed)
        || [".", ".."].contains(&&*what.name)
    {
        return refused(format!("its name must have 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -"));
    }
    if !(1..=PARTITIONS_MAX).contains(&what.partitions) {
        return refused(format!("{} partitions; from 1 to {PARTITIONS_MAX} are possible", what.partitions));
    }
    for (key, value) in &what.settings {
        let number = matches!(&**key, "retention.ms" | "retention.bytes" | "max.message.bytes");
        if number && value.parse::<i64>().is_err() {
            return refused(format!("{key} = {value:?} is not a number"));
        }
        if key.contains(['\n', '=']) || value.contains('\n') {
            return refused(format!("the setting {key:?} has a character that is not allowed"));
        }
    }
    Ok(())
}

/// Makes a topic's folder with everything in it.
pub(super) fn make(path: &Path, id: TopicId, what: &Specification) -> std::io::Result<()> {
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

/// Identity, partition count and settings.
fn parse(text: &str) -> Option<(TopicId, i32, TopicSettings)> {
    let mut lines = text.lines().map(|line| line.split_once('='));
    let ("id", hex) = lines.next()?? else {
        return None;
    };
    let id: TopicId = unhex(hex)?;
    let ("partitions", count) = lines.next()?? else {
        return None;
    };
    let settings = lines.map(|line| line.map(|(key, value)| (key.to_owned(), value.to_owned())));
    Some((id, count.parse().ok()?, settings.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_one_folder_for_each_partition() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t");
        let what = Specification { name: "t".to_owned(), partitions: 3, replication: 1, settings: vec![] };
        make(&path, [7; 16], &what).expect("made");
        let mut names: Vec<_> = std::fs::read_dir(&path).expect("there").map(|entry| entry.expect("there").file_name()).collect();
        names.sort();
        assert_eq!(names, ["0", "1", "2", "topic"]);
        let opened = TopicLog::open(&path, Settings::default(), true).expect("it opens");
        assert_eq!((opened.id, opened.partitions.len()), ([7; 16], 3));
        let described = opened.describe("t");
        assert_eq!((described.copies, described.settings.len()), (Some(1), DEFAULTS.len()));
        drop(opened);
        let flushed = TopicLog::open(&path, Settings { sync: Sync::Always, ..Settings::default() }, true).expect("it opens");
        assert_eq!(flushed.describe("t").settings.last(), Some(&("flush.messages".to_owned(), "1".to_owned())));
    }
}
