//! The `ringmaster` coordinator: what runs around the pure core.
//!
//! ```text
//! record in -> decode -> decide -> journal -> (acknowledged) -> release effects, stage state -> checkpoint
//! ```
//!
//! [`runtime`] holds workers and the instance; [`topics`] says how topics must be; [`blocking`] reads and appends for start-up and
//! tools.

pub mod alerts;
pub mod api;
pub mod audit;
pub mod batches;
pub mod blocking;
pub mod cli;
pub mod config;
pub mod control;
mod durability;
pub mod graph;
pub mod history;
pub mod members;
pub mod participant;
pub mod redrive;
pub mod replay;
pub mod runtime;
pub mod scaling;
pub mod scenarios;
pub mod telemetry;
pub mod topics;
pub mod traces;
