//! A consumer's events: records as they lie in the fetched bytes, ends, errors, and what its group decides.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka_sys::{self as sys, RDKafkaErrorCode};

use super::add_brokers;
use super::queue::{Event, Queue, text};
use crate::Headers;
use crate::signal::Signal;

/// A consumer with its event queue.
pub(in crate::kafka) struct Consumer {
    // In the order in which they must be dropped.
    queue: Queue,
    client: BaseConsumer<Member>,
}

/// What a consumer says.
pub(in crate::kafka) enum Told<'e> {
    Fetched(Fetched<'e>),
    /// Something happened to this partition, at this offset if it is about one.
    Partition {
        topic: String,
        partition: i32,
        offset: i64,
        code: RDKafkaErrorCode,
        text: String,
    },
    /// Something happened to the client or a connection.
    Client {
        code: RDKafkaErrorCode,
        text: String,
    },
    /// The group gives these partitions.
    Given(Vec<(String, i32)>),
    /// The group takes these partitions.
    Taken(Vec<(String, i32)>),
    /// A commit was refused.
    NotCommitted(String),
    /// It knows no leader of a partition that it is to read, and asks for one: said every second.
    NoLeader,
    /// From here on this name belongs to the topic of this identity, as `id_text` writes it, and no more to another one.
    Identity {
        topic: String,
        id: String,
    },
}

impl Consumer {
    pub(in crate::kafka) fn new(config: &ClientConfig, signal: Arc<Signal>) -> KafkaResult<Self> {
        let client: BaseConsumer<Member> = config.create_with_context(Member)?;
        // SAFETY: the client is valid and has a group id; the queue handle is new and ours, and `client` is dropped after it.
        let queue = unsafe {
            let queue = sys::rd_kafka_queue_get_consumer(client.client().native_ptr());
            Queue::new(NonNull::new(queue).expect("a consumer with a group id has a queue"), signal)
        };
        Ok(Self { queue, client })
    }

    /// As whom the group knows it: another one each time that it joins anew.
    pub(in crate::kafka) fn member_id(&self) -> Option<String> {
        let client = self.client.client().native_ptr();
        // SAFETY: the client lives, and what it gives is a text that is freed once.
        unsafe {
            let id = sys::rd_kafka_memberid(client);
            if id.is_null() {
                return None;
            }
            let owned = CStr::from_ptr(id).to_string_lossy().into_owned();
            sys::rd_kafka_mem_free(client, id.cast());
            Some(owned).filter(|id| !id.is_empty())
        }
    }

    /// For what the safe wrapper offers. Never poll it: events would be lost.
    pub(in crate::kafka) fn client(&self) -> &BaseConsumer<Member> {
        &self.client
    }

    /// Tells it where the cluster is: `bootstrap` as in its settings.
    pub(in crate::kafka) fn add_brokers(&self, bootstrap: &str) {
        add_brokers(self.client.client().native_ptr(), bootstrap);
    }

    /// Visits the next event; `false` if there is none.
    pub(in crate::kafka) fn visit_one(&mut self, visit: &mut dyn FnMut(Told<'_>)) -> bool {
        let Some(mut event) = self.queue.next() else {
            return false;
        };
        match event.kind() {
            sys::RD_KAFKA_EVENT_FETCH => {
                while let Some(message) = event.next_message() {
                    visit(Told::Fetched(Fetched { message, event: PhantomData }));
                }
            }
            sys::RD_KAFKA_EVENT_ERROR => visit(error(&event)),
            sys::RD_KAFKA_EVENT_REBALANCE => {
                let partitions = partitions(&event);
                visit(if event.error() == RDKafkaErrorCode::AssignPartitions {
                    Told::Given(partitions)
                } else {
                    Told::Taken(partitions)
                });
            }
            sys::RD_KAFKA_EVENT_OFFSET_COMMIT => match event.error() {
                RDKafkaErrorCode::NoError | RDKafkaErrorCode::NoOffset => {}
                _ => visit(Told::NotCommitted(event.error_text())),
            },
            sys::RD_KAFKA_EVENT_LOG => {
                let line = event.log();
                if let Some((topic, id)) = identity(&line) {
                    visit(Told::Identity { topic, id });
                } else if line.trim_end().ends_with(NO_LEADER) {
                    visit(Told::NoLeader);
                }
            }
            _ => {}
        }
        true
    }
}

/// How the line ends that it writes for each partition without a leader.
const NO_LEADER: &str = ": re-query";

/// What a line of librdkafka's log says of a topic's identity. It fetches by identity, and takes another one for a name with the
/// metadata that tell of it: it goes on at the same offset, and says so in its log only. The line is put before everything else into
/// the queue that records come by, and before the first of them is fetched from the new topic.
fn identity(line: &str) -> Option<(String, String)> {
    let (before, ids) = line.split_once(" changed id from ")?;
    let (_, topic) = before.rsplit_once("Topic ")?;
    let (_, id) = ids.trim().split_once(" to ")?;
    Some((topic.to_owned(), id.to_owned()))
}

fn error(event: &Event) -> Told<'static> {
    let (code, text_of_error) = (event.error(), event.error_text());
    // SAFETY: the event is valid; the result is null or ours to destroy.
    unsafe {
        let at = sys::rd_kafka_event_topic_partition(event.as_ptr());
        let Some(found) = at.as_ref() else {
            return Told::Client { code, text: text_of_error };
        };
        let (topic, partition, offset) = (text(found.topic), found.partition, found.offset);
        sys::rd_kafka_topic_partition_destroy(at);
        Told::Partition { topic, partition, offset, code, text: text_of_error }
    }
}

