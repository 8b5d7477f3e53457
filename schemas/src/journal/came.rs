//! Events of others that came for a saga: taken, answered by, kept.

use std::sync::Arc;

use super::Failure;
use crate::shared::Data;
use crate::{Millis, record};

record! {
    /// An event that a saga took.
    pub struct TakenEvent {
        /// Its identity: `ce_source/ce_id`, or topic, partition and offset.
        pub source: Arc<str>,
        /// It was kept before, and what was kept is its result.
        pub early: bool,
        /// Else the fields that expressions of this version can read, as Avro; none if none are read.
        pub result: Option<Data>,
    }
}

record! {
    /// An event that answers to an approval.
    pub struct EventAnswer {
        /// Its identity: `ce_source/ce_id`, or topic, partition and offset.
        pub source: Arc<str>,
        /// It was kept before.
        pub early: bool,
        /// What the approval gives, as far as expressions of this version can read it, as Avro; none if none of it is read, or it is a no.
        pub result: Option<Data>,
        /// It is a no.
        pub failure: Option<Arc<Failure>>,
    }
}

record! {
    /// An event that came early.
    pub struct KeptEvent {
        /// The topic it came on.
        pub topic: Arc<str>,
        /// Its type.
        pub kind: Arc<str>,
        /// Its identity.
        pub source: Arc<str>,
        /// When it is forgotten.
        pub until: Millis,
        /// Of an event that came before its saga: key of its writer's schema, 0 for JSON.
        pub schema: i64,
        /// Of an event that came before its saga: all of it, as it came. Else the fields that expressions of its version can read, as Avro.
        pub data: Data,
    }
}
