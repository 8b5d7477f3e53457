//! `refuse`: the definition itself says no.

use super::super::fields::{Fields, Word, is_code, word};
use super::super::report::Report;

pub(in crate::definition::compile) struct RefuseForm {
    pub(in crate::definition::compile) code: Word,
}

impl RefuseForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<RefuseForm> {
        let code = fields.needed("refuse", "refuse: CODE", report)?;
        let form = "capital letters, digits and _, for example TOO_LARGE";
        let read = word(code, "a refusal's code", is_code, form, report);
        Some(RefuseForm { code: read.unwrap_or_else(|| Word::unreadable(&code.span)) })
    }
}
