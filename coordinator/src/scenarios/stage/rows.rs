//! The rows of a scenario's saga: its own, and those of its items and sub-sagas.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use ringmaster_core::definition::{Definition, Run};
use ringmaster_core::saga::{Family, Values};
use ringmaster_schemas::state::Saga;

use super::observed::Observed;
use crate::scenarios::Known;
use crate::scenarios::coverage::Coverage;

/// The rows of a scenario's saga, as a turn finds them.
pub(super) struct Rows<'r, 's> {
    pub(super) rows: &'r BTreeMap<Arc<str>, Arc<Saga>>,
    pub(super) definition: &'s Definition,
    pub(super) known: Known<'s>,
    pub(super) coverage: &'r RefCell<&'s mut Coverage>,
}

impl<'s> Family<'s> for Rows<'_, 's> {
    type Error = Infallible;

    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, Infallible> {
        Ok(self.rows.get(id).cloned())
    }

    fn definition(&self, saga: &Saga) -> Result<&'s Definition, Infallible> {
        Ok(super::version_of(saga, self.known).unwrap_or(self.definition))
    }

    fn sub_saga(&self, of: &Definition, run: &Run) -> Option<(&'s Definition, i64)> {
        self.known.catalog.sub_saga(&of.hash, &run.saga)
    }

    fn starting(&self) -> Option<&'s Definition> {
        Some(self.definition)
    }

    fn values<'v>(&'v self, definition: &'s Definition) -> Box<dyn Values + 'v>
    where
        's: 'v,
    {
        Box::new(Observed::new(definition, self.known, self.coverage))
    }
}
