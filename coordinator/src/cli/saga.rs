//! `saga show` and `saga why`: where a saga stands, and what it waits for, asked of the running coordinator.

use std::fmt::Write as _;
use std::io::Write;

use ringmaster_schemas::names::percent_encode;
use serde_json::Value;

use super::asking::ask;
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::scaling::seconds;
use super::text::printable;
use crate::api::{self, BEFORE_MAX, client::Address};
use crate::config::Config;

/// `ringmaster saga show ID`: the coordinator's answer as it comes, which is JSON.
pub(super) fn show(config: &Config, id: &str, api: Option<&Address>, out: &mut dyn Write) -> Result<(), Failure> {
    say(out, format_args!("{:#}", saga(config, id, api)?))
}

/// `ringmaster saga why ID`
pub(super) fn why(config: &Config, id: &str, api: Option<&Address>, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let saga = of(config, ("saga/why", id), api)?;
    if as_json {
        return say(out, format_args!("{saga}"));
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
        if let Some(evidence) = evidence(leaf) {
            line(format!("  evidence  {evidence}"));
        }
        let at = match &leaf["wakes_at"] {
            Value::Null if leaf["reason"] == "parked" => "when it is its turn".to_owned(),
            Value::Null => "never by itself".to_owned(),
            at => text(at),
        };
        line(format!("  at        {at}"));
        for way in leaf["ways_out"].as_array().into_iter().flatten() {
            let command = way["command"].as_str().map_or_else(String::new, |command| format!("{command}: "));
            line(format!("  way out   {command}{}", text(&way["effect"])));
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

/// What is known of the participant that it waits for.
fn evidence(leaf: &Value) -> Option<String> {
    let (of, participant) = (&leaf["evidence"], text(&leaf["on"]["participant"]));
    of.is_object().then(|| {
        let number = |name: &str| of[name].as_u64().unwrap_or(0);
        let known = |name: &str, what: &str| of[name].as_u64().map(|number| format!("{number} {what}"));
        let for_so_long = |name: &str| of[name].as_f64().map(seconds);
        let mut all: Vec<String> = known("unanswered", "unanswered").into_iter().collect();
        all.extend(for_so_long("oldest_s").map(|oldest| format!("the oldest for {oldest}")));
        all.extend(for_so_long("silent_s").map(|silent| format!("nothing was answered for {silent}")));
        all.extend(known("parked", "parked"));
        all.extend(of["before_it"].as_u64().map(|before| match before {
            BEFORE_MAX.. => format!("{BEFORE_MAX} or more go out before this one"),
            before => format!("{before} go out before this one"),
        }));
        let partitions = match (number("partitions"), number("partitions_of")) {
            (some, all) if some < all => format!(" (by {some} of {all} partitions)"),
            _ => String::new(),
        };
        format!("{participant}: {}{partitions}", all.join(", "))
    })
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
pub(super) fn saga(config: &Config, id: &str, api: Option<&Address>) -> Result<Value, Failure> {
    of(config, ("saga", id), api)
}

fn of(config: &Config, (what, id): (&str, &str), api: Option<&Address>) -> Result<Value, Failure> {
    check_id(id)?;
    // An id has percent signs of its own: as a value of a query it is encoded once more.
    let mut path = format!("/api/v1/{what}?id=");
    percent_encode(id, &mut path);
    ask(config, api, &path)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_of_whom_it_waits_for_is_said() {
        let of = |evidence: Value| super::evidence(&json!({ "on": { "participant": "payment" }, "evidence": evidence }));
        let all = json!({ "unanswered": 300, "oldest_s": 41.2, "silent_s": null, "parked": 12, "before_it": 7, "partitions": 4, "partitions_of": 8 });
        let said = "payment: 300 unanswered, the oldest for 41 s, 12 parked, 7 go out before this one (by 4 of 8 partitions)";
        assert_eq!(of(all).as_deref(), Some(said));
        let little = json!({ "unanswered": null, "parked": null, "silent_s": 700.0, "before_it": BEFORE_MAX, "partitions": 0, "partitions_of": 0 });
        assert_eq!(of(little).as_deref(), Some("payment: nothing was answered for 12 min, 10000 or more go out before this one"));
        assert_eq!(of(Value::Null), None);
    }
}
