//! A version that was deployed while an instance runs, and is not taken in yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmaster_core::definition::{Catalog, Definition, DefinitionRecord};

/// A version that may be taken in.
pub(super) struct Candidate {
    pub(super) offset: i64,
    pub(super) record: DefinitionRecord,
    pub(super) definition: Arc<Definition>,
    /// New sagas would get it.
    pub(super) is_newest: bool,
}

impl Candidate {
    /// The topics that its sagas listen to.
    pub(super) fn inputs(&self) -> Vec<String> {
        self.definition.inputs().into_iter().map(|topic| topic.to_string()).collect()
    }
}

/// Why versions that new sagas would get are not taken in yet, by their offsets: what `wrong` says, and that something which one runs is
/// held back itself, so that nothing would keep what it counts on.
pub(super) fn held_back(
    candidates: &[Candidate],
    known: &Catalog,
    wrong: impl Fn(&Candidate) -> Vec<String>,
) -> BTreeMap<i64, Vec<String>> {
    let newest = || candidates.iter().filter(|candidate| candidate.is_newest);
    let mut held: BTreeMap<i64, Vec<String>> = newest().map(|candidate| (candidate.offset, wrong(candidate))).collect();
    held.retain(|_, wrong| !wrong.is_empty());
    loop {
        let mut catalog = known.clone();
        for candidate in candidates.iter().filter(|candidate| !held.contains_key(&candidate.offset)) {
            catalog.insert(candidate.definition.clone(), candidate.offset);
        }
        let lacks = |candidate: &Candidate| -> Vec<String> {
            let hash = candidate.definition.hash;
            let runs = candidate.definition.runs().filter(|(_, run)| catalog.sub_saga(&hash, &run.saga).is_none());
            runs.map(|(_, run)| format!("  {}: this saga runs it, and the version that it needs is not in force yet", run.saga))
                .collect()
        };
        let free = newest().filter(|candidate| !held.contains_key(&candidate.offset));
        let more: Vec<(i64, Vec<String>)> = free.map(|candidate| (candidate.offset, lacks(candidate))).collect();
        let before = held.len();
        held.extend(more.into_iter().filter(|(_, lacks)| !lacks.is_empty()));
        if held.len() == before {
            return held;
        }
    }
}
