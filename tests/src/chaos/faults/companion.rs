//! A second fault at the very moment of the first: a process that the first does not hit is killed, and started again at once. What
//! one of them keeps from going on the other may have counted upon.

use fastrand::Rng;

use super::{Choose, Made, Target};
use crate::chaos::class::Hits;
use crate::chaos::stage::Stage;
use crate::chaos::{Class, Halt};

/// What is to come together with the next fault, and what came.
pub(in crate::chaos) struct Companion {
    /// Of what kind it is.
    pub(in crate::chaos) class: Class,
    /// What was done; none as long as nothing was.
    pub(in crate::chaos) made: Option<Made>,
    choose: Choose,
    random: Rng,
}

impl Companion {
    /// One that hits another kind of process than this class does.
    pub(in crate::chaos) fn of(class: Class, random: &mut Rng) -> Companion {
        let service: (Class, Choose) = (Class::KillParticipant, Target::service);
        let coordinator: (Class, Choose) = (Class::KillCoordinator, Target::coordinator);
        let hits_service = match class.hits() {
            Hits::Coordinators => true,
            Hits::Participants => false,
            Hits::Others => random.bool(),
        };
        let (class, choose) = if hits_service { service } else { coordinator };
        Companion { class, made: None, choose, random: random.fork() }
    }

    /// Makes it, right behind the mark. Nothing comes of it if there is too little to be hit.
    pub(in crate::chaos) fn hit(&mut self, stage: &mut Stage<'_>) -> Result<(), Halt> {
        let Some(target) = (self.choose)(stage, &mut self.random) else { return Ok(()) };
        let partitions = target.partitions(stage);
        if stage.shop.marked().under_way(&partitions) < stage.options.proven_from {
            return Ok(());
        }
        target.kill(stage)?;
        target.start(stage)?;
        self.made = Some(Made::of(format!("{target}, at the same moment, back at once"), partitions));
        Ok(())
    }
}
