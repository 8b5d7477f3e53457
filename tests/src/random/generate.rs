//! Draws definitions: small ones mostly, with refusals on the way, times that run out and a pivot anywhere.

use fastrand::Rng;
use ringmaster_schemas::journal::Phase;

use super::plan::{Arm, Do, Node, Plan, Retry, Undo, What};
use super::value::{Condition, FIELDS, Value};

/// Failures that participants tell, in this order of their numbers.
pub(super) const FAILURES: [&str; 2] = ["BUSY", "DOWN"];

/// Lists in lists.
const DEPTH: u32 = 2;

/// A definition of this seed.
pub(super) fn plan(random: &mut Rng) -> Plan {
    let mut draw = Draw { names: Vec::new(), random };
    let mut steps = draw.list(DEPTH);
    draw.put_pivot(&mut steps);
    let deadline_ms = draw.often(0.4).then(|| draw.millis(500, 120_000));
    let completed = draw.often(0.7).then(|| draw.value());
    let compensated = draw.often(0.7).then(|| draw.value());
    let mut plan = Plan { deadline_ms, steps, completed, compensated };
    plan.mend();
    plan
}

struct Draw<'r> {
    random: &'r mut Rng,
    /// Of steps so far: what may be read, if it can be there.
    names: Vec<String>,
}

impl Draw<'_> {
    fn often(&mut self, share: f64) -> bool {
        self.random.f64() < share
    }

    /// Short times as often as long ones.
    fn millis(&mut self, least: i64, most: i64) -> i64 {
        let most = self.random.i64(least..=most);
        self.random.i64(least..=most)
    }

    fn list(&mut self, depth: u32) -> Vec<Node> {
        let most = if depth == DEPTH { 4 } else { 3 };
        (0..self.random.usize(1..=most)).map(|_| self.node(depth)).collect()
    }

    fn node(&mut self, depth: u32) -> Node {
        let condition = self.often(0.25).then(|| self.condition());
        let what = match self.random.f64() {
            share if share < 0.62 || (depth == 0 && share >= 0.76) => What::Do(self.command()),
            share if share < 0.70 => What::Emit(self.value()),
            share if share < 0.76 => What::Refuse,
            share if share < 0.86 => What::Group(self.list(depth - 1)),
            _ => What::Switch(self.arms(depth - 1)),
        };
        let name = format!("s{}", self.names.len() + 1);
        self.names.push(name.clone());
        Node { name, condition, phase: Phase::Compensatable, what }
    }

    fn arms(&mut self, depth: u32) -> Vec<Arm> {
        let mut arms: Vec<Arm> =
            (0..self.random.usize(1..=2)).map(|_| Arm { condition: Some(self.condition()), steps: self.list(depth) }).collect();
        let steps = if self.often(0.3) { Vec::new() } else { self.list(depth) };
        arms.push(Arm { condition: None, steps });
        arms
    }

    fn command(&mut self) -> Do {
        let undo = match self.random.u32(0..10) {
            0..2 => Undo::Nothing,
            2..7 => Undo::Same,
            _ => Undo::Own(self.own_undo()),
        };
        let first_ms = self.millis(50, 5_000);
        Do {
            tells: self.value(),
            undo: Some(undo),
            timeout_ms: self.millis(100, 10_000),
            within_ms: self.often(0.5).then(|| self.millis(100, 60_000)),
            retry: Retry {
                attempts: self.often(0.7).then(|| self.random.u32(1..=3)),
                first_ms,
                max_ms: first_ms + self.millis(0, 10_000),
                not_on: self.often(0.3).then(|| FAILURES[self.random.usize(..FAILURES.len())]),
            },
            pivot: false,
        }
    }

    fn own_undo(&mut self) -> Value {
        match self.random.u32(0..3) {
            0 => Value::Const(77),
            // Its own name is the next one.
            1 => Value::Result(format!("s{}", self.names.len() + 1)),
            _ => self.value(),
        }
    }

    fn value(&mut self) -> Value {
        let step = self.often(0.5).then(|| self.step()).flatten();
        match (self.random.u32(0..20), step) {
            (0..10, Some(step)) => Value::Result(step),
            (10..20, Some(step)) => Value::Certain(step),
            (0..12, _) => Value::Start(self.random.usize(..FIELDS.len())),
            (19, _) => Value::Broken(self.random.usize(..FIELDS.len())),
            (number, _) => Value::Const(i64::from(number)),
        }
    }

    fn condition(&mut self) -> Condition {
        if self.often(0.15)
            && let Some(step) = self.step()
        {
            return Condition::Has(step, self.random.bool());
        }
        let (value, bound) = (self.value(), self.random.i64(0..5));
        if self.often(0.6) { Condition::AtLeast(value, bound) } else { Condition::Below(value, bound) }
    }

    fn step(&mut self) -> Option<String> {
        let step = self.random.choice(&self.names)?;
        Some(step.clone())
    }

    /// Any step may be the pivot.
    fn put_pivot(&mut self, steps: &mut [Node]) {
        if !self.often(0.6) {
            return;
        }
        let mut count = 0;
        each_command(steps, &mut |_| count += 1);
        if count == 0 {
            return;
        }
        let chosen = self.random.usize(..count);
        each_command(steps, &mut |asks| {
            count -= 1;
            asks.pivot = count == chosen;
        });
    }
}

fn each_command(steps: &mut [Node], visit: &mut dyn FnMut(&mut Do)) {
    for node in steps {
        if let What::Do(asks) = &mut node.what {
            visit(asks);
        }
        node.lists_mut().into_iter().for_each(|list| each_command(list, visit));
    }
}
