//! What of a definition its scenarios pass through: steps, arms, conditions either way, refusals, reactions, undos.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_core::definition::{Definition, Reaction, SiteId, Undo, Verb};
use ringmaster_schemas::journal::{Opens, Phase, Place, SagaEvent};
use ringmaster_schemas::state::Saga;

/// What all scenarios of a run pass through, by definition.
#[derive(Debug, Default)]
pub struct Coverage {
    by_name: BTreeMap<Arc<str>, (Arc<Definition>, Seen)>,
}

/// How much of a definition was passed through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The definition's name.
    pub saga: Arc<str>,
    /// For each kind of place (steps, arms, conditions, refusals, reactions, undos): how many were passed, and how many there are.
    pub kinds: Vec<(&'static str, usize, usize)>,
    /// What no scenario passes through.
    pub missed: Vec<Missed>,
}

/// A place that no scenario passes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Which kind of place.
    pub kind: &'static str,
    /// For people.
    pub what: String,
}

impl Coverage {
    /// What is seen of a definition.
    pub(super) fn of(&mut self, definition: &Arc<Definition>) -> &mut Seen {
        let entry = self.by_name.entry(definition.name.clone());
        &mut entry.or_insert_with(|| (definition.clone(), Seen::default())).1
    }

    /// Counts a definition also if no scenario is its.
    pub fn add(&mut self, definition: &Arc<Definition>) {
        self.of(definition);
    }

    /// Of each definition that was added or has a scenario, in order of their names.
    pub fn tallies(&self) -> Vec<Tally> {
        self.by_name.values().map(|(definition, seen)| tally(definition, seen)).collect()
    }
}

impl Tally {
    /// How many places were passed, and how many there are.
    pub fn total(&self) -> (usize, usize) {
        self.kinds.iter().fold((0, 0), |(passed, all), (_, more, of)| (passed + more, all + of))
    }
}

/// What was seen of one definition.
#[derive(Debug, Default)]
pub(super) struct Seen {
    started: BTreeSet<(u16, bool)>,
    conditions: BTreeSet<(SiteId, bool)>,
    /// Nodes that did what they do: asked, emitted, slept, refused.
    entered: BTreeSet<u16>,
    refused: BTreeSet<u16>,
    undone: BTreeSet<u16>,
    /// Reactions that began, by their lists, and nodes that were left out.
    reacted: BTreeSet<u16>,
    left_out: BTreeSet<u16>,
}

impl Seen {
    /// The `if` of a start, or that it has none.
    pub(super) fn started(&mut self, start: u16, is_true: bool) {
        self.started.insert((start, is_true));
    }

    pub(super) fn condition(&mut self, site: SiteId, is_true: bool) {
        self.conditions.insert((site, is_true));
    }

    /// An event, and the state behind it.
    pub(super) fn event(&mut self, event: &SagaEvent, behind: &Saga) {
        let node = |place: &Place| behind.entry(*place).map(|entry| entry.node);
        match event {
            SagaEvent::CommandIssued { node, .. }
            | SagaEvent::Emitted { node, .. }
            | SagaEvent::Entered {
                node,
                opens:
                    Opens::Refused { .. } | Opens::Sleep { .. } | Opens::Approval { .. } | Opens::Wait { .. } | Opens::Items { .. },
                ..
            } => {
                self.entered.insert(*node);
            }
            SagaEvent::Refused { place, .. } => self.refused.extend(node(place)),
            SagaEvent::UndoIssued { place, .. } => self.undone.extend(node(place)),
            SagaEvent::ReactionBegan { list, .. } => drop(self.reacted.insert(*list)),
            SagaEvent::WentOn { place, .. } => self.left_out.extend(node(place)),
            _ => {}
        }
    }
}

/// A place of a definition, and whether it was passed.
struct Point {
    kind: &'static str,
    what: String,
    passed: bool,
}

const KINDS: [&str; 6] = ["steps", "arms", "conditions", "refusals", "reactions", "undos"];

fn tally(definition: &Definition, seen: &Seen) -> Tally {
    let points = points(definition, seen);
    let count = |kind: &str, passed: bool| points.iter().filter(|point| point.kind == kind && (point.passed || !passed)).count();
    let kinds = KINDS.map(|kind| (kind, count(kind, true), count(kind, false)));
    let missed = points.iter().filter(|point| !point.passed);
    let missed = missed.map(|point| Missed { kind: point.kind, what: point.what.clone() });
    Tally { saga: definition.name.clone(), kinds: kinds.into(), missed: missed.collect() }
}

