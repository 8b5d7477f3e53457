//! A schema's text taken apart: every named type by itself.
pub(crate) struct Document;
pub(crate) fn inline() {}
