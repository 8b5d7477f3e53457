//! Which participant is about to be the bottleneck, by the coordinator's own books: nothing is asked of participants (OPERATE.md section 5).
//!
//! ```text
//! what partitions here have asked, ten times a second -> Books -> Sample -> Estimator -> Estimate -> wanted members, with the reason in words
//! Estimates of several instances -> combine
//! ```
//!
//! By Little's law what is carried out at once is the rate of answers times how long one takes. If the smallest unanswered count of a
//! window is well above that, the queue never emptied in it, so that answers left as fast as they can: that is the capacity. Of one that
//! answers nothing there is no such thing: it is told by its silence and what waits for it (`Backlog`).

mod backlog;
mod books;
mod breach;
mod estimate;
mod estimator;
mod rates;
mod wanted;
mod watched;
mod window;

#[cfg(test)]
mod simulated;

pub use backlog::{Backlog, combine_backlogs};
pub use books::{Books, Outside, Told};
pub use estimate::{Basis, Estimate, Known, Sample, combine};
pub use estimator::Estimator;
use wanted::IDLE_PER_S;
pub use wanted::{Situation, Wanted, Wish};
pub use watched::{AskMembers, Configured, Scaling};
