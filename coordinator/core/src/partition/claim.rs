//! Becoming the owner (PROTOCOL.md rules 2 and 9), and the one way out of any doubt (rule 4).

use ringmaster_schemas::journal::{Claim, ClaimId, JournalRecord};
use ringmaster_schemas::state::{Checkpoint, Identity, OutboxEffect, RowKey, RowKind};

use super::standing::identity;
use super::{Context, Do, Input, Partition, Phase, Tag, Why};
use crate::faults::{mutated, reached};

/// What is known while a claim is on its way, and of earlier ones.
#[derive(Debug, Default)]
pub(super) struct Claiming {
    /// The sender of the newest claim.
    pub(super) sender: u32,
    /// Its id.
    pub(super) id: ClaimId,
    /// Its offset, once acknowledged.
    pub(super) offset: Option<i64>,
    /// Ids of all claims of this instance on this partition, so that a late one of its own is not taken for a foreign one.
    own: Vec<ClaimId>,
    /// What is in memory is what the store's checkpoint says, and what was replayed upon it.
    pub(super) restored: bool,
    /// Before replay: what the record before the checkpoint must be.
    verify: Option<Identity>,
    /// Where the journal begins: replay from 0 is possible only if that is 0.
    log_start: i64,
    /// While scanning: where the log ended when it was asked.
    scan_end: Option<i64>,
    /// It was the owner since it started.
    owned: bool,
}

/// Claims of one instance that are remembered: a producer's retries of older ones have long ended.
const OWN_CLAIMS_MAX: usize = 64;

impl Partition {
    /// Claims the partition by a new sender. Valid when idle.
    pub fn claim(&mut self, id: ClaimId, sender: u32, cx: &mut Context<'_>) {
        assert_eq!(self.phase, Phase::Idle, "only an idle partition is claimed");
        self.claim.sender = sender;
        self.claim.id = id;
        self.claim.offset = None;
        self.claim.restored = false;
        self.claim.own.push(id);
        if self.claim.own.len() > OWN_CLAIMS_MAX {
            self.claim.own.remove(0);
        }
        self.phase = Phase::Claiming;
        cx.counters.claims += 1;
        let claim = Claim {
            id,
            owner: self.settings.owner.clone(),
            address: self.settings.address.clone(),
            partitions: self.settings.partitions,
            now: cx.now,
        };
        reached("claim_not_sent");
        cx.out.push(Do::Append { bytes: JournalRecord::Claim(claim).encode(), tag: Tag::Claim });
    }

    /// The claim is in the log. Its offset is the C of the reign; without it nothing can be counted.
    pub(super) fn claim_acknowledged(&mut self, offset: Option<i64>, cx: &mut Context<'_>) {
        let Some(offset) = offset else {
            if mutated("claim_offset_guessed") {
                self.claim.offset = None;
                self.phase = Phase::Replaying;
                cx.out.push(Do::AskJournal);
                return;
            }
            return self.doubtful("the claim was acknowledged without an offset", cx);
        };
        reached("claim_acked_unreplayed");
        self.claim.offset = Some(offset);
        self.phase = Phase::Replaying;
        if mutated("reclaim_without_replay") && self.claim.owned {
            (self.standing.claim_offset, self.standing.claim, self.standing.number) = (offset, self.claim.id, 0);
            self.standing.next_offset = offset + 1;
            return self.own(cx);
        }
        cx.out.push(Do::AskJournal);
    }

    /// What the journal holds: the start of replay, or the end of a scan.
    pub fn journal_bounds(&mut self, start: i64, end: i64, cx: &mut Context<'_>) {
        match self.phase {
            // An answer to a question of a scan before this claim may come late: replay begins once.
            Phase::Replaying if self.claim.restored => {}
            Phase::Replaying => {
                if self.claim.offset.is_none() {
                    // Only a mutant comes here without an offset.
                    self.claim.offset = Some(end - 1);
                }
                self.begin_replay(start, end, cx);
            }
            Phase::Scanning => {
                self.claim.scan_end = Some(end);
                self.scan_finished(self.standing.next_offset, cx);
            }
            Phase::Idle | Phase::Claiming | Phase::Owning | Phase::Stopped => {}
        }
    }

