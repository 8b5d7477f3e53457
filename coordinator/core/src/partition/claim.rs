//! Becoming the owner (PROTOCOL.md rules 2 and 9), and the one way out of any doubt (rule 4).

use ringmaster_schemas::journal::{Claim, ClaimId, JournalRecord};
use ringmaster_schemas::state::Identity;

use super::fence::{FOREIGN, Verdict, identity};
use super::replica::Replica;
use super::{Context, Note, Partition, Stage, Tag, Why, Wish, law};
use crate::faults::reached;

/// A claim of this instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    pub(super) id: ClaimId,
    /// The producer that it was sent by.
    pub(super) sender: u32,
}

/// The journal is read up to the claim.
pub(super) struct Replaying {
    pub(super) claim: Own,
    /// C: its offset.
    at: i64,
    /// The oldest offset of the journal.
    log_start: i64,
    /// What the record before the replica must be, until it was read.
    proof: Option<Identity>,
    /// The replica is of this instance's earlier term, not of the store.
    kept: bool,
    /// Where the log ended when it was asked.
    log_end: i64,
    pub(super) replica: Replica,
}

impl Replaying {
    /// The replica, once it is known that this log is the one that it was built upon.
    pub(super) fn proven(&mut self) -> Option<&mut Replica> {
        self.proof.is_none().then_some(&mut self.replica)
    }
}

/// After a doubt: the journal behind what is confirmed is read, in search of a foreign claim.
pub(super) struct Scanning {
    /// Where the log ended when it was asked.
    end: Option<i64>,
    next: i64,
    replica: Box<Replica>,
}

/// Claims of one instance that are remembered: a producer's retries of older ones have long ended.
const OWN_CLAIMS_MAX: usize = 64;

impl Partition {
    /// Claims the partition by a new sender. Valid when idle.
    pub(super) fn claim(&mut self, id: ClaimId, sender: u32, cx: &mut Context<'_>) {
        let Stage::Idle(replica) = &mut self.stage else { panic!("only an idle partition is claimed") };
        self.stage = Stage::Claiming { claim: Own { id, sender }, at: None, replica: replica.take() };
        self.clock.begin(cx.clocks());
        self.own_claims.push(id);
        if self.own_claims.len() > OWN_CLAIMS_MAX {
            self.own_claims.remove(0);
        }
        cx.counters.claims += 1;
        let claim = Claim {
            id,
            owner: self.settings.owner.clone(),
            address: self.settings.address.clone(),
            partitions: self.settings.partitions,
            now: cx.now,
        };
        reached("claim_not_sent");
        cx.out.push(Wish::Append { bytes: JournalRecord::Claim(claim).encode(), tag: Tag::Claim });
    }

    /// The claim is in the log. Its offset is the C of the term; without it nothing can be counted.
    pub(super) fn claim_acknowledged(&mut self, sender: u32, offset: Option<i64>, cx: &mut Context<'_>) -> Result<(), Why> {
        let Stage::Claiming { claim, at, replica } = &mut self.stage else { return Ok(()) };
        if !law::is_of(sender, claim.sender) {
            return Ok(());
        }
        reached("claim_appended_unacked");
        let Some(offset) = law::offset_of_claim(offset) else {
            cx.out.push(Wish::doubt(self.settings.number, "the claim was acknowledged without an offset"));
            return Ok(());
        };
        reached("claim_acked_unreplayed");
        *at = Some(offset);
        if !law::replay_comes_first()
            && let Some(mut replica) = replica.take()
        {
            let claim = *claim;
            law::begin_term(&mut replica.fence, offset, claim.id);
            replica.fence.next_offset = offset + 1;
            return self.own(claim, *replica, cx);
        }
        cx.out.push(Wish::AskJournal);
        Ok(())
    }

    /// What the journal holds: the start of replay, the end of a scan, or an owner's look. An answer to a question of a scan before this claim may come
    /// late: replay begins once.
    pub(super) fn journal_bounds(&mut self, start: i64, end: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        match &mut self.stage {
            Stage::Claiming { claim, at: Some(at), replica } => {
                let (claim, at, replica) = (*claim, *at, replica.take());
                let kept = replica.filter(|replica| law::is_within(replica.fence.next_offset, start, end));
                let replaying = match kept {
                    Some(replica) => {
                        let proof = law::proof(&replica.fence, start);
                        Replaying { claim, at, log_start: start, log_end: end, proof, kept: true, replica: *replica }
                    }
                    None => self.replay_from_store(claim, at, (start, end), cx)?,
                };
                self.read_journal(replaying, cx);
            }
            Stage::Scanning(scan) => {
                scan.end = Some(end);
                if scan.next < start {
                    // What is gone is the replay's to judge.
                    scan.next = start;
                    cx.out.push(Wish::ReadJournal(start));
                }
                self.scan_finished(cx);
            }
            Stage::Owning(owner) => owner.journal_ends(end, cx),
            Stage::Claiming { .. } | Stage::Idle(_) | Stage::Replaying(_) | Stage::Waiting(_) | Stage::Stopped => {}
        }
        Ok(())
    }

