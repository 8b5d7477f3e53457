//! A replica that takes the journal's records in order, from where it stands (PROTOCOL.md rule 9): to own the partition, or to follow it.

use ringmaster_schemas::Millis;
use ringmaster_schemas::state::{Batch, Identity};

use super::following::Following;
use super::replica::Replica;
use super::restore::Restore;
use super::restoring::RESTORING;
use super::{Context, Partition, Restored, Stage, Why, Wish, law};
use crate::faults::reached;

/// A replica, and whether this log is the one that it was built upon.
pub(super) struct Reading {
    /// The oldest offset of the journal, and where it ended when it was asked.
    log: (i64, i64),
    /// What the record before the replica must be, until it was read.
    proof: Option<Identity>,
    /// The replica is of this process's memory, not of the store.
    kept: bool,
    /// The state is to be made of a snapshot first; until then the replica is nothing.
    restore: Option<Box<Restore>>,
    /// If the store had nothing: of what the state is being made, and since when by the steady clock.
    pub(super) made: Option<(Restored, Millis)>,
    pub(super) replica: Replica,
}

impl Reading {
    /// From this replica on, of which the log must hold the record before it.
    fn from(replica: Replica, kept: bool, log: (i64, i64)) -> Reading {
        Reading { log, proof: law::proof(&replica.fence, log.0), kept, restore: None, made: None, replica }
    }

    /// Asks for what it needs first.
    pub(super) fn begin(&self, cx: &mut Context<'_>) {
        cx.out.push(match &self.restore {
            Some(_) => Wish::AskSnapshots,
            None => Wish::ReadJournal(self.replica.fence.next_offset - i64::from(self.proof.is_some())),
        });
    }

    /// The journal holds so much.
    pub(super) fn log(&self) -> (i64, i64) {
        self.log
    }

    /// True if it is known that this is the log which it goes on in.
    pub(super) fn is_proven(&self) -> bool {
        self.proof.is_none()
    }

    /// What the record before the next one must be.
    pub(super) fn set_proof(&mut self, proof: Option<Identity>) {
        self.proof = proof;
    }

    pub(super) fn restore(&mut self) -> Option<&mut Restore> {
        self.restore.as_deref_mut()
    }

    /// What is known so far.
    pub(super) fn shown(&self) -> &Replica {
        self.restore.as_ref().and_then(|restore| restore.replica()).unwrap_or(&self.replica)
    }

    /// A state was made of a snapshot, and waits to be stored.
    pub(super) fn is_made(&self) -> bool {
        self.restore.as_ref().is_some_and(|restore| restore.is_made())
    }

    /// A batch of what is known for sure.
    pub(super) fn stage(&mut self) -> Option<Batch> {
        match &mut self.restore {
            Some(restore) => restore.stage(),
            None if self.proof.is_none() => self.replica.stage(),
            None => None,
        }
    }

    /// The batch is written.
    pub(super) fn stored(&mut self, batch: &Batch) {
        match &mut self.restore {
            Some(restore) => restore.stored(batch),
            None => self.replica.stored_and_trimmed(batch),
        }
    }

    /// The replica, to be kept: what was replayed is true, unless it is not known yet whether this log is the one that it was built upon,
    /// or it is not all.
    pub(super) fn into_proven(self) -> Option<Box<Replica>> {
        (self.proof.is_none() && self.restore.is_none()).then(|| Box::new(self.replica))
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
            Some(replica) => Ok(Reading::from(*replica, true, log)),
            None => self.reading_of_store(log, cx),
        }
    }

    /// Replay starts from the stored checkpoint only if the log still holds what the checkpoint was built upon (rule 9).
    pub(super) fn reading_of_store(&self, log: (i64, i64), cx: &mut Context<'_>) -> Result<Reading, Why> {
        let unreadable = |detail| Why::Store { partition: self.settings.number, detail };
        match cx.rows.checkpoint().map_err(unreadable)? {
            // A restore was cut short.
            Some(checkpoint) if checkpoint.journal_offset == RESTORING => Ok(self.start_over(log, true, cx)),
            Some(checkpoint) if checkpoint.journal != self.settings.journal => Err(Why::JournalMadeAgain(self.settings.number)),
            Some(checkpoint) if law::is_within(checkpoint.journal_offset, log.0, log.1) => {
                let replica = Replica::restore(self.settings.clone(), checkpoint, cx.rows).map_err(unreadable)?;
                Ok(Reading::from(replica, false, log))
            }
            found => Ok(self.start_over(log, found.is_some(), cx)),
        }
    }

    /// All is replayed; a stored state of another log than this goes. If the log does not reach back so far, a snapshot must be found first
    /// from which it does: until then what is stored stays as it is, since it may be the only copy.
    fn start_over(&self, log: (i64, i64), clear: bool, cx: &mut Context<'_>) -> Reading {
        let (replica, made) = (Replica::new(self.settings.clone()), Some((Restored::default(), cx.steady)));
        if log.0 > 0 {
            return Reading { log, proof: None, kept: false, restore: Some(Box::new(Restore::new(clear))), made, replica };
        }
        if clear {
            cx.out.push(Wish::ClearStore);
        }
        reached("store_aside_rebuild_half");
        Reading { log, proof: None, kept: false, restore: None, made, replica }
    }

    /// Whether a record is the next to be taken. The one before the replica is only looked at: it proves that this is its log.
    pub(super) fn is_next(&mut self, offset: i64, found: &Identity, cx: &mut Context<'_>) -> Result<bool, Why> {
        let Some(reading) = self.reading() else { return Ok(false) };
        let next = reading.shown().fence.next_offset;
        if let Some(expected) = reading.proof.take() {
            if offset != next - 1 || *found != expected {
                return self.refuted(cx).map(|()| false);
            }
            // Of a snapshot that is all of a state, no more of the journal is needed.
            return self.read_rows(cx).map(|()| false);
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
        let Some(&mut Reading { log, kept, ref restore, .. }) = self.reading() else { return Ok(()) };
        if restore.is_some() {
            return self.unfit("the journal does not hold what it was taken of", cx);
        }
        let reading = if kept { self.reading_of_store(log, cx)? } else { self.start_over(log, true, cx) };
        reading.begin(cx);
        if let Some(refuted) = self.reading() {
            *refuted = reading;
        }
        Ok(())
    }
}
