//! Exact decimals: what does not fit 28 digits is an error, never rounded (rust_decimal's own operators round silently).

use ringmaster_schemas::avro::power_of_ten;
use rust_decimal::Decimal;

use super::value::Fault;

/// Digits of a decimal.
pub(crate) const DIGITS_MAX: u32 = 28;
const LIMIT: i128 = 10i128.pow(DIGITS_MAX);

fn overflow(what: &str) -> Fault {
    Fault::new("OVERFLOW", format!("{what} has more than {DIGITS_MAX} digits"))
}

fn make(mut unscaled: i128, mut scale: u32, what: &str) -> Result<Decimal, Fault> {
    while (scale > DIGITS_MAX || unscaled.abs() >= LIMIT) && scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    if scale > DIGITS_MAX || unscaled.abs() >= LIMIT {
        return Err(overflow(what));
    }
    Ok(Decimal::from_i128_with_scale(unscaled, scale))
}

/// Both at the larger scale.
fn align(a: Decimal, b: Decimal, what: &str) -> Result<(i128, i128, u32), Fault> {
    let scale = a.scale().max(b.scale());
    let raise = |x: Decimal| x.mantissa().checked_mul(10i128.pow(scale - x.scale())).ok_or_else(|| overflow(what));
    match (raise(a), raise(b)) {
        (Ok(x), Ok(y)) => Ok((x, y, scale)),
        // One is huge and the other fine: without trailing zeros they may still meet.
        _ if a.normalize().scale() < a.scale() || b.normalize().scale() < b.scale() => align(a.normalize(), b.normalize(), what),
        (x, y) => x.and(y).map(|_| unreachable!("one of them did not fit")),
    }
}

pub(crate) fn add(a: Decimal, b: Decimal) -> Result<Decimal, Fault> {
    let (x, y, scale) = align(a, b, "the sum")?;
    make(x.checked_add(y).ok_or_else(|| overflow("the sum"))?, scale, "the sum")
}

pub(crate) fn subtract(a: Decimal, b: Decimal) -> Result<Decimal, Fault> {
    add(a, -b)
}

pub(crate) fn multiply(a: Decimal, b: Decimal) -> Result<Decimal, Fault> {
    if let Some(product) = a.mantissa().checked_mul(b.mantissa()) {
        return make(product, a.scale() + b.scale(), "the product");
    }
    let (a, b) = (a.normalize(), b.normalize());
    let product = a.mantissa().checked_mul(b.mantissa()).ok_or_else(|| overflow("the product"))?;
    make(product, a.scale() + b.scale(), "the product")
}

/// The order of two decimals, of any scales.
#[inline]
pub(crate) fn order(a: &Decimal, b: &Decimal) -> std::cmp::Ordering {
    let (x, y) = (a.mantissa(), b.mantissa());
    let raised = |unscaled: i128, by: u32| unscaled.checked_mul(power_of_ten(by)?);
    let aligned = match a.scale().cmp(&b.scale()) {
        std::cmp::Ordering::Equal => Some((x, y)),
        std::cmp::Ordering::Less => raised(x, b.scale() - a.scale()).map(|x| (x, y)),
        std::cmp::Ordering::Greater => raised(y, a.scale() - b.scale()).map(|y| (x, y)),
    };
    aligned.map_or_else(|| a.cmp(b), |(x, y)| x.cmp(&y))
}

/// To `digits` behind the point, half to even.
pub(crate) fn round(a: Decimal, digits: i64) -> Result<Decimal, Fault> {
    let digits = places(digits)?;
    if a.scale() <= digits {
        return Ok(a);
    }
    Ok(Decimal::from_i128_with_scale(halves_to_even(a.mantissa(), 10i128.pow(a.scale() - digits)), digits))
}

/// The quotient to `digits` behind the point, half to even.
pub(crate) fn divide(a: Decimal, b: Decimal, digits: i64) -> Result<Decimal, Fault> {
    let digits = places(digits)?;
    if b.is_zero() {
        return Err(Fault::new("DIVISION_BY_ZERO", "divided by zero"));
    }
    // a / b at the scale: (a.mantissa * 10^up) / (b.mantissa * 10^down)
    let shift = i64::from(digits) + i64::from(b.scale()) - i64::from(a.scale());
    let power = |n: i64| 10i128.checked_pow(n.max(0) as u32).ok_or_else(|| overflow("the quotient"));
    let dividend = a.mantissa().checked_mul(power(shift)?).ok_or_else(|| overflow("the quotient"))?;
    let divisor = b.mantissa().checked_mul(power(-shift)?).ok_or_else(|| overflow("the quotient"))?;
    make(halves_to_even(dividend, divisor), digits, "the quotient")
}

