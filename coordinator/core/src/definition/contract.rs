//! What a saga that is run promises to those that run it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringmaster_schemas::avro::{Resolver, Schema};

/// Rows below one another at most: a saga, its items, what they run, and so on.
pub const ROWS_DEEP_MAX: usize = 8;

/// What a saga that is run takes, gives, and may say. Whoever runs it is compiled against one; a newer version keeps it as long as it
/// takes and gives at least as much.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// Whose.
    pub saga: Arc<str>,
    /// What it begins with.
    pub input: Arc<Schema>,
    /// What it gives; none: nothing.
    pub result: Option<Arc<Schema>>,
    /// The codes that it may be refused with; none: not all are known.
    pub codes: Option<BTreeSet<Arc<str>>>,
    /// It holds a step that cannot be undone.
    pub has_pivot: bool,
    /// Rows below one another, its own counted.
    pub rows_deep: u8,
}

impl Contract {
    /// Why this one does not keep what another version of the same saga promised; nothing if it does.
    pub fn breaks(&self, promised: &Contract) -> Option<String> {
        let why = |what: &str, written: &Arc<Schema>, read: &Arc<Schema>| match Resolver::new(written.clone(), read.clone()) {
            Ok(way) if way.is_total() => None,
            Ok(_) => Some(format!("not every {what} of the one can be read as that of the other")),
            Err(error) => Some(format!("its {what}: {}", error.why)),
        };
        if let Some(why) = why("input", &promised.input, &self.input) {
            return Some(why);
        }
        match (&promised.result, &self.result) {
            (Some(_), None) => return Some("it gives no result any more".to_owned()),
            (Some(read), Some(written)) => {
                if let Some(why) = why("result", written, read) {
                    return Some(why);
                }
            }
            (None, _) => {}
        }
        match (promised.has_pivot, self.has_pivot) {
            (true, false) => Some("it has no pivot any more".to_owned()),
            (false, true) => Some("it has a pivot, and had none".to_owned()),
            _ => None,
        }
    }
}
