//! A client that speaks Kafka's protocol itself: one request a broker and turn, for all partitions.
//!
//! ```text
//! send -> lane of its partition -> flush: one request a broker -> answers -> deliveries
//! read -> parts -> one fetch a broker, which waits there -> answers -> records, ends, errors
//! ```
//!
//! librdkafka sends one request a partition: twenty a turn of the coordinator, and a broker serves one of a connection at a time. This
//! works on the caller's thread: what the sockets have is taken when the bus is polled.
//!
//! The producer:
//! - One request is in flight for a broker, so one batch for a partition: nothing can overtake. A batch is sent again as it was,
//!   with its sequence number, until the broker answers; then it is written once.
//! - A partition whose leader changes is sent nothing before the old one has answered, or its connection is lost. One that is silent
//!   for seconds while the cluster names another is left: its connection is closed.
//! - A sequence number is used again only if the broker said that nothing was written. A batch that may be in the log keeps it: the next
//!   one has the number behind, and a broker that does not have the batch says so, which breaks the producer.
//! - A connection that is lost with a batch on its way is a doubt. A batch that was sent and is not answered within
//!   `DELIVERY_MAX` breaks the producer: the number behind it could never be taken.
//!
//! The fetcher:
//! - One fetch is in flight for a broker. The next one is sent as soon as it is known where the last one ended, before its records are
//!   visited; what is fetched and not visited is bounded.
//! - An answer is taken for a partition if that still waits for just this: in this turn (a new one begins whenever it is read from
//!   elsewhere, paused or lost) and from this offset. What an answer says of a partition is visited in order: records before an error.
//! - Topics are fetched by their identity, so that no other one of the same name is read; by name from brokers before Kafka 3.1.
//! - A batch is visited after its checksum was compared. What was taken back is passed by the list that comes with each answer.

mod batch;
mod cluster;
mod codec;
mod connection;
mod fetcher;
mod fetches;
#[cfg(feature = "fuzz")]
pub mod hostile;
mod lane;
mod leave;
mod link;
mod login;
mod meaning;
mod producer;
mod records;
mod refusal;
mod requests;
mod scram;
mod security;
mod stream;
mod tls;
pub(super) mod wire;

pub(super) use batch::Compression;
pub(super) use fetcher::Fetcher;
pub(super) use fetches::Fetching;
pub(super) use leave::leave_group;
pub(super) use login::{Credentials, Mechanism};
pub(super) use producer::Producer;
pub(super) use security::Security;
pub(super) use tls::{Pem, TlsSettings, client_config};

#[cfg(test)]
mod tests;
