//! The way that a saga goes is the one that was written, by a reckoning of conditions and bodies that is not the core's.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_core::definition::Definition;
use ringmaster_schemas::journal::{Opens, Phase, SagaEvent};
use ringmaster_schemas::state::{Entry, Saga, Work};

use crate::random::plan::{Node, Part, Plan, What};
use crate::random::value::{CannotBeComputed, Condition, FIELDS, View};
use crate::stories::Happened;

/// What is written, and what was told.
pub(in crate::random) struct Known<'a> {
    pub(in crate::random) plan: &'a Plan,
    pub(in crate::random) definition: &'a Definition,
    pub(in crate::random) start: [i64; FIELDS.len()],
    /// What steps gave, by their names with their rounds.
    pub(in crate::random) told: &'a BTreeMap<String, i64>,
}

impl Known<'_> {
    pub(super) fn name(&self, node: u16) -> &str {
        self.definition.node(node).map_or("", |node| &node.name)
    }

    /// Its name, with its round behind the first.
    fn name_at(&self, entry: &Entry) -> String {
        match entry.round {
            1 => self.name(entry.node).to_owned(),
            round => format!("{}~{round}", self.name(entry.node)),
        }
    }

    /// What expressions see. `undone`: what is undone, too.
    pub(super) fn seen(&self, saga: &Saga, undone: bool) -> View {
        let mut results = BTreeMap::new();
        for entry in &saga.entries {
            let there = (entry.work == Work::Done && entry.stray().is_none()) || (undone && entry.result.is_some());
            if there && let Some(What::Do(asks)) = self.plan.node(self.name(entry.node)).map(|node| &node.what) {
                let name = asks.stands_for.as_deref().unwrap_or(self.name(entry.node));
                let told = self.told.get(&self.name_at(entry)).copied().filter(|_| entry.result.is_some());
                results.insert(name.to_owned(), told);
            }
        }
        View { start: self.start, round: 1, results }
    }

    /// The same at a node, and which try it is there: that of the nearest node around that is tried again, in one entry of its scope.
    pub(super) fn seen_at(&self, saga: &Saga, undone: bool, node: u16, at: usize) -> View {
        View { round: self.round(&saga.entries[..at], node, true), ..self.seen(saga, undone) }
    }

    /// Which try it is at a node, behind these entries. `begins`: it is about to be entered itself; else what is in it is.
    fn round(&self, entries: &[Entry], node: u16, begins: bool) -> i64 {
        let mut around = std::iter::once(node).chain(self.definition.around(node));
        let Some(retried) = around.find(|node| self.definition.nodes[usize::from(*node)].is_retried()) else { return 1 };
        let scope = self.definition.nodes[usize::from(retried)].scope;
        let since = entries.iter().rposition(|entry| entry.node == scope).unwrap_or(0);
        let tries = entries[since..].iter().filter(|entry| entry.node == retried).count();
        tries as i64 + i64::from(begins && retried == node)
    }
}

/// Something is entered, told or refused only where all conditions around it hold, and skipped only where its own does not.
pub(in crate::random) fn way(known: &Known<'_>, before: Option<&Saga>, happened: &Happened) -> Option<String> {
    let before = before?;
    let (node, skipped) = match &happened.event {
        // Its conditions were looked at when it was parked.
        SagaEvent::CommandIssued { place, .. } if usize::from(*place) < before.entries.len() => return None,
        SagaEvent::CommandIssued { node, .. } | SagaEvent::Emitted { node, .. } => (*node, false),
        SagaEvent::Entered {
            node,
            opens:
                Opens::Refused { .. }
                | Opens::Scope { .. }
                | Opens::Sleep { .. }
                | Opens::Approval { .. }
                | Opens::Wait { .. }
                | Opens::Parked { .. },
            ..
        } => (*node, false),
        SagaEvent::Skipped { node, .. } => (*node, true),
        _ => return None,
    };
    let name = known.name(node);
    let mut going = Going { known, entries: &before.entries, seen: known.seen(before, false) };
    // What is entered again is not asked for its condition: by its reaction, or since a person tries again what is stuck.
    let scope = known.definition.nodes[usize::from(node)].scope;
    let since = before.entries.iter().rposition(|entry| entry.node == scope).unwrap_or(0);
    let was_entered = |(place, entry): (usize, &Entry)| entry.node == node && (entry.reaction().is_some() || place >= since);
    let again = before.entries.iter().enumerate().any(was_entered);
    let fits = match going.reached(&known.plan.steps, name) {
        Some(Ok(reached)) if skipped => reached == Reached::NotItself || is_pivot(known.plan, name) && reached != Reached::Yes,
        Some(Ok(reached)) => reached == Reached::Yes || (again && reached == Reached::NotItself),
        Some(Err(CannotBeComputed)) | None => false,
    };
    let what = if skipped { "skipped" } else { "entered" };
    (!fits).then(|| format!("way: {name} is {what}, and its conditions are otherwise"))
}

