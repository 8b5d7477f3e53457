//! What is large in a row, and stays what it is: the start, a list, a result, an early event. The store keeps each such value by itself,
//! so that a row that changes does not write them again.

use std::ops::Range;

use memchr::memmem;

use super::{Detail, Entry, Saga};

/// From so many bytes on a value is large.
pub const LARGE_BYTES: usize = 1024;

impl Saga {
    /// Where its large values lie in its encoded row: in order, and none over another. They are found by what they are, so that
    /// how a row is laid out is told in one place; each must be compared with what is kept, and may be any part of the row.
    pub fn large_in(&self, row: &[u8]) -> Vec<Range<usize>> {
        let (mut found, mut from) = (Vec::new(), 0);
        for value in self.large_values() {
            if let Some(at) = memmem::find(&row[from..], value) {
                let part = from + at..from + at + value.len();
                from = part.end;
                found.push(part);
            }
        }
        found
    }

    /// In the order in which they are encoded.
    fn large_values(&self) -> impl Iterator<Item = &[u8]> {
        let entries = self.entries.iter().flat_map(Entry::values);
        let early = self.early().iter().map(|event| event.data.bytes());
        std::iter::once(self.start()).chain(entries).chain(early).filter(|value| value.len() >= LARGE_BYTES)
    }
}

impl Entry {
    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let body = self.order.as_ref().filter(|_| !self.bare).map(|order| order.body());
        let result = self.result.as_ref().map(|result| result.bytes());
        let list = match self.more.as_deref().and_then(|more| more.course.as_ref()).map(|course| &course.detail) {
            Some(Detail::Children { rows }) => rows.list.as_ref().map(|list| list.bytes()),
            _ => None,
        };
        body.into_iter().chain(result).chain(list)
    }
}
