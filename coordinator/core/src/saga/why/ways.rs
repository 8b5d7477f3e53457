//! The ways out of where a saga is stuck: each a command that a person can give, and what it does, in words.

use std::fmt;

use ringmaster_schemas::journal::Phase;
use ringmaster_schemas::state::Work;

use super::{Leaf, may_be_cancelled};

/// What a person can do about what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The act, as the API names it; none: it only looks, or is none of a coordinator's.
    pub act: Option<&'static str>,
    /// The command that does it; none: it is done elsewhere.
    pub command: Option<String>,
    /// What that does, in words.
    pub effect: String,
}

impl Way {
    /// An act by a command.
    pub(super) fn act(act: &'static str, command: String, effect: impl Into<String>) -> Way {
        Way { act: Some(act), command: Some(command), effect: effect.into() }
    }

    /// An act on a step of a saga.
    pub(super) fn of_step(act: &'static str, (id, step): (&str, &str), effect: &str) -> Way {
        Way::act(act, format!("ringmaster act {act} {id} --step '{step}' --why '...'"), effect)
    }

    /// A command that says more.
    pub(super) fn look(command: String, effect: String) -> Way {
        Way { act: None, command: Some(command), effect }
    }

    /// What is done elsewhere.
    pub fn elsewhere(effect: String) -> Way {
        Way { act: None, command: None, effect }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.command.iter().try_for_each(|command| write!(f, "{command}: "))?;
        f.write_str(&self.effect)
    }
}

impl Leaf<'_> {
    /// What a person can do where it is stuck.
    pub(super) fn ways_out(&self) -> Vec<Way> {
        let (participant, command) = (self.participant(), self.command());
        let attempt = self.entry.attempt;
        let phase = self.step.map(|step| step.node.phase);
        let again = ("retry", "it is asked again, under the same key and with a new budget");
        let round = ("retry", "it is tried again in a new round, under a new key");
        let undo_again = &[("retry", "its undo is made again"), ("skip", "it counts as undone")];
        let skip = match self.entry.work {
            _ if self.is_read() && self.entry.work != Work::Undone => {
                ("skip", "it goes on with a value in its stead (--value), which is read further on")
            }
            Work::Undone => ("skip", "it goes on without it"),
            _ if self.node.is_none_or(|node| node.gives.is_none()) => ("skip", "it goes on without it"),
            _ => ("skip", "it goes on without it, or with a value in its stead"),
        };
        let resolve = ("resolve", "say in its participant's stead how it ended (--outcome succeeded|refused)");
        let after_all = ("resolve", "say in its participant's stead that it was done after all (--outcome succeeded)");
        let ways: Option<String> = match self.entry.work {
            Work::Asked => {
                Some(format!("find out at {participant} whether {command} was done, and let it answer attempt {attempt} again"))
            }
            Work::UndoAsked => {
                Some(format!("see to it at {participant} that {command} is done, and let it answer attempt {attempt} with success"))
            }
            Work::Refused if self.step.is_some() => {
                Some(format!("see to it at {participant} that {command} is done after all, and let it answer with success"))
            }
            _ => None,
        };
        let acts: &[(&'static str, &str)] = match self.entry.work {
            Work::Asked if self.is_stopped() => &[resolve],
            Work::Asked if phase == Some(Phase::Retriable) => &[again, skip, resolve],
            Work::Asked => &[again, resolve],
            Work::UndoAsked => &[again, ("skip", "it counts as undone"), resolve],
            Work::Failed if self.undoes() => undo_again,
            Work::Undone if self.is_read() => &[round],
            Work::Refused if self.entry.order.is_some() => &[round, skip, after_all],
            Work::Refused | Work::Failed | Work::Undone => &[round, skip],
            Work::Nothing if self.is_end => &[("retry", "its event is made again"), ("skip", "the saga ends without telling it")],
            Work::Nothing => &[("retry", "it is tried again"), skip],
            Work::Done if self.entry.stray().is_some() || phase == Some(Phase::Compensatable) => undo_again,
            Work::Done if self.is_read() => &[skip],
            Work::Done => &[("skip", "it goes on without its result, or with a value in its stead")],
            Work::Closed | Work::Open | Work::Undoing => &[],
        };
        let mut ways: Vec<Way> = ways.into_iter().map(Way::elsewhere).collect();
        ways.extend(acts.iter().map(|(act, effect)| Way::of_step(act, (&self.saga.id, self.name), effect)));
        ways.extend(may_be_cancelled(self.saga, self.node));
        ways
    }

    /// True if something reads its result, or that of a step in it: it is not gone on without.
    fn is_read(&self) -> bool {
        self.node.is_some() && self.definition.is_result_read(self.entry.node)
    }
}
