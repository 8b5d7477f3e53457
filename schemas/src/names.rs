//! Topic names, headers, ids, and the rule that assigns a key to a partition. The README's tables and `tests/tidy` hold these.

pub use crate::hex::{hex, unhex, unhex_all};
use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::{memchr, memchr_iter, memrchr};

use crate::{Millis, symbols};

/// Header that names a domain event's type (CloudEvents' binary mode).
pub const HEADER_TYPE: &str = "ce_type";
/// Header that names a domain event's source.
pub const HEADER_SOURCE: &str = "ce_source";
/// Header that names a domain event within its source.
pub const HEADER_ID: &str = "ce_id";
/// Header: version of CloudEvents, always `1.0`.
pub const HEADER_SPEC: &str = "ce_specversion";
/// Header: when it happened, RFC 3339.
pub const HEADER_TIME: &str = "ce_time";
/// Header: the saga key.
pub const HEADER_SUBJECT: &str = "ce_subject";
/// Header: media type of the value.
pub const HEADER_CONTENT_TYPE: &str = "content-type";
/// Header: W3C trace context.
pub const HEADER_TRACEPARENT: &str = "traceparent";
/// Headers that say something of an event.
pub const EVENT_HEADERS: [&str; 5] = [HEADER_TYPE, HEADER_SOURCE, HEADER_ID, HEADER_CONTENT_TYPE, HEADER_TRACEPARENT];

/// How long a participant remembers idempotency keys, unless settings say otherwise: longer than anything waits for an answer.
pub const REMEMBERS_MS: Millis = 30 * 86_400_000;

/// Media type of a whole CloudEvent in JSON (structured mode).
pub const CONTENT_CLOUD_EVENT: &str = "application/cloudevents+json";
/// Media type of several.
pub const CONTENT_CLOUD_EVENTS: &str = "application/cloudevents-batch+json";

/// Prefix of internal topics unless the setting `prefix` says otherwise.
pub const DEFAULT_PREFIX: &str = "ringmaster";

/// The names of the topics that Ringmaster owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// P partitions, kept for ever: what happened.
    pub journal: String,
    /// One partition, kept for ever: every version of every definition.
    pub definitions: String,
    /// One partition, kept for ever: every schema in use.
    pub schemas: String,
    /// P partitions: answers of participants.
    pub replies: String,
    /// P partitions, kept for ever: records that could not be taken, with the reason.
    pub quarantine: String,
    /// P partitions: what people do to sagas.
    pub control: String,
    /// One partition: acts on many sagas, which they are and how far they are.
    pub batches: String,
    /// P partitions: records of topics that are not read directly, as the router hands them on.
    pub inbox: String,
    /// P partitions: what long-lived sagas were, so that the journal need not be kept for ever.
    pub snapshots: String,
}

impl Topics {
    /// The names under a prefix.
    pub fn new(prefix: &str) -> Self {
        let name = |suffix: &str| format!("{prefix}.{suffix}");
        Topics {
            journal: name("journal"),
            definitions: name("definitions"),
            schemas: name("schemas"),
            replies: name("replies"),
            quarantine: name("quarantine"),
            control: name("control"),
            batches: name("batches"),
            inbox: name("inbox"),
            snapshots: name("snapshots"),
        }
    }
}

/// The step's name in what an idempotency key, or an order, calls it: without the round behind `~`.
pub fn step_of_round(step: &str) -> &str {
    parted(step, memchr(b'~', step.as_bytes())).map_or(step, |(name, _)| name)
}

/// The topic that a participant reads, for example `payment.commands`.
pub fn command_topic(participant: &str) -> String {
    format!("{participant}.commands")
}

/// The participant that reads this topic, if it is one of commands.
pub fn reader_of(topic: &str) -> Option<&str> {
    topic.strip_suffix(".commands")
}

/// The participant of a command: `payment` of `payment.Charge`.
pub fn participant_of(command: &str) -> &str {
    command.rsplit_once('.').map_or(command, |(participant, _)| participant)
}

/// The partition of a key among `count`: murmur2 as Kafka's Java clients compute it.
pub fn partition_of(key: &[u8], count: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) as i32 % count
}

/// Murmur2 with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2).
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c_u32 ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

/// Longest saga key, in bytes before percent-encoding.
pub const KEY_BYTES_MAX: usize = 200;

/// `order-fulfilment/ord-17`: definition name and business key; the key percent-encoded, so that ids parse from the right.
pub fn saga_id(definition: &str, key: &str) -> String {
    let mut id = String::with_capacity(definition.len() + 1 + key.len());
    put_saga_id(definition, key, &mut id);
    id
}

/// Appends the same.
pub fn put_saga_id(definition: &str, key: &str, out: &mut String) {
    out.push_str(definition);
    out.push('/');
    percent_encode(key, out);
}

