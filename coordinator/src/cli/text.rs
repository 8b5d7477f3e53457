//! How times, bytes and tables are told to people.

use std::io::IsTerminal;
use std::sync::OnceLock;

use comfy_table::{Cell, ContentArrangement, Table, presets};
use ringmaster_schemas::Millis;
use ringmaster_schemas::json::time::put_timestamp;

/// So many columns there are to print to; nothing where nobody looks at a terminal: then lines are as long as they must.
static COLUMNS: OnceLock<u16> = OnceLock::new();

/// Makes tables fit the terminal that standard output is, if it is one.
pub(super) fn fit_to_terminal() {
    let out = std::io::stdout();
    if let Some((width, _)) = terminal_size::terminal_size_of(&out).filter(|_| out.is_terminal()) {
        // It may be set once: so it is, by the process that prints.
        let _ = COLUMNS.set(width.0);
    }
}

/// A table without lines, below these names.
pub(super) fn table(header: impl IntoIterator<Item = impl Into<Cell>>) -> Table {
    fitting(COLUMNS.get().copied(), header)
}

fn fitting(columns: Option<u16>, header: impl IntoIterator<Item = impl Into<Cell>>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.into_iter().map(Into::into).collect::<Vec<Cell>>());
    if let Some(columns) = columns {
        table.set_width(columns);
    }
    table
}

/// RFC 3339, to the millisecond.
pub(super) fn time(at: Millis) -> String {
    let mut text = String::new();
    put_timestamp(at.saturating_mul(1_000), &mut text);
    text
}

/// Text with control characters escaped, so that a hostile key cannot drive a terminal.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_cannot_drive_a_terminal() {
        assert_eq!(printable(b"ord\x1b[2J\xff"), "ord\\u{1b}[2J\u{fffd}");
    }

    /// Where there is a terminal, what is too long goes on in the next line of its cell; elsewhere each row is one line.
    #[test]
    fn a_table_fits_its_terminal_and_is_whole_without_one() {
        let rows = |columns| {
            let mut table = fitting(columns, ["ID", "WAITS FOR"]);
            table.add_row(["order-fulfilment/ord-17".to_owned(), "the answer of payment ".repeat(9)]);
            table.to_string()
        };
        let widest = |table: &str| table.lines().map(|line| line.trim_end().chars().count()).max();
        let narrow = rows(Some(80));
        assert!(widest(&narrow) <= Some(80) && narrow.lines().count() > 2, "{narrow}");
        assert!(narrow.contains("order-fulfilment/ord-17"), "an id is not broken where there is room: {narrow}");
        assert_eq!(rows(None).lines().count(), 2);
        assert!(widest(&rows(None)) > Some(200));
    }

    #[test]
    fn times_are_told_to_the_millisecond() {
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
