//! The record in the making: the turns of one poll, encoded once; then appended, and on its way until it is confirmed.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Bare, DecisionWriter, JournalRecord, Position, Positions, Stamp, TopicId};

use super::ahead::{Move, Open, Pending};
use super::owner::Owner;
use super::turn::Turn;
use super::{Context, Tag, Wish, law};
use crate::faults::reached;
use crate::saga::Effect;

/// Bytes that a record may need beside its turns: stamp, topics, ends of arrays.
const RECORD_OVERHEAD_BYTES: usize = 1024;
/// A run of so many skipped inputs is recorded, so that a takeover never reads far again.
const SKIPPED_RUN_MAX: usize = 1000;
/// What nothing else carries (skipped inputs, `released`) is journaled within this time.
const QUIET_RECORD_MS: Millis = 1000;

impl Owner {
    /// The partition's time for the next turn: taken once per record, never backwards.
    pub(super) fn turn_time(&self, cx: &Context<'_>) -> Millis {
        self.ahead.open.as_ref().map_or_else(|| self.clock.time(cx.clocks()).max(self.ahead.now), |open| open.now)
    }

    fn stamp(&mut self, now: Millis, cx: &Context<'_>) -> Stamp {
        self.note_jump(cx);
        let fence = &self.replica.fence;
        let on_their_way = self.ahead.pending.len();
        let released = law::released(&self.replica.outbox, fence.next_offset, on_their_way);
        self.replica.outbox.moved = false;
        self.ahead.released = released;
        self.ahead.now = self.ahead.now.max(now);
        self.clock.take(now, cx.clocks());
        let number = fence.number + on_their_way as i64;
        Stamp { claim_offset: fence.claim_offset, claim: fence.claim, number, released, now }
    }

    /// The open record, begun at this time if there is none: one that follows a full one keeps its time, since the turn was decided at
    /// it.
    fn opened(&mut self, now: Millis, cx: &Context<'_>) -> &mut Open {
        if self.ahead.open.is_none() {
            let stamp = self.stamp(now, cx);
            let topics: Vec<TopicId> = self.settings.inputs.iter().map(|input| input.topic).collect();
            let writer = DecisionWriter::new(&stamp, &topics, 4096);
            let (touched, effects, moves, tallied) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let (number, decided_at) = (stamp.number, cx.steady);
            self.ahead.open = Some(Open { writer, number, now, decided_at, touched, effects, moves, tallied });
        }
        self.ahead.open.as_mut().expect("just opened")
    }

    /// Writes a turn into the open record, which is closed first if the turn would not fit behind others; none if it fits into no
    /// record at all.
    pub(super) fn write(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) -> Option<&mut Open> {
        let now = self.turn_time(cx);
        let full = self.ahead.open.as_ref().is_some_and(|open| open.writer.turn_count() >= self.settings.limits.record_turns_max);
        if full {
            self.close_record(cx);
        }
        if !self.write_one(turn, now, cx) {
            reached("size_refused");
            let open = self.ahead.open.as_ref()?;
            if open.writer.turn_count() == 0 || open.writer.byte_count() < RECORD_OVERHEAD_BYTES {
                return None;
            }
            self.close_record(cx);
            if !self.write_one(turn, now, cx) {
                return None;
            }
        }
        self.ahead.open.as_mut()
    }

    fn write_one(&mut self, turn: &Turn<'_>, now: Millis, cx: &Context<'_>) -> bool {
        let limit = self.settings.limits.record_bytes_max;
        let open = self.opened(now, cx);
        let (bytes, turns) = (open.writer.byte_count() - 1, open.writer.turn_count());
        open.writer.push(&turn.cause, turn.raw, &turn.changes);
        let fits = law::fits(open.writer.byte_count(), limit);
        if !fits {
            open.writer.truncate(bytes, turns);
        }
        fits
    }

