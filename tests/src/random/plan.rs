//! A random definition as a tree, before it is written: what the language allows, and what follows from where a node stands.

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::Phase;

use super::value::{Condition, Value, View};

/// A definition.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) deadline_ms: Option<Millis>,
    /// Of the start event: what makes its priority more than the usual one.
    pub(super) priority: Option<usize>,
    /// An event cancels it.
    pub(super) cancel: bool,
    pub(super) steps: Vec<Node>,
    /// What the events of its ends tell; none without events.
    pub(super) completed: Option<Value>,
    pub(super) compensated: Option<Value>,
    pub(super) stuck: Option<Value>,
}

/// A node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) condition: Option<Condition>,
    /// By [`Plan::mend`].
    pub(super) phase: Phase,
    pub(super) what: What,
    /// Of anything but a command, which has its own.
    pub(super) within_ms: Option<Millis>,
    pub(super) on_refused: Vec<On>,
    pub(super) on_failed: Vec<On>,
}

/// What follows upon a code.
#[derive(Debug, Clone)]
pub(super) struct On {
    /// None: whatever comes to it; the last one, then.
    pub(super) code: Option<&'static str>,
    pub(super) reaction: Reaction,
}

#[derive(Debug, Clone)]
pub(super) enum Reaction {
    Undo,
    GoOn,
    Stuck,
    Steps { steps: Vec<Node>, next: Next },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    GoOn,
    /// So often, in one entry of the scope around.
    Retry(u16),
    Undo,
}

/// What a node does.
#[derive(Debug, Clone)]
pub(super) enum What {
    Do(Do),
    Emit(Value),
    Refuse,
    Group(Vec<Node>),
    Switch(Vec<Arm>),
    Parallel(Vec<Vec<Node>>),
    Sleep(Sleep),
    Approval(Approval),
    Wait(Wait),
}

/// An event that is waited for.
#[derive(Debug, Clone)]
pub(super) struct Wait {
    /// Which of the types.
    pub(super) event: usize,
    /// Only one whose number is so.
    pub(super) fits: Option<Fits>,
    pub(super) keep_ms: Option<Millis>,
}

/// What is said of an event's number.
#[derive(Debug, Clone)]
pub(super) enum Fits {
    /// It is as large.
    AtLeast(i64),
    /// It is no larger: what that is compared with may be known only when the event is waited for.
    AtMost(Value),
}

impl Fits {
    pub(super) fn text(&self) -> String {
        match self {
            Fits::AtLeast(least) => format!("event.n >= {least}"),
            Fits::AtMost(most) => format!("event.n <= {}", most.text()),
        }
    }

    pub(super) fn of(&self, number: i64, view: &View) -> bool {
        match self {
            Fits::AtLeast(least) => number >= *least,
            Fits::AtMost(most) => most.of(view).is_ok_and(|most| number <= most),
        }
    }
}

/// How long nothing happens.
#[derive(Debug, Clone)]
pub(super) enum Sleep {
    For(Millis),
    /// So long behind the saga's start.
    FromStart(Millis),
}

/// A question to people.
#[derive(Debug, Clone)]
pub(super) struct Approval {
    pub(super) shown: Value,
    /// When others may answer too.
    pub(super) escalations: Vec<Millis>,
    /// An event of this type answers too, and says yes where its number is as large.
    pub(super) answer: Option<(usize, i64)>,
}

/// A way through a switch; only the last one has no condition.
#[derive(Debug, Clone)]
pub(super) struct Arm {
    pub(super) condition: Option<Condition>,
    pub(super) steps: Vec<Node>,
}

/// A command, and how it is asked.
#[derive(Debug, Clone)]
pub(super) struct Do {
    pub(super) tells: Value,
    /// None on the pivot and behind it.
    pub(super) undo: Option<Undo>,
    pub(super) timeout_ms: Millis,
    pub(super) within_ms: Option<Millis>,
    pub(super) retry: Retry,
    pub(super) pivot: bool,
    /// The step under whose name its result is read, if it stands in a reaction.
    pub(super) stands_for: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Undo {
    Nothing,
    /// With the body of the do.
    Same,
    /// With a body of its own.
    Own(Value),
}

#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub(super) attempts: Option<u32>,
    pub(super) first_ms: Millis,
    pub(super) max_ms: Millis,
    /// A failure that is not tried again.
    pub(super) not_on: Option<&'static str>,
}

/// What a list of nodes is to the node that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    Body,
    /// By its number.
    Arm(usize),
    Branch,
    /// By its number among all reactions with steps.
    Reaction(usize),
}

impl Plan {
    /// All nodes in preorder.
    pub(super) fn nodes(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        self.steps.iter().for_each(|node| node.push(&mut out));
        out
    }

    /// Changes each time that is written in it.
    pub(super) fn each_time(&mut self, change: &dyn Fn(&mut Millis)) {
        self.deadline_ms.iter_mut().for_each(change);
        self.steps.iter_mut().for_each(|node| node.each_time(change));
    }

