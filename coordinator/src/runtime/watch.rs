//! What a worker watches of topics while it runs: that each is still the one that it was, and that nothing that cannot be read or
//! written stays unsaid.
//!
//! ```text
//! now and then, and after any doubt: ask the broker -> the same identities: go on; another: stop for good
//! bus says -> Watch -> one log line by the topic's name; Status -> /readyz, metrics
//! ```
//!
//! An identity is never given again, so an answer that shows it proves that all until the question was done on the right topic. That
//! is why a claim waits for such an answer before it is sent, and another one before it is counted on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ringmaster_bus::{Bus, DAMAGED, Description, Topic, TopicPartition};
use ringmaster_core::partition::accept_new;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::TopicId;
use ringmaster_schemas::names::Topics;

/// Topics are looked at this often when nothing is doubtful.
const LOOK_EVERY_MS: Millis = 30_000;
/// And this often while one is missing.
const LOOK_AGAIN_MS: Millis = 500;
/// A question that was not answered for so long is a broker that says nothing.
const SILENT_AFTER_MS: Millis = 4_000;
/// A topic that was missing for so long is gone: a broker that has just started may know less than the others.
const GONE_AFTER_MS: Millis = 3_000;

/// What is wrong with every topic when nobody answers.
const SILENT: &str = "the broker does not answer the question how the topic is";

/// A topic that an instance uses, as it was at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its name.
    pub name: Arc<str>,
    /// The broker's identity of it.
    pub id: TopicId,
    /// What it is to the instance.
    pub used: Use,
}

/// How topics must be, as a start demands it (`topics.rs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Names of internal topics.
    pub topics: Topics,
    /// Topics of events that are read directly.
    pub direct: Vec<String>,
    /// Topics of events that go through the router, with their numbers of partitions.
    pub routed: Vec<(String, i32)>,
    /// P.
    pub partitions: i32,
    /// The largest record that goes to the journal.
    pub journal_bytes: usize,
}

impl Rules {
    /// What is wrong with a topic.
    fn faults(&self, used: Use, found: &Description) -> Vec<String> {
        let mut faults = crate::topics::faults(found, &self.topics, &self.direct, self.partitions);
        if let Some((_, before)) = self.routed.iter().find(|(name, count)| *name == found.name && *count != found.partitions) {
            let now = found.partitions;
            faults
                .push(format!("has {now} partitions, and had {before} when this instance started: start again, and all are read"));
        }
        let limit = found.settings.iter().find(|(name, _)| name == "max.message.bytes").and_then(|(_, value)| value.parse().ok());
        if used == Use::Journal
            && let Some(limit) = limit.filter(|limit: &usize| *limit < self.journal_bytes)
        {
            let bytes = self.journal_bytes;
            faults.push(format!(
                "max.message.bytes is {limit}, and records of up to {bytes} bytes are written: raise it, or start again"
            ));
        }
        let name = format!("  {}: ", found.name);
        faults.into_iter().map(|fault| fault.strip_prefix(&name).map_or(fault.clone(), str::to_owned)).collect()
    }
}

/// What a topic is to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// What happened is there, and nowhere else.
    Journal,
    /// Positions in it are journaled.
    Input,
    /// Definitions, schemas or quarantined records, kept for ever; snapshots, as long as they stand for what is deleted.
    History,
    /// Effects go there, and are sent again until it takes them: another topic of the name is as good.
    Output,
}

impl Use {
    /// What else helps where records are damaged.
    fn help(self, topic: &str) -> String {
        match self {
            Use::Input => format!(
                ". If it cannot be restored: delete its records up to and with those (kafka-delete-records.sh), which loses them, {}",
                accept_new(topic)
            ),
            Use::Journal => ". Delete nothing of it: what happened stands there and nowhere else".to_owned(),
            Use::History | Use::Output => String::new(),
        }
    }
}

/// A topic is not the one that it was, and its instance must not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicLost {
    /// Its name.
    pub topic: Arc<str>,
    /// What it was.
    pub used: Use,
    /// There is another topic of that name now.
    pub made_again: bool,
}

