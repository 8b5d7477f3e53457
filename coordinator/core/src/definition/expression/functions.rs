//! The functions of expressions.

use std::borrow::Cow;
use std::cmp::Ordering;

use ringmaster_schemas::names::murmur2;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::arithmetic::{TEXT_BYTES_MAX, calculate, overflow};
use super::tree::{Arithmetic, Function};
use super::value::{Fault, Value};
use super::{number, time};
use crate::definition::compile::{Unit, parse_duration};

type Spend<'f> = &'f mut dyn FnMut(u32) -> Result<(), Fault>;

/// Calls a function; the checks have seen to the count of arguments, what is dynamic is looked at here. Reading the arguments has
/// been paid for; items of lists are paid for here.
pub(super) fn call<'s>(function: Function, args: Vec<Value<'s>>, spend: Spend<'_>) -> Result<Value<'s>, Fault> {
    let mut args = args.into_iter();
    let mut next = || args.next().unwrap_or(Value::Null);
    Ok(match function {
        Function::Size => Value::Int(next().size()?),
        Function::Contains => Value::Bool(owned(next())?.contains(&*owned(next())?)),
        Function::StartsWith => Value::Bool(owned(next())?.starts_with(&*owned(next())?)),
        Function::EndsWith => Value::Bool(owned(next())?.ends_with(&*owned(next())?)),
        Function::ToDecimal => to_decimal(next())?,
        Function::ToText => match next() {
            // Only where a decimal that may be absent becomes JSON.
            Value::Null => Value::Null,
            value => Value::Text(Cow::Owned(text(&value)?)),
        },
        Function::ToInt => to_int(next())?,
        Function::ToDouble => to_double(next())?,
        Function::ToTimestamp => to_timestamp(next())?,
        Function::Round => Value::Decimal(number::round(decimal(next())?, int(next())?)?),
        Function::Div => {
            let (a, b) = (decimal(next())?, decimal(next())?);
            Value::Decimal(number::divide(a, b, int(next())?)?)
        }
        Function::Sum => sum(next(), spend)?,
        Function::Min => extreme(next(), Ordering::Less, spend)?,
        Function::Max => extreme(next(), Ordering::Greater, spend)?,
        Function::Bucket => bucket(&owned(next())?, int(next())?)?,
        Function::Substring => {
            let (text, from) = (owned(next())?, int(next())?);
            let to = match next() {
                Value::Null => i64::MAX,
                value => int(value)?,
            };
            substring(&text, from, to)?
        }
        Function::Split => {
            let (text, by) = (owned(next())?, owned(next())?);
            spend(text.len() as u32)?;
            Value::List(text.split(&*by).map(|part| Value::Text(Cow::Owned(part.to_owned()))).collect())
        }
        Function::Join => join(next(), next(), spend)?,
        Function::IndexOf => {
            let (text, part) = (owned(next())?, owned(next())?);
            Value::Int(text.find(&*part).map_or(-1, |at| text[..at].chars().count() as i64))
        }
        Function::ToBytes => match next() {
            value @ Value::Bytes(_) => value,
            value => Value::Bytes(Cow::Owned(owned(value)?.into_owned().into_bytes())),
        },
        Function::ToDuration => match next() {
            value @ Value::Duration(_) => value,
            value => {
                let text = owned(value)?;
                let micros = parse_duration(&text, Unit::Micros).map_err(|_| unread(&text, "a duration, such as 14d or 1h30m"));
                Value::Duration(micros?)
            }
        },
        Function::LowerAscii
        | Function::UpperAscii
        | Function::Trim
        | Function::Reverse
        | Function::Replace
        | Function::LastIndexOf
        | Function::CharAt => of_text(function, &mut next)?,
        Function::Part(part) => match (next(), next()) {
            (Value::Timestamp(at), Value::Int(offset)) => Value::Int(time::part(part, at, offset)),
            (other, _) => return Err(Fault::types("a timestamp is needed here and it", &other)),
        },
    })
}

