//! From a schema's JSON to its table of nodes.
