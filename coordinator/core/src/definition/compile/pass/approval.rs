//! An approval: who is asked, what they are shown, and the event that answers too.

use super::super::checks::Decides;
use super::super::form::{AnswerForm, ApprovalForm, EscalationForm, RoleForm};
use super::Pass;
use crate::definition::expression::scope::Spot;
use crate::definition::expression::{Compiler, Wanted};
use crate::definition::{Approval, Escalation, EventAnswer, RoleName};

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_, '_> {
    pub(super) fn approval(&mut self, number: u16, form: &'p ApprovalForm, spot: Spot) -> Option<Approval> {
        let role = match &form.role {
            RoleForm::Fixed(role) => Some(RoleName::Fixed(role.text.as_str().into())),
            RoleForm::Computed(parsed) => self.expression(Some(parsed), &spot, Wanted::Role).flatten().map(RoleName::Computed),
        };
        let show = match &form.show {
            None => Some(None),
            Some(form) => {
                let (schema, site) = (self.finder.lookup.json(), self.site());
                let (names, report, uses, spot) = (self.names, &mut *self.finder.report, &mut *self.uses, spot.clone());
                Compiler { names, report, uses, spot, lenient: false, masks: true, site }.compile(form, &schema, true).map(Some)
            }
        };
        let answer = match &form.answer {
            None => Some(None),
            Some(answer) => self.answer(number, answer, spot).map(Some),
        };
        let escalation = |form: &EscalationForm| Escalation { after_ms: form.after_ms, to: form.to.text.as_str().into() };
        let escalations = form.escalations.iter().map(escalation).collect();
        Some(Approval { role: role?, show: show?, escalations, answer: answer? })
    }

    fn answer(&mut self, number: u16, form: &'p AnswerForm, spot: Spot) -> Option<EventAnswer> {
        let listener = self.ground.listeners.iter().position(|listening| listening.answers.contains(&number))? as u16;
        let value = self.value(listener, form.listens.matches.as_deref(), &spot);
        let spot = Spot { event: Some(listener), ..spot };
        let condition = self.condition(form.condition.as_ref(), &spot, Decides::Step);
        let approved = self.expression(Some(&form.approved), &spot, Wanted::Truth).flatten();
        Some(EventAnswer { listener, value: value?, condition: condition?, approved: approved? })
    }
}
