//! Acknowledgements: records are confirmed in the order of their numbers, at the offsets that follow the claim (PROTOCOL.md rule 3).

use super::record::{Move, Pending};
use super::{Context, Do, Partition, Phase, Refusal, Tag};
use crate::faults::{mutated, reached};

impl Partition {
    /// The broker has a record of `sender`.
    pub fn acknowledged(&mut self, sender: u32, tag: Tag, offset: Option<i64>, cx: &mut Context<'_>) {
        if sender != self.claim.sender && !mutated("acks_keyed_by_number_only") {
            return;
        }
        match (self.phase, tag) {
            (Phase::Claiming, Tag::Claim) => {
                reached("claim_appended_unacked");
                self.claim_acknowledged(offset, cx);
            }
            (Phase::Owning, Tag::Record(number)) => self.record_acknowledged(number, offset, cx),
            (Phase::Owning, Tag::Effect(number)) => {
                reached("effect_appended_unacked");
                self.outgoing.acknowledged(number);
                reached("effect_acked_unjournaled");
            }
            (Phase::Owning, Tag::Parked(number)) => {
                if let Some(place) = self.outgoing.parked_acknowledged(number) {
                    self.push_place(place, true, cx);
                }
            }
            (Phase::Idle | Phase::Claiming | Phase::Replaying | Phase::Scanning | Phase::Stopped | Phase::Owning, _) => {}
        }
    }

    fn record_acknowledged(&mut self, number: i64, offset: Option<i64>, cx: &mut Context<'_>) {
        let expected_place = number - self.standing.number;
        let Some(pending) = usize::try_from(expected_place).ok().and_then(|place| self.pending.get_mut(place)) else { return };
        let offset = match offset {
            Some(offset) => offset,
            None if mutated("ack_without_offset_taken") => self.standing.next_offset + expected_place,
            None => {
                reached("ack_without_offset");
                return self.doubtful("a record was acknowledged without its offset", cx);
            }
        };
        reached("appended_unacked");
        pending.offset = Some(offset);
        self.confirm(cx);
    }

    fn confirm(&mut self, cx: &mut Context<'_>) {
        let mut first_effect = None;
        let mut behind = 0..0;
        while let Some(offset) = self.first_acknowledged() {
            let contiguous = offset == self.standing.next_offset;
            if !contiguous && !mutated("ack_not_contiguous") && !mutated("gap_ignored") {
                let gap = format!("a record was written at offset {offset} instead of {}", self.standing.next_offset);
                return self.doubtful(&gap, cx);
            }
            let pending = self.pending.pop_front().expect("it was looked at");
            let numbers = self.confirm_record(pending, offset);
            first_effect.get_or_insert(numbers.start);
            behind = numbers;
        }
        self.read_resolved(cx);
        reached("confirmed_before_send");
        if let Some(first) = first_effect {
            for number in first..behind.end {
                cx.counters.effects += 1;
                cx.out.push(Do::Send(Tag::Effect(number)));
            }
        }
    }

    /// Inputs whose first position is journaled now are read from there.
    fn read_resolved(&mut self, cx: &mut Context<'_>) {
        for (index, input) in self.inputs.iter_mut().enumerate() {
            if let (false, Some(position)) = (input.reading, input.confirmed) {
                input.reading = true;
                cx.out.push(Do::ReadInput(index, position));
            }
        }
    }

    fn first_acknowledged(&mut self) -> Option<i64> {
        if mutated("failed_record_skipped") {
            while self.pending.len() > 1 && self.pending[0].offset.is_none() && self.pending[1].offset.is_some() {
                self.pending.pop_front();
            }
        }
        self.pending.front()?.offset
    }

    fn confirm_record(&mut self, pending: Pending, offset: i64) -> std::ops::Range<u64> {
        self.standing.confirmed(offset, pending.number);
        self.pending_bytes -= pending.bytes;
        self.released = self.released.max(pending.released);
        for (slot, saga) in pending.rows {
            self.overlay.set_confirmed(slot, saga, pending.number);
        }
        for (input, position) in self.inputs.iter_mut().zip(pending.positions) {
            input.confirmed = position;
        }
        for moved in pending.moves {
            match moved {
                Move::Expired(bucket) => self.expired_bucket_confirmed = bucket,
                Move::Parked(offset, index) => self.outgoing.park(offset, index),
                Move::Unparked(offset, index) => self.outgoing.unpark(offset, index),
            }
        }
        self.outgoing.push(offset, pending.effects)
    }

    /// A record of `sender` was not confirmed. For the journal that is a doubt; an effect is sent again, or set apart.
    pub fn failed(&mut self, sender: u32, tag: Tag, why: &Refusal, cx: &mut Context<'_>) {
        if sender != self.claim.sender {
            return;
        }
        match (tag, why) {
            (Tag::Claim | Tag::Record(_), Refusal::Permanent(why) | Refusal::Passing(why)) => {
                if self.phase == Phase::Owning && mutated("failed_record_skipped") {
                    return;
                }
                self.doubtful(&format!("a journal record was not confirmed: {why}"), cx);
            }
            (Tag::Effect(_), Refusal::Passing(_)) => cx.out.push(Do::Send(tag)),
            (Tag::Effect(number), Refusal::Permanent(_)) => {
                if self.phase == Phase::Owning
                    && let Some(place) = self.outgoing.refuse(number)
                {
                    self.push_place(place, false, cx);
                }
            }
            // Tried again by the timer.
            (Tag::Parked(_), Refusal::Permanent(_) | Refusal::Passing(_)) => {}
        }
    }

    /// The effect that a tag stands for; none if it needs no sending any more.
    pub fn effect(&mut self, tag: Tag) -> Option<&crate::saga::Effect> {
        match tag {
            Tag::Effect(number) => self.outgoing.effect(number),
            Tag::Parked(number) => self.outgoing.parked_effect(number),
            Tag::Claim | Tag::Record(_) => None,
        }
    }

    /// Acknowledgements that the sender reports as lost (none comes any more) are doubts, like any failed record; see `failed`.
    pub(super) fn overloaded(&self) -> bool {
        let limits = &self.settings.limits;
        self.pending.len() >= limits.in_flight_records_max
            || self.outgoing.len() >= limits.unreleased_effects_max
            || self.overlay.bytes() >= limits.overlay_bytes_max
    }
}
