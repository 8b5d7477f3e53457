//! The counting rule (PROTOCOL.md rule 1): which records of the journal are true.

use ringmaster_schemas::journal::{ClaimId, JournalRecord, Stamp};
use ringmaster_schemas::state::Identity;

use crate::faults::mutated;

/// Where a reader of the journal stands: enough to tell of the next record whether it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The next offset to read.
    pub next_offset: i64,
    /// Offset of the newest claim; -1 for none.
    pub claim_offset: i64,
    /// That claim.
    pub claim: ClaimId,
    /// The number that counts next under it.
    pub number: i64,
    /// What the record before `next_offset` is.
    pub identity: Identity,
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ends the reign before it and begins another.
    Claim,
    /// It is true.
    Counts,
    /// It is nothing, for every reader, for ever.
    Void,
}

impl Default for Standing {
    fn default() -> Self {
        Standing { next_offset: 0, claim_offset: -1, claim: [0; 16], number: 0, identity: Identity { claim: [0; 16], number: -1 } }
    }
}

impl Standing {
    /// Judges the record at `offset`, and steps behind it.
    pub fn judge(&mut self, offset: i64, record: &JournalRecord) -> Verdict {
        self.next_offset = offset + 1;
        self.identity = identity(record);
        match record {
            JournalRecord::Claim(claim) => {
                let repeated = claim.id == self.claim && self.claim_offset >= 0;
                if repeated && mutated("repeated_claim_keeps_counter") {
                    return Verdict::Claim;
                }
                if repeated && mutated("repeated_claim_resets_counter") {
                    self.number = 0;
                    return Verdict::Claim;
                }
                (self.claim_offset, self.claim, self.number) = (offset, claim.id, 0);
                Verdict::Claim
            }
            JournalRecord::Decision(decision) => self.judge_stamp(&decision.stamp),
            JournalRecord::Positions(positions) => self.judge_stamp(&positions.stamp),
            JournalRecord::Bare(bare) => self.judge_stamp(&bare.stamp),
        }
    }

    fn judge_stamp(&mut self, stamp: &Stamp) -> Verdict {
        let repeated_claim_names_only_the_id = mutated("repeated_claim_keeps_counter") || mutated("repeated_claim_resets_counter");
        let same_offset = stamp.claim_offset == self.claim_offset || repeated_claim_names_only_the_id;
        let under = mutated("no_claim_check") || (same_offset && stamp.claim == self.claim);
        let numbered = stamp.number == self.number
            || mutated("no_number_check")
            || (mutated("number_gap_accepted") && stamp.number > self.number)
            || (mutated("number_repeat_accepted") && stamp.number < self.number);
        if under && numbered {
            self.number = stamp.number + 1;
            Verdict::Counts
        } else {
            Verdict::Void
        }
    }

    /// Steps behind an own record that was just confirmed.
    pub(super) fn confirmed(&mut self, offset: i64, number: i64) {
        self.next_offset = offset + 1;
        self.number = number + 1;
        self.identity = Identity { claim: self.claim, number };
    }
}

/// What a record is known by.
pub(super) fn identity(record: &JournalRecord) -> Identity {
    match record {
        JournalRecord::Claim(claim) => Identity { claim: claim.id, number: -1 },
        JournalRecord::Decision(_) | JournalRecord::Positions(_) | JournalRecord::Bare(_) => {
            let stamp = record.stamp().expect("all but claims are stamped");
            Identity { claim: stamp.claim, number: stamp.number }
        }
    }
}
