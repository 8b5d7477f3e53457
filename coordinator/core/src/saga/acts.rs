//! What people do to a saga: cancel it, pause and resume it, answer approvals, and the three ways out of where it is stuck.

use std::sync::Arc;

use ringmaster_schemas::Data;
use ringmaster_schemas::journal::{ActKind, Phase, Place, RejectionReason as Reason, SagaEvent};
use ringmaster_schemas::names::below;
use ringmaster_schemas::state::{Entry, Saga, Waits, Work};

use super::answer::is_too_big;
use super::attempts::Policy;
use super::decide::Draft;
use super::flow::Way;
use super::{ATTEMPTS_MAX, Outcome, Rejection, ReplyInput};
use crate::definition::{ROOT, ROUNDS_MAX, Undo};
use crate::faults::mutated;

/// A person's act.
#[derive(Debug, Clone)]
pub struct ActInput {
    /// What is done.
    pub act: Act,
    /// The step that is meant, with `~` and its round behind the first; none: the one that is stuck, or waits for an approval.
    pub step: Option<Arc<str>>,
    /// Who.
    pub by: Arc<str>,
    /// Why, in their words.
    pub why: Arc<str>,
    /// The last turn that was seen of it, by its journal offset: the act is for the saga as that left it.
    pub if_turn: Option<i64>,
}

/// What is done.
#[derive(Debug, Clone)]
pub enum Act {
    /// It is undone.
    Cancel,
    /// What is stuck is asked again.
    Retry,
    /// It goes on without what is stuck, or with a value in its stead.
    Skip {
        /// The part of the value that expressions can read.
        value: Option<Data>,
        /// A value was given, whether or not anything reads it.
        given: bool,
    },
    /// It ended so, says a person in its participant's stead.
    Resolve(Outcome),
    /// Yes, where an approval is asked for.
    Approve,
    /// No, where an approval is asked for.
    Refuse,
    /// Nothing of it goes forward any more.
    Pause,
    /// It goes on.
    Resume,
}

impl Act {
    fn kind(&self) -> ActKind {
        match self {
            Act::Cancel => ActKind::Cancel,
            Act::Retry => ActKind::Retry,
            Act::Skip { .. } => ActKind::Skip,
            Act::Resolve(_) => ActKind::Resolve,
            Act::Approve => ActKind::Approve,
            Act::Refuse => ActKind::Refuse,
            Act::Pause => ActKind::Pause,
            Act::Resume => ActKind::Resume,
        }
    }
}

/// What acts are for.
struct Meant {
    waits: Waits,
    reason: Reason,
    none: &'static str,
    several: &'static str,
    others: &'static str,
}

const STUCK: Meant = Meant {
    waits: Waits::Stuck,
    reason: Reason::NotStuck,
    none: "nothing of this saga needs a person",
    several: "are stuck",
    others: "is not stuck; stuck",
};

const ASKED: Meant = Meant {
    waits: Waits::Approval,
    reason: Reason::NotAsked,
    none: "no approval of this saga waits for an answer: it has one, or was not asked for yet",
    several: "wait for an approval",
    others: "waits for no approval; waiting",
};

impl ActInput {
    /// It is for what was looked at alone: the row as it is, before it looks at those above it.
    pub(super) fn is_for(&self, row: &Saga) -> Result<(), Rejection> {
        match (self.if_turn, row.turns.last()) {
            (Some(_), None) if !mutated("act_on_unknown_turn") => Err(not_possible(
                "which turn of the saga was its last is not known, since an earlier build stored it: act without if_turn",
            )),
            (Some(seen), Some(last)) if seen != last && !mutated("act_on_what_moved_on") => Err(Rejection::new(
                Reason::MovedOn,
                format!("the saga has moved since it was looked at: its last turn is {last}, not {seen}; look again"),
            )),
            _ => Ok(()),
        }
    }
}

