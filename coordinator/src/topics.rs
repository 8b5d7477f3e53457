//! The topics that an instance needs: how each must be, how they are made, and what is wrong with one that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringmaster_bus::{Bus, BusError, Description, Specification};
use ringmaster_core::definition::Catalog;
use ringmaster_schemas::names::{Topics, command_topic};

use crate::runtime::SetupSettings;

/// Smallest `max.message.bytes` that a journal can do with: one turn with its input, and its quarantined record.
pub const JOURNAL_MESSAGE_BYTES_MIN: i64 = 512 * 1024;
/// A broker tells of a topic a moment after it was made; on a busy machine, some seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
const WEEK_MS: &str = "604800000";
const MONTH_MS: &str = "2592000000";
/// Smallest `retention.ms` of the topic of batches: what was started ends by itself before that.
const BATCHES_MS_MIN: i64 = 8 * 86_400_000;
/// How the names of participants' topics end.
const COMMANDS_SUFFIX: &str = ".commands";

/// What a topic is for; it decides its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Kept for ever: definitions, schemas, quarantine.
    History,
    /// Kept until Ringmaster itself deletes it: journal, snapshots.
    Shortened,
    /// Commands, acts: 7 days.
    Traffic,
    /// Acts on many sagas: 30 days, and nothing that was acknowledged may vanish.
    Batches,
    /// What routers hand on, and replies with the letters between partitions: 7 days, and nothing that was acknowledged may vanish.
    Routed,
    /// Users' own events: made with defaults if it does not exist, and never judged for retention.
    Events,
}

/// A topic that an instance needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Its name.
    pub name: String,
    /// How many partitions it must have (or gets, for topics of others).
    pub partitions: i32,
    /// What it is for.
    pub kind: Kind,
}

/// All topics that an instance of these definitions needs.
pub fn needed(topics: &Topics, partitions: i32, start: &[String], commands: &[String], emitted: &[String]) -> Vec<Needed> {
    let shortened = [&topics.journal, &topics.snapshots].map(|name| (name, partitions, Kind::Shortened));
    let history = [(&topics.definitions, 1), (&topics.schemas, 1), (&topics.quarantine, partitions)];
    let history = history.map(|(name, partitions)| (name, partitions, Kind::History));
    let kept = shortened.into_iter().chain(history);
    let mut all: Vec<Needed> = kept.map(|(name, partitions, kind)| Needed { name: name.clone(), partitions, kind }).collect();
    all.push(Needed { name: topics.control.clone(), partitions, kind: Kind::Traffic });
    all.push(Needed { name: topics.batches.clone(), partitions: 1, kind: Kind::Batches });
    all.extend([&topics.replies, &topics.inbox].map(|name| Needed { name: name.clone(), partitions, kind: Kind::Routed }));
    all.extend(commands.iter().map(|name| Needed { name: name.clone(), partitions, kind: Kind::Traffic }));
    for name in start.iter().chain(emitted) {
        if !all.iter().any(|known| known.name == *name) {
            all.push(Needed { name: name.clone(), partitions, kind: Kind::Events });
        }
    }
    all
}

/// All topics that an instance with this catalog needs.
pub fn needed_by(catalog: &Catalog, prefix: &str, partitions: i32) -> Vec<Needed> {
    let names = |topics: Vec<std::sync::Arc<str>>| topics.iter().map(|topic| topic.to_string()).collect::<Vec<_>>();
    let commands: Vec<String> = catalog.participants().iter().map(|participant| command_topic(participant)).collect();
    needed(&Topics::new(prefix), partitions, &names(catalog.input_topics()), &commands, &names(catalog.emit_topics()))
}

/// A needed topic, as the bus describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// Its name.
    pub name: String,
    /// None if it does not exist.
    pub found: Option<Description>,
    /// Its events go through the router.
    pub is_routed: bool,
    /// What is wrong with it, a line each.
    pub faults: Vec<String>,
    /// Only sagas need it that run by versions which are not in force any more.
    pub is_old: bool,
}

/// Looks at all topics that an instance with this catalog needs.
pub fn look(bus: &mut impl Bus, catalog: &Catalog, setup: &SetupSettings) -> Result<Vec<Looked>, BusError> {
    let needed = needed_by(catalog, &setup.prefix, setup.partitions);
    let starts: Vec<String> = catalog.input_topics().iter().map(|topic| topic.to_string()).collect();
    let sent: BTreeSet<String> = catalog.newest_versions().flat_map(|version| version.outputs()).collect();
    let older: BTreeSet<String> = catalog.versions().iter().flat_map(|(version, _)| version.outputs()).collect();
    let is_old = |name: &str| older.contains(name) && !sent.contains(name) && starts.iter().all(|start| start != name);
    let (own, matched) = (Topics::new(&setup.prefix), catalog.matched_topics());
    let names: Vec<&str> = needed.iter().map(|topic| topic.name.as_str()).collect();
    let looked = names.iter().zip(bus.describe(&names)?).map(|(name, found)| Looked {
        name: (*name).to_owned(),
        is_routed: found.as_ref().is_some_and(|found| starts.contains(&found.name) && setup.is_routed(found, &matched)),
        faults: match &found {
            None => vec![format!("  {name}: does not exist")],
            Some(found) => faults(found, &own, &[], setup.partitions),
        },
        is_old: is_old(name),
        found,
    });
    Ok(looked.collect())
}

