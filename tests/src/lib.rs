//! Tests that need more than one crate: the simulator, stories, random definitions, live tests on real Kafka, and the house rules.

pub mod chaos;
pub mod laws;
mod lines;
pub mod live;
pub mod random;
pub mod sim;
pub mod soak;
pub mod stories;
