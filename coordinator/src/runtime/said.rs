//! What was said to be wrong, so that it is said once as long as it lasts, and again when it comes back.

use std::collections::BTreeMap;

/// By what it is about: what was last said of that. It holds one text for each thing that is not mended, and no history.
#[derive(Debug)]
pub(super) struct Said<A>(BTreeMap<A, String>);

impl<A> Default for Said<A> {
    fn default() -> Self {
        Said(BTreeMap::new())
    }
}

impl<A: Ord> Said<A> {
    /// Says it, unless it was the last that was said of this; true if it was said.
    pub(super) fn say(&mut self, about: A, text: &str) -> bool {
        let is_new = self.0.get(&about).is_none_or(|last| last != text);
        if is_new {
            tracing::error!("{text}");
            self.0.insert(about, text.to_owned());
        }
        is_new
    }

    /// Nothing is wrong with this any more.
    pub(super) fn mended(&mut self, about: &A) {
        self.0.remove(about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_once_and_what_comes_back_again() {
        let mut said = Said::default();
        for (text, is_said) in [("gone", true), ("gone", false), ("damaged", true), ("gone", true), ("gone", false)] {
            assert_eq!(said.say("one", text), is_said, "{text}");
        }
        assert!(said.say("other", "gone"), "one thing says nothing of another");
        said.mended(&"one");
        assert!(said.say("one", "gone") && !said.say("other", "gone"));
        for offset in 0..1_000 {
            assert!(said.say("one", &format!("offset {offset} is gone")));
        }
        assert_eq!(said.0.len(), 2, "what was said before is not kept");
    }
}
