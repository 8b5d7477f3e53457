//! Topic ids and partition counts, which the safe wrapper does not tell.

use std::ffi::CString;
use std::os::raw::c_char;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys::{self as sys, RDKafkaErrorCode};
use ringmaster_schemas::journal::TopicId;

use super::queue::{Event, Queue, text};

/// What the broker says of a topic.
pub(in crate::kafka) struct Identity {
    pub(in crate::kafka) name: String,
    pub(in crate::kafka) id: TopicId,
    pub(in crate::kafka) partitions: i32,
    /// Of the partition that fewest brokers have.
    pub(in crate::kafka) copies: Option<i32>,
}

/// An identity as librdkafka writes it in its log.
pub(in crate::kafka) fn id_text(id: &TopicId) -> String {
    let (high, low) = id.split_at(8);
    let half = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().expect("half of sixteen bytes"));
    // SAFETY: the value that is made here is destroyed here, and its text is copied before.
    unsafe {
        let uuid = sys::rd_kafka_Uuid_new(half(high), half(low));
        let written = text(sys::rd_kafka_Uuid_base64str(uuid));
        sys::rd_kafka_Uuid_destroy(uuid);
        written
    }
}

/// Asks for these topics; without those that do not exist. Waits at most `timeout`.
pub(in crate::kafka) fn identities<C: ClientContext>(
    client: &Client<C>,
    names: &[&str],
    timeout: Duration,
) -> Result<Vec<Identity>, (RDKafkaErrorCode, String)> {
    let c_names: Vec<CString> = names.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let mut pointers: Vec<*const c_char> = c_names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is valid; names are copied; everything that is made here is destroyed here, the queue last of all and
    // before the client, which the caller holds.
    let event = unsafe {
        let rk = client.native_ptr();
        let queue = NonNull::new(sys::rd_kafka_queue_new(rk)).expect("a queue can be made");
        let queue = Queue::new(queue, std::sync::Arc::default());
        let collection = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options = sys::rd_kafka_AdminOptions_new(rk, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
        sys::rd_kafka_DescribeTopics(rk, collection, options, queue.as_ptr());
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(collection);
        queue.wait(timeout + Duration::from_secs(1))
    };
    let event = event.ok_or_else(|| (RDKafkaErrorCode::OperationTimedOut, "no answer".to_owned()))?;
    match event.error() {
        RDKafkaErrorCode::NoError => read(&event),
        code => Err((code, event.error_text())),
    }
}

fn read(event: &Event) -> Result<Vec<Identity>, (RDKafkaErrorCode, String)> {
    let mut found = Vec::new();
    // SAFETY: the event is valid and owns everything that is read here, and everything is copied.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.as_ptr());
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for at in 0..count {
            let topic = *topics.add(at);
            let error = sys::rd_kafka_TopicDescription_error(topic);
            let name = text(sys::rd_kafka_TopicDescription_name(topic));
            match RDKafkaErrorCode::from(sys::rd_kafka_error_code(error)) {
                RDKafkaErrorCode::NoError => {}
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::InvalidTopic => {
                    continue;
                }
                code => {
                    return Err((code, format!("{name}: {}", text(sys::rd_kafka_error_string(error)))));
                }
            }
            let uuid = sys::rd_kafka_TopicDescription_topic_id(topic);
            let mut id = TopicId::default();
            id[..8].copy_from_slice(&sys::rd_kafka_Uuid_most_significant_bits(uuid).to_be_bytes());
            id[8..].copy_from_slice(&sys::rd_kafka_Uuid_least_significant_bits(uuid).to_be_bytes());
            let mut partition_count = 0;
            let partitions = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partition_count);
            let copies = (0..partition_count).map(|at| {
                let mut count = 0;
                sys::rd_kafka_TopicPartitionInfo_replicas(*partitions.add(at), &raw mut count);
                i32::try_from(count).unwrap_or(i32::MAX)
            });
            let copies = copies.min();
            found.push(Identity { name, id, partitions: i32::try_from(partition_count).unwrap_or(i32::MAX), copies });
        }
    }
    Ok(found)
}
