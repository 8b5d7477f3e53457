//! How times and bytes are told to people.

use ringmaster_schemas::Millis;
use ringmaster_schemas::json::time::put_timestamp;

/// RFC 3339, to the millisecond.
pub(super) fn time(at: Millis) -> String {
    let mut text = String::new();
    put_timestamp(at.saturating_mul(1_000), &mut text);
    text
}

/// Text with control characters escaped, so that a hostile key cannot drive a terminal.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_cannot_drive_a_terminal() {
        assert_eq!(printable(b"ord\x1b[2J\xff"), "ord\\u{1b}[2J\u{fffd}");
    }

    #[test]
    fn times_are_told_to_the_millisecond() {
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
