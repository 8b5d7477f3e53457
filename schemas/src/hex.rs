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
    // What is longer need not be read.
    (text.len() == 2 * N).then(|| unhex_all(text))??.try_into().ok()
}

/// The same of any number of bytes.
pub fn unhex_all(text: &str) -> Option<Vec<u8>> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if !text.len().is_multiple_of(2) || !text.bytes().all(is_hex) {
        return None;
    }
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).ok()).collect()
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
        assert_eq!((unhex_all("00017fabff").as_deref(), unhex_all("").as_deref()), (Some(&bytes[..]), Some(&[][..])));
        assert_eq!((unhex_all("0"), unhex_all("0G"), unhex_all("+1")), (None, None, None));
    }
}
