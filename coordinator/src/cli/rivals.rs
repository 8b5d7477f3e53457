//! Whether another coordinator, by another prefix, starts the same sagas: then each event would have two of them.
//!
//! ```text
//! names of topics -> other prefixes -> what is deployed there -> the same saga on the same event? -> who is in its group? -> refused
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringmaster_bus::kafka::{self, KafkaBus};
use ringmaster_core::definition::DefinitionRecord;
use ringmaster_core::definition::compile::outline::{Begin, outline};
use ringmaster_schemas::names::Topics;

use super::exit::{Exit, Failure};
use crate::config::{BusKind, Config, group_of};
use crate::runtime::{self, Change, Plan};

/// For a coordinator that was killed or stopped to count as running no more: longer than a session, by default.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// An `if` by which no event starts anything any more.
const NEVER: &str = "false";

/// By saga, the events that start it: their topics and types.
type Starts = BTreeMap<String, BTreeSet<(String, String)>>;

/// Refuses sagas that are new here and that a coordinator of another prefix, which runs on the same brokers, starts already: a prefix that
/// was mistyped makes a second coordinator. What was deployed here before is its own right: nobody is asked for it, so that who comes later
/// keeps nobody from coming back. `wait` says, of what may be over soon or is not known yet, whether to ask again.
pub(super) fn refuse(config: &Config, plan: &Plan, mut wait: impl FnMut(&str) -> bool) -> Result<(), Failure> {
    if config.bus != BusKind::Kafka {
        return Ok(());
    }
    let is_new = |change: &&Change| change.before.is_none();
    let ours = starts(plan.changes.iter().filter(is_new).map(|change| &change.record));
    if ours.values().all(BTreeSet::is_empty) {
        return Ok(());
    }
    let settings = config.kafka_settings();
    let names = loop {
        match kafka::topic_names(&settings) {
            Ok(names) => break names,
            Err(error) if wait(&error.to_string()) => {}
            Err(error) => return Err(error.into()),
        }
    };
    for prefix in prefixes(&names, &config.prefix) {
        // By a client of its own: the other's topics are none of what is worked on.
        let theirs = KafkaBus::new(settings.clone()).map_err(Failure::from).and_then(|mut other| {
            let records = runtime::deployed_records(&mut other, &prefix)?;
            Ok(starts(&records))
        });
        match theirs.map(|theirs| in_both(&ours, &theirs)) {
            Ok(same) if same.is_empty() => {}
            Ok(same) => refuse_if_it_runs(config, (&prefix, &same), &mut wait)?,
            Err(Failure { message: why, .. }) => {
                tracing::warn!(
                    prefix,
                    why,
                    "there are topics of another coordinator, and whether it starts the same sagas cannot be read"
                );
            }
        }
    }
    Ok(())
}

/// One that was stopped, or killed, may count as running for as long as its session: it is asked again for a while.
fn refuse_if_it_runs(
    config: &Config,
    (prefix, same): (&str, &[String]),
    wait: &mut impl FnMut(&str) -> bool,
) -> Result<(), Failure> {
    let (settings, group) = (config.kafka_settings(), group_of(prefix));
    loop {
        let (exit, short, why) = match kafka::members(&settings, &group) {
            Ok(members) if members.is_empty() => {
                let same = same.join(", ");
                tracing::warn!(
                    prefix,
                    same,
                    "another coordinator's topics are here, which started the same sagas and does not run now. Is this the right prefix? \
                     A new one starts a saga for each event that `start_at` lets it read"
                );
                return Ok(());
            }
            Ok(members) => {
                let names: Vec<String> = members.into_iter().map(|member| member.name).collect();
                let names = names.join(", ");
                (Exit::Refused, format!("'{prefix}' counts as running: {names}"), runs(config, prefix, same, &names))
            }
            Err(error) => (Exit::Unreachable, error.to_string(), not_known(prefix, same, &error.to_string())),
        };
        if !wait(&short) {
            return Err(Failure::new(exit, why));
        }
    }
}

/// Prefixes of other coordinators, by the topics that each of them has.
fn prefixes(names: &[String], own: &str) -> Vec<String> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let suffix = Topics::new("").journal;
    let prefixes = names.iter().filter_map(|name| name.strip_suffix(&suffix)).filter(|prefix| *prefix != own);
    let has_all = |prefix: &&str| {
        let Topics { definitions, schemas, control, .. } = Topics::new(prefix);
        [definitions, schemas, control].iter().all(|name| names.contains(name.as_str()))
    };
    prefixes.filter(has_all).map(str::to_owned).collect()
}

