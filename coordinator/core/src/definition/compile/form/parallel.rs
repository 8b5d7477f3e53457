//! `parallel`: lists of nodes side by side.

use super::super::fields::{Fields, is_name, word};
use super::super::report::Report;
use super::node::{NodeForm, read_steps};
use super::within;
use crate::definition::yaml::Kind;

/// Branches of one parallel.
pub(in crate::definition::compile) const BRANCHES_MAX: usize = 50;

pub(in crate::definition::compile) struct ParallelForm {
    pub(in crate::definition::compile) branches: Vec<Vec<NodeForm>>,
    /// The names of the branches, in the same order.
    pub(in crate::definition::compile) names: Vec<String>,
}

impl ParallelForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<ParallelForm> {
        const FORM: &str = "parallel: { one: [ ...steps... ], other: [ ...steps... ] }";
        let parallel = fields.needed("parallel", FORM, report)?;
        let Kind::Map(branches) = &parallel.kind else {
            report.error(&parallel.span, format!("parallel is a map of branches, not {}", parallel.describe()), FORM);
            let branches: Vec<_> = match &parallel.kind {
                // Each item is a branch.
                Kind::List(items) => items.iter().map(|item| within::steps(item, report)).collect(),
                _ => return None,
            };
            return Some(ParallelForm { names: vec![String::new(); branches.len()], branches });
        };
        if branches.len() < 2 || branches.len() > BRANCHES_MAX {
            let message = format!("a parallel has 2 to {BRANCHES_MAX} branches, not {}", branches.len());
            report.error(&parallel.span, message, FORM);
        }
        if branches.len() > BRANCHES_MAX {
            return None;
        }
        let read = |(name, steps): &(_, _)| {
            let form = "small letters, digits and _, at most 64, a letter first";
            // By a wrong name it is a branch all the same.
            let name = word(name, "a branch's name", is_name, form, report);
            (name.map_or_else(String::new, |name| name.text), read_steps(steps, report))
        };
        let (names, branches) = branches.iter().map(read).unzip();
        Some(ParallelForm { names, branches })
    }
}
