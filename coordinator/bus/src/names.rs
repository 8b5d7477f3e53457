//! Topic names behind their handles.

use std::collections::HashMap;

use crate::Topic;

/// A two-way table of topic names and handles, in the order of first use.
#[derive(Debug, Default)]
pub struct TopicNames {
    names: Vec<String>,
    handles: HashMap<String, Topic>,
}

impl TopicNames {
    /// The handle of a name, new if it was not seen before.
    pub fn handle(&mut self, name: &str) -> Topic {
        if let Some(&handle) = self.handles.get(name) {
            return handle;
        }
        let handle = Topic(u16::try_from(self.names.len()).expect("fewer than 65,536 topics"));
        self.names.push(name.to_owned());
        self.handles.insert(name.to_owned(), handle);
        handle
    }

    /// The name behind a handle of this table.
    pub fn name(&self, handle: Topic) -> &str {
        &self.names[usize::from(handle.0)]
    }
}
