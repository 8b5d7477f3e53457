//! JSON into Avro in one pass: a record's fields are written as they come and put in order afterwards, where they were not.

use std::borrow::Cow;

use super::JsonError;
use super::scan::{Result, Scanner};
use crate::avro::{self, EMPTY_ITEMS_MAX, Field, Node, NodeId, Schema, dynamic};
use crate::codec::{put_long, put_text};

/// Branches of unions that one text may try in vain: branches inside branches would multiply without a limit.
const VAIN_BRANCHES_MAX: u32 = 64;
/// Up to so many keys are compared with each other one by one, more are sorted.
const KEYS_COMPARED_MAX: usize = 16;
/// Where a field's bytes stand, and whether it came by an alias.
type Place = (usize, usize, bool);
/// A field that has not come yet.
const ABSENT: Place = (usize::MAX, 0, false);

/// With a schema by it, without one as `ringmaster.Json`. On an error `out` is as it was.
pub(super) fn run(schema: Option<&Schema>, json: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), JsonError> {
    let start = out.len();
    let result = Scanner::new(json).and_then(|scan| {
        let mut transcoder = Transcoder {
            scan,
            out,
            places: Vec::new(),
            keys: Vec::new(),
            scratch: Vec::new(),
            vain: VAIN_BRANCHES_MAX,
            empties: EMPTY_ITEMS_MAX,
        };
        match schema {
            Some(schema) => transcoder.typed(schema, schema.root())?,
            None => transcoder.dynamic()?,
        }
        transcoder.scan.end()
    });
    result.map_err(|error| {
        out.truncate(start);
        *error
    })
}

pub(super) struct Transcoder<'a, 'o> {
    pub(super) scan: Scanner<'a>,
    pub(super) out: &'o mut Vec<u8>,
    /// Where in `out` the fields of the open records stand, by their index; a stack.
    places: Vec<Place>,
    /// Keys of the open maps; a stack.
    keys: Vec<Cow<'a, str>>,
    scratch: Vec<u8>,
    vain: u32,
    empties: u64,
}

