//! What is written to topics without a shop.

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use ringmaster_demo::orders::{self, ORDERS, OrderWriter};
use ringmaster_schemas::names::partition_of;

use super::{PARTITIONS, PATIENCE, RUN, World};

/// A record as it is: topic, partition, key and value.
pub type Raw<'a> = (&'a str, i32, Option<&'a [u8]>, Option<&'a [u8]>);

fn raw((topic, partition, key, value): Raw<'_>) -> BaseRecord<'_, [u8], [u8]> {
    let mut record = BaseRecord::to(topic).partition(partition);
    (record.key, record.payload) = (key, value);
    record
}

impl World {
    /// Places orders without a shop, in batches that this codec compresses; returns when they are in the log.
    pub fn place(&self, codec: &str, numbers: std::ops::Range<u64>) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("compression.type", codec).set("linger.ms", "1000");
        let producer: BaseProducer = config.create().expect("a producer");
        let writer = OrderWriter::new(self.schemas().named("OrderPlaced").expect("an example schema"));
        for number in numbers {
            let (key, mut value) = (orders::key(RUN, number), Vec::new());
            writer.put(&key, number, &mut value);
            let partition = partition_of(key.as_bytes(), PARTITIONS);
            producer.send(BaseRecord::to(ORDERS).key(&key).payload(&value).partition(partition)).expect("taken");
        }
        producer.flush(PATIENCE).expect("written");
    }

    /// Writes one record as it is, as anybody may.
    pub fn write(&self, topic: &str, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.write_all(&[(topic, partition, key, value)]);
    }

    /// Writes such records as they are.
    pub fn write_all(&self, records: &[Raw<'_>]) {
        self.send(records.iter().map(|record| raw(*record)));
    }

    /// Writes one record as it is, and as of this time, in milliseconds since 1970.
    pub fn write_as_of(&self, at: i64, record: Raw<'_>) {
        self.send(std::iter::once(raw(record).timestamp(at)));
    }

    fn send<'r>(&self, records: impl Iterator<Item = BaseRecord<'r, [u8], [u8]>>) {
        let mut config = ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", self.address()).create().expect("a producer");
        records.for_each(|record| producer.send(record).expect("taken"));
        producer.flush(PATIENCE).expect("written");
    }
}
