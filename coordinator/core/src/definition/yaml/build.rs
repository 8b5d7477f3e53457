//! From the parser's events to a tree.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{DEPTH_MAX, Document, Kind, NODES_MAX, Node, Style, YamlError, hints, too_deep};

enum Open {
    List(Vec<Node>, usize),
    /// Its entries, and the key that waits for its value, with whether it stands there for the first time.
    Map(Vec<(Node, Node)>, Option<(Node, bool)>, usize),
}

/// What was read so far.
pub(super) struct Builder<'a> {
    text: &'a str,
    /// What is read of the text begins there.
    from: usize,
    /// The byte of each character, where they differ: the parser counts characters.
    bytes: Option<Vec<usize>>,
    open: Vec<Open>,
    root: Option<Node>,
    pub(super) documents: Vec<Document>,
    begins: usize,
    pub(super) errors: Vec<YamlError>,
    /// Errors beside which the document can be read: keys that stand twice, anchors and tags.
    mild: usize,
}

/// Reads a part of a text. An error if the text has too many nodes.
pub(super) fn events(text: &str, part: Range<usize>) -> Result<Builder<'_>, YamlError> {
    let (from, own) = (part.start, &text[part]);
    let bytes = (!own.is_ascii()).then(|| own.char_indices().map(|(byte, _)| byte).chain([own.len()]).collect());
    let mut builder = Builder {
        text,
        from,
        bytes,
        open: Vec::new(),
        root: None,
        documents: Vec::new(),
        begins: from,
        errors: Vec::new(),
        mild: 0,
    };
    if let Some((at, wrong)) = own.char_indices().find(|(_, c)| !is_printable(*c)) {
        // The parser takes a NUL for the end: what stands behind it would be lost without a word.
        let message = format!("the character U+{:04X} has no place in YAML", u32::from(wrong));
        builder.error(from + at..from + at + wrong.len_utf8(), message, "remove it".into());
        return Ok(builder);
    }
    let mut node_count = 0;
    for event in Parser::new_from_str(own) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = builder.byte(error.marker().index());
                if error.info().contains("recursion limit") {
                    builder.error(at..at, too_deep(), hints::DEEP.to_owned());
                    break;
                }
                let hints::Told { at, message, hint } = hints::told(error.info(), own, at - from);
                builder.error(from + at..from + at, format!("this is not YAML: {message}"), hint);
                break;
            }
        };
        node_count += 1;
        if node_count > NODES_MAX {
            let (span, hint) = (builder.span(&span), "split the file".into());
            return Err(YamlError { span, message: format!("more than {NODES_MAX} nodes"), hint });
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
    /// True if nothing is wrong that hides what else is.
    pub(super) fn is_readable(&self) -> bool {
        self.errors.len() == self.mild
    }

    fn byte(&self, character: usize) -> usize {
        let byte = match &self.bytes {
            None => character,
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
        };
        (self.from + byte).min(self.text.len())
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
                let raw = &self.text[span.clone()];
                // An expression that begins with ! is read as what it is meant to be.
                let is_not = tag.is_some() && raw[1..].starts_with(|letter: char| letter.is_alphabetic() || letter == '(');
                let text = if is_not { raw.into() } else { text };
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
                let begins = if self.documents.is_empty() && self.root.is_none() { self.from } else { span.start };
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
            self.mild += 1;
            let hint = "an expression that begins with & or ! must be quoted: \"!start.paid\"; what is used twice is written twice";
            self.error(span.clone(), "anchors and tags are not part of the language".into(), hint.into());
        }
    }

    fn put(&mut self, node: Node) {
        let is_outermost = self.open.len() == 1;
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Map(entries, key @ None, from)) if is_outermost && another(entries, &node) => {
                // It begins where the other ends.
                let (root, begins) = (std::mem::take(entries), std::mem::replace(from, node.span.start));
                let root = Node { kind: Kind::Map(root), span: begins..node.span.start };
                let hint = "each definition of a file begins with a line ---: write one above";
                self.errors.push(YamlError {
                    span: node.span.clone(),
                    message: "another definition begins here".to_owned(),
                    hint: hint.to_owned(),
                });
                self.mild += 1;
                let span = std::mem::replace(&mut self.begins, node.span.start)..node.span.start;
                self.documents.push(Document { root, span });
                *key = Some((node, true));
            }
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
                            self.mild += 1;
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

/// True if this key begins a definition, behind another one.
fn another(entries: &[(Node, Node)], key: &Node) -> bool {
    key.scalar() == Some("saga") && entries.iter().any(|(key, _)| key.scalar() == Some("saga"))
}
