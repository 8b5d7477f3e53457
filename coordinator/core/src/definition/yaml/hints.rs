//! What is wrong with a text that is no YAML, in words of people who do not know the parser; where; and what to do.

/// Nobody writes so deep a definition.
pub(super) const DEEP: &str = "what is so deep is divided: into rules, or into a saga of its own that is run";

const QUOTE: &str = "an expression or a text with `, : { } [ ] # & * !` must be quoted";
const IN_BRACES: &str = "in { } a comma stands between fields, and an expression with `, : { } [ ] # & * !` must be quoted";
const COLUMN: &str = "keys of one map begin in one column; what belongs to a key stands below it, further to the right";

/// An error of the parser, as it is told.
pub(super) struct Told {
    /// The byte that is meant.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: String,
}

/// By what the parser says, and by what stands where it does.
pub(super) fn told(info: &str, text: &str, at: usize) -> Told {
    if let Some(found) = in_line(text, at) {
        return found;
    }
    let (at, message, hint) = if info.contains("simple key") {
        return no_key(text, at);
    } else if info.contains("flow mapping") || info.contains("flow sequence") {
        return not_closed(info.contains("mapping"), text, at);
    } else if info.contains("mapping values are not allowed") {
        return second_value(text, at);
    } else if info.contains("quote") {
        let (message, hint) = quoted(info);
        (at, message.to_owned(), hint)
    } else {
        let (message, hint) = by_place(info, text, at).unwrap_or_else(|| by_info(info));
        (at, message, hint)
    };
    Told { at, message, hint: hint.to_owned() }
}

/// The line that a byte is in, up to it.
fn before(text: &str, at: usize) -> &str {
    text[..at].rsplit('\n').next().unwrap_or_default()
}

/// What shows in the line itself, whatever the parser makes of it.
fn in_line(text: &str, at: usize) -> Option<Told> {
    let line = before(text, at);
    let begin = at - line.len();
    if line.ends_with('$') || line.ends_with("${") {
        let at = begin + line.rfind('$').unwrap_or(0);
        let hint = "an expression stands as it is, without ${ }".to_owned();
        return Some(Told { at, message: "'${' is not part of the language".to_owned(), hint });
    }
    // The parser sees it a line later.
    let dash = text[..at].lines().rev().take(2).chain(text[begin..].lines().take(1)).find(|line| {
        let mut letters = line.trim_start().chars();
        letters.next() == Some('-') && letters.next().is_some_and(char::is_alphabetic)
    });
    if let Some(dash) = dash {
        let at = dash.as_ptr() as usize - text.as_ptr() as usize + dash.len() - dash.trim_start().len();
        let hint = "a space follows a dash: - step: NAME".to_owned();
        return Some(Told { at, message: "this dash begins no item".to_owned(), hint });
    }
    // A tab may end a line as well as begin it.
    let whole = text[begin..].lines().next().unwrap_or_default();
    let tab = whole.find('\t').map(|tab| begin + tab).filter(|tab| whole[..tab - begin].trim().is_empty() || *tab <= at);
    tab.map(|at| {
        let hint = "YAML is indented by spaces, not by tabs: write spaces in its place".to_owned();
        Told { at, message: "a tab stands here".to_owned(), hint }
    })
}

/// A line that is no `key: value`; the parser sees that only behind it.
fn no_key(text: &str, at: usize) -> Told {
    let line = text[..at].trim_end().rsplit('\n').next().unwrap_or_default();
    let end = text[..at].trim_end().len();
    let word = line.trim_start().trim_start_matches("- ");
    let at = end - word.len();
    if word.contains(':') && !word.contains(": ") {
        let hint = format!("a space follows a key's colon: {}", word.trim().replacen(':', ": ", 1));
        return Told { at, message: "this line has no key: no colon with a space behind it".to_owned(), hint };
    }
    let hint = "each line is KEY: VALUE, or an item of a list behind a dash".to_owned();
    Told { at, message: "this line has no key".to_owned(), hint }
}

/// A `{` or `[` whose end is not found.
fn not_closed(is_map: bool, text: &str, at: usize) -> Told {
    let (open, close) = if is_map { ("{", "}") } else { ("[", "]") };
    let begin = last_open(text, at, open);
    // A line that is indented no further than the one where it begins is behind it.
    let indent = |at: usize| before(text, at).len() - before(text, at).trim_start().len();
    let is_behind = begin.is_some_and(|begin| text[begin..at].contains('\n') && indent(at) <= indent(begin));
    if is_behind || text[at..].trim().is_empty() || before(text, at).trim().is_empty() {
        let at = begin.unwrap_or(at);
        return Told { at, message: format!("this {open} is not closed"), hint: format!("write {close} at its end") };
    }
    let message = format!("a comma or {close} is missing before this");
    let hint = match text[at..].chars().next() {
        Some('\'') if is_map => QUOTE,
        _ if is_map => IN_BRACES,
        _ => "in [ ] a comma stands between items, and an expression with `, : { } [ ] # & * !` must be quoted",
    };
    Told { at, message, hint: hint.to_owned() }
}