    fn read_journal(&mut self, replaying: Replaying, cx: &mut Context<'_>) {
        let from = replaying.replica.fence.next_offset - i64::from(replaying.proof.is_some());
        cx.out.push(Wish::ReadJournal(from));
        self.stage = Stage::Replaying(Box::new(replaying));
    }

    /// Replay starts from the stored checkpoint only if the log still holds what the checkpoint was built upon (rule 9).
    fn replay_from_store(&self, claim: Own, at: i64, log: (i64, i64), cx: &mut Context<'_>) -> Result<Replaying, Why> {
        let (log_start, log_end) = log;
        let unreadable = |detail| Why::Store { partition: self.settings.number, detail };
        let (replica, proof) = match cx.rows.checkpoint().map_err(unreadable)? {
            Some(checkpoint) if checkpoint.journal != self.settings.journal => {
                return Err(Why::JournalMadeAgain(self.settings.number));
            }
            Some(checkpoint) if law::is_within(checkpoint.journal_offset, log_start, log_end) => {
                let replica = Replica::restore(self.settings.clone(), checkpoint, cx.rows).map_err(unreadable)?;
                let proof = law::proof(&replica.fence, log_start);
                (replica, proof)
            }
            found => (self.start_over(log_start, found.is_some(), cx)?, None),
        };
        Ok(Replaying { claim, at, log_start, log_end, proof, kept: false, replica })
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

    /// Reads one record of the journal: replay, or a scan for foreign claims. A record that is damaged is corruption.
    pub(super) fn journal_record(&mut self, offset: i64, value: &[u8], cx: &mut Context<'_>) -> Result<(), Why> {
        if !matches!(self.stage, Stage::Replaying(_) | Stage::Scanning(_)) {
            return Ok(());
        }
        let corrupt = |detail| Why::Corrupt { partition: self.settings.number, offset, detail };
        let record = if JournalRecord::is_foreign(value) {
            cx.out.push(Wish::Tell(Note::Foreign { offset }));
            None
        } else {
            Some(JournalRecord::decode(value).map_err(|error| corrupt(error.to_string()))?)
        };
        match (&mut self.stage, record) {
            (Stage::Scanning(scan), record) => {
                scan.next = scan.next.max(offset + 1);
                self.scan(record.as_ref(), cx)
            }
            (_, Some(record)) => self.replay(offset, &record, cx),
            (_, None) => self.pass(offset, cx),
        }
    }

    /// A record that somebody else wrote, such as a tombstone: neither a claim nor counting, and so void for every reader (rule 1).
    fn pass(&mut self, offset: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        if self.is_next(offset, &FOREIGN, cx)?
            && let Stage::Replaying(replaying) = &mut self.stage
        {
            replaying.replica.fence.pass(offset);
        }
        Ok(())
    }

    /// Whether a record is the next to be replayed. The one before the replica is only looked at: it proves that this is its log.
    fn is_next(&mut self, offset: i64, found: &Identity, cx: &mut Context<'_>) -> Result<bool, Why> {
        let Stage::Replaying(replaying) = &mut self.stage else { return Ok(false) };
        let (number, next) = (self.settings.number, replaying.replica.fence.next_offset);
        if let Some(expected) = replaying.proof.take() {
            return if offset == next - 1 && *found == expected { Ok(false) } else { self.refuted(cx).map(|()| false) };
        }
        if offset > next {
            cx.out.push(Wish::doubt(number, &format!("the journal was read at offset {offset} instead of {next}")));
        }
        Ok(offset == next)
    }

    fn replay(&mut self, offset: i64, record: &JournalRecord, cx: &mut Context<'_>) -> Result<(), Why> {
        if !self.is_next(offset, &identity(record), cx)? {
            return Ok(());
        }
        let Stage::Replaying(replaying) = &mut self.stage else { return Ok(()) };
        let number = self.settings.number;
        if let JournalRecord::Claim(claim) = record
            && claim.partitions != self.settings.partitions
        {
            return Err(Why::PartitionsDiffer { journal: claim.partitions, configured: self.settings.partitions });
        }
        let corrupt = |detail| Why::Corrupt { partition: number, offset, detail };
        let verdict = replaying.replica.take(offset, record, cx.rows).map_err(corrupt)?;
        cx.counters.replayed += u64::from(verdict == Verdict::Counts);
        reached("replay_half");
        if offset < replaying.at {
            return Ok(());
        }
        if !law::owns(&replaying.replica.fence, replaying.at, replaying.claim.id) {
            cx.out.push(Wish::doubt(number, "the record at the claim's offset is not the claim"));
            return Ok(());
        }
        cx.out.push(Wish::StopJournal);
        reached("replay_done_before_resend");
        let Stage::Replaying(replaying) = std::mem::replace(&mut self.stage, Stage::Idle(None)) else { return Ok(()) };
        let Replaying { claim, replica, .. } = *replaying;
        self.own(claim, replica, cx)
    }

    /// The log does not hold what the replica was built upon: one of an earlier term gives way to the store's, and that to nothing.
    fn refuted(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        cx.out.push(Wish::StopJournal);
        let Stage::Replaying(replaying) = std::mem::replace(&mut self.stage, Stage::Idle(None)) else { return Ok(()) };
        let Replaying { claim, at, log_start, log_end, kept, .. } = *replaying;
        let replaying = if kept {
            self.replay_from_store(claim, at, (log_start, log_end), cx)?
        } else {
            let replica = self.start_over(log_start, true, cx)?;
            Replaying { claim, at, log_start, log_end, proof: None, kept: false, replica }
        };
        self.read_journal(replaying, cx);
        Ok(())
    }

    /// Whatever was doubtful: nothing unconfirmed can be trusted. The worker has given up the sender.
    pub(super) fn doubt(&mut self, cx: &mut Context<'_>) {
        cx.counters.doubts += 1;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Stopped) {
            Stage::Stopped => Stage::Stopped,
            // What it waits for may have been lost with what is doubtful now: it is asked for again.
            Stage::Scanning(scan) => Self::look_through(scan.next, scan.replica, cx),
            Stage::Idle(replica) => self.idle_with(replica, cx),
            Stage::Claiming { replica, .. } => {
                cx.out.push(Wish::StopJournal);
                self.idle_with(replica, cx)
            }
            Stage::Replaying(replaying) => {
                cx.out.push(Wish::StopJournal);
                // What was replayed is true, unless it is not known yet whether this log is the one that it was built upon.
                let Replaying { proof, replica, .. } = *replaying;
                self.idle_with(proof.is_none().then(|| Box::new(replica)), cx)
            }
            Stage::Waiting(waiting) => self.idle_with(Some(Box::new(waiting.replica)), cx),
            Stage::Owning(owner) => {
                reached("gap_seen");
                cx.out.push(Wish::StopInputs);
                let replica = Box::new(owner.give_up());
                if law::replay_comes_first() {
                    Self::look_through(replica.fence.next_offset, replica, cx)
                } else {
                    self.idle_with(Some(replica), cx)
                }
            }
        };
    }

