//! Places of rows in indexes: those that rows say they have, against those that are stored.
//!
//! Both are added up, by a hash of each place: what is equal needs no memory and no second look.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use ringmaster_schemas::state::{Index, RowKey, RowKind, Saga, index_keys};
use ringmaster_store::Store;

/// Of what does not fit so much is looked for.
const WRONG_MAX: usize = 1_000;

/// Two sums, equal if each place has its row and each row its places.
#[derive(Debug, Default)]
pub(super) struct Places {
    said: u64,
    stored: u64,
}

fn hash(index: Index, at: i64, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (index, at, id).hash(&mut hasher);
    hasher.finish()
}

impl Places {
    /// A row says where it is found.
    pub(super) fn has(&mut self, saga: &Saga) {
        let keys = index_keys(saga);
        for index in Index::ALL {
            if let Some(at) = keys.place(index) {
                self.said = self.said.wrapping_add(hash(index, at, &saga.id));
            }
        }
    }

    /// Reads those that are stored; false if `goes_on` said no.
    pub(super) fn read(&mut self, store: &dyn Store, partition: i32, goes_on: &mut dyn FnMut() -> bool) -> Result<bool, String> {
        let mut ended = false;
        for index in Index::ALL {
            let visit = &mut |at, key| {
                if let RowKey::Saga(id) = key {
                    self.stored = self.stored.wrapping_add(hash(index, at, &id));
                }
                ended = !goes_on();
                !ended
            };
            store.scan(partition, index, i64::MIN, i64::MAX, visit).map_err(|error| error.to_string())?;
            if ended {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What does not fit, in words; nothing is looked at if it does. None if `goes_on` said no.
    pub(super) fn wrong(
        &self,
        store: &dyn Store,
        partition: i32,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<String>>, String> {
        if self.said == self.stored {
            return Ok(Some(Vec::new()));
        }
        let (mut wrong, mut failed, mut ended) = (Vec::new(), None, false);
        let visit = &mut |key, row: &[u8]| {
            let RowKey::Saga(id) = key else { return true };
            // One that cannot be read says no places, and is told already.
            match Saga::decode(&id, row).map_or(Ok(Vec::new()), |saga| missing(store, partition, &saga)) {
                Ok(indexes) => wrong.extend(indexes.into_iter().map(|index| format!("{id}: it has no place {}", named(index)))),
                Err(why) => failed = Some(why),
            }
            ended = !goes_on();
            failed.is_none() && !ended && wrong.len() < WRONG_MAX
        };
        store.rows(partition, RowKind::Saga, visit).map_err(|error| error.to_string())?;
        for index in Index::ALL {
            if failed.is_some() || ended {
                break;
            }
            let visit = &mut |at, key: RowKey| {
                match is_there(store, partition, index, at, &key) {
                    Ok(true) => {}
                    Ok(false) => wrong.push(format!("{key}: a place {} is not its row's", named(index))),
                    Err(why) => failed = Some(why),
                }
                ended |= !goes_on();
                failed.is_none() && !ended && wrong.len() < WRONG_MAX
            };
            store.scan(partition, index, i64::MIN, i64::MAX, visit).map_err(|error| error.to_string())?;
        }
        failed.map_or(Ok((!ended).then_some(wrong)), Err)
    }
}

/// The indexes in which a row has no place that it should have.
fn missing(store: &dyn Store, partition: i32, saga: &Saga) -> Result<Vec<Index>, String> {
    let (keys, mut missing) = (index_keys(saga), Vec::new());
    for index in Index::ALL {
        let Some(at) = keys.place(index) else { continue };
        // Thousands of rows may expire at the same hour.
        if !store.has_place(partition, index, at, &RowKey::Saga(saga.id.clone())).map_err(|error| error.to_string())? {
            missing.push(index);
        }
    }
    Ok(missing)
}

/// True if the row that a place names has that place.
fn is_there(store: &dyn Store, partition: i32, index: Index, at: i64, key: &RowKey) -> Result<bool, String> {
    let row = store.row(partition, key).map_err(|error| error.to_string())?;
    let (RowKey::Saga(id), Some(row)) = (key, row) else { return Ok(false) };
    // What cannot be read may have it.
    Ok(Saga::decode(id, &row).map_or(true, |saga| index_keys(&saga).place(index) == Some(at)))
}

/// Where that would be, in words.
fn named(index: Index) -> &'static str {
    match index {
        Index::Due => "among what is due",
        Index::Expiry => "among what expires",
        Index::Stuck => "among what needs a person",
        Index::Parked => "among what is parked",
        Index::Live => "among sagas that live",
    }
}
