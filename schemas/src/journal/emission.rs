//! What is told to others.

use std::sync::Arc;

use bytes::Bytes;

use super::Encoding;
use crate::record;

record! {
    /// A domain event for others, rendered.
    pub struct Emission {
        /// Where to.
        pub topic: Arc<str>,
        /// The record's key.
        pub key: Arc<str>,
        /// The event's type.
        pub kind: Arc<str>,
        /// Unique within the saga: `ce_id` is the saga id, `/`, and this.
        pub id: Arc<str>,
        /// The body, framed as its topic wants it.
        pub body: Bytes,
        /// How.
        pub encoding: Encoding,
        /// False: no CloudEvents headers (the topic's option `plain`).
        pub headers: bool,
    }
}
