//! How a definition's steps are numbered: node 0 is the root sequence, the steps follow in order.

use crate::definition::{Definition, Step};

/// The node of the step at this index.
pub(super) fn node_of(index: usize) -> u16 {
    index as u16 + 1
}

/// The step of a node; none behind the last, and of the root.
pub(super) fn step(definition: &Definition, node: u16) -> Option<&Step> {
    definition.steps.get(usize::from(node).checked_sub(1)?)
}
