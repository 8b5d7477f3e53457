//! A filter as it is written: terms, each with its place.

use std::iter::Peekable;
use std::str::CharIndices;

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Wrong {
    /// Which character of the filter it is about, from 1.
    pub(in crate::api) column: usize,
    /// What is wrong.
    pub(in crate::api) message: String,
    /// What to do.
    pub(in crate::api) hint: String,
}

/// `name:value,value`, or `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) said: Said,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// `name:`, and any of these.
    Any(Vec<Value>),
    /// `name=`.
    Is(Value),
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) column: usize,
    pub(super) text: String,
    /// In quotes nothing has a meaning of its own, not even a star at the end.
    pub(super) is_quoted: bool,
}

pub(super) fn wrong<T>(column: usize, message: String, hint: &str) -> Result<T, Wrong> {
    Err(Wrong { column, message, hint: hint.to_owned() })
}

/// Takes a filter apart.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, Wrong> {
    let mut words = Words { text, rest: text.char_indices().peekable(), column: 1 };
    let mut terms = Vec::new();
    loop {
        while words.rest.peek().is_some_and(|(_, c)| c.is_whitespace()) {
            words.next();
        }
        if words.rest.peek().is_none() {
            return Ok(terms);
        }
        terms.push(words.term()?);
    }
}

struct Words<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    column: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Option<char> {
        let (_, c) = self.rest.next()?;
        self.column += 1;
        Some(c)
    }

    fn term(&mut self) -> Result<Term, Wrong> {
        let (column, name) = (self.column, self.until(|c| c == ':' || c == '=' || c.is_whitespace()));
        let end = self.rest.peek().map(|(_, c)| *c);
        if name.is_empty() || !matches!(end, Some(':' | '=')) {
            let shown = if name.is_empty() { end.map_or_else(String::new, String::from) } else { name };
            let hint = "a filter is made of terms such as status:stuck, since:>2h or customer=c-7, with spaces between them";
            return wrong(column, format!("'{shown}' is no term"), hint);
        }
        self.next();
        let said = match end {
            Some('=') => Said::Is(self.value(false)?),
            _ => {
                let mut all = vec![self.value(true)?];
                while self.rest.peek().is_some_and(|(_, c)| *c == ',') {
                    self.next();
                    all.push(self.value(true)?);
                }
                Said::Any(all)
            }
        };
        Ok(Term { column, name, said })
    }

    /// A value, up to a space, and to a comma where there may be several.
    fn value(&mut self, is_one_of: bool) -> Result<Value, Wrong> {
        let column = self.column;
        if self.rest.peek().is_some_and(|(_, c)| *c == '"') {
            return self.quoted(column);
        }
        let text = self.until(|c| c.is_whitespace() || (is_one_of && c == ','));
        if text.is_empty() {
            return wrong(column, "a value is missing here".to_owned(), "an empty value is written \"\"");
        }
        Ok(Value { column, text, is_quoted: false })
    }

    fn quoted(&mut self, column: usize) -> Result<Value, Wrong> {
        let mut text = String::new();
        self.next();
        loop {
            match self.next() {
                Some('"') => break,
                Some('\\') => {
                    let at = self.column - 1;
                    match self.next() {
                        Some(c @ ('"' | '\\')) => text.push(c),
                        _ => return wrong(at, "a \\ stands before nothing".to_owned(), "in quotes there are \\\" and \\\\"),
                    }
                }
                Some(c) => text.push(c),
                None => return wrong(column, "these quotes do not end".to_owned(), "end them with another \""),
            }
        }
        if self.rest.peek().is_some_and(|(_, c)| !c.is_whitespace() && *c != ',') {
            return wrong(
                self.column,
                "something follows the quotes".to_owned(),
                "a space, or a comma and the next value, follows them",
            );
        }
        Ok(Value { column, text, is_quoted: true })
    }

    fn until(&mut self, is_end: impl Fn(char) -> bool) -> String {
        let from = self.rest.peek().map_or(self.text.len(), |(at, _)| *at);
        while self.rest.peek().is_some_and(|(_, c)| !is_end(*c)) {
            self.next();
        }
        let to = self.rest.peek().map_or(self.text.len(), |(at, _)| *at);
        self.text[from..to].to_owned()
    }
}

/// A value as a filter takes it.
pub(crate) fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '~');
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
