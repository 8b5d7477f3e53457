//! A producer: queues records, and gives its delivery events to whoever polls.

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka_sys::{self as sys, RDKafkaErrorCode};

use super::add_brokers;
use super::queue::{Event, Queue};
use crate::Message;
use crate::signal::Signal;

/// One of the questions of [`hurry`].
const METADATA_TIMEOUT_MS: i32 = 500;

/// An idempotent producer with its event queue.
pub(in crate::kafka) struct Producer {
    // In the order in which they must be dropped.
    topics: Vec<Option<TopicHandle>>,
    queue: Queue,
    client: Arc<BaseProducer<Silent>>,
}

/// What a producer says.
pub(in crate::kafka) enum Delivery {
    /// This record was confirmed; without an offset if the broker had it already from an earlier try.
    Done { tag: u64, offset: Option<i64> },
    /// This record was not confirmed; `bytes` are those of its key and value.
    Failed { tag: u64, code: RDKafkaErrorCode, bytes: usize },
    /// Something happened to the client or a connection.
    Error { code: RDKafkaErrorCode, text: String, fatal: bool },
}

impl Producer {
    pub(in crate::kafka) fn new(config: &ClientConfig, signal: Arc<Signal>) -> KafkaResult<Self> {
        let client: Arc<BaseProducer<Silent>> = Arc::new(config.create_with_context(Silent)?);
        // SAFETY: the client is valid; the queue handle is new and ours, and `client` is dropped after it.
        let queue = unsafe {
            let main = sys::rd_kafka_queue_get_main(client.client().native_ptr());
            Queue::new(NonNull::new(main).expect("every client has a main queue"), signal)
        };
        hurry(Arc::clone(&client));
        Ok(Self { topics: Vec::new(), queue, client })
    }

    /// Tells it where the cluster is: `bootstrap` as in its settings.
    pub(in crate::kafka) fn add_brokers(&self, bootstrap: &str) {
        add_brokers(self.client.client().native_ptr(), bootstrap);
    }

    /// Queues a copy of a record; `name` is that of its topic.
    pub(in crate::kafka) fn send(&mut self, name: &str, message: &Message<'_>, tag: u64) -> Result<(), RDKafkaErrorCode> {
        let topic = self.handle(usize::from(message.to.topic.0), name)?;
        let opaque = tag as usize as *mut c_void;
        if !message.headers.is_empty() {
            return self.send_with_headers(topic, message, opaque);
        }
        let (key, key_bytes) = key_of(message);
        let (value, value_bytes) = (message.value.as_ptr().cast_mut().cast(), message.value.len());
        let (partition, flags) = (message.to.partition, sys::RD_KAFKA_MSG_F_COPY);
        // SAFETY: the topic handle is valid; key and value are read and copied before this returns (F_COPY).
        let failed = unsafe { sys::rd_kafka_produce(topic, partition, flags, value, value_bytes, key, key_bytes, opaque) != 0 };
        // SAFETY: reads a thread-local variable.
        if failed { Err(unsafe { sys::rd_kafka_last_error() }.into()) } else { Ok(()) }
    }

