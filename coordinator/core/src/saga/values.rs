//! Where `decide` gets the values of expressions: one interface, so that a checker can choose them instead.

use bytes::Bytes;
use ringmaster_schemas::journal::{Emission, Failure};
use ringmaster_schemas::state::{Entry, Saga, Work};
use ringmaster_schemas::{Data, Millis};

use super::nodes;
use crate::definition::expression::Budget;
use crate::definition::{Call, Definition, Emit, Environment, ExpressionError};

/// The values of a definition's expressions for a saga.
pub trait Values {
    /// A step's `if`; true where it has none.
    fn condition(&self, saga: &Saga, step: usize, now: Millis) -> Result<bool, ExpressionError>;
    /// A call's own body, encoded; `None` where it has none (an undo's default).
    fn body(&self, saga: &Saga, call: &Call, now: Millis) -> Result<Option<Bytes>, ExpressionError>;
    /// An emission, rendered. `id` makes it unique within the saga.
    fn emission(&self, saga: &Saga, emit: &Emit, id: &str, now: Millis) -> Result<Emission, ExpressionError>;
}

/// The values as the definition's expressions give them.
#[derive(Debug)]
pub struct Evaluated<'a> {
    definition: &'a Definition,
    budget: Budget,
}

impl<'a> Evaluated<'a> {
    /// The values for one turn: all its expressions together have one budget.
    pub fn new(definition: &'a Definition) -> Self {
        Evaluated { definition, budget: Budget::new() }
    }

    fn with<T>(&self, saga: &Saga, failure: Option<&Failure>, now: Millis, run: impl FnOnce(&Environment<'_>) -> T) -> T {
        // What a step gave stays readable while it is undone and behind that: what certainly succeeded must never be absent.
        let result = |index: usize| {
            let node = nodes::node_of(index);
            let given = |entry: &&Entry| entry.node == node && (entry.work == Work::Done || entry.result.is_some());
            let entry = saga.entries.iter().rev().find(given)?;
            Some(entry.result.as_ref().map(Data::bytes).unwrap_or_default())
        };
        let key = saga.key();
        let environment = Environment {
            key: &key,
            start: saga.start(),
            results: &result,
            failure,
            now,
            started: saga.head.fields().started_at,
            budget: &self.budget,
        };
        run(&environment)
    }
}

impl Values for Evaluated<'_> {
    fn condition(&self, saga: &Saga, step: usize, now: Millis) -> Result<bool, ExpressionError> {
        match &self.definition.steps[step].condition {
            None => Ok(true),
            Some(expression) => self.with(saga, saga.failure.as_deref(), now, |environment| expression.truth(environment)),
        }
    }

    fn body(&self, saga: &Saga, call: &Call, now: Millis) -> Result<Option<Bytes>, ExpressionError> {
        let Some(template) = &call.body else { return Ok(None) };
        let mut out = Vec::with_capacity(128);
        self.with(saga, saga.failure.as_deref(), now, |environment| template.render(environment, &mut out))?;
        Ok(Some(out.into()))
    }

    fn emission(&self, saga: &Saga, emit: &Emit, id: &str, now: Millis) -> Result<Emission, ExpressionError> {
        self.with(saga, saga.failure.as_deref(), now, |environment| {
            let key = match &emit.key {
                None => saga.key().into(),
                Some(expression) => expression.text(environment)?.into(),
            };
            let mut body = Vec::with_capacity(96);
            if emit.fingerprint != 0 {
                body.extend_from_slice(&[0xc3, 0x01]);
                body.extend_from_slice(&emit.fingerprint.to_le_bytes());
            }
            emit.body.render(environment, &mut body)?;
            Ok(Emission {
                topic: emit.topic.clone(),
                key,
                kind: emit.event.clone(),
                id: id.into(),
                body: body.into(),
                encoding: emit.encoding,
                headers: emit.headers,
            })
        })
    }
}
