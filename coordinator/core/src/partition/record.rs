//! The record in the making: the turns of one poll, encoded once; then on its way, until it is confirmed.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{
    Bare, Cause, Change, DecisionWriter, EffectPlace, JournalRecord, Position, Positions, Quarantined, SagaEvent, Stamp, TopicId,
};
use ringmaster_schemas::state::Saga;

use super::overlay::Slot;
use super::{Context, Do, Partition, QUIET_RECORD_MS, SKIPPED_RUN_MAX, Tag};
use crate::faults::{mutated, reached};
use crate::saga::{Effect, ReplyTo, react};

/// Bytes that a record may need beside its turns: stamp, topics, ends of arrays.
pub(super) const RECORD_OVERHEAD_BYTES: usize = 1024;

/// Turns that were decided and are not yet in a record on its way.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) writer: DecisionWriter,
    pub(super) number: i64,
    /// The partition's time in this record.
    pub(super) now: Millis,
    /// Rows that it changes.
    pub(super) touched: Vec<Slot>,
    pub(super) effects: Vec<Effect>,
    pub(super) moves: Vec<Move>,
}

/// What a record does beside rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    Expired(i64),
    Parked(i64, i32),
    Unparked(i64, i32),
}

/// A record on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: i64,
    /// Once acknowledged; it is confirmed when all before it are.
    pub(super) offset: Option<i64>,
    pub(super) bytes: usize,
    pub(super) released: i64,
    pub(super) rows: Vec<(Slot, Arc<Saga>)>,
    pub(super) effects: Vec<Effect>,
    pub(super) positions: Vec<Option<i64>>,
    pub(super) moves: Vec<Move>,
}

impl Partition {
    /// The next record's number.
    pub(super) fn next_number(&self) -> i64 {
        self.standing.number + self.pending.len() as i64
    }

    /// The partition's time for the next turn: taken once per record, never backwards.
    pub(super) fn turn_time(&self, cx: &Context<'_>) -> Millis {
        self.open.as_ref().map_or_else(|| cx.now.max(self.now), |open| open.now)
    }

    fn stamp(&mut self, now: Millis) -> Stamp {
        let mut released = self.outgoing.released(self.standing.next_offset);
        if mutated("released_with_speculative") {
            released += self.pending.len() as i64 + 1;
        }
        self.outgoing.moved = false;
        self.released_appended = released;
        self.now = self.now.max(now);
        Stamp { claim_offset: self.standing.claim_offset, claim: self.standing.claim, number: self.next_number(), released, now }
    }

    fn topics(&self) -> Vec<TopicId> {
        self.settings.inputs.iter().map(|input| input.topic).collect()
    }

    /// The open record, begun if there is none.
    fn opened(&mut self, cx: &Context<'_>) -> &mut Open {
        let now = self.turn_time(cx);
        self.opened_at(now)
    }

    /// The same, at this time: a record that follows a full one keeps its time, since the turn was decided at it.
    fn opened_at(&mut self, now: Millis) -> &mut Open {
        if self.open.is_none() {
            let stamp = self.stamp(now);
            let writer = DecisionWriter::new(&stamp, &self.topics(), 4096);
            self.open =
                Some(Open { writer, number: stamp.number, now, touched: Vec::new(), effects: Vec::new(), moves: Vec::new() });
        }
        self.open.as_mut().expect("just opened")
    }

    /// Appends a turn. The record is closed first if the turn would not fit; false if it fits into no record at all.
    pub(super) fn push_turn(
        &mut self,
        cause: &Cause,
        input: Option<(i64, &[u8])>,
        changes: &Vec<Change>,
        cx: &mut Context<'_>,
    ) -> bool {
        let limit = self.settings.limits.record_bytes_max;
        if self.open.as_ref().is_some_and(|open| open.writer.turn_count() >= self.settings.limits.record_turns_max) {
            let now = self.turn_time(cx);
            self.close_record(cx);
            self.opened_at(now);
        }
        let (bytes_before, turns_before) = {
            let open = self.opened(cx);
            let before = (open.writer.byte_count() - 1, open.writer.turn_count());
            open.writer.push(cause, input, changes);
            if open.writer.byte_count() <= limit {
                return true;
            }
            open.writer.truncate(before.0, before.1);
            before
        };
        reached("size_refused");
        if turns_before == 0 || bytes_before < RECORD_OVERHEAD_BYTES {
            return false;
        }
        let now = self.turn_time(cx);
        self.close_record(cx);
        let open = self.opened_at(now);
        let before = open.writer.byte_count() - 1;
        open.writer.push(cause, input, changes);
        if open.writer.byte_count() <= limit {
            return true;
        }
        open.writer.truncate(before, 0);
        false
    }

    /// Makes a decided saga current, under the open record.
    pub(super) fn stage(&mut self, slot: Slot, saga: Arc<Saga>) {
        let open = self.open.as_mut().expect("a turn was pushed");
        let number = open.number;
        if self.overlay.entry(slot).record != number {
            open.touched.push(slot);
        }
        self.overlay.set_current(slot, saga, number);
        self.schedule(slot);
    }

