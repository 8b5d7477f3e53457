//! YAML as a tree that knows where everything stands: line and column of every key and scalar, duplicate keys with both places.
//!
//! Built without recursion over the parser's events, and bounded, so that a hostile file costs no more than its size. Anchors, aliases
//! and tags are not part of the language: a definition must be readable where it stands.

mod build;
mod hints;

use std::ops::Range;

use super::limits::{Limit, bytes, count, limit};
use build::events;

/// Lists and maps inside one another: a definition needs about ten.
pub const DEPTH_MAX: usize = 64;
/// Nodes of one file: a step has about thirty.
pub const NODES_MAX: usize = 50_000;
/// Bytes of one file.
pub const FILE_BYTES_MAX: usize = 512 * 1024;

/// What a file may have at most.
pub(super) fn limits() -> Vec<Limit> {
    vec![
        limit!(self::FILE_BYTES_MAX, "a definition file", bytes),
        limit!(self::NODES_MAX, "YAML nodes of a definition file", count),
        limit!(self::DEPTH_MAX, "lists and maps of YAML inside one another", |n| format!("{n} levels")),
    ]
}

/// A node and the bytes of the file that it is.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes of the file.
    pub span: Range<usize>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A scalar: its text, and how it is written.
    Scalar(String, Style),
    /// A list.
    List(Vec<Node>),
    /// Keys, which are scalars, and values, in the order of the file.
    Map(Vec<(Node, Node)>),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A block (`|` or `>`).
    Block,
}

/// One document of a file.
#[derive(Debug)]
pub struct Document {
    /// Its root.
    pub root: Node,
    /// Its part of the file, from its `---` to the next.
    pub span: Range<usize>,
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct YamlError {
    /// In bytes of the file.
    pub span: Range<usize>,
    /// What.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

fn too_deep() -> String {
    format!("lists and maps are nested deeper than {DEPTH_MAX} levels")
}

impl Node {
    /// The text of a scalar.
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The value of a map's key.
    pub fn named(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(key, _)| key.scalar() == Some(name)).map(|(_, value)| value),
            Kind::Scalar(..) | Kind::List(_) => None,
        }
    }

    /// True if there is nothing, as behind `key:`.
    pub fn is_empty(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Style::Plain) if text.is_empty())
    }

    /// What it is, for people.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(..) if self.is_empty() => "nothing",
            Kind::Scalar(..) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The text of an expression and where it begins in the file: the file's own bytes where they are the scalar's, so that
    /// positions in the expression are positions in the file. Without a place where escapes make them differ.
    pub fn expression<'a>(&'a self, file: &'a str) -> (&'a str, Option<usize>) {
        let Kind::Scalar(text, style) = &self.kind else { return ("", None) };
        let raw = file.get(self.span.clone()).unwrap_or_default();
        match style {
            Style::Plain => (raw, Some(self.span.start)),
            Style::Quoted => match raw.get(1..raw.len().saturating_sub(1)) {
                Some(inner) if inner == text => (inner, Some(self.span.start + 1)),
                _ => (text, None),
            },
            Style::Block => match raw.find(text.trim_end()) {
                Some(at) => (text.trim_end(), Some(self.span.start + at)),
                None => (text, None),
            },
        }
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Reading {
    /// Those that can be read, also where keys stand twice: the first of each counts, so that what else is wrong can be told, too.
    pub documents: Vec<Document>,
    /// What is wrong.
    pub errors: Vec<YamlError>,
    /// Where those stand that cannot be read.
    pub unread: Vec<Range<usize>>,
}

/// Reads all documents of a file. Empty ones are left out.
pub fn load(text: &str) -> Result<Vec<Document>, Vec<YamlError>> {
    let Reading { documents, errors, .. } = read(text);
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

/// The same, with the documents that can be read where others cannot.
pub fn read(text: &str) -> Reading {
    let nothing = |errors| Reading { documents: Vec::new(), errors, unread: vec![Range { start: 0, end: text.len() }] };
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, more than {FILE_BYTES_MAX}", text.len());
        return nothing(vec![YamlError { span: 0..0, message, hint: "split it".into() }]);
    }
    let whole = match events(text, 0..text.len()) {
        Ok(whole) => whole,
        Err(too_many) => return nothing(vec![too_many]),
    };
    if whole.is_readable() {
        return Reading { documents: whole.documents, errors: whole.errors, unread: Vec::new() };
    }
    let mut reading = Reading::default();
    for part in parts(text) {
        match events(text, part.clone()) {
            Ok(read) => {
                if read.is_readable() {
                    reading.documents.extend(read.documents);
                } else {
                    reading.unread.push(part);
                }
                reading.errors.extend(read.errors);
            }
            Err(too_many) => return nothing(vec![too_many]),
        }
    }
    // What is wrong as a whole is not right in parts.
    if reading.unread.is_empty() { nothing(whole.errors) } else { reading }
}

/// The documents of a text by the lines that begin them: those stand in no document, whatever else is wrong.
fn parts(text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut begin, mut at, mut is_filled) = (Vec::new(), 0, 0, false);
    for line in text.split_inclusive('\n') {
        let begins = line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if begins && is_filled {
            parts.push(begin..at);
            (begin, is_filled) = (at, false);
        }
        // What stands before a document belongs to it.
        let is_before = line.trim().is_empty() || line.starts_with(['#', '%', '\u{feff}']) || line.trim_end() == "...";
        is_filled |= begins || !is_before;
        at += line.len();
    }
    parts.push(begin..text.len());
    parts
}

#[cfg(test)]
mod tests;
