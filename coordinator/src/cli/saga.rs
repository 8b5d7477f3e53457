//! `saga list`, `saga show` and `saga why`: which sagas live, or are found by values, and what they wait for, asked of the running coordinator.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use ringmaster_schemas::names;
use serde_json::{Value, json};

use super::asking::{ask, ask_all};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::printable;
use crate::api::{self, client::Address};
use crate::config::Config;

/// Which sagas are meant, of those that have not ended.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// Only those that need a person.
    #[arg(long)]
    stuck: bool,
    /// Only those of which something is parked, in the order in which it goes out.
    #[arg(long, conflicts_with = "stuck")]
    parked: bool,
    /// Only those that are paused.
    #[arg(long, conflicts_with_all = ["stuck", "parked"])]
    paused: bool,
    /// With --parked, only those that wait for this participant.
    #[arg(long, requires = "parked", value_name = "NAME")]
    participant: Option<String>,
    /// Only those of this definition, for example order-fulfilment.
    #[arg(long, value_name = "NAME")]
    definition: Option<String>,
    /// With --definition, only those that have this value of its `search`; of several, all.
    #[arg(long, requires = "definition", value_name = "NAME=VALUE")]
    search: Vec<String>,
}

/// `ringmaster saga list`
pub(super) fn list(
    config: &Config,
    filter: &FilterArguments,
    limit: usize,
    api: Option<&Address>,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (mut sagas, more) = select(config, filter, limit, api)?;
    let is_cut = sagas.len() > limit;
    sagas.truncate(limit);
    let sagas = &sagas[..];
    if as_json {
        return sagas.iter().try_for_each(|saga| say(out, format_args!("{saga}")));
    }
    let more = is_cut || more;
    if sagas.is_empty() && !more {
        let of = filter.definition.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        let what = match (filter.stuck, filter.parked, &filter.participant) {
            (true, _, _) => "is stuck".to_owned(),
            (_, true, Some(name)) => format!("is parked for {name}"),
            (_, true, None) => "is parked".to_owned(),
            _ if filter.paused => "is paused".to_owned(),
            _ if !filter.search.is_empty() => format!("is found by {}", filter.search.join(" and ")),
            _ => "is under way".to_owned(),
        };
        return say(out, format_args!("no saga{of} {what}"));
    }
    say(out, format_args!("{}", table_of(sagas)))?;
    let more = if more { "; there are more (--limit, --definition)" } else { "" };
    let count = if sagas.len() == 1 { "1 saga".to_owned() } else { format!("{} sagas", sagas.len()) };
    say(out, format_args!("{count}{more}; `ringmaster saga why ID` says what each waits for"))
}

/// Those that a filter finds, at most so many of each instance, and whether there are more.
pub(super) fn select(
    config: &Config,
    filter: &FilterArguments,
    limit: usize,
    api: Option<&Address>,
) -> Result<(Vec<Value>, bool), Failure> {
    let FilterArguments { stuck, parked, paused, definition, participant, search } = filter;
    let mut path = format!("/api/sagas?limit={limit}&stuck={stuck}&parked={parked}&paused={paused}");
    for (what, example, name) in [("definition", "order-fulfilment", definition), ("participant", "payment", participant)] {
        let Some(name) = name else { continue };
        if !is_plain(name) || name.contains(['&', '/']) {
            return Err(Failure::new(Exit::Usage, format_args!("'{name}' is no {what}'s name such as {example}")));
        }
        write!(path, "&{what}={name}").expect("writing to a string");
    }
    for by in search {
        let Some((name, value)) = by.split_once('=') else {
            return Err(Failure::new(Exit::Usage, format_args!("'{by}' is no NAME=VALUE such as customer=c-7")));
        };
        path.push_str("&search=");
        names::percent_encode(name, &mut path);
        path.push('=');
        names::percent_encode(value, &mut path);
    }
    let answers = ask_all(config, api, &path)?;
    let mut sagas: Vec<Value> = answers.iter().flat_map(|found| found["sagas"].as_array().cloned().unwrap_or_default()).collect();
    if answers.len() > 1 {
        sagas.sort_by_key(order);
    }
    Ok((sagas, answers.iter().any(|found| found["more"] == true)))
}

