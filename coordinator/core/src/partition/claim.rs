//! Becoming the owner (PROTOCOL.md rules 2 and 9), and the one way out of any doubt (rule 4).

use ringmaster_schemas::journal::{Claim, ClaimId, JournalRecord};

use super::fence::{FOREIGN, Verdict, identity};
use super::following::Following;
use super::reading::Reading;
use super::replica::{Replica, Untaken};
use super::{Context, Note, Partition, Restored, Stage, Tag, Why, Wish, law};
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
    pub(super) at: i64,
    pub(super) reading: Reading,
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
        self.stop_restore(cx);
        let id = law::claim_id(id, &self.own_claims);
        let replica = match std::mem::replace(&mut self.stage, Stage::Stopped) {
            Stage::Idle(replica) => replica,
            Stage::Following(following) => {
                cx.out.push(Wish::StopJournal);
                following.into_replica()
            }
            _ => panic!("only a partition that is idle or followed is claimed"),
        };
        self.stage = Stage::Claiming { claim: Own { id, sender }, at: None, replica };
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
                let reading = self.reading_of(replica, (start, end), cx)?;
                reading.begin(cx);
                self.stage = Stage::Replaying(Box::new(Replaying { claim, at, reading }));
            }
            Stage::Following(following) => {
                let Some(replica) = following.begins() else { return Ok(()) };
                let reading = self.reading_of(replica, (start, end), cx)?;
                reading.begin(cx);
                self.stage = Stage::Following(Following::Reading { reading: Box::new(reading), warm: false });
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

    /// Reads one record of the journal: replay, or a scan for foreign claims. A record that is damaged is corruption.
    pub(super) fn journal_record(&mut self, offset: i64, value: &[u8], cx: &mut Context<'_>) -> Result<(), Why> {
        let is_read = self.reading().is_some() && !self.journal_is_passed();
        if !is_read && !matches!(self.stage, Stage::Scanning(_)) {
            return Ok(());
        }
        let corrupt = |detail| Why::Corrupt { partition: self.settings.number, offset, detail };
        let record = JournalRecord::read(value).map_err(|error| corrupt(error.to_string()))?;
        if record.is_none() {
            cx.out.push(Wish::Tell(Note::Foreign { offset }));
        }
        match (&mut self.stage, record) {
            (Stage::Scanning(scan), record) => {
                scan.next = scan.next.max(offset + 1);
                self.scan(record.as_ref(), cx)
            }
            (_, Some(record)) => self.replay(offset, record, cx),
            (_, None) => self.pass(offset, cx),
        }
    }

    /// A record that somebody else wrote, such as a tombstone: neither a claim nor counting, and so void for every reader (rule 1).
    fn pass(&mut self, offset: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        if self.is_next(offset, &FOREIGN, cx)?
            && !self.restore_takes(offset, None, cx)?
            && let Some(reading) = self.reading()
        {
            reading.replica.fence.pass(offset);
        }
        Ok(())
    }

    fn replay(&mut self, offset: i64, record: JournalRecord, cx: &mut Context<'_>) -> Result<(), Why> {
        if !self.is_next(offset, &identity(&record), cx)? {
            return Ok(());
        }
        let (number, configured) = (self.settings.number, self.settings.partitions);
        if let JournalRecord::Claim(claim) = &record
            && claim.partitions != configured
        {
            return Err(Why::PartitionsDiffer { journal: claim.partitions, configured });
        }
        if self.restore_takes(offset, Some(&record), cx)? {
            return Ok(());
        }
        let untaken = |why| match why {
            Untaken::Store(detail) => Why::Store { partition: number, detail },
            Untaken::Wrong(detail) => Why::Corrupt { partition: number, offset, detail },
        };
        let Some(reading) = self.reading() else { return Ok(()) };
        let verdict = reading.replica.take(offset, record, cx.rows).map_err(untaken)?;
        cx.counters.replayed += u64::from(verdict == Verdict::Counts);
        reached("replay_half");
        match &self.stage {
            Stage::Replaying(replaying) if offset >= replaying.at => self.replayed(cx),
            _ => Ok(()),
        }
    }

    /// The journal is replayed up to the offset of the claim.
    fn replayed(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        let Stage::Replaying(replaying) = &self.stage else { return Ok(()) };
        if !law::owns(&replaying.reading.replica.fence, replaying.at, replaying.claim.id) {
            cx.out.push(Wish::doubt(self.settings.number, "the record at the claim's offset is not the claim"));
            return Ok(());
        }
        cx.out.push(Wish::StopJournal);
        reached("replay_done_before_resend");
        let Stage::Replaying(replaying) = std::mem::replace(&mut self.stage, Stage::Idle(None)) else { return Ok(()) };
        let Replaying { claim, at, reading } = *replaying;
        // Before its first claim a journal had nothing to make a state of.
        let made = reading.made.filter(|(made, _)| made.snapshot.is_some() || at > 0);
        self.restored = made.map(|(made, began)| {
            let made = Restored { until: reading.replica.fence.next_offset, took_ms: cx.steady - began, ..made };
            cx.out.push(Wish::Tell(Note::Restored(made)));
            made
        });
        self.own(claim, reading.replica, cx)
    }

    /// Whatever was doubtful: nothing unconfirmed can be trusted. The worker has given up the sender.
    pub(super) fn doubt(&mut self, cx: &mut Context<'_>) {
        cx.counters.doubts += 1;
        self.stop_restore(cx);
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
                self.idle_with(replaying.reading.into_proven(), cx)
            }
            Stage::Following(following) => Self::follow_from(following.into_replica(), cx),
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
