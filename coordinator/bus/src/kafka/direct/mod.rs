//! A producer that speaks Kafka's protocol itself: one request a broker and turn, with a batch for every partition that has records.
//!
//! ```text
//! send -> lane of its partition -> flush: one request a broker -> answers -> deliveries
//! ```
//!
//! librdkafka sends one request a partition: twenty a turn of the coordinator, and a broker serves one of a connection at a time. This
//! works on the caller's thread: what the sockets have is taken when the bus is polled.
//!
//! - One request is in flight for a broker, so one batch for a partition: nothing can overtake. A batch is sent again as it was,
//!   with its sequence number, until the broker answers; then it is written once.
//! - A partition whose leader changes is sent nothing before the old one has answered, or its connection is lost.
//! - A sequence number is used again only if the broker said that nothing was written. A batch that may be in the log keeps it: the next
//!   one has the number behind, and a broker that does not have the batch says so, which breaks the producer.
//! - A connection that is lost with a batch on its way is a doubt. A batch that was sent and is not answered within
//!   `DELIVERY_MAX` breaks the producer: the number behind it could never be taken.

mod batch;
mod connection;
mod lane;
mod link;
mod meaning;
mod producer;
mod requests;
mod wire;

pub(super) use batch::Compression;
pub(super) use producer::Producer;

#[cfg(test)]
mod tests;
