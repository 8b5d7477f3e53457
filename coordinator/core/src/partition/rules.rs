//! The rules of the journal, as PROTOCOL.md section 2 numbers them: one named predicate for each decision that they make.
//! Rule 13 is the Kafka bus's (`kafka/bus.rs`, `visit_deliveries`): no delivery is handled in a callback.
//!
//! Under the feature `faults` the same names are looked up in `broken`, which breaks one of them on purpose; see [`super::law`].

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
use super::{Context, Refusal, StartAt};

/// Rule 1. Every claim record, a repeat or one's own included, ends the term before it and begins another.
pub(super) fn begin_term(fence: &mut Fence, offset: i64, id: ClaimId) {
    (fence.claim_offset, fence.claim, fence.number) = (offset, id, 0);
}

/// Rule 1. A record counts if and only if the newest claim before it is the one at its offset C with its id, and its number is the
/// next of that claim.
pub(super) fn counts(fence: &Fence, stamp: &Stamp) -> bool {
    (stamp.claim_offset, stamp.claim, stamp.number) == (fence.claim_offset, fence.claim, fence.number)
}

/// Rules 1 and 7. Positions move only with counting records.
pub(super) fn moves_positions(verdict: Verdict) -> bool {
    verdict == Verdict::Counts
}

/// Rule 7. A turn's cause says where its input goes on: the input's number in the record, and the next offset.
pub(super) fn position_of(cause: &Cause) -> Option<(usize, i64)> {
    match cause {
        Cause::Input { topic, next } | Cause::Routed { topic, next, .. } => Some((usize::try_from(*topic).ok()?, *next)),
        Cause::Due { .. } | Cause::Upkeep {} => None,
    }
}

/// Section 4. The turn that takes a record of the inbox says how far its source was taken with that: topic, partition, next offset.
pub(super) fn mark_of(cause: &Cause) -> Option<(TopicId, i32, i64)> {
    match cause {
        Cause::Routed { from, .. } => Some((from.source, from.partition, from.offset + 1)),
        Cause::Input { .. } | Cause::Due { .. } | Cause::Upkeep {} => None,
    }
}

/// Section 4. A mark counts from the record on that moves the position of the inbox.
pub(super) fn mark_goes_with_its_turn() -> bool {
    true
}

/// Section 4. A record of the inbox that means nothing moves its mark all the same, in the same record as the position.
pub(super) fn mark_moves_over_skipped() -> bool {
    true
}

/// Section 4. What routers hand on is taken once and without a gap: above the mark, and only if what its session sent before was taken.
/// `mark` is the next offset.
pub(super) fn takes_routed(mark: i64, prev: Option<i64>, offset: i64) -> Accepts {
    if offset < mark {
        Accepts::Again
    } else if prev.is_some_and(|prev| prev >= mark) {
        Accepts::Gap
    } else {
        Accepts::Takes
    }
}

/// Section 4. A router that something failed of sends again from its commit, which covers what is acknowledged without a gap.
pub(super) fn goes_back_to_commit() -> bool {
    true
}

/// Section 4. A topic that is routed begins where the setting says, and goes on at the router's commit.
pub(super) fn begins_at_end(start_at: StartAt, _is_routed: bool) -> bool {
    start_at == StartAt::Latest
}

/// Section 1. A claim's id is new for every attempt; `_earlier` are those of this instance.
pub(super) fn claim_id(new: ClaimId, _earlier: &[ClaimId]) -> ClaimId {
    new
}

/// Rule 2. The claim's acknowledged offset is the C of the term; without it nothing can be counted.
pub(super) fn offset_of_claim(acknowledged: Option<i64>) -> Option<i64> {
    acknowledged
}

/// Rule 2. Nothing is owned before the journal is replayed to the claim.
pub(super) fn replay_comes_first() -> bool {
    true
}

/// Rule 2. Owner only if the newest claim at C is mine.
pub(super) fn owns(fence: &Fence, claim_offset: i64, id: ClaimId) -> bool {
    fence.claim_offset == claim_offset && fence.claim == id
}

/// Rule 2. What `released` does not cover is sent again.
pub(super) fn to_send_again(outbox: &mut Outbox) -> Vec<u64> {
    outbox.waiting_numbers()
}