fn table_of(sagas: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["ID", "DEFINITION", "VERSION", "STATUS", "STEP", "REASON", "SINCE", "WAKES"]);
    for saga in sagas {
        let reason = match saga["participant"].as_str().or_else(|| saga["code"].as_str()) {
            Some(more) => format!("{}: {more}", text(&saga["reason"])),
            None => text(&saga["reason"]),
        };
        let reason = match saga["held"].as_u64() {
            Some(held) if held > 0 => format!("{reason}, {held} held"),
            _ => reason,
        };
        table.add_row([
            text(&saga["saga"]),
            text(&saga["definition"]),
            text(&saga["version_number"]),
            text(&saga["status"]),
            step(saga),
            printable(reason.as_bytes()),
            text(&saga["since"]),
            text(&saga["wakes_at"]),
        ]);
    }
    table
}

/// `ringmaster saga show ID`: the coordinator's answer as it comes, which is JSON.
pub(super) fn show(config: &Config, id: &str, api: Option<&Address>, out: &mut dyn Write) -> Result<(), Failure> {
    say(out, format_args!("{:#}", saga(config, id, api)?))
}

/// `ringmaster saga why ID`
pub(super) fn why(config: &Config, id: &str, api: Option<&Address>, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let saga = saga(config, id, api)?;
    if as_json {
        let parts = [
            "saga",
            "item_of",
            "run_by",
            "version",
            "version_number",
            "status",
            "deadline_at",
            "held_since",
            "paused",
            "ended_at",
            "why",
            "early_events",
        ];
        let shown: serde_json::Map<String, Value> = parts.iter().map(|part| ((*part).to_owned(), saga[part].clone())).collect();
        return say(out, format_args!("{}", json!(shown)));
    }
    say(out, format_args!("{}", reasons(&saga).trim_end()))
}

/// Where the saga stands, and a paragraph for each of its open leaves.
fn reasons(saga: &Value) -> String {
    let mut words = String::new();
    let mut line = |text: String| writeln!(words, "{}", printable(text.as_bytes())).expect("writing to a string");
    if saga["status"] == "expected" {
        line(format!("{} has not begun: events came that it may wait for", text(&saga["saga"])));
    } else {
        let (number, started) = (text(&saga["version_number"]), text(&saga["started_at"]));
        line(format!("{} is {}, by version {number}, started {started}", text(&saga["saga"]), text(&saga["status"])));
    }
    if let Some(above) = saga["item_of"].as_str() {
        line(format!("it is an item of {above}"));
    }
    if let Some(above) = saga["run_by"].as_str() {
        line(format!("it is a sub-saga of {above}, and runs {}", text(&saga["definition"])));
    }
    if !saga["ended_at"].is_null() {
        let until = match &saga["expires_at"] {
            Value::Null => "its saga has ended".to_owned(),
            at => text(at),
        };
        line(format!("it ended {}, and is known until {until}", text(&saga["ended_at"])));
    } else if saga["status"] == "running" && !saga["deadline_at"].is_null() {
        let stands =
            if saga["held_since"].is_null() { String::new() } else { format!("; it stands since {}", text(&saga["held_since"])) };
        line(format!("its deadline is {}{stands}", text(&saga["deadline_at"])));
    }
    paused(saga).into_iter().for_each(&mut line);
    let leaves = saga["why"].as_array().map(Vec::as_slice);
    match leaves {
        Some([]) if saga["status"] != "expected" => line("nothing of it waits".to_owned()),
        Some(_) => {}
        None => line("what it waits for is not known: the coordinator does not have this version of its definition".to_owned()),
    }
    for leaf in leaves.unwrap_or_default() {
        line(String::new());
        line(format!("{} waits for {} ({})", step(leaf), text(&leaf["waits_for"]), text(&leaf["reason"])));
        line(format!("  since     {}", text(&leaf["since"])));
        if leaf["breaker"].is_object() {
            line(format!("  parked    {}", breaker(leaf)));
        }
        if leaf["failure"].is_object() {
            line(format!("  because   {}", because(&leaf["failure"])));
        }
        if !leaf["show"].is_null() {
            line(format!("  shows     {}", text(&leaf["show"])));
        }
        line(format!("  wakes it  {}", text(&leaf["wakes_it"])));
        let at = match &leaf["wakes_at"] {
            Value::Null if leaf["reason"] == "parked" => "when it is its turn".to_owned(),
            Value::Null => "never by itself".to_owned(),
            at => text(at),
        };
        line(format!("  at        {at}"));
        for way in leaf["ways_out"].as_array().into_iter().flatten() {
            line(format!("  way out   {}", text(way)));
        }
    }
    for event in saga["early_events"].as_array().into_iter().flatten() {
        let (kind, source, until) = (text(&event["kind"]), text(&event["source"]), text(&event["kept_until"]));
        line(String::new());
        line(format!("{kind} came early ({source}); it is kept until {until}"));
    }
    line(String::new());
    line(format!("`ringmaster saga history {}` tells how it came to this", text(&saga["saga"])));
    words
}

