//! Who evaluates the rules while the coordinator runs: a thread of its own, once a second.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Alert, Evaluator, RULES, Sample, State};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of its time, however many partitions there are.
const SHARE: u32 = 20;

/// The alerts of an instance, for who asks.
pub struct Alerts {
    /// Who says so.
    pub instance: String,
    evaluator: Mutex<Evaluator>,
}

impl Alerts {
    /// Of which nothing holds yet.
    pub fn new(instance: &str) -> Alerts {
        Alerts { instance: instance.to_owned(), evaluator: Mutex::new(Evaluator::new(&RULES)) }
    }

    /// Those that hold, and the newest of those that are over.
    pub fn all(&self) -> Vec<Alert> {
        self.evaluator.lock().expect("no panic while rules were evaluated").alerts()
    }

    /// Takes in how everything is now; what began to fire or is over.
    pub(crate) fn turn(&self, now: i64, samples: &[Sample]) -> Vec<Alert> {
        self.evaluator.lock().expect("no panic while rules were evaluated").turn(now, samples)
    }
}

/// Rules that are evaluated; dropping it ends that.
pub struct Watching {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Evaluates from now on. `look` says how everything is, `tell` is told each change once and must not wait for anybody.
pub fn watch(
    alerts: Arc<Alerts>,
    clock: impl Fn() -> i64 + Send + 'static,
    mut look: impl FnMut() -> Vec<Sample> + Send + 'static,
    mut tell: impl FnMut(&Alert) + Send + 'static,
) -> io::Result<Watching> {
    let (stop, stopped) = channel();
    let thread = std::thread::Builder::new().name("alerts".into()).spawn(move || {
        let mut pause = LOOK_EVERY;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let began = Instant::now();
            let samples = look();
            for change in alerts.turn(clock(), &samples) {
                say(&change);
                tell(&change);
            }
            pause = LOOK_EVERY.max(began.elapsed() * SHARE);
        }
    })?;
    Ok(Watching { stop: Some(stop), thread: Some(thread) })
}

/// One line of the log.
fn say(change: &Alert) {
    let labels: Vec<String> = change.labels().map(|(name, value)| format!("{name}={value}")).collect();
    let (alert, summary, labels) = (change.rule.name, change.summary(), labels.join(" "));
    match change.state {
        State::Resolved => tracing::info!(alert, labels, "it is over: {summary}"),
        State::Firing | State::Pending => {
            tracing::warn!(alert, labels, value = change.value, "{summary}; `ringmaster alerts` says what to do");
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It reads the store, which must not be closed under it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
