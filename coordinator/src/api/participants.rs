//! What participants were asked and what has become of it, and whether they are asked: how their breakers stand.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use ringmaster_core::definition::Catalog;
use ringmaster_schemas::state::{Breaker, BreakerState, RowKey, RowKind};
use ringmaster_store::Store;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::everyone::{Others, Request};
use super::filter::there;
use super::openapi::Problems;
use super::overview::{AsOf, Counted, Missing};
use super::problem::Problem;
use super::saga::written;
use super::{OfPartitions, Sources, for_all};
use crate::runtime::{ParticipantTotals, Totals, Waiting};

/// All participants, as of the last checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Participants {
    /// By name.
    pub participants: Vec<Participant>,
    /// Of which partitions this is, and as of when.
    pub as_of: Vec<AsOf>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// One participant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Participant {
    /// Its name.
    pub participant: String,
    /// asked, draining, open or paused: the worst that it is in any partition.
    pub state: String,
    /// Since when it is so, where that began first, RFC 3339; null if it is asked. So are all times here.
    pub since: Option<String>,
    /// Who paused or resumed it.
    pub by: Option<String>,
    /// Why it is so.
    pub why: Option<String>,
    /// In how many partitions each state is.
    pub partitions: BTreeMap<String, i64>,
    /// Attempts that it has not answered, and whose time is not over.
    pub unanswered: i64,
    /// When the oldest of those was sent, to the second; to the hour if it is older than one.
    pub unanswered_since: Option<String>,
    /// Commands that wait until it is asked again, and since when the oldest does.
    pub parked: i64,
    /// Since when the oldest does.
    pub parked_since: Option<String>,
    /// Commands to it that need a person.
    pub stuck: i64,
    /// Since when the oldest does.
    pub stuck_since: Option<String>,
    /// Commands that are to be repeated.
    pub retrying: i64,
    /// What follows is counted since then in all partitions; null: since the beginning. First attempts of commands and undos.
    pub asked: i64,
    /// Further attempts.
    pub repeated: i64,
    /// Attempts that it answered with success.
    pub succeeded: i64,
    /// Attempts that it refused.
    pub refused: i64,
    /// Attempts that it could not carry out, as it said.
    pub failed: i64,
    /// Attempts that it did not answer in time.
    pub timed_out: i64,
    /// Attempts of which the end is not waited for any more, or was said by a person.
    pub dropped: i64,
    /// Answers that came when their attempt had ended.
    pub late: i64,
    /// Times that something was parked for it.
    pub parkings: i64,
    /// Since when those are counted.
    pub counted_since: Option<String>,
}

/// One participant, as of the last checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OneParticipant {
    /// What it was asked, and how it stands.
    #[serde(flatten)]
    pub participant: Participant,
    /// Of which partitions this is, and as of when.
    pub as_of: Vec<AsOf>,
    /// Which partitions are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// The worst last.
const STATES: [&str; 4] = ["asked", "draining", "open", "paused"];

fn state(of: BreakerState) -> &'static str {
    match of {
        BreakerState::Draining => STATES[1],
        BreakerState::Open => STATES[2],
        BreakerState::Paused => STATES[3],
    }
}

/// How bad a state is: 0 if it is asked as usual.
pub(crate) fn badness(state: &str) -> usize {
    STATES.iter().position(|known| *known == state).unwrap_or(0)
}

/// A time, for people and programs.
fn since(waiting: Waiting) -> Option<String> {
    waiting.oldest.map(|oldest| written(oldest.saturating_mul(1_000)))
}

impl Participant {
    fn new(of: &ParticipantTotals, counted_since: Option<String>) -> Participant {
        let ParticipantTotals { sums, unanswered, parked, stuck } = of;
        Participant {
            participant: sums.name.to_string(),
            state: STATES[0].to_owned(),
            unanswered: unanswered.count,
            unanswered_since: since(*unanswered),
            parked: parked.count,
            parked_since: since(*parked),
            stuck: stuck.count,
            stuck_since: since(*stuck),
            retrying: sums.retrying,
            asked: sums.asked,
            repeated: sums.repeated,
            succeeded: sums.succeeded,
            refused: sums.refused,
            failed: sums.failed,
            timed_out: sums.timed_out,
            dropped: sums.dropped,
            late: sums.late,
            parkings: sums.parkings,
            counted_since,
            ..Participant::default()
        }
    }