/// The last bracket of a kind that has no end before this, as far as can be seen without reading quotes.
fn last_open(text: &str, at: usize, open: &str) -> Option<usize> {
    let close = if open == "{" { '}' } else { ']' };
    let mut closed = 0;
    for (at, letter) in text[..at].char_indices().rev() {
        if letter == close {
            closed += 1;
        } else if open.starts_with(letter) {
            if closed == 0 {
                return Some(at);
            }
            closed -= 1;
        }
    }
    None
}

/// A colon where none can be: an expression with one, or a line that is indented further than its neighbours.
fn second_value(text: &str, at: usize) -> Told {
    let line = before(text, at);
    let is_second = line.contains(": ") || line.contains('?');
    let (message, hint) = match is_second {
        true => ("a colon with a space behind it makes a key of what stands before it", QUOTE),
        false => ("this key is indented further than the line above, which is complete", COLUMN),
    };
    let at = if is_second { at } else { at - line.trim_start().trim_start_matches("- ").len() };
    Told { at, message: message.to_owned(), hint: hint.to_owned() }
}

fn quoted(info: &str) -> (&'static str, &'static str) {
    const CLOSED: &str = "a quote stands at both ends, and is doubled inside: 'it''s'";
    if info.contains("escape") || info.contains("hexadecimal") {
        ("in double quotes \\ begins an escape, and this is none", "write \\\\, or put the text in single quotes")
    } else if info.contains("trailing") {
        (
            "something stands behind the closing quote",
            "put the whole value in quotes of the other kind; a quote that is part of it is not closed before",
        )
    } else {
        ("a quote is not closed", CLOSED)
    }
}

/// By the character that cannot stand where it does.
fn by_place(info: &str, text: &str, at: usize) -> Option<(String, &'static str)> {
    let next = text[at..].chars().next()?;
    Some(match next {
        _ if info.contains("anchor") || info.contains("alias") || matches!(next, '&' | '*') => {
            ("an expression without quotes cannot begin with & or *".to_owned(), QUOTE)
        }
        _ if info.contains("tag") || next == '!' => {
            ("an expression without quotes cannot begin with !".to_owned(), "put it in quotes: \"!start.paid\"")
        }
        '`' | '@' | '%' => (format!("what begins with {next} must be quoted"), "an expression needs no sign in front of it"),
        '}' | ']' => (format!("this {next} closes nothing"), "remove it, or write its beginning"),
        ',' => ("a comma stands where a value should".to_owned(), "remove it, or write the value; an absent one is null"),
        '-' if info.contains("not allowed") || info.contains("node content") => {
            ("a list cannot begin on the line of its key".to_owned(), "each item stands on a line of its own, below the key")
        }
        ':' => ("a colon stands where a value should".to_owned(), QUOTE),
        _ => return None,
    })
}

/// By what the parser says alone.
fn by_info(info: &str) -> (String, &'static str) {
    const ALL: [(&str, &str, &str); 14] = [
        (
            "expected '-' indicator",
            "this line stands beside the items of a list, and is none",
            "what belongs to a step begins below its name: indent it as far as 'step'",
        ),
        ("did not find expected key", "this line does not belong to the map above it", COLUMN),
        (
            "block sequence entries",
            "a list cannot begin on the line of its key",
            "each item stands on a line of its own, below the key",
        ),
        (
            "block scalar",
            "the text behind | or > is not indented as one",
            "it begins on the next line, further to the right than its key",
        ),
        ("must be followed by", "a space is missing", "a space follows a dash and a key's colon"),
        ("may not precede", "a space is missing behind the colon", "a space follows a key's colon"),
        ("plain scalar cannot start", "a space is missing behind the dash", "a space follows a dash"),
        (
            "flow construct",
            "what stands in { } or [ ] begins too far to the left",
            "indent it further than the key that it belongs to",
        ),
        ("directive", "a line that begins with % is an order to the parser", "put what it says in quotes"),
        (
            "document",
            "this does not belong to the definition above it",
            "its keys begin in the first column; another one begins with a line ---",
        ),
        ("bracket", "a } or ] closes nothing", "remove it, or write its beginning"),
        ("comment", "a comment stands inside a text of several lines", "put the text in quotes, and the comment above it"),
        ("indentation", "this line is not indented as those around it", COLUMN),
        ("node content", "a value is missing here", "write one; what is absent is null"),
    ];
    match ALL.iter().find(|(part, ..)| info.contains(part)) {
        Some((_, message, hint)) => ((*message).to_owned(), hint),
        None => (
            "what stands here cannot be read".to_owned(),
            "look for a quote or a bracket that is not closed, and for the indentation of the lines around",
        ),
    }
}
