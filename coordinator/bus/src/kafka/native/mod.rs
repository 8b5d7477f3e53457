//! What the safe wrappers of librdkafka do not offer: its event queues, without a copy or an allocation a message, and topic ids.
//!
//! The only unsafe code of the project. What it relies on, everywhere:
//! - librdkafka's handles may be used from any thread (its manual says so for all functions).
//! - A queue, a topic and an event handle are destroyed before the client that they came from; field order sees to that.
//! - What an event owns (messages, strings, lists) lives as long as the event; lifetimes bind it.
#![allow(unsafe_code)]

mod consumer;
mod describe;
mod producer;
mod queue;

pub(super) use consumer::{Consumer, Fetched, Told};
pub(super) use describe::{id_text, identities};
pub(super) use producer::{Delivery, Producer};