/// The definition's name and the business key of a saga id that [`saga_id`] made; of a row below it those of the saga.
pub fn parse_saga_id(id: &str) -> (&str, Cow<'_, str>) {
    let (definition, key) = parted(id, memchr(b'/', id.as_bytes())).unwrap_or((id, ""));
    // One look at the usual key, in which there is neither.
    let key = match key.bytes().position(|byte| matches!(byte, b'/' | b'%')) {
        None => return (definition, Cow::Borrowed(key)),
        Some(at) if key.as_bytes()[at] == b'/' => return (definition, Cow::Borrowed(&key[..at])),
        Some(_) => parted(key, memchr(b'/', key.as_bytes())).map_or(key, |(key, _below)| key),
    };
    let bytes = percent_decode(key).unwrap_or_default();
    (definition, Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// What the id of a value's row begins with, and that of no saga.
const VALUE: char = '=';

/// `=shipments/ParcelDelivered/parcel_id/p-17`: the row of a value by which events are matched, in the value's partition.
pub fn value_id(topic: &str, kind: &str, field: &str, value: &str) -> String {
    let mut id = String::with_capacity(topic.len() + kind.len() + field.len() + value.len() + 4);
    id.push(VALUE);
    for part in [topic, "/", kind, "/", field, "/"] {
        id.push_str(part);
    }
    percent_encode(value, &mut id);
    id
}

/// True for the id of a value's row.
pub fn is_value(id: &str) -> bool {
    id.starts_with(VALUE)
}

/// True for the id of an item of a list: it is no saga by itself.
pub fn is_item(id: &str) -> bool {
    // It ends with a dot and a number: most ids need no longer look.
    let is_numbered = id.bytes().rev().find(|byte| !byte.is_ascii_digit()) == Some(b'.');
    is_numbered && below(id).is_some_and(|below| below.item.is_some())
}

/// True for the id of a row below another one: `bulk-order/o-1/lines.3`, `site-provisioning/s-1/router`.
pub fn is_below(id: &str) -> bool {
    root_end(id) < id.len()
}

/// The id of the saga that a row belongs to: its own, or that of the saga above it.
pub fn root_of(id: &str) -> &str {
    &id[..root_end(id)]
}

/// Where what is below a saga begins in an id, or the id ends.
fn root_end(id: &str) -> usize {
    memchr_iter(b'/', id.as_bytes()).nth(1).unwrap_or(id.len())
}

/// What is before and behind the character of one byte at a place.
fn parted(text: &str, at: Option<usize>) -> Option<(&str, &str)> {
    at.map(|at| (&text[..at], &text[at + 1..]))
}

/// The id of the row of an item: below this row, of the step's so manyeth round, from 1, the item of this number.
pub fn item_id(above: &str, step: &str, round: u8, index: u16) -> String {
    format!("{}.{index}", run_id(above, step, round))
}

/// The id of the row of a sub-saga: below this row, of the step's so manyeth round, from 1.
pub fn run_id(above: &str, step: &str, round: u8) -> String {
    if round == 1 { format!("{above}/{step}") } else { format!("{above}/{step}~{round}") }
}

/// A row below another one, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Below<'a> {
    /// The id of the row above.
    pub above: &'a str,
    /// The step of the row above that it is for.
    pub step: &'a str,
    /// Which round of that step, from 1.
    pub round: u8,
    /// Which item; none: it is a sub-saga.
    pub item: Option<u16>,
}

impl Below<'_> {
    /// Its number among the rows below that step: a sub-saga is the only one.
    pub fn index(&self) -> u16 {
        self.item.unwrap_or(0)
    }
}

/// What an id that [`item_id`] or [`run_id`] made says; none for any other.
pub fn below(id: &str) -> Option<Below<'_>> {
    // Asked many times a turn: one look at the few bytes behind the last slash, since a search costs several times as much.
    let (mut dot, mut tilde, mut at) = (id.len(), id.len(), id.len());
    let slash = loop {
        at = at.checked_sub(1)?;
        match id.as_bytes()[at] {
            b'/' => break at,
            b'.' => (dot, tilde) = (at, at),
            b'~' => tilde = at,
            b'a'..=b'z' | b'0'..=b'9' | b'_' => {}
            _ => return None,
        }
    };
    let (above, step) = (&id[..slash], &id[slash + 1..tilde]);
    let round = if tilde < dot { id[tilde + 1..dot].parse().ok()? } else { 1 };
    let item = if dot < id.len() { Some(id[dot + 1..].parse().ok()?) } else { None };
    (!step.is_empty() && above.bytes().any(|byte| byte == b'/')).then_some(Below { above, step, round, item })
}

/// What [`saga_id`] encoded; none if a `%` is not followed by two hexadecimal digits.
pub fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let (mut decoded, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let (high, low) = (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
            (high * 16 + low) as u8
        } else {
            byte
        });
    }
    Some(decoded)
}

/// `order-fulfilment/ord-17/charge_payment/do`: what a participant recognises a repeat by.
pub fn idempotency_key(saga: &str, step: &str, direction: Direction) -> String {
    let mut key = String::with_capacity(saga.len() + step.len() + 6);
    put_idempotency_key(saga, step, direction, &mut key);
    key
}

