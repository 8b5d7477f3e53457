//! A saga's row: a short list of entries, one for each node that was entered, in the order it happened.
//!
//! Nothing else is a cursor: where the saga stands, what a step gave, what must be undone and in which order follow from that list
//! and the definition.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Children, Entry, SagaMore, Turns, VERSION, Waits, expiry_bucket};
use crate::codec::{Avro, Cursor, Malformed, put_list, put_long};
use crate::journal::{Failure, Head, HeadFields, KeptEvent, Place};
use crate::{Millis, names, record, symbols};

/// The priority of a saga whose definition says none.
pub const PRIORITY_USUAL: u8 = 5;
/// The largest priority.
pub const PRIORITY_MAX: u8 = 9;

/// A row of three steps takes a little less.
const ROW_BYTES: usize = 448;

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
        /// It is not there yet: only what came before it is kept.
        Expected = 4 "expected",
        /// It is gone: the row of an item whose saga has ended.
        Swept = 5 "swept",
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
    /// From 0 to 9; of what is parked the larger goes first.
    pub priority: u8,
    /// When its deadline is; it moves by the time for which the saga was held.
    pub deadline_at: Option<Millis>,
    /// Since when a leaf needs a person, or is parked, or the saga is paused: the clock stands.
    pub held_since: Option<Millis>,
    /// What was entered, in order.
    pub entries: Vec<Entry>,
    /// Why it undoes; while it goes forward, why it will, if its pivot is refused.
    pub failure: Option<Arc<Failure>>,
    /// That it ended.
    pub ended: Option<End>,
    /// What few sagas have; never nothing.
    pub more: Option<Box<SagaMore>>,
    /// The journal's records that changed it; none in the row of a value. No event says them: whoever knows a record's offset does.
    pub turns: Turns,
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

impl PartialEq for Saga {
    fn eq(&self, other: &Self) -> bool {
        let small = |saga: &Saga| (saga.status, saga.passed, saga.late, saga.priority, saga.deadline_at, saga.held_since);
        let head = |saga: &Saga| {
            let mut bytes = Vec::new();
            saga.put_head(&mut bytes);
            bytes
        };
        small(self) == small(other)
            && (&self.id, head(self), &self.entries) == (&other.id, head(other), &other.entries)
            && (&self.failure, &self.ended, &self.more, &self.turns) == (&other.failure, &other.ended, &other.more, &other.turns)
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

    /// Since when a leaf of it needs a person: the oldest that does.
    pub fn stuck_since(&self) -> Option<Millis> {
        self.entries.iter().filter(|entry| entry.waits == Waits::Stuck).map(|entry| entry.since).min()
    }

    /// True if a leaf of it is parked, or all of it is paused.
    pub fn parked(&self) -> bool {
        self.paused().is_some_and(|paused| !paused.is_with_above()) || self.entries.iter().any(|entry| entry.waits == Waits::Parked)
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
            priority: self.priority,
            deadline_at: self.deadline_at,
            held_since: self.held_since,
            failure: self.failure.clone(),
            ended: self.ended.clone(),
            more: self.more.clone(),
            turns: self.turns.clone(),
        }
    }

    /// What came before the saga of this id, and nothing yet.
    pub fn expected(id: &Arc<str>) -> Saga {
        Saga {
            id: id.clone(),
            head: Head::new(&HeadFields::default(), &mut Vec::new()),
            bare: false,
            status: Status::Expected,
            passed: false,
            late: false,
            priority: PRIORITY_USUAL,
            deadline_at: None,
            held_since: None,
            entries: Vec::new(),
            failure: None,
            ended: None,
            more: None,
            turns: Turns::default(),
        }
    }

    /// True if it has begun: what is only expected is no saga yet.
    pub fn began(&self) -> bool {
        self.status != Status::Expected
    }

    /// The place of an open stray.
    pub fn open_stray(&self) -> Option<Place> {
        let place = self.entries.iter().position(|entry| entry.open() && entry.stray().is_some())?;
        Some(place as Place)
    }

