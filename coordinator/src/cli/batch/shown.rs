//! A batch in words and tables.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;

use super::super::definitions::say;
use super::super::exit::Failure;
use super::super::text::{self, printable};
use crate::api::{BatchProgress, BatchShown};

fn json_of(batch: &BatchShown) -> String {
    serde_json::to_string(batch).expect("it is JSON")
}

fn word(what: impl serde::Serialize) -> String {
    json!(what).as_str().unwrap_or_default().to_owned()
}

fn sagas(count: usize) -> String {
    if count == 1 { "1 saga".to_owned() } else { format!("{count} sagas") }
}

fn counted(counts: &BTreeMap<String, usize>) -> String {
    counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// What is done to each: `resolve at ship (refused, NOT_SENT)`.
fn what(batch: &BatchShown) -> String {
    let BatchShown { act, step, undo, outcome, code, has_value, .. } = batch;
    let outcome = outcome.map(word);
    let said = outcome.iter().chain(code).map(String::as_str).chain(has_value.then_some("with a value"));
    let said = said.collect::<Vec<_>>().join(", ");
    let of = if *undo { "the undo of " } else { "" };
    let at = step.as_ref().map_or_else(String::new, |step| format!(" at {of}{step}"));
    let saying = if said.is_empty() { said } else { format!(" ({said})") };
    printable(format!("{}{at}{saying}", word(act)).as_bytes())
}

/// How far it is.
pub(super) fn words(batch: &BatchShown) -> String {
    let BatchProgress { done, moved_on, rejected, left, on_their_way } = &batch.progress;
    let on_their_way = if *on_their_way > 0 { format!(" ({on_their_way} on their way)") } else { String::new() };
    let state = word(batch.state);
    format!("{} {state}: {done} done, {moved_on} moved on, {rejected} rejected, {left} left{on_their_way}", batch.batch)
}

/// What was selected, and how it is started.
pub(super) fn preview(batch: &BatchShown, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return say(out, format_args!("{}", json_of(batch)));
    }
    for (title, counts) in [("by definition", &batch.by_definition), ("by status", &batch.by_status), ("by step", &batch.by_step)] {
        if !counts.is_empty() {
            say(out, format_args!("{title}: {}", printable(counted(counts).as_bytes())))?;
        }
    }
    if !batch.sample.is_empty() {
        let some: Vec<&str> = batch.sample.iter().map(|line| line.saga.as_str()).collect();
        let more = match batch.matched > some.len() {
            true => format!(", ... (`ringmaster batch show {} --sagas` has all)", batch.batch),
            false => String::new(),
        };
        say(out, format_args!("they are {}{more}", printable(some.join(", ").as_bytes())))?;
    }
    if batch.left_out > 0 {
        let why =
            "an earlier build stored them, so that which turn was their last is not known; `ringmaster act` is for each of them";
        say(out, format_args!("{} are left out: {why}", sagas(batch.left_out)))?;
    }
    let (id, all, count) = (&batch.batch, sagas(batch.matched), batch.matched);
    say(out, format_args!("{all} selected by {}; nothing was done", printable(batch.filter.as_bytes())))?;
    if count == 0 {
        return Ok(());
    }
    let (what, until) = (what(batch), &batch.expires_at);
    say(out, format_args!("to {what} {all} as they were seen, until {until}: ringmaster batch start {id} --expected {count}"))
}

/// How far it is.
pub(super) fn progress(batch: &BatchShown, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    match as_json {
        true => say(out, format_args!("{}", json_of(batch))),
        false => say(out, format_args!("{}", words(batch))),
    }
}

/// Some of the acts that were not taken, and why.
pub(super) fn examples(batch: &BatchShown, out: &mut dyn Write) -> Result<(), Failure> {
    for example in &batch.examples {
        let line = format!("{}  {}: {}", example.saga, example.reason, example.detail);
        say(out, format_args!("{}", printable(line.as_bytes())))?;
    }
    let not_taken = batch.progress.moved_on + batch.progress.rejected;
    match not_taken.saturating_sub(batch.examples.len()) {
        0 => Ok(()),
        more => say(out, format_args!("and {more} more")),
    }
}

/// `ringmaster batch list`
pub(super) fn list(batches: &[BatchShown], as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return batches.iter().try_for_each(|batch| say(out, format_args!("{}", json_of(batch))));
    }
    if batches.is_empty() {
        return say(out, format_args!("no batch was made in the last 30 days; `ringmaster batch preview` makes one"));
    }
    let mut table = text::table(["BATCH", "STATE", "ACT", "SAGAS", "DONE", "MOVED ON", "REJECTED", "LEFT", "BY", "MADE", "WHY"]);
    for batch in batches {
        let BatchProgress { done, moved_on, rejected, left, .. } = &batch.progress;
        let counts = [batch.matched, *done, *moved_on, *rejected, *left].map(|count| count.to_string());
        let about = [batch.batch.clone(), word(batch.state), what(batch)];
        let who = [&batch.by, &batch.made_at, &batch.why].map(|text| printable(text.as_bytes()));
        table.add_row(about.into_iter().chain(counts).chain(who));
    }
    say(out, format_args!("{table}"))
}

/// `ringmaster batch show`
pub(super) fn show(batch: &BatchShown, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return say(out, format_args!("{}", json_of(batch)));
    }
    let (by, why, filter) = (&batch.by, &batch.why, &batch.filter);
    let told = format!("to {} {}, selected by {filter}, says {by}: {why}", what(batch), sagas(batch.matched));
    say(out, format_args!("{}", printable(told.as_bytes())))?;
    for (at, by, order) in batch.orders.iter().map(|order| (&order.at, &order.by, &order.order)) {
        let rate = batch.rate.filter(|_| order == "start").map_or_else(String::new, |rate| format!(", {rate} a second"));
        say(out, format_args!("{at}  {order} by {}{rate}", printable(by.as_bytes())))?;
    }
    if !batch.partitions.is_empty() {
        let mut table = text::table(["PARTITION", "SAGAS", "SETTLED"]);
        for share in &batch.partitions {
            table.add_row([share.partition.to_string(), share.matched.to_string(), share.settled.to_string()]);
        }
        say(out, format_args!("{table}"))?;
    }
    if !batch.reasons.is_empty() {
        say(out, format_args!("not taken: {}", counted(&batch.reasons)))?;
    }
    examples(batch, out)?;
    say(out, format_args!("{}", words(batch)))
}
