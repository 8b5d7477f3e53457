//! The parts of the client that know no broker, only bytes.

#![allow(dead_code, reason = "what sends and what connects is not here")]

mod batch;
mod codec;
mod fetches;
pub mod hostile;
mod records;
mod requests;
mod scram;
mod wire;
