//! A saga's events in words, for people: what happened, and which way it took.
//!
//! Ways leave no events of their own: that an arm was taken is told with the first thing that happened in it.

mod items;
mod known;
mod others;
mod pausing;
mod runs;
mod sent;
mod values;
mod ways;

use std::collections::BTreeMap;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{DefinitionHash, Emission, Failure, Head, Opens, Order, Place, SagaEvent};
use ringmaster_schemas::names::{Direction, below, hex, root_of};

use crate::definition::{Definition, Node, ROOT, Verb};
pub use known::Known;
pub use sent::{Attempt, Sent};

/// One thing that happened, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it was, one word for programs.
    pub event: &'static str,
    /// The node that it is about, if it is about one.
    pub step: Option<String>,
    /// All of it, for people.
    pub text: String,
}

/// Finds a version of a definition by its hash, with its running number.
pub type Versions<'a> = &'a dyn Fn(&DefinitionHash) -> Option<(&'a Definition, u32)>;

/// Tells the events of one saga, in order. What it knows comes from the events alone: of a saga whose beginning is lost, names that
/// no event says are missing.
pub struct Teller<'a> {
    id: &'a str,
    versions: Versions<'a>,
    time: &'a dyn Fn(Millis) -> String,
    version: Option<DefinitionHash>,
    definition: Option<&'a Definition>,
    /// The list that the row goes through: of an item the body of its for_each.
    list: u16,
    /// Names of entries.
    places: BTreeMap<Place, String>,
    /// Choices that are told, or cannot be: each with its arm.
    choices: BTreeMap<u16, Option<usize>>,
    /// Nodes that were skipped.
    skipped: Vec<u16>,
}