    /// Replay starts from the stored checkpoint only if the log still holds what the checkpoint was built upon (rule 9).
    fn begin_replay(&mut self, start: i64, end: i64, cx: &mut Context<'_>) {
        let checkpoint = match cx.rows.checkpoint() {
            Ok(checkpoint) => checkpoint,
            Err(detail) => return self.store_failed(detail, cx),
        };
        (self.claim.restored, self.claim.log_start) = (true, start);
        if let Some(checkpoint) = &checkpoint
            && checkpoint.journal != self.settings.journal
        {
            return self.step_down(Why::JournalMadeAgain(self.settings.number), cx);
        }
        match checkpoint {
            Some(checkpoint)
                if mutated("log_start_ignored") || (start <= checkpoint.journal_offset && checkpoint.journal_offset <= end) =>
            {
                let verify = checkpoint.journal_offset > start && !mutated("no_identity_check");
                self.claim.verify = verify.then(|| checkpoint.identity.clone());
                let from = checkpoint.journal_offset - i64::from(verify);
                if let Err(detail) = self.restore(checkpoint, cx) {
                    return self.store_failed(detail, cx);
                }
                cx.out.push(Do::ReadJournal(from));
            }
            Some(_) => self.rebuild(cx),
            None => self.replay_from_zero(cx),
        }
    }

    /// The stored state is of another log than this: it goes, and all is replayed. Never before it is known that the journal reaches
    /// back to its beginning: what is stored may be the only copy.
    fn rebuild(&mut self, cx: &mut Context<'_>) {
        if self.claim.log_start == 0 {
            cx.out.push(Do::ClearStore);
        }
        self.replay_from_zero(cx);
    }

    fn replay_from_zero(&mut self, cx: &mut Context<'_>) {
        let start = self.claim.log_start;
        if start > 0 {
            return self.step_down(Why::JournalCut { partition: self.settings.number, start, needed: 0 }, cx);
        }
        self.restore_nothing();
        reached("store_aside_rebuild_half");
        cx.out.push(Do::ReadJournal(0));
    }

    fn restore(&mut self, checkpoint: Checkpoint, cx: &Context<'_>) -> Result<(), String> {
        self.forget();
        self.checkpoint_offset = checkpoint.journal_offset;
        self.standing.next_offset = checkpoint.journal_offset;
        self.standing.claim_offset = checkpoint.claim_offset;
        self.standing.claim = checkpoint.claim;
        self.standing.number = checkpoint.number;
        self.standing.identity = checkpoint.identity;
        if mutated("checkpoint_without_claim") {
            (self.standing.claim_offset, self.standing.claim, self.standing.number) = (-1, [0; 16], 0);
        }
        (self.now, self.released) = (checkpoint.now, checkpoint.released);
        self.expired_bucket = checkpoint.expired_bucket;
        self.expired_bucket_confirmed = checkpoint.expired_bucket;
        self.digest = checkpoint.digest;
        for position in checkpoint.positions {
            self.set_position(position);
        }
        if !mutated("checkpoint_without_outbox") {
            self.restore_outbox(cx)?;
        }
        Ok(())
    }

