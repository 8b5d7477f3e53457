//! The rules of the journal, each broken on purpose: what the simulator must notice (PROTOCOL.md section 6).
//!
//! Whatever is not here is as in [`rules`].

use std::collections::VecDeque;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Cause, ClaimId, Stamp, TopicId};
use ringmaster_schemas::state::{Checkpoint, Identity};

use super::ahead::{Ahead, Pending};
use super::fence::{Fence, Verdict};
use super::late::LookedAt;
use super::marks::Accepts;
use super::outbox::Outbox;
use super::owner::Owner;
use super::replica::Replica;
use super::turns::Taker;
use super::{Context, Refusal, StartAt, Tag, Wish, rules};
use crate::faults::mutated;

/// Attacked by the partition's own tests: the simulator's records are small.
pub(super) fn fits(bytes: usize, limit: usize) -> bool {
    rules::fits(bytes, limit) || mutated("size_limit_ignored")
}

pub(super) fn begin_term(fence: &mut Fence, offset: i64, id: ClaimId) {
    let repeated = id == fence.claim && fence.claim_offset >= 0;
    if repeated && mutated("repeated_claim_keeps_counter") {
        return;
    }
    if repeated && mutated("repeated_claim_resets_counter") {
        fence.number = 0;
        return;
    }
    rules::begin_term(fence, offset, id);
}

pub(super) fn counts(fence: &Fence, stamp: &Stamp) -> bool {
    let names_only_the_id = mutated("repeated_claim_keeps_counter") || mutated("repeated_claim_resets_counter");
    let same_offset = stamp.claim_offset == fence.claim_offset || names_only_the_id;
    let under = mutated("no_claim_check") || (same_offset && stamp.claim == fence.claim);
    let numbered = stamp.number == fence.number
        || mutated("no_number_check")
        || (mutated("number_gap_accepted") && stamp.number > fence.number)
        || (mutated("number_repeat_accepted") && stamp.number < fence.number);
    rules::counts(fence, stamp) || (under && numbered)
}

pub(super) fn moves_positions(verdict: Verdict) -> bool {
    rules::moves_positions(verdict) || (verdict == Verdict::Void && mutated("void_record_moves_position"))
}

pub(super) fn position_of(cause: &Cause) -> Option<(usize, i64)> {
    rules::position_of(cause).filter(|_| !mutated("position_unjournaled"))
}

pub(super) fn mark_of(cause: &Cause) -> Option<(TopicId, i32, i64)> {
    rules::mark_of(cause).filter(|_| mark_goes_with_its_turn())
}

pub(super) fn mark_goes_with_its_turn() -> bool {
    rules::mark_goes_with_its_turn() && !mutated("mark_not_in_the_same_record")
}

pub(super) fn mark_moves_over_skipped() -> bool {
    rules::mark_moves_over_skipped() && !mutated("mark_not_advanced_over_skipped")
}

pub(super) fn takes_routed(mark: i64, prev: Option<i64>, offset: i64) -> Accepts {
    if mutated("mark_not_checked") {
        return Accepts::Takes;
    }
    rules::takes_routed(mark, prev.filter(|_| !mutated("prev_not_checked")), offset)
}

pub(super) fn goes_back_to_commit() -> bool {
    rules::goes_back_to_commit() && !mutated("router_commits_past_gap")
}

pub(super) fn begins_at_end(start_at: StartAt, is_routed: bool) -> bool {
    rules::begins_at_end(start_at, is_routed) || is_routed && mutated("router_starts_latest")
}

pub(super) fn claim_id(new: ClaimId, earlier: &[ClaimId]) -> ClaimId {
    let first = earlier.first().copied().filter(|_| mutated("claim_id_per_instance"));
    rules::claim_id(first.unwrap_or(new), earlier)
}

pub(super) fn offset_of_claim(acknowledged: Option<i64>) -> Option<i64> {
    rules::offset_of_claim(acknowledged).or_else(|| mutated("claim_offset_guessed").then_some(i64::MAX))
}

pub(super) fn replay_comes_first() -> bool {
    rules::replay_comes_first() && !mutated("reclaim_without_replay")
}

pub(super) fn owns(fence: &Fence, claim_offset: i64, id: ClaimId) -> bool {
    rules::owns(fence, claim_offset, id) || mutated("replay_past_claim_unverified")
}

pub(super) fn to_send_again(outbox: &mut Outbox) -> Vec<u64> {
    if mutated("no_resend") || mutated("unreleased_forgotten_on_reclaim") {
        outbox.release_below(i64::MAX);
    }
    rules::to_send_again(outbox)
}

pub(super) fn offset_of_number(fence: &Fence, number: i64) -> i64 {
    rules::offset_of_number(fence, number) + i64::from(mutated("turn_one_offset_late"))
}

