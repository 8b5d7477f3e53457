//! Records of the journal, in a row, as a reader takes them that begins with an empty store.
//!
//! ```text
//! length (two bytes, little-endian) | record | length | record ...
//! ```

use std::sync::Arc;

use ringmaster_core::partition::{BreakerSettings, Limits, Replica, Rows, Settings};
use ringmaster_schemas::journal::JournalRecord;
use ringmaster_schemas::state::{Batch, Breaker, Checkpoint, Counts, Index, OutboxEffect, RowKey, RowKind, Saga, index_keys};

use crate::state::asked;
use crate::{same_again, written};

written!(JournalRecord);

/// A store without anything.
pub(crate) struct Empty;

impl Rows for Empty {
    fn checkpoint(&self) -> Result<Option<Checkpoint>, String> {
        Ok(None)
    }
    fn row(&self, _: &RowKey) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
    fn scan(&self, _: Index, _: i64, _: i64, _: &mut dyn FnMut(i64, RowKey) -> bool) -> Result<(), String> {
        Ok(())
    }
    fn rows(&self, _: RowKind, _: &mut dyn FnMut(RowKey, &[u8])) -> Result<(), String> {
        Ok(())
    }
    fn damaged(&self, why: String) -> String {
        why
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        number: 0,
        partitions: 8,
        owner: "hostile".into(),
        address: "".into(),
        journal: [1; 16],
        reply_topic: "ringmaster.replies".into(),
        quarantine_topic: "ringmaster.quarantine".into(),
        inputs: Vec::new(),
        limits: Limits {
            record_bytes_max: Limits::RECORD_BYTES_MIN,
            record_turns_max: 64,
            in_flight_records_max: 16,
            in_flight_max: 1_000,
            memory_bytes_max: Limits::MEMORY_BYTES_MIN,
            unreleased_effects_max: 1_000,
            timers_per_poll_max: 8,
        },
        breaker: BreakerSettings::default(),
        tracing: None,
    }
}

/// The records of an input; the last one may be cut.
pub(crate) fn records(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = input.split_first_chunk()?;
        let record;
        (record, input) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        Some(record)
    })
}

/// The input that has these records.
pub fn row<'r>(records: impl IntoIterator<Item = &'r [u8]>) -> Vec<u8> {
    let mut input = Vec::new();
    for record in records {
        input.extend_from_slice(&u16::try_from(record.len()).unwrap_or(u16::MAX).to_le_bytes());
        input.extend_from_slice(record);
    }
    input
}

pub(crate) fn run(input: &[u8]) {
    let mut replica = Replica::new(Arc::new(settings()));
    for (record, offset) in records(input).zip(0..) {
        if !JournalRecord::is_foreign(record) {
            same_again::<JournalRecord>(record);
        }
        if replica.read(offset, record, &Empty).is_err() {
            // It is corrupt: nobody reads on.
            return;
        }
        assert_eq!(replica.next_offset(), offset + 1, "a reader steps behind each record");
        assert!(replica.ends_with(record), "a reader knows the record that it took last");
        if let Some(batch) = replica.stage() {
            stored(&batch);
            replica.stored(&batch);
        }
    }
}

/// What was made of the journal can be read from the store, where it lies in the indexes by what it says.
fn stored(batch: &Batch) {
    assert_eq!(Checkpoint::decode(&batch.checkpoint.encode()).as_ref(), Ok(&batch.checkpoint), "a checkpoint is another");
    for change in &batch.rows {
        let Some(value) = &change.value else { continue };
        let again = match &change.key {
            RowKey::Saga(id) => {
                let saga = Saga::decode(id, value).expect("a row that was made can be read");
                assert_eq!(index_keys(&saga), change.after, "a row lies elsewhere once it was read");
                asked(&saga);
                saga.encode()
            }
            RowKey::Outbox(..) => OutboxEffect::decode(value).expect("an effect can be read").encode(),
            RowKey::Breaker(_) => Breaker::decode(value).expect("a breaker can be read").encode(),
            RowKey::Counts => Counts::decode(value).expect("counts can be read").encode(),
        };
        assert_eq!(&again, value, "a row of {} is another once it was read", change.key);
    }
}
