//! Time. The wall clock may jump, forward and back; a partition's own time never runs backwards and never stands still.

use ringmaster_schemas::Millis;

use super::Context;

/// What the machine's clocks say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Clocks {
    /// Wall clock, in milliseconds since 1970. It may jump.
    pub(super) wall: Millis,
    /// A clock that never jumps, in milliseconds from any beginning: all waits inside a process are by it.
    pub(super) steady: Millis,
}

impl Context<'_> {
    pub(super) fn clocks(&self) -> Clocks {
        Clocks { wall: self.now, steady: self.steady }
    }
}

/// While the wall clock is behind the journaled time, time passes slower by this part, so that the wall clock catches up.
const CATCH_UP_PART: Millis = 16;

/// A partition's time: the wall clock, but never before what was journaled. When the wall clock was ahead and went back, time goes
/// on from the journaled one: otherwise nothing would be due until the wall clock is there again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    /// The newest time that was taken from the wall clock or from the journal, and when that was.
    taken: Clocks,
    /// What the clocks said when the partition was first claimed.
    begun: Option<Clocks>,
}

impl Clock {
    /// The partition was claimed; the first time counts.
    pub(super) fn begin(&mut self, clocks: Clocks) {
        self.begun.get_or_insert(clocks);
    }

    /// The journal is read, and its newest time is this.
    pub(super) fn restart(&mut self, journaled: Millis, clocks: Clocks) {
        self.taken = Clocks { wall: journaled, steady: clocks.steady };
    }

    /// The partition's time.
    pub(super) fn time(&self, clocks: Clocks) -> Millis {
        clocks.wall.max(self.without_wall(clocks))
    }

    /// This time is taken for a record.
    pub(super) fn take(&mut self, now: Millis, clocks: Clocks) {
        // The time that goes on by itself is counted from where it began, so that no rounding adds up.
        if now > self.without_wall(clocks) {
            self.taken = Clocks { wall: now, steady: clocks.steady };
        }
    }

    /// By how much the wall clock has jumped forward since a time was taken last.
    pub(super) fn jumped(&self, clocks: Clocks) -> Millis {
        let passed = (clocks.steady - self.taken.steady).max(0);
        (clocks.wall - self.taken.wall - passed).max(0)
    }

    fn without_wall(&self, clocks: Clocks) -> Millis {
        let passed = (clocks.steady - self.taken.steady).max(0);
        self.taken.wall + passed - passed / CATCH_UP_PART
    }

    /// The time that can be trusted where something is forgotten for good, or refused because it may be forgotten: no jump
    /// forward since the instance began is in it. It is late by as much as the machine was suspended, which is harmless.
    pub(super) fn trusted(&self, clocks: Clocks) -> Millis {
        let begun = self.begun.unwrap_or(clocks);
        clocks.wall.min(self.time(clocks)).min(begun.wall + (clocks.steady - begun.steady))
    }
}
