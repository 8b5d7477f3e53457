//! A scenario as it is written: read with all its errors, each with its place, and checked against its definition.

mod answers;
mod inputs;
mod search;

use std::sync::Arc;

use ringmaster_core::definition::compile::{CompileError, Fields, Report, did_you_mean};
use ringmaster_core::definition::yaml::{self, Kind, Node};
use ringmaster_core::definition::{Definition, Undo};
use ringmaster_schemas::Millis;
use ringmaster_schemas::json::time::parse_timestamp;

use super::asked::{Asked, What};
use super::{Known, values};
pub(crate) use answers::check_refusal;
pub(super) use answers::{Answer, Answers, Says};
pub(super) use inputs::{Approval, Incoming, Input, Timed};

const SCENARIO: [&str; 15] = [
    "scenario",
    "description",
    "saga",
    "begins",
    "key",
    "before",
    "start",
    "answers",
    "at",
    "then",
    "never",
    "search",
    "ends",
    "code",
    "stuck",
];
/// When a scenario begins that does not say so.
const BEGINS: Millis = 1_900_000_000_000;
/// The record's key of a start event that comes without one.
const KEY: &str = "key-1";

/// What a saga must do, once.
#[derive(Debug)]
pub struct Scenario {
    /// What it is about.
    pub name: String,
    /// The file as it was named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Whose saga it is.
    pub definition: Arc<Definition>,
    /// When the start event comes.
    pub(super) begins: Millis,
    /// The start event's record key.
    pub(super) key: String,
    pub(super) start: StartEvent,
    /// Events that came before it.
    pub(super) before: Vec<Incoming>,
    pub(super) answers: Vec<Answers>,
    /// What else comes, in order of time.
    pub(super) inputs: Vec<Timed>,
    /// What must happen, in this order.
    pub(super) then: Vec<Expected>,
    /// What must not.
    pub(super) never: Vec<Expected>,
    /// What it is found by: names, values, lines.
    pub(super) search: Vec<(String, String, usize)>,
    pub(super) ends: (Ends, usize),
    /// Why it ended so.
    pub(super) code: Option<(String, usize)>,
    /// The step that needs a person.
    pub(super) stuck: Option<(String, usize)>,
}

/// The start event.
#[derive(Debug)]
pub(super) struct StartEvent {
    /// Which of the definition's starts it is for.
    pub(super) number: u16,
    /// As JSON.
    pub(super) json: String,
    pub(super) line: usize,
}

/// What must happen, or must not.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) what: What,
    /// Fields of its body; others may be anything.
    pub(super) fields: Option<Node>,
    pub(super) line: usize,
}

/// How a scenario must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Completed,
    Compensated,
    Stuck,
    NotStarted,
}

impl Ends {
    pub(super) const ALL: [(Ends, &str); 4] = [
        (Ends::Completed, "completed"),
        (Ends::Compensated, "compensated"),
        (Ends::Stuck, "stuck"),
        (Ends::NotStarted, "not started"),
    ];

    pub(super) fn as_str(self) -> &'static str {
        Ends::ALL.iter().find(|(ends, _)| *ends == self).map_or("", |(_, name)| name)
    }
}

/// Reads the scenarios of a file.
pub(super) fn read(file: &str, text: &str, known: Known<'_>) -> Result<Vec<Scenario>, Vec<CompileError>> {
    let mut report = Report::new(file, text, 1);
    let mut scenarios: Vec<Scenario> = Vec::new();
    match yaml::load(text) {
        Err(errors) => errors.into_iter().for_each(|error| report.error(&error.span, error.message, error.hint)),
        Ok(documents) => {
            for document in documents {
                let Kind::Map(entries) = &document.root.kind else {
                    report.error(&document.root.span, format!("a scenario is a map, not {}", document.root.describe()), FORM);
                    continue;
                };
                let is_scenario = |(key, _): &(Node, Node)| key.scalar() == Some("scenario");
                if entries.iter().any(is_scenario) {
                    let read = Reading { known, file, report: &mut report }.scenario(&document.root);
                    add(&mut scenarios, read, &document.root, &mut report);
                } else if !entries.iter().any(|(key, _)| key.scalar() == Some("steps")) {
                    report.error(&entries_span(entries), "this is neither a scenario nor a definition", FORM);
                }
            }
        }
    }
    let (errors, _) = report.finish();
    if errors.is_empty() { Ok(scenarios) } else { Err(errors) }
}

const FORM: &str = "scenario: WHAT IT IS ABOUT, saga: NAME, start: {...}, answers: {...}, then: [...], ends: completed";

fn entries_span(entries: &[(Node, Node)]) -> std::ops::Range<usize> {
    entries.first().map_or(0..0, |(key, _)| key.span.clone())
}

