//! Places where the simulator can break the protocol on purpose (mutants), or stop an instance (crash points).
//!
//! Without the feature `faults` both are nothing: the shipped code holds no trace of them.

#[cfg(feature = "faults")]
mod armed {
    use std::cell::{Cell, RefCell};

    thread_local! {
        static MUTANT: Cell<Option<&'static str>> = const { Cell::new(None) };
        static CRASH: RefCell<Option<(&'static str, u32)>> = const { RefCell::new(None) };
        static REACHED: RefCell<std::collections::BTreeMap<&'static str, u64>> = const { RefCell::new(std::collections::BTreeMap::new()) };
        static MUTATED: Cell<u64> = const { Cell::new(0) };
        static ASIDE: Cell<bool> = const { Cell::new(false) };
        static FREEZE: RefCell<Option<Freeze>> = const { RefCell::new(None) };
    }

    /// An armed freeze.
    struct Freeze {
        point: &'static str,
        after: u32,
        meanwhile: Box<dyn FnOnce()>,
    }

    /// The panic by which an instance stops at a crash point.
    #[derive(Debug, Clone, Copy)]
    pub struct Crashed(pub &'static str);

    /// Runs something with the protocol unbroken, no point armed and none counted: what checks a run is no part of it.
    pub fn aside<T>(run: impl FnOnce() -> T) -> T {
        let before = ASIDE.with(|aside| aside.replace(true));
        let result = run();
        ASIDE.with(|aside| aside.set(before));
        result
    }

    /// Breaks the protocol at the place of this name, on this thread, from now on.
    pub fn mutate(name: Option<&'static str>) {
        MUTANT.with(|mutant| mutant.set(name));
        MUTATED.with(|count| count.set(0));
    }

    /// Stops the instance that reaches the point of this name for the `after`-th time (0: the next time).
    pub fn crash_at(point: Option<(&'static str, u32)>) {
        CRASH.with(|crash| *crash.borrow_mut() = point);
    }

    /// Holds the instance that reaches the point of this name for the `after`-th time (0: the next time): `meanwhile` runs in its
    /// stead, the rest of the world in it, and then the instance goes on as if nothing had been.
    pub fn freeze_at(point: &'static str, after: u32, meanwhile: Box<dyn FnOnce()>) {
        FREEZE.with(|freeze| *freeze.borrow_mut() = Some(Freeze { point, after, meanwhile }));
    }

    /// Disarms what was armed by [`crash_at`] and [`freeze_at`]; true if something was.
    pub fn disarm() -> bool {
        let crash = CRASH.with(|crash| crash.borrow_mut().take()).is_some();
        let freeze = FREEZE.with(|freeze| freeze.borrow_mut().take()).is_some();
        crash || freeze
    }

    /// Forgets how often crash points were reached.
    pub fn forget_reached() {
        REACHED.with(|reached| reached.borrow_mut().clear());
    }

    /// How often each crash point was reached on this thread.
    pub fn reached_counts() -> std::collections::BTreeMap<&'static str, u64> {
        REACHED.with(|reached| reached.borrow().clone())
    }

    /// How often the armed mutant's place was passed.
    pub fn mutated_count() -> u64 {
        MUTATED.with(Cell::get)
    }

    /// Whether the protocol is to be broken here.
    pub fn mutated(name: &str) -> bool {
        let hit = MUTANT.with(|mutant| mutant.get() == Some(name)) && !ASIDE.with(Cell::get);
        if hit {
            MUTATED.with(|count| count.set(count.get() + 1));
        }
        hit
    }

    /// A crash point.
    pub fn reached(point: &'static str) {
        if ASIDE.with(Cell::get) {
            return;
        }
        REACHED.with(|reached| *reached.borrow_mut().entry(point).or_insert(0) += 1);
        if let Some(meanwhile) = frozen_here(point) {
            meanwhile();
        }
        let now = CRASH.with(|crash| {
            let mut crash = crash.borrow_mut();
            match crash.as_mut() {
                Some((name, after)) if *name == point => {
                    if *after == 0 {
                        *crash = None;
                        return true;
                    }
                    *after -= 1;
                    false
                }
                _ => false,
            }
        });
        if now {
            std::panic::panic_any(Crashed(point));
        }
    }

    fn frozen_here(point: &'static str) -> Option<Box<dyn FnOnce()>> {
        FREEZE.with(|freeze| {
            let mut freeze = freeze.borrow_mut();
            let armed = freeze.as_mut().filter(|armed| armed.point == point)?;
            if armed.after > 0 {
                armed.after -= 1;
                return None;
            }
            freeze.take().map(|armed| armed.meanwhile)
        })
    }
}

#[cfg(feature = "faults")]
pub use armed::{
    Crashed, aside, crash_at, disarm, forget_reached, freeze_at, mutate, mutated, mutated_count, reached, reached_counts,
};

/// Whether the protocol is to be broken here: never.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub const fn mutated(_name: &str) -> bool {
    false
}

/// How often the armed mutant's place was passed: never.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub const fn mutated_count() -> u64 {
    0
}

/// A crash point: nothing.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub const fn reached(_point: &'static str) {}
