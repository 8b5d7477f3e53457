//! From the form to the definition: one pass over the tree, in which each node is looked up, compiled and built.
//!
//! The pass is made twice: against the whole schemas, which finds all errors and what is read; then against the projections that a
//! saga keeps, so that paths are indices into the kept bytes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};

use super::alike::Alike;
use super::certainty::Certainty;
use super::checks;
use super::contracts::Contracts;
use super::form::SagaForm;
use super::listeners::{Listening, listeners};
use super::pass::Pass;
use super::starts::{self, Starts};
use super::targets::Finder;
use super::tree::{PlannedVerb, Tree};
use crate::definition::expression::items::{Derived, ItemName};
use crate::definition::expression::scope::{Known, Names, NodeName, Reads, RuleBody, Spot, StartGap, Uses, lasting_rule};
use crate::definition::expression::{Root, check_rule};
use crate::definition::{Contract, Definition};

/// What expressions read: the start events, and results by their nodes.
pub(super) struct Read {
    /// What all starts have in common: what `start` is.
    pub(super) start: Arc<Schema>,
    /// False where what starts it is wrong, which is told.
    pub(super) start_is_known: bool,
    /// Of each start's own event.
    pub(super) begins: Vec<Arc<Schema>>,
    /// What not every start has.
    pub(super) gaps: BTreeMap<String, StartGap>,
    /// Of the events that are listened to.
    pub(super) events: Vec<Arc<Schema>>,
    /// Of the same events: the field alone by which they are matched.
    pub(super) fields: Vec<Arc<Schema>>,
    pub(super) results: BTreeMap<u16, Arc<Schema>>,
    /// Of the items of for_eaches, and of what they give.
    pub(super) derived: Derived,
}

impl Read {
    /// The number of the first event that is read as the field alone by which it is matched: behind those that are listened to, and those
    /// that start.
    pub(super) fn first_field(&self) -> u16 {
        (self.events.len() + self.own_begins().len()) as u16
    }

    /// Where several events start it, the own expressions of each read it as they would read what they listen to.
    fn own_begins(&self) -> &[Arc<Schema>] {
        if self.begins.len() > 1 { &self.begins[..] } else { &[] }
    }
}

/// What both passes stand on.
pub(super) struct Ground<'g> {
    pub(super) tree: &'g Tree<'g>,
    pub(super) certainty: &'g Certainty,
    pub(super) whole: &'g Read,
    pub(super) listeners: &'g [Listening<'g>],
    /// What those promise that it runs.
    pub(super) contracts: &'g Contracts,
}

/// A definition, and what it promises.
type Built = (Definition, Option<Contract>);

/// Builds the definition of a form.
pub(super) struct Builder<'a, 't, 'l> {
    pub(super) form: &'a SagaForm,
    pub(super) finder: Finder<'a, 't, 'l>,
    /// What those promise that it runs.
    pub(super) contracts: &'a Contracts,
    /// Those of which nobody knows what they promise.
    pub(super) unknown: &'a BTreeSet<String>,
    /// Errors before this document: those of its neighbours are not its own.
    pub(super) errors_before: usize,
}

