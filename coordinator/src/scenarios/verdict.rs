//! What happened, held against what a scenario says; where they differ, as a diff.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ringmaster_core::definition::compile::did_you_mean;
use ringmaster_core::definition::yaml::Kind;
use ringmaster_schemas::Millis;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::form::{Expected, Scenario};
use super::stage::{Happening, Played};
use super::values::{brief, json, matches, named};

/// Attempts of one command that are shown in a row; the rest is counted.
const ATTEMPTS_SHOWN: usize = 3;

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is not as the scenario says; none if it passes.
    pub misses: Vec<Miss>,
    /// What was expected and what happened, as a diff; empty if it passes.
    pub diff: String,
    /// What happened, for people: a line each.
    pub story: Vec<String>,
}

/// Something that is not as a scenario says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The line that says it.
    pub line: usize,
    /// For people.
    pub message: String,
}

impl Verdict {
    /// True if all is as the scenario says.
    pub fn passed(&self) -> bool {
        self.misses.is_empty()
    }
}

/// Judges a scenario that was played.
pub(super) fn judge(scenario: &Scenario, played: Played) -> Verdict {
    let pairs = pairs(&scenario.then, &played.story);
    let misses = misses(scenario, &played, &pairs);
    let story = played.story.iter().map(|happening| format!("{} {}", time(happening.after), whole(happening)));
    let story = story.chain([format!("ends: {}", ending(&played))]).collect();
    let diff = if misses.is_empty() { String::new() } else { diff(scenario, &played, &pairs) };
    Verdict { misses, diff, story }
}

fn is(expected: &Expected, happening: &Happening) -> bool {
    expected.what == happening.what && expected.fields.as_ref().is_none_or(|fields| matches(fields, &happening.body))
}

/// By what is expected, in order: which happening it is. Nothing behind the first that did not happen.
fn pairs(then: &[Expected], story: &[Happening]) -> Vec<Option<usize>> {
    let mut from = 0;
    let mut pairs = Vec::with_capacity(then.len());
    for expected in then {
        let found = story.iter().skip(from).position(|happening| is(expected, happening)).map(|at| from + at);
        // What is missing once may be missed out: what follows is looked for behind what was found before.
        from = found.map_or(from, |at| at + 1);
        pairs.push(found);
    }
    pairs
}

