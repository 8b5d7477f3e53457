//! A record that is taken, and how it came: read where it was written, handed on by a router, or brought again by a person.

use std::sync::Arc;

use ringmaster_schemas::journal::{Cause, Redriven, Routed};

use super::turn::Turn;
use super::{Role, Settings, inbox};
use crate::intake::{InputRecord, Origin, Typing};
use crate::saga::ByHand;

/// How a record came.
#[derive(Clone, Copy)]
pub(super) enum Came<'r, 'a> {
    /// It was read where it was written.
    Read,
    /// A router handed it on; and the next offset of the inbox.
    Routed(&'r Routed, i64),
    /// Somebody wants it taken in after all; the next offset of the inbox, and what the journal keeps of it in any case.
    Redriven(&'r Redriven, i64, &'a [u8]),
}

/// A record that is taken, and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Taken<'r, 'a> {
    /// The input that it came by.
    pub(super) index: usize,
    /// Of what came by the inbox: the record that was routed, or brought again.
    pub(super) record: &'r InputRecord<'a>,
    /// How.
    pub(super) came: Came<'r, 'a>,
}

/// Who says which saga an event starts.
pub(super) enum StartedBy<'s> {
    /// The definition.
    Record,
    /// The router did, by the key that was in force then.
    Router(&'s str),
    /// A person, who means this one.
    Hand(&'s str, ByHand),
    /// The definition; a person brings the record again.
    Again(&'s Redriven),
}

impl StartedBy<'_> {
    /// What is wrong with the event is told here: of all partitions that get it, by one.
    pub(super) fn tells(&self) -> bool {
        !matches!(self, StartedBy::Again(redriven) if !redriven.tells)
    }
}

impl<'r, 'a> Taken<'r, 'a> {
    /// A record that was read where it was written.
    pub(super) fn read(index: usize, record: &'r InputRecord<'a>) -> Taken<'r, 'a> {
        Taken { index, record, came: Came::Read }
    }

    /// True if it was read where it was written: what of it belongs elsewhere is a mistake then, and nobody else has told of it.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.came, Came::Read)
    }

    /// What none can read is told here. Of what came by a router that has told it.
    pub(super) fn tells(&self) -> bool {
        match self.came {
            Came::Read => true,
            Came::Routed(..) => false,
            Came::Redriven(redriven, ..) => redriven.tells,
        }
    }

    /// Where it was read first.
    pub(super) fn origin<'s>(&self, settings: &'s Settings) -> Origin<'s>
    where
        'r: 's,
    {
        match self.came {
            Came::Routed(routed, _) => Origin { topic: &routed.topic, partition: routed.partition },
            Came::Redriven(redriven, ..) => Origin { topic: &redriven.topic, partition: redriven.partition },
            Came::Read => {
                let partition = settings.partition_of(self.index).unwrap_or(settings.number);
                Origin { topic: &settings.inputs[self.index].name, partition }
            }
        }
    }

    /// How the events of its topic tell their type.
    pub(super) fn typing<'s>(&self, settings: &'s Settings) -> Typing<'s> {
        let input = &settings.inputs[self.index];
        let found = match self.came {
            Came::Read => typing(&input.role),
            // Or was routed, and is read directly now while the rest of it lies in the inbox.
            Came::Routed(routed, _) => typing_where(settings, |topic, _| *topic == routed.source),
            Came::Redriven(redriven, ..) => typing_where(settings, |_, name| *name == redriven.topic),
        };
        found.unwrap_or(Typing { field: "type", default: None })
    }

    /// The turn that takes it.
    pub(super) fn turn(&self) -> Turn<'a> {
        match self.came {
            Came::Read => Turn::by_input(self.index, self.record),
            Came::Routed(routed, next) => Turn::of(inbox::cause(self.index, routed, next)),
            Came::Redriven(_, next, kept) => Turn::of(Cause::Input { topic: self.index as i32, next }).keeping(Some((0, kept))),
        }
    }

    /// By what it may start a saga of this definition here; none if it does not.
    pub(super) fn starts(&self, definition: &str) -> Option<StartedBy<'r>> {
        match self.came {
            Came::Read => Some(StartedBy::Record),
            Came::Redriven(redriven, ..) => Some(StartedBy::Again(redriven)),
            Came::Routed(routed, _) => {
                let start = routed.starts.iter().find(|start| *start.saga == *definition);
                start.map(|start| StartedBy::Router(&start.key))
            }
        }
    }
}

/// How the events of the first topic of which this is true tell their type.
fn typing_where<'s>(
    settings: &'s Settings,
    is_it: impl Fn(&ringmaster_schemas::journal::TopicId, &Arc<str>) -> bool,
) -> Option<Typing<'s>> {
    settings.inputs.iter().filter(|input| is_it(&input.topic, &input.name)).find_map(|input| typing(&input.role))
}

fn typing(role: &Role) -> Option<Typing<'_>> {
    match role {
        Role::Source { type_field, default_type, .. } | Role::Events { type_field, default_type } => {
            Some(Typing { field: type_field, default: default_type.as_deref() })
        }
        Role::Replies | Role::Control | Role::Inbox { .. } => None,
    }
}