    /// A cancel, or the deadline, that came while the pivot was in flight: it undoes for this if the pivot is refused.
    pub fn remembered_stop(&self) -> Option<&Arc<Failure>> {
        self.failure.as_ref().filter(|_| self.status == Status::Running)
    }

    /// When its own deadline fires; none while that is off: its clock stands while a person is needed, it fires once, and not while it
    /// undoes.
    pub fn deadline(&self) -> Option<Millis> {
        let is_on = self.status == Status::Running && !self.late && self.failure.is_none() && self.held_since.is_none();
        self.deadline_at.filter(|_| is_on)
    }

    /// When it wants to be looked at without an input; `i64::MAX` for never.
    pub fn due_at(&self) -> Millis {
        // Of one that lives, what is to be done about rows below is due by their entries, but for the one that is told of a stop.
        if (self.ended() || self.remembered_stop().is_some()) && self.has_work() {
            return 0;
        }
        let mut due_at = self.deadline().unwrap_or(Millis::MAX);
        if self.began() || self.mailbox().is_some() {
            due_at = self.early().iter().map(|event| event.until).fold(due_at, Millis::min);
        }
        // The clocks of scopes and approvals stand still with the saga's.
        let clocks_run = self.status == Status::Running && self.held_since.is_none();
        let sleeps_on = |entry: &Entry| entry.waits == Waits::Time && self.paused().is_some();
        for entry in &self.entries {
            due_at = due_at.min(if sleeps_on(entry) { Millis::MAX } else { self.entry_due_at(entry) });
            if clocks_run {
                due_at = due_at.min(entry.clock().unwrap_or(Millis::MAX));
            }
        }
        due_at
    }

    /// When an entry of it is due; what is to be done about rows below is so at once.
    pub fn entry_due_at(&self, entry: &Entry) -> Millis {
        let works = |rows: &Children| rows.work(self.paused().is_some()).is_some();
        match entry.waits {
            Waits::Children if entry.children().is_some_and(works) => 0,
            _ => entry.due_at(),
        }
    }

    /// The latest of what is due by this time; none if nothing is.
    pub fn last_due(&self, now: Millis) -> Option<Millis> {
        let clocks_run = self.status == Status::Running && self.held_since.is_none();
        let early = self.early().iter().map(|event| event.until).filter(|_| self.began() || self.mailbox().is_some());
        let clocks = self.entries.iter().filter_map(|entry| entry.clock().filter(|_| clocks_run));
        let all =
            self.deadline().into_iter().chain(early).chain(clocks).chain(self.entries.iter().map(|entry| self.entry_due_at(entry)));
        all.filter(|due_at| *due_at <= now).max()
    }

    /// The bucket in which its row goes; none while it lives, or while something of it is still to be undone.
    pub fn expiry_bucket(&self) -> Option<i64> {
        if let Some(mailbox) = self.mailbox() {
            return mailbox.expiry_bucket(self.early());
        }
        if !self.began() {
            return self.early().iter().map(|event| expiry_bucket(event.until)).max();
        }
        let ended = self.ended.as_ref()?;
        // The row of an item goes when its saga's does, and that when they have gone.
        let has_rows = self.to_sweep().is_some() || self.has_lingering();
        let is_needed = self.is_below() || has_rows || self.open_stray().is_some();
        (!is_needed).then(|| expiry_bucket(ended.expires_at))
    }

    /// The row's bytes, version first.
    pub fn encode(&self) -> Vec<u8> {
        let mut row = self.encode_state();
        self.put_turns(&mut row);
        row
    }

