//! Instants and their parts: UTC and fixed offsets, no tables of zones.

use ringmaster_schemas::json::time as wire;

use super::tree::Part;

const DAY: i64 = 86_400_000_000;

/// Microseconds of an RFC 3339 text.
pub(crate) fn parse(text: &str) -> Option<i64> {
    wire::parse_timestamp(text)
}

/// Appends an instant as RFC 3339.
pub(crate) fn put(micros: i64, out: &mut String) {
    wire::put_timestamp(micros, out);
}

/// Appends days as `YYYY-MM-DD`.
pub(crate) fn put_date(days: i32, out: &mut String) {
    wire::put_date(days, out);
}

/// Seconds of `UTC`, `Z`, `+02:00`, `-05:30`.
pub(crate) fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "UTC" | "Z" | "") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    // Digits alone: a number's own reader would take a sign of its own.
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str, most: i64| text.parse::<i64>().ok().filter(|n| digits(text) && *n <= most);
    Some(sign * (number(hours, 18)? * 3600 + number(minutes, 59)? * 60))
}

/// A part of an instant, as CEL counts: months, days of the month, of the year from 0, `getDate` from 1, Sunday is 0.
pub(crate) fn part(part: Part, micros: i64, offset_seconds: i64) -> i64 {
    let local = micros.saturating_add(offset_seconds * 1_000_000);
    let (day, within) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    match part {
        Part::FullYear => civil(day).0,
        Part::Month => civil(day).1 - 1,
        Part::Date => civil(day).2,
        Part::DayOfMonth => civil(day).2 - 1,
        Part::DayOfWeek => (day + 4).rem_euclid(7),
        Part::DayOfYear => day - days_before(civil(day).0),
        Part::Hours => within / 3_600_000_000,
        Part::Minutes => within / 60_000_000 % 60,
        Part::Seconds => within / 1_000_000 % 60,
        Part::Milliseconds => within / 1_000 % 1_000,
    }
}

/// Year, month (1 to 12), day (1 to 31) of days since 1970-01-01, in the Gregorian calendar.
fn civil(day: i64) -> (i64, i64, i64) {
    // Years that begin in March put the leap day last; 146,097 days are 400 years.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, date)
}

/// Days from 1970-01-01 to the first of January of a year.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_instants() {
        let at = parse("2024-02-29T23:30:15.250Z").unwrap();
        let all = |offset| {
            [
                Part::FullYear,
                Part::Month,
                Part::Date,
                Part::DayOfMonth,
                Part::DayOfWeek,
                Part::DayOfYear,
                Part::Hours,
                Part::Minutes,
                Part::Seconds,
                Part::Milliseconds,
            ]
            .map(|p| part(p, at, offset))
        };
        assert_eq!(all(0), [2024, 1, 29, 28, 4, 59, 23, 30, 15, 250]);
        assert_eq!(all(3600), [2024, 2, 1, 0, 5, 60, 0, 30, 15, 250]);
        let old = parse("1969-12-31T23:59:59Z").unwrap();
        assert_eq!((part(Part::FullYear, old, 0), part(Part::DayOfYear, old, 0), part(Part::DayOfWeek, old, 0)), (1969, 364, 3));
        for year in [1900, 1970, 2000, 2023, 2024, 2100] {
            assert_eq!(civil(days_before(year)), (year, 1, 1));
        }
    }

    #[test]
    fn offsets() {
        for (text, seconds) in [
            ("UTC", Some(0)),
            ("+02:00", Some(7200)),
            ("-05:30", Some(-19800)),
            ("Europe/Berlin", None),
            ("+2:00", None),
            ("+19:00", None),
            ("+é0:00", None),
            ("++5:00", None),
            ("+-5:00", None),
            ("-+5:30", None),
            ("--5:30", None),
            ("+05:+3", None),
            ("+05:-3", None),
            ("+ 5:00", None),
            ("+05:00 ", None),
            ("+05:00:00", None),
            ("+05", None),
            ("-00:00", Some(0)),
        ] {
            assert_eq!(offset_seconds(text), seconds, "{text}");
        }
    }
}