    /// Adds how its breaker stands in one more partition.
    fn breaks(&mut self, breaker: &Breaker) {
        let of = state(breaker.state);
        *self.partitions.entry(of.to_owned()).or_insert(0) += 1;
        let at = Some(written(breaker.since));
        if (badness(of), std::cmp::Reverse(&at)) > (badness(&self.state), std::cmp::Reverse(&self.since)) {
            self.state = of.to_owned();
            self.since = at;
            (self.by, self.why) = (breaker.by.as_ref().map(ToString::to_string), Some(breaker.why.to_string()));
        }
    }

    /// Adds what another instance says of it.
    fn add(&mut self, other: Participant) {
        let is_worse =
            (badness(&other.state), std::cmp::Reverse(&other.since)) > (badness(&self.state), std::cmp::Reverse(&self.since));
        if is_worse {
            (self.state, self.since, self.by, self.why) = (other.state, other.since, other.by, other.why);
        }
        other.partitions.into_iter().for_each(|(state, count)| *self.partitions.entry(state).or_insert(0) += count);
        let oldest = |one: &mut Option<String>, other: Option<String>| *one = one.take().into_iter().chain(other).min();
        oldest(&mut self.unanswered_since, other.unanswered_since);
        oldest(&mut self.parked_since, other.parked_since);
        oldest(&mut self.stuck_since, other.stuck_since);
        self.counted_since = self.counted_since.take().max(other.counted_since);
        for (sum, more) in [
            (&mut self.unanswered, other.unanswered),
            (&mut self.parked, other.parked),
            (&mut self.stuck, other.stuck),
            (&mut self.retrying, other.retrying),
            (&mut self.asked, other.asked),
            (&mut self.repeated, other.repeated),
            (&mut self.succeeded, other.succeeded),
            (&mut self.refused, other.refused),
            (&mut self.failed, other.failed),
            (&mut self.timed_out, other.timed_out),
            (&mut self.dropped, other.dropped),
            (&mut self.late, other.late),
            (&mut self.parkings, other.parkings),
        ] {
            *sum += more;
        }
    }
}

impl Participants {
    /// Every participant that a definition names, or that was asked, or whose breaker is not closed.
    pub(super) fn of(store: &dyn Store, catalog: &Catalog, counted: Counted, partitions: &[i32]) -> Result<Participants, String> {
        let Counted { totals: Totals { since, participants, .. }, as_of, missing } = counted;
        let since = (since > 0).then(|| written(since));
        let unasked = |name: &Arc<str>| (name.clone(), ParticipantTotals::new(name.clone()));
        let mut all: BTreeMap<_, _> = catalog.participants().iter().map(unasked).collect();
        all.extend(participants);
        let new = |of: &ParticipantTotals| Participant::new(of, since.clone());
        let mut shown: BTreeMap<Arc<str>, Participant> = all.iter().map(|(name, of)| (name.clone(), new(of))).collect();
        for &partition in partitions {
            for (name, breaker) in breakers(store, partition)? {
                let of = shown.entry(name.clone()).or_insert_with(|| new(&unasked(&name).1));
                of.breaks(&breaker);
            }
        }
        for of in shown.values_mut() {
            let asked = partitions.len() as i64 - of.partitions.values().sum::<i64>();
            of.partitions.insert(STATES[0].to_owned(), asked);
        }
        Ok(Participants { participants: shown.into_values().collect(), as_of, missing })
    }

    /// One of them. Of one that is not known it says nothing: another instance may know it.
    fn one(&mut self, name: &str) -> OneParticipant {
        let place = self.participants.iter().position(|of| of.participant == name);
        let new = || Participant { participant: name.to_owned(), ..Participant::default() };
        let participant = place.map_or_else(new, |place| self.participants.remove(place));
        OneParticipant { participant, as_of: std::mem::take(&mut self.as_of), missing: std::mem::take(&mut self.missing) }
    }

