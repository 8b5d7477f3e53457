//! What a broker's error says of a batch.

/// By <https://kafka.apache.org/protocol#protocol_error_codes>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is in the log.
    Written,
    /// It is not, and will not be.
    Refused,
    /// The topic is not known here, or not yet. It is not written.
    NoTopic,
    /// Another broker leads the partition, or none does now; a leader that ceased to be one may have written it.
    OtherLeader,
    /// The broker cannot now, and has written nothing.
    Later,
    /// Perhaps it is and perhaps not. Sent again as it was, it is written once.
    Unclear,
    /// The broker does not follow this producer any more.
    Broken,
    /// An error that no broker has for a producer: perhaps it is written and perhaps not, and there is no sense in asking again.
    Strange,
}

impl Meaning {
    pub(super) fn of(error: i16) -> Self {
        match error {
            // DUPLICATE_SEQUENCE_NUMBER: it has it, so long ago that it does not know where.
            0 | 46 => Meaning::Written,
            // UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID
            3 | 100 => Meaning::NoTopic,
            // LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REPLICA_NOT_AVAILABLE, KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH,
            // UNKNOWN_LEADER_EPOCH
            5 | 6 | 9 | 56 | 74 | 75 => Meaning::OtherLeader,
            // BROKER_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_ENOUGH_REPLICAS, THROTTLING_QUOTA_EXCEEDED
            8 | 14 | 19 | 89 => Meaning::Later,
            // UNKNOWN_SERVER_ERROR, CORRUPT_MESSAGE (on its way), REQUEST_TIMED_OUT, NETWORK_EXCEPTION,
            // NOT_ENOUGH_REPLICAS_AFTER_APPEND
            -1 | 2 | 7 | 13 | 20 => Meaning::Unclear,
            // OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID, PRODUCER_FENCED
            45 | 47 | 49 | 59 | 90 => Meaning::Broken,
            // What a broker looks at before it writes: MESSAGE_TOO_LARGE, INVALID_TOPIC_EXCEPTION, RECORD_LIST_TOO_LARGE,
            // INVALID_REQUIRED_ACKS, TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, INVALID_TIMESTAMP,
            // UNSUPPORTED_VERSION, INVALID_REQUEST, UNSUPPORTED_FOR_MESSAGE_FORMAT, POLICY_VIOLATION,
            // TRANSACTIONAL_ID_AUTHORIZATION_FAILED, UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD
            10 | 17 | 18 | 21 | 29 | 31 | 32 | 35 | 42 | 43 | 44 | 53 | 76 | 87 => Meaning::Refused,
            _ => Meaning::Strange,
        }
    }

    /// True if the batch may be in the log although this was answered.
    pub(super) fn is_unsure(self) -> bool {
        matches!(self, Meaning::OtherLeader | Meaning::Unclear | Meaning::Strange)
    }
}
