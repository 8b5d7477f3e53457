//! `sleep`: nothing happens for a time, or until an instant.

use ringmaster_schemas::Millis;

use super::super::fields::Fields;
use super::super::report::Report;
use crate::definition::expression::Parsed;

/// How long, as it is written.
pub(in crate::definition::compile) enum SleepForm {
    For(Millis),
    Computed(Parsed),
}

impl SleepForm {
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<SleepForm> {
        const FORM: &str = "sleep: 14d, or an expression that gives a duration or a timestamp";
        let node = fields.needed("sleep", FORM, report)?;
        if node.is_empty() {
            report.error(&node.span, "how long it sleeps is needed here", FORM);
            return None;
        }
        // `14d` is no expression, and no expression is a number with letters behind it.
        let is_length = |text: &str| {
            let is_word = text.chars().all(|letter| letter.is_ascii_alphanumeric());
            is_word
                && text.starts_with(|letter: char| letter.is_ascii_digit())
                && text.contains(|letter: char| !letter.is_ascii_digit())
        };
        if node.scalar().map(str::trim).is_some_and(is_length) {
            return fields.duration("sleep", report).map(|(millis, _)| SleepForm::For(millis));
        }
        Some(SleepForm::Computed(Parsed::new(node, report)))
    }
}
