//! The router's state for one partition of a topic: what is on its way to the inbox, and by whose keys (PROTOCOL.md section 4).
//!
//! ```text
//! records -> sent, each to the partitions that its sagas live in -> acknowledged without a gap = commit -> journaled as a position
//! ```
//!
//! Lost with the owner; a session begins again at the journaled commit, and marks tell what was taken already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Position, TopicId};

use crate::definition::{Catalog, Definition};

/// Offsets in the topic of definitions of the versions by whose keys sagas are started, by the definition's name.
pub(super) type Pins = BTreeMap<Arc<str>, i64>;

/// The route of one partition.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) source: TopicId,
    /// `orders/17`: its name in the journal.
    pub(super) place: Arc<str>,
    /// What this session last sent to each partition of the inbox.
    pub(super) last: BTreeMap<i32, i64>,
    /// What is not acknowledged without a gap yet.
    sent: VecDeque<Sent>,
    /// Everything below is acknowledged.
    pub(super) commit: i64,
    /// Nothing at or above was ever sent by the keys that are in force; none if that is not known.
    pub(super) high: Option<i64>,
    /// By whose keys it goes.
    pub(super) pins: Pins,
    /// The journal does not say so yet.
    pub(super) unsaid: bool,
    /// Other keys are to be in force.
    wanted: Option<Wanted>,
    /// Versions whose keys are in force, where newer ones have others.
    pub(super) older: BTreeMap<Arc<str>, Arc<Definition>>,
    /// Records are passed over, and read again later.
    pub(super) closed: Option<Closed>,
}

/// Keys that are to be in force.
#[derive(Debug, Clone)]
struct Wanted {
    pins: Pins,
    /// Only behind all that may have been sent by the keys before: else one event would start two sagas.
    behind_all: bool,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Something failed: another session begins then, by the steady clock.
    Failed(Millis),
    /// Other keys are to be in force, once all that is on its way is acknowledged.
    Sealed,
    /// They are, once the journal says so.
    Pinning,
}

/// A record that is on its way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    offset: i64,
    /// Copies of it that are not acknowledged.
    copies: usize,
    /// Where reading goes on when it is done with: behind it, and behind what follows it that is for nobody.
    next: i64,
}

/// How the keys on a topic that are in force are to those of a newer version.
enum Keys {
    /// Each event has the key that it had.
    Same,
    /// The same, and events that started nothing before.
    More,
    /// An event has another key.
    Other,
}

fn keys_of(pinned: &Definition, newest: &Definition, topic: &str) -> Keys {
    let on_topic = newest.starts.iter().filter(|start| *start.topic == *topic);
    let mut keys = Keys::Same;
    for start in on_topic {
        match pinned.started_on(topic, &start.event) {
            Some((_, before)) if before.key_text != start.key_text => return Keys::Other,
            Some(_) => {}
            None => keys = Keys::More,
        }
    }
    keys
}

impl Route {
    /// Of a partition that the journal calls `place`, with the keys that it says are in force.
    pub(super) fn new(source: TopicId, place: Arc<str>, positions: &[Position]) -> Route {
        let of = |position: &Position| {
            let saga = position.name.strip_prefix(&*place)?.strip_prefix('/')?;
            (position.topic == source).then(|| (Arc::from(saga), position.next))
        };
        Route {
            pins: positions.iter().filter_map(of).collect(),
            source,
            place,
            last: BTreeMap::new(),
            sent: VecDeque::new(),
            commit: 0,
            high: None,
            unsaid: false,
            wanted: None,
            older: BTreeMap::new(),
            closed: None,
        }
    }

    /// The journal knows it as it is, or will with the next record of positions: what stands at or above was never sent.
    pub(super) fn begins(&mut self, first: i64) {
        (self.commit, self.high) = (first, Some(first));
    }

