//! From the form to the definition: schemas looked up, undo and pivot checked, expressions compiled.
//!
//! Expressions are compiled twice: against the whole schemas, which finds all errors and what is read; then against the projections
//! that a saga keeps, so that paths are indices into the kept bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};
use ringmaster_schemas::journal::{DefinitionHash, Encoding, Phase};
use ringmaster_schemas::names::participant_of;

use super::fields::Word;
use super::form::{EmitForm, SagaForm, StepForm, UndoForm};
use super::lookup::Lookup;
use super::report::Report;
use super::{Mode, Participant, Topic, write_duration};
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::scope::{Names, Reads, RuleBody, Spot, StepName, Uses, facts};
use crate::definition::expression::{Compiler, Expression, Form, Root, Template, Wanted, check_rule};
use crate::definition::{Call, Definition, Emit, Start, Step, Undo};

/// A command's or event's schema and how it is written.
struct Target {
    schema: Arc<Schema>,
    encoding: Encoding,
    /// For the single-object header; 0 for JSON.
    fingerprint: i64,
}

/// All schemas of a definition.
struct Targets {
    start: Arc<Schema>,
    calls: Vec<Target>,
    undos: Vec<Option<Target>>,
    results: Vec<Arc<Schema>>,
    completed: Vec<Target>,
    compensated: Vec<Target>,
}

/// Everything of a definition that is compiled of expressions.
struct Compiled {
    key: Option<Expression>,
    condition: Option<Expression>,
    steps: Vec<CompiledStep>,
    completed: Vec<(Option<Expression>, Template)>,
    compensated: Vec<(Option<Expression>, Template)>,
}

struct CompiledStep {
    condition: Option<Expression>,
    body: Template,
    undo: Option<Template>,
}

/// Builds definitions of forms.
pub(super) struct Builder<'a, 'r, 't, 'l> {
    pub(super) form: &'a SagaForm,
    pub(super) settings: &'a Options<'a>,
    pub(super) lookup: &'r mut Lookup<'l>,
    pub(super) report: &'r mut Report<'t>,
}

/// What settings say of participants and topics.
pub(super) struct Options<'a> {
    pub(super) participants: &'a BTreeMap<String, Participant>,
    pub(super) topics: &'a BTreeMap<String, Topic>,
}

impl Options<'_> {
    fn participant(&self, name: &str) -> Participant {
        self.participants.get(name).cloned().unwrap_or_default()
    }
}

