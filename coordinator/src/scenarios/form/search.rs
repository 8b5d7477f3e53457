//! `search`: what a saga must be found by.

use ringmaster_core::definition::Definition;
use ringmaster_core::definition::compile::did_you_mean;
use ringmaster_core::definition::yaml::{Kind, Node};

use super::Reading;

impl Reading<'_, '_, '_> {
    pub(super) fn search(&mut self, node: &Node, definition: &Definition) -> Vec<(String, String, usize)> {
        let Kind::Map(entries) = &node.kind else {
            let message = format!("search is a map, not {}", node.describe());
            self.report.error(&node.span, message, "search: { customer: c-7 }");
            return Vec::new();
        };
        let mut all = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let named = name.scalar().unwrap_or_default();
            if definition.search_named(named).is_none() {
                let names = definition.search.iter().map(|search| &*search.name);
                let message = format!("{} is not searched by '{named}'", definition.name);
                self.report.error(&name.span, message, did_you_mean(named, names));
                continue;
            }
            match value.scalar() {
                Some(text) => all.push((named.to_owned(), text.to_owned(), self.report.line(name.span.start))),
                None => self.report.error(&value.span, format!("a value is a text, not {}", value.describe()), ""),
            }
        }
        all
    }
}
