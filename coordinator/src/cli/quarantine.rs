//! `quarantine list` and `quarantine show`: records that could not be taken, with the reason and the bytes.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;

use comfy_table::Table;
use ringmaster_schemas::journal::{QuarantineAct, QuarantineMark, Quarantined};
use ringmaster_schemas::names::hex;

use super::buses::{self, Access};
use super::definitions::say;
use super::entries::{self, Place, Repeats, check_reason, parse_place};
use super::exit::{Exit, Failure};
use super::text::{self, printable, time};
use crate::api::QuarantineEntry;
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
    /// Also those that were redriven or discarded.
    pub(super) all: bool,
    /// At most so many, the newest of each partition.
    pub(super) limit: usize,
}

/// `ringmaster quarantine list`
pub(super) fn list(config: &Config, filter: &Filter, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    check_reason(filter.reason.as_deref())?;
    let (mut found, mut hidden) = (Vec::new(), 0);
    let mut any = buses::open(config, Access::Read)?;
    let total = entries::each_partition(config, &mut any, &mut |partition, bus| {
        let mut newest = VecDeque::with_capacity(filter.limit.min(1_024));
        let mut total = 0;
        let mut marks = entries::marks(bus, config, partition)?;
        entries::visit(bus, config, (partition, Repeats::Passed), &mut |place, mut record| {
            let mark = marks.remove(&place.1);
            if filter.matches(&record) && mark.is_some() && !filter.all {
                hidden += 1;
            } else if filter.matches(&record) {
                total += 1;
                // A list does not need the bytes, and a full quarantine has many.
                record.raw = bytes::Bytes::new();
                newest.push_back((place, record, mark));
                if newest.len() > filter.limit {
                    newest.pop_front();
                }
            }
            true
        })?;
        found.extend(newest);
        Ok(total)
    })?;
    found.sort_by_key(|(place, record, _)| (record.at, *place));
    let shown = &found[found.len().saturating_sub(filter.limit)..];
    if as_json {
        if shown.len() < total {
            // Nobody need listen.
            let _ = writeln!(std::io::stderr(), "these are {} of {total} (--limit)", shown.len());
        }
        for (place, record, mark) in shown {
            let entry = QuarantineEntry::of(*place, record, mark.as_ref());
            say(out, format_args!("{}", serde_json::to_string(&entry).expect("it is JSON")))?;
        }
        return Ok(());
    }
    let hidden = match hidden {
        0 => String::new(),
        hidden => format!("; {hidden} that were redriven or discarded are not shown (--all)"),
    };
    if total == 0 {
        let any = filter.reason.is_none() && filter.topic.is_none();
        let nothing = if any { "nothing is in quarantine" } else { "nothing like that is in quarantine" };
        return say(out, format_args!("{nothing}{hidden}"));
    }
    say(out, format_args!("{}", table_of(shown, filter.all)))?;
    say(out, format_args!("{} of {total} records{hidden}; `ringmaster quarantine show ID` has the bytes", shown.len()))
}

impl Filter {
    fn matches(&self, record: &Quarantined) -> bool {
        self.reason.as_ref().is_none_or(|reason| reason.eq_ignore_ascii_case(record.reason.as_str()))
            && self.topic.as_ref().is_none_or(|topic| **topic == *record.topic)
    }
}

/// `ringmaster quarantine show ID`
pub(super) fn show(config: &Config, id: &str, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let place = parse_place(id)?;
    let (mut found, mut mark) = (None, None);
    let mut any = buses::open(config, Access::Read)?;
    entries::each_partition(config, &mut any, &mut |partition, bus| {
        if partition == place.0 {
            entries::visit(bus, config, (partition, Repeats::Told), &mut |at, record| {
                if at == place {
                    found = Some(record);
                }
                at.1 < place.1
            })?;
            mark = entries::marks(bus, config, partition)?.remove(&place.1);
        }
        Ok(0)
    })?;
    let Some(record) = found else {
        return Err(Failure::new(Exit::NotFound, format_args!("there is no record {id} in quarantine")));
    };
    if as_json {
        let mut json = serde_json::to_value(QuarantineEntry::of(place, &record, mark.as_ref())).expect("it is JSON");
        json["raw_hex"] = hex(&record.raw).into();
        return say(out, format_args!("{json}"));
    }
    say(out, format_args!("{}", text_of(place, &record, mark.as_ref())))
}

fn table_of(records: &[(Place, Quarantined, Option<QuarantineMark>)], with_marks: bool) -> Table {
    let names = ["ID", "AT", "REASON", "FROM", "KEY", "BYTES", "DETAIL", "SINCE THEN"];
    let mut table = text::table(&names[..if with_marks { 8 } else { 7 }]);
    for ((partition, offset), record, mark) in records {
        let mut row = vec![
            format!("{partition}/{offset}"),
            time(record.at),
            record.reason.as_str().to_owned(),
            format!("{}/{}/{}", record.topic, record.partition, record.offset),
            record.key.as_deref().map_or_else(|| "-".to_owned(), printable),
            record.length.to_string(),
            record.detail.to_string(),
        ];
        row.extend(with_marks.then(|| mark.as_ref().map_or_else(|| "-".to_owned(), said)));
        table.add_row(row);
    }
    table
}

/// What was said of it.
fn said(mark: &QuarantineMark) -> String {
    let act = match mark.act {
        QuarantineAct::Redriven => "redriven",
        QuarantineAct::Discarded => "discarded",
    };
    let outcome = if mark.outcome.is_empty() { String::new() } else { format!("; {}", mark.outcome) };
    printable(format!("{act} {} by {}: {}{outcome}", time(mark.at), mark.by, mark.why).as_bytes())
}

fn text_of((partition, offset): Place, record: &Quarantined, mark: Option<&QuarantineMark>) -> String {
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
    if let Some(mark) = mark {
        line("since then", said(mark));
    }
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
}
