//! Text to cel's syntax tree, bounded, with positions in the file.

use std::ops::Range;

use cel::common::ast::{Expr, IdedExpr, SourceInfo, operators};
use cel::parser::Parser;

use super::unparsed::{hint, told};
use crate::definition::compile::Report;
use crate::definition::yaml::{Kind, Node, Style};

/// Bytes of one expression: longer ones are unreadable, and the parser's time grows with them.
pub(crate) const BYTES_MAX: usize = 2 * 1024;
/// Depth that the parser may reach; its own recursion is far from the stack's end there (definitions are compiled on a large stack).
pub(super) const PARSER_DEPTH_MAX: u16 = 96;

/// A parsed expression that knows its place.
pub(crate) struct Parsed {
    pub(crate) root: IdedExpr,
    source: SourceInfo,
    /// Where the source begins in the file, if it stands there as it is.
    base: Option<usize>,
    /// The whole scalar.
    pub(crate) span: Range<usize>,
    /// What is wrong with it is told already: it may mean anything.
    is_unreadable: bool,
}

impl Parsed {
    /// True if it may read this name: in itself, or by a rule.
    pub(crate) fn names(&self, name: &str) -> bool {
        let mut words = self.text().split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        words.any(|word| word == name || word == "rules")
    }

    /// Reads an expression from a scalar; what is wrong is reported, and hides nothing of what is wrong elsewhere.
    pub(crate) fn new(node: &Node, report: &mut Report<'_>) -> Parsed {
        Parsed::read(node, report).unwrap_or_else(|| Parsed::unreadable(node.span.clone(), node.scalar().unwrap_or_default()))
    }

    /// What cannot be read, which is told already.
    pub(crate) fn unreadable(span: Range<usize>, text: &str) -> Parsed {
        let mut source = SourceInfo::default();
        text.clone_into(&mut source.source);
        Parsed { root: IdedExpr::default(), source, base: None, span, is_unreadable: true }
    }

    /// True for what stands for anything.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    fn read(node: &Node, report: &mut Report<'_>) -> Option<Parsed> {
        let Kind::Scalar(_, style) = &node.kind else {
            report.error(
                &node.span,
                format!("an expression is needed here, not {}", node.describe()),
                "write it in one line, in quotes if it holds { } or [ ]",
            );
            return None;
        };
        let (text, base) = node.expression(report.text());
        if text.trim().is_empty() {
            report.error(&node.span, "an expression is needed here", "an empty text is \"''\"");
            return None;
        }
        if text.len() > BYTES_MAX {
            report.error(
                &node.span,
                format!("the expression has {} bytes, more than {BYTES_MAX}", text.len()),
                "divide it into rules",
            );
            return None;
        }
        let parser =
            Parser::new().enable_optional_syntax(true).enable_ident_escape_syntax(true).max_recursion_depth(PARSER_DEPTH_MAX);
        match parser.parse_with_source_info(text) {
            Ok((root, source)) => Some(Parsed { root, source, base, span: node.span.clone(), is_unreadable: false }),
            Err(errors) => {
                let first = errors.errors.first();
                let (message, known) = told(first.map_or("it cannot be read", |error| &error.msg));
                let span = match (base, first) {
                    (Some(base), Some(error)) => {
                        let at = base + offset(text, error.pos);
                        at..at + 1
                    }
                    _ => node.span.clone(),
                };
                let behind = report.text()[node.span.end..].lines().next().unwrap_or_default().trim_start();
                let hint = match (style, behind.strip_prefix('#')) {
                    (Style::Plain, Some(_)) => "YAML takes what is behind ' #' for a comment: put the whole expression in quotes",
                    _ => hint(text, known),
                };
                report.error(&span, format!("this is not an expression: {message}"), hint);
                None
            }
        }
    }

    /// A field of the event, which may be absent.
    pub(crate) fn of_field(field: &str, span: Range<usize>) -> Parsed {
        let parser = Parser::new().enable_optional_syntax(true).enable_ident_escape_syntax(true);
        let parsed = parser.parse_with_source_info(&format!("event.?`{field}`"));
        let (root, source) = parsed.expect("a field of an event is an expression");
        Parsed { root, source, base: None, span, is_unreadable: false }
    }

    /// True if an expression can name this.
    pub(crate) fn is_identifier(word: &str) -> bool {
        let parsed = Parser::new().parse_with_source_info(word);
        parsed.is_ok_and(|(root, _)| matches!(&root.expr, Expr::Ident(name) if name == word))
    }

    /// True if it asks whether one thing is in another.
    pub(crate) fn is_in(&self) -> bool {
        matches!(&self.root.expr, Expr::Call(call) if call.func_name == operators::IN)
    }

    /// Its whole text.
    pub(crate) fn text(&self) -> &str {
        &self.source.source
    }

    /// The text of a number literal.
    pub(crate) fn number(&self, id: u64) -> &str {
        let start = self.source.offset_for(id).map_or(0, |(start, _)| start as usize);
        let rest = self.source.source.get(start..).unwrap_or_default();
        let mut before = ' ';
        let end = rest.find(|c: char| {
            let inside =
                c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || (matches!(c, '+' | '-') && matches!(before, 'e' | 'E' | ' '));
            before = c;
            !inside
        });
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Where a part of it stands.
    pub(crate) fn place(&self, id: u64) -> Range<usize> {
        let (Some(base), Some((start, _))) = (self.base, self.source.offset_for(id)) else { return self.span.clone() };
        let text = &self.source.source;
        let mut start = start as usize;
        if !text.is_char_boundary(start) {
            return self.span.clone();
        }
        start += text[start..].len() - text[start..].trim_start_matches(['.', '?', ' ', '\n']).len();
        let rest = &text[start..];
        let word = rest.len() - rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        let length = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => rest[1..].find(quote).map_or(1, |at| at + 2),
            _ => word.max(1).min(rest.len().max(1)),
        };
        base + start..base + start + length
    }
}

/// The byte of a line (from 1) and a column (from 0).
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let begin: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let column = usize::try_from(column).unwrap_or(0);
    let rest = &text[begin.min(text.len())..];
    (begin + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)).min(text.len())
}
