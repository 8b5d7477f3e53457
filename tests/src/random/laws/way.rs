//! The way that a saga goes is the one that was written, by a reckoning of conditions and bodies that is not the core's.

use std::collections::{BTreeMap, BTreeSet};

use ringmaster_core::definition::Definition;
use ringmaster_schemas::journal::{Opens, Phase, SagaEvent};
use ringmaster_schemas::names::{Direction, parse_idempotency_key};
use ringmaster_schemas::registry::Schemas;
use ringmaster_schemas::state::{Saga, Work};
use ringmaster_schemas::wire::{self, Body};

use crate::random::plan::{Node, Plan, Undo, What};
use crate::random::value::{CannotBeComputed, Condition, View};
use crate::stories::Happened;

/// Something is entered, told or refused only where all conditions around it hold, and skipped only where its own does not.
pub(in crate::random) fn way(
    plan: &Plan,
    definition: &Definition,
    view: &View,
    before: Option<&Saga>,
    happened: &Happened,
) -> Option<String> {
    let seen = seen(view, before?);
    let (name, skipped) = match &happened.event {
        SagaEvent::CommandIssued { order, .. } => (order.step(), false),
        SagaEvent::Emitted { emission, .. } => (&*emission.id, false),
        SagaEvent::Entered { opens: Opens::Refused { failure }, .. } => (&*failure.step, false),
        SagaEvent::Skipped { node, .. } => (&*definition.node(*node)?.name, true),
        _ => return None,
    };
    let reached = reached(&plan.steps, name, &seen);
    let fits = match reached {
        Some(Ok(reached)) if skipped => reached == Reached::NotItself || is_pivot(plan, name) && reached != Reached::Yes,
        Some(Ok(reached)) => reached == Reached::Yes,
        Some(Err(CannotBeComputed)) | None => false,
    };
    let what = if skipped { "skipped" } else { "entered" };
    (!fits).then(|| format!("way: {name} is {what}, and its conditions are {reached:?}"))
}

/// L18: when all is done, what was reached is what was written, no more and no less.
pub(in crate::random) fn whole_way(plan: &Plan, view: &View, history: &[Happened]) -> Option<String> {
    let last = history.last().filter(|last| matches!(last.event, SagaEvent::Completed { .. }))?;
    let seen = seen(view, &last.behind);
    let mut wanted = BTreeSet::new();
    if whole(&plan.steps, &seen, &mut wanted).is_err() {
        return Some("L18: it is completed, and a condition cannot be computed".to_owned());
    }
    let went: BTreeSet<&str> = history
        .iter()
        .filter_map(|happened| match &happened.event {
            SagaEvent::CommandIssued { order, .. } => Some(order.step()),
            SagaEvent::Emitted { emission, .. } => Some(&*emission.id),
            _ => None,
        })
        .collect();
    (went != wanted || last.behind.passed != plan.has_pivot())
        .then(|| format!("L18: it went through {went:?} and was to go through {wanted:?}, passed: {}", last.behind.passed))
}

/// A command's body is the one that was written: of an undo its own, else that of its do.
pub(in crate::random) fn bodies(plan: &Plan, view: &View, schemas: &Schemas, history: &[Happened]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known: BTreeMap<String, i64> = BTreeMap::new();
    let mut succeeded = View { start: view.start, ..View::default() };
    for happened in history {
        if let SagaEvent::Succeeded { place, .. } = &happened.event
            && let Some(name) = happened.behind.entry(*place).map(|entry| entry.name())
            && let Some(result) = view.results.get(name)
        {
            succeeded.results.insert(name.to_owned(), *result);
        }
        for effect in &happened.effects {
            let Ok(command) = wire::decode_command(effect.value(), schemas) else { continue };
            let key = command.meta.idempotency_key.clone().into_owned();
            let Some((_, step, direction)) = parse_idempotency_key(&key) else { continue };
            if direction == Direction::Undo && command.meta.undoes.is_none() {
                faults.push(format!("wire: {key} does not say what it undoes"));
            }
            if command.meta.attempt > 1 {
                continue;
            }
            let Some(Node { what: What::Do(asks), .. }) = plan.node(step) else { continue };
            let wanted = match (direction, &asks.undo) {
                (Direction::Undo, Some(Undo::Own(value))) => value.of(&succeeded),
                (Direction::Undo, _) => known.get(step).copied().ok_or(CannotBeComputed),
                (Direction::Do, _) => asks.tells.of(&succeeded),
            };
            let told = number(&command.body);
            if wanted.ok() != told {
                faults.push(format!("wire: {key} tells {told:?} instead of {wanted:?}"));
            }
            known.extend(told.filter(|_| direction == Direction::Do).map(|told| (step.to_owned(), told)));
        }
    }
    faults
}

fn number(body: &Body<'_>) -> Option<i64> {
    let Body::Json(text) = body else { return None };
    serde_json::from_str::<serde_json::Value>(text).ok()?.get("n")?.as_i64()
}

/// What is done, and what it gave.
fn seen(view: &View, saga: &Saga) -> View {
    let done = saga.entries.iter().filter(|entry| entry.work == Work::Done).map(|entry| entry.name());
    let results = done.filter_map(|name| Some((name.to_owned(), *view.results.get(name)?))).collect();
    View { start: view.start, results }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reached {
    Yes,
    /// All but its own condition hold.
    NotItself,
    /// Something around it is passed by.
    NotAround,
}

/// Whether the conditions of a node and around it hold; none if there is no such node.
fn reached(list: &[Node], name: &str, seen: &View) -> Option<Result<Reached, CannotBeComputed>> {
    list.iter().find_map(|node| {
        if node.name == name {
            let holds = holds(&node.condition, seen);
            return Some(holds.map(|holds| if holds { Reached::Yes } else { Reached::NotItself }));
        }
        let lists = node.lists();
        let (arm, inside) = lists.into_iter().enumerate().find_map(|(arm, list)| Some((arm, reached(list, name, seen)?)))?;
        Some(passes(node, arm, seen).and_then(|through| if through { inside } else { Ok(Reached::NotAround) }))
    })
}

/// Whether it goes through this list of a node.
fn passes(node: &Node, list: usize, seen: &View) -> Result<bool, CannotBeComputed> {
    Ok(holds(&node.condition, seen)? && (!matches!(node.what, What::Switch(_)) || chosen(node, seen)? == list))
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

/// All that is asked and told on the way.
fn whole<'p>(list: &'p [Node], seen: &View, out: &mut BTreeSet<&'p str>) -> Result<(), CannotBeComputed> {
    for node in list {
        if !holds(&node.condition, seen)? {
            continue;
        }
        match &node.what {
            What::Do(_) | What::Emit(_) | What::Refuse => {
                out.insert(&node.name);
            }
            What::Group(steps) => whole(steps, seen, out)?,
            What::Switch(arms) => whole(&arms[chosen(node, seen)?].steps, seen, out)?,
        }
    }
    Ok(())
}

fn is_pivot(plan: &Plan, name: &str) -> bool {
    plan.node(name).is_some_and(|node| node.phase == Phase::Pivot)
}
