//! A replica that takes the journal's records in order, from where it stands (PROTOCOL.md rule 9): to own the partition, or to follow it.

use ringmaster_schemas::state::Identity;

use super::following::Following;
use super::replica::Replica;
use super::{Context, Partition, Stage, Why, Wish, law};
use crate::faults::reached;

/// A replica, and whether this log is the one that it was built upon.
pub(super) struct Reading {
    /// The oldest offset of the journal, and where it ended when it was asked.
    log: (i64, i64),
    /// What the record before the replica must be, until it was read.
    proof: Option<Identity>,
    /// The replica is of this process's memory, not of the store.
    kept: bool,
    pub(super) replica: Replica,
}

impl Reading {
    /// Where reading begins.
    pub(super) fn first(&self) -> i64 {
        self.replica.fence.next_offset - i64::from(self.proof.is_some())
    }

    /// The replica, once it is known that this log is the one that it was built upon.
    pub(super) fn proven(&mut self) -> Option<&mut Replica> {
        self.proof.is_none().then_some(&mut self.replica)
    }

    /// The same, to be kept: what was replayed is true, unless it is not known yet whether this log is the one that it was built upon.
    pub(super) fn into_proven(self) -> Option<Box<Replica>> {
        self.proof.is_none().then(|| Box::new(self.replica))
    }
}

impl Partition {
    /// What the journal is read for now, if it is.
    pub(super) fn reading(&mut self) -> Option<&mut Reading> {
        match &mut self.stage {
            Stage::Replaying(replaying) => Some(&mut replaying.reading),
            Stage::Following(following) => following.reading(),
            _ => None,
        }
    }

    /// From the replica of an earlier term if the log has it all, else from the store.
    pub(super) fn reading_of(&self, kept: Option<Box<Replica>>, log: (i64, i64), cx: &mut Context<'_>) -> Result<Reading, Why> {
        match kept.filter(|replica| law::is_within(replica.fence.next_offset, log.0, log.1)) {
            Some(replica) => {
                let proof = law::proof(&replica.fence, log.0);
                Ok(Reading { log, proof, kept: true, replica: *replica })
            }
            None => self.reading_of_store(log, cx),
        }
    }

    /// Replay starts from the stored checkpoint only if the log still holds what the checkpoint was built upon (rule 9).
    fn reading_of_store(&self, log: (i64, i64), cx: &mut Context<'_>) -> Result<Reading, Why> {
        let unreadable = |detail| Why::Store { partition: self.settings.number, detail };
        let (replica, proof) = match cx.rows.checkpoint().map_err(unreadable)? {
            Some(checkpoint) if checkpoint.journal != self.settings.journal => {
                return Err(Why::JournalMadeAgain(self.settings.number));
            }
            Some(checkpoint) if law::is_within(checkpoint.journal_offset, log.0, log.1) => {
                let replica = Replica::restore(self.settings.clone(), checkpoint, cx.rows).map_err(unreadable)?;
                let proof = law::proof(&replica.fence, log.0);
                (replica, proof)
            }
            found => (self.start_over(log.0, found.is_some(), cx)?, None),
        };
        Ok(Reading { log, proof, kept: false, replica })
    }

    /// All is replayed; a stored state of another log than this goes. If the log does not reach back so far, what is stored stays as it
    /// is: it may be the only copy.
    fn start_over(&self, log_start: i64, clear: bool, cx: &mut Context<'_>) -> Result<Replica, Why> {
        if log_start > 0 {
            return Err(Why::JournalCut { partition: self.settings.number, start: log_start, needed: 0 });
        }
        if clear {
            cx.out.push(Wish::ClearStore);
        }
        reached("store_aside_rebuild_half");
        Ok(Replica::new(self.settings.clone()))
    }

    /// Whether a record is the next to be taken. The one before the replica is only looked at: it proves that this is its log.
    pub(super) fn is_next(&mut self, offset: i64, found: &Identity, cx: &mut Context<'_>) -> Result<bool, Why> {
        let Some(reading) = self.reading() else { return Ok(false) };
        let next = reading.replica.fence.next_offset;
        if let Some(expected) = reading.proof.take() {
            return if offset == next - 1 && *found == expected { Ok(false) } else { self.refuted(cx).map(|()| false) };
        }
        if offset > next {
            self.gap(&format!("the journal was read at offset {offset} instead of {next}"), cx);
        }
        Ok(offset == next)
    }

    /// A record of the journal was passed over.
    fn gap(&mut self, why: &str, cx: &mut Context<'_>) {
        if let Stage::Following(following) = &mut self.stage {
            // Nothing was sent on the strength of it: that is no doubt of any sender.
            let known = std::mem::replace(following, Following::Asking(None)).into_replica();
            self.stage = Self::follow_from(known, cx);
        } else {
            cx.out.push(Wish::doubt(self.settings.number, why));
        }
    }

    /// The log does not hold what the replica was built upon: one of an earlier term gives way to the store's, and that to nothing.
    fn refuted(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        cx.out.push(Wish::StopJournal);
        let Some(&mut Reading { log, kept, .. }) = self.reading() else { return Ok(()) };
        let reading = if kept {
            self.reading_of_store(log, cx)?
        } else {
            let replica = self.start_over(log.0, true, cx)?;
            Reading { log, proof: None, kept: false, replica }
        };
        cx.out.push(Wish::ReadJournal(reading.first()));
        if let Some(refuted) = self.reading() {
            *refuted = reading;
        }
        Ok(())
    }
}
