//! A saga's row: a short list of entries, one for each node that was entered, in the order it happened.
//!
//! Nothing else is a cursor: where the saga stands, what a step gave, what must be undone and in which order follow from that list
//! and the definition.

use std::borrow::Cow;
use std::sync::Arc;

use super::{VERSION, expiry_bucket};
use crate::codec::{Avro, Cursor, Malformed, put_long};
use crate::journal::{Failure, Head, Order, Place};
use crate::shared::Data;
use crate::{Millis, names, record, symbols};

/// A row of three steps takes a little less.
const ROW_BYTES: usize = 384;

symbols! {
    /// Where a saga stands.
    pub enum Status {
        /// Going forward.
        Running = 0 "running",
        /// Undoing.
        Compensating = 1 "compensating",
        /// Everything is done.
        Completed = 2 "completed",
        /// Everything is undone.
        Compensated = 3 "compensated",
    }
}

symbols! {
    /// What is known of what an entry did.
    pub enum Work {
        /// Nothing: nobody was asked.
        Nothing = 0 "nothing",
        /// A command is out, or was: it may have been done.
        Asked = 1 "asked",
        /// Done.
        Done = 2 "done",
        /// Known not done.
        Refused = 3 "refused",
        /// Given up: not known whether done.
        Failed = 4 "failed",
        /// Its compensation is out, or was.
        UndoAsked = 5 "undo asked",
        /// Undone.
        Undone = 6 "undone",
        /// Given up with nothing done.
        Closed = 7 "closed",
    }
}

symbols! {
    /// Why an entry is open.
    pub enum Waits {
        /// It is not.
        No = 0 "no",
        /// For a reply, or its timeout.
        Reply = 1 "reply",
        /// For the next attempt's time.
        Retry = 2 "retry",
        /// For a person.
        Stuck = 3 "stuck",
    }
}

/// One saga.
#[derive(Debug, Clone)]
pub struct Saga {
    /// `order-fulfilment/ord-17`: the key of the row, no part of its value.
    pub id: Arc<str>,
    /// What never changes.
    pub head: Head,
    /// The start event's fields are needed no more: the row is written without them, and memory lets go of them with the row.
    pub bare: bool,
    /// Where it stands.
    pub status: Status,
    /// The pivot is behind it.
    pub passed: bool,
    /// The deadline passed where nothing can be undone any more.
    pub late: bool,
    /// When its deadline is; it moves by the time for which the saga was held.
    pub deadline_at: Option<Millis>,
    /// Since when a leaf needs a person: the clock stands.
    pub held_since: Option<Millis>,
    /// What was entered, in order.
    pub entries: Vec<Entry>,
    /// Why it undoes.
    pub failure: Option<Arc<Failure>>,
    /// That it ended.
    pub ended: Option<End>,
}

record! {
    /// The end of a saga.
    pub struct End {
        /// When.
        pub at: Millis,
        /// When its row may go.
        pub expires_at: Millis,
    }
}

/// A node that was entered.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number in the definition; 0 is the saga as a whole, at its end.
    pub node: u16,
    /// The newest attempt of the command that is out, or was last; 0 if there is none.
    pub attempt: u16,
    /// Which entry of this node it is, from 1.
    pub round: u8,
    /// What is known of what it did.
    pub work: Work,
    /// Why it is open.
    pub waits: Waits,
    /// The order's body is needed no more: the row is written without it, and memory lets go of it with the row.
    pub bare: bool,
    /// Since when work and waits are as they are.
    pub since: Millis,
    /// When something is due, where it waits for a reply or a retry: the attempt's timeout, or the next attempt.
    pub due_at: Millis,
    /// What was asked last.
    pub order: Option<Order>,
    /// The result's fields that expressions can read.
    pub result: Option<Data>,
    /// What few entries have.
    pub more: Option<Box<EntryMore>>,
}

