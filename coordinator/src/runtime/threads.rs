//! Threads of an instance: how they are started, wait, and end together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::worker::Stop;

/// Longest wait of an idle turn: bounds how late a stop request is seen.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(100);

/// How threads of an instance end together: one that cannot go on ends all, since half an instance would be stuck without a reason.
pub(super) struct End {
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) failed: Arc<AtomicBool>,
}

impl End {
    /// Waits until this was so long ago, or until the end.
    pub(super) fn rest(&self, since: Instant, every: Duration) {
        while since.elapsed() < every && !self.stopping.load(Ordering::SeqCst) {
            std::thread::sleep(WAIT_MAX.min(every.saturating_sub(since.elapsed())));
        }
    }

    /// Runs a thread's work. A panic ends it like any other reason, and is said: a thread that is gone must not look like one that
    /// is quiet.
    pub(super) fn guard<T>(&self, work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        let thread = std::thread::current().name().unwrap_or("a thread").to_owned();
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let text = text_of(&*panic);
            tracing::error!(thread, text, "panicked: a bug; the instance ends");
            Err(Stop::Panicked { thread, text })
        });
        if result.is_err() {
            self.failed.store(true, Ordering::SeqCst);
            self.stopping.store(true, Ordering::SeqCst);
        }
        result
    }
}

pub(super) fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started")
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
