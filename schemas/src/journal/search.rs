//! What a saga is searched by: values that its definition names, computed once, at its start.

use crate::codec::{Cursor, Malformed, put_long, put_text};

/// The values of one saga, borrowed from its head; nothing for a saga of which nothing is searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchValues<'a>(&'a [u8]);

/// Where sagas are found that have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchKey<'a> {
    /// The name of the definition that the saga runs by.
    pub definition: &'a str,
    /// What the definition calls the value.
    pub name: &'a str,
    /// The value, as text.
    pub value: &'a str,
}

impl<'a> SearchValues<'a> {
    /// The values of a definition's saga, encoded; nothing if there are none.
    pub fn encode<'t>(definition: &str, values: impl ExactSizeIterator<Item = (&'t str, &'t str)>) -> Vec<u8> {
        let mut out = Vec::new();
        if values.len() == 0 {
            return out;
        }
        put_text(&mut out, definition);
        put_long(&mut out, values.len() as i64);
        for (name, value) in values {
            put_text(&mut out, name);
            put_text(&mut out, value);
        }
        out.push(0);
        out
    }

    /// What [`SearchValues::encode`] has made.
    pub fn of(encoded: &'a [u8]) -> Self {
        SearchValues(encoded)
    }

    /// True if nothing is searched.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Each name with its value, in the order of the definition, as the place where the saga is found by it.
    pub fn keys(self) -> impl Iterator<Item = SearchKey<'a>> {
        let read = move || {
            let mut cursor = Cursor::new(self.0);
            let definition = if self.is_empty() { "" } else { cursor.text()? };
            Ok::<_, Malformed>((definition, Items { cursor, left: 0, is_over: self.is_empty() }))
        };
        let (definition, items) = read().expect("it was read when it was made");
        items.map(move |item| {
            let (name, value) = item.expect("it was read when it was made");
            SearchKey { definition, name, value }
        })
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }

    /// Reads them, to the last.
    pub(super) fn take(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let whole = cursor.rest;
        cursor.text()?;
        let mut items = Items { cursor: *cursor, left: 0, is_over: false };
        for item in &mut items {
            item?;
        }
        *cursor = items.cursor;
        Ok(SearchValues(&whole[..whole.len() - cursor.rest.len()]))
    }
}

/// The items of an Avro array of names and values, whatever its blocks are.
struct Items<'a> {
    cursor: Cursor<'a>,
    /// Of this block.
    left: u64,
    is_over: bool,
}

impl<'a> Items<'a> {
    fn read(&mut self) -> Result<Option<(&'a str, &'a str)>, Malformed> {
        if self.left == 0 {
            let count = self.cursor.long()?;
            if count < 0 {
                // The block says its bytes, too.
                self.cursor.long()?;
            }
            self.left = count.unsigned_abs();
        }
        self.is_over = self.left == 0;
        if self.is_over {
            return Ok(None);
        }
        self.left -= 1;
        Ok(Some((self.cursor.text()?, self.cursor.text()?)))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<(&'a str, &'a str), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.read();
        self.is_over |= item.is_err();
        item.transpose()
    }
}
