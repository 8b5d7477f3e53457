//! A saga's story in the making: records of the journal become turns in words.

use std::collections::BTreeMap;

use ringmaster_core::partition::{Fence, Verdict};
use ringmaster_core::saga::{Sent, Teller, Told, Versions};
use ringmaster_schemas::journal::{Cause, Change, Decision, JournalRecord, Stamp, TopicId, Turn};
use ringmaster_schemas::names::{Direction, hex};

use super::{HistoryCause, HistoryEvent, HistorySent, HistoryTurn, Place};
use crate::api::written;
use crate::batches::is_of_batch;
use crate::control;

/// What is told of a saga.
pub(super) struct Story<'a> {
    pub(super) id: &'a str,
    partition: i32,
    versions: Versions<'a>,
    teller: Teller<'a>,
    pub(super) fence: Fence,
    /// The beginning of the journal is gone, and no claim was read yet: which term is in force is known only from its records.
    pub(super) is_termless: bool,
    /// Names of input topics, as the journal tells them.
    topics: BTreeMap<TopicId, String>,
    /// Those of this page.
    pub(super) turns: Vec<HistoryTurn>,
    /// What is read next.
    pub(super) next: i64,
    /// Its beginning was read.
    pub(super) has_begun: bool,
    /// There was something to tell.
    pub(super) has_told: bool,
}

impl<'a> Story<'a> {
    /// From its beginning, or from where a page ended.
    pub(super) fn of(
        (id, partition): (&'a str, i32),
        versions: Versions<'a>,
        topics: BTreeMap<TopicId, String>,
        from: Option<Place>,
    ) -> Story<'a> {
        let mut story = Story {
            id,
            partition,
            versions,
            teller: Teller::new(id, versions, &written),
            fence: Fence::default(),
            is_termless: false,
            topics,
            turns: Vec::new(),
            next: 0,
            has_begun: false,
            has_told: false,
        };
        if let Some(Place { next, claim_offset, claim, number, is_termless, has_begun, has_told, known, .. }) = from {
            story.teller = Teller::knowing(id, versions, &written, known);
            story.fence = Fence { next_offset: next, claim_offset, claim, number, ..Fence::default() };
            (story.next, story.is_termless) = (next, is_termless);
            (story.has_begun, story.has_told) = (has_begun, has_told);
        }
        story
    }

    /// The journal begins there.
    pub(super) fn begins(&mut self, start: i64) {
        self.is_termless = start > 0;
    }

    /// Where it is, for whoever goes on.
    pub(super) fn place(&self, scan_for: Option<String>) -> Place {
        Place {
            of: Place::mark(self.id),
            next: self.next,
            scan_for,
            claim_offset: self.fence.claim_offset,
            claim: self.fence.claim,
            number: self.fence.number,
            is_termless: self.is_termless,
            has_begun: self.has_begun,
            has_told: self.has_told,
            known: self.teller.known(),
        }
    }

    /// Takes a record of the journal; what does not count never happened.
    pub(super) fn record(&mut self, offset: i64, value: &[u8]) -> Result<(), String> {
        self.next = offset + 1;
        let record = JournalRecord::read(value).map_err(|error| format!("the record at offset {offset}: {error}"))?;
        let Some(record) = record else { return Ok(()) };
        self.find_term(record.stamp());
        if self.fence.judge(offset, &record) != Verdict::Counts {
            self.is_termless &= !matches!(record, JournalRecord::Claim(_));
            return Ok(());
        }
        match record {
            JournalRecord::Decision(decision) => self.decision(offset, &decision),
            JournalRecord::Positions(positions) => {
                let name = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
                let names = positions.positions.into_iter().map(|position| (position.topic, name(&position.name)));
                self.topics.extend(names);
            }
            JournalRecord::Claim(_) | JournalRecord::Bare(_) => {}
        }
        Ok(())
    }

    /// Where the claim itself is gone, the newest one that a record names is in force: what an older one wrote does not count.
    fn find_term(&mut self, stamp: Option<&Stamp>) {
        let Some(stamp) = stamp.filter(|_| self.is_termless) else { return };
        if stamp.claim_offset > self.fence.claim_offset {
            self.teller = Teller::new(self.id, self.versions, &written);
            (self.has_begun, self.has_told) = (false, false);
            self.turns.clear();
            (self.fence.claim_offset, self.fence.claim, self.fence.number) = (stamp.claim_offset, stamp.claim, stamp.number);
        }
    }

