//! Which sagas live, and what each waits for: those that need a person first.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use ringmaster_core::definition::Catalog;
use ringmaster_core::saga::name_of;
use ringmaster_schemas::Millis;
use ringmaster_schemas::names;
use ringmaster_schemas::state::{Entry, Index, RowKey, Saga, Waits, Work};
use ringmaster_store::Store;
use serde_json::{Value, json};

use super::saga::time;
use super::why::version;

/// Most sagas of one answer.
pub(super) const LIMIT_MAX: usize = 1_000;
/// Places in indexes that one question looks at, at most, shared by the partitions: it must not hold up other questions.
const LOOKED_AT_MAX: usize = 400_000;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// Only those that need a person.
    stuck: bool,
    /// Only those of this definition.
    definition: Option<String>,
    /// At most so many.
    limit: usize,
}

impl Question {
    /// Reads `stuck=true&definition=NAME&limit=10`. What is wrong with it is an error.
    pub(super) fn parse(query: &str) -> Result<Question, String> {
        let mut question = Question { limit: LIMIT_MAX, ..Question::default() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "stuck" => question.stuck = value == "true",
                "definition" => question.definition = Some(value.to_owned()),
                "limit" => {
                    let limit = value.parse::<usize>().map_err(|_| format!("'{value}' is no limit"))?;
                    question.limit = limit.min(LIMIT_MAX);
                }
                _ => return Err(format!("unknown '{name}'; there are stuck, definition, limit")),
            }
        }
        Ok(question)
    }

    fn is_about(&self, id: &str) -> bool {
        self.definition.as_ref().is_none_or(|definition| names::parse_saga_id(id).0 == definition)
    }

    /// Why it cannot be answered, if nothing of that name is deployed.
    pub(super) fn names_nothing(&self, catalog: &Catalog) -> Option<String> {
        let name = self.definition.as_ref().filter(|name| catalog.newest(name).is_none())?;
        let known: BTreeSet<&str> = catalog.versions().into_iter().map(|(definition, _)| &*definition.name).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        let there = if known.is_empty() { "nothing is".to_owned() } else { format!("there is {known}") };
        Some(format!("no saga '{name}' is deployed; {there}"))
    }

    /// The indexes that hold what is asked for: whatever lives needs a person, or is due sometime.
    fn indexes(&self) -> &'static [Index] {
        if self.stuck { &[Index::Stuck] } else { &[Index::Stuck, Index::Due] }
    }
}

/// Where a saga was found. Ordered as people want to see them: the longest stuck first, then what is due next.
type Found = BTreeSet<(bool, Millis, i32, Arc<str>)>;

/// The sagas, with what each of them waits for, as of the last checkpoints; and whether there are more.
pub(super) fn list(store: &dyn Store, catalog: &Catalog, partitions: i32, question: &Question) -> Result<Value, String> {
    let (mut found, mut more) = (Found::new(), false);
    for partition in 0..partitions {
        for index in question.indexes() {
            let most = LOOKED_AT_MAX / partitions.max(1) as usize / question.indexes().len();
            more |= find(store, partition, *index, question, most.max(1), &mut found)?;
        }
    }
    let (mut seen, mut shown) = (HashSet::new(), Vec::new());
    for (_, _, partition, id) in found {
        if seen.contains(&id) {
            continue;
        }
        if shown.len() == question.limit {
            more = true;
            break;
        }
        let row = store.row(partition, &RowKey::Saga(id.clone())).map_err(|error| error.to_string())?;
        // It may have ended since its place was read.
        if let Some(row) = row {
            let saga = Saga::decode(&id, &row).map_err(|error| format!("row of '{id}': {error}"))?;
            shown.extend(headline(&saga, catalog));
        }
        seen.insert(id);
    }
    Ok(json!({ "sagas": shown, "more": more }))
}

/// Collects what an index of a partition holds, one more than is asked for; true if it has more places than may be looked at.
fn find(
    store: &dyn Store,
    partition: i32,
    index: Index,
    question: &Question,
    most: usize,
    found: &mut Found,
) -> Result<bool, String> {
    let (mut looked_at, mut taken, mut is_cut) = (0, 0, false);
    let visit = &mut |at, key| {
        if let RowKey::Saga(id) = key
            && question.is_about(&id)
        {
            taken += 1;
            found.insert((index != Index::Stuck, at, partition, id));
        }
        looked_at += 1;
        is_cut = looked_at > most;
        taken <= question.limit && !is_cut
    };
    store.scan(partition, index, Millis::MIN, Millis::MAX, visit).map_err(|error| error.to_string())?;
    Ok(is_cut)
}

/// A saga in a line: its oldest leaf that needs a person, else its oldest open one. None if nothing of it is open any more.
fn headline(saga: &Saga, catalog: &Catalog) -> Option<Value> {
    let open = saga.entries.iter().filter(|entry| entry.open());
    let leaf: &Entry = open.min_by_key(|entry| (entry.waits != Waits::Stuck, entry.since))?;
    let (number, hash) = version(catalog, saga);
    let definition = catalog.by_hash(&saga.head.version());
    let step = definition.map_or_else(|| leaf.name().to_owned(), |definition| name_of(definition, leaf));
    // Clocks that stand while the saga is held wake nobody.
    let wakes_at = leaf.clock().filter(|_| saga.held_since.is_none()).unwrap_or_else(|| leaf.due_at());
    Some(json!({
        "saga": &*saga.id,
        "definition": saga.definition(),
        "version": hash,
        "version_number": number,
        "status": saga.status.as_str(),
        "step": step,
        "undo": leaf.work == Work::UndoAsked,
        "reason": leaf.waits.as_str(),
        "code": leaf.failure().map(|failure| failure.code.to_string()),
        "since": time(Some(leaf.since)),
        "wakes_at": time(Some(wakes_at)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_refused() {
        let all = Question { limit: LIMIT_MAX, ..Question::default() };
        assert_eq!(Question::parse(""), Ok(all.clone()));
        let some = Question { stuck: true, definition: Some("order".to_owned()), limit: 3 };
        assert_eq!(Question::parse("stuck=true&definition=order&limit=3"), Ok(some));
        assert_eq!(Question::parse("limit=999999"), Ok(all), "an answer is bounded");
        for wrong in ["limit=", "limit=-1", "limit=x", "stuk=true"] {
            assert!(Question::parse(wrong).is_err(), "{wrong}");
        }
    }
}
