//! A service is alone in its group: what it was given, what was taken away.

use ringmaster_bus::TopicPartition;
use ringmaster_schemas::Millis;

use super::{Settings, Stop};

/// All partitions were taken away (the broker was gone for long): so long a service waits to be given them again.
pub(super) const REASSIGNED_WITHIN_MS: Millis = 120_000;

#[derive(Debug, Default)]
pub(super) struct Membership {
    pub(super) partitions: usize,
    pub(super) assigned: Vec<TopicPartition>,
    pub(super) revoked_at: Option<Millis>,
    pub(super) changed: bool,
    /// It was given nothing, or part of what it had was taken away: others have the rest.
    pub(super) shared: bool,
}

impl Membership {
    pub(super) fn assigned(&mut self, given: &[TopicPartition]) {
        self.assigned.extend(given.iter().filter(|at| !self.assigned.contains(at)).copied().collect::<Vec<_>>());
        self.assigned.sort();
        self.shared |= self.assigned.is_empty();
        self.revoked_at = None;
        self.changed = true;
    }

    pub(super) fn revoked(&mut self, taken: &[TopicPartition], now: Millis) {
        self.assigned.retain(|at| !taken.contains(at));
        self.shared |= !self.assigned.is_empty();
        self.revoked_at = Some(now);
        self.changed = true;
    }

    /// Nobody else may read the same commands.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), Stop> {
        let (assigned, partitions) = (self.assigned.len(), self.partitions);
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
        match self.revoked_at.is_some_and(|at| now - at > REASSIGNED_WITHIN_MS) {
            true => Err(Stop::Abandoned { group: settings.group.clone() }),
            false => Ok(()),
        }
    }

    /// One place per partition number.
    pub(super) fn lanes(&self) -> Vec<TopicPartition> {
        let topic = self.assigned[0].topic;
        let last = self.assigned.iter().map(|at| at.partition).max().unwrap_or(0);
        (0..=last).map(|partition| TopicPartition { topic, partition }).collect()
    }
}