/// Two scenarios of one name could not be told apart in a report.
fn add(scenarios: &mut Vec<Scenario>, read: Option<Scenario>, root: &Node, report: &mut Report<'_>) {
    let Some(scenario) = read else { return };
    if let Some(first) = scenarios.iter().find(|known| known.name == scenario.name) {
        let message = format!("scenario '{}' is there twice", scenario.name);
        report.error(&root.span, message, format!("it is first on line {}", first.line));
        return;
    }
    scenarios.push(scenario);
}

/// Reading one scenario.
struct Reading<'r, 'k, 't> {
    known: Known<'k>,
    file: &'t str,
    report: &'r mut Report<'t>,
}

impl Reading<'_, '_, '_> {
    fn scenario(&mut self, root: &Node) -> Option<Scenario> {
        let errors = self.report.error_count();
        let fields = Fields::new(root, "a scenario", &SCENARIO, &[], self.report)?;
        let name_at = fields.needed("scenario", FORM, self.report)?;
        let name = self.text(name_at, "what a scenario is about")?;
        let definition = fields.needed("saga", "saga: NAME", self.report).and_then(|node| self.definition(node))?;
        let start = fields.needed("start", "start: the fields of the start event", self.report);
        let start = start.and_then(|node| self.start(node, &definition));
        let begins = fields.node("begins").map_or(Some(BEGINS), |node| self.time(node));
        let key = fields.node("key").map_or(Some(KEY.to_owned()), |node| self.text(node, "a key"));
        let before = fields.node("before").map(|node| self.before(node, &definition)).unwrap_or_default();
        let answers = fields.node("answers").map(|node| self.answers(node, &definition)).unwrap_or_default();
        let mut inputs = fields.node("at").map(|node| self.inputs(node, &definition)).unwrap_or_default();
        inputs.sort_by_key(|timed| timed.after);
        let then = fields.node("then").map(|node| self.expected(node, "then", &definition)).unwrap_or_default();
        let never = fields.node("never").map(|node| self.expected(node, "never", &definition)).unwrap_or_default();
        let search = fields.node("search").map(|node| self.search(node, &definition)).unwrap_or_default();
        let stuck = fields.node("stuck").and_then(|node| Some((self.step(node, &definition)?, self.report.line(node.span.start))));
        let ends = self.ends(&fields, stuck.as_ref());
        let code = fields.node("code").and_then(|node| Some((self.code(node)?, self.report.line(node.span.start))));
        let line = self.report.line(name_at.span.start);
        (self.report.error_count() == errors).then_some(())?;
        Some(Scenario {
            name,
            file: self.file.to_owned(),
            line,
            definition,
            begins: begins?,
            key: key?,
            start: start?,
            before,
            answers,
            inputs,
            then,
            never,
            search,
            ends: ends?,
            code,
            stuck,
        })
    }

    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node.scalar().map(str::trim).filter(|text| !text.is_empty());
        if text.is_none() {
            self.report.error(&node.span, format!("{what} is needed here, not {}", node.describe()), "");
        }
        text.map(str::to_owned)
    }

    fn definition(&mut self, node: &Node) -> Option<Arc<Definition>> {
        let name = self.text(node, "a saga's name")?;
        let found = self.known.definition(&name).cloned();
        if found.is_none() {
            let all: Vec<&str> = self.known.catalog.versions().into_iter().map(|(definition, _)| &*definition.name).collect();
            let hint = if all.is_empty() {
                "there is no definition at all: is the setting `definitions` right?".to_owned()
            } else {
                did_you_mean(&name, all)
            };
            self.report.error(&node.span, format!("there is no saga '{name}'"), hint);
        }
        found
    }

    /// The fields of the start event; where there are several, below its name.
    fn start(&mut self, node: &Node, definition: &Definition) -> Option<StartEvent> {
        if let Some(input) = &definition.input {
            let Kind::Map(_) = &node.kind else {
                let message = format!("start is the fields of the input, not {}", node.describe());
                self.report.error(&node.span, message, "start: { field: value }; {} where there are none");
                return None;
            };
            values::check_names(node, &input.reader, input.reader.root(), self.report);
            return Some(StartEvent { number: 0, json: values::json(node), line: self.report.line(node.span.start) });
        }
        let names = definition.start_names();
        let (number, fields) = match &node.kind {
            _ if names.len() == 1 => (0, node),
            Kind::Map(entries) => match &entries[..] {
                [(name, fields)] => match definition.start_named(name.scalar().unwrap_or_default()) {
                    Some((number, _)) => (number, fields),
                    None => return self.which_start(node, &names),
                },
                _ => return self.which_start(node, &names),
            },
            _ => return self.which_start(node, &names),
        };
        let Kind::Map(_) = &fields.kind else {
            let message = format!("start is the fields of {}, not {}", names[usize::from(number)], fields.describe());
            self.report.error(&fields.span, message, "start: { field: value }; {} where nothing is read");
            return None;
        };
        let schema = &definition.starts[usize::from(number)].reader;
        values::check_names(fields, schema, schema.root(), self.report);
        Some(StartEvent { number, json: values::json(fields), line: self.report.line(node.span.start) })
    }

    fn which_start(&mut self, node: &Node, names: &[String]) -> Option<StartEvent> {
        let message = format!("{} start this saga: which one?", names.join(" and "));
        self.report.error(&node.span, message, format!("start: {{ {}: {{ its fields }} }}", names[0]));
        None
    }

    fn time(&mut self, node: &Node) -> Option<Millis> {
        let time = node.scalar().and_then(parse_timestamp).map(|micros| micros.div_euclid(1_000));
        if time.is_none() {
            self.report.error(&node.span, "begins is a time", "for example 2026-11-27T08:00:00Z");
        }
        time
    }

    fn expected(&mut self, node: &Node, what: &str, definition: &Definition) -> Vec<Expected> {
        let Kind::List(items) = &node.kind else {
            let form = "- payment.Charge: { amount: \"120.00\" }, or only - payment.Charge; an event is - emit OrderFulfilled";
            self.report.error(&node.span, format!("{what} is a list, not {}", node.describe()), form);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.expect(item, definition)).collect()
    }

    fn expect(&mut self, item: &Node, definition: &Definition) -> Option<Expected> {
        let (key, fields) = match &item.kind {
            Kind::Scalar(..) => (item, None),
            Kind::Map(entries) => match &entries[..] {
                [(key, fields)] => (key, Some(fields)),
                _ => {
                    self.report.error(
                        &item.span,
                        "one thing happens at a time",
                        "write each as an item of its own: - NAME: { ... }",
                    );
                    return None;
                }
            },
            Kind::List(_) => {
                self.report.error(&item.span, "a list stands where a command or an event is needed", "- NAME: { ... }");
                return None;
            }
        };
        let meant = self.known.meant(key.scalar().unwrap_or_default(), definition);
        let what = What::read(key, meant.as_deref().unwrap_or(definition), self.report)?;
        let fields = fields.filter(|node| !matches!(&node.kind, Kind::Scalar(text, _) if text.is_empty()));
        if let Some(node) = fields {
            if !matches!(node.kind, Kind::Map(_)) {
                self.report.error(
                    &node.span,
                    format!("fields of {what} are needed here, not {}", node.describe()),
                    "{ field: value }",
                );
                return None;
            }
            let name = match &what {
                What::Command(name) | What::Emitted(name) => Some(name),
                What::Rejected(_) | What::Approval(_) => None,
            };
            if let Some(schema) = name.and_then(|name| self.known.schemas.named(name)) {
                values::check_names(node, schema, schema.root(), self.report);
            }
        }
        Some(Expected { what, fields: fields.cloned(), line: self.report.line(key.span.start) })
    }

    /// A step that can wait for a person, or the saga's end.
    fn step(&mut self, node: &Node, definition: &Definition) -> Option<String> {
        let name = self.text(node, "a step's name")?;
        let meant = self.known.meant(&name, definition);
        let definition = meant.as_deref().unwrap_or(definition);
        let mut names: Vec<&str> = definition.nodes.iter().map(|node| &*node.name).filter(|name| !name.is_empty()).collect();
        names.extend(["on_completed", "on_compensated"]);
        if !names.contains(&name.as_str()) {
            let hint = did_you_mean(&name, names);
            self.report.error(&node.span, format!("{} has no step '{name}'", definition.name), hint);
            return None;
        }
        Some(name)
    }

    fn ends(&mut self, fields: &Fields<'_>, stuck: Option<&(String, usize)>) -> Option<(Ends, usize)> {
        let names = Ends::ALL.map(|(_, name)| name);
        let hint = format!("ends: {}", names.join(" | "));
        if let (None, Some((_, line))) = (fields.node("ends"), stuck) {
            return Some((Ends::Stuck, *line));
        }
        let node = fields.needed("ends", &hint, self.report)?;
        let text = node.scalar().unwrap_or_default();
        let found = Ends::ALL.into_iter().find(|(_, name)| *name == text);
        match (found, stuck) {
            (None, _) => {
                self.report.error(&node.span, format!("no saga ends '{text}'"), did_you_mean(text, names));
                None
            }
            (Some((ends, name)), Some(_)) if ends != Ends::Stuck => {
                self.report.error(&node.span, format!("a saga that ends {name} has no stuck step"), "take one of the two away");
                None
            }
            (Some((ends, _)), _) => Some((ends, self.report.line(node.span.start))),
        }
    }

    fn code(&mut self, node: &Node) -> Option<String> {
        self.text(node, "a code")
    }
}

/// The step's own command, or its undo's.
pub(super) fn command_of<'d>(asked: &'d Asked, definition: &'d Definition) -> &'d str {
    use ringmaster_schemas::names::Direction;
    match asked {
        Asked::Command(command) => command,
        Asked::Step(step, direction) => {
            let asks = definition.step_named(step).map(|step| step.asks).expect("it was looked up");
            match (&asks.undo, direction) {
                (Undo::Command { call, .. }, Direction::Undo) => &call.command,
                _ => &asks.call.command,
            }
        }
    }
}
