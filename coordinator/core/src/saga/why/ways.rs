//! The ways out of where a saga is stuck, in words: each a command that a person can give.

use ringmaster_schemas::journal::Phase;
use ringmaster_schemas::state::Work;

use super::{Leaf, may_be_cancelled};

impl Leaf<'_> {
    /// What a person can do where it is stuck.
    pub(super) fn ways_out(&self) -> Vec<String> {
        let (participant, command) = (self.participant(), self.command());
        let attempt = self.entry.attempt;
        let phase = self.step.map(|step| step.node.phase);
        let again = "retry: it is asked again, under the same key and with a new budget";
        let round = "retry: it is tried again in a new round, under a new key";
        let undo_again = &["retry: its undo is made again", "skip: it counts as undone"];
        let skip = match self.entry.work {
            _ if self.is_read() && self.entry.work != Work::Undone => {
                "skip: it goes on with a value in its stead (--value), which is read further on"
            }
            Work::Undone => "skip: it goes on without it",
            _ if self.node.is_none_or(|node| node.gives.is_none()) => "skip: it goes on without it",
            _ => "skip: it goes on without it, or with a value in its stead",
        };
        let resolve = "resolve: say in its participant's stead how it ended (--outcome succeeded|refused)";
        let after_all = "resolve: say in its participant's stead that it was done after all (--outcome succeeded)";
        let mut ways: Vec<String> = match self.entry.work {
            Work::Asked => {
                vec![format!("find out at {participant} whether {command} was done, and let it answer attempt {attempt} again")]
            }
            Work::UndoAsked => {
                vec![format!("see to it at {participant} that {command} is done, and let it answer attempt {attempt} with success")]
            }
            Work::Refused if self.step.is_some() => {
                vec![format!("see to it at {participant} that {command} is done after all, and let it answer with success")]
            }
            _ => Vec::new(),
        };
        let acts: &[&str] = match self.entry.work {
            Work::Asked if self.is_stopped() => &[resolve],
            Work::Asked if phase == Some(Phase::Retriable) => &[again, skip, resolve],
            Work::Asked => &[again, resolve],
            Work::UndoAsked => &[again, "skip: it counts as undone", resolve],
            Work::Failed if self.undoes() => undo_again,
            Work::Undone if self.is_read() => &[round],
            Work::Refused if self.entry.order.is_some() => &[round, skip, after_all],
            Work::Refused | Work::Failed | Work::Undone => &[round, skip],
            Work::Nothing if self.is_end => &["retry: its event is made again", "skip: the saga ends without telling it"],
            Work::Nothing => &["retry: it is tried again", skip],
            Work::Done if self.entry.stray().is_some() || phase == Some(Phase::Compensatable) => undo_again,
            Work::Done if self.is_read() => &[skip],
            Work::Done => &["skip: it goes on without its result, or with a value in its stead"],
            Work::Closed | Work::Open | Work::Undoing => &[],
        };
        let id = &self.saga.id;
        let command = |act: &str| {
            let (verb, what) = act.split_once(": ").unwrap_or((act, ""));
            format!("ringmaster act {verb} {id} --step '{}' --why '...': {what}", self.name)
        };
        ways.extend(acts.iter().map(|act| command(act)));
        ways.extend(may_be_cancelled(self.saga, self.node));
        ways
    }

    /// True if something reads its result, or that of a step in it: it is not gone on without.
    fn is_read(&self) -> bool {
        self.node.is_some() && self.definition.is_result_read(self.entry.node)
    }
}