impl<'a> Teller<'a> {
    /// For the row of this id, of one of these versions; `time` says a time in words.
    pub fn new(id: &'a str, versions: Versions<'a>, time: &'a dyn Fn(Millis) -> String) -> Teller<'a> {
        let (places, choices) = (BTreeMap::new(), BTreeMap::new());
        Teller { id, versions, time, version: None, definition: None, list: ROOT, places, choices, skipped: Vec::new() }
    }

    /// What an event says; before it the way that led to it, if that was not told yet.
    pub fn tell(&mut self, event: &SagaEvent, out: &mut Vec<Told>) {
        use SagaEvent::{EventPassed, ValueClaimed, ValueDenied, ValueFreed, ValueGiven, ValueGranted, ValueReleased};
        use SagaEvent::{Paused, Postponed, Resumed, Withheld};
        match event {
            SagaEvent::Started { head, deadline_at } => self.started(head, *deadline_at, out),
            SagaEvent::Skipped { node, passes } => self.is_skipped(*node, *passes, out),
            SagaEvent::Entered { place, node, round, opens } => self.entered(*place, (*node, *round), opens, out),
            SagaEvent::ScopeStopped { .. }
            | SagaEvent::ReactionBegan { .. }
            | SagaEvent::WentOn { .. }
            | SagaEvent::StopRemembered { .. }
            | SagaEvent::StopForgotten {}
            | SagaEvent::Escalated { .. }
            | SagaEvent::ContradictionFound { .. }
            | SagaEvent::Parked { .. }
            | SagaEvent::Prioritised { .. }
            | SagaEvent::Acted { .. } => self.reacted(event, out),
            SagaEvent::Item { .. } if self.of_run(event, out) => {}
            SagaEvent::Item { .. } | SagaEvent::Swept { .. } => self.below(event, out),
            SagaEvent::EventTaken { .. } | SagaEvent::EventKept { .. } | SagaEvent::EventsExpired { .. } => self.others(event, out),
            SagaEvent::Answered { .. } | SagaEvent::StuckTold { .. } => self.others(event, out),
            ValueClaimed { .. } | ValueGranted { .. } | EventPassed { .. } | ValueReleased { .. } => self.values(event, out),
            ValueGiven { .. } | ValueDenied { .. } | ValueFreed { .. } => self.values(event, out),
            Paused { .. } | Postponed { .. } | Withheld { .. } | Resumed {} => self.paused(event, out),
            SagaEvent::CommandIssued { place, node, order, due_at, .. } => {
                self.comes_to(*node, out);
                self.places.insert(*place, order.step().to_owned());
                self.say(out, "asked", *place, &self.asked(order, *due_at));
            }
            SagaEvent::CommandRepeated { place, direction, attempt, due_at }
            | SagaEvent::Retried { place, direction, attempt, due_at, .. } => {
                // By a person, or from where it was parked.
                let is_retried = matches!(event, SagaEvent::Retried { .. });
                let (word, again) = if is_retried { ("retried", "anew") } else { ("asked_again", "again") };
                let text =
                    format!("{}is asked {again}, attempt {attempt}: an answer is due {}", undo(*direction), self.at(*due_at));
                self.say(out, word, *place, &text);
            }
            SagaEvent::UndoIssued { place, order, due_at } => {
                self.say(out, "undo_asked", *place, &format!("is to be undone: {}", self.asked(order, *due_at)));
            }
            SagaEvent::RetryScheduled { place, direction, due_at, failure } => {
                let text = format!("{}failed for now: {}; it is asked again {}", undo(*direction), said(failure), self.at(*due_at));
                self.say(out, "retry_scheduled", *place, &text);
            }
            SagaEvent::Succeeded { place, passes, .. } => {
                self.say(out, "succeeded", *place, if *passes { "succeeded: the pivot is behind" } else { "succeeded" });
            }
            SagaEvent::Refused { place, failure } => self.say(out, "refused", *place, &format!("is refused: {}", said(failure))),
            SagaEvent::Failed { place, failure } => self.say(out, "failed", *place, &may_be_done(failure)),
            SagaEvent::CompensationBegan { failure } => self.undoes(failure, out),
            SagaEvent::Undone { place } => self.say(out, "undone", *place, "is undone"),
            SagaEvent::Closed { place } => self.say(out, "closed", *place, "is closed: nobody waits for it any more"),
            SagaEvent::Stuck { place, failure } => self.say(out, "stuck", *place, &format!("is stuck: {}", said(failure))),
            SagaEvent::MarkedLate { due_at } => {
                let text = format!("it is late, and goes on: its deadline was {}", self.at(*due_at));
                out.push(Told { event: "marked_late", step: None, text });
            }
            SagaEvent::Completed { emissions, expires_at } => {
                self.comes_to_end(out);
                self.ended("completed", emissions, *expires_at, out);
            }
            SagaEvent::Compensated { emissions, expires_at } => self.ended("compensated", emissions, *expires_at, out),
            SagaEvent::Emitted { node, emission } => {
                self.comes_to(*node, out);
                let text = format!("{} {}", self.name_of(*node), emits(emission));
                out.push(Told { event: "emitted", step: Some(self.name_of(*node)), text });
            }
        }
    }

    fn undoes(&mut self, failure: &Failure, out: &mut Vec<Told>) {
        // A step that could not begin left no event of its own, and yet the way led to it.
        if let Some(node) = self.definition.and_then(|definition| definition.names.find(&failure.step)) {
            self.comes_to(node, out);
        }
        let step = Some(failure.step.to_string()).filter(|step| !step.is_empty());
        let at = step.as_ref().map_or_else(String::new, |step| format!(" at {step}"));
        let who = match below(self.id).map(|below| below.item) {
            Some(Some(_)) => "the item",
            Some(None) => "the sub-saga",
            None => "the saga",
        };
        let text = format!("{who} undoes: {} ({}{at})", said(failure), failure.kind);
        out.push(Told { event: "compensation_began", step, text });
    }

    fn started(&mut self, head: &Head, deadline_at: Option<Millis>, out: &mut Vec<Told>) {
        // An id whose row has expired may start again.
        let fields = head.fields();
        *self = Teller::new(self.id, self.versions, self.time).by_version(Some(fields.version));
        let number = (self.versions)(&fields.version).map_or_else(|| "?".to_owned(), |(_, number)| number.to_string());
        let deadline = deadline_at.map_or_else(String::new, |at| format!(", deadline {}", self.at(at)));
        let by = match below(self.id) {
            Some(below) if below.item.is_some() => format!("begins for {},", root_of(self.id)),
            Some(below) => format!("is run by {},", below.above),
            None => format!("started by {}", fields.source),
        };
        let found: Vec<String> = fields.search.keys().map(|key| format!("{}={}", key.name, key.value)).collect();
        let found = if found.is_empty() { String::new() } else { format!(", found by {}", found.join(", ")) };
        let text = format!("{by} with version {number} ({}){deadline}{found}", short(&hex(&fields.version)));
        out.push(Told { event: "started", step: None, text });
    }

    fn is_skipped(&mut self, node: u16, passes: bool, out: &mut Vec<Told>) {
        let behind = if passes { ": the pivot is behind" } else { "" };
        let has_condition = self.node(node).is_none_or(|node| node.condition.is_some());
        if passes {
            // Its own `if` was false, or another way was taken around it: the journal does not tell them apart.
            for (choice, _) in self.ways_to(node) {
                self.choices.entry(choice).or_default();
            }
        } else {
            self.comes_to(node, out);
        }
        self.skipped.push(node);
        let name = self.name_of(node);
        let why = if has_condition { "is skipped" } else { "is passed by" };
        out.push(Told { event: "skipped", text: format!("{name} {why}{behind}"), step: Some(name) });
    }

    /// What becomes of what was refused or failed, and what people do.
    fn reacted(&self, event: &SagaEvent, out: &mut Vec<Told>) {
        let mut tell = |event, text| out.push(Told { event, step: None, text });
        match event {
            SagaEvent::ScopeStopped { place, failure, .. } => {
                self.say(out, "scope_stopped", *place, &format!("undoes what was done in it: {}", said(failure)));
            }
            SagaEvent::ReactionBegan { place, list } => {
                self.say(out, "reaction_began", *place, &format!("has a reaction, which begins with {}", self.name_of(list + 1)));
            }
            SagaEvent::WentOn { place, passes } => {
                let behind = if *passes { ": the pivot is behind" } else { "" };
                self.say(out, "went_on", *place, &format!("is left out, and it goes on{behind}"));
            }
            SagaEvent::Escalated { place, role, due_at } => {
                let text = format!("has no answer yet: {role} may answer too, until {}", self.at(*due_at));
                self.say(out, "escalated", *place, &text);
            }
            SagaEvent::ContradictionFound { place, stray } => {
                let alone = if *stray { "; it is undone by itself" } else { "" };
                self.say(out, "contradiction_found", *place, &format!("was refused, and done after all{alone}"));
            }
            SagaEvent::Parked { place, direction, participant, failure } => {
                let failed = failure.as_ref().map_or_else(String::new, |failure| format!("failed for now: {}; it ", said(failure)));
                let text = format!("{}{failed}is parked: {participant} is not asked now", undo(*direction));
                self.say(out, "parked", *place, &text);
            }
            SagaEvent::Prioritised { priority } => tell("prioritised", format!("its priority is {priority}")),
            SagaEvent::StopRemembered { failure } => {
                tell(
                    "stop_remembered",
                    format!("{} is remembered: it undoes if the pivot, which is asked, is refused", said(failure)),
                );
            }
            SagaEvent::StopForgotten {} => {
                tell("stop_forgotten", "what was remembered came too late: the pivot is behind".to_owned())
            }
            SagaEvent::Acted { act, by, why } => tell("acted", format!("{by} acts: {act} ({why})")),
            other => unreachable!("{other:?} is told elsewhere"),
        }
    }

    fn entered(&mut self, place: Place, (node, round): (u16, u8), opens: &Opens, out: &mut Vec<Told>) {
        if node != ROOT {
            self.comes_to(node, out);
        }
        match opens {
            Opens::Stuck { failure } => {
                self.places.insert(place, failure.step.to_string());
                self.say(out, "stuck", place, &format!("cannot begin, and is stuck: {}", said(failure)));
            }
            Opens::Refused { failure } => {
                self.places.insert(place, failure.step.to_string());
                self.say(out, "refused", place, &format!("refuses: {}", said(failure)));
            }
            Opens::Sleep { due_at, expires } => {
                self.is_named(place, node, round);
                let end = if *expires { "its within is over" } else { "it wakes" };
                self.say(out, "sleeps", place, &format!("sleeps: {end} {}", self.at(*due_at)));
            }
            Opens::Wait { until } => {
                self.is_named(place, node, round);
                let event = self.node(node).and_then(|node| self.event_of(node)).unwrap_or("an event");
                self.say(out, "waits", place, &format!("waits for {event}, until {}", self.at(*until)));
            }
            Opens::Approval { asked, due_at } => {
                self.is_named(place, node, round);
                let text = format!("asks for approval: {} may answer, until {}", asked.role, self.at(*due_at));
                self.say(out, "approval_asked", place, &text);
            }
            Opens::Parked { participant } => {
                self.is_named(place, node, round);
                self.say(out, "parked", place, &format!("is parked: {participant} is not asked now"));
            }
            Opens::Items { items, .. } => self.items(place, (node, round), items, out),
            Opens::Gave { .. } => {}
            Opens::Scope { until } => {
                self.is_named(place, node, round);
                let until = until.map_or_else(String::new, |until| format!(", all of it until {}", self.at(until)));
                self.say(out, "began", place, &format!("begins{until}"));
            }
        }
    }

    /// The type that a wait waits for.
    fn event_of(&self, node: &Node) -> Option<&'a str> {
        let Verb::Wait(wait) = &node.verb else { return None };
        self.definition.map(|definition| &*definition.listeners[usize::from(wait.listener)].event)
    }