/// The events that start it: of several each, and both ways of each one's `if`.
fn starts(definition: &Definition, seen: &Seen, add: &mut impl FnMut(&'static str, String, bool)) {
    for ((start, number), name) in definition.starts.iter().zip(0..).zip(definition.start_names()) {
        let (is_alone, was) = (definition.starts.len() == 1, |is_true| seen.started.contains(&(number, is_true)));
        let whose = if is_alone { "the start's if".to_owned() } else { format!("the if of the start by {name}") };
        if !is_alone {
            add("arms", format!("nothing is started by {name}"), was(true));
        }
        if start.condition.is_some() {
            add("conditions", format!("{whose} is never true"), was(true));
            add("conditions", format!("{whose} is never false"), was(false));
        }
    }
}

/// Every place of a definition, in its order.
fn points(definition: &Definition, seen: &Seen) -> Vec<Point> {
    let mut points = Vec::new();
    let mut add = |kind, what: String, passed| points.push(Point { kind, what, passed });
    starts(definition, seen, &mut add);
    for (node, number) in definition.nodes.iter().zip(0..) {
        let name = &node.name;
        let of_event = node.verb.listens().and_then(|(_, condition)| condition);
        for condition in node.condition.iter().chain(of_event) {
            for is_true in [true, false] {
                let passed = seen.conditions.contains(&(condition.site(), is_true));
                add("conditions", format!("the if of {name} is never {is_true}"), passed);
            }
        }
        match &node.verb {
            Verb::Do(asks) => {
                add("steps", format!("{name} is never asked"), seen.entered.contains(&number));
                // Behind the pivot nothing is expected to refuse.
                if node.phase != Phase::Retriable {
                    add("refusals", format!("{name} is never refused"), seen.refused.contains(&number));
                }
                if matches!(asks.undo, Undo::Command { .. }) {
                    add("undos", format!("{name} is never undone"), seen.undone.contains(&number));
                }
            }
            Verb::Sleep(_) => add("steps", format!("{name} never sleeps"), seen.entered.contains(&number)),
            Verb::Wait(_) => {
                add("steps", format!("{name} never waits"), seen.entered.contains(&number));
                add("refusals", format!("{name} never waits in vain"), seen.refused.contains(&number));
            }
            Verb::Approval(_) => {
                add("steps", format!("{name} is never asked for"), seen.entered.contains(&number));
                add("refusals", format!("{name} is never refused"), seen.refused.contains(&number));
            }
            Verb::Emit(_) => add("steps", format!("{name} never emits"), seen.entered.contains(&number)),
            Verb::Refuse(_) => add("steps", format!("{name} never refuses"), seen.entered.contains(&number)),
            Verb::Choice(arms) => {
                let mut others = None;
                for (arm, index) in arms.iter().zip(1..) {
                    // The last one is taken where the one before it is not true.
                    let (site, what) = match &arm.condition {
                        Some(condition) => (Some((condition.site(), true)), format!("arm {index} of {name} is never taken")),
                        None => (others, format!("else of {name} is never taken")),
                    };
                    add("arms", what, site.is_some_and(|site| seen.conditions.contains(&site)));
                    others = arm.condition.as_ref().map(|condition| (condition.site(), false));
                }
            }
            Verb::Run(_) => {
                add("steps", format!("{name} never runs"), seen.entered.contains(&number));
                if node.phase != Phase::Retriable {
                    add("refusals", format!("{name} is never refused"), seen.refused.contains(&number));
                }
            }
            Verb::Sequence(_) | Verb::Group | Verb::Parallel(_) | Verb::ForEach(_) | Verb::Claim(_) => {}
        }
        let reactions = node.on_refused.iter().map(|on| ("refused", on)).chain(node.on_failed.iter().map(|on| ("failed", on)));
        for (how, on) in reactions {
            let code = format!("{how} {}", on.code.as_deref().unwrap_or("else"));
            match on.reaction {
                Reaction::Steps { list, .. } => {
                    add("reactions", format!("{name} never reacts to {code}"), seen.reacted.contains(&list));
                }
                Reaction::GoOn => add("reactions", format!("{name} is never left out for {code}"), seen.left_out.contains(&number)),
                // What they lead to is an undo, or a person.
                Reaction::Undo | Reaction::Stuck => {}
            }
        }
    }
    points
}
