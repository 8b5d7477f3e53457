//! A priority that is the same for every saga, and is none.

use std::ops::Range;

use ringmaster_schemas::state::PRIORITY_MAX;

use super::super::report::Report;
use crate::definition::expression::Expression;

pub(in crate::definition::compile) fn check(priority: &Expression, span: &Range<usize>, report: &mut Report<'_>) {
    let message = match priority.constant_int() {
        None => return,
        Some(Ok(value)) if (0..=i64::from(PRIORITY_MAX)).contains(&value) => return,
        Some(Ok(value)) => format!("a priority is from 0 to {PRIORITY_MAX}, not {value}"),
        Some(Err(error)) => format!("this fails in every saga: {}", error.message),
    };
    report.error(span, message, "priority: 8 goes before 5, which is the usual one");
}
