//! How a poll that waits is woken by other threads.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A flag that one thread waits for and any thread raises. Raising it costs no system call unless somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: AtomicBool,
    waiting: AtomicBool,
    /// Whether the raiser wants the poll to end even if there is nothing to visit.
    woken: AtomicBool,
    lock: Mutex<()>,
    condition: Condvar,
    /// Ends a wait for sockets; once it is there, all waits are such.
    waker: OnceLock<mio::Waker>,
}

impl Signal {
    /// There may be something to visit.
    pub(crate) fn raise(&self) {
        if !self.raised.swap(true, SeqCst) && self.waiting.load(SeqCst) {
            if let Some(waker) = self.waker.get() {
                if let Err(error) = waker.wake() {
                    tracing::error!(%error, "a poll that waits could not be woken");
                }
                return;
            }
            // The waiter holds the lock from its last look at the flag until it waits, so the notification cannot fall between.
            let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.condition.notify_one();
        }
    }

    /// The poll is to end.
    pub(crate) fn wake(&self) {
        self.woken.store(true, SeqCst);
        self.raise();
    }

    /// Forgets what was raised; to be called before the look at what is there, so that nothing raised since is missed.
    pub(crate) fn lower(&self) {
        self.raised.store(false, SeqCst);
    }

    /// Whether [`Self::wake`] was called since this was asked last.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.load(SeqCst) && self.woken.swap(false, SeqCst)
    }

    /// From now on waits are for sockets too, and are ended by this.
    #[cfg_attr(not(feature = "librdkafka"), allow(dead_code, reason = "only the bus on Kafka has sockets"))]
    pub(crate) fn wake_by(&self, waker: mio::Waker) {
        // The first stays: there is one for each poll, and one poll.
        let _ = self.waker.set(waker);
    }

    /// Waits until the flag is raised or a socket of `poll` has something, at most so long.
    #[cfg_attr(not(feature = "librdkafka"), allow(dead_code, reason = "only the bus on Kafka has sockets"))]
    pub(crate) fn wait_for_sockets(&self, poll: &mut mio::Poll, events: &mut mio::Events, at_most: Duration) {
        self.waiting.store(true, SeqCst);
        // Raised before `waiting` was to be seen, nobody wakes.
        if !self.raised.load(SeqCst)
            && let Err(error) = poll.poll(events, Some(at_most))
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "sockets cannot be waited for");
            std::thread::sleep(at_most.min(Duration::from_millis(10)));
        }
        self.waiting.store(false, SeqCst);
    }

    /// Waits until the flag is raised, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) {
        self.waiting.store(true, SeqCst);
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _held = self.condition.wait_timeout_while(held, at_most, |()| !self.raised.load(SeqCst));
        self.waiting.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn no_raise_is_lost_between_two_threads() {
        let (ping, pong) = (Arc::new(Signal::default()), Arc::new(Signal::default()));
        let (theirs, ours) = (Arc::clone(&ping), Arc::clone(&pong));
        let wait = |signal: &Signal| {
            signal.wait(Duration::from_secs(60));
            assert!(signal.raised.load(SeqCst), "a wait ran into its limit, so a raise was lost");
            signal.lower();
        };
        let other = std::thread::spawn(move || {
            for _ in 0..3_000 {
                wait(&theirs);
                ours.raise();
            }
        });
        for _ in 0..3_000 {
            ping.raise();
            wait(&pong);
        }
        other.join().expect("the other thread");
    }
}