    /// Adds what another instance says of its partitions.
    pub fn add(&mut self, other: Participants) {
        for of in other.participants {
            match self.participants.iter_mut().find(|known| known.participant == of.participant) {
                Some(known) => known.add(of),
                None => self.participants.push(of),
            }
        }
        self.participants.sort_by(|one, other| one.participant.cmp(&other.participant));
        self.as_of.extend(other.as_of);
        self.missing.extend(other.missing);
        self.as_of.sort_by_key(|one| one.partition);
        self.missing.sort_by_key(|one| one.partition);
    }
}

impl OneParticipant {
    /// One that is known stands in some way in each partition.
    fn is_known(&self) -> bool {
        !self.participant.partitions.is_empty()
    }

    fn add(&mut self, other: OneParticipant) {
        match (self.is_known(), other.is_known()) {
            (_, false) => {}
            (false, true) => self.participant = other.participant,
            (true, true) => self.participant.add(other.participant),
        }
        self.as_of.extend(other.as_of);
        self.missing.extend(other.missing);
        self.as_of.sort_by_key(|one| one.partition);
        self.missing.sort_by_key(|one| one.partition);
    }
}

/// What one participant was asked and has not answered, and whether it is asked now.
#[utoipa::path(
    get,
    path = "/api/v1/participants/{name}",
    tag = "participants",
    params(("name" = String, Path, description = "The participant, such as payment"), OfPartitions),
    responses((status = 200, body = OneParticipant), Problems)
)]
pub(super) async fn one(
    State(sources): State<Arc<Sources>>,
    Path(name): Path<String>,
    request: Request,
    Query(of): Query<OfPartitions>,
) -> Response {
    let (is_known, others) = (Cell::new(false), RefCell::new(String::new()));
    let here = |here: &[i32]| {
        let mut all = Participants::of(&*sources.store, &sources.knowledge.get().catalog, sources.counted(here)?, here)?;
        let one = all.one(&name);
        is_known.set(one.is_known());
        others.replace(there(all.participants.iter().map(|of| &*of.participant).collect()));
        Ok(one)
    };
    let add = |one: &mut OneParticipant, others: Others<OneParticipant>| {
        others.answers.into_iter().for_each(|other| one.add(other));
        one.missing.extend(others.missing);
        one.missing.sort_by_key(|one| one.partition);
        is_known.set(one.is_known());
    };
    let answer = for_all(&sources, &request, of.partitions.as_deref(), here, add);
    // Another instance that asks adds it up with what it knows.
    if answer.status().is_success() && of.partitions.is_none() && !is_known.get() {
        return Problem::NotFound.because(format!("there is no participant '{name}'; {}", others.take())).into_response();
    }
    answer
}

/// How bad it is with each participant that is not asked as usual, of these partitions the worst: 1 draining, 2 paused, 3 open. A person
/// who pauses one knows of it; so open is the worst here.
pub(super) fn levels(store: &dyn Store, partitions: &[i32]) -> Result<BTreeMap<Arc<str>, u8>, String> {
    let mut levels = BTreeMap::new();
    for &partition in partitions {
        for (name, breaker) in breakers(store, partition)? {
            let level = match breaker.state {
                BreakerState::Draining => 1,
                BreakerState::Paused => 2,
                BreakerState::Open => 3,
            };
            let known = levels.entry(name).or_insert(level);
            *known = level.max(*known);
        }
    }
    Ok(levels)
}

/// The breakers of a partition that are not closed.
fn breakers(store: &dyn Store, partition: i32) -> Result<Vec<(Arc<str>, Breaker)>, String> {
    let (mut found, mut damaged) = (Vec::new(), None);
    let visit = &mut |key, row: &[u8]| {
        if let RowKey::Breaker(name) = key {
            match Breaker::decode(row) {
                Ok(breaker) => found.push((name, breaker)),
                Err(error) => damaged = Some(format!("breaker of '{name}': {error}")),
            }
        }
        damaged.is_none()
    };
    store.rows(partition, RowKind::Breaker, visit).map_err(|error| error.to_string())?;
    damaged.map_or(Ok(found), Err)
}
