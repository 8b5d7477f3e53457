//! Draws definitions: small ones mostly, with refusals on the way, times that run out and a pivot anywhere.

use fastrand::Rng;

use super::plan::{Approval, Arm, Do, Fits, Next, Node, On, Plan, Reaction, Retry, Sleep, Undo, Wait, What};
use super::value::{Condition, FIELDS, Value};

/// Failures that participants tell.
pub(super) const FAILURES: [&str; 2] = ["BUSY", "DOWN"];
/// What they refuse with.
pub(super) const REFUSALS: [&str; 2] = ["NO", "FULL"];
/// What definitions refuse with.
pub(super) const REFUSAL: &str = "NOT_THIS";

/// Events that are waited for.
pub(super) const EVENTS: [&str; 2] = ["CameA", "CameB"];
/// The event that cancels.
pub(super) const STOP: &str = "Stopped";

/// Lists in lists.
const DEPTH: u32 = 2;

/// A definition of this seed.
pub(super) fn plan(random: &mut Rng) -> Plan {
    let mut draw = Draw { count: 0, names: Vec::new(), random };
    let depth = if draw.often(0.3) { DEPTH } else { DEPTH - 1 };
    let mut steps = draw.list(depth);
    draw.put_pivot(&mut steps);
    let deadline_ms = draw.often(0.4).then(|| draw.millis(500, 120_000));
    let completed = draw.often(0.7).then(|| draw.value());
    let compensated = draw.often(0.7).then(|| draw.value());
    let stuck = draw.often(0.5).then(|| draw.value());
    let cancel = draw.often(0.4);
    let priority = draw.often(0.2).then(|| draw.random.usize(..FIELDS.len()));
    let mut plan = Plan { deadline_ms, priority, cancel, steps, completed, compensated, stuck };
    plan.mend();
    plan
}

