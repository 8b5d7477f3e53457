//! Sagas in an order, for whoever looks at them page by page: from a place on, forward or backward.

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