fn places(digits: i64) -> Result<u32, Fault> {
    u32::try_from(digits)
        .ok()
        .filter(|digits| *digits <= DIGITS_MAX)
        .ok_or_else(|| Fault::new("OUT_OF_RANGE", format!("{digits} digits behind the point: 0 to {DIGITS_MAX} are possible")))
}

fn halves_to_even(dividend: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    let (twice, whole) = (remainder.unsigned_abs() * 2, divisor.unsigned_abs());
    let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    match twice.cmp(&whole) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Equal if quotient % 2 == 0 => quotient,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => quotient + away,
    }
}

/// A decimal of its text: digits, perhaps a sign, a point, an exponent.
pub(crate) fn parse(text: &str) -> Option<Decimal> {
    let (unscaled, scale) = ringmaster_schemas::avro::parse_number(text)?;
    if scale >= 0 {
        return make(unscaled, u32::try_from(scale).ok()?, "").ok();
    }
    let grown = unscaled.checked_mul(10i128.checked_pow(scale.unsigned_abs())?)?;
    make(grown, 0, "").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_nothing_is_rounded() {
        let nines = d("9999999999999999999999999999");
        assert_eq!(add(d("0.1"), d("0.2")).unwrap(), d("0.3"));
        assert_eq!(add(nines, d("1")).unwrap_err().code(), "OVERFLOW");
        assert_eq!(add(nines, d("0.1")).unwrap_err().code(), "OVERFLOW");
        assert_eq!(add(nines, d("0.0000000000")).unwrap(), nines);
        assert_eq!(multiply(d("19.99"), d("3")).unwrap(), d("59.97"));
        assert_eq!(multiply(d("0.00000000000001"), d("0.000000000000001")).unwrap_err().code(), "OVERFLOW");
        assert_eq!(multiply(nines, d("10")).unwrap_err().code(), "OVERFLOW");
        assert_eq!(multiply(nines, d("1.000")).unwrap(), nines);
        assert_eq!(subtract(d("1"), d("0.99")).unwrap(), d("0.01"));
        assert!(order(&nines, &d("0.0000000000000000000000000001")).is_gt() && order(&d("1.0"), &d("1")).is_eq());
    }

    #[test]
    fn rounding_goes_half_to_even() {
        for (x, n, rounded) in
            [("2.5", 0, "2"), ("3.5", 0, "4"), ("-2.5", 0, "-2"), ("-3.5", 0, "-4"), ("1.005", 2, "1.00"), ("1.0051", 2, "1.01")]
        {
            assert_eq!(round(d(x), n).unwrap(), d(rounded), "{x}");
        }
        for (a, b, n, quotient) in [
            ("1", "3", 4, "0.3333"),
            ("2", "3", 4, "0.6667"),
            ("-1", "8", 2, "-0.12"),
            ("3", "8", 2, "0.38"),
            ("10", "0.25", 0, "40"),
        ] {
            assert_eq!(divide(d(a), d(b), n).unwrap(), d(quotient), "{a}/{b}");
        }
        assert_eq!(divide(d("1"), d("0"), 2).unwrap_err().code(), "DIVISION_BY_ZERO");
        assert_eq!(round(d("1"), 29).unwrap_err().code(), "OUT_OF_RANGE");
    }

    #[test]
    fn rust_decimal_agrees_where_it_is_exact() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..20_000 {
            let mut any = || Decimal::from_i128_with_scale(random.i128(-999_999_999_999..=999_999_999_999), random.u32(0..=6));
            let (a, b) = (any(), any());
            assert_eq!(add(a, b).unwrap(), a + b);
            assert_eq!(subtract(a, b).unwrap(), a - b);
            assert_eq!(multiply(a, b).unwrap(), a * b);
            assert_eq!(round(a, 2).unwrap(), a.round_dp(2));
            assert_eq!(order(&a, &b), a.cmp(&b));
        }
    }
}