/// Rules 1 and 3. Where a record stands in the journal that is still in the making: behind the claim by its number, or it does not count.
pub(super) fn offset_of_number(fence: &Fence, number: i64) -> i64 {
    fence.claim_offset + 1 + number
}

/// A row remembers the offsets of the records that changed it, whoever makes the change true.
pub(super) fn remembers_turns(_: Taker) -> bool {
    true
}

/// Rule 3. Acknowledgements are keyed by their sender.
pub(super) fn is_of(sender: u32, owner: u32) -> bool {
    sender == owner
}

/// Rules 3 and 4. An acknowledgement without an offset says nothing; `_expected` is where the record should be.
pub(super) fn offset_of_record(acknowledged: Option<i64>, _expected: i64) -> Option<i64> {
    acknowledged
}

/// Rule 3. Acknowledgements are handled in the order of numbers: the offset of the first unconfirmed record, if it is known.
pub(super) fn first_acknowledged(pending: &mut VecDeque<Pending>) -> Option<i64> {
    pending.front()?.offset
}

/// Rule 3. A record is confirmed if all before it are, and its offset is the next one, counted from C.
pub(super) fn confirms(fence: &Fence, offset: i64) -> bool {
    offset == fence.next_offset
}

/// Rule 4. Any journal record that failed, whyever, is a doubt.
pub(super) fn is_doubt(_why: &Refusal) -> bool {
    true
}

/// Rule 4. In doubt all that is speculative is dropped.
pub(super) fn drop_ahead(ahead: Ahead, _replica: &mut Replica) {
    drop(ahead);
}

/// Rule 5. Effects leave only behind their confirmed record: nothing leaves when it is appended.
pub(super) fn appended(_owner: &mut Owner, _cx: &mut Context<'_>) {}

/// Rule 6. Exclusive: every counting record below has all its effects acknowledged. `confirmed` is the offset behind the confirmed ones,
/// `_speculative` how many records are on their way.
pub(super) fn released(outbox: &Outbox, confirmed: i64, _speculative: usize) -> i64 {
    outbox.first_waiting().unwrap_or(confirmed)
}

/// Rule 8. A checkpoint holds what is confirmed, never what is ahead of that.
pub(super) fn before_checkpoint(_replica: &mut Replica, _ahead: &Ahead) {}

/// Rule 8. A checkpoint stands behind the last record that is in it.
pub(super) fn checkpoint_offset(fence: &Fence) -> i64 {
    fence.next_offset
}

/// Rule 8. A checkpoint holds (C, id, next number) and the identity of the record before it.
pub(super) fn fence_of(checkpoint: &Checkpoint) -> Fence {
    Fence {
        next_offset: checkpoint.journal_offset,
        claim_offset: checkpoint.claim_offset,
        claim: checkpoint.claim,
        number: checkpoint.number,
        identity: checkpoint.identity.clone(),
    }
}

/// Rule 8. A checkpoint holds the outbox: effects that are not known to be delivered.
pub(super) fn outbox_is_stored() -> bool {
    true
}

/// Rules 5 and 8. Effects that a replay put off are made before anything looks for them in the outbox.
pub(super) fn makes_late_effects(_: LookedAt) -> bool {
    true
}

/// Rule 9. Replay may begin at `offset` only if log start <= offset <= log end.
pub(super) fn is_within(offset: i64, log_start: i64, log_end: i64) -> bool {
    (log_start..=log_end).contains(&offset)
}

/// Rule 9. And only if the record before it is this one; none if the log holds nothing before it.
pub(super) fn proof(fence: &Fence, log_start: i64) -> Option<Identity> {
    (fence.next_offset > log_start).then(|| fence.identity.clone())
}

/// Rule 10. A record stays within what the journal's topic takes: `limit` is never above that.
pub(super) fn fits(bytes: usize, limit: usize) -> bool {
    bytes <= limit
}

/// Rule 11. A timer of `due` fires only when each input that can answer it was read to an end that was asked for at `read_as_of`, after
/// it was due.
pub(super) fn answers_are_read(due: Millis, read_as_of: Millis) -> bool {
    read_as_of >= due
}

/// Rule 12. Rows expire by a journaled turn.
pub(super) fn expiry_is_journaled() -> bool {
    true
}