impl<'a> Builder<'a, '_, '_, '_> {
    /// `None` if anything is wrong, which is then reported. The hash is filled in later: it needs all schemas.
    pub(super) fn build(&mut self) -> Option<Definition> {
        let phases = self.phases();
        self.limits();
        let targets = self.targets()?;
        let mut uses = Uses::default();
        let form = self.form;
        let whole = names(form, targets.start.clone(), &targets.results);
        let compiled = self.compile(&whole, &targets, &mut uses);
        self.unused_rules(&whole, &uses);
        compiled?;
        if self.report.failed() {
            return None;
        }
        let (start, results) = self.projections(&targets, &uses)?;
        let all: Vec<Arc<Schema>> = results.iter().zip(&targets.results).map(|(kept, whole)| kept.as_ref().unwrap_or(whole).clone()).collect();
        let kept = names(form, start.clone(), &all);
        let compiled = self.compile(&kept, &targets, &mut Uses::default());
        assert!(compiled.is_some() && !self.report.failed(), "what compiles against a schema compiles against its projection");
        Some(self.assemble(compiled?, targets, phases, start, results))
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
                    self.report.error(&step.name.span, format!("step '{name}' does not say how it is undone"), "write undo: participant.Command, or undo: nothing");
                }
                (Phase::Pivot | Phase::Retriable, Some(undo)) => {
                    let place = if phase == Phase::Pivot { "on" } else { "behind" };
                    self.report.error(&undo.span, format!("an undo {place} the pivot could never run"), "leave it away");
                }
                _ => {}
            }
            if step.pivot && phase != Phase::Pivot {
                let first = &steps[pivot.unwrap_or_default()].name.text;
                self.report.error(&step.name.span, "there is one pivot at most", format!("the first is '{first}'; behind it steps cannot be refused any more"));
            }
        }
        phases
    }

    /// Times that a participant could forget an idempotency key within, or that can never be reached.
    fn limits(&mut self) {
        let form = self.form;
        for step in &form.steps {
            let participant = participant_of(&step.command.text);
            let remembers = self.settings.participant(participant).remembers_ms;
            for (what, limit) in [("within", &step.within), ("deadline", &form.deadline)] {
                if let Some((millis, span)) = limit
                    && *millis > remembers
                {
                    let message = format!("{what} is longer than {participant} remembers what it did ({})", write_duration(remembers));
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

    fn targets(&mut self) -> Option<Targets> {
        let form = self.form;
        let start = self.event_schema(&form.start.event);
        let calls: Vec<Option<Target>> = form.steps.iter().map(|step| self.command(&step.command)).collect();
        let undos: Vec<Option<Option<Target>>> = form.steps.iter().map(|step| self.undo_target(step)).collect();
        let results: Vec<Option<Arc<Schema>>> = form.steps.iter().map(|step| self.result(&step.command)).collect();
        let completed: Vec<Option<Target>> = form.on_completed.iter().map(|emit| self.emission(emit)).collect();
        let compensated: Vec<Option<Target>> = form.on_compensated.iter().map(|emit| self.emission(emit)).collect();
        Some(Targets {
            start: start?,
            calls: calls.into_iter().collect::<Option<_>>()?,
            undos: undos.into_iter().collect::<Option<_>>()?,
            results: results.into_iter().collect::<Option<_>>()?,
            completed: completed.into_iter().collect::<Option<_>>()?,
            compensated: compensated.into_iter().collect::<Option<_>>()?,
        })
    }

    fn named(&mut self, name: &str, at: &Word) -> Option<Option<Arc<Schema>>> {
        let found = self.lookup.named(name);
        match found {
            Ok(Some(schema)) if !matches!(schema.node(schema.root()), Avro::Record(_)) => {
                self.report.error(&at.span, format!("{name} is not a record"), "commands, results and events are records");
                None
            }
            Ok(found) => Some(found),
            Err(why) => {
                self.report.error(&at.span, why, "it stands in the topic of schemas");
                None
            }
        }
    }

    fn event_schema(&mut self, event: &Word) -> Option<Arc<Schema>> {
        match self.named(&event.text, event)? {
            Some(schema) => Some(schema),
            None => {
                self.report.warning(&event.span, format!("{} has no schema: its fields are known only at run time", event.text), "add its record to the schemas");
                Some(self.lookup.json())
            }
        }
    }

    fn command(&mut self, command: &Word) -> Option<Target> {
        let name = &command.text;
        let participant = participant_of(name);
        let encoding = self.settings.participant(participant).encoding;
        match (self.named(name, command)?, encoding) {
            (Some(schema), Encoding::Json) => Some(Target { schema, encoding, fingerprint: 0 }),
            (Some(schema), Encoding::Avro) => match self.lookup.envelope(name) {
                Ok(envelope) => Some(Target { schema, encoding, fingerprint: envelope.fingerprint() as i64 }),
                Err(why) => {
                    self.report.error(&command.span, why, "");
                    None
                }
            },
            (None, Encoding::Json) => {
                self.report.warning(&command.span, format!("{name} has no schema: its body is not checked"), "add its record to the schemas");
                Some(Target { schema: self.lookup.json(), encoding, fingerprint: 0 })
            }
            (None, Encoding::Avro) => {
                let hint = format!("add the record {name} to the schemas, or set participants.{participant}.encoding to json");
                self.report.error(&command.span, format!("{name} has no schema, and {participant} takes Avro"), hint);
                None
            }
        }
    }

    fn undo_target(&mut self, step: &StepForm) -> Option<Option<Target>> {
        match &step.undo {
            Some(UndoForm { command: Some(command), .. }) => self.command(command).map(Some),
            _ => Some(None),
        }
    }

    /// A result without a schema is read as it comes.
    fn result(&mut self, command: &Word) -> Option<Arc<Schema>> {
        let found = self.named(&format!("{}Result", command.text), command)?;
        Some(found.unwrap_or_else(|| self.lookup.json()))
    }

    fn emission(&mut self, emit: &EmitForm) -> Option<Target> {
        let wanted = self.settings.topics.get(&emit.topic.text).and_then(|topic| topic.encoding);
        let event = &emit.event;
        match (self.named(&event.text, event)?, wanted) {
            (Some(schema), Some(Encoding::Json)) => Some(Target { schema, encoding: Encoding::Json, fingerprint: 0 }),
            (Some(schema), _) => {
                let fingerprint = schema.fingerprint() as i64;
                Some(Target { schema, encoding: Encoding::Avro, fingerprint })
            }
            (None, Some(Encoding::Avro)) => {
                let hint = format!("add the record {} to the schemas, or set topics.\"{}\".encoding to json", event.text, emit.topic.text);
                self.report.error(&event.span, format!("{} has no schema, and {} takes Avro", event.text, emit.topic.text), hint);
                None
            }
            (None, _) => {
                self.report.warning(&event.span, format!("{} has no schema: its body is not checked, and it is JSON", event.text), "add its record to the schemas");
                Some(Target { schema: self.lookup.json(), encoding: Encoding::Json, fingerprint: 0 })
            }
        }
    }

    fn compile(&mut self, names: &Names<'a>, targets: &Targets, uses: &mut Uses) -> Option<Compiled> {
        let form = self.form;
        // The names live as long as this pass; the expressions keep nothing of them.
        let mut pass = Pass { names, report: self.report, uses };
        let key = pass.expression(form.start.key.as_ref(), &Spot::start(), Wanted::Key);
        let condition = pass.expression(form.start.condition.as_ref(), &Spot::start(), Wanted::Truth);
        let steps: Vec<Option<CompiledStep>> = (0..form.steps.len()).map(|index| pass.step(form, index, targets)).collect();
        let end = form.steps.len();
        let completed = pass.emits(&form.on_completed, &targets.completed, &Spot::step(end));
        let undone = Spot { failure: true, undone: true, ..Spot::step(end) };
        let compensated = pass.emits(&form.on_compensated, &targets.compensated, &undone);
        Some(Compiled {
            key: key?,
            condition: condition?,
            steps: steps.into_iter().collect::<Option<_>>()?,
            completed: completed?,
            compensated: compensated?,
        })
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
    fn projections(&mut self, targets: &Targets, uses: &Uses) -> Option<(Arc<Schema>, Vec<Option<Arc<Schema>>>)> {
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

    fn assemble(&self, compiled: Compiled, targets: Targets, phases: Vec<Phase>, kept: Arc<Schema>, results: Vec<Option<Arc<Schema>>>) -> Definition {
        let form = self.form;
        let Targets { start, calls, undos, results: whole, completed, compensated } = targets;
        let mut steps = Vec::with_capacity(form.steps.len());
        let parts = form.steps.iter().zip(compiled.steps).zip(phases).zip(calls.into_iter().zip(undos)).zip(results.into_iter().zip(whole));
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

impl Target {
    fn call(self, command: &Word, body: Option<Template>) -> Call {
        Call { command: command.text.as_str().into(), encoding: self.encoding, envelope: self.fingerprint, body }
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
    });
    Names { start, steps: steps.collect(), rules: &form.rules }
}

/// One compilation of all expressions against one set of schemas.
struct Pass<'p, 'a, 'r, 't> {
    names: &'p Names<'a>,
    report: &'r mut Report<'t>,
    uses: &'r mut Uses,
}

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_> {
    /// `Some(None)` where there is none, `None` where it is wrong.
    fn expression(&mut self, parsed: Option<&'p crate::definition::expression::Parsed>, spot: &Spot, wanted: Wanted) -> Option<Option<Expression>> {
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
    fn undo(&mut self, step: &'p StepForm, undo: &'p UndoForm, call: &Target, target: &Target, spot: Spot) -> Option<Option<Template>> {
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
                .map(|field| format!("{} needs the field '{}', which the do's body does not have", target.schema.name(), field.name)),
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
