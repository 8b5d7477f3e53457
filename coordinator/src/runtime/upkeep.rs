//! The store's upkeep, away from the workers' threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringmaster_store::Store;

use super::worker::Stop;

/// Expired rows that are deleted at once.
const COLLECT_MAX: usize = 10_000;
/// It is looked this often whether the instance ends.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Flushes the store, and deletes expired rows, now and then, and once more at the end.
pub(super) fn run(store: &dyn Store, every: Duration, stopping: &AtomicBool, partitions: i32) -> Result<(), Stop> {
    let mut flushed = Instant::now();
    loop {
        let last = stopping.load(Ordering::SeqCst);
        if last || flushed.elapsed() >= every {
            flushed = Instant::now();
            if let Err(error) = store.flush() {
                tracing::error!(%error, "the store could not be flushed; a crash now would replay more of the journal");
            }
            for partition in 0..partitions {
                collect(store, partition);
            }
        }
        if last {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn collect(store: &dyn Store, partition: i32) {
    let through = match store.checkpoint(partition) {
        Ok(Some(checkpoint)) => checkpoint.expired_bucket,
        Ok(None) => return,
        Err(error) => return tracing::error!(partition, %error, "the store could not be read"),
    };
    if let Err(error) = store.collect(partition, through, COLLECT_MAX) {
        tracing::error!(partition, %error, "expired rows could not be deleted; they are invisible all the same");
    }
}
