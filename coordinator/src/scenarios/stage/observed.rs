//! The definition's real values, and a note of what each condition came to.

use std::cell::RefCell;

use ringmaster_core::definition::{Definition, Emit, Expression, ExpressionError, Template};
use ringmaster_core::saga::{Evaluated, Values, View};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Emission;

use crate::scenarios::Known;
use crate::scenarios::coverage::Coverage;

/// The values of one turn.
pub(super) struct Observed<'c, 's> {
    values: Evaluated<'c>,
    definition: &'c Definition,
    known: Known<'c>,
    coverage: &'c RefCell<&'s mut Coverage>,
}

impl<'c, 's> Observed<'c, 's> {
    pub(super) fn new(definition: &'c Definition, known: Known<'c>, coverage: &'c RefCell<&'s mut Coverage>) -> Self {
        Observed { values: Evaluated::new(definition), definition, known, coverage }
    }
}

impl Values for Observed<'_, '_> {
    fn items(&self, view: View<'_>, list: &Expression, out: &mut Vec<u8>) -> Result<u32, ExpressionError> {
        self.values.items(view, list, out)
    }

    fn condition(&self, view: View<'_>, condition: &Expression) -> Result<bool, ExpressionError> {
        let is_true = self.values.condition(view, condition)?;
        if let Some(definition) = self.known.catalog.by_hash(&self.definition.hash) {
            self.coverage.borrow_mut().of(definition).condition(condition.site(), is_true);
        }
        Ok(is_true)
    }

    fn wakes_at(&self, view: View<'_>, sleep: &Expression) -> Result<Millis, ExpressionError> {
        self.values.wakes_at(view, sleep)
    }

    fn text(&self, view: View<'_>, text: &Expression) -> Result<String, ExpressionError> {
        self.values.text(view, text)
    }

    fn body(&self, view: View<'_>, body: &Template, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        self.values.body(view, body, out)
    }

    fn emission(&self, view: View<'_>, emit: &Emit, id: &str, scratch: &mut Vec<u8>) -> Result<Emission, ExpressionError> {
        self.values.emission(view, emit, id, scratch)
    }
}
