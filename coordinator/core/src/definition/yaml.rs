//! YAML as a tree that knows where everything stands.
