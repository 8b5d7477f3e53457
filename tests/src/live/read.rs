//! What topics hold.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset};
use ringmaster::blocking;
use ringmaster_bus::kafka::{KafkaBus, KafkaSettings};
use ringmaster_schemas::names::command_topic;
use serde_json::Value;

use super::{PATIENCE, World, kafka_tool};

/// For an answer where a partition ends.
const ASKED_WITHIN: Duration = Duration::from_secs(2);

/// True once a consumer has read all that lies in its partitions now; false also while the broker does not say.
pub(super) fn has_read_all(consumer: &BaseConsumer) -> bool {
    let Ok(positions) = consumer.position() else { return false };
    positions.elements().iter().all(|at| {
        let Ok((first, end)) = consumer.fetch_watermarks(at.topic(), at.partition(), ASKED_WITHIN) else { return false };
        match at.offset() {
            Offset::Offset(next) => next >= end,
            // Nothing has come yet.
            _ => first == end,
        }
    })
}

impl World {
    /// All that a topic ever got, as JSON.
    pub fn records(&self, topic: &str) -> Vec<Value> {
        let count = self.record_count(topic);
        if count == 0 {
            return Vec::new();
        }
        let server = ["--bootstrap-server", self.broker().address(), "--topic", topic, "--from-beginning"];
        let most = count.to_string();
        let said = kafka_tool("console-consumer", &[&server[..], &["--max-messages", &most, "--timeout-ms", "60000"]].concat(), "");
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The values of all that a partition of a topic holds now, in order.
    pub fn values(&self, topic: &str, partition: i32) -> Vec<Vec<u8>> {
        let mut bus = KafkaBus::new(KafkaSettings::new(self.broker().address())).expect("a client");
        let mut values = Vec::new();
        let read = blocking::read_to_end(&mut bus, topic, partition, &mut |read| {
            values.extend(read.value);
            true
        });
        read.expect("the topic can be read");
        values
    }

    /// How many records a topic ever got.
    pub fn record_count(&self, topic: &str) -> i64 {
        let mut config = ClientConfig::new();
        let consumer: BaseConsumer = config.set("bootstrap.servers", self.address()).create().expect("a consumer");
        let of = |partition| consumer.fetch_watermarks(topic, partition, PATIENCE).expect("it exists").1;
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("an answer");
        (0..metadata.topics()[0].partitions().len() as i32).map(of).sum()
    }

    /// How many commands were ever sent to a service.
    pub fn command_count(&self, service: &str) -> i64 {
        self.record_count(&command_topic(service))
    }

    /// The keys of all that a topic ever got, by partition, in order.
    pub fn keys(&self, topic: &str) -> BTreeMap<i32, Vec<String>> {
        let mut keys: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        let count = self.record_count(topic);
        if count == 0 {
            return keys;
        }
        let (server, most) =
            (["--bootstrap-server", self.broker().address(), "--topic", topic, "--from-beginning"], count.to_string());
        let printed = ["print.partition=true", "print.key=true", "print.value=false"];
        let printed: Vec<&str> = printed.iter().flat_map(|property| ["--formatter-property", property]).collect();
        let flags = [&server[..], &["--max-messages", &most, "--timeout-ms", "60000"], &printed].concat();
        for line in kafka_tool("console-consumer", &flags, "").lines() {
            let (partition, key) =
                line.strip_prefix("Partition:").and_then(|rest| rest.split_once('\t')).expect("both are printed");
            keys.entry(partition.parse().expect("a number")).or_default().push(key.to_owned());
        }
        keys
    }
}