    pub(super) fn react(&mut self, id: &str, saga: &Saga, events: &[SagaEvent], out: &mut Vec<Effect>) {
        let topics = &mut self.command_topics;
        let mut topic_of = |command: &Arc<str>| -> Arc<str> {
            if let Some(topic) = topics.get(command) {
                return topic.clone();
            }
            let topic: Arc<str> =
                ringmaster_schemas::names::command_topic(ringmaster_schemas::names::participant_of(command)).into();
            topics.insert(command.clone(), topic.clone());
            topic
        };
        let reply_to = ReplyTo { topic: &self.settings.reply_topic, partition: self.settings.number };
        for event in events {
            react(id, saga, event, reply_to, &mut topic_of, out);
        }
    }

    pub(super) fn quarantine_effect(&self, quarantined: &Quarantined) -> Effect {
        Effect {
            topic: self.settings.quarantine_topic.clone(),
            key: quarantined.key.clone().unwrap_or_default(),
            value: quarantined.encode().into(),
            headers: Vec::new(),
        }
    }

    /// Sends the open record on its way, if it has turns.
    pub(super) fn close_record(&mut self, cx: &mut Context<'_>) {
        let Some(open) = self.open.take() else { return };
        if open.writer.turn_count() == 0 {
            return;
        }
        reached("decided_not_queued");
        let rows = open
            .touched
            .iter()
            .map(|&slot| (slot, self.overlay.entry(slot).current.clone().expect("a touched row exists")))
            .collect();
        cx.counters.turns += open.writer.turn_count() as u64;
        self.append(open.number, open.writer.finish(), rows, open.effects, open.moves, cx);
    }

    fn append(
        &mut self,
        number: i64,
        bytes: Vec<u8>,
        rows: Vec<(Slot, Arc<Saga>)>,
        effects: Vec<Effect>,
        moves: Vec<Move>,
        cx: &mut Context<'_>,
    ) {
        debug_assert_eq!(number, self.next_number(), "records are numbered without gaps");
        self.pending.push_back(Pending {
            number,
            offset: None,
            bytes: bytes.len(),
            released: self.released_appended,
            rows,
            effects,
            positions: self.inputs.iter().map(|input| input.journaled).collect(),
            moves,
        });
        self.pending_bytes += bytes.len();
        // A turn covers what was skipped before it on its own input only.
        if self.inputs.iter().all(|input| input.position == input.journaled) {
            self.skipped_run = 0;
        }
        self.last_record_at = cx.now;
        cx.counters.records += 1;
        cx.counters.record_bytes += bytes.len() as u64;
        reached("queued_not_sent");
        cx.out.push(Do::Append { bytes, tag: Tag::Record(number) });
        if mutated("release_before_ack") {
            let effects = std::mem::take(&mut self.pending.back_mut().expect("just pushed").effects);
            for number in self.outgoing.push(self.standing.next_offset, effects) {
                cx.out.push(Do::Send(Tag::Effect(number)));
            }
        }
    }

    /// What nothing else carried for a while: runs of skipped inputs, and how far effects were delivered.
    pub(super) fn quiet_records(&mut self, cx: &mut Context<'_>) {
        let quiet = cx.now - self.last_record_at >= QUIET_RECORD_MS;
        if self.skipped_run >= SKIPPED_RUN_MAX || (self.skipped_run > 0 && quiet) {
            self.append_positions(cx);
        } else if quiet && self.outgoing.moved && self.pending.is_empty() {
            self.append_bare(cx);
        }
    }

    pub(super) fn append_positions(&mut self, cx: &mut Context<'_>) {
        debug_assert!(self.open.is_none(), "positions of an open record ride on it");
        let now = self.turn_time(cx);
        let stamp = self.stamp(now);
        let number = stamp.number;
        let positions = self.settings.inputs.iter().zip(&self.inputs);
        let positions = positions
            .filter(|(_, input)| input.position != input.journaled)
            .filter_map(|(settings, input)| {
                Some(Position { topic: settings.topic, name: settings.name.clone(), next: input.position? })
            })
            .collect();
        for input in &mut self.inputs {
            input.journaled = input.position;
        }
        reached("skip_run_unacked");
        self.append(
            number,
            JournalRecord::Positions(Positions { stamp, positions }).encode(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
            cx,
        );
    }

    /// Appends a record that only carries `released`.
    pub fn append_bare(&mut self, cx: &mut Context<'_>) {
        if self.phase != super::Phase::Owning || self.open.is_some() {
            return;
        }
        let now = self.turn_time(cx);
        let stamp = self.stamp(now);
        let number = stamp.number;
        self.append(number, JournalRecord::Bare(Bare { stamp }).encode(), Vec::new(), Vec::new(), Vec::new(), cx);
    }

    /// A turn about an effect's place: it is set apart, or was delivered after all.
    pub(super) fn push_place(&mut self, place: (i64, i32), delivered: bool, cx: &mut Context<'_>) {
        let at = EffectPlace { offset: place.0, index: place.1 };
        let change = if delivered { Change::Delivered(at) } else { Change::Undeliverable(at) };
        let cause = Cause::Timer(ringmaster_schemas::journal::TimerCause { due_at: self.turn_time(cx) });
        let fits = self.push_turn(&cause, None, &vec![change], cx);
        assert!(fits, "a turn of a few bytes fits into a record");
        let moved = if delivered { Move::Unparked(place.0, place.1) } else { Move::Parked(place.0, place.1) };
        self.open.as_mut().expect("a turn was pushed").moves.push(moved);
    }
}
