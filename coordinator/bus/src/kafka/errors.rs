//! What librdkafka's error codes mean to the protocol.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::{BusError, DAMAGED, SendError};

/// Why a record was not confirmed. `fits` says that the record by itself is within the topic's limit.
pub(super) fn send_error(code: Code, fits: bool) -> SendError {
    let text = format!("{code}");
    match code {
        Code::QueueFull => SendError::Full,
        // The broker judges a batch: a record that fits was only in bad company, and may be sent again.
        _ if is_size(code) && fits => SendError::Unknown(text),
        _ if is_size(code) => SendError::TooBig(text),
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::InvalidTopic
        | Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::PolicyViolation
        | Code::InvalidRecord => SendError::Refused(text),
        Code::Fatal | Code::OutOfOrderSequenceNumber | Code::InvalidProducerEpoch | Code::UnknownProducerId => {
            SendError::Broken(text)
        }
        _ => SendError::Unknown(text),
    }
}

/// Whether a topic takes nothing so large.
pub(super) fn is_size(code: Code) -> bool {
    matches!(code, Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge)
}

/// Whether unconfirmed records of a producer cannot be trusted after this (PROTOCOL.md, rule 4).
pub(super) fn is_doubt(code: Code, fatal: bool) -> bool {
    fatal || matches!(code, Code::Fatal | Code::AllBrokersDown | Code::BrokerTransportFailure)
}

/// Why a partition cannot be read, and what helps, for people.
pub(super) fn unreadable(code: Code, text: &str) -> String {
    match code {
        Code::BadMessage | Code::BadCompression | Code::NotImplemented => {
            format!("{DAMAGED} ({text}), and nothing behind it is read. Restore the partition from a replica")
        }
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => format!("it does not exist ({code})"),
        Code::TopicAuthorizationFailed => "this client may not read it; give it READ on the topic".to_owned(),
        _ => format!("{code}: {text}"),
    }
}

/// Why a client of our own has nobody to connect to.
pub(super) fn no_broker(why: String) -> BusError {
    BusError::Refused(format!("kafka.bootstrap.servers: {why}"))
}

/// What an error of a call that waits for the broker means.
pub(super) fn bus_error(error: &KafkaError) -> BusError {
    // rdkafka gives no code for an admin request that failed, though it holds one.
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    let unreachable = matches!(
        code,
        Some(
            Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::MessageTimedOut
                | Code::Resolve
                | Code::LeaderNotAvailable
                | Code::NotController
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::NetworkException
        )
    );
    if unreachable { BusError::Unreachable(told(error)) } else { BusError::Refused(told(error)) }
}

/// An error for people: of a setting that is not taken its name, and never its value, which rdkafka adds to librdkafka's words: it may be
/// a password, also where its name is misspelt.
pub(super) fn told(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, why, key, value) if value.is_empty() => format!("{key}: {why}"),
        KafkaError::ClientConfig(_, why, key, value) => format!("{key}: {}", why.replace(value, "***")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_not_there_is_unreachable_and_not_a_refusal() {
        for code in [Code::OperationTimedOut, Code::AllBrokersDown] {
            assert!(matches!(bus_error(&KafkaError::AdminOp(code)), BusError::Unreachable(_)), "{code:?}");
            assert!(matches!(bus_error(&KafkaError::MetadataFetch(code)), BusError::Unreachable(_)), "{code:?}");
        }
        assert!(matches!(bus_error(&KafkaError::AdminOp(Code::TopicAuthorizationFailed)), BusError::Refused(_)));
    }

    #[test]
    fn what_is_wrong_with_a_setting_is_told_without_its_value() {
        for (key, known) in [("sasl.pasword", "sasl.pasword"), ("socket.timeout.ms", "socket.timeout.ms")] {
            let mut config = rdkafka::ClientConfig::new();
            let error = config.set(key, "hunter2").create_native_config().err().expect("it is not taken");
            let (said, BusError::Refused(also)) = (told(&error), bus_error(&error)) else { panic!("it is refused") };
            assert!(said == also && said.contains(known) && !said.contains("hunter2"), "{said}");
            assert!(error.to_string().contains("hunter2"), "rdkafka says it: {error}");
        }
    }

    #[test]
    fn each_code_has_its_meaning() {
        assert_eq!(send_error(Code::QueueFull, true), SendError::Full);
        assert!(matches!(send_error(Code::MessageSizeTooLarge, false), SendError::TooBig(_)));
        assert!(matches!(send_error(Code::MessageSizeTooLarge, true), SendError::Unknown(_)));
        for code in [Code::UnknownTopic, Code::UnknownTopicOrPartition, Code::TopicAuthorizationFailed, Code::UnknownPartition] {
            assert!(matches!(send_error(code, true), SendError::Refused(_)), "{code}");
        }
        for code in
            [Code::MessageTimedOut, Code::BrokerTransportFailure, Code::NotEnoughReplicas, Code::PurgeQueue, Code::PurgeInflight]
        {
            assert!(matches!(send_error(code, true), SendError::Unknown(_)), "{code}");
        }
        assert!(matches!(send_error(Code::Fatal, true), SendError::Broken(_)));
        assert!(
            is_doubt(Code::AllBrokersDown, false)
                && is_doubt(Code::BrokerTransportFailure, false)
                && is_doubt(Code::MessageTimedOut, true)
        );
        assert!(!is_doubt(Code::MessageTimedOut, false) && !is_doubt(Code::UnknownTopic, false));
    }
}
