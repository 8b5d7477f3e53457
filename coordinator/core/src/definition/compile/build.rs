//! From the form to the definition: one pass over the tree, in which each node is looked up, compiled and built.
//!
//! The pass is made twice: against the whole schemas, which finds all errors and what is read; then against the projections that a
//! saga keeps, so that paths are indices into the kept bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};

use super::certainty::Certainty;
use super::checks;
use super::form::SagaForm;
use super::listeners::{Listening, listeners};
use super::pass::Pass;
use super::targets::Finder;
use super::tree::{PlannedVerb, Tree};
use crate::definition::Definition;
use crate::definition::expression::scope::{Known, Names, NodeName, Reads, RuleBody, Spot, Uses, lasting_rule};
use crate::definition::expression::{Root, check_rule};

/// What expressions read: the start event, and results by their nodes.
pub(super) struct Read {
    pub(super) start: Arc<Schema>,
    /// Of the events that are listened to.
    pub(super) events: Vec<Arc<Schema>>,
    pub(super) results: BTreeMap<u16, Arc<Schema>>,
}

/// What both passes stand on.
pub(super) struct Ground<'g> {
    pub(super) tree: &'g Tree<'g>,
    pub(super) certainty: &'g Certainty,
    pub(super) whole: &'g Read,
    pub(super) listeners: &'g [Listening<'g>],
}

/// Builds the definition of a form.
pub(super) struct Builder<'a, 't, 'l> {
    pub(super) form: &'a SagaForm,
    pub(super) finder: Finder<'a, 't, 'l>,
    /// Errors before this document: those of its neighbours are not its own.
    pub(super) errors_before: usize,
}

