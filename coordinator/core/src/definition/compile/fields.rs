//! Reading a map of YAML: known keys, words, durations, numbers.

use std::ops::Range;

use ringmaster_schemas::Millis;

use super::duration::{Unit, parse_duration};
use super::keys::Shape;
use super::report::{Report, did_you_mean, suggest};
use crate::definition::yaml::{Kind, Node, Style};

/// Bytes of a name.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Bytes of a participant's name: topics are named after it.
pub(super) const PARTICIPANT_BYTES_MAX: usize = 100;
/// Bytes of the name of a record.
pub(crate) const TYPE_BYTES_MAX: usize = 200;
/// Bytes of a topic's name: Kafka's own limit.
pub(crate) const TOPIC_BYTES_MAX: usize = 249;
/// Bytes of a code.
pub(crate) const CODE_BYTES_MAX: usize = 64;
/// Bytes of a role.
pub(crate) const ROLE_BYTES_MAX: usize = 64;

/// A word and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

impl Word {
    /// What cannot be read, or is missing, which is told.
    pub(super) fn unreadable(span: &Range<usize>) -> Word {
        Word { text: String::new(), span: span.clone() }
    }
}

/// The entries of a map.
pub struct Fields<'n> {
    entries: &'n [(Node, Node)],
    pub(super) span: &'n Range<usize>,
    /// Known keys that unknown ones probably stand for: that they are missing is told already.
    meant: Vec<String>,
}

/// What others call the keys of this language.
const CALLED_ELSEWHERE: [(&str, &[&str]); 37] = [
    ("step", &["name", "id"]),
    ("saga", &["name", "id", "workflow"]),
    ("do", &["call", "command", "action", "task", "invoke"]),
    ("undo", &["compensate", "compensation", "compensate_with", "rollback", "revert"]),
    ("with", &["args", "arguments", "params", "parameters", "body", "payload", "data", "input"]),
    ("if", &["when", "condition", "else if", "elif", "case"]),
    ("else", &["default", "otherwise"]),
    ("emit", &["event", "publish", "send"]),
    ("on", &["event", "trigger", "type"]),
    ("from", &["topic"]),
    ("to", &["topic"]),
    ("retry", &["retries"]),
    ("sleep", &["delay", "pause", "timer"]),
    ("for_each", &["foreach", "each", "loop", "iterate", "in", "over"]),
    ("as", &["item", "var"]),
    ("at_once", &["concurrency", "max_concurrency", "parallelism", "max_parallel", "batch"]),
    ("run", &["saga", "workflow", "child", "subflow", "sub_saga"]),
    ("switch", &["choice", "choose", "branch"]),
    ("parallel", &["fork", "concurrent", "all"]),
    ("wait", &["await", "receive", "wait_for", "listen"]),
    ("approval", &["approve", "human", "manual"]),
    ("refuse", &["reject", "throw", "raise", "abort"]),
    ("attempts", &["max_attempts", "times", "max_retries", "maximum_attempts", "count", "limit"]),
    ("first", &["delay", "interval", "initial", "initial_interval", "initial_delay", "wait"]),
    ("factor", &["multiplier", "backoff", "backoff_coefficient", "exponent"]),
    ("max", &["max_interval", "max_delay", "maximum_interval", "cap"]),
    ("within", &["timeout", "expires", "ttl", "deadline"]),
    ("deadline", &["timeout", "within", "expires"]),
    ("on_failed", &["on_error", "on_failure", "catch", "on_exception"]),
    ("on_refused", &["on_rejected", "on_reject", "on_refusal"]),
    ("on_completed", &["on_success", "on_done", "on_end"]),
    ("on_compensated", &["on_failed", "on_error", "on_failure", "on_undone"]),
    ("start", &["trigger", "triggers", "on"]),
    ("steps", &["tasks", "actions", "activities", "stages", "flow"]),
    ("value", &["val", "expression", "expr"]),
    ("then", &["value", "result", "return"]),
    ("search", &["index", "labels", "search_by"]),
];

/// True if others call a key of this language so.
pub(super) fn is_called(name: &str, key: &str) -> bool {
    CALLED_ELSEWHERE.iter().any(|(known, others)| *known == key && others.contains(&name))
}

