//! Boards for Grafana, made of the table of metrics: each metric is on one of them, and none names one that is not there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use expect_test::expect_file;
use serde_json::{Value, json};

use super::promtool;
use crate::telemetry::names::{self, Kind, Metric};

/// The boards, and what each is for.
const BOARDS: [(&str, &str); 4] = [
    ("overview", "How many sagas stand where, what happens to them, and how long they take"),
    ("participant", "What participants are asked, what they answer, and what waits for them"),
    ("partition", "Where each partition and topic stands"),
    ("load", "What comes in and goes out, the journal, and what the process takes"),
];

/// What the names of metrics begin with that are about load.
const LOAD: [&str; 16] = [
    "ringmaster_acts_",
    "ringmaster_decide_",
    "process_",
    "ringmaster_live_",
    "ringmaster_journal_",
    "ringmaster_http_",
    "ringmaster_inputs_",
    "ringmaster_events_",
    "ringmaster_effects_",
    "ringmaster_turns_",
    "ringmaster_timers_",
    "ringmaster_commands_",
    "ringmaster_full_polls_",
    "ringmaster_pauses_",
    "ringmaster_rout",
    "ringmaster_store_",
];

/// Which board a metric is on.
fn board_of(metric: &Metric) -> &'static str {
    let has = |label: &str| metric.labels.contains(&label);
    match () {
        () if has("participant") => "participant",
        () if has("partition") || has("topic") => "partition",
        () if LOAD.iter().any(|start| metric.name.starts_with(start)) => "load",
        () => "overview",
    }
}

/// What is drawn of a metric: expressions with their legends.
fn drawn(metric: &Metric) -> Vec<(String, String)> {
    let series = format!("{}{{job=~\"$job\"}}", metric.name);
    let of = |labels: &[&str]| labels.join(", ");
    // Where nothing tells series apart the instance does.
    let labels = if metric.labels.is_empty() { &["instance"] } else { metric.labels };
    let legend = labels.iter().map(|label| format!("{{{{{label}}}}}")).collect::<Vec<_>>().join(" ");
    match metric.kind {
        Kind::Counter => vec![(format!("sum by ({}) (rate({series}[$__rate_interval]))", of(labels)), legend)],
        Kind::Gauge if is_a_time(metric) => vec![(format!("time() - max by ({}) ({series} > 0)", of(labels)), legend)],
        Kind::Gauge => {
            // Ages, levels and places are not added up.
            let over =
                if ["seconds", "level", "boolean", "offset", "ratio", "members"].contains(&metric.unit) { "max" } else { "sum" };
            vec![(format!("{over} by ({}) ({series})", of(labels)), legend)]
        }
        Kind::Histogram => {
            let by: Vec<&str> = ["le"].into_iter().chain(metric.labels.iter().copied()).collect();
            let rate = format!("sum by ({}) (rate({}_bucket{{job=~\"$job\"}}[$__rate_interval]))", of(&by), metric.name);
            let own = if metric.labels.is_empty() { String::new() } else { format!(" {legend}") };
            [("0.5", "p50"), ("0.99", "p99")]
                .map(|(part, name)| (format!("histogram_quantile({part}, {rate})"), format!("{name}{own}")))
                .into()
        }
    }
}

/// Since 1970: what is drawn is how long ago that was.
fn is_a_time(metric: &Metric) -> bool {
    metric.help.contains("since 1970")
}

fn panel(place: usize, metric: &Metric) -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let targets = drawn(metric)
        .into_iter()
        .zip(["A", "B"])
        .map(|((expr, legend), id)| json!({ "datasource": source, "expr": expr, "legendFormat": legend, "refId": id }));
    let unit = match (metric.kind, metric.unit) {
        (Kind::Counter, "bytes") => "Bps",
        (_, "bytes") => "bytes",
        (_, "seconds") => "s",
        _ => "short",
    };
    let words = metric.name.trim_start_matches("ringmaster_").trim_end_matches("_total").replace('_', " ");
    let title = match metric.kind {
        Kind::Counter => format!("{words}, a second"),
        Kind::Gauge if is_a_time(metric) => format!("{words}, how long ago"),
        Kind::Gauge | Kind::Histogram => words,
    };
    json!({
        "id": place + 1,
        "type": "timeseries",
        "title": title,
        "description": metric.help,
        "datasource": source,
        "gridPos": { "x": place % 2 * 12, "y": place / 2 * 8, "w": 12, "h": 8 },
        "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn board(name: &str, about: &str) -> String {
    let metrics: Vec<Metric> = names::all().filter(|metric| board_of(metric) == name).collect();
    let jobs = "label_values(ringmaster_info, job)";
    let board = json!({
        "uid": format!("ringmaster-{name}"),
        "title": format!("Ringmaster: {name}"),
        "description": format!("{about}. Generated of the table of metrics: coordinator/src/alerts/tests/boards.rs."),
        "tags": ["ringmaster"],
        "schemaVersion": 36,
        "editable": true,
        "refresh": "10s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            {
                "name": "job", "type": "query", "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "definition": jobs, "query": { "query": jobs, "refId": "job" }, "refresh": 2, "includeAll": true, "multi": true,
            },
        ] },
        "panels": metrics.iter().enumerate().map(|(place, metric)| panel(place, metric)).collect::<Vec<_>>(),
    });
    format!("{}\n", serde_json::to_string_pretty(&board).expect("it is JSON"))
}

/// As it is committed.
fn committed(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/grafana/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("it is JSON")
}

/// All expressions of a board.
fn expressions(board: &Value) -> Vec<String> {
    let panels = board["panels"].as_array().expect("it has panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("it draws something"));
    targets.map(|target| target["expr"].as_str().expect("text").to_owned()).collect()
}

/// The metrics that an expression names.
fn named(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with("ringmaster_") || word.starts_with("process_"));
    words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn boards_are_those_of_the_table_of_metrics() {
    let text = |place: usize| board(BOARDS[place].0, BOARDS[place].1);
    expect_file!["../../../../deploy/grafana/overview.json"].assert_eq(&text(0));
    expect_file!["../../../../deploy/grafana/participant.json"].assert_eq(&text(1));
    expect_file!["../../../../deploy/grafana/partition.json"].assert_eq(&text(2));
    expect_file!["../../../../deploy/grafana/load.json"].assert_eq(&text(3));
}

#[test]
fn each_metric_is_drawn_and_nothing_else_and_prometheus_takes_each_expression() {
    let all: Vec<String> = BOARDS.iter().flat_map(|(name, _)| expressions(&committed(name))).collect();
    let drawn: BTreeSet<String> = all.iter().flat_map(|expression| named(expression)).collect();
    let known: BTreeSet<String> = names::all().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(drawn, known, "left: what boards draw; right: what there is");
    let rule = |(number, expression): (usize, &String)| {
        let expression = expression.replace("$__rate_interval", "5m").replace("$job", "ringmaster");
        format!("      - record: drawn:{number}\n        expr: '{}'\n", expression.replace('\'', "''"))
    };
    let rules: String = all.iter().enumerate().map(rule).collect();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("drawn.yml"), format!("groups:\n  - name: drawn\n    rules:\n{rules}")).expect("written");
    promtool::run(folder.path(), &["check", "rules", "drawn.yml"]).unwrap_or_else(|why| panic!("{why}"));
}
