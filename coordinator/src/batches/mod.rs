//! Batches: one act on many sagas. Which they are is frozen first, each with its last turn as it was seen; only those are acted on, and only
//! while that is their last one.
//!
//! ```text
//! filter -> sagas with their last turns -> topic of batches (frozen) -> start --expected COUNT
//!     -> who owns a partition announces the next few of its share there -> sends one act each -> reads in the journal what became of them
//!     -> writes that down -> the next few
//! ```
//!
//! All that is known of batches is a fold of one topic of one partition ([`book`]), which every instance reads, so that any of them
//! answers, and a crash loses nothing. An act has an id of its own, made of its batch and its place there, and is decided by the saga's
//! partition like any other: done twice it cannot be, since the first time moves the saga on. What became of it is what the first counting
//! turn of the journal says that names its id; whoever reads that finds the same. So whoever takes over a partition reads on from where the
//! announcement says, sends what has no turn, and counts as the one before would have.

mod book;
mod driver;
mod flight;
mod pace;
mod record;
mod shared;

pub use book::{Batch, Book, Example, Share, State};
pub use driver::{Clients, Driver};
pub use record::{
    Counts, Made, Order, Ordered, Part, Record, Selected, Settled, What, Window, Written, act_id, is_of_batch, parts_of,
};
pub use shared::{Batches, Unposted};

/// Sagas that one batch has at most.
pub const MATCHED_MAX: usize = 100_000;
/// Sagas of all batches together that have not ended: their ids are in the memory of every instance.
pub const OPEN_MAX: usize = 200_000;
/// Batches that are remembered; of more the oldest that have ended are forgotten.
pub const REMEMBERED_MAX: usize = 1_000;
/// So long they are remembered at all, in milliseconds: as long as the topic keeps its records.
pub const REMEMBERED_MS: i64 = 30 * 86_400_000;
/// Orders of one batch.
pub const ORDERS_MAX: usize = 100;
/// What was only looked at may be started for so long, in milliseconds: what was seen grows old.
pub const PREVIEW_MS: i64 = 3_600_000;
/// What was started ends after so long, in milliseconds, however far it is: well before its topic forgets it.
pub const STARTED_MS: i64 = 7 * 86_400_000;
/// At most so many acts a second.
pub const RATE_MAX: u32 = 5_000;
/// And so many, where nothing is said.
pub const RATE_USUAL: u32 = 50;
/// Of what was not taken, so many are kept with their reasons in words.
pub const EXAMPLES_MAX: usize = 100;
