//! What a definition and its expressions may have at most: one list for the documents, made of the constants themselves.

use super::{compile, expression, yaml};

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The constant, with the module that has it: `yaml::DEPTH_MAX`.
    pub constant: String,
    /// What is limited.
    pub what: &'static str,
    /// To how much.
    pub most: String,
}

/// The limit that a constant is.
macro_rules! limit {
    ($constant:path, $what:literal, $most:expr) => {
        crate::definition::limits::Limit::of(module_path!(), stringify!($constant), $what, $most($constant as u64))
    };
}
pub(super) use limit;

impl Limit {
    /// `path` is the constant's, as it is named in `module`.
    pub(super) fn of(module: &str, path: &str, what: &'static str, most: String) -> Limit {
        let path = path.replace(' ', "");
        let whole = format!("{module}::{}", path.trim_start_matches("self::"));
        let parts: Vec<&str> = whole.rsplit("::").take(2).collect();
        Limit { constant: format!("{}::{}", parts[1], parts[0]), what, most }
    }
}

/// Every limit of the language.
pub fn limits() -> Vec<Limit> {
    [yaml::limits(), compile::limits(), expression::limits()].concat()
}

/// A length.
pub(super) fn bytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} bytes") }
}

/// A number of things.
pub(super) fn count(count: u64) -> String {
    count.to_string()
}
