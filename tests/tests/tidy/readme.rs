//! The tables of README and docs/ are what the code says.

use std::collections::BTreeSet;

use ringmaster::alerts::{RULES, Rule, expression};
use ringmaster::api::problem::{PROBLEMS, Said};
use ringmaster::cli::exit::EXITS;
use ringmaster::telemetry::names;
use ringmaster::topics::{Kind, needed, specification};
use ringmaster_core::definition::limits::limits as limits_of_definitions;
use ringmaster_core::definition::{DEFAULTS, language};
use ringmaster_core::{intake, saga};
use ringmaster_schemas::names::{self as wire, Topics};
use ringmaster_schemas::{avro, journal, json};
use serde_json::Value;

use crate::{File, none, rust};

/// Pages that users read, and that speak of commands and tables.
const PAGES: [&str; 6] = ["README.md", "docs/OPERATING.md", "docs/SAGAS.md", "docs/TESTING.md", "docs/WIRE.md", "docs/WORDS.md"];

/// Cells of the table below the comment `<!-- table: NAME -->`, without its head.
fn table(name: &str) -> Vec<Vec<String>> {
    let mark = format!("<!-- table: {name} -->\n");
    let all: String = PAGES.map(|page| File::read(page).text).concat();
    assert_eq!(all.matches(&mark).count(), 1, "one of {PAGES:?} has a table '{name}'");
    let (_, rest) = all.split_once(&mark).expect("just found");
    let rows = rest.lines().skip_while(|line| line.is_empty()).take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let row = row.replace("\\|", "\u{0}");
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
    })
    .collect()
}

/// The first cells of the rows must be these.
fn check(name: &str, expected: &[Vec<String>]) {
    let width = expected.first().map_or(0, Vec::len);
    let found: Vec<Vec<String>> = table(name).into_iter().map(|row| row.into_iter().take(width).collect()).collect();
    assert!(!expected.is_empty(), "the code has nothing for '{name}'");
    if found != expected {
        let lines: Vec<String> = expected.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
        panic!("table '{name}' must be:\n{}\nand is:\n{found:#?}", lines.join("\n"));
    }
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}

#[test]
fn topics() {
    let all = needed(&Topics::new(wire::DEFAULT_PREFIX), 8, &[], &[wire::command_topic("PARTICIPANT")], &[]);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|topic| {
            let settings = specification(topic, 1).settings;
            let retention = settings.iter().find(|(name, _)| name == "retention.ms").map(|(_, value)| value.as_str());
            let kept = match (topic.kind, retention) {
                (Kind::History, Some("-1")) => "for ever".to_owned(),
                (Kind::Shortened, Some("-1")) => "for ever, or by `journal_retention`".to_owned(),
                (Kind::Traffic | Kind::Routed | Kind::Batches, Some(ms)) => {
                    format!("{} days", ms.parse::<u64>().expect("a number") / 86_400_000)
                }
                other => panic!("{}: {other:?}", topic.name),
            };
            vec![quoted(&topic.name), if topic.partitions == 1 { "1" } else { "P" }.to_owned(), kept]
        })
        .collect();
    let found = table("topics");
    let ours: Vec<Vec<String>> = found.iter().filter(|row| row[0].starts_with('`')).map(|row| row[..3].to_vec()).collect();
    assert_eq!(ours, rows, "table 'topics'");
}

