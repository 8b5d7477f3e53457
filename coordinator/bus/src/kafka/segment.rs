//! A broker's segment files as tests look at them, and spoil them: batches of record format 2.

use std::ops::Range;

/// Where a batch's checksum is, and where what it covers begins.
pub const CRC: Range<usize> = 17..21;
/// Where a batch's records begin, behind its header.
pub const RECORDS: usize = 61;

/// One batch in a segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The offset of its first record.
    pub base: i64,
    /// Where it lies in the file.
    pub bytes: Range<usize>,
    /// How its records are compressed: 0 not, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub codec: u8,
}

/// The batches of a segment file, in order.
pub fn batches(segment: &[u8]) -> impl Iterator<Item = Batch> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let header = segment.get(from..from + RECORDS)?;
        let base = i64::from_be_bytes(header[..8].try_into().expect("eight bytes"));
        let length = u32::from_be_bytes(header[8..12].try_into().expect("four bytes")) as usize;
        let bytes = from..from + 12 + length;
        from = bytes.end;
        Some(Batch { base, bytes, codec: header[22] & 7 })
    })
}

/// Gives a batch that was changed the checksum that belongs to it.
pub fn seal(batch: &mut [u8]) {
    let crc = crc32c(&batch[CRC.end..]);
    batch[CRC].copy_from_slice(&crc.to_be_bytes());
}

/// CRC-32C (Castagnoli), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
    }
}
