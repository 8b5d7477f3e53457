//! JSON's tokens (RFC 8259, strictly), read one after the other and borrowed from the text.

use std::borrow::Cow;

use super::{DEPTH_MAX, JsonError};

pub(super) type Result<T> = std::result::Result<T, Box<JsonError>>;

/// A place in a text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    /// The next byte.
    pub(crate) at: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| mistake(error.valid_up_to(), "not UTF-8"))?;
        Ok(Scanner { text, at: 0, depth: 0 })
    }

    #[cold]
    pub(crate) fn wrong<T>(&self, why: impl Into<String>) -> Result<T> {
        Err(mistake(self.at, why))
    }

    /// The next byte that is not white space, not taken.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<()> {
        match self.peek() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => self.wrong(format!("`{}` is wanted here", char::from(wanted))),
            None => self.wrong("cut short"),
        }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.wrong("not a JSON value")
        }
    }

    /// `null`, at whose first letter the scanner stands.
    pub(crate) fn null(&mut self) -> Result<()> {
        self.word("null")
    }

    /// `true` or `false`, at whose first letter the scanner stands.
    pub(crate) fn boolean(&mut self) -> Result<bool> {
        if self.peek() == Some(b't') { self.word("true").map(|()| true) } else { self.word("false").map(|()| false) }
    }

    /// A number's text, at whose first character the scanner stands.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<&'a str> {
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let mut at = start;
        while bytes.get(at).is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            at += 1;
        }
        let text = &self.text[start..at];
        if !crate::avro::is_number(text) {
            return self.wrong("not a JSON value");
        }
        self.at = at;
        Ok(text)
    }

    /// A string's value, at whose opening quote the scanner stands.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    self.at = at + 1;
                    return Ok(Cow::Borrowed(&self.text[start..at]));
                }
                b'\\' => return self.escaped(start, at),
                0..0x20 => {
                    self.at = at;
                    return self.wrong("a control character in a string");
                }
                _ => at += 1,
            }
        }
        self.at = at;
        self.wrong("a string without end")
    }

    #[cold]
    fn escaped(&mut self, start: usize, first_escape: usize) -> Result<Cow<'a, str>> {
        let mut out = String::from(&self.text[start..first_escape]);
        self.at = first_escape;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match rest.as_bytes().get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                Some(_) => return self.wrong("a control character in a string"),
                None => return self.wrong("a string without end"),
            }
        }
    }

    /// The character of an escape, behind its backslash.
    fn escape(&mut self) -> Result<char> {
        let Some(&letter) = self.text.as_bytes().get(self.at) else {
            return self.wrong("a string without end");
        };
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.four_digits()?;
                let code = match first {
                    0xD800..0xDC00 => {
                        if !self.text[self.at..].starts_with("\\u") {
                            return self.wrong("half a surrogate pair");
                        }
                        self.at += 2;
                        let second = self.four_digits()?;
                        if !(0xDC00..0xE000).contains(&second) {
                            return self.wrong("half a surrogate pair");
                        }
                        0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                    }
                    code => code,
                };
                match char::from_u32(code) {
                    Some(c) => c,
                    None => return self.wrong("half a surrogate pair"),
                }
            }
            _ => return self.wrong("an escape that JSON does not have"),
        })
    }

    fn four_digits(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match digits {
            Some(digits) => {
                self.at += 4;
                Ok(digits.iter().fold(0, |code, digit| code << 4 | char::from(*digit).to_digit(16).unwrap_or(0)))
            }
            None => self.wrong("\\u without four hexadecimal digits"),
        }
    }

    /// Begins an object or a list; the scanner stands at its bracket.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong(format!("more than {DEPTH_MAX} objects and lists inside one another"));
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of an object, its colon taken; `None` at its end.
    #[inline]
    pub(crate) fn key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>> {
        if !self.next(first, b'}')? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return self.wrong("a key is wanted here");
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// The same of an object whose fields have known names: a key that is no text (half a surrogate pair) is none of them, which is no
    /// fault.
    #[inline]
    pub(crate) fn name(&mut self, first: bool) -> Result<Option<Option<Cow<'a, str>>>> {
        if !self.next(first, b'}')? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return self.wrong("a key is wanted here");
        }
        let at = self.at;
        let name = match self.string() {
            Ok(name) => Some(name),
            Err(_) => {
                self.at = at;
                self.pass_string()?;
                None
            }
        };
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// True if another item of a list (or key of an object) follows; at the end its bracket is taken.
    #[inline]
    pub(crate) fn next(&mut self, first: bool, end: u8) -> Result<bool> {
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            Some(_) => self.wrong("`,` or the end is wanted here"),
            None => self.wrong("cut short"),
        }
    }

    /// Passes over a value and gives its text, which is well-formed by JSON's grammar. What it means does not matter: keys may be there
    /// twice, halves of surrogate pairs stand alone.
    pub(crate) fn pass(&mut self) -> Result<&'a str> {
        let start = self.peek().map_or(self.at, |_| self.at);
        match self.peek() {
            Some(b'{') => {
                self.enter()?;
                let mut first = true;
                while self.next(first, b'}')? {
                    first = false;
                    if self.peek() != Some(b'"') {
                        return self.wrong("a key is wanted here");
                    }
                    self.pass_string()?;
                    self.expect(b':')?;
                    self.pass()?;
                }
            }
            Some(b'[') => {
                self.enter()?;
                let mut first = true;
                while self.next(first, b']')? {
                    first = false;
                    self.pass()?;
                }
            }
            Some(b'"') => self.pass_string()?,
            Some(b't' | b'f') => self.boolean().map(|_| ())?,
            Some(b'n') => self.null()?,
            Some(_) => self.number().map(|_| ())?,
            None => return self.wrong("cut short"),
        }
        Ok(&self.text[start..self.at])
    }

    /// Passes over a string, at whose opening quote the scanner stands.
    fn pass_string(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.text.as_bytes().get(self.at) {
                        Some(b'u') => {
                            self.at += 1;
                            self.four_digits()?;
                        }
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(_) => return self.wrong("an escape that JSON does not have"),
                        None => return self.wrong("a string without end"),
                    }
                }
                Some(0..0x20) => return self.wrong("a control character in a string"),
                Some(_) => self.at += 1,
                None => return self.wrong("a string without end"),
            }
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.wrong("something follows behind the value"),
        }
    }

    /// Goes back: to try another branch.
    pub(super) fn back(&mut self, at: usize, depth: u32) {
        (self.at, self.depth) = (at, depth);
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }
}

#[cold]
pub(super) fn mistake(offset: usize, why: impl Into<String>) -> Box<JsonError> {
    Box::new(JsonError { path: String::new(), why: why.into(), offset })
}
