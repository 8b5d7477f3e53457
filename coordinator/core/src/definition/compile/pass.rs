//! One pass over the tree: each node is looked up, its expressions are compiled, and it is built.

mod approval;
mod for_each;
mod matching;
mod run;
mod search;
mod undo;

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::avro::Node as Avro;
use ringmaster_schemas::journal::{DefinitionHash, Encoding};

use super::build::{Ground, Read};
use super::checks::{self, Decides};
use super::did_you_mean;
use super::form::{EmitForm, OnForm, SagaForm, SleepForm, StartForm, SwitchForm, WaitForm};
use super::targets::{Finder, Target};
use super::tree::{Planned, PlannedVerb, Step as StepForm};
use crate::definition::defaults::DEFAULTS;
use crate::definition::expression::matching::Compared;
use crate::definition::expression::scope::{Known, Names, Spot, Uses, facts};
use crate::definition::expression::{Compiler, Expression, Form, Parsed, SiteId, Template, Wanted};
use crate::definition::{
    Arm, CLAIM_WITHIN_MS, Contract, Definition, Do, Emit, Gives, Next, Node, NodeByName, On, Reaction, Role, SagaInput, Sleep,
    Start, Verb, Wait,
};

/// One pass against one set of schemas.
pub(super) struct Pass<'p, 'a, 'f, 't, 'l> {
    pub(super) form: &'p SagaForm,
    pub(super) ground: &'p Ground<'p>,
    pub(super) names: &'p Names<'a>,
    /// Of what is read: what state keeps.
    pub(super) kept: Option<&'p Read>,
    pub(super) finder: &'p mut Finder<'f, 't, 'l>,
    pub(super) uses: &'p mut Uses,
    /// Expressions so far: each has a number of its own.
    pub(super) site_count: u16,
    /// Of what is known by a value: what its field is, by the listener.
    pub(super) fields: BTreeMap<u16, Compared>,
    /// By list, what is known in it by the conditions that it is under.
    pub(super) inside: BTreeMap<u16, Vec<String>>,
}

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_, '_> {
    /// The definition, and what it promises to those that run it; what is wrong is reported.
    pub(super) fn definition(mut self) -> Option<(Definition, Option<Contract>)> {
        let definition = self.build()?;
        let contract = self.contract(&definition);
        Some((definition, contract))
    }

    fn build(&mut self) -> Option<Definition> {
        let (form, tree, certainty) = (self.form, self.ground.tree, self.ground.certainty);
        let starts = self.starts();
        let priority = self.priority();
        let search = self.search();
        let listeners = self.listeners();
        let mut nodes: Vec<Option<Node>> = Vec::with_capacity(tree.nodes.len());
        for number in (0..).take(tree.nodes.len()) {
            let node = self.node(number);
            nodes.push(node);
            self.item_results(number, &mut nodes);
        }
        let completed = self.emissions(&form.on_completed, &Spot::at(certainty.end()));
        let undone = Spot { failure: true, undone: true, ..Spot::at(certainty.end()) };
        let compensated = self.emissions(&form.on_compensated, &undone);
        let stuck = self.emissions(&form.on_stuck, &undone);
        let result = self.result();
        let nodes = nodes.into_iter().collect::<Option<Vec<Node>>>()?;
        Some(Definition {
            name: form.name.text.as_str().into(),
            hash: DefinitionHash::default(),
            starts: starts?,
            start_kept: self.kept.unwrap_or(self.ground.whole).start.clone(),
            listeners: listeners?,
            deadline_ms: form.deadline.as_ref().map(|(millis, _)| *millis),
            priority: priority?,
            search: search?,
            retain_ms: form.retain_ms,
            names: NodeByName::of(&nodes),
            has_pivot: tree.pivots().next().is_some(),
            has_claims: nodes.iter().any(|node| node.verb.claims().is_some() || matches!(node.verb, Verb::Claim(_))),
            has_items: nodes.iter().any(|node| matches!(node.verb, Verb::ForEach(_))),
            has_rows: form.input.is_some() || nodes.iter().any(|node| matches!(node.verb, Verb::ForEach(_) | Verb::Run(_))),
            input: form.input.as_ref().map(|_| SagaInput {
                reader: self.ground.whole.start.clone(),
                kept: self.kept.unwrap_or(self.ground.whole).start.clone(),
            }),
            result: result?,
            contract: None,
            nodes,
            on_completed: completed?,
            on_compensated: compensated?,
            on_stuck: stuck?,
        })
    }

    /// What is not between 0 and 9 is taken as the nearer of the two; one that always is not so is a slip.
    fn priority(&mut self) -> Option<Option<Expression>> {
        let parsed = self.form.priority.as_ref();
        let priority = self.expression(parsed, &Spot::at(Known::default()), Wanted::Int)?;
        if let (Some(priority), Some(parsed)) = (&priority, parsed) {
            checks::priority(priority, &parsed.span, self.finder.report);
        }
        Some(priority)
    }

    fn starts(&mut self) -> Option<Vec<Start>> {
        let (form, count) = (self.form, self.ground.listeners.len() as u16);
        let is_alone = form.starts.len() == 1;
        let spot = |number: usize| if is_alone { Spot::start() } else { Spot::listening(count + number as u16) };
        let starts = form.starts.iter().enumerate().map(|(number, form)| self.start(form, number, &spot(number)));
        let starts: Vec<Option<Start>> = starts.collect();
        starts.into_iter().collect()
    }

    fn start(&mut self, form: &'p StartForm, number: usize, spot: &Spot) -> Option<Start> {
        self.finder.topic(&form.topic);
        let key = self.expression(form.key.as_ref(), spot, Wanted::Key);
        let condition = self.expression(form.condition.as_ref(), spot, Wanted::Truth);
        Some(Start {
            event: form.event.text.as_str().into(),
            topic: form.topic.text.as_str().into(),
            key: key?,
            key_text: form.key.as_ref().map_or_else(String::new, |key| key.text().to_owned()),
            condition: condition?,
            reader: self.ground.whole.begins[number].clone(),
            kept: self.kept.unwrap_or(self.ground.whole).begins[number].clone(),
        })
    }

    fn wait(&mut self, number: u16, form: &'p WaitForm, spot: Spot) -> Option<Wait> {
        let listener = self.ground.listeners.iter().position(|listening| listening.waits.contains(&number))? as u16;
        let value = self.value(listener, form.listens.matches.as_deref(), &spot);
        let spot = Spot { event: Some(listener), ..spot };
        let condition = self.condition(form.condition.as_ref(), &spot, Decides::Step)?;
        Some(Wait { listener, value: value?, condition })
    }

    fn site(&mut self) -> SiteId {
        self.site_count += 1;
        SiteId(self.site_count - 1)
    }

    /// `Some(None)` where there is none, `None` where it is wrong.
    fn expression(&mut self, parsed: Option<&'p Parsed>, spot: &Spot, wanted: Wanted) -> Option<Option<Expression>> {
        let Some(parsed) = parsed else { return Some(None) };
        let site = self.site();
        Expression::compile(self.names, self.finder.report, self.uses, spot.clone(), parsed, wanted, site).map(Some)
    }

    /// The condition of a step or an arm.
    fn condition(&mut self, parsed: Option<&'p Parsed>, spot: &Spot, decides: Decides) -> Option<Option<Expression>> {
        let condition = self.expression(parsed, spot, Wanted::Truth)?;
        if let (Some(condition), Some(parsed)) = (&condition, parsed) {
            checks::constant(condition, &parsed.span, decides, self.finder.report);
        }
        Some(condition)
    }

    fn body(&mut self, form: &'p Form, target: &Target, spot: Spot, lenient: bool) -> Option<Template> {
        let json = target.encoding == Encoding::Json;
        let site = self.site();
        let mut compiler =
            Compiler { names: self.names, report: self.finder.report, uses: self.uses, spot, lenient, masks: false, site };
        compiler.compile(form, &target.schema, json)
    }

    /// Checks the expressions of a body that is for nobody known, which is told: there is nothing to make of it.
    fn look<T>(&mut self, form: &'p Form, spot: Spot) -> Option<T> {
        let site = self.site();
        let (names, lenient, masks) = (self.names, false, false);
        Compiler { names, report: self.finder.report, uses: self.uses, spot, lenient, masks, site }.look(form);
        None
    }

    /// A node with its place in the table.
    fn node(&mut self, number: u16) -> Option<Node> {
        let planned = self.ground.tree.node(number);
        let inside = self.inside.get(&planned.parent).cloned().unwrap_or_default();
        let (failure, round) = self.around(number);
        let known = self.ground.certainty.before(number);
        let mut spot =
            Spot { at: Some(number), facts: inside, failure, round, items: self.items(number, false), ..Spot::at(known) };
        let written = planned.form.and_then(|form| form.condition.as_ref());
        let condition = self.condition(written, &spot, Decides::Step);
        if let Some(parsed) = written {
            facts(&parsed.root, true, self.names.rules, &mut spot.facts);
        }
        for list in self.ground.tree.children(number) {
            self.inside.insert(list, spot.facts.clone());
        }
        let verb = match (planned.verb, planned.form) {
            (PlannedVerb::Do(form), Some(node)) => self.asks(&StepForm { number, planned, node, form }, spot).map(Verb::Do),
            (PlannedVerb::Emit(form), _) => self.emission(form, &spot).map(Verb::Emit),
            (PlannedVerb::Group, _) => Some(Verb::Group),
            (PlannedVerb::Parallel, _) => Some(Verb::Parallel(self.ground.tree.bodies(number).count() as u16)),
            (PlannedVerb::Switch(form), _) => self.arms(number, form, spot).map(Verb::Choice),
            (PlannedVerb::Refuse(form), _) => Some(Verb::Refuse(form.code.text.as_str().into())),
            (PlannedVerb::Sleep(form), _) => self.sleep(form, &spot).map(Verb::Sleep),
            (PlannedVerb::Wait(form), _) => self.wait(number, form, spot).map(Verb::Wait),
            (PlannedVerb::Approval(form), _) => self.approval(number, form, spot).map(Verb::Approval),
            (PlannedVerb::ForEach(form), _) => self.for_each(number, form, spot).map(Verb::ForEach),
            (PlannedVerb::Run(form, _), _) => self.run(number, form, spot).map(Verb::Run),
            (PlannedVerb::Sequence(role), _) => Some(Verb::Sequence(role)),
            (PlannedVerb::Claim(form), _) => Some(Verb::Claim(form.name.text.as_str().into())),
            (PlannedVerb::Unreadable(form), _) => form.with.as_ref().and_then(|with| self.look(with, spot)),
            (PlannedVerb::Do(_), None) => unreachable!("a step is written somewhere"),
        };
        let name: Arc<str> = match planned.verb {
            PlannedVerb::Claim(form) => format!("search.{}", form.name.text).into(),
            _ => planned.form.map_or("", |form| form.name.text.as_str()).into(),
        };
        let mut lists = self.ground.tree.reaction_lists(number);
        let (refused, failed) = planned.form.map_or((&[][..], &[][..]), |form| (&form.on_refused, &form.on_failed));
        let (on_refused, on_failed) = (reactions(&mut lists, refused), reactions(&mut lists, failed));
        Some(Node {
            given_by: if name.is_empty() { Box::default() } else { self.given_by(number) },
            name,
            end: planned.end,
            parent: planned.parent,
            scope: planned.scope,
            phase: planned.phase,
            passes: planned.passes,
            undoes: planned.undoes,
            condition: condition?,
            within_ms: within_ms(planned),
            is_scope: planned.is_scope,
            on_refused,
            on_failed,
            gives: self.gives(number),
            verb: verb?,
        })
    }

    /// Whether `failure` and `round` can be read at a node: in a reaction, and where something is tried again.
    fn around(&self, number: u16) -> (bool, bool) {
        let tree = self.ground.tree;
        let is_reaction = |list: u16| matches!(tree.node(list).verb, PlannedVerb::Sequence(Role::Reaction));
        let is_retried = |node: u16| tree.reaction_lists(node).any(|list| tree.next_of(list) == Some(Next::Retry));
        (tree.around(number).any(is_reaction), is_retried(number) || tree.around(number).any(is_retried))
    }

    /// The nodes whose results are read under a node's name.
    fn given_by(&self, number: u16) -> Box<[u16]> {
        let tree = self.ground.tree;
        let others = tree.givers().map(|(step, _)| step).filter(|other| tree.stands_for(*other) == Some(number));
        std::iter::once(number).chain(others).collect()
    }

    /// The arms of a choice; what is known inside each by its condition, and by those before it that were not true, is noted.
    fn arms(&mut self, number: u16, form: &'p SwitchForm, mut spot: Spot) -> Option<Box<[Arm]>> {
        let lists: Vec<u16> = self.ground.tree.bodies(number).collect();
        let mut arms = Vec::with_capacity(lists.len());
        for (arm, list) in form.arms.iter().zip(lists) {
            let condition = self.condition(arm.condition.as_ref(), &spot, Decides::Arm);
            let mut inside = spot.facts.clone();
            if let Some(parsed) = &arm.condition {
                facts(&parsed.root, true, self.names.rules, &mut inside);
                facts(&parsed.root, false, self.names.rules, &mut spot.facts);
            }
            self.inside.insert(list, inside);
            arms.push(condition.map(|condition| Arm { condition, list }));
        }
        arms.into_iter().collect()
    }

    fn asks(&mut self, step: &StepForm<'_, 'p>, spot: Spot) -> Option<Do> {
        let form = step.form;
        let call = self.finder.command(&form.command);
        let body = match &call {
            Some(call) => self.body(&form.with, call, spot.clone(), false),
            None => self.look(&form.with, spot.clone()),
        };
        let undo = self.undo(step, call.as_ref(), spot);
        self.codes(step);
        Some(Do {
            call: call?.call(&form.command, Some(body?)),
            undo: undo?,
            timeout_ms: form.timeout_ms,
            retry: form.retry.clone(),
        })
    }

    /// What a node gives, if it gives something.
    fn gives(&self, number: u16) -> Option<Gives> {
        let whole = self.ground.whole.results.get(&number)?;
        Some(Gives {
            kept: self.kept.and_then(|kept| kept.results.get(&number)).cloned(),
            whole: (!matches!(whole.node(whole.root()), Avro::Dynamic)).then(|| whole.clone()),
        })
    }

    fn sleep(&mut self, form: &'p SleepForm, spot: &Spot) -> Option<Sleep> {
        match form {
            SleepForm::For(millis) => Some(Sleep::For(*millis)),
            SleepForm::Computed(parsed) => self.expression(Some(parsed), spot, Wanted::Time)?.map(Sleep::Computed),
        }
    }

    /// A code that the command's participant never gives is a slip of the pen.
    fn codes(&mut self, step: &StepForm<'_, 'p>) {
        let mut codes = step.node.on_refused.iter().filter_map(|on| on.code.as_ref()).peekable();
        if codes.peek().is_none() {
            return;
        }
        let Some(known) = self.finder.refusals(&step.form.command) else { return };
        for code in codes.filter(|code| !code.text.is_empty()) {
            if !known.iter().any(|known| **known == *code.text) {
                let message = format!("{} is never refused with {}", step.form.command.text, code.text);
                self.finder.report.error(&code.span, message, did_you_mean(&code.text, known.iter().map(|code| &**code)));
            }
        }
    }

    fn emissions(&mut self, forms: &'p [EmitForm], spot: &Spot) -> Option<Vec<Emit>> {
        let emits: Vec<Option<Emit>> = forms.iter().map(|form| self.emission(form, spot)).collect();
        emits.into_iter().collect()
    }

    fn emission(&mut self, form: &'p EmitForm, spot: &Spot) -> Option<Emit> {
        self.finder.topic(&form.topic);
        let target = self.finder.emission(form);
        let key = self.expression(form.key.as_ref(), spot, Wanted::Key);
        let body = match &target {
            Some(target) => self.body(&form.with, target, spot.clone(), false),
            None => self.look(&form.with, spot.clone()),
        };
        let target = target?;
        Some(Emit {
            event: form.event.text.as_str().into(),
            topic: form.topic.text.as_str().into(),
            key: key?,
            body: body?,
            encoding: target.encoding,
            fingerprint: target.fingerprint,
            headers: self.finder.options.headers(&form.topic.text),
        })
    }
}

