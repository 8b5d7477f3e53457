//! The one grammar by which sagas are chosen: by the API, the command line, and acts on many.
//!
//! ```text
//! status:stuck,parked definition:order-fulfilment since:>2h customer=c-7     space: and; comma: or; NAME=VALUE: by a value of `search`
//! ```
//!
//! It is neither SQL nor an expression: whatever can be said here is answered out of indexes, or row by row in pages that are bounded.

mod matches;
mod words;

use std::collections::BTreeSet;

use ringmaster_core::definition::{Catalog, parse_millis};
use ringmaster_schemas::Millis;
use ringmaster_schemas::json::time::parse_timestamp;
use ringmaster_schemas::names::step_of_round;
use ringmaster_schemas::state::{Standing, Waits};

pub(super) use matches::{Leaf, Row};
pub(super) use words::Wrong;
pub(crate) use words::quoted;
use words::{Said, Term, Value, wrong};

/// A filter is at most so long, in bytes.
const BYTES_MAX: usize = 4 << 10;
/// A term names so many values at most, and a filter so many values of `search`.
const VALUES_MAX: usize = 64;
const SEARCH_MAX: usize = 8;
/// So many steps are named where none is called so.
const STEPS_SHOWN: usize = 20;
/// What a saga's ends are called where they need a person.
const ENDS: [&str; 2] = ["on_completed", "on_compensated"];

/// Which sagas are meant. What is not said of them is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// How they stand.
    pub(super) statuses: BTreeSet<Standing>,
    /// By which definition they run.
    pub(super) definitions: BTreeSet<String>,
    /// By which versions of it, by their running numbers.
    pub(super) versions: BTreeSet<u32>,
    /// Their keys.
    pub(super) keys: Vec<Pattern>,
    /// When they began.
    pub(super) started: Option<When>,
    /// All of these values of `search`.
    pub(super) search: Vec<(String, String)>,
    /// What one of their open leaves is like.
    pub(super) leaf: LeafFilter,
}

/// What an open leaf is like. What is not said of it is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LeafFilter {
    /// Why it waits, as `saga why` says it.
    pub(super) reasons: BTreeSet<String>,
    /// Whose doing it waits for.
    pub(super) participants: BTreeSet<String>,
    /// Which step it is.
    pub(super) steps: BTreeSet<String>,
    /// The code of what failed; of a saga that has ended, that for which it was undone.
    pub(super) codes: BTreeSet<String>,
    /// Since when it waits; of a saga that has ended, when it did.
    pub(super) since: Option<When>,
}

/// A key, or what it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) text: String,
    /// More may follow.
    pub(super) is_begin: bool,
}

/// Before or behind a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// For longer than this.
    Longer(Millis),
    /// For less than this.
    Less(Millis),
    /// Before this time.
    Before(Millis),
    /// At this time or later.
    After(Millis),
}

impl When {
    /// Whether a time is meant, by now.
    fn is(self, at: Millis, now: Millis) -> bool {
        match self {
            When::Longer(age) => now - at > age,
            When::Less(age) => now - at < age,
            When::Before(time) => at < time,
            When::After(time) => at >= time,
        }
    }
}

impl LeafFilter {
    /// Whether anything is said.
    pub(super) fn says_something(&self) -> bool {
        *self != LeafFilter::default()
    }
}

/// The terms that there are, as errors name them.
const TERMS: &str =
    "status, definition, version, waits, participant, step, code, since, started, key, or NAME=VALUE by a definition's search";

