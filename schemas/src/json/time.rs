//! Instants and dates as text: RFC 3339.

/// Microseconds since 1970-01-01 UTC of an RFC 3339 timestamp, years 0000 to 9999; finer digits are cut off. `None` if it is none.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    todo!()
}

/// Appends an instant as RFC 3339 in UTC, with as many of 0, 3 or 6 fractional digits as it needs. An instant outside the years
/// 0000 to 9999, which RFC 3339 cannot say, is its number of microseconds.
pub fn put_timestamp(micros: i64, out: &mut String) {
    todo!()
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Option<i32> {
    todo!()
}

/// Appends a date as `YYYY-MM-DD`.
pub fn put_date(days: i32, out: &mut String) {
    todo!()
}
