//! The simulated bus: one broker in virtual time, many clients, every way in which a log and its clients can fail, from one seed.
//!
//! ```text
//! send -> queued in the client -> on the wire -> appended -> acknowledged          each arrow takes time, and can fail
//! ```
//!
//! Nothing happens by itself: [`SimBroker::advance`] moves the time (and a [`crate::Bus::poll`] that waits does, by what it waits). A client can be frozen (what
//! it had queued waits, what was on the wire arrives) and dropped (what it had queued is lost, what was on the wire still arrives,
//! perhaps much later). It is more hostile than Kafka: a record of an idempotent producer can be kept twice, at any later time, and
//! a record behind a failed one can be kept (PROTOCOL.md section 5).

mod broker;
mod client;
mod faults;
mod log;

pub use broker::{Hits, SimBroker};
pub use client::SimBus;
pub use faults::Faults;
pub use log::SimRecord;
