//! Sagas in an order, for whoever looks at them page by page: from a place on, forward or backward.

use std::fmt;
use std::ops::Range;

use ringmaster_schemas::journal::SearchKey;
use ringmaster_schemas::state::Index;

/// What is walked through, and from where on.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    /// Through what.
    pub through: Through<'a>,
    /// It begins behind this number and id; none: at the first.
    pub behind: Option<(i64, &'a str)>,
    /// From the last to the first.
    pub is_backward: bool,
}

/// An order of sagas.
#[derive(Debug, Clone)]
pub enum Through<'a> {
    /// All rows whose ids begin so, by id; their numbers are 0.
    Ids(&'a str),
    /// The places of an index from the first number on, below the second, by number and id.
    Places(Index, Range<i64>),
    /// Those that are found by a value, by id; their numbers are 0.
    Value(SearchKey<'a>),
}

/// A saga that is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Its number in that order.
    pub at: i64,
    /// Its id.
    pub id: &'a str,
    /// Its row, where rows are walked through.
    pub row: Option<&'a [u8]>,
}

/// Classes of an index, which are what the numbers of its places have above some bits, walked through as one order: by what the numbers
/// have below, and id.
#[derive(Clone, Copy)]
pub struct Classes<'a> {
    /// The bits below the class.
    pub bits: u32,
    /// Which classes are wanted; asked of those alone that are there.
    pub is_wanted: &'a dyn Fn(i64) -> bool,
    /// It begins behind this number below the class, and id; none: at the first.
    pub behind: Option<(i64, &'a str)>,
    /// From the last to the first.
    pub is_backward: bool,
}

impl Classes<'_> {
    /// The class of a place.
    pub(crate) fn of(&self, at: i64) -> i64 {
        at >> self.bits
    }

    /// What its number is below the class.
    pub(crate) fn within(&self, at: i64) -> i64 {
        at & ((1 << self.bits) - 1)
    }

    /// The number of a place.
    pub(crate) fn place(&self, class: i64, within: i64) -> i64 {
        class << self.bits | within
    }
}

impl fmt::Debug for Classes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Classes { bits, is_wanted: _, behind, is_backward } = self;
        f.debug_struct("Classes")
            .field("bits", bits)
            .field("behind", behind)
            .field("is_backward", is_backward)
            .finish_non_exhaustive()
    }
}
