//! Regular expressions of a definition: each is compiled once, however often a rule with it is named, and all are bounded in size and
//! number. What looking through a text costs grows with the size of the expression, and is paid from the turn's budget.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// What a regular expression may take when it is compiled.
pub(crate) const REGEX_BYTES_MAX: usize = 64 * 1024;
/// Different ones of a definition.
pub(crate) const REGEXES_MAX: usize = 100;
/// Sizes that are told apart, by which a byte of text costs.
const SIZES: [usize; 4] = [1024, 4 * 1024, 16 * 1024, REGEX_BYTES_MAX];
/// The engine may look at every state of the expression for every byte: about one in so many bytes of its size.
const STATE_BYTES: usize = 64;

/// A compiled one; a copy shares it.
#[derive(Debug, Clone)]
pub(crate) struct Finder {
    regex: Regex,
    /// What a byte of the text costs, in nodes.
    byte_nodes: u32,
}

/// Those of one definition, by their text, with those that are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Regexes(RefCell<HashMap<String, Result<Finder, String>>>);

impl Regexes {
    /// The compiled one, or why there is none.
    pub(super) fn get(&self, text: &str) -> Result<Finder, String> {
        let mut all = self.0.borrow_mut();
        if let Some(known) = all.get(text) {
            return known.clone();
        }
        if all.len() >= REGEXES_MAX {
            return Err(format!("a definition has at most {REGEXES_MAX} regular expressions"));
        }
        let made = Finder::new(text);
        all.insert(text.to_owned(), made.clone());
        made
    }
}

impl Finder {
    fn new(text: &str) -> Result<Finder, String> {
        for size in SIZES {
            match RegexBuilder::new(text).size_limit(size).build() {
                Ok(regex) => return Ok(Finder { regex, byte_nodes: (size / STATE_BYTES) as u32 }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    // Its last line says what is wrong; those before show where, for a screen.
                    let why = error.to_string();
                    let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    return Err(format!("this is no regular expression: {why}"));
                }
            }
        }
        Err(format!("this regular expression is too big: it may take {REGEX_BYTES_MAX} bytes when it is compiled"))
    }

    /// What looking through a text costs, in nodes.
    pub(super) fn cost(&self, text: &str) -> u32 {
        u32::try_from(text.len()).unwrap_or(u32::MAX).saturating_mul(self.byte_nodes)
    }

    pub(super) fn finds(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}