    /// Sends the open record on its way, if it has turns.
    pub(super) fn close_record(&mut self, cx: &mut Context<'_>) {
        let Some(open) = self.ahead.open.take() else { return };
        if open.writer.turn_count() == 0 {
            return;
        }
        reached("decided_not_queued");
        let current = |&slot| (slot, self.current(slot).expect("a touched row exists").clone());
        let rows = open.touched.iter().map(current).collect();
        cx.counters.turns += open.writer.turn_count() as u64;
        let pending = self.pending(open.number, open.now);
        let Open { writer, decided_at, effects, moves, tallied, .. } = open;
        self.append(writer.finish(), Pending { decided_at, rows, effects, moves, tallied, ..pending }, cx);
    }

    fn pending(&mut self, number: i64, now: Millis) -> Pending {
        let mut positions = Vec::new();
        for (index, read) in self.ahead.reads.iter_mut().enumerate() {
            if let Some(next) = read.journaled.filter(|_| read.journaled != read.pending) {
                read.pending = read.journaled;
                let settings = &self.settings.inputs[index];
                positions.push(Position { topic: settings.topic, name: self.inputs[index].place(settings), next });
            }
        }
        Pending {
            number,
            offset: None,
            now,
            released: self.ahead.released,
            rows: Vec::new(),
            effects: Vec::new(),
            positions,
            moves: Vec::new(),
            tallied: Vec::new(),
            decided_at: 0,
            appended_at: 0,
            bytes: 0,
        }
    }

    fn append(&mut self, bytes: Vec<u8>, mut pending: Pending, cx: &mut Context<'_>) {
        let number = pending.number;
        pending.appended_at = cx.steady;
        pending.bytes = bytes.len() + pending.effects.iter().map(Effect::held_bytes).sum::<usize>();
        self.ahead.record_bytes += pending.bytes;
        self.ahead.pending.push_back(pending);
        // A turn covers what was skipped before it on its own input only.
        if self.ahead.skipped > 0 && (0..self.inputs.len()).all(|index| self.is_done_to(index) == self.ahead.reads[index].journaled)
        {
            self.ahead.skipped = 0;
        }
        self.ahead.appended_at = cx.steady;
        cx.counters.records += 1;
        cx.counters.record_bytes += bytes.len() as u64;
        reached("queued_not_sent");
        cx.out.push(Wish::Append { bytes, tag: Tag::Record(number) });
        law::appended(self, cx);
    }

    /// What nothing else carried for a while: runs of skipped inputs, and how far effects were delivered.
    pub(super) fn quiet_records(&mut self, cx: &mut Context<'_>) {
        let quiet = cx.steady - self.ahead.appended_at >= QUIET_RECORD_MS;
        if self.ahead.skipped >= SKIPPED_RUN_MAX || (self.ahead.skipped > 0 && quiet) {
            self.append_positions(cx);
        } else if quiet && self.replica.outbox.moved && self.ahead.pending.is_empty() {
            self.append_bare(cx);
        }
    }

    /// Appends where inputs go on behind what was skipped. No record is open: their positions ride on it.
    pub(super) fn append_positions(&mut self, cx: &mut Context<'_>) {
        let now = self.turn_time(cx);
        let stamp = self.stamp(now, cx);
        let number = stamp.number;
        let (mut positions, mut pins) = (Vec::new(), Vec::new());
        for index in 0..self.inputs.len() {
            let (done, settings) = (self.is_done_to(index), &self.settings.inputs[index]);
            if let Some(next) = done
                && done != self.ahead.reads[index].journaled
            {
                self.ahead.reads[index].journaled = done;
                positions.push(Position { topic: settings.topic, name: self.inputs[index].place(settings), next });
            }
            if let Some(route) = &mut self.inputs[index].route
                && std::mem::take(&mut route.unsaid)
            {
                pins.extend(route.said());
            }
        }
        reached("skip_run_unacked");
        let mut pending = self.pending(number, now);
        pending.moves.extend(pins.iter().cloned().map(Move::Pin));
        positions.extend(pins);
        self.append(JournalRecord::Positions(Positions { stamp, positions }).encode(), pending, cx);
    }

    /// Appends a record that only carries `released`. No record is open.
    pub(super) fn append_bare(&mut self, cx: &mut Context<'_>) {
        let now = self.turn_time(cx);
        let stamp = self.stamp(now, cx);
        let pending = self.pending(stamp.number, now);
        self.append(JournalRecord::Bare(Bare { stamp }).encode(), pending, cx);
    }
}
