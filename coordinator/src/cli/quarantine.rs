//! `quarantine list` and `quarantine show`: records that could not be taken, with the reason and the bytes.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use ringmaster_bus::Bus;
use ringmaster_schemas::journal::{QuarantineReason, Quarantined};
use ringmaster_schemas::names::{Topics, hex};
use serde_json::{Value, json};

use super::buses::{self, Access, on_bus};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::{printable, time};
use crate::blocking;
use crate::config::Config;

/// Bytes of a record in one line of a hex dump.
const DUMP_LINE_BYTES: usize = 16;

/// What `list` shows.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Only this reason, for example `UNDECODABLE`.
    pub(super) reason: Option<String>,
    /// Only records of this topic.
    pub(super) topic: Option<String>,
    /// At most so many, the newest of each partition.
    pub(super) limit: usize,
}

/// A place in the quarantine topic: `partition/offset`.
type Place = (i32, i64);

/// `ringmaster quarantine list`
pub(super) fn list(config: &Config, filter: &Filter, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    filter.check()?;
    let mut found = Vec::new();
    let total = read(config, &mut |partition, bus| {
        let mut newest = VecDeque::with_capacity(filter.limit.min(1_024));
        let mut total = 0;
        visit(bus, config, partition, &mut |place, mut record| {
            if filter.matches(&record) {
                total += 1;
                // A list does not need the bytes, and a full quarantine has many.
                record.raw = bytes::Bytes::new();
                newest.push_back((place, record));
                if newest.len() > filter.limit {
                    newest.pop_front();
                }
            }
            true
        })?;
        found.extend(newest);
        Ok(total)
    })?;
    found.sort_by_key(|(place, record)| (record.at, *place));
    let shown = &found[found.len().saturating_sub(filter.limit)..];
    if as_json {
        for (place, record) in shown {
            say(out, format_args!("{}", json_of(*place, record)))?;
        }
        return Ok(());
    }
    if total == 0 {
        let any = filter.reason.is_none() && filter.topic.is_none();
        return say(out, format_args!("{}", if any { "nothing is in quarantine" } else { "nothing like that is in quarantine" }));
    }
    say(out, format_args!("{}", table_of(shown)))?;
    say(out, format_args!("{} of {total} records; `ringmaster quarantine show ID` has the bytes", shown.len()))
}

impl Filter {
    /// A reason that there is none of would find nothing, whatever is in quarantine.
    fn check(&self) -> Result<(), Failure> {
        let known = |reason: &String| QuarantineReason::ALL.iter().any(|known| reason.eq_ignore_ascii_case(known.as_str()));
        match self.reason.as_ref().filter(|reason| !known(reason)) {
            None => Ok(()),
            Some(reason) => {
                let all: Vec<&str> = QuarantineReason::ALL.iter().map(|known| known.as_str()).collect();
                Err(Failure::new(Exit::Usage, format_args!("'{reason}' is no reason; there are {}", all.join(", "))))
            }
        }
    }

    fn matches(&self, record: &Quarantined) -> bool {
        self.reason.as_ref().is_none_or(|reason| reason.eq_ignore_ascii_case(record.reason.as_str()))
            && self.topic.as_ref().is_none_or(|topic| **topic == *record.topic)
    }
}

/// `ringmaster quarantine show ID`
pub(super) fn show(config: &Config, id: &str, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let place = parse_place(id)
        .ok_or_else(|| Failure::new(Exit::Usage, format_args!("'{id}' is not a place in the quarantine such as 3/17")))?;
    let mut found = None;
    read(config, &mut |partition, bus| {
        if partition == place.0 {
            visit(bus, config, partition, &mut |at, record| {
                if at == place {
                    found = Some(record);
                }
                at.1 < place.1
            })?;
        }
        Ok(0)
    })?;
    let Some(record) = found else {
        return Err(Failure::new(Exit::NotFound, format_args!("there is no record {id} in quarantine")));
    };
    if as_json {
        let mut json = json_of(place, &record);
        json["raw_hex"] = hex(&record.raw).into();
        return say(out, format_args!("{json}"));
    }
    say(out, format_args!("{}", text_of(place, &record)))
}