impl Builder<'_, '_, '_> {
    /// `None` if anything is wrong, which is then reported. The hash is filled in later: it needs all schemas.
    pub(super) fn build(mut self) -> Option<Built> {
        let form = self.form;
        let contracts = self.contracts;
        let tree = Tree::of(form, contracts);
        let certainty = Certainty::of(&tree);
        checks::pivot(&tree, self.unknown, self.finder.report);
        checks::for_each(&tree, self.finder.report);
        checks::run(form, &tree, contracts, self.finder.report);
        checks::reach(&tree, self.finder.report);
        checks::reactions(&tree, self.finder.report);
        checks::limits(form, &tree, self.finder.options, self.finder.report);
        let listeners = listeners(form, &tree, self.finder.report);
        let mut whole = self.whole(&tree, &listeners);
        checks::names(&tree, &whole, self.finder.report);
        let ground = Ground { tree: &tree, certainty: &certainty, whole: &whole, listeners: &listeners, contracts };
        let known = names(form, &ground, None);
        let (first, uses) = self.pass(&ground, &known, None);
        self.unused_rules(&known, &tree, &uses);
        self.unknown_results(&tree, &whole, &uses);
        checks::unread(&tree, &uses, self.finder.report);
        first?;
        if self.failed() {
            return None;
        }
        let derived = known.derived.take();
        drop(known);
        whole.results.extend(derived.lists.clone());
        whole.derived = derived;
        let ground = Ground { tree: &tree, certainty: &certainty, whole: &whole, listeners: &listeners, contracts };
        let kept = self.kept(&ground, &uses)?;
        let (built, _) = self.pass(&ground, &names(form, &ground, Some(&kept)), Some(&kept));
        assert!(built.is_some() && !self.failed(), "what compiles against a schema compiles against its projection");
        built
    }

    /// The definition and what it reads; what is wrong is reported.
    fn pass<'n>(&mut self, ground: &Ground<'n>, names: &Names<'n>, kept: Option<&Read>) -> (Option<Built>, Uses) {
        let mut uses = Uses::default();
        let (form, finder) = (self.form, &mut self.finder);
        let (fields, inside) = (BTreeMap::new(), BTreeMap::new());
        let pass = Pass { form, ground, names, kept, finder, uses: &mut uses, site_count: 0, fields, inside };
        (pass.definition(), uses)
    }

    fn failed(&self) -> bool {
        self.finder.report.error_count() > self.errors_before
    }

    /// The schemas that everything is read by. What is wrong with one is reported, and hides nothing of what is wrong elsewhere.
    fn whole(&mut self, tree: &Tree<'_>, listeners: &[Listening<'_>]) -> Read {
        let starts = starts::whole(self.form, &mut self.finder);
        let any = self.finder.lookup.json();
        let events = listeners.iter().map(|listening| self.finder.event(listening.event).unwrap_or_else(|| any.clone()));
        let events: Vec<_> = events.collect();
        let asks = tree.givers().filter(|(step, _)| matches!(tree.node(*step).verb, PlannedVerb::Do(_) | PlannedVerb::Approval(_)));
        let results = asks.map(|(step, form)| (step, self.finder.gives(&form.verb).unwrap_or_else(|| any.clone())));
        let mut results: BTreeMap<u16, Arc<Schema>> = results.collect();
        results.extend(tree.nodes.iter().zip(0..).filter_map(|(planned, number)| match planned.verb {
            PlannedVerb::Run(form, _) => Some((number, self.contracts.get(&form.saga.text)?.result.clone()?)),
            _ => None,
        }));
        for (listening, event) in listeners.iter().zip(&events) {
            results.extend(listening.waits.iter().map(|wait| (*wait, event.clone())));
        }
        let start_is_known = starts.is_some();
        let Starts { start, begins, gaps } = starts.unwrap_or_else(|| Starts::unknown(self.form, &mut self.finder));
        let fields = events.clone();
        Read { start, start_is_known, begins, gaps, events, fields, results, derived: Derived::default() }
    }

    /// Results that are read and have no schema.
    fn unknown_results(&mut self, tree: &Tree<'_>, whole: &Read, uses: &Uses) {
        for step in tree.dos().filter(|step| !step.form.command.text.is_empty()) {
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
            let items = names.items.iter().map(|item| item.each).collect();
            let spot = Spot { failure: true, round: true, items, ..Spot::at(known.clone()) };
            check_rule(names, self.finder.report, spot, index);
            let span = match &rule.body {
                RuleBody::One(parsed) | RuleBody::Table(_, parsed) => &parsed.span,
            };
            self.finder.report.warning(span, format!("rule '{}' is never used", rule.name), "remove it, or name it: rules.NAME");
        }
    }

    /// What state keeps of the start event and of the results that are read.
    fn kept(&mut self, ground: &Ground<'_>, uses: &Uses) -> Option<Read> {
        let (tree, whole, none) = (ground.tree, ground.whole, Reads::Fields(BTreeSet::new()));
        let of_start = uses.of(Root::Start).unwrap_or(&none);
        let start = self.projection(&whole.start, of_start)?;
        let begins = self.begins(ground, uses, &start)?;
        let alike = Alike::of(tree, ground.listeners, uses);
        let events = (0..).zip(&whole.events);
        let events = events.map(|(number, event)| self.projection(event, &alike.event(number).unwrap_or_else(|| none.clone())));
        let events = events.collect::<Option<Vec<_>>>()?;
        let mut results = BTreeMap::new();
        for (node, result) in &whole.results {
            if let Some(reads) = alike.result(*node) {
                results.insert(*node, self.projection(result, &reads)?);
            }
        }
        let mut derived = Derived { lists: whole.derived.lists.clone(), ..Derived::default() };
        for (each, item) in &whole.derived.items {
            let reads = uses.of(Root::Item(*each)).unwrap_or(&none);
            derived.items.insert(*each, self.projection(item, reads)?);
        }
        for (each, gives) in &whole.derived.gives {
            derived.gives.insert(*each, self.stored(gives, gives.clone())?);
        }
        let fields = (whole.first_field()..).zip(&whole.fields).map(|(number, event)| {
            let reads = uses.of(Root::Event(number)).unwrap_or(&none);
            // Nothing that is stored is laid out like this.
            match (event.node(event.root()), reads) {
                (Avro::Record(_), Reads::Fields(fields)) => event.project(fields),
                _ => event.clone(),
            }
        });
        let fields = fields.collect();
        let gaps = whole.gaps.clone();
        Some(Read { start, start_is_known: true, begins, gaps, events, fields, results, derived })
    }

    /// Of each start's own event: what its own key and if read, and what is read of it as `start`.
    fn begins(&mut self, ground: &Ground<'_>, uses: &Uses, start: &Arc<Schema>) -> Option<Vec<Arc<Schema>>> {
        let (whole, none) = (ground.whole, Reads::Fields(BTreeSet::new()));
        if let [_] = whole.begins[..] {
            return Some(vec![start.clone()]);
        }
        let of_start = uses.of(Root::Start).unwrap_or(&none);
        let own = (ground.listeners.len() as u16..).map(|number| uses.of(Root::Event(number)).unwrap_or(&none));
        let begins = whole.begins.iter().zip(own).map(|(begins, own)| self.projection(begins, &of_start.clone().and(own)));
        begins.collect()
    }

    fn projection(&mut self, whole: &Arc<Schema>, reads: &Reads) -> Option<Arc<Schema>> {
        match (whole.node(whole.root()), reads) {
            (Avro::Record(_), Reads::Fields(fields)) => self.stored(whole, whole.project(fields)),
            _ => self.stored(whole, whole.clone()),
        }
    }

    /// Makes what is kept of a schema known, so that stored bytes can name it.
    fn stored(&mut self, whole: &Arc<Schema>, kept: Arc<Schema>) -> Option<Arc<Schema>> {
        match self.finder.lookup.keep(kept) {
            Ok(kept) => Some(kept),
            Err(why) => {
                let message = format!("what is kept of {} cannot be stored: {why}", whole.name());
                let hint = "correct its schema, or read it as a whole";
                self.finder.report.error(&self.form.name.span, message, hint);
                None
            }
        }
    }
}

