//! The producer against brokers that misbehave by a script: whatever happens, each record has one outcome, is written at most once
//! and in order, and what is confirmed is there.

mod answers;
mod basics;
mod faults;
mod leaders;
mod line;
mod log;
mod random;
mod scripted;