/// What makes one text of another, or looks into it.
fn of_text<'s>(function: Function, next: &mut dyn FnMut() -> Value<'s>) -> Result<Value<'s>, Fault> {
    Ok(match function {
        Function::LowerAscii => Value::Text(Cow::Owned(owned(next())?.to_ascii_lowercase())),
        Function::UpperAscii => Value::Text(Cow::Owned(owned(next())?.to_ascii_uppercase())),
        Function::Trim => Value::Text(Cow::Owned(owned(next())?.trim().to_owned())),
        Function::Replace => {
            let (text, from, to) = (owned(next())?, owned(next())?, owned(next())?);
            // Its length is known before it is made.
            let count = text.matches(&*from).count();
            bounded(text.len() + count * to.len())?;
            Value::Text(Cow::Owned(text.replace(&*from, &to)))
        }
        Function::LastIndexOf => {
            let (text, part) = (owned(next())?, owned(next())?);
            Value::Int(text.rfind(&*part).map_or(-1, |at| text[..at].chars().count() as i64))
        }
        Function::CharAt => char_at(&owned(next())?, int(next())?)?,
        Function::Reverse => Value::Text(Cow::Owned(owned(next())?.chars().rev().collect())),
        other => unreachable!("{other:?} is called above"),
    })
}

fn owned(value: Value<'_>) -> Result<Cow<'_, str>, Fault> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(Fault::types("a string is needed here and it", &other)),
    }
}

fn int(value: Value<'_>) -> Result<i64, Fault> {
    match value {
        Value::Int(x) => Ok(x),
        other => Err(Fault::types("an int is needed here and it", &other)),
    }
}

fn decimal(value: Value<'_>) -> Result<Decimal, Fault> {
    match value {
        Value::Decimal(x) => Ok(x),
        Value::Int(x) => Ok(Decimal::from(x)),
        other => Err(Fault::types("a decimal is needed here and it", &other)),
    }
}

/// A text that cannot be read as what is wanted. It is not quoted: it may be secret, and errors are logged, shown and sent on.
fn unread(text: &str, what: &str) -> Fault {
    let count = text.chars().count();
    Fault::new("TYPE", format!("a text of {count} character{} is not {what}", if count == 1 { "" } else { "s" }))
}