fn names<'a>(form: &'a SagaForm, ground: &Ground<'a>, kept: Option<&Read>) -> Names<'a> {
    let whole = ground.whole;
    // What stands for nobody, which is told, has its own name.
    let own = ground.tree.givers().filter(|(step, _)| ground.tree.stands_for(*step).is_none());
    let nodes = own.map(|(step, written)| NodeName {
        name: &written.name.text,
        node: step,
        result: kept.and_then(|kept| kept.results.get(&step)).or_else(|| whole.results.get(&step)).cloned(),
        // Where a step may be passed by although its rule is true, that says nothing.
        rule: written
            .condition
            .as_ref()
            .filter(|_| ground.tree.is_on_every_way(step) && !ground.tree.may_be_left_out(step))
            .and_then(|condition| lasting_rule(condition, &form.rules)),
    });
    let silent = ground.tree.nodes.iter().zip(0..).filter_map(|(planned, number)| {
        let stands_for = ground.tree.stands_for(number);
        let form = planned.form.filter(|_| stands_for.is_some() || !planned.verb.gives())?;
        Some((form.name.text.as_str(), form.stands_for.as_ref().filter(|_| stands_for.is_some()).map(|name| name.text.as_str())))
    });
    let tree = ground.tree;
    let name_of = |number: u16| tree.node(number).form.map_or("", |form| form.name.text.as_str());
    let items = tree.nodes.iter().zip(0..).filter_map(|(planned, each)| match planned.verb {
        PlannedVerb::ForEach(form) => Some(ItemName { name: &form.item.text, each, step: name_of(each) }),
        _ => None,
    });
    let read = kept.unwrap_or(whole);
    Names {
        start: read.start.clone(),
        start_is_known: read.start_is_known,
        gaps: &whole.gaps,
        events: read.events.iter().chain(read.own_begins()).chain(&read.fields).cloned().collect(),
        nodes: nodes.collect(),
        items: items.collect(),
        derived: RefCell::new(kept.map_or_else(Derived::default, |kept| kept.derived.clone())),
        silent: silent.collect(),
        rules: &form.rules,
        is_another_way: Box::new(|node, at| tree.is_another_way(node, at)),
        hidden_in: Box::new(move |node, from| tree.each_that_hides(node, from)),
    }
}
