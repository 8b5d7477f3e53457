//! Durations as they are written: `200ms`, `10s`, `1h30m`, `14d`.

/// What a duration is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
}

/// Longest duration: a hundred years, so that sums of instants and durations never overflow.
pub(super) const MILLIS_MAX: i64 = 100 * 365 * 86_400_000;

/// Units, longest first, in milliseconds.
const UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration. An error says what is wrong with it.
pub(crate) fn parse_duration(text: &str, unit: Unit) -> Result<i64, String> {
    let wrong = || format!("'{text}' is not a duration");
    let mut rest = text.trim();
    let mut total = 0i64;
    let mut last = i64::MAX;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (_, length) = UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(wrong)?;
        rest = &rest[letters..];
        // Each unit once, the longer before the shorter.
        if *length >= last {
            return Err(wrong());
        }
        last = *length;
        total = number
            .checked_mul(*length)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= MILLIS_MAX)
            .ok_or("a hundred years are the longest duration")?;
    }
    Ok(match unit {
        Unit::Millis => total,
        Unit::Micros => total * 1000,
    })
}

/// Reads a duration such as `200ms`, `10s` or `1h30m`, in milliseconds. An error says what is wrong with it.
pub fn parse_millis(text: &str) -> Result<i64, String> {
    parse_duration(text, Unit::Millis)
}

/// In the largest unit that fits; a day is 24h.
pub(crate) fn write_duration(millis: i64) -> String {
    let fits = |name: &str, length: i64| millis % length == 0 && millis >= length && !(name == "d" && millis == length);
    let (name, length) = UNITS.iter().find(|(name, length)| fits(name, *length)).unwrap_or(&("ms", 1));
    format!("{}{name}", millis / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        let table = [("200ms", 200), ("10s", 10_000), ("1h30m", 5_400_000), ("14d", 1_209_600_000), ("0s", 0), ("1m1s1ms", 61_001)];
        for (text, millis) in table {
            assert_eq!(parse_duration(text, Unit::Millis), Ok(millis), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "1s1h", "5s5s", "5x", "99999999999999999999d", "36501d", "5é"] {
            assert!(parse_duration(text, Unit::Millis).is_err(), "{text}");
        }
        for text in ["200ms", "10s", "30m", "24h", "7d", "1500ms"] {
            let millis = parse_duration(text, Unit::Millis).unwrap();
            assert_eq!(parse_duration(&write_duration(millis), Unit::Millis), Ok(millis));
        }
        assert_eq!([1_800_000, 86_400_000, 604_800_000].map(write_duration), ["30m", "24h", "7d"]);
    }
}
