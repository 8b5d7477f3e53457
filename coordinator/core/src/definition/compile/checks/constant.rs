//! Conditions that are true for every saga, or for none: allowed, and probably not meant.

use std::ops::Range;

use super::super::report::Report;
use crate::definition::expression::Expression;

/// What a condition decides about.
#[derive(Clone, Copy)]
pub(in crate::definition::compile) enum Decides {
    /// Whether a step is taken.
    Step,
    /// Whether an arm is taken, or one behind it.
    Arm,
}

pub(in crate::definition::compile) fn check(
    condition: &Expression,
    span: &Range<usize>,
    decides: Decides,
    report: &mut Report<'_>,
) {
    let (message, hint) = match (condition.constant(), decides) {
        (None, _) => return,
        (Some(Ok(true)), Decides::Step) => ("this is always true".to_owned(), "remove the if"),
        (Some(Ok(false)), Decides::Step) => ("this is never true: the step is always skipped".to_owned(), "remove the step"),
        (Some(Ok(true)), Decides::Arm) => {
            ("this is always true: no arm behind it is ever taken".to_owned(), "remove the switch, or the arm")
        }
        (Some(Ok(false)), Decides::Arm) => ("this is never true: the arm is never taken".to_owned(), "remove the arm"),
        (Some(Err(error)), _) => (format!("this fails in every saga: {}", error.message), "correct it"),
    };
    report.warning(span, message, hint);
}
