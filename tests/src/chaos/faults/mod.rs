//! Faults: each looks for what it hits, marks the moment, does it, and mends it; whether work goes on is looked at behind it.

mod clock;
mod companion;
mod disk;
mod freeze;
mod kill;
mod leaders;
mod network;
mod poison;
mod restart;
mod scripts;
mod store;
mod tail;
mod target;

use std::collections::BTreeSet;

use fastrand::Rng;
use ringmaster_demo::rig::SERVICES;

use super::stage::Stage;
use super::{Class, Halt};
pub(super) use companion::Companion;
use target::{Choose, Target};

/// What was done.
#[derive(Debug)]
pub(super) struct Made {
    /// To whom, and how.
    pub what: String,
    /// The partitions whose work it hit.
    pub partitions: BTreeSet<i32>,
    /// Whoever did it says that it came to something.
    pub has_hit: bool,
}

impl Made {
    /// What must have come to something.
    fn of(what: String, partitions: BTreeSet<i32>) -> Made {
        Made { what, partitions, has_hit: true }
    }
}

/// Makes a fault, and mends it.
pub(super) fn make(class: Class, stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    match class {
        Class::KillCoordinator => kill::kill(stage, random, Target::coordinator),
        Class::KillParticipant => kill::kill(stage, random, Target::service),
        Class::KillBroker => kill::kill(stage, random, Target::broker),
        Class::TermCoordinator => kill::end(stage, random, Target::coordinator),
        Class::TermParticipant => kill::end(stage, random, Target::service),
        Class::TermBroker => kill::end(stage, random, Target::broker),
        Class::FreezeCoordinator => freeze::freeze(stage, random, Target::coordinator),
        Class::FreezeParticipant => freeze::freeze(stage, random, Target::service),
        Class::FreezeBroker => freeze::freeze(stage, random, Target::broker),
        Class::RollingRestart => restart::rolling(stage, random),
        Class::ParticipantAbsent => scripts::absent(stage, random),
        Class::ParticipantSlow => scripts::slow(stage, random),
        Class::RepliesRepeated => scripts::repeated(stage, random),
        Class::RepliesLost => scripts::lost(stage, random),
        Class::Poison => poison::poison(stage, random),
        Class::NetworkCut => network::cut(stage, random),
        Class::NetworkHeld => network::held(stage, random),
        Class::NetworkSlow => network::slow(stage, random),
        Class::AnswersLost => network::answers_lost(stage, random),
        Class::StoreTruncated => store::truncated(stage, random),
        Class::StoreFlipped => store::flipped(stage, random),
        Class::StoreDeleted => store::deleted(stage, random),
        Class::KillController => kill::kill(stage, random, Target::controller),
        Class::LeadersMoved => leaders::moved(stage),
        Class::TailLost => tail::lost(stage, random),
        Class::DiskFull => disk::full(stage, random),
        Class::ClockStep => clock::step(stage, random),
    }
}

fn any_service(random: &mut Rng) -> &'static str {
    SERVICES[random.usize(..SERVICES.len())]
}