    /// Begins a scan of the journal from this offset.
    fn look_through(next: i64, replica: Box<Replica>, cx: &mut Context<'_>) -> Stage {
        cx.out.push(Wish::ReadJournal(next));
        cx.out.push(Wish::AskJournal);
        Stage::Scanning(Scanning { end: None, next, replica })
    }

    fn idle_with(&self, replica: Option<Box<Replica>>, cx: &mut Context<'_>) -> Stage {
        cx.out.push(Wish::Ready);
        Stage::Idle(replica)
    }

    /// Behind the last confirmed record: whoever claimed there is the owner now.
    fn scan(&mut self, record: Option<&JournalRecord>, cx: &mut Context<'_>) -> Result<(), Why> {
        if let Some(JournalRecord::Claim(claim)) = record
            && !self.own_claims.contains(&claim.id)
        {
            reached("foreign_claim_seen");
            let (owner, address) = (claim.owner.to_string(), claim.address.to_string());
            return Err(Why::Fenced { partition: self.settings.number, owner, address });
        }
        self.scan_finished(cx);
        Ok(())
    }

    fn scan_finished(&mut self, cx: &mut Context<'_>) {
        if let Stage::Scanning(scan) = &self.stage
            && scan.end.is_some_and(|end| scan.next >= end)
            && let Stage::Scanning(scan) = std::mem::replace(&mut self.stage, Stage::Stopped)
        {
            cx.out.push(Wish::StopJournal);
            self.stage = self.idle_with(Some(scan.replica), cx);
        }
    }
}
