//! From the form to the definition: schemas looked up, undo and pivot checked, expressions compiled.
//!
//! Expressions are compiled twice: against the whole schemas, which finds all errors and what is read; then against the projections
//! that a saga keeps, so that paths are indices into the kept bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};
use ringmaster_schemas::journal::{DefinitionHash, Phase};
use ringmaster_schemas::names::participant_of;

use super::form::{EmitForm, SagaForm, StepForm, UndoForm};
use super::lookup::Lookup;
use super::pass::{Compiled, Pass};
use super::report::Report;
use super::targets::{Target, Targets};
use super::{Mode, Participant, Topic, write_duration};
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::scope::{Names, Reads, RuleBody, Spot, StepName, Uses, lasting_rule};
use crate::definition::expression::{Expression, Root, Template, check_rule};
use crate::definition::{Definition, Emit, Start, Step, Undo};

/// What state keeps: of the start event, and of each step's result, if anything.
type Kept = (Arc<Schema>, Vec<Option<Arc<Schema>>>);

/// Builds definitions of forms.
pub(super) struct Builder<'a, 'r, 't, 'l> {
    pub(super) form: &'a SagaForm,
    pub(super) settings: &'a Options<'a>,
    pub(super) lookup: &'r mut Lookup<'l>,
    pub(super) report: &'r mut Report<'t>,
    /// Errors before this document: those of its neighbours are not its own.
    pub(super) errors_before: usize,
}

/// What settings say of participants and topics.
pub(super) struct Options<'a> {
    pub(super) participants: &'a BTreeMap<String, Participant>,
    pub(super) topics: &'a BTreeMap<String, Topic>,
}

impl Options<'_> {
    pub(super) fn participant(&self, name: &str) -> Participant {
        self.participants.get(name).cloned().unwrap_or_default()
    }
}

