//! `quarantine list` and `quarantine show`: records that could not be taken, with the reason and the bytes.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;

use comfy_table::Table;
use ringmaster_schemas::journal::{QuarantineMark, Quarantined};
use ringmaster_schemas::names::{hex, percent_encode};
use serde_json::Value;

use super::asking::ask_typed;
use super::buses::{self, Access};
use super::definitions::say;
use super::entries::{self, Place, Repeats, check_reason, parse_place};
use super::exit::{Exit, Failure};
use super::text::{self, printable, time};
use crate::api::client::Address;
use crate::api::{Quarantine, QuarantineEntry, QuarantineMarked};
use crate::config::Config;

/// Entries of one page of a coordinator.
const PAGE_MAX: usize = 500;
/// Which coordinator says it (none: it is read at the brokers), and whether as JSON.
type Told<'a> = (Option<&'a Address>, bool);
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
pub(super) fn list(config: &Config, filter: &Filter, (api, as_json): Told<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    check_reason(filter.reason.as_deref())?;
    if let Some(api) = api {
        return list_of(config, api, filter, as_json, out);
    }
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
    let shown: Vec<QuarantineEntry> =
        shown.iter().map(|(place, record, mark)| QuarantineEntry::of(*place, record, mark.as_ref())).collect();
    tell(&shown, filter, (total, hidden), as_json, out)
}

/// As a coordinator says it: of the newest records of the topic.
fn list_of(config: &Config, api: &Address, filter: &Filter, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let mut path = format!("/api/v1/quarantine?limit={}&all={}", filter.limit.clamp(1, PAGE_MAX), filter.all);
    for (name, value) in [("reason", &filter.reason), ("topic", &filter.topic)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}="));
            percent_encode(value, &mut path);
        }
    }
    let Quarantine { mut items, count, complete, .. } = ask_typed(config, Some(api), &path)?;
    items.reverse();
    if !complete {
        // Nobody need listen.
        let _ =
            writeln!(std::io::stderr(), "of the newest 10,000 records of the topic; without --api all are read, at the brokers");
    }
    tell(&items, filter, (count, 0), as_json, out)
}

/// Which of how many they are, and how many others are not shown.
fn tell(
    shown: &[QuarantineEntry],
    filter: &Filter,
    (total, hidden): (usize, usize),
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if as_json {
        if shown.len() < total {
            // Nobody need listen.
            let _ = writeln!(std::io::stderr(), "these are {} of {total} (--limit)", shown.len());
        }
        return shown.iter().try_for_each(|entry| say(out, format_args!("{}", serde_json::to_string(entry).expect("it is JSON"))));
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
pub(super) fn show(config: &Config, id: &str, (api, as_json): Told<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let place = parse_place(id)?;
    if let Some(api) = api {
        let path = format!("/api/v1/quarantine/{}/{}", place.0, place.1);
        let shown: Value = ask_typed(config, Some(api), &path)?;
        return match as_json {
            true => say(out, format_args!("{shown}")),
            false => say(out, format_args!("{}", printable(serde_json::to_string_pretty(&shown).expect("it is JSON").as_bytes()))),
        };
    }
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

fn table_of(entries: &[QuarantineEntry], with_marks: bool) -> Table {
    let names = ["ID", "AT", "REASON", "FROM", "KEY", "BYTES", "DETAIL", "SINCE THEN"];
    let mut table = text::table(&names[..if with_marks { 8 } else { 7 }]);
    for entry in entries {
        let mut row = vec![
            entry.id.clone(),
            entry.at.clone(),
            entry.reason.clone(),
            printable(format!("{}/{}/{}", entry.topic, entry.partition, entry.offset).as_bytes()),
            entry.key.as_deref().map_or_else(|| "-".to_owned(), |key| printable(key.as_bytes())),
            entry.bytes.to_string(),
            printable(entry.detail.as_bytes()),
        ];
        row.extend(with_marks.then(|| entry.mark.as_ref().map_or_else(|| "-".to_owned(), said)));
        table.add_row(row);
    }
    table
}

/// What was said of it.
fn said(mark: &QuarantineMarked) -> String {
    let outcome = if mark.outcome.is_empty() { String::new() } else { format!("; {}", mark.outcome) };
    let act = mark.act.to_ascii_lowercase();
    printable(format!("{act} {} by {}: {}{outcome}", mark.at, mark.by, mark.why).as_bytes())
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
        line("since then", said(&QuarantineMarked::of(mark)));
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