/// Who paused it, and how it goes on.
fn paused(saga: &Value) -> Vec<String> {
    let paused = &saga["paused"];
    if !paused.is_object() {
        return Vec::new();
    }
    let (since, above) = (text(&paused["since"]), paused["with"].as_str());
    let who = match above {
        Some(above) => format!("it is paused with {above}, since {since}"),
        None => format!("{} paused it at {since}: {}", text(&paused["by"]), text(&paused["why"])),
    };
    let id = above.map_or_else(|| text(&saga["saga"]), str::to_owned);
    vec![who, format!("  way out   ringmaster act resume {id} --why '...': it goes on")]
}

/// Code and message of a failure.
fn because(failure: &Value) -> String {
    let (code, message) = (text(&failure["code"]), text(&failure["message"]));
    match &message[..] {
        "" => code,
        message if message.starts_with(&code) => message.to_owned(),
        message => format!("{code}: {message}"),
    }
}

/// Why what is parked is not asked.
fn breaker(leaf: &Value) -> String {
    let (participant, breaker) = (text(&leaf["participant"]), &leaf["breaker"]);
    let (since, why) = (text(&breaker["since"]), text(&breaker["why"]));
    match (breaker["state"].as_str(), breaker["by"].as_str()) {
        (Some("paused"), by) => format!("{} paused {participant} at {since}: {why}", by.unwrap_or("somebody")),
        (Some("draining"), Some(by)) => {
            format!("{by} resumed {participant} at {since}: {why}; what is parked goes out little by little")
        }
        (Some("draining"), None) => format!("{participant} answers again since {since}; what is parked goes out little by little"),
        _ => format!("the breaker of {participant} opened at {since}: {why}"),
    }
}

/// The step that a row of a list is at.
pub(super) fn step(of: &Value) -> String {
    let undo = if of["undo"] == true { " (undo)" } else { "" };
    format!("{}{undo}", text(&of["step"]))
}

/// A value as people read it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the coordinator knows of a saga.
fn saga(config: &Config, id: &str, api: Option<&Address>) -> Result<Value, Failure> {
    check_id(id)?;
    ask(config, api, &format!("/api/sagas/{id}"))
}

/// What cannot be an id is told before anybody is asked.
pub(super) fn check_id(id: &str) -> Result<(), Failure> {
    if is_plain(id) && api::partition_of(id, 1).is_some() {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format_args!("'{id}' is not a saga id such as order-fulfilment/ord-17")))
}

/// True for what can stand in a path.
fn is_plain(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'?' | b'#'))
}

/// As an instance orders its answer: who needs a person, the longest first, then what is due next, then what is parked.
fn order(saga: &Value) -> (u8, String) {
    match (saga["reason"].as_str(), saga["wakes_at"].as_str()) {
        (Some("stuck"), _) => (0, text(&saga["since"])),
        (_, Some(wakes_at)) => (1, wakes_at.to_owned()),
        _ => (2, text(&saga["since"])),
    }
}
