//! Checks of a definition beside those of names and types.

mod constant;
pub(super) mod for_each;
mod limits;
mod names;
mod pivot;
mod priority;
mod reach;
mod reactions;
mod run;

pub(super) use constant::{Decides, check as constant};
pub(super) use for_each::{check as for_each, unread};
pub(super) use limits::check as limits;
pub(super) use names::check as names;
pub(super) use pivot::check as pivot;
pub(super) use priority::check as priority;
pub(super) use reach::check as reach;
pub(super) use reactions::{check as reactions, codes_of_waits};
pub(super) use run::check as run;
