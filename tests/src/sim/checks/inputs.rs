//! Inputs are taken once each, and all of them.

use std::collections::BTreeMap;

use ringmaster_schemas::journal::JournalRecord;

use crate::sim::truth::{INPUTS, Truth};
use crate::sim::world::World;

/// No input is decided twice.
pub(super) fn each_once(truths: &[Truth]) -> Result<(), String> {
    for truth in truths {
        if let Some(((index, offset), count)) = truth.taken.iter().find(|(_, count)| **count > 1) {
            return Err(format!("inputs: {}/{}@{offset} was decided {count} times", INPUTS[*index], truth.partition));
        }
    }
    Ok(())
}

/// A claim id stands for one attempt to claim; the same bytes at another moment of sending are another attempt.
pub(super) fn claims_are_distinct(truths: &[Truth]) -> Result<(), String> {
    for truth in truths {
        let mut seen = BTreeMap::new();
        for judged in &truth.records {
            if let JournalRecord::Claim(claim) = &judged.says
                && *seen.entry(claim.id).or_insert(judged.record.sent) != judged.record.sent
            {
                return Err(format!("claims: the one in {}@{} has the id of another", truth.partition, judged.record.offset));
            }
        }
    }
    Ok(())
}

/// The journal's positions are at the ends of the inputs.
pub(super) fn all_taken(world: &World, truths: &[Truth]) -> Result<(), String> {
    for truth in truths {
        for (index, topic) in INPUTS.into_iter().enumerate() {
            let end = world.broker.log(topic, truth.partition).len() as i64;
            if truth.positions[index] != end {
                return Err(format!(
                    "inputs: {topic}/{} has {end} records, the journal took {}",
                    truth.partition, truth.positions[index]
                ));
            }
        }
    }
    Ok(())
}
