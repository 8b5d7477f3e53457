//! Hostile bytes: one function for everything that decodes, which asserts what must hold whatever the bytes are.
//!
//! ```text
//! fuzz/targets/NAME.rs -> Target::run <- tests/replay.rs, over fuzz/corpus/NAME
//! ```
//!
//! Bytes are looked for by the fuzzer (`make fuzz`, a toolchain of its own), and those worth keeping are in `fuzz/corpus`: an
//! ordinary test runs each of them through its target. No input may panic, hang, or take more memory than the target's bound; what was
//! decoded is the same when it is encoded and decoded again.

mod control;
mod definition;
mod event;
mod journal;
mod kafka;
mod reply;
mod seeds;
mod snapshot;
mod state;
mod world;

use std::path::{Path, PathBuf};

use peak_alloc::PeakAlloc;

pub use journal::row as journal_row;
pub use seeds::{Seed, seeds};

/// The allocator of every program with this crate: it knows how much memory an input takes.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A kind of bytes, and what reads them.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its fuzz target and of its corpus.
    pub name: &'static str,
    /// Reads an input, and panics if something does not hold.
    pub run: fn(&[u8]),
    /// An input takes so many bytes at most.
    pub memory_max: usize,
}

/// Lengths that are believed soon ask for more than this; what the largest inputs that are tried need is less.
const MEMORY_MAX: usize = 64 << 20;

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "event", run: event::run, memory_max: MEMORY_MAX },
    Target { name: "reply", run: reply::run, memory_max: MEMORY_MAX },
    Target { name: "journal", run: journal::run, memory_max: MEMORY_MAX },
    Target { name: "state", run: state::run, memory_max: MEMORY_MAX },
    Target { name: "store", run: ringmaster_store::hostile::read, memory_max: MEMORY_MAX },
    Target { name: "snapshot", run: snapshot::run, memory_max: MEMORY_MAX },
    Target { name: "definition", run: definition::run, memory_max: MEMORY_MAX },
    Target { name: "control", run: control::run, memory_max: MEMORY_MAX },
    Target { name: "kafka", run: kafka::run, memory_max: kafka::MEMORY_MAX },
];

/// The target of this name.
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).expect("a target of this name")
}

impl Target {
    /// Runs an input, and panics if something does not hold, or if it takes too much memory.
    pub fn check(&self, bytes: &[u8]) {
        // What is made once is not the input's.
        world::prepare();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        (self.run)(bytes);
        let taken = MEMORY.peak_usage().saturating_sub(before);
        assert!(taken <= self.memory_max, "{} bytes make it take {taken} bytes", bytes.len());
    }
}

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the inputs of a target are kept.
pub fn corpus(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

/// A record of this project's own, as it is written and read.
trait Written: Sized + PartialEq + std::fmt::Debug {
    fn written(&self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// Reads one; what was read is the same once it is written, and its bytes are those that are always written for it.
fn same_again<T: Written>(bytes: &[u8]) -> Option<T> {
    let value = T::read(bytes)?;
    let written = value.written();
    let again = T::read(&written).expect("what we write can be read");
    assert_eq!(value, again, "it is another when it is written and read");
    assert_eq!(written, again.written(), "the same value has other bytes");
    Some(value)
}

/// Types with `encode` and `decode`.
macro_rules! written {
    ($($type:ty),* $(,)?) => { $(
        impl crate::Written for $type {
            fn written(&self) -> Vec<u8> {
                self.encode()
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                <$type>::decode(bytes).ok()
            }
        }
    )* };
}
use written;
