//! A run: what the other saga begins with, against what that promises; and what a saga promises itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringmaster_schemas::avro::Schema;
use ringmaster_schemas::journal::Phase;

use super::super::checks::codes_of_waits;
use super::super::did_you_mean;
use super::super::form::{NodeForm, RunForm};
use super::super::tree::PlannedVerb;
use super::Pass;
use crate::definition::expression::Compiler;
use crate::definition::expression::scope::Spot;
use crate::definition::{Contract, Definition, ItemResult, ROOT, Run};
use crate::saga::code;

impl<'p, 'a: 'p> Pass<'p, 'a, '_, '_, '_> {
    pub(super) fn run(&mut self, number: u16, form: &'p RunForm, spot: Spot) -> Option<Run> {
        let contract = self.ground.contracts.get(&form.saga.text)?.clone();
        let site = self.site();
        let mut compiler =
            Compiler { names: self.names, report: self.finder.report, uses: self.uses, spot, lenient: false, masks: false, site };
        let input = compiler.compile(&form.with, &contract.input, false);
        let node = self.ground.tree.node(number).form?;
        let codes = self.codes_of_run(node, &contract);
        // Of its codes it counts on those that it names.
        let counted = Contract { codes: Some(codes), ..(*contract).clone() };
        Some(Run { saga: form.saga.text.as_str().into(), input: input?, contract: Arc::new(counted) })
    }

    /// The codes that it names; one that the other saga never gives is a slip of the pen.
    fn codes_of_run(&mut self, node: &NodeForm, contract: &Contract) -> BTreeSet<Arc<str>> {
        let mut named = BTreeSet::new();
        for code in node.on_refused.iter().filter_map(|on| on.code.as_ref()).filter(|code| !code.text.is_empty()) {
            if let Some(known) = contract.codes.as_ref().filter(|known| !known.contains(code.text.as_str())) {
                let message = format!("{} is never refused with {}", contract.saga, code.text);
                self.finder.report.error(&code.span, message, did_you_mean(&code.text, known.iter().map(|code| &**code)));
            }
            named.insert(code.text.as_str().into());
        }
        named
    }

    /// What the saga gives to the one that runs it. `Some(None)`: nothing.
    pub(super) fn result(&mut self) -> Option<Option<ItemResult>> {
        let Some(form) = &self.form.result else { return Some(None) };
        let spot = Spot::at(self.ground.certainty.end());
        let (site, base) = (self.site(), format!("{}_result", self.form.name.text.replace('-', "_")));
        let mut compiler =
            Compiler { names: self.names, report: self.finder.report, uses: self.uses, spot, lenient: false, masks: false, site };
        let schema: Arc<Schema> = match self.kept {
            Some(kept) => kept.derived.gives[&ROOT].clone(),
            None => compiler.schema(form, &self.finder.lookup.json(), &base).whole()?,
        };
        let value = compiler.compile(form, &schema, false)?;
        self.names.derived.borrow_mut().gives.insert(ROOT, schema.clone());
        Some(Some(ItemResult { value, schema }))
    }

    /// What the saga promises to those that run it; nothing where an event starts it.
    pub(super) fn contract(&mut self, definition: &Definition) -> Option<Contract> {
        let input = definition.input.as_ref()?.reader.clone();
        Some(Contract {
            saga: definition.name.clone(),
            input,
            result: definition.result.as_ref().map(|result| result.schema.clone()),
            codes: self.own_codes(),
            has_pivot: definition.has_pivot,
            rows_deep: self.ground.tree.rows_deep(self.ground.contracts).map_or(1, |(rows, _)| rows as u8),
        })
    }

    /// The codes that it may be refused with; none if those of a participant are not known.
    fn own_codes(&mut self) -> Option<BTreeSet<Arc<str>>> {
        let mut codes: BTreeSet<Arc<str>> = [code::EXPIRED, code::TIMEOUT].map(Arc::from).into();
        codes.extend(self.form.deadline.as_ref().map(|_| Arc::from(code::DEADLINE)));
        for planned in self.ground.tree.nodes.iter().filter(|planned| planned.phase != Phase::Retriable) {
            match planned.verb {
                PlannedVerb::Do(form) => codes.extend(self.finder.refusals(&form.command)?),
                PlannedVerb::Refuse(form) => {
                    codes.insert(form.code.text.as_str().into());
                }
                PlannedVerb::Run(form, _) => {
                    codes.extend(self.ground.contracts.get(&form.saga.text)?.codes.clone()?);
                }
                verb => codes.extend(codes_of_waits(verb).into_iter().flatten().copied().map(Arc::from)),
            }
        }
        Some(codes)
    }
}
