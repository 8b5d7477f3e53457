//! Traces: what a saga did and waited for, as spans for an OpenTelemetry collector.
//!
//! ```text
//! owner's confirmed record -> began, ended (board, bounded) -> its records, by the offsets that its row names -> spans -> OTLP -> position
//! position (group PREFIX.traces) .. claim: the same from the journal, behind a crash or a takeover
//! ```
//!
//! Nothing is held of a saga that runs. Ids and times are the journal's: what is derived twice is the same span.

mod board;
mod export;
mod reader;
mod span;
mod story;
mod tracer;

pub use board::{TraceBoard, WAITING_MAX};
pub use export::Endpoint;
pub use span::{Kind, Said, Span};
pub use story::{Story, started};
pub use tracer::{Sources, Tracer};
