//! Members of participants as processes of this machine: started and stopped by what the coordinators say is wanted (`ringmaster scale`).
//!
//! ```text
//! /api/v1/scaling, once a second -> Told -> Crew (which member runs, ends, is started again) -> Order -> Process
//!                                            ^ a process has ended, a signal has come
//! ```
//!
//! A process of its own does this: a coordinator starts none. What is to be done is decided by [`Crew`], which knows neither clock nor
//! process.

mod crew;
mod process;
mod run;
mod voice;

pub use crew::{Bounds, Crew, Order, Told, told};
pub use process::{become_member, is_there};
pub use run::run;
pub use voice::{Spoken, Voice};
