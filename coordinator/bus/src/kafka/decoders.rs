//! What of the bus on Kafka reads bytes of brokers, where librdkafka is not built: for those who only test that.

#[path = "direct/decoders.rs"]
mod direct;

pub use direct::hostile;
