//! Where `decide` gets the values of expressions: one interface, so that a checker can choose them instead.

use bytes::Bytes;
use ringmaster_schemas::journal::{Emission, Failure};
use ringmaster_schemas::state::{Entry, Saga, Work};
use ringmaster_schemas::{Data, Millis};

use crate::definition::expression::Budget;
use crate::definition::{Emit, Environment, Expression, ExpressionError, Template};

/// The values of a definition's expressions for a saga. Which one is asked for, its [`site`](Expression::site) tells.
pub trait Values {
    /// A node's `if`.
    fn condition(&self, saga: &Saga, condition: &Expression, now: Millis) -> Result<bool, ExpressionError>;
    /// Appends a command's body, encoded.
    fn body(&self, saga: &Saga, body: &Template, now: Millis, out: &mut Vec<u8>) -> Result<(), ExpressionError>;
    /// An emission, rendered. `id` makes it unique within the saga; `scratch` is any buffer, used again and again.
    fn emission(&self, saga: &Saga, emit: &Emit, id: &str, now: Millis, scratch: &mut Vec<u8>)
    -> Result<Emission, ExpressionError>;
}

/// The values as the definition's expressions give them.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// All expressions of a turn together have one.
    budget: Budget,
}

impl Evaluated {
    /// The values for one turn.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, saga: &Saga, failure: Option<&Failure>, now: Millis, run: impl FnOnce(&Environment<'_>) -> T) -> T {
        // What a step gave stays readable while it is undone and behind that: what certainly succeeded must never be absent.
        let result = |node: u16| {
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

impl Values for Evaluated {
    fn condition(&self, saga: &Saga, condition: &Expression, now: Millis) -> Result<bool, ExpressionError> {
        self.with(saga, saga.failure.as_deref(), now, |environment| condition.truth(environment))
    }

    fn body(&self, saga: &Saga, body: &Template, now: Millis, out: &mut Vec<u8>) -> Result<(), ExpressionError> {
        self.with(saga, saga.failure.as_deref(), now, |environment| body.render(environment, out))
    }

    fn emission(
        &self,
        saga: &Saga,
        emit: &Emit,
        id: &str,
        now: Millis,
        scratch: &mut Vec<u8>,
    ) -> Result<Emission, ExpressionError> {
        self.with(saga, saga.failure.as_deref(), now, |environment| {
            let key = match &emit.key {
                None => saga.key().into(),
                Some(expression) => expression.text(environment)?.into(),
            };
            scratch.clear();
            if emit.fingerprint != 0 {
                scratch.extend_from_slice(&[0xc3, 0x01]);
                scratch.extend_from_slice(&emit.fingerprint.to_le_bytes());
            }
            emit.body.render(environment, scratch)?;
            Ok(Emission {
                topic: emit.topic.clone(),
                key,
                kind: emit.event.clone(),
                id: id.into(),
                body: Bytes::copy_from_slice(scratch),
                encoding: emit.encoding,
                headers: emit.headers,
            })
        })
    }
}
