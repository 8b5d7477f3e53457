//! What people do where a saga needs them: they ask again, go on without it, or say how it ended after they have looked.

use std::sync::Arc;

use ringmaster_core::saga::{Act, ActInput, Input, Outcome, name_of};
use ringmaster_schemas::journal::SagaEvent;
use ringmaster_schemas::names::Direction;
use ringmaster_schemas::state::{Waits, Work};

use super::run::World;
use super::turn::Reason;
use crate::laws::is_undone_with;
use crate::stories::Said;

/// What is stuck: its step, and what is known of it.
struct Stuck {
    /// With its round behind the first.
    name: Arc<str>,
    /// What it asked, if it did.
    asked: Option<String>,
    work: Work,
    /// It is undone with what is around it, and nobody knows whether it was done: nothing more is asked.
    unknown: bool,
}

impl World<'_> {
    fn stuck(&self) -> Vec<Stuck> {
        let Some(saga) = &self.stage.saga else { return Vec::new() };
        let stuck = saga.entries.iter().enumerate().filter(|(_, entry)| entry.waits == Waits::Stuck);
        let stuck = stuck.map(|(place, entry)| {
            let node = self.stage.definition().node(entry.node).map_or("", |node| &node.name);
            let name = match (node, entry.round) {
                ("", _) => entry.name().into(),
                (name, 1) => name.into(),
                (name, round) => format!("{name}~{round}").into(),
            };
            let unknown = entry.work == Work::Asked && is_undone_with(self.stage.definition(), saga, place);
            Stuck { name, asked: entry.order.as_ref().map(|order| order.step().to_owned()), work: entry.work, unknown }
        });
        stuck.collect()
    }

    /// Somebody answers to an approval, if one waits for it: another than is meant, too.
    pub(super) fn answer_approval(&mut self) {
        let Some(saga) = &self.stage.saga else { return };
        let asks = saga.entries.iter().filter(|entry| entry.waits == Waits::Approval);
        let names: Vec<Arc<str>> = asks.map(|entry| name_of(self.stage.definition(), entry).into()).collect();
        let act = if self.random.u32(0..3) > 0 { Act::Approve } else { Act::Refuse };
        match self.random.choice(&names).cloned() {
            None => {
                let taken = self.acts(act, None, None);
                self.rejected(taken, Reason::NotAsked, "an answer where nobody is asked");
            }
            Some(name) => {
                self.count("approvals that were answered");
                if self.acts(act, Some(&name), None).is_err() {
                    self.faults.push(format!("acts: {name} waits for an answer, and does not take it"));
                }
            }
        }
    }

    /// A person acts on what is stuck, or where nothing is.
    pub(super) fn act(&mut self) {
        let Some(saga) = &self.stage.saga else { return };
        let turn = saga.turns.last().expect("something happened to it");
        let stuck = self.stuck();
        let parked = saga.entries.iter().find(|entry| entry.waits == Waits::Parked);
        if let Some(name) = parked.map(|entry| name_of(self.stage.definition(), entry).into())
            && self.random.u32(0..4) == 0
        {
            let taken = self.acts(Act::Retry, Some(&name), None);
            return self.rejected(taken, Reason::NotStuck, "an act on what is parked");
        }
        let Some(one) = self.random.choice(&stuck) else {
            if self.random.u32(0..8) == 0 {
                let taken = self.acts(Act::Retry, None, None);
                self.rejected(taken, Reason::NotStuck, "an act where nothing is stuck");
            }
            return;
        };
        if self.random.u32(0..10) == 0 {
            let taken = self.acts(Act::Retry, Some(&one.name), Some(turn - 1));
            return self.rejected(taken, Reason::MovedOn, "an act on an earlier state");
        }
        let seen = self.random.bool().then_some(turn);
        match self.random.u32(0..4) {
            0 => drop(self.acts(Act::Retry, Some(&one.name), seen)),
            1 => self.skip(one, seen),
            2 => self.resolve(one, seen),
            _ => drop(self.acts(Act::Skip { value: None, given: false }, Some(&one.name), seen).map(|()| self.leave(one))),
        }
    }

    /// Asks again whatever is stuck, or says how it ended.
    pub(super) fn help_all(&mut self) {
        for one in self.stuck() {
            if one.unknown {
                self.resolve(&one, None);
                continue;
            }
            let _ = self.acts(Act::Retry, Some(&one.name), None);
        }
    }

    fn rejected(&mut self, taken: Result<(), Reason>, reason: Reason, what: &str) {
        if taken != Err(reason) {
            self.faults.push(format!("acts: {what} is {taken:?}, not {reason:?}"));
        }
    }

    pub(super) fn acts(&mut self, act: Act, step: Option<&Arc<str>>, if_turn: Option<i64>) -> Result<(), Reason> {
        self.count("acts of people");
        let came = format!("a person acts on {}: {act:?}", step.map_or("it", |step| step));
        let act = ActInput { act, step: step.cloned(), by: "ann".into(), why: "looked at it".into(), if_turn };
        self.turn(&Input::Act(act), came)
    }

    /// It goes on with a value in its stead.
    fn skip(&mut self, one: &Stuck, seen: Option<i64>) {
        let number = self.random.i64(0..5);
        let said = Said::Succeeded(Some(format!(r#"{{"n": {number}}}"#)));
        let reply = self.stage.reply_input(&one.name, Direction::Do, None, &said).expect("a value can be read");
        let Outcome::Succeeded { result: value } = reply.outcome else { unreachable!("it was made so") };
        // What is read of it is known before the next turn's laws look at it.
        let before = self.told.insert(one.name.to_string(), number);
        let from = self.stage.history.len();
        let given = value.clone();
        let taken = self.acts(Act::Skip { value, given: true }, Some(&one.name), seen).is_ok();
        // An undo that needs a person takes none: what has succeeded then is around it.
        let stands = self.stage.history.get(from + 1).and_then(|one| match &one.event {
            SagaEvent::Succeeded { place, .. } => one.behind.entry(*place),
            _ => None,
        });
        if let Some(entry) = stands.filter(|_| taken) {
            if entry.result != given {
                self.faults
                    .push(format!("acts: a person gives {given:?} in the stead of {}, and {:?} stands", one.name, entry.result));
            }
            return self.leave(one);
        }
        match before {
            Some(before) => self.told.insert(one.name.to_string(), before),
            None => self.told.remove(&*one.name),
        };
        self.leave(one);
    }

    /// A person asks the participant, and says what it says; what was not done will not be.
    fn resolve(&mut self, one: &Stuck, seen: Option<i64>) {
        let Some(asked) = &one.asked else { return };
        let account = self.participants.accounts.entry(asked.clone()).or_default();
        let (direction, said) = match (one.work, account.result()) {
            (Work::UndoAsked, _) => (Direction::Undo, Said::Succeeded(None)),
            (_, Some(result)) => (Direction::Do, result),
            _ => (Direction::Do, Said::Refused("NO".to_owned())),
        };
        let reply = self.stage.reply_input(asked, direction, None, &said).expect("an answer can be read");
        if let Said::Succeeded(Some(result)) = &said {
            self.learn(asked, result);
        }
        let done = matches!((direction, &said), (Direction::Do, Said::Succeeded(_)));
        if self.acts(Act::Resolve(reply.outcome), Some(&one.name), seen).is_ok() && !done {
            self.participants.close(asked);
        }
    }

    /// Whether it was done nobody asks any more.
    fn leave(&mut self, one: &Stuck) {
        if let Some(asked) = &one.asked {
            self.participants.leave(asked);
        }
    }
}