    fn is_named(&mut self, place: Place, node: u16, round: u8) {
        let name = self.name_of(node);
        self.places.insert(place, if round > 1 { format!("{name}~{round}") } else { name });
    }

    fn ended(&self, how: &'static str, emissions: &[Emission], expires_at: Millis, out: &mut Vec<Told>) {
        let text = match expires_at {
            Millis::MAX => format!("{how}; known until its saga has ended"),
            at => format!("{how}; known until {}", self.at(at)),
        };
        out.push(Told { event: how, step: None, text });
        let each =
            emissions.iter().map(|emission| Told { event: "emitted", step: None, text: format!("its end {}", emits(emission)) });
        out.extend(each);
    }

    fn say(&self, out: &mut Vec<Told>, event: &'static str, place: Place, text: &str) {
        let step = self.places.get(&place).cloned().unwrap_or_else(|| format!("entry {place}"));
        out.push(Told { event, text: format!("{step} {text}"), step: Some(step) });
    }

    fn asked(&self, order: &Order, due_at: Millis) -> String {
        let fields = order.fields();
        let until = if fields.until == Millis::MAX { String::new() } else { format!(", tried until {}", self.at(fields.until)) };
        format!("asks {}: an answer is due {}{until}", fields.command, self.at(due_at))
    }

    fn at(&self, at: Millis) -> String {
        (self.time)(at)
    }

    fn node(&self, node: u16) -> Option<&'a Node> {
        self.definition?.node(node)
    }

    fn name_of(&self, node: u16) -> String {
        self.node(node).map_or_else(|| format!("node {node}"), |node| node.name.to_string())
    }
}

fn undo(direction: Direction) -> &'static str {
    match direction {
        Direction::Do => "",
        Direction::Undo => "(its undo) ",
    }
}

fn emits(emission: &Emission) -> String {
    format!("emits {} to {} (key {}, id {})", emission.kind, emission.topic, emission.key, emission.id)
}

/// A code, and what it says to people.
fn said(failure: &Failure) -> String {
    let Failure { code, message, .. } = failure;
    match message.starts_with(&**code) {
        true => message.to_string(),
        false if message.is_empty() => code.to_string(),
        false => format!("{code}: {message}"),
    }
}

fn may_be_done(failure: &Failure) -> String {
    format!("is given up, and may have been done: {}", said(failure))
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
