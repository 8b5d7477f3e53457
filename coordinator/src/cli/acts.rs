//! `act-list`: what people have done, asked of a coordinator, page by page.

use std::io::Write;

use clap::Args;
use comfy_table::Table;
use ringmaster_schemas::names::percent_encode;

use super::arguments::Asked;
use super::asking::ask_typed;
use super::definitions::say;
use super::exit::Failure;
use super::saga::check_id;
use super::text::{self, printable};
use crate::api::{ActLine, ActPage};
use crate::audit::LIMIT_MAX;
use crate::config::Config;

pub(super) const EXAMPLES: &str = "Examples:\n  \
    ringmaster act-list --since 1d\n  \
    ringmaster act-list --saga order-fulfilment/ord-17\n  \
    ringmaster act-list --by ann --since 2026-01-31T00:00:00Z --json | jq -r 'select(.outcome == \"rejected\") | .detail'";

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct ActListArguments {
    /// Only those on this saga, for example order-fulfilment/ord-17.
    #[arg(long, value_name = "ID")]
    saga: Option<String>,
    /// Only those on this participant.
    #[arg(long, value_name = "NAME")]
    participant: Option<String>,
    /// Only those by this name.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only those that are not older: an age such as 2h, or a time such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<String>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = super::sagas::count)]
    limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// `ringmaster act-list`
pub(super) fn list(config: &Config, arguments: &ActListArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let ActListArguments { saga, participant, by, since, limit, json, asked } = arguments;
    saga.as_deref().map_or(Ok(()), check_id)?;
    let mut path = format!("/api/v1/acts?limit={}", LIMIT_MAX.min(*limit));
    for (name, value) in [("saga", saga), ("participant", participant), ("by", by), ("since", since)] {
        if let Some(value) = value {
            path += &format!("&{name}=");
            percent_encode(value, &mut path);
        }
    }
    let (mut acts, mut cursor): (Vec<ActLine>, Option<String>) = (Vec::new(), None);
    loop {
        let behind = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let page: ActPage = ask_typed(config, asked.api.as_ref(), &format!("{path}{behind}"))?;
        acts.extend(page.items);
        cursor = page.next_cursor;
        if acts.len() >= *limit || cursor.is_none() {
            break;
        }
    }
    let more = if acts.len() > *limit || cursor.is_some() { "; there are older ones (--limit)" } else { "" };
    acts.truncate(*limit);
    if *json {
        let text = |act: &ActLine| serde_json::to_string(act).expect("texts are always JSON");
        return acts.iter().try_for_each(|act| say(out, format_args!("{}", text(act))));
    }
    if !acts.is_empty() {
        say(out, format_args!("{}", table_of(&acts)))?;
    }
    let count = if acts.len() == 1 { "1 act".to_owned() } else { format!("{} acts", acts.len()) };
    say(out, format_args!("{count}{more}"))
}

fn table_of(acts: &[ActLine]) -> Table {
    let mut table = text::table(["AT", "BY", "ACT", "ON", "WHY", "OUTCOME", "PARTITION", "OFFSET"]);
    for act in acts {
        let on = act.saga.as_ref().or(act.participant.as_ref()).cloned().unwrap_or_default();
        let outcome = act.reason.as_ref().map_or_else(|| act.outcome.clone(), |reason| format!("{}: {reason}", act.outcome));
        let offset = act.offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        let what = act.step.as_ref().map_or_else(|| act.act.clone(), |step| format!("{} {step}", act.act));
        let row = [act.at.clone(), act.by.clone(), what, on, act.why.clone(), outcome, act.partition.to_string(), offset];
        table.add_row(row.map(|cell| printable(cell.as_bytes())));
    }
    table
}
