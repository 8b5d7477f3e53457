//! Bytes that never change and have many holders: one word, one allocation; a copy is a count.

use std::fmt;

use triomphe::ThinArc;

use crate::codec::{Avro, Cursor, Malformed, put_blob};

/// Bytes of a count or a length in front of what is shared.
const WORD: usize = size_of::<usize>();

/// A record in its encoded form. Its last field, the largest, is `bytes` and begins at a mark: a holder that needs it no more writes
/// the record without it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shared(ThinArc<u32, u8>);

impl Shared {
    pub(crate) fn new(encoded: &[u8], tail_at: usize) -> Self {
        let tail_at = u32::try_from(tail_at).expect("a record of a saga is far below 4 GiB");
        Shared(ThinArc::from_header_and_slice(tail_at, encoded))
    }

    /// Everything before the last field.
    pub(crate) fn fields(&self) -> Cursor<'_> {
        Cursor::new(&self.0.slice[..self.0.header.header as usize])
    }

    /// The last field.
    pub(crate) fn tail(&self) -> &[u8] {
        let mut cursor = Cursor::new(&self.0.slice[self.0.header.header as usize..]);
        cursor.blob().expect("it was read when it was made")
    }

    /// True if both hold the same bytes in the same place: that they are equal is known without looking.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.ptr(), other.0.ptr())
    }

    /// What it takes in memory: count, mark, length, bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        (3 * WORD + self.0.slice.len()).next_multiple_of(WORD)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.slice);
    }

    pub(crate) fn put_without_tail(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.fields().rest);
        out.push(0);
    }
}

/// Avro bytes that state keeps and expressions read.
#[derive(Clone, PartialEq, Eq)]
pub struct Data(ThinArc<(), u8>);

impl Data {
    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Data(ThinArc::from_header_and_slice((), bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// What it takes in memory: count, length, bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        (2 * WORD + self.0.slice.len()).next_multiple_of(WORD)
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.bytes())
    }
}

impl Avro for Data {
    fn put(&self, out: &mut Vec<u8>) {
        put_blob(out, self.bytes());
    }
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Data::new(cursor.blob()?))
    }
}