impl<'a> Transcoder<'a, '_> {
    #[inline]
    fn typed(&mut self, schema: &Schema, id: NodeId) -> Result<()> {
        let Some(byte) = self.scan.peek() else {
            return self.scan.wrong("cut short");
        };
        match (schema.node(id), byte) {
            (Node::Record(fields), b'{') => self.record(schema, fields),
            (Node::Array(item), b'[') => self.list(|this| this.typed(schema, *item), schema.least_bytes(*item) == 0),
            (Node::Map(item), b'{') => self.map(|this| this.typed(schema, *item)),
            (Node::Union(branches), _) => self.union(schema, branches, byte),
            (Node::Dynamic, _) => self.dynamic(),
            (_, b'"') => self.text(schema, id),
            (_, b'-' | b'0'..=b'9') => self.number(schema, id),
            (Node::Bool, b't' | b'f') => {
                let value = self.scan.boolean()?;
                self.out.push(u8::from(value));
                Ok(())
            }
            (Node::Null, b'n') => self.scan.null(),
            _ => self.mismatch(schema, id, byte),
        }
    }

    fn record(&mut self, schema: &Schema, fields: &[Field]) -> Result<()> {
        let (base, start) = (self.places.len(), self.out.len());
        self.places.resize(base + fields.len(), ABSENT);
        self.scan.enter()?;
        let (mut next, mut taken_count, mut in_order, mut first) = (0, 0, true, true);
        while let Some(key) = self.scan.name(first)? {
            first = false;
            let key = key.unwrap_or_default();
            let Some((index, by_alias)) = named(fields, next, &key) else {
                self.scan.pass()?;
                continue;
            };
            match self.places[base + index] {
                ABSENT => {}
                // Who writes both writes the old name for those that do not know the new one.
                (.., false) if by_alias => {
                    self.scan.pass()?;
                    continue;
                }
                (.., true) if !by_alias => in_order = false,
                _ => return self.scan.wrong(format!("key {key:?} is given twice")),
            }
            let from = self.out.len();
            if !self.null_for_default(schema, &fields[index])? {
                self.typed(schema, fields[index].ty).map_err(|error| inside(error, &key))?;
            }
            self.places[base + index] = (from, self.out.len(), by_alias);
            in_order &= index == taken_count;
            taken_count += 1;
            next = index + 1;
        }
        if in_order {
            for field in &fields[taken_count..] {
                let default = self.default(field)?;
                self.out.extend_from_slice(default);
            }
        } else {
            self.arrange(fields, base, start)?;
        }
        self.places.truncate(base);
        Ok(())
    }

    /// Null is as good as missing where the type has no null and there is a default.
    fn null_for_default(&mut self, schema: &Schema, field: &Field) -> Result<bool> {
        match &field.default {
            Some(default) if self.scan.peek() == Some(b'n') && !schema.is_optional(field.ty) => {
                self.scan.null()?;
                self.out.extend_from_slice(default);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn default<'f>(&self, field: &'f Field) -> Result<&'f [u8]> {
        match &field.default {
            Some(default) => Ok(default),
            None => self.scan.wrong("it is missing and has no default").map_err(|error| inside(error, &field.name)),
        }
    }

    /// Puts the fields of a record in the schema's order.
    fn arrange(&mut self, fields: &[Field], base: usize, start: usize) -> Result<()> {
        let mut arranged = std::mem::take(&mut self.scratch);
        arranged.clear();
        for (index, field) in fields.iter().enumerate() {
            match self.places[base + index] {
                ABSENT => arranged.extend_from_slice(self.default(field)?),
                (from, to, _) => arranged.extend_from_slice(&self.out[from..to]),
            }
        }
        self.out.truncate(start);
        self.out.extend_from_slice(&arranged);
        self.scratch = arranged;
        Ok(())
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>, empty: bool) -> Result<()> {
        self.scan.enter()?;
        let (start, mut count, mut first) = (self.out.len(), 0i64, true);
        // Room for a count of one byte.
        self.out.push(0);
        while self.scan.next(first, b']')? {
            first = false;
            if empty {
                match self.empties.checked_sub(1) {
                    Some(left) => self.empties = left,
                    None => {
                        return self.scan.wrong(format!("more than {EMPTY_ITEMS_MAX} items without content"));
                    }
                }
            }
            item(self).map_err(|error| inside(error, &format!("[{count}]")))?;
            count += 1;
        }
        self.end_block(start, count);
        Ok(())
    }

    fn map(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.scan.enter()?;
        let (keys_base, start, mut count, mut first) = (self.keys.len(), self.out.len(), 0i64, true);
        self.out.push(0);
        while let Some(key) = self.scan.key(first)? {
            first = false;
            put_text(self.out, &key);
            self.unique(key.clone(), keys_base)?;
            item(self).map_err(|error| inside(error, &key))?;
            count += 1;
        }
        self.end_keys(keys_base)?;
        self.end_block(start, count);
        Ok(())
    }

    /// Writes a block's count where its room was left, and the end of the blocks.
    fn end_block(&mut self, start: usize, count: i64) {
        if count == 0 {
            // The room is the end.
            return;
        }
        let mut number = Vec::new();
        if count < 64 {
            self.out[start] = (count << 1) as u8;
        } else {
            put_long(&mut number, count);
            self.out.splice(start..=start, number);
        }
        self.out.push(0);
    }

    /// Notes a key; an error if it is known already.
    fn unique(&mut self, key: Cow<'a, str>, base: usize) -> Result<()> {
        let noted = &self.keys[base..];
        if noted.len() < KEYS_COMPARED_MAX && noted.contains(&key) {
            return self.scan.wrong(format!("key {key:?} is given twice"));
        }
        self.keys.push(key);
        Ok(())
    }

    fn end_keys(&mut self, base: usize) -> Result<()> {
        if self.keys.len() - base > KEYS_COMPARED_MAX {
            self.keys[base..].sort_unstable();
            if let Some(twice) = self.keys[base..].windows(2).find(|pair| pair[0] == pair[1]) {
                return self.scan.wrong(format!("key {:?} is given twice", twice[0]));
            }
        }
        self.keys.truncate(base);
        Ok(())
    }

    fn union(&mut self, schema: &Schema, branches: &[NodeId], byte: u8) -> Result<()> {
        let (start, at, depth, empties) = (self.out.len(), self.scan.at, self.scan.depth(), self.empties);
        let (places, keys) = (self.places.len(), self.keys.len());
        let mut first_error = None;
        for (index, branch) in branches.iter().enumerate().filter(|(_, branch)| may_be(schema.node(**branch), byte)) {
            if first_error.is_some() {
                match self.vain.checked_sub(1) {
                    Some(left) => self.vain = left,
                    None => {
                        return self.scan.wrong("too many branches of unions fit at first sight");
                    }
                }
            }
            put_long(self.out, index as i64);
            match self.typed(schema, *branch) {
                Ok(()) => return Ok(()),
                Err(error) => first_error = first_error.or(Some(error)),
            }
            self.out.truncate(start);
            self.scan.back(at, depth);
            self.empties = empties;
            self.places.truncate(places);
            self.keys.truncate(keys);
        }
        match first_error {
            Some(error) => Err(error),
            None => {
                let types: Vec<_> = branches.iter().map(|branch| avro::type_word(schema, *branch)).collect();
                self.scan.wrong(format!("{} where {} is wanted", word(byte), types.join(" or ")))
            }
        }
    }

    fn dynamic(&mut self) -> Result<()> {
        match self.scan.peek() {
            Some(b'{') => {
                put_long(self.out, dynamic::MAP);
                self.map(Self::dynamic)
            }
            Some(b'[') => {
                put_long(self.out, dynamic::LIST);
                self.list(Self::dynamic, false)
            }
            Some(b'"') => {
                let text = self.scan.string()?;
                put_long(self.out, dynamic::TEXT);
                put_text(self.out, &text);
                Ok(())
            }
            Some(b't' | b'f') => {
                let value = self.scan.boolean()?;
                put_long(self.out, dynamic::BOOL);
                self.out.push(u8::from(value));
                Ok(())
            }
            Some(b'n') => {
                put_long(self.out, dynamic::NULL);
                self.scan.null()
            }
            Some(_) => {
                let text = self.scan.number()?;
                // An integer comes back as the same text; -0 would not.
                match text.parse::<i64>().ok().filter(|_| text != "-0") {
                    Some(value) => {
                        put_long(self.out, dynamic::LONG);
                        put_long(self.out, value);
                    }
                    None => {
                        put_long(self.out, dynamic::NUMBER);
                        put_text(self.out, text);
                    }
                }
                Ok(())
            }
            None => self.scan.wrong("cut short"),
        }
    }

    #[cold]
    pub(super) fn mismatch(&self, schema: &Schema, id: NodeId, byte: u8) -> Result<()> {
        self.scan.wrong(format!("{} where {} is wanted", word(byte), avro::type_word(schema, id)))
    }
}

