//! One compilation of all expressions of a definition.

use ringmaster_schemas::journal::Encoding;

use super::form::{EmitForm, SagaForm, StepForm, UndoForm};
use super::report::Report;
use super::targets::{Target, Targets};
use crate::definition::expression::scope::{Names, Spot, Uses, facts};
use crate::definition::expression::{Compiler, Expression, Form, Parsed, Template, Wanted};

/// Everything of a definition that is compiled of expressions.
pub(super) struct Compiled {
    pub(super) key: Option<Expression>,
    pub(super) condition: Option<Expression>,
    pub(super) steps: Vec<CompiledStep>,
    pub(super) completed: Vec<(Option<Expression>, Template)>,
    pub(super) compensated: Vec<(Option<Expression>, Template)>,
}

pub(super) struct CompiledStep {
    pub(super) condition: Option<Expression>,
    pub(super) body: Template,
    pub(super) undo: Option<Template>,
}

/// One compilation of all expressions against one set of schemas.
pub(super) struct Pass<'p, 'a, 'r, 't> {
    pub(super) names: &'p Names<'a>,
    pub(super) report: &'r mut Report<'t>,
    pub(super) uses: &'r mut Uses,
}

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_> {
    /// Everything of a definition that is compiled of expressions; what is wrong is reported.
    pub(super) fn run(mut self, form: &'p SagaForm, targets: &Targets) -> Option<Compiled> {
        let key = self.expression(form.start.key.as_ref(), &Spot::start(), Wanted::Key);
        let condition = self.expression(form.start.condition.as_ref(), &Spot::start(), Wanted::Truth);
        let steps: Vec<Option<CompiledStep>> = (0..form.steps.len()).map(|index| self.step(form, index, targets)).collect();
        let end = form.steps.len();
        let completed = self.emits(&form.on_completed, &targets.completed, &Spot::step(end));
        let undone = Spot { failure: true, undone: true, ..Spot::step(end) };
        let compensated = self.emits(&form.on_compensated, &targets.compensated, &undone);
        Some(Compiled {
            key: key?,
            condition: condition?,
            steps: steps.into_iter().collect::<Option<_>>()?,
            completed: completed?,
            compensated: compensated?,
        })
    }

    /// `Some(None)` where there is none, `None` where it is wrong.
    fn expression(&mut self, parsed: Option<&'p Parsed>, spot: &Spot, wanted: Wanted) -> Option<Option<Expression>> {
        match parsed {
            None => Some(None),
            Some(parsed) => Expression::compile(self.names, self.report, self.uses, spot.clone(), parsed, wanted).map(Some),
        }
    }

    fn body(&mut self, form: &'p Form, target: &Target, spot: Spot, lenient: bool) -> Option<Template> {
        let json = target.encoding == Encoding::Json;
        Compiler { names: self.names, report: self.report, uses: self.uses, spot, lenient }.compile(form, &target.schema, json)
    }

    fn step(&mut self, form: &'p SagaForm, index: usize, targets: &Targets) -> Option<CompiledStep> {
        let step = &form.steps[index];
        let mut spot = Spot::step(index);
        let condition = self.expression(step.condition.as_ref(), &spot, Wanted::Truth);
        if let Some(parsed) = &step.condition {
            facts(&parsed.root, true, self.names.rules, &mut spot.facts);
        }
        let body = self.body(&step.with, &targets.calls[index], spot.clone(), false);
        let undo = match (&step.undo, &targets.undos[index]) {
            (Some(undo), Some(target)) => {
                let spot = Spot { own: Some(index), failure: true, ..spot };
                self.undo(step, undo, &targets.calls[index], target, spot)
            }
            _ => Some(None),
        };
        Some(CompiledStep { condition: condition?, body: body?, undo: undo? })
    }

    /// An undo's body: its own, or the do's byte for byte, or made of those of the do's fields that it has.
    fn undo(
        &mut self,
        step: &'p StepForm,
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
        let missing = match step.with.fields() {
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
            self.report.error(&undo.span, why, "say what it gets: undo: { do: ..., with: { ... } }");
            return None;
        }
        self.body(&step.with, target, spot, true).map(Some)
    }

    fn emits(&mut self, forms: &'p [EmitForm], targets: &[Target], spot: &Spot) -> Option<Vec<(Option<Expression>, Template)>> {
        let mut emits = Some(Vec::new());
        for (form, target) in forms.iter().zip(targets) {
            let key = self.expression(form.key.as_ref(), spot, Wanted::Key);
            let body = self.body(&form.with, target, spot.clone(), false);
            match (&mut emits, key, body) {
                (Some(emits), Some(key), Some(body)) => emits.push((key, body)),
                (emits, _, _) => *emits = None,
            }
        }
        emits
    }
}
