//! How far long work is, on standard error: now and then, and only where it takes long.

use std::fmt::Display;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// It is said this often.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// When it was said last.
pub(super) struct Progress(Instant);

impl Progress {
    /// The work begins.
    pub(super) fn begin() -> Self {
        Progress(Instant::now())
    }

    /// Says how far it is, if that is due.
    pub(super) fn at(&mut self, far: impl Display) {
        if self.0.elapsed() >= SAY_EVERY {
            self.0 = Instant::now();
            // Nobody need listen.
            let _ = writeln!(std::io::stderr(), "{far}");
        }
    }
}
