//! How a step is undone: the command, and its body.

use ringmaster_schemas::journal::Phase;

use super::super::form::UndoForm;
use super::super::targets::Target;
use super::super::tree::Step as StepForm;
use super::Pass;
use crate::definition::Undo;
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::Template;
use crate::definition::expression::scope::Spot;

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_, '_> {
    pub(super) fn undo(&mut self, step: &StepForm<'_, 'p>, call: Option<&Target>, spot: Spot) -> Option<Undo> {
        let (form, command) = match (step.planned.phase, &step.form.undo) {
            (Phase::Pivot | Phase::Retriable, _) => return Some(Undo::Never),
            (Phase::Compensatable, Some(form @ UndoForm { command: Some(command), .. })) => (form, command),
            // Who it is for cannot be read, which is told.
            (Phase::Compensatable, Some(UndoForm { command: None, with: Some(with), .. })) => {
                return self.look(with, Spot { own: Some(step.number), failure: true, ..spot });
            }
            (Phase::Compensatable, _) => return Some(Undo::Nothing),
        };
        let target = self.finder.command(command);
        let spot = Spot { own: Some(step.number), failure: true, ..spot };
        let (Some(call), Some(target)) = (call, target) else {
            return form.with.as_ref().and_then(|with| self.look(with, spot));
        };
        let body = self.undo_body(step, form, call, &target, spot)?;
        Some(Undo::Command {
            call: target.call(command, body),
            timeout_ms: step.form.timeout_ms,
            within_ms: DEFAULTS.undo_within_ms,
            retry: DEFAULTS.undo_retry(),
        })
    }

    /// An undo's body: its own, or the do's byte for byte, or made of those of the do's fields that it has.
    fn undo_body(
        &mut self,
        step: &StepForm<'_, 'p>,
        undo: &'p UndoForm,
        call: &Target,
        target: &Target,
        spot: Spot,
    ) -> Option<Option<Template>> {
        if let Some(with) = &undo.with {
            return self.body(with, target, spot, false).map(Some);
        }
        let same = target.schema.same_shape(target.schema.root(), &call.schema, call.schema.root());
        if same && target.encoding == call.encoding {
            return Some(None);
        }
        if step.form.with.is_unreadable() {
            return None;
        }
        let missing = match step.form.with.fields() {
            None => Some("the do's body is one expression".to_owned()),
            Some(given) => target
                .schema
                .fields(target.schema.root())
                .iter()
                .find(|field| field.default.is_none() && !given.contains(&&*field.name))
                .map(|field| {
                    format!("{} needs the field '{}', which the do's body does not have", target.schema.name(), field.name)
                }),
        };
        if let Some(why) = missing {
            self.finder.report.error(&undo.span, why, "say what it gets: undo: { do: ..., with: { ... } }");
            return None;
        }
        self.body(&step.form.with, target, spot, true).map(Some)
    }
}
