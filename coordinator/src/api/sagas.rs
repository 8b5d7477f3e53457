//! Which sagas live, and what each waits for: those that need a person first, those that are parked last. Those that are found by
//! values are in `search`.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use ringmaster_core::definition::Catalog;
use ringmaster_core::saga::{name_of, reason_of, why};
use ringmaster_schemas::Millis;
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Entry, Index, PAUSED, RowKey, Saga, Waits, Work, parked_places, rank_at};
use ringmaster_store::Store;
use serde_json::{Value, json};

use super::saga::time;
use super::search;
use super::why::version;

/// Most sagas of one answer.
pub(super) const LIMIT_MAX: usize = 1_000;
/// Places in indexes that one question looks at, at most, shared by the partitions: it must not hold up other questions.
pub(super) const LOOKED_AT_MAX: usize = 400_000;
/// Rows that are read where only a row says whether it is asked for.
pub(super) const READ_MAX: usize = 10_000;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// Only those that need a person.
    stuck: bool,
    /// Only those of which something is parked.
    parked: bool,
    /// Only those that are paused.
    paused: bool,
    /// Only those that are parked for it.
    participant: Option<String>,
    /// Only those of this definition.
    pub(super) definition: Option<String>,
    /// Only those that are found by all of these.
    pub(super) search: Vec<(String, String)>,
    /// At most so many.
    pub(super) limit: usize,
}

impl Question {
    /// Reads `stuck=true&definition=NAME&limit=10`, `parked=true&participant=NAME`, or `definition=NAME&search=NAME=VALUE`. What is wrong with it is an error.
    pub(super) fn parse(query: &str) -> Result<Question, String> {
        let mut question = Question { limit: LIMIT_MAX, ..Question::default() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "stuck" => question.stuck = value == "true",
                "parked" => question.parked = value == "true",
                "paused" => question.paused = value == "true",
                "participant" => question.participant = Some(value.to_owned()),
                "definition" => question.definition = Some(value.to_owned()),
                "search" => question.search.push(search::parse(value)?),
                "limit" => {
                    let limit = value.parse::<usize>().map_err(|_| format!("'{value}' is no limit"))?;
                    question.limit = limit.min(LIMIT_MAX);
                }
                _ => {
                    return Err(format!(
                        "unknown '{name}'; there are stuck, parked, paused, participant, definition, search, limit"
                    ));
                }
            }
        }
        if question.participant.is_some() && !question.parked {
            return Err("a participant is named where parked=true".to_owned());
        }
        if [question.stuck, question.parked, question.paused].into_iter().filter(|asked| *asked).count() > 1 {
            return Err("what is asked for is stuck, parked or paused, one of them".to_owned());
        }
        search::check(&question.search, question.definition.is_some())?;
        Ok(question)
    }

    fn is_about(&self, id: &str) -> bool {
        self.definition.as_ref().is_none_or(|definition| names::parse_saga_id(id).0 == definition)
    }

    /// Whether nothing but values says which sagas it is about.
    pub(super) fn is_plain(&self) -> bool {
        !self.stuck && !self.parked && !self.paused
    }

    /// Whether a saga has all values that it is searched by.
    pub(super) fn has_values(&self, saga: &Saga) -> bool {
        let has =
            |(name, value): &(String, String)| saga.head.search().keys().any(|key| (key.name, key.value) == (&**name, &**value));
        self.search.iter().all(has)
    }

    /// Whether it is about a row that was found where others lie too: of several participants, paused, and by values.
    pub(super) fn is_about_row(&self, saga: &Saga) -> bool {
        if self.paused {
            return saga.paused().is_some_and(|paused| !paused.is_with_above());
        }
        if self.stuck && !self.search.is_empty() {
            return saga.stuck();
        }
        !self.parked || saga.entries.iter().any(|entry| self.is_meant(entry))
    }

    /// Whether it asks for what is parked, and this is so.
    fn is_meant(&self, entry: &Entry) -> bool {
        let is_for = |name: &Arc<str>| self.participant.as_ref().is_none_or(|participant| **name == **participant);
        self.parked && entry.parked_for().is_some_and(is_for)
    }

    /// Why it cannot be answered, if nothing of that name is deployed.
    pub(super) fn names_nothing(&self, catalog: &Catalog) -> Option<String> {
        let there = |known: BTreeSet<&str>| match known.is_empty() {
            true => "nothing is".to_owned(),
            false => format!("there is {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        if let Some(name) = self.definition.as_ref().filter(|name| catalog.newest(name).is_none()) {
            let known = catalog.versions().into_iter().map(|(definition, _)| &*definition.name).collect();
            return Some(format!("no saga '{name}' is deployed; {}", there(known)));
        }
        if let Some(why) = self.definition.as_ref().and_then(|name| search::names_nothing(&self.search, name, catalog)) {
            return Some(why);
        }
        let participants = catalog.participants();
        let name = self.participant.as_ref().filter(|name| participants.iter().all(|known| **known != ***name))?;
        Some(format!("no saga that is deployed asks '{name}'; {}", there(participants.iter().map(|known| &**known).collect())))
    }

    /// Where what is asked for is found: whatever lives needs a person, is due sometime, or is parked.
    fn places(&self) -> Vec<(Index, Range<i64>)> {
        let all = Millis::MIN..Millis::MAX;
        if self.paused {
            return [Some(PAUSED), None].map(|name| (Index::Parked, parked_places(name))).to_vec();
        }
        match (&self.participant, self.parked) {
            (Some(participant), _) => [Some(&**participant), None].map(|name| (Index::Parked, parked_places(name))).to_vec(),
            (None, true) => vec![(Index::Parked, all)],
            (None, false) if self.stuck => vec![(Index::Stuck, all)],
            (None, false) => [Index::Stuck, Index::Due, Index::Parked].map(|index| (index, all.clone())).to_vec(),
        }
    }

    /// Whether it looks at ranges of what is parked, where only a row says whether it is asked for.
    fn is_in_ranges(&self) -> bool {
        self.participant.is_some() || self.paused
    }

    /// How many of a partition are kept to be shown: one more than is asked for says that there are more.
    fn kept_max(&self) -> usize {
        if self.is_in_ranges() { READ_MAX } else { self.limit + 1 }
    }
}

