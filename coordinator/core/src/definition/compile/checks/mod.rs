//! Checks of a definition beside those of names and types.

mod constant;
mod limits;
mod pivot;
mod reach;

pub(super) use constant::{Decides, check as constant};
pub(super) use limits::check as limits;
pub(super) use pivot::check as pivot;
pub(super) use reach::check as reach;