impl fmt::Display for TopicLost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicLost { topic, used, made_again } = self;
        let how = if *made_again { "was deleted and made again" } else { "was deleted" };
        let make = if *made_again { "" } else { "make it anew (`ringmaster topics apply`), " };
        match used {
            Use::Journal => write!(
                out,
                "the journal topic '{topic}' {how} while it was in use, and with it what happened. Restore it; or, to start anew, {make}move the data directory away and start again"
            ),
            Use::Input => write!(
                out,
                "topic '{topic}' {how} while it was read, so old positions mean nothing, and nothing of a new one was read. To read the new one (events from `start_at`, replies from the beginning), {make}{}",
                accept_new(topic)
            ),
            Use::History | Use::Output => write!(
                out,
                "topic '{topic}' {how} while it was in use, and what it held is gone. Restore it; or, to go on without, {make}start again"
            ),
        }
    }
}

/// What is wrong with one topic at some recent moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicStatus {
    /// Its name.
    pub topic: Arc<str>,
    /// Nothing, if it is as it must be.
    pub troubles: Vec<Trouble>,
}

/// Something wrong with a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Trouble {
    /// The partition that cannot be read; none if it is about the topic.
    pub partition: Option<i32>,
    /// What, and what helps.
    pub why: String,
}

/// A worker's view of the topics that it uses.
#[derive(Debug)]
pub(super) struct Watch {
    topics: BTreeMap<Topic, Watched>,
    rules: Rules,
    /// What is wrong with topics that are still the ones that they were.
    faults: BTreeMap<Topic, Vec<String>>,
    unreadable: BTreeMap<TopicPartition, String>,
    /// Since when topics are missing.
    missing: BTreeMap<Topic, Millis>,
    /// Questions are numbered.
    asked: u64,
    answered: u64,
    asked_at: Millis,
    /// The newest question has no answer, and should have one.
    silent: bool,
    /// The newest question whose answer showed all topics as they were, and the one that is waited for.
    sure: u64,
    wanted: u64,
    look_at: Millis,
}

impl Watch {
    /// Of these topics; the bus reads no others of their names.
    pub(super) fn new(topics: &[Watched], rules: &Rules, bus: &mut impl Bus) -> Self {
        let topics: BTreeMap<Topic, Watched> = topics.iter().map(|watched| (bus.topic(&watched.name), watched.clone())).collect();
        for (topic, watched) in topics.iter().filter(|(_, watched)| watched.used != Use::Output) {
            bus.expect(*topic, watched.id);
        }
        Watch {
            topics,
            rules: rules.clone(),
            faults: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            missing: BTreeMap::new(),
            asked: 0,
            answered: 0,
            asked_at: Millis::MAX,
            silent: false,
            sure: 0,
            wanted: 1,
            look_at: Millis::MAX,
        }
    }

    /// Takes in those that are new among these, and what others are used for beside.
    pub(super) fn learn(&mut self, topics: &[Watched], rules: &Rules, bus: &mut impl Bus) {
        self.rules = rules.clone();
        for watched in topics {
            let topic = bus.topic(&watched.name);
            let known = self.topics.entry(topic).or_insert_with(|| watched.clone());
            known.used = watched.used;
            if known.used != Use::Output {
                bus.expect(topic, known.id);
            }
        }
    }

    /// Something is doubtful: topics are looked at anew, and until then [`Watch::is_sure`] is false.
    pub(super) fn doubt(&mut self) {
        self.wanted = self.asked + 1;
    }

    /// True if all topics were still the ones that they were, after the last doubt.
    pub(super) fn is_sure(&self) -> bool {
        self.sure >= self.wanted
    }

    /// Asks the broker, if that is due.
    pub(super) fn ask(&mut self, bus: &mut impl Bus, now: Millis) {
        let is_due = self.answered == self.asked && now >= self.look_at;
        if is_due || self.wanted > self.asked {
            if self.answered == self.asked {
                self.asked_at = now;
            }
            self.asked += 1;
            self.look_at = now + LOOK_EVERY_MS;
            let topics: Vec<Topic> = self.topics.keys().copied().collect();
            bus.ask_topics(&topics, self.asked);
        }
        if self.answered < self.asked && now.saturating_sub(self.asked_at) >= SILENT_AFTER_MS && !self.silent {
            self.silent = true;
            tracing::error!("{SILENT}; it is asked again, and until then this instance is not ready");
        }
    }