/// Where a saga was found. Ordered as people want to see them: the longest stuck first, then what is due next, then what is parked, in
/// the order in which it goes out.
type Found = BTreeSet<(u8, i64, i32, Arc<str>)>;

/// The sagas, with what each of them waits for, as of the last checkpoints; and whether there are more.
pub(super) fn list(store: &dyn Store, catalog: &Catalog, partitions: &[i32], question: &Question) -> Result<Value, String> {
    if !question.search.is_empty() {
        return search::list(store, catalog, partitions, question);
    }
    let (mut found, mut more) = (Found::new(), false);
    let places = question.places();
    for &partition in partitions {
        for (index, range) in &places {
            let most = LOOKED_AT_MAX / partitions.len().max(1) / places.len();
            more |= find(store, partition, (*index, range), question, most.max(1), &mut found)?;
        }
    }
    let (mut seen, mut shown) = (HashSet::new(), Vec::new());
    for (_, _, partition, id) in found {
        if seen.contains(&id) {
            continue;
        }
        if shown.len() == question.limit || seen.len() == READ_MAX {
            more = true;
            break;
        }
        let row = store.row(partition, &RowKey::Saga(id.clone())).map_err(|error| error.to_string())?;
        // It may have ended since its place was read.
        if let Some(row) = row {
            let saga = Saga::decode(&id, &row).map_err(|error| format!("row of '{id}': {error}"))?;
            shown.extend(question.is_about_row(&saga).then(|| headline(&saga, catalog, question)).flatten());
        }
        seen.insert(id);
    }
    Ok(json!({ "sagas": shown, "more": more }))
}

/// Collects what an index of a partition holds, one more than is asked for; true if it has more places than may be looked at.
fn find(
    store: &dyn Store,
    partition: i32,
    (index, range): (Index, &Range<i64>),
    question: &Question,
    most: usize,
    found: &mut Found,
) -> Result<bool, String> {
    // Places of what is parked are in order within a participant's range only.
    let is_in_order = index != Index::Parked || question.is_in_ranges();
    let (mut looked_at, mut taken, mut is_cut) = (0, Found::new(), false);
    let visit = &mut |at, key| {
        if let RowKey::Saga(id) = key
            && question.is_about(&id)
        {
            // What needs a person, is parked, or is paused by itself, is asked for by its own id.
            let is_own = question.stuck || question.parked || question.paused || !names::is_below(&id);
            let id = if is_own { id } else { names::root_of(&id).into() };
            taken.insert(match index {
                Index::Stuck => (0, at, partition, id),
                Index::Due | Index::Expiry => (1, at, partition, id),
                Index::Parked => (2, rank_at(at), partition, id),
            });
        }
        looked_at += 1;
        is_cut = looked_at > most || (question.is_in_ranges() && taken.len() > question.kept_max());
        if taken.len() > question.kept_max() {
            taken.pop_last();
            return !is_in_order && !is_cut;
        }
        !is_cut
    };
    store.scan(partition, index, range.start, range.end, visit).map_err(|error| error.to_string())?;
    found.append(&mut taken);
    Ok(is_cut)
}