/// L18: when all is done, what was reached is what was written.
pub(in crate::random) fn whole_way(known: &Known<'_>, history: &[Happened]) -> Option<String> {
    let last = history.last().filter(|last| matches!(last.event, SagaEvent::Completed { .. }))?;
    let went = history.iter().enumerate().filter_map(|(number, happened)| Some((known.name(node_of(&happened.event)?), number)));
    // The row of an ended saga holds no results any more.
    let row = &history.iter().nth_back(1)?.behind;
    let mut skipped = BTreeSet::new();
    for happened in history {
        match &happened.event {
            SagaEvent::Skipped { node, .. } => _ = skipped.insert(known.name(*node)),
            SagaEvent::Entered { node, .. } | SagaEvent::CommandIssued { node, .. } => _ = skipped.remove(known.name(*node)),
            _ => {}
        }
    }
    let way = Way { row, history, entries: newest(known, row), known, went: went.collect(), skipped };
    let mut missed = Vec::new();
    if way.list(&known.plan.steps, 0, &mut missed).is_err() {
        return Some("L18: it is completed, and a condition cannot be computed".to_owned());
    }
    (!missed.is_empty() || last.behind.passed != known.plan.has_pivot())
        .then(|| format!("L18: it never came to {missed:?}, or passed is wrong: {}", last.behind.passed))
}

/// What is entered, told or skipped.
fn node_of(event: &SagaEvent) -> Option<u16> {
    match event {
        SagaEvent::CommandIssued { node, .. }
        | SagaEvent::Emitted { node, .. }
        | SagaEvent::Entered { node, .. }
        | SagaEvent::Skipped { node, .. } => Some(*node),
        _ => None,
    }
}

/// The newest entry of each node, with its place.
fn newest<'s>(known: &Known<'_>, saga: &'s Saga) -> BTreeMap<String, (usize, &'s Entry)> {
    saga.entries.iter().enumerate().map(|(place, entry)| (known.name(entry.node).to_owned(), (place, entry))).collect()
}

/// The way that a completed saga must have gone. What was skipped was looked at when it was: what is read may change behind that.
struct Way<'a> {
    known: &'a Known<'a>,
    row: &'a Saga,
    history: &'a [Happened],
    entries: BTreeMap<String, (usize, &'a Entry)>,
    /// What was entered, told or skipped, and when it last was.
    went: BTreeMap<&'a str, usize>,
    /// What was skipped when it was last come to: its entry, if it has one, is of an earlier round.
    skipped: BTreeSet<&'a str>,
}

