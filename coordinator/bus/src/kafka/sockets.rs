//! Sockets of clients that have some of their own, and the wait for them beside librdkafka's queues.

use std::io;
use std::time::Duration;

use crate::BusError;
use crate::signal::Signal;

/// The token of the waker; sockets have another, and which of them it is does not matter: all are looked at.
const WAKER: mio::Token = mio::Token(usize::MAX);
/// Sockets that are reported at once.
const EVENTS_MAX: usize = 64;

/// Sockets, and what the system says of them.
pub(super) struct Sockets {
    poll: mio::Poll,
    events: mio::Events,
}

impl Sockets {
    /// From now on waits for this signal are to be [`Self::wait`].
    fn new(signal: &Signal) -> Result<Self, BusError> {
        let poll = mio::Poll::new().map_err(failed)?;
        signal.wake_by(mio::Waker::new(poll.registry(), WAKER).map_err(failed)?);
        Ok(Self { poll, events: mio::Events::with_capacity(EVENTS_MAX) })
    }

    /// Where a client makes its sockets known; from the first one on they are waited for.
    pub(super) fn registry(sockets: &mut Option<Self>, signal: &Signal) -> Result<mio::Registry, BusError> {
        let sockets = match sockets {
            Some(sockets) => sockets,
            none => none.insert(Self::new(signal)?),
        };
        sockets.poll.registry().try_clone().map_err(failed)
    }

    /// Waits until the signal is raised or a socket has something, at most so long.
    pub(super) fn wait(&mut self, signal: &Signal, at_most: Duration) {
        signal.wait_for_sockets(&mut self.poll, &mut self.events, at_most);
    }
}

fn failed(error: io::Error) -> BusError {
    BusError::Storage(format!("sockets cannot be waited for: {error}"))
}
