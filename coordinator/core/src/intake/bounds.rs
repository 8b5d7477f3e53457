//! Bounds of texts that others write and state keeps: what is longer is cut, and says so.

use std::borrow::Cow;
use std::fmt::Write as _;

use ringmaster_schemas::names;
use sha2::{Digest as _, Sha256};

use super::{CODE_BYTES_MAX, ID_BYTES_MAX, MESSAGE_BYTES_MAX};

/// A code of a participant; what is no code is not compared with one, so that it need not be whole.
pub(super) fn code(text: &str) -> Cow<'_, str> {
    cut(text, CODE_BYTES_MAX)
}

/// A message of a participant.
pub(super) fn message(text: &str) -> Cow<'_, str> {
    cut(text, MESSAGE_BYTES_MAX)
}

fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let mark = format!("... (cut: {} bytes)", text.len());
    Cow::Owned(beginning(text, most - mark.len()).to_owned() + &mark)
}

/// The beginning of a text: at most so many bytes of it, all of it if it has no more.
pub fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most { text } else { &text[..boundary(text, most)] }
}

/// The last place at or before `at` where a text may be cut.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// Appends an id: two that differ stay different, so that what is cut ends with a hash of the whole.
pub(super) fn put_id(id: &str, out: &mut String) {
    if id.len() <= ID_BYTES_MAX {
        return out.push_str(id);
    }
    let hash = Sha256::digest(id);
    let mark_bytes = "...".len() + 32;
    out.push_str(&id[..boundary(id, ID_BYTES_MAX - mark_bytes)]);
    out.push_str("...");
    hash[..16].iter().for_each(|byte| write!(out, "{byte:02x}").expect("writing to a string"));
}

/// A trace context of W3C's form; any other is dropped.
pub(super) fn traceparent(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => names::traceparent(text).map(Cow::Borrowed),
        Cow::Owned(text) => names::traceparent(&text).map(|known| Cow::Owned(known.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_at_a_letter_and_says_so() {
        for letter in ["a", "ü", "🎪"] {
            for count in [0, 1, 900, 1000, 1024, 5000, 260 * 1024] {
                let whole = letter.repeat(count);
                let cut = message(&whole);
                assert!(cut.len() <= MESSAGE_BYTES_MAX);
                if whole.len() <= MESSAGE_BYTES_MAX {
                    assert_eq!(cut, whole);
                } else {
                    assert!(cut.len() > MESSAGE_BYTES_MAX - 4, "no more than needed is cut");
                    assert!(cut.starts_with(letter) && cut.ends_with(&format!("... (cut: {} bytes)", whole.len())), "{cut}");
                }
            }
        }
        assert_eq!(code("CARD_DECLINED"), "CARD_DECLINED");
        assert_eq!(code(&"C".repeat(CODE_BYTES_MAX)).len(), CODE_BYTES_MAX);
        assert!(code(&"C".repeat(CODE_BYTES_MAX + 1)).contains("(cut: "));
    }

    #[test]
    fn ids_that_differ_stay_different() {
        let put = |id: &str| {
            let mut out = String::new();
            put_id(id, &mut out);
            out
        };
        let long = "ü".repeat(ID_BYTES_MAX);
        assert_eq!(put("ord-1"), "ord-1");
        assert_eq!(put(&long[..ID_BYTES_MAX]), long[..ID_BYTES_MAX]);
        let (one, other) = (put(&format!("{long}1")), put(&format!("{long}2")));
        assert!(one.len() <= ID_BYTES_MAX && one.len() > ID_BYTES_MAX - 4 && one != other, "{one}");
        assert_eq!(one, put(&format!("{long}1")));
    }
}