impl Draft<'_> {
    pub(super) fn act(&mut self, input: &ActInput) -> Result<(), Rejection> {
        let step = input.step.as_deref();
        let place = match input.act {
            Act::Cancel | Act::Pause | Act::Resume => None,
            Act::Retry | Act::Skip { .. } | Act::Resolve(_) => Some(self.meant(&STUCK, step)?),
            Act::Approve | Act::Refuse => Some(self.meant(&ASKED, step)?),
        };
        self.happen(SagaEvent::Acted { act: input.act.kind(), by: input.by.clone(), why: input.why.clone() });
        match (&input.act, place) {
            (Act::Cancel, _) => self.cancel(&format!("cancelled by {}: {}", input.by, input.why)),
            (Act::Pause, _) => self.pause(input),
            (Act::Resume, _) => self.resume(),
            (Act::Retry, Some(place)) => self.retry_stuck(place),
            (Act::Skip { value, given }, Some(place)) => self.skip_stuck(place, value.as_ref(), *given),
            (Act::Resolve(outcome), Some(place)) => self.resolve_stuck(place, outcome),
            (Act::Approve, Some(place)) => {
                self.approved(place, &input.by, &input.why);
                Ok(())
            }
            (Act::Refuse, Some(place)) => {
                self.disapproved(place, &input.by, &input.why);
                Ok(())
            }
            (_, None) => unreachable!("a place was found, or it was rejected"),
        }
    }

    /// The entry that an act is for: the only one, or the one of this name.
    fn meant(&self, who: &Meant, step: Option<&str>) -> Result<Place, Rejection> {
        let waits = |place: &Place| self.entry(*place).waits == who.waits;
        let places: Vec<Place> = (0..self.next_place()).filter(waits).collect();
        let name = |place: Place| super::name_of(self.definition, self.entry(place));
        let names = || places.iter().map(|place| name(*place)).collect::<Vec<_>>().join(", ");
        let fault = match (step, &places[..]) {
            (_, []) => format!("{}{}", who.none, self.held_item()),
            (None, [place]) => return Ok(*place),
            (None, _) => format!("several steps {}: name one of {}", who.several, names()),
            (Some(step), places) => match places.iter().find(|place| name(**place) == step) {
                Some(place) => return Ok(*place),
                None => format!("step '{step}' {}: {}", who.others, names()),
            },
        };
        Err(Rejection::new(who.reason, fault))
    }

    /// Where to look instead, if it is an item that is held.
    fn held_item(&self) -> String {
        let held = self.saga().entries.iter().find_map(|entry| {
            let child = entry.children()?.open.iter().find(|child| child.held)?;
            let id = self.definition.row_below(&self.saga().id, (entry.node, entry.round), child.index);
            let what = if below(&id)?.item.is_some() { "item" } else { "sub-saga" };
            Some(format!("; its {what} {id} is held: `ringmaster saga why {id}` says what it waits for"))
        });
        held.unwrap_or_default()
    }

    /// The same command once more, under its key, with a new budget; where it was refused, or could not be made, a new round.
    fn retry_stuck(&mut self, place: Place) -> Result<(), Rejection> {
        let entry = self.entry(place);
        let (node, work) = (entry.node, entry.work);
        match work {
            Work::Asked if self.halted(place).is_some() && !mutated("retry_in_undoing_scope") => {
                return Err(not_possible("it is undone: say how it ended, by resolve"));
            }
            Work::Asked | Work::UndoAsked => self.ask_again(place)?,
            Work::Done if entry.stray().is_none() && self.halted(place).is_none() => {
                return Err(not_possible("it is done, and its result is too big to be kept: skip it"));
            }
            Work::Nothing | Work::Refused | Work::Failed | Work::Undone | Work::Done => {
                self.may_be_entered_again(node)?;
                self.happen(SagaEvent::Closed { place });
                let way = self.once_more(place, node, work);
                self.go(way);
            }
            Work::Closed | Work::Open | Work::Undoing => unreachable!("it is never stuck"),
        }
        Ok(())
    }

    /// Where it goes on from a stuck entry that was closed, to try it once more.
    fn once_more(&mut self, place: Place, node: u16, work: Work) -> Way {
        match (self.halted(place), work) {
            // Its undo could not be made.
            (Some(scope), _) => Way::Unwind(scope),
            (None, Work::Done) => {
                self.undo(place);
                Way::Rest
            }
            (None, Work::Failed) if self.is_unknown(place) => Way::Settled(place),
            (None, Work::Nothing) if node == ROOT => Way::Ended(self.root),
            // Its condition may be what could not be computed.
            (None, Work::Nothing) => Way::Enter(node),
            (None, _) => Way::Again(node),
        }
    }

    /// Entries stay in the row, and the rounds of each node have numbers: what is in it may be tried again too.
    fn may_be_entered_again(&self, node: u16) -> Result<(), Rejection> {
        let count = |node: u16| self.saga().entries.iter().filter(|entry| entry.node == node).count();
        // The saga's end, that cannot be told, is an entry of its own.
        let end = if node == ROOT { ROOT + 1 } else { self.definition.nodes[usize::from(node)].end };
        let most = (node..end).map(count).max().unwrap_or(0);
        if most + usize::from(ROUNDS_MAX) > usize::from(u8::MAX) {
            return Err(not_possible(&format!("it, or a step in it, was entered {most} times, which is about the most: skip it")));
        }
        Ok(())
    }

    fn ask_again(&mut self, place: Place) -> Result<(), Rejection> {
        if self.entry(place).attempt == ATTEMPTS_MAX {
            return Err(not_possible("it was asked as often as can be counted"));
        }
        if !self.park(place, None) {
            let until = Policy::of(self.step_at(place), self.direction(place)).until(self.now);
            self.ask_anew(place, until);
        }
        Ok(())
    }

    /// It goes on behind what is stuck: with a value in its stead where one is given, which must be so where something reads it.
    fn skip_stuck(&mut self, place: Place, value: Option<&Data>, given: bool) -> Result<(), Rejection> {
        let entry = self.entry(place);
        let (number, work) = (entry.node, entry.work);
        if self.is_undo_stuck(place) {
            self.happen(SagaEvent::Undone { place });
            self.go(Way::Settled(place));
            return Ok(());
        }
        if number == ROOT {
            if self.is_paused() {
                return Err(not_possible("the saga would end, and is paused: resume it first"));
            }
            return self.skip_end(place, value);
        }
        self.may_be_skipped(place, value, given)?;
        let node = &self.definition.nodes[usize::from(number)];
        // What items did is done, also where what they gave cannot be taken on: nothing is gone on without.
        if given || work == Work::Done {
            let result = value.filter(|_| !mutated("skip_leaves_result")).cloned();
            self.happen(SagaEvent::Succeeded { place, result, passes: node.passes });
            self.go(Way::Settled(place));
            return Ok(());
        }
        if work == Work::Asked {
            self.happen(SagaEvent::Closed { place });
        }
        self.happen(SagaEvent::WentOn { place, passes: node.passes });
        self.go(Way::Behind(number));
        Ok(())
    }

    /// True if it is an undo that needs a person: it was asked in vain, or cannot be made.
    fn is_undo_stuck(&self, place: Place) -> bool {
        let entry = self.entry(place);
        let is_to_be_undone = entry.stray().is_some() || self.halted(place).is_some();
        entry.work == Work::UndoAsked || (entry.work == Work::Done && is_to_be_undone) || self.is_unknown(place)
    }

    /// The saga's end, that cannot be told; or its result cannot be made, and the saga above reads that.
    fn skip_end(&mut self, place: Place, value: Option<&Data>) -> Result<(), Rejection> {
        let is_result = self.is_result_due() && !self.undoing();
        if is_result && value.is_none() {
            return Err(not_possible("the saga above reads its result: give that as a value"));
        }
        self.happen(SagaEvent::Closed { place });
        match value.filter(|_| is_result) {
            Some(result) => {
                self.gave(result.clone());
                self.go(Way::Ended(ROOT));
            }
            None => self.end_untold(),
        }
        Ok(())
    }

    /// The saga's end, without the event that could not be made.
    fn end_untold(&mut self) {
        let (emissions, expires_at) = (Vec::new(), self.expires_at());
        if self.undoing() {
            self.happen(SagaEvent::Compensated { emissions, expires_at });
        } else {
            self.happen(SagaEvent::Completed { emissions, expires_at });
        }
    }

    fn may_be_skipped(&self, place: Place, value: Option<&Data>, given: bool) -> Result<(), Rejection> {
        let entry: &Entry = self.entry(place);
        let node = &self.definition.nodes[usize::from(entry.node)];
        let bytes = value.map_or(0, |value| value.bytes().len());
        let why = if entry.work == Work::Asked && node.phase != Phase::Retriable {
            "nobody knows whether it was done: resolve it, by what its participant says"
        } else if given && entry.work == Work::Undone {
            "it was undone, so that nothing stands for a value: retry it, or, if nothing reads its result, skip it without one"
        } else if given && node.gives.is_none() {
            "it takes no value"
        } else if is_too_big(self.held_bytes(), bytes) {
            "the value is too big for a result"
        } else if !given && self.definition.is_result_read(entry.node) {
            if entry.work == Work::Undone {
                "it was undone, and something reads its result: retry it, or cancel the saga"
            } else {
                "something reads its result: give a value"
            }
        } else {
            return Ok(());
        };
        Err(not_possible(why))
    }

    /// True if it may have been done, and is still to be undone.
    fn is_unknown(&self, place: Place) -> bool {
        let entry = self.entry(place);
        let undoes = self.definition.step(entry.node).is_some_and(|step| matches!(step.asks.undo, Undo::Command { .. }));
        entry.work == Work::Failed && undoes
    }

    /// What its participant would have said.
    fn resolve_stuck(&mut self, place: Place, outcome: &Outcome) -> Result<(), Rejection> {
        let entry = self.entry(place);
        // A refusal is final for its key, unless it was done after all.
        let done_after_all = entry.work == Work::Refused && matches!(outcome, Outcome::Succeeded { .. });
        let order = match &entry.order {
            Some(order) if matches!(entry.work, Work::Asked | Work::UndoAsked) || done_after_all => order,
            Some(_) if entry.work == Work::Refused => {
                return Err(not_possible(
                    "it is refused already: say that it was done after all (--outcome succeeded), retry it, or skip it",
                ));
            }
            _ => return Err(not_possible("its participant has answered, or was never asked: retry it, or skip it")),
        };
        let reply = ReplyInput {
            step: order.step().into(),
            direction: self.direction(place),
            attempt: i32::from(entry.attempt),
            outcome: outcome.clone(),
        };
        self.reply(&reply)
    }
}

pub(super) fn not_possible(why: &str) -> Rejection {
    Rejection::new(Reason::NotPossible, why)
}
