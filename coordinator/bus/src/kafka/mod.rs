//! The bus on Kafka, by librdkafka on the caller's thread; what it sends and reads by may be a client of our own (`direct/`).
//!
//! ```text
//! send -> collected by partition -> producer's queue at the next poll -> broker -> delivery event \
//! read -> fetches ahead -> consumer's queue -> records  > one signal -> poll visits all queues until they are empty
//! ask  -> side thread -> answers                       /
//! ```
//!
//! - One idempotent producer for each [`crate::Sender`], one manually assigned consumer for [`crate::Bus::read`], one group consumer
//!   for [`crate::Bus::join`]. No transactions, no automatic commit, no automatic offset reset.
//! - Nothing waits inside librdkafka: its queues raise a flag when they stop being empty, and a poll waits for that flag. So a poll
//!   ends as soon as anything happens, and an idle bus costs no CPU.
//! - Errors of a producer after which unconfirmed records cannot be trusted (fatal, all brokers down, a connection lost) are
//!   [`crate::BusEvent::Doubt`] of its sender.
//! - `end` of [`crate::BusEvent::Bounds`] is what a reader with `read_committed` can reach: the last stable offset.

mod admin;
#[cfg(feature = "test-broker")]
pub mod broker;
mod bus;
mod contact;
mod direct;
mod errors;
mod held;
mod inlet;
mod limits;
mod member;
mod members;
mod native;
mod orphans;
mod outgoing;
mod outlet;
mod questions;
mod reader;
mod revival;
mod security;
#[cfg(feature = "test-broker")]
pub mod segment;
mod settings;
mod sockets;

pub use bus::KafkaBus;
#[cfg(feature = "fuzz")]
pub use direct::hostile;
pub use member::{Joining, Member};
pub use members::{MemberFound, member_counts, members, topic_names};
pub use settings::{Client, KafkaSettings, LINGER, owned_by_protocol};
