//! What time it is: by the wall clock, which people and programs set and which may jump, and by a steady one, which never does.
//!
//! What is written for others (due times, journaled time, stamps, when an effect happened) is by the wall clock. Waits inside a
//! process (when to claim again, to checkpoint, to commit, to send once more) are by the steady clock, so that no jump makes them
//! longer.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ringmaster_schemas::Millis;

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970.
    pub wall: Millis,
    /// Milliseconds since some moment of the process; never jumps.
    pub steady: Millis,
}

/// A caller whose clock never jumps has one for both.
impl From<Millis> for Now {
    fn from(time: Millis) -> Self {
        Now { wall: time, steady: time }
    }
}

/// The machine's clocks.
pub fn now() -> Now {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    Now { wall: wall(), steady: BEGAN.get_or_init(Instant::now).elapsed().as_millis() as Millis }
}

/// Milliseconds since 1970; 0 before.
pub fn wall() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}
