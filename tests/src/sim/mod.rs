//! The simulator: coordinators, services, store, broker and clock on one thread, from one seed.
//!
//! ```text
//! plan (drawn from the seed) -> world: step, step, step -> safety: faults and incidents -> liveness: all heals -> checks
//! ```
//!
//! The code that runs is the real one: the worker, the partition, the SDK and the three services; only broker, clock, store and
//! ledgers are simulated. A run is a function of its seed. What must be true is checked by [`checks`] from outside: from what the
//! broker holds, what stores hold and what ledgers hold, by a counting rule of its own ([`truth`]).

pub mod checks;
pub mod coordinator;
pub mod group;
pub mod orders;
pub mod plan;
pub mod plans;
pub mod points;
pub mod replay;
pub mod run;
pub mod service;
pub mod truth;
pub mod world;

pub use plan::{Incident, Plan};
pub use points::Point;
pub use run::{Failure, Report, run};
