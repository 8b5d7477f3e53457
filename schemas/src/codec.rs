//! Avro's binary primitives; the macros beside it declare the record and union types that this project owns itself.
//!
//! Hand-laid bytes, because the journal and the store are the hot path and their schemas are ours: a `record!` is its fields in
//! order, a `union!` the index of its branch and the branch. The `.avsc` files in `schemas/` say the same for other readers, and a
//! test holds both against each other.

use std::sync::Arc;

use bytes::Bytes;

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed data: {0}")]
pub struct Malformed(pub &'static str);

/// A reader over borrowed bytes; every read is bounded by what is left.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    /// What has not been read yet.
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    /// Exactly `count` bytes.
    #[inline(always)]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        if count > self.rest.len() {
            return Err(Malformed("cut short"));
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned variable-length number of at most 64 bits.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        if let Some((&first, rest)) = self.rest.split_first()
            && first < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(first));
        }
        let (mut value, mut shift) = (0u64, 0);
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                if i == 9 && byte > 1 {
                    break;
                }
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(Malformed("number is not a varint of 64 bits"))
    }

    /// Avro `long`.
    #[inline(always)]
    pub fn long(&mut self) -> Result<i64, Malformed> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// Avro `int`.
    #[inline(always)]
    pub fn int(&mut self) -> Result<i32, Malformed> {
        i32::try_from(self.long()?).map_err(|_| Malformed("int out of range"))
    }

    /// Avro `bytes`.
    #[inline(always)]
    pub fn blob(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| Malformed("negative length"))?)
    }

    /// Avro `string`, checked to be UTF-8.
    #[inline(always)]
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.blob()?).map_err(|_| Malformed("text is not UTF-8"))
    }

    /// Avro `boolean`.
    #[inline(always)]
    pub fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("boolean is neither 0 nor 1")),
        }
    }

    /// Nothing may be left over.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes left over")) }
    }
}

/// Appends an Avro `long` (or `int`).
#[inline(always)]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    if zigzag < 0x80 {
        out.push(zigzag as u8);
        return;
    }
    let (bytes, count) = long_of(value);
    out.extend_from_slice(&bytes[..count]);
}

/// A `long` by itself: its bytes, and how many of them there are.
#[inline(always)]
pub(crate) fn long_of(value: i64) -> ([u8; 10], usize) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    let (mut bytes, mut n) = ([0u8; 10], 0);
    while zigzag >= 0x80 {
        bytes[n] = zigzag as u8 | 0x80;
        zigzag >>= 7;
        n += 1;
    }
    bytes[n] = zigzag as u8;
    (bytes, n + 1)
}

/// Appends Avro `bytes`.
#[inline(always)]
pub fn put_blob(out: &mut Vec<u8>, value: &[u8]) {
    put_long(out, value.len() as i64);
    out.extend_from_slice(value);
}

/// Appends an Avro `string`.
#[inline(always)]
pub fn put_text(out: &mut Vec<u8>, value: &str) {
    put_blob(out, value.as_bytes());
}

/// A type that this project lays out itself in Avro's binary encoding.
pub trait Avro: Sized {
    /// Appends this value.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads one value.
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed>;
}

/// A value with nothing behind it.
pub fn decode<T: Avro>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let value = T::take(&mut cursor)?;
    cursor.end()?;
    Ok(value)
}

impl Avro for i64 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_long(out, *self);
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.long()
    }
}

impl Avro for i32 {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_long(out, i64::from(*self));
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.int()
    }
}

/// Small numbers of our own records, as Avro `int`.
macro_rules! small_ints {
    ($($type:ty),*) => { $(
        impl Avro for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                put_long(out, i64::from(*self));
            }
            #[inline]
            fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
                <$type>::try_from(cursor.long()?).map_err(|_| Malformed("small number out of range"))
            }
        }
    )* };
}

small_ints!(u8, u16);

impl Avro for bool {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        cursor.boolean()
    }
}

impl Avro for Arc<str> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_text(out, self);
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let text = cursor.text()?;
        // The empty one is shared, not allocated.
        Ok(if text.is_empty() { Arc::default() } else { text.into() })
    }
}

impl Avro for Bytes {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_blob(out, self);
    }
    /// Copies, so that a long-lived row never pins the journal record it came from.
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Bytes::copy_from_slice(cursor.blob()?))
    }
}

/// A record that many hold.
impl<T: Avro> Avro for Arc<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        T::take(cursor).map(Arc::new)
    }
}

/// Avro `fixed` of 16 bytes.
impl Avro for [u8; 16] {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(cursor.take(16)?.try_into().expect("sixteen bytes were taken"))
    }
}

/// The union `[null, T]`.
impl<T: Avro> Avro for Option<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(2);
                value.put(out);
            }
        }
    }
    #[inline]
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        match cursor.long()? {
            0 => Ok(None),
            1 => Ok(Some(T::take(cursor)?)),
            _ => Err(Malformed("union has no such branch")),
        }
    }
}

/// Appends an array.
#[inline]
pub(crate) fn put_list<T: Avro>(items: &[T], out: &mut Vec<u8>) {
    if !items.is_empty() {
        put_long(out, items.len() as i64);
        for item in items {
            item.put(out);
        }
    }
    out.push(0);
}

/// Avro `array`. Counts are bounded by the bytes that are left, so that a lie costs nothing.
impl<T: Avro> Avro for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        T::take(cursor).map(Box::new)
    }
}

/// Room for so much is made at once where an array says how many items it has: who lies about that is given no more.
const RESERVED_BYTES: usize = 16 << 10;

impl<T: Avro> Avro for Vec<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        put_list(self, out);
    }
    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut items = Vec::new();
        loop {
            let mut count = cursor.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                // The block's size in bytes: of use only to those who skip it.
                let size = cursor.long()?;
                if size < 0 || size as u64 > cursor.rest.len() as u64 {
                    return Err(Malformed("block claims more bytes than there are"));
                }
                count = count.checked_neg().ok_or(Malformed("array count"))?;
            }
            if count as u64 > cursor.rest.len() as u64 {
                return Err(Malformed("array claims more items than there are bytes"));
            }
            // Most arrays are one block of one or two items, which are large: the first growth would make room for four.
            if items.is_empty() {
                items.reserve_exact((count as usize).min(RESERVED_BYTES / size_of::<T>().max(1)));
            }
            for _ in 0..count {
                items.push(T::take(cursor)?);
            }
        }
    }
}
