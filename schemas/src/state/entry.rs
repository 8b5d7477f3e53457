//! An entry: a node that was entered, what is known of what it did, and why it is open.

use std::sync::Arc;

use super::Children;
use crate::codec::{Avro, Cursor, Malformed, put_long};
use crate::journal::{Failure, Order};
use crate::shared::Data;
use crate::{Millis, record, symbols, variants};

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
        /// A scope: what belongs to it is under way.
        Open = 8 "open",
        /// A scope: what was done in it is undone.
        Undoing = 9 "undoing",
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
        /// For its own time: it sleeps.
        Time = 4 "time",
        /// For somebody's answer, yes or no.
        Approval = 5 "approval",
        /// For an event.
        Event = 6 "event",
        /// Until its participant is asked again: a breaker is open.
        Parked = 7 "parked",
        /// Until its saga is resumed: it would be asked again.
        Paused = 8 "paused",
        /// For the rows below it: its items.
        Children = 9 "items",
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
    /// When something is due, where it waits for a reply, a retry, its time, an approval or an event: the attempt's timeout, the next
    /// attempt, the end of its sleep, when others are asked, or nobody any more. Of an open scope: when its time is over; 0 for never.
    /// Of what was asked and is parked or paused: the first attempt that counts once it goes out; 0 where a person asks for it, so that all its
    /// time is before it.
    pub due_at: Millis,
    /// What was asked last.
    pub order: Option<Order>,
    /// The result's fields that expressions can read.
    pub result: Option<Data>,
    /// What few entries have.
    pub more: Option<Box<EntryMore>>,
}

/// What few entries have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryMore {
    /// How the last attempt, or the entry, ended without success.
    pub failure: Option<Arc<Failure>>,
    /// Since when it is a stray: done after all where nothing counted on it, and undone by itself.
    pub stray: Option<Millis>,
    /// What became of it behind that.
    pub course: Option<Course>,
}

record! {
    /// What becomes of an entry that was refused or failed, and of a scope.
    pub struct Course {
        /// The reaction that began: the number of its list in the definition.
        pub reaction: Option<u16>,
        /// It went on behind it, as if it were not there.
        pub went_on: bool,
        /// A scope that undoes: it will be refused; else failed.
        pub refused: bool,
        /// Why it is undone by itself, before its reaction is asked.
        pub cause: Option<Arc<Failure>>,
        /// For what is to come.
        pub detail: Detail,
    }
}

variants! {
    /// What only some verbs need.
    pub enum Detail {
        /// Nothing.
        Nothing {} = 0,
        /// Of a sleep: what is due is the end of its `within`, before the end of the sleep.
        Expires {} = 1,
        /// Of an approval.
        Asked {
            /// Who may answer: one role more with each escalation.
            roles: Vec<Arc<str>>,
            /// What they are shown, as JSON; none if nothing is.
            show: Option<Arc<str>>,
        } = 2,
        /// Of a wait that has its event.
        Taken {
            /// Identity of the event.
            source: Arc<str>,
        } = 3,
        /// Of what is parked.
        Parked {
            /// Whose breaker is open.
            participant: Arc<str>,
        } = 4,
        /// Of what was asked anew, by a person or from where it was parked.
        Anew {
            /// Attempts before this one are not counted.
            from: u16,
        } = 5,
        /// Of a for_each.
        Children {
            /// The rows of its items.
            rows: Arc<Children>,
        } = 6,
    }
}

impl Default for Course {
    fn default() -> Self {
        Course { reaction: None, went_on: false, refused: false, cause: None, detail: Detail::Nothing {} }
    }
}

/// Null, what every version knows, or that with its course: rows of older versions stay what they are.
fn put_more(more: Option<&EntryMore>, out: &mut Vec<u8>) {
    let Some(EntryMore { failure, stray, course }) = more else { return put_long(out, 0) };
    put_long(out, if course.is_some() { 2 } else { 1 });
    failure.put(out);
    stray.put(out);
    if let Some(course) = course {
        course.put(out);
    }
}

