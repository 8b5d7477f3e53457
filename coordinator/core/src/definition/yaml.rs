//! YAML as a tree that knows where everything stands: line and column of every key and scalar, duplicate keys with both places.
//!
//! Built without recursion over the parser's events, and bounded, so that a hostile file costs no more than its size. Anchors, aliases
//! and tags are not part of the language: a definition must be readable where it stands.

mod hints;

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::limits::{Limit, bytes, count, limit};

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

enum Open {
    List(Vec<Node>, usize),
    /// Its entries, and the key that waits for its value, with whether it stands there for the first time.
    Map(Vec<(Node, Node)>, Option<(Node, bool)>, usize),
}

struct Builder<'a> {
    text: &'a str,
    /// The byte of each character, where they differ: the parser counts characters.
    bytes: Option<Vec<usize>>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: Vec<Document>,
    begins: usize,
    errors: Vec<YamlError>,
    /// Errors of keys that stand twice.
    twice: usize,
}

/// Reads all documents of a file. Empty ones are left out.
pub fn load(text: &str) -> Result<Vec<Document>, Vec<YamlError>> {
    let (documents, errors) = read(text);
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

/// The same, with the documents also where keys stand twice and nothing else is wrong: the first of each counts, so that what else
/// is wrong in the file can be told, too.
pub fn read(text: &str) -> (Vec<Document>, Vec<YamlError>) {
    match events(text) {
        Ok(builder) if builder.errors.len() == builder.twice => (builder.documents, builder.errors),
        Ok(Builder { errors, .. }) | Err(errors) => (Vec::new(), errors),
    }
}

fn events(text: &str) -> Result<Builder<'_>, Vec<YamlError>> {
    if text.len() > FILE_BYTES_MAX {
        return Err(vec![YamlError {
            span: 0..0,
            message: format!("the file has {} bytes, more than {FILE_BYTES_MAX}", text.len()),
            hint: "split it".into(),
        }]);
    }
    if let Some((at, wrong)) = text.char_indices().find(|(_, c)| !is_printable(*c)) {
        // The parser takes a NUL for the end: what stands behind it would be lost without a word.
        return Err(vec![YamlError {
            span: at..at + wrong.len_utf8(),
            message: format!("the character U+{:04X} has no place in YAML", u32::from(wrong)),
            hint: "remove it".into(),
        }]);
    }
    let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect());
    let mut builder =
        Builder { text, bytes, open: Vec::new(), root: None, documents: Vec::new(), begins: 0, errors: Vec::new(), twice: 0 };
    let mut node_count = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = builder.byte(error.marker().index());
                let message = match error.info().contains("recursion limit") {
                    true => too_deep(),
                    false => format!("this is not YAML: {}", error.info()),
                };
                builder.error(at..at, message, hints::hint(error.info(), text, at));
                break;
            }
        };
        node_count += 1;
        if node_count > NODES_MAX {
            let span = builder.span(&span);
            builder.error(span, format!("more than {NODES_MAX} nodes"), "split the file".into());
            break;
        }
        if !builder.take(event, &span) {
            break;
        }
    }
    Ok(builder)
}

/// What YAML calls printable.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

impl Builder<'_> {
    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            None => character.min(self.text.len()),
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
        }
    }

    fn span(&self, span: &Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }

    fn error(&mut self, span: Range<usize>, message: String, hint: String) {
        self.errors.push(YamlError { span, message, hint });
    }

    /// False when nothing more can be read.
    fn take(&mut self, event: Event<'_>, marks: &Span) -> bool {
        let span = self.span(marks);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_only(anchor != 0 || tag.is_some(), &span);
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                self.put(Node { kind: Kind::Scalar(text.into_owned(), style), span });
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_only(anchor != 0 || tag.is_some(), &span);
                self.open.push(Open::List(Vec::new(), span.start));
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_only(anchor != 0 || tag.is_some(), &span);
                self.open.push(Open::Map(Vec::new(), None, span.start));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items, start)) => self.put(Node { kind: Kind::List(items), span: start..span.end }),
                Some(Open::Map(entries, _, start)) => self.put(Node { kind: Kind::Map(entries), span: start..span.end }),
                None => {}
            },
            Event::Alias(_) => {
                self.error(span, "aliases are not part of the language".into(), "write it out".into());
                return false;
            }
            Event::DocumentStart(_) => {
                let begins = if self.documents.is_empty() && self.root.is_none() { 0 } else { span.start };
                self.begins = begins;
            }
            Event::DocumentEnd => self.end_document(span.start),
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
        }
        if self.open.len() > DEPTH_MAX {
            let span = self.span(marks);
            self.error(span, too_deep(), hints::DEEP.to_owned());
            return false;
        }
        true
    }

    fn end_document(&mut self, end: usize) {
        let Some(root) = self.root.take() else { return };
        let empty = matches!(&root.kind, Kind::Scalar(text, Style::Plain) if text.is_empty() || text == "~");
        if !empty {
            self.documents.push(Document { root, span: self.begins..end.max(self.begins) });
        }
    }

    fn plain_only(&mut self, fancy: bool, span: &Range<usize>) {
        if fancy {
            self.error(
                span.clone(),
                "anchors and tags are not part of the language".into(),
                "an expression that begins with & or ! must be quoted: \"!start.paid\"".into(),
            );
        }
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Map(entries, key, _)) => match key.take() {
                Some((key, true)) => entries.push((key, node)),
                Some((_, false)) => {}
                None => {
                    let first = match node.scalar() {
                        None => Err(YamlError {
                            span: node.span.clone(),
                            message: "a key must be a word".into(),
                            hint: if self.text[..node.span.start].ends_with('{') {
                                "an expression stands as it is, without {{ }}".into()
                            } else {
                                "an expression with { } or [ ] must be quoted".into()
                            },
                        }),
                        Some(text) => Ok(entries.iter().find(|(key, _)| key.scalar() == Some(text))),
                    };
                    let is_first = !matches!(first, Ok(Some(_)));
                    match first {
                        Err(error) => self.errors.push(error),
                        Ok(Some((first, _))) => {
                            let line = self.text[..first.span.start].matches('\n').count() + 1;
                            let error = YamlError {
                                span: node.span.clone(),
                                message: format!("'{}' is defined twice", node.scalar().unwrap_or_default()),
                                hint: format!("it is first on line {line}"),
                            };
                            self.errors.push(error);
                            self.twice += 1;
                        }
                        Ok(None) => {}
                    }
                    let Some(Open::Map(_, key, _)) = self.open.last_mut() else { unreachable!("it was a map a moment ago") };
                    *key = Some((node, is_first));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
