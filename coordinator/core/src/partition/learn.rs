//! What becomes known while an instance runs: versions of definitions, and inputs.
//!
//! A saga's start event says where its version stands in the topic of definitions. An owner that has not read so far waits: somebody
//! else, who had, began what it has to go on with. What its own store holds it has read: definitions are read before a store is used.

use std::sync::Arc;

use super::claim::Own;
use super::owner::Owner;
use super::replica::Replica;
use super::{Context, InputSettings, Note, Partition, Settings, Stage, Why, Wish};

/// The journal is replayed, and some version in it is not known.
pub(super) struct Waiting {
    claim: Own,
    pub(super) replica: Replica,
    /// How far the topic of definitions reaches, once that is known. What it does not hold is not waited for.
    end: Option<i64>,
}

impl Waiting {
    /// The offset of a version that is not known and that will come.
    fn awaits(&self, cx: &Context<'_>) -> Option<i64> {
        let is_to_come = |offset: &i64| self.end.is_none_or(|end| *offset < end);
        unknown(&self.replica, cx).find(is_to_come)
    }
}

/// Offsets of versions that were replayed and are not known.
fn unknown<'a>(replica: &'a Replica, cx: &'a Context<'_>) -> impl Iterator<Item = i64> + 'a {
    replica.versions.iter().filter(|(version, _)| cx.catalog.by_hash(version).is_none()).map(|(_, offset)| *offset)
}

impl Partition {
    /// With these inputs beside those that it was told, as far as it does not have them. Valid before it is claimed.
    pub fn add_inputs(&mut self, inputs: &[InputSettings]) {
        let mut settings = Settings::clone(&self.settings);
        let new = inputs.iter().filter(|input| self.settings.inputs.iter().all(|known| known.topic != input.topic));
        settings.inputs.extend(new.cloned());
        self.settings = Arc::new(settings);
    }

    /// The journal is replayed up to the claim: owns the partition, now or when all versions are known.
    pub(super) fn own(&mut self, claim: Own, replica: Replica, cx: &mut Context<'_>) -> Result<(), Why> {
        if unknown(&replica, cx).next().is_none() {
            return self.begin(claim, replica, cx);
        }
        self.stage = Stage::Waiting(Box::new(Waiting { claim, replica, end: None }));
        cx.out.push(Wish::AskDefinitions);
        Ok(())
    }

    fn begin(&mut self, claim: Own, mut replica: Replica, cx: &mut Context<'_>) -> Result<(), Why> {
        replica.settings = self.settings.clone();
        self.stage = Stage::Owning(Owner::begin(replica, claim.sender, self.clock, cx)?);
        Ok(())
    }

    /// How far the topic of definitions reaches, asked after the replay: whatever began a saga stands before that.
    pub(super) fn definitions_end(&mut self, end: i64, cx: &mut Context<'_>) -> Result<(), Why> {
        if let Stage::Waiting(waiting) = &mut self.stage
            && waiting.end.is_none()
        {
            waiting.end = Some(end);
            if let Some(offset) = waiting.awaits(cx) {
                cx.out.push(Wish::Tell(Note::Waits { offset }));
            }
        }
        self.go_on(cx)
    }

    /// More is known: versions, and inputs behind those that are.
    pub(super) fn learn(&mut self, inputs: &[InputSettings], cx: &mut Context<'_>) -> Result<(), Why> {
        if !inputs.is_empty() {
            self.add_inputs(inputs);
            if let Stage::Owning(owner) = &mut self.stage {
                owner.learn_inputs(self.settings.clone(), cx);
            }
        }
        if let Stage::Owning(owner) = &mut self.stage {
            owner.look_at_keys(cx);
        }
        self.go_on(cx)
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        let Stage::Waiting(waiting) = &self.stage else { return Ok(()) };
        if waiting.awaits(cx).is_some() {
            return Ok(());
        }
        let Stage::Waiting(waiting) = std::mem::replace(&mut self.stage, Stage::Stopped) else { return Ok(()) };
        self.begin(waiting.claim, waiting.replica, cx)
    }
}
