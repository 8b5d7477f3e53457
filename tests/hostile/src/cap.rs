//! An allocator that knows how much memory an input takes: the system's, which counts.
//!
//! It is `unsafe` as every allocator is; it relies on nothing but that the system's allocator does what its contract says, and hands
//! every call on as it came.

#![allow(unsafe_code, reason = "an allocator can be made no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counted. Whoever measures makes it the allocator of its program.
pub struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);
static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// What was taken while something ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Bytes that were asked for at once, at most.
    pub largest: usize,
    /// Bytes that were held at the same time, at most, beyond those that were held before.
    pub held: usize,
}

/// Runs this, and says what all threads of the program took meanwhile: nothing where [`Counting`] is not its allocator.
pub fn measured(run: impl FnOnce()) -> Taken {
    let before = NOW.load(Relaxed);
    LARGEST.store(0, Relaxed);
    PEAK.store(before, Relaxed);
    run();
    Taken { largest: LARGEST.load(Relaxed), held: PEAK.load(Relaxed).saturating_sub(before) }
}

fn took(bytes: usize) {
    LARGEST.fetch_max(bytes, Relaxed);
    let now = NOW.fetch_add(bytes, Relaxed).wrapping_add(bytes);
    // What was freed by a program that began to count later is below nothing.
    if (now as isize) > 0 {
        PEAK.fetch_max(now, Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator, as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size(), Relaxed);
        took(size);
        unsafe { System.realloc(ptr, layout, size) }
    }
}