    /// The same without its turns: all that its events say, as it was encoded before rows had turns.
    pub fn encode_state(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ROW_BYTES);
        put_long(&mut out, VERSION);
        self.put_head(&mut out);
        self.status.put(&mut out);
        self.passed.put(&mut out);
        self.late.put(&mut out);
        self.deadline_at.put(&mut out);
        self.held_since.put(&mut out);
        self.entries.put(&mut out);
        match (&self.failure, &self.more) {
            (_, Some(more)) if more.mailbox.is_some() || !more.claims.is_empty() => self.put_values(more, &mut out),
            (_, Some(more)) if more.stuck_told > 0 => {
                out.push(10);
                put_long(&mut out, i64::from(self.priority));
                self.failure.put(&mut out);
                more.early.put(&mut out);
                more.paused.put(&mut out);
                more.stuck_told.put(&mut out);
            }
            _ if self.paused().is_some() => {
                out.push(8);
                put_long(&mut out, i64::from(self.priority));
                self.failure.put(&mut out);
                put_list(self.early(), &mut out);
                self.paused().into_iter().for_each(|paused| paused.put(&mut out));
            }
            // Rows of the usual priority stay what they were before there were others.
            _ if self.priority != PRIORITY_USUAL => {
                out.push(6);
                put_long(&mut out, i64::from(self.priority));
                self.failure.put(&mut out);
                put_list(self.early(), &mut out);
            }
            (None, None) => out.push(0),
            (Some(failure), None) => {
                out.push(2);
                failure.put(&mut out);
            }
            // Rows without early events stay what they were before there were any.
            (failure, Some(more)) => {
                out.push(4);
                failure.put(&mut out);
                more.early.put(&mut out);
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
        let mut saga = Saga {
            id: id.clone(),
            head: Avro::take(&mut cursor)?,
            bare: false,
            status: Avro::take(&mut cursor)?,
            passed: Avro::take(&mut cursor)?,
            late: Avro::take(&mut cursor)?,
            priority: PRIORITY_USUAL,
            deadline_at: Avro::take(&mut cursor)?,
            held_since: Avro::take(&mut cursor)?,
            entries: Avro::take(&mut cursor)?,
            failure: None,
            ended: None,
            more: None,
            turns: Turns::default(),
        };
        match cursor.long()? {
            0 => {}
            1 => saga.failure = Some(Avro::take(&mut cursor)?),
            2 => {
                saga.failure = Avro::take(&mut cursor)?;
                saga.more = Some(Box::new(SagaMore { early: Avro::take(&mut cursor)?, ..SagaMore::default() }));
            }
            3 => {
                saga.priority = take_priority(&mut cursor)?;
                saga.failure = Avro::take(&mut cursor)?;
                let early: Vec<Arc<KeptEvent>> = Avro::take(&mut cursor)?;
                saga.more = (!early.is_empty()).then(|| Box::new(SagaMore { early, ..SagaMore::default() }));
            }
            4 => {
                saga.priority = take_priority(&mut cursor)?;
                saga.failure = Avro::take(&mut cursor)?;
                let (early, paused) = (Avro::take(&mut cursor)?, Some(Avro::take(&mut cursor)?));
                saga.more = Some(Box::new(SagaMore { early, paused, ..SagaMore::default() }));
            }
            5 => {
                saga.priority = take_priority(&mut cursor)?;
                saga.failure = Avro::take(&mut cursor)?;
                let (early, paused) = (Avro::take(&mut cursor)?, Avro::take(&mut cursor)?);
                saga.more = Some(Box::new(SagaMore { early, paused, stuck_told: Avro::take(&mut cursor)?, ..SagaMore::default() }));
            }
            branch @ (6..=8) => saga.take_values(branch, &mut cursor)?,
            _ => return Err(Malformed("a saga row has no such branch")),
        }
        saga.take_end(&mut cursor)?;
        cursor.end()?;
        Ok(saga)
    }
}

pub(super) fn take_priority(cursor: &mut Cursor<'_>) -> Result<u8, Malformed> {
    u8::try_from(cursor.long()?).map_err(|_| Malformed("a priority is no small number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred thousand sagas in flight are as many rows in memory.
    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Entry>() <= 48, "{}", size_of::<Entry>());
        // The allocator gives 160 bytes for this and the counts in front of it, as it did before turns were in it.
        assert!(size_of::<Saga>() <= 144, "{}", size_of::<Saga>());
    }
}