struct Draw<'r> {
    random: &'r mut Rng,
    count: usize,
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
        let most = if depth == DEPTH { 3 } else { 2 + depth as usize };
        (0..self.random.usize(1..=most)).map(|_| self.node(depth)).collect()
    }

    fn node(&mut self, depth: u32) -> Node {
        self.count += 1;
        let name = format!("s{}", self.count);
        let condition = self.often(0.2).then(|| self.condition());
        let what = match self.random.f64() {
            share if share < 0.50 || (depth == 0 && share >= 0.74) => {
                self.names.push(name.clone());
                What::Do(self.command(&name))
            }
            share if share < 0.55 => What::Emit(self.value()),
            share if share < 0.59 => What::Refuse,
            share if share < 0.65 => What::Wait(self.wait()),
            share if share < 0.69 => What::Sleep(self.sleep()),
            share if share < 0.74 => What::Approval(self.approval()),
            share if share < 0.81 => What::Group(self.list(depth - 1)),
            share if share < 0.88 => What::Switch(self.arms(depth - 1)),
            _ => What::Parallel((0..self.random.usize(2..=3)).map(|_| self.list(depth - 1)).collect()),
        };
        let mut node = Node { condition, ..Node::plain(name, what) };
        match node.what {
            What::Do(_) if self.often(0.4) => self.react(&mut node, depth),
            What::Sleep(_) | What::Approval(_) | What::Wait(_) => {
                node.within_ms = self.often(0.7).then(|| self.millis(100, 60_000));
                if self.often(0.4) {
                    let codes: &[_] = if let What::Approval(_) = node.what { &["REFUSED", "EXPIRED"] } else { &["EXPIRED"] };
                    node.on_refused = self.reactions(codes, depth, &[]);
                }
            }
            What::Group(_) | What::Switch(_) | What::Parallel(_) => {
                node.within_ms = self.often(0.4).then(|| self.millis(100, 60_000));
                if self.often(0.5) {
                    self.react(&mut node, depth);
                }
            }
            _ => {}
        }
        node
    }

    fn react(&mut self, node: &mut Node, depth: u32) {
        let inside: Vec<String> =
            node.all().into_iter().filter(|node| node.gives_its_name()).map(|node| node.name.clone()).collect();
        if self.often(0.8) {
            node.on_refused = self.reactions(&[REFUSALS[0], REFUSALS[1], REFUSAL, "EXPIRED"], depth, &inside);
        }
        if self.often(0.5) {
            node.on_failed = self.reactions(&[FAILURES[0], FAILURES[1], "TIMEOUT", "EXPIRED"], depth, &inside);
        }
    }

    /// One for all, or one for some codes.
    fn reactions(&mut self, codes: &[&'static str], depth: u32, inside: &[String]) -> Vec<On> {
        let mut all = Vec::new();
        if self.often(0.3) {
            let named: Vec<&str> = codes.iter().copied().filter(|_| self.random.bool()).collect();
            all.extend(named.into_iter().map(|code| On { code: Some(code), reaction: self.reaction(depth, inside) }));
        }
        if all.is_empty() || self.often(0.7) {
            all.push(On { code: None, reaction: self.reaction(depth, inside) });
        }
        all
    }

    fn reaction(&mut self, depth: u32, inside: &[String]) -> Reaction {
        // Words only where lists are deep enough.
        match self.random.u32(0..if depth == 0 { 6 } else { 12 }) {
            0 => Reaction::Undo,
            1..5 => Reaction::GoOn,
            5 => Reaction::Stuck,
            _ => {
                let mut steps: Vec<Node> = (0..self.random.usize(1..=2)).map(|_| self.node(depth - 1)).collect();
                for step in &mut steps {
                    if let What::Do(asks) = &mut step.what {
                        asks.stands_for = self.random.choice(inside).filter(|_| self.random.bool()).cloned();
                    }
                }
                let next = match self.random.u32(0..5) {
                    0 => Next::Undo,
                    1 | 2 => Next::GoOn,
                    _ => Next::Retry(self.random.u16(1..=2)),
                };
                Reaction::Steps { steps, next }
            }
        }
    }

    fn arms(&mut self, depth: u32) -> Vec<Arm> {
        let mut arms: Vec<Arm> =
            (0..self.random.usize(1..=2)).map(|_| Arm { condition: Some(self.condition()), steps: self.list(depth) }).collect();
        let steps = if self.often(0.3) { Vec::new() } else { self.list(depth) };
        arms.push(Arm { condition: None, steps });
        arms
    }

    fn command(&mut self, name: &str) -> Do {
        let undo = match self.random.u32(0..10) {
            0..2 => Undo::Nothing,
            2..7 => Undo::Same,
            _ => Undo::Own(self.own_undo(name)),
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
            stands_for: None,
        }
    }

    fn sleep(&mut self) -> Sleep {
        let millis = self.millis(1, 60_000);
        if self.often(0.6) { Sleep::For(millis) } else { Sleep::FromStart(millis) }
    }

    fn wait(&mut self) -> Wait {
        let fits = match (self.random.u32(0..4), self.step()) {
            (0, Some(step)) => Some(Fits::AtMost(Value::Result(step))),
            (0..2, _) => Some(Fits::AtLeast(self.random.i64(0..4))),
            _ => None,
        };
        Wait { event: self.random.usize(..EVENTS.len()), fits, keep_ms: self.often(0.5).then(|| self.millis(100, 60_000)) }
    }

    fn approval(&mut self) -> Approval {
        let (mut escalations, mut last) = (Vec::new(), 0);
        while self.often(0.4) && escalations.len() < 3 {
            last += self.millis(1, 20_000);
            escalations.push(last);
        }
        let answer = self.often(0.5).then(|| (self.random.usize(..EVENTS.len()), self.random.i64(0..5)));
        Approval { shown: self.value(), escalations, answer }
    }

    fn own_undo(&mut self, name: &str) -> Value {
        match self.random.u32(0..4) {
            0 => Value::Const(77),
            1 => Value::Result(name.to_owned()),
            2 => Value::Start(self.random.usize(..FIELDS.len())),
            _ => self.value(),
        }
    }

    fn value(&mut self) -> Value {
        let step = self.often(0.5).then(|| self.step()).flatten();
        match (self.random.u32(0..20), step) {
            (0..10, Some(step)) => Value::Result(step),
            (10..20, Some(step)) => Value::Certain(step),
            (0..12, _) => Value::Start(self.random.usize(..FIELDS.len())),
            (17..19, _) => Value::Round,
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

    /// Any step may be the pivot, or several: those that stand on one way are mended.
    fn put_pivot(&mut self, steps: &mut [Node]) {
        if !self.often(0.6) {
            return;
        }
        let mut count = 0;
        each_command(steps, &mut |_| count += 1);
        if count == 0 {
            return;
        }
        let (chosen, several) = (self.random.usize(..count), self.often(0.4));
        each_command(steps, &mut |asks| {
            count -= 1;
            asks.pivot = count == chosen || (several && self.random.u32(..3) == 0);
        });
        let inside: Vec<String> = Vec::new();
        if self.often(0.5)
            && let Some(pivot) = steps.iter_mut().find(|node| matches!(&node.what, What::Do(asks) if asks.pivot))
        {
            pivot.on_refused = vec![On { code: None, reaction: self.reaction(1, &inside) }];
        }
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
