//! What must hold in every state, and where every state must come to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_core::partition::{Fence, Replica, StageName, Verdict};
use ringmaster_schemas::journal::{Cause, Change, Decision, JournalRecord, SagaEvent};

use super::action::{Action, Bounds};
use super::site::{Owner, Site};
use crate::line::settings;
use crate::stored::Stored;

impl Site<'_> {
    /// A command leaves: what it is of must be true by then.
    pub(super) fn leaves(&mut self, effect: &str) {
        if self.of(effect).is_none() {
            self.broken.get_or_insert_with(|| format!("{effect} left, and no record that counts says so"));
        }
    }

    /// It arrives.
    pub(super) fn arrives(&mut self, effect: &str) {
        let of = self.of(effect);
        self.sent.extend(of.map(|id| id.to_string()));
    }

    /// The saga that has begun and that it is of.
    fn of(&self, effect: &str) -> Option<Arc<str>> {
        self.started().into_iter().find(|id| effect.contains(&**id))
    }

    /// What counts.
    fn counting(&self) -> Vec<Decision> {
        let mut fence = Fence::default();
        let mut all = Vec::new();
        for (offset, bytes) in (0..).zip(&self.log) {
            let record = JournalRecord::decode(bytes).expect("it was written here");
            // The unbroken rule, whatever an owner goes by.
            let verdict = judged(&mut fence, offset, &record);
            if let (Verdict::Counts, JournalRecord::Decision(decision)) = (verdict, record) {
                all.push(decision);
            }
        }
        all
    }

    fn started(&self) -> Vec<Arc<str>> {
        Self::started_in(&self.counting())
    }

    fn started_in(counting: &[Decision]) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        for change in counting.iter().flat_map(|decision| &decision.turns).flat_map(|turn| &turn.changes) {
            if let Change::Saga(change) = change
                && change.events.iter().any(|event| matches!(event, SagaEvent::Started { .. }))
            {
                all.push(change.saga.clone());
            }
        }
        all
    }

    pub(super) fn laws(&self) -> Result<(), String> {
        if let Some(why) = &self.broken {
            return Err(why.clone());
        }
        let counting = self.counting();
        let started = Self::started_in(&counting);
        if started.iter().collect::<BTreeSet<_>>().len() != started.len() {
            return Err(format!("a saga began twice: {started:?}"));
        }
        let position = |turn: &ringmaster_schemas::journal::Turn| match turn.cause {
            Cause::Input { next, .. } => Some(next),
            _ => None,
        };
        let taken: Vec<i64> = counting.iter().flat_map(|decision| &decision.turns).filter_map(position).collect();
        if taken.iter().zip(1..).any(|(next, expected)| *next != expected) {
            return Err(format!("the input was taken in this order: {taken:?}"));
        }
        self.owners.iter().try_for_each(|owner| self.stored_is_replayed(owner))
    }

    /// What is stored is what the log says up to there, if it is of this log at all.
    fn stored_is_replayed(&self, owner: &Owner) -> Result<(), String> {
        let Some(stored) = &owner.stored else { return Ok(()) };
        let (mut replica, none) = (Replica::new(Arc::new(settings())), BTreeMap::new());
        for (offset, bytes) in (0..stored.journal_offset).zip(&self.log) {
            replica.read(offset, bytes, &Stored(&None, &none)).map_err(|why| why.to_string())?;
        }
        let replayed = replica.stage().map(|batch| batch.checkpoint);
        let is_same = replayed.as_ref().is_some_and(|replayed| {
            (replayed.journal_offset, &replayed.digest, &replayed.identity)
                == (stored.journal_offset, &stored.digest, &stored.identity)
        });
        if is_same { Ok(()) } else { Err(format!("stored is {stored:?}, the log says {replayed:?}")) }
    }

    /// Nothing more goes wrong, and one owner, the first that can, has the partition to itself: everything is taken, and all that follows
    /// from it leaves.
    pub(super) fn comes_to_its_end(mut self) -> Result<(), String> {
        self.bounds = Bounds { claims: usize::MAX, inputs: self.bounds.inputs, ..Bounds::CALM };
        let number = usize::from(self.owners[0].ended);
        if self.owners[number].ended {
            // Both had to give up: a new one comes.
            self.owners[number] = Owner { sender: self.owners[number].sender, ..Owner::new() };
        }
        for _ in 0..200 {
            let owns = self.owners[number].partition.stage() == StageName::Owning;
            let next = self.possible().into_iter().find(|action| action.owner() == number && !matches!(action, Action::Late(_)));
            match next {
                Some(action) => self.act(action),
                None if owns && self.started().len() as i64 == self.bounds.inputs => break,
                // It may not know yet that it is not the owner any more.
                None => self.crash_calmly(number),
            }
        }
        self.laws()?;
        let (started, sent) = (self.started(), self.sent.len());
        match started.len() as i64 == self.bounds.inputs && sent == started.len() {
            true => Ok(()),
            false => Err(format!("{started:?} began, of which {sent} were sent on; of {} inputs", self.bounds.inputs)),
        }
    }

    fn crash_calmly(&mut self, number: usize) {
        let before = &mut self.owners[number];
        let (stored, rows) = (before.stored.take(), std::mem::take(&mut before.rows));
        self.owners[number] = Owner { sender: before.sender, stored, rows, ..Owner::new() };
    }
}

/// Rule 1, as it is written.
fn judged(fence: &mut Fence, offset: i64, record: &JournalRecord) -> Verdict {
    match (record, record.stamp()) {
        (JournalRecord::Claim(claim), _) => {
            (fence.claim_offset, fence.claim, fence.number) = (offset, claim.id, 0);
            Verdict::Claim
        }
        (_, Some(stamp)) if (stamp.claim_offset, stamp.claim, stamp.number) == (fence.claim_offset, fence.claim, fence.number) => {
            fence.number += 1;
            Verdict::Counts
        }
        _ => Verdict::Void,
    }
}