/// A field's type as the README writes it.
fn type_name(schema: &Value) -> String {
    match schema {
        Value::Array(branches) => branches.iter().map(type_name).collect::<Vec<_>>().join(" or "),
        Value::Object(named) if named["type"] == "enum" => {
            let symbols = named["symbols"].as_array().expect("an enum has symbols");
            symbols.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Value::Object(named) => named.get("logicalType").unwrap_or(&named["type"]).as_str().expect("a name").to_owned(),
        other => other.as_str().expect("a name").to_owned(),
    }
}

#[test]
fn envelopes() {
    for name in ["CommandMeta", "ReplyMeta"] {
        let schema: Value = serde_json::from_str(&File::read(&format!("schemas/avsc/{name}.avsc")).text).expect("it is JSON");
        let fields = schema["fields"].as_array().expect("a record has fields");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let rows: Vec<Vec<String>> = fields
            .iter()
            .map(|field| vec![quoted(&text(&field["name"])), type_name(&field["type"]), text(&field["doc"])])
            .collect();
        check(name, &rows);
    }
}

#[test]
fn headers() {
    let all = [
        wire::HEADER_TYPE,
        wire::HEADER_SOURCE,
        wire::HEADER_ID,
        wire::HEADER_SPEC,
        wire::HEADER_TIME,
        wire::HEADER_SUBJECT,
        wire::HEADER_CONTENT_TYPE,
        wire::HEADER_TRACEPARENT,
    ];
    let count = File::read("schemas/src/names.rs").text.matches("pub const HEADER_").count();
    assert_eq!(count, all.len(), "a header is missing in this test");
    check("headers", &all.map(|name| vec![quoted(name)]));
}

/// Symbols of an enumeration of the journal with what their comments say, as they stand in its source.
fn reasons(name: &str) -> Vec<Vec<String>> {
    let source = File::read("schemas/src/journal/reasons.rs").text;
    let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).expect("the journal has it");
    let (body, _) = rest.split_once("\n    }").expect("it ends");
    let mut rows = Vec::new();
    let mut meaning = String::new();
    for line in body.lines().map(str::trim) {
        match line.strip_prefix("/// ") {
            Some(more) => meaning = format!("{meaning} {more}").trim().to_owned(),
            None => {
                let symbol = line.split('"').nth(1).expect("a symbol has its name");
                rows.push(vec![quoted(symbol), std::mem::take(&mut meaning)]);
            }
        }
    }
    rows
}

#[test]
fn reasons_of_quarantine_and_rejection() {
    check("quarantine reasons", &reasons("QuarantineReason"));
    check("rejection reasons", &reasons("RejectionReason"));
}

#[test]
fn exit_codes() {
    check("exit codes", &EXITS.map(|(exit, meaning)| vec![(exit as u8).to_string(), meaning.to_owned()]));
}

#[test]
fn problems() {
    let row = |said: Said| vec![quoted(said.name), said.status.to_string(), said.title.to_owned(), said.help.to_owned()];
    check("problems", &PROBLEMS.map(row));
}

#[test]
fn metrics() {
    let row = |metric: names::Metric| {
        let labels = metric.labels.iter().map(|label| quoted(label)).collect::<Vec<_>>().join(", ");
        vec![quoted(metric.name), metric.kind.as_str().to_owned(), metric.unit.to_owned(), labels, metric.help.to_owned()]
    };
    check("metrics", &names::all().map(row).collect::<Vec<_>>());
}

/// The table of alerts; and what is told of each below it is what its alert tells.
#[test]
fn alerts() {
    let row = |rule: &Rule| {
        let upper = |text: String, label: &&str| text.replace(&format!("{{{label}}}"), &label.to_uppercase());
        let says = rule.by.iter().fold(rule.summary.to_owned(), upper);
        let (holds, lasts) = (quoted(&expression(rule)), format!("{} s", rule.for_s));
        vec![quoted(rule.name), rule.severity.as_str().to_owned(), holds, lasts, says]
    };
    check("alerts", &RULES.iter().map(row).collect::<Vec<_>>());
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let page = File::read("docs/OPERATING.md").text;
    for rule in &RULES {
        let (_, rest) =
            page.split_once(&format!("\n### {}\n", rule.name)).unwrap_or_else(|| panic!("{} has no paragraph", rule.name));
        let told = rest.split("\n#").next().unwrap_or_default();
        assert_eq!(words(told), words(rule.runbook), "the paragraph of {}", rule.name);
    }
}

#[test]
fn defaults() {
    check("defaults", &DEFAULTS.table().into_iter().map(Vec::from).collect::<Vec<_>>());
}