/// The field that a key names, most likely the next one; and whether by an alias.
fn named(fields: &[Field], next: usize, key: &str) -> Option<(usize, bool)> {
    let by_name = |field: &Field| *field.name == *key;
    if fields.get(next).is_some_and(by_name) {
        return Some((next, false));
    }
    let by_alias = |field: &Field| field.aliases.iter().any(|alias| **alias == *key);
    let position = |is: &dyn Fn(&Field) -> bool| fields.iter().position(is);
    position(&by_name).map(|index| (index, false)).or_else(|| position(&by_alias).map(|index| (index, true)))
}

/// Whether JSON that begins so may be of a type.
fn may_be(node: &Node, byte: u8) -> bool {
    match node {
        Node::Dynamic | Node::Union(_) => true,
        Node::Null => byte == b'n',
        Node::Bool => matches!(byte, b't' | b'f'),
        Node::Record(_) | Node::Map(_) => byte == b'{',
        Node::Array(_) => byte == b'[',
        Node::Int | Node::Long => matches!(byte, b'-' | b'0'..=b'9'),
        Node::Float | Node::Double | Node::Decimal { .. } | Node::FixedDecimal { .. } => {
            matches!(byte, b'"' | b'-' | b'0'..=b'9')
        }
        Node::Millis | Node::Micros | Node::Nanos | Node::Date => {
            matches!(byte, b'"' | b'-' | b'0'..=b'9')
        }
        Node::Str | Node::Enum(_) | Node::Bytes | Node::Fixed(_) => byte == b'"',
    }
}

fn word(byte: u8) -> &'static str {
    match byte {
        b'{' => "an object",
        b'[' => "a list",
        b'"' => "a string",
        b't' | b'f' => "a bool",
        b'n' => "null",
        b'-' | b'0'..=b'9' => "a number",
        _ => "something that is not JSON",
    }
}

#[cold]
fn inside(mut error: Box<JsonError>, step: &str) -> Box<JsonError> {
    if !error.path.is_empty() && !error.path.starts_with('[') {
        error.path.insert(0, '.');
    }
    error.path.insert_str(0, step);
    error
}
