//! Live tests: coordinator and services as real processes on a real Kafka broker, and what can happen to them. A test counts only
//! when its fault has hit orders on their way; at its end store and ledgers are compared with what every order's number says.

mod acts;
mod again;
mod broker;
mod bulk;
mod chaos;
mod codecs;
mod deploys;
mod forgetting;
mod interrupted;
mod kills;
mod library;
mod many;
mod mistakes;
mod others;
mod paused;
mod quarantined;
mod replayed;
mod routed;
mod scaled;
mod standby;
mod store;
mod takeover;
mod traces;
mod versions;
mod watched;
mod whole;
