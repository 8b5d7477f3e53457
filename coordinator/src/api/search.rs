//! Sagas that are found by values: those that live, and those that have ended, until their rows expire.
//!
//! Each value is looked up in its index; of several, what all lists hold is looked at. A row says in the end whether it is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_core::definition::Catalog;
use ringmaster_schemas::journal::SearchKey;
use ringmaster_schemas::names;
use ringmaster_schemas::state::{RowKey, Saga};
use ringmaster_store::Store;
use serde_json::{Value, json};

use super::sagas::{LOOKED_AT_MAX, Question, READ_MAX, headline};

/// Values that one question may name.
const VALUES_MAX: usize = 8;

/// Takes `NAME=VALUE`, as it stands in an address; what is wrong with it is an error.
pub(super) fn parse(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("'{text}' is no NAME=VALUE to search by");
    let text = names::percent_decode(text).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What is wrong with what is searched by, before anything is looked at.
pub(super) fn check(search: &[(String, String)], has_definition: bool) -> Result<(), String> {
    if search.is_empty() {
        return Ok(());
    }
    if !has_definition {
        return Err("a definition is named where sagas are searched: each says itself what it is found by".to_owned());
    }
    match search.len() {
        0..=VALUES_MAX => Ok(()),
        _ => Err(format!("at most {VALUES_MAX} values are searched by at once")),
    }
}

/// Why nothing is found, if no version of the definition is searched by this.
pub(super) fn names_nothing(search: &[(String, String)], definition: &str, catalog: &Catalog) -> Option<String> {
    let versions = catalog.versions();
    let all = versions.iter().filter(|(version, _)| *version.name == *definition).flat_map(|(version, _)| &version.search);
    let known: BTreeSet<&str> = all.map(|search| &*search.name).collect();
    let (name, _) = search.iter().find(|(name, _)| !known.contains(&**name))?;
    let there = match known.is_empty() {
        true => "it has no search".to_owned(),
        false => format!("there is {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Some(format!("no version of {definition} is searched by '{name}'; {there}"))
}

/// What a saga is found by.
pub(super) fn shown(saga: &Saga) -> Option<Value> {
    let all: serde_json::Map<String, Value> =
        saga.head.search().keys().map(|key| (key.name.to_owned(), Value::from(key.value))).collect();
    (!all.is_empty()).then_some(Value::Object(all))
}

/// The sagas that have all of these values, as of the last checkpoints, in the order of their ids; and whether there are more.
pub(super) fn list(store: &dyn Store, catalog: &Catalog, partitions: &[i32], question: &Question) -> Result<Value, String> {
    let (mut found, mut more): (BTreeMap<String, i32>, bool) = (BTreeMap::new(), false);
    for &partition in partitions {
        let (ids, is_cut) = candidates(store, partition, partitions.len(), question)?;
        more |= is_cut;
        found.extend(ids.into_iter().map(|id| (id, partition)));
    }
    let (mut shown, mut read) = (Vec::new(), 0);
    for (id, partition) in found {
        let id: Arc<str> = id.into();
        if shown.len() == question.limit || read == READ_MAX {
            more = true;
            break;
        }
        read += 1;
        // It may have gone since its place was read.
        let Some(row) = store.row(partition, &RowKey::Saga(id.clone())).map_err(|error| error.to_string())? else { continue };
        let saga = Saga::decode(&id, &row).map_err(|error| format!("row of '{id}': {error}"))?;
        if question.has_values(&saga) && question.is_about_row(&saga) {
            shown.extend(headline(&saga, catalog, question).map(|mut line| {
                line["search"] = self::shown(&saga).unwrap_or(Value::Null);
                line
            }));
        }
    }
    Ok(json!({ "sagas": shown, "more": more }))
}

/// The ids that all lists hold which are known to their ends; and whether others may be missing.
fn candidates(
    store: &dyn Store,
    partition: i32,
    partitions: usize,
    question: &Question,
) -> Result<(BTreeSet<String>, bool), String> {
    let share = LOOKED_AT_MAX / partitions.max(1) / question.search.len();
    // Where nothing else decides, one more than is asked for says that there are more.
    let most = if question.search.len() == 1 && question.is_plain() { question.limit + 1 } else { share.max(1) };
    let mut lists: Vec<(BTreeSet<String>, bool)> = Vec::with_capacity(question.search.len());
    for (name, value) in &question.search {
        let (mut ids, mut is_cut) = (BTreeSet::new(), false);
        let by = SearchKey { definition: question.definition.as_deref().unwrap_or_default(), name, value };
        let visit = &mut |id: &str| {
            is_cut = ids.len() == most;
            !is_cut && ids.insert(id.to_owned())
        };
        store.search(partition, &by, visit).map_err(|error| error.to_string())?;
        lists.push((ids, is_cut));
    }
    let is_whole = lists.iter().any(|(_, is_cut)| !is_cut);
    let all = lists.into_iter().filter(|(_, is_cut)| !is_cut || !is_whole).map(|(ids, _)| ids);
    let ids = all.reduce(|all, other| if is_whole { &all & &other } else { all }).unwrap_or_default();
    Ok((ids, !is_whole))
}
