//! That a saga is paused, in words.

use ringmaster_schemas::journal::SagaEvent;

use super::{Teller, Told, said};
use crate::definition::ROOT;

impl Teller<'_> {
    pub(super) fn paused(&mut self, event: &SagaEvent, out: &mut Vec<Told>) {
        let tell = |event, text| Told { event, step: None, text };
        match event {
            SagaEvent::Paused { by, why } if by.is_empty() => out.push(tell("paused", format!("it is paused with {why}"))),
            SagaEvent::Paused { by, why } => out.push(tell("paused", format!("{by} pauses it: {why}"))),
            SagaEvent::Postponed { next } if next.node == ROOT => {
                self.comes_to_end(out);
                out.push(tell("postponed", "it does not end while it is paused".to_owned()));
            }
            SagaEvent::Postponed { next } => {
                self.comes_to(next.node, out);
                let step = self.name_of(next.node);
                let text = format!("{step} does not begin while the saga is paused");
                out.push(Told { event: "postponed", step: Some(step), text });
            }
            SagaEvent::Withheld { place, failure } => {
                let failed = failure.as_ref().map_or_else(String::new, |failure| format!("failed for now: {}; it ", said(failure)));
                self.say(out, "withheld", *place, &format!("{failed}is not asked while the saga is paused"));
            }
            SagaEvent::Resumed {} => out.push(tell("resumed", "it is resumed".to_owned())),
            other => unreachable!("{other:?} is told elsewhere"),
        }
    }
}
