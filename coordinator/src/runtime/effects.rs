//! Where effects go: topic handles and partitions by name, and the tags by which acknowledgements come back.

use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_bus::{Bus, Topic, TopicPartition};
use ringmaster_core::partition::{Partition, Tag};
use ringmaster_schemas::names::partition_of;

const VALUE_BITS: u32 = 48;
const PARTITION_BITS: u32 = 14;

/// A bus tag: two bits of kind, 14 of partition, 48 of number.
pub(super) fn encode_tag(partition: i32, tag: Tag) -> u64 {
    let (kind, value) = match tag {
        Tag::Claim => (0, 0),
        Tag::Record(number) => (1, number as u64),
        Tag::Effect(number) => (2, number),
        Tag::Undeliverable(number) => (3, number),
    };
    debug_assert!(value < 1 << VALUE_BITS, "2^48 records are centuries");
    (kind << (VALUE_BITS + PARTITION_BITS)) | ((partition as u64) << VALUE_BITS) | value
}

/// The partition and the tag in a bus tag.
pub(super) fn decode_tag(tag: u64) -> (usize, Tag) {
    let value = tag & ((1 << VALUE_BITS) - 1);
    let partition = (tag >> VALUE_BITS) & ((1 << PARTITION_BITS) - 1);
    let tag = match tag >> (VALUE_BITS + PARTITION_BITS) {
        0 => Tag::Claim,
        1 => Tag::Record(value as i64),
        2 => Tag::Effect(value),
        _ => Tag::Undeliverable(value),
    };
    (partition as usize, tag)
}

/// Output topics by name.
pub(super) struct Routes {
    known: HashMap<Arc<str>, (Topic, i32)>,
    order: Vec<(Topic, Tag)>,
}

impl Routes {
    pub(super) fn new(outputs: &[(String, i32)], bus: &mut impl Bus) -> Self {
        let known = outputs.iter().map(|(name, partitions)| (Arc::from(name.as_str()), (bus.topic(name), *partitions))).collect();
        Routes { known, order: Vec::new() }
    }

    fn find(&mut self, name: &Arc<str>, bus: &mut impl Bus) -> (Topic, i32) {
        if let Some(route) = self.known.get(name) {
            return *route;
        }
        // A topic that only a replayed effect names (an older version's): its count is asked once; 1 if it is gone, so that the
        // broker's refusal sets the effect apart.
        let partitions =
            bus.describe(&[name]).ok().and_then(|found| found.into_iter().next().flatten()).map_or(1, |found| found.partitions);
        let route = (bus.topic(name), partitions);
        self.known.insert(name.clone(), route);
        route
    }

    /// Where an effect goes.
    pub(super) fn to(&mut self, name: &Arc<str>, key: &[u8], bus: &mut impl Bus) -> TopicPartition {
        let (topic, partitions) = self.find(name, bus);
        TopicPartition { topic, partition: partition_of(key, partitions) }
    }

    /// The tags, topic by topic, each topic's in their order.
    pub(super) fn order(&mut self, partition: &mut Partition, tags: &[Tag], bus: &mut impl Bus) -> Vec<Tag> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for &tag in tags {
            if let Some(effect) = partition.effect(tag) {
                let name = effect.topic.clone();
                order.push((self.find(&name, bus).0, tag));
            }
        }
        order.sort_by_key(|(topic, _)| *topic);
        let tags = order.iter().map(|(_, tag)| *tag).collect();
        self.order = order;
        tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_back_as_they_went() {
        for partition in [0, 7, 16_383] {
            for tag in [Tag::Claim, Tag::Record(0), Tag::Record(1 << 47), Tag::Effect(5), Tag::Undeliverable(9)] {
                assert_eq!(decode_tag(encode_tag(partition, tag)), (partition as usize, tag));
            }
        }
    }
}