record! {
    /// What few entries have.
    pub struct EntryMore {
        /// How the last attempt, or the entry, ended without success.
        pub failure: Option<Arc<Failure>>,
        /// Since when it is a stray: done after all where nothing counted on it, and undone by itself.
        pub stray: Option<Millis>,
    }
}

impl Entry {
    /// Its name, if it has one by itself: of what it asked, or of what could not be made.
    pub fn name(&self) -> &str {
        match (&self.order, self.failure()) {
            (Some(order), _) => order.step(),
            (None, Some(failure)) => &failure.step,
            (None, None) => "",
        }
    }

    /// How it ended without success.
    pub fn failure(&self) -> Option<&Arc<Failure>> {
        self.more.as_ref()?.failure.as_ref()
    }

    /// Since when it is a stray.
    pub fn stray(&self) -> Option<Millis> {
        self.more.as_ref()?.stray
    }

    /// True if something must happen to it.
    pub fn open(&self) -> bool {
        self.waits != Waits::No
    }

    /// The order's body, if it may still be needed.
    pub fn body(&self) -> &[u8] {
        match &self.order {
            Some(order) if !self.bare => order.body(),
            _ => &[],
        }
    }

    /// When it is due; `i64::MAX` for never.
    pub fn due_at(&self) -> Millis {
        match self.waits {
            Waits::Reply | Waits::Retry => self.due_at,
            Waits::No | Waits::Stuck => Millis::MAX,
        }
    }
}

/// Entries are equal if they say the same; what is needed no more is not compared.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let small = |entry: &Entry| (entry.node, entry.attempt, entry.round, entry.work, entry.waits, entry.since, entry.due_at);
        let order = |entry: &Entry| entry.order.as_ref().map(|order| (order.fields().first_time, order.fields().until));
        small(self) == small(other)
            && (self.name(), self.body(), order(self)) == (other.name(), other.body(), order(other))
            && (&self.result, &self.more) == (&other.result, &other.more)
    }
}

impl Eq for Entry {}

impl Avro for Entry {
    fn put(&self, out: &mut Vec<u8>) {
        self.node.put(out);
        self.attempt.put(out);
        self.round.put(out);
        self.work.put(out);
        self.waits.put(out);
        self.since.put(out);
        self.due_at.put(out);
        match &self.order {
            None => out.push(0),
            Some(order) => {
                out.push(2);
                if self.bare { order.put_without_body(out) } else { order.put(out) }
            }
        }
        self.result.put(out);
        match &self.more {
            None => out.push(0),
            Some(more) => {
                out.push(2);
                more.put(out);
            }
        }
    }

    fn take(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Entry {
            node: Avro::take(cursor)?,
            attempt: Avro::take(cursor)?,
            round: Avro::take(cursor)?,
            work: Avro::take(cursor)?,
            waits: Avro::take(cursor)?,
            since: Avro::take(cursor)?,
            due_at: Avro::take(cursor)?,
            order: Avro::take(cursor)?,
            result: Avro::take(cursor)?,
            more: <Option<EntryMore> as Avro>::take(cursor)?.map(Box::new),
            bare: false,
        })
    }
}

impl PartialEq for Saga {
    fn eq(&self, other: &Self) -> bool {
        let small = |saga: &Saga| (saga.status, saga.passed, saga.late, saga.deadline_at, saga.held_since);
        let head = |saga: &Saga| {
            let mut bytes = Vec::new();
            saga.put_head(&mut bytes);
            bytes
        };
        small(self) == small(other)
            && (&self.id, head(self), &self.entries) == (&other.id, head(other), &other.entries)
            && (&self.failure, &self.ended) == (&other.failure, &other.ended)
    }
}

impl Eq for Saga {}

