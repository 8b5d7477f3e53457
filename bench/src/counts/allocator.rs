//! An allocator that counts what the coordinator allocates, and remembers of every block whether it did.
//!
//! What is relied on: a block begins with one byte of this module's own, in front of the caller's part, which keeps its alignment
//! because the offset is that alignment (`Layout::extend` of one byte). Both layouts are computed from the caller's alone, so that
//! `dealloc` finds the same base that `alloc` made.

#![allow(unsafe_code, reason = "an allocator can be made no other way")]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// What was allocated while it was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heap {
    /// Blocks, moved ones included.
    pub allocations: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of those that are still there.
    pub live_bytes: i64,
}

impl Heap {
    /// Everything until now.
    pub fn now() -> Heap {
        Heap { allocations: ALLOCATIONS.load(Relaxed), bytes: BYTES.load(Relaxed), live_bytes: LIVE_BYTES.load(Relaxed) }
    }

    /// What came since `before`.
    pub fn since(self, before: Heap) -> Heap {
        Heap {
            allocations: self.allocations - before.allocations,
            bytes: self.bytes - before.bytes,
            live_bytes: self.live_bytes - before.live_bytes,
        }
    }
}

/// Runs something on the other side of the line between what is counted (the coordinator) and what is not (bus, broker and
/// participants). Callgrind's collection is toggled at this function too, by its name.
#[inline(never)]
pub fn cross<T>(run: impl FnOnce() -> T) -> T {
    COUNTING.fetch_xor(true, Relaxed);
    let result = run();
    COUNTING.fetch_xor(true, Relaxed);
    result
}

/// mimalloc, as in the coordinator's binary, with the counts.
#[derive(Debug)]
pub struct Counting;

static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The layout with the byte in front, and where the caller's part begins.
fn framed(layout: Layout) -> Option<(Layout, usize)> {
    Layout::new::<u8>().extend(layout).ok()
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, offset)) = framed(layout) else { return std::ptr::null_mut() };
        // SAFETY: the layout is not empty, it has the byte.
        let base = unsafe { MIMALLOC.alloc(whole) };
        if base.is_null() {
            return base;
        }
        let counted = COUNTING.load(Relaxed);
        if counted {
            ALLOCATIONS.fetch_add(1, Relaxed);
            BYTES.fetch_add(layout.size() as u64, Relaxed);
            LIVE_BYTES.fetch_add(layout.size() as i64, Relaxed);
        }
        // SAFETY: the block has `offset` bytes in front of the caller's part, at least one.
        unsafe {
            base.write(u8::from(counted));
            base.add(offset)
        }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let (whole, offset) = framed(layout).expect("it was allocated with this layout");
        // SAFETY: `alloc` gave the pointer so far behind the base of a block of this layout, and wrote the byte there.
        unsafe {
            let base = ptr.sub(offset);
            if base.read() != 0 {
                LIVE_BYTES.fetch_sub(layout.size() as i64, Relaxed);
            }
            MIMALLOC.dealloc(base, whole);
        }
    }
}
