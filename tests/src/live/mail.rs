//! A sender and a reader on Kafka that faults do not disturb: what is sent is sent until the broker has it, so it may be there twice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Message as _, Offset, TopicPartitionList};

use super::read::has_read_all;

/// A record to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// What became of letters.
#[derive(Debug, Default)]
struct Fates {
    on_their_way: usize,
    /// To be sent again.
    failed: Vec<Letter>,
}

struct Delivered(Arc<Mutex<Fates>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<Letter>;

    fn delivery(&self, result: &DeliveryResult<'_>, letter: Box<Letter>) {
        let mut fates = self.0.lock().expect("no holder panics");
        fates.on_their_way -= 1;
        if result.is_err() {
            fates.failed.push(*letter);
        }
    }
}

/// A sender and a reader.
pub(crate) struct Mail {
    producer: BaseProducer<Delivered>,
    consumer: BaseConsumer,
    fates: Arc<Mutex<Fates>>,
}

impl Mail {
    /// Reads all these partitions from their beginnings.
    pub(crate) fn open(address: &str, read: &[(String, i32)]) -> Mail {
        let fates = Arc::<Mutex<Fates>>::default();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set("reconnect.backoff.max.ms", "500").set("log_level", "0");
        let producer = config.clone().set("acks", "all").set("linger.ms", "2").create_with_context(Delivered(fates.clone()));
        config.set("group.id", "mail").set("enable.auto.commit", "false").set("auto.offset.reset", "error");
        let consumer: BaseConsumer = config.set("fetch.wait.max.ms", "20").create().expect("a consumer can be made");
        let mut all = TopicPartitionList::new();
        for (topic, partitions) in read {
            for partition in 0..*partitions {
                all.add_partition_offset(topic, partition, Offset::Beginning).expect("the beginning is an offset");
            }
        }
        consumer.assign(&all).expect("partitions can be read");
        Mail { producer: producer.expect("a producer can be made"), consumer, fates }
    }

    /// Sends it, now or when there is room.
    pub(crate) fn send(&self, letter: Letter) {
        let headers = letter
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_str()) }));
        self.fates.lock().expect("no holder panics").on_their_way += 1;
        let again = Box::new(letter.clone());
        let record = BaseRecord::with_opaque_to(&letter.topic, again).partition(letter.partition);
        let record = record.key(&letter.key).payload(&letter.value).headers(headers);
        if self.producer.send(record).is_err() {
            let mut fates = self.fates.lock().expect("no holder panics");
            fates.on_their_way -= 1;
            fates.failed.push(letter);
        }
    }

    /// Sends again what failed. True if all has arrived.
    pub(crate) fn go_on(&self) -> bool {
        self.producer.poll(Duration::ZERO);
        let failed = std::mem::take(&mut self.fates.lock().expect("no holder panics").failed);
        failed.into_iter().for_each(|letter| self.send(letter));
        let fates = self.fates.lock().expect("no holder panics");
        fates.on_their_way == 0 && fates.failed.is_empty()
    }

    /// True once all is read that lies there now.
    pub(crate) fn has_read_all(&self) -> bool {
        has_read_all(&self.consumer)
    }

    /// Reads at most so many records. An error if the reading cannot be gone on with: something was deleted before it was read.
    pub(crate) fn read(&self, most: usize, take: &mut dyn FnMut(&Read<'_>)) -> Result<(), String> {
        for _ in 0..most {
            match self.consumer.poll(Duration::from_millis(2)) {
                None => return Ok(()),
                Some(Ok(record)) => {
                    let (partition, offset) = (record.partition(), record.offset());
                    let ids = record.headers().into_iter().flat_map(|headers| headers.iter());
                    let id = ids.filter(|header| header.key == "ce_id").find_map(|header| std::str::from_utf8(header.value?).ok());
                    let (key, value) = (record.key().unwrap_or_default(), record.payload().unwrap_or_default());
                    take(&Read { topic: record.topic(), partition, offset, key, id, value });
                }
                Some(Err(error)) if error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::AutoOffsetReset) => {
                    return Err(format!("records were deleted before they were read here: {error}"));
                }
                // Brokers are away: that is what this is for.
                Some(Err(_)) => {}
            }
        }
        Ok(())
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        // Nothing that is still queued is waited for.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}

/// A record that was read.
pub(crate) struct Read<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: &'a [u8],
    /// Of an event.
    pub(crate) id: Option<&'a str>,
    pub(crate) value: &'a [u8],
}