impl Saga {
    /// The business key.
    pub fn key(&self) -> Cow<'_, str> {
        names::parse_saga_id(&self.id).1
    }

    /// Name of its definition.
    pub fn definition(&self) -> &str {
        names::parse_saga_id(&self.id).0
    }

    /// The start event's fields that expressions can read; empty when nothing can need them.
    pub fn start(&self) -> &[u8] {
        if self.bare { &[] } else { self.head.start() }
    }

    /// The entry at a place.
    pub fn entry(&self, place: Place) -> Option<&Entry> {
        self.entries.get(usize::from(place))
    }

    /// True once it has ended.
    pub fn ended(&self) -> bool {
        self.ended.is_some()
    }

    /// A participant was asked, and has not answered.
    pub fn asks(&self) -> bool {
        self.entries.iter().any(|entry| entry.waits == Waits::Reply)
    }

    /// True if a leaf of it needs a person.
    pub fn stuck(&self) -> bool {
        self.entries.iter().any(|entry| entry.waits == Waits::Stuck)
    }

    /// A copy that has room for one entry more: what changes a saga often adds one.
    pub fn copy_with_room(&self) -> Self {
        let mut entries = Vec::with_capacity(self.entries.len() + 1);
        entries.extend_from_slice(&self.entries);
        Saga {
            entries,
            id: self.id.clone(),
            head: self.head.clone(),
            bare: self.bare,
            status: self.status,
            passed: self.passed,
            late: self.late,
            deadline_at: self.deadline_at,
            held_since: self.held_since,
            failure: self.failure.clone(),
            ended: self.ended.clone(),
        }
    }

    /// The place of an open stray.
    pub fn open_stray(&self) -> Option<Place> {
        let place = self.entries.iter().position(|entry| entry.open() && entry.stray().is_some())?;
        Some(place as Place)
    }

    /// When it wants to be looked at without an input; `i64::MAX` for never.
    pub fn due_at(&self) -> Millis {
        let leaves = self.entries.iter().map(Entry::due_at).min().unwrap_or(Millis::MAX);
        match self.deadline_at {
            // The deadline's clock stands still while a person is needed, and is off while it undoes.
            Some(deadline) if self.status == Status::Running && !self.late && self.held_since.is_none() => leaves.min(deadline),
            _ => leaves,
        }
    }

    /// The bucket in which its row goes; none while it lives, or while something of it is still to be undone.
    pub fn expiry_bucket(&self) -> Option<i64> {
        let ended = self.ended.as_ref()?;
        self.open_stray().is_none().then(|| expiry_bucket(ended.expires_at))
    }

    /// The row's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ROW_BYTES);
        put_long(&mut out, VERSION);
        self.put_head(&mut out);
        self.status.put(&mut out);
        self.passed.put(&mut out);
        self.late.put(&mut out);
        self.deadline_at.put(&mut out);
        self.held_since.put(&mut out);
        self.entries.put(&mut out);
        match &self.failure {
            None => out.push(0),
            Some(failure) => {
                out.push(2);
                failure.put(&mut out);
            }
        }
        self.ended.put(&mut out);
        out
    }

    fn put_head(&self, out: &mut Vec<u8>) {
        if self.bare { self.head.put_without_start(out) } else { self.head.put(out) }
    }

    /// Reads the row of the saga of this id.
    pub fn decode(id: &Arc<str>, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = super::versioned_cursor(bytes, "saga row of another format version")?;
        let saga = Saga {
            id: id.clone(),
            head: Avro::take(&mut cursor)?,
            bare: false,
            status: Avro::take(&mut cursor)?,
            passed: Avro::take(&mut cursor)?,
            late: Avro::take(&mut cursor)?,
            deadline_at: Avro::take(&mut cursor)?,
            held_since: Avro::take(&mut cursor)?,
            entries: Avro::take(&mut cursor)?,
            failure: Avro::take(&mut cursor)?,
            ended: Avro::take(&mut cursor)?,
        };
        cursor.end()?;
        Ok(saga)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred thousand sagas in flight are as many rows in memory.
    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Entry>() <= 48, "{}", size_of::<Entry>());
        assert!(size_of::<Saga>() <= 128, "{}", size_of::<Saga>());
    }
}