    fn send_with_headers(
        &self,
        topic: *mut sys::rd_kafka_topic_t,
        message: &Message<'_>,
        opaque: *mut c_void,
    ) -> Result<(), RDKafkaErrorCode> {
        use sys::rd_kafka_vtype_t as part;
        let (key, key_bytes) = key_of(message);
        // SAFETY: the list copies names and values; it belongs to the message once that is queued, and to us if it is not. The
        // arguments are of the types that each tag demands.
        let error = unsafe {
            let list = sys::rd_kafka_headers_new(message.headers.len());
            for (name, value) in message.headers {
                let (name_bytes, value_bytes) = (name.len() as isize, value.len() as isize);
                sys::rd_kafka_header_add(list, name.as_ptr().cast(), name_bytes, value.as_ptr().cast(), value_bytes);
            }
            let error = sys::rd_kafka_producev(
                self.client.client().native_ptr(),
                part::RD_KAFKA_VTYPE_RKT,
                topic,
                part::RD_KAFKA_VTYPE_PARTITION,
                message.to.partition,
                part::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                part::RD_KAFKA_VTYPE_VALUE,
                message.value.as_ptr(),
                message.value.len(),
                part::RD_KAFKA_VTYPE_KEY,
                key,
                key_bytes,
                part::RD_KAFKA_VTYPE_OPAQUE,
                opaque,
                part::RD_KAFKA_VTYPE_HEADERS,
                list,
                part::RD_KAFKA_VTYPE_END,
            );
            if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                sys::rd_kafka_headers_destroy(list);
            }
            error
        };
        match RDKafkaErrorCode::from(error) {
            RDKafkaErrorCode::NoError => Ok(()),
            code => Err(code),
        }
    }

    /// Visits what happened, about so many records at most; returns how many. Less than the limit means that nothing is left.
    pub(in crate::kafka) fn visit(&mut self, count_max: usize, visit: &mut dyn FnMut(Delivery)) -> usize {
        let mut count = 0;
        while count < count_max {
            let Some(event) = self.queue.next() else {
                break;
            };
            count += visit_event(event, visit);
        }
        count
    }

    fn handle(&mut self, topic: usize, name: &str) -> Result<*mut sys::rd_kafka_topic_t, RDKafkaErrorCode> {
        if let Some(Some(handle)) = self.topics.get(topic) {
            return Ok(handle.0.as_ptr());
        }
        let c_name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: the client is valid, the name is copied, no configuration means that of the client.
        let made = unsafe { sys::rd_kafka_topic_new(self.client.client().native_ptr(), c_name.as_ptr(), ptr::null_mut()) };
        let handle = NonNull::new(made).ok_or(RDKafkaErrorCode::InvalidTopic)?;
        if self.topics.len() <= topic {
            self.topics.resize_with(topic + 1, || None);
        }
        self.topics[topic] = Some(TopicHandle(handle));
        Ok(handle.as_ptr())
    }
}

/// Shortens the start of an idempotent producer from 510 to about 60 ms. It asks for its producer id when the broker that it was told
/// of is connected; but with the first answer it drops that connection for one by the broker's own name, and then looks again only
/// after half a second, or when an answer with metadata comes. So such answers are asked for, a few, on a side thread, for they wait.
fn hurry(client: Arc<BaseProducer<Silent>>) {
    let run = move || {
        for wait_ms in [10, 10, 20, 40, 80, 160] {
            std::thread::sleep(Duration::from_millis(wait_ms));
            let mut metadata = ptr::null();
            // SAFETY: the client is valid; without a topic it asks for those that are in use; the answer is ours to destroy.
            unsafe {
                let rk = client.client().native_ptr();
                let error = sys::rd_kafka_metadata(rk, 0, ptr::null_mut(), &raw mut metadata, METADATA_TIMEOUT_MS);
                if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    sys::rd_kafka_metadata_destroy(metadata);
                }
            }
        }
    };
    // Without the thread it takes longer, and that is all.
    let _ = std::thread::Builder::new().name("kafka-start".to_owned()).spawn(run);
}

fn key_of(message: &Message<'_>) -> (*const c_void, usize) {
    message.key.map_or((ptr::null(), 0), |key| (key.as_ptr().cast(), key.len()))
}

fn visit_event(mut event: Event, visit: &mut dyn FnMut(Delivery)) -> usize {
    match event.kind() {
        sys::RD_KAFKA_EVENT_DR => {
            let mut count = 0;
            while let Some(message) = event.next_message() {
                let tag = message._private as usize as u64;
                visit(match RDKafkaErrorCode::from(message.err) {
                    RDKafkaErrorCode::NoError => Delivery::Done { tag, offset: (message.offset >= 0).then_some(message.offset) },
                    code => Delivery::Failed { tag, code, bytes: message.len + message.key_len },
                });
                count += 1;
            }
            count
        }
        sys::RD_KAFKA_EVENT_ERROR => {
            visit(Delivery::Error { code: event.error(), text: event.error_text(), fatal: event.is_fatal() });
            1
        }
        sys::RD_KAFKA_EVENT_LOG => {
            let _line = event.log();
            0
        }
        _ => 0,
    }
}

/// A topic handle of one producer.
struct TopicHandle(NonNull<sys::rd_kafka_topic_t>);

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for TopicHandle {}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and destroyed once, before its client.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

/// Delivery events are read off the queue. Only those of a producer that is being dropped come this way, and nobody wants them.
pub(in crate::kafka) struct Silent;

impl ClientContext for Silent {}

impl ProducerContext for Silent {
    type DeliveryOpaque = usize;

    fn delivery(&self, _: &DeliveryResult<'_>, _: usize) {}
}
