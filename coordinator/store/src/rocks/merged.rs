//! Walking through classes of an index as through one: by what their places are below the class.
//!
//! ```text
//! jump from class to class -> those that are wanted, each read some places at a time -> always the first of all that were read
//! ```
//!
//! One iterator reads all of it, and sees the database as it was when it was made: what changes its class meanwhile is come by once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use ringmaster_schemas::state::{Index, RowKey};
use rocksdb::{DBRawIterator, ReadOptions};

use super::RocksStore;
use crate::{Classes, Seen, Store as _, StoreError, keys};

/// So many places of a class are read at a time: few at first, since there may be many classes.
const READ_FIRST: usize = 4;
const READ_MAX: usize = 64;

/// A place below its class: its number there, and the id.
type Within = (i64, Arc<str>);

/// A class on its way.
struct Run {
    class: i64,
    /// Read, but not come by yet.
    read: VecDeque<Within>,
    reads: usize,
    is_over: bool,
}

/// What is walked through.
struct Places<'a> {
    store: &'a RocksStore,
    partition: u16,
    index: Index,
    classes: &'a Classes<'a>,
    iterator: DBRawIterator<'a>,
}

impl RocksStore {
    /// As the store's `walk_classes` says.
    pub(super) fn walk_merged(
        &self,
        partition: i32,
        index: Index,
        classes: &Classes<'_>,
        visit: &mut dyn FnMut(Seen<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let (partition, mut options) = (self.number(partition), ReadOptions::default());
        options.set_iterate_range(keys::all(keys::Kind::of_index(index), partition));
        let iterator = self.db.raw_iterator_opt(options);
        let mut places = Places { store: self, partition, index, classes, iterator };
        let behind = classes.behind.map(|(at, id)| (at, Arc::from(id)));
        let (mut runs, mut first) = (Vec::new(), BTreeSet::new());
        for class in places.wanted()? {
            let mut run = Run { class, read: VecDeque::new(), reads: READ_FIRST, is_over: false };
            places.read(&mut run, behind.as_ref())?;
            first.extend(run.read.pop_front().map(|place| (place, runs.len())));
            runs.push(run);
        }
        while let Some((place, number)) = if classes.is_backward { first.pop_last() } else { first.pop_first() } {
            if !visit(Seen { at: place.0, id: &place.1, row: None }) {
                break;
            }
            let run = &mut runs[number];
            if run.read.is_empty() && !run.is_over {
                places.read(run, Some(&place))?;
            }
            first.extend(run.read.pop_front().map(|place| (place, number)));
        }
        Ok(())
    }
}

impl Places<'_> {
    /// The classes that are there and wanted: a jump for each that is there.
    fn wanted(&mut self) -> Result<Vec<i64>, StoreError> {
        let mut found = Vec::new();
        self.iterator.seek_to_first();
        while let Some((at, _)) = self.here()? {
            let class = self.classes.of(at);
            if (self.classes.is_wanted)(class) {
                found.push(class);
            }
            self.iterator.seek(self.end(class));
        }
        Ok(found)
    }

    /// Reads the next places of a class, behind one.
    fn read(&mut self, run: &mut Run, behind: Option<&Within>) -> Result<(), StoreError> {
        let Places { partition, index, classes, .. } = *self;
        let mut key = Vec::with_capacity(64);
        match behind {
            Some((at, id)) => keys::place(&mut key, index, partition, classes.place(run.class, *at), &RowKey::Saga(id.clone())),
            None if classes.is_backward => key = self.end(run.class),
            None => key.extend(keys::bound(index, partition, classes.place(run.class, 0))),
        }
        if classes.is_backward {
            self.iterator.seek_for_prev(&key);
        } else {
            self.iterator.seek(&key);
        }
        // What it is behind may be there still, or not.
        if behind.is_some() && self.iterator.key() == Some(&key[..]) {
            self.step();
        }
        while run.read.len() < run.reads {
            let Some((at, key)) = self.here()?.filter(|(at, _)| classes.of(*at) == run.class) else {
                run.is_over = true;
                break;
            };
            if let RowKey::Saga(id) = key {
                run.read.push_back((classes.within(at), id));
            }
            self.step();
        }
        run.reads = (run.reads * 2).min(READ_MAX);
        Ok(())
    }

    /// A key behind all places of a class, before those of the next.
    fn end(&self, class: i64) -> Vec<u8> {
        let last = self.classes.place(class, self.classes.within(i64::MAX));
        let mut key = keys::bound(self.index, self.partition, last).to_vec();
        key.extend([u8::MAX; 2]); // no kind of row is as large
        key
    }

    fn step(&mut self) {
        if self.classes.is_backward { self.iterator.prev() } else { self.iterator.next() }
    }

    /// The place that was come to; none: there is no other.
    fn here(&self) -> Result<Option<(i64, RowKey)>, StoreError> {
        let Some(bytes) = self.iterator.key() else {
            return self.iterator.status().map(|()| None).map_err(|error| self.store.failed(&error));
        };
        let place = keys::parse_place(bytes).ok_or_else(|| self.store.damaged(format!("key of an index: {bytes:02x?}")))?;
        Ok(Some(place))
    }
}
