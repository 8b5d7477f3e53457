//! Checks of a definition's tree that need no expressions.

mod limits;
mod pivot;

pub(super) use limits::check as limits;
pub(super) use pivot::check as pivot;
