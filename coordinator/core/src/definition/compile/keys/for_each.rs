//! The same steps for each item of a list.

use super::super::form::for_each::AT_ONCE_MAX;
use super::{DESCRIPTION, Holds, IF, ON_FAILED, ON_REFUSED, STEP, Shape, WITHIN, may, must};

/// A step that does its steps for each item of a list.
pub static FOR_EACH: Shape = Shape {
    name: "for-each",
    what: "a for_each",
    keys: &[
        STEP,
        must("for_each", Holds::Expression, "The list: its steps are done once for each of its items."),
        must("as", Holds::Name, "The name by which the steps read their item."),
        must("steps", Holds::Steps, "What is done for each item, in order."),
        may("at_once", Holds::Count(AT_ONCE_MAX as u32), "So many items are under way at the same time, at most."),
        may("result", Holds::Body, "What each item gives; steps.NAME is the list of it, in the order of the items."),
        IF,
        WITHIN,
        ON_REFUSED,
        ON_FAILED,
        DESCRIPTION,
    ],
};
