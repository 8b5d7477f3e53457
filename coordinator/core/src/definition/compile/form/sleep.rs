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
            return Some(SleepForm::Computed(Parsed::unreadable(node.span.clone(), "")));
        }
        // `14d` is no expression, and no expression that gives a time is a number, with letters behind it or without.
        let is_length = |text: &str| {
            let rest = text.strip_prefix("PT").or_else(|| text.strip_prefix('P')).unwrap_or(text);
            rest.starts_with(|letter: char| letter.is_ascii_digit())
                && rest.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == ' ')
        };
        if node.scalar().map(str::trim).is_some_and(is_length) {
            let unreadable = || SleepForm::Computed(Parsed::unreadable(node.span.clone(), ""));
            return Some(fields.duration("sleep", report).map_or_else(unreadable, |(millis, _)| SleepForm::For(millis)));
        }
        Some(SleepForm::Computed(Parsed::new(node, report)))
    }
}
