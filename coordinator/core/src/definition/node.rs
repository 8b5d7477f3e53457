//! The nodes of a definition: a flat table in preorder.

use std::sync::Arc;

use ringmaster_schemas::journal::Phase;

/// The number of the root: the sequence of all steps.
pub const ROOT: u16 = 0;

/// One node. Its number is its place in the table.
#[derive(Debug)]
pub struct Node {
    /// Its name, unique in the definition; empty for a list of nodes.
    pub name: Arc<str>,
    /// The first node that does not belong to it.
    pub end: u16,
    /// The node that it belongs to; its own number for the root.
    pub parent: u16,
    /// The nearest node around it that is undone as a whole; its own number for the root.
    pub scope: u16,
    /// Where it stands to the pivot.
    pub phase: Phase,
    /// When it is left well, the saga is behind its pivot.
    pub passes: bool,
    /// Something of it has an undo.
    pub undoes: bool,
    /// The node under whose name its result is read.
    pub stands_for: u16,
    /// The nodes whose results are read under its name, in preorder.
    pub given_by: Box<[u16]>,
    /// What it does.
    pub verb: Verb,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Its nodes, one after the other.
    Sequence(Role),
    /// A command to a participant.
    Do,
}

/// What a list of nodes is to the node around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All steps of the saga.
    Root,
}

/// Nodes by name. Looking one up allocates nothing.
#[derive(Debug, Default)]
pub struct NodeByName(Vec<(Arc<str>, u16)>);

impl NodeByName {
    /// The names of a table.
    pub fn of(nodes: &[Node]) -> NodeByName {
        let named = nodes.iter().zip(0..).filter(|(node, _)| !node.name.is_empty());
        let mut names: Vec<_> = named.map(|(node, number)| (node.name.clone(), number)).collect();
        names.sort();
        NodeByName(names)
    }

    /// The node of a name.
    pub fn find(&self, name: &str) -> Option<u16> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok().map(|at| self.0[at].1)
    }
}