impl<'n> Fields<'n> {
    /// A map of the language.
    pub(super) fn of(node: &'n Node, shape: &Shape, later: &[&str], report: &mut Report<'_>) -> Option<Fields<'n>> {
        Fields::new(node, shape.what, &shape.names().collect::<Vec<_>>(), later, report)
    }

    /// A map whose keys are all known. `later` are keys of the language that this version does not know yet.
    pub fn new(node: &'n Node, what: &str, known: &[&str], later: &[&str], report: &mut Report<'_>) -> Option<Fields<'n>> {
        let Kind::Map(entries) = &node.kind else {
            let hint = match known.contains(&"step") {
                true => "- step: NAME, and below it what is done, for example do: participant.Command".to_owned(),
                false => format!("it has: {}", known.join(", ")),
            };
            report.error(&node.span, format!("{what} is a map, not {}", node.describe()), hint);
            return None;
        };
        if split_by_comma(entries, report) {
            return None;
        }
        let mut meant = Vec::new();
        for (key, value) in entries {
            let name = key.scalar().unwrap_or_default();
            if name == "description" && known.contains(&name) && value.scalar().is_none() {
                report.error(
                    &value.span,
                    format!("description is a text, not {}", value.describe()),
                    "one with a colon in it is put in quotes",
                );
            }
            if later.contains(&name) {
                report.error(
                    &key.span,
                    format!("this version does not know '{name}' yet"),
                    format!("{what} has: {}", known.join(", ")),
                );
            } else if !known.contains(&name) {
                let called = CALLED_ELSEWHERE.iter().find(|(key, _)| known.contains(key) && is_called(name, key));
                let called = called.map(|(key, _)| (*key, format!("here it is called '{key}'")));
                let near = suggest(name, known.iter().copied()).map(|key| (key, format!("did you mean '{key}'?")));
                let (key_meant, hint) = match called.or(near) {
                    Some((key, hint)) => (Some(key), hint),
                    None if matches!(name, "then" | "else") && known.contains(&"switch") => {
                        let form = "a choice of steps is a switch: [ { if: CONDITION, steps: [ ... ] }, { else: [ ... ] } ]";
                        (Some("switch"), form.into())
                    }
                    None if name == "undo" && known.contains(&"step") => (None, "undo stands at the do that it undoes".into()),
                    None => (None, did_you_mean(name, known.iter().copied())),
                };
                meant.extend(key_meant.map(str::to_owned));
                report.error(&key.span, format!("{what} has no '{name}'"), hint);
            }
        }
        Some(Fields { entries, span: &node.span, meant })
    }

    /// The value of a key.
    pub fn node(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| name.scalar() == Some(key)).map(|(_, value)| value)
    }

    /// A key that must be there.
    pub fn needed(&self, key: &str, hint: &str, report: &mut Report<'_>) -> Option<&'n Node> {
        let node = self.node(key);
        if node.is_none() && !self.means(key) {
            let span = self.entries.first().map_or(self.span.clone(), |(key, _)| key.span.clone());
            report.error(&span, format!("'{key}' is missing"), hint);
        }
        node
    }

    /// True if an unknown key probably stands for this one.
    pub(super) fn means(&self, key: &str) -> bool {
        self.meant.iter().any(|meant| meant == key)
    }

    /// The entries in the file's order.
    pub fn entries(&self) -> &'n [(Node, Node)] {
        self.entries
    }

    /// A length of time, and where it stands.
    pub fn duration(&self, key: &str, report: &mut Report<'_>) -> Option<(Millis, Range<usize>)> {
        duration(key, self.node(key)?, report)
    }
}

/// A length of time, and where it stands.
pub(super) fn duration(key: &str, node: &Node, report: &mut Report<'_>) -> Option<(Millis, Range<usize>)> {
    let parsed = match node.scalar() {
        Some(text) => parse_duration(text, Unit::Millis),
        None => Err(format!("{key} is a duration, not {}", node.describe())),
    };
    match parsed {
        Ok(0) => {
            report.error(&node.span, format!("{key} of no time"), "remove it, or write for example 10s");
            None
        }
        Ok(millis) => Some((millis, node.span.clone())),
        Err(why) => {
            let number = node.scalar().filter(|text| text.parse::<u64>().is_ok());
            let hint = number.map(|number| format!("write its unit: {number}s, {number}ms"));
            let hint = hint.unwrap_or_else(|| "a duration is written as 200ms, 10s, 5m, 1h30m, 14d".to_owned());
            report.error(&node.span, why, hint);
            None
        }
    }
}

/// Inside `{ }` YAML splits `b: f(1, 2)` at the comma, and the rest becomes a key without value that is no name. Reported once.
pub(crate) fn split_by_comma(entries: &[(Node, Node)], report: &mut Report<'_>) -> bool {
    let empty = |value: &Node| matches!(&value.kind, Kind::Scalar(text, Style::Plain) if text.is_empty());
    let rest = |(key, value): &(Node, Node)| {
        empty(value) && key.scalar().is_some_and(|key| !key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c)))
    };
    let Some(at) = entries.iter().position(rest) else { return false };
    let begin = entries[..at].iter().rev().find(|(_, value)| !empty(value)).map_or(&entries[at].0, |(_, value)| value);
    let span = begin.span.start..entries[at].0.span.end;
    report.error(&span, "YAML splits this expression at its commas", "put the whole expression in quotes: { b: \"f(1, 2)\" }");
    true
}

