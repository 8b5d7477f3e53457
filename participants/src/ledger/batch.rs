//! What one turn changes: rows to be written together, readable before they are.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Rows to be written as one. A row that is put twice has its last value. Cleared and used again, so that a turn allocates nothing.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    newest: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug, Clone)]
struct Row {
    key: Range<usize>,
    value: Range<usize>,
}

impl Batch {
    /// Adds a row.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        let split = start + key.len();
        let row = u32::try_from(self.rows.len()).expect("a turn has fewer than four billion rows");
        self.rows.push(Row { key: start..split, value: split..self.bytes.len() });

        let Batch { bytes, rows, newest, hasher } = self;
        let same = |&at: &u32| &bytes[rows[at as usize].key.clone()] == key;
        let hash = |&at: &u32| hasher.hash_one(&bytes[rows[at as usize].key.clone()]);
        match newest.entry(hasher.hash_one(key), same, hash) {
            hashbrown::hash_table::Entry::Occupied(mut old) => *old.get_mut() = row,
            hashbrown::hash_table::Entry::Vacant(free) => {
                free.insert(row);
            }
        }
    }

    /// The value that this batch puts under a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        if self.rows.is_empty() {
            return None;
        }
        let same = |&at: &u32| &self.bytes[self.rows[at as usize].key.clone()] == key;
        let row = *self.newest.find(self.hasher.hash_one(key), same)?;
        Some(&self.bytes[self.rows[row as usize].value.clone()])
    }

    /// Its rows in the order they were put; of one key the last one holds.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows.iter().map(|row| (&self.bytes[row.key.clone()], &self.bytes[row.value.clone()]))
    }

    /// True if it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.newest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_holds_and_a_cleared_batch_is_empty() {
        let mut batch = Batch::default();
        for i in 0..1_000u32 {
            batch.put(&(i % 100).to_le_bytes(), &i.to_le_bytes());
        }
        for i in 0..100u32 {
            assert_eq!(batch.get(&i.to_le_bytes()), Some(&(900 + i).to_le_bytes()[..]));
        }
        assert_eq!(batch.get(b"none"), None);
        assert_eq!(batch.rows().count(), 1_000);
        batch.clear();
        assert!(batch.is_empty() && batch.get(&0u32.to_le_bytes()).is_none() && batch.byte_count() == 0);
    }
}
