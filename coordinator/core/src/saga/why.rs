//! Why a saga waits: one reason for each open leaf, what wakes it and when, and what a person can do about it.
//!
//! A function of the row and its definition alone, so that it can be asked at any time and changes nothing.

mod items;
mod values;
mod ways;

use std::sync::Arc;

pub use items::{reason_at, reason_of};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Failure, Phase, Place};
use ringmaster_schemas::names::{Direction, below, participant_of, root_of};
use ringmaster_schemas::state::{Detail, Entry, Paused, Saga, Status, Waits, Work, rank_of};

pub use self::ways::Way;
use super::pausing::postponed;
use super::scope::{Scope, fits, halted, scope_of};
use super::{code, retry};
use crate::definition::{Definition, Node, ROOT, Step, Undo, Verb};

/// Why one open leaf waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Which entry; none: it has not even begun, since the saga is paused.
    pub place: Option<Place>,
    /// The step's name; of a saga's end `on_completed` or `on_compensated`.
    pub step: String,
    /// Whether it is about the step's own command or its undo.
    pub direction: Direction,
    /// The reason.
    pub waits: Waits,
    /// Since when.
    pub since: Millis,
    /// When it wakes without anybody's doing; none: never.
    pub wakes_at: Option<Millis>,
    /// What it waits for, in words.
    pub what: String,
    /// What wakes it, and what happens then, in words.
    pub then: String,
    /// What a person can do; empty where it goes on by itself.
    pub ways_out: Vec<Way>,
    /// Whom it asks, or will; none: nobody.
    pub asks: Option<Asks>,
    /// How the last attempt, or the leaf, ended without success.
    pub failure: Option<Arc<Failure>>,
    /// What those are shown whose approval is asked for, as JSON.
    pub show: Option<Arc<str>>,
}

/// Whom a leaf asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// The participant.
    pub participant: Arc<str>,
    /// The command; none: it is not made yet.
    pub command: Option<Arc<str>>,
    /// The last attempt, from 1; 0: there was none yet.
    pub attempt: u32,
    /// Of what is parked, its place among all that wait for the participant in its partition: the lowest goes out first.
    pub rank: Option<i64>,
}

/// Why each open leaf of a saga waits, in the order in which they were entered; behind them what does not begin while it is paused. Nothing
/// of a row that cannot be one of this definition.
pub fn why(definition: &Definition, saga: &Saga) -> Vec<Why> {
    if !fits(definition, saga) {
        return Vec::new();
    }
    let open = saga.entries.iter().zip(0..).filter(|(entry, _)| entry.open());
    let mut all: Vec<Why> = open.map(|(entry, place)| of(definition, saga, entry, place)).collect();
    if let Some(paused) = saga.paused() {
        all.extend(postponed(definition, saga).map(|next| does_not_begin(definition, saga, next.node, paused)));
    }
    all
}

fn does_not_begin(definition: &Definition, saga: &Saga, node: u16, paused: &Paused) -> Why {
    let step = if node == ROOT { "its end".to_owned() } else { definition.nodes[usize::from(node)].name.to_string() };
    let mut ways_out = vec![resumes(saga)];
    ways_out.extend(may_be_cancelled(saga, None));
    Why {
        place: None,
        step,
        direction: Direction::Do,
        waits: Waits::Paused,
        since: paused.since,
        wakes_at: None,
        what: PAUSED.to_owned(),
        then: "the saga being resumed: it begins then".to_owned(),
        ways_out,
        asks: None,
        failure: None,
        show: None,
    }
}

/// What all waits for that is paused.
const PAUSED: &str = "the saga, which is paused";

fn resumes(saga: &Saga) -> Way {
    let id = saga.paused().filter(|paused| paused.is_with_above()).map_or(&saga.id, |paused| &paused.why);
    Way::act("resume", format!("ringmaster act resume {id} --why '...'"), "the saga goes on")
}

