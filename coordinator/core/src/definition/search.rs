//! What a definition's sagas are searched by: computed once, at the start, and kept in the head.

use std::sync::Arc;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::SearchValues;

use super::compile::Report;
use super::expression::{NODES_PER_TURN_MAX, SearchKind};
use super::{Budget, Catalog, CompileError, Definition, DefinitionRecord, Environment, Expression, ExpressionError, yaml};
use crate::faults::mutated;

/// A value that people find sagas by.
#[derive(Debug)]
pub struct Search {
    /// What it is called.
    pub name: Arc<str>,
    /// Of what kind it is.
    pub kind: SearchKind,
    /// No other saga of the definition has the same value while this one lives.
    pub unique: bool,
    /// The value, over what the saga begins with.
    pub value: Expression,
}

impl Definition {
    /// What a saga that begins now is searched by, as its head keeps it; nothing where it is searched by nothing.
    pub fn search_values(&self, environment: &Environment<'_>) -> Result<Vec<u8>, ExpressionError> {
        if self.search.is_empty() {
            return Ok(Vec::new());
        }
        let mut values: Vec<(&str, String)> = Vec::with_capacity(self.search.len());
        for search in &self.search {
            match search.value.searched(environment)? {
                Some(value) => values.push((&search.name, value)),
                None if mutated("absent_value_searched") => values.push((&search.name, String::new())),
                None => {}
            }
        }
        Ok(SearchValues::encode(&self.name, values.iter().map(|(name, value)| (*name, &**value))))
    }

    /// What a sub-saga that begins now with this input is searched by; and what that cost, in nodes.
    pub fn searched_by(&self, key: &str, start: &[u8], now: Millis) -> (Result<Vec<u8>, ExpressionError>, u32) {
        let budget = Budget::new();
        let search = self.search_values(&Environment { start, ..Environment::without_saga(key, now, &budget) });
        (search, NODES_PER_TURN_MAX - budget.left())
    }

    /// What it calls this.
    pub fn search_named(&self, name: &str) -> Option<&Search> {
        self.search.iter().find(|search| *search.name == *name)
    }
}

impl Catalog {
    /// What a new version calls by the name of something else, in a version that is known: sagas of both are looked for by one value.
    pub fn searched_otherwise(&self, definition: &Definition, record: &DefinitionRecord) -> Vec<CompileError> {
        let versions = self.versions();
        let mut found = Report::new(&record.file, &record.text, record.line);
        for search in &definition.search {
            let other = |(version, number): &(&Arc<Definition>, u32)| {
                let known = version.search_named(&search.name).filter(|_| version.name == definition.name)?;
                (!known.kind.fits(search.kind)).then_some((known.kind, *number))
            };
            let Some((kind, number)) = versions.iter().rev().find_map(other) else { continue };
            let document = yaml::load(&record.text).ok().and_then(|documents| documents.into_iter().next());
            let entry = document.as_ref().and_then(|document| document.root.named("search")?.named(&search.name));
            let message =
                format!("search.{} is {} here, and {kind} in version {number}, which is deployed", search.name, search.kind);
            let hint = "sagas of both versions are found by one name: give it another name, or the same type";
            found.error(&entry.map_or(0..0, |entry| entry.span.clone()), message, hint);
        }
        found.finish().0
    }
}
