//! A warm copy of a partition that another instance owns: its journal is taken as it grows, so that a takeover replays only the tail.
//!
//! It sends nothing and claims nothing. The store beneath it is written like an owner's: whoever claims the partition later goes on from
//! memory, and whoever starts again from the store.

use super::reading::Reading;
use super::replica::Replica;
use super::{Context, Partition, Stage, Wish};

/// What a follower has.
pub(super) enum Following {
    /// What the journal holds is asked; what was known before, if anything.
    Asking(Option<Box<Replica>>),
    /// The journal is read, without an end.
    Reading {
        reading: Box<Reading>,
        /// It was read to its end once: what a takeover replays is only what came since a moment ago.
        warm: bool,
    },
}

impl Following {
    pub(super) fn reading(&mut self) -> Option<&mut Reading> {
        match self {
            Following::Reading { reading, .. } => Some(reading),
            Following::Asking(_) => None,
        }
    }

    /// What the journal holds is known: what reading begins from; none if it is read already.
    pub(super) fn begins(&mut self) -> Option<Option<Box<Replica>>> {
        match self {
            Following::Asking(replica) => Some(replica.take()),
            Following::Reading { .. } => None,
        }
    }

    /// What is known for sure.
    pub(super) fn into_replica(self) -> Option<Box<Replica>> {
        match self {
            Following::Asking(replica) => replica,
            Following::Reading { reading, .. } => reading.into_proven(),
        }
    }
}

impl Partition {
    /// Follows the journal from now on. Valid when idle.
    pub(super) fn follow(&mut self, cx: &mut Context<'_>) {
        let Stage::Idle(replica) = &mut self.stage else { panic!("only an idle partition is followed") };
        let replica = replica.take();
        self.stage = Self::follow_from(replica, cx);
    }

    /// The journal is asked for anew: whatever was doubtful, what is read next must fit to what is known.
    pub(super) fn follow_from(replica: Option<Box<Replica>>, cx: &mut Context<'_>) -> Stage {
        cx.out.push(Wish::StopJournal);
        cx.out.push(Wish::AskJournal);
        Stage::Following(Following::Asking(replica))
    }

    /// The journal ended at this offset a moment ago. That may have been said of an earlier reading.
    pub(super) fn journal_is_read(&mut self, offset: i64) {
        if let Stage::Following(Following::Reading { warm, reading }) = &mut self.stage {
            *warm |= reading.replica.fence.next_offset >= offset;
        }
    }

    /// True if it is followed, and a takeover would replay only what came since a moment ago.
    pub fn is_warm(&self) -> bool {
        matches!(&self.stage, Stage::Following(Following::Reading { warm: true, .. }))
    }
}
