//! Checks of a definition's tree that need no expressions.

mod limits;
mod pivot;
mod reach;

pub(super) use limits::check as limits;
pub(super) use pivot::check as pivot;
pub(super) use reach::check as reach;
