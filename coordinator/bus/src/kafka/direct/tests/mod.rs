//! Producer and fetcher against brokers that misbehave by a script: whatever happens, each record has one outcome, is written at most once
//! and in order, and what is confirmed is there; each record is read once and in order.

mod acts;
mod answers;
mod basics;
mod batches;
mod faults;
mod guard;
mod leaders;
mod line;
mod log;
mod random;
mod read_answers;
mod read_basics;
mod read_faults;
mod read_pauses;
mod read_random;
mod reads;
mod refused;
mod scripted;
mod secured;
mod shelf;
