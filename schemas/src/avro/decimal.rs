//! Exact numbers: as text, as bytes, at another scale.

use rust_decimal::Decimal;

use super::{DECIMAL_BYTES_MAX, DECIMAL_DIGITS_MAX};
use crate::codec::{Malformed, put_long};

/// Powers of ten up to those of 28 digits.
const POWERS: [i128; DECIMAL_DIGITS_MAX as usize + 1] = {
    let mut powers = [1i128; DECIMAL_DIGITS_MAX as usize + 1];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};
/// Ten to this power; none beyond 28 digits.
pub fn power_of_ten(power: u32) -> Option<i128> {
    POWERS.get(power as usize).copied()
}

/// Exponents beyond it are cut: no number that is not zero fits 38 digits there.
const EXPONENT_MAX: i32 = 1_000_000;

/// True if the text is a JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits = |at: &mut usize| {
        let from = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        *at - from
    };
    let whole_at = at;
    let whole = digits(&mut at);
    if whole == 0 || (whole > 1 && bytes[whole_at] == b'0') {
        return false;
    }
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        if digits(&mut at) == 0 {
            return false;
        }
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        if digits(&mut at) == 0 {
            return false;
        }
    }
    at == bytes.len()
}

/// A JSON number's (or a decimal string's) exact value as unscaled number and scale, which is negative for trailing zeros:
/// `1200` is (12, -2). `None` if the text is no number or has more digits than 128 bits hold.
pub fn parse_number(text: &str) -> Option<(i128, i32)> {
    if !is_number(text) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let negative_exponent = exponent.starts_with('-');
    let digits = exponent.trim_start_matches(['+', '-']).trim_start_matches('0');
    let size: i32 = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX) };
    let mut scale = if negative_exponent { size } else { -size };
    let (mut unscaled, mut zeros, mut behind_point) = (0i128, 0u32, false);
    for byte in mantissa.bytes() {
        match byte {
            b'.' => behind_point = true,
            b'0'..=b'9' => {
                scale = scale.checked_add(i32::from(behind_point))?;
                if byte == b'0' {
                    zeros += 1;
                } else {
                    let power = if unscaled == 0 { 1 } else { 10i128.checked_pow(zeros + 1)? };
                    unscaled = unscaled.checked_mul(power)?.checked_add(i128::from(byte - b'0'))?;
                    zeros = 0;
                }
            }
            _ => {}
        }
    }
    if unscaled == 0 {
        return Some((0, 0));
    }
    scale = scale.checked_sub(i32::try_from(zeros).ok()?)?;
    Some((if text.starts_with('-') { -unscaled } else { unscaled }, scale))
}

/// The same number at another scale; `None` if digits would be lost or it grows beyond 128 bits.
pub fn rescale(unscaled: i128, from: i32, to: i32) -> Option<i128> {
    if from == to || unscaled == 0 {
        return Some(unscaled);
    }
    let power = 10i128.checked_pow(from.abs_diff(to))?;
    if to > from { unscaled.checked_mul(power) } else { (unscaled % power == 0).then(|| unscaled / power) }
}

/// A JSON number's text as a decimal, its trailing zeros kept. `None` if it has more than 28 digits.
pub(crate) fn decimal_of(text: &str) -> Option<Decimal> {
    let decimal = if text.contains(['e', 'E']) {
        let (unscaled, scale) = parse_number(text)?;
        let scale_kept = scale.max(0);
        let unscaled = rescale(unscaled, scale, scale_kept)?;
        Decimal::try_from_i128_with_scale(unscaled, u32::try_from(scale_kept).ok()?).ok()?
    } else {
        Decimal::from_str_exact(text).ok()?
    };
    // The type holds some numbers of 29 digits, but not all.
    fits(decimal.mantissa(), DECIMAL_DIGITS_MAX).then_some(decimal)
}

/// True if the number has at most so many digits.
#[inline(always)]
pub(crate) fn fits(unscaled: i128, precision: u32) -> bool {
    unscaled.unsigned_abs() < POWERS[precision as usize].unsigned_abs()
}

/// The number in a decimal's bytes (two's complement, big-endian), checked against the precision.
#[inline]
pub(crate) fn unscaled(bytes: &[u8], precision: u32) -> Result<i128, Malformed> {
    if bytes.len() > DECIMAL_BYTES_MAX {
        return Err(Malformed("decimal of more than 16 bytes"));
    }
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
    let value = bytes.iter().fold(sign, |value: i128, byte| value << 8 | i128::from(*byte));
    if fits(value, precision) { Ok(value) } else { Err(Malformed("decimal has more digits than its precision")) }
}