    /// Takes an answer. An error is the end.
    pub(super) fn described(
        &mut self,
        question: u64,
        found: &[(Topic, Option<Description>)],
        now: Millis,
    ) -> Result<(), TopicLost> {
        self.answered = self.answered.max(question);
        if std::mem::take(&mut self.silent) {
            tracing::info!("the broker answers again");
        }
        self.asked_at = now;
        let mut all = true;
        for (topic, description) in found {
            let Some(watched) = self.topics.get_mut(topic) else { continue };
            if let Some(found) = description {
                note_faults(&mut self.faults, *topic, found, self.rules.faults(watched.used, found));
            }
            let lost = |made_again| Err(TopicLost { topic: watched.name.clone(), used: watched.used, made_again });
            match (description, watched.used) {
                (Some(found), _) if found.id == watched.id => drop(self.missing.remove(topic)),
                (Some(found), Use::Output) => {
                    tracing::warn!(topic = %watched.name, "was deleted and made again: what nobody had read of the old one is lost; commands are sent again when they are not answered in time, events are not");
                    watched.id = found.id;
                    self.missing.remove(topic);
                }
                (Some(_), _) => return lost(true),
                (None, used) => {
                    let since = *self.missing.entry(*topic).or_insert(now);
                    if used != Use::Output {
                        if now - since >= GONE_AFTER_MS {
                            return lost(false);
                        }
                        all = false;
                    }
                }
            }
        }
        if all {
            self.sure = self.sure.max(question);
        } else {
            self.look_at = self.look_at.min(now + LOOK_AGAIN_MS);
            self.wanted = self.wanted.max(self.sure + 1);
        }
        Ok(())
    }

    /// A partition cannot be read now.
    pub(super) fn unreadable(&mut self, at: TopicPartition, why: &str) {
        self.doubt();
        let Some(Watched { name: topic, used, .. }) = self.topics.get(&at.topic) else { return };
        let help = if why.starts_with(DAMAGED) { used.help(topic) } else { String::new() };
        let why = format!("{why}{help}");
        if self.unreadable.insert(at, why.clone()).is_none_or(|known| known != why) {
            tracing::error!(%topic, partition = at.partition, why, "cannot be read; it is tried again, and until then this instance is not ready");
        }
    }

    /// Something of a partition was read, or its end.
    pub(super) fn readable(&mut self, at: TopicPartition) {
        if !self.unreadable.is_empty() && self.unreadable.remove(&at).is_some() {
            let topic = &self.topics[&at.topic].name;
            tracing::info!(%topic, partition = at.partition, "can be read again");
        }
    }

    /// Every watched topic, and what is wrong with it.
    pub(super) fn topics(&self) -> Vec<TopicStatus> {
        let of = |topic: &Topic| {
            let unreadable = self.unreadable.iter().filter(|(at, _)| at.topic == *topic);
            let unreadable = unreadable.map(|(at, why)| Trouble { partition: Some(at.partition), why: why.clone() });
            let missing =
                self.missing.contains_key(topic).then(|| Trouble { partition: None, why: "it does not exist".to_owned() });
            let faults = self.faults.get(topic).into_iter().flatten().map(|why| Trouble { partition: None, why: why.clone() });
            let silent = self.silent.then(|| Trouble { partition: None, why: SILENT.to_owned() });
            unreadable.chain(missing).chain(faults).chain(silent).collect()
        };
        self.topics.iter().map(|(topic, watched)| TopicStatus { topic: watched.name.clone(), troubles: of(topic) }).collect()
    }
}

/// Keeps what is wrong with a topic now, and says what is new.
fn note_faults(all: &mut BTreeMap<Topic, Vec<String>>, topic: Topic, found: &Description, faults: Vec<String>) {
    let known = all.get(&topic).map_or(&[][..], Vec::as_slice);
    for why in faults.iter().filter(|why| !known.contains(why)) {
        tracing::error!(topic = %found.name, why, "is not as it must be any more; until then this instance is not ready");
    }
    if faults.is_empty() {
        if all.remove(&topic).is_some() {
            tracing::info!(topic = %found.name, "is as it must be again");
        }
    } else {
        all.insert(topic, faults);
    }
}

#[cfg(test)]
mod tests;
