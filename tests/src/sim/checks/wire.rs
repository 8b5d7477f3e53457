//! What coordinators sent: only what counting records cause, only behind them, and in the end all of it.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_bus::sim::SimRecord;

use crate::sim::truth::{Due, Truth};
use crate::sim::world::World;

/// Topics that coordinators send effects to.
const OUTPUTS: [&str; 5] =
    ["inventory.commands", "payment.commands", "shipping.commands", "order-outcomes", "ringmaster.quarantine"];

type Sent = (String, Vec<u8>, Vec<u8>, Vec<(String, String)>);

fn sent_as(topic: &str, record: &SimRecord) -> Sent {
    (topic.to_owned(), record.key.clone().unwrap_or_default(), record.value.clone(), record.headers.clone())
}

fn due_as(due: &Due) -> Sent {
    let headers = due.effect.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (due.effect.topic.to_string(), due.effect.key().to_vec(), due.effect.value().to_vec(), headers)
}

/// The first moment at which each effect was in its log.
fn first_kept(world: &World) -> BTreeMap<Sent, u64> {
    let mut first = BTreeMap::new();
    for topic in OUTPUTS {
        for partition in 0..world.plan.partitions {
            for record in world.broker.log(topic, partition) {
                first.entry(sent_as(topic, &record)).or_insert(record.appended);
            }
        }
    }
    first
}

/// A command or event on the wire that no counting record caused, or that left before its record was in the log, is a lie.
pub(super) fn only_counting_effects(world: &World, truths: &[Truth]) -> Result<(), String> {
    let mut since: BTreeMap<Sent, u64> = BTreeMap::new();
    for due in truths.iter().flat_map(|truth| &truth.effects) {
        since.entry(due_as(due)).or_insert(due.since);
    }
    for topic in OUTPUTS {
        for partition in 0..world.plan.partitions {
            for record in world.broker.log(topic, partition) {
                let what = sent_as(topic, &record);
                let place = format!("{topic}/{partition}@{} (key {})", record.offset, String::from_utf8_lossy(&what.1));
                match since.get(&what) {
                    None if world.tail_lost => {}
                    None => return Err(format!("wire: {place} was sent, and no counting record causes it")),
                    Some(since) if *since > record.sent && !world.tail_lost => {
                        return Err(format!(
                            "wire: {place} was sent at moment {}, before its record was in the journal (moment {since})",
                            record.sent
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    Ok(())
}

/// `released` of a counting record never covers an effect that was not in its log when the record was sent.
pub(super) fn released_is_acknowledged(world: &World, truths: &[Truth]) -> Result<(), String> {
    let first = first_kept(world);
    for truth in truths {
        let mut below = truth.effects.iter().peekable();
        let mut highest = (0, 0);
        let kept: Vec<(i64, u64)> = std::iter::from_fn(|| below.next()).map(|due| (due.offset, moment(&first, due))).collect();
        for judged in truth.records.iter().filter(|judged| judged.counts) {
            let released = judged.says.stamp().map_or(0, |stamp| stamp.released);
            if released > highest.0 {
                highest =
                    (released, kept.iter().filter(|(offset, _)| *offset < released).map(|(_, moment)| *moment).max().unwrap_or(0));
            }
            if highest.0 == released && highest.1 >= judged.record.sent {
                return Err(format!(
                    "released: journal {}@{} says {released}, and an effect below was not in its log then",
                    truth.partition, judged.record.offset
                ));
            }
        }
    }
    Ok(())
}

/// When it was first kept; the beginning for one that was set apart, the end of time for one that never was kept.
fn moment(first: &BTreeMap<Sent, u64>, due: &Due) -> u64 {
    if due.apart { 0 } else { first.get(&due_as(due)).copied().unwrap_or(u64::MAX) }
}

/// Everything that counting records cause is in its log: nothing is lost.
pub(super) fn all_effects_left(world: &World, truths: &[Truth]) -> Result<(), String> {
    let kept: BTreeSet<Sent> = first_kept(world).into_keys().collect();
    for truth in truths {
        if let Some(due) = truth.effects.iter().find(|due| !kept.contains(&due_as(due))) {
            return Err(format!(
                "lost: journal {}@{} causes a record of {} (key {}) that never was sent",
                truth.partition,
                due.offset,
                due.effect.topic,
                String::from_utf8_lossy(due.effect.key())
            ));
        }
    }
    Ok(())
}
