//! Values that are claimed, in words.

use ringmaster_schemas::journal::{SagaEvent, ValueClaim};

use super::{Teller, Told};

impl Teller<'_> {
    pub(super) fn values(&self, event: &SagaEvent, out: &mut Vec<Told>) {
        let mut tell = |event, text| out.push(Told { event, step: None, text });
        match event {
            SagaEvent::ValueClaimed { place, claim } => {
                let name = &claim.name;
                let what = match &*name.topic {
                    "" => format!("claims {}={} of {}", name.field, name.value, name.kind),
                    topic => format!("claims {topic} {} with {} = {}", name.kind, name.field, name.value),
                };
                self.say(out, "value_claimed", *place, &what);
            }
            SagaEvent::ValueGranted { place } => {
                self.say(out, "value_granted", *place, "has the value: such events come to it now")
            }
            SagaEvent::EventPassed { place, source } => {
                self.say(out, "event_passed", *place, &format!("looks at {source}, which is not the one"));
            }
            SagaEvent::ValueReleased { place, .. } => self.say(out, "value_released", *place, "gives its value back"),
            SagaEvent::ValueGiven { claim } => tell("value_given", format!("{} has it", whose(claim))),
            SagaEvent::ValueDenied { claim } => {
                tell("value_denied", format!("{} does not get it: another one has it", whose(claim)))
            }
            SagaEvent::ValueFreed { release } => {
                tell("value_freed", format!("entry {} of {} waits no more", release.place, release.row));
            }
            other => unreachable!("{other:?} is told elsewhere"),
        }
    }
}

fn whose(claim: &ValueClaim) -> String {
    format!("entry {} of {}", claim.place, claim.row)
}