fn bounded(bytes: usize) -> Result<(), Fault> {
    if bytes > TEXT_BYTES_MAX {
        return Err(Fault::new("DATA_TOO_BIG", format!("a text has more than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn to_decimal(value: Value<'_>) -> Result<Value<'_>, Fault> {
    let read = |text: &str| {
        number::parse(text).ok_or_else(|| unread(text, &format!("a decimal of at most {} digits", number::DIGITS_MAX)))
    };
    Ok(Value::Decimal(match value {
        Value::Text(text) => read(&text)?,
        Value::Double(x) => read(&format!("{x}"))?,
        other => decimal(other)?,
    }))
}

fn to_int(value: Value<'_>) -> Result<Value<'_>, Fault> {
    Ok(Value::Int(match value {
        Value::Int(x) => x,
        Value::Text(text) => text.trim().parse().map_err(|_| unread(&text, "an int"))?,
        // Both limits are exact as doubles; what lies on them does not fit.
        Value::Double(x) if x > -9.223_372_036_854_776e18 && x < 9.223_372_036_854_776e18 => x as i64,
        Value::Decimal(x) => x.trunc().to_i64().ok_or_else(overflow)?,
        Value::Timestamp(x) => x.div_euclid(1_000_000),
        Value::Double(_) => return Err(overflow()),
        other => return Err(Fault::types("a number is needed here and it", &other)),
    }))
}

fn to_double(value: Value<'_>) -> Result<Value<'_>, Fault> {
    Ok(Value::Double(match value {
        Value::Double(x) => x,
        Value::Int(x) => x as f64,
        Value::Text(text) => text.trim().parse().map_err(|_| unread(&text, "a double"))?,
        Value::Null => return Ok(Value::Null),
        other => return Err(Fault::types("a double is needed here and it", &other)),
    }))
}

fn to_timestamp(value: Value<'_>) -> Result<Value<'_>, Fault> {
    match value {
        Value::Text(text) => {
            let micros = time::parse(&text).ok_or_else(|| unread(&text, "a timestamp"));
            micros.map(Value::Timestamp)
        }
        value @ Value::Timestamp(_) => Ok(value),
        other => Err(Fault::types("a timestamp is needed here and it", &other)),
    }
}

/// A scalar as text.
pub(super) fn text(value: &Value<'_>) -> Result<String, Fault> {
    let mut out = String::new();
    match value {
        Value::Text(text) => out.push_str(text),
        Value::Bool(x) => out.push_str(if *x { "true" } else { "false" }),
        Value::Int(x) => out = x.to_string(),
        Value::Double(x) => out = x.to_string(),
        Value::Decimal(x) => out = x.to_string(),
        Value::Timestamp(x) => time::put(*x, &mut out),
        Value::Date(x) => time::put_date(*x, &mut out),
        Value::Duration(x) => out = duration_text(*x),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => out.push_str(text),
            Err(_) => return Err(Fault::new("TYPE", "these bytes are not UTF-8")),
        },
        other => return Err(Fault::types("a scalar is needed here and it", other)),
    }
    Ok(out)
}

/// Seconds, as CEL writes durations: `1.5s`.
fn duration_text(micros: i64) -> String {
    let (sign, rest) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let fraction = format!("{:06}", rest % 1_000_000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}s", rest / 1_000_000)
}

fn sum<'s>(list: Value<'s>, spend: Spend<'_>) -> Result<Value<'s>, Fault> {
    let mut total: Option<Value<'s>> = None;
    list.each(&mut |item| {
        spend(1 + item.weight())?;
        total = Some(match total.take() {
            None => item,
            Some(sum) => calculate(Arithmetic::Add, &sum, &item)?,
        });
        Ok(true)
    })?;
    Ok(total.unwrap_or(Value::Int(0)))
}

fn extreme<'s>(list: Value<'s>, wanted: Ordering, spend: Spend<'_>) -> Result<Value<'s>, Fault> {
    let mut best: Option<Value<'s>> = None;
    list.each(&mut |item| {
        spend(1 + item.weight())?;
        let better = match &best {
            None => true,
            Some(best) => item.compare(best)? == wanted,
        };
        if better {
            best = Some(item);
        }
        Ok(true)
    })?;
    best.ok_or_else(|| Fault::new("ABSENT", "the smallest or largest of no items"))
}

/// A stable share: the same text is always in the same of `count` buckets.
fn bucket<'s>(text: &str, count: i64) -> Result<Value<'s>, Fault> {
    if count < 1 {
        return Err(Fault::new("OUT_OF_RANGE", "bucket() needs at least one bucket"));
    }
    Ok(Value::Int(i64::from(murmur2(text.as_bytes()) & 0x7fff_ffff) % count))
}

fn substring<'s>(text: &str, from: i64, to: i64) -> Result<Value<'s>, Fault> {
    let count = text.chars().count() as i64;
    let to = if to == i64::MAX { count } else { to };
    if from < 0 || from > to || to > count {
        return Err(Fault::new("OUT_OF_RANGE", "substring() beyond the ends of its text"));
    }
    Ok(Value::Text(Cow::Owned(text.chars().skip(from as usize).take((to - from) as usize).collect())))
}

/// The character at a place, from 0; behind the last one it is the empty text, as in CEL.
fn char_at<'s>(text: &str, at: i64) -> Result<Value<'s>, Fault> {
    let beyond = || Fault::new("OUT_OF_RANGE", "charAt() beyond the ends of its text");
    let place = usize::try_from(at).map_err(|_| beyond())?;
    match text.chars().nth(place) {
        Some(found) => Ok(Value::Text(Cow::Owned(found.to_string()))),
        None if text.chars().count() == place => Ok(Value::Text(Cow::Borrowed(""))),
        None => Err(beyond()),
    }
}

fn join<'s>(list: Value<'s>, between: Value<'s>, spend: Spend<'_>) -> Result<Value<'s>, Fault> {
    let between = match between {
        Value::Null => Cow::Borrowed(""),
        value => owned(value)?,
    };
    let mut out = String::new();
    let mut first = true;
    list.each(&mut |item| {
        spend(1 + item.weight())?;
        if !std::mem::take(&mut first) {
            out.push_str(&between);
        }
        out.push_str(&owned(item)?);
        bounded(out.len())?;
        Ok(true)
    })?;
    Ok(Value::Text(Cow::Owned(out)))
}
