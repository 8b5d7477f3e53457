//! The simulated bus.