fn partitions(event: &Event) -> Vec<(String, i32)> {
    // SAFETY: the event is valid and owns the list, whose elements are read and copied.
    unsafe {
        let Some(list) = sys::rd_kafka_event_topic_partition_list(event.as_ptr()).as_ref() else {
            return Vec::new();
        };
        let elements = if list.cnt > 0 { slice::from_raw_parts(list.elems, list.cnt as usize) } else { &[] };
        elements.iter().map(|element| (text(element.topic), element.partition)).collect()
    }
}

/// A record that was fetched, in the bytes that came from the broker.
#[derive(Clone, Copy)]
pub(in crate::kafka) struct Fetched<'e> {
    message: *const sys::rd_kafka_message_t,
    event: PhantomData<&'e Event>,
}

impl<'e> Fetched<'e> {
    fn message(&self) -> &'e sys::rd_kafka_message_t {
        // SAFETY: the event, which owns it, lives as long as 'e.
        unsafe { &*self.message }
    }

    pub(in crate::kafka) fn topic(&self) -> &'e CStr {
        // SAFETY: the message holds its topic, and that its name.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.message().rkt)) }
    }

    pub(in crate::kafka) fn partition(&self) -> i32 {
        self.message().partition
    }

    pub(in crate::kafka) fn offset(&self) -> i64 {
        self.message().offset
    }

    pub(in crate::kafka) fn key(&self) -> Option<&'e [u8]> {
        // SAFETY: the message owns so many bytes there.
        unsafe { bytes(self.message().key.cast(), self.message().key_len) }
    }

    pub(in crate::kafka) fn value(&self) -> Option<&'e [u8]> {
        // SAFETY: the message owns so many bytes there.
        unsafe { bytes(self.message().payload.cast(), self.message().len) }
    }

    /// Milliseconds since 1970; 0 if it has none.
    pub(in crate::kafka) fn timestamp(&self) -> i64 {
        // SAFETY: the message is valid.
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(self.message, ptr::null_mut()) };
        timestamp.max(0)
    }

    /// Its headers, if it has any.
    pub(in crate::kafka) fn headers(&self) -> Option<FetchedHeaders<'e>> {
        let mut list = ptr::null_mut();
        // SAFETY: the message is valid and keeps the list, which is made at the first call.
        let error = unsafe { sys::rd_kafka_message_headers(self.message, &raw mut list) };
        let found = error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !list.is_null();
        found.then_some(FetchedHeaders { list, event: PhantomData })
    }
}

/// The headers of a record that was fetched.
pub(in crate::kafka) struct FetchedHeaders<'e> {
    list: *const sys::rd_kafka_headers_t,
    event: PhantomData<&'e Event>,
}

impl Headers for FetchedHeaders<'_> {
    fn find(&self, name: &str) -> Option<&[u8]> {
        let mut last = None;
        for index in 0.. {
            let (mut found, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the list is valid while the event lives, and owns name and value.
            unsafe {
                let error = sys::rd_kafka_header_get_all(self.list, index, &raw mut found, &raw mut value, &raw mut length);
                if error != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    break;
                }
                if CStr::from_ptr(found).to_bytes() == name.as_bytes() {
                    last = Some(bytes(value.cast(), length).unwrap_or(&[]));
                }
            }
        }
        last
    }
}

/// # Safety
/// `start` is null or points to so many bytes that live as long as 'e.
unsafe fn bytes<'e>(start: *const u8, length: usize) -> Option<&'e [u8]> {
    // SAFETY: by the caller.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, length) })
}

/// Rebalances are read off the queue. Only that of a consumer that is being dropped comes the wrapper's way, which is right then.
pub(in crate::kafka) struct Member;

impl ClientContext for Member {}
impl ConsumerContext for Member {}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_about_an_identity_is_understood_and_no_other() {
        let line = "[thrd:main]: Topic or.ders-1 changed id from AAAAAAAAAAAAAAAAAAAAAA to 2GH0Fa//RQ+bqbhL3hUI5w";
        assert_eq!(super::identity(line), Some(("or.ders-1".to_owned(), "2GH0Fa//RQ+bqbhL3hUI5w".to_owned())));
        for other in ["", "Topic orders partition count changed from 8 to 12", "[thrd:main]: Topic orders changed"] {
            assert_eq!(super::identity(other), None);
        }
    }
}
