//! A service with a ledger is alone in its group, one without shares it: what it was given, what was taken away.

use ringmaster_bus::{Topic, TopicPartition};
use ringmaster_schemas::Millis;

use super::{Settings, Stop};

/// All partitions were taken away (the broker was gone for long): so long a service waits to be given them again.
pub(super) const REASSIGNED_WITHIN_MS: Millis = 120_000;

#[derive(Debug, Default)]
pub(super) struct Membership {
    /// Others may be in the group.
    is_shared: bool,
    pub(super) topic: Option<Topic>,
    pub(super) partitions: usize,
    /// Everything was taken away since the last look.
    lost: bool,
    pub(super) assigned: Vec<TopicPartition>,
    pub(super) revoked_at: Option<Millis>,
    pub(super) changed: bool,
    /// It was given nothing, or part of what it had was taken away: others have the rest.
    pub(super) shared: bool,
}

impl Membership {
    pub(super) fn new(is_shared: bool) -> Membership {
        Membership { is_shared, ..Membership::default() }
    }

    pub(super) fn assigned(&mut self, given: &[TopicPartition]) {
        self.assigned.extend(given.iter().filter(|at| !self.assigned.contains(at)).copied().collect::<Vec<_>>());
        self.shared |= self.assigned.is_empty();
        self.revoked_at = None;
        self.changed = true;
    }

    pub(super) fn revoked(&mut self, taken: &[TopicPartition], now: Millis) {
        self.assigned.retain(|at| !taken.contains(at));
        self.shared |= !self.assigned.is_empty();
        self.revoked_at = Some(now);
        self.lost = true;
        self.changed = true;
    }

    /// Where a ledger remembers what was done nobody else may read the same commands.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), Stop> {
        let (assigned, partitions) = (self.assigned.len(), self.partitions);
        if self.assigned.iter().any(|at| at.partition >= partitions as i32) {
            return Err(Stop::Repartitioned(settings.commands.clone()));
        }
        if self.is_shared {
            return Ok(());
        }
        let lost_all = assigned == 0 && self.revoked_at.is_some();
        match self.shared || (assigned < partitions && !lost_all) {
            true => {
                let (group, topic) = (settings.group.clone(), settings.commands.clone());
                Err(Stop::AnotherMember { group, topic, assigned, partitions })
            }
            false => Ok(()),
        }
    }

    /// What was lost as a whole comes back soon, or somebody else has it.
    pub(super) fn check_lost(&self, settings: &Settings, now: Millis) -> Result<(), Stop> {
        match !self.is_shared && self.revoked_at.is_some_and(|at| now - at > REASSIGNED_WITHIN_MS) {
            true => Err(Stop::Abandoned { group: settings.group.clone() }),
            false => Ok(()),
        }
    }

    /// All partitions were lost, and are here again (or may be elsewhere): once. They are read from what was committed, so nothing before
    /// counts.
    pub(super) fn given_back(&mut self) -> bool {
        let back = self.lost && (self.is_shared || !self.assigned.is_empty());
        self.lost &= !back;
        back
    }

    /// One place for each partition of the topic.
    pub(super) fn lanes(&self) -> Vec<TopicPartition> {
        let topic = self.topic.expect("a participant is started before its first turn");
        (0..self.partitions as i32).map(|partition| TopicPartition { topic, partition }).collect()
    }
}