fn may_be_cancelled(saga: &Saga, node: Option<&Node>) -> Option<Way> {
    // Of an item only its saga is cancelled, and the item's row knows nothing of a pivot but where it stands itself.
    let is_ahead = match saga.is_below() {
        true => !saga.passed && node.is_some_and(|node| node.phase == Phase::Compensatable),
        false => !saga.passed && saga.remembered_stop().is_none(),
    };
    let may = saga.status == Status::Running && is_ahead;
    may.then(|| Way::act("cancel", format!("ringmaster act cancel {} --why '...'", root_of(&saga.id)), "the saga is undone"))
}

fn of(definition: &Definition, saga: &Saga, entry: &Entry, place: Place) -> Why {
    let name = name_of(definition, entry);
    let halted = halted(definition, saga, place);
    let scope = scope_of(definition, saga, place);
    let (node, step, is_end) = (definition.node(entry.node), definition.step(entry.node), entry.node == ROOT);
    let leaf = Leaf { definition, saga, entry, place, name: &name, node, step, is_end, halted, scope };
    let (what, then, ways_out) = match entry.waits {
        Waits::No => unreachable!("an open leaf waits for something"),
        Waits::Reply => (format!("the answer to attempt {} of {}", entry.attempt, leaf.command()), leaf.reply(), Vec::new()),
        Waits::Retry => {
            (format!("the time of attempt {} of {}", entry.attempt.saturating_add(1), leaf.command()), leaf.retry(), Vec::new())
        }
        Waits::Stuck => ("a person".to_owned(), leaf.stuck(), leaf.ways_out()),
        Waits::Parked => {
            let participant = leaf.parked_for();
            (format!("{participant}, which is not asked now"), leaf.parked(), leaf.resumes())
        }
        Waits::Paused => (PAUSED.to_owned(), leaf.paused(), leaf.goes_on()),
        Waits::Time => ("its time".to_owned(), leaf.sleep(), Vec::new()),
        Waits::Event if leaf.is_claimed_alone() => (leaf.claim_alone(), leaf.alone(), Vec::new()),
        Waits::Event => (leaf.awaited(), leaf.event(), Vec::new()),
        Waits::Children => (leaf.items(), leaf.items_then(), leaf.items_ways()),
        Waits::Approval => (format!("an approval: {} may answer", leaf.roles().join(" or ")), leaf.approval(), leaf.answers()),
    };
    let clock = entry.clock().filter(|_| saga.held_since.is_none());
    let due_at = Some(entry.due_at()).filter(|_| entry.waits != Waits::Time || saga.paused().is_none());
    let wakes_at = due_at.into_iter().chain(clock).min().filter(|at| *at != Millis::MAX);
    let (direction, failure) = (leaf.direction(), entry.failure().cloned());
    let show = match entry.detail() {
        Some(Detail::Asked { show, .. }) => show.clone(),
        _ => None,
    };
    let (step, waits, since, asks) = (name.clone(), entry.waits, entry.since, leaf.asks());
    Why { place: Some(place), step, direction, waits, since, wakes_at, what, then, ways_out, asks, failure, show }
}

/// The name of an entry, with its round behind the first: that of its node, since what a scope failed for names a step in it; of a
/// saga's end what could not be told.
pub fn name_of(definition: &Definition, entry: &Entry) -> String {
    match definition.node(entry.node).map(|node| &*node.name) {
        None | Some("") => entry.name().to_owned(),
        Some(name) if entry.round > 1 => format!("{name}~{}", entry.round),
        Some(name) => name.to_owned(),
    }
}

/// An open entry, and what is known of it.
struct Leaf<'a> {
    definition: &'a Definition,
    saga: &'a Saga,
    entry: &'a Entry,
    place: Place,
    name: &'a str,
    node: Option<&'a Node>,
    step: Option<Step<'a>>,
    is_end: bool,
    /// What is undone around it, if something is.
    halted: Option<Scope>,
    /// What it lies in.
    scope: Scope,
}

