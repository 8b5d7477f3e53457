//! Parsing canonical form, and what it forgets.
/// CRC-64-AVRO.
pub fn crc64(bytes: &[u8]) -> u64 { todo!() }