fn take_more(cursor: &mut Cursor<'_>) -> Result<Option<Box<EntryMore>>, Malformed> {
    let has_course = match cursor.long()? {
        0 => return Ok(None),
        branch @ (1 | 2) => branch == 2,
        _ => return Err(Malformed("an entry has no such branch")),
    };
    let (failure, stray) = (Avro::take(cursor)?, Avro::take(cursor)?);
    let course = if has_course { Some(Avro::take(cursor)?) } else { None };
    Ok(Some(Box::new(EntryMore { failure, stray, course })))
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

    /// What became of it behind its failure.
    pub fn course(&self) -> Option<&Course> {
        self.more.as_ref()?.course.as_ref()
    }

    /// Why it ended without success: what it is undone for by itself, else how it ended.
    pub fn cause(&self) -> Option<&Arc<Failure>> {
        self.course().and_then(|course| course.cause.as_ref()).or_else(|| self.failure())
    }

    /// The reaction that began.
    pub fn reaction(&self) -> Option<u16> {
        self.course()?.reaction
    }

    /// True if it went on behind it, as if it were not there.
    pub fn went_on(&self) -> bool {
        self.course().is_some_and(|course| course.went_on)
    }

    /// True if something must happen to it: a leaf. A scope is open by what belongs to it.
    pub fn open(&self) -> bool {
        self.waits != Waits::No
    }

    /// True if what is around it cannot end yet: a stray is on its own; a scope may be undone and wait for one alone.
    pub fn is_under_way(&self) -> bool {
        (self.open() && self.stray().is_none()) || matches!(self.work, Work::Open | Work::Undoing)
    }

    /// The order's body, if it may still be needed.
    pub fn body(&self) -> &[u8] {
        match &self.order {
            Some(order) if !self.bare => order.body(),
            _ => &[],
        }
    }

    /// When it is due, whatever happens to the saga; `i64::MAX` for never.
    pub fn due_at(&self) -> Millis {
        match self.waits {
            Waits::Reply | Waits::Retry | Waits::Time => self.due_at,
            Waits::No | Waits::Stuck | Waits::Approval | Waits::Event | Waits::Parked => Millis::MAX,
            Waits::Paused | Waits::Children => Millis::MAX,
        }
    }

    /// When something of it is due by a clock that stands while the saga is held: the time of an open scope, of an approval or of a
    /// wait; none: never.
    pub fn clock(&self) -> Option<Millis> {
        self.scope_until().or_else(|| matches!(self.waits, Waits::Approval | Waits::Event).then_some(self.due_at))
    }

    /// When the time of an open scope is over; none: never.
    pub fn scope_until(&self) -> Option<Millis> {
        (self.work == Work::Open && self.due_at > 0).then_some(self.due_at)
    }

    /// The first attempt that counts: those before it were made before it was asked anew.
    pub fn counts_from(&self) -> u16 {
        match self.detail() {
            Some(Detail::Anew { from }) => *from,
            _ => 1,
        }
    }

    /// The newest attempt, of those that count: they are counted from where it was asked anew.
    pub fn counted_attempt(&self) -> u16 {
        match self.detail() {
            Some(Detail::Anew { from }) => (self.attempt + 1).saturating_sub(*from),
            _ => self.attempt,
        }
    }

    /// Whose breaker it waits for, if it is parked.
    pub fn parked_for(&self) -> Option<&Arc<str>> {
        match self.detail() {
            Some(Detail::Parked { participant }) if self.waits == Waits::Parked => Some(participant),
            _ => None,
        }
    }

    /// The rows below it.
    pub fn children(&self) -> Option<&Children> {
        match self.detail() {
            Some(Detail::Children { rows }) => Some(rows),
            _ => None,
        }
    }

    /// What only some verbs need.
    pub fn detail(&self) -> Option<&Detail> {
        Some(&self.course()?.detail)
    }
}

/// Entries are equal if they say the same; what is needed no more is not compared.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let small = |entry: &Entry| (entry.node, entry.attempt, entry.round, entry.work, entry.waits, entry.since, entry.due_at);
        let order = |entry: &Entry| entry.order.as_ref().map(Order::fields).map(|order| (order.first_time, order.until));
        let is_shared = self.order.as_ref().zip(other.order.as_ref()).is_some_and(|(mine, other)| mine.is(other));
        small(self) == small(other)
            && (is_shared && self.bare == other.bare
                || (self.name(), self.body(), order(self)) == (other.name(), other.body(), order(other)))
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
        put_more(self.more.as_deref(), out);
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
            more: take_more(cursor)?,
            bare: false,
        })
    }
}
