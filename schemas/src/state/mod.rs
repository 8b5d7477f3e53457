//! What is now true: the rows that `apply` makes of events, and how they are stored.
//!
//! ```text
//! row -> index_keys(row) -> RowChange { key, value, before, after } -> Batch -> the store writes the difference
//! ```
//!
//! The store knows keys, bytes and places, never what a row says; [`index_keys`] is the only maker of places.

mod batch;
mod breaker;
mod checkpoint;
mod children;
mod counts;
mod entry;
mod held;
mod index;
mod key;
mod large;
mod live;
mod more;
mod saga;
mod turns;
mod values;

pub use batch::{Batch, Large, RowChange};
pub use breaker::{Breaker, BreakerState};
pub use checkpoint::*;
pub use children::{Child, ChildWork, Children};
pub use counts::*;
pub use entry::*;
pub use index::{Index, IndexKeys, PAUSED, Searched, index_keys, parked_places, rank_at, rank_of};
pub use key::{RowKey, RowKind};
pub use large::LARGE_BYTES;
pub use live::LiveClass;
pub use more::{Paused, SagaMore};
pub use saga::*;
pub use turns::Turns;
pub use values::*;

use crate::Millis;
use crate::codec::{Avro, Cursor, Malformed};

/// Version of the rows' format, the first number of every stored value.
pub const VERSION: i64 = 2;
/// Width of an expiry bucket: rows of finished sagas go an hour's worth at a time, so that a partition journals at most one
/// expiry an hour, and a row stays at most an hour longer than its retention.
pub const EXPIRY_BUCKET_MS: Millis = 3_600_000;

/// The expiry bucket of a time.
pub fn expiry_bucket(expires_at: Millis) -> i64 {
    expires_at.div_euclid(EXPIRY_BUCKET_MS)
}

fn versioned<T: Avro>(bytes: &[u8], unknown: &'static str) -> Result<T, Malformed> {
    let mut cursor = versioned_cursor(bytes, unknown)?;
    let value = T::take(&mut cursor)?;
    cursor.end()?;
    Ok(value)
}

fn versioned_cursor<'a>(bytes: &'a [u8], unknown: &'static str) -> Result<Cursor<'a>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    if cursor.long()? == VERSION { Ok(cursor) } else { Err(Malformed(unknown)) }
}
