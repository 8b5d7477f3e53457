//! Where a reader of the journal stands: enough to tell of the next record whether it counts (PROTOCOL.md rule 1).

use ringmaster_schemas::codec::Malformed;
use ringmaster_schemas::journal::{ClaimId, JournalRecord};
use ringmaster_schemas::state::Identity;

use super::law;

/// A reader's place in the journal, and the term it is in: from one claim to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
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
    /// It ends the term before it and begins another.
    Claim,
    /// It is true.
    Counts,
    /// It is nothing, for every reader, for ever.
    Void,
}

impl Default for Fence {
    fn default() -> Self {
        Fence { next_offset: 0, claim_offset: -1, claim: [0; 16], number: 0, identity: Identity { claim: [0; 16], number: -1 } }
    }
}

impl Fence {
    /// Judges the record at `offset`, and steps behind it.
    pub fn judge(&mut self, offset: i64, record: &JournalRecord) -> Verdict {
        let verdict = match (record, record.stamp()) {
            (JournalRecord::Claim(claim), _) => {
                law::begin_term(self, offset, claim.id);
                Verdict::Claim
            }
            (_, Some(stamp)) if law::counts(self, stamp) => {
                self.number = stamp.number + 1;
                Verdict::Counts
            }
            _ => Verdict::Void,
        };
        self.next_offset = offset + 1;
        self.identity = identity(record);
        verdict
    }

    /// Steps behind a record that is not of this project: void, as all that is neither a claim nor counting.
    pub(super) fn pass(&mut self, offset: i64) {
        self.next_offset = offset + 1;
        self.identity = FOREIGN;
    }

    /// Steps behind an own record that was just confirmed.
    pub(super) fn confirmed(&mut self, offset: i64, number: i64) {
        self.next_offset = offset + 1;
        self.number = number + 1;
        self.identity = Identity { claim: self.claim, number };
    }
}

/// What a record that is not of this project is known by: no claim has number -2.
pub(super) const FOREIGN: Identity = Identity { claim: [0; 16], number: -2 };

/// What the record with this value is known by: what a checkpoint right behind it was built upon. An error for what cannot be read.
pub fn identity_of(value: &[u8]) -> Result<Identity, Malformed> {
    JournalRecord::read(value).map(|record| record.as_ref().map_or(FOREIGN, identity))
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