impl Leaf<'_> {
    fn direction(&self) -> Direction {
        let is_undo = match self.entry.waits {
            Waits::Parked => matches!(self.entry.work, Work::UndoAsked | Work::Done | Work::Failed),
            _ => self.entry.work == Work::UndoAsked,
        };
        if is_undo { Direction::Undo } else { Direction::Do }
    }

    fn command(&self) -> &str {
        self.entry.order.as_ref().map_or("its command", |order| order.command())
    }

    fn participant(&self) -> &str {
        participant_of(self.command())
    }

    /// Whom it asks; nobody where what waits is no command.
    fn asks(&self) -> Option<Asks> {
        let (parked, order) = (self.entry.parked_for(), self.entry.order.as_ref());
        let is_asked = matches!(self.entry.waits, Waits::Reply | Waits::Retry | Waits::Parked | Waits::Stuck | Waits::Paused);
        let participant =
            parked.cloned().or_else(|| order.filter(|_| is_asked).map(|order| participant_of(order.command()).into()))?;
        let rank = parked.map(|_| rank_of(self.saga, self.entry));
        Some(Asks { participant, command: order.map(|order| order.command().into()), attempt: self.entry.attempt.into(), rank })
    }

    /// What becomes of it when nothing more is tried.
    fn given_up(&self) -> &'static str {
        match (self.direction(), self.step.map(|step| step.node.phase)) {
            (Direction::Undo, _) => "it is stuck",
            (Direction::Do, Some(Phase::Pivot | Phase::Retriable)) => {
                "it is stuck: on and behind the pivot nothing is undone on a guess"
            }
            (Direction::Do, Some(Phase::Compensatable) | None) if self.reacts() => "its on_failed follows",
            (Direction::Do, Some(Phase::Compensatable) | None) if self.scope != Scope::Root => {
                "what is around it is undone, this step too"
            }
            (Direction::Do, Some(Phase::Compensatable) | None) if self.saga.is_below() => {
                match below(&self.saga.id).and_then(|below| below.item) {
                    Some(_) => "it is undone, with all other items of its list",
                    None => "the sub-saga undoes, this step too",
                }
            }
            (Direction::Do, Some(Phase::Compensatable) | None) => "the saga undoes, this step too",
        }
    }

    fn reacts(&self) -> bool {
        self.step.is_some_and(|step| !step.node.on_failed.is_empty())
    }

    fn undoes(&self) -> bool {
        self.step.is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }))
    }

    /// It is not asked again: it, or what is around it, is undone as soon as what it did is known.
    fn is_stopped(&self) -> bool {
        self.direction() == Direction::Do && self.halted.is_some()
    }

    /// Whether another attempt may follow one that is not answered.
    fn may_repeat(&self) -> bool {
        let policy = self.step.and_then(|step| match (self.direction(), &step.asks.undo) {
            (Direction::Do, _) => Some(&step.asks.retry),
            (Direction::Undo, Undo::Command { retry, .. }) => Some(retry),
            (Direction::Undo, Undo::Nothing | Undo::Never) => None,
        });
        !self.is_stopped()
            && policy.is_some_and(|policy| retry::allows(policy, (self.entry.attempt, self.entry.counted_attempt()), code::TIMEOUT))
    }

    fn reply(&self) -> String {
        let answer = format!("an answer of {}", self.participant());
        if self.is_stopped() {
            return format!("{answer}, or the end of the attempt's time: it is not asked again, and what was done is undone");
        }
        let given_up = self.given_up();
        if self.may_repeat() {
            return format!(
                "{answer}; without one in time it is asked again, as long as attempts and time are left, and then {given_up}"
            );
        }
        format!("{answer}; without one in time {given_up}")
    }

    fn retry(&self) -> String {
        format!("time: it is asked again then; an answer of {} to an earlier attempt settles it too", self.participant())
    }

    fn sleep(&self) -> String {
        match self.entry.detail() {
            Some(Detail::Expires {}) => "time: its within is over before its sleep, and it is refused with EXPIRED".to_owned(),
            _ if self.saga.paused().is_some() => "time, once the saga is resumed: it goes on then".to_owned(),
            _ => "time: it goes on then".to_owned(),
        }
    }

    /// The type and topic of the event that is waited for, or answers.
    fn listener(&self) -> (&str, &str) {
        match self.node.and_then(|node| node.verb.listens()) {
            Some((listener, _)) => {
                let listener = &self.definition.listeners[usize::from(listener)];
                (&listener.event, &listener.topic)
            }
            None => ("an event", "its topic"),
        }
    }

    fn event(&self) -> String {
        let condition = match self.node.map(|node| &node.verb) {
            Some(Verb::Wait(wait)) if wait.condition.is_some() => " for which its if is true",
            _ => "",
        };
        let (known_by, taken) = (self.known_by(), self.may_be_taken());
        format!("the event {known_by}{condition}; {}, it is refused with EXPIRED{taken}", self.when_over())
    }

    /// Its clock may stand.
    fn when_over(&self) -> &'static str {
        match self.saga.held_since {
            Some(_) if self.saga.paused().is_some() => "its clock stands while the saga is paused; when it runs out",
            Some(_) => "its clock stands while another step needs a person or is parked; when it runs out",
            None => "when its time is over",
        }
    }

    fn parked_for(&self) -> &str {
        self.entry.parked_for().map_or("its participant", |participant| participant)
    }

    fn parked(&self) -> String {
        let participant = self.parked_for();
        let answer = match self.entry.work {
            Work::Nothing | Work::Done | Work::Failed => String::new(),
            _ => format!("; an answer of {participant} to an earlier attempt settles it too"),
        };
        format!(
            "{participant} being asked again, the oldest and the highest priority first: it goes out then, and until then no clock of the saga runs{answer}"
        )
    }

    fn paused(&self) -> String {
        let answer = match self.entry.work {
            Work::Nothing => String::new(),
            _ => format!("; an answer of {} to an earlier attempt settles it too", self.participant()),
        };
        format!("the saga being resumed: it is asked then, and until then no clock of the saga runs{answer}")
    }

    fn goes_on(&self) -> Vec<Way> {
        std::iter::once(resumes(self.saga)).chain(may_be_cancelled(self.saga, self.node)).collect()
    }

    /// How it is asked again.
    fn resumes(&self) -> Vec<Way> {
        let participant = self.parked_for();
        let mut ways = vec![
            Way::look("ringmaster participant list".to_owned(), format!("says why {participant} is not asked, and since when")),
            Way::act("participant_resume", format!("ringmaster participant resume {participant} --why '...'"), "it is asked again"),
        ];
        ways.extend(may_be_cancelled(self.saga, self.node));
        ways
    }

    fn roles(&self) -> Vec<&str> {
        match self.entry.detail() {
            Some(Detail::Asked { roles, .. }) => roles.iter().map(|role| &**role).collect(),
            _ => Vec::new(),
        }
    }

    fn approval(&self) -> String {
        let (escalations, listens) = match self.node.map(|node| &node.verb) {
            Some(Verb::Approval(approval)) => (&approval.escalations[..], approval.answer.is_some()),
            _ => (&[][..], false),
        };
        let event = if listens { format!(", by a person or by {}", self.awaited()) } else { String::new() };
        let at = self.when_over();
        match escalations.get(self.roles().len() - 1) {
            Some(next) => format!("the first answer, yes or no{event}; {at}, {} may answer too", next.to),
            None => format!("the first answer, yes or no{event}; {at}, it is refused with EXPIRED"),
        }
    }

    /// How it is answered.
    fn answers(&self) -> Vec<Way> {
        let act = |act, then| Way::of_step(act, (&self.saga.id, self.name), then);
        vec![act("approve", "it goes on, with this answer as its result"), act("refuse", "it is refused with REFUSED")]
    }

    fn stuck(&self) -> String {
        let participant = self.participant();
        match self.entry.work {
            Work::Asked => format!("nothing by itself; an answer of {participant} under its key settles it, however late"),
            Work::UndoAsked => {
                format!("nothing by itself; a success of {participant} under the undo's key settles it, however late")
            }
            Work::Refused => format!("nothing by itself; a success of {participant} under its key is taken, however late"),
            Work::Nothing | Work::Done | Work::Failed | Work::Undone | Work::Closed | Work::Open | Work::Undoing => {
                "nothing by itself".to_owned()
            }
        }
    }
}