#[test]
fn limits() {
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    let rows: [(&str, String); 19] = [
        ("saga key", format!("{} bytes", wire::KEY_BYTES_MAX)),
        ("a command's body", kib(saga::COMMAND_BYTES_MAX)),
        ("the events of a saga's end, together", kib(saga::COMMAND_BYTES_MAX)),
        ("what a saga emits on the way in one turn", kib(saga::EMITTED_BYTES_MAX)),
        ("what a saga keeps of one result", kib(saga::RESULT_BYTES_MAX)),
        ("a saga's row", kib(saga::ROW_BYTES_MAX)),
        (
            "a start event, a list that is gone through, what its items give, bodies and results, together in a row",
            kib(saga::ROW_DATA_BYTES_MAX),
        ),
        ("items of a for_each inside an item of another", saga::ITEMS_INSIDE_MAX.to_string()),
        ("events that wait for a saga, for a wait of one, or with a value", format!("{}, and what a row holds", saga::EARLY_MAX)),
        ("events with its value that a wait remembers to have passed by", saga::PASSED_MAX.to_string()),
        (
            "what a value's row remembers: claims that are over, and events that were looked at",
            format!("{} and {}, for {} days", saga::LEFT_MAX, saga::SEEN_MAX, saga::LEFT_KEPT_MS / 86_400_000),
        ),
        ("attempts of one command", saga::ATTEMPTS_MAX.to_string()),
        ("a participant's code", format!("{} bytes, then cut", intake::CODE_BYTES_MAX)),
        ("a participant's message", format!("{} bytes, then cut", intake::MESSAGE_BYTES_MAX)),
        ("an event's source, and its id", format!("{} bytes, then cut", intake::ID_BYTES_MAX)),
        ("nesting of a JSON value", format!("{} levels", json::DEPTH_MAX)),
        ("nesting of an Avro value", format!("{} records", avro::RECORD_DEPTH_MAX)),
        ("items without bytes in an Avro block", avro::EMPTY_ITEMS_MAX.to_string()),
        ("a quarantined value", format!("{} kept; behind that length and SHA-256", kib(journal::QUARANTINE_RAW_BYTES_MAX))),
    ];
    let of_definitions = limits_of_definitions().into_iter().map(|limit| vec![limit.what.to_owned(), limit.most]);
    let all = rows.map(|(what, most)| vec![what.to_owned(), most]).into_iter().chain(of_definitions);
    check("limits", &all.collect::<Vec<_>>());
}

/// Each constant of the language whose name ends in `_MAX` is told.
#[test]
fn limits_of_definitions_are_all_there() {
    let told: BTreeSet<String> = limits_of_definitions().into_iter().map(|limit| limit.constant).collect();
    let mut there = BTreeSet::new();
    for file in rust().filter(|file| file.is_in(&["coordinator/core/src/definition/"]) && !file.path.contains("/tests/")) {
        let module = file.path.trim_end_matches("/mod.rs").trim_end_matches(".rs").rsplit('/').next().expect("a name").to_owned();
        for line in file.text.split("const ").skip(1) {
            let name = line.split(':').next().unwrap_or_default();
            if name.ends_with("_MAX") && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                there.insert(format!("{module}::{name}"));
            }
        }
    }
    assert!(there.contains("node::STEPS_MAX"), "{there:?}");
    assert_eq!(told, there, "definition::limits has every limit of the language");
}

#[test]
fn keys_of_the_language() {
    check("keys", &language::reference().into_iter().map(Vec::from).collect::<Vec<_>>());
}

#[test]
fn commands_that_it_names_exist() {
    let makefile = File::read("Makefile").text;
    let mut found = Vec::new();
    for page in PAGES.map(File::read) {
        for (line, text) in page.lines() {
            for word in
                text.split("make ").skip(1).filter_map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next())
            {
                let is_command = text.contains(&format!("`make {word}")) || text.trim_start().starts_with("make ");
                if is_command && !word.is_empty() && !makefile.contains(&format!("\n{word}:")) {
                    found.push(format!("{}:{line}: make {word}", page.path));
                }
            }
        }
    }
    none("README and docs/ name only commands that the Makefile has", found);
}

#[test]
fn links_of_pages_lead_somewhere() {
    let mut found = Vec::new();
    for page in PAGES.into_iter().chain(["coordinator/ARCHITECTURE.md", "docs/LANGUAGE.md", "docs/PROTOCOL.md"]) {
        let page = File::read(page);
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, text) in page.lines() {
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let file = if path.is_empty() { page.path.clone() } else { format!("{folder}/{path}") };
                if path.contains("://") {
                    continue;
                }
                let there = crate::root().join(file.trim_start_matches('/'));
                let headed = |text: String| text.lines().any(|line| line.starts_with('#') && anchor_of(line) == anchor);
                if !there.exists() || !(anchor.is_empty() || std::fs::read_to_string(&there).is_ok_and(headed)) {
                    found.push(format!("{}:{line}: {target}", page.path));
                }
            }
        }
    }
    none("a link leads to a file that is there, and to a heading in it", found);
}

/// A heading's anchor, as GitHub makes it.
fn anchor_of(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
