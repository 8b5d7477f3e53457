//! Inputs are taken once each, and all of them.

use std::collections::BTreeMap;

use ringmaster_schemas::journal::JournalRecord;
use ringmaster_schemas::wire::{Framing, recognise};

use crate::sim::coordinator::knowledge;
use crate::sim::truth::{INPUTS, ORDERS, Truth};
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

/// What the journal keeps of an input can be read by the schema that stands beside it.
pub(super) fn copies_are_readable(truths: &[Truth]) -> Result<(), String> {
    let schemas = &knowledge().schemas;
    for truth in truths {
        for judged in &truth.records {
            let JournalRecord::Decision(decision) = &judged.says else { continue };
            for copy in decision.turns.iter().filter_map(|turn| turn.input.as_ref()) {
                let written = match recognise(&copy.raw) {
                    Framing::SingleObject { fingerprint, .. } => schemas.by_fingerprint(fingerprint).map(|schema| schema.key()),
                    Framing::Json => Some(0),
                    _ => None,
                };
                if written != Some(copy.schema) {
                    let place = format!("{}@{}", truth.partition, judged.record.offset);
                    return Err(format!("inputs: {place} keeps one of schema {written:?} under schema {}", copy.schema));
                }
            }
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
        let routed = 0..world.plan.routed.unwrap_or(0);
        for source in routed.filter(|source| source % world.plan.partitions == truth.partition) {
            let end = world.broker.log(INPUTS[ORDERS], source).len() as i64;
            let to = truth.routed_to.get(&source).copied().unwrap_or(0);
            if to != end {
                return Err(format!("inputs: {}/{source} has {end} records, {to} are routed", INPUTS[ORDERS]));
            }
        }
        let is_direct = |index: &usize| world.plan.routed.is_none() || *index != ORDERS;
        for (index, topic) in INPUTS.into_iter().enumerate().filter(|(index, _)| is_direct(index)) {
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
