//! Exact numbers: text, scale, bytes.
/// A JSON number's (or decimal string's) exact value: unscaled number and scale. `None` if it is none, or has more than 38 digits.
pub fn parse_number(text: &str) -> Option<(i128, i32)> { todo!() }
/// The same number at another scale; `None` if digits would be lost or it grows beyond 128 bits.
pub fn rescale(unscaled: i128, from: i32, to: i32) -> Option<i128> { todo!() }