/// A saga in a line: its oldest leaf that is asked for or needs a person, else its oldest open one; that it is paused comes before
/// all that needs no person. None if nothing of it is open any more, unless it was searched: then it is found when it has ended, too.
pub(super) fn headline(saga: &Saga, catalog: &Catalog, question: &Question) -> Option<Value> {
    let open = saga.entries.iter().filter(|entry| entry.open());
    let leaf = open.min_by_key(|entry| (!question.is_meant(entry), entry.waits != Waits::Stuck, entry.since));
    let needs_a_person = leaf.is_some_and(|leaf| leaf.waits == Waits::Stuck) && !question.paused;
    let paused = saga.paused().filter(|_| !needs_a_person);
    let ended = saga.ended.as_ref().filter(|_| !question.search.is_empty());
    if leaf.is_none() && paused.is_none() && ended.is_none() {
        return None;
    }
    let (number, hash) = version(catalog, saga);
    let definition = catalog.by_hash(&saga.head.version());
    let step = match (definition, leaf) {
        (Some(definition), Some(leaf)) => name_of(definition, leaf),
        (None, Some(leaf)) => leaf.name().to_owned(),
        (_, None) if ended.is_some() => String::new(),
        (definition, None) => {
            definition.and_then(|definition| why(definition, saga).pop()).map_or_else(String::new, |why| why.step)
        }
    };
    // Clocks that stand while the saga is held wake nobody.
    let wakes_at = |leaf: &Entry| leaf.clock().filter(|_| saga.held_since.is_none()).unwrap_or_else(|| leaf.due_at());
    let (reason, since, wakes_at) = match (paused, leaf) {
        (Some(paused), _) => (Waits::Paused.as_str(), paused.since, Millis::MAX),
        (None, Some(leaf)) => {
            let reason = definition.map_or(leaf.waits.as_str(), |definition| reason_of(definition, leaf));
            (reason, leaf.since, wakes_at(leaf))
        }
        (None, None) => (Waits::No.as_str(), ended.expect("it was looked at").at, Millis::MAX),
    };
    let of_end = ended.filter(|_| leaf.is_none()).and(saga.failure.as_ref());
    let code = leaf.and_then(Entry::failure).or(of_end);
    Some(json!({
        "saga": &*saga.id,
        "definition": definition.map_or_else(|| saga.definition(), |definition| &*definition.name),
        "version": hash,
        "version_number": number,
        "status": saga.status.as_str(),
        "if_turn": saga.turns.last(),
        "step": step,
        "undo": leaf.is_some_and(is_undo),
        "reason": reason,
        "held": leaf.and_then(Entry::children).map(|rows| rows.open.iter().filter(|child| child.held).count()),
        "participant": leaf.filter(|_| paused.is_none()).and_then(Entry::parked_for).map(|participant| participant.to_string()),
        "code": code.map(|failure| failure.code.to_string()),
        "since": time(Some(since)),
        "wakes_at": time(Some(wakes_at)),
    }))
}

/// Whether it is about the step's undo, which may be parked before it is made.
fn is_undo(leaf: &Entry) -> bool {
    match leaf.waits {
        Waits::Parked => matches!(leaf.work, Work::UndoAsked | Work::Done | Work::Failed),
        _ => leaf.work == Work::UndoAsked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_refused() {
        let all = Question { limit: LIMIT_MAX, ..Question::default() };
        assert_eq!(Question::parse(""), Ok(all.clone()));
        let some = Question { stuck: true, definition: Some("order".to_owned()), limit: 3, ..Question::default() };
        assert_eq!(Question::parse("stuck=true&definition=order&limit=3"), Ok(some));
        let parked = Question { parked: true, participant: Some("hotel".to_owned()), ..all.clone() };
        assert_eq!(Question::parse("parked=true&participant=hotel"), Ok(parked));
        assert_eq!(Question::parse("limit=999999"), Ok(all), "an answer is bounded");
        for wrong in ["limit=", "limit=-1", "limit=x", "stuk=true", "participant=hotel", "stuck=true&parked=true"] {
            assert!(Question::parse(wrong).is_err(), "{wrong}");
        }
        let by = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let asked = Question::parse("definition=order&search=customer=c%26%2F%C3%A4=&search=region=").expect("a question");
        assert_eq!(asked.search, [by("customer", "c&/\u{e4}="), by("region", "")]);
        for wrong in ["search=a=b", "definition=order&search=a", "definition=order&search=a=%ff", "definition=order&search=a=%2"] {
            assert!(Question::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Question::parse(&format!("definition=order{}", "&search=a=b".repeat(9))).is_err(), "they are bounded");
    }
}