/// A field that is expected, and that nothing of this kind has: without a schema a slip of the pen is only found out here.
fn unknown_field(expected: &Expected, story: &[Happening]) -> Option<String> {
    let Kind::Map(fields) = &expected.fields.as_ref()?.kind else { return None };
    let bodies =
        || story.iter().filter(|happening| happening.what == expected.what).filter_map(|happening| happening.body.as_object());
    bodies().next()?;
    // What is to be nothing may be absent.
    let mut names = fields.iter().filter(|(_, wanted)| !matches(wanted, &Value::Null)).filter_map(|(name, _)| name.scalar());
    let unknown = names.find(|name| bodies().all(|body| !body.contains_key(*name)))?;
    let known: BTreeSet<&str> = bodies().flat_map(|body| body.keys().map(String::as_str)).collect();
    let hint = match &did_you_mean(unknown, known.iter().copied())[..] {
        "" => format!("there are: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        hint => hint.to_owned(),
    };
    Some(format!("; what happened has no field '{unknown}' ({hint})"))
}

fn misses(scenario: &Scenario, played: &Played, pairs: &[Option<usize>]) -> Vec<Miss> {
    let mut misses = Vec::new();
    let mut miss = |line: usize, message: String| misses.push(Miss { line, message });
    if let Some(trouble) = &played.trouble {
        // What would have happened behind it is not known.
        miss(trouble.line, trouble.message.clone());
        return misses;
    }
    for (expected, _) in scenario.then.iter().zip(pairs).filter(|(_, found)| found.is_none()) {
        let happened = played.story.iter().any(|happening| is(expected, happening));
        let why = if happened { "it happened, but not in this place" } else { "it did not happen" };
        let never_there = unknown_field(expected, &played.story).unwrap_or_default();
        miss(expected.line, format!("{} is expected: {why}{never_there}", line_of(expected)));
    }
    for expected in &scenario.never {
        if let Some(happening) = played.story.iter().find(|happening| is(expected, happening)) {
            miss(
                expected.line,
                format!("{} must never happen: it did, {} after the start", line_of(expected), time(happening.after)),
            );
        }
    }
    for (name, wanted, line) in &scenario.search {
        match played.search.iter().find(|(known, _)| known == name) {
            Some((_, value)) if value == wanted => {}
            Some((_, value)) => miss(*line, format!("it must be found by {name}={wanted}: it is {value}")),
            None => miss(*line, format!("it must be found by {name}={wanted}: it has no {name}")),
        }
    }
    let (ends, line) = &scenario.ends;
    if played.ends != Some(*ends) {
        miss(*line, format!("it must end {}: it is {}", ends.as_str(), ending(played)));
        return misses;
    }
    let (code, step) = played.because.as_ref().map_or(("", ""), |(code, step, _)| (code.as_str(), step.as_str()));
    if let Some((wanted, line)) = &scenario.code
        && wanted != code
    {
        miss(*line, format!("the code must be {wanted}: it is {}", if code.is_empty() { "none" } else { code }));
    }
    if let Some((wanted, line)) = &scenario.stuck
        && wanted != step
    {
        miss(*line, format!("{wanted} must be stuck: it is {step}"));
    }
    misses
}

/// How it ended, in a line.
fn ending(played: &Played) -> String {
    let ends = played.ends.map_or("still waiting", |ends| ends.as_str());
    match &played.because {
        None => ends.to_owned(),
        Some((code, step, message)) => {
            let at = if step.is_empty() { String::new() } else { format!(" at {step}") };
            let message = if message.is_empty() { String::new() } else { format!(": {message}") };
            format!("{ends}, {code}{at}{message}")
        }
    }
}

fn line_of(expected: &Expected) -> String {
    match &expected.fields {
        None => expected.what.to_string(),
        Some(fields) => format!("{} {}", expected.what, json(fields)),
    }
}

fn whole(happening: &Happening) -> String {
    let attempt = if happening.attempt > 1 { format!(" (attempt {})", happening.attempt) } else { String::new() };
    brief(&format!("{}{attempt} {}", happening.what, happening.shown))
}

/// A line of what happened.
struct Line {
    text: String,
    after: Option<Millis>,
    /// The scenario does not speak of it, and need not.
    is_beside: bool,
}

/// What was expected and what happened: equal lines, those that are missing (`-`) and those that are there instead (`+`). What a
/// scenario does not speak of stands without a sign.
fn diff(scenario: &Scenario, played: &Played, pairs: &[Option<usize>]) -> String {
    let mut found = happened(scenario, &played.story, pairs);
    if played.trouble.is_some() {
        return found.iter().map(|line| format!("  {:>10}  {}\n", line.after.map(time).unwrap_or_default(), line.text)).collect();
    }
    let mut expected: Vec<String> = scenario.then.iter().map(line_of).collect();
    expected.push(format!("ends: {}", scenario.ends.0.as_str()));
    let end = |text: String| Line { text, after: None, is_beside: false };
    found.push(end(format!("ends: {}", played.ends.map_or("still waiting", |ends| ends.as_str()))));
    let (code, step) = played.because.as_ref().map_or(("none", "none"), |(code, step, _)| (code, step));
    for (wanted, name, is) in [(&scenario.code, "code", code), (&scenario.stuck, "stuck", step)] {
        if let Some((wanted, _)) = wanted {
            expected.push(format!("{name}: {wanted}"));
            found.push(end(format!("{name}: {is}")));
        }
    }
    let before: Vec<&str> = expected.iter().map(String::as_str).collect();
    let after: Vec<&str> = found.iter().map(|line| line.text.as_str()).collect();
    let mut out = String::new();
    for change in TextDiff::from_slices(&before, &after).iter_all_changes() {
        let line = change.new_index().map(|index| &found[index]);
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert if line.is_some_and(|line| !line.is_beside) => '+',
            ChangeTag::Insert | ChangeTag::Equal => ' ',
        };
        let at = line.and_then(|line| line.after).map(time).unwrap_or_default();
        writeln!(out, "{sign} {at:>10}  {}", change.value()).expect("writing to memory");
    }
    out
}

/// The story, each line as what is expected there says it, if anything is.
fn happened(scenario: &Scenario, story: &[Happening], pairs: &[Option<usize>]) -> Vec<Line> {
    let missed: Vec<&Expected> = scenario.then.iter().zip(pairs).filter(|(_, found)| found.is_none()).map(|(one, _)| one).collect();
    let mut lines: Vec<Line> = Vec::new();
    let mut more = 0;
    for (index, happening) in story.iter().enumerate() {
        let expected = pairs.iter().position(|found| *found == Some(index)).map(|at| &scenario.then[at]);
        let similar = missed.iter().find(|expected| expected.what == happening.what);
        let forbidden = scenario.never.iter().any(|never| is(never, happening));
        let text = match (expected, similar.and_then(|similar| similar.fields.as_ref())) {
            (Some(expected), _) => line_of(expected),
            (None, Some(fields)) => format!("{} {}", happening.what, named(fields, &happening.shown)),
            (None, None) => whole(happening),
        };
        let shown = expected.is_some() || usize::try_from(happening.attempt).is_ok_and(|attempt| attempt <= ATTEMPTS_SHOWN);
        more = if shown { 0 } else { more + 1 };
        if more > 1 {
            lines.pop();
        }
        let text = if more > 0 { format!("{} ({more} attempts more)", happening.what) } else { text };
        let is_beside = expected.is_none() && similar.is_none() && !forbidden;
        lines.push(Line { text, after: Some(happening.after), is_beside });
    }
    lines
}

/// A time since the start: `+2m10.25s`.
fn time(ms: Millis) -> String {
    let mut out = String::from("+");
    let mut rest = ms;
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)] {
        if rest >= size {
            write!(out, "{}{unit}", rest / size).expect("writing to memory");
            rest %= size;
        }
    }
    if rest > 0 || out.len() == 1 {
        write!(out, "{}s", rest as f64 / 1000.0).expect("writing to memory");
    }
    out
}
