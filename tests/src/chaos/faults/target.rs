//! A process that a fault is made of: a coordinator, a service or a broker.

use std::collections::BTreeSet;
use std::fmt;

use fastrand::Rng;

use super::any_service;
use crate::chaos::Halt;
use crate::chaos::stage::Stage;

/// Whom a fault hits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// The coordinator of a seat.
    Coordinator(usize, &'static str),
    /// A service.
    Service(&'static str),
    /// A broker by its number.
    Broker(usize),
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Coordinator(_, name) | Target::Service(name) => out.write_str(name),
            Target::Broker(number) => write!(out, "broker {number}"),
        }
    }
}

/// Chooses a target, if there is one now.
pub(super) type Choose = fn(&Stage<'_>, &mut Rng) -> Option<Target>;

impl Target {
    /// Chooses one, and waits until enough is under way in the partitions whose work stops with it. Another is chosen if they were
    /// moved meanwhile: what is marked behind this is what is hit.
    pub(super) fn aim(
        stage: &mut Stage<'_>,
        random: &mut Rng,
        mut choose: impl FnMut(&Stage<'_>, &mut Rng) -> Option<Target>,
    ) -> Result<(Target, BTreeSet<i32>), Halt> {
        loop {
            let mut chosen = None;
            stage.wait("there is something to be hit", |stage| {
                // What it owned when it was chosen may be gone when it is asked again: nothing flows in no partitions.
                let target = choose(stage, random).map(|target| (target, target.partitions(stage)));
                chosen = target.filter(|(_, partitions)| !partitions.is_empty());
                chosen.is_some()
            })?;
            let (target, partitions) = chosen.expect("it was waited for");
            stage.wait_flow(&partitions)?;
            if target.partitions(stage) == partitions {
                return Ok((target, partitions));
            }
        }
    }

    /// A coordinator that owns something.
    pub(super) fn coordinator(stage: &Stage<'_>, random: &mut Rng) -> Option<Target> {
        let owning = |seat: &usize| !stage.coordinator(*seat).owned().is_empty();
        let seats: Vec<usize> = (0..stage.seats.len()).filter(owning).collect();
        random.choice(seats).map(|seat| Target::Coordinator(seat, stage.seats[seat].name))
    }

    /// Any service.
    pub(super) fn service(_: &Stage<'_>, random: &mut Rng) -> Option<Target> {
        Some(Target::Service(any_service(random)))
    }

    /// Any broker.
    pub(super) fn broker(stage: &Stage<'_>, random: &mut Rng) -> Option<Target> {
        Some(Target::Broker(1 + random.usize(..stage.options.brokers)))
    }

    /// The broker that is the active controller, if there is one now.
    pub(super) fn controller(stage: &Stage<'_>, _: &mut Rng) -> Option<Target> {
        stage.world.cluster()?.controller().ok().map(Target::Broker)
    }

    /// Partitions whose work stops with it.
    pub(super) fn partitions(self, stage: &Stage<'_>) -> BTreeSet<i32> {
        match self {
            Target::Coordinator(seat, _) => stage.coordinator(seat).owned(),
            Target::Service(_) | Target::Broker(_) => Stage::all(),
        }
    }

    /// True if others do its work while it is away.
    pub(super) fn is_replaced(self, stage: &Stage<'_>) -> bool {
        match self {
            Target::Coordinator(..) => stage.seats.len() > 1,
            Target::Service(_) => false,
            Target::Broker(_) => stage.options.brokers > 1,
        }
    }

    /// Waits until others do it.
    pub(super) fn wait_replaced(self, stage: &mut Stage<'_>, partitions: &BTreeSet<i32>) -> Result<(), Halt> {
        if let Target::Coordinator(..) = self {
            stage.wait_shared(&format!("the others own what {self} had"))?;
        }
        stage.wait_moved(&format!("orders end without {self}"), partitions)
    }

    /// `kill -9`.
    pub(super) fn kill(self, stage: &mut Stage<'_>) -> Result<(), Halt> {
        match self {
            Target::Coordinator(seat, _) => drop(stage.take_coordinator(seat).kill()),
            Target::Service(name) => {
                stage.world.take_service(name).kill();
            }
            Target::Broker(number) => stage.world.node(number).kill()?,
        }
        Ok(())
    }

    /// Starts it again where it was.
    pub(super) fn start(self, stage: &mut Stage<'_>) -> Result<(), Halt> {
        match self {
            Target::Coordinator(seat, _) => stage.start(seat),
            Target::Service(name) => {
                stage.start_service(name, &[]);
            }
            Target::Broker(number) => {
                stage.world.node(number).restart()?;
                stage.world.mend_brokers()?;
            }
        }
        Ok(())
    }
}
