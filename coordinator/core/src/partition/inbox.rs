//! Records of the inbox: taken once each and without a gap, and then like any record of an input (PROTOCOL.md section 4).

mod redriven;

use ringmaster_schemas::journal::{Cause, Change, Letter, QuarantineReason, Redriven, Routed, RoutedFrom};

pub(super) use redriven::{both_reasons, start_again};

use super::input::NoTurn;
use super::marks::Accepts;
use super::owner::Owner;
use super::taken::{Came, Taken};
use super::{Context, Note, Why, Wish, law};
use crate::faults::reached;
use crate::intake::{InputRecord, Refused};

impl Owner {
    /// Takes a record of the inbox.
    #[inline(never)]
    pub(super) fn take_inbox(&mut self, index: usize, record: &InputRecord<'_>, cx: &mut Context<'_>) -> Result<(), Why> {
        let next = record.offset + 1;
        if Letter::is_one(record.value.unwrap_or_default()) {
            return self.take_old_letter(index, record, cx);
        }
        if Redriven::is_one(record.value.unwrap_or_default()) {
            return self.take_redriven(index, record, cx);
        }
        let routed = match Routed::decode(record.value.unwrap_or_default()) {
            Ok(routed) => routed,
            Err(error) => {
                let detail = format!("only coordinators write to the inbox, and this is no record of theirs: {error}");
                let refused = Refused::new(QuarantineReason::Undecodable, detail, None);
                self.quarantine(Taken::read(index, record), &refused, cx);
                self.ahead.reads[index].journaled = Some(next);
                return Ok(());
            }
        };
        let mark = self.ahead.marks.next(routed.source, routed.partition);
        match law::takes_routed(mark, routed.prev, routed.offset) {
            Accepts::Takes => self.take_routed(index, &routed, next, cx)?,
            Accepts::Again => {
                cx.counters.routed_again += 1;
                self.ahead.skipped += 1;
            }
            Accepts::Gap => {
                cx.counters.route_gaps += 1;
                self.ahead.skipped += 1;
                let (topic, partition, offset) = (routed.topic.clone(), routed.partition, routed.offset);
                cx.out.push(Wish::Tell(Note::Gap { topic, partition, offset }));
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn take_old_letter(&mut self, index: usize, record: &InputRecord<'_>, cx: &mut Context<'_>) -> Result<(), Why> {
        let (next, taken) = (record.offset + 1, Taken::read(index, record));
        // Those of earlier versions came by the inbox, and may still lie there.
        match self.take_letter_record(taken, cx) {
            Ok(Some(turn)) => self.push_or_fail(turn, Some(taken), cx)?,
            Ok(None) => {
                cx.counters.skipped += 1;
                self.ahead.skipped += 1;
                return Ok(());
            }
            Err(NoTurn::Refused(refused)) => self.quarantine(taken, &refused, cx),
            Err(NoTurn::Stop(why)) => return Err(why),
        }
        self.ahead.reads[index].journaled = Some(next);
        Ok(())
    }

    /// Takes what a router handed on, as if it had been read where it came from.
    fn take_routed(&mut self, index: usize, routed: &Routed, next: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        reached("routed_unjournaled");
        let record = InputRecord {
            offset: routed.offset,
            timestamp: routed.timestamp,
            key: routed.key.as_deref(),
            value: routed.value.as_deref(),
            headers: Some(&routed.headers),
        };
        let taken = Taken { index, record: &record, came: Came::Routed(routed, next) };
        let turn = match routed.value {
            None => Ok(None),
            Some(_) => self.take_event(taken, cx),
        };
        cx.counters.unexpected += std::mem::take(&mut self.unexpected);
        let mut turn = match turn {
            Ok(turn) => turn.unwrap_or_else(|| taken.turn()),
            Err(NoTurn::Refused(refused)) => {
                let quarantined = self.quarantined(&taken, &refused, cx);
                taken.turn().with(Change::Quarantined(quarantined))
            }
            Err(NoTurn::Stop(why)) => return Err(why),
        };
        for refused in &routed.refused {
            let mut refused = refused.clone();
            refused.at = self.turn_time(cx);
            turn = turn.with(Change::Quarantined(refused));
        }
        if turn.changes.is_empty() {
            cx.counters.skipped += 1;
        }
        if turn.changes.is_empty() && !law::mark_moves_over_skipped() {
            self.ahead.marks.pass(routed.source, routed.partition, routed.offset + 1);
            self.ahead.skipped += 1;
            return Ok(());
        }
        self.push_or_fail(turn, Some(taken), cx)?;
        self.ahead.reads[index].journaled = Some(next);
        Ok(())
    }
}

/// The cause of a turn by a record of the inbox.
pub(super) fn cause(index: usize, routed: &Routed, next: i64) -> Cause {
    let from = RoutedFrom { source: routed.source, partition: routed.partition, offset: routed.offset };
    Cause::Routed { topic: index as i32, next, from: Box::new(from) }
}
