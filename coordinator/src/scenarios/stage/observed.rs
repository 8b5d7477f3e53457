//! The definition's real values, and a note of what each condition came to.

use std::cell::RefCell;

use ringmaster_core::definition::{Emit, Expression, ExpressionError, Template};
use ringmaster_core::saga::{Evaluated, Values};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Emission;
use ringmaster_schemas::state::Saga;

use crate::scenarios::coverage::Seen;

/// The values of one turn.
pub(super) struct Observed<'c> {
    values: Evaluated,
    seen: RefCell<&'c mut Seen>,
}

impl<'c> Observed<'c> {
    pub(super) fn new(seen: &'c mut Seen) -> Self {
        Observed { values: Evaluated::new(), seen: RefCell::new(seen) }
    }
}

impl Values for Observed<'_> {
    fn condition(&self, saga: &Saga, condition: &Expression, now: Millis) -> Result<bool, ExpressionError> {
        let is_true = self.values.condition(saga, condition, now)?;
        self.seen.borrow_mut().condition(condition.site(), is_true);
        Ok(is_true)
    }

    fn body(&self, saga: &Saga, body: &Template, now: Millis, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        self.values.body(saga, body, now, out)
    }

    fn emission(
        &self,
        saga: &Saga,
        emit: &Emit,
        id: &str,
        now: Millis,
        scratch: &mut Vec<u8>,
    ) -> Result<Emission, ExpressionError> {
        self.values.emission(saga, emit, id, now, scratch)
    }
}