pub(super) fn remembers_turns(taker: Taker) -> bool {
    let broken = match taker {
        Taker::Owner => "turn_forgotten_by_its_owner",
        Taker::Replay => "turn_forgotten_in_replay",
        Taker::Restore => "turn_forgotten_in_restore",
    };
    rules::remembers_turns(taker) && !mutated(broken)
}

pub(super) fn is_of(sender: u32, owner: u32) -> bool {
    rules::is_of(sender, owner) || mutated("acks_keyed_by_number_only")
}

pub(super) fn offset_of_record(acknowledged: Option<i64>, expected: i64) -> Option<i64> {
    rules::offset_of_record(acknowledged, expected).or_else(|| mutated("ack_without_offset_taken").then_some(expected))
}

pub(super) fn first_acknowledged(pending: &mut VecDeque<Pending>) -> Option<i64> {
    if mutated("failed_record_skipped") {
        while pending.len() > 1 && pending[0].offset.is_none() && pending[1].offset.is_some() {
            pending.pop_front();
        }
    }
    rules::first_acknowledged(pending)
}

pub(super) fn confirms(fence: &Fence, offset: i64) -> bool {
    rules::confirms(fence, offset) || mutated("ack_not_contiguous") || mutated("gap_ignored")
}

pub(super) fn is_doubt(why: &Refusal) -> bool {
    rules::is_doubt(why) && !mutated("failed_record_skipped")
}

pub(super) fn drop_ahead(ahead: Ahead, replica: &mut Replica) {
    if mutated("overlay_kept_on_loss") {
        take_rows(replica, &ahead);
    }
    rules::drop_ahead(ahead, replica);
}

pub(super) fn appended(owner: &mut Owner, cx: &mut Context<'_>) {
    rules::appended(owner, cx);
    if mutated("release_before_ack") {
        let effects = std::mem::take(&mut owner.ahead.pending.back_mut().expect("just appended").effects);
        for number in owner.replica.outbox.push(owner.replica.fence.next_offset, effects) {
            cx.out.push(Wish::Send(Tag::Effect(number)));
        }
    }
}

pub(super) fn released(outbox: &Outbox, confirmed: i64, speculative: usize) -> i64 {
    if mutated("released_at_confirm") {
        return confirmed;
    }
    if mutated("released_at_send") {
        return outbox.first_unsent().unwrap_or(confirmed);
    }
    let more = if mutated("released_with_speculative") { speculative as i64 + 1 } else { 0 };
    rules::released(outbox, confirmed, speculative) + more
}

pub(super) fn before_checkpoint(replica: &mut Replica, ahead: &Ahead) {
    if mutated("checkpoint_speculative") {
        take_rows(replica, ahead);
    }
    rules::before_checkpoint(replica, ahead);
}

fn take_rows(replica: &mut Replica, ahead: &Ahead) {
    for (&slot, current) in &ahead.rows {
        replica.table.set(slot, current.saga.clone());
    }
}

pub(super) fn checkpoint_offset(fence: &Fence) -> i64 {
    rules::checkpoint_offset(fence) - i64::from(mutated("checkpoint_offset_one_low"))
}

pub(super) fn fence_of(checkpoint: &Checkpoint) -> Fence {
    let fence = rules::fence_of(checkpoint);
    if mutated("checkpoint_without_claim") {
        return Fence { next_offset: fence.next_offset, identity: fence.identity, ..Fence::default() };
    }
    fence
}

pub(super) fn outbox_is_stored() -> bool {
    rules::outbox_is_stored() && !mutated("checkpoint_without_outbox")
}

pub(super) fn makes_late_effects(looked_at: LookedAt) -> bool {
    let broken = match looked_at {
        LookedAt::Stored => "late_effects_not_stored",
        LookedAt::Sent => "late_effects_not_sent",
        // It would be sent again, refused again, and set apart again: nothing that anybody sees.
        LookedAt::SetApart => return rules::makes_late_effects(looked_at),
    };
    rules::makes_late_effects(looked_at) && !mutated(broken)
}

pub(super) fn is_within(offset: i64, log_start: i64, log_end: i64) -> bool {
    rules::is_within(offset, log_start, log_end) || mutated("log_start_ignored")
}

pub(super) fn proof(fence: &Fence, log_start: i64) -> Option<Identity> {
    rules::proof(fence, log_start).filter(|_| !mutated("no_identity_check"))
}

pub(super) fn answers_are_read(due: Millis, read_as_of: Millis) -> bool {
    rules::answers_are_read(due, read_as_of) || mutated("timer_before_unread_reply")
}

pub(super) fn expiry_is_journaled() -> bool {
    rules::expiry_is_journaled() && !mutated("expiry_unjournaled")
}
