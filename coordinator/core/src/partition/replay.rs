//! Replay: the counting rule, then `apply` alone.

use std::sync::Arc;

use ringmaster_schemas::journal::{Cause, Change, Decision, JournalRecord, Position, Stamp};
use ringmaster_schemas::state::Saga;

use super::overlay::Slot;
use super::{Context, Partition, Verdict};
use crate::faults::mutated;
use crate::saga::{Effect, apply};

impl Partition {
    /// Takes one record of the journal in the log's order. An error is corruption.
    pub(super) fn replay_record(&mut self, offset: i64, record: &JournalRecord, cx: &mut Context<'_>) -> Result<(), String> {
        let verdict = self.standing.judge(offset, record);
        if verdict == Verdict::Void {
            if mutated("void_record_moves_position") {
                self.replay_positions(record);
            }
            return Ok(());
        }
        let Some(stamp) = record.stamp() else { return Ok(()) };
        cx.counters.replayed += 1;
        self.replay_stamp(stamp);
        self.replay_positions(record);
        if let JournalRecord::Decision(decision) = record {
            let mut effects = Vec::new();
            for turn in &decision.turns {
                for change in &turn.changes {
                    self.replay_change(change, &mut effects, cx)?;
                }
            }
            let _numbers = self.outgoing.push(offset, effects);
            self.outgoing.release_below(self.released);
        }
        Ok(())
    }

    fn replay_stamp(&mut self, stamp: &Stamp) {
        self.now = self.now.max(stamp.now);
        self.released = self.released.max(stamp.released);
        self.outgoing.release_below(self.released);
    }

    fn replay_positions(&mut self, record: &JournalRecord) {
        match record {
            JournalRecord::Decision(decision) => {
                for turn in &decision.turns {
                    self.replay_cause(decision, &turn.cause);
                }
            }
            JournalRecord::Positions(positions) => {
                for position in &positions.positions {
                    self.set_position(position.clone());
                }
            }
            JournalRecord::Claim(_) | JournalRecord::Bare(_) => {}
        }
    }

    fn replay_cause(&mut self, decision: &Decision, cause: &Cause) {
        if mutated("position_unjournaled") {
            return;
        }
        if let Cause::Input(input) = cause
            && let Some(topic) = decision.topics.get(input.topic as usize)
        {
            if let Some(index) = self.settings.inputs.iter().position(|settings| settings.topic == *topic) {
                self.inputs[index].position = Some(input.next);
                self.inputs[index].journaled = Some(input.next);
                self.inputs[index].confirmed = Some(input.next);
            } else if let Some(other) = self.other_positions.iter_mut().find(|other| other.topic == *topic) {
                other.next = input.next;
            }
        }
    }

    /// A position by topic id: of an input, or kept for one that is not configured now.
    pub(super) fn set_position(&mut self, position: Position) {
        if let Some(index) = self.settings.inputs.iter().position(|settings| settings.topic == position.topic) {
            self.inputs[index].position = Some(position.next);
            self.inputs[index].journaled = Some(position.next);
            self.inputs[index].confirmed = Some(position.next);
        } else if let Some(other) = self.other_positions.iter_mut().find(|other| other.topic == position.topic) {
            other.next = position.next;
        } else {
            self.other_positions.push(position);
        }
    }

    fn replay_change(&mut self, change: &Change, effects: &mut Vec<Effect>, cx: &mut Context<'_>) -> Result<(), String> {
        match change {
            Change::Saga(change) => {
                let slot = self.place(&change.saga, cx)?;
                let mut saga = self.visible(slot).map(|saga| Saga::clone(saga));
                for event in &change.events {
                    apply(&mut saga, event).map_err(|illegal| illegal.to_string())?;
                }
                let saga = saga.expect("an applied event leaves a saga");
                self.react(&change.saga, &saga, &change.events, effects);
                let saga = Arc::new(saga);
                self.overlay.set_current(slot, saga.clone(), -1);
                self.overlay.set_confirmed(slot, saga, -1);
            }
            Change::Quarantined(quarantined) => effects.push(self.quarantine_effect(quarantined)),
            Change::Rejected(_) => {}
            Change::Expired(expired) => {
                self.expired_bucket = self.expired_bucket.max(expired.bucket);
                self.expired_bucket_confirmed = self.expired_bucket;
            }
            Change::Undeliverable(place) => self.outgoing.park(place.offset, place.index),
            Change::Delivered(place) => self.outgoing.unpark(place.offset, place.index),
        }
        Ok(())
    }

    /// The row's place in memory, loaded or new.
    pub(super) fn place(&mut self, id: &Arc<str>, cx: &Context<'_>) -> Result<Slot, String> {
        if let Some(slot) = self.overlay.find(id) {
            return Ok(slot);
        }
        let row = self.load(id, cx)?;
        Ok(self.overlay.insert(id.clone(), row))
    }

    /// The saga that an id means now: none if it never was, or was forgotten.
    pub(super) fn visible(&self, slot: Slot) -> Option<&Arc<Saga>> {
        let saga = self.overlay.entry(slot).current.as_ref()?;
        let gone = saga.ended() && saga.expires_at / super::EXPIRY_BUCKET_MS <= self.expired_bucket;
        (!gone).then_some(saga)
    }
}
