//! Where effects go: topic handles and partitions by name, and the tags by which acknowledgements come back.

use std::sync::Arc;

use hashbrown::HashMap;
use ringmaster_bus::{Bus, Topic, TopicPartition};
use ringmaster_core::partition::{Partition, Tag};
use ringmaster_schemas::names::partition_of;

const VALUE_BITS: u32 = 42;
const EPOCH_BITS: u32 = 6;
const PARTITION_BITS: u32 = 14;

/// So many hostings of a partition are told apart: an acknowledgement of an older one has long come, or never will.
pub(super) const EPOCHS: u8 = 1 << EPOCH_BITS;

/// Whom an acknowledgement is for. As a bus tag: two bits of kind (0 is the claim, and with a number one less than that a record of the inbox), 14 of partition, 6 of epoch, 42 of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) partition: i32,
    /// Which hosting of it.
    pub(super) epoch: u8,
    pub(super) tag: Tag,
}

impl Address {
    pub(super) fn encode(self) -> u64 {
        let (kind, value) = match self.tag {
            Tag::Claim => (0, 0),
            Tag::Forward(number) => (0, number + 1),
            Tag::Record(number) => (1, number as u64),
            Tag::Effect(number) => (2, number),
            Tag::Undeliverable(number) => (3, number),
        };
        debug_assert!(value < 1 << VALUE_BITS, "2^42 records under one claim are more than a year");
        let place = ((kind << PARTITION_BITS) | self.partition as u64) << EPOCH_BITS | u64::from(self.epoch);
        (place << VALUE_BITS) | value
    }

    pub(super) fn decode(tag: u64) -> Self {
        let (value, place) = (tag & ((1 << VALUE_BITS) - 1), tag >> VALUE_BITS);
        let epoch = (place & u64::from(EPOCHS - 1)) as u8;
        let partition = ((place >> EPOCH_BITS) & ((1 << PARTITION_BITS) - 1)) as i32;
        let tag = match place >> (EPOCH_BITS + PARTITION_BITS) {
            0 if value == 0 => Tag::Claim,
            0 => Tag::Forward(value - 1),
            1 => Tag::Record(value as i64),
            2 => Tag::Effect(value),
            _ => Tag::Undeliverable(value),
        };
        Address { partition, epoch, tag }
    }
}

/// Output topics by name.
pub(super) struct Routes {
    known: HashMap<Arc<str>, (Topic, i32)>,
    order: Vec<(Option<Topic>, Tag)>,
}

impl Routes {
    pub(super) fn new(outputs: &[(String, i32)], bus: &mut impl Bus) -> Self {
        let known = outputs.iter().map(|(name, partitions)| (Arc::from(name.as_str()), (bus.topic(name), *partitions))).collect();
        Routes { known, order: Vec::new() }
    }

    /// Takes in those that are new among these.
    pub(super) fn learn(&mut self, outputs: &[(String, i32)], bus: &mut impl Bus) {
        for (name, partitions) in outputs {
            if !self.known.contains_key(name.as_str()) {
                self.known.insert(name.as_str().into(), (bus.topic(name), *partitions));
            }
        }
    }

    /// Where an effect goes; none if nobody knows its topic.
    pub(super) fn to(&self, name: &str, key: &[u8]) -> Option<TopicPartition> {
        let (topic, partitions) = *self.known.get(name)?;
        Some(TopicPartition { topic, partition: partition_of(key, partitions) })
    }

    /// The tags, topic by topic, each topic's in their order.
    pub(super) fn order(&mut self, partition: &mut Partition, tags: &[Tag]) -> Vec<Tag> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for &tag in tags {
            if let Some(effect) = partition.effect(tag) {
                order.push((self.known.get(&effect.topic).map(|(topic, _)| *topic), tag));
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
            for epoch in [0, 1, EPOCHS - 1] {
                for tag in [
                    Tag::Claim,
                    Tag::Record(0),
                    Tag::Record((1 << 42) - 1),
                    Tag::Effect(5),
                    Tag::Undeliverable(9),
                    Tag::Forward(0),
                    Tag::Forward(7),
                ] {
                    let address = Address { partition, epoch, tag };
                    assert_eq!(Address::decode(address.encode()), address);
                }
            }
        }
    }
}
