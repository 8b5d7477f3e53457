//! Records that nobody can take, on every topic that is read: each is put aside, or passed over, and hinders none beside it.

use fastrand::Rng;
use ringmaster_demo::orders::ORDERS;
use ringmaster_demo::rig::SERVICES;
use ringmaster_schemas::names::command_topic;

use super::Made;
use crate::chaos::Halt;
use crate::chaos::stage::Stage;
use crate::live::{PARTITIONS, Raw};

/// What no reply, event, command or letter looks like.
const NOISE: &[u8] = b"\xc3\x01neither of ours nor of anybody";
/// A reply that fits nothing.
const STRAY: &[u8] =
    br#"{"meta":{"idempotency_key":"order-fulfilment/ord-none/ship/do","attempt":1,"outcome":"succeeded"},"body":{"tracking":"t"}}"#;

/// Some of them to each partition of each topic, in the middle of the load.
pub(super) fn poison(stage: &mut Stage<'_>, random: &mut Rng) -> Result<Made, Halt> {
    let (partitions, topics) = (Stage::all(), stage.world.topics());
    let mut noise = NOISE.to_vec();
    let length = random.usize(..200);
    noise.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
    let commands = SERVICES.map(command_topic);
    stage.wait_flow(&partitions)?;
    stage.hit()?;
    let mut records: Vec<Raw<'_>> = Vec::new();
    for partition in 0..PARTITIONS {
        for topic in [ORDERS, &topics.replies, &topics.control, &topics.inbox] {
            records.push((topic, partition, None, Some(&noise)));
            *stage.poisoned.entry(topic.to_owned()).or_default() += 1;
        }
        for topic in [ORDERS, &topics.replies] {
            records.push((topic, partition, Some(b"ord-"), Some(b"{")));
            *stage.poisoned.entry(topic.to_owned()).or_default() += 1;
        }
        // Known, and rejected; and passed over by whoever reads it.
        records.push((&topics.replies, partition, Some(b"ord-none"), Some(STRAY)));
        for topic in commands.iter().chain([&topics.journal]) {
            records.push((topic, partition, None, Some(&noise)));
        }
    }
    stage.world.write_all(&records);
    Ok(Made::of(format!("{} records", records.len()), partitions))
}
