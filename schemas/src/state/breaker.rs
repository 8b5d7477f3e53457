//! A participant's breaker in a partition: while it is not closed, what would be asked of the participant is parked.

use std::sync::Arc;

use super::{VERSION, versioned};
use crate::codec::{Avro, Malformed, put_long};
use crate::journal::BreakerEvent;
use crate::{Millis, record, symbols};

symbols! {
    /// Where a breaker stands. One that is closed has no row.
    pub enum BreakerState {
        /// By itself, for the participant's failures: now and then one command goes out as a probe.
        Open = 0 "open",
        /// By a person: nothing goes out.
        Paused = 1 "paused",
        /// What was parked goes out, little by little; what comes new waits behind it.
        Draining = 2 "draining",
    }
}

record! {
    /// A breaker that is not closed.
    pub struct Breaker {
        /// Where it stands.
        pub state: BreakerState,
        /// Since when.
        pub since: Millis,
        /// The person who paused or resumed it.
        pub by: Option<Arc<str>>,
        /// Why.
        pub why: Arc<str>,
    }
}

impl Breaker {
    /// What an event at this time makes of a breaker; none: it is closed.
    pub fn after(event: &BreakerEvent, at: Millis) -> Option<Breaker> {
        match event {
            BreakerEvent::Opened { by, why } => {
                let state = if by.is_some() { BreakerState::Paused } else { BreakerState::Open };
                Some(Breaker { state, since: at, by: by.clone(), why: why.clone() })
            }
            BreakerEvent::Draining { by, why } => {
                Some(Breaker { state: BreakerState::Draining, since: at, by: by.clone(), why: why.clone() })
            }
            BreakerEvent::Closed { .. } => None,
        }
    }

    /// The row's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_long(&mut out, VERSION);
        self.put(&mut out);
        out
    }

    /// Reads a row.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        versioned(bytes, "row of a breaker of an unknown version")
    }
}
