//! Acknowledgements: records are confirmed in the order of their numbers, at the offsets that follow the claim (PROTOCOL.md rule 3).

use super::ahead::Move;
use super::owner::Owner;
use super::turn::Turn;
use super::{Context, Refusal, Tag, Wish, law};
use crate::faults::reached;
use crate::saga::Effect;

impl Owner {
    /// The broker has a record of the owner's sender.
    pub(super) fn acknowledged(&mut self, tag: Tag, offset: Option<i64>, cx: &mut Context<'_>) {
        match tag {
            Tag::Claim => {}
            Tag::Record(number) => self.record_acknowledged(number, offset, cx),
            Tag::Effect(number) => {
                reached("effect_appended_unacked");
                self.replica.outbox.acknowledged(number);
                self.count_released(cx);
                reached("effect_acked_unjournaled");
            }
            Tag::Forward(number) => self.forwarded(number),
            Tag::Undeliverable(number) => {
                if let Some((place, _)) = self.replica.outbox.effect_apart(number)
                    && self.ahead.delivered.insert(number)
                {
                    self.push_small(Turn::upkeep(Move::Delivered(place)), cx);
                }
            }
        }
    }

    fn record_acknowledged(&mut self, number: i64, offset: Option<i64>, cx: &mut Context<'_>) {
        let fence = &self.replica.fence;
        let behind = number - fence.number;
        let Some(pending) = usize::try_from(behind).ok().and_then(|place| self.ahead.pending.get_mut(place)) else { return };
        let Some(offset) = law::offset_of_record(offset, fence.next_offset + behind) else {
            reached("ack_without_offset");
            return self.doubtful("a record was acknowledged without its offset", cx);
        };
        let carries_released = pending.rows.is_empty() && pending.effects.is_empty();
        reached(if carries_released { "released_appended_unacked" } else { "appended_unacked" });
        pending.offset = Some(offset);
        if behind > 0 {
            reached("acked_not_confirmed");
        }
        self.confirm(cx);
    }

    fn confirm(&mut self, cx: &mut Context<'_>) {
        let mut confirmed = Vec::new();
        while let Some(offset) = law::first_acknowledged(&mut self.ahead.pending) {
            if !law::confirms(&self.replica.fence, offset) {
                let gap = format!("a record was written at offset {offset} instead of {}", self.replica.fence.next_offset);
                return self.doubtful(&gap, cx);
            }
            let mut pending = self.ahead.pending.pop_front().expect("it was looked at");
            self.ahead.record_bytes -= pending.bytes;
            let took_ms = u32::try_from(cx.steady - pending.appended_at).unwrap_or(0);
            self.replica.counts.lately.appends.add(took_ms);
            for (slot, _) in &pending.rows {
                self.ahead.confirmed(*slot, pending.number);
            }
            let effects = self.replica.adopt(offset, &mut pending);
            if !effects.is_empty() {
                self.replica.outbox.decided(effects.end, pending.decided_at);
            }
            confirmed.push(effects);
        }
        self.count_released(cx);
        self.read_resolved(cx);
        reached("confirmed_before_send");
        for number in confirmed.into_iter().flatten() {
            cx.counters.effects += 1;
            cx.out.push(Wish::Send(Tag::Effect(number)));
        }
    }

    /// Counts how long it took since records were decided of which nothing waits any more: what is set apart does not either.
    fn count_released(&mut self, cx: &Context<'_>) {
        while let Some(decided_at) = self.replica.outbox.pop_released() {
            self.replica.counts.lately.releases.add(u32::try_from(cx.steady - decided_at).unwrap_or(0));
        }
    }

    /// Inputs whose first position is journaled now are read from there.
    fn read_resolved(&mut self, cx: &mut Context<'_>) {
        for index in 0..self.inputs.len() {
            if self.inputs[index].begins.is_none() {
                continue;
            }
            let settings = &self.settings.inputs[index];
            let place = self.inputs[index].place(settings);
            let journaled = |first| self.replica.position(settings.topic, &place) == Some(first);
            let input = &mut self.inputs[index];
            if let Some(first) = input.begins.take_if(|first| journaled(*first)) {
                input.reading = true;
                if input.route.as_ref().is_none_or(|route| route.closed.is_none()) {
                    self.begin_to_read(index, first, cx);
                }
            }
        }
    }

    /// A record of the owner's sender was not confirmed. For the journal that is a doubt; an effect is sent again, or set apart.
    pub(super) fn failed(&mut self, tag: Tag, why: &Refusal, cx: &mut Context<'_>) {
        match (tag, why) {
            (Tag::Claim | Tag::Record(_), Refusal::Permanent(said) | Refusal::Passing(said)) => {
                if law::is_doubt(why) {
                    self.doubtful(&format!("a journal record was not confirmed: {said}"), cx);
                }
            }
            (Tag::Effect(_), Refusal::Passing(_)) => cx.out.push(Wish::Send(tag)),
            (Tag::Effect(number), Refusal::Permanent(_)) => {
                if let Some(place) = self.replica.outbox.place(number)
                    && self.ahead.refused.insert(number)
                {
                    self.push_small(Turn::upkeep(Move::Undeliverable(place)), cx);
                }
            }
            (Tag::Forward(number), _) => self.not_forwarded(number, why, cx),
            // Tried again by the timer.
            (Tag::Undeliverable(_), Refusal::Permanent(_) | Refusal::Passing(_)) => {}
        }
    }

    /// The effect that a tag stands for; none if it needs no sending any more.
    pub(super) fn effect(&mut self, tag: Tag) -> Option<&Effect> {
        match tag {
            Tag::Effect(number) if self.ahead.refused.contains(&number) => None,
            Tag::Effect(number) => self.replica.outbox.effect(number),
            Tag::Undeliverable(number) if self.ahead.delivered.contains(&number) => None,
            Tag::Undeliverable(number) => self.replica.outbox.effect_apart(number).map(|(_, effect)| effect),
            Tag::Claim | Tag::Record(_) | Tag::Forward(_) => None,
        }
    }

    /// Asks the worker for the one way out.
    fn doubtful(&mut self, why: &str, cx: &mut Context<'_>) {
        cx.out.push(Wish::doubt(self.settings.number, why));
    }
}
