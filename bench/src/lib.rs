//! What an order saga costs, counted and not timed: heap allocations, bytes, instructions. The same on every machine and under any
//! load, so that a test can hold it.

pub mod counts;
pub mod course;