impl<'a> Builder<'a, '_, '_, '_> {
    /// `None` if anything is wrong, which is then reported. The hash is filled in later: it needs all schemas.
    pub(super) fn build(&mut self) -> Option<Definition> {
        let phases = self.phases();
        self.limits(&phases);
        let targets = self.targets()?;
        let mut uses = Uses::default();
        let form = self.form;
        let whole = names(form, targets.start.clone(), &targets.results);
        let compiled = self.compile(&whole, &targets, &mut uses);
        self.unused_rules(&whole, &uses);
        self.unknown_results(&targets, &uses);
        compiled?;
        if self.failed() {
            return None;
        }
        let (start, results) = self.projections(&targets, &uses)?;
        let all: Vec<Arc<Schema>> =
            results.iter().zip(&targets.results).map(|(kept, whole)| kept.as_ref().unwrap_or(whole).clone()).collect();
        let kept = names(form, start.clone(), &all);
        let compiled = self.compile(&kept, &targets, &mut Uses::default());
        assert!(compiled.is_some() && !self.failed(), "what compiles against a schema compiles against its projection");
        Some(self.assemble(compiled?, targets, phases, start, results))
    }

    fn failed(&self) -> bool {
        self.report.error_count() > self.errors_before
    }

    /// Where each step stands to the pivot. Without one every step can be undone: the saga is done when its last step is.
    fn phases(&mut self) -> Vec<Phase> {
        let steps = &self.form.steps;
        let pivot = steps.iter().position(|step| step.pivot);
        let mut phases = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let phase = match pivot {
                Some(pivot) if index == pivot => Phase::Pivot,
                Some(pivot) if index > pivot => Phase::Retriable,
                _ => Phase::Compensatable,
            };
            phases.push(phase);
            let name = &step.name.text;
            match (phase, &step.undo) {
                (Phase::Compensatable, None) => {
                    self.report.error(
                        &step.name.span,
                        format!("step '{name}' does not say how it is undone"),
                        "write undo: participant.Command, or undo: nothing",
                    );
                }
                (Phase::Pivot | Phase::Retriable, Some(undo)) => {
                    let place = if phase == Phase::Pivot { "on" } else { "behind" };
                    self.report.error(&undo.span, format!("an undo {place} the pivot could never run"), "remove it");
                }
                _ => {}
            }
            if step.pivot && phase != Phase::Pivot {
                let first = &steps[pivot.unwrap_or_default()].name.text;
                self.report.error(
                    &step.name.span,
                    "there is one pivot at most",
                    format!("the first is '{first}'; behind it steps cannot be refused any more"),
                );
            }
        }
        phases
    }

    /// Times that a participant could forget an idempotency key within, or that can never be reached.
    fn limits(&mut self, phases: &[Phase]) {
        let form = self.form;
        for (step, phase) in form.steps.iter().zip(phases) {
            let participant = participant_of(&step.command.text);
            let remembers = self.settings.participant(participant).remembers_ms;
            let by_default = (default_within(*phase), step.name.span.clone());
            for (what, limit) in
                [("within", Some(step.within.as_ref().unwrap_or(&by_default))), ("deadline", form.deadline.as_ref())]
            {
                if let Some((millis, span)) = limit
                    && *millis > remembers
                {
                    let (asked, known) = (write_duration(*millis), write_duration(remembers));
                    let message = format!("{what} ({asked}) is longer than {participant} remembers what it did ({known})");
                    self.report.error(span, message, format!("shorten it, or raise participants.{participant}.remembers"));
                }
            }
            if let (Some((within, span)), Some((deadline, _))) = (&step.within, &form.deadline)
                && within > deadline
            {
                self.report.warning(span, "this is never reached: the saga's deadline is earlier", "");
            }
        }
    }

    /// Results that are read and have no schema.
    fn unknown_results(&mut self, targets: &Targets, uses: &Uses) {
        for (index, (step, result)) in self.form.steps.iter().zip(&targets.results).enumerate() {
            if uses.of(Root::Result(index)).is_some() && *result.node(result.root()) == Avro::Dynamic {
                let (name, command) = (&step.name.text, &step.command);
                let message = format!("{}Result has no schema: steps.{name} is known only at run time", command.text);
                self.report.warning(&command.span, message, "add its record to the schemas");
            }
        }
    }

    fn compile(&mut self, names: &Names<'a>, targets: &Targets, uses: &mut Uses) -> Option<Compiled> {
        let form = self.form;
        Pass { names, report: self.report, uses }.run(form, targets)
    }

    /// A rule that nothing names is checked too, with every step certain.
    fn unused_rules(&mut self, names: &Names<'a>, uses: &Uses) {
        let form = self.form;
        for (index, rule) in form.rules.iter().enumerate() {
            if uses.names_rule(&rule.name) {
                continue;
            }
            let all = form.steps.iter().map(|step| format!("steps.{}", step.name.text)).collect();
            let spot = Spot { failure: true, facts: all, ..Spot::step(form.steps.len()) };
            check_rule(names, self.report, spot, index);
            let span = match &rule.body {
                RuleBody::One(parsed) | RuleBody::Table(_, parsed) => &parsed.span,
            };
            self.report.warning(span, format!("rule '{}' is never used", rule.name), "");
        }
    }

    /// What state keeps of the start event and of results.
    fn projections(&mut self, targets: &Targets, uses: &Uses) -> Option<Kept> {
        let none = Reads::Fields(BTreeSet::new());
        let start = self.projection(&targets.start, uses.of(Root::Start).unwrap_or(&none));
        let results: Vec<Option<Option<Arc<Schema>>>> = (0..targets.results.len())
            .map(|index| match uses.of(Root::Result(index)) {
                None => Some(None),
                Some(reads) => self.projection(&targets.results[index], reads).map(Some),
            })
            .collect();
        Some((start?, results.into_iter().collect::<Option<_>>()?))
    }

    fn projection(&mut self, whole: &Arc<Schema>, reads: &Reads) -> Option<Arc<Schema>> {
        let (Avro::Record(_), Reads::Fields(fields)) = (whole.node(whole.root()), reads) else { return Some(whole.clone()) };
        match self.lookup.keep(whole.project(fields)) {
            Ok(kept) => Some(kept),
            Err(why) => {
                self.report.error(&self.form.name.span, format!("what is kept of {} cannot be stored: {why}", whole.name()), "");
                None
            }
        }
    }

    fn assemble(
        &self,
        compiled: Compiled,
        targets: Targets,
        phases: Vec<Phase>,
        kept: Arc<Schema>,
        results: Vec<Option<Arc<Schema>>>,
    ) -> Definition {
        let form = self.form;
        let Targets { start, calls, undos, results: whole, completed, compensated } = targets;
        let mut steps = Vec::with_capacity(form.steps.len());
        let parts =
            form.steps.iter().zip(compiled.steps).zip(phases).zip(calls.into_iter().zip(undos)).zip(results.into_iter().zip(whole));
        for ((((step, compiled), phase), (call, undo)), (kept, result)) in parts {
            steps.push(Step {
                name: step.name.text.as_str().into(),
                phase,
                condition: compiled.condition,
                call: call.call(&step.command, Some(compiled.body)),
                undo: assemble_undo(step, phase, undo, compiled.undo),
                timeout_ms: step.timeout_ms,
                within_ms: step.within.as_ref().map_or_else(|| default_within(phase), |(millis, _)| *millis),
                retry: step.retry.clone(),
                kept,
                result: (!matches!(result.node(result.root()), Avro::Dynamic)).then_some(result),
            });
        }
        Definition {
            name: form.name.text.as_str().into(),
            hash: DefinitionHash::default(),
            start: Start {
                event: form.start.event.text.as_str().into(),
                topic: form.start.topic.text.as_str().into(),
                key: compiled.key,
                condition: compiled.condition,
                reader: start,
                kept,
            },
            deadline_ms: form.deadline.as_ref().map(|(millis, _)| *millis),
            retain_ms: form.retain_ms,
            steps,
            on_completed: self.assemble_emits(&form.on_completed, completed, compiled.completed),
            on_compensated: self.assemble_emits(&form.on_compensated, compensated, compiled.compensated),
        }
    }

    fn assemble_emits(&self, forms: &[EmitForm], targets: Vec<Target>, compiled: Vec<(Option<Expression>, Template)>) -> Vec<Emit> {
        let parts = forms.iter().zip(targets).zip(compiled);
        let emit = |((form, target), (key, body)): ((&EmitForm, Target), _)| Emit {
            event: form.event.text.as_str().into(),
            topic: form.topic.text.as_str().into(),
            key,
            body,
            encoding: target.encoding,
            fingerprint: target.fingerprint,
            headers: self.settings.topics.get(&form.topic.text).map_or(Mode::CloudEvents, |topic| topic.mode) == Mode::CloudEvents,
        };
        parts.map(emit).collect()
    }
}

