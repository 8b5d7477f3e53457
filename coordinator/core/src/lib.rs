//! The pure core: no IO, no clock, no randomness; its dependency list is the proof.
//!
//! ```text
//! record in -> decode -> decide -> journal -> (acknowledged) -> release effects, stage state -> checkpoint
//! ```
//!
//! [`definition`] makes checked, typed definitions of YAML and CEL. [`intake`] reads what arrived. [`saga`] decides, applies and reacts. [`partition`] owns one
//! partition of the journal: what counts, and what is ahead of that (PROTOCOL.md), as a synchronous state machine.

pub mod definition;
pub mod faults;
pub mod intake;
pub mod partition;
pub mod saga;
