//! Kafka's primitive types: big-endian numbers, varints, compact strings and arrays, tagged fields.
//!
//! By <https://kafka.apache.org/protocol#protocol_types>.

use ringmaster_schemas::journal::TopicId;

/// An answer that is not what its version says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer that is none of this version of Kafka's protocol")]
pub(in crate::kafka) struct Malformed;

impl From<Malformed> for std::io::Error {
    fn from(malformed: Malformed) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, malformed)
    }
}

/// Writes behind what is there.
pub(in crate::kafka) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn i8(&mut self, value: i8) {
        self.put(&value.to_be_bytes());
    }
    fn i16(&mut self, value: i16) {
        self.put(&value.to_be_bytes());
    }
    fn i32(&mut self, value: i32) {
        self.put(&value.to_be_bytes());
    }
    fn i64(&mut self, value: i64) {
        self.put(&value.to_be_bytes());
    }
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.put(&[value as u8]);
    }
    /// A zigzag varint.
    fn varint(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)) as u64);
    }
    /// The length of a compact array, string or run of bytes: the elements follow.
    fn count(&mut self, count: usize) {
        self.unsigned(count as u64 + 1);
    }
    fn string(&mut self, value: &str) {
        self.count(value.len());
        self.put(value.as_bytes());
    }
    /// A compact string or array that is none.
    fn null(&mut self) {
        self.put(&[0]);
    }
    fn no_tags(&mut self) {
        self.put(&[0]);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Bytes of a zigzag varint.
pub(in crate::kafka) fn varint_len(value: i64) -> usize {
    let value = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads from the front.
#[derive(Debug, Clone, Copy)]
pub(in crate::kafka) struct Get<'a>(pub(in crate::kafka) &'a [u8]);

impl<'a> Get<'a> {
    pub(in crate::kafka) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N)?.try_into().expect("so many were taken"))
    }
    pub(in crate::kafka) fn i8(&mut self) -> Result<i8, Malformed> {
        Ok(i8::from_be_bytes(self.array()?))
    }
    pub(in crate::kafka) fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(i16::from_be_bytes(self.array()?))
    }
    pub(in crate::kafka) fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }
    pub(in crate::kafka) fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }
    pub(in crate::kafka) fn unsigned(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A zigzag varint.
    pub(in crate::kafka) fn varint(&mut self) -> Result<i64, Malformed> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
    pub(in crate::kafka) fn id(&mut self) -> Result<TopicId, Malformed> {
        self.array()
    }

    /// Compact and nullable: strings and bytes alike.
    pub(in crate::kafka) fn bytes(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.unsigned()? {
            0 => Ok(None),
            more => Ok(Some(self.take(usize::try_from(more - 1).map_err(|_| Malformed)?)?)),
        }
    }
    pub(in crate::kafka) fn string(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?.unwrap_or_default()).map_err(|_| Malformed)
    }
    /// How many elements follow; none for an array that is none. An element has a byte at least, so that no count is trusted beyond that.
    pub(in crate::kafka) fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.unsigned()?.saturating_sub(1);
        usize::try_from(count).ok().filter(|count| *count <= self.0.len()).ok_or(Malformed)
    }
    /// Fields of later versions, which mean nothing here.
    pub(in crate::kafka) fn tags(&mut self) -> Result<(), Malformed> {
        self.tagged(|_, _| Ok(()))
    }
    /// Visits fields that may be there, by their number.
    pub(in crate::kafka) fn tagged(
        &mut self,
        mut visit: impl FnMut(u64, Get<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        for _ in 0..self.unsigned()? {
            let tag = self.unsigned()?;
            let bytes = usize::try_from(self.unsigned()?).map_err(|_| Malformed)?;
            visit(tag, Get(self.take(bytes)?))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, -1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            out.varint(value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(Get(&out).varint(), Ok(value));
        }
    }

    #[test]
    fn what_is_cut_or_claims_too_much_is_malformed() {
        assert_eq!(Get(&[0xff; 10]).unsigned(), Err(Malformed), "it never ends");
        assert_eq!(Get(&[5, b'a']).bytes(), Err(Malformed));
        assert_eq!(Get(&[0xff, 0xff, 0xff, 0x7f]).count(), Err(Malformed), "more elements than bytes");
        assert_eq!(Get(&[1, 0, 9, 0]).tags(), Err(Malformed));
        assert_eq!(Get(&[3, 0xff, 0xfe]).string(), Err(Malformed), "not UTF-8");
        assert_eq!(Get(&[0]).string(), Ok(""));
    }
}
