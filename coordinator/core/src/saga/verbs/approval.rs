//! An approval: somebody is asked, others too after a time, and the first answer is it.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::codec::{Avro, put_long, put_text};
use ringmaster_schemas::journal::{Asked, EventAnswer, FailureKind, Opens, Place, SagaEvent};
use ringmaster_schemas::state::Detail;

use super::super::answer::is_too_big;
use super::super::code;
use super::super::decide::Draft;
use super::super::flow::Way;
use super::super::values::View;
use crate::definition::compile::ROLE_BYTES_MAX;
use crate::definition::{Approval, ExpressionError, RoleName, Verb};
use crate::faults::mutated;

impl Draft<'_> {
    /// Asks for it.
    pub(in super::super) fn ask(&mut self, number: u16, approval: &Approval) -> Way {
        let (asked, value) = match self.asked(number, approval).and_then(|asked| Ok((asked, self.value_of(number)?))) {
            Ok((asked, value)) => (Arc::new(asked), value),
            Err(error) => return self.fails_to_begin(number, &error),
        };
        let until = self.definition.nodes[usize::from(number)].until(self.now);
        let due_at = approval.escalations.first().map_or(until, |first| self.now.saturating_add(first.after_ms));
        let (place, round) = (self.next_place(), self.round(number));
        self.happen(SagaEvent::Entered { place, node: number, round, opens: Opens::Approval { asked, due_at } });
        if let Some(name) = value {
            return self.claims(place, name);
        }
        if mutated("early_answer_forgotten") { Way::Rest } else { self.takes_early(place) }
    }

    fn asked(&mut self, number: u16, approval: &Approval) -> Result<Asked, ExpressionError> {
        let name = &self.definition.nodes[usize::from(number)].name;
        let wrong = |code, message| ExpressionError { code, message, place: name.to_string() };
        let role = match &approval.role {
            RoleName::Fixed(role) => role.clone(),
            RoleName::Computed(expression) => {
                let role = self.values.text(self.view(number), expression)?;
                if role.is_empty() || role.len() > ROLE_BYTES_MAX {
                    let message = format!("a role has 1 to {ROLE_BYTES_MAX} bytes, and this has {}", role.len());
                    return Err(wrong("OUT_OF_RANGE", message));
                }
                role.into()
            }
        };
        let Some(template) = &approval.show else { return Ok(Asked { role, show: None }) };
        let buffer = self.buffer();
        let json = self.render_body(self.view(number), template, buffer)?;
        let held = self.held_bytes();
        let show: Arc<str> = str::from_utf8(&json).expect("JSON is text").into();
        self.give_back(json);
        if is_too_big(held, show.len()) {
            let message = format!("what is shown takes {} bytes beside {held} that the saga holds: show less", show.len());
            return Err(wrong(code::DATA_TOO_BIG, message));
        }
        Ok(Asked { role, show: Some(show) })
    }

    /// Nobody answered so far: others may answer too, or nobody any more. What is due next counts from when it was to be due, not from
    /// when somebody looked.
    pub(in super::super) fn unanswered(&mut self, place: Place) -> Way {
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        let Verb::Approval(approval) = &node.verb else { unreachable!("it waits for an approval") };
        loop {
            let entry = self.entry(place);
            let Some(Detail::Asked { roles, .. }) = entry.detail() else { unreachable!("it was asked of somebody") };
            let (due_at, done) = (entry.due_at, roles.len() - 1);
            if due_at > self.now {
                return Way::Rest;
            }
            let Some(escalation) = approval.escalations.get(done).filter(|_| !mutated("escalation_forgotten")) else {
                return self.expired(place, "nobody answered in time");
            };
            let next = approval.escalations.get(done + 1).map(|next| next.after_ms).filter(|_| !mutated("escalation_once_only"));
            let next = next.or(node.within_ms).map_or(i64::MAX, |next| due_at.saturating_add(next - escalation.after_ms));
            self.happen(SagaEvent::Escalated { place, role: escalation.to.clone(), due_at: next });
        }
    }

    /// A person said yes.
    pub(in super::super) fn approved(&mut self, place: Place, by: &str, note: &str) {
        let result = self.given(place, by, note);
        self.succeeded(place, result.as_ref());
    }

    /// What it gives where somebody says yes, as far as it is read.
    fn given(&self, place: Place, by: &str, note: &str) -> Option<Data> {
        let node = &self.definition.nodes[usize::from(self.entry(place).node)];
        node.kept().map(|kept| {
            let mut out = Vec::new();
            for field in kept.fields(kept.root()) {
                match &*field.name {
                    "approved" => true.put(&mut out),
                    "by" => put_text(&mut out, by),
                    "at" => put_long(&mut out, self.now),
                    "note" => put_text(&mut out, note),
                    other => unreachable!("an approval has no field '{other}'"),
                }
            }
            Data::new(&out)
        })
    }

    /// An event says yes or no.
    pub(super) fn answered(&mut self, place: Place, (source, data): (&Arc<str>, &Data), early: bool) -> Way {
        let number = self.entry(place).node;
        let node = &self.definition.nodes[usize::from(number)];
        let Verb::Approval(Approval { answer: Some(answer), .. }) = &node.verb else { unreachable!("an event answers to it") };
        let approved = self.values.condition(View { event: Some(data.bytes()), ..self.view(number) }, &answer.approved);
        let (approved, source) = match approved {
            Ok(approved) => (approved || mutated("event_always_approves"), source.clone()),
            Err(error) => return self.cannot_tell(place, &error),
        };
        if !approved {
            let failure = Some(self.failure_at(place, FailureKind::Refused, code::REFUSED, &format!("refused by {source}")));
            let answer = Arc::new(EventAnswer { source, early, result: None, failure });
            self.happen(SagaEvent::Answered { place, answer, passes: false });
            return Way::Settled(place);
        }
        let (result, held) = (self.given(place, &source, ""), self.held_bytes());
        let size = result.as_ref().map_or(0, |result| result.bytes().len());
        let too_big = is_too_big(held, size);
        let answer = Arc::new(EventAnswer { source, early, result: result.filter(|_| !too_big), failure: None });
        self.happen(SagaEvent::Answered { place, answer, passes: node.passes });
        self.with_result(place, held, size, too_big)
    }

    /// A person said no.
    pub(in super::super) fn disapproved(&mut self, place: Place, by: &str, note: &str) {
        let message = if note.is_empty() { format!("refused by {by}") } else { format!("refused by {by}: {note}") };
        let failure = self.failure_at(place, FailureKind::Refused, code::REFUSED, &message);
        self.happen(SagaEvent::Refused { place, failure });
        self.go(Way::Settled(place));
    }
}
