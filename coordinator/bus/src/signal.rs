//! How a poll that waits is woken by other threads.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
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
}

impl Signal {
    /// There may be something to visit.
    pub(crate) fn raise(&self) {
        if !self.raised.swap(true, SeqCst) && self.waiting.load(SeqCst) {
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
