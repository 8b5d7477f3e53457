//! Makes a failing run smaller: nodes are left out one by one, and of many runs the shortest is kept.

use fastrand::Rng;

use super::Report;
use super::known::Known;
use super::plan::{Node, Plan};
use super::run::{Broken, play};
use super::write;
use super::write::SAGA;

/// Runs of each smaller definition.
const TRIES: u64 = 200;

/// The smallest definition, and the shortest run of it, that breaks one of the same laws.
pub(super) fn smaller(plan: &Plan, broken: Box<Broken>) -> Box<Broken> {
    let laws = broken.laws();
    let mut best = broken;
    let mut plan = plan.clone();
    while let Some((smaller, shorter)) = cuts(&plan).into_iter().find_map(|cut| Some((cut.clone(), fails(&cut, &laws)?))) {
        (plan, best) = (smaller, shorter);
    }
    match fails(&plan, &laws) {
        Some(shorter) if shorter.length < best.length => shorter,
        _ => best,
    }
}

/// The shortest of some runs that breaks one of these laws.
fn fails(plan: &Plan, laws: &[String]) -> Option<Box<Broken>> {
    let known = Known::of(SAGA, plan).ok()?;
    let mut random = Rng::with_seed(1);
    let runs = (0..TRIES).filter_map(|_| play(plan, &known, random.u64(..), &mut Report::default()).err());
    runs.filter(|broken| broken.laws().iter().any(|law| laws.contains(law))).min_by_key(|broken| broken.length)
}

/// The same definition with one thing less.
fn cuts(plan: &Plan) -> Vec<Plan> {
    let mut cuts = Vec::new();
    for number in 0..plan.nodes().len() {
        for cut in [leave_out, lift, drop_condition] {
            let mut smaller = plan.clone();
            let mut left = number;
            if cut(&mut smaller.steps, &mut left) {
                smaller.mend();
                cuts.push(smaller);
            }
        }
    }
    let without = [
        Plan { deadline_ms: None, ..plan.clone() },
        Plan { priority: None, ..plan.clone() },
        Plan { completed: None, ..plan.clone() },
        Plan { compensated: None, ..plan.clone() },
        Plan { stuck: None, ..plan.clone() },
    ];
    cuts.extend(
        without
            .into_iter()
            .zip([
                plan.deadline_ms.is_some(),
                plan.priority.is_some(),
                plan.completed.is_some(),
                plan.compensated.is_some(),
                plan.stuck.is_some(),
            ])
            .filter_map(|(cut, was_there)| was_there.then_some(cut)),
    );
    // Mending may put back what was cut: only what is shorter brings it nearer to an end.
    let length = write::text(plan).len();
    cuts.retain(|cut| write::text(cut).len() < length);
    cuts
}

/// Without a node. `left` counts down to it in preorder.
fn leave_out(list: &mut Vec<Node>, left: &mut usize) -> bool {
    at(list, left, &mut |list, place| {
        list.remove(place);
        true
    })
}

/// What is in a node instead of it.
fn lift(list: &mut Vec<Node>, left: &mut usize) -> bool {
    at(list, left, &mut |list, place| {
        let inside: Vec<Node> = list[place].lists_mut().into_iter().flat_map(std::mem::take).collect();
        let lifts = !inside.is_empty();
        if lifts {
            list.splice(place..=place, inside);
        }
        lifts
    })
}

fn drop_condition(list: &mut Vec<Node>, left: &mut usize) -> bool {
    at(list, left, &mut |list, place| list[place].condition.take().is_some())
}

fn at(list: &mut Vec<Node>, left: &mut usize, change: &mut dyn FnMut(&mut Vec<Node>, usize) -> bool) -> bool {
    for place in 0..list.len() {
        if *left == 0 {
            *left = usize::MAX;
            return change(list, place);
        }
        *left -= 1;
        for inner in list[place].lists_mut() {
            if at(inner, left, change) {
                return true;
            }
        }
    }
    false
}