fn default_within(phase: Phase) -> ringmaster_schemas::Millis {
    match phase {
        Phase::Compensatable => DEFAULTS.within_before_ms,
        Phase::Pivot | Phase::Retriable => DEFAULTS.within_behind_ms,
    }
}

fn assemble_undo(step: &StepForm, phase: Phase, target: Option<Target>, body: Option<Template>) -> Undo {
    match (phase, target, &step.undo) {
        (Phase::Pivot | Phase::Retriable, ..) => Undo::Never,
        (Phase::Compensatable, Some(target), Some(UndoForm { command: Some(command), .. })) => Undo::Command {
            call: target.call(command, body),
            timeout_ms: step.timeout_ms,
            within_ms: DEFAULTS.undo_within_ms,
            retry: DEFAULTS.undo_retry(),
        },
        (Phase::Compensatable, ..) => Undo::Nothing,
    }
}

fn names<'a>(form: &'a SagaForm, start: Arc<Schema>, results: &[Arc<Schema>]) -> Names<'a> {
    let steps = form.steps.iter().zip(results).map(|(step, result)| StepName {
        name: &step.name.text,
        result: result.clone(),
        conditional: step.condition.is_some(),
        rule: step.condition.as_ref().and_then(|condition| lasting_rule(condition, &form.rules)),
    });
    Names { start, steps: steps.collect(), rules: &form.rules }
}
