//! Another saga as a step.

use super::{AS, DESCRIPTION, Holds, IF, ON_FAILED, ON_REFUSED, STEP, Shape, WITHIN, may, must};

/// A step that runs a saga.
pub static RUN: Shape = Shape {
    name: "run",
    what: "a run",
    keys: &[
        STEP,
        must("run", Holds::SagaName, "The saga that is run, by its newest version: one with input in place of a start."),
        may("with", Holds::Body, "What it begins with, by the fields of its input."),
        IF,
        WITHIN,
        ON_REFUSED,
        ON_FAILED,
        AS,
        DESCRIPTION,
    ],
};