    /// Takes a record that counts, as the saga's row says; false if it is not about the saga.
    pub(super) fn named(&mut self, offset: i64, value: &[u8]) -> Result<bool, String> {
        self.next = offset + 1;
        let record = JournalRecord::read(value).map_err(|error| format!("the record at offset {offset}: {error}"))?;
        let Some(JournalRecord::Decision(decision)) = record else { return Ok(false) };
        let is_its = |change: &Change| matches!(change, Change::Saga(change) if *change.saga == *self.id);
        if !decision.turns.iter().flat_map(|turn| &turn.changes).any(is_its) {
            return Ok(false);
        }
        let stamp = &decision.stamp;
        self.find_term(Some(stamp));
        self.is_termless = false;
        (self.fence.claim_offset, self.fence.claim, self.fence.number) = (stamp.claim_offset, stamp.claim, stamp.number + 1);
        self.decision(offset, &decision);
        Ok(true)
    }

    fn decision(&mut self, offset: i64, decision: &Decision) {
        for turn in &decision.turns {
            let (mut told, mut sent) = (Vec::new(), Vec::new());
            for change in &turn.changes {
                match change {
                    Change::Saga(change) if *change.saga == *self.id => {
                        for event in &change.events {
                            self.teller.tell(event, &mut told);
                            self.teller.sent(event, &mut sent);
                        }
                    }
                    Change::Rejected(rejected) if *rejected.saga == *self.id => {
                        let text = format!("an input is not taken: {}: {}", rejected.reason, rejected.detail);
                        told.push(Told { event: "input_rejected", step: None, text });
                    }
                    Change::Saga(_)
                    | Change::Rejected(_)
                    | Change::Quarantined(_)
                    | Change::Expired(_)
                    | Change::Breaker(_)
                    | Change::ValueReturned(_)
                    | Change::Undeliverable(_)
                    | Change::Delivered(_) => {}
                }
            }
            if told.is_empty() {
                continue;
            }
            self.has_begun |= told.iter().any(|told| told.event == "started");
            self.has_told = true;
            self.turns.push(HistoryTurn {
                at: written(decision.stamp.now),
                offset,
                partition: self.partition,
                cause: self.cause(decision, turn),
                events: told.into_iter().map(HistoryEvent::of).collect(),
                sent: sent.into_iter().map(HistorySent::of).collect(),
            });
        }
    }

    fn cause(&self, decision: &Decision, turn: &Turn) -> HistoryCause {
        let named = |id: &TopicId| self.topics.get(id).cloned().unwrap_or_else(|| hex(id));
        let other = |kind: &str, text: String| HistoryCause { kind: kind.to_owned(), text, ..HistoryCause::default() };
        match &turn.cause {
            Cause::Input { topic, next } => {
                let id = usize::try_from(*topic).ok().and_then(|topic| decision.topics.get(topic));
                let (topic, offset) = (id.map(named), next - 1);
                let act = control::act_id(turn);
                let batch = act.as_deref().and_then(is_of_batch).map_or_else(String::new, |batch| format!(", batch {batch}"));
                let text = format!("{} at {offset}{batch}", topic.as_deref().unwrap_or("an input"));
                HistoryCause { topic, partition: Some(self.partition), offset: Some(offset), ..other("input", text) }
            }
            Cause::Routed { from, .. } => {
                let (topic, partition, offset) = (named(&from.source), from.partition, from.offset);
                let text = format!("{topic}/{partition} at {offset}");
                HistoryCause { topic: Some(topic), partition: Some(partition), offset: Some(offset), ..other("routed", text) }
            }
            // A list is long: its saga goes on with it whenever there is room, and so do rows that are to go.
            Cause::Due { due_at: 0 } => other("work", "work that was left".to_owned()),
            Cause::Due { due_at } => other("due", format!("due {}", written(*due_at))),
            Cause::Upkeep {} => other("upkeep", "upkeep".to_owned()),
        }
    }
}

impl HistoryEvent {
    fn of(told: Told) -> HistoryEvent {
        HistoryEvent { event: told.event.to_owned(), step: told.step, text: told.text }
    }
}

impl HistorySent {
    fn of(sent: Sent) -> HistorySent {
        let kind = if sent.attempt.is_some() { "command" } else { "event" }.to_owned();
        let (step, undo, attempt) = match sent.attempt {
            Some(attempt) => (Some(attempt.step), attempt.direction == Direction::Undo, Some(attempt.number)),
            None => (None, false, None),
        };
        HistorySent { kind, name: sent.name, topic: sent.topic, id: sent.id, step, undo, attempt }
    }
}