impl Filter {
    /// Reads a filter.
    pub(super) fn parse(text: &str) -> Result<Filter, Wrong> {
        if text.len() > BYTES_MAX {
            return wrong(1, format!("a filter has at most {BYTES_MAX} bytes"), "ask for less at once");
        }
        let (mut filter, mut said) = (Filter::default(), BTreeSet::new());
        for Term { column, name, said: values } in words::terms(text)? {
            let values = match values {
                Said::Is(value) => {
                    filter.search.push((name, value.text));
                    continue;
                }
                Said::Any(values) => values,
            };
            if values.len() > VALUES_MAX {
                return wrong(column, format!("a term has at most {VALUES_MAX} values"), "ask for less at once");
            }
            if !said.insert(name.clone()) {
                let hint = format!("write all its values behind one another: {name}:ONE,OTHER");
                return wrong(column, format!("'{name}:' is there twice"), &hint);
            }
            filter.add(column, &name, values)?;
        }
        filter.check()?;
        Ok(filter)
    }

    fn add(&mut self, column: usize, name: &str, values: Vec<Value>) -> Result<(), Wrong> {
        let texts = |values: Vec<Value>| values.into_iter().map(|value| value.text).collect();
        match name {
            "status" => self.statuses = values.iter().map(status).collect::<Result<_, _>>()?,
            "definition" => self.definitions = texts(values),
            "version" => self.versions = values.iter().map(version).collect::<Result<_, _>>()?,
            "waits" => self.leaf.reasons = values.iter().map(reason).collect::<Result<_, _>>()?,
            "participant" => self.leaf.participants = texts(values),
            "step" => self.leaf.steps = texts(values),
            "code" => self.leaf.codes = texts(values),
            "since" => self.leaf.since = Some(when(column, &values)?),
            "started" => self.started = Some(when(column, &values)?),
            "key" => self.keys = values.iter().map(pattern).collect(),
            _ => return wrong(column, format!("there is no term '{name}:'"), &format!("there are {TERMS}")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Wrong> {
        if self.search.len() > SEARCH_MAX {
            return wrong(1, format!("at most {SEARCH_MAX} values of search are asked for at once"), "leave some out");
        }
        match self.search.first() {
            Some((name, _)) if self.definitions.is_empty() => {
                let why = format!("'{name}=' says no definition, and each says itself what it is searched by");
                wrong(1, why, "add definition:NAME")
            }
            _ => Ok(()),
        }
    }

    /// Whether it is about sagas that stand so, or wait so, and no others.
    pub(super) fn is_only(&self, standing: Standing, waits: Waits) -> bool {
        self.statuses.iter().eq([&standing]) || self.leaf.reasons.iter().eq([waits.as_str()])
    }

    /// Why nothing can be found: something that it names is not deployed.
    pub(super) fn names_nothing(&self, catalog: &Catalog) -> Option<String> {
        let known: BTreeSet<&str> = catalog.versions().iter().map(|(definition, _)| &*definition.name).collect();
        if let Some(name) = self.definitions.iter().find(|name| !known.contains(&***name)) {
            return Some(format!("no saga '{name}' is deployed; {}", there(known)));
        }
        for (name, _) in &self.search {
            let versions = catalog.versions();
            let of = versions.iter().filter(|(version, _)| self.definitions.contains(&*version.name));
            let known: BTreeSet<&str> = of.flat_map(|(version, _)| &version.search).map(|search| &*search.name).collect();
            if !known.contains(&**name) {
                let of: Vec<&str> = self.definitions.iter().map(String::as_str).collect();
                let of = of.join(", ");
                return Some(match known.is_empty() {
                    true => format!(
                        "no version of {of} is searched by '{name}', nor by anything else: add `search` to the definition and deploy it, for new \
                         sagas; those that are there are found by key:ONE,OTHER"
                    ),
                    false => format!("no version of {of} is searched by '{name}'; {}", there(known)),
                });
            }
        }
        let participants = catalog.participants();
        let known: BTreeSet<&str> = participants.iter().map(|known| &**known).collect();
        if let Some(name) = self.leaf.participants.iter().find(|name| !known.contains(&***name)) {
            return Some(format!("no saga that is deployed asks '{name}'; {}", there(known)));
        }
        self.names_no_step(catalog)
    }

    /// The same of steps: no version has it, of the definitions that are named, or of any.
    fn names_no_step(&self, catalog: &Catalog) -> Option<String> {
        if self.leaf.steps.is_empty() {
            return None;
        }
        let versions = catalog.versions();
        let is_meant = |name: &str| self.definitions.is_empty() || self.definitions.contains(name);
        let nodes = versions.iter().filter(|(version, _)| is_meant(&version.name)).flat_map(|(version, _)| version.nodes.iter());
        let known: BTreeSet<&str> = nodes.map(|node| &*node.name).filter(|name| !name.is_empty()).collect();
        // What is told at an end is no step, and waits under this name where it cannot be told.
        let is_known = |name: &str| known.contains(name) || ENDS.contains(&name);
        let name = self.leaf.steps.iter().find(|name| !is_known(step_of_round(name)))?;
        let of = match self.definitions.is_empty() {
            true => "saga that is deployed".to_owned(),
            false => format!("version of {}", self.definitions.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        };
        let more = known.len().saturating_sub(STEPS_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("no {of} has a step '{name}'; {}{more}", there(known.into_iter().take(STEPS_SHOWN).collect())))
    }
}

/// What there is of something, for people.
pub(super) fn there(known: BTreeSet<&str>) -> String {
    match known.is_empty() {
        true => "there is none".to_owned(),
        false => format!("there is {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

fn one_of<'a>(value: &Value, what: &str, known: impl Iterator<Item = &'a str>) -> Result<String, Wrong> {
    let known: Vec<&str> = known.collect();
    if known.contains(&&*value.text) {
        return Ok(value.text.clone());
    }
    wrong(value.column, format!("'{}' is no {what}", value.text), &format!("there is {}", known.join(", ")))
}

fn status(value: &Value) -> Result<Standing, Wrong> {
    let word = one_of(value, "status", Standing::ALL.iter().map(|standing| standing.as_str()))?;
    Ok(*Standing::ALL.iter().find(|standing| standing.as_str() == word).expect("it is one of them"))
}

/// What a sub-saga is waited for is no word of the row, but of the definition.
pub(super) const SUB_SAGA: &str = "sub-saga";

fn reason(value: &Value) -> Result<String, Wrong> {
    let words = Waits::ALL.iter().filter(|waits| **waits != Waits::No).map(|waits| waits.as_str());
    one_of(value, "reason to wait", words.chain([SUB_SAGA]))
}

fn version(value: &Value) -> Result<u32, Wrong> {
    let number = value.text.parse().ok().filter(|number| *number > 0);
    let why = || wrong(value.column, format!("'{}' is no version", value.text), "versions have running numbers, from 1");
    number.map_or_else(why, Ok)
}

fn pattern(value: &Value) -> Pattern {
    match value.text.strip_suffix('*').filter(|_| !value.is_quoted) {
        Some(begin) => Pattern { text: begin.to_owned(), is_begin: true },
        None => Pattern { text: value.text.clone(), is_begin: false },
    }
}

fn when(column: usize, values: &[Value]) -> Result<When, Wrong> {
    let hint = "it is > or <, and an age such as 2h, or a time such as 2026-01-31T00:00:00Z: >2h is longer ago than two hours";
    let [value] = values else { return wrong(column, "it says one time".to_owned(), hint) };
    let (is_more, text) = match (value.text.strip_prefix('>'), value.text.strip_prefix('<')) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return wrong(value.column, format!("'{}' says neither > nor <", value.text), hint),
    };
    if let Ok(age) = parse_millis(text) {
        return Ok(if is_more { When::Longer(age) } else { When::Less(age) });
    }
    match parse_timestamp(text) {
        Some(micros) if is_more => Ok(When::After(micros.div_euclid(1_000))),
        Some(micros) => Ok(When::Before(micros.div_euclid(1_000))),
        None => wrong(value.column, format!("'{text}' is neither an age nor a time"), hint),
    }
}

#[cfg(test)]
mod tests;
