//! A scripted participant: it answers commands by rules in a file, so that a saga runs before its services exist.
//!
//! ```text
//! poll -> command -> the first rule that fits -> reply (at once, later, never) -> acknowledged -> commit
//! ```
//!
//! It keeps nothing: an answer follows from the idempotency key, the attempt and the body alone, so a repeat is answered as it was, by
//! whichever process, and a crash loses nothing. What it cannot do without memory is to refuse a command that comes behind its undo.

mod answer;
mod placeholder;
mod script;
mod scripts;
mod serve;

pub use answer::Counts;
pub use script::Script;
pub use scripts::Scripts;
pub use serve::{Participant, Stop};

#[cfg(test)]
mod tests;