impl Way<'_> {
    fn went(&self, node: &Node, since: usize) -> bool {
        self.went.get(&*node.name).is_some_and(|number| *number >= since)
    }

    /// `since`: what is older is of another round.
    fn list<'p>(&self, list: &'p [Node], since: usize, missed: &mut Vec<&'p str>) -> Result<(), CannotBeComputed> {
        for (number, node) in list.iter().enumerate() {
            let entry = self.entries.get(&node.name).map(|(_, entry)| *entry);
            let leaves_a_trace = node.is_scope() || !matches!(node.what, What::Group(_) | What::Switch(_));
            let went = self.went(node, since);
            if leaves_a_trace && !went {
                missed.push(&node.name);
            }
            let was_skipped = went && self.skipped.contains(&*node.name);
            if was_skipped || (entry.is_none() && (leaves_a_trace || went)) {
                continue;
            }
            let done = entry.is_none_or(|entry| entry.work == Work::Done && entry.stray().is_none());
            let begun = self.went.get(&*node.name).copied().unwrap_or(since);
            for (part, inside) in node.lists() {
                // A reaction belongs to what it reacts to, as that was entered last.
                let since = if node.is_scope() || matches!(part, Part::Reaction(_)) { begun } else { since };
                let goes = match part {
                    Part::Body | Part::Branch => done,
                    Part::Arm(arm) => done && self.arm(node, &list[number + 1..], since)? == arm,
                    Part::Reaction(number) => !done && entry.is_some_and(|entry| self.reacted_by(entry, number)),
                };
                if goes {
                    self.list(inside, since, missed)?;
                }
            }
        }
        Ok(())
    }

    /// When something of these was first entered, told or skipped.
    fn first_of(&self, nodes: &[Node], since: usize) -> Option<usize> {
        let mut all = self.history.iter().enumerate().skip(since);
        let is_of = |name: &str| nodes.iter().flat_map(Node::all).any(|node| node.name == name);
        all.find_map(|(number, happened)| node_of(&happened.event).filter(|node| is_of(self.known.name(*node))).map(|_| number))
    }

    /// The arm that it went through, if something is in it; else the one that it was to go through. `behind`: what comes next.
    fn arm(&self, node: &Node, behind: &[Node], since: usize) -> Result<usize, CannotBeComputed> {
        // The pivot is passed by from another arm, too.
        let asked = |node: &Node| node.phase != Phase::Pivot || self.entries.contains_key(&node.name);
        let went = |list: &[Node]| list.iter().flat_map(Node::all).any(|node| self.went(node, since) && asked(node));
        if let Some((Part::Arm(number), _)) =
            node.lists().into_iter().find(|(part, list)| matches!(part, Part::Arm(_)) && went(list))
        {
            return Ok(number);
        }
        let number = self.known.definition.names.find(&node.name).unwrap_or_default();
        let at = self.entries.get(&node.name).map_or(self.row.entries.len(), |(place, _)| *place);
        // What comes behind it may give its result under a name that it reads.
        let entered = self.went.get(&*node.name).copied().filter(|_| node.is_scope());
        let at_latest = || Some(self.first_of(behind, since)?.saturating_sub(1));
        let row = entered.or_else(at_latest).map_or(self.row, |number| &self.history[number].behind);
        chosen(node, &self.known.seen_at(row, false, number, at.min(row.entries.len())))
    }

    /// Whether the steps of this reaction of a node began: its number counts among those with steps.
    fn reacted_by(&self, entry: &Entry, number: usize) -> bool {
        let lists = self.known.definition.lists(entry.node).count();
        let plan = self.known.plan.node(self.known.name(entry.node));
        let bodies = plan.map_or(0, |node| node.lists().iter().filter(|(part, _)| !matches!(part, Part::Reaction(_))).count());
        debug_assert!(number < lists, "a reaction has a list");
        self.known.definition.lists(entry.node).nth(bodies + number) == entry.reaction()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reached {
    Yes,
    /// All but its own condition hold.
    NotItself,
    /// Something around it is passed by.
    NotAround,
}

/// A saga on its way into a node.
struct Going<'a> {
    known: &'a Known<'a>,
    entries: &'a [Entry],
    /// Its round is that of the node that is looked at.
    seen: View,
}

impl Going<'_> {
    /// Whether the conditions of a node and around it hold, each in the round that it was asked in; none if there is no such node.
    fn reached(&mut self, list: &[Node], name: &str) -> Option<Result<Reached, CannotBeComputed>> {
        list.iter().find_map(|node| {
            if node.name == name {
                let holds = holds(&node.condition, self.at(node, true));
                return Some(holds.map(|holds| if holds { Reached::Yes } else { Reached::NotItself }));
            }
            let mut lists = node.lists().into_iter();
            let (part, inside) = lists.find_map(|(part, list)| Some((part, self.reached(list, name)?)))?;
            let through = passes(node, part, self.at(node, false));
            Some(through.and_then(|through| if through { inside } else { Ok(Reached::NotAround) }))
        })
    }

    fn at(&mut self, node: &Node, begins: bool) -> &View {
        let number = self.known.definition.names.find(&node.name).unwrap_or_default();
        self.seen.round = self.known.round(self.entries, number, begins);
        &self.seen
    }
}

/// Whether it may go through this list of a node.
fn passes(node: &Node, part: Part, seen: &View) -> Result<bool, CannotBeComputed> {
    Ok(holds(&node.condition, seen)?
        && match part {
            Part::Arm(number) => chosen(node, seen)? == number,
            Part::Body | Part::Branch | Part::Reaction(_) => true,
        })
}

fn chosen(node: &Node, seen: &View) -> Result<usize, CannotBeComputed> {
    let What::Switch(arms) = &node.what else { return Ok(0) };
    for (number, arm) in arms.iter().enumerate() {
        if holds(&arm.condition, seen)? {
            return Ok(number);
        }
    }
    Err(CannotBeComputed)
}

fn holds(condition: &Option<Condition>, seen: &View) -> Result<bool, CannotBeComputed> {
    condition.as_ref().map_or(Ok(true), |condition| condition.of(seen))
}

fn is_pivot(plan: &Plan, name: &str) -> bool {
    plan.node(name).is_some_and(|node| node.phase == Phase::Pivot)
}
