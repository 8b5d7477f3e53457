//! From which index a filter is answered, and in which order.

use std::collections::BTreeSet;
use std::ops::Range;

use ringmaster_core::definition::Catalog;
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::SearchKey;
use ringmaster_schemas::names::{parse_saga_id, saga_id};
use ringmaster_schemas::state::{Index, PAUSED, Standing, Waits, parked_places};

use super::super::filter::Filter;
use super::live::Living;

/// What is walked through, one after the other: no saga is in two of them.
#[derive(Debug, Clone)]
pub(super) struct Plan<'a> {
    pub(super) steps: Vec<Step<'a>>,
    /// For people.
    pub(super) index: &'static str,
    /// What ids begin with of all that may be meant: a row of another name need not be read. None: any.
    roots: Option<&'a BTreeSet<String>>,
}

/// One walk.
#[derive(Debug, Clone)]
pub(super) enum Step<'a> {
    Ids(String),
    Places(Index, Range<i64>),
    Value(SearchKey<'a>),
    Living(Living<'a>),
}

const ALL: Range<i64> = Millis::MIN..Millis::MAX;

impl<'a> Plan<'a> {
    /// The narrowest that holds all that is meant.
    pub(super) fn of(filter: &'a Filter, catalog: &Catalog) -> Plan<'a> {
        let versions = catalog.versions();
        // The id of a sub-saga begins with that of the saga above it, which another definition may have begun.
        let runs: BTreeSet<&str> = versions.iter().flat_map(|(version, _)| version.runs()).map(|(_, run)| &*run.saga).collect();
        let is_own = !filter.definitions.is_empty() && filter.definitions.iter().all(|name| !runs.contains(&**name));
        let roots = Some(&filter.definitions).filter(|_| is_own);
        let (index, steps) = if let Some((name, value)) = filter.search.first() {
            let by = |definition: &'a String| Step::Value(SearchKey { definition, name, value });
            ("search, by id", filter.definitions.iter().map(by).collect())
        } else if !filter.keys.is_empty() {
            let all = || versions.iter().map(|(version, _)| version.name.to_string()).collect();
            ("ids", ids(filter, &roots.cloned().unwrap_or_else(all)))
        } else {
            match held(filter) {
                Some((name, index, ranges)) => (name, ranges.into_iter().map(|range| Step::Places(index, range)).collect()),
                None => by_time(filter, catalog),
            }
        };
        Plan { steps, index, roots }
    }

    /// Whether a row of this id may be meant.
    pub(super) fn may_be(&self, id: &str) -> bool {
        self.roots.is_none_or(|roots| roots.contains(parse_saga_id(id).0))
    }
}

/// Where keys, or what they begin with, are found.
fn ids(filter: &Filter, roots: &BTreeSet<String>) -> Vec<Step<'static>> {
    let begins: BTreeSet<String> = roots.iter().flat_map(|name| filter.keys.iter().map(|key| saga_id(name, &key.text))).collect();
    let mut steps: Vec<String> = Vec::new();
    for begin in begins {
        // What begins so is walked through with what it begins with.
        if steps.last().is_none_or(|last| !begin.starts_with(last.as_str())) {
            steps.push(begin);
        }
    }
    steps.into_iter().map(Step::Ids).collect()
}

/// What stands still, where only that is meant.
fn held(filter: &Filter) -> Option<(&'static str, Index, Vec<Range<i64>>)> {
    let leaf = &filter.leaf;
    if filter.is_only(Standing::Stuck, Waits::Stuck) {
        return Some(("stuck, the longest first", Index::Stuck, vec![ALL]));
    }
    if filter.is_only(Standing::Paused, Waits::Paused) {
        return Some(("paused, by since and priority", Index::Parked, [Some(PAUSED), None].map(parked_places).to_vec()));
    }
    if !filter.is_only(Standing::Parked, Waits::Parked) {
        return None;
    }
    // Participants may share a range, and what waits for several lies in one of its own. Where something else of a saga may be
    // what waits for the participant, its place says nothing.
    let is_narrow = leaf.reasons.iter().eq([Waits::Parked.as_str()]) && !leaf.participants.is_empty();
    let of = leaf.participants.iter().map(|name| Some(&**name)).chain([None]).map(parked_places);
    let starts: BTreeSet<(i64, i64)> = of.map(|range| (range.start, range.end)).collect();
    let ranges = if is_narrow { starts.into_iter().map(|(from, to)| from..to).collect() } else { vec![ALL] };
    Some(("parked, as it goes out", Index::Parked, ranges))
}

/// What lives by when it began, what has ended by when it is forgotten.
fn by_time<'a>(filter: &'a Filter, catalog: &Catalog) -> (&'static str, Vec<Step<'a>>) {
    let (statuses, leaf) = (&filter.statuses, &filter.leaf);
    let is_end = |standing: &Standing| matches!(standing, Standing::Completed | Standing::Compensated);
    // An open leaf is of what lives, whatever else is said.
    let lives = !leaf.reasons.is_empty() || !leaf.participants.is_empty() || !leaf.steps.is_empty();
    let needs_ended = !lives && (statuses.is_empty() || statuses.iter().any(is_end));
    let needs_live = statuses.is_empty() || !statuses.iter().all(is_end);
    let living = || Step::Living(Living::of(filter, catalog));
    let ended = || Step::Places(Index::Expiry, ALL);
    match (needs_live, needs_ended) {
        (true, false) => ("live, by when they began", vec![living()]),
        (false, _) => ("ended, by when they are forgotten", vec![ended()]),
        (true, true) => ("live by when they began, then ended", vec![living(), ended()]),
    }
}