    fn restore_outbox(&mut self, cx: &Context<'_>) -> Result<(), String> {
        let (outgoing, mut failed) = (&mut self.outgoing, None);
        cx.rows.rows(RowKind::Outbox, &mut |key, row| match (&key, OutboxEffect::decode(row)) {
            (RowKey::Outbox(offset, index), Ok(effect)) => outgoing.restore(*offset, *index, effect),
            (_, Ok(_)) => failed = Some(format!("{key} lies among the effects")),
            (_, Err(error)) => failed = Some(format!("the stored row of {key} is damaged: {error}")),
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn restore_nothing(&mut self) {
        self.forget();
        self.checkpoint_offset = -1;
    }

    /// Drops everything that is in memory and could be speculative; the store's checkpoint and the journal bring back what is true.
    fn forget(&mut self) {
        let inputs = self.settings.inputs.len();
        if !mutated("overlay_kept_on_loss") {
            self.overlay = super::Overlay::default();
        }
        self.open = None;
        self.pending.clear();
        self.pending_bytes = 0;
        self.outgoing = super::Outgoing::default();
        self.timers = super::Timers::default();
        self.inputs = vec![Input::default(); inputs];
        self.other_positions.clear();
        self.standing = super::Standing::default();
        (self.now, self.released, self.released_appended) = (0, 0, 0);
        (self.expired_bucket, self.expired_bucket_confirmed) = (-1, -1);
        self.digest = super::checkpoint::empty_digest();
        self.skipped_run = 0;
        reached("overlay_dropped_before_reclaim");
    }

    /// Reads one record of the journal: replay, or a scan for foreign claims. Bytes that are no journal record are corruption.
    pub fn journal_record(&mut self, offset: i64, value: &[u8], cx: &mut Context<'_>) {
        match self.phase {
            Phase::Replaying | Phase::Scanning => {}
            Phase::Idle | Phase::Claiming | Phase::Owning | Phase::Stopped => return,
        }
        let record = match JournalRecord::decode(value) {
            Ok(record) => record,
            Err(error) => return self.corrupt(offset, error.to_string(), cx),
        };
        if self.phase == Phase::Scanning {
            self.scan(offset, &record, cx);
        } else {
            self.replay(offset, &record, cx);
        }
    }

    fn replay(&mut self, offset: i64, record: &JournalRecord, cx: &mut Context<'_>) {
        if let Some(expected) = self.claim.verify.take() {
            if offset != self.standing.next_offset - 1 || identity(record) != expected {
                cx.out.push(Do::StopJournal);
                return self.rebuild(cx);
            }
            return;
        }
        if offset < self.standing.next_offset {
            return;
        }
        if offset > self.standing.next_offset {
            let gap = format!("the journal was read at offset {offset} instead of {}", self.standing.next_offset);
            return self.doubtful(&gap, cx);
        }
        if let JournalRecord::Claim(claim) = record
            && claim.partitions != self.settings.partitions
        {
            let why = Why::PartitionsDiffer { journal: claim.partitions, configured: self.settings.partitions };
            return self.step_down(why, cx);
        }
        let at = self.claim.offset.expect("replay begins when the claim's offset is known");
        if offset > at && !mutated("replay_past_claim_unverified") {
            return self.doubtful("the journal has no record at the claim's offset", cx);
        }
        if let Err(detail) = self.replay_record(offset, record, cx) {
            return self.corrupt(offset, detail, cx);
        }
        reached("replay_half");
        if offset >= at {
            let mine = self.standing.claim_offset == at && self.standing.claim == self.claim.id;
            if !mine && !mutated("replay_past_claim_unverified") {
                return self.doubtful("the record at the claim's offset is not the claim", cx);
            }
            self.own(cx);
        }
    }

    /// Replay is done: send again what `released` does not cover, then read inputs.
    fn own(&mut self, cx: &mut Context<'_>) {
        cx.out.push(Do::StopJournal);
        reached("replay_done_before_resend");
        self.phase = Phase::Owning;
        self.claim.owned = true;
        self.last_record_at = cx.now;
        self.released_appended = self.released;
        if mutated("no_resend") || mutated("unreleased_forgotten_on_reclaim") {
            self.outgoing.release_below(i64::MAX);
        }
        for number in self.outgoing.waiting_numbers() {
            cx.counters.resent += 1;
            cx.out.push(Do::Send(Tag::Effect(number)));
        }
        reached("resend_done_before_read");
        if let Err(detail) = self.start_timers(cx) {
            return self.store_failed(detail, cx);
        }
        self.read_inputs(cx);
        cx.out.push(Do::Owned);
    }

    fn read_inputs(&mut self, cx: &mut Context<'_>) {
        self.paused = false;
        for index in 0..self.inputs.len() {
            let settings = &self.settings.inputs[index];
            let made_again = self.other_positions.iter().any(|position| position.name == settings.name);
            if made_again && self.inputs[index].position.is_none() && !settings.accept_new {
                let why = Why::TopicMadeAgain { partition: self.settings.number, topic: settings.name.to_string() };
                return self.step_down(why, cx);
            }
            match (self.inputs[index].position, settings.start_at) {
                (Some(position), _) => {
                    self.inputs[index].read_to = position;
                    self.inputs[index].reading = true;
                    cx.out.push(Do::ReadInput(index, position));
                }
                (None, super::StartAt::Earliest | super::StartAt::Latest) => cx.out.push(Do::AskInput(index)),
                (None, super::StartAt::Time(time)) => cx.out.push(Do::AskInputAt(index, time)),
            }
        }
    }

    /// Whatever was doubtful: nothing unconfirmed can be trusted. The worker has given up the sender.
    pub fn doubt(&mut self, cx: &mut Context<'_>) {
        cx.counters.doubts += 1;
        match self.phase {
            Phase::Stopped => {}
            Phase::Idle => cx.out.push(Do::Ready),
            Phase::Claiming | Phase::Replaying => {
                cx.out.push(Do::StopJournal);
                self.phase = Phase::Idle;
                cx.out.push(Do::Ready);
            }
            Phase::Scanning => {}
            Phase::Owning if mutated("reclaim_without_replay") => {
                cx.out.push(Do::StopInputs);
                self.open = None;
                self.pending.clear();
                self.pending_bytes = 0;
                self.phase = Phase::Idle;
                cx.out.push(Do::Ready);
            }
            Phase::Owning => {
                reached("gap_seen");
                cx.out.push(Do::StopInputs);
                self.open = None;
                self.pending.clear();
                self.pending_bytes = 0;
                self.phase = Phase::Scanning;
                self.claim.scan_end = None;
                cx.out.push(Do::ReadJournal(self.standing.next_offset));
                cx.out.push(Do::AskJournal);
            }
        }
    }

    /// Behind the last confirmed record: whoever claimed there is the owner now.
    fn scan(&mut self, offset: i64, record: &JournalRecord, cx: &mut Context<'_>) {
        if let JournalRecord::Claim(claim) = record
            && !self.claim.own.contains(&claim.id)
        {
            reached("foreign_claim_seen");
            let why =
                Why::Fenced { partition: self.settings.number, owner: claim.owner.to_string(), address: claim.address.to_string() };
            return self.step_down(why, cx);
        }
        self.standing.next_offset = self.standing.next_offset.max(offset + 1);
        self.scan_finished(offset + 1, cx);
    }

    fn scan_finished(&mut self, read_to: i64, cx: &mut Context<'_>) {
        if self.phase == Phase::Scanning && self.claim.scan_end.is_some_and(|end| read_to >= end) {
            cx.out.push(Do::StopJournal);
            self.phase = Phase::Idle;
            cx.out.push(Do::Ready);
        }
    }

    /// Asks the worker for the one way out.
    pub(super) fn doubtful(&mut self, why: &str, cx: &mut Context<'_>) {
        cx.out.push(Do::Doubt(format!("partition {}: {why}", self.settings.number)));
    }

    fn corrupt(&mut self, offset: i64, detail: String, cx: &mut Context<'_>) {
        self.step_down(Why::Corrupt { partition: self.settings.number, offset, detail }, cx);
    }

    /// The claim's sender: events of any other are of the past.
    pub fn sender(&self) -> u32 {
        self.claim.sender
    }
}
