//! A record for others: what is sent because of an event.

use std::fmt;
use std::sync::Arc;

/// Bytes of a header's name or value take so many bytes to say how many they are, seven bits each: being ASCII, all headers together are
/// one text, which is looked at once.
const LENGTH: usize = 4;

/// A record for others; it leaves only behind the confirmed journal record that caused it. Key, value and headers lie in one piece.
#[derive(Clone, PartialEq, Eq)]
pub struct Effect {
    /// Where to.
    pub topic: Arc<str>,
    /// The key, the value, and name and value of each header.
    bytes: Vec<u8>,
    value_at: u32,
    headers_at: u32,
}

impl Effect {
    /// A record without headers; `write` appends its value, of which `room` bytes are expected.
    pub fn new(topic: Arc<str>, key: &[u8], room: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + room);
        bytes.extend_from_slice(key);
        write(&mut bytes);
        let end = |at: usize| u32::try_from(at).expect("a record is far below 4 GiB");
        Effect { topic, value_at: end(key.len()), headers_at: end(bytes.len()), bytes }
    }

    /// Adds a header, whose value is these parts one behind the other.
    pub fn add_header(&mut self, name: &str, value: &[&str]) {
        for text in [&[name][..], value] {
            let length: usize = text.iter().map(|part| part.len()).sum();
            assert!(length >> (7 * LENGTH) == 0, "a row is below 64 MiB");
            self.bytes.extend((0..LENGTH).map(|place| (length >> (7 * place)) as u8 & 0x7f));
            text.iter().for_each(|part| self.bytes.extend_from_slice(part.as_bytes()));
        }
    }

    /// What it takes in memory.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.value_at as usize]
    }

    /// Its value.
    pub fn value(&self) -> &[u8] {
        &self.bytes[self.value_at as usize..self.headers_at as usize]
    }

    /// Name and value of its headers; commands have none.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = std::str::from_utf8(&self.bytes[self.headers_at as usize..]).expect("it was written as text");
        std::iter::from_fn(move || (!rest.is_empty()).then(|| (take_text(&mut rest), take_text(&mut rest))))
    }
}

fn take_text<'a>(rest: &mut &'a str) -> &'a str {
    let (length, behind) = rest.split_at(LENGTH);
    let length = length.bytes().rev().fold(0, |length, byte| length << 7 | usize::from(byte));
    let (text, behind) = behind.split_at(length);
    *rest = behind;
    text
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value) = (String::from_utf8_lossy(self.key()), String::from_utf8_lossy(self.value()));
        let headers: Vec<_> = self.headers().collect();
        write!(f, "Effect {{ topic: {}, key: {key}, value: {value:?}, headers: {headers:?} }}", self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_was_put_in() {
        let mut effect = Effect::new("t".into(), b"key", 0, |out| out.extend_from_slice(b"value"));
        assert_eq!((effect.key(), effect.value(), effect.headers().count()), (&b"key"[..], &b"value"[..], 0));
        effect.add_header("name", &["a", "", "b"]);
        effect.add_header("", &[]);
        let long = "\u{e4}".repeat(200_000);
        effect.add_header("long", &[&long, "\u{1f3aa}"]);
        let headers: Vec<_> = effect.headers().collect();
        assert_eq!(headers, [("name", "ab"), ("", ""), ("long", &*(long.clone() + "\u{1f3aa}"))]);
        assert_eq!((effect.key(), effect.value()), (&b"key"[..], &b"value"[..]));
        let empty = Effect::new("t".into(), b"", 0, |_| {});
        assert_eq!((empty.key(), empty.value(), empty.headers().count()), (&b""[..], &b""[..], 0));
    }
}
