//! What the safe wrappers of librdkafka do not offer: its event queues, without a copy or an allocation a message, and topic ids.
//!
//! The only unsafe code of the project. What it relies on, everywhere:
//! - librdkafka's handles may be used from any thread (its manual says so for all functions).
//! - A queue, a topic and an event handle are destroyed before the client that they came from; field order sees to that.
//! - What an event owns (messages, strings, lists) lives as long as the event; lifetimes bind it.
#![allow(unsafe_code)]

mod consumer;
mod describe;
#[cfg(target_os = "linux")]
mod leaders;
mod producer;
mod queue;

use std::ffi::CString;

use rdkafka::error::RDKafkaErrorCode;

pub(super) use consumer::{Consumer, Fetched, Told};
pub(super) use describe::{id_text, identities};
pub(super) use producer::{Delivery, Producer};

/// A broker's error by its name.
pub(super) fn code_of(error: i16) -> RDKafkaErrorCode {
    rdkafka_sys::rd_kafka_resp_err_t::try_from(i32::from(error)).map_or(RDKafkaErrorCode::Unknown, RDKafkaErrorCode::from)
}

/// Gives a client more addresses of its cluster.
fn add_brokers(client: *mut rdkafka_sys::rd_kafka_t, addresses: &str) {
    let Ok(addresses) = CString::new(addresses) else { return };
    // SAFETY: by the caller, which owns the client; the text is copied.
    let count = unsafe { rdkafka_sys::rd_kafka_brokers_add(client, addresses.as_ptr()) };
    tracing::debug!(count, "a client that is silent was told the addresses of its cluster");
}