    /// A record was sent to so many partitions.
    pub(super) fn sent(&mut self, offset: i64, copies: usize) {
        self.high = self.high.map(|high| high.max(offset + 1));
        let next = offset + 1;
        match self.sent.back_mut() {
            // What is for nobody is done with when what stands before it is.
            Some(last) if copies == 0 => last.next = next,
            None if copies == 0 => self.commit = next,
            _ => self.sent.push_back(Sent { offset, copies, next }),
        }
    }

    /// A copy of the record at an offset is acknowledged.
    pub(super) fn acknowledged(&mut self, offset: i64) {
        if let Ok(place) = self.sent.binary_search_by_key(&offset, |sent| sent.offset) {
            self.sent[place].copies = self.sent[place].copies.saturating_sub(1);
        }
        while let Some(sent) = self.sent.front().copied().filter(|sent| sent.copies == 0) {
            self.commit = sent.next;
            self.sent.pop_front();
        }
    }

    /// Records that wait for others before them, or for their own copies.
    pub(super) fn waiting(&self) -> usize {
        self.sent.len()
    }

    /// Nothing is on its way.
    pub(super) fn is_drained(&self) -> bool {
        self.sent.is_empty()
    }

    /// What was sent may or may not have come: another session begins at the commit, at this time.
    pub(super) fn fail(&mut self, at: Millis) {
        self.sent.clear();
        self.last.clear();
        self.closed = Some(Closed::Failed(at));
    }

    /// Compares the keys in force with those of the newest versions.
    pub(super) fn look_at_keys(&mut self, topic: &str, catalog: &Catalog) {
        (self.wanted, self.older) = (None, BTreeMap::new());
        let (mut new, mut other) = (Pins::new(), Pins::new());
        for newest in catalog.newest_versions().filter(|newest| newest.starts.iter().any(|start| *start.topic == *topic)) {
            let Some(offset) = catalog.offset_of(&newest.hash) else { continue };
            let pinned = self.pins.get(&newest.name).and_then(|offset| catalog.version_at(&newest.name, *offset));
            match pinned {
                None => drop(new.insert(newest.name.clone(), offset)),
                Some(pinned) => match keys_of(pinned, newest, topic) {
                    Keys::Same => {}
                    Keys::More => drop(new.insert(newest.name.clone(), offset)),
                    Keys::Other => {
                        self.older.insert(newest.name.clone(), pinned.clone());
                        other.insert(newest.name.clone(), offset);
                    }
                },
            }
        }
        // One that is new was never routed by another key.
        let wanted = if new.is_empty() { (other, true) } else { (new, false) };
        self.wanted = Some(Wanted { pins: wanted.0, behind_all: wanted.1 }).filter(|wanted| !wanted.pins.is_empty());
        if self.closed.is_none() && self.wanted.as_ref().is_some_and(|wanted| !wanted.behind_all) {
            self.closed = Some(Closed::Sealed);
        }
    }

    /// Other keys are to be in force, and it is not known how far those before were.
    pub(super) fn asks_end(&self) -> bool {
        self.high.is_none() && self.wanted.as_ref().is_some_and(|wanted| wanted.behind_all)
    }

    /// Closes the route where other keys are to be in force and all that those before were used for is sent.
    pub(super) fn seal(&mut self, position: i64) {
        if self.closed.is_none() && self.wanted.is_some() && self.high.is_some_and(|high| position >= high) {
            self.closed = Some(Closed::Sealed);
        }
    }

    /// Takes other keys, which the next record of positions says.
    pub(super) fn pin(&mut self) {
        self.pins.extend(self.wanted.take().into_iter().flat_map(|wanted| wanted.pins));
        (self.unsaid, self.closed) = (true, Some(Closed::Pinning));
        self.older.clear();
    }

    /// The keys as the journal says them.
    pub(super) fn said(&self) -> impl Iterator<Item = Position> + '_ {
        self.pins.iter().map(|(saga, offset)| Position {
            topic: self.source,
            name: Arc::from(format!("{}/{saga}", self.place)),
            next: *offset,
        })
    }
}