/// What starts sagas by the newest version of each definition.
fn starts<'r>(records: impl IntoIterator<Item = &'r DefinitionRecord>) -> Starts {
    let newest: BTreeMap<&str, &DefinitionRecord> = records.into_iter().map(|record| (&*record.name, record)).collect();
    let of = |record: &DefinitionRecord| {
        let outlines = outline(&record.file, &record.text).unwrap_or_default();
        let begins = outlines.into_iter().filter(|outline| outline.saga == record.name).flat_map(|outline| outline.starts);
        begins.filter(may_start).map(|begin| (begin.topic, begin.event)).collect()
    };
    newest.into_iter().map(|(name, record)| (name.to_owned(), of(record))).collect()
}

fn may_start(begin: &Begin) -> bool {
    begin.condition.as_deref().is_none_or(|condition| condition.trim() != NEVER)
}

/// Sagas that one event starts in both, with one such event, for people.
fn in_both(ours: &Starts, theirs: &Starts) -> Vec<String> {
    let both = |(saga, starts): (&String, &BTreeSet<(String, String)>)| {
        let (topic, event) = starts.intersection(theirs.get(saga)?).next()?;
        Some(format!("{saga} (on {event} from {topic})"))
    };
    ours.iter().filter_map(both).collect()
}

fn runs(config: &Config, prefix: &str, same: &[String], names: &str) -> String {
    let (own, same) = (&config.prefix, same.join(", "));
    format!(
        "another coordinator, of the prefix '{prefix}', runs on these brokers ({names}) and starts the same sagas: {same}. Each event would \
         have two sagas, which tell others everything twice, and of which one may undo what the other counts on. To be one of its instances, \
         set prefix = '{prefix}' (here it is '{own}'). To take its place, stop it first (it counts as running until its session is over), and \
         set start_at to 'latest' or a time: what it has done would begin again here. To let it finish what it has begun, and take what is new \
         here, deploy a version there whose start has `if: false`"
    )
}

fn not_known(prefix: &str, same: &[String], why: &str) -> String {
    let same = same.join(", ");
    format!(
        "whether another coordinator, of the prefix '{prefix}', runs is not known ({why}), and by what is deployed there it starts the same \
         sagas: {same}. Start again when the brokers say who is in the group {}; if that coordinator is of no use any more, delete its topics",
        group_of(prefix)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, text: &str) -> DefinitionRecord {
        let (name, text) = (name.to_owned(), format!("saga: {name}\n{text}"));
        DefinitionRecord {
            name,
            hash: String::new(),
            file: String::new(),
            line: 1,
            text,
            schemas: BTreeMap::new(),
            deployed_at: 0,
            deployed_by: None,
        }
    }

    fn on(name: &str, start: &str) -> DefinitionRecord {
        let steps = "steps:\n  - { step: task, do: worker.Work, with: { id: key }, undo: nothing }\n";
        record(name, &format!("start: {{ {start} }}\n{steps}"))
    }

    #[test]
    fn other_coordinators_are_known_by_their_topics() {
        let names = |prefix: &str| {
            let Topics { journal, definitions, schemas, control, .. } = Topics::new(prefix);
            [journal, definitions, schemas, control]
        };
        let mut all: Vec<String> = ["ringmaster", "ring.master"].iter().flat_map(|prefix| names(prefix)).collect();
        all.extend(["travel.journal", "orders", ".journal"].map(str::to_owned));
        assert_eq!(prefixes(&all, "ringmaster"), ["ring.master"], "a journal alone is somebody's diary");
        assert_eq!(prefixes(&all, "ring"), ["ring.master", "ringmaster"]);
    }

    #[test]
    fn the_same_saga_on_the_same_event_is_found() {
        let ours =
            [on("order", "on: OrderPlaced, from: orders, key: event.id"), on("refund", "on: Asked, from: refunds, key: event.id")];
        let both = |theirs: &[DefinitionRecord]| in_both(&starts(&ours), &starts(theirs));
        let same = on("order", "on: OrderPlaced, from: orders, key: event.other, if: event.x > 1");
        assert_eq!(both(std::slice::from_ref(&same)), ["order (on OrderPlaced from orders)"]);
        assert_eq!(both(&[on("order", "on: OrderPlaced, from: others, key: event.id")]), [""; 0], "another topic");
        assert_eq!(
            both(&[on("points", "on: OrderPlaced, from: orders, key: event.id")]),
            [""; 0],
            "another saga on the same event"
        );
        let ended = on("order", "on: OrderPlaced, from: orders, key: event.id, if: false");
        assert_eq!(both(&[same.clone(), ended.clone()]), [""; 0], "it starts no more");
        assert_eq!(both(&[ended, same]).len(), 1, "it starts again");
        assert_eq!(both(&[record("order", "what: is this")]), [""; 0], "a later language");
    }
}
