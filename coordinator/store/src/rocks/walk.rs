//! Walking through sagas by the keys of a database, forward or backward.

use ringmaster_schemas::state::RowKey;

use super::RocksStore;
use crate::keys::{self, Kind};
use crate::{Seen, Store as _, StoreError, Through, Walk, large, search};

impl Walk<'_> {
    /// The keys that it is about: from the first on, below the second; and where in a key the id begins, unless a number is before it.
    fn bounds(&self, partition: u16) -> (Vec<u8>, Vec<u8>, usize) {
        let mut from = Vec::with_capacity(64);
        match &self.through {
            Through::Places(index, range) => from.extend_from_slice(&keys::bound(*index, partition, range.start)),
            Through::Ids(begin) => {
                from.extend_from_slice(&keys::prefix(Kind::Saga, partition));
                from.extend_from_slice(begin.as_bytes());
            }
            Through::Value(by) => search::prefix(&mut from, partition, by),
        }
        let (mut to, id_at) = match &self.through {
            Through::Places(index, range) => (keys::bound(*index, partition, range.end.max(range.start)).to_vec(), 0),
            Through::Ids(_) => (search::end_of(&from), keys::PREFIX_BYTES),
            Through::Value(_) => (search::end_of(&from), from.len()),
        };
        if let Some((at, id)) = self.behind {
            let mut key = Vec::with_capacity(64);
            match &self.through {
                Through::Places(index, _) => keys::place(&mut key, *index, partition, at, &RowKey::saga(id)),
                Through::Ids(_) => keys::row(&mut key, partition, &RowKey::saga(id)),
                Through::Value(by) => {
                    search::prefix(&mut key, partition, by);
                    key.extend_from_slice(id.as_bytes());
                }
            }
            if self.is_backward {
                to = to.min(key);
            } else {
                key.push(0);
                from = from.max(key);
            }
        }
        (from, to, id_at)
    }
}

impl RocksStore {
    /// As the store's `walk` says.
    pub(super) fn walk_through(
        &self,
        partition: i32,
        walk: &Walk<'_>,
        visit: &mut dyn FnMut(Seen<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let number = self.number(partition);
        let (from, to, id_at) = walk.bounds(number);
        if from >= to {
            return Ok(());
        }
        let mut iterator = self.between(&from, &to);
        if walk.is_backward {
            iterator.seek_to_last();
        }
        // Backward nothing but the lower bound ends it.
        while let Some((bytes, value)) = iterator.item().filter(|(bytes, _)| *bytes >= &from[..]) {
            let odd = || self.damaged(format!("key of a saga's place: {bytes:02x?}"));
            if !self.come_by(&walk.through, (number, id_at), (bytes, value), visit).ok_or_else(odd)?? {
                return Ok(());
            }
            if walk.is_backward { iterator.prev() } else { iterator.next() }
        }
        iterator.status().map_err(|error| self.failed(&error))
    }

    /// Comes by one place of a walk: whether it goes on. None: its key is none.
    fn come_by(
        &self,
        through: &Through<'_>,
        (partition, id_at): (u16, usize),
        (bytes, value): (&[u8], &[u8]),
        visit: &mut dyn FnMut(Seen<'_>) -> bool,
    ) -> Option<Result<bool, StoreError>> {
        if let Through::Places(..) = through {
            return match keys::parse_place(bytes)? {
                (at, RowKey::Saga(id)) => Some(Ok(visit(Seen { at, id: &id, row: None }))),
                _ => Some(Ok(true)),
            };
        }
        let id = std::str::from_utf8(bytes.get(id_at..)?).ok()?;
        if let Through::Value(_) = through {
            return Some(Ok(visit(Seen { at: 0, id, row: None })));
        }
        let joined = large::is_cut(value).then(|| self.joined(partition, &RowKey::saga(id), value)).transpose();
        Some(joined.map(|joined| visit(Seen { at: 0, id, row: Some(joined.as_deref().unwrap_or(value)) })))
    }
}