/// The whole time of a node: what is written, or for a command the default of its place.
fn within_ms(planned: &Planned<'_>) -> Option<Millis> {
    let written = planned.form.and_then(|form| form.within.as_ref()).map(|(millis, _)| *millis);
    match planned.verb {
        PlannedVerb::Do(_) | PlannedVerb::Approval(_) | PlannedVerb::Wait(_) => written.or(Some(DEFAULTS.within_ms(planned.phase))),
        PlannedVerb::Sequence(_)
        | PlannedVerb::Emit(_)
        | PlannedVerb::Refuse(_)
        | PlannedVerb::Group
        | PlannedVerb::Switch(_)
        | PlannedVerb::Parallel
        | PlannedVerb::Sleep(_)
        | PlannedVerb::ForEach(_)
        | PlannedVerb::Run(..)
        | PlannedVerb::Unreadable(_) => written,
        PlannedVerb::Claim(_) => Some(CLAIM_WITHIN_MS),
    }
}

/// Reactions with the numbers of their lists, which are the next ones.
fn reactions(lists: &mut impl Iterator<Item = u16>, forms: &[OnForm]) -> Box<[On]> {
    let on = |form: &OnForm| On {
        code: form.code.as_ref().map(|code| code.text.as_str().into()),
        reaction: match form.reaction {
            Reaction::Steps { next, at_most, .. } => {
                Reaction::Steps { list: lists.next().expect("each reaction's steps are a list"), next, at_most }
            }
            plain @ (Reaction::Undo | Reaction::GoOn | Reaction::Stuck) => plain,
        },
    };
    forms.iter().map(on).collect()
}
