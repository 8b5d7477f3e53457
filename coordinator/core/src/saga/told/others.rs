//! What others sent to a saga, and what they are told of where it is stuck, in words.

use ringmaster_schemas::journal::SagaEvent;

use super::{Teller, Told, emits, said};

impl Teller<'_> {
    pub(super) fn others(&self, event: &SagaEvent, out: &mut Vec<Told>) {
        let mut tell = |event, text| out.push(Told { event, step: None, text });
        match event {
            SagaEvent::EventTaken { place, event, passes } => {
                let early = if event.early { ", which came early" } else { "" };
                let behind = if *passes { ": the pivot is behind" } else { "" };
                self.say(out, "event_taken", *place, &format!("has its event {}{early}{behind}", event.source));
            }
            SagaEvent::Answered { place, answer, .. } => {
                let early = if answer.early { ", which came early" } else { "" };
                let says = answer.failure.as_ref().map_or_else(|| "yes".to_owned(), |failure| format!("no: {}", said(failure)));
                self.say(out, "answered", *place, &format!("is answered by {}{early}: {says}", answer.source));
            }
            SagaEvent::StuckTold { place, emission, failure } => {
                let why = failure.as_ref().map_or_else(|| "it cannot be made".to_owned(), |failure| said(failure));
                let text =
                    emission.as_ref().map_or_else(|| format!("is stuck, and that is not told: {why}"), |emission| emits(emission));
                self.say(out, "stuck_told", *place, &text);
            }
            SagaEvent::EventKept { event } => {
                let text = format!("{} ({}) comes early: it is kept until {}", event.kind, event.source, self.at(event.until));
                tell("event_kept", text);
            }
            SagaEvent::EventsExpired { count } => {
                tell("events_expired", format!("nobody waited for what came early: forgotten now: {count}"));
            }
            other => unreachable!("{other:?} is told elsewhere"),
        }
    }
}