/// The decimal of a number that fits 28 digits.
#[inline]
pub(crate) fn decimal(unscaled: i128, scale: u32) -> Result<Decimal, Malformed> {
    Decimal::try_from_i128_with_scale(unscaled, scale).map_err(|_| Malformed("decimal of more than 28 digits"))
}

/// Appends a decimal in `bytes`, as short as possible.
#[inline]
pub(crate) fn put_unscaled(out: &mut Vec<u8>, unscaled: i128) {
    let bytes = unscaled.to_be_bytes();
    let mut from = 0;
    while from < 15 && ((bytes[from] == 0 && bytes[from + 1] < 0x80) || (bytes[from] == 0xff && bytes[from + 1] >= 0x80)) {
        from += 1;
    }
    put_long(out, (16 - from) as i64);
    out.extend_from_slice(&bytes[from..]);
}

/// Appends a decimal in `fixed`; false if it does not fit so many bytes.
pub(crate) fn put_unscaled_fixed(out: &mut Vec<u8>, unscaled: i128, size: usize) -> bool {
    let bytes = unscaled.to_be_bytes();
    let cut = bytes.len() - size;
    let sign = if unscaled < 0 { 0xff } else { 0 };
    let fits = size > 0 && bytes[..cut].iter().all(|byte| *byte == sign) && (bytes[cut] & 0x80 == sign & 0x80);
    if fits {
        out.extend_from_slice(&bytes[cut..]);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, value) in [
            ("0", Some((0, 0))),
            ("-0.00", Some((0, 0))),
            ("1200", Some((12, -2))),
            ("120.50", Some((1205, 1))),
            ("-0.05", Some((-5, 2))),
            ("1e2", Some((1, -2))),
            ("1.5E-3", Some((15, 4))),
            ("100e+01", Some((1, -3))),
            ("0.1000000000000000055511151231257827021181583404541015625", None),
            ("1.0000000000000000000000000000000000000000000000000000000", Some((1, 0))),
            ("1e99999999999", Some((1, -EXPONENT_MAX))),
            ("", None),
            ("-", None),
            ("01", None),
            ("1.", None),
            (".5", None),
            ("+1", None),
            ("1e", None),
            ("NaN", None),
            ("1 ", None),
            ("0x10", None),
        ] {
            assert_eq!(parse_number(text), value, "{text}");
        }
    }

    #[test]
    fn bytes_are_twos_complement() {
        for (bytes, value) in [(&[][..], 0), (&[0x7f], 127), (&[0x80], -128), (&[0xff, 0x7f], -129), (&[0, 0x80], 128)] {
            assert_eq!(unscaled(bytes, 5).ok(), Some(value), "{bytes:?}");
        }
        assert!(unscaled(&[0x7f; 2], 4).is_err(), "five digits");
        assert!(unscaled(&[0; DECIMAL_BYTES_MAX + 1], 5).is_err());
    }

    #[test]
    fn scales_change_only_without_loss() {
        assert_eq!(rescale(12, -2, 2), Some(120_000));
        assert_eq!(rescale(12_000, 2, 0), Some(120));
        assert_eq!(rescale(12_001, 2, 0), None);
        assert_eq!(rescale(1, -EXPONENT_MAX, 2), None);
        assert_eq!(rescale(0, 5, -EXPONENT_MAX), Some(0));
    }

    #[test]
    fn bytes_are_the_shortest_twos_complement() {
        for value in
            [0, 1, -1, 127, 128, -128, -129, 255, 256, 32_767, 32_768, -32_768, -32_769, i128::from(i64::MAX), POWERS[28] - 1]
        {
            let mut out = Vec::new();
            put_unscaled(&mut out, value);
            assert_eq!(unscaled(&out[1..], 28), Ok(value));
            let shorter = &out[2..];
            assert!(shorter.is_empty() || unscaled(shorter, 28) != Ok(value), "{value} has a shorter form");
            for size in 1..=16 {
                let mut fixed = Vec::new();
                let fits = put_unscaled_fixed(&mut fixed, value, size);
                assert_eq!(fits, size >= out.len() - 1, "{value} in {size}");
                assert!(!fits || unscaled(&fixed, 28) == Ok(value));
            }
        }
    }
}
