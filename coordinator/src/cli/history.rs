//! `saga history`: what happened to a saga, of a coordinator, or read from the journal here.

use std::io::Write;

use clap::Args;
use ringmaster_bus::Bus;
use ringmaster_schemas::names::{Topics, percent_encode};

use super::arguments::Asked;
use super::asking::ask_typed;
use super::buses::{self, Access, on_bus};
use super::definitions::{require_topics, say};
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::saga::{self, check_id};
use super::text::{self, printable};
use crate::api::{self, HistoryPage, HistoryTurn};
use crate::config::{BusKind, Config};
use crate::history::{self, Bounds, LIMIT_MAX, Place, Row, Trouble};
use crate::runtime;

/// What stands on the command line.
#[derive(Debug, Args)]
pub(super) struct HistoryArguments {
    /// For example order-fulfilment/ord-17.
    id: String,
    /// At most so many events, the newest.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT", value_parser = super::sagas::count)]
    limit: usize,
    /// Read the whole journal of the saga's partition: it also tells inputs that were not taken, events that came before the saga, and
    /// what an earlier saga of this id did.
    #[arg(long)]
    scan: bool,
    /// One JSON object a line, each a turn.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// `ringmaster saga history ID`
pub(super) fn history(config: &Config, arguments: &HistoryArguments, out: &mut dyn Write) -> Result<(), Failure> {
    check_id(&arguments.id)?;
    let found = match (&arguments.asked.api, config.bus) {
        (Some(_), _) => of_coordinator(config, arguments)?,
        // The bus is the coordinator's own: it is asked, as long as it runs.
        (None, BusKind::Embedded) => match of_coordinator(config, arguments) {
            Err(failure) if failure.exit == Exit::Unreachable => of_journal(config, arguments)?,
            found => found?,
        },
        // Whoever reaches the broker needs no coordinator.
        (None, BusKind::Kafka) => of_journal(config, arguments)?,
    };
    tell(found, arguments, out)
}

/// The newest events of a story, and what is said of all of it.
struct Found {
    turns: Vec<HistoryTurn>,
    /// Events before them.
    left_out: usize,
    partition: i32,
    gone: Option<String>,
    how: String,
}

impl Found {
    /// Of all pages: what asks for one takes the cursor.
    fn of(limit: usize, mut ask: impl FnMut(Option<&str>) -> Result<HistoryPage, Failure>) -> Result<Found, Failure> {
        let mut page = ask(None)?;
        let mut found = Found { turns: Vec::new(), left_out: 0, partition: page.partition, gone: None, how: page.how };
        loop {
            found.gone = found.gone.or(page.gone.take());
            found.turns.append(&mut page.items);
            found.keep(limit);
            let Some(cursor) = page.next_cursor else { return Ok(found) };
            page = ask(Some(&cursor))?;
        }
    }

    fn keep(&mut self, limit: usize) {
        let count: usize = self.turns.iter().map(|turn| turn.events.len()).sum();
        let mut excess = count.saturating_sub(limit);
        self.left_out += excess;
        for turn in &mut self.turns {
            let cut = excess.min(turn.events.len());
            turn.events.drain(..cut);
            excess -= cut;
        }
        self.turns.retain(|turn| !turn.events.is_empty());
    }
}

/// Asks a coordinator, which reads the journal.
fn of_coordinator(config: &Config, arguments: &HistoryArguments) -> Result<Found, Failure> {
    let HistoryArguments { id, limit, scan, asked, .. } = arguments;
    let pages = |scan: bool| {
        Found::of(*limit, |cursor| {
            let mut path = format!("/api/v1/saga/history?limit={LIMIT_MAX}&scan={scan}&id=");
            percent_encode(id, &mut path);
            path.extend(cursor.map(|cursor| format!("&cursor={cursor}")));
            ask_typed(config, asked.api.as_ref(), &path)
        })
    };
    match pages(*scan) {
        // It has no row (any more): the journal may have it all the same.
        Err(failure) if failure.exit == Exit::NotFound && !scan => pages(true),
        found => found,
    }
}

/// Reads the journal here, by what a coordinator says of the saga's row.
fn of_journal(config: &Config, arguments: &HistoryArguments) -> Result<Found, Failure> {
    let HistoryArguments { id, limit, scan, asked, .. } = arguments;
    // Asked before the journal is read: what is not in the row is behind it.
    let row = match scan {
        true => Err("as was asked for".to_owned()),
        false => saga::saga(config, id, asked.api.as_ref()).map_err(|failure| failure.message).and_then(|shown| Row::of(&shown)),
    };
    let mut any = buses::open(config, Access::Read)?;
    on_bus!(&mut any, bus => read(bus, config, (id, *limit), &row))
}

fn read(bus: &mut impl Bus, config: &Config, (id, limit): (&str, usize), row: &Result<Row, String>) -> Result<Found, Failure> {
    let topics = Topics::new(&config.prefix);
    require_topics(bus, config)?;
    let known = runtime::read_knowledge(bus, &config.prefix, &config.schemas, &config.compile_options())?;
    let Some(described) = bus.describe(&[&topics.journal])?.into_iter().next().flatten() else {
        let why = format_args!("there is no topic {}: run `ringmaster topics apply`", topics.journal);
        return Err(Failure::new(Exit::Refused, why));
    };
    let partition = api::partition_of(id, described.partitions).expect("it is an id");
    let mut progress = Progress::begin();
    let mut watch = |offset: i64, end: i64| progress.at(format_args!("{}/{partition}: offset {offset} of {end}", topics.journal));
    Found::of(limit, |cursor| {
        let from = cursor.and_then(|cursor| Place::read(cursor, id));
        let bounds = Bounds { turns: LIMIT_MAX, records: usize::MAX, time: None };
        let asked = history::Asked { id, partition, row: row.as_ref().map_err(Clone::clone), from, bounds };
        history::page(bus, &topics, &known.catalog, &asked, &mut watch).map_err(failed)
    })
}

fn failed(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Bus(error) => error.into(),
        Trouble::Journal(why) | Trouble::Moved(why) => Failure::new(Exit::Journal, why),
        Trouble::Nothing(why) => Failure::new(Exit::NotFound, why),
    }
}

fn tell(found: Found, arguments: &HistoryArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let Found { turns, left_out, partition, gone, how } = found;
    // Nobody need listen.
    let aside = |text: &str| drop(writeln!(std::io::stderr(), "{text}"));
    if let Some(gone) = gone {
        aside(&gone);
    }
    if arguments.json {
        aside(&how);
        if left_out > 0 {
            aside(&format!("{left_out} older ones are left out (--limit)"));
        }
        let json = |turn: &HistoryTurn| serde_json::to_string(turn).expect("texts are always JSON");
        return turns.iter().try_for_each(|turn| say(out, format_args!("{}", json(turn))));
    }
    let mut table = text::table(["AT", "OFFSET", "BY", "WHAT"]);
    for HistoryTurn { at, offset, cause, events, .. } in &turns {
        for event in events {
            table.add_row([at.clone(), offset.to_string(), cause.text.clone(), printable(event.text.as_bytes())]);
        }
    }
    say(out, format_args!("{table}"))?;
    let older = if left_out > 0 { format!("; {left_out} older ones are left out (--limit)") } else { String::new() };
    let count = match turns.iter().map(|turn| turn.events.len()).sum() {
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    say(out, format_args!("{count} of partition {partition} of the journal{older}; {how}"))
}
