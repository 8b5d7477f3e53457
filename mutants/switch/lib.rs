//! What every rewritten source asks: is this slip the one that is made now? Compiled into the copied workspace alone.
//!
//! `MUTANT=n` makes slip n. `MUTANT=record:FILE` makes none and marks, in the byte n of the file, each place that is come to: by a
//! write, so that a process that is killed has marked what it came to.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const UNREAD: u32 = u32::MAX;
const RECORDING: u32 = u32::MAX - 1;
const NONE: u32 = u32::MAX - 2;
/// Numbers are smaller than this.
const NUMBERS: usize = 1 << 18;

static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static SEEN: [AtomicBool; NUMBERS] = [const { AtomicBool::new(false) }; NUMBERS];
static RECORD: OnceLock<File> = OnceLock::new();

/// Whether slip `number` is made.
#[inline]
pub fn is(number: u32) -> bool {
    let active = ACTIVE.load(Ordering::Relaxed);
    active == number || active >= RECORDING && look(number)
}

#[cold]
#[inline(never)]
fn look(number: u32) -> bool {
    if ACTIVE.load(Ordering::Relaxed) == UNREAD {
        read();
    }
    let active = ACTIVE.load(Ordering::Relaxed);
    if active == RECORDING
        && !SEEN[number as usize].swap(true, Ordering::Relaxed)
        && let Some(record) = RECORD.get()
    {
        record.write_all_at(&[1], u64::from(number)).expect("the record of what is come to can be written");
    }
    active == number
}

/// Reads the environment, once.
fn read() {
    let wish = std::env::var("MUTANT").unwrap_or_default();
    let active = match wish.strip_prefix("record:") {
        Some(path) => {
            RECORD.get_or_init(|| File::options().write(true).open(path).expect("the record of what is come to is there"));
            RECORDING
        }
        None if wish.is_empty() => NONE,
        None => wish.parse().expect("MUTANT is a number"),
    };
    ACTIVE.store(active, Ordering::Relaxed);
}
