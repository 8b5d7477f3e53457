//! Clients of the bus that requests use, one after the other.

use std::sync::{Mutex, PoisonError};

use ringmaster_bus::{Bus, BusError};

/// So many are kept ready.
const READY_MAX: usize = 2;

/// Makes clients as they are needed.
type Make<B> = dyn Fn() -> Result<B, BusError> + Send + Sync;

/// Clients of a bus.
pub(crate) struct Clients<B> {
    make: Box<Make<B>>,
    ready: Mutex<Vec<B>>,
}

impl<B: Bus> Clients<B> {
    /// With clients that are made so.
    pub(crate) fn new(make: impl Fn() -> Result<B, BusError> + Send + Sync + 'static) -> Self {
        Clients { make: Box::new(make), ready: Mutex::default() }
    }

    /// One that nobody else has meanwhile.
    pub(crate) fn take(&self) -> Result<B, BusError> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop();
        ready.map_or_else(&self.make, Ok)
    }

    /// Takes back one that works: one that failed is not used again.
    pub(crate) fn give_back(&self, client: B) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() < READY_MAX {
            ready.push(client);
        }
    }
}
