//! What operators are told of a story is what happened in it: the row's words and the journal's are held against the events.

use std::collections::BTreeSet;

use ringmaster_core::saga::{Passed, Teller, Told, passed, why};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::state::{Entry, Saga};

use super::stage::Stage;
use crate::laws::postponed;

/// What is told wrongly, or not at all.
pub(super) fn wrong(stage: &Stage) -> Vec<String> {
    let mut faults = Vec::new();
    let versions = |_: &_| Some((stage.definition(), 1));
    let time = |at: Millis| format!("{at}");
    let id = stage.saga.as_ref().map_or("", |saga| &saga.id);
    let (mut teller, mut told) = (Teller::new(id, &versions, &time), Vec::new());
    for happened in &stage.history {
        let before = told.len();
        teller.tell(&happened.event, &mut told);
        if told[before..].iter().all(|one| one.event == "arm_taken" || one.text.is_empty()) {
            faults.push(format!("{:?} is not told", happened.event));
        }
        let (reasons, open) = (why(stage.definition(), &happened.behind).len(), open(stage, &happened.behind));
        if reasons != open {
            faults.push(format!("{reasons} reasons for {open} open leaves behind {:?}", happened.event));
        }
        let events: Vec<&SagaEvent> = stage.history.iter().map(|happened| &happened.event).collect();
        way(stage, &happened.behind, &events, &mut faults);
    }
    if let Some(saga) = &stage.saga {
        arms(stage, saga, &told, &mut faults);
    }
    faults
}

fn open(stage: &Stage, saga: &Saga) -> usize {
    saga.entries.iter().filter(|entry: &&Entry| entry.open()).count() + postponed(stage.definition(), saga).count()
}

/// What the row says of nodes without entries is what becomes of them in the whole story.
fn way(stage: &Stage, row: &Saga, events: &[&SagaEvent], faults: &mut Vec<String>) {
    let emitted = |node: u16| events.iter().any(|event| matches!(event, SagaEvent::Emitted { node: by, .. } if *by == node));
    let entered = |node: u16| stage.saga.iter().flat_map(|saga| &saga.entries).any(|entry| entry.node == node);
    for (node, what) in passed(stage.definition(), row) {
        let holds = match what {
            Passed::Skipped => !entered(node) && !emitted(node),
            Passed::Emitted => emitted(node),
            Passed::EmittedOrSkipped | Passed::Arm(_) => true,
        };
        if !holds {
            faults.push(format!("the row says that {} was {what:?}", stage.definition().nodes[usize::from(node)].name));
        }
    }
}

/// Row and journal tell the same arms, and the journal tells each choice once.
fn arms(stage: &Stage, saga: &Saga, told: &[Told], faults: &mut Vec<String>) {
    let by_journal: Vec<&Told> = told.iter().filter(|one| one.event == "arm_taken").collect();
    let choices: BTreeSet<_> = by_journal.iter().map(|one| &one.step).collect();
    if choices.len() != by_journal.len() {
        faults.push(format!("a choice is told twice: {by_journal:?}"));
    }
    for (node, what) in passed(stage.definition(), saga) {
        if let Passed::Arm(arm) = what {
            let says = format!("{} takes arm {arm} of ", stage.definition().nodes[usize::from(node)].name);
            if !by_journal.iter().any(|one| one.text.starts_with(&says)) {
                faults.push(format!("the row says '{says}', the journal {by_journal:?}"));
            }
        }
    }
}
