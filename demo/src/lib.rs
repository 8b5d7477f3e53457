//! Everything in one process: the coordinator, the three sample services, and whoever places orders. What is shipped links none of it;
//! `make demo`, bench and tests do.
//!
//! [`rig`] runs the services on any bus; [`orders`] says what each order is and how it must end; [`accounting`] holds store and ledgers
//! against that; [`run`] is the demo itself, [`scale`] that of `ringmaster scale`.

pub mod accounting;
pub mod orders;
pub mod rig;
pub mod run;
pub mod scale;