/// Appends the same.
pub fn put_idempotency_key(saga: &str, step: &str, direction: Direction, out: &mut String) {
    for part in [saga, "/", step, "/", direction.as_str()] {
        out.push_str(part);
    }
}

/// The trace context that a text is by W3C's form: `00-` 32 and 16 lower-case hexadecimal digits, neither all zero, and flags. Of a
/// later version the part that all versions share.
pub fn traceparent(text: &str) -> Option<&str> {
    const LENGTH: usize = 55;
    let known = text.get(..LENGTH)?;
    let bytes = known.as_bytes();
    let dashes = [2, 35, 52];
    let shaped = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| if dashes.contains(&at) { *byte == b'-' } else { matches!(byte, b'0'..=b'9' | b'a'..=b'f') });
    let zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|byte| *byte == b'0');
    let ends = match &text[LENGTH..] {
        "" => true,
        more => !known.starts_with("00") && more.starts_with('-'),
    };
    (shaped && ends && !known.starts_with("ff") && !zero(3..35) && !zero(36..52)).then_some(known)
}

symbols! {
    /// Whether a command does a step or undoes it; the last word of an idempotency key.
    pub enum Direction {
        /// The step's own command.
        Do = 0 "do",
        /// Its compensation.
        Undo = 1 "undo",
    }
}

/// An idempotency key taken apart from the right: (saga id, step, direction). `None` if it is not one of ours.
pub fn parse_idempotency_key(key: &str) -> Option<(&str, &str, Direction)> {
    let (rest, direction) = parted(key, memrchr(b'/', key.as_bytes()))?;
    let (saga, step) = parted(rest, memrchr(b'/', rest.as_bytes()))?;
    let direction = match direction {
        "do" => Direction::Do,
        "undo" => Direction::Undo,
        _ => return None,
    };
    (memchr(b'/', saga.as_bytes()).is_some() && !step.is_empty()).then_some((saga, step, direction))
}

/// Appends a text as it can stand in an id, or in an address: what has a meaning there is written as `%XX`.
pub fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b'@' => out.push(byte as char),
            _ => write!(out, "%{byte:02X}").expect("writing to a string"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_kafkas_java_client() {
        // Values of org.apache.kafka.common.utils.UtilsTest.
        for (key, hash) in
            [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)]
        {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn trace_contexts_are_of_w3cs_form() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(good), Some(good));
        assert_eq!(traceparent(&good.replacen("00", "cc", 1)), Some(&*good.replacen("00", "cc", 1)));
        assert_eq!(traceparent(&(good.replacen("00", "01", 1) + "-more")), Some(&*good.replacen("00", "01", 1)));
        for bad in [
            "",
            "00",
            &good[..54],
            &format!("{good}-"),
            &format!("{good} "),
            &good.replacen("00", "ff", 1),
            &(good.replacen("00", "01", 1) + "more"),
            &good.to_uppercase(),
            &good.replace('-', "_"),
            &good.replace("4bf9", "4b\"9"),
            &good.replace("4bf9", "4b\\9"),
            &good.replace("4bf9", "4bü"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            &"ü".repeat(28),
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_of_rows_below_say_what_they_are_for() {
        let line = item_id("site/s.1~2", "devices", 1, 3);
        let router = run_id(&line, "router", 2);
        assert_eq!(router, "site/s.1~2/devices.3/router~2");
        assert_eq!(below(&router), Some(Below { above: &line, step: "router", round: 2, item: None }));
        assert_eq!(below(&line), Some(Below { above: "site/s.1~2", step: "devices", round: 1, item: Some(3) }));
        for whole in ["site/s.1~2", "site", "", "site/s/Router", "site/s/"] {
            assert_eq!(below(whole), None, "{whole}");
        }
        assert_eq!((root_of(&router), below("a/b/c.d"), below("a/b/c~d")), ("site/s.1~2", None, None));
    }

    #[test]
    fn ids_parse_from_the_right_whatever_the_key() {
        let saga = saga_id("order-fulfilment", "a/b c%ü");
        assert_eq!(saga, "order-fulfilment/a%2Fb%20c%25%C3%BC");
        assert_eq!(parse_saga_id(&saga), ("order-fulfilment", "a/b c%ü".into()));
        assert_eq!(parse_saga_id("order/o-1"), ("order", "o-1".into()));
        let key = idempotency_key(&saga, "ship", Direction::Undo);
        assert_eq!(parse_idempotency_key(&key), Some((&*saga, "ship", Direction::Undo)));
        assert_eq!(parse_idempotency_key(&idempotency_key("a/", "b", Direction::Do)), Some(("a/", "b", Direction::Do)));
        for bad in ["", "do", "/do", "a/do", "a/b/do", "a/b//do", "a/b/c/nod"] {
            assert_eq!(parse_idempotency_key(bad), None, "{bad}");
        }
    }
}
