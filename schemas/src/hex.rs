//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

/// Bytes as hexadecimal digits: how hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what [`hex`] wrote of so many bytes; none of anything else.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 2 * N || !text.bytes().all(is_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let bytes = [0, 1, 0x7f, 0xab, 0xff];
        assert_eq!((&*hex(&bytes), unhex(&hex(&bytes))), ("00017fabff", Some(bytes)));
        for wrong in ["", "00017fabf", "00017fabff00", "00017fabfg", "00017FABFF", "+0017fabff", "ü017fabff"] {
            assert_eq!(unhex::<5>(wrong), None, "{wrong}");
        }
    }
}
