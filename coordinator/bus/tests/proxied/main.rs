//! What a broker says, changed on its way to its clients. Skipped, saying so, where the broker's jars are not there.

#![allow(clippy::print_stdout)]

mod emptied;
mod leaders;
mod lost;
mod orphans;
mod proxy;
mod unanswered;
