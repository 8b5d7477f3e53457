//! A for_each: its list before its steps, and what an item gives behind them.

use std::sync::Arc;

use ringmaster_schemas::avro::Schema;

use super::super::form::ForEachForm;
use super::super::tree::PlannedVerb;
use super::Pass;
use crate::definition::expression::items::List;
use crate::definition::expression::scope::Spot;
use crate::definition::expression::{Compiler, Template};
use crate::definition::{ForEach, ItemResult, Node, Role, Verb};

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_, '_> {
    /// What it gives is known only behind its steps.
    pub(super) fn for_each(&mut self, number: u16, form: &'p ForEachForm, spot: Spot) -> Option<ForEach> {
        let site = self.site();
        let list = List::compile(self.names, self.finder.report, self.uses, spot, &form.list)?;
        let item = match self.kept {
            Some(kept) => kept.derived.items[&number].clone(),
            None => match list.schema(&self.finder.lookup.json(), &self.record_name(number, "item")) {
                Ok(item) => item,
                Err(unkept) => {
                    self.finder.report.error(&form.list.span, format!("the items: {}", unkept.why), unkept.hint);
                    return None;
                }
            },
        };
        self.names.derived.borrow_mut().items.insert(number, item.clone());
        let list = list.of(item.clone(), site, self.finder.report.place(&form.list.span));
        Some(ForEach { list, at_once: form.at_once, item, result: None })
    }

    /// What the items give whose last node this is, from the innermost on.
    pub(super) fn item_results(&mut self, last: u16, nodes: &mut [Option<Node>]) {
        let tree = self.ground.tree;
        for list in tree.around(last).filter(|list| tree.node(*list).end == last + 1) {
            let each = tree.node(list).parent;
            let (PlannedVerb::Sequence(Role::Item), PlannedVerb::ForEach(form)) = (tree.node(list).verb, tree.node(each).verb)
            else {
                continue;
            };
            let Some(written) = &form.result else { continue };
            let result = self.item_result(each, list, written);
            let node = &mut nodes[usize::from(each)];
            match (result, node.as_mut().map(|node| &mut node.verb)) {
                (Some(result), Some(Verb::ForEach(each))) => each.result = Some(result),
                _ => *node = None,
            }
        }
    }

    fn item_result(&mut self, each: u16, list: u16, form: &'p crate::definition::expression::Form) -> Option<ItemResult> {
        let (failure, round) = self.around(list);
        let facts = self.inside.get(&list).cloned().unwrap_or_default();
        let known = self.ground.certainty.item(list);
        let spot = Spot { at: Some(list), facts, failure, round, items: self.items(list, true), ..Spot::at(known) };
        let (site, base) = (self.site(), self.record_name(each, "result"));
        let mut compiler =
            Compiler { names: self.names, report: self.finder.report, uses: self.uses, spot, lenient: false, masks: false, site };
        let schema = match self.kept {
            Some(kept) => kept.derived.gives[&each].clone(),
            None => {
                let given = compiler.schema(form, &self.finder.lookup.json(), &base);
                // Whoever reads it can be told what else is wrong there.
                let schema = given.schema.clone()?;
                let all = Schema::parse(&format!(r#"{{"type":"array","items":{}}}"#, schema.text()));
                let all: Arc<Schema> = all.expect("a list of what has a schema has one");
                let mut derived = self.names.derived.borrow_mut();
                derived.gives.insert(each, schema);
                derived.lists.insert(each, all);
                given.whole()?
            }
        };
        let value: Template = compiler.compile(form, &schema, false)?;
        Some(ItemResult { value, schema })
    }

    /// The for_eaches in whose items a node stands, or what stands in a list.
    pub(super) fn items(&self, node: u16, inside: bool) -> Vec<u16> {
        let tree = self.ground.tree;
        let own = matches!(tree.node(node).verb, PlannedVerb::Sequence(Role::Item)).then(|| tree.node(node).parent);
        own.filter(|_| inside).into_iter().chain(tree.items(node)).collect()
    }

    /// What a record is called that expressions of a for_each make.
    fn record_name(&self, each: u16, what: &str) -> String {
        let step = self.ground.tree.node(each).form.map_or("", |form| form.name.text.as_str());
        format!("{}_{step}_{what}", self.form.name.text.replace('-', "_"))
    }
}
