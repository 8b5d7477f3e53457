//! What is deployed, version by version: the records of the topic of definitions, as people count them.

use std::sync::Arc;

use ringmaster_core::definition::DefinitionRecord;

/// A version that is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// From 1: the first of its content in the log.
    pub number: usize,
    /// By which record new sagas get it; none if they get another one.
    pub in_force: Option<Arc<DefinitionRecord>>,
    /// It is in force again, in place of this later one.
    pub rolled_back: Option<usize>,
    /// As it was deployed first.
    pub record: Arc<DefinitionRecord>,
}

/// Versions by name and number, of records in the order of the log. One whose text comes again is in force again: a rollback.
pub fn versions_of(records: impl IntoIterator<Item = Arc<DefinitionRecord>>) -> Vec<Deployed> {
    let mut versions: Vec<Deployed> = Vec::new();
    for record in records {
        let of_name = || versions.iter().filter(|version| version.record.name == record.name);
        let (known, next) = (of_name().find(|version| version.record.hash == record.hash), of_name().count() + 1);
        let number = known.map_or(next, |version| version.number);
        let before = of_name().find(|version| version.in_force.is_some()).map(|version| version.number);
        if number == next {
            versions.push(Deployed { number, in_force: None, rolled_back: None, record: record.clone() });
        }
        for version in versions.iter_mut().filter(|version| version.record.name == record.name && before != Some(number)) {
            let is_it = version.number == number;
            version.in_force = is_it.then(|| record.clone());
            version.rolled_back = before.filter(|before| is_it && *before > number);
        }
    }
    versions.sort_by(|a, b| (&a.record.name, a.number).cmp(&(&b.record.name, b.number)));
    versions
}