/// Asks for the quarantine topic and calls for each of its partitions; the sum of what the calls return.
fn read(config: &Config, each: &mut dyn FnMut(i32, &mut buses::AnyBus) -> Result<usize, Failure>) -> Result<usize, Failure> {
    let topic = Topics::new(&config.prefix).quarantine;
    let mut any = buses::open(config, Access::Read)?;
    let described = on_bus!(&mut any, bus => bus.describe(&[&topic])?);
    let Some(described) = described.into_iter().next().flatten() else {
        return Err(Failure::new(Exit::Refused, format_args!("there is no topic {topic}: run `ringmaster topics apply`")));
    };
    (0..described.partitions).map(|partition| each(partition, &mut any)).sum()
}

fn visit(
    any: &mut buses::AnyBus,
    config: &Config,
    partition: i32,
    visit: &mut dyn FnMut(Place, Quarantined) -> bool,
) -> Result<(), Failure> {
    let topic = Topics::new(&config.prefix).quarantine;
    let mut trouble = None;
    let mut one = |read: blocking::Read| match Quarantined::decode(read.value.as_deref().unwrap_or_default()) {
        Ok(record) => visit((read.partition, read.offset), record),
        Err(error) => {
            trouble = Some(Failure::new(Exit::Failed, format_args!("{topic} {}/{}: {error}", read.partition, read.offset)));
            false
        }
    };
    on_bus!(any, bus => blocking::read_to_end(bus, &topic, partition, &mut one))?;
    trouble.map_or(Ok(()), Err)
}

fn parse_place(id: &str) -> Option<Place> {
    let (partition, offset) = id.split_once('/')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

fn table_of(records: &[(Place, Quarantined)]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["ID", "AT", "REASON", "FROM", "KEY", "BYTES", "DETAIL"]);
    for ((partition, offset), record) in records {
        table.add_row([
            format!("{partition}/{offset}"),
            time(record.at),
            record.reason.as_str().to_owned(),
            format!("{}/{}/{}", record.topic, record.partition, record.offset),
            record.key.as_deref().map_or_else(|| "-".to_owned(), printable),
            record.length.to_string(),
            record.detail.to_string(),
        ]);
    }
    table
}

/// What is said of a record, without its bytes.
fn json_of((partition, offset): Place, record: &Quarantined) -> Value {
    json!({
        "id": format!("{partition}/{offset}"),
        "at": time(record.at),
        "reason": record.reason.as_str(),
        "detail": &*record.detail,
        "topic": &*record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "schema": record.schema.map(|schema| format!("{schema:016x}")),
        "key": record.key.as_deref().map(printable),
        "bytes": record.length,
        "sha256": hex(&record.sha256),
    })
}

fn text_of((partition, offset): Place, record: &Quarantined) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<10} {value}").expect("writing to a string");
    line("id", format!("{partition}/{offset}"));
    line("at", time(record.at));
    line("reason", record.reason.as_str().to_owned());
    line("detail", record.detail.to_string());
    line("from", format!("topic {}, partition {}, offset {}", record.topic, record.partition, record.offset));
    line("key", record.key.as_deref().map_or_else(|| "none".to_owned(), printable));
    line("schema", record.schema.map_or_else(|| "none named".to_owned(), |schema| format!("fingerprint {schema:016x}")));
    line("sha256", hex(&record.sha256));
    let kept =
        if record.raw.len() as i64 == record.length { String::new() } else { format!(", the first {} kept", record.raw.len()) };
    line("bytes", format!("{}{kept}", record.length));
    text.push('\n');
    match std::str::from_utf8(&record.raw) {
        Ok(readable) if !readable.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) => text.push_str(readable),
        _ => dump(&record.raw, &mut text),
    }
    text
}

/// Offset, bytes in hex, and the readable ones.
fn dump(bytes: &[u8], text: &mut String) {
    for (index, line) in bytes.chunks(DUMP_LINE_BYTES).enumerate() {
        let hex: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let readable: String =
            line.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }).collect();
        writeln!(text, "{:08x}  {hex:<48} |{readable}|", index * DUMP_LINE_BYTES).expect("writing to a string");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_bytes_and_drives_no_terminal() {
        let mut text = String::new();
        dump(b"\x00\x1b[2Jreadable text", &mut text);
        assert_eq!(
            text,
            "00000000  00 1b 5b 32 4a 72 65 61 64 61 62 6c 65 20 74 65  |..[2Jreadable te|\n00000010  78 74                                            |xt|\n"
        );
    }

    #[test]
    fn places_are_partition_and_offset() {
        assert_eq!(parse_place("3/17"), Some((3, 17)));
        for wrong in ["", "3", "3/", "/3", "a/b", "3/17/1"] {
            assert_eq!(parse_place(wrong), None, "{wrong}");
        }
    }
}
