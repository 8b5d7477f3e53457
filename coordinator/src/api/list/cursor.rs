//! Where a page ended: what a cursor says.

use std::cmp::Ordering;

use ringmaster_schemas::names::{hex, murmur2, unhex_all};

/// A place among all that a question is answered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Which of the plan's walks.
    pub(super) walk: u16,
    /// Its number there.
    pub(super) at: i64,
    /// Its id.
    pub(super) id: String,
}

impl Position {
    /// Which of two comes first.
    pub(super) fn order(&self, other: &Position, is_backward: bool) -> Ordering {
        let within = (self.at, &self.id).cmp(&(other.at, &other.id));
        self.walk.cmp(&other.walk).then(if is_backward { within.reverse() } else { within })
    }
}

/// What tells the cursors of one question from those of another.
pub(super) fn mark(filter: &str, is_backward: bool) -> u32 {
    murmur2(format!("{filter}\0{is_backward}").as_bytes())
}

/// As a query takes it: letters and digits alone.
pub(super) fn write(position: &Position, mark: u32) -> String {
    let Position { walk, at, id } = position;
    hex(format!("{mark:08x}.{walk}.{at}.{id}").as_bytes())
}

/// Reads what [`write`] wrote; none of anything else, and of another question's.
pub(super) fn read(text: &str, of: u32) -> Option<Position> {
    let text = String::from_utf8(unhex_all(text)?).ok()?;
    let mut parts = text.splitn(4, '.');
    let mark = u32::from_str_radix(parts.next()?, 16).ok().filter(|mark| *mark == of);
    let (walk, at, id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned());
    mark.map(|_| Position { walk, at, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_question() {
        let at = Position { walk: 2, at: -7, id: "order/a%2F.b~2.3".to_owned() };
        let of = mark("status:stuck", false);
        let text = write(&at, of);
        assert_eq!(read(&text, of), Some(at));
        for other in [mark("status:stuck", true), mark("status:parked", false)] {
            assert_eq!(read(&text, other), None);
        }
        for wrong in ["", "0", "zz", "\u{e9}\u{e9}", &text[1..], &text[..20], "+1+2", &text.replace("2e", "2f")] {
            assert_eq!(read(wrong, of), None, "{wrong}");
        }
    }
}