impl Builder<'_, '_, '_> {
    /// `None` if anything is wrong, which is then reported. The hash is filled in later: it needs all schemas.
    pub(super) fn build(mut self) -> Option<Definition> {
        let form = self.form;
        let tree = Tree::of(form);
        let certainty = Certainty::of(&tree);
        checks::pivot(&tree, self.finder.report);
        checks::reach(&tree, self.finder.report);
        checks::reactions(&tree, self.finder.report);
        checks::limits(form, &tree, self.finder.options, self.finder.report);
        let listeners = listeners(form, &tree, self.finder.report);
        let whole = self.whole(&tree, &listeners)?;
        checks::names(&tree, &whole, self.finder.report);
        let ground = Ground { tree: &tree, certainty: &certainty, whole: &whole, listeners: &listeners };
        let (first, uses) = self.pass(&ground, None);
        self.unused_rules(&names(form, &ground, None), &tree, &uses);
        self.unknown_results(&tree, &whole, &uses);
        first?;
        if self.failed() {
            return None;
        }
        let kept = self.kept(&ground, &uses)?;
        let (built, _) = self.pass(&ground, Some(&kept));
        assert!(built.is_some() && !self.failed(), "what compiles against a schema compiles against its projection");
        built
    }

    /// The definition and what it reads; what is wrong is reported.
    fn pass(&mut self, ground: &Ground<'_>, kept: Option<&Read>) -> (Option<Definition>, Uses) {
        let mut uses = Uses::default();
        let names = names(self.form, ground, kept);
        let (form, finder) = (self.form, &mut self.finder);
        let pass = Pass { form, ground, names: &names, kept, finder, uses: &mut uses, site_count: 0, inside: BTreeMap::new() };
        (pass.definition(), uses)
    }

    fn failed(&self) -> bool {
        self.finder.report.error_count() > self.errors_before
    }

    /// The schemas that everything is read by.
    fn whole(&mut self, tree: &Tree<'_>, listeners: &[Listening<'_>]) -> Option<Read> {
        let start = self.finder.event(&self.form.start.event);
        let events: Vec<_> = listeners.iter().map(|listening| self.finder.event(listening.event)).collect();
        let events = events.into_iter().collect::<Option<Vec<_>>>();
        let asks = tree.givers().filter(|(step, _)| !matches!(tree.node(*step).verb, PlannedVerb::Wait(_)));
        let results: Vec<_> = asks.map(|(step, form)| (step, self.finder.gives(&form.verb))).collect();
        let results = results.into_iter().map(|(node, result)| Some((node, result?)));
        let (events, mut results) = (events?, results.collect::<Option<BTreeMap<_, _>>>()?);
        for (listening, event) in listeners.iter().zip(&events) {
            results.extend(listening.waits.iter().map(|wait| (*wait, event.clone())));
        }
        Some(Read { start: start?, events, results })
    }

    /// Results that are read and have no schema.
    fn unknown_results(&mut self, tree: &Tree<'_>, whole: &Read, uses: &Uses) {
        for step in tree.dos() {
            let result = &whole.results[&step.number];
            if uses.of(Root::Result(step.number)).is_some() && *result.node(result.root()) == Avro::Dynamic {
                let (name, command) = (&step.node.name.text, &step.form.command);
                let schema = format!("{}Result", command.text);
                let message = format!("{schema} has no schema: steps.{name} is known only at run time");
                self.finder.report.missing_schema(&command.span, &schema, message, None);
            }
        }
    }

    /// A rule that nothing names is checked too, with every step certain.
    fn unused_rules(&mut self, names: &Names<'_>, tree: &Tree<'_>, uses: &Uses) {
        let known = tree.givers().fold(Known::default(), |known, (step, _)| known.with(step, true));
        for (index, rule) in self.form.rules.iter().enumerate() {
            if uses.names_rule(&rule.name) {
                continue;
            }
            let spot = Spot { failure: true, round: true, ..Spot::at(known.clone()) };
            check_rule(names, self.finder.report, spot, index);
            let span = match &rule.body {
                RuleBody::One(parsed) | RuleBody::Table(_, parsed) => &parsed.span,
            };
            self.finder.report.warning(span, format!("rule '{}' is never used", rule.name), "");
        }
    }

    /// What state keeps of the start event and of the results that are read.
    fn kept(&mut self, ground: &Ground<'_>, uses: &Uses) -> Option<Read> {
        let (tree, whole, none) = (ground.tree, ground.whole, Reads::Fields(BTreeSet::new()));
        let start = self.projection(&whole.start, uses.of(Root::Start).unwrap_or(&none));
        let is_read = |node: u16| uses.of(Root::Result(node));
        let events = ground.listeners.iter().zip(0..).zip(&whole.events).map(|((listening, number), event)| {
            let own = uses.of(Root::Event(number));
            let reads = own.into_iter().chain(listening.waits.iter().filter_map(|wait| is_read(*wait)));
            (listening, event, reads.fold(none.clone(), |all, more| all.and(more)))
        });
        let events: Vec<_> = events.map(|(listening, event, reads)| Some((listening, self.projection(event, &reads)?))).collect();
        let events = events.into_iter().collect::<Option<Vec<_>>>()?;
        let waits = events.iter().flat_map(|(listening, kept)| listening.waits.iter().map(move |wait| (*wait, (*kept).clone())));
        let mut results: BTreeMap<u16, Arc<Schema>> = waits.filter(|(wait, _)| is_read(*wait).is_some()).collect();
        let asks = whole.results.iter().filter(|(node, _)| !matches!(tree.node(**node).verb, PlannedVerb::Wait(_)));
        for (node, result) in asks {
            if let Some(reads) = is_read(tree.stands_for(*node).unwrap_or(*node)) {
                results.insert(*node, self.projection(result, reads)?);
            }
        }
        Some(Read { start: start?, events: events.into_iter().map(|(_, kept)| kept).collect(), results })
    }

    fn projection(&mut self, whole: &Arc<Schema>, reads: &Reads) -> Option<Arc<Schema>> {
        let (Avro::Record(_), Reads::Fields(fields)) = (whole.node(whole.root()), reads) else { return Some(whole.clone()) };
        match self.finder.lookup.keep(whole.project(fields)) {
            Ok(kept) => Some(kept),
            Err(why) => {
                let message = format!("what is kept of {} cannot be stored: {why}", whole.name());
                self.finder.report.error(&self.form.name.span, message, "");
                None
            }
        }
    }
}

fn names<'a>(form: &'a SagaForm, ground: &Ground<'a>, kept: Option<&Read>) -> Names<'a> {
    let whole = ground.whole;
    let own = ground.tree.givers().filter(|(_, form)| form.stands_for.is_none());
    let nodes = own.map(|(step, written)| NodeName {
        name: &written.name.text,
        node: step,
        result: kept.and_then(|kept| kept.results.get(&step)).unwrap_or(&whole.results[&step]).clone(),
        // Where a step may be passed by although its rule is true, that says nothing.
        rule: written
            .condition
            .as_ref()
            .filter(|_| ground.tree.is_on_every_way(step) && !ground.tree.may_be_left_out(step))
            .and_then(|condition| lasting_rule(condition, &form.rules)),
    });
    let silent = ground.tree.nodes.iter().filter_map(|planned| {
        let form = planned.form.filter(|form| form.stands_for.is_some() || !planned.verb.gives())?;
        Some(form.name.text.as_str())
    });
    let tree = ground.tree;
    Names {
        start: kept.unwrap_or(whole).start.clone(),
        events: kept.unwrap_or(whole).events.clone(),
        nodes: nodes.collect(),
        silent: silent.collect(),
        rules: &form.rules,
        is_another_way: Box::new(|node, at| tree.is_another_way(node, at)),
    }
}
