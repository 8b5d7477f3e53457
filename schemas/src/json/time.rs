//! Instants and dates as text: RFC 3339.

use std::fmt::Write as _;

const DAY_MICROS: i64 = 86_400_000_000;

/// Microseconds since 1970-01-01 UTC of an RFC 3339 timestamp, years 0000 to 9999; finer digits are cut off. A leap second (the
/// second 60 at the end of a month, in UTC) is the next second, since this count has none for it. `None` if it is no timestamp.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !matches!(bytes[10], b'T' | b't' | b' ') || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let days = i64::from(parse_date(text.get(..10)?)?);
    let (hour, minute, second) = (digits(&bytes[11..13])?, digits(&bytes[14..16])?, digits(&bytes[17..19])?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = &bytes[19..];
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        micros = (0..6).fold(0, |value, i| value * 10 + if i < count { i64::from(fraction[i] - b'0') } else { 0 });
        rest = &fraction[count..];
    }
    let offset_minutes = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            let (hours, minutes) = (digits(&zone[..2])?, digits(&zone[3..])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            if *sign == b'-' { -(hours * 60 + minutes) } else { hours * 60 + minutes }
        }
        _ => return None,
    };
    let seconds = hour * 3600 + (minute - offset_minutes) * 60 + second;
    let at = days * DAY_MICROS + seconds * 1_000_000;
    (second < 60 || begins_month(at)).then_some(at + micros)
}

/// Leap seconds are put in behind the last second of a month.
fn begins_month(micros: i64) -> bool {
    micros.rem_euclid(DAY_MICROS) == 0 && civil(micros.div_euclid(DAY_MICROS)).2 == 1
}

/// Appends an instant as RFC 3339 in UTC, with as many of 0, 3 or 6 fractional digits as it needs. An instant outside the years
/// 0000 to 9999, which RFC 3339 cannot say, is its number of microseconds.
pub fn put_timestamp(micros: i64, out: &mut String) {
    let (days, within) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        let _ = write!(out, "{micros}");
        return;
    }
    let (seconds, fraction) = (within / 1_000_000, within % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Each emission says its time. `write!` with seven widths takes some 2,200 instructions, this 400.
    let mut text = *b"0000-00-00T00:00:00.000000";
    put_day((year, month, day), &mut text[..10]);
    for (at, count, value) in [(11, 2, hour), (14, 2, minute), (17, 2, second), (20, 6, fraction)] {
        put_digits(value, &mut text[at..at + count]);
    }
    let length = match fraction {
        0 => 19,
        fraction if fraction % 1000 == 0 => 23,
        _ => text.len(),
    };
    out.push_str(std::str::from_utf8(&text[..length]).expect("digits are ASCII"));
    out.push('Z');
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(&bytes[..4])?, digits(&bytes[5..7])?, digits(&bytes[8..])?);
    let days = days_from_civil(year, month, day);
    // What is no day of the calendar comes back as another one.
    if (1..=12).contains(&month) && civil(days) == (year, month, day) { i32::try_from(days).ok() } else { None }
}

/// Appends a date as `YYYY-MM-DD`; outside the years 0000 to 9999 its number of days.
pub fn put_date(days: i32, out: &mut String) {
    let day = civil(i64::from(days));
    if !(0..=9999).contains(&day.0) {
        let _ = write!(out, "{days}");
        return;
    }
    let mut text = *b"0000-00-00";
    put_day(day, &mut text);
    out.push_str(std::str::from_utf8(&text).expect("digits are ASCII"));
}

/// Year, month and day into a text that has its two hyphens.
fn put_day((year, month, day): (i64, i64, i64), text: &mut [u8]) {
    put_digits(year, &mut text[..4]);
    put_digits(month, &mut text[5..7]);
    put_digits(day, &mut text[8..10]);
}

/// A value that is not negative, as that many digits.
fn put_digits(mut value: i64, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Days since 1970-01-01 of a day of the Gregorian calendar. Years are counted from March, in eras of 400.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse: (year, month, day).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(micros: i64) -> String {
        let mut out = String::new();
        put_timestamp(micros, &mut out);
        out
    }

    #[test]
    fn timestamps_come_and_go() {
        for (text, micros, back) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2026-11-27T09:30:00.25Z", 1_795_771_800_250_000, "2026-11-27T09:30:00.250Z"),
            ("2026-11-27t11:30:00.250001+02:00", 1_795_771_800_250_001, "2026-11-27T09:30:00.250001Z"),
            ("2026-11-27 05:00:00.2500019-04:30", 1_795_771_800_250_001, "2026-11-27T09:30:00.250001Z"),
            ("1969-12-31T23:59:59.999999Z", -1, "1969-12-31T23:59:59.999999Z"),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000, "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000_000, "9999-12-31T23:59:59Z"),
            ("2024-02-29T12:00:00Z", 1_709_208_000_000_000, "2024-02-29T12:00:00Z"),
        ] {
            assert_eq!(parse_timestamp(text), Some(micros), "{text}");
            assert_eq!(shown(micros), back);
        }
        assert_eq!(shown(i64::MAX), i64::MAX.to_string());
        assert_eq!(shown(i64::MIN), i64::MIN.to_string());
    }

    /// The first two are RFC 3339's own examples.
    #[test]
    fn a_leap_second_is_the_next_second() {
        for (text, next) in [
            ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00Z"),
            ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00Z"),
            ("2016-12-31T23:59:60.75Z", "2017-01-01T00:00:00.750Z"),
            ("2012-07-01T05:29:60+05:30", "2012-07-01T00:00:00Z"),
            ("2024-02-29T23:59:60Z", "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(parse_timestamp(text).map(shown).as_deref(), Some(next), "{text}");
        }
    }

    #[test]
    fn what_is_no_timestamp_is_none() {
        for bad in [
            "",
            "2026-11-27",
            "2026-11-27T09:30:00",
            "2026-11-27T09:30Z",
            "2026-11-27T24:00:00Z",
            "2026-11-27T09:60:00Z",
            "2026-11-27T23:59:60Z",
            "2026-11-30T12:30:60Z",
            "2026-11-30T23:59:60+01:00",
            "2026-11-30T23:59:61Z",
            "2026-11-31T23:59:60Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-11-27T09:30:00.Z",
            "2026-11-27T09:30:00+0200",
            "2026-11-27T09:30:00+24:00",
            "2026-11-27T09:30:00Z ",
            "+026-11-27T09:30:00Z",
            "2026-11-2éT09:30:00Z",
            "20é6-11-27T09:30:00Z",
        ] {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_have_one_form() {
        assert!(parse_date("2024-02-29").is_some());
        for bad in ["", "2024", "2024-2-29", "2024/02/29", "2024-02/29", "2024-02-29Z", "2024-02-30", "02024-02-29"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_ten_thousand_years_has_its_date() {
        let mut text = String::new();
        let mut days = parse_date("0000-01-01").expect("a date");
        let mut count = 0;
        loop {
            text.clear();
            put_date(days, &mut text);
            if text.len() != 10 {
                break;
            }
            assert_eq!(parse_date(&text), Some(days));
            (days, count) = (days + 1, count + 1);
        }
        assert_eq!(count, 3_652_425, "days of 10,000 years with their leap days");
    }
}
