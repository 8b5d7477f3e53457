//! Scalars of JSON into Avro: exactly, or an error.

use std::borrow::Cow;

use super::scan::{Result, mistake};
use super::transcode::Transcoder;
use super::{base64, time};
use crate::avro::{self, Node, NodeId, Schema};
use crate::codec::{put_blob, put_long, put_text};

impl Transcoder<'_, '_> {
    pub(super) fn text(&mut self, schema: &Schema, id: NodeId) -> Result<()> {
        let at = self.scan.at;
        let text = self.scan.string()?;
        let wrong = |this: &Self| {
            let why = format!("{:?} where {} is wanted", shortened(&text), avro::type_word(schema, id));
            Err(mistake(at.min(this.scan.at), why))
        };
        match schema.node(id) {
            Node::Str => put_text(self.out, &text),
            Node::Enum(symbols) => match symbols.iter().position(|symbol| **symbol == *text) {
                Some(index) => put_long(self.out, index as i64),
                None => return wrong(self),
            },
            Node::Decimal { .. } | Node::FixedDecimal { .. } => {
                return self.decimal(schema, id, &text, at);
            }
            Node::Millis | Node::Micros | Node::Nanos => match time::parse_timestamp(&text) {
                Some(micros) => return self.instant(schema, id, micros),
                None => return wrong(self),
            },
            Node::Date => match time::parse_date(&text) {
                Some(days) => put_long(self.out, i64::from(days)),
                None => return wrong(self),
            },
            Node::Bytes => match base64::decode(&text) {
                Some(bytes) => put_blob(self.out, &bytes),
                None => return wrong(self),
            },
            Node::Fixed(size) => match base64::decode(&text).filter(|bytes| bytes.len() == *size) {
                Some(bytes) => self.out.extend_from_slice(&bytes),
                None => return wrong(self),
            },
            Node::Float | Node::Double => match &*text {
                "NaN" => self.double(schema, id, f64::NAN),
                "Infinity" => self.double(schema, id, f64::INFINITY),
                "-Infinity" => self.double(schema, id, f64::NEG_INFINITY),
                _ => return wrong(self),
            },
            _ => return wrong(self),
        }
        Ok(())
    }

    pub(super) fn number(&mut self, schema: &Schema, id: NodeId) -> Result<()> {
        let at = self.scan.at;
        let text = self.scan.number()?;
        let wrong = |why: String| Err(mistake(at, why));
        match schema.node(id) {
            Node::Decimal { .. } | Node::FixedDecimal { .. } => {
                return self.decimal(schema, id, text, at);
            }
            Node::Float | Node::Double => {
                let value: f64 = text.parse().unwrap_or(f64::NAN);
                if !value.is_finite() || (*schema.node(id) == Node::Float && !(value as f32).is_finite()) {
                    return wrong(format!("{} is too large for a floating-point number", shortened(text)));
                }
                self.double(schema, id, value);
                return Ok(());
            }
            Node::Int | Node::Long | Node::Date | Node::Millis | Node::Micros | Node::Nanos => {}
            _ => return self.mismatch(schema, id, b'0'),
        }
        // Most integers are plain ones; 1.0 and 1e3 are integers too.
        let whole = text.parse::<i64>().ok().or_else(|| {
            let (unscaled, scale) = avro::parse_number(text)?;
            i64::try_from(avro::rescale(unscaled, scale, 0)?).ok()
        });
        let Some(whole) = whole else {
            return wrong(format!("{} is not an integer of 64 bits", shortened(text)));
        };
        match schema.node(id) {
            Node::Int | Node::Date if i32::try_from(whole).is_err() => wrong(format!("{whole} does not fit an int of 32 bits")),
            Node::Millis if whole.checked_mul(1000).is_none() => wrong(format!("{whole} is out of a timestamp's range")),
            Node::Micros | Node::Nanos => match whole.checked_mul(1000) {
                Some(micros) => self.instant(schema, id, micros),
                None => wrong(format!("{whole} is out of a timestamp's range")),
            },
            _ => {
                put_long(self.out, whole);
                Ok(())
            }
        }
    }

    fn instant(&mut self, schema: &Schema, id: NodeId, micros: i64) -> Result<()> {
        match schema.node(id) {
            Node::Millis => put_long(self.out, micros.div_euclid(1000)),
            Node::Nanos => match micros.checked_mul(1000) {
                Some(nanos) => put_long(self.out, nanos),
                None => return self.scan.wrong("the timestamp does not fit nanoseconds"),
            },
            _ => put_long(self.out, micros),
        }
        Ok(())
    }

    fn double(&mut self, schema: &Schema, id: NodeId, value: f64) {
        match schema.node(id) {
            Node::Float => self.out.extend_from_slice(&(value as f32).to_le_bytes()),
            _ => self.out.extend_from_slice(&value.to_le_bytes()),
        }
    }

    fn decimal(&mut self, schema: &Schema, id: NodeId, text: &str, at: usize) -> Result<()> {
        let (precision, scale, size) = match *schema.node(id) {
            Node::Decimal { precision, scale } => (precision, scale, None),
            Node::FixedDecimal { size, precision, scale } => (precision, scale, Some(size)),
            _ => return self.mismatch(schema, id, b'0'),
        };
        let value = avro::parse_number(text).and_then(|(unscaled, from)| avro::rescale(unscaled, from, scale as i32));
        let written = value.filter(|value| avro::fits(*value, precision)).is_some_and(|value| match size {
            None => {
                avro::put_unscaled(self.out, value);
                true
            }
            Some(size) => avro::put_unscaled_fixed(self.out, value, size),
        });
        if written {
            return Ok(());
        }
        Err(mistake(at, format!("{} is not a decimal({precision},{scale}) without losing digits", shortened(text))))
    }
}

/// Enough of a text to recognise it.
fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