/// How a missing topic is made.
pub fn specification(needed: &Needed, replication: i32) -> Specification {
    let settings: &[(&str, &str)] = match needed.kind {
        Kind::History | Kind::Shortened => &[
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("unclean.leader.election.enable", "false"),
        ],
        Kind::Routed => &[("cleanup.policy", "delete"), ("retention.ms", WEEK_MS), ("unclean.leader.election.enable", "false")],
        Kind::Batches => &[("cleanup.policy", "delete"), ("retention.ms", MONTH_MS), ("unclean.leader.election.enable", "false")],
        Kind::Traffic => &[("cleanup.policy", "delete"), ("retention.ms", WEEK_MS)],
        Kind::Events => &[],
    };
    Specification {
        name: needed.name.clone(),
        partitions: needed.partitions,
        replication,
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

/// Makes what is missing; the names of what was made.
pub fn apply(bus: &mut impl Bus, needed: &[Needed], replication: i32) -> Result<Vec<String>, BusError> {
    let mut made = Vec::new();
    for topic in needed {
        if bus.create(&specification(topic, replication))? {
            made.push(topic.name.clone());
        }
    }
    let names: Vec<&str> = made.iter().map(String::as_str).collect();
    let begun = Instant::now();
    while begun.elapsed() < SEEN_WITHIN && bus.describe(&names)?.iter().any(Option::is_none) {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(made)
}

/// Topics that are read directly and on which sagas have keys by expressions: each must be what the record's key is, and only people know
/// whether it is.
pub fn keys_by_expression(catalog: &Catalog, is_routed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let matched = catalog.matched_topics();
    for version in catalog.newest_versions() {
        let listened = version.listeners.iter().map(|listener| (&listener.topic, &listener.key_text));
        for (topic, key) in listened.chain(version.starts.iter().map(|start| (&start.topic, &start.key_text))) {
            if !key.is_empty() && !is_routed(topic) && !matched.contains(topic) {
                keys.entry(topic).or_default().insert(key);
            }
        }
    }
    let note = |(topic, keys): (&str, BTreeSet<&str>)| {
        let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "{topic}: read directly, so that the key of a record must be what {keys} is; if it is not, set `topics.\"{topic}\".routed = true`"
        )
    };
    keys.into_iter().map(note).collect()
}

/// What is wrong with a topic, one line each: what, and what it must be. `direct`: topics that are being read directly.
pub fn faults(description: &Description, topics: &Topics, direct: &[String], partitions: i32) -> Vec<String> {
    let name = &description.name;
    let mut wrong = Vec::new();
    let setting = |key: &str| description.settings.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let is_history = [&topics.journal, &topics.snapshots, &topics.definitions, &topics.schemas, &topics.quarantine].contains(&name);
    let one = [&topics.definitions, &topics.schemas, &topics.batches].contains(&name);
    let same = [&topics.journal, &topics.snapshots, &topics.replies, &topics.control, &topics.inbox].contains(&name);
    if one && description.partitions != 1 {
        wrong.push(format!("  {name}: has {} partitions, must have 1", description.partitions));
    }
    if same && description.partitions != partitions {
        wrong.push(format!(
            "  {name}: has {} partitions, must have {partitions} (the setting `partitions`)",
            description.partitions
        ));
    }
    if direct.contains(name) && description.partitions != partitions {
        wrong.push(format!(
            "  {name}: has {} partitions, and had {partitions} when this instance started: those from {partitions} on are not read. Start again, and its records go through the router",
            description.partitions
        ));
    }
    let is_traffic =
        [&topics.replies, &topics.control, &topics.inbox, &topics.batches].contains(&name) || name.ends_with(COMMANDS_SUFFIX);
    if is_traffic && setting("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        wrong.push(format!("  {name}: cleanup.policy is '{}', must be 'delete': compaction keeps one command or reply of a saga and loses the others", setting("cleanup.policy").unwrap_or_default()));
    }
    if is_history {
        if setting("cleanup.policy").is_some_and(|policy| policy != "delete") {
            wrong.push(format!(
                "  {name}: cleanup.policy is '{}', must be 'delete': compaction loses history",
                setting("cleanup.policy").unwrap_or_default()
            ));
        }
        for key in ["retention.ms", "retention.bytes"] {
            if setting(key).is_some_and(|value| value != "-1") {
                let why = if [&topics.journal, &topics.snapshots].contains(&name) {
                    "history is needed for ever, unless Ringmaster itself deletes it behind snapshots (the setting `journal_retention`)"
                } else {
                    "history is needed for ever"
                };
                wrong.push(format!("  {name}: {key} is {}, must be -1: {why}", setting(key).unwrap_or_default()));
            }
        }
    }
    if *name == topics.batches
        && let Some(kept) = setting("retention.ms").and_then(|value| value.parse::<i64>().ok())
        && (0..BATCHES_MS_MIN).contains(&kept)
    {
        wrong.push(format!(
            "  {name}: retention.ms is {kept}, must be at least {BATCHES_MS_MIN}: a batch that runs would be forgotten"
        ));
    }
    // Letters between partitions go by the replies.
    let loses_nothing = is_history || [&topics.inbox, &topics.replies, &topics.batches].contains(&name);
    if loses_nothing && setting("unclean.leader.election.enable").is_some_and(|value| value != "false") {
        wrong.push(format!("  {name}: unclean.leader.election.enable is true, must be false: it loses acknowledged records"));
    }
    if [&topics.journal, &topics.inbox, &topics.replies].contains(&name)
        && let Some(bytes) = setting("max.message.bytes").and_then(|value| value.parse::<i64>().ok())
        && bytes < JOURNAL_MESSAGE_BYTES_MIN
    {
        wrong.push(format!("  {name}: max.message.bytes is {bytes}, must be at least {JOURNAL_MESSAGE_BYTES_MIN}"));
    }
    wrong
}