/// A map without the entries that are split so.
pub(super) fn without_split(node: &Node) -> Option<Node> {
    let Kind::Map(entries) = &node.kind else { return None };
    let is_rest = |at: usize| entries.get(at).is_some_and(|(_, value)| value.is_empty());
    let whole = (0..entries.len()).filter(|at| !is_rest(*at) && !is_rest(at + 1)).map(|at| entries[at].clone());
    let whole: Vec<_> = whole.collect();
    (whole.len() < entries.len()).then(|| Node { kind: Kind::Map(whole), span: node.span.clone() })
}

/// The `else` of a row or arm, if it has one.
pub(super) struct Else<'n> {
    pub(super) key: &'n Node,
    pub(super) value: &'n Node,
    /// Nothing stands beside it.
    pub(super) alone: bool,
}

impl<'n> Else<'n> {
    pub(super) fn of(row: &'n Node) -> Option<Else<'n>> {
        let Kind::Map(entries) = &row.kind else { return None };
        let (key, value) = entries.iter().find(|(key, _)| key.scalar() == Some("else"))?;
        Some(Else { key, value, alone: entries.len() == 1 })
    }
}

/// A scalar that is a word.
pub(super) fn word(node: &Node, what: &str, good: fn(&str) -> bool, form: &str, report: &mut Report<'_>) -> Option<Word> {
    match node.scalar() {
        Some(text) if good(text) => Some(Word { text: text.to_owned(), span: node.span.clone() }),
        Some("") => {
            report.error(&node.span, format!("{what} is needed here"), form);
            None
        }
        Some(text) => {
            report.error(&node.span, format!("'{text}' is not {what}"), form);
            None
        }
        None => {
            report.error(&node.span, format!("{what} is needed here, not {}", node.describe()), form);
            None
        }
    }
}

/// `[a-z][a-z0-9_]{0,63}`.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A name that may have hyphens.
pub(super) fn is_saga_name(text: &str) -> bool {
    is_name(&text.replace('-', "_"))
}

/// `payment.Charge`: a participant, a dot, a command.
pub(super) fn is_command(text: &str) -> bool {
    let Some((participant, command)) = text.rsplit_once('.') else { return false };
    is_participant(participant) && is_type(command) && !command.contains('.')
}

/// Participants are topic names, and namespaces of Avro too.
fn is_participant(text: &str) -> bool {
    text.len() <= PARTICIPANT_BYTES_MAX
        && text.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        })
}

/// The name of an Avro record, perhaps with a namespace.
pub(super) fn is_type(text: &str) -> bool {
    text.len() <= TYPE_BYTES_MAX
        && text.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
}

/// What Kafka takes as a topic's name.
pub(super) fn is_topic(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= TOPIC_BYTES_MAX
        && text != "."
        && text != ".."
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Who may approve.
pub(super) fn is_role(text: &str) -> bool {
    text.len() <= ROLE_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// A failure code.
pub(super) fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= CODE_BYTES_MAX
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each word is taken or not.
    fn check(is_one: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        good.iter().for_each(|text| assert!(is_one(text), "{text}"));
        bad.iter().for_each(|text| assert!(!is_one(text), "{text}"));
    }

    #[test]
    fn words_have_their_letters_and_lengths() {
        let long = |letter: &str, count: usize| letter.repeat(count);
        check(is_name, &["a", "a_1", &long("a", 64)], &["", "1a", "_a", "a-b", "aB", "A", "ä", &long("a", 65)]);
        check(is_saga_name, &["a-b", "a_b"], &["-a", "a.b"]);
        check(is_command, &["a.B", "a.b.C", "a-b.C_1"], &["a", "a.", ".B", "a.1", "1.B", "a..B"]);
        check(is_type, &["A", "_a.B1", &long("a", 200)], &["", "1A", "A-B", "A..B", &long("a", 201)]);
        check(is_topic, &["a", "A.b_c-1", "...", &long("a", 249)], &["", ".", "..", "a b", "ä", "a/b", &long("a", 250)]);
        check(is_role, &["a", "Team.lead-2", "a_b", &long("a", 64)], &["", "1a", "a b", "ä", &long("a", 65)]);
        check(is_code, &["A", "NO_STOCK_1", "1", &long("A", 64)], &["", "a", "NO STOCK", "Ä", &long("A", 65)]);
    }
}
