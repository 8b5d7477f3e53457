//! Operations on two scalars: checked, exact for decimals.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::number;
use super::tree::Arithmetic;
use super::value::{Fault, Value};

/// Bytes of a text that an expression makes.
pub(crate) const TEXT_BYTES_MAX: usize = 64 * 1024;

type Evaluated<'s> = Result<Value<'s>, Fault>;

pub(super) fn concatenate<'s>(a: &str, b: &str) -> Evaluated<'s> {
    if a.len() + b.len() > TEXT_BYTES_MAX {
        return Err(Fault::new("DATA_TOO_BIG", format!("a text has more than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(Value::Text(Cow::Owned([a, b].concat())))
}

pub(super) fn negate(value: Value<'_>) -> Evaluated<'_> {
    Ok(match value {
        Value::Int(x) => Value::Int(x.checked_neg().ok_or_else(overflow)?),
        Value::Duration(x) => Value::Duration(x.checked_neg().ok_or_else(overflow)?),
        Value::Double(x) => Value::Double(-x),
        Value::Decimal(x) => Value::Decimal(-x),
        other => return Err(Fault::types("- needs a number and it", &other)),
    })
}

#[cold]
pub(super) fn overflow() -> Fault {
    Fault::new("OVERFLOW", "the result does not fit 64 bits")
}

/// One operation on two scalars.
pub(super) fn calculate<'s>(kind: Arithmetic, a: &Value<'_>, b: &Value<'_>) -> Evaluated<'s> {
    use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => integers(kind, *a, *b).map(Value::Int),
        (Value::Double(a), Value::Double(b)) => doubles(kind, *a, *b),
        (Value::Double(a), Value::Int(b)) => doubles(kind, *a, *b as f64),
        (Value::Int(a), Value::Double(b)) => doubles(kind, *a as f64, *b),
        (Value::Decimal(a), Value::Decimal(b)) => decimals(kind, *a, *b),
        (Value::Decimal(a), Value::Int(b)) => decimals(kind, *a, Decimal::from(*b)),
        (Value::Int(a), Value::Decimal(b)) => decimals(kind, Decimal::from(*a), *b),
        (Value::Timestamp(a), Value::Duration(b)) => match kind {
            Add => Ok(Value::Timestamp(a.checked_add(*b).ok_or_else(overflow)?)),
            Subtract => Ok(Value::Timestamp(a.checked_sub(*b).ok_or_else(overflow)?)),
            Multiply | Divide | Remainder => Err(Fault::new("TYPE", "an instant can only be moved by a duration")),
        },
        (Value::Duration(_), Value::Timestamp(_)) if kind == Add => calculate(kind, b, a),
        (Value::Timestamp(a), Value::Timestamp(b)) if kind == Subtract => {
            Ok(Value::Duration(a.checked_sub(*b).ok_or_else(overflow)?))
        }
        (Value::Duration(a), Value::Duration(b)) if matches!(kind, Add | Subtract) => integers(kind, *a, *b).map(Value::Duration),
        (a, b) => {
            Err(Fault::new("TYPE", format!("cannot calculate: the left side {}, the right side {}", a.describe(), b.describe())))
        }
    }
}

fn integers(kind: Arithmetic, a: i64, b: i64) -> Result<i64, Fault> {
    if b == 0 && matches!(kind, Arithmetic::Divide | Arithmetic::Remainder) {
        return Err(Fault::new("DIVISION_BY_ZERO", "divided by zero"));
    }
    match kind {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Remainder => a.checked_rem(b),
    }
    .ok_or_else(overflow)
}

fn doubles<'s>(kind: Arithmetic, a: f64, b: f64) -> Evaluated<'s> {
    Ok(Value::Double(match kind {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => return Err(Fault::new("TYPE", "% needs two ints")),
    }))
}

fn decimals<'s>(kind: Arithmetic, a: Decimal, b: Decimal) -> Evaluated<'s> {
    Ok(Value::Decimal(match kind {
        Arithmetic::Add => number::add(a, b)?,
        Arithmetic::Subtract => number::subtract(a, b)?,
        Arithmetic::Multiply => number::multiply(a, b)?,
        Arithmetic::Divide | Arithmetic::Remainder => {
            return Err(Fault::new("TYPE", "decimals are divided by div(a, b, digits)"));
        }
    }))
}
