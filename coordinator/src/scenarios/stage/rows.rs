//! The rows of a scenario's saga: its own, and those of its items.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use ringmaster_core::definition::Definition;
use ringmaster_core::saga::{Family, Values};
use ringmaster_schemas::state::Saga;

use super::observed::Observed;
use crate::scenarios::coverage::Seen;

/// The rows of a scenario's saga, as a turn finds them.
pub(super) struct Rows<'r, 's> {
    pub(super) rows: &'r BTreeMap<Arc<str>, Arc<Saga>>,
    pub(super) definition: &'s Definition,
    pub(super) seen: &'r RefCell<&'s mut Seen>,
}

impl<'s> Family<'s> for Rows<'_, 's> {
    type Error = Infallible;

    fn row(&mut self, id: &Arc<str>) -> Result<Option<Arc<Saga>>, Infallible> {
        Ok(self.rows.get(id).cloned())
    }

    fn definition(&self, _: &Saga) -> Result<&'s Definition, Infallible> {
        Ok(self.definition)
    }

    fn starting(&self) -> Option<&'s Definition> {
        Some(self.definition)
    }

    fn values<'v>(&'v self, definition: &'s Definition) -> Box<dyn Values + 'v>
    where
        's: 'v,
    {
        Box::new(Observed::new(definition, self.seen))
    }
}