    /// The types of events that it waits for, or that answer to its approvals.
    pub(super) fn events(&self) -> Vec<usize> {
        let listens = self.nodes().into_iter().filter_map(|node| match &node.what {
            What::Wait(wait) => Some(wait.event),
            What::Approval(approval) => approval.answer.map(|(event, _)| event),
            _ => None,
        });
        listens.collect()
    }

    /// The node of a name.
    pub(super) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes().into_iter().find(|node| node.name == name)
    }

    /// Whether something cannot be undone.
    pub(super) fn has_pivot(&self) -> bool {
        self.nodes().iter().any(|node| matches!(&node.what, What::Do(asks) if asks.pivot))
    }
}

impl Node {
    /// A node with nothing but its verb.
    pub(super) fn plain(name: String, what: What) -> Node {
        let (on_refused, on_failed) = (Vec::new(), Vec::new());
        Node { name, condition: None, phase: Phase::Compensatable, what, within_ms: None, on_refused, on_failed }
    }

    /// It, and all that is in it, in preorder.
    pub(super) fn all(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        self.push(&mut out);
        out
    }

    fn each_time(&mut self, change: &dyn Fn(&mut Millis)) {
        self.within_ms.iter_mut().for_each(change);
        match &mut self.what {
            What::Do(Do { timeout_ms, within_ms, retry, .. }) => {
                [timeout_ms, &mut retry.first_ms, &mut retry.max_ms].into_iter().chain(within_ms).for_each(change);
            }
            What::Sleep(Sleep::For(time) | Sleep::FromStart(time)) => change(time),
            What::Approval(approval) => approval.escalations.iter_mut().for_each(change),
            What::Wait(wait) => wait.keep_ms.iter_mut().for_each(change),
            What::Emit(_) | What::Refuse | What::Group(_) | What::Switch(_) | What::Parallel(_) => {}
        }
        self.lists_mut().into_iter().flatten().for_each(|node| node.each_time(change));
    }

    fn push<'n>(&'n self, out: &mut Vec<&'n Node>) {
        out.push(self);
        self.lists().into_iter().flat_map(|(_, list)| list).for_each(|node| node.push(out));
    }

    /// The lists of nodes inside it: bodies, then reactions.
    pub(super) fn lists(&self) -> Vec<(Part, &Vec<Node>)> {
        let mut lists: Vec<(Part, &Vec<Node>)> = match &self.what {
            What::Group(steps) => vec![(Part::Body, steps)],
            What::Switch(arms) => arms.iter().enumerate().map(|(number, arm)| (Part::Arm(number), &arm.steps)).collect(),
            What::Parallel(branches) => branches.iter().map(|branch| (Part::Branch, branch)).collect(),
            What::Do(_) | What::Emit(_) | What::Refuse | What::Sleep(_) | What::Approval(_) | What::Wait(_) => Vec::new(),
        };
        let reactions = self.reactions().filter_map(|on| match &on.reaction {
            Reaction::Steps { steps, .. } => Some(steps),
            Reaction::Undo | Reaction::GoOn | Reaction::Stuck => None,
        });
        lists.extend(reactions.enumerate().map(|(number, steps)| (Part::Reaction(number), steps)));
        lists
    }

    /// The same, to change them.
    pub(super) fn lists_mut(&mut self) -> Vec<&mut Vec<Node>> {
        let mut lists: Vec<&mut Vec<Node>> = match &mut self.what {
            What::Group(steps) => vec![steps],
            What::Switch(arms) => arms.iter_mut().map(|arm| &mut arm.steps).collect(),
            What::Parallel(branches) => branches.iter_mut().collect(),
            What::Do(_) | What::Emit(_) | What::Refuse | What::Sleep(_) | What::Approval(_) | What::Wait(_) => Vec::new(),
        };
        lists.extend(self.on_refused.iter_mut().chain(&mut self.on_failed).filter_map(|on| match &mut on.reaction {
            Reaction::Steps { steps, .. } => Some(steps),
            Reaction::Undo | Reaction::GoOn | Reaction::Stuck => None,
        }));
        lists
    }

    /// A step whose result is read under its own name.
    pub(super) fn gives_its_name(&self) -> bool {
        matches!(&self.what, What::Do(asks) if asks.stands_for.is_none())
    }

    pub(super) fn reactions(&self) -> impl Iterator<Item = &On> {
        self.on_refused.iter().chain(&self.on_failed)
    }

    /// It waits by itself, and asks no participant.
    pub(super) fn waits_by_itself(&self) -> bool {
        matches!(self.what, What::Sleep(_) | What::Approval(_) | What::Wait(_))
    }

    /// It leaves an entry that holds what was entered in it.
    pub(super) fn is_scope(&self) -> bool {
        let asks = self.within_ms.is_some() || self.reactions().next().is_some();
        matches!(self.what, What::Parallel(_)) || (asks && matches!(self.what, What::Group(_) | What::Switch(_)))
    }
}
